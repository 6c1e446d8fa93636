//! Captures of real servers and clients; `tests/captures/README.md` says what was asked.

use std::path::PathBuf;

use super::*;
use crate::track::Ending;

fn capture(name: &str) -> PathBuf {
    // Both crates that this room is built in lie in the repository.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = here.ancestors().map(|d| d.join("tests/captures").join(name)).find(|p| p.exists());
    found.unwrap_or_else(|| panic!("tests/captures/{name} is missing"))
}

fn open(name: &str) -> (Vec<Told>, Counts) {
    let mut capture = Capture::open(&capture(name)).unwrap();
    let mut told = Vec::new();
    while capture.next(&mut |found| told.push(own(found))).unwrap() {}
    let counts = capture.counts();
    assert_eq!((counts.bytes, counts.skipped), (counts.total.unwrap(), Skipped::default()));
    (told, counts)
}

#[test]
fn curl_and_nginx_by_every_way_of_capturing() {
    for (name, whole) in [
        ("http1-lo-ethernet.pcap", true),
        ("http1-lo-cut96.pcap", false),
        ("http1-any-sll.pcap", true),
        ("http1-any-sll2.pcap", true),
        ("http1-lo.pcapng", true),
    ] {
        let (told, counts) = open(name);
        assert_eq!((counts.packets, counts.connections), (25, 3), "{name}");
        let over: Vec<_> = ends(&told)
            .iter()
            .filter(|e| !matches!(e.moment, Moment::Met | Moment::Established))
            .map(|e| (e.moment, e.peer.to_string(), e.seen.bytes_sent, e.seen.bytes_received))
            .collect();
        let clean = Moment::Closed(Ending::Clean);
        assert_eq!(
            over,
            [
                (clean, "127.0.0.1:8080".to_owned(), 163, 20_482),
                (clean, "[::1]:8080".to_owned(), 74, 240),
                (Moment::Failed(Outcome::Refused), "127.0.0.1:8081".to_owned(), 0, 0),
            ],
            "{name}"
        );
        let bytes: usize =
            told.iter().map(|t| if let Told::Piece(.., data, _, _) = t { data.len() } else { 0 }).sum();
        assert_eq!(bytes == 20_959, whole, "{name}");
        assert_eq!(pieces(&told).iter().map(|p| p.1).sum::<u32>(), 20_959, "{name}");
    }
}

#[test]
fn bytes_and_retransmissions_are_the_kernels() {
    for (name, sent, received, retransmits) in
        [("tcp-loss.pcap", 100_000, 60_000, 1), ("tcp-loss-offload.pcap", 100_000, 60_000, 5)]
    {
        let (told, _) = open(name);
        let last = ends(&told)[2];
        assert_eq!(last.moment, Moment::Closed(Ending::Clean));
        let seen = (last.seen.bytes_sent, last.seen.bytes_received, last.seen.retransmits);
        assert_eq!(seen, (sent, received, retransmits), "{name}");
        assert!(!told.iter().any(|t| matches!(t, Told::Progress(..))));
    }
}

/// The same facts through the table that the kernel's facts go through.
#[test]
fn the_table_counts_a_capture_as_it_counts_the_kernel() {
    use crate::track::{Track, TrackConfig};
    let mut track = Track::new(TrackConfig::new(1, 100));
    let mut capture = Capture::open(&capture("http1-lo.pcapng")).unwrap();
    while capture
        .next(&mut |found| {
            if let Observation::Fact(fact) = found {
                track.apply(fact);
            }
        })
        .unwrap()
    {}
    let c = track.counts();
    assert_eq!((c.opened, c.established, c.failed, c.closed), (3, 2, 1, 2));
    assert_eq!((c.adopted, c.live), (0, 0));
    let events = track.flush(capture.last_time()).events;
    let mut bytes = (0, 0);
    let last = capture.last_time();
    track.seal(
        BootNs(0),
        BootNs(last.0 + 1),
        |counted| {
            if let crate::track::Step::Traffic { sent, received, .. } = counted.step {
                bytes = (bytes.0 + sent, bytes.1 + received);
            }
        },
        |_, _, _, _| {},
        |_, _, _, _| {},
    );
    assert_eq!(bytes, (163 + 74, 20_482 + 240));
    let connects: Vec<_> = events
        .iter()
        .filter(|e| e.1 == crate::model::EventKind::Established)
        .map(|e| e.2.client.end.as_ref().unwrap().connect_us().unwrap())
        .collect();
    assert!(connects.len() == 2 && connects.iter().all(|us| (1..10_000).contains(us)), "{connects:?}");
}

#[test]
fn connects_that_fail() {
    let mut capture = Capture::open(&capture("connect-failures.pcap")).unwrap();
    let mut told = Vec::new();
    while capture.next(&mut |found| told.push(own(found))).unwrap() {}
    let failed: Vec<_> = ends(&told)
        .iter()
        .filter_map(|e| {
            if let Moment::Failed(outcome) = e.moment { Some((e.peer.to_string(), outcome)) } else { None }
        })
        .collect();
    let unreachable = Outcome::Unreachable;
    assert_eq!(
        failed,
        [
            ("127.0.0.1:8091".to_owned(), unreachable),
            ("[::1]:8091".to_owned(), unreachable),
            ("127.0.0.1:8092".to_owned(), Outcome::TimedOut),
        ]
    );
    // An error about a SYN that was sent once more, after the first one was believed.
    assert_eq!(capture.counts().skipped, Skipped { not_tcp_udp: 1, ..Skipped::default() });
}
