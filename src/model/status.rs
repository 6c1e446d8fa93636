//! The state of an agent: hooks, losses, cost.

use super::{AgentInstance, BootNs, Loss, Totals, UtcOffset};

/// Whether a hook is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookState {
    /// In use.
    On,
    /// Not in use, and why.
    Off(String),
}

/// One datum, and the hook that provides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// What it provides: "connections", "live counters".
    pub datum: String,
    /// The hook: `tp_btf/inet_sock_set_state`.
    pub hook: String,
    /// In use or not.
    pub state: HookState,
    /// What is missing without it.
    pub without: String,
    /// What a person can do to get it, empty when nothing.
    pub advice: String,
    /// Whether webb cannot do its main job without it.
    pub essential: bool,
}

/// What an agent costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Processor time of the agent process so far, nanoseconds.
    pub cpu_ns: u64,
    /// Processor time spent inside the kernel programs, when the kernel counts it, nanoseconds.
    pub bpf_ns: Option<u64>,
    /// Resident memory, bytes.
    pub rss_bytes: u64,
    /// Memory of maps and rings, bytes.
    pub bpf_bytes: u64,
    /// Last walk over all live sockets, nanoseconds.
    pub walk_ns: u64,
    /// Sockets that walk met.
    pub walk_sockets: u64,
    /// Last pass over all open files, nanoseconds.
    pub pass_ns: u64,
}

/// Connections (each counted once, with one end seen or both), from what was observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Begun.
    pub opened: u64,
    /// Handshake done.
    pub established: u64,
    /// Never established.
    pub failed: u64,
    /// Closed after having been established.
    pub closed: u64,
    /// Found open.
    pub adopted: u64,
    /// Open now.
    pub live: u64,
    /// Closed ones given up to keep the history within its bound.
    pub evicted: u64,
}

impl Hook {
    /// The data of the hooks that see what connections say: what is received, and what is sent.
    pub const SAID: [&str; 2] =
        ["latency of answers; what is asked: received", "latency of answers; what is asked: sent"];
    /// The datum that is off where what connections say is not decoded.
    pub const REQUESTS: &str = "requests";
    /// The datum of certificates that are encrypted on the wire; there only where it was asked for.
    pub const IDENTITIES: &str = "identities in TLS 1.3";
}

/// What an agent watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// cgroup paths; empty = the whole host.
    pub cgroups: Vec<String>,
    /// In words, for the header: "host", "demo", "2 cgroups".
    pub label: String,
}

/// Why what connections say is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unheard<'a> {
    /// It is not seen at all; else it is not decoded.
    pub unseen: bool,
    /// The reason.
    pub why: &'a str,
    /// What can be done about it; empty = nothing.
    pub advice: &'a str,
}

/// Everything about an agent that is not traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Which run.
    pub agent: AgentInstance,
    /// Host name.
    pub node: String,
    /// Version of webb.
    pub version: String,
    /// Where facts come from: "ebpf", "sock_diag".
    pub source: String,
    /// What it watches.
    pub scope: Scope,
    /// When it began.
    pub started: BootNs,
    /// Now.
    pub now: BootNs,
    /// Wall time's offset.
    pub utc: UtcOffset,
    /// Connections.
    pub connections: ConnectionCounts,
    /// Ends, exact in the kernel.
    pub ends: Totals,
    /// State records that the kernel side produced, lost or not.
    pub state_produced: u64,
    /// State records that were read.
    pub state_seen: u64,
    /// Pieces of what was said that the kernel side captured, lost or not.
    pub pieces_produced: u64,
    /// Pieces that were read and belong to a connection that is known.
    pub pieces_seen: u64,
    /// What was lost since the start.
    pub loss: Loss,
    /// Hooks.
    pub hooks: Vec<Hook>,
    /// Cost.
    pub cost: Cost,
}

impl Status {
    /// Why what connections say is not told; `None` where nothing is in the way.
    pub fn unheard(&self) -> Option<Unheard<'_>> {
        let off = |datum: &str| {
            self.hooks.iter().filter(|h| h.datum == datum).find_map(|h| match &h.state {
                HookState::Off(why) => {
                    let unseen = datum != Hook::REQUESTS;
                    Some(Unheard { unseen, why, advice: &h.advice })
                }
                HookState::On => None,
            })
        };
        let [received, sent] = Hook::SAID;
        off(received).or_else(|| off(sent)).or_else(|| off(Hook::REQUESTS))
    }

    /// Whether certificates are read that TLS 1.3 hides; `None` where that was not asked for.
    pub fn identities(&self) -> Option<&HookState> {
        self.hooks.iter().find(|h| h.datum == Hook::IDENTITIES).map(|h| &h.state)
    }
}
