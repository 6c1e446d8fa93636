//! What viewers show: edges between workloads, and workloads.

use std::net::IpAddr;

use super::names::{Workload, WorkloadId};
use crate::model::{BootNs, Counters, EdgeKey, Outcome, SECURITIES, Transport, View};

/// Identity of a row: stable while it is on the screen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EdgeId {
    /// Client workload.
    pub client: WorkloadId,
    /// Server workload.
    pub server: WorkloadId,
    /// Server port as dialled.
    pub port: u16,
    /// Transport.
    pub transport: Transport,
    /// Whether the roles are known.
    pub role_known: bool,
}

/// One second of an edge, in the view that is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// Connections begun.
    pub opened: u64,
    /// Failures.
    pub failures: u64,
    /// Bytes both ways.
    pub bytes: u64,
    /// Slowest connect, microseconds, 0 = none.
    pub connect_max_us: u64,
    /// Requests.
    pub requests: u64,
    /// Of them, with an error.
    pub errors: u64,
    /// 99th percentile of the latency of requests, of turns where none was decoded, microseconds;
    /// the largest one where the row stands for several edges, 0 = none.
    pub latency_us: u64,
    /// Something worked: where requests are decoded one of them, else a handshake, a clean end, or
    /// payload.
    pub good: bool,
    /// Which kinds of security were there, a bit each, at [`crate::model::Security::index`].
    pub secured: u8,
}

impl Point {
    /// Whether nothing happened.
    pub fn is_idle(&self) -> bool {
        self.opened == 0 && self.failures == 0 && self.bytes == 0 && self.requests == 0
    }
}

/// An edge between two workloads over the window.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeRow {
    /// Identity.
    pub id: EdgeId,
    /// Client, with how its name is known.
    pub client: Workload,
    /// Server.
    pub server: Workload,
    /// Address as dialled, when there is only one.
    pub addr: Option<IpAddr>,
    /// Edges between entities that this row stands for.
    pub keys: Vec<EdgeKey>,
    /// As client ends saw it. Over a window without targets: see [`super::World::targets`].
    pub by_client: Option<Counters>,
    /// As server ends saw it.
    pub by_server: Option<Counters>,
    /// Oldest second first; as long as the window.
    pub trend: Vec<Point>,
    /// Failing without a success since then.
    pub failing_since: Option<BootNs>,
    /// Last second in which something worked ([`Point::good`]).
    pub last_success: Option<BootNs>,
}

impl EdgeRow {
    /// The view that is shown: the client's, else the server's, and which.
    pub fn shown(&self) -> (View, &Counters) {
        match (&self.by_client, &self.by_server) {
            (Some(c), _) => (View::Client, c),
            (None, Some(c)) => (View::Server, c),
            (None, None) => (View::Client, empty()),
        }
    }

    /// The most frequent failure of the window and its count.
    pub fn worst_failure(&self) -> Option<(Outcome, u64)> {
        let (_, c) = self.shown();
        crate::model::OUTCOMES
            .into_iter()
            .map(|o| (o, c.failed(o)))
            .filter(|(_, n)| *n > 0)
            .max_by_key(|(_, n)| *n)
    }

    /// Connections of the window by their security, at [`crate::model::Security::index`]: open at its
    /// end, or closed in it. `None` where nobody looked.
    pub fn secured(&self) -> Option<[u64; 8]> {
        let secured = self.shown().1.secured.as_deref()?;
        let counts = SECURITIES.map(|s| secured.of(s));
        counts.iter().any(|n| *n > 0).then_some(counts)
    }

    /// Whether nothing happened in the window.
    pub fn is_idle(&self) -> bool {
        self.trend.iter().all(Point::is_idle)
    }
}

fn empty() -> &'static Counters {
    static EMPTY: std::sync::OnceLock<Counters> = std::sync::OnceLock::new();
    EMPTY.get_or_init(Counters::default)
}

/// A workload over the window.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadRow {
    /// Which.
    pub workload: Workload,
    /// Its entities.
    pub entities: Vec<crate::model::EntityId>,
    /// Connections that it began.
    pub opened: u64,
    /// Connections that it was asked for.
    pub served: u64,
    /// Failures at either end.
    pub failures: u64,
    /// Bytes that it sent and received.
    pub bytes: (u64, u64),
    /// Ports on which it was dialled.
    pub ports: Vec<u16>,
}
