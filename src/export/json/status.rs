//! The state of an agent as JSON.

use serde::Serialize;

use super::Counts;
use crate::export::time;
use crate::model::{ConnectionCounts, Cost, EndCounts, Hook, HookState, Loss, Status};

/// Everything about an agent that is not traffic.
#[derive(Debug, Serialize)]
pub struct StatusJson {
    agent: String,
    node: String,
    version: String,
    source: String,
    scope: ScopeJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<String>,
    connections: ConnectionsJson,
    ends: EndsJson,
    state: StateJson,
    loss: LossJson,
    hooks: Vec<HookJson>,
    cost: CostJson,
}

#[derive(Debug, Serialize)]
struct ScopeJson {
    label: String,
    cgroups: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ConnectionsJson {
    opened: u64,
    established: u64,
    failed: u64,
    closed: u64,
    adopted: u64,
    live: u64,
    evicted: u64,
}

#[derive(Debug, Serialize)]
struct EndsJson {
    client: EndCountsJson,
    server: EndCountsJson,
    unknown: EndCountsJson,
}

#[derive(Debug, Serialize)]
struct EndCountsJson {
    opened: u64,
    established: u64,
    failed: u64,
    closed: u64,
    adopted: u64,
}

#[derive(Debug, Serialize)]
struct StateJson {
    produced: u64,
    seen: u64,
}

#[derive(Debug, Serialize)]
struct LossJson {
    total: u64,
    by_kind: Counts,
    by_place: Counts,
}

/// A datum with its hook.
#[derive(Debug, Serialize)]
pub struct HookJson {
    datum: String,
    hook: String,
    on: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why_off: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    without: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    advice: String,
    essential: bool,
}

#[derive(Debug, Serialize)]
struct CostJson {
    cpu_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bpf_cpu_seconds: Option<f64>,
    rss_bytes: u64,
    bpf_bytes: u64,
    walk_us: u64,
    pass_us: u64,
    walk_sockets: u64,
}

/// The state of an agent.
pub fn status(s: &Status) -> StatusJson {
    StatusJson {
        agent: s.agent.to_string(),
        node: s.node.clone(),
        version: s.version.clone(),
        source: s.source.clone(),
        scope: ScopeJson { label: s.scope.label.clone(), cgroups: s.scope.cgroups.clone() },
        started: time::rfc3339(s.utc, s.started),
        now: time::rfc3339(s.utc, s.now),
        connections: connections(&s.connections),
        ends: EndsJson {
            client: ends(&s.ends.client),
            server: ends(&s.ends.server),
            unknown: ends(&s.ends.unknown),
        },
        state: StateJson { produced: s.state_produced, seen: s.state_seen },
        loss: loss(&s.loss),
        hooks: s.hooks.iter().map(hook).collect(),
        cost: cost(&s.cost),
    }
}

fn connections(c: &ConnectionCounts) -> ConnectionsJson {
    ConnectionsJson {
        opened: c.opened,
        established: c.established,
        failed: c.failed,
        closed: c.closed,
        adopted: c.adopted,
        live: c.live,
        evicted: c.evicted,
    }
}

fn ends(e: &EndCounts) -> EndCountsJson {
    EndCountsJson {
        opened: e.opened,
        established: e.established,
        failed: e.failed,
        closed: e.closed,
        adopted: e.adopted,
    }
}

fn loss(loss: &Loss) -> LossJson {
    let (mut by_kind, mut by_place) = (Counts::default(), Counts::default());
    for row in &loss.0 {
        by_kind.add(row.kind.as_str(), row.count);
        by_place.add(row.cause.as_str(), row.count);
    }
    LossJson { total: loss.total(), by_kind, by_place }
}

/// A hook as JSON, as in a status.
pub fn hook(h: &Hook) -> HookJson {
    HookJson {
        datum: h.datum.clone(),
        hook: h.hook.clone(),
        on: h.state == HookState::On,
        why_off: match &h.state {
            HookState::On => None,
            HookState::Off(why) => Some(why.clone()),
        },
        without: h.without.clone(),
        advice: h.advice.clone(),
        essential: h.essential,
    }
}

fn cost(c: &Cost) -> CostJson {
    CostJson {
        cpu_seconds: c.cpu_ns as f64 / 1e9,
        bpf_cpu_seconds: c.bpf_ns.map(|ns| ns as f64 / 1e9),
        rss_bytes: c.rss_bytes,
        bpf_bytes: c.bpf_bytes,
        walk_us: c.walk_ns / 1000,
        pass_us: c.pass_ns / 1000,
        walk_sockets: c.walk_sockets,
    }
}
