//! What is to be said of the security of all edges, trouble first: a pure function of the edges that
//! are shown and of the connections that are at hand.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::mix::{self, Counts, Piece, gravity};
use super::why::{self, DAYS};
use crate::model::{
    BootNs, Certificate, ClientCert, Connection, Inherits, NameKind, SECURITIES, Security, Tls, Transport,
    Validity,
};
use crate::tui::edges::title;
use crate::tui::figures;
use crate::tui::shown::{Edge, Shown};
use crate::tui::theme::Role;
use crate::wire::tls::names::{self, Weakness};
use crate::world::{EdgeId, NameTable, WorkloadId};

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

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Connections of the window by their security, over all edges.
    pub counts: Counts,
    /// Edges that were looked at.
    pub looked: usize,
    /// TCP edges that were not.
    pub unlooked: usize,
    /// The findings, trouble first.
    pub findings: Vec<Finding>,
}

/// Connections with a verdict, by edge.
type ByEdge<'a> = HashMap<EdgeId, Vec<(&'a Arc<Connection>, &'a Tls)>>;

/// Without the better protection for so many seconds an edge fell back; less may be chance.
const FALLBACK_S: usize = 5;

impl Report {
    /// Of the edges that are shown and of all connections that are at hand.
    pub fn new<'a>(
        shown: &Shown,
        connections: impl Iterator<Item = &'a Arc<Connection>>,
        names: &NameTable,
    ) -> Report {
        let mut by_edge: ByEdge<'_> = HashMap::new();
        for c in connections {
            if let Some(tls) = &c.tls {
                by_edge.entry(edge_of(c, names)).or_default().push((c, tls));
            }
        }
        let mut report = Report::default();
        let mut certificates = Certificates::default();
        for e in &shown.edges {
            let at_hand = by_edge.get(e.id()).map_or(&[][..], Vec::as_slice);
            match &e.secured {
                Some(counts) => {
                    report.looked += 1;
                    mix::add(&mut report.counts, counts);
                    report.state(shown, e, counts, at_hand);
                }
                None if e.id().transport == Transport::Tcp && !e.is_idle() => report.unlooked += 1,
                None => {}
            }
            report.failed(shown, e, at_hand);
            report.weak(e, at_hand);
            report.unknown(e, at_hand);
            certificates.add(e.id(), at_hand);
        }
        certificates.tell(shown, &mut report.findings);
        readiness(shown, &by_edge, &mut report.findings);
        // Within a kind in the order in which they were found: by name, certificates by expiry.
        report.findings.sort_by_key(|f| f.id.0);
        report
    }

    fn push(&mut self, kind: Kind, e: &Edge, sign: Piece, label: &str, words: Vec<Piece>) {
        let id = (kind, format!("{:?}", e.id()));
        let (label, subject) = (label.to_owned(), title(e));
        self.findings.push(Finding { id, sign, label, subject, words, edge: e.id().clone() });
    }

    /// Plaintext, mixed, fallen back.
    fn state(&mut self, shown: &Shown, e: &Edge, counts: &Counts, at_hand: &[(&Arc<Connection>, &Tls)]) {
        let n = |s: Security| counts[s.index()];
        if let Some((was, until, now)) = fallback(shown, e) {
            let mut words = vec![text("was "), mix::letter(was)];
            words.push(text(format!(" until {}, now ", shown.clock.time(until))));
            words.push(mix::letter(now));
            words.push(muted(format!("   {}", traffic(e))));
            self.push(Kind::Fallback, e, bad("×"), "fallback", words);
            return;
        }
        let strength = [
            n(Security::Plaintext),
            n(Security::Tls),
            n(Security::Mtls) + n(Security::Implied) + n(Security::Tunnel),
        ];
        let kinds = strength.iter().filter(|n| **n > 0).count();
        if kinds > 1 {
            let mut words = Vec::new();
            for (s, share) in mix::percents(counts) {
                words.push(mix::letter(s));
                words.push(text(format!("{share} ")));
            }
            let total = counts.iter().fold(0u64, |sum, n| sum.saturating_add(*n));
            words.push(muted(format!("  of {} connections", figures::exact(total))));
            self.push(Kind::Mixed, e, warn("!"), "mixed", words);
        } else if strength[0] > 0 {
            let newest = at_hand.iter().filter(|c| c.1.status == Security::Plaintext);
            let seen = newest.max_by_key(|c| c.0.opened()).and_then(|c| c.1.evidence.last());
            let seen = seen.map_or_else(String::new, |s| format!("   {s}"));
            self.push(Kind::Plaintext, e, warn("!"), "plaintext", vec![text(traffic(e)), muted(seen)]);
        }
    }

    fn failed(&mut self, shown: &Shown, e: &Edge, at_hand: &[(&Arc<Connection>, &Tls)]) {
        // By reason: how many, and when the last one was.
        let mut reasons: BTreeMap<String, (u64, BootNs)> = BTreeMap::new();
        for (c, tls) in at_hand.iter().filter(|c| c.1.status == Security::Failed) {
            let reason = reasons.entry(why::failure(tls)).or_default();
            *reason = (reason.0 + 1, reason.1.max(c.opened()));
        }
        let counted = e.secured.map_or(0, |c| c[Security::Failed.index()]);
        if reasons.is_empty() && counted > 0 {
            let words = vec![
                text(format!("{} in the window", figures::count(counted))),
                muted("   none of them is at hand to say why"),
            ];
            return self.push(Kind::Failed, e, bad("×"), "failed", words);
        }
        for (reason, (n, last)) in reasons {
            let when = format!("   {} at hand, last {}", figures::count(n), shown.clock.time(last));
            let sign = if counted > 0 { bad("×") } else { warn("×") };
            self.push(Kind::Failed, e, sign, "failed", vec![text(reason.clone()), muted(when)]);
            if let Some(f) = self.findings.last_mut() {
                f.id.1 += &reason;
            }
        }
    }

    fn weak(&mut self, e: &Edge, at_hand: &[(&Arc<Connection>, &Tls)]) {
        let mut found: BTreeMap<Weakness, (u64, &Tls)> = BTreeMap::new();
        for (_, tls) in at_hand {
            for weak in names::weaknesses(tls) {
                found.entry(weak).or_insert((0, tls)).0 += 1;
            }
        }
        let Some((_, (_, tls))) = found.first_key_value() else { return };
        let mut words: Vec<String> = found.keys().map(|w| w.as_str().to_owned()).collect();
        words.push(tls.version.map_or("", names::version).to_owned());
        words.push(tls.cipher.and_then(names::cipher).unwrap_or_default().to_owned());
        words.retain(|w| !w.is_empty());
        let n = found.values().map(|f| f.0).max().unwrap_or(0);
        let n = format!("   {} connection{} at hand", figures::count(n), if n == 1 { "" } else { "s" });
        self.push(Kind::Weak, e, warn("!"), "weak", vec![text(words.join(" · ")), muted(n)]);
    }

    fn unknown(&mut self, e: &Edge, at_hand: &[(&Arc<Connection>, &Tls)]) {
        let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, tls) in at_hand.iter().filter(|c| c.1.status == Security::Unknown) {
            *reasons.entry(tls.unknown.as_deref().unwrap_or("not decided yet")).or_default() += 1;
        }
        let counted = e.secured.map_or(0, |c| c[Security::Unknown.index()]);
        if reasons.is_empty() && counted == 0 {
            return;
        }
        let mut words: Vec<String> =
            reasons.into_iter().map(|(why, n)| format!("{} × {why}", figures::count(n))).collect();
        if words.is_empty() {
            words.push(format!("{} connections", figures::count(counted)));
        }
        let sign = ("?".to_owned(), Role::Secured(Security::Unknown));
        self.push(Kind::Unknown, e, sign, "unknown", vec![text(words.join(" · "))]);
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

/// The edge that a connection is of.
fn edge_of(c: &Connection, names: &NameTable) -> EdgeId {
    EdgeId {
        client: names.workload(c.client.entity).id,
        server: names.workload(c.server.entity).id,
        port: c.server.address.port,
        transport: c.transport,
        role_known: c.role_known,
    }
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

/// How strong the strongest of a second's kinds is, and which: resumed sessions, failures and what is
/// not known say nothing.
fn strongest(bits: u8) -> Option<(u8, Security)> {
    let strength = |s| match s {
        Security::Plaintext => Some(0),
        Security::Tls => Some(1),
        Security::Mtls | Security::Implied | Security::Tunnel => Some(2),
        Security::Unknown | Security::Resumed | Security::Failed => None,
    };
    let here = SECURITIES.into_iter().filter(|s| bits & 1 << s.index() != 0);
    here.filter_map(|s| Some((strength(s)?, s))).max_by_key(|s| s.0)
}

/// What an edge was, until when, and what it is since then, where that is less.
fn fallback(shown: &Shown, e: &Edge) -> Option<(Security, BootNs, Security)> {
    let points = &e.row.trend;
    let seconds: Vec<Option<(u8, Security)>> = points.iter().map(|p| strongest(p.secured)).collect();
    let best = seconds.iter().flatten().map(|s| s.0).max()?;
    let last = seconds.iter().rposition(|s| s.is_some_and(|s| s.0 == best))?;
    let after = || points.iter().skip(last + 1);
    let resumed = after().any(|p| p.secured & 1 << Security::Resumed.index() != 0);
    let weaker = || seconds.iter().skip(last + 1).flatten();
    if resumed || weaker().count() < FALLBACK_S {
        return None;
    }
    let seconds_ago = (points.len() - 1 - last) as u64;
    let until = BootNs(shown.now.0.saturating_sub(seconds_ago * 1_000_000_000));
    Some((seconds[last]?.1, until, weaker().last()?.1))
}

/// Each certificate once, with who showed it.
#[derive(Default)]
struct Certificates<'a>(BTreeMap<(i64, u64, WorkloadId), Shows<'a>>);

struct Shows<'a> {
    certificate: &'a Certificate,
    edge: EdgeId,
    edges: Vec<EdgeId>,
    is_client: bool,
}

impl<'a> Certificates<'a> {
    fn add(&mut self, edge: &EdgeId, at_hand: &[(&'a Arc<Connection>, &'a Tls)]) {
        for (_, tls) in at_hand {
            for (certificate, owner, is_client) in
                [(&tls.client, &edge.client, true), (&tls.server, &edge.server, false)]
            {
                let Some(c) = certificate.as_deref() else { continue };
                let shows = self.0.entry((c.not_after, c.fingerprint, owner.clone())).or_insert_with(|| {
                    Shows { certificate: c, edge: edge.clone(), edges: Vec::new(), is_client }
                });
                if !shows.edges.contains(edge) {
                    shows.edges.push(edge.clone());
                }
            }
        }
    }

    /// By expiry: their order in the map.
    fn tell(self, shown: &Shown, findings: &mut Vec<Finding>) {
        let now = shown.clock.unix(shown.now);
        for ((_, fingerprint, owner), shows) in self.0 {
            let c = shows.certificate;
            let (kind, sign, label) = match c.validity(now) {
                Validity::Expired(days) => (Kind::Invalid, bad("×"), format!("expired {days} d")),
                Validity::NotYet => (Kind::Invalid, bad("×"), "not yet valid".to_owned()),
                Validity::Valid(d) => {
                    let label = format!("expires {d} d");
                    match d {
                        d if d < DAYS.0 => (Kind::Expiring, bad("!"), label),
                        d if d < DAYS.1 => (Kind::ExpiringLater, warn("!"), label),
                        d if d > 9_999 => (Kind::Valid, muted("·"), "expires > 27 y".to_owned()),
                        _ => (Kind::Valid, muted("·"), label),
                    }
                }
            };
            let mut words = vec![text(c.subject.to_string())];
            words.extend(c.spiffe.iter().map(|s| text(format!("  {s}"))));
            words.push(muted(format!("   issuer {}", c.issuer)));
            words.push(muted(format!("   until {}", figures::date(c.not_after))));
            if shows.edges.len() > 1 {
                words.push(muted(format!("   on {} edges", shows.edges.len())));
            }
            let role = if shows.is_client { " as client" } else { "" };
            findings.push(Finding {
                id: (kind, format!("{fingerprint:x} {owner:?} {}", c.subject)),
                sign,
                label,
                subject: format!("{}{role}", owner.name),
                words,
                edge: shows.edge,
            });
        }
    }
}

/// What a client shows a server.
enum Shows3 {
    Certificate,
    /// Since when it was last seen without, how, in how many connections of the window.
    None(BootNs, Security, ClientCert, u64),
    NotKnown,
}

fn shows(e: &Edge, counts: &Counts, at_hand: &[(&Arc<Connection>, &Tls)]) -> Shows3 {
    let n = |s: Security| counts[s.index()];
    let without = |tls: &Tls| match tls.status {
        Security::Plaintext | Security::Tls => true,
        Security::Resumed => tls.inherits == Some(Inherits::Tls),
        _ => false,
    };
    let newest = at_hand.iter().filter(|c| without(c.1)).max_by_key(|c| c.0.opened());
    let weak = n(Security::Plaintext) + n(Security::Tls);
    if let Some((c, tls)) = newest.filter(|c| weak > 0 || c.1.status == Security::Resumed) {
        let n = weak.max(u64::from(tls.status == Security::Resumed));
        // One that is open is without it now; of the others their end.
        return Shows3::None(c.closed(), tls.status, tls.client_cert, n);
    }
    if weak > 0 {
        let status = if n(Security::Tls) > 0 { Security::Tls } else { Security::Plaintext };
        let last = e.active.unwrap_or_default();
        return Shows3::None(last, status, ClientCert::Unknown, weak);
    }
    let resumed = at_hand.iter().any(|c| c.1.inherits == Some(Inherits::Mtls));
    if n(Security::Mtls) + n(Security::Implied) > 0 || resumed {
        Shows3::Certificate
    } else {
        Shows3::NotKnown
    }
}

/// Of each server that speaks TLS: who shows a certificate, and who would not get in.
fn readiness(shown: &Shown, by_edge: &ByEdge<'_>, findings: &mut Vec<Finding>) {
    // What a far server may require is not for this side to decide.
    let is_far = |w: &WorkloadId| matches!(w.kind, NameKind::Address | NameKind::Dns | NameKind::Folded);
    let mut servers: BTreeMap<(&WorkloadId, u16), Vec<(&Edge, Counts)>> = BTreeMap::new();
    let own = |e: &&Edge| e.id().transport == Transport::Tcp && !is_far(&e.id().server);
    for e in shown.edges.iter().filter(own) {
        if let Some(counts) = e.secured {
            servers.entry((&e.id().server, e.id().port)).or_default().push((e, counts));
        }
    }
    for ((server, port), edges) in servers {
        let is_tls = |c: &Counts| {
            let spoken = [Security::Tls, Security::Mtls, Security::Resumed, Security::Implied];
            spoken.into_iter().any(|s| c[s.index()] > 0)
        };
        let Some(first) = edges.first().filter(|_| edges.iter().any(|e| is_tls(&e.1))) else { continue };
        let (mut with, mut not_known) = (0, 0);
        let mut rows = Vec::new();
        let key = format!("{} {port}", server.name);
        for (e, counts) in &edges {
            let at_hand = by_edge.get(e.id()).map_or(&[][..], Vec::as_slice);
            match shows(e, counts, at_hand) {
                Shows3::Certificate => with += 1,
                Shows3::NotKnown => not_known += 1,
                Shows3::None(last, status, certificate, n) => {
                    let how = match (status, certificate) {
                        (Security::Plaintext, _) => " plaintext",
                        (_, ClientCert::Declined) => " asked, sent none",
                        (_, ClientCert::NotAsked) => " not asked",
                        _ => " sent none",
                    };
                    let when = match last.known() {
                        Some(at) => format!(", last seen {}", shown.clock.time(at)),
                        None => ", open now".to_owned(),
                    };
                    let all = counts.iter().fold(0u64, |sum, n| sum.saturating_add(*n));
                    let n = format!(", {} of {}", figures::exact(n), figures::exact(all.max(n)));
                    rows.push(Finding {
                        id: (Kind::Readiness, format!("{key} {:?}", e.id().client)),
                        sign: text(""),
                        label: String::new(),
                        subject: format!("  {}", e.id().client.name),
                        words: vec![mix::letter(status), text(how), muted(when + &n)],
                        edge: e.id().clone(),
                    });
                }
            }
        }
        let all = edges.len();
        let clients = if all == 1 { "client always presents" } else { "clients always present" };
        let mut words = vec![text(format!("{with} of {all} {clients} a cert"))];
        if not_known > 0 {
            words.push(muted(format!(", {not_known} not known")));
        }
        let ready = with == all;
        findings.push(Finding {
            id: (Kind::Readiness, key),
            sign: if ready { ("·".to_owned(), Role::Ok) } else { text("·") },
            label: "strict ready?".to_owned(),
            subject: format!("{} :{port}", server.name),
            words,
            edge: rows.first().map_or_else(|| first.0.id().clone(), |r| r.edge.clone()),
        });
        findings.extend(rows);
    }
}

/// The gravest of what an edge has, for ordering.
pub fn gravest(counts: &Counts) -> u8 {
    let there = SECURITIES.into_iter().filter(|s| counts[s.index()] > 0);
    there.map(gravity).min().unwrap_or(u8::MAX)
}
