//! The store as its writer and readers use it.

use super::*;
use crate::model::{
    ConnectionState, Counters, EdgeKey, EdgeSlice, Endpoint, EntityKind, EventClass, NameKind, Side,
    Transport,
};

const ME: AgentInstance = AgentInstance(7);

fn store(change: impl FnOnce(&mut StoreConfig)) -> Store {
    let mut config = StoreConfig::new(ME, "node", "host");
    change(&mut config);
    Store::new(config)
}

fn connection(id: u64, state: ConnectionState, changed: u64) -> Arc<Connection> {
    let side = |port| Side {
        address: Endpoint::new(std::net::Ipv4Addr::LOCALHOST.into(), port),
        entity: EntityId(u64::from(port)),
        end: None,
    };
    Arc::new(Connection {
        id: ConnectionId(id),
        transport: Transport::Tcp,
        state,
        role_known: true,
        client: side(1),
        server: side(2),
        outcome: None,
        changed: BootNs(changed),
        tls: None,
    })
}

fn ids(found: &[Arc<Connection>]) -> Vec<u64> {
    found.iter().map(|c| c.id.0).collect()
}

fn slice(n: u64) -> Slice {
    let key = EdgeKey {
        client: EntityId(1),
        server: EntityId(2),
        addr: std::net::Ipv4Addr::LOCALHOST.into(),
        port: 80,
        transport: Transport::Tcp,
        role_known: true,
    };
    let by_client = Some(Counters { opened: n, open: n, ..Counters::default() });
    Slice {
        agent: ME,
        sequence: n,
        start: BootNs(n * 1_000_000_000),
        length_ns: 1_000_000_000,
        edges: vec![EdgeSlice { key, by_client, by_server: None }],
        ..Slice::default()
    }
}

fn far(n: u32) -> Entity {
    let kind = EntityKind::far(std::net::Ipv4Addr::from(n).into());
    Entity { id: kind.id(), kind }
}

fn name(entity: EntityId, name: &str, from: u64) -> Name {
    Name { entity, name: name.into(), kind: NameKind::Address, source: "test".into(), from: BootNs(from) }
}

#[test]
fn rows_move_from_live_to_closed_and_are_replaced_there() {
    use ConnectionState::{Closed, Open};
    let s = store(|c| c.closed_history = 2);
    s.publish(vec![(BootNs(1), EventKind::Established, connection(1, Open, 1))], &[], &[]);
    s.publish(vec![], &[connection(2, Open, 2)], &[]);
    assert_eq!(ids(&s.connections(false, &Filter::default(), None)), [1, 2]);
    s.publish(vec![(BootNs(3), EventKind::Closed, connection(1, Closed, 3))], &[], &[]);
    assert_eq!(ids(&s.connections(false, &Filter::default(), None)), [2]);
    assert_eq!(ids(&s.connections(true, &Filter::default(), None)), [2, 1]);
    // Its join came after it was over.
    let joined = Arc::new(Connection { role_known: false, ..(*connection(1, Closed, 4)).clone() });
    s.publish(vec![], std::slice::from_ref(&joined), &[]);
    assert_eq!(s.connections(true, &Filter::default(), None)[1], joined);
    // The join shows that the other end is still open.
    s.publish(vec![], &[connection(1, Open, 5)], &[]);
    assert_eq!(ids(&s.connections(false, &Filter::default(), None)), [2, 1]);
    assert_eq!(s.connections(true, &Filter::default(), None).len(), 2);
    for id in 3..=5 {
        s.publish(vec![], &[connection(id, Closed, 10 + id)], &[]);
    }
    assert_eq!(ids(&s.connections(true, &Filter::default(), None)), [2, 1, 4, 5]);
    assert_eq!(ids(&s.connections(true, &Filter::default(), Some(3))), [1, 4, 5]);
    assert_eq!(s.status().connections.evicted, 1);
    s.publish(vec![], &[connection(6, Open, 20)], &[ConnectionId(1), ConnectionId(5)]);
    assert_eq!(ids(&s.connections(true, &Filter::default(), None)), [2, 4, 6]);
    // A row evicted long ago may come again.
    s.publish(vec![], &[connection(3, Closed, 30)], &[]);
    assert_eq!(ids(&s.connections(true, &Filter::default(), None)), [2, 4, 6, 3]);
}

#[test]
fn live_rows_are_bounded_and_counted() {
    let s = store(|c| c.live_limit = 2);
    for id in 1..=3 {
        s.publish(vec![], &[connection(id, ConnectionState::Open, id)], &[]);
    }
    s.publish(vec![], &[connection(2, ConnectionState::Open, 9)], &[]);
    assert_eq!(ids(&s.connections(false, &Filter::default(), None)), [1, 2]);
    assert_eq!(s.dropped().live, 1);
}

#[test]
fn events_received_and_missed_are_all_events() {
    let s = store(|c| c.event_history = 10);
    let publish = |n: u64| {
        for i in 0..n {
            s.publish(
                vec![(BootNs(i), EventKind::Opened, connection(i, ConnectionState::Open, i))],
                &[],
                &[],
            );
        }
    };
    publish(7);
    let (events, missed) = s.events_after(EventClass::Connections, 0, 5);
    assert_eq!((events.len(), missed, events[4].sequence), (5, 0, 5));
    publish(20);
    let (events, missed) = s.events_after(EventClass::Connections, 5, 100);
    assert_eq!((events.len(), missed), (10, 12));
    assert_eq!((events[0].sequence, events[9].sequence), (18, 27));
    assert_eq!(s.events_after(EventClass::Connections, 27, 9), (vec![], 0));
    assert_eq!(s.events_after(EventClass::Connections, u64::MAX, 9), (vec![], 0));
    assert_eq!(s.newest_events(EventClass::Connections, 3, &Filter::default()), (24, 27));
    assert_eq!(s.newest_events(EventClass::Connections, 0, &Filter::default()), (27, 27));
    let none = Filter { event_kinds: vec![EventKind::Failed], ..Filter::default() };
    assert_eq!(s.newest_events(EventClass::Connections, 3, &none), (27, 27));
}

#[test]
fn totals_hold_everything_and_history_the_newest() {
    let s = store(|c| c.history = HistoryLimits { fine: 20, coarse: 2, ..HistoryLimits::default() });
    assert_eq!(s.snapshot().totals.sequence, 0);
    for n in 1..=100 {
        s.seal(slice(n)).unwrap();
    }
    let snap = s.snapshot();
    let c = snap.totals.edges[0].by_client.as_ref().unwrap();
    assert_eq!((c.opened, c.open), (5050, 100));
    assert_eq!((snap.totals.start, snap.totals.end()), (slice(1).start, slice(100).end()));
    assert_eq!(snap.history.last().unwrap().sequence, 100);
    assert!(snap.history[0].start > slice(50).start);
    assert!(Arc::ptr_eq(&snap, &s.snapshot()));
}

#[test]
fn only_the_next_slice_is_taken() {
    let s = store(|_| {});
    s.seal(slice(1)).unwrap();
    assert!(s.seal(slice(1)).is_err());
    assert!(s.seal(slice(3)).is_err());
    let other = Slice { agent: AgentInstance(8), ..slice(2) };
    assert!(s.seal(other).is_err());
    assert_eq!(s.snapshot().totals.edges[0].by_client.as_ref().unwrap().opened, 1);
}

#[test]
fn resume_or_say_why_not() {
    let s = store(|c| c.history = HistoryLimits { fine: 20, coarse: 2, ..HistoryLimits::default() });
    for n in 1..=50 {
        s.seal(slice(n)).unwrap();
    }
    assert_eq!(s.slices_after(ME, 48, 9).unwrap().len(), 2);
    assert_eq!(s.slices_after(ME, 50, 9), Ok(vec![]));
    assert_eq!(s.slices_after(ME, 51, 9), Err(GapReason::NotYet));
    assert_eq!(s.slices_after(ME, 3, 9), Err(GapReason::TooOld));
    assert_eq!(s.slices_after(AgentInstance(1), 48, 9), Err(GapReason::OtherInstance));
}

#[test]
fn names_are_newest_bounded_and_told_once() {
    let s = store(|c| c.entities = 32);
    let e = far(1);
    s.learn(std::slice::from_ref(&e), &[name(e.id, "new", 5)]);
    s.learn(&[], &[name(e.id, "old", 4), name(EntityId(1), "of nobody", 1)]);
    let mut known = HashMap::new();
    let told = s.names([e.id, e.id].into_iter(), &mut known);
    assert_eq!((told.entities.len(), told.names.len(), &*told.names[0].name), (1, 1, "new"));
    assert_eq!(s.names([e.id].into_iter(), &mut known), NameUpdate::default());
    s.learn(&[], &[name(e.id, "newer", 6)]);
    let told = s.names([e.id].into_iter(), &mut known);
    assert_eq!((told.entities.len(), &*told.names[0].name), (0, "newer"));
    for n in 2..=100 {
        s.learn(&[far(n)], &[]);
    }
    let kept = s.snapshot().totals.entities.len() as u64;
    assert!(kept <= 32);
    assert_eq!(s.dropped().entities, 100 - kept);
}

#[test]
fn totals_fold_what_is_idle_and_keep_the_sums() {
    let s = store(|c| c.edges = 16);
    for n in 1..=100 {
        let mut slice = slice(n);
        slice.edges[0].key.port = n as u16;
        s.seal(slice).unwrap();
    }
    let totals = &s.snapshot().totals;
    assert!(totals.edges.len() <= 16);
    assert!(s.dropped().edges_folded >= 84);
    let opened: u64 = totals.edges.iter().map(|e| e.by_client.as_ref().unwrap().opened).sum();
    assert_eq!(opened, 5050);
    let open: u64 = totals.edges.iter().map(|e| e.by_client.as_ref().unwrap().open).sum();
    assert_eq!(open, 100);
    assert_eq!(totals.names.len(), 1);
}

#[test]
fn a_panic_elsewhere_does_not_take_the_store_down() {
    let s = store(|_| {});
    let other = s.clone();
    let panicked = std::thread::spawn(move || {
        let _guard = other.lock();
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    s.seal(slice(1)).unwrap();
    assert_eq!(s.snapshot().totals.sequence, 1);
}

#[test]
fn readers_are_told_of_progress() {
    let s = store(|_| {});
    let mut progress = s.progress();
    assert!(!progress.has_changed().unwrap());
    s.publish(vec![(BootNs(1), EventKind::Opened, connection(1, ConnectionState::Open, 1))], &[], &[]);
    assert_eq!(*progress.borrow_and_update(), Progress { slice: 0, events: 1 });
    s.seal(slice(1)).unwrap();
    assert_eq!(*progress.borrow_and_update(), Progress { slice: 1, events: 1 });
}
