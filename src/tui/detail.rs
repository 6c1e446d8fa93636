//! Detail of a workload, and what all details share; those of an edge, a connection and a request are
//! in `detail_edge.rs`, `detail_connection.rs` and `detail_request.rs`.
//!
//! ```text
//! ┌ Workload ────────────────────────────────────────────── Esc closes ┐
//! │ api   script: /proc/801/cmdline                                     │
//! │                                                                     │
//! │ Called by                      req/s   conn/s    open     err    p99 │
//! │   web :8080                      820     8.40      40   1.9 %  41 ms │
//! ```

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

use super::figures;
use super::pen::{Pen, clean, columns};
use super::shown::{Edge, Node, Trouble, trouble_first};
use super::state::{Detail, State};
use super::theme::Role;
use super::{detail_connection, detail_edge, detail_request};
use crate::model::{EntityId, EntityKind};

/// A line of text pieces.
pub type Line = Vec<(Cow<'static, str>, Role)>;

/// Draws inside the frame; whether there is more below.
pub fn draw(state: &State, what: &Detail, pen: &mut Pen<'_>) -> bool {
    let width = pen.area.width.saturating_sub(2);
    let lines = match what {
        Detail::Edge(id) => match state.shown.edge(id) {
            Some(e) => detail_edge::lines(state, e, width),
            None => gone("This edge has had no connection for five minutes."),
        },
        Detail::Workload(id) => match state.shown.nodes.get(id) {
            Some(n) => workload(state, n, width),
            None => gone("This workload has had no connection for five minutes."),
        },
        Detail::Connection(id) => match state.connections.get(*id) {
            Some(c) => detail_connection::lines(state, c, width),
            None => gone("This connection is no longer kept: newer ones took its place."),
        },
        Detail::Request(event) => detail_request::lines(state, event, width),
    };
    let height = usize::from(pen.area.height);
    let lines = wrapped(lines, width, height);
    let end = lines.len().saturating_sub(height);
    let scroll = usize::from(state.detail_scroll).min(end);
    for (y, line) in lines.into_iter().skip(scroll).take(height).enumerate() {
        pen.pieces(1, y as u16, line);
    }
    scroll < end
}

/// Lines that are too wide go on in the next row, as long as there are rows that nothing else needs.
fn wrapped(lines: Vec<Line>, width: u16, rows: usize) -> Vec<Line> {
    let mut spare = rows.saturating_sub(lines.len());
    let mut out = Vec::with_capacity(lines.len());
    for line in lines {
        let wide = |line: &Line| line.iter().map(|(t, _)| columns(&clean(t))).sum::<u16>();
        let mut line = line;
        while spare > 0 && wide(&line) > width {
            let Some((head, tail)) = split(&line, width) else { break };
            out.push(head);
            line = tail;
            spare -= 1;
        }
        out.push(line);
    }
    out
}

/// A line in two, at the last space that the width allows; the second is indented as texts are.
fn split(line: &Line, width: u16) -> Option<(Line, Line)> {
    const INDENT: u16 = 13;
    let all: Vec<(char, Role)> =
        line.iter().flat_map(|(t, r)| clean(t).chars().map(|c| (c, *r)).collect::<Vec<_>>()).collect();
    let mut used = 0;
    let fits = all
        .iter()
        .take_while(|(c, _)| {
            used += c.width().unwrap_or(0) as u16;
            used <= width
        })
        .count();
    let space = all[..fits].iter().rposition(|(c, _)| *c == ' ').filter(|i| *i > usize::from(INDENT));
    let (at, next) = space.map_or((fits, fits), |i| (i, i + 1));
    if width < 2 * INDENT || next >= all.len() {
        return None;
    }
    let pieces = |chars: &[(char, Role)]| -> Line {
        chars
            .chunk_by(|a, b| a.1 == b.1)
            .map(|c| (c.iter().map(|c| c.0).collect::<String>().into(), c[0].1))
            .collect()
    };
    let mut tail = vec![muted(" ".repeat(INDENT.into()))];
    tail.extend(pieces(&all[next..]));
    Some((pieces(&all[..at]), tail))
}

fn gone(why: &'static str) -> Vec<Line> {
    vec![Vec::new(), vec![(why.into(), Role::Text)], vec![("Esc goes back.".into(), Role::Muted)]]
}

/// A text piece.
pub fn text(t: impl Into<Cow<'static, str>>) -> (Cow<'static, str>, Role) {
    (t.into(), Role::Text)
}

/// A muted piece.
pub fn muted(t: impl Into<Cow<'static, str>>) -> (Cow<'static, str>, Role) {
    (t.into(), Role::Muted)
}

/// A text cut or filled up to a width.
pub fn padded(t: &str, width: u16) -> String {
    let t = clean(t);
    let t = super::pen::fit(&t, width);
    format!("{t}{}", " ".repeat(width.saturating_sub(columns(&t)).into()))
}

/// A heading.
pub fn heading(t: &'static str) -> Line {
    vec![(t.into(), Role::Accent)]
}

fn workload(state: &State, node: &Node, width: u16) -> Vec<Line> {
    let shown = &state.shown;
    let mut lines: Vec<Line> = vec![vec![
        (node.id.name.to_string().into(), Role::Strong),
        muted(format!("   {}: {}", node.id.kind.as_str(), node.source)),
    ]];
    lines.push(Vec::new());
    for (title, serves) in [("Called by", true), ("Calls", false)] {
        let mut list: Vec<&Edge> = node
            .edges
            .iter()
            .map(|i| &shown.edges[*i])
            .filter(|e| if serves { e.id().server == node.id } else { e.id().client == node.id })
            .collect();
        list.sort_by(|a, b| trouble_first(a, b));
        // The name gets what the figures leave.
        let room = width.saturating_sub(33).clamp(16, 34);
        lines.push(vec![
            (format!("{title:<0$}", usize::from(room)).into(), Role::Accent),
            muted(format!("{:>8}{:>8}{:>7}{:>10}", "req/s", "conn/s", "err", "p99  ")),
        ]);
        if list.is_empty() {
            lines.push(vec![muted("  nobody in the last five minutes")]);
        }
        for e in list {
            let other = if serves { &e.id().client } else { &e.id().server };
            let protocol = e.protocol_words();
            let name = format!("  {} :{} {protocol}", clean(&other.name), e.id().port);
            let role = match e.trouble {
                Trouble::Failing => Role::Bad,
                Trouble::Some => Role::Warn,
                Trouble::None => Role::Muted,
            };
            let requests = match e.requests {
                0 => figures::NONE.to_owned(),
                _ => figures::at_least(figures::sig3(e.request_rate), e.undecoded > 0),
            };
            let (failed, tried) = e.err();
            let why = e.worst().map_or_else(String::new, |w| w.0.words().into_owned());
            let beside = width >= room + 33 + 18;
            // Where there is no room for it the reason stands for a time that is not known.
            let time = match &e.latency {
                None if !beside && !why.is_empty() => super::pen::fit(&why, 10).into_owned(),
                l => figures::latency(l.as_ref(), |l| l.p99),
            };
            lines.push(vec![
                text(padded(&name, room)),
                text(format!("{requests:>8}{:>8}", figures::sig3(e.rate))),
                (format!("{:>7}", figures::share(failed, tried)).into(), role),
                (format!("{time:>10}").into(), if e.latency.is_none() { role } else { Role::Text }),
                (if beside { format!(" {why}") } else { String::new() }.into(), role),
            ]);
        }
        lines.push(Vec::new());
    }
    lines.push(heading("Evidence"));
    let mut ids: Vec<EntityId> = Vec::new();
    for e in node.edges.iter().map(|i| &shown.edges[*i]) {
        for k in &e.row.keys {
            if e.id().client == node.id {
                ids.push(k.client);
            }
            if e.id().server == node.id {
                ids.push(k.server);
            }
        }
    }
    ids.sort_unstable();
    ids.dedup();
    entities(state, &ids, 8, &mut lines);
    lines
}

/// What a workload stands for, and all names with where they come from.
pub fn entities(state: &State, ids: &[EntityId], most: usize, lines: &mut Vec<Line>) {
    let names = state.world.names();
    for id in ids.iter().take(most) {
        let what = match names.entity(*id) {
            Some(EntityKind::Program { comm, cgroup, .. }) => match state.connections.cgroup_path(*cgroup) {
                Some(path) => format!("program {comm} in {path}"),
                None => format!("program {comm} in cgroup id {cgroup}"),
            },
            Some(EntityKind::Process { comm, key, .. }) => format!("process {comm}[{}]", key.pid),
            Some(EntityKind::Far { addr, .. }) => format!("address {addr}, not on this host or out of scope"),
            Some(EntityKind::OtherFar { .. }) => "addresses beyond the limit, folded".to_owned(),
            None => "nothing is known of it".to_owned(),
        };
        lines.push(vec![muted("           "), text(what)]);
        // One name may have led to several addresses, each with its own evidence.
        let far = matches!(names.entity(*id), Some(EntityKind::Far { .. }));
        let told = usize::from(!far || ids.len() == 1);
        for (i, n) in names.names(*id).iter().enumerate().skip(told) {
            lines.push(vec![muted(format!(
                "             {} {} {} ({})",
                if i == 0 { "as" } else { "also" },
                n.kind.as_str(),
                n.name,
                n.source
            ))]);
        }
    }
    if ids.len() > most {
        lines.push(vec![muted(format!("           + {} more", ids.len() - most))]);
    }
}
