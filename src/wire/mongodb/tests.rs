//! Crafted messages by the manual, and a capture of PyMongo against a scripted server.

use proptest::prelude::*;

use super::*;
use crate::wire::framed::tests::{captured, heads_only, lines, small};
use crate::wire::testing::{Said, decode, decode_cut, said, steps, survive, survive_sniffing};

fn capture() -> Vec<Vec<Said>> {
    captured("mongodb-pymongo.pcap")
}

fn document(elements: &[(u8, &str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, key, value) in elements {
        body.push(*kind);
        body.extend(key.as_bytes());
        body.push(0);
        body.extend(*value);
    }
    body.push(0);
    [&(body.len() as u32 + 4).to_le_bytes(), &body[..]].concat()
}

fn text(s: &str) -> Vec<u8> {
    [&(s.len() as u32 + 1).to_le_bytes(), s.as_bytes(), &[0]].concat()
}

fn message(id: i32, to: i32, op: i32, body: &[u8]) -> Vec<u8> {
    let mut m = (body.len() as i32 + 16).to_le_bytes().to_vec();
    for n in [id, to, op] {
        m.extend(n.to_le_bytes());
    }
    m.extend(body);
    m
}

fn msg(id: i32, to: i32, flags: u32, sections: &[u8]) -> Vec<u8> {
    message(id, to, 2013, &[&flags.to_le_bytes(), sections].concat())
}

fn find(id: i32) -> Vec<u8> {
    let filter = document(&[(2, "card", &text("4111111111111111"))]);
    let body = document(&[(2, "find", &text("orders")), (3, "filter", &filter), (2, "$db", &text("shop"))]);
    msg(id, 0, 0, &[&[0], &body[..]].concat())
}

fn ok() -> Vec<u8> {
    [&[0][..], &document(&[(1, "ok", &1f64.to_le_bytes())])].concat()
}

#[test]
fn answers_find_their_requests_by_id() {
    let told = decode(
        Mongodb::new(),
        &[
            said(Speaker::Client, 0, [find(1), find(2)].concat()),
            said(Speaker::Server, 4, msg(90, 2, 0, &ok())),
            said(Speaker::Server, 9, msg(91, 1, 0, &ok())),
        ],
    );
    assert_eq!(lines(&told), ["find shop.orders | ok | ok unary"; 2]);
    assert_eq!((told[0].key, told[1].key), ((find(1).len() as u64, 0), (0, 0)));
    assert_eq!(told[1].response.map(|r| r.first), Some(BootNs(9_000_000)));
}

#[test]
fn sequences_before_the_body_and_a_checksum_are_passed_over() {
    let rows = document(&[(16, "_id", &[1, 0, 0, 0])]);
    let mut sequence = (4 + 10 + rows.len() as u32).to_le_bytes().to_vec();
    sequence.extend(b"documents\0");
    sequence.extend(&rows);
    let body = document(&[(2, "insert", &text("orders")), (2, "$db", &text("shop"))]);
    let m = msg(1, 0, 1, &[&[1], &sequence[..], &[0], &body[..], &[1, 2, 3, 4]].concat());
    let told = decode(
        Mongodb::new(),
        &[said(Speaker::Client, 0, m), said(Speaker::Server, 1, msg(5, 1, 1, &[ok(), vec![0; 4]].concat()))],
    );
    assert_eq!(lines(&told), ["insert shop.orders | ok | ok unary"]);
}

#[test]
fn a_result_that_was_not_captured_to_its_end_went_well() {
    let batch = document(&[(2, "0", &text(&"x".repeat(900)))]);
    let cursor = document(&[(4, "firstBatch", &batch)]);
    let body = document(&[(3, "cursor", &cursor), (1, "ok", &1f64.to_le_bytes())]);
    let c = [
        said(Speaker::Client, 0, find(1)),
        said(Speaker::Server, 5, msg(9, 1, 0, &[&[0], &body[..]].concat())),
    ];
    let (told, undecoded) = heads_only(Mongodb::new(), &c, 256);
    assert_eq!((told, undecoded), (decode(Mongodb::new(), &c), 0));
    // But what is only counted may hold errors of writes behind it.
    let rows = document(&[(2, "0", &text(&"x".repeat(900)))]);
    let body = document(&[(16, "n", &[0; 4]), (4, "upserted", &rows), (1, "ok", &1f64.to_le_bytes())]);
    let c = [c[0].clone(), said(Speaker::Server, 5, msg(9, 1, 0, &[&[0], &body[..]].concat()))];
    let (told, _) = heads_only(Mongodb::new(), &c, 256);
    let line = "find shop.orders | ? the answer goes on beyond what was captured | unknown unary";
    assert_eq!(lines(&told), [line]);
}

#[test]
fn a_database_behind_the_head_is_left_out() {
    let rows = document(&[(2, "0", &text(&"x".repeat(900)))]);
    let body =
        document(&[(2, "insert", &text("orders")), (4, "documents", &rows), (2, "$db", &text("shop"))]);
    let c = [
        said(Speaker::Client, 0, msg(1, 0, 0, &[&[0], &body[..]].concat())),
        said(Speaker::Server, 1, msg(2, 1, 0, &ok())),
    ];
    assert_eq!(lines(&heads_only(Mongodb::new(), &c, 256).0), ["insert orders | ok | ok unary"]);
    assert_eq!(lines(&decode(Mongodb::new(), &c)), ["insert shop.orders | ok | ok unary"]);
}

#[test]
fn old_messages_and_compressed_ones() {
    let wrapped = document(&[(3, "$query", &document(&[(16, "ismaster", &[1, 0, 0, 0])]))]);
    let hello = [&[0; 4][..], b"admin.$cmd\0", &[0; 8], &wrapped].concat();
    let asked = [&[0; 4][..], b"shop.orders\0", &[0; 8], &document(&[])].concat();
    let reply = |flags: u8, doc: &[u8]| [&[flags, 0, 0, 0][..], &[0; 16], doc].concat();
    let insert = [&[0; 4][..], b"shop.orders\0", &document(&[])].concat();
    let told = decode(
        Mongodb::new(),
        &[
            said(Speaker::Client, 0, message(1, 0, 2004, &hello)),
            said(
                Speaker::Server,
                1,
                message(50, 1, 1, &reply(8, &document(&[(1, "ok", &1f64.to_le_bytes())]))),
            ),
            said(Speaker::Client, 2, message(2, 0, 2004, &asked)),
            said(Speaker::Server, 3, message(51, 2, 1, &reply(2, &document(&[(2, "$err", &text("no"))])))),
            said(Speaker::Client, 4, message(3, 0, 2002, &insert)),
            said(Speaker::Client, 5, message(4, 0, 2012, &[0xdd, 7, 0, 0, 9, 0, 0, 0, 1, 1, 2, 3])),
            said(Speaker::Server, 6, message(52, 4, 2012, &[0xdd, 7, 0, 0, 9, 0, 0, 0, 1, 1, 2, 3])),
        ],
    );
    assert_eq!(
        lines(&told),
        [
            "ismaster admin | ok | ok unary",
            "query shop.orders | QueryFailure | error unary",
            "insert shop.orders | - | ok one-way",
            "compressed ? compressed | ? compressed | unknown unary",
        ]
    );
}

#[test]
fn an_exhaust_cursor_is_one_exchange() {
    let body = document(&[
        (18, "getMore", &7u64.to_le_bytes()),
        (2, "collection", &text("log")),
        (2, "$db", &text("shop")),
    ]);
    let mut mongo = Mongodb::new();
    let told = decode_cut(
        &mut mongo,
        &[
            said(Speaker::Client, 0, msg(1, 0, 1 << 16, &[&[0], &body[..]].concat())),
            said(Speaker::Server, 1, msg(90, 1, 2, &ok())),
            said(Speaker::Server, 2, msg(91, 90, 2, &ok())),
            said(Speaker::Server, 3, msg(92, 91, 0, &ok())),
            said(Speaker::Server, 4, msg(93, 92, 0, &ok())),
        ],
        &[],
    );
    assert_eq!(lines(&told), ["getMore shop.log | ok | ok stream"]);
    // The last one follows nothing that announced it.
    assert_eq!(mongo.take_undecoded(), msg(93, 92, 0, &ok()).len() as u64);
}

#[test]
fn change_streams_wait() {
    let stage = document(&[(3, "$changeStream", &document(&[]))]);
    let pipeline = document(&[(3, "0", &stage)]);
    let open =
        document(&[(2, "aggregate", &text("orders")), (4, "pipeline", &pipeline), (2, "$db", &text("shop"))]);
    let cursor = document(&[(18, "id", &7u64.to_le_bytes()), (4, "firstBatch", &document(&[]))]);
    let opened = document(&[(3, "cursor", &cursor), (1, "ok", &1f64.to_le_bytes())]);
    let more = document(&[
        (18, "getMore", &7u64.to_le_bytes()),
        (2, "collection", &text("orders")),
        (2, "$db", &text("shop")),
    ]);
    let told = decode(
        Mongodb::new(),
        &[
            said(Speaker::Client, 0, msg(1, 0, 0, &[&[0], &open[..]].concat())),
            said(Speaker::Server, 1, msg(9, 1, 0, &[&[0], &opened[..]].concat())),
            said(Speaker::Client, 2, msg(2, 0, 0, &[&[0], &more[..]].concat())),
        ],
    );
    assert_eq!(
        lines(&told),
        [
            "aggregate shop.orders | ok | ok unary",
            "getMore shop.orders | ? no answer was seen | unknown wait"
        ]
    );
}

#[test]
fn sniffing_needs_evidence() {
    assert_eq!(sniff(&find(1), b""), Sniff::Yes);
    assert_eq!(sniff(b"", &msg(9, 1, 0, &ok())), Sniff::Yes);
    assert_eq!(sniff(&find(1)[..20], b""), Sniff::Maybe);
    assert_eq!(sniff(&find(1)[..9], b""), Sniff::Maybe);
    // Roles the wrong way round, unknown flags, a first byte of HTTP, TLS, Kafka, AMQP.
    assert_eq!(sniff(&msg(9, 1, 0, &ok()), b""), Sniff::No);
    assert_eq!(sniff(&msg(1, 0, 4, &ok()), b""), Sniff::No);
    assert_eq!(sniff(b"GET / HTTP/1.1\r\nHost: a\r\n", b""), Sniff::No);
    assert_eq!(sniff(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\0\0\0\0\0", b""), Sniff::No);
    assert_eq!(sniff(b"\0\0\0\x20\0\x12\0\x03\0\0\0\x01\0\x04shop", b""), Sniff::No);
    assert_eq!(sniff(b"AMQP\0\0\x09\x01", b""), Sniff::No);
    for c in capture() {
        let of = |from| c.iter().find(|s| s.from == from).map(|s| s.data.clone()).unwrap_or_default();
        assert_eq!(sniff(&of(Speaker::Client), b""), Sniff::Yes);
        assert_eq!(sniff(b"", &of(Speaker::Server)), Sniff::Yes);
    }
}

#[test]
fn pymongo_is_told_as_it_was() {
    let all: Vec<Vec<String>> = capture().iter().map(|c| lines(&decode(Mongodb::new(), c))).collect();
    // What the script asked for, in this order; see tests/captures/README.md.
    let work = [
        "ismaster admin | ok | ok unary",
        "ping admin | ok | ok unary",
        "insert shop.orders | ok | ok unary",
        "insert shop.orders | ok | ok unary",
        "insert shop.unique | DuplicateKey | error unary",
        "find shop.orders | ok | ok unary",
        "getMore shop.orders | ok | ok unary",
        "update shop.orders | ok | ok unary",
        "delete shop.orders | ok | ok unary",
        "aggregate shop.orders | ok | ok unary",
        "aggregate shop.bad | Location40324 | error unary",
        "count shop.orders | Unauthorized | error unary",
        "drop shop.nothing | NamespaceNotFound | client-error unary",
        "insert shop.fire | - | ok one-way",
        "find shop.log | ok | ok unary",
        "getMore shop.log | ok | ok wait",
        "killCursors shop.log | ok | ok unary",
        "endSessions admin | ok | ok unary",
    ];
    assert_eq!(all[1], work);
    // The monitor's connections: a streamed hello, and one for the round-trip time.
    assert_eq!(all[0], ["ismaster admin | ok | ok unary", "hello admin | ok | ok wait"]);
    assert_eq!(all[2].len(), 3);
    // The server took 2 ms for each command.
    for told in decode(Mongodb::new(), &capture()[1]).iter().skip(1).filter(|t| t.shape == Shape::Unary) {
        let took = told.response.map(|r| r.first.0 - told.request.last.0).unwrap_or_default();
        assert!((2_000_000..30_000_000).contains(&took), "{told:?}");
    }
}

#[test]
fn heads_alone_tell_the_same() {
    for c in capture() {
        let whole = decode(Mongodb::new(), &c);
        let (heads, undecoded) = heads_only(Mongodb::new(), &c, 512);
        assert_eq!((heads, undecoded), (whole, 0));
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same(cuts in prop::collection::vec(1usize..700, 1..20)) {
        for c in capture() {
            let whole = decode(Mongodb::new(), &c);
            prop_assert_eq!(decode_cut(&mut Mongodb::new(), &c, &cuts), whole);
        }
    }

    #[test]
    fn anything_is_survived(steps in steps(small())) {
        survive(&mut Mongodb::new(), &steps, |d| assert!(d.state.pending.len() <= PENDING));
        survive_sniffing(sniff, &steps);
    }

    #[test]
    fn any_damage_is_survived(at in 0usize..9000, byte in any::<u8>(), cut in 1usize..99) {
        for mut c in capture() {
            let said: u64 = c.iter().map(|s| s.data.len() as u64).sum();
            let runs = c.len();
            let run = &mut c[at % runs].data;
            let place = at % run.len();
            run[place] = byte;
            let mut mongo = Mongodb::new();
            decode_cut(&mut mongo, &c, &[cut, 3]);
            prop_assert!(mongo.take_undecoded() <= said);
        }
    }
}
