//! Readings → facts: what is new, what changed, what is gone.

use std::collections::{HashMap, HashSet};

use super::diag::{DiagSocket, TcpInfo, TcpState};
use crate::model::{BootNs, EndId, Endpoint, OwnerEvidence, Role, RoleEvidence, Seen};
use crate::track::{EndFact, Fact, ListenFact, Moment, OwnerFact, SampleFact};

/// Counters without meaning before there was a measurement.
const NO_MIN_RTT: u32 = u32::MAX;

/// Ends, and listeners, that are remembered: more are not taken in before some are gone.
const MAX_KNOWN: usize = 1 << 19;

/// What is remembered of an end between two walks.
#[derive(Debug)]
struct KnownEnd {
    id: EndId,
    local: Endpoint,
    peer: Endpoint,
    role: Role,
    owner: OwnerFact,
    adopted: bool,
    established: BootNs,
    baseline: Counters,
    seen: Seen,
    walk: u64,
}

#[derive(Debug)]
struct KnownListener {
    fact: ListenFact,
    walk: u64,
}

/// The counters that only grow.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    sent: u64,
    received: u64,
    retransmits: u32,
}

impl Counters {
    fn of(state: TcpState, info: TcpInfo) -> Self {
        Counters {
            sent: info.bytes_sent.saturating_sub(info.bytes_retrans),
            received: info.bytes_received.saturating_sub(u64::from(state.peer_finished())),
            retransmits: info.total_retrans,
        }
    }
}

/// Every end and listener in view, by socket cookie.
#[derive(Debug)]
pub(super) struct Ends {
    netns_cookie: u64,
    ends: HashMap<u64, KnownEnd>,
    listeners: HashMap<u64, KnownListener>,
    walk: u64,
}

impl Ends {
    pub(super) fn new(netns_cookie: u64) -> Self {
        Ends { netns_cookie, ends: HashMap::new(), listeners: HashMap::new(), walk: 0 }
    }

    pub(super) fn knows(&self, cookie: u64) -> bool {
        self.ends.contains_key(&cookie) || self.listeners.contains_key(&cookie)
    }

    /// Known ends whose cookie is not in `seen`.
    pub(super) fn missing(&self, seen: &HashSet<u64>) -> Vec<(Endpoint, Endpoint, u64)> {
        let missing = self.ends.iter().filter(|(cookie, _)| !seen.contains(cookie));
        missing.map(|(cookie, end)| (end.local, end.peer, *cookie)).collect()
    }

    /// An end is certainly gone, whether or not the walk that finds this is complete.
    pub(super) fn forget(&mut self, cookie: u64) {
        self.ends.remove(&cookie);
    }

    /// Where somebody in scope listens, and who.
    pub(super) fn listening(&self) -> Vec<(Endpoint, OwnerFact)> {
        self.listeners.values().map(|l| (l.fact.local, l.fact.owner.clone())).collect()
    }

    /// A listener was met.
    pub(super) fn listener(&mut self, s: &DiagSocket, owner: OwnerFact, now: BootNs, out: &mut Vec<Fact>) {
        let backlog = Some((s.rqueue, s.wqueue));
        let walk = self.walk;
        if let Some(known) = self.listeners.get_mut(&s.cookie) {
            known.walk = walk;
            let owner = better_owner(&known.fact.owner, owner);
            if known.fact.owner == owner && known.fact.backlog == backlog {
                return;
            }
            known.fact = ListenFact { at: now, owner, backlog, ..known.fact.clone() };
            out.push(Fact::Listen(known.fact.clone()));
            return;
        }
        if self.listeners.len() >= MAX_KNOWN {
            return;
        }
        let id = EndId { netns_cookie: self.netns_cookie, cookie: s.cookie, generation: 0 };
        let fact = ListenFact { id, at: now, local: s.local, owner, met: true, backlog };
        out.push(Fact::Listen(fact.clone()));
        self.listeners.insert(s.cookie, KnownListener { fact, walk });
    }

    /// An end was met, with its counters; `adopt`: it was open before webb looked.
    pub(super) fn end(
        &mut self,
        s: &DiagSocket,
        owner: OwnerFact,
        adopt: bool,
        now: BootNs,
        out: &mut Vec<Fact>,
    ) {
        let info = s.info.unwrap_or_default();
        let counters = Counters::of(s.state, info);
        let full = self.ends.len() >= MAX_KNOWN;
        let generation = match self.ends.get_mut(&s.cookie) {
            Some(known) if known.peer == s.peer => {
                known.walk = self.walk;
                known.update(s, owner, now, out);
                return;
            }
            // The socket was connected again, to somebody else.
            Some(known) => known.id.generation.wrapping_add(1),
            None if full => return,
            None => 0,
        };
        let connecting = s.state == TcpState::SynSent;
        let mut end = KnownEnd {
            id: EndId { netns_cookie: self.netns_cookie, cookie: s.cookie, generation },
            local: s.local,
            peer: s.peer,
            role: if connecting { Role::Client } else { Role::Unknown },
            owner,
            adopted: adopt,
            established: if connecting { BootNs(0) } else { now },
            baseline: if adopt { counters } else { Counters::default() },
            seen: Seen::default(),
            walk: self.walk,
        };
        end.read(info, counters);
        out.push(end.fact(Moment::Met, now));
        self.ends.insert(s.cookie, end);
    }

    /// The walk is over: with a complete one, what was not met is gone. Of ends `track` concludes
    /// that itself.
    pub(super) fn finish(&mut self, complete: bool, now: BootNs, out: &mut Vec<Fact>) {
        if complete {
            let walk = self.walk;
            self.ends.retain(|_, end| end.walk == walk);
            self.listeners.retain(|_, listener| {
                let met = listener.walk == walk;
                if !met {
                    out.push(Fact::ListenClosed { id: listener.fact.id, at: now });
                }
                met
            });
        }
        self.walk += 1;
    }
}

impl KnownEnd {
    fn update(&mut self, s: &DiagSocket, owner: OwnerFact, now: BootNs, out: &mut Vec<Fact>) {
        let info = s.info.unwrap_or_default();
        let before = self.seen;
        self.read(info, Counters::of(s.state, info));
        let owner = better_owner(&self.owner, owner);
        let owner_changed = owner != self.owner;
        self.owner = owner;
        self.local = s.local;
        if self.established.known().is_none() && s.state != TcpState::SynSent {
            self.established = now;
            out.push(self.fact(Moment::Established, now));
        } else if owner_changed {
            out.push(self.fact(Moment::Met, now));
        } else if self.seen != before {
            out.push(Fact::Sample(SampleFact { id: self.id, at: now, seen: self.seen }));
        } else {
            out.push(Fact::Alive(self.id));
        }
    }

    /// Takes in a reading. Counters never go back: the state is read a moment before them, so a FIN
    /// that arrives in between can add its one byte early.
    fn read(&mut self, info: TcpInfo, now: Counters) {
        let seen = &mut self.seen;
        seen.bytes_sent = seen.bytes_sent.max(now.sent.saturating_sub(self.baseline.sent));
        seen.bytes_received = seen.bytes_received.max(now.received.saturating_sub(self.baseline.received));
        let retransmits = now.retransmits.saturating_sub(self.baseline.retransmits);
        seen.retransmits = seen.retransmits.max(retransmits);
        seen.srtt_us = (info.rtt_us != 0).then_some(info.rtt_us).or(seen.srtt_us);
        seen.min_rtt_us = (info.min_rtt_us != NO_MIN_RTT).then_some(info.min_rtt_us).or(seen.min_rtt_us);
    }

    fn fact(&self, moment: Moment, at: BootNs) -> Fact {
        let saw_connect = self.role == Role::Client;
        Fact::End(EndFact {
            id: self.id,
            at,
            moment,
            local: self.local,
            peer: self.peer,
            role: self.role,
            role_evidence: if saw_connect { RoleEvidence::SawConnect } else { RoleEvidence::Unknown },
            owner: self.owner.clone(),
            adopted: self.adopted,
            isns: None,
            opened: BootNs(0),
            established: self.established,
            seen: self.seen,
            route: None,
        })
    }
}

/// What is known of an owner now: a process once known stays known when nobody holds the socket any
/// more (it was closed and still has data to send), and is not replaced by a weaker statement.
fn better_owner(before: &OwnerFact, now: OwnerFact) -> OwnerFact {
    if now.evidence == OwnerEvidence::Unknown || now.evidence < before.evidence {
        return OwnerFact { cgroup: now.cgroup, netns: now.netns, ..before.clone() };
    }
    now
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(state: TcpState, peer_port: u16) -> DiagSocket {
        let at = |port| Endpoint::new("127.0.0.1".parse().unwrap(), port);
        DiagSocket {
            state,
            cookie: 9,
            local: at(80),
            peer: at(peer_port),
            inode: 1,
            cgroup: 5,
            rqueue: 0,
            wqueue: 0,
            info: None,
        }
    }

    fn info(sent: u64, retrans: u64, received: u64) -> TcpInfo {
        TcpInfo {
            rtt_us: 10,
            min_rtt_us: NO_MIN_RTT,
            total_retrans: retrans as u32,
            bytes_received: received,
            bytes_sent: sent,
            bytes_retrans: retrans,
        }
    }

    fn meet(ends: &mut Ends, s: &DiagSocket, info: TcpInfo, adopt: bool, at: u64) -> Fact {
        let mut out = Vec::new();
        let s = DiagSocket { info: Some(info), ..s.clone() };
        ends.end(&s, OwnerFact::default(), adopt, BootNs(at), &mut out);
        assert_eq!(out.len(), 1);
        out.remove(0)
    }

    fn end(fact: Fact) -> EndFact {
        match fact {
            Fact::End(end) => end,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_adopted_end_counts_from_its_first_reading() {
        let mut ends = Ends::new(1);
        let s = socket(TcpState::Established, 4000);
        let first = end(meet(&mut ends, &s, info(100, 1, 50), true, 10));
        assert!(first.adopted);
        assert_eq!((first.seen.bytes_sent, first.seen.bytes_received, first.seen.retransmits), (0, 0, 0));
        assert_eq!((first.seen.srtt_us, first.seen.min_rtt_us), (Some(10), None));
        let Fact::Sample(next) = meet(&mut ends, &s, info(130, 3, 51), false, 20) else { panic!() };
        // 130 with 3 of it again, less 100 with 1 of it again.
        assert_eq!((next.seen.bytes_sent, next.seen.bytes_received, next.seen.retransmits), (28, 1, 2));
        assert_eq!(meet(&mut ends, &s, info(130, 3, 51), false, 30), Fact::Alive(first.id));
    }

    #[test]
    fn the_peers_fin_is_not_a_byte() {
        let mut ends = Ends::new(1);
        let first = end(meet(&mut ends, &socket(TcpState::CloseWait, 4000), info(0, 0, 8), false, 10));
        assert_eq!((first.adopted, first.seen.bytes_received), (false, 7));
    }

    #[test]
    fn connecting_becomes_established_without_a_latency() {
        let mut ends = Ends::new(1);
        let first = end(meet(&mut ends, &socket(TcpState::SynSent, 4000), info(0, 0, 0), false, 10));
        assert_eq!((first.role, first.role_evidence), (Role::Client, RoleEvidence::SawConnect));
        assert_eq!(first.established, BootNs(0));
        let next = end(meet(&mut ends, &socket(TcpState::Established, 4000), info(0, 0, 0), false, 20));
        assert_eq!(
            (next.moment, next.established, next.opened),
            (Moment::Established, BootNs(20), BootNs(0))
        );
    }

    #[test]
    fn a_socket_connected_again_is_another_end() {
        let mut ends = Ends::new(1);
        let first = end(meet(&mut ends, &socket(TcpState::Established, 4000), info(9, 0, 9), false, 10));
        let next = end(meet(&mut ends, &socket(TcpState::Established, 4001), info(1, 0, 1), false, 20));
        assert_eq!((first.id.generation, next.id.generation), (0, 1));
        assert_eq!(next.seen.bytes_sent, 1);
    }

    #[test]
    fn only_a_complete_walk_forgets() {
        let mut ends = Ends::new(1);
        meet(&mut ends, &socket(TcpState::Established, 4000), info(0, 0, 0), true, 10);
        let mut out = Vec::new();
        let mut listener = socket(TcpState::Listen, 0);
        listener.cookie = 7;
        ends.listener(&listener, OwnerFact::default(), BootNs(10), &mut out);
        ends.finish(true, BootNs(10), &mut out);
        ends.finish(false, BootNs(20), &mut out);
        assert!(ends.knows(9) && ends.knows(7));
        out.clear();
        ends.finish(true, BootNs(30), &mut out);
        assert!(!ends.knows(9) && !ends.knows(7));
        assert!(matches!(out[..], [Fact::ListenClosed { at: BootNs(30), .. }]));
    }
}
