//! The table of TCP connections of a capture: bounded, with the oldest given up first.

use std::collections::{HashMap, HashSet};

use super::conn::{Conn, Fate, Out, Phase};
use super::counts::{Counts, Skip};
use super::icmp;
use super::segment::Segment;
use super::slab::{Key, Slab};
use crate::model::{BootNs, EndId, Endpoint};
use crate::track::{Fact, ListenFact, Observation, OwnerFact};

/// A connect that nothing came of for this long has ended: Linux gives up after 127 s.
const CONNECT_NS: u64 = 130_000_000_000;
/// Payload of SYNs that is kept until their handshakes are done, in bytes.
const MAX_EARLY: usize = 1 << 20;
const SECOND_NS: u64 = 1_000_000_000;

/// Lists of the slab: connecting (by first segment), open (by last segment), over (by their end).
const OPENING: usize = 0;
const OPEN: usize = 1;
const OVER: usize = 2;

/// Places that answered a SYN which are told.
const MAX_LISTENING: usize = 4096;

/// Connections, by their addresses and ports.
#[derive(Debug)]
pub(super) struct Tcp {
    most: usize,
    /// Where somebody listens.
    listening: HashSet<Endpoint>,
    places: HashMap<Key, u32>,
    conns: Slab<Conn, 3>,
    /// Places whose counters moved in this second; each stands here once.
    moved: Vec<u32>,
    /// Whether a place stands in `moved`.
    listed: Vec<bool>,
    second: u64,
    early: usize,
}

impl Tcp {
    pub(super) fn new(most: usize) -> Self {
        Tcp {
            most: most.max(1),
            listening: HashSet::new(),
            places: HashMap::new(),
            conns: Slab::new(),
            moved: Vec::new(),
            listed: Vec::new(),
            second: 0,
            early: 0,
        }
    }

    /// Time has come so far: tells what is due.
    pub(super) fn tick(&mut self, now: BootNs, out: Out<'_>) {
        let second = now.0 / SECOND_NS;
        if second != self.second {
            self.second = second;
            self.sample(out);
        }
        while let Some(at) = self.conns.oldest(OPENING) {
            let Some(conn) = self.conns.get_mut(at) else { break };
            if now.since(conn.first) < CONNECT_NS {
                break;
            }
            let due = BootNs(conn.first.0.saturating_add(CONNECT_NS));
            conn.give_up(due, out);
            self.settle(at);
        }
    }

    fn sample(&mut self, out: Out<'_>) {
        for at in self.moved.drain(..) {
            if let Some(listed) = self.listed.get_mut(at as usize) {
                *listed = false;
            }
            if let Some(conn) = self.conns.get_mut(at) {
                conn.sample(out);
            }
        }
    }

    /// Takes in a segment.
    pub(super) fn segment(
        &mut self,
        (src, dst): (Endpoint, Endpoint),
        segment: &Segment<'_>,
        at: BootNs,
        counts: &mut Counts,
        cookie: &mut u64,
        out: Out<'_>,
    ) -> Result<(), Skip> {
        self.listens(src, segment, at, out);
        let key = Key::new(src, dst);
        let mut known = self.places.get(&key).copied();
        if let Some(place) = known
            && let Some(conn) = self.conns.get_mut(place)
        {
            match conn.fate(conn.is_from_local(src), segment, at) {
                Fate::Its => {}
                // The last acknowledgements of a connection say nothing more.
                Fate::Late if segment.len == 0 => return Ok(()),
                Fate::Late => return Err(Skip::Stray),
                Fate::Anothers if segment.rst => return Err(Skip::Stray),
                Fate::Anothers => {
                    conn.give_up(at, out);
                    self.remove(place);
                    known = None;
                }
            }
        }
        let place = match known {
            Some(place) => place,
            None => {
                let conn = Conn::begin((key, *cookie), (src, dst), segment, at).ok_or(Skip::Stray)?;
                *cookie += 1;
                counts.connections += 1;
                self.make_room(at, counts, out);
                conn.introduce(at, out);
                let place = self.conns.insert(conn, OPENING);
                self.places.insert(key, place);
                place
            }
        };
        let Some(conn) = self.conns.get_mut(place) else { return Err(Skip::Stray) };
        let early = conn.early_len();
        let result = conn.segment(conn.is_from_local(src), segment, at, out);
        self.early = (self.early + conn.early_len()).saturating_sub(early);
        if self.early > MAX_EARLY
            && let Some(data) = conn.drop_early()
        {
            self.early = self.early.saturating_sub(data);
            counts.early_lost += data as u64;
        }
        self.settle(place);
        result
    }

    /// Who answers a SYN listens there: that tells the roles of connections without a handshake.
    fn listens(&mut self, src: Endpoint, segment: &Segment<'_>, at: BootNs, out: Out<'_>) {
        let answers = segment.syn && segment.ack.is_some() && !segment.rst;
        if !answers || self.listening.len() >= MAX_LISTENING || !self.listening.insert(src) {
            return;
        }
        // Ends have generation 1.
        let id = EndId { netns_cookie: 0, cookie: self.listening.len() as u64, generation: 0 };
        out(Observation::Fact(Fact::Listen(ListenFact {
            id,
            at,
            local: src,
            owner: OwnerFact::default(),
            met: true,
            backlog: None,
        })));
    }

    /// The network says that a segment did not arrive; whether that ends a connect.
    pub(super) fn unreachable(&mut self, error: &icmp::Error, at: BootNs, out: Out<'_>) -> bool {
        let Some(&place) = self.places.get(&Key::new(error.ends.0, error.ends.1)) else { return false };
        let Some(conn) = self.conns.get_mut(place) else { return false };
        let ended = conn.unreachable(error, at, out);
        self.settle(place);
        ended
    }

    /// Puts a connection into the list where it belongs now.
    fn settle(&mut self, place: u32) {
        let Some(conn) = self.conns.get(place) else { return };
        let (list, moved) = match conn.phase {
            Phase::Opening => (OPENING, false),
            Phase::Open => (OPEN, conn.moved),
            Phase::Over => (OVER, false),
        };
        // Connecting ones keep the order in which they began.
        if list != OPENING {
            self.conns.renew(place, list);
        }
        if moved {
            let index = place as usize;
            if self.listed.len() <= index {
                self.listed.resize(index + 1, false);
            }
            if let Some(listed) = self.listed.get_mut(index)
                && !std::mem::replace(listed, true)
            {
                self.moved.push(place);
            }
        }
    }

    fn make_room(&mut self, now: BootNs, counts: &mut Counts, out: Out<'_>) {
        while self.conns.total() >= self.most {
            // What is over goes first; a flood of SYNs must not displace what is open.
            let flood = self.conns.len(OPENING) > self.most / 2;
            let order = if flood { [OVER, OPENING, OPEN] } else { [OVER, OPEN, OPENING] };
            let Some(place) = order.into_iter().find_map(|list| self.conns.oldest(list)) else { return };
            if let Some(conn) = self.conns.get_mut(place)
                && conn.phase != Phase::Over
            {
                counts.evicted += 1;
                conn.give_up(now, out);
            }
            self.remove(place);
        }
    }

    fn remove(&mut self, place: u32) {
        if let Some(conn) = self.conns.remove(place) {
            self.early = self.early.saturating_sub(conn.early_len());
            self.places.remove(&conn.key);
        }
    }

    /// The capture is over: connects that were tried more than once have failed; what is open stays.
    pub(super) fn finish(&mut self, now: BootNs, out: Out<'_>) {
        self.sample(out);
        for place in self.conns.places() {
            if let Some(conn) = self.conns.get_mut(place)
                && conn.phase == Phase::Opening
                && conn.unanswered().is_some()
            {
                conn.give_up(now, out);
                self.settle(place);
            }
        }
    }
}
