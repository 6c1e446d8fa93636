//! Certificates that were seen: whose they are, and how long they are valid.

use std::collections::{BTreeMap, BTreeSet};

use super::{Given, NAMED, Tally, Times, Top, Workloads};
use crate::model::{Certificate, Tls, Validity};
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
    pub clients: Top<Workload>,
    /// Who presented it as a server, and at which port.
    pub servers: Top<(Workload, u16)>,
    /// In how many connections, and when last.
    pub tally: Tally,
}

/// By fingerprint.
#[derive(Default)]
pub(super) struct Certificates(BTreeMap<u64, Seen>);

#[derive(Default)]
struct Seen {
    certificate: Certificate,
    clients: BTreeSet<WorkloadId>,
    servers: BTreeSet<(WorkloadId, u16)>,
    tally: Tally,
}

impl Certificates {
    pub(super) fn add(&mut self, id: &EdgeId, tls: &Tls, at: Times) {
        if let Some(certificate) = &tls.client {
            self.seen(certificate, at).clients.insert(id.client.clone());
        }
        if let Some(certificate) = &tls.server {
            self.seen(certificate, at).servers.insert((id.server.clone(), id.port));
        }
    }

    fn seen(&mut self, certificate: &Certificate, at: Times) -> &mut Seen {
        let seen = self.0.entry(certificate.fingerprint).or_default();
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
            self.0.into_values().map(|s| (s.certificate.validity(now), s)).collect();
        seen.sort_by_key(|(validity, s)| {
            (matches!(validity, Validity::Valid(_)), s.certificate.not_after, s.certificate.fingerprint)
        });
        let top = Top::new(seen, given.limit);
        let rows = top.rows.into_iter().map(|(validity, s)| {
            let clients = s.clients.iter().map(|id| workloads.told(id)).collect();
            let servers = s.servers.iter().map(|(id, port)| (workloads.told(id), *port)).collect();
            CertificateRow {
                validity,
                certificate: s.certificate,
                clients: Top::new(clients, NAMED),
                servers: Top::new(servers, NAMED),
                tally: s.tally,
            }
        });
        Top { rows: rows.collect(), more: top.more }
    }
}
