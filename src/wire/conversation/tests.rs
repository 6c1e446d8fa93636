//! Which decoder takes a conversation: for the captures of real servers, for what is none of them,
//! and when the one who was connected to speaks first.

use proptest::prelude::*;

use super::*;
use crate::model::Verdict;
use crate::wire::framed::tests::captures;
use crate::wire::testing::{Said, conversations, said};

/// All captures over TCP with the protocols of their conversations.
const CAPTURES: [(&str, Protocol); 27] = [
    ("amqp-rabbitmq-pika.pcap", Protocol::Amqp),
    ("dns-pipelined.pcap", Protocol::Dns),
    ("dns-udp-tcp.pcap", Protocol::Dns),
    ("grpc-python.pcap", Protocol::Http2),
    ("http1-any-sll.pcap", Protocol::Http1),
    ("http1-any-sll2.pcap", Protocol::Http1),
    ("http1-connect.pcap", Protocol::Http1),
    ("http1-lo-ethernet.pcap", Protocol::Http1),
    ("http1-nginx.pcap", Protocol::Http1),
    ("http1-pipelined.pcap", Protocol::Http1),
    ("http1-post.pcap", Protocol::Http1),
    ("http1-until-close.pcap", Protocol::Http1),
    ("http2-h2load.pcap", Protocol::Http2),
    ("http2-nginx.pcap", Protocol::Http2),
    ("http2-push.pcap", Protocol::Http2),
    ("kafka-librdkafka-mock.pcap", Protocol::Kafka),
    ("memcached.pcap", Protocol::Memcached),
    ("mongodb-pymongo.pcap", Protocol::Mongodb),
    ("mysql-client.pcap", Protocol::Mysql),
    ("mysql-drivers.pcap", Protocol::Mysql),
    ("nats-client.pcap", Protocol::Nats),
    ("postgres-drivers.pcap", Protocol::Postgres),
    ("postgres-pgbench-simple.pcap", Protocol::Postgres),
    ("postgres-psql.pcap", Protocol::Postgres),
    ("postgres-replication.pcap", Protocol::Postgres),
    ("redis-commands.pcap", Protocol::Redis),
    ("redis-benchmark.pcap", Protocol::Redis),
];

fn captured(name: &str) -> Vec<Vec<Said>> {
    conversations(captures().join(name))
        .into_iter()
        .map(|(_, c)| c)
        .filter(|c| c.iter().any(|s| s.from == Speaker::Client))
        .collect()
}

/// What is made of a conversation of which at most `cap` bytes of each run are captured.
fn hear(adopted: bool, conversation: &[Said], cap: usize) -> (Conversation, Vec<Told>) {
    let mut c = Conversation::new(adopted);
    let (mut out, mut offsets, mut last) = (Vec::new(), [0u64; 2], None);
    for s in conversation {
        if last.replace(s.from) != Some(s.from) {
            c.turn(s.from, &mut out);
        }
        let offset = &mut offsets[s.from as usize];
        let known = s.data.len().min(cap);
        c.bytes(s.from, s.at, *offset, &s.data[..known], &mut out);
        if known < s.data.len() {
            c.gap(s.from, s.at, *offset + known as u64, (s.data.len() - known) as u64, &mut out);
        }
        *offset += s.data.len() as u64;
    }
    c.end(conversation.last().map_or(BootNs(1), |s| s.at), &mut out);
    (c, out)
}

#[test]
fn each_conversation_is_taken_for_what_it_is() {
    for (name, protocol) in CAPTURES {
        let all = captured(name);
        assert!(!all.is_empty(), "{name}");
        for (i, conversation) in all.iter().enumerate() {
            let (c, told) = hear(false, conversation, usize::MAX);
            assert_eq!(c.protocol(), Some(protocol), "{name}, conversation {i}");
            assert!(!told.is_empty() || conversation.len() < 3, "{name}, conversation {i}");
        }
    }
}

#[test]
fn an_upgrade_is_followed() {
    for (name, protocol) in
        [("http2-upgrade.pcap", Protocol::Http2), ("websocket-python.pcap", Protocol::WebSocket)]
    {
        for conversation in captured(name) {
            let (c, told) = hear(false, &conversation, usize::MAX);
            assert_eq!(c.protocol(), Some(protocol), "{name}");
            assert!(told.iter().any(|t| t.protocol == Protocol::Http1), "{name}");
            assert!(told.iter().any(|t| t.protocol == protocol), "{name}");
        }
    }
}

/// Cut as the kernel's side cuts, and cut anywhere: what is recognised is the same protocol.
#[test]
fn no_other_decoder_takes_it_whatever_is_missing() {
    let mut wrong = Vec::new();
    for (name, protocol) in CAPTURES {
        for (i, conversation) in captured(name).iter().enumerate() {
            let (c, _) = hear(false, conversation, 256);
            assert_eq!(c.protocol(), Some(protocol), "{name}, conversation {i}");
            // Found open, at each of its first messages.
            for skip in 0..conversation.len().min(60) {
                let (c, _) = hear(true, &conversation[skip..], 256);
                if c.protocol().is_some_and(|p| p != protocol) {
                    wrong.push(format!("{name}, conversation {i} from {skip} on: {:?}", c.protocol()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_first_bytes_may_be_many() {
    let post = |len: usize| {
        let mut text =
            format!("POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n").into_bytes();
        text.resize(text.len() + len, b'x');
        text
    };
    let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
    let conversation = [
        said(Speaker::Client, 1, post(100_000)),
        said(Speaker::Server, 2, answer),
        said(Speaker::Client, 3, ""),
    ];
    let (mut c, told) = hear(false, &conversation, usize::MAX);
    assert_eq!((c.protocol(), told.len(), c.take_undecoded()), (Some(Protocol::Http1), 1, 0));
    assert_eq!((told[0].verdict, told[0].request.bytes), (Verdict::Ok, post(100_000).len() as u64));
}

#[test]
fn what_is_longer_than_what_is_kept_waits_for_the_answer() {
    // An integer array of Redis says little by itself until it is answered.
    let key = "k".repeat(3000);
    let set = format!("*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len());
    for cap in [256, usize::MAX] {
        let conversation = [said(Speaker::Client, 1, &set), said(Speaker::Server, 2, "$2\r\nab\r\n")];
        let (c, told) = hear(false, &conversation, cap);
        assert_eq!((c.protocol(), told.len()), (Some(Protocol::Redis), 1), "{cap}");
        assert_eq!(told[0].response.map(|r| r.bytes), Some(8));
    }
}

#[test]
fn a_greeting_of_the_server_is_waited_for_and_of_mail_it_is_given_up() {
    for (name, protocol) in [("mysql-client.pcap", Protocol::Mysql), ("nats-client.pcap", Protocol::Nats)] {
        for conversation in captured(name) {
            assert_eq!(conversation[0].from, Speaker::Server, "{name}");
            let (c, _) = hear(false, &conversation[..1], usize::MAX);
            assert!(c.protocol().is_none_or(|p| p == protocol));
            let (c, _) = hear(false, &conversation[..2], usize::MAX);
            assert_eq!(c.protocol(), Some(protocol), "{name}");
        }
    }
    let mail: Vec<Said> = [
        (Speaker::Server, "220 mx.shop.test ESMTP Postfix\r\n"),
        (Speaker::Client, "EHLO client.shop.test\r\n"),
        (Speaker::Server, "250-mx.shop.test\r\n250-PIPELINING\r\n250 SMTPUTF8\r\n"),
        (Speaker::Client, "MAIL FROM:<a@shop.test>\r\n"),
        (Speaker::Server, "250 2.1.0 Ok\r\n"),
        (Speaker::Client, "RCPT TO:<b@shop.test>\r\n"),
        (Speaker::Server, "250 2.1.5 Ok\r\n"),
        (Speaker::Client, "DATA\r\n"),
        (Speaker::Server, "354 End data with <CR><LF>.<CR><LF>\r\n"),
        (Speaker::Client, "GET / HTTP/1.1 is what it is about\r\n.\r\n"),
        (Speaker::Server, "250 2.0.0 Ok: queued\r\n"),
        (Speaker::Client, "QUIT\r\n"),
        (Speaker::Server, "221 2.0.0 Bye\r\n"),
    ]
    .into_iter()
    .zip(1..)
    .map(|((from, text), ms)| said(from, ms, text))
    .collect();
    let (mut c, told) = hear(false, &mail, usize::MAX);
    assert_eq!((c.protocol(), told, c.take_undecoded()), (None, Vec::new(), 0));
    let ssh = [
        said(Speaker::Server, 1, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
        said(Speaker::Client, 2, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
    ];
    assert_eq!(hear(false, &ssh, usize::MAX).0.protocol(), None);
}

#[test]
fn tls_is_seen_and_left_alone() {
    let hello = [&[0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3][..], &[7; 194]].concat();
    let (c, told) = hear(false, &[said(Speaker::Client, 1, hello)], usize::MAX);
    assert_eq!((c.protocol(), c.is_opaque(), told.len()), (Some(Protocol::Tls), true, 0));
}

#[test]
fn after_messages_in_vain_it_is_given_up() {
    let mut c = Conversation::new(false);
    let mut out = Vec::new();
    for n in 0..u64::from(TRIES) {
        assert!(!c.is_opaque(), "{n}");
        for from in [Speaker::Client, Speaker::Server] {
            c.turn(from, &mut out);
            c.bytes(from, BootNs(n + 1), n * 4, b"\xfe\xfd\xfc\xfb", &mut out);
        }
    }
    c.turn(Speaker::Client, &mut out);
    assert!(c.is_opaque() && c.protocol().is_none() && out.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Chance makes no protocol.
    #[test]
    fn random_bytes_are_none_of_them(
        client in proptest::collection::vec(any::<u8>(), 0..300),
        server in proptest::collection::vec(any::<u8>(), 0..300),
        adopted: bool,
    ) {
        let found = candidates::find(&client, &server, adopted);
        prop_assert!(!matches!(found, Found::Decoder(..)), "{:?} {:?}", client, server);
    }

    /// Whatever comes, in whatever pieces: what is kept is bounded.
    #[test]
    fn what_is_kept_is_bounded(
        runs in proptest::collection::vec((any::<bool>(), 0u8..4, 0usize..5000, any::<u8>()), 0..400),
        adopted: bool,
    ) {
        let mut c = Conversation::new(adopted);
        let (mut out, mut offsets) = (Vec::new(), [0u64; 2]);
        for (client, what, len, byte) in runs {
            let from = if client { Speaker::Client } else { Speaker::Server };
            let offset = &mut offsets[from as usize];
            match what {
                0 => c.turn(from, &mut out),
                1 => c.gap(from, BootNs(1), *offset, len as u64, &mut out),
                _ => c.bytes(from, BootNs(1), *offset, &vec![byte; len], &mut out),
            }
            if what != 0 {
                *offset += len as u64;
            }
            if let Stage::Looking(l) = &c.stage {
                prop_assert!(l.kept.iter().all(|k| k.len() <= KEPT && k.capacity() <= 2 * KEPT));
                prop_assert!(l.runs.len() <= RUNS);
            }
        }
    }
}

/// HTTP/2 numbers its requests: those whose heads lie in a gap are known by the numbers left out.
#[test]
fn requests_in_a_gap_are_counted_as_missed() {
    let head = |stream: u8| [&[0, 0, 3, 1, 5, 0, 0, 0, stream][..], &[0x82, 0x86, 0x84]].concat();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let begin = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings, &head(1)].concat();
    let mut out = Vec::new();
    let mut c = Conversation::new(false);
    c.turn(Speaker::Client, &mut out);
    c.bytes(Speaker::Client, BootNs(1), 0, &begin, &mut out);
    assert_eq!(c.protocol(), Some(Protocol::Http2));
    assert_eq!(c.take_missed(), 0);
    let at = begin.len() as u64;
    c.gap(Speaker::Client, BootNs(2), at, 24, &mut out);
    c.turn(Speaker::Client, &mut out);
    c.bytes(Speaker::Client, BootNs(3), at + 24, &[head(7), head(9)].concat(), &mut out);
    c.end(BootNs(4), &mut out);
    assert_eq!((c.take_missed(), c.take_missed()), (2, 0), "streams 3 and 5");
}
