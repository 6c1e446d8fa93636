//! Detail of an edge: what is asked on it and how fast (`detail_asked.rs`), its connections, both
//! views, evidence.
//!
//! ```text
//! ┌ Edge ────────────────────────────────────────────────── Esc closes ┐
//! │ web → api :8080   http                                              │
//! │ tcp 10.0.0.2:8080 · last 60 s · client's view                       │
//! │                                                                     │
//! │ Time             p50      p90      p99      max       n             │
//! │ latency      8.20 ms    19 ms    41 ms   310 ms   49.2k             │
//! │ connect       120 µs   160 µs   900 µs  1.20 ms     504             │
//! │                                                                     │
//! │ Connections                                                         │
//! │ conn/s     ▁▁▂▃▅▇▅▃▂▁▁▁  max 12/s                                   │
//! │ failing    ....×..×....                                             │
//! │                                                                     │
//! │ As seen by              the client       the server                 │
//! │ opened                         504              504                 │
//! ```

use super::detail::{Line, entities, heading, muted, text};
use super::pen::{groups, spark};
use super::shown::{Edge, Trouble};
use super::state::{Pane, State};
use super::theme::Role;
use super::{detail_asked, edges, figures, security};
use crate::model::{Counters, EntityId, Hist, OUTCOMES, Transport, View};

/// The lines, for a width.
pub fn lines(state: &State, e: &Edge, width: u16) -> Vec<Line> {
    let shown = &state.shown;
    let (view, c) = e.row.shown();
    let mut lines: Vec<Line> =
        vec![vec![(edges::title(e.id()).into(), Role::Strong), muted(format!("   {}", e.protocol_words()))]];
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
    if let (Trouble::Failing, Some((why, n))) = (e.trouble, e.worst()) {
        let rate = figures::rate(n as f64 / shown.seconds.max(1) as f64);
        let since =
            e.row.failing_since.map_or_else(String::new, |at| format!(" since {}", shown.clock.time(at)));
        let success = match e.row.last_success {
            Some(at) => format!("  last success {}", shown.clock.time(at)),
            None => "  no success in the window".to_owned(),
        };
        lines.push(vec![(format!("× {rate} {}{since}", why.words()).into(), Role::Bad)]);
        lines.push(vec![muted(success)]);
    }
    detail_asked::summary(e, &mut lines);
    lines.extend(shares(e));
    // Who comes from the findings asks why; who comes from elsewhere how it does.
    let why_first = state.pane == Pane::Security;
    if why_first {
        why(state, e, width, &mut lines);
    }
    lines.push(Vec::new());
    lines.push(vec![
        (format!("{:<11}", "Time").into(), Role::Accent),
        muted(format!("{:>9}{:>9}{:>9}{:>9}{:>8}", "p50", "p90", "p99", "max", "n")),
    ]);
    if let Some(asked) = &c.asked {
        let all = asked.all();
        if all.requests > 0 {
            lines.push(percentiles("latency", &all.latency_us));
        } else {
            lines.push(percentiles("turn", &asked.turns.first_us));
        }
    }
    if e.id().transport == Transport::Tcp {
        lines.push(percentiles("connect", &c.connect_us));
        lines.push(percentiles("round trip", &c.srtt_us));
    }
    if let Some(looked) = &state.looked {
        detail_asked::lines(state, e, looked, width, &mut lines);
    }
    lines.push(Vec::new());
    lines.push(heading("Connections"));
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
    if !why_first {
        why(state, e, width, &mut lines);
    }
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

/// `M mTLS 97 %  P plaintext 3 %  of 2,153 connections`.
fn shares(e: &Edge) -> Option<Line> {
    let counts = e.secured.as_ref()?;
    let total = counts.iter().fold(0u64, |sum, n| sum.saturating_add(*n));
    let mut line: Line = Vec::new();
    for (kind, share) in security::percents(counts) {
        let (letter, role) = security::letter(kind);
        line.push((format!("{letter} {} ", security::name(kind)).into(), role));
        line.push(text(format!("{share} %  ")));
    }
    line.push(muted(format!("of {} connections", figures::exact(total))));
    Some(line)
}

/// Why its connections are as secure as they are: of each kind the newest that is at hand.
fn why(state: &State, e: &Edge, width: u16, lines: &mut Vec<Line>) {
    if e.secured.is_none() {
        return;
    }
    lines.push(Vec::new());
    lines.push(heading("Security: why"));
    let newest = state.looked.as_ref().map_or(&[][..], |l| &l.secured);
    for (i, c) in newest.iter().enumerate() {
        let Some(tls) = &c.tls else { continue };
        if i > 0 {
            lines.push(Vec::new());
        }
        let when = match c.closed().known() {
            Some(at) => format!("ended {}", state.shown.clock.time(at)),
            None => "open".to_owned(),
        };
        let newest = format!("newest of {}: ", tls.status.letter());
        lines.push(vec![muted(newest + &format!("{} → {}, {when}", c.client.address, c.server.address))]);
        lines.extend(security::why(tls, &state.shown.clock, state.shown.now, width));
    }
    if newest.is_empty() {
        lines.push(vec![muted("none of its connections is at hand; one appears here as it opens or ends")]);
    }
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
    row("bytes to server", &|c| figures::bytes(c.bytes_to_server), Role::Text);
    row("bytes to client", &|c| figures::bytes(c.bytes_to_client), Role::Text);
    row("retransmits", &|c| figures::count(c.retransmits), Role::Text);
    for o in OUTCOMES {
        let n = |c: Option<&Counters>| c.map_or(0, |c| c.outcomes[o.index()]);
        if n(client) + n(server) > 0 {
            let role = if o.is_failure() { Role::Warn } else { Role::Text };
            row(o.as_str(), &|c| figures::count(c.outcomes[o.index()]), role);
        }
    }
}

/// One row of the table of times.
pub fn percentiles(label: &str, h: &Hist) -> Line {
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
