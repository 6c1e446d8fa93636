//! What connections say together of security: the share of each verdict, what is not encrypted, what
//! changed, certificates, weak parameters, failed handshakes, what is not known, and who would break
//! if a server required client certificates.
//!
//! A pure function of the connections: their order makes no difference. Every list is in order of
//! trouble, worst first, and bounded: what is left out is counted.
//!
//! A viewer has only so many connections at hand, while slices count all. Given the edges of a window,
//! the report speaks of those: what they count is told by their counts, what connections said (why,
//! when, certificates) by those that are at hand.

mod around;
mod certificates;
mod edges;
mod readiness;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_window;
mod unlooked;
mod window;

use std::collections::{BTreeMap, HashMap};

use super::names::{NameTable, Workload, WorkloadId};
use super::rows::{EdgeId, EdgeRow};
use crate::model::{
    BootNs, Connection, ConnectionState, EntityId, Inherits, Security, Tls, Transport, UtcOffset,
};
use certificates::Certificates;
use edges::Edges;
use readiness::Servers;

pub use around::Around;
pub use certificates::{CertificateRow, Holder};
pub use edges::{FailedRow, FailedWhy, MixedRow, PlaintextRow, StatusTally, UnexplainedRow, WeakRow};
pub use readiness::{ClientRow, READY, Ready, ServerRow};
pub use unlooked::UnlookedRow;

/// What mutual TLS means here.
pub const MTLS: &str = "the client presented a certificate and the server continued; trust is the server's \
                        decision and not visible";
/// Why certificates are missing.
pub const HIDDEN: &str = "TLS 1.3 hides them on the wire";
/// What can be done about it.
pub const READ_HIDDEN: &str = "--tls-identities reads them where processes have them";

/// Why a connection that nobody looked at is unknown.
pub const NOBODY_LOOKED: &str = "nobody looked at what it says";
/// Why one is unknown that says nothing of it itself.
pub const NOT_DECIDED: &str = "not decided yet";

/// What a report needs beside the connections.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// Names of the entities.
    pub names: &'a NameTable,
    /// The time that it speaks of.
    pub now: BootNs,
    /// Wall time's offset.
    pub utc: UtcOffset,
    /// What is weak about a connection, by documented names: to know is the business of whoever reads
    /// the protocol.
    pub weaknesses: fn(&Tls) -> Vec<&'static str>,
    /// Longest list.
    pub limit: usize,
    /// Edges that are named for a reason, owners for a certificate.
    pub named: usize,
    /// Edges of a window, and what was counted of them: the report is of these edges. `None` where
    /// the connections are all that there is.
    pub window: Option<&'a [&'a EdgeRow]>,
}

/// The worst of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Top<T> {
    /// Worst first.
    pub rows: Vec<T>,
    /// So many more.
    pub more: u64,
}

impl<T> Top<T> {
    fn new(mut rows: Vec<T>, limit: usize) -> Self {
        let more = rows.len().saturating_sub(limit) as u64;
        rows.truncate(limit);
        Top { rows, more }
    }

    /// How many there are, told or not.
    pub fn total(&self) -> u64 {
        self.rows.len() as u64 + self.more
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.total() == 0
    }
}

impl<T> Default for Top<T> {
    fn default() -> Self {
        Top { rows: Vec::new(), more: 0 }
    }
}

/// Who talks to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Between {
    /// Which edge.
    pub id: EdgeId,
    /// Client, with how its name is known.
    pub client: Workload,
    /// Server.
    pub server: Workload,
}

/// How many, since when, and when last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections.
    pub count: u64,
    /// When one was first seen, of those that are at hand or in the window; 0 = not known.
    pub first: BootNs,
    /// Some were there before that: it was when webb, or the window, began.
    pub before: bool,
    /// When the newest began; 0 = not known.
    pub opened: BootNs,
    /// Whether one is open.
    pub open: bool,
    /// When the last was seen: now where one is open; 0 = none is at hand to say.
    pub seen: BootNs,
}

impl Tally {
    fn add(&mut self, at: Times) {
        self.count += 1;
        self.begun(at.opened, at.adopted);
        self.open |= at.open;
        self.opened = self.opened.max(at.opened);
        self.seen = self.seen.max(at.seen);
    }

    /// One was there at `first`, and perhaps `before`.
    fn begun(&mut self, first: BootNs, before: bool) {
        let Some(at) = first.known() else { return };
        match self.first.known() {
            Some(known) if known < at => {}
            Some(known) if known == at => self.before |= before,
            _ => (self.first, self.before) = (first, before),
        }
    }
}

/// Of one connection.
#[derive(Clone, Copy, Debug)]
struct Times {
    open: bool,
    adopted: bool,
    opened: BootNs,
    seen: BootNs,
}

impl Times {
    fn of(c: &Connection, now: BootNs) -> Self {
        let open = !c.state.is_over();
        let seen = if open { now } else { c.closed().known().unwrap_or(c.changed) };
        Times { open, adopted: c.adopted(), opened: c.opened(), seen }
    }
}

/// What protects a connection, where that is known: resumed sessions are what they inherit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Plaintext,
    Tunnel,
    Tls,
    Mtls,
}

impl Level {
    fn of(status: Security, inherits: Option<Inherits>) -> Option<Self> {
        match (status, inherits) {
            (Security::Plaintext, _) => Some(Level::Plaintext),
            (Security::Tunnel, _) => Some(Level::Tunnel),
            (Security::Tls, _) | (Security::Resumed, Some(Inherits::Tls)) => Some(Level::Tls),
            (Security::Mtls | Security::Implied, _) | (Security::Resumed, Some(Inherits::Mtls)) => {
                Some(Level::Mtls)
            }
            (Security::Resumed | Security::Unknown | Security::Failed, _) => None,
        }
    }

    /// The verdict of a connection that is not resumed.
    fn security(self) -> Security {
        match self {
            Level::Plaintext => Security::Plaintext,
            Level::Tunnel => Security::Tunnel,
            Level::Tls => Security::Tls,
            Level::Mtls => Security::Mtls,
        }
    }
}

/// Connections of which the verdict is not known, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownRow {
    /// The reason.
    pub reason: Box<str>,
    /// How many, and when last.
    pub tally: Tally,
    /// Edges of theirs, those with the most first.
    pub edges: Top<(Between, u64)>,
}

/// The report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Connections by verdict, at [`Security::index`]: those of the window where there is one.
    pub shares: [u64; 8],
    /// Connections that say nothing: never established, without a byte, or datagrams that nobody read.
    pub silent: u64,
    /// Edges of the window that were looked at.
    pub looked: usize,
    /// Edges of the window that carry TCP and were not looked at, in their order.
    pub unlooked: Top<UnlookedRow>,
    /// Edges with plaintext connections, most connections first.
    pub plaintext: Top<PlaintextRow>,
    /// Edges whose connections are not protected alike: those that fell back to plaintext first.
    pub mixed: Top<MixedRow>,
    /// Certificates: those that are not valid first, then by their end.
    pub certificates: Top<CertificateRow>,
    /// Handshakes of TLS 1.3, of those at hand, of which no certificate could be read.
    pub hidden: u64,
    /// Edges with weak parameters, most connections first.
    pub weak: Top<WeakRow>,
    /// Handshakes that failed, by edge and reason, most first.
    pub failed: Top<FailedRow>,
    /// Edges of the window with failures, or with what is not known, of which none is at hand.
    pub unexplained: Top<UnexplainedRow>,
    /// What is not known, by reason, most first.
    pub unknown: Top<UnknownRow>,
    /// Servers of TLS: who would break if they required client certificates. Most such clients first.
    pub readiness: Top<ServerRow>,
}

impl Report {
    /// What these connections say.
    pub fn new<'c>(connections: impl IntoIterator<Item = &'c Connection>, given: &Given<'_>) -> Self {
        let connections: Vec<&Connection> = connections.into_iter().collect();
        let workloads = Workloads::new(&connections, given);
        let mut report = Report::default();
        let (mut edges, mut servers) = (Edges::default(), Servers::default());
        let (mut certificates, mut unknown) = (Certificates::default(), Unknown::default());
        let mut unlooked = Vec::new();
        for row in given.window.unwrap_or_default() {
            report.look(row, &mut unlooked);
            edges.count(row, given.now);
            servers.count(row);
        }
        for c in connections {
            let id = workloads.edge(c);
            if given.window.is_some() {
                // What is not looked at yet, or by nobody, the window counts.
                if c.tls.is_none() || !edges.has(&id) {
                    continue;
                }
            } else if c.tls.is_none() && is_silent(c) {
                report.silent += 1;
                continue;
            }
            let status = c.tls.as_ref().map_or(Security::Unknown, |tls| tls.status);
            if given.window.is_none() {
                report.shares[status.index()] += 1;
            }
            let at = Times::of(c, given.now);
            if status == Security::Unknown {
                let said = c.tls.as_ref().map(|tls| tls.unknown.as_deref().unwrap_or(NOT_DECIDED));
                unknown.add(said.unwrap_or(NOBODY_LOOKED), &id, at);
            }
            if let Some(tls) = &c.tls {
                servers.add(&id, tls, at);
                certificates.add(&id, tls, at);
                edges.add(id, tls, at, &(given.weaknesses)(tls));
            }
        }
        edges.into_report(&mut report, &workloads, given.limit);
        report.unlooked = Top::new(unlooked, given.limit);
        report.hidden = certificates.hidden;
        report.certificates = certificates.rows(&workloads, given);
        report.unknown = unknown.rows(&workloads, given);
        report.readiness = servers.rows(&workloads, given.limit);
        report
    }

    /// Adds an edge of the window to what is told of all.
    fn look(&mut self, row: &EdgeRow, unlooked: &mut Vec<UnlookedRow>) {
        match row.secured() {
            Some(counts) => {
                self.looked += 1;
                let shares = self.shares.iter_mut().zip(counts);
                shares.for_each(|(share, n)| *share = share.saturating_add(n));
            }
            None => unlooked.extend(UnlookedRow::of(row)),
        }
    }

    /// Keeps what an earlier report of the same edges knew of the beginning of plaintext: connections
    /// and seconds that told it are not at hand for ever.
    pub fn keep_beginnings(&mut self, earlier: &Report) {
        let known: BTreeMap<&EdgeId, &Tally> =
            earlier.plaintext.rows.iter().map(|r| (&r.edge.id, &r.tally)).collect();
        for row in &mut self.plaintext.rows {
            if let Some(tally) = known.get(&row.edge.id) {
                row.tally.begun(tally.first, tally.before);
            }
        }
    }

    /// Connections that it speaks of.
    pub fn connections(&self) -> u64 {
        self.shares.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Connections of this verdict.
    pub fn share(&self, security: Security) -> u64 {
        self.shares[security.index()]
    }
}

/// Nothing was said that somebody could have looked at; of datagrams not all are looked at.
fn is_silent(c: &Connection) -> bool {
    c.transport == Transport::Udp
        || matches!(c.state, ConnectionState::Opening | ConnectionState::Failed)
        || c.bytes() == (0, 0)
}

/// Who the entities are. One workload may be known in several ways: the same one is told always.
struct Workloads {
    of: HashMap<EntityId, WorkloadId>,
    told: BTreeMap<WorkloadId, Workload>,
}

impl Workloads {
    fn new(connections: &[&Connection], given: &Given<'_>) -> Self {
        let mut all = Workloads { of: HashMap::new(), told: BTreeMap::new() };
        for workload in given.window.unwrap_or_default().iter().flat_map(|row| [&row.client, &row.server]) {
            all.tell(workload);
        }
        for entity in connections.iter().flat_map(|c| [c.client.entity, c.server.entity]) {
            if !all.of.contains_key(&entity) {
                let workload = given.names.workload(entity);
                all.tell(&workload);
                all.of.insert(entity, workload.id);
            }
        }
        all
    }

    fn tell(&mut self, workload: &Workload) {
        let told = self.told.entry(workload.id.clone()).or_insert_with(|| workload.clone());
        if workload.source < told.source {
            told.source = workload.source.clone();
        }
    }

    fn edge(&self, c: &Connection) -> EdgeId {
        EdgeId {
            client: self.of[&c.client.entity].clone(),
            server: self.of[&c.server.entity].clone(),
            port: c.server.address.port,
            transport: c.transport,
            role_known: c.role_known,
        }
    }

    fn told(&self, id: &WorkloadId) -> Workload {
        self.told[id].clone()
    }

    fn between(&self, id: EdgeId) -> Between {
        Between { client: self.told(&id.client), server: self.told(&id.server), id }
    }
}

/// By reason.
#[derive(Default)]
struct Unknown(BTreeMap<Box<str>, (Tally, BTreeMap<EdgeId, u64>)>);

impl Unknown {
    fn add(&mut self, reason: &str, id: &EdgeId, at: Times) {
        if !self.0.contains_key(reason) {
            self.0.insert(reason.into(), Default::default());
        }
        let Some((tally, edges)) = self.0.get_mut(reason) else { return };
        tally.add(at);
        *edges.entry(id.clone()).or_default() += 1;
    }

    fn rows(self, workloads: &Workloads, given: &Given<'_>) -> Top<UnknownRow> {
        let mut rows: Vec<UnknownRow> = self
            .0
            .into_iter()
            .map(|(reason, (tally, edges))| {
                let mut edges: Vec<(EdgeId, u64)> = edges.into_iter().collect();
                edges.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
                let edges = Top::new(edges, given.named);
                let rows = edges.rows.into_iter().map(|(id, n)| (workloads.between(id), n)).collect();
                UnknownRow { reason, tally, edges: Top { rows, more: edges.more } }
            })
            .collect();
        rows.sort_by_key(|r| std::cmp::Reverse(r.tally.count));
        Top::new(rows, given.limit)
    }
}
