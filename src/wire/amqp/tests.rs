//! Crafted frames by the specification, and a capture of RabbitMQ.

use proptest::prelude::*;

use super::*;
use crate::model::Verdict;
use crate::wire::framed::tests::{captured, heads_only, lines, small};
use crate::wire::testing::{Said, decode, decode_cut, said, steps, survive, survive_sniffing};

fn capture() -> Vec<Vec<Said>> {
    captured("amqp-rabbitmq-pika.pcap")
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut f = vec![kind];
    f.extend(channel.to_be_bytes());
    f.extend((payload.len() as u32).to_be_bytes());
    f.extend(payload);
    f.push(frame::END);
    f
}

fn call(channel: u16, class: u16, id: u16, args: &[u8]) -> Vec<u8> {
    frame(1, channel, &[&class.to_be_bytes()[..], &id.to_be_bytes(), args].concat())
}

fn content(channel: u16, size: u64, bodies: &[usize]) -> Vec<u8> {
    let mut f = frame(2, channel, &[&[0, 60, 0, 0][..], &size.to_be_bytes(), &[0, 0]].concat());
    for n in bodies {
        f.extend(frame(3, channel, &vec![b'x'; *n]));
    }
    f
}

fn publish(channel: u16, key: &str, bodies: &[usize]) -> Vec<u8> {
    let args = [&[0, 0, 0, key.len() as u8][..], key.as_bytes(), &[0]].concat();
    [call(channel, 60, 40, &args), content(channel, bodies.iter().sum::<usize>() as u64, bodies)].concat()
}

fn ack(channel: u16, id: u16, tag: u64, bits: u8) -> Vec<u8> {
    call(channel, 60, id, &[&tag.to_be_bytes()[..], &[bits]].concat())
}

fn select(channel: u16) -> Vec<u8> {
    call(channel, 85, 10, &[0])
}

fn ask(ms: u64, data: Vec<u8>) -> Said {
    said(Speaker::Client, ms, data)
}

fn reply(ms: u64, data: Vec<u8>) -> Said {
    said(Speaker::Server, ms, data)
}

#[test]
fn confirms_answer_by_tag_and_for_several_at_once() {
    let published: Vec<u8> = ["a", "b", "c", "d"].iter().flat_map(|key| publish(1, key, &[4])).collect();
    let told = decode(
        Amqp::new(),
        &[
            ask(0, select(1)),
            reply(1, call(1, 85, 11, b"")),
            ask(2, published),
            reply(5, ack(1, 120, 3, 0)),
            reply(7, ack(1, 80, 2, 1)),
        ],
    );
    assert_eq!(
        lines(&told),
        [
            "confirm.select - | ok | ok unary",
            "basic.publish c | nack | error unary",
            "basic.publish a | ack | ok unary",
            "basic.publish b | ack | ok unary",
            "basic.publish d | ? no answer was seen | unknown unary",
        ]
    );
    assert_eq!(told[2].response.map(|r| r.first), Some(BootNs(7_000_000)));
    assert_eq!(told[1].request.bytes, publish(1, "c", &[4]).len() as u64);
}

#[test]
fn a_channel_has_its_bounds() {
    assert!(size_of::<Channel>() < 1024);
    let mut amqp = Amqp::new();
    let mut out = Vec::new();
    for i in 0..3000u64 {
        amqp.bytes(Speaker::Client, BootNs(i), i * 12, &call(i as u16, 90, 20, b""), &mut out);
    }
    assert_eq!((amqp.state.counts.waiting, amqp.state.channels.len()), (WAITING, CHANNELS));
    // 12 bytes each: those beyond the bounds.
    assert_eq!((out.len(), amqp.take_undecoded()), (0, 12 * (3000 - WAITING as u64)));
    amqp.end(BootNs(9), &mut out);
    assert_eq!(out.len(), WAITING);
}

#[test]
fn channels_do_not_mix() {
    let declare = |channel, name: &str| {
        call(channel, 50, 10, &[&[0, 0, name.len() as u8][..], name.as_bytes(), &[0, 0, 0, 0, 0]].concat())
    };
    // A body in two frames with another channel's request between them.
    let message = publish(1, "orders", &[10, 7]);
    let cut = message.len() - 15;
    let between = [&message[..cut], &declare(2, "other")[..], &message[cut..]].concat();
    let told = decode(
        Amqp::new(),
        &[
            ask(0, declare(1, "orders")),
            ask(1, between),
            reply(2, call(2, 50, 11, b"\x05other\0\0\0\0\0\0\0\0")),
            reply(3, call(1, 50, 11, b"\x06orders\0\0\0\0\0\0\0\0")),
        ],
    );
    assert_eq!(
        lines(&told),
        [
            "basic.publish orders | - | ok one-way",
            "queue.declare other | ok | ok unary",
            "queue.declare orders | ok | ok unary"
        ]
    );
    assert_eq!(told[0].request.bytes, message.len() as u64);
}

#[test]
fn a_closed_connection_fails_what_waits_on_all_channels() {
    let close = call(0, 10, 50, b"\x01\x40\x11CONNECTION_FORCED\0\0\0\0");
    let told = decode(
        Amqp::new(),
        &[ask(0, call(1, 60, 70, b"\0\0\x01q\0")), ask(1, call(2, 90, 20, b"")), reply(9, close.clone())],
    );
    let mut found = lines(&told);
    found.sort();
    assert_eq!(
        found,
        [
            "basic.get q | 320 CONNECTION_FORCED | error unary",
            "tx.commit - | 320 CONNECTION_FORCED | error unary"
        ]
    );
    let told = decode(Amqp::new(), &[reply(9, close)]);
    assert_eq!(lines(&told), ["connection.close - | 320 CONNECTION_FORCED | error one-way"]);
    assert_eq!(told[0].key, (0, SERVER_SAID));
}

#[test]
fn no_wait_is_not_answered() {
    let told = decode(Amqp::new(), &[ask(0, call(1, 50, 10, b"\0\0\x01q\x10\0\0\0\0"))]);
    assert_eq!(lines(&told), ["queue.declare q | - | ok one-way"]);
    let told = decode(Amqp::new(), &[ask(0, call(1, 60, 20, b"\0\0\x01q\x01t\x08\0\0\0\0"))]);
    assert_eq!(lines(&told), ["basic.consume q | - | ok one-way"]);
}

#[test]
fn ids_are_left_out_of_names() {
    let of = |key: &str| {
        let told = decode(Amqp::new(), &[ask(0, publish(1, key, &[]))]);
        told[0].target.known().map(|t| t.to_string())
    };
    for (key, shown) in [
        ("order.created", "order.created"),
        ("order.1234.paid", "order.{id}.paid"),
        ("user.550e8400-e29b-41d4-a716-446655440000", "user.{id}"),
        ("amq.gen-JzTY20BRgKO-HjmUJj0wLg", "amq.gen-{id}"),
        ("amq.rabbitmq.reply-to.g1h2AA5yZXBseUAyNTg5", "amq.rabbitmq.reply-to.{id}"),
        ("v2.orders-eu", "v2.orders-eu"),
    ] {
        assert_eq!(of(key).as_deref(), Some(shown));
    }
    assert_eq!(of("a\x1b[2J"), None);
}

#[test]
fn a_body_of_many_frames_may_lie_in_a_gap() {
    let message = publish(1, "orders", &[4000, 4000, 4000, 123]);
    let c = [
        ask(0, select(1)),
        reply(1, call(1, 85, 11, b"")),
        ask(2, message.clone()),
        reply(3, ack(1, 80, 1, 0)),
        ask(4, publish(1, "next", &[3])),
        reply(5, ack(1, 80, 2, 0)),
    ];
    let whole = decode(Amqp::new(), &c);
    assert_eq!(
        lines(&whole)[1..],
        ["basic.publish orders | ack | ok unary", "basic.publish next | ack | ok unary"]
    );
    for head in [100, 256, 4000, 4077, 4080, 8200, message.len() - 4] {
        let (told, undecoded) = heads_only(Amqp::new(), &c, head);
        assert_eq!((told, undecoded), (whole.clone(), 0), "{head}");
    }
    // The gap ends in the middle of a frame.
    let mut amqp = Amqp::new();
    let mut out = Vec::new();
    let at = BootNs(7);
    amqp.bytes(Speaker::Client, at, 0, &message[..256], &mut out);
    amqp.gap(Speaker::Client, at, 256, 9000, &mut out);
    amqp.bytes(Speaker::Client, at, 9256, &message[9256..], &mut out);
    assert_eq!(lines(&out), ["basic.publish orders | - | ok one-way"]);
    assert_eq!((out[0].request.bytes, amqp.take_undecoded()), (message.len() as u64, 0));
}

#[test]
fn after_missed_messages_no_confirmation_is_given_to_the_wrong_one() {
    let mut amqp = Amqp::new();
    let mut out = Vec::new();
    let at = BootNs(1);
    let one = [select(1), publish(1, "a", &[4])].concat();
    amqp.bytes(Speaker::Client, at, 0, &one, &mut out);
    amqp.gap(Speaker::Client, at, one.len() as u64, 500, &mut out);
    amqp.turn(Speaker::Server, &mut out);
    amqp.bytes(Speaker::Server, at, 0, &call(1, 85, 11, b""), &mut out);
    amqp.bytes(Speaker::Server, at, 12, &ack(1, 80, 1, 0), &mut out);
    amqp.turn(Speaker::Client, &mut out);
    amqp.bytes(Speaker::Client, at, 1000, &publish(1, "b", &[4]), &mut out);
    amqp.turn(Speaker::Server, &mut out);
    amqp.bytes(Speaker::Server, at, 40, &ack(1, 80, 2, 0), &mut out);
    assert_eq!(
        lines(&out),
        [
            "confirm.select - | ok | ok unary",
            "basic.publish a | ack | ok unary",
            "basic.publish b | ? the number of messages before it is not known | unknown unary"
        ]
    );
    assert_eq!(amqp.take_undecoded(), 500);
}

#[test]
fn sniffing_needs_evidence() {
    assert_eq!(sniff(b"AMQP\0\0\x09\x01", b""), Sniff::Yes);
    assert_eq!(sniff(b"AMQP\0", b""), Sniff::Maybe);
    // AMQP 1.0, with and without SASL.
    assert_eq!(sniff(b"AMQP\0\x01\0\0", b""), Sniff::No);
    assert_eq!(sniff(b"AMQP\x03\x01\0\0", b""), Sniff::No);
    assert_eq!(sniff(&publish(1, "orders", &[50]), b""), Sniff::Yes);
    assert_eq!(sniff(b"", &ack(1, 80, 1, 0)), Sniff::Yes);
    assert_eq!(sniff(b"\x08\0\0\0\0\0\0\xce", b""), Sniff::Yes);
    assert_eq!(sniff(b"\x08\0\0\0\0\0\0\xcd", b""), Sniff::No);
    assert_eq!(sniff(b"\x01\0\x01\0\0\0\x05\0\x63\0\x0a\0\xce", b""), Sniff::No);
    assert_eq!(sniff(b"GET / HTTP/1.1\r\n", b""), Sniff::No);
    assert_eq!(sniff(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", b""), Sniff::No);
    for c in capture() {
        assert_eq!(sniff(&c[0].data, b""), Sniff::Yes);
    }
}

#[test]
fn rabbitmq_is_told_as_it_was() {
    let all: Vec<Vec<Told>> = capture().iter().map(|c| decode(Amqp::new(), c)).collect();
    let count = |line: &str| lines(&all[0]).iter().filter(|l| *l == line).count();
    // What the script asked for; see tests/captures/README.md.
    let mut sum = 0;
    for (line, times) in [
        ("connection.start-ok - | ok | ok unary", 1),
        ("connection.open - | ok | ok unary", 1),
        ("channel.open - | ok | ok unary", 5),
        ("exchange.declare shop.events | ok | ok unary", 1),
        ("queue.declare orders | ok | ok unary", 1),
        ("queue.declare - | ok | ok unary", 1),
        ("queue.declare missing | 404 NOT_FOUND | error unary", 1),
        ("queue.bind orders | ok | ok unary", 1),
        ("basic.publish shop.events/order.{id} | - | ok one-way", 3),
        ("basic.publish orders | - | ok one-way", 3),
        ("basic.get orders | ok | ok unary", 1),
        ("basic.get amq.gen-{id} | empty | ok unary", 1),
        ("confirm.select - | ok | ok unary", 1),
        ("basic.publish shop.events/order.{id} | ack | ok unary", 4),
        ("basic.publish nowhere | 312 NO_ROUTE | error unary", 1),
        ("tx.select - | ok | ok unary", 1),
        ("tx.commit - | ok | ok unary", 1),
        ("tx.rollback - | ok | ok unary", 1),
        ("basic.qos - | ok | ok unary", 1),
        ("basic.consume orders | ok | ok unary", 1),
        ("basic.deliver shop.events/order.{id} | - | ok one-way", 6),
        ("basic.deliver orders | - | ok one-way", 3),
        ("basic.ack - | - | ok one-way", 9),
        ("basic.cancel - | ok | ok unary", 1),
        ("queue.purge orders | ok | ok unary", 1),
        ("queue.delete orders | ok | ok unary", 1),
        ("channel.close - | ok | ok unary", 4),
        ("connection.close - | ok | ok unary", 1),
    ] {
        assert_eq!(count(line), times, "{line}");
        sum += times;
    }
    assert_eq!(all[0].len(), sum);
    assert_eq!(lines(&all[1]), ["connection.start-ok - | 403 ACCESS_REFUSED | error unary"]);
    assert_eq!(
        lines(&all[2])[3..],
        [
            "basic.publish no.such.exchange/order.{id} | - | ok one-way",
            "channel.close - | 404 NOT_FOUND | error one-way",
            "queue.declare late | ? the channel was closed before an answer | unknown unary",
            "connection.close - | ok | ok unary"
        ]
    );
    // 20000 bytes in three frames, with their method and header.
    assert!(all[0].iter().any(|t| t.shape == Shape::OneWay && t.request.bytes == 20_069));
    assert!(all.iter().flatten().all(|t| t.verdict != Verdict::ClientError));
}

proptest! {
    #[test]
    fn any_split_gives_the_same(cuts in prop::collection::vec(1usize..700, 1..20)) {
        for c in capture() {
            let whole = decode(Amqp::new(), &c);
            let mut amqp = Amqp::new();
            prop_assert_eq!(decode_cut(&mut amqp, &c, &cuts), whole);
            prop_assert_eq!(amqp.take_undecoded(), 0);
        }
    }

    #[test]
    fn anything_is_survived(steps in steps(small())) {
        survive(&mut Amqp::new(), &steps, |_| ());
        survive_sniffing(sniff, &steps);
    }

    #[test]
    fn any_damage_and_holes_are_survived(
        at in 0usize..40_000, byte in any::<u8>(), cut in 1usize..99, head in 1usize..3000,
    ) {
        for mut c in capture() {
            let said: u64 = c.iter().map(|s| s.data.len() as u64).sum();
            prop_assert!(heads_only(Amqp::new(), &c, head).1 <= said);
            let runs = c.len();
            let run = &mut c[at % runs].data;
            let place = at % run.len();
            run[place] = byte;
            let mut amqp = Amqp::new();
            decode_cut(&mut amqp, &c, &[cut, 3]);
            prop_assert!(amqp.take_undecoded() <= said);
            let waits: usize = amqp.state.channels.values().map(|c| c.waiting()).sum();
            prop_assert_eq!(waits, amqp.state.counts.waiting);
        }
    }
}
