//! DNS over TCP.

use proptest::prelude::*;

use super::*;
use crate::model::{Shape, Verdict};
use crate::wire::dns::{Stream, sniff};
use crate::wire::testing::{Said, conversations, decode, decode_cut, said};
use crate::wire::{Decoder, Sniff};

fn framed(message: Vec<u8>) -> Vec<u8> {
    [(message.len() as u16).to_be_bytes().to_vec(), message].concat()
}

fn lines(told: &[Told]) -> Vec<String> {
    told.iter().map(line).collect()
}

fn tcp(name: &str) -> Vec<Vec<Said>> {
    conversations(capture(name))
        .into_iter()
        .map(|(port, said)| (port == 53).then_some(said).unwrap())
        .collect()
}

#[test]
fn dig_over_tcp() {
    let told: Vec<Vec<Told>> = tcp("dns-udp-tcp.pcap").iter().map(|c| decode(Stream::new(), c)).collect();
    let lines: Vec<Vec<String>> = told.iter().map(|told| lines(told)).collect();
    assert_eq!(
        lines,
        [
            vec!["TXT big.cluster.test NOERROR"],
            vec![
                "A edge.cluster.test NOERROR 10.0.0.8 10.0.0.9",
                "AAAA www.cluster.test NOERROR =front.cluster.test =edge.cluster.test",
                "A nothere.cluster.test NXDOMAIN",
            ],
            vec![
                "AXFR cluster.test NOERROR 10.0.0.8 10.0.0.9 =edge.cluster.test 127.0.0.1 10.0.0.10 10.0.0.7 fd00::7 =front.cluster.test"
            ],
            vec!["A db.corp.test NOERROR 10.1.0.5"],
        ]
    );
    assert_eq!(told[2][0].shape, Shape::Stream);
    for told in told.iter().flatten() {
        let response = told.response.unwrap();
        assert!(response.first > told.request.last && told.request.bytes > 20, "{told:?}");
        assert!(response.first.since(told.request.last) < 10_000_000, "{told:?}");
    }
}

#[test]
fn pipelined_queries_match_by_id() {
    let [conversation] = &tcp("dns-pipelined.pcap")[..] else { panic!("one connection") };
    let told = decode(Stream::new(), conversation);
    assert_eq!(
        lines(&told),
        [
            "A edge.cluster.test NOERROR 10.0.0.9 10.0.0.8",
            "TXT big.cluster.test NOERROR",
            "AAAA nothere.cluster.test NXDOMAIN",
            "A x.broken.test SERVFAIL",
            "AAAA api.svc.cluster.test NOERROR fd00::7",
            "MX elsewhere.test REFUSED",
        ]
    );
    let bytes: Vec<u64> = told.iter().map(|t| t.response.unwrap().bytes).collect();
    assert_eq!(bytes, [102, 3525, 84, 33, 117, 34]);
    let keys: Vec<u64> = told.iter().map(|t| t.key.0).collect();
    assert_eq!(keys, [0, 37, 73, 113, 146, 186]);
}

#[test]
fn answers_out_of_order() {
    let told = decode(
        Stream::new(),
        &[
            said(C, 1, [framed(query(1, "a.test", 1)), framed(query(2, "b.test", 1))].concat()),
            said(S, 5, framed(failure(2, "b.test", 1, 3))),
            said(C, 6, framed(query(3, "c.test", 1))),
            said(S, 9, framed(answer(1, "a.test"))),
        ],
    );
    assert_eq!(
        lines(&told),
        [
            "A b.test NXDOMAIN",
            "A a.test NOERROR 10.0.0.1",
            "A c.test the connection ended before an answer came"
        ]
    );
    assert_eq!(told[0].verdict, Verdict::ClientError);
    assert_eq!((told[1].request.last, told[1].response.unwrap().first), (ms(1), ms(9)));
    assert_eq!((told[2].verdict, told[2].response), (Verdict::Unknown, None));
}

#[test]
fn an_answer_without_a_query_or_to_another_question() {
    let told = decode(
        Stream::new(),
        &[
            said(S, 1, framed(answer(1, "a.test"))),
            said(C, 2, framed(query(2, "b.test", 1))),
            said(S, 3, framed(answer(2, "other.test"))),
        ],
    );
    assert_eq!(
        lines(&told),
        [
            "A a.test NOERROR 10.0.0.1",
            "A other.test NOERROR 10.0.0.1",
            "A b.test the connection ended before an answer came"
        ]
    );
    assert_eq!(told[0].request.bytes, 0);
    assert_eq!(told[1].key, (told[0].response.unwrap().bytes, u32::MAX));
}

/// Heads of 32 bytes are captured, the rest is a gap: what is told must not change, but for the
/// answers in the gap.
#[test]
fn only_the_heads_are_captured() {
    let mut decoder = Stream::new();
    let mut out = Vec::new();
    let big = message(1, 0x8180, [20, 0, 0], "a.test", 1, &record(1, 60, &[10, 0, 0, 1]).repeat(20));
    let sizes = [framed(query(1, "a.test", 1)), framed(big), framed(query(2, "b.test", 1))];
    decoder.bytes(C, ms(1), 0, &sizes[0], &mut out);
    decoder.bytes(S, ms(2), 0, &sizes[1][..60], &mut out);
    assert!(out.is_empty());
    decoder.gap(S, ms(3), 60, (sizes[1].len() - 60) as u64, &mut out);
    assert_eq!(lines(&out), ["A a.test NOERROR 10.0.0.1 10.0.0.1"]);
    let response = out[0].response.unwrap();
    assert_eq!((response.first, response.last, response.bytes), (ms(2), ms(3), sizes[1].len() as u64));
    assert_eq!(decoder.take_undecoded(), 0);

    // A gap that reaches into the next message: lost until the next turn, and counted.
    let offset = sizes[0].len() as u64;
    decoder.bytes(C, ms(4), offset, &sizes[2][..20], &mut out);
    decoder.gap(C, ms(4), offset + 20, 100, &mut out);
    decoder.bytes(C, ms(4), offset + 120, b"anything", &mut out);
    assert_eq!(decoder.take_undecoded(), 20 + 100 + 8 - sizes[2].len() as u64);
    decoder.bytes(S, ms(5), sizes[1].len() as u64, &framed(failure(2, "b.test", 1, 2)), &mut out);
    decoder.turn(C, &mut out);
    decoder.bytes(C, ms(6), offset + 128, &framed(query(3, "c.test", 28)), &mut out);
    decoder.end(ms(7), &mut out);
    assert_eq!(
        lines(&out[1..]),
        ["A b.test SERVFAIL", "AAAA c.test the connection ended before an answer came"]
    );
}

/// A transfer in several messages is one exchange; it ends with the second SOA record, or with what
/// comes next.
#[test]
fn a_zone_transfer_in_several_messages() {
    let part = |id, kind, records: &[u8], n| framed(message(id, 0x8180, [n, 0, 0], "a.test", kind, records));
    let soa = record(6, 1, &[0; 22]);
    let a = record(1, 1, &[10, 0, 0, 1]);
    let parts = [part(1, 252, &soa, 1), part(1, 252, &a, 1), part(1, 252, &soa, 1)];
    let told = decode(
        Stream::new(),
        &[
            said(C, 1, framed(query(1, "a.test", 252))),
            said(S, 2, &parts[0]),
            said(S, 3, &parts[1]),
            said(S, 4, &parts[2]),
            said(C, 5, framed(query(2, "a.test", 251))),
            said(S, 6, part(2, 251, &soa, 1)),
            said(S, 7, part(2, 251, &a, 1)),
            said(C, 8, framed(query(3, "a.test", 252))),
            said(S, 9, framed(failure(3, "a.test", 252, 5))),
        ],
    );
    assert_eq!(lines(&told), ["AXFR a.test NOERROR", "IXFR a.test NOERROR", "AXFR a.test REFUSED"]);
    let spans: Vec<_> = told.iter().map(|t| t.response.unwrap()).map(|r| (r.first, r.last)).collect();
    assert_eq!(spans, [(ms(2), ms(4)), (ms(6), ms(7)), (ms(9), ms(9))]);
    assert_eq!(told[0].response.unwrap().bytes, parts.iter().map(|p| p.len() as u64).sum::<u64>());
}

#[test]
fn what_is_no_dns_is_given_up() {
    let mut decoder = Stream::new();
    let mut out = Vec::new();
    for _ in 0..3 {
        assert_eq!(decoder.over(), None);
        decoder.turn(C, &mut out);
        decoder.bytes(C, ms(1), 0, b"\0\x04abcdefgh", &mut out);
    }
    assert!(decoder.over().is_some() && out.is_empty());
    assert_eq!(decoder.take_undecoded(), 30);
}

#[test]
fn pending_queries_are_bounded() {
    let many: Vec<u8> = (0..1100).flat_map(|id| framed(query(id, "a.test", 1))).collect();
    let each = framed(query(0, "a.test", 1)).len() as u64;
    let mut decoder = Stream::new();
    let told = decode_cut(&mut decoder, &[said(C, 1, many)], &[]);
    assert_eq!(told.len(), 1024);
    assert_eq!(decoder.take_undecoded(), 76 * each);
}

#[test]
fn recognised_by_a_whole_question() {
    let asked = framed(query(1, "a.test", 1));
    let answered = framed(answer(1, "a.test"));
    assert_eq!(sniff(&asked, b""), Sniff::Yes);
    assert_eq!(sniff(b"", &answered), Sniff::Yes);
    assert_eq!(sniff(&asked[..10], b""), Sniff::Maybe);
    assert_eq!(sniff(b"", b""), Sniff::Maybe);
    // The wrong way round, and the length too short for the question.
    assert_eq!(sniff(&answered, b""), Sniff::No);
    let mut short = asked.clone();
    short[1] = 14;
    assert_eq!(sniff(&short, b""), Sniff::No);
    for c in ["dns-udp-tcp.pcap", "dns-pipelined.pcap"].iter().flat_map(|name| tcp(name)) {
        assert_eq!(sniff(&c[0].data, b""), Sniff::Yes);
    }
    for other in [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x55\x0f\x6a\x21\x91",
        b"*1\r\n$4\r\nPING\r\n",
        b"\0\0\0\x08\x04\xd2\x16\x2f",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\0\0\0\x23\0\x03\0\0\0\0\0\x01\0\x09kafka-cli\0",
        b"\x3a\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0",
    ] {
        assert_eq!(sniff(other, b""), Sniff::No, "{other:02x?}");
    }
}

proptest! {
    #[test]
    fn any_split_tells_the_same(cuts in prop::collection::vec(0usize..80, 1..20)) {
        for c in ["dns-udp-tcp.pcap", "dns-pipelined.pcap"].iter().flat_map(|name| tcp(name)) {
            let whole = decode(Stream::new(), &c);
            prop_assert!(!whole.is_empty());
            prop_assert_eq!(decode_cut(&mut Stream::new(), &c, &cuts), whole);
        }
    }

    /// As the kernel captures: the head of each message, the rest a gap of known length. Everything
    /// but the answers in the gap is told the same.
    #[test]
    fn heads_tell_the_same(head in 50usize..300) {
        for c in ["dns-udp-tcp.pcap", "dns-pipelined.pcap"].iter().flat_map(|name| tcp(name)) {
            let mut whole = decode(Stream::new(), &c);
            let mut decoder = Stream::new();
            let mut out = Vec::new();
            let mut offsets = [0u64; 2];
            for said in &c {
                let mut rest = &said.data[..];
                while !rest.is_empty() {
                    let len = 2 + usize::from(u16::from_be_bytes([rest[0], rest[1]]));
                    let (now, later) = rest.split_at(len);
                    let offset = &mut offsets[usize::from(said.from == S)];
                    let n = head.min(len);
                    decoder.bytes(said.from, said.at, *offset, &now[..n], &mut out);
                    decoder.gap(said.from, said.at, *offset + n as u64, (len - n) as u64, &mut out);
                    *offset += len as u64;
                    rest = later;
                }
            }
            decoder.end(ms(0), &mut out);
            prop_assert_eq!(decoder.take_undecoded(), 0);
            for told in whole.iter_mut().chain(&mut out) {
                told.dns.as_mut().unwrap().answers.clear();
            }
            prop_assert_eq!(out, whole);
        }
    }

    #[test]
    fn hostile_bytes_and_gaps(
        steps in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(any::<u8>(), 0..200), 0u64..300, any::<bool>()),
            0..40,
        ),
        which in any::<prop::sample::Index>(),
    ) {
        let conversations = tcp("dns-udp-tcp.pcap");
        let real = &conversations[which.index(conversations.len())];
        let mut decoder = Stream::new();
        let mut out = Vec::new();
        let mut offset = 0;
        let mut total = 0;
        for (i, (client, noise, gap, turn)) in steps.iter().enumerate() {
            let from = if *client { C } else { S };
            if *turn {
                decoder.turn(from, &mut out);
            }
            let real = real.get(i).map_or(&[][..], |said| &said.data);
            for data in [noise.as_slice(), real] {
                decoder.bytes(from, ms(i as u64), offset, data, &mut out);
                offset += data.len() as u64;
                total += data.len() as u64;
            }
            decoder.gap(from, ms(i as u64), offset, *gap, &mut out);
            offset += gap;
            total += gap;
        }
        decoder.end(ms(99), &mut out);
        prop_assert!(out.len() as u64 <= total / 14);
        let told: u64 = out.iter().map(|t| t.request.bytes + t.response.map_or(0, |r| r.bytes)).sum();
        prop_assert_eq!(told + decoder.take_undecoded(), total, "every byte is told or counted");
    }
}
