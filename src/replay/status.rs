//! What `webb status` says of a capture: how it was read, and what no capture can tell.

use super::{Counts, Replay};
use crate::model::{Cause, Cost, Hook, HookState, Loss, LossKind, Scope, Status, Totals, UtcOffset};

impl Replay {
    /// The state when all is read.
    pub(super) fn status(&self, counts: &Counts) -> Status {
        Status {
            agent: self.store.instance(),
            node: self.node.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            source: "pcap".to_owned(),
            scope: Scope { cgroups: Vec::new(), label: self.node.clone() },
            started: self.first,
            now: self.start,
            utc: UtcOffset(0),
            connections: self.track.counts(),
            ends: Totals::default(),
            state_produced: 0,
            state_seen: 0,
            pieces_produced: 0,
            pieces_seen: 0,
            loss: loss(self.track_loss(), counts),
            hooks: hooks(counts),
            cost: Cost::default(),
        }
    }
}

/// What was not understood or found no room, where connections or exchanges are missed with it.
fn loss(mut loss: Loss, counts: &Counts) -> Loss {
    let s = &counts.skipped;
    let unread = s.link + s.cut + s.malformed + s.too_long + s.fragments_lost;
    loss.add(LossKind::Exchange, Cause::NoConnection, unread);
    loss.add(LossKind::State, Cause::TableFull, counts.evicted);
    loss
}

fn hooks(counts: &Counts) -> Vec<Hook> {
    let off = |datum: &str, hook: &str, why: &str, without: &str| Hook {
        datum: datum.to_owned(),
        hook: hook.to_owned(),
        state: HookState::Off(why.to_owned()),
        without: without.to_owned(),
        advice: String::new(),
        essential: false,
    };
    let on = |datum: &str, hook: &str| Hook { state: HookState::On, ..off(datum, hook, "", "") };
    let packets = format!("{} packets", counts.packets);
    let mut hooks = vec![
        on("connections", &format!("{} in {packets}", counts.connections)),
        on("conversations over UDP", &format!("{} in {packets}", counts.conversations)),
        on(Hook::REQUESTS, "what the packets carry"),
        match left_out(counts) {
            None => on("every packet", &packets),
            Some(why) => Hook {
                advice: if counts.skipped.cut > 0 { "capture whole packets (tcpdump -s 0)" } else { "" }
                    .into(),
                ..off("every packet", &packets, &why, "what they said")
            },
        },
        match damage(counts) {
            None => on("the whole file", &format!("{} bytes", counts.bytes)),
            Some(why) => {
                off("the whole file", &format!("{} bytes", counts.bytes), &why, "what was captured later")
            }
        },
    ];
    hooks.extend([
        off(
            "owners",
            "none",
            "packets name addresses only",
            "process, container, unit and cgroup of each end; workloads are addresses, or what DNS answers \
             in the capture call them",
        ),
        off(
            "both ends",
            "none",
            "a capture is taken at one place",
            "the server's own view; latencies are those where the capture was taken",
        ),
        off(
            "listeners",
            "none",
            "a capture does not hold them",
            "roles of connections whose handshake is not in it, unless another one to the same server is, or \
             what both sides say tells; else the lower port stands as the server",
        ),
        off(
            "connects without a packet",
            "none",
            "they leave no packet",
            "connects that found no route, no local port, or were denied",
        ),
    ]);
    hooks
}

/// Packets that were not taken, by reason.
fn left_out(counts: &Counts) -> Option<String> {
    let s = &counts.skipped;
    let reasons: Vec<String> = [
        (s.not_ip, "not IP"),
        (s.not_tcp_udp, "neither TCP nor UDP"),
        (s.link, "of a link type that is not known"),
        (s.cut, "cut within their headers"),
        (s.malformed, "with headers that contradict themselves"),
        (s.too_long, "longer than 256 KiB"),
        (s.fragments_lost, "in fragments that did not all come"),
        (s.copies, "met twice"),
        (s.stray, "of no connection"),
        (s.out_of_window, "with a sequence number outside of their connection"),
    ]
    .into_iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, what)| format!("{n} {what}"))
    .collect();
    (!reasons.is_empty()).then(|| format!("left out: {}", reasons.join(", ")))
}

fn damage(counts: &Counts) -> Option<String> {
    if let Some(at) = counts.damaged_at {
        let unread = counts.unread.map_or_else(String::new, |n| format!(": {n} bytes were not read"));
        return Some(format!("a length at byte {at} of the file cannot be right{unread}"));
    }
    counts.truncated.then(|| "it ends inside of a packet".to_owned())
}
