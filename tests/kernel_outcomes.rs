//! Every outcome of the closed list, produced for real, and what webb says of it: at each end, of the
//! connection, and in the counters of the edge.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![cfg(all(target_os = "linux", feature = "agent"))]

mod common;

use std::net::SocketAddr;

use common::look::{both, counted, counted_outcomes, outcomes, owner, the, to};
use common::net::{Netns, wire};
use common::puppet::{Puppet, endpoint};
use common::{Cgroup, needs_root, settled, watch};
use webb::agent::Agent;
use webb::model::Outcome::{
    AbortedByClient, AbortedByServer, Clean, GivenUp, NoPort, NoRoute, Refused, ResetByClient, ResetByServer,
    TimedOut, Unreachable,
};
use webb::model::{Connection, ConnectionState, Outcome, View};

const ECONNREFUSED: i64 = 111;
const EPERM_BY_ICMP6: i64 = 13;
const ENETUNREACH: i64 = 101;
const EADDRNOTAVAIL: i64 = 99;
const ECONNRESET: i64 = 104;
const ETIMEDOUT: i64 = 110;
const EHOSTUNREACH: i64 = 113;
const EPIPE: i64 = 32;

/// What must be said of the one connection to an address: of it, by its client, by its server.
struct Case {
    name: &'static str,
    at: SocketAddr,
    said: (Outcome, Option<Outcome>, Option<Outcome>),
}

impl Case {
    fn check(&self, agent: &Agent) -> Connection {
        let c = the(agent, self.at);
        let (all, client, server) = self.said;
        assert_eq!(outcomes(&c), (Some(all), client, server), "{}: {c:#?}", self.name);
        let failed = matches!(all, Refused | Unreachable | NoRoute | NoPort | GivenUp)
            || (all == TimedOut && server.is_none());
        let state = if failed { ConnectionState::Failed } else { ConnectionState::Closed };
        assert_eq!(c.state, state, "{}", self.name);
        // The edge counts each end for itself, all under the connection's outcome.
        for (view, own) in [(View::Client, client), (View::Server, server)] {
            let expected: Vec<_> = own.map(|_| (all.as_str(), 1)).into_iter().collect();
            let counted: Vec<_> = counted_outcomes(agent, self.at, view).into_iter().collect();
            assert_eq!(counted, expected, "{}: {view:?}", self.name);
        }
        (*c).clone()
    }
}

/// A pair of sockets in one process: `c` connected to `s`, by way of listener `l`.
fn pair(p: &mut Puppet, listen: &str) -> SocketAddr {
    let at = p.listen("l", listen);
    p.pair("l", at, "c", "s");
    at
}

#[test]
fn closed_in_order_by_either_side() {
    needs_root();
    let cgroup = Cgroup::new("clean");
    let agent = watch(&[&cgroup]);
    let mut p = Puppet::new(&cgroup);
    let mut cases = Vec::new();
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        for (name, first, second) in [("client first", "c", "s"), ("server first", "s", "c")] {
            let at = pair(&mut p, listen);
            p.ok("write c 7");
            p.ok("read s 7");
            p.ok("write s 9");
            p.ok("read c 9");
            p.ok(&format!("close {first}"));
            p.ok(&format!("eof {second}"));
            p.ok(&format!("close {second}"));
            cases.push(Case { name, at, said: (Clean, Some(Clean), Some(Clean)) });
        }
        // A half-closed connection goes on in the other direction.
        let at = pair(&mut p, listen);
        p.ok("shutdown c");
        p.ok("eof s");
        p.ok("write s 9");
        p.ok("read c 9");
        p.ok("write s 1");
        p.ok("read c 1");
        p.ok("close s");
        p.ok("eof c");
        p.ok("close c");
        cases.push(Case { name: "half-closed", at, said: (Clean, Some(Clean), Some(Clean)) });
    }
    // IPv4 to a socket for both families is IPv4.
    let any = p.listen("l", "[::]:0");
    let at = SocketAddr::new("127.0.0.1".parse().unwrap(), any.port());
    p.pair("l", at, "c", "s");
    p.ok("close c");
    p.ok("eof s");
    p.ok("close s");
    cases.push(Case { name: "mapped", at, said: (Clean, Some(Clean), Some(Clean)) });

    let status = settled(&agent);
    for case in &cases {
        let c = case.check(&agent);
        let (client, server) = both(&c);
        assert_eq!((client.local, client.peer), (server.peer, server.local), "{}", case.name);
        assert_eq!(client.seen.bytes_sent, server.seen.bytes_received, "{}", case.name);
        assert_eq!(client.seen.bytes_received, server.seen.bytes_sent, "{}", case.name);
    }
    let half = cases.iter().filter(|c| c.name == "half-closed").map(|c| the(&agent, c.at).bytes());
    assert!(half.into_iter().all(|b| b == (0, 10)));
    let n = status.connections;
    assert_eq!((n.opened, n.established, n.closed, n.failed, n.live), (7, 7, 7, 0, 0));
}

#[test]
fn aborts_name_the_end_that_aborted() {
    needs_root();
    let cgroup = Cgroup::new("abort");
    let agent = watch(&[&cgroup]);
    let mut p = Puppet::new(&cgroup);
    let mut cases = Vec::new();
    let by_client = (AbortedByClient, Some(AbortedByClient), Some(ResetByClient));
    let by_server = (AbortedByServer, Some(ResetByServer), Some(AbortedByServer));

    for (aborts, other, said) in [("c", "s", by_client), ("s", "c", by_server)] {
        let at = pair(&mut p, "127.0.0.1:0");
        p.ok(&format!("linger {aborts}"));
        p.ok(&format!("close {aborts}"));
        assert_eq!(p.refused(&format!("closed {other}")), ECONNRESET);
        cases.push(Case { name: "linger 0", at, said });

        let at = pair(&mut p, "127.0.0.1:0");
        p.ok(&format!("write {other} 5"));
        p.ok(&format!("arrived {aborts} 5"));
        p.ok(&format!("close {aborts}"));
        assert_eq!(p.refused(&format!("closed {other}")), ECONNRESET);
        cases.push(Case { name: "unread data", at, said });

        // A process that is killed with data unread. Its descriptors are its own.
        let at = p.listen("l", "127.0.0.1:0");
        p.ok("fork k");
        if aborts == "c" {
            p.ok(&format!("in k connect c {at}"));
            p.ok("accept s l");
        } else {
            p.ok(&format!("connect c {at}"));
            p.ok("in k accept s l");
        }
        p.ok(&format!("write {other} 5"));
        p.ok(&format!("in k arrived {aborts} 5"));
        p.ok("kill k");
        assert_eq!(p.refused(&format!("closed {other}")), ECONNRESET);
        cases.push(Case { name: "killed", at, said });
    }
    let status = settled(&agent);
    for case in &cases {
        case.check(&agent);
    }
    let n = status.connections;
    assert_eq!((n.opened, n.established, n.closed, n.failed, n.live), (6, 6, 6, 0, 0));
    assert_eq!((status.ends.client.closed, status.ends.server.closed), (6, 6));
}

#[test]
fn with_one_end_in_scope_its_own_words_stand() {
    needs_root();
    let (inside, outside) = (Cgroup::new("inside"), Cgroup::new("outside"));
    let agent = watch(&[&inside]);
    let (mut here, mut there) = (Puppet::new(&inside), Puppet::new(&outside));
    let mut cases = Vec::new();

    for aborts in ["here", "there"] {
        // The client is here.
        let at = there.listen("l", "127.0.0.1:0");
        here.ok(&format!("connect c {at}"));
        there.ok("accept s l");
        let said = if aborts == "here" {
            here.ok("linger c");
            here.ok("close c");
            assert_eq!(there.refused("closed s"), ECONNRESET);
            AbortedByClient
        } else {
            there.ok("linger s");
            there.ok("close s");
            assert_eq!(here.refused("closed c"), ECONNRESET);
            ResetByServer
        };
        cases.push(Case { name: aborts, at, said: (said, Some(said), None) });
        // The server is here.
        let at = here.listen("l", "127.0.0.1:0");
        there.ok(&format!("connect c {at}"));
        here.ok("accept s l");
        let said = if aborts == "here" {
            here.ok("linger s");
            here.ok("close s");
            assert_eq!(there.refused("closed c"), ECONNRESET);
            AbortedByServer
        } else {
            there.ok("linger c");
            there.ok("close c");
            assert_eq!(here.refused("closed s"), ECONNRESET);
            ResetByClient
        };
        cases.push(Case { name: aborts, at, said: (said, None, Some(said)) });
    }
    let status = settled(&agent);
    for case in &cases {
        case.check(&agent);
    }
    assert_eq!((status.ends.client.closed, status.ends.server.closed), (2, 2));
    assert_eq!(status.connections.closed, 4);
}

#[test]
fn data_for_a_closed_socket_is_an_abort_by_its_side() {
    needs_root();
    let cgroup = Cgroup::new("late");
    let agent = watch(&[&cgroup]);
    let mut p = Puppet::new(&cgroup);
    let mut cases = Vec::new();

    // Write after the peer closed: the reset comes from where nobody reads any more.
    let at = pair(&mut p, "127.0.0.1:0");
    p.ok("close s");
    p.ok("eof c");
    p.ok("write c 5");
    assert_eq!(p.refused("closed c"), EPIPE);
    assert_eq!(p.refused("write c 5"), EPIPE);
    p.ok("close c");
    cases.push(Case { name: "EPIPE", at, said: (ResetByServer, Some(ResetByServer), Some(Clean)) });

    // Data meets a socket that was closed and whose FIN is still on its way (this one never arrives):
    // the kernel's own error is the one of a reset by the peer, but the reset comes from here.
    let (a, b) = two();
    b.nft("table inet t {\n chain i {\n type filter hook input priority 0\n tcp flags & fin == fin drop\n }\n }");
    let (mut client, mut server) = (Puppet::in_netns(&cgroup, &a), Puppet::in_netns(&cgroup, &b));
    for (name, first) in [("closed", "close c"), ("half-closed, then closed", "shutdown c")] {
        let at = server.listen("l", "10.200.1.2:0");
        client.ok(&format!("connect c {at}"));
        server.ok("accept s l");
        client.ok(first);
        if first != "close c" {
            server.ok("write s 9");
            client.ok("read c 9");
            client.ok("close c");
        }
        server.ok("write s 5");
        assert_eq!(server.refused("closed s"), ECONNRESET);
        let said = (AbortedByClient, Some(AbortedByClient), Some(ResetByClient));
        cases.push(Case { name, at, said });
    }
    // And a reset by the peer while the FIN is on its way is one.
    let at = server.listen("l", "10.200.1.2:0");
    client.ok(&format!("connect c {at}"));
    server.ok("accept s l");
    client.ok("close c");
    server.ok("linger s");
    server.ok("close s");
    let said = (AbortedByServer, Some(ResetByServer), Some(AbortedByServer));
    cases.push(Case { name: "reset while closing", at, said });

    let status = settled(&agent);
    for case in &cases {
        case.check(&agent);
    }
    assert_eq!(status.connections.closed, 4);
}

/// Two namespaces with a wire between them.
fn two() -> (Netns, Netns) {
    let (a, b) = (Netns::new(), Netns::new());
    wire("w", &a, &["10.200.1.1/24", "fd00:c8:1::1/64"], &b, &["10.200.1.2/24", "fd00:c8:1::2/64"]);
    (a, b)
}

#[test]
fn connects_that_come_to_nothing() {
    needs_root();
    let cgroup = Cgroup::new("nothing");
    let (a, b) = two();
    a.sysctl("ipv4/tcp_syn_retries", "1");
    b.nft(
        "table inet t {
            chain i {
                type filter hook input priority 0
                tcp dport 1001 drop
                tcp dport 1002 reject with icmpx type host-unreachable
                tcp dport 1003 reject with icmpx type admin-prohibited
                tcp dport 1004 reject with icmpx type port-unreachable
                tcp dport 1005 reject with tcp reset
            }
        }",
    );
    let agent = watch(&[&cgroup]);
    let mut p = Puppet::in_netns(&cgroup, &a);
    let mut slow = Puppet::in_netns(&cgroup, &a);
    let mut killed = Puppet::in_netns(&cgroup, &a);
    let mut cases = Vec::new();
    let mut case = |name, at: &str, said: Outcome| {
        let at = at.parse().unwrap();
        cases.push(Case { name, at, said: (said, Some(said), None) });
        at
    };

    // In the background, because it takes seconds: an address that is nobody's.
    a.sysctl("ipv4/neigh/w/mcast_solicit", "1");
    slow.ok("socket arp v4");
    slow.ok("set arp syncnt 6");
    slow.begin("reconnect arp 10.200.1.77:80");
    let at = case("given up by a kill", "10.200.1.2:1001", GivenUp);
    killed.ok(&format!("begin k {at}"));
    killed.kill();

    for addr in ["10.200.1.2", "[fd00:c8:1::2]"] {
        let at = case("refused", &format!("{addr}:1000"), Refused);
        assert_eq!(p.refused(&format!("connect r {at}")), ECONNREFUSED);
        let at = case("refused by a firewall", &format!("{addr}:1005"), Refused);
        assert_eq!(p.refused(&format!("connect r2 {at}")), ECONNREFUSED);
        let at = case("refused by ICMP", &format!("{addr}:1004"), Refused);
        assert_eq!(p.refused(&format!("connect r3 {at}")), ECONNREFUSED);
        let at = case("unreachable by ICMP", &format!("{addr}:1002"), Unreachable);
        assert_eq!(p.refused(&format!("connect u {at}")), EHOSTUNREACH);
        let at = case("prohibited by ICMP", &format!("{addr}:1003"), Unreachable);
        let errno = if addr.starts_with('[') { EPERM_BY_ICMP6 } else { EHOSTUNREACH };
        assert_eq!(p.refused(&format!("connect u2 {at}")), errno);
        for name in ["r", "r2", "r3", "u", "u2"] {
            p.ok(&format!("close {name}"));
        }
    }
    let at = case("given up by a close", "[fd00:c8:1::2]:1001", GivenUp);
    p.ok(&format!("begin g {at}"));
    p.ok("close g");

    for at in ["10.201.0.1:80", "[fd00:c9::1]:80"] {
        let at = case("no route", at, NoRoute);
        assert_eq!(p.refused(&format!("connect n {at}")), ENETUNREACH);
        p.ok("close n");
    }
    let at = case("no route, without waiting", "10.201.0.2:80", NoRoute);
    assert_eq!(p.refused(&format!("begin n {at}")), ENETUNREACH);
    p.ok("close n");
    // Connected again on the same socket: another end.
    let at = case("no route, then refused", "10.201.0.3:80", NoRoute);
    assert_eq!(p.refused(&format!("connect n {at}")), ENETUNREACH);
    let at = case("refused, then no route", "10.200.1.1:1000", Refused);
    assert_eq!(p.refused(&format!("reconnect n {at}")), ECONNREFUSED);
    let at = case("no route at last", "10.201.0.4:80", NoRoute);
    assert_eq!(p.refused(&format!("reconnect n {at}")), ENETUNREACH);
    p.ok("close n");

    let at = case("timed out", "10.200.1.2:1001", TimedOut);
    p.ok("socket t v4");
    p.ok("set t syncnt 1");
    assert_eq!(p.refused(&format!("reconnect t {at}")), ETIMEDOUT);
    case("nobody answers ARP", "10.200.1.77:80", Unreachable);
    assert_eq!(slow.errno("reconnect arp"), EHOSTUNREACH);

    let status = settled(&agent);
    // The one address that two of them dialled.
    let shared: SocketAddr = "10.200.1.2:1001".parse().unwrap();
    let (both, alone): (Vec<_>, Vec<_>) = cases.iter().partition(|c| c.at == shared);
    assert_eq!(both.len(), 2);
    let mut said: Vec<_> = to(&agent, shared).iter().map(|c| c.outcome).collect();
    said.sort();
    assert_eq!(said, [Some(TimedOut), Some(GivenUp)]);
    let counted = counted_outcomes(&agent, shared, View::Client);
    assert_eq!(counted.into_iter().collect::<Vec<_>>(), [("given-up", 1), ("timed-out", 1)]);
    for case in alone {
        let c = case.check(&agent);
        let client = c.client.end.as_ref().unwrap();
        let comm = owner(client).1;
        assert_eq!((comm, client.peer), ("scenario", endpoint(case.at)), "{}", case.name);
        assert_eq!(client.owner.netns, a.inode(), "{}", case.name);
        assert_eq!(client.local.addr.is_ipv6(), case.at.is_ipv6(), "{}: {}", case.name, client.local);
    }
    let n = cases.len() as u64;
    let counts = status.connections;
    assert_eq!((counts.opened, counts.established, counts.failed, counts.live), (n, 0, n, 0));
    assert_eq!((status.ends.client.opened, status.ends.client.failed), (n, n));
    assert_eq!(status.loss.total(), 0);
}

#[test]
fn no_port_is_left() {
    needs_root();
    let cgroup = Cgroup::new("ports");
    let netns = Netns::new();
    netns.sysctl("ipv4/ip_local_port_range", "40000 40001");
    let agent = watch(&[&cgroup]);
    let mut p = Puppet::in_netns(&cgroup, &netns);
    let at = p.listen("l", "127.0.0.1:2000");
    p.ok(&format!("connect a {at}"));
    p.ok(&format!("connect b {at}"));
    assert_eq!(p.refused(&format!("connect c {at}")), EADDRNOTAVAIL);
    // A port of one's own choice, which to this server is in use.
    p.ok("socket d v4");
    p.ok("bind d 127.0.0.1:41000");
    p.ok(&format!("reconnect d {at}"));
    p.ok("socket e v4");
    p.ok("bind e 127.0.0.1:41000");
    assert_eq!(p.refused(&format!("reconnect e {at}")), EADDRNOTAVAIL);
    let status = settled(&agent);
    let failed: Vec<_> = to(&agent, at).into_iter().filter(|c| c.outcome.is_some()).collect();
    assert_eq!(failed.iter().map(|c| c.outcome).collect::<Vec<_>>(), [Some(NoPort), Some(NoPort)]);
    let counted = counted(&agent, at, View::Client);
    assert_eq!((counted.failed(NoPort), counted.failures(), counted.opened, counted.open), (2, 2, 5, 3));
    assert_eq!((status.connections.failed, status.connections.live), (2, 3));
}

#[test]
fn an_established_connection_times_out() {
    needs_root();
    let cgroup = Cgroup::new("dark");
    let (a, b) = two();
    let agent = watch(&[&cgroup]);
    let (mut client, mut server) = (Puppet::in_netns(&cgroup, &a), Puppet::in_netns(&cgroup, &b));
    let at = server.listen("l", "10.200.1.2:0");
    client.ok(&format!("connect c {at}"));
    server.ok("accept s l");
    client.ok("set c user-timeout 300");
    b.nft("table inet t {\n chain i {\n type filter hook input priority 0\n meta l4proto tcp drop\n }\n }");
    client.ok("write c 5");
    assert_eq!(client.refused("closed c"), ETIMEDOUT);
    b.nft("delete table inet t");
    // What the other end sends now is answered by a reset.
    server.ok("write s 3");
    assert_eq!(server.refused("closed s"), ECONNRESET);
    let status = settled(&agent);
    let case = Case { name: "dark", at, said: (TimedOut, Some(TimedOut), Some(ResetByClient)) };
    let c = case.check(&agent);
    let (client, server) = both(&c);
    assert!(client.seen.retransmits > 0);
    assert_eq!((client.owner.netns, server.owner.netns), (a.inode(), b.inode()));
    assert_eq!((status.connections.closed, status.connections.live), (1, 0));
}
