//! Single messages.

use proptest::prelude::*;

use super::*;
use crate::model::Verdict;
use crate::wire::Sniff;
use crate::wire::dns::{Malformed, parse, rcode_name, sniff_datagram, type_name, verdict};

#[test]
fn a_query_and_its_answer() {
    let m = parse(&query(7, "API.Example.com", 28)).unwrap();
    assert_eq!((m.id, m.response, m.questions, m.partial), (7, false, 1, false));
    let q = m.question.unwrap();
    assert_eq!((&*q.name, q.kind, q.class), ("api.example.com", 28, 1));

    let mut records = record(5, 300, &[5, b'f', b'R', b'o', b'n', b't', 0xc0, 16]);
    // Owner: the CNAME's own name, by a pointer into the record before.
    let target = (12 + 17 + 4 + 12) as u8;
    let mut a = record(1, 0x8000_0001, &[192, 0, 2, 7]);
    a[1] = target;
    records.extend(a);
    let m = parse(&message(7, 0x8180, [2, 0, 0], "api.example.com", 1, &records)).unwrap();
    assert!(m.response && !m.partial);
    assert_eq!(m.answers.len(), 2);
    assert_eq!(m.answers[0].record, Record::Alias("front.example.com".into()));
    assert_eq!((&*m.answers[0].name, m.answers[0].ttl), ("api.example.com", 300));
    assert_eq!(m.answers[1].record, Record::Address([192, 0, 2, 7].into()));
    assert_eq!((&*m.answers[1].name, m.answers[1].ttl), ("front.example.com", 0));
}

#[test]
fn names_are_printable_and_bounded() {
    let mut odd = query(1, "x", 1);
    odd.splice(12..15, [b"\x04a.\\b".as_slice(), b"\x03\x00\xff ", b"\0"].concat());
    assert_eq!(&*parse(&odd).unwrap().question.unwrap().name, "a\\046\\092b.\\000\\255\\032");
    assert_eq!(&*parse(&query(1, "", 2)).unwrap().question.unwrap().name, ".");

    // 255 bytes on the wire are a name, 256 are none.
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "b".repeat(61));
    assert_eq!(&*parse(&query(1, &longest, 1)).unwrap().question.unwrap().name, longest);
    assert_eq!(parse(&query(1, &(longest + "b"), 1)), Err(Malformed::Name));
    // Text of the worst name: every byte takes four.
    let worst = query(1, &format!("{0}.{0}.{0}.{1}", "\u{1}".repeat(63), "\u{1}".repeat(61)), 1);
    assert_eq!(parse(&worst).unwrap().question.unwrap().name.len(), 250 * 4 + 3);
}

#[test]
fn pointers_cannot_turn_in_a_circle() {
    for at in [12u8, 13, 200] {
        let mut m = query(1, "", 1);
        m.splice(12..13, [0xc0, at]);
        assert_eq!(parse(&m), Err(Malformed::Name), "pointer to {at}");
    }
    // In an answer: to itself, forward, and through a label back to itself.
    for data in [vec![0xc0, 12 + 7 + 12], vec![0xc0, 250], vec![1, b'a', 0xc0, 12 + 7 + 12]] {
        let m = parse(&message(1, 0x8180, [1, 0, 0], "a", 1, &record(5, 1, &data))).unwrap();
        assert!(m.partial && m.answers.is_empty(), "{data:?}");
    }
    // Unknown kinds of label (RFC 6891 section 5 withdrew the only one).
    let mut m = query(1, "", 1);
    m[12] = 0x41;
    assert_eq!(parse(&m), Err(Malformed::Name));
}

#[test]
fn edns_extends_the_response_code() {
    let opt = [0, 0, 41, 16, 0, 1, 0, 0, 0, 0, 0];
    let m = parse(&message(1, 0x8000, [0, 0, 1], "a", 1, &opt)).unwrap();
    assert_eq!((m.rcode, rcode_name(m.rcode).as_ref()), (16, "BADVERS"));
    // Behind an authority record that is jumped over.
    let records = [record(6, 1, &[0; 22]), opt.to_vec()].concat();
    let m = parse(&message(1, 0x8007, [0, 1, 1], "a", 1, &records)).unwrap();
    assert_eq!((m.rcode, rcode_name(m.rcode).as_ref()), (23, "BADCOOKIE"));
    assert_eq!(rcode_name(12), "RCODE12");
    assert_eq!(type_name(65280), "TYPE65280");
}

#[test]
fn what_the_codes_mean() {
    assert_eq!(verdict(0), Verdict::Ok);
    assert_eq!(verdict(3), Verdict::ClientError);
    for rcode in [1, 2, 4, 5, 9, 16, 4095] {
        assert_eq!(verdict(rcode), Verdict::Error);
    }
}

#[test]
fn a_cut_message_gives_what_is_there() {
    let records = [record(1, 60, &[10, 0, 0, 1]), record(1, 60, &[10, 0, 0, 2])].concat();
    let whole = message(9, 0x8180, [2, 0, 0], "host.test", 1, &records);
    let mut seen = Vec::new();
    for len in 0..=whole.len() {
        match parse(&whole[..len]) {
            Err(e) => assert!(len < 12 && e == Malformed::Short),
            Ok(m) => {
                assert_eq!((m.id, m.partial), (9, len < whole.len()), "{len}");
                seen.push((m.question.is_some(), m.answers.len()));
            }
        }
    }
    seen.dedup();
    assert_eq!(seen, [(false, 0), (true, 0), (true, 1), (true, 2)]);
}

#[test]
fn at_most_64_answers_and_odd_records_are_passed_over() {
    let mut records = record(1, 1, &[1, 2, 3]);
    records.extend(record(16, 1, b"\x05hello"));
    let mut chaos = record(1, 1, &[1, 2, 3, 4]);
    chaos[5] = 3;
    records.extend(chaos);
    for i in 0..70 {
        records.extend(record(1, 1, &[10, 0, 0, i]));
    }
    let m = parse(&message(1, 0x8180, [73, 0, 0], "a", 1, &records)).unwrap();
    assert!(!m.partial);
    assert_eq!(m.answers.len(), 64);
    assert_eq!(m.answers[63].record, Record::Address([10, 0, 0, 63].into()));
}

#[test]
fn more_than_one_question_is_counted() {
    let mut m = query(1, "a.test", 1);
    m[5] = 2;
    m.extend_from_slice(&[0xc0, 12, 0, 28, 0, 1]);
    let m = parse(&m).unwrap();
    assert_eq!((m.questions, m.partial), (2, false));
    assert_eq!(m.question.unwrap().kind, 1);
}

#[test]
fn datagrams_of_other_protocols_are_not_dns() {
    assert_eq!(sniff_datagram(&query(1, "a.test", 1)), Sniff::Yes);
    assert_eq!(sniff_datagram(&answer(1, "a.test")), Sniff::Yes);
    assert_eq!(sniff_datagram(&query(1, "a.test", 1)[..14]), Sniff::Maybe);
    assert_eq!(sniff_datagram(b""), Sniff::Maybe);
    for other in [
        // NTP, a QUIC Initial, syslog, StatsD, DHCP, STUN.
        b"\x23\x02\x06\xec\x00\x00\x1b\x47\x00\x00\x01\x99\x0a\x00\x00\x01".as_slice(),
        b"\xc0\x00\x00\x00\x01\x08\x83\x94\xc8\xf0\x3e\x51\x57\x08\x00\x00",
        b"<34>1 2026-01-01T00:00:00Z host app - - -",
        b"page.views:1|c|#env:prod",
        b"\x01\x01\x06\x00\x3d\x1d\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\x00\x01\x00\x00\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86",
    ] {
        assert_eq!(sniff_datagram(other), Sniff::No, "{other:02x?}");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(data in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = parse(&data);
        let _ = sniff_datagram(&data);
    }

    #[test]
    fn damaged_messages_stay_within_bounds(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        which in any::<prop::sample::Index>(),
    ) {
        let mut all = datagrams("dns-udp-tcp.pcap");
        let i = which.index(all.len());
        let data = &mut all[i].3;
        for (index, byte) in flips {
            let i = index.index(data.len());
            data[i] = byte;
        }
        if let Ok(m) = parse(data) {
            prop_assert!(m.answers.len() <= 64);
            for name in m.question.iter().map(|q| &q.name).chain(m.answers.iter().map(|a| &a.name)) {
                prop_assert!(name.len() <= 1020 && name.bytes().all(|b| b.is_ascii_graphic()), "{name}");
            }
        }
    }
}
