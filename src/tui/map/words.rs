//! The lines under the map: what was folded, where there is more, and the selection in words.

use std::borrow::Cow;

use ratatui::layout::Rect;

use super::Selected;
use crate::model::BootNs;
use crate::tui::edges::title;
use crate::tui::figures;
use crate::tui::pen::{Pen, columns};
use crate::tui::shown::{Edge, FEW, Node, Shown, Trouble};
use crate::tui::state::State;
use crate::tui::theme::Role;
use crate::world::Timed;

type Piece = (Cow<'static, str>, Role);

/// The lines under the map: what was folded, more in which direction, and the selection in words.
pub fn below(state: &State, pen: &mut Pen<'_>) {
    let (map, shown) = (&state.map, &state.shown);
    let last = pen.area.height.saturating_sub(1);
    let hidden = [
        (map.scroll.0 > 0, "◀"),
        (map.scroll.1 > 0, "▲"),
        (map.scroll.1 + map.view.1 < map.height, "▼"),
        (map.scroll.0 + map.view.0 < map.widths.total(), "▶"),
    ];
    let more: Vec<&str> = hidden.iter().filter(|h| h.0).map(|h| h.1).collect();
    let width = pen.area.width;
    if last > 0 {
        let text = if more.is_empty() { String::new() } else { format!(" more {} ", more.join("")) };
        let left = width.saturating_sub(columns(&text));
        if !map.folded.is_empty() {
            pen.put(1, last - 1, left.saturating_sub(1), &map.folded.words(), Role::Muted);
        }
        pen.put(left, last - 1, width, &text, Role::Muted);
    }
    let area = Rect { y: pen.area.y + last, height: 1, width, ..pen.area };
    let mut pen = pen.within(area);
    match &map.selected {
        Some(Selected::Node(id)) => {
            if let Some(node) = shown.nodes.get(id) {
                pen.pieces(1, 0, node_words(shown, node));
            }
        }
        Some(Selected::Edge(id)) => {
            if let Some(edge) = shown.edge(id) {
                pen.pieces(1, 0, [("▸ ".into(), Role::Accent)].into_iter().chain(edge_words(shown, edge)));
            }
        }
        None => match map.worst(shown) {
            Some(edge) => {
                let role = if edge.trouble == Trouble::Failing { Role::Bad } else { Role::Warn };
                pen.pieces(1, 0, [("× ".into(), role)].into_iter().chain(edge_words(shown, edge)));
            }
            None => {
                pen.put(1, 0, width, "○ nothing fails · arrow keys select a box, e its edges", Role::Muted);
            }
        },
    }
}

/// `api → stock :9002   12.0/s refused since 14:01:10 · last success 14:01:09 · Enter opens`.
fn edge_words(shown: &Shown, e: &Edge) -> Vec<Piece> {
    let mut out: Vec<Piece> = vec![(title(e.id()).into(), Role::Strong), ("   ".into(), Role::Text)];
    let clock = &shown.clock;
    match e.worst() {
        Some((why, n)) if e.trouble == Trouble::Failing => {
            let rate = figures::rate(n as f64 / shown.seconds.max(1) as f64);
            out.push((format!("{rate} {}", why.words()).into(), Role::Bad));
            if let Some(at) = e.row.failing_since {
                out.push((format!(" since {}", clock.time(at)).into(), Role::Bad));
            }
            if let Some(at) = e.row.last_success {
                out.push((format!(" · last success {}", clock.time(at)).into(), Role::Muted));
            }
        }
        worst => {
            if e.requests > 0 {
                let rate = figures::at_least(figures::sig3(e.request_rate), e.undecoded > 0);
                out.push((format!("{} {rate} req/s · ", e.protocol_words()).into(), Role::Text));
            } else if !e.protocols.is_empty() {
                out.push((format!("{} · ", e.protocol_words()).into(), Role::Text));
            }
            let (what, p99, n) = match (&e.latency, e.connect) {
                (Some(l), _) if l.timed == Timed::Requests => ("p99", Some(l.p99), l.n),
                (Some(l), _) => ("turn p99", Some(l.p99), l.n),
                (None, c) => ("connect p99", c.map(|c| c.1), e.row.shown().1.connect_us.count()),
            };
            if let Some(us) = p99 {
                out.push((format!("{what} {}", figures::micros(us)).into(), Role::Text));
                let few = if n < FEW { format!(" (n {n}) · ") } else { " · ".to_owned() };
                out.push((few.into(), Role::Muted));
            }
            out.push((format!("{} conn/s · ", figures::sig3(e.rate)).into(), Role::Text));
            out.push((format!("{} open", figures::count(e.open)).into(), Role::Text));
            if let Some((why, n)) = worst {
                let (failed, tried) = e.err();
                let share = figures::share(failed, tried);
                out.push((
                    format!(" · err {share}, {} {}", figures::count(n), why.words()).into(),
                    Role::Warn,
                ));
            }
            if e.is_idle() {
                out.push((idle(shown, e.active).into(), Role::Muted));
            }
        }
    }
    out.push((" · Enter opens".into(), Role::Muted));
    out
}

fn idle(shown: &Shown, active: Option<BootNs>) -> String {
    active.map_or_else(|| " · idle".into(), |at| format!(" · idle {}", figures::age(shown.now.since(at))))
}

/// `820 req/s`, or `8.40 conn/s` where nothing is decoded.
fn rates(requests: f64, connections: f64) -> String {
    if requests > 0.0 {
        format!("{} req/s", figures::sig3(requests))
    } else {
        format!("{} conn/s", figures::sig3(connections))
    }
}

fn node_words(shown: &Shown, node: &Node) -> Vec<Piece> {
    let edges = || node.edges.iter().map(|i| &shown.edges[*i]);
    let into = edges().filter(|e| e.id().server == node.id).count();
    let out = edges().filter(|e| e.id().client == node.id).count();
    let mut words: Vec<Piece> = vec![
        ("▸ ".into(), Role::Accent),
        (node.id.name.to_string().into(), Role::Strong),
        (
            format!(
                "   in {} over {into} · out {} over {out}",
                rates(node.asked, node.served),
                rates(node.asks, node.begun)
            )
            .into(),
            Role::Text,
        ),
    ];
    match shown.first(edges()).filter(|e| e.trouble != Trouble::None) {
        Some(worst) => {
            words.push((" · worst: ".into(), Role::Muted));
            words.extend(edge_words(shown, worst));
        }
        None => words.push((" · nothing fails · e its edges · Enter opens".into(), Role::Muted)),
    }
    words
}
