//! Strict readiness as lines: who would not get in if a server required client certificates.

use super::findings::{Finding, Kind, Lines, by, muted, text, warn};
use super::mix::{self, Piece};
use crate::model::Security;
use crate::tui::figures;
use crate::tui::theme::Role;
use crate::world::security::{ClientRow, Ready, ServerRow};

impl Lines<'_> {
    /// Who shows a certificate, and a line for each who would not get in.
    pub(super) fn server(&mut self, row: &ServerRow) {
        let clients = by(&row.clients.rows, |c| &c.client.id);
        let Some(first) = clients.first() else { return };
        let without = |c: &&&ClientRow| matches!(c.ready, Ready::Breaks | Ready::NotAsked);
        let all = row.clients.total();
        let not_known = clients.iter().filter(|c| c.ready == Ready::Unknown).count();
        let presents = if all == 1 { "client always presents" } else { "clients always present" };
        let mut words = Vec::new();
        // In the order of trouble, in its colour, and in words.
        let kind = if row.breaks > 0 { Kind::Breaks } else { Kind::Readiness };
        if row.breaks > 0 {
            words.push((format!("{} would break", row.breaks), Role::Warn));
            words.push(muted(" · "));
        }
        words.push(text(format!("{} of {all} {presents} a cert", row.ready)));
        if not_known > 0 {
            words.push(muted(format!(", {not_known} not known")));
        }
        let key = format!("{} {}", row.server.id.name, row.port);
        self.findings.push(Finding {
            id: (kind, key.clone()),
            sign: match kind {
                Kind::Breaks => warn("!"),
                _ if row.ready == all => ("·".to_owned(), Role::Ok),
                _ => text("·"),
            },
            label: "strict ready?".to_owned(),
            subject: format!("{} :{}", row.server.id.name, row.port),
            words,
            edge: clients.iter().find(without).unwrap_or(first).edge.clone().into(),
        });
        for client in clients.iter().filter(without) {
            let words = self.client(client);
            let (sign, label) = match client.ready {
                Ready::Breaks => (warn("!"), "would break"),
                _ => (text(""), ""),
            };
            self.findings.push(Finding {
                id: (kind, format!("{key} {:?}", client.client.id)),
                sign,
                label: label.to_owned(),
                subject: format!("  {}", client.client.id.name),
                words,
                edge: Some(client.edge.clone()),
            });
        }
    }

    /// How it came without a certificate, when last, and how often.
    fn client(&self, row: &ClientRow) -> Vec<Piece> {
        let without = row.without();
        let edge = self.shown.edge(&row.edge);
        let kinds = [
            (&row.plaintext, Security::Plaintext, " plaintext"),
            (&row.declined, Security::Tls, " asked, sent none"),
            (&row.not_asked, Security::Tls, " not asked"),
        ];
        // As the newest of them.
        let newest = kinds.into_iter().filter(|k| k.0.count > 0).max_by_key(|k| (k.0.seen, k.0.opened));
        let (status, how) = match newest {
            // Nothing at hand says whether it was asked.
            Some((tally, Security::Tls, _)) if tally.seen.known().is_none() => (Security::Tls, " sent none"),
            Some((_, status, how)) => (status, how),
            None => (Security::Unknown, " sent none"),
        };
        let when = match without.seen.known().or(edge.and_then(|e| e.active)) {
            _ if without.open => ", open now".to_owned(),
            Some(at) => format!(", last seen {}", self.at(at)),
            None => String::new(),
        };
        // The window counts nothing of an edge that fell silent.
        let (all, place) = match edge.and_then(|e| e.secured) {
            Some(counts) => (counts.iter().fold(0, |sum: u64, n| sum.saturating_add(*n)), ""),
            None => (without.count.saturating_add(row.presented.count), " at hand"),
        };
        let n = format!(", {} of {}{place}", figures::exact(without.count), figures::exact(all));
        vec![mix::letter(status), text(how), muted(when + &n)]
    }
}
