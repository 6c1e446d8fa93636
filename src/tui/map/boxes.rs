//! Draws the part of the map that is in view: lines, their labels, boxes.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::canvas::{Canvas, RIGHT, Stroke, glyph};
use super::{Map, Pair, Selected, inside, words};
use crate::tui::figures;
use crate::tui::pen::{Pen, columns};
use crate::tui::security;
use crate::tui::shown::{Edge, Shown, Trouble};
use crate::tui::state::State;
use crate::tui::theme::Role;
use crate::tui::view::{Hit, Hits};
use crate::world::Timed;

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
            let role = role_of(map, line.stroke, line.edge);
            p.text(px, py, glyph(line.arms, line.stroke).encode_utf8(&mut [0; 4]), role);
            if let Some(e) = map.pairs.get(line.edge).and_then(|pair| pair.edges.first()) {
                let at = Rect::new(screen.x + px - margin.0, screen.y + py - margin.1, 1, 1);
                hits.add(at, Hit::Edge(shown.edges[*e].id().clone()));
            }
        }
    }
    for (i, (pair, route)) in map.pairs.iter().zip(&map.routes).enumerate() {
        let stroke = stroke(map, pair, busiest(map));
        if let Some((ax, ay)) = route.corners.last().and_then(|c| on(c.0, c.1)) {
            let selected =
                canvas.at(route.corners[route.corners.len() - 1].0, route.corners[route.corners.len() - 1].1);
            let stroke = selected.map_or(stroke, |l| l.stroke.max(stroke));
            p.text(ax, ay, "▶", role_of(map, stroke, i));
            if pair.trouble == Trouble::Failing {
                p.text(ax.saturating_sub(1), ay, "×", Role::Bad);
            }
        }
        let Some((x, y, width)) = route.label else { continue };
        let Some((lx, ly)) = on(x, y) else { continue };
        let room = width.saturating_sub(1);
        let pieces = secured_label(pair, shown, room);
        let used: u16 = pieces.iter().map(|piece| columns(&piece.0)).sum();
        // What does not fit is left out: a line without a label is not broken.
        if used > 0 && used <= room && ly < area.height {
            let mut x = lx + (width - 1 - used);
            for (text, role) in pieces {
                x = p.text(x, ly, &text, role);
            }
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
        inside::draw(&mut p.within(at), state, node, selected);
        for row in r.y..r.bottom() {
            if let Some(line) = canvas.at(r.right() - 1, row).filter(|l| l.arms & RIGHT != 0) {
                let joint = if selected || line.stroke == Stroke::Heavy { "┣" } else { "├" };
                p.text(x + r.width - 1, y + row - r.y, joint, role_of(map, line.stroke, line.edge));
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
    words::below(state, pen);
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

fn role_of(map: &Map, stroke: Stroke, edge: usize) -> Role {
    match stroke {
        Stroke::Heavy if map.pairs.get(edge).is_some_and(|p| p.trouble == Trouble::Failing) => Role::Bad,
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

/// What stands on a line, with how it is secured: a mix in percent where there is room, else letters;
/// where there is only room for one of both, trouble goes before letters and letters before calm.
fn secured_label(pair: &Pair, shown: &Shown, width: u16) -> Vec<security::Piece> {
    let plain = |width| vec![label(pair, shown, width)];
    let all = security::letters(&pair.secured);
    if all.is_empty() || (pair.idle && pair.open == 0) {
        return plain(width);
    }
    let wide = |pieces: &[security::Piece]| pieces.iter().map(|p| columns(&p.0)).sum::<u16>();
    for letters in [security::pieces(&pair.secured), all.clone()] {
        // Its own blank after it; the one before is the label's.
        let (text, role) = label(pair, shown, width.saturating_sub(wide(&letters) + 1));
        let blank = if text.ends_with(' ') { "" } else { " " };
        if text.is_empty() || wide(&letters) + 1 + columns(&text) + columns(blank) > width {
            continue;
        }
        let mut out = vec![(format!("{text}{blank}"), role)];
        out.extend(letters);
        out.push((" ".to_owned(), Role::Text));
        return out;
    }
    let plain = plain(width);
    let calm = pair.trouble == Trouble::None || plain.iter().all(|p| p.0.is_empty());
    if calm && wide(&all) <= width { all } else { plain }
}

/// What stands on a line: at most `width` columns, with what matters most. The rate is that of
/// requests where they are decoded, else of connections begun.
fn label(pair: &Pair, shown: &Shown, width: u16) -> (String, Role) {
    let first = pair.edges.first().map(|i| &shown.edges[*i]);
    let (failed, tried) = pair.failures;
    let (long, per_s, role) = match pair.trouble {
        Trouble::Failing => {
            let why = first.and_then(Edge::worst).map(|w| w.0.words().into_owned()).unwrap_or_default();
            (Some(why), failed as f64 / shown.seconds.max(1) as f64, Role::Bad)
        }
        Trouble::Some => {
            let share = (failed > 0).then(|| format!("×{}", figures::share(failed, tried)));
            let why = || first.and_then(Edge::worst).map(|w| format!("×{}", w.0.words()));
            (share.or_else(why), pair.rate, Role::Warn)
        }
        // The line is dashed, and its box says since when.
        Trouble::None if pair.idle && pair.open == 0 => return (String::new(), Role::Muted),
        Trouble::None => (first.and_then(time), pair.rate, Role::Text),
    };
    let (rate, short) = if pair.rate == 0.0 && pair.trouble == Trouble::None {
        // Long connections: their number says more than that none was begun.
        (format!("{} open", figures::count(pair.open)), String::new())
    } else {
        let about = |rate| figures::at_least(rate, pair.incomplete && pair.trouble != Trouble::Failing);
        (about(figures::rate(per_s)), about(figures::short_rate(per_s)))
    };
    let mut texts = Vec::with_capacity(8);
    // What is counted is said where there is room for it.
    let unit = rate.strip_suffix("/s").filter(|_| pair.trouble != Trouble::Failing);
    let unit = unit.map(|n| format!("{n} {}/s", if pair.asked { "req" } else { "conn" }));
    let whole = format!(" {} {} ", unit.as_deref().unwrap_or(&rate), long.as_deref().unwrap_or(""));
    texts.push(whole.replace("  ", " "));
    if let Some(long) = long {
        texts.push(format!(" {rate} {long} "));
        if !short.is_empty() {
            texts.push(format!(" {short} {long} "));
        }
        if pair.trouble == Trouble::Some {
            // Never by colour alone.
            texts.extend([format!(" {long} "), long]);
        }
    }
    texts.extend([format!(" {rate} "), format!(" {short} "), rate, short]);
    texts.retain(|t| !t.trim().is_empty());
    (texts.into_iter().find(|t| columns(t) <= width).unwrap_or_default(), role)
}

/// `p99 41 ms`, `turn 41 ms`, `conn 80 µs`.
fn time(e: &Edge) -> Option<String> {
    let (what, us) = match e.latency {
        Some(l) if l.timed == Timed::Requests => ("p99", l.p99),
        Some(l) => ("turn", l.p99),
        None => ("conn", e.connect?.1),
    };
    Some(format!("{what} {}", figures::micros(us)))
}
