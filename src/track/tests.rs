//! The table as a whole: joins, roles, reconciliation, and that every interleaving counts the same.

use std::collections::HashMap;
use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::model::{
    BootNs, ConnectionState, EndId, Endpoint, EventKind, Isns, Outcome, OwnerEvidence, ProcessKey, Role,
    RoleEvidence, Seen, View,
};
use crate::wire::tls::Handed;

const SERVER_PORT: u16 = 8080;

pub(super) fn table() -> Track {
    Track::new(TrackConfig::new(1, 1000))
}

fn id(cookie: u64) -> EndId {
    EndId { netns_cookie: 1, cookie, generation: 1 }
}

fn at(port: u16) -> Endpoint {
    Endpoint::new(IpAddr::from([127, 0, 0, 1]), port)
}

fn owner(pid: u32) -> OwnerFact {
    let mut comm = [0; 16];
    comm[..3].copy_from_slice(if pid < 100 { b"cli" } else { b"srv" });
    OwnerFact {
        process: Some((ProcessKey { pid, start_ns: 1 }, Comm(comm))),
        evidence: OwnerEvidence::Opened,
        cgroup: 7,
        netns: 5,
    }
}

/// One end of connection `n`: cookies 2n and 2n+1, numbers derived from n.
pub(super) fn fact(n: u32, role: Role, now: u64, moment: Moment) -> EndFact {
    let (c, s) = (n.wrapping_mul(1_000_003).wrapping_sub(5), n.wrapping_mul(7_000_001));
    let client = role == Role::Client;
    let (local, peer) = (at(40_000 + n as u16), at(SERVER_PORT));
    EndFact {
        id: id(u64::from(n) * 2 + u64::from(!client)),
        at: BootNs(now),
        moment,
        local: if client { local } else { peer },
        peer: if client { peer } else { local },
        role,
        role_evidence: if client { RoleEvidence::SawConnect } else { RoleEvidence::ClonedFromListener },
        owner: owner(if client { 10 } else { 100 }),
        adopted: false,
        isns: Some(if client {
            Isns { tx: c, rx: s.wrapping_add(1) }
        } else {
            Isns { tx: s.wrapping_add(1), rx: c.wrapping_add(1) }
        }),
        opened: BootNs(now.min(10)),
        established: BootNs(now.min(20)),
        seen: Seen::default(),
        route: None,
    }
}

fn with_bytes(mut f: EndFact, sent: u64, received: u64) -> EndFact {
    f.seen = Seen { bytes_sent: sent, bytes_received: received, ..Seen::default() };
    f
}

fn adopted(mut f: EndFact) -> EndFact {
    f.adopted = true;
    f.role = Role::Unknown;
    f.role_evidence = RoleEvidence::Unknown;
    f.opened = BootNs(0);
    f.established = BootNs(0);
    f
}

/// Everything counted up to `end`, by edge port and view.
fn sealed(t: &mut Track, end: u64) -> HashMap<View, (u64, u64, u64, u64)> {
    let mut sums: HashMap<View, (u64, u64, u64, u64)> = HashMap::new();
    t.seal(
        BootNs(0),
        BootNs(end),
        |c| {
            let n = sums.entry(c.view).or_default();
            match c.step {
                Step::Opened => n.0 += 1,
                Step::Closed => n.1 += 1,
                Step::Traffic { sent, received, .. } => {
                    n.2 += sent;
                    n.3 += received;
                }
                _ => {}
            }
        },
        |_, _, _, _| {},
        |_, _, _, _| {},
    );
    sums
}

#[test]
fn two_ends_are_one_connection_with_one_id() {
    let mut t = table();
    t.apply(Fact::End(fact(3, Role::Client, 20, Moment::Established)));
    let before = t.flush(BootNs(0));
    t.apply(Fact::End(fact(3, Role::Server, 21, Moment::Established)));
    let after = t.flush(BootNs(0));
    let (one, two) = (&before.events[0].2, &after.changed[0]);
    assert_eq!(one.id, two.id, "unchanged by the join");
    assert!(two.client.end.is_some() && two.server.end.is_some());
    assert_eq!(t.counts().opened, 1);
    t.apply(Fact::End(fact(3, Role::Client, 30, Moment::Closed(Ending::Reset))));
    assert!(t.flush(BootNs(0)).events.is_empty(), "half of it is still open");
    t.apply(Fact::End(fact(3, Role::Server, 31, Moment::Closed(Ending::Aborted))));
    let over = t.flush(BootNs(0)).events;
    assert_eq!(over[0].1, EventKind::Closed);
    assert_eq!(over[0].2.outcome, Some(Outcome::AbortedByServer), "a cause beats its echo");
}

#[test]
fn the_id_is_the_same_at_either_end() {
    let (mut a, mut b) = (table(), table());
    a.apply(Fact::End(fact(9, Role::Client, 20, Moment::Established)));
    b.apply(Fact::End(fact(9, Role::Server, 20, Moment::Established)));
    assert_eq!(a.flush(BootNs(0)).events[0].2.id, b.flush(BootNs(0)).events[0].2.id);
}

#[test]
fn roles_of_adopted_pairs_follow_from_their_numbers() {
    for flip in [false, true] {
        let mut t = table();
        t.apply(Fact::WalkBegan { at: BootNs(1) });
        let mut ends = [Role::Client, Role::Server].map(|r| adopted(fact(4, r, 2, Moment::Met)));
        // The ports say the opposite of the numbers.
        for e in &mut ends {
            (e.local.port, e.peer.port) = (e.peer.port, e.local.port);
        }
        if flip {
            ends.reverse();
        }
        ends.into_iter().for_each(|e| t.apply(Fact::End(e)));
        assert!(t.flush(BootNs(0)).events.is_empty(), "not shown before the walk is over");
        t.apply(Fact::WalkEnded { at: BootNs(3), complete: true });
        let events = t.flush(BootNs(0)).events;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].1, EventKind::Adopted);
        let c = &events[0].2;
        assert!(c.role_known);
        let client = c.client.end.as_ref().unwrap();
        assert_eq!((client.role, client.role_evidence), (Role::Client, RoleEvidence::SequenceNumbers));
        assert_eq!(client.id.cookie % 2, 0);
    }
}

#[test]
fn roles_of_adopted_ends_follow_from_listeners() {
    let mut t = table();
    t.apply(Fact::WalkBegan { at: BootNs(1) });
    let mut server = adopted(fact(4, Role::Server, 2, Moment::Met));
    server.local.port = 50_000;
    server.peer.port = 90;
    t.apply(Fact::End(server));
    let listen = ListenFact {
        id: id(999),
        at: BootNs(2),
        local: Endpoint::new(IpAddr::from([0, 0, 0, 0]), 50_000),
        owner: owner(100),
        met: true,
        backlog: None,
    };
    t.apply(Fact::Listen(listen));
    t.apply(Fact::WalkEnded { at: BootNs(3), complete: true });
    let c = t.flush(BootNs(0)).events[0].2.clone();
    let end = c.server.end.as_ref().expect("it stands on the server's side, although its port is higher");
    assert_eq!(end.role_evidence, RoleEvidence::InListenSet);
}

#[test]
fn a_certificate_of_no_handshake_is_counted_as_lost() {
    let mut t = table();
    let handed = Handed { before: None, len: 3, der: &[1, 2, 3] };
    t.observe(Observation::Handed(HandedAt { id: id(1), at: BootNs(1), handed }));
    t.flush(BootNs(2));
    assert_eq!(t.pieces(), (1, 0), "what is said there may come a moment later");
    t.flush(BootNs(3_000_000_000));
    assert_eq!(t.pieces(), (1, 1));
}

#[test]
fn what_two_complete_walks_do_not_meet_is_gone() {
    let mut t = table();
    t.apply(Fact::End(fact(1, Role::Client, 20, Moment::Established)));
    t.apply(Fact::End(fact(2, Role::Client, 20, Moment::Established)));
    t.flush(BootNs(0));
    t.apply(Fact::WalkBegan { at: BootNs(30) });
    t.apply(Fact::Alive(id(4)));
    t.apply(Fact::WalkEnded { at: BootNs(31), complete: false });
    assert!(t.flush(BootNs(0)).events.is_empty(), "nothing follows from a walk that was cut short");
    let walk = |t: &mut Track, met: &[u64]| {
        t.apply(Fact::WalkBegan { at: BootNs(40) });
        met.iter().for_each(|cookie| t.apply(Fact::Alive(id(*cookie))));
        t.apply(Fact::WalkEnded { at: BootNs(41), complete: true });
        t.flush(BootNs(0)).events
    };
    assert!(walk(&mut t, &[4]).is_empty(), "one may miss it");
    assert!(walk(&mut t, &[4, 2]).is_empty(), "it is there again");
    assert!(walk(&mut t, &[4]).is_empty());
    let events = walk(&mut t, &[4]);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].2.outcome, Some(Outcome::Unknown));
    assert_eq!(t.counts().live, 1);
}

#[test]
fn ends_with_the_same_numbers_do_not_push_each_other_out() {
    for numbers_come_late in [false, true] {
        let mut t = table();
        for (cookie, role) in [(50, Role::Client), (51, Role::Server), (52, Role::Client), (53, Role::Server)]
        {
            let mut f = EndFact { id: id(cookie), ..fact(3, role, 20, Moment::Established) };
            let isns = f.isns.take_if(|_| numbers_come_late);
            t.apply(Fact::End(f.clone()));
            t.apply(Fact::End(EndFact { isns: isns.or(f.isns), ..f }));
        }
        assert_eq!(t.live_ends(), 4);
        for cookie in 50..54 {
            let role = if cookie % 2 == 0 { Role::Client } else { Role::Server };
            let f = fact(3, role, 30, Moment::Closed(Ending::Clean));
            t.apply(Fact::End(EndFact { id: id(cookie), ..f }));
        }
        t.flush(BootNs(0));
        sealed(&mut t, 40);
        assert_eq!((t.live_ends(), t.counts().live), (0, 0));
    }
}

#[test]
fn an_old_meeting_does_not_bring_back_what_closed() {
    let mut t = table();
    t.apply(Fact::End(fact(1, Role::Client, 20, Moment::Established)));
    t.apply(Fact::WalkBegan { at: BootNs(30) });
    t.apply(Fact::End(fact(1, Role::Client, 32, Moment::Closed(Ending::Clean))));
    sealed(&mut t, 40);
    t.apply(Fact::End(fact(1, Role::Client, 31, Moment::Met)));
    t.apply(Fact::WalkEnded { at: BootNs(41), complete: true });
    assert_eq!((t.counts().live, t.counts().opened), (0, 1));
    assert!(!t.wants_description());
}

#[test]
fn an_end_that_the_table_does_not_know_is_asked_for() {
    let mut t = table();
    t.apply(Fact::WalkBegan { at: BootNs(30) });
    t.apply(Fact::Alive(id(77)));
    t.apply(Fact::WalkEnded { at: BootNs(41), complete: true });
    assert!(t.wants_description());
    assert!(!t.wants_description(), "once");
}

#[test]
fn a_full_table_counts_what_it_does_not_take() {
    let mut t = Track::new(TrackConfig::new(1, 2));
    for n in 1..=5 {
        t.apply(Fact::End(fact(n, Role::Client, 20, Moment::Established)));
    }
    assert_eq!((t.counts().live, t.lost()), (2, 3));
}

#[test]
fn a_connecting_socket_is_opened_then_established_under_its_new_id() {
    let mut t = table();
    let mut syn = fact(1, Role::Client, 15, Moment::Met);
    syn.isns = None;
    syn.established = BootNs(0);
    t.apply(Fact::End(syn));
    let first = t.flush(BootNs(0)).events;
    assert_eq!(first[0].1, EventKind::Opened);
    assert_eq!(first[0].2.state, ConnectionState::Opening);
    t.apply(Fact::End(fact(1, Role::Client, 20, Moment::Established)));
    let second = t.flush(BootNs(0));
    assert_eq!(second.events[0].1, EventKind::Established);
    assert_eq!(second.removed, [first[0].2.id]);
    assert_eq!(t.counts().opened, 1);
}

proptest! {
    /// Facts of many connections in any interleaving that keeps each end's own order: the counts,
    /// and what edges are given, are always the same.
    #[test]
    fn interleaving_does_not_matter(picks in proptest::collection::vec(0usize..1000, 0..200), n in 1u32..8) {
        let mut queues: Vec<Vec<EndFact>> = Vec::new();
        for i in 0..n {
            for role in [Role::Client, Role::Server] {
                let (sent, received) = if role == Role::Client { (100, 7) } else { (7, 100) };
                queues.push(vec![
                    with_bytes(fact(i, role, 40, Moment::Closed(Ending::Clean)), sent, received),
                    fact(i, role, 20, Moment::Established),
                ]);
            }
        }
        let mut t = table();
        let mut picks = picks.into_iter().chain(std::iter::repeat(0));
        while !queues.is_empty() {
            let i = picks.next().unwrap() % queues.len();
            let f = queues[i].pop().unwrap();
            if queues[i].is_empty() {
                queues.remove(i);
            }
            t.apply(Fact::End(f));
            if i.is_multiple_of(3) {
                t.flush(BootNs(0));
            }
        }
        t.flush(BootNs(0));
        let n = u64::from(n);
        let counts = t.counts();
        prop_assert_eq!((counts.opened, counts.established, counts.closed, counts.live), (n, n, n, 0));
        let sums = sealed(&mut t, 100);
        prop_assert_eq!(sums[&View::Client], (n, n, 100 * n, 7 * n));
        prop_assert_eq!(sums[&View::Server], (n, n, 7 * n, 100 * n));
        prop_assert_eq!(t.live_ends(), 0);
    }
}

fn tls_of(t: &mut Track) -> Option<crate::model::Tls> {
    let flushed = t.flush(BootNs(0));
    let events = flushed.events.iter().map(|e| &e.2);
    let last = flushed.changed.iter().chain(events).next_back()?;
    last.tls.as_deref().cloned()
}

fn routed(role: Role, now: u64, moment: Moment, route: Option<Route>) -> Fact {
    Fact::End(EndFact { route, ..fact(3, role, now, moment) })
}

#[test]
fn a_tunnel_at_one_end_counts_and_the_newest_route_stands() {
    use crate::model::{Security, Tunnel};
    let (direct, esp) = (Some(Route::default()), Some(Route { esp: true, ..Route::default() }));
    for looks in [true, false] {
        let mut t = Track::new(TrackConfig { looks, ..TrackConfig::new(1, 1000) });
        t.apply(routed(Role::Client, 20, Moment::Established, direct));
        let before = tls_of(&mut t);
        assert_eq!(before.as_ref().map(|tls| tls.status), looks.then_some(Security::Unknown));
        t.apply(routed(Role::Server, 21, Moment::Established, esp));
        let tls = tls_of(&mut t).unwrap();
        assert_eq!((tls.status, tls.tunnel), (Security::Tunnel, Some(Tunnel::Ipsec)));
        assert!(tls.evidence[0].starts_with("the server's packets"), "{:?}", tls.evidence);
        // A socket that has lost its route says nothing.
        t.apply(routed(Role::Server, 22, Moment::Met, None));
        assert_eq!(tls_of(&mut t), Some(tls.clone()));
        t.apply(routed(Role::Client, 23, Moment::Met, esp));
        assert!(tls_of(&mut t).unwrap().evidence[0].starts_with("both sides' packets"));
        t.apply(routed(Role::Client, 24, Moment::Met, direct));
        t.apply(routed(Role::Server, 25, Moment::Closed(Ending::Clean), direct));
        assert_eq!(tls_of(&mut t), before);
    }
}

#[test]
fn a_tunnel_is_found_again_at_the_other_side() {
    let esp = Some(Route { esp: true, ..Route::default() });
    let mut t = table();
    t.apply(Fact::WalkBegan { at: BootNs(1) });
    // By its port this end stands as the server, by its numbers it is the client.
    let mut ends = [Role::Client, Role::Server].map(|r| adopted(fact(4, r, 2, Moment::Met)));
    for e in &mut ends {
        (e.local.port, e.peer.port) = (e.peer.port, e.local.port);
    }
    let [client, server] = ends;
    t.apply(Fact::End(EndFact { route: esp, ..client }));
    t.apply(Fact::End(server));
    t.apply(Fact::WalkEnded { at: BootNs(3), complete: true });
    let tls = tls_of(&mut t).unwrap();
    assert!(tls.evidence[0].starts_with("the client's packets"), "{:?}", tls.evidence);
}
