//! Connections between network namespaces, with and without address translation on the way: the two
//! ends are one connection, at the address that was dialled.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![cfg(all(target_os = "linux", feature = "agent"))]

mod common;

use std::net::SocketAddr;

use common::look::{both, counted, counted_outcomes, outcomes, the, to};
use common::net::{Netns, wire};
use common::puppet::{Puppet, address, endpoint};
use common::{Cgroup, Workload, needs_root, settled, traffic, watch};
use webb::model::Outcome::{AbortedByClient, AbortedByServer, Clean, Refused, ResetByClient, ResetByServer};
use webb::model::{ConnectionState, RoleEvidence, View};

/// A client, a router that translates both addresses, and a server.
struct Nat {
    client: Netns,
    server: Netns,
    _router: Netns,
}

/// What is dialled, and becomes [`SERVED`] on the way.
const DIALLED: &str = "10.200.1.1:80";
/// Where the server listens.
const SERVED: &str = "10.200.2.2:8080";
/// The client's address as the server sees it.
const MASK: &str = "10.200.2.1";

fn nat() -> Nat {
    let (client, router, server) = (Netns::new(), Netns::new(), Netns::new());
    wire("c", &client, &["10.200.1.2/24"], &router, &["10.200.1.1/24"]);
    wire("s", &router, &["10.200.2.1/24"], &server, &["10.200.2.2/24"]);
    router.sysctl("ipv4/ip_forward", "1");
    router.nft(
        "table ip t {
            chain to {
                type nat hook prerouting priority -100
                tcp dport 80 dnat to 10.200.2.2:8080
                tcp dport 81 dnat to 10.200.2.2:8081
            }
            chain from {
                type nat hook postrouting priority 100
                masquerade
            }
        }",
    );
    Nat { client, server, _router: router }
}

#[test]
fn translated_ends_are_one_connection_where_it_was_dialled() {
    needs_root();
    let cgroup = Cgroup::new("nat");
    let nat = nat();
    let agent = watch(&[&cgroup]);
    let dialled: SocketAddr = DIALLED.parse().unwrap();
    let args = |role| format!("{role} --connections 500 --bytes-to-server 321 --bytes-to-client 1234");
    let mut server = nat.server.command(&cgroup, traffic());
    let mut server = Workload::spawn(server.args(args("serve").split(' ')).args(["--addr", SERVED]));
    assert_eq!(server.line()["listening"], SERVED);
    let mut client = nat.client.command(&cgroup, traffic());
    let truth = Workload::spawn(client.args(args("connect").split(' ')).args(["--addr", DIALLED])).finish();
    assert_eq!(truth["connections"], 500);
    server.finish();
    // And one that nobody serves behind the router.
    let mut p = Puppet::in_netns(&cgroup, &nat.client);
    assert_eq!(p.refused("connect r 10.200.1.1:81"), 111);

    let status = settled(&agent);
    let found = to(&agent, dialled);
    assert_eq!(found.len(), 500);
    for c in &found {
        let (a, b) = both(c);
        assert_eq!((c.client.address, c.server.address), (a.local, endpoint(dialled)));
        assert_eq!((a.local.addr.to_string(), a.peer), ("10.200.1.2".to_owned(), endpoint(dialled)));
        assert_eq!((b.local.to_string(), b.peer.addr.to_string()), (SERVED.to_owned(), MASK.to_owned()));
        assert_eq!((a.owner.netns, b.owner.netns), (nat.client.inode(), nat.server.inode()));
        assert_eq!((a.seen.bytes_sent, a.seen.bytes_received), (321, 1234));
        assert_eq!((b.seen.bytes_sent, b.seen.bytes_received), (1234, 321));
        assert_eq!(outcomes(c), (Some(Clean), Some(Clean), Some(Clean)));
    }
    let n = status.connections;
    assert_eq!((n.opened, n.established, n.closed, n.failed, n.live), (501, 500, 500, 1, 0));
    // One edge, where it was dialled, seen from both ends.
    for view in [View::Client, View::Server] {
        let n = counted(&agent, dialled, view);
        assert_eq!((n.opened, n.closed), (500, 500), "{view:?}");
        assert_eq!((n.bytes_to_server, n.bytes_to_client), (500 * 321, 500 * 1234), "{view:?}");
    }
    assert_eq!(counted(&agent, SERVED.parse().unwrap(), View::Server).opened, 0);
    assert_eq!(the(&agent, "10.200.1.1:81".parse().unwrap()).outcome, Some(Refused));
}

#[test]
fn aborts_and_adoption_through_the_translation() {
    needs_root();
    let cgroup = Cgroup::new("nat-open");
    let nat = nat();
    let (mut c, mut s) = (Puppet::in_netns(&cgroup, &nat.client), Puppet::in_netns(&cgroup, &nat.server));
    s.ok(&format!("listen l {SERVED}"));
    let mut open = |name: &str, c: &mut Puppet| {
        let from = address(&c.ok(&format!("connect {name} {DIALLED}")), "local");
        s.ok(&format!("accept {name} l"));
        from
    };
    let before = [open("a", &mut c), open("b", &mut c)];
    c.ok("write a 1000");
    let agent = watch(&[&cgroup]);
    let after = [open("d", &mut c), open("e", &mut c)];
    s.ok("read a 1000");
    c.ok("write a 11");
    s.ok("read a 11");
    c.ok("write d 7");
    s.ok("read d 7");
    for name in ["a", "d"] {
        c.ok(&format!("linger {name}"));
        c.ok(&format!("close {name}"));
        assert_eq!(s.refused(&format!("closed {name}")), 104);
    }
    s.ok("linger b");
    s.ok("close b");
    assert_eq!(c.refused("closed b"), 104);
    let status = settled(&agent);

    let found = to(&agent, DIALLED.parse().unwrap());
    assert_eq!(found.len(), 4, "{found:#?}");
    let of = |from: SocketAddr| found.iter().find(|c| c.client.address == endpoint(from)).unwrap();
    let by_client = (Some(AbortedByClient), Some(AbortedByClient), Some(ResetByClient));
    let by_server = (Some(AbortedByServer), Some(ResetByServer), Some(AbortedByServer));
    assert_eq!((outcomes(of(before[0])), of(before[0]).bytes()), (by_client, (11, 0)));
    assert_eq!((outcomes(of(before[1])), of(before[1]).bytes()), (by_server, (0, 0)));
    assert_eq!((outcomes(of(after[0])), of(after[0]).bytes()), (by_client, (7, 0)));
    assert_eq!(of(after[1]).state, ConnectionState::Open);
    for (from, adopted) in before.iter().map(|f| (f, true)).chain(after.iter().map(|f| (f, false))) {
        let c = of(*from);
        let (a, b) = both(c);
        assert_eq!((a.adopted, b.adopted, c.role_known), (adopted, adopted, true));
        assert_eq!(b.local.to_string(), SERVED);
        if adopted {
            assert_eq!(a.role_evidence, RoleEvidence::SequenceNumbers);
            assert_eq!(b.role_evidence, RoleEvidence::SequenceNumbers);
        }
    }
    let n = status.connections;
    assert_eq!((n.adopted, n.opened, n.closed, n.live), (2, 2, 3, 1));
    let outcomes = counted_outcomes(&agent, DIALLED.parse().unwrap(), View::Client);
    assert_eq!(
        outcomes.into_iter().collect::<Vec<_>>(),
        [("aborted-by-client", 2), ("aborted-by-server", 1)]
    );
}

#[test]
fn a_plain_wire_and_both_families() {
    needs_root();
    let cgroup = Cgroup::new("wire");
    let (a, b) = (Netns::new(), Netns::new());
    wire("w", &a, &["10.200.1.1/24", "fd00:c8:1::1/64"], &b, &["10.200.1.2/24", "fd00:c8:1::2/64"]);
    let agent = watch(&[&cgroup]);
    let (mut client, mut server) = (Puppet::in_netns(&cgroup, &a), Puppet::in_netns(&cgroup, &b));
    // The last: IPv4 to a socket of both families.
    for (listen, at) in [
        ("10.200.1.2:80", "10.200.1.2:80"),
        ("[fd00:c8:1::2]:81", "[fd00:c8:1::2]:81"),
        ("[::]:82", "10.200.1.2:82"),
    ] {
        server.ok(&format!("listen l {listen}"));
        client.ok(&format!("connect c {at}"));
        server.ok("accept s l");
        client.ok("write c 5000");
        server.ok("read s 5000");
        server.ok("write s 70000");
        client.ok("read c 70000");
        client.ok("close c");
        server.ok("eof s");
        server.ok("close s");
    }
    let status = settled(&agent);
    for at in ["10.200.1.2:80", "[fd00:c8:1::2]:81", "10.200.1.2:82"] {
        let at: SocketAddr = at.parse().unwrap();
        let c = the(&agent, at);
        let (x, y) = both(&c);
        assert_eq!((x.peer, y.local, c.server.address), (endpoint(at), endpoint(at), endpoint(at)));
        assert_eq!((x.local, y.peer), (y.peer, c.client.address));
        assert_eq!((x.owner.netns, y.owner.netns), (a.inode(), b.inode()));
        assert_eq!(outcomes(&c), (Some(Clean), Some(Clean), Some(Clean)));
        assert_eq!((c.bytes(), y.seen.bytes_received), ((5000, 70000), 5000));
        assert_eq!(y.seen.bytes_sent, 70000);
    }
    assert_eq!((status.connections.opened, status.connections.closed), (3, 3));
}
