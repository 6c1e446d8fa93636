//! Draws the part of the map that is in view.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::canvas::{Canvas, RIGHT, Stroke, glyph};
use super::{Map, Pair, Selected};
use crate::tui::edges::port_words;
use crate::tui::figures;
use crate::tui::pen::{Pen, columns, spark};
use crate::tui::shown::{Edge, Node, Shown, Trouble};
use crate::tui::state::State;
use crate::tui::theme::Role;
use crate::tui::view::{Hit, Hits};

/// Below so many values a percentile is shown with their count.
pub const FEW: u64 = 100;

/// Draws the map into the pen's area.
pub fn draw(state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
    let (map, shown) = (&state.map, &state.shown);
    if map.graph.nodes.is_empty() {
        return super::super::view::empty(state, pen, "edges");
    }
    let (w, h) = map.view;
    let canvas = lines(map);
    // A picture that is larger than the view by one box on each side, so that boxes need no clipping.
    let margin = (
        map.widths.node,
        map.graph.nodes.iter().filter_map(|n| map.places.get(n)).map(|p| p.height).max().unwrap_or(4),
    );
    let mut picture = Buffer::empty(Rect::new(0, 0, w + 2 * margin.0, h + 2 * margin.1));
    let area = picture.area;
    let mut p = Pen::new(&mut picture, pen.theme, area);
    let on = |x: u16, y: u16| -> Option<(u16, u16)> {
        Some(((x + margin.0).checked_sub(map.scroll.0)?, (y + margin.1).checked_sub(map.scroll.1)?))
    };
    let screen = pen.area;
    let visible =
        |x: u16, y: u16| (margin.0..margin.0 + w).contains(&x) && (margin.1..margin.1 + h).contains(&y);
    for y in map.scroll.1..map.scroll.1 + h {
        for x in map.scroll.0..map.scroll.0 + w {
            let (Some(line), Some((px, py))) = (canvas.at(x, y), on(x, y)) else { continue };
            p.text(px, py, glyph(line.arms, line.stroke).encode_utf8(&mut [0; 4]), role_of(line.stroke));
            if let Some(e) = map.pairs.get(line.edge).and_then(|pair| pair.edges.first()) {
                let at = Rect::new(screen.x + px - margin.0, screen.y + py - margin.1, 1, 1);
                hits.add(at, Hit::Edge(shown.edges[*e].id().clone()));
            }
        }
    }
    for (pair, route) in map.pairs.iter().zip(&map.routes) {
        let stroke = stroke(map, pair, busiest(map));
        if let Some((ax, ay)) = route.corners.last().and_then(|c| on(c.0, c.1)) {
            p.text(ax, ay, "▶", role_of(stroke));
            if pair.trouble == Trouble::Failing {
                p.text(ax.saturating_sub(1), ay, "×", Role::Bad);
            }
        }
        let Some((x, y, width)) = route.label else { continue };
        let Some((lx, ly)) = on(x, y) else { continue };
        let (text, role) = label(pair, shown, width.saturating_sub(1));
        if !text.is_empty() && ly < area.height {
            let used = columns(&text).min(width.saturating_sub(1));
            p.put(lx + (width - 1 - used), ly, used, &text, role);
        }
    }
    for id in &map.graph.nodes {
        let (Some(node), Some(r)) = (shown.nodes.get(id), map.rect(id)) else { continue };
        let Some((x, y)) = on(r.x, r.y) else { continue };
        if x >= area.width || y >= area.height {
            continue;
        }
        let at = Rect { x, y, ..r };
        let selected = map.selected_node() == Some(id);
        draw_box(&mut p.within(at), state, node, selected);
        for row in r.y..r.bottom() {
            if let Some(line) = canvas.at(r.right() - 1, row).filter(|l| l.arms & RIGHT != 0) {
                let joint = if selected || line.stroke == Stroke::Heavy { "┣" } else { "├" };
                p.text(x + r.width - 1, y + row - r.y, joint, role_of(line.stroke));
            }
        }
        let seen = at.intersection(Rect::new(margin.0, margin.1, w, h));
        if !seen.is_empty() {
            let on_screen = Rect { x: screen.x + seen.x - margin.0, y: screen.y + seen.y - margin.1, ..seen };
            hits.add(on_screen, Hit::Node(id.clone()));
        }
    }
    for y in 0..h.min(screen.height) {
        for x in 0..w.min(screen.width) {
            if visible(x + margin.0, y + margin.1) {
                pen.buf[(screen.x + x, screen.y + y)] = picture[(x + margin.0, y + margin.1)].clone();
            }
        }
    }
    below(state, pen);
}

/// The lines under the map: what was folded, more in which direction, and the selection in words.
fn below(state: &State, pen: &mut Pen<'_>) {
    let (map, shown) = (&state.map, &state.shown);
    let last = pen.area.height.saturating_sub(1);
    let hidden = [
        (map.scroll.0 > 0, "◀"),
        (map.scroll.1 > 0, "▲"),
        (map.scroll.1 + map.view.1 < map.height, "▼"),
        (map.scroll.0 + map.view.0 < map.widths.total(), "▶"),
    ];
    let more: Vec<&str> = hidden.iter().filter(|h| h.0).map(|h| h.1).collect();
    let mut width = pen.area.width;
    if !more.is_empty() {
        let text = format!(" more {} ", more.join(""));
        width = width.saturating_sub(columns(&text));
        pen.right(0, last, pen.area.width, &text, Role::Muted);
    }
    if !map.folded.is_empty() && last > 0 {
        pen.put(1, last - 1, pen.area.width - 1, &map.folded.words(), Role::Muted);
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
                pen.pieces(1, 0, [("× ".into(), Role::Bad)].into_iter().chain(edge_words(shown, edge)));
            }
            None => {
                pen.put(1, 0, width, "○ nothing fails · arrow keys select a box, e its edges", Role::Muted);
            }
        },
    }
}

type Piece = (Cow<'static, str>, Role);

/// `api → stock :9002   12.0/s refused since 14:01:10 · last success 14:01:09 · Enter opens`.
pub fn edge_words(shown: &Shown, e: &Edge) -> Vec<Piece> {
    let mut out: Vec<Piece> =
        vec![(super::super::edges::title(e).into(), Role::Strong), ("   ".into(), Role::Text)];
    let clock = &shown.clock;
    match e.worst() {
        Some((outcome, n)) if e.trouble == Trouble::Failing => {
            let rate = figures::rate(n as f64 / shown.seconds.max(1) as f64);
            out.push((format!("{rate} {outcome}").into(), Role::Bad));
            if let Some(at) = e.row.failing_since {
                out.push((format!(" since {}", clock.time(at)).into(), Role::Bad));
            }
            if let Some(at) = e.row.last_success {
                out.push((format!(" · last success {}", clock.time(at)).into(), Role::Muted));
            }
        }
        worst => {
            out.push((figures::rate(e.rate).into(), Role::Text));
            if let Some((_, p99)) = e.connect {
                out.push((format!(" · connect p99 {}", figures::micros(p99)).into(), Role::Text));
                let n = e.row.shown().1.connect_us.count();
                if n < FEW {
                    out.push((format!(" (n {n})").into(), Role::Muted));
                }
            }
            out.push((format!(" · {} open", figures::count(e.open)).into(), Role::Text));
            if let Some((outcome, n)) = worst {
                let share = figures::share(e.failures, e.tried);
                out.push((format!(" · err {share}, {} {outcome}", figures::count(n)).into(), Role::Warn));
            }
            if e.is_idle() {
                out.push((idle(shown, e.active).into(), Role::Muted));
            }
        }
    }
    out.push((" · Enter opens".into(), Role::Muted));
    out
}

fn idle(shown: &Shown, active: Option<crate::model::BootNs>) -> String {
    active.map_or_else(|| " · idle".into(), |at| format!(" · idle {}", figures::age(shown.now.since(at))))
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
                figures::rate(node.served),
                figures::rate(node.begun)
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

/// The stroke of a pair that is not selected.
fn stroke(map: &Map, pair: &Pair, busiest: Option<f64>) -> Stroke {
    match (pair.trouble, pair.idle) {
        (Trouble::Failing, _) => Stroke::Failing,
        (_, true) if pair.open == 0 => Stroke::Dashed,
        _ if map.pairs.len() > 2 && busiest == Some(pair.rate) => Stroke::Double,
        _ => Stroke::Light,
    }
}

fn busiest(map: &Map) -> Option<f64> {
    map.pairs.iter().map(|p| p.rate).filter(|r| *r > 0.0).max_by(f64::total_cmp)
}

fn role_of(stroke: Stroke) -> Role {
    match stroke {
        Stroke::Heavy => Role::Accent,
        Stroke::Failing => Role::Bad,
        Stroke::Dashed | Stroke::Light => Role::Muted,
        Stroke::Double => Role::Text,
    }
}

/// All lines, those that matter most on top.
fn lines(map: &Map) -> Canvas {
    let top = busiest(map);
    let mut order: Vec<(Stroke, usize)> = map
        .pairs
        .iter()
        .enumerate()
        .map(|(i, pair)| {
            let (a, b) = map.graph.edges[i];
            let (a, b) = (&map.graph.nodes[a], &map.graph.nodes[b]);
            let selected = match &map.selected {
                Some(Selected::Edge(id)) => id.client == *a && id.server == *b,
                Some(Selected::Node(id)) => id == a || id == b,
                None => false,
            };
            (
                if selected && pair.trouble != Trouble::Failing {
                    Stroke::Heavy
                } else {
                    stroke(map, pair, top)
                },
                i,
            )
        })
        .collect();
    order.sort_unstable();
    let mut canvas = Canvas::default();
    for (stroke, i) in order {
        let r = &map.routes[i];
        canvas.path(map.graph.edges[i].0, i, stroke, &r.corners, r.join_from);
    }
    canvas
}

/// What stands on a line: at most `width` columns, with what matters most.
fn label(pair: &Pair, shown: &Shown, width: u16) -> (String, Role) {
    let fits = |texts: &[String]| texts.iter().find(|t| columns(t) <= width).cloned().unwrap_or_default();
    let rate = if pair.rate > 0.0 || pair.open == 0 {
        figures::rate(pair.rate)
    } else {
        format!("{} open", figures::count(pair.open))
    };
    let first = pair.edges.first().map(|i| &shown.edges[*i]);
    let (failed, tried) = pair.failures;
    match pair.trouble {
        Trouble::Failing => {
            let rate = figures::rate(failed as f64 / shown.seconds.max(1) as f64);
            let why = first.and_then(Edge::worst).map(|w| w.0.as_str()).unwrap_or_default();
            (fits(&[format!(" {rate} {why} "), format!(" {rate} "), rate]), Role::Bad)
        }
        Trouble::Some => {
            let share = figures::share(failed, tried);
            (
                fits(&[format!(" {rate} ×{share} "), format!(" ×{share} "), format!(" {rate} "), rate]),
                Role::Warn,
            )
        }
        Trouble::None if pair.idle && pair.open == 0 => (fits(&[" idle ".into()]), Role::Muted),
        Trouble::None => {
            let p99 = first.and_then(|e| e.connect).map(|c| figures::micros(c.1));
            let long = p99.map_or_else(String::new, |p| format!(" {rate} p99 {p} "));
            let long = if long.is_empty() { format!(" {rate} ") } else { long };
            (fits(&[long, format!(" {rate} "), rate]), Role::Text)
        }
    }
}

fn draw_box(pen: &mut Pen<'_>, state: &State, node: &Node, selected: bool) {
    let shown = &state.shown;
    let border = match (selected, node.trouble) {
        (true, _) => Role::Accent,
        (_, Trouble::Failing) => Role::Bad,
        _ => Role::Muted,
    };
    pen.clear();
    let inside = pen.frame("", border);
    if selected {
        heavy(pen, border);
    }
    let ports = port_words(&node.ports);
    let room = pen.area.width.saturating_sub(4);
    let name_role = if node.is_far() { Role::Text } else { Role::Strong };
    let end = pen.put(2, 0, room.saturating_sub(1), &format!(" {}", node.id.name), name_role);
    if !ports.is_empty() && end + columns(&ports) + 2 < pen.area.width {
        let end = pen.text(end, 0, &format!(" {ports}"), Role::Muted);
        pen.text(end, 0, " ", Role::Muted);
    } else {
        pen.text(end, 0, " ", Role::Muted);
    }
    let mut pen = pen.within(Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside });
    let width = pen.area.width;
    for (y, (left, right)) in box_lines(shown, node, width).into_iter().enumerate() {
        let y = y as u16;
        pen.right(0, y, width, &right.0, right.1);
        let room = width.saturating_sub(columns(&right.0) + u16::from(!right.0.is_empty()));
        pen.put(0, y, room, &left.0, left.1);
    }
}

/// The lines inside a box, each with a left and a right piece, the most important first.
fn box_lines(shown: &Shown, node: &Node, width: u16) -> Vec<(Piece, Piece)> {
    let none = || ("".into(), Role::Text);
    let n = node.connect.count();
    let p99 = node.connect.quantile(0.99).map(figures::micros);
    let p99 = match p99 {
        Some(p) if n < FEW && width >= 21 => format!("p99 {p} (n {n})"),
        Some(p) => format!("p99 {p}"),
        None => format!("{} open", figures::count(node.open)),
    };
    let bars = usize::from(width.saturating_sub(columns(&p99) + 1)).min(8);
    let course = ((spark(&node.trend, bars, 0.0).into(), Role::Accent), (p99.into(), Role::Text));
    let rate = if node.served > 0.0 || node.begun == 0.0 { node.served } else { node.begun };
    let traffic: (Piece, Piece) = (
        (format!("{} open", figures::count(node.open)).into(), Role::Muted),
        (figures::byte_rate(node.bytes).into(), Role::Muted),
    );
    if node.is_idle() && node.open == 0 {
        let words = node
            .active
            .map_or_else(|| "idle".into(), |at| format!("idle {}", figures::age(shown.now.since(at))));
        return vec![((words.into(), Role::Muted), none())];
    }
    match (node.trouble, node.worst) {
        (Trouble::Failing, Some((outcome, per_s, since))) => {
            let since = since.map_or_else(String::new, |at| format!("since {}", shown.clock.time(at)));
            vec![
                ((format!("{outcome} {}", figures::rate(per_s)).into(), Role::Bad), none()),
                ((since.into(), Role::Bad), none()),
                course,
                traffic,
            ]
        }
        (trouble, _) => {
            let err = format!("err {}", figures::share(node.failures.0, node.failures.1));
            let role = if trouble == Trouble::None { Role::Muted } else { Role::Warn };
            vec![course, ((err.into(), role), (figures::rate(rate).into(), Role::Text)), traffic]
        }
    }
}

/// A heavy frame over the light one.
fn heavy(pen: &mut Pen<'_>, role: Role) {
    let (w, h) = (pen.area.width, pen.area.height);
    if w < 2 || h < 2 {
        return;
    }
    let line = "━".repeat(usize::from(w) - 2);
    pen.text(0, 0, &format!("┏{line}┓"), role);
    pen.text(0, h - 1, &format!("┗{line}┛"), role);
    for y in 1..h - 1 {
        pen.text(0, y, "┃", role);
        pen.text(w - 1, y, "┃", role);
    }
}
