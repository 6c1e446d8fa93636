//! Crafted messages by the protocol guide, and a capture of librdkafka (client and mock broker).

use proptest::prelude::*;

use super::*;
use crate::wire::framed::tests::{captured, captures, heads_only, lines, small};
use crate::wire::testing::{Said, decode, decode_cut, said, steps, survive, survive_sniffing};

const CAPTURE: &str = "kafka-librdkafka-mock.pcap";

fn capture() -> Vec<Vec<Said>> {
    captured(CAPTURE)
}

fn message(body: &[u8]) -> Vec<u8> {
    let mut m = (body.len() as u32).to_be_bytes().to_vec();
    m.extend_from_slice(body);
    m
}

/// A request with header version 1 (or 2, given a tag buffer at the beginning of `body`).
fn request(key: i16, version: i16, correlation: i32, body: &[u8]) -> Vec<u8> {
    let mut m = Vec::new();
    m.extend(key.to_be_bytes());
    m.extend(version.to_be_bytes());
    m.extend(correlation.to_be_bytes());
    m.extend(b"\0\x04shop");
    m.extend(body);
    message(&m)
}

fn answer(correlation: i32, body: &[u8]) -> Vec<u8> {
    message(&[&correlation.to_be_bytes(), body].concat())
}

fn ask(ms: u64, data: Vec<u8>) -> Said {
    said(Speaker::Client, ms, data)
}

fn reply(ms: u64, data: Vec<u8>) -> Said {
    said(Speaker::Server, ms, data)
}

/// Produce version 3 of `orders` with one partition, and its answer with `code`.
fn produce(correlation: i32, acks: i16, payload: usize) -> Vec<u8> {
    let mut body = vec![0xff, 0xff];
    body.extend(acks.to_be_bytes());
    body.extend(b"\0\0\x75\x30\0\0\0\x01\0\x06orders\0\0\0\x01\0\0\0\0");
    body.extend((payload as u32).to_be_bytes());
    body.resize(body.len() + payload, 7);
    request(api::PRODUCE, 3, correlation, &body)
}

fn produced(correlation: i32, codes: &[i16]) -> Vec<u8> {
    let mut body = b"\0\0\0\x01\0\x06orders".to_vec();
    body.extend((codes.len() as u32).to_be_bytes());
    for (i, code) in codes.iter().enumerate() {
        body.extend((i as u32).to_be_bytes());
        body.extend(code.to_be_bytes());
        body.extend([0; 16]);
    }
    body.extend([0; 4]);
    answer(correlation, &body)
}

#[test]
fn the_first_bad_code_of_any_partition_is_the_status() {
    let told = decode(
        Kafka::new(),
        &[
            ask(0, produce(1, -1, 50)),
            reply(3, produced(1, &[0, 0])),
            ask(10, produce(2, 1, 50)),
            reply(12, produced(2, &[0, 6, 7])),
        ],
    );
    assert_eq!(
        lines(&told),
        ["Produce orders | NONE | ok unary", "Produce orders | NOT_LEADER_OR_FOLLOWER | error unary"]
    );
    assert_eq!(told[0].request.last, BootNs(0));
    assert_eq!(told[0].response.map(|r| r.first), Some(BootNs(3_000_000)));
}

#[test]
fn no_answer_is_awaited_without_acks_and_later_ones_match() {
    let asked = [produce(1, 0, 50), produce(2, 0, 50), produce(3, 1, 50)].concat();
    let told = decode(Kafka::new(), &[ask(0, asked), reply(3, produced(3, &[0]))]);
    assert_eq!(
        lines(&told),
        [
            "Produce orders | - | ok one-way",
            "Produce orders | - | ok one-way",
            "Produce orders | NONE | ok unary"
        ]
    );
}

#[test]
fn answers_come_in_order_and_what_was_passed_over_is_unknown() {
    let asked = [produce(1, 1, 5), produce(2, 1, 5), produce(3, 1, 5)].concat();
    let told = decode(Kafka::new(), &[ask(0, asked), reply(3, produced(2, &[0]))]);
    assert_eq!(
        lines(&told),
        [
            "Produce orders | ? no answer was seen | unknown unary",
            "Produce orders | NONE | ok unary",
            "Produce orders | ? no answer was seen | unknown unary"
        ]
    );
}

#[test]
fn what_waits_is_bounded() {
    let mut kafka = Kafka::new();
    let mut out = Vec::new();
    let one = produce(1, 1, 5).len() as u64;
    for i in 0..1100 {
        kafka.bytes(Speaker::Client, BootNs(i), i * one, &produce(i as i32, 1, 5), &mut out);
    }
    assert_eq!((out.len(), kafka.take_undecoded()), (0, one * (1100 - PENDING as u64)));
    kafka.end(BootNs(9999), &mut out);
    assert_eq!(out.len(), PENDING);
}

#[test]
fn several_topics_and_ids() {
    let old =
        b"\xff\xff\xff\xff\0\0\x01\xf4\0\0\0\x01\0\0\0\x03\0\x01a\0\0\0\0\0\x01b\0\0\0\0\0\x01c\0\0\0\0";
    let read = |data: &[u8]| request::read(data).map(|r| (r.target, r.shape));
    assert_eq!(read(&request(api::FETCH, 0, 1, old)), Some((Known::Known("a +2".into()), Shape::Wait)));
    // Version 13: tags; wait, min, max bytes, isolation, session, epoch; one topic by id.
    let new = [&[0u8][..], &[0; 4], &[0; 8], &[0; 4], &[0], &[0; 8], &[2], &[9; 16], &[1, 0]].concat();
    assert_eq!(read(&request(api::FETCH, 13, 1, &new)), Some((Known::Unknown("topic id"), Shape::Wait)));
    let evil = b"\0\0\0\x01\0\x05a/b c";
    let target = read(&request(api::METADATA, 1, 1, evil)).map(|r| r.0);
    assert_eq!(target, Some(Known::Unknown("not a topic name")));
    let all = read(&request(api::METADATA, 1, 1, b"\xff\xff\xff\xff")).map(|r| r.0);
    assert_eq!(all, Some(Known::Absent));
}

#[test]
fn flexible_answers_are_read() {
    // CreateTopics 5: tags, throttle, one topic: name, code, message, tags.
    let topic = |code: u8| [&b"\0\0\0\0\0\x02\x04new\0"[..], &[code], b"\0\0\0\0\x01\0\x01\x01\0\0"].concat();
    let asked = b"\0\x02\x04new\0\0\0\x01\0\x01\x01\x01\0\0\0\x75\x30\0\0";
    for (code, line) in [
        (0, "CreateTopics new | NONE | ok unary"),
        (36, "CreateTopics new | TOPIC_ALREADY_EXISTS | client-error unary"),
        (44, "CreateTopics new | POLICY_VIOLATION | error unary"),
    ] {
        let c = [ask(0, request(api::CREATE_TOPICS, 5, 7, asked)), reply(1, answer(7, &topic(code)))];
        assert_eq!(lines(&decode(Kafka::new(), &c)), [line]);
    }
}

#[test]
fn a_long_list_that_was_not_captured_leaves_doubt() {
    let mut kafka = Kafka::new();
    let mut out = Vec::new();
    let asked = produce(1, 1, 5);
    kafka.bytes(Speaker::Client, BootNs(0), 0, &asked, &mut out);
    kafka.turn(Speaker::Server, &mut out);
    let full = produced(1, &[0; 20]);
    kafka.bytes(Speaker::Server, BootNs(5), 0, &full[..128], &mut out);
    kafka.gap(Speaker::Server, BootNs(9), 128, full.len() as u64 - 128, &mut out);
    assert_eq!(
        lines(&out),
        ["Produce orders | ? the answer goes on beyond what was captured | unknown unary"]
    );
    let span = Span { first: BootNs(5), last: BootNs(9), bytes: full.len() as u64 };
    assert_eq!(out[0].response, Some(span));
    assert_eq!(kafka.take_undecoded(), 0);
}

#[test]
fn a_gap_over_messages_is_counted_and_the_next_turn_is_read() {
    let mut kafka = Kafka::new();
    let mut out = Vec::new();
    let one = produce(1, 1, 5000);
    kafka.bytes(Speaker::Client, BootNs(0), 0, &one[..256], &mut out);
    // The rest of it and 700 bytes of others.
    kafka.gap(Speaker::Client, BootNs(1), 256, one.len() as u64 - 256 + 700, &mut out);
    kafka.bytes(Speaker::Client, BootNs(1), one.len() as u64 + 700, b"tail of others", &mut out);
    kafka.turn(Speaker::Server, &mut out);
    kafka.bytes(Speaker::Server, BootNs(2), 0, &produced(1, &[0]), &mut out);
    kafka.bytes(Speaker::Server, BootNs(2), 60, &produced(2, &[0]), &mut out);
    kafka.turn(Speaker::Client, &mut out);
    kafka.bytes(Speaker::Client, BootNs(3), 9000, &produce(9, 1, 5), &mut out);
    kafka.turn(Speaker::Server, &mut out);
    kafka.bytes(Speaker::Server, BootNs(4), 120, &produced(9, &[3]), &mut out);
    assert_eq!(
        lines(&out),
        ["Produce orders | NONE | ok unary", "Produce orders | UNKNOWN_TOPIC_OR_PARTITION | error unary"]
    );
    assert_eq!(kafka.take_undecoded(), 700 + 14 + produced(2, &[0]).len() as u64);
    assert_eq!(kafka.over(), None);
}

#[test]
fn tokens_after_the_old_sasl_handshake_do_not_lead_astray() {
    let told = decode(
        Kafka::new(),
        &[
            ask(0, request(api::SASL_HANDSHAKE, 0, 1, b"\0\x05PLAIN")),
            reply(1, answer(1, b"\0\0\0\0\0\x01\0\x05PLAIN")),
            ask(2, message(b"\0user\0secret")),
            reply(3, message(b"")),
            ask(4, request(api::METADATA, 1, 2, b"\xff\xff\xff\xff")),
            reply(5, answer(2, b"\0\0\0\0\0\0\0\x01\0\0\0\0")),
        ],
    );
    assert_eq!(lines(&told), ["SaslHandshake - | NONE | ok unary", "Metadata - | NONE | ok unary"]);
}

#[test]
fn sniffing_needs_evidence() {
    let versions = request(api::API_VERSIONS, 3, 0, b"\0\x02a\x02b\0");
    assert_eq!(sniff(&versions, b""), Sniff::Yes);
    assert_eq!(sniff(&versions[..9], b""), Sniff::Maybe);
    assert_eq!(sniff(&produce(5, 1, 9)[..40], b""), Sniff::Yes);
    assert_eq!(sniff(b"GET / HTTP/1.1\r\n", b""), Sniff::No);
    // PostgreSQL StartupMessage, SSLRequest; MySQL login; TLS; MongoDB; AMQP.
    assert_eq!(sniff(b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0", b""), Sniff::No);
    assert_eq!(sniff(b"\0\0\0\x08\x04\xd2\x16\x2f", b""), Sniff::No);
    assert_eq!(sniff(b"\x4a\0\0\x01\x8d\xa6\x0f\0\0\0\0\x01\x08\0\0\0", b""), Sniff::No);
    assert_eq!(sniff(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\0\0", b""), Sniff::No);
    assert_eq!(sniff(b"\x30\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0", b""), Sniff::No);
    assert_eq!(sniff(b"AMQP\0\0\x09\x01", b""), Sniff::No);
    // No client id: the answer's correlation id decides.
    let bare = message(b"\0\x03\0\x01\0\0\0\x07\xff\xff\xff\xff\xff\xff");
    assert_eq!(sniff(&bare, b""), Sniff::Maybe);
    assert_eq!(sniff(&bare, &answer(7, b"\0\0\0\0")), Sniff::Yes);
    assert_eq!(sniff(&bare, &answer(8, b"\0\0\0\0")), Sniff::No);
    assert_eq!(sniff(b"", b"HTTP/1.1 200 OK"), Sniff::No);
    for c in capture() {
        assert_eq!(sniff(&c[0].data, b""), Sniff::Yes);
    }
}

#[test]
fn another_protocol_is_noticed() {
    let mut kafka = Kafka::new();
    let mut out = Vec::new();
    for i in 0..4u64 {
        assert_eq!(kafka.over(), None);
        let data: &[u8] = if i % 2 == 0 { b"GET / HTTP/1.1\r\n" } else { b"\0\0\0\x0c\x7f\xff\0\0aaaabbbb" };
        kafka.turn(Speaker::Client, &mut out);
        kafka.bytes(Speaker::Client, BootNs(0), i * 16, data, &mut out);
    }
    assert_eq!(kafka.over(), Some(Known::Unknown("no longer Kafka")));
    assert_eq!((out.len(), kafka.take_undecoded()), (0, 64));
}

#[test]
fn every_version_of_the_layouts_is_read() {
    let unhex = |text: &str| -> Vec<u8> {
        let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
        digits.chunks(2).map(|d| d[0] << 4 | d[1]).collect()
    };
    let lists = std::fs::read_to_string(captures().join("kafka-messages.txt")).unwrap();
    let mut read = 0;
    for list in lists.lines() {
        let mut words = list.split(' ');
        let mut number = || words.next().and_then(|w| w.parse::<i16>().ok()).unwrap();
        let (key, version, at) = (number(), number(), number() as usize);
        let (asked, good) = (unhex(words.next().unwrap()), unhex(words.next().unwrap()));
        let mut bad = good.clone();
        bad[at + 1] = 37;
        let target = match key {
            api::PRODUCE | api::FETCH if version >= 13 => "? topic id",
            api::OFFSET_COMMIT | api::OFFSET_FETCH if version >= 10 => "? topic id",
            key if request::has_topics(key) => "orders +1",
            _ => "-",
        };
        let about = format!("{} {target}", api::api(key).unwrap().name);
        for (answer, status) in [(good, "NONE | ok"), (bad, "INVALID_PARTITIONS | error")] {
            let told = decode(Kafka::new(), &[ask(0, asked.clone()), reply(1, answer)]);
            let line = lines(&told).concat();
            assert!(line.starts_with(&format!("{about} | {status}")), "{key} {version}: {line}");
        }
        read += 1;
    }
    assert_eq!(read, 172);
}

#[test]
fn librdkafka_is_told_as_it_was() {
    let mut all: Vec<String> = Vec::new();
    for c in capture() {
        all.extend(lines(&decode(Kafka::new(), &c)));
    }
    let count = |line: &str| all.iter().filter(|l| *l == line).count();
    // What the script asked for; see tests/captures/README.md.
    assert_eq!(count("Produce orders | NONE | ok unary"), 5);
    assert_eq!(count("Produce payments.v1 | NONE | ok unary"), 1);
    assert_eq!(count("Produce logs | - | ok one-way"), 3);
    assert_eq!(count("OffsetCommit orders | NONE | ok unary"), 1);
    assert_eq!(count("Heartbeat - | REBALANCE_IN_PROGRESS | client-error unary"), 1);
    assert_eq!(count("JoinGroup - | NONE | ok wait"), 2);
    assert_eq!(count("SyncGroup - | NONE | ok wait"), 1);
    assert_eq!(count("ListOffsets orders | NONE | ok unary"), 4);
    assert_eq!(count("Fetch ? topic id | NONE | ok wait"), 7);
    // Asked while JoinGroup waited.
    assert_eq!(count("LeaveGroup - | NONE | ok wait"), 1);
    let connections = capture().len();
    assert_eq!(count("ApiVersions - | UNSUPPORTED_VERSION | client-error unary"), connections);
    assert_eq!(count("ApiVersions - | NONE | ok unary"), connections);
    // The consumer that joined last was closed before the group had settled.
    assert_eq!(all.iter().filter(|l| l.contains("? no answer was seen")).count(), 1);
    assert_eq!(all.iter().filter(|l| l.ends_with("error unary")).count(), connections + 1);
}

#[test]
fn heads_alone_tell_the_same() {
    for c in capture() {
        let mut kafka = Kafka::new();
        let whole = decode_cut(&mut kafka, &c, &[]);
        // The mock broker answers Produce with acks=0, which a broker never does: 55 bytes each.
        let unasked = 55 * whole.iter().filter(|t| t.shape == Shape::OneWay).count() as u64;
        assert_eq!(kafka.take_undecoded(), unasked);
        let (heads, undecoded) = heads_only(Kafka::new(), &c, 256);
        assert_eq!(lines(&heads), lines(&whole));
        assert_eq!((heads, undecoded), (whole, unasked));
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same(cuts in prop::collection::vec(1usize..700, 1..20)) {
        for c in capture() {
            let whole = decode(Kafka::new(), &c);
            prop_assert_eq!(decode_cut(&mut Kafka::new(), &c, &cuts), whole);
        }
    }

    #[test]
    fn anything_is_survived(steps in steps(small())) {
        survive(&mut Kafka::new(), &steps, |d| assert!(d.state.pending.len() <= PENDING));
        survive_sniffing(sniff, &steps);
    }

    #[test]
    fn any_damage_is_survived(at in 0usize..4000, byte in any::<u8>(), cut in 1usize..99) {
        for mut c in capture() {
            let said: u64 = c.iter().map(|s| s.data.len() as u64).sum();
            let runs = c.len();
            let run = &mut c[at % runs].data;
            let place = at % run.len();
            run[place] = byte;
            let mut kafka = Kafka::new();
            decode_cut(&mut kafka, &c, &[cut, 3]);
            prop_assert!(kafka.take_undecoded() <= said);
        }
    }
}
