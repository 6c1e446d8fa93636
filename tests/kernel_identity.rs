//! Who is who when everything is reused, inherited or handed over: no wrong owner, and no connection
//! that is merged with another, split, or left open for ever.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![cfg(all(target_os = "linux", feature = "agent"))]

mod common;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use common::look::{both, outcomes, owner, the, to};
use common::net::Netns;
use common::puppet::{Puppet, address, endpoint};
use common::{Cgroup, connections, needs_root, settled, until_for, watch};
use webb::agent::Agent;
use webb::model::Outcome::{AbortedByClient, AbortedByServer, Clean, ResetByClient, ResetByServer};
use webb::model::{Connection, ConnectionState, End, OwnerEvidence, RoleEvidence};

/// A pass over open files comes 1 s and 10 s after the start, then every 30 s.
const A_PASS: Duration = Duration::from_secs(15);
const EEXIST: i64 = 17;

fn cgroup_id(cgroup: &Cgroup) -> u64 {
    std::fs::metadata(&cgroup.path).unwrap().ino()
}

fn hex(name: &str) -> String {
    name.bytes().map(|b| format!("{b:02x}")).collect()
}

/// A name for the process that answers next.
fn name(p: &mut Puppet, prefix: &str, name: &str) {
    p.ok(&format!("{prefix}name {}", hex(name)));
}

/// The server's end of the one connection to an address, once it is `found`.
fn server_end(agent: &Agent, at: SocketAddr, found: impl Fn(&End) -> bool) -> End {
    until_for(A_PASS, "the owner is known from a pass", || {
        let found_now = to(agent, at);
        assert!(found_now.len() <= 1, "{found_now:#?}");
        found_now.first()?.server.end.clone().filter(&found)
    })
}

#[test]
fn one_client_port_three_thousand_times() {
    needs_root();
    let cgroup = Cgroup::new("storm");
    let agent = watch(&[&cgroup]);
    let mut p = Puppet::new(&cgroup);
    // The descriptors are the same every time, too.
    let truth = p.ok("storm 127.0.0.1:0 3000 10");
    assert_eq!((truth["clean"].as_u64(), truth["reset"].as_u64()), (Some(1500), Some(1500)));
    let (client, server) = (address(&truth, "client"), address(&truth, "server"));
    let status = settled(&agent);
    let found = to(&agent, server);
    assert_eq!(found.len(), 3000);
    let (mut ids, mut ends) = (HashSet::new(), HashSet::new());
    let mut clean = 0;
    for c in &found {
        let (a, b) = both(c);
        assert_eq!((a.local, a.peer), (endpoint(client), endpoint(server)));
        assert_eq!((b.local, b.peer), (endpoint(server), endpoint(client)));
        assert_eq!((a.seen.bytes_sent, a.seen.bytes_received), (10, 10));
        assert_eq!((b.seen.bytes_sent, b.seen.bytes_received), (10, 10));
        match outcomes(c) {
            (Some(Clean), Some(Clean), Some(Clean)) => clean += 1,
            (Some(AbortedByClient), Some(AbortedByClient), Some(ResetByClient)) => {}
            other => panic!("{other:?}"),
        }
        assert!(ids.insert(c.id) && ends.insert(a.id) && ends.insert(b.id));
    }
    assert_eq!(clean, 1500);
    let n = status.connections;
    assert_eq!((n.opened, n.established, n.closed, n.live), (3000, 3000, 3000, 0));
    assert_eq!(status.loss.total(), 0);
}

#[test]
fn one_pid_for_two_processes() {
    needs_root();
    let cgroup = Cgroup::new("pid");
    let agent = watch(&[&cgroup]);
    let mut p = Puppet::new(&cgroup);
    let first = p.listen("l1", "127.0.0.1:0");
    let second = p.listen("l2", "127.0.0.1:0");
    let third = p.listen("l3", "127.0.0.1:0");

    let pid = p.ok("fork a")["pid"].as_u64().unwrap();
    name(&mut p, "in a ", "first");
    p.ok(&format!("in a connect c {first}"));
    p.ok("in a close c");
    // This one outlives the process that opened it.
    p.ok(&format!("in a connect c {third}"));
    p.ok("in a give parent c");
    p.ok("take a kept");
    p.ok("end a");
    // The same pid for another process. Somebody on this machine may have it just now.
    common::until("the pid is free", || {
        p.begin(&format!("fork-as b {pid}"));
        let answer = p.answer();
        assert!(answer.get("errno").is_none_or(|e| e.as_i64() == Some(EEXIST)), "{answer}");
        (answer["pid"].as_u64() == Some(pid)).then_some(())
    });
    name(&mut p, "in b ", "second");
    p.ok(&format!("in b connect c {second}"));
    p.ok("in b close c");
    // And the connection of its namesake is handed to it; it is the one that closes it.
    p.ok("give b kept");
    p.ok("in b take parent kept");
    p.ok("close kept");
    p.ok("in b close kept");
    p.ok("end b");
    settled(&agent);

    let process = |at| {
        let c = the(&agent, at);
        let end = c.client.end.clone().unwrap();
        end.owner.process.unwrap()
    };
    let (a, b, c) = (process(first), process(second), process(third));
    assert_eq!((u64::from(a.key.pid), &*a.comm), (pid, "first"));
    assert_eq!((u64::from(b.key.pid), &*b.comm), (pid, "second"));
    assert!(a.key.start_ns < b.key.start_ns);
    assert_eq!((c.key, &*c.comm), (b.key, "second"));
}

#[test]
fn three_hundred_short_lives() {
    needs_root();
    let cgroup = Cgroup::new("short");
    let agent = watch(&[&cgroup]);
    let mut p = Puppet::new(&cgroup);
    let at = p.listen("l", "127.0.0.1:0");
    let mut truth = HashSet::new();
    for i in 0..300 {
        let pid = p.ok("fork k")["pid"].as_u64().unwrap();
        name(&mut p, "in k ", &format!("short-{i}"));
        let from = address(&p.ok(&format!("in k connect c {at}")), "local");
        p.ok("end k");
        truth.insert((endpoint(from), pid as u32, format!("short-{i}")));
    }
    p.end();
    settled(&agent);
    let said: HashSet<_> = to(&agent, at)
        .iter()
        .map(|c| {
            let end = c.client.end.as_ref().unwrap();
            let (pid, comm) = owner(end);
            (end.local, pid, comm.to_owned())
        })
        .collect();
    assert_eq!(said, truth);
}

#[test]
fn workers_that_accept_own_what_they_accept() {
    needs_root();
    let cgroup = Cgroup::new("fork");
    let agent = watch(&[&cgroup]);
    let (mut master, mut client) = (Puppet::new(&cgroup), Puppet::new(&cgroup));
    let at = master.listen("l", "127.0.0.1:0");
    let other = master.listen("m", "127.0.0.1:0");
    let one = master.ok("fork one")["pid"].as_u64().unwrap() as u32;
    let two = master.ok("fork two")["pid"].as_u64().unwrap() as u32;

    // A short one belongs to the worker that closes it.
    client.ok(&format!("connect c {at}"));
    master.ok("in two accept s l");
    master.ok("in two close s");
    client.ok("eof c");
    client.ok("close c");
    // A long one to the worker that holds it.
    client.ok(&format!("connect c {other}"));
    master.ok("in one accept s m");
    let end = server_end(&agent, other, |e| e.owner.evidence != OwnerEvidence::Inherited);
    assert_eq!((owner(&end).0, end.owner.evidence), (one, OwnerEvidence::HoldsFile));
    settled(&agent);
    let c = the(&agent, at);
    let (a, b) = both(&c);
    assert_eq!(c.outcome, Some(Clean));
    assert_eq!((owner(a).0, a.owner.evidence), (client.pid, OwnerEvidence::Opened));
    assert_eq!((owner(b).0, b.owner.evidence), (two, OwnerEvidence::Closed));
    // The listeners are still the master's: what comes now is, until it is known better.
    client.ok(&format!("connect d {at}"));
    settled(&agent);
    let open: Vec<_> = to(&agent, at).into_iter().filter(|c| c.state == ConnectionState::Open).collect();
    assert_eq!(open.len(), 1);
    let (_, b) = both(&open[0]);
    assert_eq!((owner(b).0, b.owner.evidence), (master.pid, OwnerEvidence::Inherited));
}

#[test]
fn a_socket_that_is_handed_over_belongs_to_who_closes_it() {
    needs_root();
    let cgroup = Cgroup::new("rights");
    let agent = watch(&[&cgroup]);
    let (mut p, mut far) = (Puppet::new(&cgroup), Puppet::new(&cgroup));
    let at = far.listen("l", "127.0.0.1:0");
    let opener = p.ok("fork a")["pid"].as_u64().unwrap() as u32;
    p.ok(&format!("in a connect c {at}"));
    far.ok("accept s l");
    let before = common::until("it is seen", || to(&agent, at).first().cloned());
    assert_eq!(owner(before.client.end.as_ref().unwrap()).0, opener, "it called connect()");
    p.ok("in a give parent c");
    p.ok("take a c");
    p.ok("end a");
    p.ok("write c 5");
    far.ok("read s 5");
    p.ok("close c");
    far.ok("eof s");
    far.ok("close s");
    settled(&agent);
    let c = the(&agent, at);
    let (client, server) = both(&c);
    assert_eq!((owner(client).0, client.owner.evidence), (p.pid, OwnerEvidence::Closed));
    assert_eq!(owner(server).0, far.pid);
    assert_eq!((c.outcome, c.bytes()), (Some(Clean), (5, 0)));
}

#[test]
fn a_listener_from_elsewhere_names_who_serves() {
    needs_root();
    let (made, serves) = (Cgroup::new("made"), Cgroup::new("serves"));
    let agent = watch(&[&made]);
    let mut activator = Puppet::new(&made);
    let mut client = Puppet::new(&made);
    let at = activator.listen("l", "127.0.0.1:0");
    let kept = activator.listen("m", "127.0.0.1:0");
    let procs = serves.path.join("cgroup.procs");
    let pid = activator.ok(&format!("spawn service {} l", procs.display()))["pid"].as_u64().unwrap() as u32;
    let other = activator.ok(&format!("spawn other {} m", procs.display()))["pid"].as_u64().unwrap() as u32;
    name(&mut activator, "in service ", "service");
    name(&mut activator, "in other ", "other");
    client.ok(&format!("connect c {at}"));
    activator.ok("in service accept s given");
    activator.ok("in service close s");
    client.ok("eof c");
    client.ok("close c");
    client.ok(&format!("connect k {kept}"));
    activator.ok("in other accept s given");
    // Held: a pass finds the process, and its cgroup with it.
    let end = server_end(&agent, kept, |e| e.owner.evidence == OwnerEvidence::HoldsFile);
    assert_eq!((owner(&end), end.owner.cgroup), ((other, "other"), cgroup_id(&serves)));
    settled(&agent);
    let c = the(&agent, at);
    let (client, server) = both(&c);
    assert_eq!(client.owner.cgroup, cgroup_id(&made));
    assert_eq!((owner(server), server.owner.cgroup), ((pid, "service"), cgroup_id(&serves)));
    assert_eq!(server.owner.evidence, OwnerEvidence::Closed);
    assert_eq!(server.role_evidence, RoleEvidence::ClonedFromListener);
}

#[test]
fn one_four_tuple_in_two_namespaces() {
    needs_root();
    let cgroup = Cgroup::new("tuple");
    let agent = watch(&[&cgroup]);
    let (a, b) = (Netns::new(), Netns::new());
    let (mut in_a, mut in_b) = (Puppet::in_netns(&cgroup, &a), Puppet::in_netns(&cgroup, &b));
    let at: SocketAddr = "127.0.0.1:5000".parse().unwrap();
    for p in [&mut in_a, &mut in_b] {
        p.ok(&format!("listen l {at}"));
        p.ok("socket c v4");
        p.ok("bind c 127.0.0.1:6000");
    }
    for p in [&mut in_a, &mut in_b] {
        p.ok(&format!("reconnect c {at}"));
    }
    for (p, bytes) in [(&mut in_a, 111), (&mut in_b, 222)] {
        p.ok("accept s l");
        p.ok(&format!("write c {bytes}"));
        p.ok(&format!("read s {bytes}"));
    }
    let (pid_a, pid_b) = (in_a.pid, in_b.pid);
    let check = |state: ConnectionState| {
        let found = to(&agent, at);
        assert_eq!(found.len(), 2, "{found:#?}");
        for (netns, pid, bytes) in [(a.inode(), pid_a, 111), (b.inode(), pid_b, 222)] {
            let of = |c: &&std::sync::Arc<Connection>| both(c).0.owner.netns == netns;
            let c = found.iter().find(of).expect("one of each namespace");
            let (client, server) = both(c);
            assert_eq!((c.state, server.owner.netns), (state, netns));
            assert_eq!((owner(client).0, owner(server).0), (pid, pid));
            assert_eq!((client.seen.bytes_sent, server.seen.bytes_received), (bytes, bytes));
        }
        assert_ne!(found[0].id, found[1].id);
    };
    settled(&agent);
    check(ConnectionState::Open);
    for p in [pid_a, pid_b] {
        // Both are killed at once: every end goes at some moment, in no known order.
        let pid = rustix::process::Pid::from_raw(p as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    in_a.wait();
    in_b.wait();
    let status = settled(&agent);
    check(ConnectionState::Closed);
    assert_eq!((status.connections.closed, status.connections.live), (2, 0));
}

#[test]
fn what_nobody_accepts_ends_with_its_listener() {
    needs_root();
    let cgroup = Cgroup::new("queue");
    let agent = watch(&[&cgroup]);
    let (mut p, mut client) = (Puppet::new(&cgroup), Puppet::new(&cgroup));
    let closed = p.listen("l", "127.0.0.1:0");
    p.ok("fork k");
    let killed = address(&p.ok("in k listen l 127.0.0.1:0"), "local");
    for (at, kind) in [(closed, "c"), (killed, "k")] {
        for i in 0..3 {
            client.ok(&format!("connect {kind}{i} {at}"));
        }
        // One has said all, and is gone already.
        client.ok(&format!("connect {kind}gone {at}"));
        client.ok(&format!("close {kind}gone"));
    }
    p.ok("close l");
    p.ok("kill k");
    for kind in ["c", "k"] {
        for i in 0..3 {
            assert_eq!(client.refused(&format!("closed {kind}{i}")), 104);
        }
    }
    let status = settled(&agent);
    for at in [closed, killed] {
        let found = to(&agent, at);
        assert_eq!(found.len(), 4);
        for c in found {
            both(&c);
            let (all, own, server) = outcomes(&c);
            // The one that was closed before sees its FIN acknowledged, and then the reset or not.
            assert!(matches!(own, Some(ResetByServer | Clean)), "{c:#?}");
            assert_eq!((all, server), (Some(AbortedByServer), Some(AbortedByServer)), "{c:#?}");
        }
    }
    let n = status.connections;
    assert_eq!((n.opened, n.closed, n.live), (8, 8, 0));
    assert!(connections(&agent).iter().all(|c| c.state == ConnectionState::Closed));
}

#[test]
fn a_connection_to_itself_has_one_end() {
    needs_root();
    let cgroup = Cgroup::new("itself");
    let agent = watch(&[&cgroup]);
    let netns = Netns::new();
    let mut p = Puppet::in_netns(&cgroup, &netns);
    p.ok("socket c v4");
    p.ok("bind c 127.0.0.1:7000");
    p.ok("reconnect c 127.0.0.1:7000");
    p.ok("write c 5");
    p.ok("read c 5");
    p.ok("close c");
    let status = settled(&agent);
    let c = the(&agent, "127.0.0.1:7000".parse().unwrap());
    assert_eq!((c.client.end.is_some(), c.server.end.is_none()), (true, true));
    assert_eq!((c.outcome, c.bytes()), (Some(Clean), (5, 5)));
    assert_eq!((status.connections.opened, status.connections.closed), (1, 1));
}

#[test]
fn a_name_is_what_the_process_says_byte_for_byte() {
    needs_root();
    let cgroup = Cgroup::new("name");
    let agent = watch(&[&cgroup]);
    let mut p = Puppet::new(&cgroup);
    let hostile = "\x1b]0;\x07\n\u{202e}\u{200b}x";
    assert!(hostile.len() <= 15);
    name(&mut p, "", hostile);
    let at = p.listen("l", "127.0.0.1:0");
    p.pair("l", at, "c", "s");
    p.ok("close c");
    p.ok("close s");
    settled(&agent);
    let c = the(&agent, at);
    let (client, server) = both(&c);
    assert_eq!(owner(client), (p.pid, hostile));
    assert_eq!(owner(server), (p.pid, hostile));
}
