//! The same handshakes with bytes missing, cut in any way, and anything else.

use proptest::prelude::*;

use super::corpus::watch;
use super::pcap::{Connection, Said, read};
use super::truth::{Row, rows};
use crate::model::{BootNs, ClientCert, Handshake, Security, Tls};
use crate::wire::Speaker;
use crate::wire::testing::{Step, pieces, steps};
use crate::wire::tls::Watch;

/// What is kept for a connection while it is not decided.
const IN_FLIGHT: usize = 24 * 1024;

/// Nothing is claimed that is not so.
fn is_not_wrong(row: &Row, tls: &Tls) {
    let bool = |field: &str| row.get(field).bool() == Some(true);
    let presented = bool("client_cert_presented") || bool("reneg_client_cert");
    let outcome = row.get("outcome").text().unwrap_or("");
    let failed = outcome.starts_with("fail") || outcome == "aborted";
    let ok = match tls.status {
        Security::Mtls => presented && !failed,
        // A renegotiation may come after what was seen.
        Security::Tls => bool("tls") && !bool("client_cert_presented") && !bool("resumed"),
        Security::Resumed => bool("resumed"),
        Security::Failed => failed,
        Security::Plaintext => !bool("tls") || row.get("starttls").text().is_some(),
        _ => true,
    };
    assert!(ok, "{} is {:?}: {tls:#?}", row.file(), tls.status);
    let cert = match tls.client_cert {
        ClientCert::Presented => presented,
        ClientCert::Unknown => true,
        ClientCert::Declined | ClientCert::NotAsked => !bool("client_cert_presented"),
    };
    assert!(cert, "{}: {:?}", row.file(), tls.client_cert);
    if tls.handshake == Handshake::Established {
        assert!(!failed, "{}: {tls:#?}", row.file());
    }
}

/// The first bytes of each side, and gaps.
fn prefix(row: &Row, kept: u64) -> Tls {
    let connection = read(&row.path(), row.port());
    let mut watch = Watch::new(connection.adopted);
    let mut told = None;
    for s in &connection.said {
        let n = usize::try_from(kept.saturating_sub(s.offset)).unwrap().min(s.data.len());
        let (seen, missing) = s.data.split_at(n);
        watch.bytes(s.from, s.at, s.offset, s.acked, seen);
        watch.gap(s.from, s.at, s.offset + n as u64, missing.len() as u64);
        // At every moment, too.
        let tls = watch.verdict();
        if tls.status != Security::Failed && told.replace(tls.status) != Some(tls.status) {
            is_not_wrong_yet(row, &tls);
        }
        assert!(watch.held() <= IN_FLIGHT, "{} bytes", watch.held());
    }
    watch.end(BootNs(u64::MAX));
    watch.verdict()
}

/// While it goes on: mutual and resumed are never said of one that is not.
fn is_not_wrong_yet(row: &Row, tls: &Tls) {
    let bool = |field: &str| row.get(field).bool() == Some(true);
    let ok = match tls.status {
        Security::Mtls => bool("client_cert_presented") || bool("reneg_client_cert"),
        Security::Tls => !bool("client_cert_presented"),
        Security::Resumed => bool("resumed"),
        _ => true,
    };
    assert!(ok, "{} is {:?} for a while", row.file(), tls.status);
}

#[test]
fn a_beginning_is_never_told_wrong() {
    let rows = rows();
    let mut right = Vec::new();
    for kept in [512, 1024, 2048, 4096, 8192, 16384, u64::MAX / 2] {
        let mut decided = 0;
        for row in &rows {
            let tls = prefix(row, kept);
            // What failed behind what was seen is not known to have failed.
            if !matches!(tls.status, Security::Tls | Security::Resumed) || tls.handshake != Handshake::Open {
                is_not_wrong(row, &tls);
            }
            is_not_wrong_yet(row, &tls);
            decided += usize::from(tls.status != Security::Unknown);
        }
        println!("{kept} bytes: {decided} of {}", rows.len());
        right.push(decided);
    }
    assert!(right.is_sorted(), "{right:?}");
    assert_eq!(right.last(), Some(&177));
}

fn connection(at: usize, rows: &[Row]) -> (Connection, Tls) {
    let row = &rows[at % rows.len()];
    let connection = read(&row.path(), row.port());
    let whole = watch(&connection).verdict();
    (connection, whole)
}

fn cut(connection: &Connection, cuts: &[usize]) -> Connection {
    let mut cuts = cuts.iter().copied().filter(|n| *n > 0).cycle();
    let mut said = Vec::new();
    for s in &connection.said {
        let mut done = 0;
        while done < s.data.len() {
            let n = cuts.next().unwrap_or(usize::MAX).min(s.data.len() - done);
            let data = s.data[done..done + n].to_vec();
            said.push(Said { offset: s.offset + done as u64, data, ..s.clone() });
            done += n;
        }
    }
    Connection { adopted: connection.adopted, said }
}

#[test]
fn single_bytes_tell_the_same() {
    let rows = rows();
    for at in 0..rows.len() {
        let (connection, whole) = connection(at, &rows);
        assert_eq!(watch(&cut(&connection, &[1])).verdict(), whole, "{}", rows[at].file());
    }
}

#[test]
fn headers_alone_are_enough_behind_the_hellos() {
    // As a capture does that knows lengths: 4 KiB of each side, then the headers of records.
    for row in &rows() {
        let connection = read(&row.path(), row.port());
        let whole = watch(&connection).verdict();
        if whole.version != Some(0x0304) || connection.adopted || whole.after.is_some() {
            continue;
        }
        let mut watch = Watch::new(false);
        let mut ends = [0u64; 2];
        for s in &connection.said {
            let end = &mut ends[s.from as usize];
            for (i, byte) in s.data.iter().enumerate() {
                let offset = s.offset + i as u64;
                // Where the next header begins, by the last one.
                if offset >= *end {
                    let all: Vec<u8> = connection
                        .said
                        .iter()
                        .filter(|o| o.from == s.from)
                        .flat_map(|o| o.data.iter().copied())
                        .skip(usize::try_from(offset).unwrap())
                        .take(5)
                        .collect();
                    let len = all.get(3..5).map_or(0, |b| u64::from(u16::from_be_bytes([b[0], b[1]])));
                    *end = offset + 5 + len;
                    watch.bytes(s.from, s.at, offset, s.acked, &[*byte]);
                } else if offset < 4096 || all_of_header(&connection, s.from, offset, *end) {
                    watch.bytes(s.from, s.at, offset, s.acked, &[*byte]);
                } else {
                    watch.gap(s.from, s.at, offset, 1);
                }
            }
            if s.offset > 100_000 {
                break;
            }
        }
        watch.end(BootNs(u64::MAX));
        assert_eq!(watch.verdict().status, whole.status, "{}", row.file());
    }
}

/// The byte is one of the five of its record's header; `end`: where that record ends.
fn all_of_header(connection: &Connection, from: Speaker, offset: u64, end: u64) -> bool {
    let all = connection.said.iter().filter(|s| s.from == from).flat_map(|s| s.data.iter().copied());
    (1..5).any(|back| {
        let Some(begin) = offset.checked_sub(back) else { return false };
        let head: Vec<u8> = all.clone().skip(begin as usize).take(5).collect();
        head.len() == 5
            && begin + 5 + u64::from(u16::from_be_bytes([head[3], head[4]])) == end
            && head[1] == 3
    })
}

#[test]
fn memory_is_as_stated() {
    // A hello and certificates as long as they may claim to be, that never end.
    let mut watch = Watch::new(false);
    let record = |begin: &[u8]| [&[22, 3, 3, 64, 0], begin, &vec![3; 16384 - begin.len()]].concat();
    let (hello, certificate) =
        (record(&[1, 0, 255, 255]), record(&[11, 0, 255, 255, 0, 255, 252, 0, 63, 249]));
    watch.bytes(Speaker::Client, BootNs(1), 0, 0, &hello);
    let mut most = watch.held();
    for i in 0..4u64 {
        let offset = i * 16_389;
        watch.bytes(Speaker::Server, BootNs(2), offset, 0, &certificate);
        watch.bytes(Speaker::Client, BootNs(2), 16_389 + offset, 0, &hello);
        most = most.max(watch.held());
    }
    println!("{most} bytes at most in flight");
    assert!((8 * 1024..IN_FLIGHT).contains(&most), "{most} bytes");
    // Settled, without the names that the verdict tells.
    for row in &rows() {
        let watch = super::corpus::watch(&read(&row.path(), row.port()));
        if watch.verdict().handshake == Handshake::Established {
            assert!(size_of::<Watch>() + watch.held() + watch.hellos() < 1024, "{}", row.file());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_cut_tells_the_same(at in any::<usize>(), cuts in prop::collection::vec(0usize..300, 1..8)) {
        let (connection, whole) = connection(at, &rows());
        prop_assert_eq!(watch(&cut(&connection, &cuts)).verdict(), whole);
    }

    #[test]
    fn holes_anywhere_are_never_told_wrong(at in any::<usize>(), holes in prop::collection::vec((0usize..40, 0u64..600, 1u64..900), 1..4)) {
        let rows = rows();
        let row = &rows[at % rows.len()];
        let connection = read(&row.path(), row.port());
        let mut watch = Watch::new(connection.adopted);
        for (i, s) in connection.said.iter().enumerate() {
            let mut from = 0;
            for (segment, at, len) in &holes {
                let at = (*at as usize).min(s.data.len());
                if *segment == i && at >= from {
                    let end = (at + *len as usize).min(s.data.len());
                    watch.bytes(s.from, s.at, s.offset + from as u64, s.acked, &s.data[from..at]);
                    watch.gap(s.from, s.at, s.offset + at as u64, (end - at) as u64);
                    from = end;
                }
            }
            watch.bytes(s.from, s.at, s.offset + from as u64, s.acked, &s.data[from..]);
        }
        is_not_wrong_yet(row, &watch.verdict());
    }

    #[test]
    fn anything_is_survived(
        adopted in any::<bool>(),
        steps in {
            let seeds: Vec<Vec<u8>> = rows().iter().step_by(7).flat_map(|row| {
                let said = read(&row.path(), row.port()).said;
                said.into_iter().take(6).map(|s| s.data)
            }).collect();
            steps(pieces(seeds))
        },
        ack in any::<u64>(),
    ) {
        let mut watch = Watch::new(adopted);
        let mut offsets = [0u64; 2];
        for (i, step) in steps.iter().enumerate() {
            let at = BootNs(i as u64);
            match step {
                Step::Bytes(from, data) => {
                    let offset = &mut offsets[*from as usize];
                    watch.bytes(*from, at, *offset, if i % 3 == 0 { ack } else { 0 }, data);
                    *offset = offset.saturating_add(data.len() as u64);
                }
                Step::Gap(from, len) => {
                    let offset = &mut offsets[*from as usize];
                    watch.gap(*from, at, *offset, *len);
                    *offset = offset.saturating_add(*len);
                }
                Step::Turn(from) => watch.turn(*from),
            }
            prop_assert!(watch.held() <= IN_FLIGHT, "{} bytes", watch.held());
            let tls = watch.verdict();
            prop_assert!(tls.evidence.len() <= 24);
            prop_assert_eq!(tls.unknown.is_some(), tls.status == Security::Unknown);
            prop_assert_eq!(tls.confidence.is_some(), tls.status == Security::Mtls);
            watch.take_changed();
            prop_assert!(!watch.take_changed());
        }
        watch.end(BootNs(u64::MAX));
        let _ = (watch.verdict(), watch.resumption());
        prop_assert!(watch.is_settled());
    }
}

/// A hello that contradicts itself ends the walk: what stands behind it in the same record is not read,
/// however the bytes come.
#[test]
fn nothing_is_read_behind_a_hello_that_contradicts_itself() {
    let mut hello = vec![1, 0, 0, 40, 3, 3];
    hello.extend([7; 32]);
    hello.extend([255, 0, 0, 0, 0, 0]);
    let record = [&[0x16, 3, 1, 0, 52][..], &hello, &[15, 0, 0, 4, 1, 2, 3, 4]].concat();
    let mut whole = Watch::new(false);
    whole.bytes(Speaker::Client, BootNs(1), 0, 0, &record);
    let mut cut = Watch::new(false);
    for (i, byte) in record.iter().enumerate() {
        cut.bytes(Speaker::Client, BootNs(1), i as u64, 0, &[*byte]);
    }
    assert_eq!(whole.verdict(), cut.verdict());
    assert!(
        whole.verdict().evidence.iter().any(|e| e.contains("contradicts itself")),
        "{:?}",
        whole.verdict()
    );
}
