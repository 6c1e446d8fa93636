//! Far addresses are called by what each client's own cgroup was answered, through the real kernel.
#![cfg(all(target_os = "linux", feature = "agent"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::Command;

use common::look::to;
use common::net::{Netns, wire};
use common::{Cgroup, Workload, needs_root, settled, until, watch_requests};
use webb::agent::Agent;
use webb::model::{EntityId, EventClass, Name, NameKind, Protocol};

const SERVER: &str = "10.200.71.2";
const PORT: u16 = 8080;

/// Answers every question for an address with its own, over UDP and TCP, but names below
/// `cluster.local` do not exist; and says a line to each who connects to port 8080.
const SERVE: &str = r"
import socket, struct, sys, threading
addr = sys.argv[1]
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind((addr, 53))
dns = socket.create_server((addr, 53))
tcp = socket.create_server((addr, 8080))
def answer(q):
    if b'\x07cluster\x05local\x00' in q:
        return q[:2] + bytes.fromhex('81830001000000000000') + q[12:]
    a = bytes.fromhex('c00c00010001000000010004') + socket.inet_aton(addr)
    return q[:2] + bytes.fromhex('81800001000100000000') + q[12:] + a
def by_udp():
    while True:
        q, who = udp.recvfrom(512)
        udp.sendto(answer(q), who)
def by_tcp():
    while True:
        c, _ = dns.accept()
        a = answer(c.recv(512)[2:])
        c.sendall(struct.pack('>H', len(a)) + a)
        c.close()
for f in (by_udp, by_tcp):
    threading.Thread(target=f, daemon=True).start()
print('{}', flush=True)
while True:
    c, _ = tcp.accept()
    c.sendall(b'hello\n')
    c.close()
";

/// Asks for names, each over a socket of its own (`tcp:` before a name: over TCP), then connects to
/// the address. A name by itself connects after it; `+` before it: only asked for.
const ASK: &str = r"
import socket, struct, sys
addr = sys.argv[1]
def question(name):
    labels = b''.join(bytes([len(l)]) + l.encode() for l in name.split('.'))
    return bytes.fromhex('123401000001000000000000') + labels + bytes.fromhex('0000010001')
def ask(name):
    if name.startswith('tcp:'):
        s = socket.create_connection((addr, 53))
        q = question(name[4:])
        s.sendall(struct.pack('>H', len(q)) + q)
        assert s.recv(512)
    else:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.sendto(question(name), (addr, 53))
        assert s.recv(512)
    s.close()
def connect():
    s = socket.create_connection((addr, 8080))
    assert s.recv(6)
    s.close()
for name in sys.argv[2:]:
    if name:
        ask(name.lstrip('+'))
    if not name.startswith('+'):
        connect()
print('{}')
";

fn python(command: &mut Command, script: &str, args: &[&str]) -> Workload {
    Workload::spawn(command.args(["-c", script, SERVER]).args(args))
}

/// Names of kind `dns` by entity.
fn names(agent: &Agent) -> HashMap<EntityId, Name> {
    let snapshot = agent.store().snapshot();
    let dns = snapshot.totals.names.iter().filter(|n| n.kind == NameKind::Dns);
    dns.map(|n| (n.entity, n.clone())).collect()
}

#[test]
fn each_edge_bears_the_name_that_its_cgroup_asked_for() {
    needs_root();
    let cgroups = ["api", "cdn", "tcp", "silent"].map(Cgroup::new);
    let outside = Cgroup::new("outside");
    let (here, there) = (Netns::new(), Netns::new());
    wire("w", &here, &["10.200.71.1/24"], &there, &["10.200.71.2/24"]);
    let agent = watch_requests(&cgroups.each_ref());
    let mut server = python(&mut there.command(&outside, "python3"), SERVE, &[]);
    server.line();
    let asked: [&[&str]; 4] = [&["api.test"], &["+api.test", "cdn.test"], &["tcp:tcp.test"], &[""]];
    for (cgroup, names) in cgroups.iter().zip(asked) {
        python(&mut here.command(cgroup, "python3"), ASK, names).finish();
    }
    settled(&agent);
    let addr = SocketAddr::new(SERVER.parse().unwrap(), PORT);
    let rows = until("all connections", || Some(to(&agent, addr)).filter(|rows| rows.len() == 4));
    let names = names(&agent);
    let snapshot = agent.store().snapshot();
    let edges = &snapshot.totals.edges;
    let own = |name: &str| (name.to_owned(), format!("DNS answer {name}, asked by the client's own cgroup"));
    let (cdn, evidence) = own("cdn.test");
    let expected = [
        own("api.test"),
        (cdn, format!("{evidence}; latest of 2 names that led there")),
        own("tcp.test"),
        ("api.test (or 2 more)".to_owned(), String::new()),
    ];
    for (cgroup, (name, evidence)) in cgroups.iter().zip(expected) {
        let id = cgroup.root().id;
        let row = rows.iter().find(|c| c.client.end.as_ref().is_some_and(|e| e.owner.cgroup == id)).unwrap();
        let known = &names[&row.server.entity];
        assert_eq!(*known.name, *name);
        match evidence.as_str() {
            "" => assert!(known.source.ends_with("asked by another process, or after connecting")),
            _ => assert_eq!(*known.source, *evidence),
        }
        let opened: Vec<u64> = edges
            .iter()
            .filter(|e| e.key.server == row.server.entity && e.key.port == PORT)
            .map(|e| e.by_client.as_ref().map_or(0, |c| c.opened))
            .collect();
        assert_eq!(opened, [1], "an edge of its own: {name}");
    }
    assert_eq!(edges.iter().filter(|e| e.key.port == PORT).count(), 4);
}

#[test]
fn a_lookup_through_the_search_list_is_noted_on_the_answer() {
    needs_root();
    let cgroup = Cgroup::new("search");
    let outside = Cgroup::new("outside");
    let (here, there) = (Netns::new(), Netns::new());
    wire("w", &here, &["10.200.71.1/24"], &there, &["10.200.71.2/24"]);
    let agent = watch_requests(&[&cgroup]);
    let mut server = python(&mut there.command(&outside, "python3"), SERVE, &[]);
    server.line();
    let names = ["+db.shop.svc.cluster.local", "+db.svc.cluster.local", "+db.cluster.local", "db"];
    python(&mut here.command(&cgroup, "python3"), ASK, &names).finish();
    settled(&agent);
    let asked = agent.store().events_after(EventClass::Requests, 0, usize::MAX).0;
    let notes: Vec<String> = asked
        .iter()
        .filter_map(|e| e.request.as_ref())
        .filter(|r| r.protocol == Protocol::Dns)
        .map(|r| r.note.to_string())
        .collect();
    let last = format!("{SERVER}; search list: looked for db, 3 names below it do not exist");
    assert_eq!(notes, ["", "", "", &last]);
}
