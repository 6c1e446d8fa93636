//! Who would break if a server required client certificates.
//!
//! Far servers are left out: what they require is not for this side to decide, and of their clients
//! only those of this side are seen. Of a capture nothing tells near from far: there all are told.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::{Tally, Times, Top, Workloads};
use crate::model::{BootNs, ClientCert, Inherits, NameKind, SECURITIES, Security, Tls, Tunnel};
use crate::world::names::{Workload, WorkloadId};
use crate::world::rows::{EdgeId, EdgeRow};

/// What would become of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ready {
    /// It spoke plaintext, or was asked for a certificate and sent none.
    Breaks,
    /// It was never seen with one, but was not asked for one either.
    NotAsked,
    /// Nothing is known.
    Unknown,
    /// It presented one whenever that could be seen.
    Ready,
}

/// All of them, worst first.
pub const READY: [Ready; 4] = [Ready::Breaks, Ready::NotAsked, Ready::Unknown, Ready::Ready];

impl Ready {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Ready::Breaks => "breaks",
            Ready::NotAsked => "not-asked",
            Ready::Unknown => "unknown",
            Ready::Ready => "ready",
        }
    }
}

/// A client of a server, by its connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRow {
    /// Who.
    pub client: Workload,
    /// The first of its edges to this server.
    pub edge: EdgeId,
    /// What would become of it.
    pub ready: Ready,
    /// With a certificate, or what cannot be otherwise.
    pub presented: Tally,
    /// Asked for one, and sent none.
    pub declined: Tally,
    /// Not asked for one; of a window also those without one of which none is at hand to say whether
    /// it was asked.
    pub not_asked: Tally,
    /// Without TLS, also inside of a tunnel.
    pub plaintext: Tally,
    /// Those that do not tell.
    pub unknown: Tally,
}

impl ClientRow {
    /// Connections without a certificate, and when one was last seen.
    pub fn without(&self) -> Tally {
        let mut all = Tally::default();
        for t in [&self.declined, &self.not_asked, &self.plaintext] {
            all.count = all.count.saturating_add(t.count);
            all.begun(t.first, t.before);
            all.open |= t.open;
            all.opened = all.opened.max(t.opened);
            all.seen = all.seen.max(t.seen);
        }
        all
    }
}

/// A server that speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerRow {
    /// Who.
    pub server: Workload,
    /// At which port.
    pub port: u16,
    /// Its clients: those that would break first.
    pub clients: Top<ClientRow>,
    /// Clients that would break.
    pub breaks: u64,
    /// Clients that were not asked.
    pub not_asked: u64,
    /// Clients that would not break.
    pub ready: u64,
}

/// By server and port, then by client.
#[derive(Default)]
pub(super) struct Servers(BTreeMap<(WorkloadId, u16), Seen>);

#[derive(Default)]
struct Seen {
    speaks_tls: bool,
    clients: BTreeMap<WorkloadId, Client>,
}

#[derive(Default)]
struct Client {
    edges: BTreeSet<EdgeId>,
    tallies: [Tally; 5],
    /// What the window counts by verdict.
    window: Option<[u64; 8]>,
    /// By verdict: of what kind the newest connection is.
    newest: [Option<(BootNs, usize)>; 8],
}

const PRESENTED: usize = 0;
const DECLINED: usize = 1;
const NOT_ASKED: usize = 2;
const PLAINTEXT: usize = 3;
const UNKNOWN: usize = 4;

impl Servers {
    pub(super) fn add(&mut self, id: &EdgeId, tls: &Tls, at: Times) {
        let Some(kind) = kind(tls) else { return };
        let server = self.0.entry((id.server.clone(), id.port)).or_default();
        let client = server.clients.entry(id.client.clone()).or_default();
        server.speaks_tls |= client.window.is_none() && ESTABLISHED.contains(&tls.status);
        if !client.edges.contains(id) {
            client.edges.insert(id.clone());
        }
        client.tallies[kind].add(at);
        let newest = &mut client.newest[tls.status.index()];
        *newest = (*newest).max(Some((at.opened, kind)));
    }

    /// Edges of a window where somebody looked.
    pub(super) fn count(&mut self, row: &EdgeRow) {
        let (id, Some(counts)) = (&row.id, row.secured()) else { return };
        let server = self.0.entry((id.server.clone(), id.port)).or_default();
        server.speaks_tls |= ESTABLISHED.into_iter().any(|s| counts[s.index()] > 0);
        let client = server.clients.entry(id.client.clone()).or_default();
        client.edges.insert(id.clone());
        let window = client.window.get_or_insert_default();
        window.iter_mut().zip(counts).for_each(|(sum, n)| *sum = sum.saturating_add(n));
    }

    pub(super) fn rows(self, workloads: &Workloads, limit: usize) -> Top<ServerRow> {
        let is_far = |server: &WorkloadId, seen: &Seen| {
            by_address(server) && seen.clients.keys().any(|client| !by_address(client))
        };
        let all = self.0.into_iter();
        let speaking = all.filter(|((server, _), seen)| seen.speaks_tls && !is_far(server, seen));
        let mut rows: Vec<ServerRow> = speaking
            .map(|((server, port), seen)| {
                let mut clients: Vec<ClientRow> =
                    seen.clients.into_iter().filter_map(|(id, seen)| seen.row(workloads.told(&id))).collect();
                clients.sort_by_key(|c| (c.ready, Reverse(c.without().count)));
                let of = |ready| clients.iter().filter(|c| c.ready == ready).count() as u64;
                ServerRow {
                    server: workloads.told(&server),
                    port,
                    breaks: of(Ready::Breaks),
                    not_asked: of(Ready::NotAsked),
                    ready: of(Ready::Ready),
                    clients: Top::new(clients, limit),
                }
            })
            .collect();
        rows.sort_by_key(|r| (Reverse(r.breaks), Reverse(r.not_asked)));
        Top::new(rows, limit)
    }
}

/// Known by its address only, or by a name that was asked for.
fn by_address(workload: &WorkloadId) -> bool {
    matches!(workload.kind, NameKind::Address | NameKind::Dns | NameKind::Folded)
}

/// Verdicts after which TLS is spoken.
const ESTABLISHED: [Security; 4] = [Security::Tls, Security::Mtls, Security::Resumed, Security::Implied];

/// What a connection says of its client's certificates; `None` where it says nothing.
fn kind(tls: &Tls) -> Option<usize> {
    Some(match (tls.status, tls.client_cert) {
        (Security::Plaintext, _) => PLAINTEXT,
        // A tunnel shows its server no certificate.
        (Security::Tunnel, _) => match (tls.inside, tls.tunnel) {
            (Some(Security::Plaintext), _) => PLAINTEXT,
            (_, Some(Tunnel::Hbone)) => return None,
            _ => UNKNOWN,
        },
        (_, ClientCert::Declined) => DECLINED,
        // A certificate that was refused shows nothing, nor does what ended before it.
        (Security::Failed, _) => return None,
        (Security::Mtls | Security::Implied, _) | (_, ClientCert::Presented) => PRESENTED,
        (Security::Resumed, _) => match tls.inherits {
            Some(Inherits::Mtls) => PRESENTED,
            Some(Inherits::Tls) => NOT_ASKED,
            Some(Inherits::Unknown) | None => UNKNOWN,
        },
        (_, ClientCert::NotAsked) => NOT_ASKED,
        (_, ClientCert::Unknown) => UNKNOWN,
    })
}

/// Of a verdict of which no connection is at hand. TLS is said only where no certificate was sent.
fn kind_of_many(status: Security) -> Option<usize> {
    match status {
        Security::Tls => Some(NOT_ASKED),
        status => kind(&Tls { status, ..Tls::default() }),
    }
}

impl Client {
    /// By kind: what the window counts, each verdict taken to be what its newest connection is; else
    /// what is at hand.
    fn counted(&self) -> [Tally; 5] {
        let Some(window) = self.window else { return self.tallies };
        let mut counted = self.tallies.map(|t| Tally { count: 0, ..t });
        for status in SECURITIES {
            let newest = self.newest[status.index()].map(|(_, kind)| kind);
            if let Some(kind) = newest.or_else(|| kind_of_many(status)) {
                let n = &mut counted[kind].count;
                *n = n.saturating_add(window[status.index()]);
            }
        }
        counted
    }

    fn row(self, client: Workload) -> Option<ClientRow> {
        let [presented, declined, not_asked, plaintext, unknown] = self.counted();
        let ready = if declined.count > 0 || plaintext.count > 0 {
            Ready::Breaks
        } else if not_asked.count > 0 {
            Ready::NotAsked
        } else if presented.count > 0 {
            Ready::Ready
        } else {
            Ready::Unknown
        };
        let edge = self.edges.into_iter().next()?;
        Some(ClientRow { client, edge, ready, presented, declined, not_asked, plaintext, unknown })
    }
}
