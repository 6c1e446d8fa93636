//! The report as lines, trouble first: which words, which sign, in which order. What is trouble is
//! [`crate::world::security`]'s to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::mix::{self, Counts, Piece};
use super::why::{self, DAYS};
use crate::model::{Connection, Security, Validity};
use crate::tui::edges::title;
use crate::tui::figures;
use crate::tui::shown::{Edge, Shown};
use crate::tui::theme::Role;
use crate::wire::tls::names;
use crate::world::security::{
    CertificateRow, ClientRow, FailedRow, Given, MixedRow, PlaintextRow, Ready, Report, ServerRow,
    UnexplainedRow, UnknownRow, WeakRow,
};
use crate::world::{EdgeId, EdgeRow, NameTable, WorkloadId};

/// What kind of finding; the order is that of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Handshakes that failed.
    Failed,
    /// A certificate that is not valid any more, or not yet.
    Invalid,
    /// An edge that was better protected before.
    Fallback,
    /// A certificate that expires within days.
    Expiring,
    /// An edge on which nothing is encrypted.
    Plaintext,
    /// An edge whose connections differ.
    Mixed,
    /// Weak parameters.
    Weak,
    /// A certificate that expires within weeks.
    ExpiringLater,
    /// Connections of which it is not known.
    Unknown,
    /// Who would not get in if a server asked for certificates.
    Readiness,
    /// A certificate with time left.
    Valid,
}

/// One row.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What stays the same from second to second.
    pub id: (Kind, String),
    /// A sign before it: `×` failing, `!` look at it, `?` not known, `·` in order.
    pub sign: Piece,
    /// Its kind in a word or two.
    pub label: String,
    /// What it is about.
    pub subject: String,
    /// What is to be said.
    pub words: Vec<Piece>,
    /// The edge that Enter opens.
    pub edge: EdgeId,
}

/// The report of the edges that are shown, with all connections that are at hand.
pub fn report<'a>(
    shown: &Shown,
    connections: impl Iterator<Item = &'a Arc<Connection>>,
    names: &NameTable,
) -> Report {
    let window: Vec<&EdgeRow> = shown.edges.iter().map(|e| &e.row).collect();
    let given = Given {
        names,
        now: shown.now,
        utc: shown.clock.utc,
        weaknesses: names::weakness_names,
        // What is at hand is bounded, and the list scrolls.
        limit: usize::MAX,
        named: usize::MAX,
        window: Some(&window),
    };
    Report::new(connections.map(|c| &**c), &given)
}

/// All lines of a report. Within a kind their order does not hang on figures, which move: by edge,
/// certificates by expiry.
pub fn findings(report: &Report, shown: &Shown) -> Vec<Finding> {
    let mut lines = Lines { shown, findings: Vec::new() };
    by(&report.mixed.rows, |r| &r.edge.id).into_iter().for_each(|r| lines.mixed(r));
    let all_plaintext = |r: &&PlaintextRow| !report.mixed.rows.iter().any(|m| m.edge.id == r.edge.id);
    let plaintext = by(&report.plaintext.rows, |r| &r.edge.id).into_iter();
    plaintext.filter(all_plaintext).for_each(|r| lines.plaintext(r));
    by(&report.failed.rows, |r| (&r.edge.id, why::failure(r.why))).into_iter().for_each(|r| lines.failed(r));
    by(&report.weak.rows, |r| &r.edge.id).into_iter().for_each(|r| lines.weak(r));
    by(&report.unexplained.rows, |r| &r.edge.id).into_iter().for_each(|r| lines.unexplained(r));
    lines.unknown(&report.unknown.rows);
    report.certificates.rows.iter().for_each(|r| lines.certificate(r));
    by(&report.readiness.rows, |r| (&r.server.id, r.port)).into_iter().for_each(|r| lines.server(r));
    lines.findings.sort_by_key(|f| f.id.0);
    lines.findings
}

fn by<'a, T, K: Ord>(rows: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<&'a T> {
    let mut rows: Vec<&T> = rows.iter().collect();
    rows.sort_by_key(|r| key(r));
    rows
}

struct Lines<'a> {
    shown: &'a Shown,
    findings: Vec<Finding>,
}

impl Lines<'_> {
    fn push(&mut self, kind: Kind, edge: &EdgeId, sign: Piece, label: &str, words: Vec<Piece>) {
        let id = (kind, format!("{edge:?}"));
        let (label, subject) = (label.to_owned(), title(edge));
        self.findings.push(Finding { id, sign, label, subject, words, edge: edge.clone() });
    }

    fn traffic(&self, edge: &EdgeId) -> String {
        self.shown.edge(edge).map(traffic).unwrap_or_default()
    }

    fn mixed(&mut self, row: &MixedRow) {
        let id = &row.edge.id;
        if let Some(now) = row.fallback {
            let mut words = vec![text("was "), mix::letter(row.was)];
            words.push(text(format!(" until {}, now ", self.shown.clock.time(row.protected_until))));
            words.push(mix::letter(now));
            words.push(muted(format!("   {}", self.traffic(id))));
            return self.push(Kind::Fallback, id, bad("×"), "fallback", words);
        }
        let mut counts = Counts::default();
        row.statuses.iter().for_each(|s| counts[s.status.index()] = s.tally.count);
        let mut words = Vec::new();
        for (s, share) in mix::percents(&counts) {
            words.push(mix::letter(s));
            words.push(text(format!("{share} ")));
        }
        let total = counts.iter().fold(0u64, |sum, n| sum.saturating_add(*n));
        let mut of = format!("  of {}", connections(total, figures::exact(total)));
        // The strays are what is looked for: when they were last there.
        let plaintext = row.statuses.iter().find(|s| s.status == Security::Plaintext).map(|s| s.tally);
        if let Some(tally) = plaintext.filter(|t| t.seen.known().is_some()) {
            of += &match tally.open {
                true => "   P open now".to_owned(),
                false => format!("   P last seen {}", self.shown.clock.time(tally.seen)),
            };
        }
        words.push(muted(of));
        self.push(Kind::Mixed, id, warn("!"), "mixed", words);
    }

    fn plaintext(&mut self, row: &PlaintextRow) {
        let seen = if row.why.is_empty() { String::new() } else { format!("   {}", row.why) };
        let words = vec![text(self.traffic(&row.edge.id)), muted(seen)];
        self.push(Kind::Plaintext, &row.edge.id, warn("!"), "plaintext", words);
    }

    fn failed(&mut self, row: &FailedRow) {
        let (reason, last) = (why::failure(row.why), self.shown.clock.time(row.tally.opened));
        let when = format!("   {} at hand, last {last}", figures::count(row.tally.count));
        let sign = if row.current { bad("×") } else { warn("×") };
        self.push(Kind::Failed, &row.edge.id, sign, "failed", vec![text(reason), muted(when)]);
        if let Some(f) = self.findings.last_mut() {
            f.id.1 += &format!("{:?}", row.why);
        }
    }

    fn weak(&mut self, row: &WeakRow) {
        let found = names::WEAKNESSES.into_iter().map(|w| w.as_str());
        let found = found.filter(|w| row.weaknesses.iter().any(|(name, _)| name == w));
        let version = row.version.map(names::version);
        let words: Vec<&str> = found.chain(version).chain(row.cipher.and_then(names::cipher)).collect();
        let n = row.tally.count;
        let n = format!("   {} at hand", connections(n, figures::count(n)));
        self.push(Kind::Weak, &row.edge.id, warn("!"), "weak", vec![text(words.join(" · ")), muted(n)]);
    }

    fn unexplained(&mut self, row: &UnexplainedRow) {
        let n = figures::count(row.count);
        if row.status == Security::Failed {
            let words =
                vec![text(format!("{n} in the window")), muted("   none of them is at hand to say why")];
            return self.push(Kind::Failed, &row.edge.id, bad("×"), "failed", words);
        }
        self.push(Kind::Unknown, &row.edge.id, unknown(), "unknown", vec![text(connections(row.count, n))]);
    }

    /// By edge, with all reasons.
    fn unknown(&mut self, rows: &[UnknownRow]) {
        let mut edges: BTreeMap<&EdgeId, Vec<String>> = BTreeMap::new();
        for row in by(rows, |r| &r.reason) {
            for (edge, n) in &row.edges.rows {
                let words = format!("{} × {}", figures::count(*n), row.reason);
                edges.entry(&edge.id).or_default().push(words);
            }
        }
        for (edge, words) in edges {
            self.push(Kind::Unknown, edge, unknown(), "unknown", vec![text(words.join(" · "))]);
        }
    }

    /// A line for each of its owners.
    fn certificate(&mut self, row: &CertificateRow) {
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
            let mut words = vec![text(c.subject.to_string())];
            words.extend(c.spiffe.iter().map(|s| text(format!("  {s}"))));
            words.push(muted(format!("   issuer {}", c.issuer)));
            words.push(muted(format!("   until {}", figures::date(c.not_after))));
            if edges > 1 {
                words.push(muted(format!("   on {edges} edges")));
            }
            self.findings.push(Finding {
                id: (kind, format!("{:x} {owner:?} {}", c.fingerprint, c.subject)),
                sign: sign.clone(),
                label: label.clone(),
                subject: format!("{}{role}", owner.name),
                words,
                edge: edge.clone(),
            });
        }
    }

    /// Who shows a certificate, and a line for each who would not get in.
    fn server(&mut self, row: &ServerRow) {
        let clients = by(&row.clients.rows, |c| &c.client.id);
        let Some(first) = clients.first() else { return };
        let without = |c: &&&ClientRow| matches!(c.ready, Ready::Breaks | Ready::NotAsked);
        let all = row.clients.total();
        let not_known = clients.iter().filter(|c| c.ready == Ready::Unknown).count();
        let presents = if all == 1 { "client always presents" } else { "clients always present" };
        let mut words = vec![text(format!("{} of {all} {presents} a cert", row.ready))];
        if not_known > 0 {
            words.push(muted(format!(", {not_known} not known")));
        }
        let key = format!("{} {}", row.server.id.name, row.port);
        self.findings.push(Finding {
            id: (Kind::Readiness, key.clone()),
            sign: if row.ready == all { ("·".to_owned(), Role::Ok) } else { text("·") },
            label: "strict ready?".to_owned(),
            subject: format!("{} :{}", row.server.id.name, row.port),
            words,
            edge: clients.iter().find(without).unwrap_or(first).edge.clone(),
        });
        for client in clients.iter().filter(without) {
            let words = self.client(client);
            self.findings.push(Finding {
                id: (Kind::Readiness, format!("{key} {:?}", client.client.id)),
                sign: text(""),
                label: String::new(),
                subject: format!("  {}", client.client.id.name),
                words,
                edge: client.edge.clone(),
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
            Some(at) => format!(", last seen {}", self.shown.clock.time(at)),
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

fn text(t: impl Into<String>) -> Piece {
    (t.into(), Role::Text)
}

fn muted(t: impl Into<String>) -> Piece {
    (t.into(), Role::Muted)
}

fn warn(t: &str) -> Piece {
    (t.to_owned(), Role::Warn)
}

fn bad(t: &str) -> Piece {
    (t.to_owned(), Role::Bad)
}

fn unknown() -> Piece {
    ("?".to_owned(), Role::Secured(Security::Unknown))
}

/// `1 connection`, `2 connections`: a count and how it is written.
fn connections(n: u64, written: String) -> String {
    format!("{written} connection{}", if n == 1 { "" } else { "s" })
}

/// `820 req/s`, else connections begun, else those that are open.
fn traffic(e: &Edge) -> String {
    if e.requests > 0 {
        format!("{} req/s", figures::at_least(figures::sig3(e.request_rate), e.undecoded > 0))
    } else if e.rate > 0.0 {
        format!("{} conn/s", figures::sig3(e.rate))
    } else {
        format!("{} open", figures::count(e.open))
    }
}
