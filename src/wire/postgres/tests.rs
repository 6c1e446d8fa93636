//! Tests of the PostgreSQL decoder.

use super::super::sql::testing::{capture, decode_heads, lines, turns};
use super::super::testing::{Said, decode, decode_cut, pieces, said, steps, survive, survive_sniffing};
use super::super::{Decoder, Sniff, Speaker, Told};
use super::{Postgres, sniff};
use crate::model::{BootNs, Known, Protocol, Shape, Verdict};
use proptest::prelude::*;
use std::collections::BTreeMap;

use Speaker::{Client, Server};

const NAMES: [&str; 6] =
    ["psql", "drivers", "replication", "pgbench-simple", "pgbench-extended", "pgbench-prepared"];

fn conversations(name: &str) -> Vec<Vec<Said>> {
    let found = capture(&format!("postgres-{name}"), 5432);
    assert!(!found.is_empty());
    found
}

fn all(name: &str) -> Vec<Told> {
    conversations(name).iter().flat_map(|c| decode(Postgres::new(), c)).collect()
}

/// A typed message.
fn m(kind: u8, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut out = vec![kind];
    out.extend((body.len() as u32 + 4).to_be_bytes());
    out.extend(body);
    out
}

fn ready() -> Vec<u8> {
    m(b'Z', "I")
}

fn error(code: &str) -> Vec<u8> {
    m(b'E', format!("SERROR\0VERROR\0C{code}\0Msecret\0\0"))
}

fn execute(statement: &str) -> Vec<u8> {
    [m(b'B', format!("\0{statement}\0\0\0\0\0\0\0")), m(b'E', b"\0\0\0\0\0")].concat()
}

#[test]
fn what_psql_asked() {
    assert_eq!(
        lines(&all("psql")),
        [
            "SELECT | select ? | OK ok",
            "SELECT | select * from pgbench_accounts where aid = ? and filler <> ? | OK ok",
            "CREATE | create table shop (id int primary key, name text, price numeric) | OK ok",
            "INSERT | insert into shop values (?+) | OK ok",
            "COPY | copy shop from stdin | OK ok",
            "COPY | copy shop to stdout | OK ok",
            "SELECT | select * from nowhere | 42P01 error",
            "INSERT | insert into shop values (?+) | 23505 error",
            "SELECT | select ?; select ?; select ? | OK ok",
            "LISTEN | listen bell | OK ok",
            "NOTIFY | notify bell, ? | OK ok",
            "UPDATE | with x as (select ? as a) update shop set price = price + ? where id in (?+) | OK ok",
            "SET | set statement_timeout = ? | OK ok",
            "SELECT | select pg_sleep(?) | 57014 client-error",
            "DO | do ? | OK ok",
            " | - | OK ok",
            "DROP | drop table shop | OK ok",
            "CONNECT | - | 28P01 error",
        ]
    );
}

#[test]
fn pgbench_counts_are_exact() {
    for (mode, prepares) in [("simple", 0), ("extended", 0), ("prepared", 14)] {
        let told = all(&format!("pgbench-{mode}"));
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        for t in &told {
            assert_eq!(t.verdict, Verdict::Ok);
            *count.entry(&t.method).or_default() += 1;
        }
        // 30 transactions of seven statements; two questions before.
        assert_eq!((count["BEGIN"], count["END"], count["INSERT"]), (30, 30, 30), "{mode}");
        assert_eq!((count["UPDATE"], count["SELECT"]), (90, 32), "{mode}");
        assert_eq!(count.get("PREPARE").copied().unwrap_or(0), prepares, "{mode}");
        assert!(told.iter().all(|t| t.response.is_some_and(|r| r.first >= t.request.last)));
        let keys: std::collections::BTreeSet<_> = told.iter().map(|t| (t.key, t.request.first)).collect();
        assert_eq!(keys.len(), told.len());
    }
}

#[test]
fn pipelines_and_cursors_of_drivers() {
    let told = lines(&all("drivers"));
    let count = |l: &str| told.iter().filter(|t| *t == l).count();
    assert_eq!(count("SELECT | select ?::int + ? | OK ok"), 5);
    assert_eq!(count("SELECT | select ?/? | 22012 error"), 1);
    assert_eq!(
        count("SELECT | select ? | <not run: a statement before it in its pipeline failed> unknown"),
        1
    );
    assert_eq!(count("SELECT | select bbalance from pgbench_branches where bid = ? | OK ok"), 8);
    assert_eq!(count("PREPARE | select nonsense from pgbench_accounts | 42703 error"), 1);
    // 10 rows, 4 at a time.
    assert_eq!(count("SELECT | select tid from pgbench_tellers | OK ok"), 3);
    assert_eq!(count("UPDATE | update pgbench_tellers set tbalance=? where tid=? | OK ok"), 3);
    assert_eq!(told.len(), 36);
}

#[test]
fn replication_is_a_stream() {
    let told = all("replication");
    let last = told.last().unwrap();
    assert_eq!((&*last.method, last.shape, last.verdict), ("START_REPLICATION", Shape::Stream, Verdict::Ok));
    assert!(told.iter().rev().skip(1).all(|t| t.shape == Shape::Unary && t.verdict == Verdict::Ok));
}

#[test]
fn heads_of_messages_are_enough() {
    for name in ["psql", "pgbench-simple", "pgbench-extended", "pgbench-prepared"] {
        for c in conversations(name) {
            let whole = decode(Postgres::new(), &turns(&c));
            let (heads, undecoded) = decode_heads(&mut Postgres::new(), &c, 512, 256);
            assert_eq!(undecoded, 0, "{name}");
            assert_eq!(whole.len(), heads.len(), "{name}");
            for (w, h) in whole.iter().zip(&heads) {
                let same = (&w.method, w.verdict, w.key, w.request, w.response.map(|r| r.first));
                assert_eq!(
                    same,
                    (&h.method, h.verdict, h.key, h.request, h.response.map(|r| r.first)),
                    "{name}"
                );
                if w.target != h.target {
                    let text = h.target.known().unwrap();
                    assert!(text.ends_with('…'), "{text}");
                }
            }
        }
    }
}

#[test]
fn a_gap_over_the_rest_of_a_round() {
    let long = m(b'P', format!("\0select a from t where b in ({}1)\0\0\0", "1, ".repeat(300)));
    let round = [long, execute(""), m(b'S', "")].concat();
    let answer = [m(b'1', ""), m(b'2', ""), m(b'D', [0; 9]), m(b'C', "SELECT 1\0"), ready()].concat();
    let c = [said(Client, 1, &round), said(Server, 2, &answer), said(Client, 3, m(b'Q', "commit\0"))];
    let (told, undecoded) = decode_heads(&mut Postgres::new(), &c, 200, 4000);
    assert_eq!(lines(&told)[0], "SELECT | select a from t where b in (?+… | OK ok");
    assert_eq!((told.len(), undecoded), (2, 0));
    assert_eq!(told[0].request.bytes, round.len() as u64);

    // Two rounds in the gap: one is told, the other one counted.
    let two = [round.clone(), round.clone()].concat();
    let c = [said(Client, 1, &two), said(Server, 2, [answer.clone(), answer].concat())];
    let (told, undecoded) = decode_heads(&mut Postgres::new(), &c, 200, 4000);
    assert_eq!(told.len(), 1);
    assert!(undecoded > 0);

    // It was only prepared.
    let answer = [m(b'1', ""), ready()].concat();
    let c = [said(Client, 1, &round), said(Server, 2, &answer)];
    let (told, _) = decode_heads(&mut Postgres::new(), &c, 200, 4000);
    assert_eq!(told[0].method, "PREPARE");
}

#[test]
fn a_gap_in_the_answer() {
    let query = said(Client, 1, m(b'Q', "select a from t\0"));
    let rows = [m(b'T', [0; 30]), m(b'D', [0; 3000]), m(b'C', "SELECT 1\0"), ready()].concat();
    let again =
        [said(Client, 3, m(b'Q', "commit\0")), said(Server, 4, [m(b'C', "COMMIT\0"), ready()].concat())];
    let told = |server| {
        let c = [vec![query.clone(), said(Server, 2, &rows)], again.to_vec()].concat();
        lines(&decode_heads(&mut Postgres::new(), &c, 512, server).0)
    };
    assert_eq!(told(256)[0], "SELECT | select a from t | <the end of the answer was not captured> ok");
    assert_eq!(told(36)[0], "SELECT | select a from t | <the end of the answer was not captured> ok");
    assert_eq!(told(3)[0], "SELECT | select a from t | <the end of the answer was not captured> unknown");
    assert_eq!(told(256)[1], "COMMIT | commit | OK ok");
    assert_eq!(told(4000)[0], "SELECT | select a from t | OK ok");
}

#[test]
fn from_the_middle_on() {
    let c = [
        said(Client, 1, [execute("S_1"), m(b'S', "")].concat()),
        said(Server, 2, [m(b'2', ""), m(b'C', "UPDATE 1\0"), ready()].concat()),
        said(Client, 3, [execute("S_2"), m(b'S', "")].concat()),
        said(Server, 4, [m(b'2', ""), error("40001"), ready()].concat()),
    ];
    assert_eq!(
        lines(&decode(Postgres::new(), &c)),
        [
            "UPDATE | <prepared before webb watched> | OK ok",
            "EXECUTE | <prepared before webb watched> | 40001 error",
        ]
    );
}

#[test]
fn encryption_and_cancelling() {
    let ssl = [0, 0, 0, 8, 4, 210, 22, 47];
    let mut d = Postgres::new();
    decode_cut(&mut d, &[said(Client, 1, ssl), said(Server, 2, "S")], &[1]);
    assert_eq!(d.over(), Some(Known::Known(Protocol::Tls)));
    let mut d = Postgres::new();
    let start = b"\0\0\0\x15\0\x03\0\0user\0secret\0\0".as_slice();
    let c = [
        said(Client, 1, ssl),
        said(Server, 2, "N"),
        said(Client, 3, start),
        said(Server, 4, [m(b'R', [0; 4]), ready()].concat()),
        said(Client, 5, m(b'Q', "show x\0")),
        said(Server, 6, [m(b'C', "SHOW\0"), ready()].concat()),
    ];
    assert_eq!(lines(&decode_cut(&mut d, &c, &[])), ["SHOW | show x | OK ok"]);
    assert_eq!(d.over(), None);
    let cancel = [0, 0, 0, 16, 4, 210, 22, 46, 1, 2, 3, 4, 5, 6, 7, 8];
    let told = decode(Postgres::new(), &[said(Client, 1, cancel)]);
    assert_eq!((&*told[0].method, told[0].shape), ("CANCEL", Shape::OneWay));
}

#[test]
fn notices_are_no_answers() {
    let c = [
        said(Client, 1, m(b'Q', "select 1\0")),
        said(Server, 2, [m(b'A', [0; 9]), m(b'N', [0; 9])].concat()),
        said(Server, 5, [m(b'C', "SELECT 1\0"), ready()].concat()),
    ];
    let told = decode(Postgres::new(), &c);
    assert_eq!(told[0].response.unwrap().first, BootNs(5_000_000));
}

#[test]
fn a_cut_head_is_undecoded_only_where_what_follows_it_is() {
    // The answer to a start: 417 bytes, cut after 3 of a head.
    let [setting, more] = [239, 148].map(|n| m(b'S', vec![b'a'; n]));
    let welcome = [m(b'R', [0; 4]), setting, more, m(b'S', ""), ready()].concat();
    assert_eq!(welcome.len(), 417);
    let startup = [&16u32.to_be_bytes()[..], &0x30000u32.to_be_bytes(), b"user\0me\0"].concat();
    let c = [
        said(Client, 1, &startup),
        said(Server, 2, &welcome),
        said(Client, 3, m(b'Q', "select 1\0")),
        said(Server, 4, [m(b'C', "SELECT 1\0"), ready()].concat()),
    ];
    let (told, undecoded) = decode_heads(&mut Postgres::new(), &c, 512, 256);
    assert_eq!((lines(&told), undecoded), (vec!["SELECT | select ? | OK ok".to_owned()], 0));

    // They are of the answer that is awaited.
    let rows = [m(b'T', vec![0; 10]), m(b'D', vec![0; 40])].concat();
    let c = [said(Client, 1, m(b'Q', "select 1\0")), said(Server, 2, &rows)];
    let (told, undecoded) = decode_heads(&mut Postgres::new(), &c, 512, 17);
    assert_eq!((told[0].response.unwrap().bytes, undecoded), (rows.len() as u64, 0));

    // Requests may hide in such a gap.
    let mut d = Postgres::new();
    let mut out = Vec::new();
    d.bytes(Client, BootNs(1), 0, &[m(b'S', ""), vec![b'Q', 0, 0]].concat(), &mut out);
    d.bytes(Server, BootNs(2), 0, &ready(), &mut out);
    d.gap(Client, BootNs(3), 8, 100, &mut out);
    assert_eq!(d.take_undecoded(), 103);
}

#[test]
fn too_many_pending_are_counted_and_then_it_fits_again() {
    let round = [execute("x"), m(b'S', "")].concat();
    let answer = [m(b'2', ""), m(b'C', "SELECT 1\0"), ready()].concat();
    let n = 3000;
    let c = [
        said(Client, 1, round.repeat(n)),
        said(Server, 2, answer.repeat(n)),
        said(Client, 3, m(b'Q', "insert into t values (1)\0")),
        said(Server, 4, [error("23505"), ready()].concat()),
    ];
    let mut d = Postgres::new();
    let told = decode_cut(&mut d, &c, &[]);
    assert_eq!(told.len(), super::session::PENDING / 2 + 1);
    assert_eq!(lines(&told).last().unwrap(), "INSERT | insert into t values (?+) | 23505 error");
    assert!(d.take_undecoded() > 0);
}

#[test]
fn what_does_not_fit_is_given_up() {
    let mut d = Postgres::new();
    let c: Vec<Said> =
        (0..20).map(|i| said(if i % 2 == 0 { Client } else { Server }, i, "GET / HTTP/1.1")).collect();
    assert_eq!(decode_cut(&mut d, &c, &[]), []);
    assert!(matches!(d.over(), Some(Known::Unknown(_))));
    assert_eq!(d.take_undecoded(), 20 * 14);
}

#[test]
fn an_answer_that_cannot_be_read_is_as_long_however_it_comes() {
    let unread = [m(b'T', [0, 0]), vec![0xff; 100]].concat();
    let c = [said(Client, 1, m(b'Q', "select 1\0")), said(Server, 2, unread)];
    let whole = decode(Postgres::new(), &c);
    assert_eq!(whole[0].response.map(|r| r.bytes), Some(107), "{whole:?}");
    assert_eq!(whole, decode_cut(&mut Postgres::new(), &c, &[9]));
}

#[test]
fn sniffed() {
    for name in NAMES {
        for c in conversations(name) {
            let turns = turns(&c);
            let first = |from| turns.iter().find(|s| s.from == from).unwrap().data.clone();
            assert_eq!(sniff(&first(Client), &[]), Sniff::Yes);
            assert_eq!(sniff(&first(Client)[..6], &[]), Sniff::Maybe);
            assert_eq!(sniff(&first(Client), &first(Server)), Sniff::Yes);
            // From any turn in the middle on: never no, and yes with both sides in nearly all.
            let (mut yes, mut both) = (0, 0);
            for pair in turns.windows(2).skip(6) {
                let [a, b] = pair else { unreachable!() };
                if a.from == Client && !a.data.starts_with(b"d") && !a.data.starts_with(b"X") {
                    both += 1;
                    let s = sniff(&a.data[..a.data.len().min(256)], &b.data[..b.data.len().min(256)]);
                    assert_ne!(s, Sniff::No, "{a:?} {b:?}");
                    yes += usize::from(s == Sniff::Yes);
                }
            }
            // Replication's commands are no SQL.
            assert!(both < 5 || name == "replication" || yes * 10 >= both * 9, "{name}: {yes} of {both}");
        }
    }
    for other in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "PING\r\n",
        "*1\r\n$4\r\nPING\r\n",
        "SSH-2.0-x\r\n",
        "\x16\x03\x01\x02\0\x01",
    ] {
        assert_eq!(sniff(other.as_bytes(), &[]), Sniff::No, "{other}");
    }
    assert_eq!(sniff(b"", b"220 mail ESMTP\r\n"), Sniff::No);
}

#[test]
fn no_literal_of_the_captures_is_told() {
    for name in NAMES {
        for t in all(name) {
            let text = format!("{t:?}");
            assert!(!text.contains("secret") && !text.contains("4242"), "{text}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn any_split_gives_the_same(cuts in proptest::collection::vec(0usize..40, 1..12)) {
        prop_assume!(cuts.iter().any(|c| *c > 0));
        for name in ["psql", "drivers", "pgbench-prepared"] {
            for c in conversations(name) {
                prop_assert_eq!(decode(Postgres::new(), &c), decode_cut(&mut Postgres::new(), &c, &cuts));
            }
        }
    }

    #[test]
    fn anything_is_survived(steps in steps(pieces(seeds()))) {
        survive(&mut Postgres::new(), &steps, |_| ());
        survive_sniffing(sniff, &steps);
    }

    #[test]
    fn heads_of_any_length_are_never_wrong(client in 1usize..300, server in 1usize..300) {
        for name in ["psql", "pgbench-simple", "pgbench-prepared"] {
            for c in conversations(name) {
                let whole = decode(Postgres::new(), &c);
                let (heads, _) = decode_heads(&mut Postgres::new(), &c, client, server);
                for h in heads {
                    let Some(w) = whole.iter().find(|w| w.key == h.key) else {
                        return Err(TestCaseError::fail(format!("{name}: {h:?} was never asked")));
                    };
                    // Without its SQLSTATE, an error is an error.
                    let verdict = h.verdict == w.verdict
                        || h.verdict == Verdict::Unknown
                        || (h.verdict == Verdict::Error && w.verdict == Verdict::ClientError && h.status.known().is_none());
                    prop_assert!(verdict, "{name} {client} {server}: {h:?} is {w:?}");
                }
            }
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = NAMES
        .iter()
        .flat_map(|n| conversations(n))
        .flat_map(|c| c.into_iter().take(40).map(|s| s.data))
        .filter(|d| d.len() < 2000)
        .collect();
    seeds.extend([
        ready(),
        error("57014"),
        execute("S_1"),
        m(b'S', ""),
        m(b'Q', "copy x from stdin\0"),
        m(b'G', [0; 3]),
    ]);
    seeds
}
