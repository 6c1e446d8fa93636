//! `webb status` as text.

use std::fmt::Write as _;

use super::Table;
use crate::export::figures::{NONE, bytes, count, micros, span};
use crate::export::time;
use crate::model::{EndCounts, HookState, Status, escape};

/// The state of an agent in a few paragraphs, each of aligned lines.
pub fn status(s: &Status) -> String {
    let mut out = format!(
        "webb {} on {}, watching {} by {}\n",
        escape(&s.version),
        escape(&s.node),
        escape(if s.scope.label.is_empty() { NONE } else { &s.scope.label }),
        escape(&s.source)
    );
    let up = span(s.now.since(s.started) / 1_000_000_000);
    let since = time::date_time(s.utc, s.started).unwrap_or_else(|| NONE.to_owned());
    // Writing to a String cannot fail.
    // A capture has no agent: nothing of one is said.
    let capture = s.source == "pcap";
    let _ = if capture {
        writeln!(out, "it covers {up}, from {since} UTC")
    } else {
        writeln!(out, "running for {up}, since {since} UTC; agent {}", s.agent)
    };
    for cgroup in &s.scope.cgroups {
        let _ = writeln!(out, "cgroup {}", escape(cgroup));
    }
    let paragraphs = if capture {
        vec![connections(s).render(), lost(s), hooks(s)]
    } else {
        vec![counts(s), loss(s), cost(s), hooks(s)]
    };
    for paragraph in paragraphs {
        out.push('\n');
        out.push_str(&paragraph);
    }
    out
}

fn connections(s: &Status) -> Table {
    let mut t =
        Table::new(&["", ">OPENED", ">ESTABLISHED", ">FAILED", ">CLOSED", ">ADOPTED", ">LIVE", ">EVICTED"]);
    let c = &s.connections;
    let figures = [c.opened, c.established, c.failed, c.closed, c.adopted, c.live, c.evicted];
    t.row(std::iter::once("connections".to_owned()).chain(figures.map(|n| n.to_string())));
    t
}

fn counts(s: &Status) -> String {
    let mut t = connections(s);
    for (label, e) in [
        ("client ends", &s.ends.client),
        ("server ends", &s.ends.server),
        ("ends, role unknown", &s.ends.unknown),
    ] {
        let EndCounts { opened, established, failed, closed, adopted } = *e;
        let figures = [opened, established, failed, closed, adopted].map(|n| n.to_string());
        t.row(std::iter::once(label.to_owned()).chain(figures));
    }
    t.render()
}

fn loss(s: &Status) -> String {
    format!("state records: {} produced, {} read\n{}", s.state_produced, s.state_seen, lost(s))
}

fn lost(s: &Status) -> String {
    let mut out = String::new();
    if s.loss.0.is_empty() {
        out.push_str("lost: nothing\n");
    }
    for row in &s.loss.0 {
        let _ = writeln!(out, "lost: {} {} ({})", row.count, row.kind.as_str(), row.cause.as_str());
    }
    out
}

fn cost(s: &Status) -> String {
    let c = &s.cost;
    let mut out = format!("cost: {} of CPU", micros(c.cpu_ns / 1000));
    if let Some(ns) = c.bpf_ns {
        let _ = write!(out, " and {} in the kernel programs", micros(ns / 1000));
    }
    let _ = writeln!(
        out,
        ", {} resident, {} of maps and rings; last walk {} over {} sockets",
        bytes(c.rss_bytes),
        bytes(c.bpf_bytes),
        micros(c.walk_ns / 1000),
        count(c.walk_sockets)
    );
    out
}

fn hooks(s: &Status) -> String {
    let mut t = Table::new(&["DATUM", "HOOK", "STATE"]);
    for h in &s.hooks {
        let state = match (&h.state, h.essential) {
            (HookState::On, _) => "on",
            (HookState::Off(_), true) => "off, essential",
            (HookState::Off(_), false) => "off",
        };
        t.row([h.datum.clone(), h.hook.clone(), state.to_owned()]);
    }
    let mut out = t.render();
    for h in &s.hooks {
        // Why and what to do are sentences: they stand below the table, not in a column that cuts.
        if let HookState::Off(why) = &h.state {
            let _ = writeln!(out, "{} is off: {}", escape(&h.datum), escape(why));
            for (label, text) in [("without it", &h.without), ("to get it", &h.advice)] {
                if !text.is_empty() {
                    let _ = writeln!(out, "  {label}: {}", escape(text));
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::samples;
    use crate::model::Hook;

    #[test]
    fn says_everything_once() {
        let mut s = samples::rich_status();
        s.loss.0.truncate(2);
        assert_eq!(
            status(&s),
            "\
webb 0.1.0 on node-1, watching demo by ebpf
running for 5 min 3 s, since 2024-02-29 12:34:57 UTC; agent 000000000000beef
cgroup /demo

\x20                   OPENED  ESTABLISHED  FAILED  CLOSED  ADOPTED  LIVE  EVICTED
connections            100           90      10      80        5    15        1
client ends            100           90      10      80        5
server ends            100           90      10      80        5
ends, role unknown       0            0       0       0        0

state records: 400 produced, 385 read
lost: 1 state (ring-full)
lost: 1 state (no-storage)

cost: 1.25 s of CPU and 12.0 ms in the kernel programs, 20.0 MB resident, 9.00 MB of maps and rings; last walk 812 µs over 120 sockets

DATUM        HOOK                        STATE
connections  tp_btf/inet_sock_set_state  on
no-route     fexit/tcp_v4_connect        off
no-route is off: the kernel has no fentry
  without it: connects that found no route
  to get it: a kernel with CONFIG_FUNCTION_TRACER
"
        );
    }

    #[test]
    fn text_from_a_peer_cannot_steer_a_terminal() {
        let bad = "\x1b[2J\n\u{202e}".to_owned();
        let mut s = samples::rich_status();
        (s.node, s.version, s.source, s.scope.label) = (bad.clone(), bad.clone(), bad.clone(), bad.clone());
        s.scope.cgroups = vec![bad.clone()];
        let lines = status(&s).lines().count();
        s.hooks = vec![Hook {
            datum: bad.clone(),
            hook: bad.clone(),
            state: HookState::Off(bad.clone()),
            without: bad.clone(),
            advice: bad,
            essential: true,
        }];
        let out = status(&s);
        assert!(out.lines().all(|l| escape(l) == l));
        assert_eq!(
            status(&samples::rich_status()).lines().count(),
            lines + 1 - samples::rich_status().scope.cgroups.len()
        );
    }
}
