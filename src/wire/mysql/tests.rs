//! Tests of the MySQL decoder.

use super::super::sql::testing::{capture, decode_heads, lines, turns};
use super::super::testing::{Said, decode, decode_cut, pieces, said, steps, survive, survive_sniffing};
use super::super::{Decoder, Sniff, Speaker, Told};
use super::{Mysql, sniff};
use crate::model::{Known, Protocol, Shape, Verdict};
use proptest::prelude::*;

use Speaker::{Client, Server};

fn conversations(name: &str) -> Vec<Vec<Said>> {
    let found = capture(&format!("mysql-{name}"), 3306);
    assert!(!found.is_empty());
    found
}

fn all(name: &str) -> Vec<Told> {
    conversations(name).iter().flat_map(|c| decode(Mysql::new(), c)).collect()
}

/// A packet.
fn p(seq: u8, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut out = (body.len() as u32).to_le_bytes()[..3].to_vec();
    out.push(seq);
    out.extend(body);
    out
}

fn query(sql: &str) -> Vec<u8> {
    p(0, format!("\x03{sql}"))
}

const OK: [u8; 7] = [0, 0, 0, 2, 0, 0, 0];

#[test]
fn what_the_drivers_asked() {
    assert_eq!(
        lines(&all("drivers")),
        [
            "SET | SET AUTOCOMMIT = ? | OK ok",
            "CREATE | create table fruit (id int primary key, name varchar(?), price double) | OK ok",
            "INSERT | insert into fruit values (?+) | OK ok",
            "COMMIT | COMMIT | OK ok",
            "SELECT | select * from fruit where name <> ? and id in (?+) | OK ok",
            "SELECT | select ?; select ?; select ? | OK ok",
            "SELECT | select * from nowhere | 42S02 error",
            "INSERT | insert into fruit values (?+) | 23000 error",
            "SELEC | selec ? | 42000 error",
            "LOAD | load data local infile ? into table fruit | OK ok",
            "PING | - | OK ok",
            "INIT_DB | - | OK ok",
            "SET | set statement max_statement_time=? for select sleep(?) | 70100 client-error",
            "SELECT | select repeat(?, ?) | OK ok",
            "PREPARE | select name, price from fruit where id = ? and name <> ? | OK ok",
            "SELECT | select name, price from fruit where id = ? and name <> ? | OK ok",
            "SELECT | select name, price from fruit where id = ? and name <> ? | OK ok",
            "SELECT | select name, price from fruit where id = ? and name <> ? | OK ok",
            "SET | SET autocommit=? | OK ok",
            "SELECT | select count(*) from fruit where price > ? | OK ok",
            "UPDATE | update fruit set price = price + ? where name = ? | OK ok",
            "COMMIT | COMMIT | OK ok",
            "CONNECT | - | 28000 error",
            "PREPARE | select id, name from fruit where price > ? order by id | OK ok",
            "SELECT | select id, name from fruit where price > ? order by id | OK ok",
            "SELECT | select id, name from fruit where price > ? order by id | OK ok",
            "SELECT | select id, name from fruit where price > ? order by id | OK ok",
            "SELECT | select id, name from fruit where price > ? order by id | OK ok",
            "STMT_FETCH | select id, name from fruit where price > ? order by id | OK ok",
            "STMT_FETCH | select id, name from fruit where price > ? order by id | OK ok",
            "STMT_FETCH | select id, name from fruit where price > ? order by id | OK ok",
            "STMT_FETCH | select id, name from fruit where price > ? order by id | OK ok",
            "STMT_RESET | select id, name from fruit where price > ? order by id | OK ok",
            "PREPARE | insert into fruit values (?+) | OK ok",
            "INSERT | insert into fruit values (?+) | OK ok",
            "INSERT | insert into fruit values (?+) | 23000 error",
            "CHANGE_USER | - | OK ok",
            "STATISTICS | - | OK ok",
        ]
    );
}

#[test]
fn what_the_client_asked() {
    let told = all("client");
    assert_eq!(
        lines(&told),
        [
            "SELECT | select * from fruit where name = ? | OK ok",
            "INSERT | insert into fruit values (?+) | OK ok",
            "SELECT | select id from fruit where id > ? | OK ok",
            "SELECT | select broken from fruit | 42S22 error",
            "SET | set password … | OK ok",
            "PREPARE | prepare p from ? | OK ok",
            "SET | set @a = ? | OK ok",
            "EXECUTE | execute p using @a | OK ok",
            "DROP | drop table fruit | OK ok",
            "SELECT | SELECT VERSION() | OK ok",
            "SET | SET @master_binlog_checksum=? | OK ok",
            "SET | SET @mariadb_slave_capability=? | OK ok",
            "BINLOG_DUMP | - | OK ok",
        ]
    );
    assert_eq!(told.last().unwrap().shape, Shape::Stream);
    assert!(told.iter().all(|t| t.response.is_some_and(|r| r.first >= t.request.last)));
}

#[test]
fn no_literal_of_the_captures_is_told() {
    for t in ["drivers", "client"].into_iter().flat_map(all) {
        assert!(!format!("{t:?}").contains("secret"), "{t:?}");
    }
}

#[test]
fn heads_of_messages_are_enough() {
    for name in ["drivers", "client"] {
        for c in conversations(name) {
            let whole = decode(Mysql::new(), &turns(&c));
            let (heads, undecoded) = decode_heads(&mut Mysql::new(), &c, 512, 256);
            assert_eq!(undecoded, 0, "{name}");
            assert_eq!(whole.len(), heads.len(), "{name}");
            for (w, h) in whole.iter().zip(&heads) {
                let same = (&w.method, &w.target, w.key, w.request, w.response.map(|r| r.first));
                let also = (&h.method, &h.target, h.key, h.request, h.response.map(|r| r.first));
                assert_eq!(same, also, "{name}");
                let unsure = h.verdict == Verdict::Unknown && w.response.unwrap().bytes > 256;
                assert!(h.verdict == w.verdict || unsure, "{h:?}");
            }
        }
    }
}

#[test]
fn from_the_middle_on() {
    let execute = |id: u8| p(0, [0x17, id, 0, 0, 0, 0, 1, 0, 0, 0]);
    let c = [
        said(Client, 1, execute(7)),
        said(Server, 2, p(1, OK)),
        // The end of definitions may be an EOF or not: here it comes, unannounced.
        said(Client, 3, p(0, "\x16select a from t where b = ?")),
        said(
            Server,
            4,
            [p(1, [0, 9, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]), p(2, "\x03def?"), p(3, [0xfe, 0, 0, 2, 0])].concat(),
        ),
        said(Client, 5, execute(9)),
        said(Server, 6, p(1, b"\xff\x10\x04#08004Too many")),
    ];
    assert_eq!(
        lines(&decode(Mysql::new(), &c)),
        [
            "EXECUTE | <prepared before webb watched> | OK ok",
            "PREPARE | select a from t where b = ? | OK ok",
            "SELECT | select a from t where b = ? | 08004 error",
        ]
    );
}

#[test]
fn errors_without_a_state_of_their_own_have_their_code() {
    let c = [
        said(Client, 1, query("select 1")),
        said(Server, 2, p(1, b"\xff\xb5\x04#HY000Lock wait timeout")),
        said(Client, 3, query("select 1")),
        // A report of progress is no error.
        said(Server, 4, [p(1, b"\xff\xff\xff\x01\x01\x01"), p(2, OK)].concat()),
        said(Client, 5, query("select 1")),
        said(Server, 6, p(1, b"\xff\x25\x05#70100killed")),
    ];
    assert_eq!(
        lines(&decode(Mysql::new(), &c)),
        [
            "SELECT | select ? | 1205 error",
            "SELECT | select ? | OK ok",
            "SELECT | select ? | 70100 client-error"
        ]
    );
}

#[test]
fn requests_of_several_packets() {
    let big = format!("\x03insert into t values ('{}')", "x".repeat(0x100_0000));
    let (one, two) = big.split_at(0xff_ffff);
    let request = [p(0, one), p(1, two)].concat();
    let c = [
        said(Client, 1, &request),
        said(Server, 2, p(2, OK)),
        said(Client, 3, query("commit")),
        said(Server, 4, p(1, OK)),
    ];
    let told = decode(Mysql::new(), &c);
    assert_eq!(lines(&told), ["INSERT | insert into t values (?+… | OK ok", "COMMIT | commit | OK ok"]);
    assert_eq!(told[0].request.bytes, request.len() as u64);
    let (told, undecoded) = decode_heads(&mut Mysql::new(), &c, 100, 100);
    assert_eq!(lines(&told)[1], "COMMIT | commit | OK ok");
    assert_eq!((told.len(), told[0].request.bytes, undecoded), (2, request.len() as u64, 0));
}

#[test]
fn a_gap_in_the_answer() {
    let definition = [b"\x03def".as_slice(), &[b'x'; 40]].concat();
    let rows = |n: usize| {
        let mut answer = [p(1, [2]), p(2, &definition), p(3, &definition), p(4, [0xfe, 0, 0, 2, 0])].concat();
        for i in 0..n {
            answer.extend(p(5 + i as u8, [b'3'; 50]));
        }
        [answer, p(5 + n as u8, [0xfe, 0, 0, 2, 0])].concat()
    };
    let told = |answer: Vec<u8>, server| {
        let c = [
            said(Client, 1, query("select a from t")),
            said(Server, 2, answer),
            said(Client, 3, query("commit")),
            said(Server, 4, p(1, OK)),
        ];
        let told = lines(&decode_heads(&mut Mysql::new(), &c, 512, server).0);
        assert_eq!(told[1], "COMMIT | commit | OK ok");
        told[0].clone()
    };
    let cut = |v| format!("SELECT | select a from t | <the end of the answer was not captured> {v}");
    assert_eq!(told(rows(3), 4000), "SELECT | select a from t | OK ok");
    // A row was seen.
    assert_eq!(told(rows(3), 180), cut("ok"));
    // Only definitions were: what is missing might be an error, if it is short.
    assert_eq!(told(rows(3), 60), cut("unknown"));
    assert_eq!(told(rows(30), 60), cut("ok"));
}

#[test]
fn query_attributes() {
    let c = [
        said(Client, 1, query("\0\x01select 1")),
        said(Server, 2, p(1, OK)),
        said(Client, 3, query("\x01\x01\0\x01\x0f\0\x04name\x06secretselect 1")),
        said(Server, 4, p(1, OK)),
    ];
    assert_eq!(
        lines(&decode(Mysql::new(), &c)),
        ["SELECT | select ? | OK ok", "EXECUTE | <sent with query attributes> | OK ok"]
    );
}

fn greeting() -> Vec<u8> {
    let mut body = b"\x0a8.0.36\0".to_vec();
    body.extend([0; 8 + 4 + 1]);
    body.extend([0xff, 0xff, 45, 2, 0, 0xff, 0xff, 21]);
    body.extend([0; 30]);
    p(0, body)
}

#[test]
fn encrypted_and_compressed() {
    let mut d = Mysql::new();
    let mut ssl = [0u8; 32];
    ssl[1] = 0x08;
    decode_cut(&mut d, &[said(Server, 1, greeting()), said(Client, 2, p(1, ssl))], &[3]);
    assert_eq!(d.over(), Some(Known::Known(Protocol::Tls)));
    let mut d = Mysql::new();
    let mut hello = [0u8; 60];
    hello[0] = 0x20;
    let c = [said(Server, 1, greeting()), said(Client, 2, p(1, hello)), said(Server, 3, p(2, OK))];
    decode_cut(&mut d, &c, &[]);
    assert_eq!(d.over(), Some(Known::Unknown("compressed")));
    // Refused before anything was asked.
    let told = decode(Mysql::new(), &[said(Server, 1, p(0, b"\xff\x10\x04Too many connections"))]);
    assert_eq!(lines(&told), ["CONNECT | - | 1040 error"]);
}

#[test]
fn too_many_pending_are_counted_and_what_does_not_fit_is_given_up() {
    let c = [said(Client, 1, query("select 1").repeat(3000)), said(Server, 2, p(1, OK).repeat(3000))];
    let mut d = Mysql::new();
    assert_eq!(decode_cut(&mut d, &c, &[]).len(), super::session::PENDING);
    assert_eq!(d.take_undecoded(), (3000 - super::session::PENDING as u64) * query("select 1").len() as u64);
    let mut d = Mysql::new();
    let c: Vec<Said> =
        (0..20).map(|i| said(if i % 2 == 0 { Client } else { Server }, i, "GET \0\0\0\0 HTTP")).collect();
    decode_cut(&mut d, &c, &[]);
    assert!(matches!(d.over(), Some(Known::Unknown(_))));
}

#[test]
fn sniffed() {
    for name in ["drivers", "client"] {
        for c in conversations(name) {
            let turns = turns(&c);
            assert_eq!(turns[0].from, Server);
            assert_eq!(sniff(&[], &turns[0].data), Sniff::Yes);
            assert_eq!(sniff(&[], &turns[0].data[..8]), Sniff::Maybe);
            assert_eq!(sniff(&turns[1].data, &turns[0].data), Sniff::Yes);
            for pair in turns.windows(2).skip(3) {
                let [a, b] = pair else { unreachable!() };
                // Files and the answers to them belong to a request before.
                if a.from == Client && a.data[3] == 0 {
                    let s = sniff(&a.data[..a.data.len().min(256)], &b.data[..b.data.len().min(256)]);
                    let typo = a.data[5..].starts_with(b"selec '");
                    let sure = matches!(a.data[4], 0x03 | 0x16 | 0x17 | 0x0e) && !typo;
                    assert!(s == Sniff::Yes || !sure, "{a:?} {b:?} {s:?}");
                }
            }
        }
    }
    for other in
        ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PING\r\n", "*1\r\n$4\r\nPING\r\n", "\x16\x03\x01\x02\0\x01"]
    {
        assert_eq!(sniff(other.as_bytes(), &[]), Sniff::No, "{other}");
    }
    assert_eq!(sniff(b"", b"220 mail ESMTP\r\n"), Sniff::No);
    assert_eq!(sniff(b"", b"SSH-2.0-x\r\n"), Sniff::No);
    assert_eq!(sniff(&query("select 1"), b"HTTP/1.1 200"), Sniff::No);
    assert_eq!(sniff(&query("select 1"), &[]), Sniff::Maybe);
}

#[test]
fn an_answer_that_cannot_be_read_is_as_long_however_it_comes() {
    let unread = [p(1, [1]), p(9, [b'x'; 60]), vec![b'y'; 30]].concat();
    let c = [said(Client, 1, query("select 1")), said(Server, 2, unread)];
    let whole = decode(Mysql::new(), &c);
    assert!(whole[0].response.is_some_and(|r| r.bytes >= 35), "{whole:?}");
    assert_eq!(whole, decode_cut(&mut Mysql::new(), &c, &[7]));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn any_split_gives_the_same(cuts in proptest::collection::vec(0usize..40, 1..12)) {
        prop_assume!(cuts.iter().any(|c| *c > 0));
        for name in ["drivers", "client"] {
            for c in conversations(name) {
                prop_assert_eq!(decode(Mysql::new(), &c), decode_cut(&mut Mysql::new(), &c, &cuts));
            }
        }
    }

    #[test]
    fn anything_is_survived(steps in steps(pieces(seeds()))) {
        survive(&mut Mysql::new(), &steps, |_| ());
        survive_sniffing(sniff, &steps);
    }

    #[test]
    fn heads_of_any_length_are_never_wrong(client in 1usize..300, server in 1usize..300) {
        for name in ["drivers", "client"] {
            for c in conversations(name) {
                let whole = decode(Mysql::new(), &c);
                let (heads, _) = decode_heads(&mut Mysql::new(), &c, client, server);
                for h in heads {
                    let Some(w) = whole.iter().find(|w| w.key == h.key) else {
                        return Err(TestCaseError::fail(format!("{name}: {h:?} was never asked")));
                    };
                    // Without its code, an error is an error.
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
    let mut seeds: Vec<Vec<u8>> = ["drivers", "client"]
        .iter()
        .flat_map(|n| conversations(n))
        .flat_map(|c| c.into_iter().map(|s| s.data))
        .filter(|d| d.len() < 2000)
        .collect();
    seeds.extend([greeting(), query("select 1"), p(1, OK), p(1, [0xfb, b'x']), p(1, [0xff, 1, 1])]);
    seeds
}
