//! The state of an agent.

use super::invalid::{InvalidMessage, count, cut, invalid, text};
use super::pb;
use super::slice::{loss_from_pb, loss_to_pb};
use crate::model::{
    AgentInstance, BootNs, ConnectionCounts, Cost, EndCounts, Hook, HookState, Scope, Status, Totals,
    UtcOffset,
};

/// More hooks or cgroups than any agent has.
const MANY: usize = 4096;

/// The answer to GetStatus.
pub fn status_to_pb(s: &Status) -> pb::GetStatusResponse {
    let c = &s.connections;
    pb::GetStatusResponse {
        instance: s.agent.0,
        node: cut(&s.node),
        version: cut(&s.version),
        source: cut(&s.source),
        // Bounded, so that the message stays below its largest size.
        cgroups: s.scope.cgroups.iter().take(64).map(|c| cut(c)).collect(),
        scope: cut(&s.scope.label),
        started_ns: s.started.0,
        now_ns: s.now.0,
        utc_offset_ns: s.utc.0,
        connections: Some(pb::ConnectionCounts {
            opened: c.opened,
            established: c.established,
            failed: c.failed,
            closed: c.closed,
            adopted: c.adopted,
            live: c.live,
            evicted: c.evicted,
        }),
        client_ends: Some(ends_to_pb(&s.ends.client)),
        server_ends: Some(ends_to_pb(&s.ends.server)),
        unknown_ends: Some(ends_to_pb(&s.ends.unknown)),
        state_produced: s.state_produced,
        state_seen: s.state_seen,
        pieces_produced: s.pieces_produced,
        pieces_seen: s.pieces_seen,
        loss: loss_to_pb(&s.loss),
        hooks: s.hooks.iter().map(hook_to_pb).collect(),
        cost: Some(pb::Cost {
            cpu_ns: s.cost.cpu_ns,
            bpf_ns: s.cost.bpf_ns,
            rss_bytes: s.cost.rss_bytes,
            bpf_bytes: s.cost.bpf_bytes,
            walk_ns: s.cost.walk_ns,
            walk_sockets: s.cost.walk_sockets,
            pass_ns: s.cost.pass_ns,
        }),
    }
}

/// # Errors
/// When anything in it breaks the rules.
pub fn status_from_pb(s: pb::GetStatusResponse) -> Result<Status, InvalidMessage> {
    if s.hooks.len() > MANY || s.cgroups.len() > MANY {
        return invalid(format!("GetStatusResponse has more than {MANY} hooks or cgroups"));
    }
    let c = s.connections.unwrap_or_default();
    let cost = s.cost.unwrap_or_default();
    let n = |n| count(n, "a count of GetStatusResponse");
    let cgroups = s.cgroups.into_iter().map(|c| text(c, "GetStatusResponse.cgroups"));
    Ok(Status {
        agent: AgentInstance(s.instance),
        node: text(s.node, "GetStatusResponse.node")?,
        version: text(s.version, "GetStatusResponse.version")?,
        source: text(s.source, "GetStatusResponse.source")?,
        scope: Scope {
            cgroups: cgroups.collect::<Result<_, _>>()?,
            label: text(s.scope, "GetStatusResponse.scope")?,
        },
        started: BootNs(s.started_ns),
        now: BootNs(s.now_ns),
        utc: UtcOffset(s.utc_offset_ns),
        connections: ConnectionCounts {
            opened: n(c.opened)?,
            established: n(c.established)?,
            failed: n(c.failed)?,
            closed: n(c.closed)?,
            adopted: n(c.adopted)?,
            live: n(c.live)?,
            evicted: n(c.evicted)?,
        },
        ends: Totals {
            client: ends_from_pb(s.client_ends)?,
            server: ends_from_pb(s.server_ends)?,
            unknown: ends_from_pb(s.unknown_ends)?,
        },
        state_produced: n(s.state_produced)?,
        state_seen: n(s.state_seen)?,
        pieces_produced: n(s.pieces_produced)?,
        pieces_seen: n(s.pieces_seen)?,
        loss: loss_from_pb(s.loss)?,
        hooks: s.hooks.into_iter().map(hook_from_pb).collect::<Result<_, _>>()?,
        cost: Cost {
            cpu_ns: n(cost.cpu_ns)?,
            bpf_ns: cost.bpf_ns.map(n).transpose()?,
            rss_bytes: n(cost.rss_bytes)?,
            bpf_bytes: n(cost.bpf_bytes)?,
            walk_ns: n(cost.walk_ns)?,
            walk_sockets: n(cost.walk_sockets)?,
            pass_ns: n(cost.pass_ns)?,
        },
    })
}

fn ends_to_pb(e: &EndCounts) -> pb::EndCounts {
    pb::EndCounts {
        opened: e.opened,
        established: e.established,
        failed: e.failed,
        closed: e.closed,
        adopted: e.adopted,
    }
}

fn ends_from_pb(e: Option<pb::EndCounts>) -> Result<EndCounts, InvalidMessage> {
    let e = e.unwrap_or_default();
    let n = |n| count(n, "a count of EndCounts");
    Ok(EndCounts {
        opened: n(e.opened)?,
        established: n(e.established)?,
        failed: n(e.failed)?,
        closed: n(e.closed)?,
        adopted: n(e.adopted)?,
    })
}

fn hook_to_pb(h: &Hook) -> pb::Hook {
    let (on, why_off) = match &h.state {
        HookState::On => (true, String::new()),
        HookState::Off(why) => (false, cut(why)),
    };
    pb::Hook {
        datum: cut(&h.datum),
        hook: cut(&h.hook),
        on,
        why_off,
        without: cut(&h.without),
        advice: cut(&h.advice),
        essential: h.essential,
    }
}

fn hook_from_pb(h: pb::Hook) -> Result<Hook, InvalidMessage> {
    Ok(Hook {
        datum: text(h.datum, "Hook.datum")?,
        hook: text(h.hook, "Hook.hook")?,
        state: match (h.on, h.why_off.is_empty()) {
            (true, true) => HookState::On,
            (true, false) => return invalid("Hook.why_off is set on a hook that is on"),
            (false, _) => HookState::Off(text(h.why_off, "Hook.why_off")?),
        },
        without: text(h.without, "Hook.without")?,
        advice: text(h.advice, "Hook.advice")?,
        essential: h.essential,
    })
}
