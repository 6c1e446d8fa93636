//! Detail of a connection: everything that is known of both ends, and how it is known.
//!
//! ```text
//! web → api   tcp   × reset-by-server
//! opened 14:03:01.042   closed 14:03:02.100   lasted 1.06 s
//!
//! Client                          Server
//!   address   10.0.0.2:40112        address   10.0.0.3:8080
//! ```

use super::connections::state_words;
use super::detail::{Line, heading, muted, text};
use super::state::State;
use super::theme::Role;
use super::{figures, security};
use crate::model::{BootNs, Connection, End, Side, View};

/// The lines, for a width.
pub fn lines(state: &State, c: &Connection, width: u16) -> Vec<Line> {
    let names = state.world.names();
    let clock = &state.shown.clock;
    let name = |side: &Side| names.workload(side.entity).id.name.to_string();
    let (words, role) = state_words(c);
    let arrow = if c.role_known { "→" } else { "?→" };
    let mut lines: Vec<Line> = vec![
        vec![
            (format!("{} {arrow} {}", name(&c.client), name(&c.server)).into(), Role::Strong),
            muted(format!("   {}   ", c.transport.as_str())),
            (words.trim().to_owned().into(), role),
        ],
        vec![muted("id         "), text(c.id.to_string())],
    ];
    let closed = c.closed();
    let until = closed.known().unwrap_or(state.shown.now.max(c.opened()));
    let mut times: Line = vec![muted("opened     ")];
    times.push(text(if c.adopted() { "before webb watched".to_owned() } else { clock.millis(c.opened()) }));
    if closed.known().is_some() {
        times.push(muted("   closed "));
        times.push(text(clock.millis(closed)));
    }
    let lasted = figures::micros(until.since(c.opened()) / 1000);
    times.push(muted(if closed.known().is_some() { "   lasted " } else { "   so far " }));
    times.push(text(lasted));
    lines.push(times);
    let (out, back) = c.bytes();
    lines.push(vec![
        muted("bytes      "),
        text(format!("{} to the server, {} back", figures::bytes(out), figures::bytes(back))),
        muted(c.view().map_or_else(String::new, |(v, _)| format!("  ({}'s view)", v.as_str()))),
    ]);
    lines.push(Vec::new());
    lines.push(heading("Security"));
    match &c.tls {
        Some(tls) => lines.extend(security::why(tls, clock, state.shown.now, width)),
        None => lines.push(vec![muted("nobody looked: 6 shows what the agent sees and what not")]),
    }
    for (title, side, view) in [("Client", &c.client, View::Client), ("Server", &c.server, View::Server)] {
        lines.push(Vec::new());
        lines.push(heading(title));
        lines.push(fact("address", side.address.to_string()));
        let w = names.workload(side.entity);
        lines.push(vec![
            muted(format!("  {:<11}", "workload")),
            text(w.id.name.to_string()),
            muted(format!("  {}: {}", w.id.kind.as_str(), w.source)),
        ]);
        match &side.end {
            Some(end) => end_lines(state, end, view, &mut lines),
            None => {
                lines.push(vec![muted("  this end was not seen: it is not on this host, or out of scope")])
            }
        }
    }
    lines
}

fn fact(label: &str, value: impl Into<String>) -> Line {
    vec![muted(format!("  {label:<11}")), text(value.into())]
}

fn end_lines(state: &State, end: &End, view: View, lines: &mut Vec<Line>) {
    let clock = &state.shown.clock;
    let owner = &end.owner;
    let process = match &owner.process {
        Some(p) => format!(
            "{} {}{}",
            p.key.pid,
            p.comm,
            p.exe.as_ref().map_or_else(String::new, |e| format!("  {e}"))
        ),
        None => "not known".to_owned(),
    };
    lines.push(vec![
        muted(format!("  {:<11}", "process")),
        text(process),
        muted(format!("  ({})", owner.evidence.as_str())),
    ]);
    let cgroup = match (&owner.cgroup_path, owner.cgroup) {
        (Some(path), _) => path.to_string(),
        (None, 0) => "not known".to_owned(),
        (None, id) => format!("id {id}"),
    };
    lines.push(fact("cgroup", cgroup));
    if owner.netns != 0 {
        lines.push(fact("netns", owner.netns.to_string()));
    }
    lines.push(vec![
        muted(format!("  {:<11}", "role")),
        text(end.role.as_str()),
        muted(format!("  ({})", end.role_evidence.as_str())),
    ]);
    if end.local.port != 0 && end.peer.port != 0 {
        lines.push(fact("socket", format!("{} → {}", end.local, end.peer)));
    }
    let after = |at: BootNs| {
        let us = at.known().map(|at| at.since(end.opened) / 1000);
        us.map_or_else(|| figures::NONE.into(), |us| format!("+{}", figures::micros(us)))
    };
    lines.push(fact("opened", clock.millis(end.opened)));
    lines.push(fact("then", format!("established {}  closed {}", after(end.established), after(end.closed))));
    if view == View::Client {
        lines.push(fact("connect", end.connect_us().map_or_else(|| "not measured".into(), figures::micros)));
    }
    let seen = &end.seen;
    let rtt = |us: Option<u32>| us.map_or_else(|| figures::NONE.into(), |us| figures::micros(us.into()));
    lines.push(fact(
        "sent",
        format!(
            "{}  received {}  retransmits {}",
            figures::bytes(seen.bytes_sent),
            figures::bytes(seen.bytes_received),
            figures::count(seen.retransmits.into())
        ),
    ));
    if let Some((sent, received)) = seen.packets {
        let (sent, received) = (figures::count(sent), figures::count(received));
        lines.push(fact("datagrams", format!("{sent} sent  {received} received")));
    }
    lines.push(fact("round trip", format!("{} smoothed  {} least", rtt(seen.srtt_us), rtt(seen.min_rtt_us))));
    let outcome = end.outcome.map_or_else(|| "none yet".to_owned(), |o| o.to_string());
    let role = if end.outcome.is_some_and(|o| o.is_failure()) { Role::Warn } else { Role::Text };
    lines.push(vec![muted(format!("  {:<11}", "outcome")), (outcome.into(), role)]);
    if end.adopted {
        lines.push(vec![muted("  open before webb watched: counted from its first reading on")]);
    }
}
