//! Detail of an edge: what is asked on it, and how fast the answers come.
//!
//! ```text
//! 820 req/s · err 1.9 % of 49,204 requests
//!
//! Latency over time, requests
//!  100 ms ┤        ░░
//!   50 ms ┤▒▒▒▒▒▒▓▓▓▒
//!   20 ms ┤██████▓▓██
//!
//! Where the time goes                     mean
//! client view     8.20 ms  ██████████████
//! server view     7.90 ms  █████████████▍
//! network          300 µs  ▌
//!
//! Paths                    req/s    err      p50      p99
//! GET /orders/{id}           610  0.2 %  7.10 ms    30 ms
//! ```

use super::detail::{Line, heading, muted, padded, text};
use super::detail_edge::percentiles;
use super::figures;
use super::heat::{self, LABEL, bar};
use super::looked::Looked;
use super::pen::spark;
use super::requests::{begins, latency, status, what};
use super::shown::{Edge, Reason};
use super::state::State;
use super::theme::Role;
use crate::model::{Asked, BootNs, Counters, Event, Hist, Protocol, TargetCounts, Verdict, View};
use crate::world::Timed;

/// Rows of the table of targets.
const TARGETS: usize = 8;

/// Rate and errors of requests, and whether they are all.
pub fn summary(e: &Edge, lines: &mut Vec<Line>) {
    if e.requests > 0 {
        let rate = figures::at_least(figures::sig3(e.request_rate), e.undecoded > 0);
        let role = match e.worst() {
            Some((Reason::Requests(_), _)) => Role::Warn,
            _ => Role::Text,
        };
        lines.push(vec![
            text(format!("{rate} req/s")),
            muted(" · "),
            (format!("err {}", figures::share(e.errors, e.requests)).into(), role),
            muted(format!(" of {} requests", figures::exact(e.requests))),
        ]);
        let client_errors: u64 =
            e.asked().map_or(0, |(_, a)| a.protocols.iter().map(|p| p.tally.client_errors).sum());
        if client_errors > 0 {
            let share = figures::share(client_errors, e.requests);
            let what = match e.protocols.as_slice() {
                [Protocol::Dns] => "NXDOMAIN",
                [Protocol::Http1 | Protocol::Http2] => "4xx",
                _ => "the client's errors",
            };
            lines.push(vec![(format!("! {share} {what}").into(), Role::Warn), muted(", not counted in err")]);
        }
    }
    if e.undecoded > 0 {
        lines.push(vec![(
            format!("~ {} not decoded: the figures are a lower bound", figures::bytes(e.undecoded)).into(),
            Role::Warn,
        )]);
    }
}

/// Everything about requests and turns.
pub fn lines(state: &State, e: &Edge, looked: &Looked, width: u16, lines: &mut Vec<Line>) {
    let Some((_, asked)) = e.asked() else { return };
    heat_map(state, looked, width, lines);
    where_it_goes(e, looked.timed, width, lines);
    let dns = asked.protocols.iter().any(|p| p.protocol == Protocol::Dns);
    if dns {
        dns_facts(asked, lines);
    }
    answers(looked, lines);
    targets(state, looked, asked.main_protocol(), width, lines);
    for (title, list) in [("Slowest", &looked.slowest), ("Failed", &looked.failed)] {
        single(state, title, list, looked.seen, width, lines);
    }
    turns(asked, lines);
    protocols(asked, state.shown.seconds, lines);
}

fn heat_map(state: &State, looked: &Looked, width: u16, lines: &mut Vec<Line>) {
    let room = usize::from(width).saturating_sub(LABEL).clamp(10, 60);
    let rows = heat::map(&looked.course, room);
    if rows.is_empty() {
        return;
    }
    lines.push(Vec::new());
    let of = if looked.timed == Timed::Requests { "requests" } else { "turns, not decoded" };
    lines.push(vec![("Latency over time".into(), Role::Accent), muted(format!("   {of}"))]);
    lines.extend(rows);
    let pad = " ".repeat(room.saturating_sub(looked.course.len()));
    let errors: Vec<f64> = looked.course.iter().map(|p| p.errors as f64).collect();
    if errors.iter().any(|n| *n > 0.0) {
        lines.push(vec![muted(format!("{:>9}  ", "errors")), (spark(&errors, room, 0.0).into(), Role::Warn)]);
    }
    let clock = &state.shown.clock;
    let from = clock.time(looked.course.first().map_or(BootNs(0), |p| p.start));
    let to = clock.time(state.shown.now);
    let gap = " ".repeat(room.saturating_sub(from.len() + to.len() + pad.len()));
    lines.push(vec![muted(format!("{:LABEL$}{pad}{from}{gap}{to}", ""))]);
}

/// Mean times of both ends and what lies between. The same answers were timed at both ends, each by
/// its own clock, so that their means may be subtracted; percentiles may not.
fn where_it_goes(e: &Edge, timed: Timed, width: u16, lines: &mut Vec<Line>) {
    let of = |view| e.counters(view).and_then(|c| times(c, timed)).filter(|h| !h.is_empty());
    let (client, server) = (of(View::Client), of(View::Server));
    if client.is_none() && server.is_none() {
        return;
    }
    let mean = |h: &Hist| h.sum() as f64 / h.count().max(1) as f64;
    lines.push(Vec::new());
    lines.push(vec![("Where the time goes".into(), Role::Accent), muted("   mean")]);
    let (c, s) = (client.as_ref().map(mean), server.as_ref().map(mean));
    let connect = e.counters(View::Client).map(|c| &c.connect_us).filter(|h| !h.is_empty()).map(mean);
    let network = c.zip(s).map(|(c, s)| (c - s).max(0.0));
    let top = [c, s, connect].into_iter().flatten().fold(0.0, f64::max);
    let room = usize::from(width.saturating_sub(36)).clamp(8, 40);
    let n = |h: &Option<Hist>| h.as_ref().map(Hist::count);
    let mut row = |label: &str, us: Option<f64>, n: Option<u64>, none: &str| match us {
        Some(us) => {
            let count = n.map_or_else(|| none.to_owned(), |n| format!("n {}", figures::count(n)));
            lines.push(vec![
                muted(format!("{label:<13}")),
                text(format!("{:>9}  ", figures::micros(us.round() as u64))),
                (padded(&bar(us, top, room), room as u16).into(), Role::Accent),
                muted(format!("  {count}")),
            ]);
        }
        None => lines.push(vec![muted(format!("{label:<13}{:>9}  {none}", figures::NONE))]),
    };
    row("client view", c, n(&client), "not on this host, or not watched");
    row("server view", s, n(&server), "not on this host, or not watched");
    if let (Some(a), Some(b)) = (n(&client), n(&server)) {
        // Where one end saw clearly more than the other these are not the same answers.
        let same = a.abs_diff(b) * 50 <= a.max(b);
        row("network", network, None, if same { "" } else { "~ counts differ" });
    }
    if connect.is_some() {
        row("connect", connect, None, "");
    }
}

fn times(c: &Counters, timed: Timed) -> Option<Hist> {
    let asked = c.asked.as_deref()?;
    Some(match timed {
        Timed::Requests => asked.all().latency_us,
        Timed::Turns => asked.turns.first_us.clone(),
    })
}

/// NXDOMAIN stands apart: it is an answer.
fn dns_facts(asked: &Asked, lines: &mut Vec<Line>) {
    for p in asked.protocols.iter().filter(|p| p.protocol == Protocol::Dns) {
        let t = &p.tally;
        lines.push(Vec::new());
        lines.push(heading("DNS"));
        let mut row = |label: &str, n: u64, what: &str, role: Role| {
            let role = if n == 0 { Role::Muted } else { role };
            lines.push(vec![
                muted(format!("{label:<13}")),
                (format!("{:>9}  {:>6}", figures::exact(n), figures::share(n, t.requests)).into(), role),
                muted(format!("  {what}")),
            ]);
        };
        row("queries", t.requests, "", Role::Text);
        row("errors", t.errors, "SERVFAIL REFUSED timeout", Role::Warn);
        row("NXDOMAIN", t.client_errors, "there is no such name", Role::Warn);
        row("unknown", t.unknown, "the answer was not seen", Role::Text);
    }
}

/// Which answers there were, among the requests that are at hand.
fn answers(looked: &Looked, lines: &mut Vec<Line>) {
    if looked.seen == 0 {
        return;
    }
    lines.push(Vec::new());
    lines.push(vec![
        ("Answers".into(), Role::Accent),
        muted(format!("   of the last {} requests seen one by one", figures::exact(looked.seen as u64))),
    ]);
    let mut line: Line = Vec::new();
    for (status, verdict, n) in looked.answers.iter().take(6) {
        let (sign, role) = match verdict {
            Verdict::Error => ("× ", Role::Bad),
            Verdict::ClientError => ("! ", Role::Warn),
            Verdict::Ok | Verdict::Unknown => ("", Role::Text),
        };
        if !line.is_empty() {
            line.push(muted(" · "));
        }
        line.push((format!("{sign}{status}").into(), role));
        line.push(muted(format!(" {}", figures::exact(*n as u64))));
    }
    lines.push(line);
}

/// What targets are called.
fn title(protocol: Option<Protocol>) -> &'static str {
    match protocol {
        Some(Protocol::Http1 | Protocol::Http2 | Protocol::WebSocket) => "Paths",
        Some(Protocol::Grpc) => "Methods",
        Some(Protocol::Dns) => "Names asked",
        Some(Protocol::Redis | Protocol::Mongodb | Protocol::Memcached) => "Commands",
        Some(Protocol::Postgres | Protocol::Mysql) => "Statements",
        Some(Protocol::Kafka) => "Topics",
        Some(Protocol::Nats) => "Subjects",
        Some(Protocol::Amqp) => "Exchanges",
        Some(Protocol::Tls | Protocol::Quic) | None => "Requests",
    }
}

fn targets(state: &State, looked: &Looked, main: Option<Protocol>, width: u16, lines: &mut Vec<Line>) {
    if looked.targets.is_empty() {
        return;
    }
    let dns = main == Some(Protocol::Dns);
    let room = width.saturating_sub(34).clamp(12, 60);
    lines.push(Vec::new());
    lines.push(vec![
        (padded(title(main), room).into(), Role::Accent),
        muted(format!("{:>8}{:>8}{:>9}{:>9}", "req/s", "err", if dns { "NXDOMAIN" } else { "p50" }, "p99")),
    ]);
    let seconds = state.shown.seconds.max(1) as f64;
    for t in looked.targets.iter().take(TARGETS) {
        let tally = &t.tally;
        let (name, of_name) = if t.is_rest() {
            ("others, not told apart".to_owned(), Role::Muted)
        } else {
            (name(t, main), Role::Text)
        };
        let role = if tally.errors > 0 { Role::Warn } else { Role::Muted };
        let third = if dns {
            figures::share(tally.client_errors, tally.requests)
        } else {
            figures::quantile(&tally.latency_us, 0.5)
        };
        lines.push(vec![
            (padded(&name, room).into(), of_name),
            text(format!("{:>8}", figures::sig3(tally.requests as f64 / seconds))),
            (format!("{:>8}", figures::share(tally.errors, tally.requests)).into(), role),
            text(format!("{third:>9}{:>9}", figures::quantile(&tally.latency_us, 0.99))),
        ]);
    }
    let more = looked.targets.len().saturating_sub(TARGETS);
    if more > 0 {
        lines.push(vec![muted(format!("+ {more} more"))]);
    }
}

/// `GET /orders/{id}`; with its protocol where that is not the main one.
fn name(t: &TargetCounts, main: Option<Protocol>) -> String {
    let what = if t.target.is_empty() {
        t.method.to_string()
    } else if begins(&t.target, &t.method) {
        t.target.to_string()
    } else {
        format!("{} {}", t.method, t.target)
    };
    if Some(t.protocol) == main { what } else { format!("{} {what}", t.protocol.as_str()) }
}

fn single(
    state: &State,
    title: &'static str,
    list: &[std::sync::Arc<Event>],
    seen: usize,
    width: u16,
    lines: &mut Vec<Line>,
) {
    if list.is_empty() {
        return;
    }
    lines.push(Vec::new());
    lines.push(vec![
        (title.into(), Role::Accent),
        muted(format!("   of the last {} requests seen one by one", figures::exact(seen as u64))),
    ]);
    let room = width.saturating_sub(39).clamp(10, 50);
    for event in list {
        let Some(r) = &event.request else { continue };
        let (status, role) = status(r);
        lines.push(vec![
            muted(format!("{:<14}", state.shown.clock.millis(event.at))),
            text(padded(&what(r), room)),
            (format!(" {}", padded(&status, 13)).into(), role),
            text(format!("{:>10}", latency(r))),
        ]);
    }
}

/// Turns apart from requests, and in words what is not in their figures.
fn turns(asked: &Asked, lines: &mut Vec<Line>) {
    let t = &asked.turns;
    if *t == crate::model::Turns::default() {
        return;
    }
    lines.push(Vec::new());
    lines.push(vec![
        ("Turns".into(), Role::Accent),
        muted("   client bytes, then server bytes, of any protocol"),
    ]);
    lines.push(percentiles("first byte", &t.first_us));
    lines.push(percentiles("full answer", &t.full_us));
    for (n, what) in [
        (t.overlapped, "overlapped: answered before all was asked; not timed"),
        (t.waits, "waits: answered after 10 s or more, long polls; not timed"),
        (t.pushes, "pushes: the server spoke unasked; not timed"),
        (t.streams, "streams: went on after a pause; first byte only"),
    ] {
        if n > 0 {
            lines.push(vec![text(format!("{:>9}  ", figures::count(n))), muted(what)]);
        }
    }
}

fn protocols(asked: &Asked, seconds: u64, lines: &mut Vec<Line>) {
    if asked.protocols.is_empty() {
        return;
    }
    lines.push(Vec::new());
    lines.push(heading("Protocols"));
    for p in &asked.protocols {
        let t = &p.tally;
        let mut line: Line = vec![text(format!("{:<11}", p.protocol.as_str()))];
        if t.requests == 0 {
            line.push(muted("recognised; what is said in it is not decoded"));
            lines.push(line);
            continue;
        }
        let rate = figures::sig3(t.requests as f64 / seconds.max(1) as f64);
        line.push(text(format!("{rate} req/s")));
        for (n, what, role) in [
            (t.errors, "errors", Role::Warn),
            (t.client_errors, "client errors", Role::Warn),
            (t.unknown, "unknown", Role::Muted),
            (t.not_timed, "streams, waits, one-way", Role::Muted),
            (p.missed, "missed", Role::Warn),
        ] {
            if n > 0 {
                line.push((format!(" · {} {what}", figures::exact(n)).into(), role));
            }
        }
        lines.push(line);
        if !p.full_us.is_empty() {
            lines.push(percentiles("full answer", &p.full_us));
        }
    }
}
