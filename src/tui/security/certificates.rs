//! Certificates as lines, one for each of their owners.

use std::collections::BTreeMap;

use super::findings::{Finding, Kind, Lines, bad, muted, text, warn};
use super::why::DAYS;
use crate::model::Validity;
use crate::tui::figures;
use crate::world::security::CertificateRow;
use crate::world::{EdgeId, WorkloadId};

/// Between what is told of one.
const GAP: &str = "   ";

impl Lines<'_> {
    /// A line for each of its owners.
    pub(super) fn certificate(&mut self, row: &CertificateRow) {
        let c = &row.certificate;
        let label = row.validity.to_string();
        let (kind, sign, label) = match row.validity {
            Validity::Expired(d) if d > 9_999 => (Kind::Invalid, bad("×"), "expired >27 y".to_owned()),
            Validity::Expired(_) | Validity::NotYet => (Kind::Invalid, bad("×"), label),
            Validity::Valid(d) if d < DAYS.0 => (Kind::Expiring, bad("!"), label),
            Validity::Valid(d) if d < DAYS.1 => (Kind::ExpiringLater, warn("!"), label),
            Validity::Valid(d) if d > 9_999 => (Kind::Valid, muted("·"), "expires >27 y".to_owned()),
            Validity::Valid(_) => (Kind::Valid, muted("·"), label),
        };
        // A server may have several ports, and be a client elsewhere.
        let mut owners: BTreeMap<&WorkloadId, (&EdgeId, usize, &str)> = BTreeMap::new();
        let clients = row.clients.rows.iter().map(|h| (h, " as client"));
        for (holder, role) in row.servers.rows.iter().map(|h| (h, "")).chain(clients) {
            owners.entry(&holder.workload.id).or_insert((&holder.edge, 0, role)).1 += holder.edges;
        }
        for (owner, (edge, edges, role)) in owners {
            // First of all: one that is not valid matters while it is used.
            let mut words = vec![match row.tally.seen.known() {
                _ if row.tally.open => (format!("in use{GAP}"), sign.1),
                Some(seen) => muted(format!("last seen {}{GAP}", self.at(seen))),
                None => muted(""),
            }];
            words.push(text(c.subject.to_string()));
            words.extend(c.spiffe.iter().map(|s| text(format!("  {s}"))));
            words.push(muted(format!("{GAP}issuer {}", c.issuer)));
            words.push(muted(format!("{GAP}until {}", figures::date(c.not_after))));
            if edges > 1 {
                words.push(muted(format!("{GAP}on {edges} edges")));
            }
            self.findings.push(Finding {
                id: (kind, format!("{:x} {owner:?} {}", c.fingerprint, c.subject)),
                sign: sign.clone(),
                label: label.clone(),
                subject: format!("{}{role}", owner.name),
                words,
                edge: Some(edge.clone()),
            });
        }
    }
}
