//! What a resumed session inherits: the full handshake that it began with.
//!
//! Up to TLS 1.2 the session itself is named, by its id or its ticket. In TLS 1.3 that is encrypted when it
//! is issued, so it is who asks whom by which name; where that client had handshakes of both kinds, lengths
//! decide: a ticket's record is longer than the identity that is offered later by a number of bytes that
//! each TLS library has, and a ticket with a certificate in it is longer than one without.

use std::collections::{HashMap, VecDeque};

use super::tracked::Tracked;
use crate::model::{BootNs, EntityId, Inherits, StableHasher, Tls, View};
use crate::wire::tls::Sessions;

/// Full handshakes that are remembered; beyond it the oldest is forgotten.
const REMEMBERED: usize = 16_384;
/// Resumed sessions that wait for their full handshake, and for how long: what is said at two ends is not
/// read in the order in which it was.
const WAITING: usize = 1024;
const WAIT_NS: u64 = 3_000_000_000;
/// Lengths of records that are remembered of each kind.
const TICKETS: usize = 8;
/// A record with a NewSessionTicket is longer than the ticket by so many bytes: Go, wolfSSL, s2n, GnuTLS,
/// OpenSSL, Erlang, Java.
const ISSUED: [u16; 7] = [34, 35, 36, 38, 42, 50, 51];

/// What links one handshake to others.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// By the client's owner, and by its address: who asks whom by which name.
    by_name: [Option<u64>; 2],
    /// The session that it used, where that is known.
    used: Option<u64>,
    sessions: Sessions,
}

/// A resumed session whose full handshake may be read after it.
#[derive(Debug)]
pub(super) struct Waits {
    pub row: u64,
    pub view: View,
    pub link: Link,
    pub at: BootNs,
}

/// Full handshakes of one kind.
#[derive(Debug)]
struct Full {
    first: BootNs,
    last: BootNs,
    /// Lengths of records that may have been their tickets, the newest ones.
    tickets: VecDeque<u16>,
}

impl Full {
    /// When the last one was that a session of this time can be of.
    fn before(&self, at: BootNs) -> Option<BootNs> {
        [self.last, self.first].into_iter().find(|full| *full <= at)
    }

    /// Whether they may have issued a ticket of this length.
    fn may_have_issued(&self, identity: u16) -> bool {
        self.tickets.iter().any(|len| len.checked_sub(identity).is_some_and(|more| ISSUED.contains(&more)))
    }
}

/// Of one key, by kind: without a certificate, and with one.
type Known = [Option<Full>; 2];

/// What a resumed session inherits, and since when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    what: Option<(Inherits, BootNs)>,
    /// There were handshakes of both kinds.
    ambiguous: bool,
}

/// All that is remembered.
#[derive(Debug, Default)]
pub(super) struct Links {
    known: HashMap<u64, Known>,
    order: VecDeque<u64>,
    pub waiting: VecDeque<Waits>,
}

/// Who asked whom by which name.
fn asked(row: &Tracked, client: Option<EntityId>, tls: &Tls) -> u64 {
    let c = &row.connection;
    let client = match client {
        Some(entity) => StableHasher::new("session").number(entity.0),
        None => StableHasher::new("session by address").bytes(c.client.address.addr.to_string().as_bytes()),
    };
    client
        .bytes(&c.server.address.addr_bytes())
        .number(u64::from(c.server.address.port))
        .bytes(tls.sni.as_deref().unwrap_or("").as_bytes())
        .finish()
}

fn session(id: u64) -> u64 {
    StableHasher::new("session id").number(id).finish()
}

impl Link {
    /// Of a handshake on a connection.
    pub fn of(row: &Tracked, tls: &Tls, sessions: Option<Sessions>) -> Self {
        let owner = row.connection.client.end.as_ref().map(|e| e.entity);
        let sessions = sessions.unwrap_or_default();
        Link {
            by_name: [owner.map(|o| asked(row, Some(o), tls)), Some(asked(row, None, tls))],
            used: sessions.used.map(session),
            sessions,
        }
    }
}

const BOTH: &str =
    "this client had handshakes with and without a certificate: which one it resumes is not visible";

impl Found {
    /// Whether it is what a verdict says.
    pub fn is_told(&self, tls: &Tls) -> bool {
        tls.inherits == Some(self.inherits()) && tls.inherits_at == self.what.map(|(_, at)| at)
    }

    fn inherits(&self) -> Inherits {
        self.what.map_or(Inherits::Unknown, |(what, _)| what)
    }

    /// Says it.
    pub fn tell(&self, tls: &mut Tls) {
        tls.inherits = Some(self.inherits());
        tls.inherits_at = self.what.map(|(_, at)| at);
        tls.evidence.retain(|line| &**line != BOTH);
        if self.ambiguous {
            tls.evidence.push(BOTH.into());
        }
    }
}

impl Links {
    /// Remembers a full handshake.
    pub fn full(&mut self, link: &Link, mutual: bool, at: BootNs) {
        for key in
            link.by_name.into_iter().flatten().chain(link.sessions.issued.iter().map(|id| session(*id)))
        {
            self.remember(key, mutual, at, &link.sessions.tickets);
        }
    }

    /// Finds what a resumed session began with.
    pub fn resumed(&mut self, link: &Link, at: BootNs) -> Found {
        let mut by_name = link.by_name.into_iter().flatten();
        let known = match link.used {
            Some(used) => self.known.get(&used),
            None => by_name.find_map(|key| self.known.get(&key)),
        };
        let Some([plain, mutual]) = known else { return Found::default() };
        let before = |full: &Option<Full>| full.as_ref().and_then(|full| full.before(at));
        let may = |full: &Option<Full>| {
            full.as_ref().zip(link.sessions.identity).is_some_and(|(full, len)| full.may_have_issued(len))
        };
        let what = match (before(plain), before(mutual)) {
            (Some(plain), None) => Some((Inherits::Tls, plain)),
            (None, Some(mutual)) => Some((Inherits::Mtls, mutual)),
            (Some(at), Some(_)) if may(plain) && !may(mutual) => Some((Inherits::Tls, at)),
            (Some(_), Some(at)) if may(mutual) && !may(plain) => Some((Inherits::Mtls, at)),
            (Some(_), Some(_)) => return Found { what: None, ambiguous: true },
            (None, None) => None,
        };
        // A resumed session may hand out the ticket of the next one.
        if let Some((what, at)) = what {
            for id in &link.sessions.issued {
                self.remember(session(*id), what == Inherits::Mtls, at, &[]);
            }
        }
        Found { what, ambiguous: false }
    }

    fn remember(&mut self, key: u64, mutual: bool, at: BootNs, tickets: &[u16]) {
        if !self.known.contains_key(&key) {
            self.order.push_back(key);
            if self.order.len() > REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
        let [plain, with] = self.known.entry(key).or_default();
        let place = if mutual { with } else { plain };
        let full = place.get_or_insert_with(|| Full { first: at, last: at, tickets: VecDeque::new() });
        full.first = full.first.min(at);
        full.last = full.last.max(at);
        for len in tickets {
            if !full.tickets.contains(len) {
                full.tickets.push_back(*len);
            }
        }
        while full.tickets.len() > TICKETS {
            full.tickets.pop_front();
        }
    }

    /// A resumed session is looked at again, for a while.
    pub fn later(&mut self, waits: Waits) {
        if self.waiting.len() >= WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(waits);
    }
}

impl Waits {
    /// Its time is not over.
    pub fn is_young(&self, now: BootNs) -> bool {
        now.since(self.at) <= WAIT_NS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A handshake of one client with one server, with lengths of tickets or of an identity.
    fn link(tickets: &[u16], identity: Option<u16>) -> Link {
        let sessions = Sessions { tickets: tickets.to_vec(), identity, ..Sessions::default() };
        Link { by_name: [Some(1), Some(2)], used: None, sessions }
    }

    fn found(links: &mut Links, link: &Link, at: u64) -> (Inherits, Option<u64>, bool) {
        let found = links.resumed(link, BootNs(at));
        let mut tls = Tls::default();
        assert!(!found.is_told(&tls));
        found.tell(&mut tls);
        assert!(found.is_told(&tls));
        (tls.inherits.unwrap(), tls.inherits_at.map(|at| at.0), !tls.evidence.is_empty())
    }

    #[test]
    fn where_there_was_one_kind_it_is_that_one() {
        let mut links = Links::default();
        assert_eq!(found(&mut links, &link(&[], Some(208)), 5), (Inherits::Unknown, None, false));
        links.full(&link(&[250], None), false, BootNs(10));
        assert_eq!(found(&mut links, &link(&[], Some(208)), 20), (Inherits::Tls, Some(10), false));
        assert_eq!(found(&mut links, &link(&[], Some(208)), 9), (Inherits::Unknown, None, false));
        // One that came later does not count.
        links.full(&link(&[714], None), true, BootNs(30));
        assert_eq!(found(&mut links, &link(&[], Some(208)), 20), (Inherits::Tls, Some(10), false));
    }

    #[test]
    fn where_there_were_both_kinds_lengths_tell_or_nobody_knows() {
        let mut links = Links::default();
        links.full(&link(&[23, 485, 97, 53, 250], None), false, BootNs(10));
        links.full(&link(&[23, 485, 97, 53, 714], None), true, BootNs(11));
        // OpenSSL: a record is 42 longer than its ticket.
        assert_eq!(found(&mut links, &link(&[], Some(208)), 20), (Inherits::Tls, Some(10), false));
        assert_eq!(found(&mut links, &link(&[], Some(672)), 20), (Inherits::Mtls, Some(11), false));
        for identity in [None, Some(32), Some(300)] {
            assert_eq!(found(&mut links, &link(&[], identity), 20), (Inherits::Unknown, None, true));
        }
    }

    /// Up to TLS 1.2, also of one that was resumed itself; never by the name then.
    #[test]
    fn a_session_that_is_named_is_found_exactly() {
        let mut links = Links::default();
        let issued =
            |id| Link { sessions: Sessions { issued: vec![id], ..Sessions::default() }, ..link(&[], None) };
        let used = |id, next| Link { used: Some(session(id)), ..issued(next) };
        links.full(&issued(7), true, BootNs(10));
        links.full(&issued(8), false, BootNs(11));
        assert_eq!(found(&mut links, &used(7, 9), 20), (Inherits::Mtls, Some(10), false));
        assert_eq!(found(&mut links, &used(9, 9), 30), (Inherits::Mtls, Some(10), false));
        assert_eq!(found(&mut links, &used(8, 8), 30), (Inherits::Tls, Some(11), false));
        assert_eq!(found(&mut links, &used(6, 6), 30), (Inherits::Unknown, None, false));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut links = Links::default();
        for n in 0..2 * REMEMBERED as u64 {
            let many = Link { by_name: [Some(n), None], ..link(&[n as u16; 8], None) };
            links.full(&many, n % 2 == 0, BootNs(n));
            links.later(Waits { row: n, view: View::Client, link: many, at: BootNs(n) });
        }
        assert_eq!((links.known.len(), links.order.len()), (REMEMBERED, REMEMBERED));
        assert_eq!(links.waiting.len(), WAITING);
        (0..100).for_each(|n| links.full(&link(&[n], None), true, BootNs(1)));
        assert!(links.known[&1][1].as_ref().unwrap().tickets.len() <= TICKETS);
    }
}
