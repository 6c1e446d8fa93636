//! What the slices of a window counted of an edge: all of its connections, while a viewer has only so
//! many of them at hand.

use super::Level;
use crate::model::{BootNs, SECURITIES, Security};
use crate::world::rows::{EdgeRow, Point};

/// Without the better protection for so many seconds an edge fell back; less may be chance.
const FALLBACK_S: usize = 5;
const SECOND_NS: u64 = 1_000_000_000;

/// An edge in the window.
pub(super) struct Window {
    /// Its connections by verdict; none where nobody looked.
    pub counts: [u64; 8],
    /// In which of its seconds they were there.
    pub during: [Option<During>; 8],
    /// Whether it was better protected before.
    pub fallback: Option<Fallback>,
}

/// From the first second to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct During {
    pub first: BootNs,
    pub last: BootNs,
    /// The first is the window's first: there may have been some before.
    pub from_its_start: bool,
}

/// Protected less than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fallback {
    pub was: Security,
    pub until: BootNs,
    pub now: Security,
}

impl Window {
    pub(super) fn of(row: &EdgeRow, now: BootNs) -> Self {
        match row.secured() {
            Some(counts) => Window {
                counts,
                during: SECURITIES.map(|s| during(&row.trend, s, now)),
                fallback: fallback(&row.trend, now),
            },
            None => Window { counts: [0; 8], during: [None; 8], fallback: None },
        }
    }

    /// Connections by what protects them, at [`Level`]; resumed ones are in none, for what they
    /// inherit is not counted.
    pub(super) fn levels(&self) -> [u64; 4] {
        let mut levels = [0u64; 4];
        for status in SECURITIES {
            if let Some(level) = Level::of(status, None) {
                levels[level as usize] += self.counts[status.index()];
            }
        }
        levels
    }
}

/// Of seconds, the oldest first, of which the last ends now.
fn during(trend: &[Point], security: Security, now: BootNs) -> Option<During> {
    let there = |p: &Point| p.secured & 1 << security.index() != 0;
    let (first, last) = (trend.iter().position(there)?, trend.iter().rposition(there)?);
    let ago = |seconds: usize| BootNs(now.0.saturating_sub(seconds as u64 * SECOND_NS));
    let (begin, end) = (trend.len() - first, trend.len() - last - 1);
    Some(During { first: ago(begin), last: ago(end), from_its_start: first == 0 })
}

/// What a second's connections were protected by at best. Resumed sessions, failures and what is not
/// known say nothing.
fn best(point: &Point) -> Option<(Level, Security)> {
    // Where both are there, mutual TLS is what was seen; what is implied comes before it in this list.
    let there = [Security::Plaintext, Security::Tunnel, Security::Tls, Security::Implied, Security::Mtls];
    let there = there.into_iter().filter(|s| point.secured & 1 << s.index() != 0);
    there.filter_map(|s| Some((Level::of(s, None)?, s))).max_by_key(|s| s.0)
}

/// Of seconds, the oldest first, of which the last ends now.
fn fallback(trend: &[Point], now: BootNs) -> Option<Fallback> {
    let seconds: Vec<Option<(Level, Security)>> = trend.iter().map(best).collect();
    let level = seconds.iter().flatten().map(|s| s.0).max()?;
    let last = seconds.iter().rposition(|s| s.is_some_and(|s| s.0 == level))?;
    let after = trend.get(last + 1..)?;
    let resumed = after.iter().any(|p| p.secured & 1 << Security::Resumed.index() != 0);
    let weaker: Vec<Security> = seconds.iter().skip(last + 1).flatten().map(|s| s.1).collect();
    if resumed || weaker.len() < FALLBACK_S {
        return None;
    }
    let (was, now_is) = (seconds.get(last).copied().flatten()?.1, *weaker.last()?);
    let until = BootNs(now.0.saturating_sub(after.len() as u64 * SECOND_NS));
    Some(Fallback { was, until, now: now_is })
}
