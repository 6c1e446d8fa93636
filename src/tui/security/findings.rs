//! The report as lines, trouble first: which words, which sign, in which order. What is trouble is
//! [`crate::world::security`]'s to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::identities::Identities;
use super::mix::{self, Counts, Piece};
use super::why;
use crate::model::{BootNs, Connection, Security};
use crate::tui::edges::title;
use crate::tui::figures;
use crate::tui::shown::{Edge, Shown};
use crate::tui::theme::Role;
use crate::wire::tls::names;
use crate::world::security::{
    FailedRow, Given, MixedRow, PlaintextRow, Report, Tally, UnexplainedRow, UnknownRow, UnlookedRow, WeakRow,
};
use crate::world::{EdgeId, EdgeRow, NameTable};

/// Edges that nobody looked at are named up to so many.
const UNLOOKED: usize = 8;
/// A time of day alone is not of longer ago.
const LONG_AGO_NS: u64 = 20 * 3_600 * 1_000_000_000;

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
    /// Who would not get in if a server asked for certificates.
    Breaks,
    /// Connections of which it is not known.
    Unknown,
    /// An edge that nobody looked at.
    Unlooked,
    /// Who gets in if a server asks for certificates, or may.
    Readiness,
    /// Why there are no certificates, or not all.
    Hidden,
    /// A certificate with time left.
    Valid,
    /// Nothing is wrong.
    Calm,
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
    /// The edge that Enter opens; what is about none opens none.
    pub edge: Option<EdgeId>,
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
pub fn findings(report: &Report, shown: &Shown, identities: &Identities) -> Vec<Finding> {
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
    // Where nobody looked at anything the view says why.
    if report.looked > 0 {
        lines.unlooked(&report.unlooked.rows);
        lines.rest(report, identities);
    }
    lines.findings.sort_by_key(|f| f.id.0);
    lines.findings
}

pub(super) fn by<'a, T, K: Ord>(rows: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<&'a T> {
    let mut rows: Vec<&T> = rows.iter().collect();
    rows.sort_by_key(|r| key(r));
    rows
}

/// The lines, as they are written.
pub(super) struct Lines<'a> {
    pub shown: &'a Shown,
    pub findings: Vec<Finding>,
}

impl Lines<'_> {
    fn push(&mut self, kind: Kind, edge: &EdgeId, sign: Piece, label: &str, words: Vec<Piece>) {
        let id = (kind, format!("{edge:?}"));
        let (label, subject) = (label.to_owned(), title(edge));
        self.findings.push(Finding { id, sign, label, subject, words, edge: Some(edge.clone()) });
    }

    fn traffic(&self, edge: &EdgeId) -> String {
        self.shown.edge(edge).map(traffic).unwrap_or_default()
    }

    fn mixed(&mut self, row: &MixedRow) {
        let id = &row.edge.id;
        if let Some(now) = row.fallback {
            let mut words = vec![text("was "), mix::letter(row.was)];
            words.push(text(format!(" until {}, now ", self.at(row.protected_until))));
            words.push(mix::letter(now));
            let around = row.statuses.iter().find(|s| s.status == now).filter(|s| !s.around.is_empty());
            words.extend(around.map(|s| text(format!(" {}", s.around))));
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
        if let Some(last) = words.last_mut() {
            last.0.truncate(last.0.trim_end().len());
        }
        for s in row.statuses.iter().filter(|s| !s.around.is_empty()) {
            words.push(text("   "));
            words.push(mix::letter(s.status));
            words.push(text(format!(" {}", s.around)));
        }
        let total = counts.iter().fold(0u64, |sum, n| sum.saturating_add(*n));
        // The strays are what is looked for: when they were last there.
        let plaintext = row.statuses.iter().find(|s| s.status == Security::Plaintext).map(|s| s.tally);
        if let Some(tally) = plaintext.filter(|t| t.seen.known().is_some()) {
            words.push(muted(match tally.open {
                true => "   P open now".to_owned(),
                false => format!("   P last seen {}", self.at(tally.seen)),
            }));
        }
        words.push(muted(format!("   of {}", connections(total, figures::exact(total)))));
        self.push(Kind::Mixed, id, warn("!"), "mixed", words);
    }

    fn plaintext(&mut self, row: &PlaintextRow) {
        let mut words = vec![text(self.traffic(&row.edge.id))];
        words.extend(self.since(&row.tally).map(|since| text(format!("   {since}"))));
        if !row.around.is_empty() {
            words.push(text(format!("   {}", row.around)));
        }
        if !row.why.is_empty() {
            words.push(muted(format!("   {}", row.why)));
        }
        self.push(Kind::Plaintext, &row.edge.id, warn("!"), "plaintext", words);
    }

    /// `since 14:01:10`, and `last 14:03:01` where none is open or was there just now.
    fn since(&self, tally: &Tally) -> Option<String> {
        let before = if tally.before { "before " } else { "" };
        let since = format!("since {before}{}", self.at(tally.first.known()?));
        Some(match tally.seen.known() {
            Some(seen) if !tally.open && seen < self.shown.now => format!("{since}, last {}", self.at(seen)),
            _ => since,
        })
    }

    /// A time of day, with its date where it is not of the last hours.
    pub(super) fn at(&self, at: BootNs) -> String {
        let time = self.shown.clock.time(at);
        let long_ago = self.shown.now.since(at) > LONG_AGO_NS;
        if long_ago { format!("{} {time}", self.shown.clock.date(at)) } else { time }
    }

    /// The first of those that nobody looked at, and how many more there are.
    fn unlooked(&mut self, rows: &[UnlookedRow]) {
        for row in rows.iter().take(UNLOOKED) {
            self.push(Kind::Unlooked, &row.edge.id, unknown(), "not looked at", vec![text(&*row.why)]);
        }
        if let Some(next) = rows.get(UNLOOKED) {
            let more = format!("and {} more edges", rows.len() - UNLOOKED);
            self.push(Kind::Unlooked, &next.edge.id, unknown(), "not looked at", vec![muted(more)]);
            self.findings.last_mut().into_iter().for_each(|f| f.subject.clear());
        }
    }

    /// What is about no edge: certificates that are missing; that nothing is wrong.
    fn rest(&mut self, report: &Report, identities: &Identities) {
        let calm = self.findings.is_empty();
        let mut note = |kind, sign: &str, label: &str, words| {
            let (sign, label) = (muted(sign), label.to_owned());
            let id = (kind, String::new());
            self.findings.push(Finding { id, sign, label, subject: String::new(), words, edge: None });
        };
        if calm {
            note(Kind::Calm, "○", "", vec![muted("nothing to complain about")]);
        }
        if let Some(words) = identities.say(report) {
            note(Kind::Hidden, "·", "certificates", vec![muted(words)]);
        }
    }

    fn failed(&mut self, row: &FailedRow) {
        let (reason, last) = (why::failure(row.why), self.at(row.tally.opened));
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
}

pub(super) fn text(t: impl Into<String>) -> Piece {
    (t.into(), Role::Text)
}

pub(super) fn muted(t: impl Into<String>) -> Piece {
    (t.into(), Role::Muted)
}

pub(super) fn warn(t: &str) -> Piece {
    (t.to_owned(), Role::Warn)
}

pub(super) fn bad(t: &str) -> Piece {
    (t.to_owned(), Role::Bad)
}

pub(super) fn unknown() -> Piece {
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
