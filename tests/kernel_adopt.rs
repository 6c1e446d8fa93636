//! What was open before webb: adopted with owner and role, counted from the first reading on, and
//! seen to its end like everything else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![cfg(all(target_os = "linux", feature = "agent"))]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::look::{both, counted, counted_outcomes, outcomes, owner, the, to};
use common::net::{Netns, wire};
use common::puppet::{Puppet, endpoint, local};
use common::{Cgroup, Workload, connections, lost, needs_root, settled, traffic, until, until_for, watch};
use webb::model::Outcome::{AbortedByClient, AbortedByServer, Clean, GivenUp, ResetByClient};
use webb::model::{ConnectionState, Counters, Hist, OwnerEvidence, Role, RoleEvidence, View};
use webb::source::ebpf::{EbpfOptions, EbpfSource, STATE_RING_BYTES, ScopeRoot, WalkKind, sample_ring_bytes};

#[test]
fn both_ends_with_owners_roles_and_a_baseline() {
    needs_root();
    let cgroup = Cgroup::new("both");
    let (mut client, mut server) = (Puppet::new(&cgroup), Puppet::new(&cgroup));
    client.ok("name 636c69656e74");
    server.ok("name 736572766572");
    let mut open = Vec::new();
    // Its listener may be there still, or not, or the connection may be closed by half.
    for kind in ["listening", "alone", "half"] {
        let at = server.listen(&format!("l-{kind}"), "127.0.0.1:0");
        client.ok(&format!("connect {kind} {at}"));
        server.ok(&format!("accept {kind} l-{kind}"));
        client.ok(&format!("write {kind} 1000"));
        server.ok(&format!("read {kind} 1000"));
        server.ok(&format!("write {kind} 3000"));
        client.ok(&format!("read {kind} 3000"));
        match kind {
            "alone" => drop(server.ok("close l-alone")),
            "half" => {
                client.ok("shutdown half");
                server.ok("eof half");
            }
            _ => {}
        }
        open.push((kind, at));
    }
    let agent = watch(&[&cgroup]);
    until("all three are adopted", || (connections(&agent).len() == 3).then_some(()));
    for (kind, at) in &open {
        let c = the(&agent, *at);
        let (a, b) = both(&c);
        assert_eq!((a.role, b.role, c.role_known), (Role::Client, Role::Server, true), "{kind}");
        let evidence = (a.role_evidence, b.role_evidence);
        assert_eq!(evidence, (RoleEvidence::SequenceNumbers, RoleEvidence::SequenceNumbers), "{kind}");
        assert_eq!((owner(a), owner(b)), ((client.pid, "client"), (server.pid, "server")), "{kind}");
        assert_eq!(
            (a.owner.evidence, b.owner.evidence),
            (OwnerEvidence::HoldsFile, OwnerEvidence::HoldsFile)
        );
        assert_eq!((c.state, a.adopted, b.adopted), (ConnectionState::Open, true, true), "{kind}");
        assert_eq!((a.seen.bytes_sent, a.seen.bytes_received), (0, 0), "{kind}: a baseline");
        assert_eq!((b.seen.bytes_sent, b.seen.bytes_received), (0, 0), "{kind}: a baseline");
        assert_eq!((a.local, a.peer), (b.peer, b.local), "{kind}");
    }
    for kind in ["listening", "alone"] {
        client.ok(&format!("write {kind} 77"));
        server.ok(&format!("read {kind} 77"));
    }
    for (kind, _) in &open {
        server.ok(&format!("write {kind} 55"));
        client.ok(&format!("read {kind} 55"));
    }
    // Live counters, read by a walk.
    until("the walk has read them", || (the(&agent, open[0].1).bytes() == (77, 55)).then_some(()));
    client.ok("close listening");
    server.ok("eof listening");
    server.ok("close listening");
    client.ok("linger alone");
    client.ok("close alone");
    assert_eq!(server.refused("closed alone"), 104);
    server.ok("close half");
    client.ok("eof half");
    client.ok("close half");

    let status = settled(&agent);
    let clean = (Some(Clean), Some(Clean), Some(Clean));
    let reset = (Some(AbortedByClient), Some(AbortedByClient), Some(ResetByClient));
    for ((kind, at), (bytes, said)) in
        open.iter().zip([((77, 55), clean), ((77, 55), reset), ((0, 55), clean)])
    {
        let c = the(&agent, *at);
        let (_, b) = both(&c);
        assert_eq!((c.state, c.bytes(), outcomes(&c)), (ConnectionState::Closed, bytes, said), "{kind}");
        assert_eq!((b.seen.bytes_received, b.seen.bytes_sent), bytes, "{kind}");
        for view in [View::Client, View::Server] {
            let n = counted(&agent, *at, view);
            let mut expected = Counters {
                adopted: 1,
                closed: 1,
                bytes_to_server: bytes.0,
                bytes_to_client: bytes.1,
                srtt_us: n.srtt_us.clone(),
                asked: n.asked.clone(),
                secured: n.secured.clone(),
                ..Counters::default()
            };
            expected.outcomes[said.0.unwrap().index()] = 1;
            assert_eq!(n, expected, "{kind}: {view:?}");
            assert_eq!(n.connect_us, Hist::default());
        }
    }
    let n = status.connections;
    assert_eq!((n.adopted, n.opened, n.established, n.closed, n.failed, n.live), (3, 0, 0, 3, 0, 0));
    assert_eq!(
        (status.ends.client.adopted, status.ends.server.adopted, status.ends.unknown.adopted),
        (0, 0, 6)
    );
    assert_eq!(status.ends.unknown.closed, 6);
    assert_eq!(status.loss.total(), 0, "{:?}", status.loss);
}

#[test]
fn listeners_too_what_comes_to_them_is_theirs() {
    needs_root();
    let cgroup = Cgroup::new("listener");
    let (mut client, mut server) = (Puppet::new(&cgroup), Puppet::new(&cgroup));
    let at = server.listen("l", "127.0.0.1:0");
    // In the queue, where no process holds it yet.
    client.ok(&format!("connect early {at}"));
    let agent = watch(&[&cgroup]);
    until("the early one is adopted", || to(&agent, at).pop());
    client.ok(&format!("connect late {at}"));
    server.ok("accept early l");
    server.ok("accept late l");
    settled(&agent);
    let found = to(&agent, at);
    assert_eq!(found.len(), 2);
    let late = found.iter().find(|c| !c.adopted()).unwrap();
    let (_, b) = both(late);
    assert_eq!((owner(b).0, b.role_evidence), (server.pid, RoleEvidence::ClonedFromListener));
    assert_eq!(late.server.entity, found.iter().find(|c| c.adopted()).unwrap().server.entity);
    // A pass finds the server's end of the early one, now that it was accepted.
    let early = until_for(Duration::from_secs(15), "the second pass", || {
        to(&agent, at).into_iter().find(|c| c.adopted() && c.server.end.is_some())
    });
    let (a, b) = both(&early);
    assert_eq!((owner(a).0, owner(b).0), (client.pid, server.pid));
    assert_eq!((a.role, b.role, early.role_known), (Role::Client, Role::Server, true));
    for name in ["early", "late"] {
        client.ok(&format!("close {name}"));
        server.ok(&format!("eof {name}"));
        server.ok(&format!("close {name}"));
    }
    let status = settled(&agent);
    let n = status.connections;
    assert_eq!((n.adopted, n.opened, n.closed, n.live), (1, 1, 2, 0));
    assert_eq!(counted(&agent, at, View::Client).adopted, 1);
    assert_eq!(counted(&agent, at, View::Server).adopted, 1);
}

#[test]
fn one_end_in_scope() {
    needs_root();
    let (inside, outside) = (Cgroup::new("inside"), Cgroup::new("outside"));
    let (mut here, mut there) = (Puppet::new(&inside), Puppet::new(&outside));
    // A server here that still listens, one that does not, and a client here.
    let listening = here.listen("l", "127.0.0.1:0");
    there.ok(&format!("connect a {listening}"));
    here.ok("accept a l");
    let alone = here.listen("m", "127.0.0.1:0");
    let far = local(&there.ok(&format!("connect b {alone}")));
    here.ok("accept b m");
    here.ok("close m");
    let served = there.listen("n", "127.0.0.1:0");
    here.ok(&format!("connect c {served}"));
    there.ok("accept c n");
    here.ok("write a 1000");
    there.ok("write b 1000");
    here.ok("write c 1000");
    let agent = watch(&[&inside]);
    until("all are adopted", || (connections(&agent).len() == 3).then_some(()));
    let known = |at| until("its role is told by a walk", || to(&agent, at).pop().filter(|c| c.role_known));
    let c = known(listening);
    let end = c.server.end.as_ref().unwrap();
    assert_eq!((end.role, end.role_evidence), (Role::Server, RoleEvidence::InListenSet));
    assert_eq!((owner(end).0, c.client.end.is_none()), (here.pid, true));

    let c = known(served);
    let end = c.client.end.as_ref().unwrap();
    assert_eq!((end.role, end.role_evidence), (Role::Client, RoleEvidence::PeerInListenSet));
    assert_eq!((owner(end).0, c.server.end.is_none()), (here.pid, true));

    // Nobody knows which this is, and webb does not guess.
    let all = connections(&agent);
    let c =
        all.iter().find(|c| c.client.address.port == alone.port() || c.server.address.port == alone.port());
    let c = c.unwrap();
    let end = c.client.end.as_ref().or(c.server.end.as_ref()).unwrap();
    assert_eq!((c.role_known, end.role, end.role_evidence), (false, Role::Unknown, RoleEvidence::Unknown));
    assert_eq!((end.local, end.peer), (endpoint(alone), endpoint(far)));

    // Bytes from before, also those that were read only now, are not traffic.
    there.ok("read a 1000");
    here.ok("read b 1000");
    there.ok("read c 1000");
    there.ok("write a 5");
    here.ok("read a 5");
    here.ok("write c 6");
    there.ok("read c 6");
    for name in ["a", "c"] {
        here.ok(&format!("close {name}"));
        there.ok(&format!("eof {name}"));
        there.ok(&format!("close {name}"));
    }
    here.ok("linger b");
    here.ok("close b");
    let status = settled(&agent);
    let a = the(&agent, listening);
    assert_eq!((outcomes(&a), a.bytes()), ((Some(Clean), None, Some(Clean)), (5, 0)));
    let c = the(&agent, served);
    assert_eq!((outcomes(&c), c.bytes()), ((Some(Clean), Some(Clean), None), (6, 0)));
    let n = status.connections;
    assert_eq!((n.adopted, n.opened, n.closed, n.live), (3, 0, 3, 0));
    assert_eq!(status.ends.unknown.closed, 3);
}

#[test]
fn still_connecting_when_webb_came() {
    needs_root();
    let cgroup = Cgroup::new("connecting");
    let (a, b) = (Netns::new(), Netns::new());
    wire("w", &a, &["10.200.1.1/24"], &b, &["10.200.1.2/24"]);
    b.nft(
        "table ip t {\n chain i {\n type filter hook input priority 0\n tcp flags & syn == syn drop\n }\n }",
    );
    let (mut client, mut server) = (Puppet::in_netns(&cgroup, &a), Puppet::in_netns(&cgroup, &b));
    let at = server.listen("l", "10.200.1.2:80");
    let dead: SocketAddr = "10.200.1.2:81".parse().unwrap();
    client.ok(&format!("begin c {at}"));
    client.ok(&format!("begin d {dead}"));
    let agent = watch(&[&cgroup]);
    until("both are adopted", || (connections(&agent).len() == 2).then_some(()));
    for at in [at, dead] {
        let c = the(&agent, at);
        let end = c.client.end.as_ref().unwrap();
        assert_eq!((c.state, end.adopted, end.role), (ConnectionState::Opening, true, Role::Client));
        assert_eq!((owner(end).0, end.role_evidence), (client.pid, RoleEvidence::SawConnect));
    }
    client.ok("close d");
    b.nft("delete table ip t");
    // The next SYN gets through.
    server.ok("accept c l");
    client.ok("write c 5");
    server.ok("read c 5");
    client.ok("write c 5");
    server.ok("arrived c 5");
    server.kill();
    assert_eq!(client.refused("closed c"), 104);
    let status = settled(&agent);
    let d = the(&agent, dead);
    assert_eq!((d.state, d.outcome), (ConnectionState::Failed, Some(GivenUp)));
    let c = the(&agent, at);
    assert_eq!(c.outcome, Some(AbortedByServer));
    let n = status.connections;
    assert_eq!((n.adopted, n.opened, n.established, n.closed, n.failed, n.live), (2, 0, 1, 1, 1, 0));
    assert_eq!(
        counted_outcomes(&agent, dead, View::Client).into_iter().collect::<Vec<_>>(),
        [("given-up", 1)]
    );
}

#[test]
fn twenty_thousand_sockets() {
    needs_root();
    let cgroup = Cgroup::new("many");
    let args = "--connections 10000 --bytes-to-server 321 --bytes-to-client 1234 --hold";
    let args = || args.split(' ');
    let mut server = Workload::spawn(cgroup.command(traffic()).arg("serve").args(args()));
    let listening = server.line();
    let at = listening["listening"].as_str().unwrap();
    let mut client = Workload::spawn(cgroup.command(traffic()).args(["connect", "--addr", at]).args(args()));
    let at: SocketAddr = at.parse().unwrap();
    for end in [&mut server, &mut client] {
        let held = end.line();
        assert_eq!((held["held"].as_str(), held["connections"].as_u64()), (Some("opened"), Some(10_000)));
    }

    // What the two passes cost, without anything around them.
    let root = cgroup.root();
    let (mut source, mut walker) = EbpfSource::open(&EbpfOptions {
        scopes: vec![ScopeRoot { id: root.id, level: root.level }],
        attach_at: vec![cgroup.path.clone()],
        state_ring_bytes: STATE_RING_BYTES,
        sample_ring_bytes: sample_ring_bytes(20_000),
        payload_ring_bytes: 1 << 20,
        decode: false,
        identities: false,
    })
    .unwrap();
    let mut pass = |kind| {
        let mut met = 0;
        source.begin_pass();
        assert!(walker.start(kind));
        let done = until("the pass is over", || {
            met += source.drain_samples(usize::MAX, |_| {});
            walker.finished()
        });
        met += source.drain_samples(usize::MAX, |_| {});
        assert!(done.ok);
        (done.took, met)
    };
    let (adopting, _) = pass(WalkKind::Files);
    let (describing, met) = pass(WalkKind::Sockets);
    assert_eq!(met, 20_001, "with the listener");
    let (again, _) = pass(WalkKind::Files);
    let (walking, met) = pass(WalkKind::Sockets);
    assert_eq!(met, 20_001);
    println!(
        "20,001 sockets: adopted in {adopting:?}, described in {describing:?}, files {again:?}, walk {walking:?}"
    );
    for took in [adopting, describing, again, walking] {
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    drop((source, walker));

    let agent = watch(&[&cgroup]);
    let found = until_for(Duration::from_secs(30), "all are adopted", || {
        let found = to(&agent, at);
        (found.len() == 10_000 && found.iter().all(|c| c.client.end.is_some() && c.server.end.is_some()))
            .then_some(found)
    });
    let (clients, servers) = (client.child.id(), server.child.id());
    for c in &found {
        let (a, b) = both(c);
        assert_eq!((owner(a), owner(b)), ((clients, "traffic"), (servers, "traffic")));
        assert_eq!((a.role, b.role), (Role::Client, Role::Server));
    }
    server.go();
    client.go();
    for truth in [client.finish(), server.finish()] {
        assert_eq!((truth["bytes_to_server"].as_u64(), truth["failed"].as_u64()), (Some(3_210_000), Some(0)));
    }
    let status = settled(&agent);
    let found = to(&agent, at);
    assert_eq!(found.len(), 10_000);
    for c in &found {
        let (a, b) = both(c);
        assert_eq!((a.seen.bytes_sent, a.seen.bytes_received), (321, 1234));
        assert_eq!((b.seen.bytes_sent, b.seen.bytes_received), (1234, 321));
        assert_eq!(c.outcome, Some(Clean));
    }
    let n = status.connections;
    assert_eq!((n.adopted, n.opened, n.closed, n.live), (10_000, 0, 10_000, 0));
    assert_eq!((status.ends.unknown.adopted, status.ends.unknown.closed), (20_000, 20_000));
    until("every closing is sealed", || {
        [View::Client, View::Server].iter().all(|v| counted(&agent, at, *v).closed == 10_000).then_some(())
    });
    for view in [View::Client, View::Server] {
        let n = counted(&agent, at, view);
        assert_eq!(
            (n.adopted, n.closed, n.bytes_to_server, n.bytes_to_client),
            (10_000, 10_000, 3_210_000, 12_340_000)
        );
    }
    assert_eq!(lost(&status), []);
}
