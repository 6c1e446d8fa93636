//! What is asked and how fast it is answered, through the real kernel, against what the workload says.
#![cfg(all(target_os = "linux", feature = "agent"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;

use common::look::{counted, to};
use common::net::{Netns, wire};
use common::{Cgroup, Workload, asker, needs_root, settled, until, until_for, watch, watch_requests};
use serde_json::Value;
use webb::agent::Agent;
use webb::model::{
    Asked, Event, EventClass, Filter, HookState, LossKind, Protocol, Request, Security, Tally, View,
};

fn asked(agent: &Agent, server: SocketAddr, view: View) -> Asked {
    counted(agent, server, view).asked.map(|a| *a).unwrap_or_default()
}

fn http(a: &Asked) -> Tally {
    a.protocols.iter().find(|p| p.protocol == Protocol::Http1).map(|p| p.tally.clone()).unwrap_or_default()
}

fn server_of(truth: &Value) -> SocketAddr {
    truth["server"].as_str().unwrap().parse().unwrap()
}

fn requests(agent: &Agent) -> Vec<Event> {
    agent.store().events_after(EventClass::Requests, 0, usize::MAX).0
}

fn near(what: &str, seen: u64, truth: u64, share: f64, least_us: f64) {
    let allowed = (truth as f64 * share).max(least_us);
    assert!((seen as f64 - truth as f64).abs() <= allowed, "{what}: {seen} us, the workload says {truth} us");
}

#[test]
fn every_request_of_a_fast_workload_is_counted_once_at_each_end() {
    needs_root();
    let cgroup = Cgroup::new("requests");
    let agent = watch_requests(&[&cgroup]);
    // Paced, so that an agent without optimisation keeps up beside the other tests.
    let args = ["both", "--connections", "8", "--requests", "2500", "--rate", "6000"];
    let truth = Workload::spawn(cgroup.command(asker()).args(args)).finish();
    assert_eq!(truth["asked"]["requests"], 20_000);
    let status = settled(&agent);
    assert_eq!(status.loss.total(), 0, "{:?}", status.loss);
    let server = server_of(&truth);
    for view in [View::Client, View::Server] {
        let a = asked(&agent, server, view);
        let t = http(&a);
        // Of every 50 one is /fail (49, 99, ...); of every 10 one is /missing, where it is not /fail.
        let (errors, client_errors) = (8 * 50, 8 * (250 - 50));
        assert_eq!((t.requests, t.errors, t.client_errors, t.unknown), (20_000, errors, client_errors, 0));
        assert_eq!((t.latency_us.count(), a.undecoded_bytes), (20_000, 0), "{view:?}");
        assert_eq!(a.turns.first_us.count(), 20_000, "{view:?}");
        assert_eq!(a.turns.full_us.count(), 20_000, "{view:?}");
        assert_eq!((a.turns.overlapped, a.turns.waits, a.turns.pushes, a.turns.streams), (0, 0, 0, 0));
        let targets: Vec<(String, u64)> =
            a.targets.iter().map(|t| (format!("{} {}", t.method, t.target), t.tally.requests)).collect();
        for (target, n) in [("GET /orders/{id}", 18_000), ("GET /missing/{id}", 1600), ("GET /fail", 400)] {
            assert!(targets.contains(&(target.to_owned(), n)), "{targets:?}");
        }
    }
    // Nothing of a secret left the kernel side's records.
    let text = format!("{:?}", agent.store().snapshot().totals);
    assert!(!text.contains("hunter2"));
    for e in requests(&agent) {
        let r = e.request.as_ref().unwrap();
        assert!(!format!("{r:?}").contains("hunter2"));
        assert!(r.by_client.is_some() && r.by_server.is_some(), "each end told its view: {r:?}");
    }
}

#[test]
fn latencies_are_those_of_the_workload() {
    needs_root();
    let cgroup = Cgroup::new("latency");
    let agent = watch_requests(&[&cgroup]);
    let args = ["both", "--connections", "4", "--requests", "100", "--rate", "200", "--delay-us", "3000"];
    let truth = Workload::spawn(cgroup.command(asker()).args(args)).finish();
    settled(&agent);
    let server = server_of(&truth);
    for (view, side) in [(View::Client, "asked"), (View::Server, "served")] {
        let t = http(&asked(&agent, server, view));
        let us = |q| t.latency_us.quantile(q).unwrap();
        // The two do not share the way of a wake-up: on a busy machine it is much of the tail.
        near(side, us(0.5), truth[side]["p50"].as_u64().unwrap(), 0.10, 400.0);
        assert!(us(0.5) >= 3000, "no answer came before the delay: {}", us(0.5));
        let turns = asked(&agent, server, view).turns.first_us;
        near("turns", turns.quantile(0.5).unwrap(), us(0.5), 0.02, 20.0);
    }
}

#[test]
fn without_decoding_turns_are_still_measured_and_nothing_is_captured() {
    needs_root();
    let cgroup = Cgroup::new("turns");
    let agent = watch(&[&cgroup]);
    let args = ["both", "--connections", "2", "--requests", "500"];
    let truth = Workload::spawn(cgroup.command(asker()).args(args)).finish();
    settled(&agent);
    for view in [View::Client, View::Server] {
        let a = asked(&agent, server_of(&truth), view);
        assert_eq!((a.turns.first_us.count(), a.turns.full_us.count()), (1000, 1000));
        assert!(a.protocols.is_empty() && a.targets.is_empty());
    }
    assert!(requests(&agent).is_empty());
    assert_eq!(verdicts(&agent, server_of(&truth)), [(Security::Plaintext, false); 2]);
    let hooks = agent.store().status().hooks;
    let off = hooks.iter().find(|h| h.datum.contains("request")).expect("a hook says that it is off");
    assert!(matches!(&off.state, HookState::Off(why) if why.contains("--no-requests")), "{off:?}");
}

/// Verdicts on the connections to a server, and whether they are by their protocol.
fn verdicts(agent: &Agent, server: SocketAddr) -> Vec<(Security, bool)> {
    let tls = to(agent, server).into_iter().filter_map(|c| c.tls.clone());
    tls.map(|t| (t.status, t.evidence.iter().any(|e| e.starts_with("its bytes are http")))).collect()
}

/// A workload of two connections that are open before anybody watches.
fn older(cgroup: &Cgroup) -> Workload {
    let args = ["both", "--connections", "2", "--requests", "400", "--rate", "100"];
    let workload = Workload::spawn(cgroup.command(asker()).args(args));
    // The connections are made at once; requests follow for eight seconds.
    until("it is connected", || {
        let pid = workload.child.id();
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
        (fds >= 8).then_some(())
    });
    workload
}

/// Of what was open before webb it is known that it is in the clear, also where requests are not decoded.
#[test]
fn a_connection_older_than_webb_is_known_to_be_in_the_clear() {
    needs_root();
    let cgroup = Cgroup::new("older-clear");
    let mut workload = older(&cgroup);
    let agent = watch(&[&cgroup]);
    let server = server_of(&workload.line());
    settled(&agent);
    assert_eq!(verdicts(&agent, server), [(Security::Plaintext, true); 2]);
    assert!(requests(&agent).is_empty());
}

/// A connection that was open before webb is decoded from its next request on.
#[test]
fn a_connection_older_than_webb_is_decoded() {
    needs_root();
    let cgroup = Cgroup::new("older");
    let mut workload = older(&cgroup);
    let agent = watch_requests(&[&cgroup]);
    let truth = workload.line();
    settled(&agent);
    let server = server_of(&truth);
    assert!(to(&agent, server).iter().all(|c| c.adopted()));
    for view in [View::Client, View::Server] {
        let a = asked(&agent, server, view);
        let t = http(&a);
        assert!(t.requests > 400, "{view:?}: {} of 800", t.requests);
        assert!(t.unknown <= 2, "at most the request that was under way: {t:?}");
        assert!(a.turns.first_us.count() > 400, "{view:?}: {:?}", a.turns);
    }
}

fn two_hosts(a: &str, b: &str) -> (Netns, Netns, SocketAddr) {
    let (client, server) = (Netns::new(), Netns::new());
    wire("w", &client, &[&format!("{a}/24")], &server, &[&format!("{b}/24")]);
    (client, server, SocketAddr::new(b.parse().unwrap(), 8080))
}

/// One client and one server in namespaces of their own.
fn over_the_wire(
    agent: &Agent,
    cgroup: &Cgroup,
    hosts: &(Netns, Netns, SocketAddr),
    extra: &[&str],
) -> Asked {
    let (client, server, addr) = hosts;
    let at = addr.to_string();
    let common = ["--addr", &at, "--connections", "1", "--requests", "20"];
    let mut serving = Workload::spawn(server.command(cgroup, asker()).arg("serve").args(common).args(extra));
    serving.line();
    let truth = Workload::spawn(client.command(cgroup, asker()).arg("ask").args(common).args(extra)).finish();
    assert_eq!((&truth["requests"], &serving.line()["requests"]), (&20.into(), &20.into()));
    settled(agent);
    until("both ends told all", || {
        let n = |view| http(&asked(agent, *addr, view)).requests;
        (n(View::Client) >= 20 && n(View::Server) >= 20).then_some(())
    });
    for view in [View::Client, View::Server] {
        let a = asked(agent, *addr, view);
        let t = http(&a);
        assert_eq!((t.requests, t.client_errors, t.unknown, a.undecoded_bytes), (20, 2, 0, 0), "{view:?}");
    }
    asked(agent, *addr, View::Server)
}

/// The first request is charged to the listener: the socket of the connection is not there yet.
#[test]
fn a_request_that_came_before_the_socket_is_joined_to_its_connection() {
    needs_root();
    let cgroup = Cgroup::new("defer");
    let agent = watch_requests(&[&cgroup]);
    over_the_wire(&agent, &cgroup, &two_hosts("10.200.61.1", "10.200.61.2"), &["--defer"]);
    assert_eq!(agent.store().status().loss.total(), 0);
}

#[test]
fn a_lost_third_ack_loses_no_request() {
    needs_root();
    let cgroup = Cgroup::new("ack");
    let agent = watch_requests(&[&cgroup]);
    let hosts = two_hosts("10.200.62.1", "10.200.62.2");
    // A bare ACK with time stamps is 52 bytes long: the first one within the hour is the third ACK.
    hosts.1.nft("add table ip t; add chain ip t in { type filter hook prerouting priority -300 ; }");
    hosts
        .1
        .nft("add rule ip t in tcp dport 8080 ip length 52 limit rate 1/hour burst 1 packets counter drop");
    over_the_wire(&agent, &cgroup, &hosts, &[]);
}

/// The first half of the first head is lost once: it comes after the second half.
#[test]
fn a_reordered_head_is_put_in_order() {
    needs_root();
    let cgroup = Cgroup::new("order");
    let agent = watch_requests(&[&cgroup]);
    let hosts = two_hosts("10.200.63.1", "10.200.63.2");
    hosts.1.nft("add table ip t; add chain ip t in { type filter hook prerouting priority -300 ; }");
    hosts
        .1
        .nft("add rule ip t in tcp dport 8080 ip length > 60 limit rate 1/hour burst 1 packets counter drop");
    over_the_wire(&agent, &cgroup, &hosts, &["--split"]);
}

/// A question that nobody answers becomes a time-out; its socket has an owner.
#[test]
fn a_question_without_an_answer_is_told() {
    needs_root();
    let cgroup = Cgroup::new("dns");
    let agent = watch_requests(&[&cgroup]);
    let script = "import socket\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        q = bytes.fromhex('123401000001000000000000') + b'\\x03api\\x04test\\x00' + bytes.fromhex('00010001')\n\
        s.sendto(q, ('127.0.0.77', 53))\n\
        print('{}')\n";
    Workload::spawn(cgroup.command("python3").args(["-c", script])).finish();
    let told: Arc<Request> = until_for(std::time::Duration::from_secs(15), "the time-out", || {
        requests(&agent).into_iter().find_map(|e| e.request.filter(|r| r.protocol == Protocol::Dns))
    });
    assert_eq!((told.method.as_ref(), told.target.as_deref()), ("A", Some("api.test")));
    assert_eq!((told.status.as_deref(), told.verdict), (Some("timeout"), webb::model::Verdict::Error));
    let rows = agent.store().connections(true, &Filter::default(), None);
    let udp = rows.iter().find(|c| c.server.address.port == 53).expect("a row for the conversation");
    let owner = &udp.client.end.as_ref().unwrap().owner;
    assert!(owner.process.as_ref().unwrap().comm.starts_with("python3"), "{owner:?}");
}

/// What the ring cannot hold is counted: seen and lost are all that was captured.
#[test]
fn pieces_seen_and_lost_are_what_was_captured() {
    needs_root();
    let cgroup = Cgroup::new("lossy");
    let agent = common::watch_requests_with(&[&cgroup], 4096);
    let args = ["both", "--connections", "8", "--requests", "1000"];
    let truth = Workload::spawn(cgroup.command(asker()).args(args)).finish();
    let status = settled(&agent);
    let of = |kind| status.loss.0.iter().filter(|r| r.kind == kind).map(|r| r.count).sum::<u64>();
    assert!(of(LossKind::Exchange) > 0, "the ring was not small enough to lose anything");
    assert_eq!(status.pieces_seen + of(LossKind::Exchange), status.pieces_produced);
    for view in [View::Client, View::Server] {
        let a = asked(&agent, server_of(&truth), view);
        assert!(http(&a).requests < 8000 && http(&a).errors <= 160, "no error that did not happen");
        assert!(a.undecoded_bytes > 0, "the edge says that it is incomplete");
    }
}
