//! Tests of the Redis decoder: real captures, gaps, and any split of the bytes.

use proptest::prelude::*;

use super::*;
use crate::wire::decoder::Sniff;
use crate::wire::testing::{
    Said, conversations, damaged, decode, decode_cut, made_of, said, survive, survive_sniffing,
};

fn capture(name: &str) -> Vec<(u16, Vec<Said>)> {
    conversations(format!("{}/tests/captures/{name}", env!("CARGO_MANIFEST_DIR")))
}

/// `METHOD status verdict-initial shape-initial` of each exchange.
fn brief(told: &[Told]) -> Vec<String> {
    let one = |t: &Told| {
        let status = match &t.status {
            Known::Known(s) => s.as_ref(),
            Known::Absent => "-",
            Known::Unknown(_) => "?",
        };
        let verdict = t.verdict.as_str();
        format!("{} {status} {verdict} {}", t.method, t.shape.as_str())
    };
    told.iter().map(one).collect()
}

fn lines(told: &[Told]) -> String {
    brief(told).join("\n").replace(" ok unary", "")
}

#[test]
fn commands_of_a_real_client() {
    let c = capture("redis-commands.pcap");
    let told: Vec<Told> = c.iter().flat_map(|(_, c)| decode(Redis::new(), c)).collect();
    assert_eq!(
        lines(&told),
        "SET OK\nSET OK\nGET -\nGET nil\nLPUSH WRONGTYPE error unary\nNOSUCH ERR error unary\nINCR -\nHSET -\n\
         HGETALL -\nCONFIG GET -\nBLPOP nil ok wait\nOBJECT ENCODING -\nMULTI OK\nINCR QUEUED\nLPUSH QUEUED\n\
         EXEC WRONGTYPE error unary\nCLIENT SETNAME OK\nQUIT OK\nHELLO -\nHGETALL -\nHELLO -\n\
         BZPOPMIN nil ok wait\nHELLO -\nDEBUG SLEEP ERR error unary\nPING PONG\nSET OK\nGET -\nEXISTS -\nAUTH OK\n\
         HELLO -\nSET OK\nGET -\nXADD -\nXGROUP CREATE OK\nXREADGROUP -\nXREAD nil ok wait\nXREAD -\n\
         XINFO STREAM -\nCOMMAND DOCS -\nEVAL -\nEVALSHA NOSCRIPT error unary\nZADD -\nZSCORE -\nSISMEMBER -\n\
         WAIT - ok wait\nEVAL ? error unary\nCLIENT REPLY - ok one-way\nSET - ok one-way\nGET -\n\
         CLIENT REPLY - ok one-way\nINCR - ok one-way\nINCR - ok one-way\nCLIENT REPLY OK\nGET -\nWATCH OK\n\
         MULTI OK\nGET QUEUED\nEXEC nil\nMULTI OK\nGET ERR error unary\nEXEC EXECABORT error unary\nSET OK\n\
         GET MOVED client-error unary\nGET nil"
    );
    assert!(told.iter().all(|t| t.target == Known::Absent));
    let blpop = told.iter().find(|t| t.method == "BLPOP").unwrap();
    let waited = blpop.response.unwrap().first.since(blpop.request.last);
    assert!((95_000_000..300_000_000).contains(&waited), "{waited}");
    let big = told.iter().find(|t| t.request.bytes > 20_000).unwrap();
    assert_eq!((big.request.bytes, big.response.unwrap().bytes), (20_032, 5));
}

#[test]
fn a_pipelining_benchmark_is_counted_exactly() {
    // redis-benchmark -P 16 -c 3 -n 480 -t set,get, and its own CONFIG GET of two settings.
    let mut counts = std::collections::BTreeMap::new();
    for (_, c) in capture("redis-benchmark.pcap") {
        let mut decoder = Redis::new();
        for t in decode_cut(&mut decoder, &c, &[]) {
            assert_eq!((t.verdict, t.shape), (Verdict::Ok, Shape::Unary));
            assert!(t.response.is_some());
            *counts.entry(t.method).or_insert(0) += 1;
        }
        assert_eq!(decoder.take_undecoded(), 0);
    }
    assert_eq!((counts["SET"], counts["GET"], counts["CONFIG GET"]), (480, 480, 2));
}

#[test]
fn pushed_messages_are_no_answers() {
    let c = capture("redis-pubsub.pcap");
    let told: Vec<String> = c.iter().map(|(_, c)| lines(&decode(Redis::new(), c))).collect();
    assert_eq!(
        told,
        [
            "SUBSCRIBE - ok stream\nPSUBSCRIBE - ok stream\nPING -\nGET ERR error unary\nUNSUBSCRIBE - ok stream\n\
             PUNSUBSCRIBE - ok stream\nLRANGE -\nPUBLISH -\nPUBLISH -",
            "PUBLISH -\nRPUSH -\nSET OK\nSET OK\nGET -",
            "HELLO -\nSUBSCRIBE - ok stream\nGET nil\nGET nil\nUNSUBSCRIBE - ok stream\nGET nil\n\
             CLIENT TRACKING OK\nGET nil\nGET -",
            "MONITOR OK ok stream\nRESET RESET\nGET -",
        ]
    );
}

#[test]
fn replication_is_a_stream() {
    let c = capture("redis-replica.pcap");
    let told: Vec<String> = c.iter().map(|(_, c)| lines(&decode(Redis::new(), c))).collect();
    assert_eq!(
        told,
        [
            "SET OK\nSET OK\nSET OK",
            "PING PONG\nREPLCONF OK\nREPLCONF OK\nPSYNC FULLRESYNC ok stream",
            "SYNC - ok stream"
        ]
    );
}

#[test]
fn every_connection_is_recognised_by_its_first_exchange() {
    for name in ["redis-commands", "redis-benchmark", "redis-pubsub", "redis-replica"] {
        for (_, c) in capture(&format!("{name}.pcap")) {
            let of =
                |who| c.iter().find(|s| s.from == who).map_or(&[][..], |s| &s.data[..s.data.len().min(256)]);
            assert_eq!(sniff(of(Speaker::Client), of(Speaker::Server)), Sniff::Yes, "{name}");
        }
    }
}

#[test]
fn sniffing_needs_evidence() {
    for (client, server, want) in [
        (&b""[..], &b""[..], Sniff::Maybe),
        (b"*", b"", Sniff::Maybe),
        (b"*2\r\n$3\r\nG", b"", Sniff::Maybe),
        (b"*2\r\n$3\r\nGET\r\n$1\r\nx\r\n", b"", Sniff::Yes),
        (b"*2\r\n$3\r\nGIT\r\n$1\r\nx\r\n", b"", Sniff::Maybe),
        (b"*2\r\n$3\r\nGIT\r\n$1\r\nx\r\n", b"-ERR unknown command\r\n", Sniff::Yes),
        (b"*2\r\n$3\r\nG\x00T\r\n", b"", Sniff::No),
        (b"*2\r\n:3\r\n", b"", Sniff::No),
        (b"*x\r\n", b"", Sniff::No),
        (b"PING\r\n", b"", Sniff::Maybe),
        (b"PING\r\n", b"+PONG\r\n", Sniff::Yes),
        (b"PING\r\n", b"PONG\r\n", Sniff::No),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"", Sniff::No),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"HTTP/1.1 200 OK\r\n", Sniff::No),
        (b"get k\r\n", b"VALUE k 0 1\r\nx\r\nEND\r\n", Sniff::No),
        (b"AUTH PLAIN\r\n", b"+OK\r\n", Sniff::Maybe),
        (b"USER me\r\n", b"+OK\r\n", Sniff::No),
        (b"\x16\x03\x01\x02\x00\x01", b"", Sniff::No),
        (b"", b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n", Sniff::Yes),
        (b"", b">3\r\n$7\r\nmessage\r\n", Sniff::Yes),
        (b"", b"220 mail ESMTP\r\n", Sniff::No),
        (b"", b"+OK POP3\r\n", Sniff::Maybe),
    ] {
        let text = (String::from_utf8_lossy(client), String::from_utf8_lossy(server));
        assert_eq!(sniff(client, server), want, "{text:?}");
    }
}

/// A step of a conversation with gaps.
enum Do<'a> {
    Say(Speaker, &'a [u8]),
    Miss(Speaker, u64),
}
use Do::{Miss, Say};
use Speaker::{Client as C, Server as S};

/// Plays it, a millisecond per step, with turns as the source gives them: unless bytes are missing
/// at the place.
fn play(steps: &[Do<'_>]) -> (Vec<Told>, u64) {
    let (mut d, mut out) = (Redis::new(), Vec::new());
    let mut offsets = [0u64; 2];
    let mut last = None;
    for (i, step) in steps.iter().enumerate() {
        let at = BootNs(i as u64 * 1_000_000);
        let (from, len) = match step {
            Say(from, data) => (*from, data.len() as u64),
            Miss(from, len) => (*from, *len),
        };
        let offset = &mut offsets[usize::from(from == S)];
        if last != Some(from) && matches!(step, Say(..)) {
            d.turn(from, &mut out);
        }
        last = Some(from);
        match step {
            Say(_, data) => d.bytes(from, at, *offset, data, &mut out),
            Miss(..) => d.gap(from, at, *offset, len, &mut out),
        }
        *offset += len;
    }
    d.end(BootNs(steps.len() as u64 * 1_000_000), &mut out);
    (out, d.take_undecoded())
}

#[test]
fn a_gap_inside_of_a_value_is_harmless() {
    let (told, undecoded) = play(&[
        Say(C, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\nxxxx"),
        Miss(C, 998),
        Say(S, b"+OK\r\n"),
        Say(C, b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"),
        Say(S, b"$1000\r\nxxxx"),
        Miss(S, 998),
        Say(S, b"$1000\r\nxxxx"),
        Miss(S, 900),
        Say(S, &[b'x'; 98]),
    ]);
    assert_eq!(brief(&told), ["SET OK ok unary", "GET - ok unary", "GET - ok unary"]);
    assert_eq!(undecoded, 0);
    let last = told[2].response.unwrap();
    assert_eq!((last.first.0, last.last.0, last.bytes), (6_000_000, 8_000_000, 1009));
    assert_eq!(told[1].response.unwrap().last.0, 5_000_000);
    assert_eq!((told[0].request.bytes, told[0].request.last.0), (1029, 1_000_000));
}

#[test]
fn a_reply_cut_by_a_gap_is_over_when_the_client_speaks() {
    let get = b"*1\r\n$4\r\nKEYS\r\n".as_slice();
    let (told, undecoded) = play(&[
        Say(C, get),
        Say(S, b"*100\r\n$5\r\nab"),
        Miss(S, 2000),
        Say(C, get),
        Say(S, b"-ERR so"),
        Miss(S, 50),
        Say(C, get),
        Say(S, b":1\r\n"),
        Say(C, get),
        Miss(S, 50),
        Say(C, get),
        Say(S, b":1\r\n"),
    ]);
    assert_eq!(
        brief(&told),
        [
            "KEYS - ok unary",
            "KEYS ERR error unary",
            "KEYS - ok unary",
            "KEYS ? unknown unary",
            "KEYS - ok unary"
        ]
    );
    // Nothing was seen of the last one.
    assert_eq!(undecoded, 50);
}

#[test]
fn the_rest_of_the_only_reply_hides_nothing() {
    let range = b"*4\r\n$6\r\nLRANGE\r\n$1\r\nl\r\n$1\r\n0\r\n$2\r\n99\r\n".as_slice();
    let list = b"*100\r\n$3\r\nabc\r\n$3\r\na".as_slice();
    let begun = list.len() as u64;
    // It comes in gaps, and what is captured between them is not understood.
    let (told, undecoded) = play(&[
        Say(C, range),
        Say(S, list),
        Miss(S, 600),
        Say(S, b"bc\r\n$3\r\nabc"),
        Miss(S, 91),
        Say(C, range),
        Say(S, b"*0\r\n"),
    ]);
    assert_eq!(brief(&told), ["LRANGE - ok unary", "LRANGE - ok unary"]);
    let span = told[0].response.unwrap();
    assert_eq!((span.first.0, span.last.0, span.bytes), (1_000_000, 4_000_000, begun + 600 + 11 + 91));
    assert_eq!(told[1].response.unwrap().bytes, 4);
    assert_eq!(undecoded, 0);
    // With two pending the second reply lies in there: of 691 bytes the 4 of the string in hand are
    // understood.
    let (told, undecoded) = play(&[Say(C, &range.repeat(2)), Say(S, list), Miss(S, 691), Say(C, range)]);
    assert_eq!(brief(&told), ["LRANGE - ok unary", "LRANGE ? unknown unary", "LRANGE ? unknown unary"]);
    assert_eq!((undecoded, told[0].response.unwrap().bytes), (687, begun + 4));
    // So it may when the second one is sent before the rest of the first reply.
    let (_, undecoded) =
        play(&[Say(C, range), Say(S, list), Miss(S, 100), Say(C, range), Miss(S, 591), Say(C, range)]);
    assert_eq!(undecoded, 591);
    // Commands that were not captured may be answered in there.
    let steps = [Say(C, range), Miss(C, 80), Say(S, list), Miss(S, 691), Say(C, range)];
    assert_eq!(play(&steps).1, 80 + 687);
    // A pushed message is not the reply that is awaited.
    let pushed = b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$900\r\nx".as_slice();
    let (told, undecoded) = play(&[Say(C, range), Say(S, pushed), Miss(S, 1000), Say(C, range)]);
    assert_eq!(brief(&told), ["LRANGE ? unknown unary", "LRANGE ? unknown unary"]);
    assert_eq!(undecoded, 1000 - 901);
}

#[test]
fn a_gap_over_the_end_of_one_reply_and_more_does_not_shift_those_that_follow() {
    let get = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n".as_slice();
    let (told, undecoded) = play(&[
        Say(C, &get.repeat(2)),
        Say(S, b"$1000\r\nxxxx"),
        Miss(S, 998 + 50),
        Say(C, get),
        Say(S, b"-ERR x\r\n"),
    ]);
    assert_eq!(brief(&told), ["GET - ok unary", "GET ? unknown unary", "GET ERR error unary"]);
    assert_eq!(undecoded, 50);
}

#[test]
fn commands_missed_in_a_gap_do_not_shift_the_answers() {
    let set = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n".as_slice();
    let (told, undecoded) = play(&[
        Say(C, &[set, set, &set[..15]].concat()),
        Miss(C, 400),
        Say(S, &b"+OK\r\n".repeat(16)),
        Say(C, b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"),
        Say(S, b"$1\r\nv\r\n"),
    ]);
    assert_eq!(brief(&told), ["SET OK ok unary", "SET OK ok unary", "SET OK ok unary", "GET - ok unary"]);
    assert_eq!(undecoded, 400 + 13 * 5);
}

#[test]
fn deep_pipelines_are_bounded_and_counted() {
    let n = PENDING + 500;
    let ping = b"*1\r\n$4\r\nPING\r\n";
    let (told, undecoded) = play(&[
        Say(C, &ping.repeat(n)),
        Say(S, &b"+PONG\r\n".repeat(PENDING + 100)),
        Say(C, ping),
        Say(S, &b"+PONG\r\n".repeat(401)),
        Say(C, b"*1\r\n$6\r\nDBSIZE\r\n"),
        Say(S, b":5\r\n"),
    ]);
    assert_eq!(told.len(), PENDING + 1);
    assert!(told.iter().all(|t| t.verdict == Verdict::Ok && t.response.is_some()));
    assert_eq!(told[PENDING].method, "DBSIZE");
    assert_eq!(undecoded, 501 * (14 + 7));
}

#[test]
fn nesting_is_bounded_and_attributes_are_no_replies() {
    let ask = b"*1\r\n$4\r\nPING\r\n".as_slice();
    let deep = [b"*1\r\n".repeat(40), b":1\r\n".to_vec()].concat();
    let (told, undecoded) = play(&[
        Say(C, ask),
        Say(S, b"|1\r\n+ttl\r\n:36\r\n*2\r\n|1\r\n+a\r\n*1\r\n:1\r\n:1\r\n:2\r\n"),
        Say(C, ask),
        Say(S, &deep),
        Say(C, ask),
        Say(S, b"!21\r\nSYNTAX invalid syntax\r\n"),
        Say(C, ask),
        Say(S, b"%1\r\n+k\r\n~2\r\n#t\r\n(12345678901234567890\r\n"),
        Say(C, ask),
        Say(S, b"=8\r\ntxt:word\r\n"),
    ]);
    assert_eq!(
        brief(&told),
        [
            "PING - ok unary",
            "PING - ok unary",
            "PING SYNTAX error unary",
            "PING - ok unary",
            "PING - ok unary"
        ]
    );
    assert_eq!(undecoded, deep.len() as u64);
}

#[test]
fn what_is_not_redis_is_given_up() {
    let mut d = Redis::new();
    let mut out = Vec::new();
    for i in 0..4 {
        assert_eq!(d.over(), None);
        d.turn(C, &mut out);
        d.bytes(C, BootNs(0), i * 12, b"howdy world\n", &mut out);
    }
    assert!(matches!(d.over(), Some(Known::Unknown(_))));
    assert_eq!((out.len(), d.take_undecoded()), (0, 48));
}

#[test]
fn an_unanswered_command_is_told_at_the_end() {
    let told = decode(
        Redis::new(),
        &[said(C, 0, "*2\r\n$5\r\nBLPOP\r\n$1\r\nq\r\n"), said(C, 1, "*2\r\n$3\r\nGET")],
    );
    assert_eq!(brief(&told), ["BLPOP ? unknown wait"]);
    assert_eq!(told[0].response, None);
}

/// Conversations of real captures, and pieces of RESP in any order.
fn any_conversation() -> impl Strategy<Value = Vec<Said>> {
    let captured: Vec<Vec<Said>> = ["redis-commands", "redis-benchmark", "redis-pubsub", "redis-replica"]
        .iter()
        .flat_map(|n| capture(&format!("{n}.pcap")))
        .map(|(_, c)| c)
        .collect();
    let made = made_of(&[
        b"*2\r\n",
        b"$3\r\nGET\r\n",
        b"$1\r\nx\r\n",
        b"PING\r\n",
        b"+OK\r\n",
        b"-ERR x\r\n",
        b":0\r\n",
        b"*3\r\n",
        b"$9\r\nsubscribe\r\n",
        b"*-1\r\n",
        b"$-1\r\n",
        b"|1\r\n",
        b">2\r\n",
        b"!5\r\nERR x\r\n",
        b"\r\n",
        b"SUBSCRIBE a b\r\n",
        b"$11\r\nunsubscribe\r\n",
        b"*0\r\n",
        b"%9999999999\r\n",
        b"$99999999\r\n",
        b"MONITOR\r\n",
        b"CLIENT REPLY SKIP\r\n",
        b"\xff",
    ]);
    prop_oneof![proptest::sample::select(captured), made]
}

proptest! {
    #[test]
    fn any_split_gives_the_same(c in any_conversation(), cuts in proptest::collection::vec(1usize..40, 1..6)) {
        let (mut whole, mut cut) = (Redis::new(), Redis::new());
        prop_assert_eq!(decode_cut(&mut whole, &c, &[]), decode_cut(&mut cut, &c, &cuts));
        prop_assert_eq!(whole.take_undecoded(), cut.take_undecoded());
    }

    #[test]
    fn anything_is_survived(steps in damaged(any_conversation())) {
        let mut d = Redis::new();
        survive(&mut d, &steps, |d| assert!(d.pending.len() <= PENDING));
        prop_assert!(d.pending.is_empty());
        survive_sniffing(sniff, &steps);
    }
}
