//! Who would break if a server required client certificates.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Tally, Times, Top, Workloads};
use crate::model::{ClientCert, Inherits, Security, Tls, Tunnel};
use crate::world::names::{Workload, WorkloadId};
use crate::world::rows::EdgeId;

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
    /// What would become of it.
    pub ready: Ready,
    /// With a certificate, or what cannot be otherwise.
    pub presented: Tally,
    /// Asked for one, and sent none.
    pub declined: Tally,
    /// Not asked for one.
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
            all.count += t.count;
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
    clients: BTreeMap<WorkloadId, [Tally; 5]>,
}

const PRESENTED: usize = 0;
const DECLINED: usize = 1;
const NOT_ASKED: usize = 2;
const PLAINTEXT: usize = 3;
const UNKNOWN: usize = 4;

impl Servers {
    pub(super) fn add(&mut self, id: &EdgeId, tls: &Tls, at: Times) {
        let kind = match (tls.status, tls.client_cert) {
            (Security::Plaintext, _) => PLAINTEXT,
            // A tunnel shows its server no certificate.
            (Security::Tunnel, _) => match (tls.inside, tls.tunnel) {
                (Some(Security::Plaintext), _) => PLAINTEXT,
                (_, Some(Tunnel::Hbone)) => return,
                _ => UNKNOWN,
            },
            (_, ClientCert::Declined) => DECLINED,
            // A certificate that was refused shows nothing, nor does what ended before it.
            (Security::Failed, _) => return,
            (Security::Mtls | Security::Implied, _) | (_, ClientCert::Presented) => PRESENTED,
            (Security::Resumed, _) => match tls.inherits {
                Some(Inherits::Mtls) => PRESENTED,
                Some(Inherits::Tls) => NOT_ASKED,
                Some(Inherits::Unknown) | None => UNKNOWN,
            },
            (_, ClientCert::NotAsked) => NOT_ASKED,
            (_, ClientCert::Unknown) => UNKNOWN,
        };
        let server = self.0.entry((id.server.clone(), id.port)).or_default();
        let established = [Security::Tls, Security::Mtls, Security::Resumed, Security::Implied];
        server.speaks_tls |= established.contains(&tls.status);
        if let Some(tally) = server.clients.entry(id.client.clone()).or_default().get_mut(kind) {
            tally.add(at);
        }
    }

    pub(super) fn rows(self, workloads: &Workloads, limit: usize) -> Top<ServerRow> {
        let speaking = self.0.into_iter().filter(|(_, seen)| seen.speaks_tls);
        let mut rows: Vec<ServerRow> = speaking
            .map(|((server, port), seen)| {
                let mut clients: Vec<ClientRow> = seen
                    .clients
                    .into_iter()
                    .map(|(id, tallies)| client(workloads.told(&id), tallies))
                    .collect();
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

fn client(client: Workload, tallies: [Tally; 5]) -> ClientRow {
    let count = |kind: usize| tallies[kind].count;
    let ready = if count(DECLINED) + count(PLAINTEXT) > 0 {
        Ready::Breaks
    } else if count(NOT_ASKED) > 0 {
        Ready::NotAsked
    } else if count(PRESENTED) > 0 {
        Ready::Ready
    } else {
        Ready::Unknown
    };
    let [presented, declined, not_asked, plaintext, unknown] = tallies;
    ClientRow { client, ready, presented, declined, not_asked, plaintext, unknown }
}
