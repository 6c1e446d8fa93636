//! Detail of an edge or a workload; that of a connection is in `detail_connection.rs`.
//!
//! ```text
//! ┌ Edge ────────────────────────────────────────────────── Esc closes ┐
//! │ web → api :8080                       10.0.0.2:8080 · last 60 s     │
//! │                                                                     │
//! │ Time             p50      p90      p99      max       n             │
//! │ connect      8.20 ms    19 ms    41 ms   310 ms     504             │
//! │ round trip     60 µs    80 µs    90 µs  1.20 ms     900             │
//! │ conn/s     ▁▁▂▃▅▇▅▃▂▁▁▁  max 12/s                                   │
//! │ failures   ....×..×....  3 refused                                  │
//! │                                                                     │
//! │ as seen by              the client       the server                 │
//! │ opened                         504              504                 │
//! ```

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

use super::figures;
use super::pen::{Pen, clean, columns, groups, spark};
use super::shown::{Edge, Node, Trouble, trouble_first};
use super::state::{Detail, State};
use super::theme::Role;
use super::{detail_connection, edges};
use crate::model::{Counters, EntityId, EntityKind, Hist, OUTCOMES, View};

/// A line of text pieces.
pub type Line = Vec<(Cow<'static, str>, Role)>;

/// Draws inside the frame.
pub fn draw(state: &State, what: &Detail, pen: &mut Pen<'_>) {
    let width = pen.area.width.saturating_sub(2);
    let lines = match what {
        Detail::Edge(id) => match state.shown.edge(id) {
            Some(e) => edge(state, e, width),
            None => gone("This edge has had no connection for five minutes."),
        },
        Detail::Workload(id) => match state.shown.nodes.get(id) {
            Some(n) => workload(state, n),
            None => gone("This workload has had no connection for five minutes."),
        },
        Detail::Connection(id) => match state.connections.get(*id) {
            Some(c) => detail_connection::lines(state, c),
            None => gone("This connection is no longer kept: newer ones took its place."),
        },
    };
    let height = usize::from(pen.area.height);
    let lines = wrapped(lines, width, height);
    let end = lines.len().saturating_sub(height);
    let scroll = usize::from(state.detail_scroll).min(end);
    for (y, line) in lines.into_iter().skip(scroll).take(height).enumerate() {
        pen.pieces(1, y as u16, line);
    }
    if scroll < end && height > 1 {
        pen.right(0, pen.area.height - 1, pen.area.width, " ▼ more ", Role::Muted);
    }
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

/// A heading.
pub fn heading(t: &'static str) -> Line {
    vec![(t.into(), Role::Accent)]
}

fn edge(state: &State, e: &Edge, width: u16) -> Vec<Line> {
    let shown = &state.shown;
    let (view, c) = e.row.shown();
    let mut lines: Vec<Line> = vec![vec![(edges::title(e).into(), Role::Strong)]];
    let window = figures::age(state.window_s * 1_000_000_000);
    let addr = match e.row.addr.filter(|a| !a.is_unspecified()) {
        Some(a) => figures::endpoint(a, e.id().port),
        None => format!("{} addresses", e.row.keys.len()),
    };
    lines.push(vec![muted(format!(
        "{} {addr} · last {window} · {}'s view",
        e.id().transport.as_str(),
        view.as_str()
    ))]);
    if let (Trouble::Failing, Some((outcome, n))) = (e.trouble, e.worst()) {
        let rate = figures::rate(n as f64 / shown.seconds.max(1) as f64);
        let since =
            e.row.failing_since.map_or_else(String::new, |at| format!(" since {}", shown.clock.time(at)));
        let success = match e.row.last_success {
            Some(at) => format!(" · last success {}", shown.clock.time(at)),
            None => " · no success in the window".to_owned(),
        };
        lines.push(vec![(format!("× {rate} {outcome}{since}").into(), Role::Bad), muted(success)]);
    }
    lines.push(Vec::new());
    lines.push(vec![
        (format!("{:<11}", "Time").into(), Role::Accent),
        muted(format!("{:>9}{:>9}{:>9}{:>9}{:>8}", "p50", "p90", "p99", "max", "n")),
    ]);
    lines.push(percentiles("connect", &c.connect_us));
    lines.push(percentiles("round trip", &c.srtt_us));
    lines.push(Vec::new());
    let room = usize::from(width.saturating_sub(26)).clamp(10, 60);
    let points = &e.row.trend;
    let peak = |v: &[f64]| v.iter().copied().fold(0.0, f64::max);
    let opened: Vec<f64> = points.iter().map(|p| p.opened as f64).collect();
    let bytes: Vec<f64> = points.iter().map(|p| p.bytes as f64).collect();
    let slowest: Vec<f64> = points.iter().map(|p| p.connect_max_us as f64).collect();
    let mut course = |label: &str, values: &[f64], max: String| {
        if values.iter().all(|v| *v == 0.0) {
            lines.push(vec![muted(format!("{label:<11}none in the window"))]);
            return;
        }
        lines.push(vec![
            muted(format!("{label:<11}")),
            (spark(values, room, 0.0).into(), Role::Accent),
            muted(format!(" max {max}")),
        ]);
    };
    course("conn/s", &opened, figures::rate(peak(&opened)));
    course("bytes/s", &bytes, figures::byte_rate(peak(&bytes)));
    course("slowest", &slowest, figures::micros(peak(&slowest) as u64));
    if e.failures > 0 {
        let failing = groups(points.len(), room)
            .into_iter()
            .map(|r| if points[r].iter().any(|p| p.failures > 0) { '×' } else { '·' });
        let marks: String = failing.collect();
        let pad = " ".repeat(room - marks.chars().count());
        lines.push(vec![
            muted("failing    "),
            (
                format!("{pad}{marks}").into(),
                if e.trouble == Trouble::Failing { Role::Bad } else { Role::Warn },
            ),
        ]);
    }
    let first = shown.now.0.saturating_sub(points.len() as u64 * 1_000_000_000);
    let (from, to) = (shown.clock.time(crate::model::BootNs(first)), shown.clock.time(shown.now));
    let gap = " ".repeat(room.saturating_sub(from.len() + to.len()));
    lines.push(vec![muted(format!("           {from}{gap}{to}"))]);
    lines.push(Vec::new());
    both_views(e, &mut lines);
    lines.push(Vec::new());
    lines.push(heading("Evidence"));
    let role = if e.id().role_known {
        "client and server are known"
    } else {
        "not known: the lower port stands as the server"
    };
    lines.push(vec![muted("role       "), text(role)]);
    for (label, w, side) in [("client", &e.row.client, true), ("server", &e.row.server, false)] {
        lines.push(vec![
            muted(format!("{label:<11}")),
            text(format!("{} ", w.id.name)),
            muted(format!("{}: {}", w.id.kind.as_str(), w.source)),
        ]);
        let mut ids: Vec<EntityId> =
            e.row.keys.iter().map(|k| if side { k.client } else { k.server }).collect();
        ids.sort_unstable();
        ids.dedup();
        entities(state, &ids, 3, &mut lines);
    }
    lines
}

/// Both views beside each other: nothing ever adds them.
fn both_views(e: &Edge, lines: &mut Vec<Line>) {
    let (client, server) = (e.counters(View::Client), e.counters(View::Server));
    lines.push(vec![
        ("As seen by   ".into(), Role::Accent),
        muted(format!("{:>14}{:>14}", "the client", "the server")),
    ]);
    let mut row = |label: &str, of: &dyn Fn(&Counters) -> String, role: Role| {
        let cell = |c: Option<&Counters>, width: usize| {
            let text = c.map_or_else(|| "not seen".to_owned(), of);
            let role = if text == "0" && role == Role::Warn { Role::Muted } else { role };
            (format!("{text:>width$}").into(), role)
        };
        lines.push(vec![muted(format!("{label:<17}")), cell(client, 10), cell(server, 14)]);
    };
    row("opened", &|c| figures::count(c.opened), Role::Text);
    row("established", &|c| figures::count(c.established), Role::Text);
    row("closed", &|c| figures::count(c.closed), Role::Text);
    row("found open", &|c| figures::count(c.adopted), Role::Text);
    row("open now", &|c| figures::count(c.open), Role::Text);
    row("bytes to server", &|c| figures::bytes(c.bytes_to_server as f64), Role::Text);
    row("bytes to client", &|c| figures::bytes(c.bytes_to_client as f64), Role::Text);
    row("retransmits", &|c| figures::count(c.retransmits), Role::Text);
    for o in OUTCOMES {
        let n = |c: Option<&Counters>| c.map_or(0, |c| c.outcomes[o.index()]);
        if n(client) + n(server) > 0 {
            let role = if o.is_failure() { Role::Warn } else { Role::Text };
            row(o.as_str(), &|c| figures::count(c.outcomes[o.index()]), role);
        }
    }
}

fn percentiles(label: &str, h: &Hist) -> Line {
    let mut line = vec![muted(format!("{label:<11}"))];
    if h.is_empty() {
        line.push(muted("not measured in the window"));
        return line;
    }
    let columns: Vec<String> = [0.5, 0.9, 0.99].into_iter().map(|q| figures::quantile(h, q)).collect();
    let figures: String = columns.iter().map(|f| format!("{f:>9}")).collect();
    line.push(text(format!("{figures}{:>9}", figures::micros(h.max()))));
    line.push(muted(format!("{:>8}", figures::count(h.count()))));
    line
}

fn workload(state: &State, node: &Node) -> Vec<Line> {
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
        lines.push(vec![
            (format!("{title:<28}").into(), Role::Accent),
            muted(format!("{:>9}{:>7}{:>8}{:>10}", "conn/s", "open", "err", "con p99")),
        ]);
        if list.is_empty() {
            lines.push(vec![muted("  nobody in the last five minutes")]);
        }
        for e in list {
            let other = if serves { &e.id().client } else { &e.id().server };
            let name = format!("  {} :{}", super::pen::clean(&other.name), e.id().port);
            let name = super::pen::fit(&name, 28).into_owned();
            let pad = " ".repeat(28usize.saturating_sub(super::pen::columns(&name).into()));
            let p99 = e.connect.map_or_else(|| figures::NONE.into(), |c| figures::micros(c.1));
            let role = match e.trouble {
                Trouble::Failing => Role::Bad,
                Trouble::Some => Role::Warn,
                Trouble::None => Role::Muted,
            };
            lines.push(vec![
                text(format!("{name}{pad}")),
                text(format!("{:>9}{:>7}", figures::sig3(e.rate), figures::count(e.open))),
                (format!("{:>8}", figures::share(e.failures, e.tried)).into(), role),
                text(format!("{p99:>10}")),
                (e.worst().map_or_else(String::new, |w| format!("  {}", w.0)).into(), role),
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
fn entities(state: &State, ids: &[EntityId], most: usize, lines: &mut Vec<Line>) {
    let names = state.world.names();
    for id in ids.iter().take(most) {
        let what = match names.entity(*id) {
            Some(EntityKind::Program { comm, cgroup, .. }) => match state.connections.cgroup_path(*cgroup) {
                Some(path) => format!("program {comm} in {path}"),
                None => format!("program {comm} in cgroup id {cgroup}"),
            },
            Some(EntityKind::Process { comm, key, .. }) => format!("process {comm}[{}]", key.pid),
            Some(EntityKind::Far { addr }) => format!("address {addr}, not on this host or out of scope"),
            Some(EntityKind::OtherFar { .. }) => "addresses beyond the limit, folded".to_owned(),
            None => "nothing is known of it".to_owned(),
        };
        lines.push(vec![muted("           "), text(what)]);
        for n in names.names(*id).iter().skip(1) {
            lines.push(vec![muted(format!(
                "             also {} {} ({})",
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
