//! Captures that no honest network makes, read as `webb --file` reads them: what is kept is bounded, and
//! what is given up is said. Memory itself is measured by hand, on files of 200 MB and more:
//! `cargo run --release --example hostile_capture -- KIND BYTES > FILE`, then
//! `/usr/bin/time -v webb status --file FILE`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/hostile.rs"]
mod hostile;

use std::fs::File;
use std::io::BufWriter;

use hostile::Hostile;
use webb::model::Filter;
use webb::replay::{self, Replayed};

/// Closed connections that are kept.
const CLOSED: usize = 1000;
/// Connections and conversations of one moment.
const ROWS: usize = 65_536;

fn read(kind: Hostile, bytes: u64, step_us: u64) -> Replayed {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hostile.pcap");
    hostile::write(kind, bytes, step_us, BufWriter::new(File::create(&path).unwrap())).unwrap();
    replay::read(&path, CLOSED, |_| {}).unwrap()
}

#[test]
fn what_is_kept_is_bounded_and_what_is_given_up_is_told() {
    for (name, kind) in Hostile::ALL {
        let bytes = match kind {
            Hostile::Syns | Hostile::UdpPeers => 6 << 20,
            Hostile::Tiny => 16 << 20,
            Hostile::Questions => 12 << 20,
            _ => 64 << 20,
        };
        let r = read(kind, bytes, 1);
        let rows = r.store.connections(true, &Filter::default(), None);
        assert!(rows.len() <= ROWS + CLOSED, "{name}: {} rows", rows.len());
        let snapshot = r.store.snapshot();
        assert!(snapshot.totals.edges.len() <= 16_385, "{name}: {} edges", snapshot.totals.edges.len());
        assert!(snapshot.totals.entities.len() <= 65_537, "{name}");
        let (c, status) = (r.counts, r.store.status());
        println!("{name}: {c:?} {:?}", status.loss);
        let began = (c.connections + c.conversations) as usize;
        match kind {
            Hostile::Fragments => assert!(c.skipped.fragments_lost > 40_000, "{name}: {c:?}"),
            // Closed at once: nothing is given up but history, which is counted.
            Hostile::Tiny => assert_eq!(status.connections.evicted, c.connections - CLOSED as u64, "{name}"),
            _ => {
                assert!(began > 32_768, "{name}: {c:?}");
                assert!(status.loss.total() > 0, "{name}: {c:?}");
            }
        }
    }
}
