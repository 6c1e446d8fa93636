//! Capture time, and what hostile files do with it.

use super::*;
use crate::model::{Connection, Filter};
use crate::world::World;

/// A capture of SYNs, each of a connection of its own, at these times in seconds and microseconds.
fn syns(times: &[(u32, u32)]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0xa1b2_c3d4_u32.to_le_bytes());
    file.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 101, 0, 0, 0]);
    for (n, (s, us)) in (1u32..).zip(times) {
        for field in [*s, *us, 40, 40] {
            file.extend(field.to_le_bytes());
        }
        file.extend([0x45, 0, 0, 40, (n >> 8) as u8, n as u8, 0, 0, 64, 6, 0, 0]);
        file.extend((0x0a00_0000 + n).to_be_bytes());
        file.extend([192, 168, 0, 1]);
        file.extend([0x9c, 0x40, 0, 80]);
        file.extend(n.to_be_bytes());
        file.extend([0, 0, 0, 0, 0x50, 2, 1, 0, 0, 0, 0, 0]);
    }
    file
}

fn replayed(file: &[u8]) -> Replayed {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.pcap");
    std::fs::write(&path, file).unwrap();
    read(&path, 1000, |_| {}).unwrap()
}

fn world(r: &Replayed) -> World {
    let s = r.store.snapshot();
    let mut world = World::default();
    world.reset(s.node.clone(), s.scope.clone(), s.totals.clone(), s.history.clone());
    world
}

fn opened(world: &World) -> u64 {
    world.total_edges().iter().map(|row| row.shown().1.opened).sum()
}

const SECOND: u64 = SLICE_NS;

#[test]
fn a_quiet_hour_is_left_out_but_for_what_can_be_shown() {
    let r = replayed(&syns(&[(1000, 500_000), (1000, 900_000), (4600, 0)]));
    let world = world(&r);
    assert_eq!(
        (opened(&world), world.since(), world.now()),
        (3, BootNs(1000 * SECOND), BootNs(4601 * SECOND))
    );
    let history = r.store.snapshot().history.clone();
    // What is older than 300 s is kept in slices of 10 s.
    let lengths: u64 = history.iter().map(|s| s.length_ns).sum();
    assert!((300 * SECOND..=3601 * SECOND).contains(&lengths));
    assert_eq!(world.window(300).count(), 300, "no second is missing from what can be shown");
    assert!(history.windows(2).all(|w| w[0].end() <= w[1].start));
    // The connects are given up after 130 s: there are two stretches.
    assert_eq!(r.store.progress().borrow().slice, 1 + 129 + 2 + QUIET);
}

#[test]
fn a_slice_waits_for_what_is_a_little_late() {
    // Of two interfaces: 200 ms back over the end of a second, then 500 ms.
    let r = replayed(&syns(&[(10, 900_000), (11, 100_000), (10, 950_000), (11, 400_000), (10, 900_000)]));
    let history = r.store.snapshot().history.clone();
    let opened: Vec<u64> = history
        .iter()
        .map(|s| s.edges.iter().filter_map(|e| e.by_client.as_ref()).map(|c| c.opened).sum())
        .collect();
    assert_eq!(opened, [2, 3]);
    assert_eq!(history.iter().map(|s| s.late).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn times_that_jump_are_survived() {
    // To the end of time and back, and an hour with every packet.
    let jumps: Vec<(u32, u32)> = [(1, 0), (u32::MAX, 999_999), (5, 0), (0, 0), (u32::MAX, u32::MAX)]
        .into_iter()
        .chain((0..5000).map(|n| (n * 3600, 0)))
        .collect();
    let r = replayed(&syns(&jumps));
    assert_eq!((r.counts.packets, opened(&world(&r))), (5005, 5005));
    let hours: Vec<(u32, u32)> = (0..5000).map(|n| (1 + n * 3600, 0)).collect();
    let r = replayed(&syns(&hours));
    assert_eq!(opened(&world(&r)), 5000);
    assert!(r.store.progress().borrow().slice <= 5000 * 4 + QUIET_ALL);
}

#[test]
fn a_flood_in_one_instant_is_cut_into_slices() {
    let n = 3 * BEGUN;
    let r = replayed(&syns(&vec![(7, 5); n]));
    let world = world(&r);
    assert_eq!((opened(&world), world.now()), (n as u64, BootNs(8 * SECOND)));
    assert!(r.store.progress().borrow().slice > 2);
    assert_eq!(r.store.status().loss, Loss::default());
    let kept: Vec<std::sync::Arc<Connection>> = r.store.connections(true, &Filter::default(), None);
    assert_eq!(kept.len(), n);
}

#[test]
fn progress_is_told_and_nothing_is_a_capture_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.pcap");
    std::fs::write(&path, syns(&vec![(7, 5); 5000])).unwrap();
    let mut told = Vec::new();
    let r = read(&path, 10, |counts| told.push((counts.packets, counts.bytes, counts.total))).unwrap();
    assert_eq!(told.len(), 4);
    assert!(told.is_sorted() && told.iter().all(|t| t.2 == r.counts.total));
    let empty = replayed(&syns(&[]));
    assert_eq!((empty.counts.packets, empty.store.progress().borrow().slice), (0, 0));
    assert_eq!(empty.store.status().source, "pcap");
}

#[test]
fn many_clients_are_folded_and_their_server_keeps_its_name() {
    let times: Vec<(u32, u32)> = (0..6000).map(|n| (n / 100, n % 100)).collect();
    let world = world(&replayed(&syns(&times)));
    let rows = world.total_edges();
    assert!(rows.iter().all(|row| &*row.server.id.name == "192.168.0.1"));
    assert!(rows.len() <= 257, "{}", rows.len());
    assert_eq!(opened(&world), 6000);
}
