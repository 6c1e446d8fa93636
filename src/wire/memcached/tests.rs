//! Tests of the memcached decoder: a real capture, gaps, and any split of the bytes.

use proptest::prelude::*;

use super::*;
use crate::model::Shape;
use crate::wire::decoder::Sniff;
use crate::wire::testing::{
    Said, conversations, damaged, decode, decode_cut, made_of, said, survive, survive_sniffing,
};
use Speaker::{Client as C, Server as S};

fn capture() -> Vec<Vec<Said>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures/memcached.pcap");
    conversations(path).into_iter().map(|(_, c)| c).collect()
}

/// `method status`, with `!` for an error, `^` for a client's, `?` for unknown, `~` for one way.
fn brief(told: &[Told]) -> String {
    let one = |t: &Told| {
        assert_eq!(t.target, Known::Absent);
        let status = match &t.status {
            Known::Known(s) => s.as_ref(),
            Known::Absent => "-",
            Known::Unknown(_) => "",
        };
        let sign = match (t.verdict, t.shape) {
            (Verdict::Error, _) => "!",
            (Verdict::ClientError, _) => "^",
            (Verdict::Unknown, _) => "?",
            (_, Shape::OneWay) => "~",
            _ => "",
        };
        format!("{} {status}{sign}", t.method)
    };
    told.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[test]
fn text_commands_of_a_real_server() {
    let mut d = Memcached::new();
    let told = decode_cut(&mut d, &capture()[0], &[]);
    assert_eq!(
        brief(&told),
        "set STORED, get hit, get hit, get miss, gets hit, gat hit, gats hit, touch TOUCHED, touch NOT_FOUND, \
         add NOT_STORED, replace NOT_STORED, append STORED, prepend STORED, cas EXISTS, cas NOT_FOUND, set STORED, \
         incr -, decr -, incr NOT_FOUND, incr CLIENT_ERROR!, delete DELETED, delete NOT_FOUND, version -, \
         verbosity OK, stats -, stats -, stats RESET, unknown ERROR^, set CLIENT_ERROR!, get ERROR!, set SERVER_ERROR!, \
         flush_all OK"
    );
    assert_eq!(d.take_undecoded(), 0);
}

#[test]
fn pipelined_noreply_and_meta_commands_of_a_real_server() {
    let mut d = Memcached::new();
    let told = decode_cut(&mut d, &capture()[1], &[]);
    assert_eq!(
        brief(&told),
        "set STORED, get hit, set -~, incr -~, delete -~, get hit, get hit, get miss, ms HD, mg hit, mg hit, mg miss, \
         ms NS, ms NS, md HD, md NF, ma VA, ma VA, ma NF, mn MN, me ME, me miss, mg ERROR!, \
         mg -~, mg hit, mg -~, mg hit, mn MN, mg -~, mg hit, ms -~, md NF, md -~, mn MN, quit -~"
    );
    assert_eq!(d.take_undecoded(), 0);
    assert_eq!((told[0].request.bytes, told[1].response.unwrap().bytes), (6020, 6025));
}

#[test]
fn binary_commands_of_a_real_server() {
    let mut d = Memcached::new();
    let told = decode_cut(&mut d, &capture()[2], &[]);
    assert_eq!(
        brief(&told),
        "version OK, set OK, get hit, get miss, get hit, add EXISTS, replace NOT_FOUND, incr OK, decr OK, \
         incr NON_NUMERIC!, append OK, touch OK, delete OK, delete NOT_FOUND, noop OK, stats OK, \
         unknown UNKNOWN_COMMAND!, flush_all OK, sasl_list UNKNOWN_COMMAND!, set OK, get hit, get -~, get hit, \
         get -~, noop OK, set -~, delete NOT_FOUND, delete -~, add EXISTS, noop OK, quit OK"
    );
    assert_eq!(d.take_undecoded(), 0);
    let stats = told.iter().find(|t| t.method == "stats").unwrap();
    assert!(stats.response.unwrap().bytes > 3000);
}

#[test]
fn every_connection_is_recognised_by_its_first_exchange() {
    for c in capture() {
        let of = |who| c.iter().find(|s| s.from == who).map_or(&[][..], |s| &s.data[..s.data.len().min(256)]);
        assert_eq!(sniff(of(C), of(S)), Sniff::Yes);
    }
}

#[test]
fn sniffing_needs_evidence() {
    let noop = [&[0x80, 0x0a][..], &[0; 22]].concat();
    for (client, server, want) in [
        (&b""[..], &b""[..], Sniff::Maybe),
        (b"set k 0 0 3\r\nabc\r\n", b"", Sniff::Yes),
        (b"get k\r\n", b"", Sniff::Maybe),
        (b"get k\r\n", b"END\r\n", Sniff::Yes),
        (b"get k\r\n", b"$-1\r\n", Sniff::No),
        (b"", b"VALUE k 0 3\r\nabc\r\nEND\r\n", Sniff::Yes),
        (b"GET / HTTP/1.1\r\n", b"", Sniff::No),
        (b"mg k v\r\n", b"EN\r\n", Sniff::Yes),
        (b"version\r\n", b"VERSION 1.6\r\n", Sniff::Maybe),
        (b"quit\r\n", b"+OK\r\n", Sniff::No),
        (b"stats\r\n", b"", Sniff::Maybe),
        (b"stats\r\n", b"STAT pid 1", Sniff::Maybe),
        (b"stats\r\n", b"STAT pid 1\r\nSTAT", Sniff::Yes),
        (b"stats items\r\n", b"STAT items:1:number 3\r\n", Sniff::Yes),
        (b"stats\r\n", b"END\r\n", Sniff::Maybe),
        (b"stats\r\n", b"STAT\r\n", Sniff::Maybe),
        (b"version\r\n", b"STAT pid 1\r\n", Sniff::Maybe),
        (b"", b"STAT pid 1\r\n", Sniff::Maybe),
        (b"get k\r\n", b"VALUE k", Sniff::Maybe),
        (&noop, b"", Sniff::Yes),
        (&noop[..10], b"", Sniff::Maybe),
        (b"\x80\x9e\x01\x03\x01\0\x75\0\0\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0", b"", Sniff::No),
        (b"\x16\x03\x01\x02\x00\x01", b"", Sniff::No),
        (b"se", b"", Sniff::Maybe),
        (b"SELECT 1;\n", b"", Sniff::No),
    ] {
        let text = (String::from_utf8_lossy(client), String::from_utf8_lossy(server));
        assert_eq!(sniff(client, server), want, "{text:?}");
    }
}

#[test]
fn gaps_in_blocks_are_harmless_and_others_are_over_at_the_next_turn() {
    let (mut d, mut out) = (Memcached::new(), Vec::new());
    let at = |ms: u64| BootNs(ms * 1_000_000);
    d.bytes(C, at(0), 0, b"set k 0 0 1000\r\nxx", &mut out);
    d.gap(C, at(1), 18, 1000, &mut out);
    d.bytes(S, at(2), 0, b"STORED\r\n", &mut out);
    d.bytes(C, at(3), 1018, b"get k\r\n", &mut out);
    d.bytes(S, at(4), 8, b"VALUE k 0 1000\r\nxx", &mut out);
    d.gap(S, at(5), 26, 1000, &mut out);
    d.bytes(S, at(6), 1026, b"END\r\n", &mut out);
    assert_eq!(brief(&out), "set STORED, get hit");
    assert_eq!(out[0].request, Span { first: at(0), last: at(1), bytes: 1018 });
    assert_eq!(out[1].response, Some(Span { first: at(4), last: at(6), bytes: 1023 }));
    assert_eq!(d.take_undecoded(), 0);
    d.bytes(C, at(7), 1025, b"get k\r\n", &mut out);
    d.bytes(S, at(8), 1031, b"VALUE k 0 1000\r\nxx", &mut out);
    d.gap(S, at(9), 1049, 1005, &mut out);
    d.turn(C, &mut out);
    d.bytes(C, at(10), 1032, b"get l\r\n", &mut out);
    d.gap(S, at(11), 2054, 500, &mut out);
    d.turn(C, &mut out);
    d.bytes(C, at(12), 1039, b"get m\r\n", &mut out);
    d.turn(S, &mut out);
    d.bytes(S, at(13), 2554, b"END\r\n", &mut out);
    assert_eq!(brief(&out[2..]), "get hit, get ?, get miss");
    // The `END` of the first is all that the gap can hide; nothing was seen of the second.
    assert_eq!(d.take_undecoded(), 500);
    assert_eq!(out[2].response, Some(Span { first: at(8), last: at(9), bytes: 1023 }));
}

#[test]
fn the_end_of_a_reply_in_a_gap_is_undecoded_only_where_it_may_hide_another() {
    let at = |ms: u64| BootNs(ms * 1_000_000);
    let played = |asks: &[u8], missing: u64, answer: &[u8], gap: u64| {
        let (mut d, mut out) = (Memcached::new(), Vec::new());
        d.bytes(C, at(0), 0, asks, &mut out);
        if missing > 0 {
            d.gap(C, at(1), asks.len() as u64, missing, &mut out);
        }
        d.bytes(S, at(2), 0, answer, &mut out);
        let said = answer.len() as u64;
        d.gap(S, at(3), said, gap - 1, &mut out);
        // One more that was captured.
        d.bytes(S, at(4), said + gap - 1, b"\n", &mut out);
        d.turn(C, &mut out);
        let bytes: Vec<u64> = out.iter().map(|t| t.response.map_or(0, |r| r.bytes)).collect();
        (brief(&out), bytes, d.take_undecoded())
    };
    let value = b"VALUE k 0 1000\r\nxx";
    assert_eq!(played(b"get k\r\n", 0, value, 1005), ("get hit".into(), vec![1023], 0));
    assert_eq!(played(b"get k\r\nget l\r\n", 0, value, 1005), ("get hit, get ?".into(), vec![1018, 0], 5));
    assert_eq!(played(b"get k\r\n", 40, value, 1005), ("get hit".into(), vec![1018], 45));
    assert_eq!(played(b"stats\r\n", 0, b"STAT pid 1\r\nSTAT upt", 900), ("stats -".into(), vec![920], 0));
    assert_eq!(played(b"mg k v\r\n", 0, b"VA 10", 900), ("mg ?".into(), vec![905], 0));
    // One statistic with its header, and the beginning of the next header.
    let ask = [&[0x80, 0x10][..], &[0; 22]].concat();
    let part = [&[0x81, 0x10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2][..], &[0; 12], b"kv", &[0x81, 0x10]].concat();
    assert_eq!(played(&ask, 0, &part, 900), ("stats -".into(), vec![928], 0));
    // More than the one reply.
    assert_eq!(played(b"mg k v\r\n", 0, b"VA 10\r\nx", 900), ("mg hit".into(), vec![19], 889));
}

#[test]
fn a_command_that_does_not_exist_is_told_if_the_server_says_so() {
    let told = |steps: &[Said]| {
        let mut d = Memcached::new();
        let told = decode_cut(&mut d, steps, &[]);
        (brief(&told), d.take_undecoded())
    };
    let (error, end) = (b"ERROR\r\n", b"END\r\n");
    let c = [said(C, 0, b"secret 1\r\n"), said(S, 1, error), said(C, 2, b"get k\r\n"), said(S, 3, end)];
    assert_eq!(told(&c), ("unknown ERROR^, get miss".into(), 0));
    // Among others that were sent ahead.
    let c = [said(C, 0, b"get a\r\n\r\nget b\r\n"), said(S, 1, [&end[..], error, end].concat())];
    assert_eq!(told(&c), ("get miss, unknown ERROR^, get miss".into(), 0));
    // Any number of them, one by one.
    let c: Vec<Said> =
        (0..20).flat_map(|n| [said(C, 2 * n, b"nosuch\r\n"), said(S, 2 * n + 1, error)]).collect();
    assert_eq!(told(&c), (["unknown ERROR^"; 20].join(", "), 0));
    // Another reply is not for it; two in a row, bytes of no text, and one without a reply may be data.
    let c = [said(C, 0, b"nosuch\r\nget k\r\n"), said(S, 1, end)];
    assert_eq!(told(&c), ("get miss".into(), 8));
    let c = [said(C, 0, b"foo\r\nbar\r\nget k\r\n"), said(S, 1, error)];
    assert_eq!(told(&c), (String::new(), 5 + 5 + 7 + 7));
    assert_eq!(told(&[said(C, 0, b"\x01\x02\r\n"), said(S, 1, error)]), (String::new(), 4 + 7));
    assert_eq!(told(&[said(C, 0, b"nosuch\r\n")]), (String::new(), 8));
}

#[test]
fn deep_pipelines_are_bounded_and_counted() {
    let n = PENDING + 100;
    let (mut d, mut out) = (Memcached::new(), Vec::new());
    d.bytes(C, BootNs(0), 0, &b"get a\r\n".repeat(n), &mut out);
    d.bytes(S, BootNs(1), 0, &b"END\r\n".repeat(n), &mut out);
    d.bytes(C, BootNs(2), 0, b"mn\r\n", &mut out);
    d.bytes(S, BootNs(3), 0, b"MN\r\n", &mut out);
    assert_eq!(out.len(), PENDING + 1);
    assert!(out.iter().all(|t| t.verdict == Verdict::Ok && t.response.is_some()));
    assert_eq!(d.take_undecoded(), 100 * 12);
}

#[test]
fn what_is_not_memcached_is_given_up() {
    let (mut d, mut out) = (Memcached::new(), Vec::new());
    for i in 0..4 {
        assert_eq!(d.over(), None);
        d.turn(C, &mut out);
        d.bytes(C, BootNs(0), i * 6, b"hello\n", &mut out);
    }
    assert!(d.over().is_some());
    assert_eq!((out.len(), d.take_undecoded()), (0, 24));
}

fn any_conversation() -> impl Strategy<Value = Vec<Said>> {
    let made = made_of(&[
        b"get a\r\n",
        b"VALUE a 0 1\r\n",
        b"x\r\n",
        b"END\r\n",
        b"set a 0 0 1\r\n",
        b"mg k v q O1\r\n",
        b"VA 1 O1\r\n",
        b"mn\r\n",
        b"MN\r\n",
        b"ERROR\r\n",
        b"STORED\r\n",
        b"12\r\n",
        b"STAT a b\r\n",
        b"ms k 1\r\n",
        b"incr a 1 noreply\r\n",
        b"\r\n",
        b"watch\r\n",
        b"OK\r\n",
        b"nothing\r\n",
        b"set a 0 0 9999999999\r\n",
        b"\x80\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0",
        b"\x81\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0",
        b"\x80\x09\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0\0\0\0\0\0k",
        b"\x81\x10\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0\0\0\0\0\0k",
    ]);
    prop_oneof![1 => proptest::sample::select(capture()), 5 => made]
}

proptest! {
    #[test]
    fn any_split_gives_the_same(c in any_conversation(), cuts in proptest::collection::vec(1usize..40, 1..6)) {
        let (mut whole, mut cut) = (Memcached::new(), Memcached::new());
        prop_assert_eq!(decode_cut(&mut whole, &c, &[]), decode_cut(&mut cut, &c, &cuts));
        prop_assert_eq!(whole.take_undecoded(), cut.take_undecoded());
    }

    #[test]
    fn anything_is_survived(steps in damaged(any_conversation())) {
        let mut d = Memcached::new();
        survive(&mut d, &steps, |d| assert!(d.queue.pending.len() <= PENDING));
        prop_assert!(d.queue.pending.is_empty());
        survive_sniffing(sniff, &steps);
    }

    #[test]
    fn an_end_tells_all_that_waits(n in 1usize..40) {
        let told = decode(Memcached::new(), &[said(C, 0, b"get a\r\n".repeat(n))]);
        prop_assert_eq!(told.iter().filter(|t| t.verdict == Verdict::Unknown).count(), n);
    }
}
