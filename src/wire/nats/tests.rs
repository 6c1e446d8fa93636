//! Tests of the NATS decoder: a real capture, gaps, and any split of the bytes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::wire::decoder::Sniff;
use crate::wire::testing::{
    Said, conversations, damaged, decode, decode_cut, made_of, survive, survive_sniffing,
};
use Speaker::{Client as C, Server as S};

fn capture() -> Vec<Vec<Said>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures/nats-client.pcap");
    conversations(path).into_iter().map(|(_, c)| c).collect()
}

fn line(t: &Told) -> String {
    let status = match &t.status {
        Known::Known(s) => s.as_ref(),
        Known::Absent => "-",
        Known::Unknown(_) => "?",
    };
    let target = t.target.known().map_or("-", |t| t);
    format!("{} {target} {status} {} {}", t.method, t.verdict.as_str(), t.shape.as_str())
}

fn counts(told: &[Told]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for t in told {
        *counts.entry(line(t)).or_insert(0) += 1;
    }
    counts
}

#[test]
fn requests_deliveries_and_errors_of_real_clients() {
    let told: Vec<Vec<Told>> = capture().iter().map(|c| decode(Nats::new(), c)).collect();
    let want =
        |lines: &[(&str, usize)]| lines.iter().map(|(l, n)| (l.to_string(), *n)).collect::<BTreeMap<_, _>>();
    assert_eq!(
        counts(&told[0]),
        want(&[
            ("REQ ok.svc.{id} - ok unary", 20),
            ("REQ ok.svc.many - ok unary", 10),
            ("REQ nobody.home 503 error unary", 1),
            ("REQ ok.silent ? unknown unary", 1),
            ("MSG ok.events.{id} - ok one-way", 5),
            ("MSG ok.events.h - ok one-way", 1),
            ("REQ $JS.API.STREAM.CREATE.S - ok unary", 1),
            ("REQ s.one - ok unary", 3),
            ("REQ $JS.API.STREAM.NAMES - ok unary", 1),
            ("REQ $JS.API.CONSUMER.INFO.S.dur - ok unary", 1),
            ("REQ $JS.API.CONSUMER.CREATE.S.dur.s.> - ok unary", 1),
            ("PUB $JS.API.CONSUMER.MSG.NEXT.S.dur - ok one-way", 2),
            ("MSG s.one - ok one-way", 3),
            ("PUB $JS.ACK.S.dur.{id}.{id}.{id}.{id}.{id} - ok one-way", 3),
        ])
    );
    assert_eq!(
        counts(&told[1]),
        want(&[
            ("MSG ok.svc.{id} - ok one-way", 20),
            ("MSG ok.svc.many - ok one-way", 10),
            ("MSG ok.silent - ok one-way", 1),
            ("PUB _INBOX - ok one-way", 30),
            ("PUB ok.events.{id} - ok one-way", 5),
            ("PUB ok.events.h - ok one-way", 1),
            ("PUB forbidden.x - ok one-way", 1),
            ("-ERR - Permissions Violation for Publish error one-way", 1),
        ])
    );
    assert_eq!(counts(&told[2]), want(&[("-ERR - Authorization Violation error one-way", 1)]));
    // Each request was answered by its own message: 'answer ' and as many bytes as it had.
    for (i, t) in
        told[0].iter().filter(|t| t.target.known().is_some_and(|t| &**t == "ok.svc.{id}")).enumerate()
    {
        let answer = t.response.unwrap();
        assert!(answer.first > t.request.last);
        assert_eq!(answer.bytes.saturating_sub(75 + i as u64) / 5, 0, "{t:?}");
    }
}

#[test]
fn every_connection_is_recognised_from_its_start() {
    for c in capture() {
        let of = |who| c.iter().find(|s| s.from == who).map_or(&[][..], |s| &s.data[..s.data.len().min(256)]);
        assert_eq!(sniff(b"", of(S)), Sniff::Yes);
        assert_eq!(sniff(of(C), b""), Sniff::Yes);
    }
}

#[test]
fn sniffing_needs_evidence() {
    for (client, server, want) in [
        (&b""[..], &b""[..], Sniff::Maybe),
        (b"", b"INF", Sniff::Maybe),
        (b"", b"INFO {\"server_id\":\"N", Sniff::Yes),
        (b"", b"INFO hello\r\n", Sniff::Maybe),
        (b"PUB a.b 5\r\nhel", b"", Sniff::Yes),
        (b"PUB a.b x\r\nhel", b"", Sniff::No),
        (b"", b"MSG a.b 1 5\r\n", Sniff::Yes),
        (b"PING\r\n", b"", Sniff::Maybe),
        (b"PING\r\n", b"PONG\r\n", Sniff::Yes),
        (b"PING\r\n", b"+PONG\r\n", Sniff::No),
        (b"PUT / HTTP/1.1\r\n", b"", Sniff::No),
        (b"SUBSCRIBE a\r\n", b"", Sniff::No),
        (b"CONNECT x:443 HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n", Sniff::No),
        (b"*1\r\n$4\r\nPING\r\n", b"", Sniff::No),
        (b"", b"-ERR 'x'\r\n", Sniff::Maybe),
    ] {
        let text = (String::from_utf8_lossy(client), String::from_utf8_lossy(server));
        assert_eq!(sniff(client, server), want, "{text:?}");
    }
}

#[test]
fn gaps_in_payloads_are_harmless_and_others_lose_until_a_turn() {
    let (mut d, mut out) = (Nats::new(), Vec::new());
    let at = |ms: u64| BootNs(ms * 1_000_000);
    d.bytes(C, at(0), 0, b"PUB a.b in.1 1000\r\nxx", &mut out);
    d.gap(C, at(1), 21, 1000, &mut out);
    d.bytes(S, at(2), 0, b"MSG in.1 7 2000\r\nyy", &mut out);
    d.gap(S, at(3), 19, 2000, &mut out);
    assert_eq!(out.iter().map(line).collect::<Vec<_>>(), ["REQ a.b - ok unary"]);
    assert_eq!(out[0].request, Span { first: at(0), last: at(1), bytes: 1021 });
    assert_eq!(out[0].response, Some(Span { first: at(2), last: at(3), bytes: 2019 }));
    assert_eq!(d.take_undecoded(), 0);
    d.bytes(S, at(4), 2019, b"MSG x 7 5\r\nhe", &mut out);
    d.gap(S, at(5), 2032, 105, &mut out);
    d.bytes(S, at(6), 2137, b"lost", &mut out);
    d.turn(S, &mut out);
    d.bytes(S, at(7), 2141, b"MSG y 7 1\r\nh\r\n", &mut out);
    assert_eq!(out[1..].iter().map(line).collect::<Vec<_>>(), ["MSG x - ok one-way", "MSG y - ok one-way"]);
    assert_eq!(d.take_undecoded(), 100 + 4);
}

/// A greeting is longer than what is captured of an answer.
#[test]
fn a_greeting_that_is_answered_hides_nothing() {
    for answered in [true, false] {
        let (mut d, mut out) = (Nats::new(), Vec::new());
        d.bytes(S, BootNs(0), 0, b"INFO {\"server_id\":\"N", &mut out);
        d.gap(S, BootNs(1), 20, 300, &mut out);
        assert_eq!(d.take_undecoded(), 0);
        if answered {
            d.turn(C, &mut out);
            d.bytes(C, BootNs(2), 0, b"CONNECT {}\r\nPING\r\n", &mut out);
            d.turn(S, &mut out);
            d.bytes(S, BootNs(3), 320, b"PONG\r\nMSG a 1 1\r\nx\r\n", &mut out);
        }
        d.end(BootNs(4), &mut out);
        assert_eq!((d.take_undecoded(), out.len()), if answered { (0, 1) } else { (300, 0) });
    }
    // Not at the beginning of the connection: messages may follow it.
    let (mut d, mut out) = (Nats::new(), Vec::new());
    d.bytes(S, BootNs(0), 7, b"INFO {\"server_id\":\"N", &mut out);
    d.gap(S, BootNs(1), 27, 300, &mut out);
    assert_eq!(d.take_undecoded(), 320);
}

#[test]
fn bytes_are_missed_once() {
    let mut d = Nats::new();
    d.bytes(S, BootNs(0), 0, b"RMSG A x\nlost", &mut Vec::new());
    d.gap(S, BootNs(1), 13, 100, &mut Vec::new());
    assert_eq!(d.take_undecoded(), 13 + 100);
}

#[test]
fn requests_without_an_answer_are_bounded_in_number_and_time() {
    let (mut d, mut out) = (Nats::new(), Vec::new());
    for i in 0..PENDING + 10 {
        d.bytes(C, BootNs(0), i as u64 * 100, format!("PUB a in.{i} 0\r\n\r\n").as_bytes(), &mut out);
    }
    assert_eq!(out.len(), 10);
    d.bytes(S, BootNs(PATIENCE_NS), 0, b"MSG in.500 1 0\r\n\r\n", &mut out);
    assert_eq!((out.len(), out[10].verdict), (11, Verdict::Ok));
    d.bytes(S, BootNs(PATIENCE_NS + 1), 18, b"PING\r\n", &mut out);
    assert_eq!(out.len(), PENDING + 10);
    assert!(d.requests.by_reply.is_empty());
}

#[test]
fn tls_and_other_protocols_end_it() {
    let mut d = Nats::new();
    d.bytes(S, BootNs(0), 0, b"INFO {\"server_id\":\"x\",\"tls_required\":true} \r\n", &mut Vec::new());
    d.bytes(C, BootNs(0), 0, b"\x16", &mut Vec::new());
    assert_eq!(d.over(), Some(Known::Known(Protocol::Tls)));
    let mut d = Nats::new();
    for i in 0..4 {
        assert_eq!(d.over(), None);
        d.turn(S, &mut Vec::new());
        d.bytes(S, BootNs(0), i * 9, b"RMSG A x\n", &mut Vec::new());
    }
    assert!(d.over().is_some());
}

fn any_conversation() -> impl Strategy<Value = Vec<Said>> {
    let made = made_of(&[
        b"PUB a b 3\r\n",
        b"abc\r\n",
        b"MSG b 1 3\r\n",
        b"HMSG b 1 16 16\r\n",
        b"NATS/1.0 503\r\n\r\n\r\n",
        b"PING\r\n",
        b"HPUB a b 2 3\r\n",
        b"SUB x 1\r\n",
        b"-ERR 'Stale Connection'\r\n",
        b"+OK\r\n",
        b"INFO {}\r\n",
        b"PUB a 0\r\n",
        b"\r\n",
        b"\x16\x03",
        b"PUB a 99999999999\r\n",
        b"msg b 1 c 0\r\n\r\n",
        b"pub b c d e\r\n",
    ]);
    prop_oneof![1 => proptest::sample::select(capture()), 3 => made]
}

proptest! {
    #[test]
    fn any_split_gives_the_same(c in any_conversation(), cuts in proptest::collection::vec(1usize..40, 1..6)) {
        let (mut whole, mut cut) = (Nats::new(), Nats::new());
        prop_assert_eq!(decode_cut(&mut whole, &c, &[]), decode_cut(&mut cut, &c, &cuts));
        prop_assert_eq!(whole.take_undecoded(), cut.take_undecoded());
        prop_assert_eq!(whole.over(), cut.over());
    }

    #[test]
    fn anything_is_survived(steps in damaged(any_conversation())) {
        let mut d = Nats::new();
        survive(&mut d, &steps, |d| {
            assert!(d.requests.by_age.len() <= PENDING);
            assert_eq!(d.requests.by_age.len(), d.requests.by_reply.len());
        });
        prop_assert!(d.requests.by_age.is_empty());
        survive_sniffing(sniff, &steps);
    }
}
