//! What is to be said edge by edge: plaintext, mixtures, weak parameters, failures.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::window::{Fallback, Window};
use super::{Around, Between, Level, Report, Tally, Times, Top, Workloads};
use crate::model::{BootNs, Handshake, SECURITIES, Security, Tls};
use crate::world::rows::{EdgeId, EdgeRow};

/// An edge with plaintext connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaintextRow {
    /// Which.
    pub edge: Between,
    /// How many, and when last.
    pub tally: Tally,
    /// What is around the newest.
    pub around: Around,
    /// What was observed of the newest; nothing where none is at hand.
    pub why: Box<str>,
}

/// One verdict's share of an edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusTally {
    /// Which verdict.
    pub status: Security,
    /// How many, and when last.
    pub tally: Tally,
    /// What is around the newest.
    pub around: Around,
}

/// An edge whose connections are not protected alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MixedRow {
    /// Which.
    pub edge: Between,
    /// All its verdicts, in their order.
    pub statuses: Vec<StatusTally>,
    /// By what it is protected since then, where it was better protected before: plaintext where the
    /// newest connection is; in a window whatever is less for some seconds.
    pub fallback: Option<Security>,
    /// How the protected connection that was seen last was protected: by TLS, mutual TLS, what implies
    /// that, or a tunnel.
    pub was: Security,
    /// When that was; 0 = none is at hand to say.
    pub protected_until: BootNs,
}

/// An edge with weak parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeakRow {
    /// Which.
    pub edge: Between,
    /// Connections with any, and when last.
    pub tally: Tally,
    /// Connections by weakness, in the order of their names.
    pub weaknesses: Vec<(&'static str, u64)>,
    /// Version of the newest of them.
    pub version: Option<u16>,
    /// Its cipher suite.
    pub cipher: Option<u16>,
}

/// How a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FailedWhy {
    /// How it ended.
    pub handshake: Handshake,
    /// Alert; `None` where none was sent, or it was encrypted.
    pub alert: Option<u8>,
    /// The client sent it.
    pub by_client: bool,
}

impl FailedWhy {
    /// Of a connection whose handshake failed.
    pub fn of(tls: &Tls) -> Self {
        FailedWhy { handshake: tls.handshake, alert: tls.alert, by_client: tls.alert_by_client }
    }

    /// Whether an alert ended it, readable or not.
    pub fn has_alert(&self) -> bool {
        self.handshake == Handshake::Failed || self.alert.is_some()
    }
}

/// Handshakes of an edge that failed for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRow {
    /// Which edge.
    pub edge: Between,
    /// The reason.
    pub why: FailedWhy,
    /// How many, and when last.
    pub tally: Tally,
    /// The window has failures of this edge; without a window always.
    pub current: bool,
}

/// What the window counts of an edge, and no connection at hand explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnexplainedRow {
    /// Which edge.
    pub edge: Between,
    /// Failed or unknown.
    pub status: Security,
    /// Connections of the window.
    pub count: u64,
}

/// By edge.
#[derive(Default)]
pub(super) struct Edges(BTreeMap<EdgeId, Seen>);

#[derive(Default)]
struct Seen {
    window: Option<Window>,
    statuses: [Tally; 8],
    /// Of the newest connection of each verdict.
    around: [(BootNs, Around); 8],
    /// The newest connection whose protection is known; the worse of two that began together.
    newest: Option<(BootNs, Reverse<Level>)>,
    levels: [Tally; 4],
    plaintext_why: (BootNs, Box<str>),
    weak: Tally,
    weaknesses: BTreeMap<&'static str, u64>,
    weak_newest: (BootNs, Option<u16>, Option<u16>),
    failed: BTreeMap<FailedWhy, Tally>,
}

impl Edges {
    pub(super) fn count(&mut self, row: &EdgeRow, now: BootNs) {
        self.0.entry(row.id.clone()).or_default().window = Some(Window::of(row, now));
    }

    pub(super) fn has(&self, id: &EdgeId) -> bool {
        self.0.contains_key(id)
    }

    pub(super) fn add(&mut self, id: EdgeId, tls: &Tls, at: Times, weaknesses: &[&'static str]) {
        let seen = self.0.entry(id).or_default();
        seen.statuses[tls.status.index()].add(at);
        let around = &mut seen.around[tls.status.index()];
        if at.opened >= around.0 {
            let newest = (at.opened, Around::of(tls));
            if newest > *around {
                *around = newest;
            }
        }
        if let Some(level) = Level::of(tls.status, tls.inherits) {
            seen.levels[level as usize].add(at);
            seen.newest = seen.newest.max(Some((at.opened, Reverse(level))));
        }
        match tls.status {
            Security::Plaintext => {
                let why = tls.evidence.first().cloned().unwrap_or_default();
                let why = (at.opened, why);
                if why > seen.plaintext_why {
                    seen.plaintext_why = why;
                }
            }
            Security::Failed => {
                seen.failed.entry(FailedWhy::of(tls)).or_default().add(at);
            }
            _ => {}
        }
        if !weaknesses.is_empty() {
            seen.weak.add(at);
            seen.weak_newest = seen.weak_newest.max((at.opened, tls.version, tls.cipher));
            for weakness in weaknesses {
                *seen.weaknesses.entry(weakness).or_default() += 1;
            }
        }
    }

    pub(super) fn into_report(self, report: &mut Report, workloads: &Workloads, limit: usize) {
        let (mut plaintext, mut mixed, mut weak, mut failed) = (vec![], vec![], vec![], vec![]);
        let mut unexplained = vec![];
        for (id, seen) in self.0 {
            let edge = workloads.between(id);
            mixed.extend(seen.mixed(&edge));
            for status in [Security::Failed, Security::Unknown] {
                let count = seen.tally(status).count;
                if count > 0 && seen.statuses[status.index()].count == 0 {
                    unexplained.push(UnexplainedRow { edge: edge.clone(), status, count });
                }
            }
            let (current, tally) = (seen.tally(Security::Failed).count > 0, seen.tally(Security::Plaintext));
            let around = seen.around[Security::Plaintext.index()].1.clone();
            failed.extend(seen.failed.into_iter().map(|(why, tally)| {
                let edge = edge.clone();
                FailedRow { edge, why, tally, current }
            }));
            if seen.weak.count > 0 {
                let (_, version, cipher) = seen.weak_newest;
                let weaknesses = seen.weaknesses.into_iter().collect();
                let edge = edge.clone();
                weak.push(WeakRow { edge, tally: seen.weak, weaknesses, version, cipher });
            }
            if tally.count > 0 {
                plaintext.push(PlaintextRow { edge, tally, around, why: seen.plaintext_why.1 });
            }
        }
        // Sorting is stable: edges come in their order.
        plaintext.sort_by_key(|r| Reverse(r.tally.count));
        mixed.sort_by_key(|r| (r.fallback.is_none(), Reverse(r.plaintext())));
        weak.sort_by_key(|r| Reverse(r.tally.count));
        failed.sort_by_key(|r| Reverse(r.tally.count));
        unexplained.sort_by_key(|r| Reverse(r.count));
        report.plaintext = Top::new(plaintext, limit);
        report.mixed = Top::new(mixed, limit);
        report.weak = Top::new(weak, limit);
        report.failed = Top::new(failed, limit);
        report.unexplained = Top::new(unexplained, limit);
    }
}

impl MixedRow {
    fn plaintext(&self) -> u64 {
        self.statuses.iter().find(|s| s.status == Security::Plaintext).map_or(0, |s| s.tally.count)
    }
}

impl Seen {
    /// How many the window counts, else how many there are. What the window saw of them counts for
    /// when, too.
    fn tally(&self, status: Security) -> Tally {
        let mut tally = self.statuses[status.index()];
        let Some(window) = &self.window else { return tally };
        tally.count = window.counts[status.index()];
        if let Some(during) = window.during[status.index()] {
            tally.begun(during.first, during.from_its_start);
            tally.seen = tally.seen.max(during.last);
        }
        tally
    }

    /// `None` where all that is known is protected alike.
    fn mixed(&self, edge: &Between) -> Option<MixedRow> {
        let levels = match &self.window {
            Some(window) => window.levels(),
            None => self.levels.map(|t| t.count),
        };
        let protected = self.protected(&levels);
        let fallback = match &self.window {
            Some(window) => window.fallback,
            None => self.fallback(protected),
        };
        if fallback.is_none() && levels.iter().filter(|n| **n > 0).count() < 2 {
            return None;
        }
        let (was, protected_until) = fallback.map(|f| (f.was, f.until)).or(protected)?;
        let statuses = SECURITIES.into_iter().map(|status| {
            let around = self.around[status.index()].1.clone();
            StatusTally { status, tally: self.tally(status), around }
        });
        Some(MixedRow {
            edge: edge.clone(),
            statuses: statuses.filter(|s| s.tally.count > 0).collect(),
            fallback: fallback.map(|f| f.now),
            was,
            protected_until,
        })
    }

    /// By what it was protected last, and until when.
    fn protected(&self, levels: &[u64; 4]) -> Option<(Security, BootNs)> {
        let there = [Level::Tunnel, Level::Tls, Level::Mtls].into_iter().filter(|l| levels[*l as usize] > 0);
        let (seen, Reverse(level)) = there.map(|l| (self.levels[l as usize].seen, Reverse(l))).max()?;
        let implied = self.tally(Security::Implied).count;
        let was = match level {
            Level::Mtls if levels[Level::Mtls as usize] == implied => Security::Implied,
            level => level.security(),
        };
        Some((was, seen))
    }

    /// Where the newest connection is plaintext.
    fn fallback(&self, protected: Option<(Security, BootNs)>) -> Option<Fallback> {
        let (was, until) = protected?;
        let (_, Reverse(newest)) = self.newest?;
        (newest == Level::Plaintext).then_some(Fallback { was, until, now: Security::Plaintext })
    }
}
