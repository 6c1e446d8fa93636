//! The committed captures of real servers, read as `webb --file` reads them: what comes out is what
//! `tests/captures/README.md` says was asked. And through the program itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use webb::model::{Event, EventClass, Filter, HookState, NameKind, Outcome, Protocol, Verdict};
use webb::replay::{self, Replayed};
use webb::world::{EdgeRow, World};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures").join(name)
}

fn read(name: &str) -> Replayed {
    replay::read(&path(name), 32_768, |_| {}).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn world(r: &Replayed) -> World {
    let s = r.store.snapshot();
    let mut world = World::default();
    world.reset(s.node.clone(), s.scope.clone(), s.totals.clone(), s.history.clone());
    world
}

fn requests(r: &Replayed) -> Vec<Event> {
    let (events, missed) = r.store.events_after(EventClass::Requests, 0, usize::MAX);
    assert_eq!(missed, 0);
    events
}

/// Exchanges, errors, client's errors, not known; by protocol.
type Counts = BTreeMap<&'static str, [u64; 4]>;

fn counts(rows: &[EdgeRow]) -> (Counts, u64) {
    let (mut all, mut undecoded) = (Counts::new(), 0);
    for asked in rows.iter().filter_map(|row| row.shown().1.asked.as_ref()) {
        undecoded += asked.undecoded_bytes;
        for p in &asked.protocols {
            let sum = all.entry(p.protocol.as_str()).or_default();
            let t = &p.tally;
            for (sum, n) in sum.iter_mut().zip([t.requests, t.errors, t.client_errors, t.unknown]) {
                *sum += n;
            }
        }
    }
    (all, undecoded)
}

/// Per capture: connections, conversations over UDP, exchanges, and bytes that are not decoded.
type Truth = (&'static str, u64, u64, &'static [(&'static str, [u64; 4])], u64);

const TRUTH: [Truth; 36] = [
    // A wrong password, a missing queue and exchange, an unroutable message.
    ("amqp-rabbitmq-pika.pcap", 3, 0, &[("amqp", [65, 4, 0, 1])], 0),
    ("connect-failures.pcap", 3, 0, &[], 0),
    // SERVFAIL and REFUSED; NXDOMAIN.
    ("dns-pipelined.pcap", 1, 0, &[("dns", [6, 2, 1, 0])], 0),
    // Three questions to 127.0.0.9 had no answer when the capture ended, less than 5 s later.
    ("dns-udp-tcp.pcap", 4, 30, &[("dns", [48, 8, 17, 3])], 0),
    // NOT_FOUND, UNIMPLEMENTED, DEADLINE_EXCEEDED; CANCELLED.
    ("grpc-python.pcap", 1, 0, &[("grpc", [12, 3, 1, 0])], 0),
    ("http1-any-sll.pcap", 3, 0, &[("http", [3, 0, 0, 0])], 0),
    ("http1-any-sll2.pcap", 3, 0, &[("http", [3, 0, 0, 0])], 0),
    ("http1-lo-ethernet.pcap", 3, 0, &[("http", [3, 0, 0, 0])], 0),
    ("http1-lo.pcapng", 3, 0, &[("http", [3, 0, 0, 0])], 0),
    ("http1-connect.pcap", 3, 0, &[("http", [4, 0, 1, 0])], 0),
    ("http1-nginx.pcap", 5, 0, &[("http", [10, 1, 3, 0])], 0),
    ("http1-pipelined.pcap", 1, 0, &[("http", [4, 0, 1, 0])], 0),
    ("http1-post.pcap", 3, 0, &[("http", [4, 0, 0, 0])], 0),
    ("http1-until-close.pcap", 1, 0, &[("http", [1, 0, 0, 0])], 0),
    ("http2-h2load.pcap", 1, 0, &[("http2", [150, 0, 75, 0])], 0),
    // 500; 404 and 403. The server acknowledges 18 bytes of the first client that are not in the file.
    ("http2-nginx.pcap", 4, 0, &[("http2", [17, 1, 2, 0])], 18),
    ("http2-push.pcap", 4, 0, &[("http2", [4, 0, 0, 0])], 0),
    ("http2-upgrade.pcap", 2, 0, &[("http", [2, 0, 0, 0]), ("http2", [3, 0, 1, 0])], 0),
    // The mock cluster answers three publications that asked for no answer: 165 bytes that nobody asked
    // for. One JoinGroup waits when its consumer is closed.
    ("kafka-librdkafka-mock.pcap", 10, 0, &[("kafka", [71, 0, 11, 1])], 165),
    // `nosuch` and its ERROR are 15 bytes.
    ("memcached.pcap", 3, 0, &[("memcached", [98, 8, 1, 0])], 0),
    ("mongodb-pymongo.pcap", 3, 0, &[("mongodb", [23, 3, 1, 0])], 0),
    ("mysql-client.pcap", 2, 0, &[("mysql", [13, 1, 0, 0])], 0),
    ("mysql-drivers.pcap", 4, 0, &[("mysql", [38, 5, 1, 0])], 0),
    ("nats-client.pcap", 3, 0, &[("nats", [123, 3, 0, 1])], 0),
    ("postgres-drivers.pcap", 3, 0, &[("postgres", [36, 2, 0, 1])], 0),
    ("postgres-pgbench-extended.pcap", 3, 0, &[("postgres", [212, 0, 0, 0])], 0),
    // Seven statements prepared by each of two clients.
    ("postgres-pgbench-prepared.pcap", 3, 0, &[("postgres", [226, 0, 0, 0])], 0),
    // 30 transactions of 7 statements, and 2 of pgbench itself.
    ("postgres-pgbench-simple.pcap", 3, 0, &[("postgres", [212, 0, 0, 0])], 0),
    ("postgres-psql.pcap", 2, 0, &[("postgres", [18, 3, 1, 0])], 0),
    ("postgres-replication.pcap", 1, 0, &[("postgres", [6, 0, 0, 0])], 0),
    ("quic-initials.pcap", 0, 4, &[("quic", [4, 0, 0, 0])], 0),
    // 480 SET, 480 GET, two CONFIG GET.
    ("redis-benchmark.pcap", 7, 0, &[("redis", [962, 0, 0, 0])], 0),
    ("redis-commands.pcap", 11, 0, &[("redis", [64, 8, 1, 0])], 0),
    ("redis-pubsub.pcap", 4, 0, &[("redis", [26, 1, 0, 0])], 0),
    ("redis-replica.pcap", 3, 0, &[("redis", [8, 0, 0, 0])], 0),
    ("websocket-python.pcap", 2, 0, &[("http", [2, 0, 0, 0]), ("websocket", [2, 1, 0, 0])], 0),
];

#[test]
fn every_capture_says_what_was_asked() {
    let mut wrong = Vec::new();
    for (name, connections, conversations, expected, undecoded) in TRUTH {
        let r = read(name);
        assert_eq!((r.counts.connections, r.counts.conversations), (connections, conversations), "{name}");
        let status = r.store.status();
        assert_eq!((status.source.as_str(), status.node.as_str(), status.utc.0), ("pcap", name, 0));
        assert_eq!(status.loss.total(), 0, "{name}");
        let world = world(&r);
        let got = counts(&world.total_edges());
        if got != (expected.iter().copied().collect(), undecoded) {
            wrong.push(format!("{name}: {got:?}"));
            continue;
        }
        // The last 60 s end with the capture: all of these are shorter.
        assert_eq!(counts(&world.edges(300)), got, "{name}");
        assert_eq!(world.now(), status.now, "{name}");
        // Each of them is an event, too, with its time and its connection.
        let events = requests(&r);
        assert_eq!(events.len() as u64, expected.iter().map(|(_, n)| n[0]).sum::<u64>(), "{name}");
        for e in &events {
            let request = e.request.as_ref().unwrap();
            assert!(e.at >= status.started && e.at <= status.now, "{name}");
            assert!(request.by_client.is_some() && request.by_server.is_none(), "{name}");
            assert!(expected.iter().any(|(p, _)| *p == request.protocol.as_str()), "{name}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Client, server, outcome, bytes sent and received.
fn ends(r: &Replayed) -> BTreeSet<(String, Option<Outcome>, u64, u64)> {
    let all = r.store.connections(true, &Filter::default(), None);
    all.iter()
        .map(|c| {
            let seen = c.client.end.as_ref().unwrap().seen;
            (c.server.address.to_string(), c.outcome, seen.bytes_sent, seen.bytes_received)
        })
        .collect()
}

#[test]
fn the_way_of_capturing_makes_no_difference() {
    let said = |r: &Replayed| -> Vec<String> {
        let line = |e: &Event| {
            let q = e.request.as_ref().unwrap();
            let (target, status) = (q.target.as_deref().unwrap_or("?"), q.status.as_deref().unwrap_or("?"));
            format!("{} {target} {status} {} {}", q.method, q.request_bytes, q.response_bytes)
        };
        requests(r).iter().map(line).collect()
    };
    let whole = read("http1-lo-ethernet.pcap");
    assert_eq!(
        ends(&whole),
        [
            ("127.0.0.1:8080".to_owned(), Some(Outcome::Clean), 163, 20_482),
            ("127.0.0.1:8081".to_owned(), Some(Outcome::Refused), 0, 0),
            ("[::1]:8080".to_owned(), Some(Outcome::Clean), 74, 240),
        ]
        .into()
    );
    assert_eq!(said(&whole), ["GET / 200 78 240", "GET /big.txt 200 85 20242", "GET / 200 74 240"]);
    for name in ["http1-any-sll.pcap", "http1-any-sll2.pcap", "http1-lo.pcapng"] {
        let other = read(name);
        assert_eq!((ends(&other), said(&other)), (ends(&whole), said(&whole)), "{name}");
    }
    // 96 bytes of each packet: the connections are the same, and of the requests what could be read.
    let cut = read("http1-lo-cut96.pcap");
    assert_eq!(ends(&cut), ends(&whole));
    assert_eq!(requests(&cut).len(), 2);
    assert!(requests(&cut).iter().all(|e| e.request.as_ref().unwrap().verdict == Verdict::Ok));
}

#[test]
fn what_dns_answered_is_the_name_of_an_address() {
    // The questions and answers of real resolvers, and then a connect to what one answer gave.
    let mut bytes = fs::read(path("dns-udp-tcp.pcap")).unwrap();
    let mut packet = bytes[24..32].to_vec();
    packet.extend([54, 0, 0, 0, 54, 0, 0, 0]);
    packet.extend([0; 12]);
    packet.extend([8, 0, 0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0, 127, 0, 0, 1, 10, 0, 0, 7]);
    packet.extend([0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 1, 0, 0, 0, 0, 0]);
    bytes.extend(packet);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("named.pcap");
    fs::write(&file, bytes).unwrap();
    let r = replay::read(&file, 100, |_| {}).unwrap();
    let rows = world(&r).total_edges();
    let server = &rows.iter().find(|row| row.id.port == 80).unwrap().server;
    assert_eq!(server.id.kind, NameKind::Dns);
    assert!(
        server.id.name.contains(".cluster.test") && server.source.starts_with("DNS answer"),
        "{server:?}"
    );
}

#[test]
fn a_capture_that_is_cut_anywhere_tells_what_stands_before() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cut.pcap");
    for name in fs::read_dir(path("")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()) {
        if !name.contains(".pcap") {
            continue;
        }
        let bytes = fs::read(path(&name)).unwrap();
        let mut told = 0;
        for cut in (1000..bytes.len()).step_by(1000).chain([bytes.len()]) {
            fs::write(&file, &bytes[..cut]).unwrap();
            let r = replay::read(&file, 100, |_| {}).unwrap();
            let exchanges = counts(&world(&r).total_edges()).0.values().map(|n| n[0]).sum::<u64>();
            // What is pending at the cut is told, too: its answer may be one packet further.
            assert!(exchanges + 64 >= told, "{name} at {cut}: {exchanges} after {told}");
            told = told.max(exchanges);
            let damaged = r
                .store
                .status()
                .hooks
                .iter()
                .any(|h| h.state != HookState::On && h.datum == "the whole file");
            assert_eq!(damaged, r.counts.truncated || r.counts.damaged_at.is_some(), "{name} at {cut}");
        }
    }
}

/// The program, with nothing of this environment.
fn webb(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_webb"));
    command.env_remove("WEBB_SERVER").stdin(Stdio::null()).args(args);
    command
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn every_command_reads_a_capture() {
    let file = path("http2-upgrade.pcap");
    let file = file.to_str().unwrap();
    let run = |args: &[&str]| lines(&webb(args).args(["--file", file, "-o", "json"]).output().unwrap());

    let connections = run(&["list", "connections"]);
    assert_eq!(connections.len(), 2, "closed ones, too");
    assert!(connections.iter().all(|c| c["outcome"] == "clean"));

    let edges = run(&["list", "edges"]);
    assert_eq!((edges.len(), &edges[0]["opened"], &edges[0]["requests"]), (1, &2.into(), &5.into()));
    assert!(edges[0]["since"].is_string(), "all of it, not the last 60 s");
    // The same each time, in the same order.
    assert_eq!(run(&["map"]), edges);
    assert_eq!(run(&["list", "workloads"]).len(), 1);

    let events = run(&["observe", "-f"]);
    let requests = events.iter().filter(|e| e["kind"] == "request" || e["event"] == "request").count();
    assert!(events.len() > 6 && (requests == 0 || requests == 5), "{events:?}");

    let status = &run(&["status"])[0];
    assert_eq!((&status["source"], &status["node"]), (&"pcap".into(), &"http2-upgrade.pcap".into()));
    let text = webb(&["status", "--file", file]).output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("2 in 29 packets") && text.contains("owners is off"), "{text}");

    // An agent that the environment names is not asked.
    let mut elsewhere = webb(&["list", "edges", "--file", file, "-o", "json"]);
    assert_eq!(lines(&elsewhere.env("WEBB_SERVER", "unix:/nowhere").output().unwrap()), edges);

    let mut from_stdin = webb(&["list", "edges", "--file", "-", "-o", "json"]);
    from_stdin.stdin(fs::File::open(file).unwrap());
    let piped = lines(&from_stdin.output().unwrap());
    assert_eq!(piped, edges);
}

#[test]
fn requests_are_counted_by_protocol_over_a_whole_capture() {
    let r = read("websocket-python.pcap");
    let protocols: BTreeSet<Protocol> =
        requests(&r).iter().map(|e| e.request.as_ref().unwrap().protocol).collect();
    assert_eq!(protocols, [Protocol::Http1, Protocol::WebSocket].into());
}

/// A capture without the handshakes of those connections whose client's port this is true of.
fn without_handshake(name: &str, cut: impl Fn(u16) -> bool) -> Replayed {
    let bytes = fs::read(path(name)).unwrap();
    let ethernet = u32::from_le_bytes(bytes[20..24].try_into().unwrap()) == 1;
    assert!(ethernet, "{name}");
    let mut kept = bytes[..24].to_vec();
    let mut rest = &bytes[24..];
    while !rest.is_empty() {
        let len = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let (packet, behind) = rest.split_at(16 + len);
        rest = behind;
        let ip = &packet[16 + 14..];
        let tcp = ip[0] >> 4 == 4 && ip[9] == 6;
        let segment = &ip[usize::from(ip[0] & 15) * 4..];
        let syn = tcp && segment[13] & 2 != 0;
        let (src, dst) =
            (u16::from_be_bytes([segment[0], segment[1]]), u16::from_be_bytes([segment[2], segment[3]]));
        if !(syn && cut(src.max(dst))) {
            kept.extend_from_slice(packet);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cut.pcap");
    fs::write(&file, kept).unwrap();
    replay::read(&file, 32_768, |_| {}).unwrap()
}

/// What was asked, in an order that does not depend on when a connection was found.
fn asked(r: &Replayed) -> Vec<String> {
    let line = |e: &Event| {
        let q = e.request.as_ref().unwrap();
        assert!(q.by_client.is_some() && q.by_server.is_none());
        let (target, status) = (q.target.as_deref().unwrap_or("?"), q.status.as_deref().unwrap_or("?"));
        format!("{} {} {target} {status}", q.protocol.as_str(), q.method)
    };
    let mut all: Vec<String> = requests(r).iter().map(line).collect();
    all.sort();
    all
}

fn evidence(r: &Replayed) -> BTreeSet<&'static str> {
    let all = r.store.connections(true, &Filter::default(), None);
    let ends = all.iter().flat_map(|c| c.client.end.iter().chain(&c.server.end));
    ends.map(|e| e.role_evidence.as_str()).collect()
}

#[test]
fn who_asks_is_told_by_what_is_said_where_the_handshake_is_missing() {
    // An array that CONFIG GET is answered with could be a command, too: that connection's one exchange
    // stays unknown, in both of its connections.
    let missing = |name: &str| if name == "redis-benchmark.pcap" { 2 } else { 0 };
    for name in [
        "http1-nginx.pcap",
        "http1-pipelined.pcap",
        "http1-post.pcap",
        "http1-until-close.pcap",
        "kafka-librdkafka-mock.pcap",
        "memcached.pcap",
        "mongodb-pymongo.pcap",
        "redis-benchmark.pcap",
        "postgres-pgbench-simple.pcap",
    ] {
        let (whole, cut) = (read(name), without_handshake(name, |_| true));
        assert!(evidence(&cut).contains("said"), "{name}");
        let mut expected = asked(&whole);
        let told = asked(&cut);
        expected.retain(|line| missing(name) == 0 || !line.contains("CONFIG"));
        assert_eq!((told.len(), told == expected), (asked(&whole).len() - missing(name), true), "{name}");
        let servers =
            |r: &Replayed| world(r).total_edges().iter().map(|e| e.id.port).collect::<BTreeSet<_>>();
        assert_eq!(servers(&cut), servers(&whole), "{name}");
    }
    // Frames of AMQP look the same from both sides: nobody knows who asks, and so it is said.
    let r = without_handshake("amqp-rabbitmq-pika.pcap", |_| true);
    assert_eq!((evidence(&r), asked(&r)), (["unknown"].into(), Vec::new()));
}

#[test]
fn another_handshake_with_the_same_server_tells_the_roles_too() {
    let whole = read("http1-nginx.pcap");
    let ports: BTreeSet<u16> = whole
        .store
        .connections(true, &Filter::default(), None)
        .iter()
        .map(|c| c.client.address.port)
        .collect();
    let first = *ports.first().unwrap();
    let r = without_handshake("http1-nginx.pcap", |port| port == first);
    assert_eq!(asked(&r), asked(&whole));
}
