//! Properties of the conversions: nothing is lost on the way, and nothing a peer sends is a panic.

use std::sync::Arc;

use proptest::prelude::*;
use prost::Message;

use super::pb::watch_slices_response::Message as M;
use super::strategies as any_of;
use super::{
    Assembler, MAX_RESPONSE, Pieces, connection_from_pb, connection_to_pb, event_from_pb, event_to_pb,
    filter_from_pb, filter_to_pb, name_update_from_pb, name_update_to_pb, pb, slice_from_pb, slice_to_pb,
    status_from_pb, status_to_pb,
};
use crate::model::{AgentInstance, EdgeSlice, Slice, SliceMessage, Snapshot};

/// Through bytes and back.
fn wire<T: Message + Default + PartialEq>(message: &T) -> T {
    T::decode(&message.encode_to_vec()[..]).expect("own encoding decodes")
}

fn response(message: M) -> pb::WatchSlicesResponse {
    pb::WatchSlicesResponse { message: Some(message) }
}

fn slice_pieces(s: &Slice, lists: bool) -> impl Iterator<Item = pb::Slice> + '_ {
    let mut pieces = Pieces::new(lists);
    std::iter::from_fn(move || pieces.next_of(s))
}

/// As the server sends it.
fn snapshot_messages(s: &Snapshot) -> Vec<pb::WatchSlicesResponse> {
    let head = pb::Snapshot { instance: s.totals.agent.0, node: s.node.clone(), scope: s.scope.clone() };
    let mut out = vec![response(M::Snapshot(head))];
    out.extend(slice_pieces(&s.totals, true).map(|p| response(M::Totals(p))));
    for h in &s.history {
        out.extend(slice_pieces(h, false).map(|p| response(M::History(p))));
    }
    out.push(response(M::SnapshotEnd(pb::SnapshotEnd {})));
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn slices_survive(s in any_of::slice()) {
        prop_assert_eq!(slice_from_pb(wire(&slice_to_pb(&s))), Ok(s));
    }

    #[test]
    fn connections_survive(c in any_of::connection()) {
        prop_assert_eq!(connection_from_pb(wire(&connection_to_pb(&c))), Ok(c));
    }

    #[test]
    fn events_survive(e in any_of::event()) {
        prop_assert_eq!(event_from_pb(wire(&event_to_pb(&e))), Ok(e));
    }

    #[test]
    fn filters_survive(f in any_of::filter()) {
        prop_assert_eq!(filter_from_pb(Some(wire(&filter_to_pb(&f)))), Ok(f));
    }

    #[test]
    fn names_survive(n in any_of::name_update()) {
        prop_assert_eq!(name_update_from_pb(wire(&name_update_to_pb(&n))), Ok(n));
    }

    #[test]
    fn statuses_survive(s in any_of::status()) {
        prop_assert_eq!(status_from_pb(wire(&status_to_pb(&s))), Ok(s));
    }

    #[test]
    fn snapshots_survive(s in any_of::snapshot()) {
        let mut assembler = Assembler::default();
        let mut whole = Vec::new();
        for m in snapshot_messages(&s) {
            whole.extend(assembler.take(wire(&m)).unwrap());
        }
        prop_assert_eq!(whole, vec![SliceMessage::Snapshot(Box::new(s))]);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = pb::Slice::decode(&bytes[..]).map(slice_from_pb);
        let _ = pb::Event::decode(&bytes[..]).map(event_from_pb);
        let _ = pb::Names::decode(&bytes[..]).map(name_update_from_pb);
        let _ = pb::GetStatusResponse::decode(&bytes[..]).map(status_from_pb);
        let _ = pb::Filter::decode(&bytes[..]).map(|f| filter_from_pb(Some(f)));
        let _ = pb::WatchSlicesResponse::decode(&bytes[..]).map(|r| Assembler::default().take(r));
    }

    /// Random bytes seldom get far; a valid message with bytes changed does.
    #[test]
    fn no_damage_panics(
        s in any_of::slice(),
        e in any_of::event(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let damaged = |mut bytes: Vec<u8>| {
            for (at, b) in &damage {
                let i = at.index(bytes.len());
                bytes[i] = *b;
            }
            bytes
        };
        if let Ok(Ok(s)) = pb::Slice::decode(&damaged(slice_to_pb(&s).encode_to_vec())[..]).map(slice_from_pb) {
            // What got through can be used without harm.
            let _ = s.end();
            let mut sum = crate::model::Counters::default();
            for c in s.edges.iter().flat_map(|e| [&e.by_client, &e.by_server]).flatten() {
                sum.merge_later(c);
                let _ = (sum.failures(), sum.connect_us.quantile(0.99));
            }
        }
        let _ = pb::Event::decode(&damaged(event_to_pb(&e).encode_to_vec())[..]).map(event_from_pb);
    }

    /// Messages in any order are an answer or an error.
    #[test]
    fn no_order_panics(s in any_of::snapshot(), order in proptest::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let messages = snapshot_messages(&s);
        let mut assembler = Assembler::default();
        for i in order {
            if assembler.take(i.get(&messages).clone()).is_err() {
                break;
            }
        }
    }
}

/// Many edges, each with both views.
fn large(edges: u16) -> Slice {
    let mut s = Slice { agent: AgentInstance(7), sequence: 3, late: 5, ..Slice::default() };
    for i in 0..edges {
        let key = crate::model::EdgeKey {
            client: crate::model::EntityId(1),
            server: crate::model::EntityId(2),
            addr: std::net::Ipv4Addr::LOCALHOST.into(),
            port: i,
            transport: crate::model::Transport::Tcp,
            role_known: true,
        };
        let mut edge = EdgeSlice::new(key);
        for us in 0..200 {
            edge.view_mut(crate::model::View::Client).connect_us.record(us * 97 + u64::from(i));
        }
        edge.by_server = edge.by_client.clone();
        s.edges.push(edge);
    }
    s
}

#[test]
fn a_large_slice_travels_in_pieces() {
    let slice = large(20_000);
    let pieces: Vec<_> = slice_pieces(&slice, true).map(|p| response(M::Slice(p))).collect();
    assert!(pieces.len() > 10);
    assert!(pieces.iter().all(|p| p.encoded_len() < MAX_RESPONSE));
    let mut assembler = Assembler::new(Some((AgentInstance(7), 2)));
    let mut whole = Vec::new();
    for p in pieces {
        whole.extend(assembler.take(p).expect("is valid"));
    }
    assert_eq!(whole, vec![SliceMessage::Slice(Box::new(slice))]);
}

#[test]
fn a_stream_out_of_order_is_an_error() {
    let slice = |n| response(M::Slice(pb::Slice { instance: 7, sequence: n, ..pb::Slice::default() }));
    let after = |n| Assembler::new(Some((AgentInstance(7), n)));
    assert!(after(2).take(slice(3)).is_ok());
    for (mut a, n) in [(after(2), 2), (after(2), 4), (after(2), 1), (Assembler::default(), 1)] {
        assert!(a.take(slice(n)).is_err(), "{n}");
    }
    let mut a = after(2);
    a.take(response(M::Gap(pb::Gap { reason: "x".into() }))).expect("a gap is valid");
    assert!(a.take(slice(3)).is_err(), "a snapshot must follow a gap");
}

#[test]
fn hostile_fields_are_errors() {
    let good = |f: fn(&mut pb::Edge)| {
        let mut e = pb::Edge {
            server_addr: vec![1, 2, 3, 4],
            transport: 1,
            by_client: Some(Box::default()),
            ..pb::Edge::default()
        };
        f(&mut e);
        slice_from_pb(pb::Slice { edges: vec![e], ..pb::Slice::default() })
    };
    assert!(good(|_| {}).is_ok());
    let bad: [fn(&mut pb::Edge); 6] = [
        |e| e.server_addr = vec![1; 5],
        |e| e.server_port = 65_536,
        |e| e.transport = 0,
        |e| e.transport = 257,
        |e| e.by_client.as_mut().expect("is set").opened = u64::MAX,
        |e| {
            e.by_client.as_mut().expect("is set").outcomes = vec![pb::OutcomeCount { outcome: 13, count: 1 }];
        },
    ];
    for (i, f) in bad.into_iter().enumerate() {
        assert!(good(f).is_err(), "{i}");
    }
    let endless = pb::Slice { start_ns: u64::MAX, length_ns: 1, ..pb::Slice::default() };
    assert!(slice_from_pb(endless).is_err());
    let long = pb::Names {
        names: vec![pb::Name { kind: 1, name: "x".repeat(4097), ..pb::Name::default() }],
        ..pb::Names::default()
    };
    assert!(name_update_from_pb(long).is_err());
    let many = pb::Filter { entities: vec![1; 1025], ..pb::Filter::default() };
    assert!(filter_from_pb(Some(many)).is_err());
}

#[test]
fn own_text_is_cut_to_what_readers_accept() {
    let mut s = crate::model::Status { node: "é".repeat(4000), ..crate::model::Status::default() };
    s.scope.cgroups = vec!["x".into(); 5000];
    let back = status_from_pb(status_to_pb(&s)).expect("is accepted");
    assert_eq!(back.node, "é".repeat(2048));
    let history = Arc::new(large(3));
    assert_eq!(slice_pieces(&history, false).count(), 1);
}
