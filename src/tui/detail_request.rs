//! Detail of a request: what each end saw of it, and how it is known.
//!
//! ```text
//! GET /orders/{id}
//! × 503   http · web → api :8080 · 14:03:01.042
//!
//! As seen by         the client    the server
//! asking                  12 µs         10 µs
//! latency               8.20 ms       7.90 ms
//! full answer           9.10 ms       8.00 ms
//! network               0.30 ms   the difference of both latencies
//! ```

use super::detail::{Line, heading, muted, text};
use super::figures;
use super::heat::bar;
use super::requests::{place, status, what};
use super::state::State;
use super::theme::Role;
use crate::model::{Event, Shape, Timing, Verdict, View};

/// The lines, for a width.
pub fn lines(state: &State, event: &Event, width: u16) -> Vec<Line> {
    let Some(r) = &event.request else { return vec![vec![muted("This event is no request.")]] };
    let (words, role) = status(r);
    let mut lines: Vec<Line> = vec![vec![(what(r).into(), Role::Strong)]];
    let verdict = match r.verdict {
        Verdict::Ok => "answered",
        Verdict::ClientError => "the client's error",
        Verdict::Error => "error",
        Verdict::Unknown => "outcome unknown",
    };
    lines.push(vec![
        (format!("{} ", words.trim()).into(), role),
        muted(format!(" {verdict} · {}", r.protocol.as_str())),
    ]);
    lines.push(vec![muted("edge       "), text(place(event, state.world.names()))]);
    lines.push(vec![muted("time       "), text(state.shown.clock.millis(event.at))]);
    if !r.note.is_empty() {
        lines.push(vec![muted("says       "), text(r.note.to_string())]);
    }
    for (label, why) in [("target ?", &r.target_unknown), ("status ?", &r.status_unknown)] {
        if let Some(why) = why {
            lines.push(vec![muted(format!("{label:<11}")), (why.to_string().into(), Role::Warn)]);
        }
    }
    lines.push(Vec::new());
    both_ends(r.by_client.as_ref(), r.by_server.as_ref(), r.shape, width, &mut lines);
    lines.push(Vec::new());
    lines.push(heading("Size"));
    lines.push(vec![muted("asked      "), text(figures::bytes(r.request_bytes))]);
    lines.push(vec![muted("answered   "), text(figures::bytes(r.response_bytes))]);
    lines.push(Vec::new());
    lines.push(heading("Connection"));
    let c = &event.connection;
    lines.push(vec![muted("id         "), text(c.id.to_string()), muted(format!("  {}", c.state.as_str()))]);
    lines.push(vec![muted("from       "), text(c.client.address.to_string())]);
    lines.push(vec![muted("to         "), text(c.server.address.to_string())]);
    for (label, side) in [("client", &c.client), ("server", &c.server)] {
        let process = super::connections::process(side);
        let process = if process.is_empty() { "not on this host, or out of scope".into() } else { process };
        lines.push(vec![muted(format!("{label:<11}")), text(process)]);
    }
    lines.push(Vec::new());
    lines.push(heading("Evidence"));
    let evidence = if r.evidence.is_empty() { "not told" } else { &r.evidence };
    lines.push(vec![muted("protocol   "), text(evidence.to_owned())]);
    lines
}

/// Both views beside each other, and what lies between them.
fn both_ends(
    client: Option<&Timing>,
    server: Option<&Timing>,
    shape: Shape,
    width: u16,
    lines: &mut Vec<Line>,
) {
    lines.push(vec![
        ("As seen by     ".into(), Role::Accent),
        muted(format!("{:>14}{:>14}", "the client", "the server")),
    ]);
    let mut row = |label: &str, of: &dyn Fn(&Timing) -> Option<u64>, none: &str| {
        let cell = |t: Option<&Timing>| match t.map(of) {
            Some(Some(us)) => text(format!("{:>14}", figures::micros(us))),
            Some(None) => muted(format!("{none:>14}")),
            None => muted(format!("{:>14}", "not seen")),
        };
        lines.push(vec![muted(format!("{label:<15}")), cell(client), cell(server)]);
    };
    let asking =
        |t: &Timing| (t.asked.0 != 0 && t.asked_all.0 != 0).then(|| t.asked_all.since(t.asked) / 1000);
    row("asking", &asking, "-");
    // Of a stream the time to its first byte says something too, but it is no latency.
    row(if shape == Shape::Unary { "latency" } else { "first byte" }, &Timing::latency_us, "no answer");
    row("full answer", &Timing::full_us, "no answer");
    let latencies = |t: Option<&Timing>| t.and_then(Timing::latency_us);
    if shape != Shape::Unary {
        let why = match shape {
            Shape::Stream => "a stream of messages: how long it took says nothing of speed",
            Shape::Wait => "the client asked to wait: how long it took says nothing of speed",
            _ => "no answer is expected",
        };
        lines.push(vec![muted(format!("{:<15}", shape.as_str())), muted(why)]);
        return;
    }
    match (latencies(client), latencies(server)) {
        (Some(c), Some(s)) => {
            let network = c.saturating_sub(s);
            lines.push(vec![
                muted(format!("{:<15}", "network")),
                text(format!("{:>14}", figures::micros(network))),
                muted("  the difference"),
            ]);
            lines.push(Vec::new());
            let room = usize::from(width.saturating_sub(26)).min(40);
            for (label, us) in [("server", s.min(c)), ("network", network)] {
                lines.push(vec![
                    muted(format!("{label:<15}")),
                    text(format!("{:>9}  ", figures::micros(us))),
                    (bar(us as f64, c.max(1) as f64, room).into(), Role::Accent),
                ]);
            }
            if s > c {
                lines.push(vec![muted("the server's figure is larger: both are rounded by their clocks")]);
            }
        }
        (Some(_), None) => lines.push(vec![muted(format!(
            "the {}'s own time is not known: that end is not on this host, or out of scope",
            View::Server.as_str()
        ))]),
        (None, Some(_)) => lines.push(vec![muted(
            "the network's share is not known: the client is not on this host, or out of scope",
        )]),
        (None, None) => {}
    }
}
