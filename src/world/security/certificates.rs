//! Certificates that were seen: whose they are, and how long they are valid.

use std::collections::{BTreeMap, BTreeSet};

use super::{Given, Tally, Times, Top, Workloads};
use crate::model::{Certificate, Security, Tls, Validity};
use crate::world::names::{Workload, WorkloadId};
use crate::world::rows::EdgeId;

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRow {
    /// What it says.
    pub certificate: Certificate,
    /// At the report's time.
    pub validity: Validity,
    /// Who presented it as a client.
    pub clients: Top<Holder>,
    /// Who presented it as a server, by port.
    pub servers: Top<Holder>,
    /// In how many connections, and when last.
    pub tally: Tally,
}

/// Who presented a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Who.
    pub workload: Workload,
    /// The first of the edges on which it did.
    pub edge: EdgeId,
    /// So many there are.
    pub edges: usize,
}

/// TLS 1.3 on the wire (RFC 8446, section 4.2.1).
const TLS_1_3: u16 = 0x0304;

/// By fingerprint.
#[derive(Default)]
pub(super) struct Certificates {
    seen: BTreeMap<u64, Seen>,
    /// Handshakes that hid theirs.
    pub hidden: u64,
}

#[derive(Default)]
struct Seen {
    certificate: Certificate,
    clients: BTreeMap<WorkloadId, BTreeSet<EdgeId>>,
    servers: BTreeMap<(WorkloadId, u16), BTreeSet<EdgeId>>,
    tally: Tally,
}

impl Certificates {
    pub(super) fn add(&mut self, id: &EdgeId, tls: &Tls, at: Times) {
        if let Some(certificate) = &tls.client {
            self.seen(certificate, at).clients.entry(id.client.clone()).or_default().insert(id.clone());
        }
        if let Some(certificate) = &tls.server {
            let server = (id.server.clone(), id.port);
            self.seen(certificate, at).servers.entry(server).or_default().insert(id.clone());
        }
        // Of these the server at least showed one; a session that is resumed shows none.
        let full = matches!(tls.status, Security::Tls | Security::Mtls | Security::Implied);
        let unread = tls.client.is_none() && tls.server.is_none();
        if full && unread && tls.resumed.is_none() && tls.version == Some(TLS_1_3) {
            self.hidden += 1;
        }
    }

    fn seen(&mut self, certificate: &Certificate, at: Times) -> &mut Seen {
        let seen = self.seen.entry(certificate.fingerprint).or_default();
        if seen.tally.count == 0 {
            seen.certificate = certificate.clone();
        }
        // The same one may be sent with more or fewer others.
        seen.certificate.chain = seen.certificate.chain.max(certificate.chain);
        seen.tally.add(at);
        seen
    }

    pub(super) fn rows(self, workloads: &Workloads, given: &Given<'_>) -> Top<CertificateRow> {
        let now = i64::try_from(given.utc.unix_ns(given.now) / 1_000_000_000).unwrap_or(i64::MAX);
        let mut seen: Vec<(Validity, Seen)> =
            self.seen.into_values().map(|s| (s.certificate.validity(now), s)).collect();
        seen.sort_by_key(|(validity, s)| {
            (matches!(validity, Validity::Valid(_)), s.certificate.not_after, s.certificate.fingerprint)
        });
        let top = Top::new(seen, given.limit);
        let rows = top.rows.into_iter().map(|(validity, s)| {
            let holder = |id: &WorkloadId, edges: BTreeSet<EdgeId>| {
                let of = edges.len();
                let edge = edges.into_iter().next()?;
                Some(Holder { workload: workloads.told(id), edge, edges: of })
            };
            let clients = s.clients.into_iter().filter_map(|(id, edges)| holder(&id, edges));
            let servers = s.servers.into_iter().filter_map(|((id, _), edges)| holder(&id, edges));
            CertificateRow {
                validity,
                certificate: s.certificate,
                clients: Top::new(clients.collect(), given.named),
                servers: Top::new(servers.collect(), given.named),
                tally: s.tally,
            }
        });
        Top { rows: rows.collect(), more: top.more }
    }
}
