//! Conversations over UDP through the real kernel, against what the workload says.
#![cfg(all(target_os = "linux", feature = "agent"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use common::{Cgroup, Workload, connections, needs_root, until, watch};
use webb::agent::Agent;
use webb::model::{Connection, Counters, Filter, LossKind, Role, Transport, View};

const ECHO: &str = r"
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
s.bind(('127.0.0.1', 0))
print('{\'port\': %d}'.replace(chr(39), chr(34)) % s.getsockname()[1], flush=True)
while True:
    data, peer = s.recvfrom(65536)
    if data == b'end': break
    for _ in range(2): s.sendto(data[: len(data) // 2], peer)
print('{}')
";

fn talks(agent: &Agent) -> Vec<Arc<Connection>> {
    let mut rows = agent.store().connections(true, &Filter::default(), None);
    rows.retain(|c| c.transport == Transport::Udp);
    rows
}

fn python(cgroup: &Cgroup, script: &str) -> Workload {
    Workload::spawn(cgroup.command("python3").args(["-c", script]))
}

/// Payload bytes and datagrams, exact at both ends, with an owner and a role.
#[test]
fn conversations_are_counted_to_the_byte_at_both_ends() {
    needs_root();
    let cgroup = Cgroup::new("udp");
    let agent = watch(&[&cgroup]);
    let mut server = python(&cgroup, ECHO);
    let port = server.line()["port"].as_u64().unwrap();
    // Each sends 400 datagrams of 10 to 1400 bytes and reads two answers of half the size.
    let script = format!(
        "import socket\n\
         for n in range(3):\n\
         \x20s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
         \x20if n == 1: s.connect(('127.0.0.1', {port}))\n\
         \x20for i in range(400):\n\
         \x20 s.sendto(b'x' * (10 + i * 7 % 1391), ('127.0.0.1', {port}))\n\
         \x20 s.recv(9999); s.recv(9999)\n\
         print('{{}}')\n"
    );
    python(&cgroup, &script).finish();
    let sizes: Vec<u64> = (0..400u64).map(|i| 10 + i * 7 % 1391).collect();
    let (asked, answered) = (sizes.iter().sum::<u64>(), sizes.iter().map(|n| n / 2 * 2).sum::<u64>());
    let rows = until("all that passed", || {
        let rows = talks(&agent);
        let all = rows.len() == 3 && rows.iter().all(|c| c.client.end.is_some() && c.server.end.is_some());
        let packets = |c: &Connection| {
            [&c.client, &c.server].map(|s| s.end.as_ref().and_then(|e| e.seen.packets).unwrap_or_default())
        };
        (all && rows.iter().all(|c| packets(c) == [(400, 800), (800, 400)])).then_some(rows)
    });
    for c in &rows {
        assert_eq!((c.server.address.port, c.role_known), (port as u16, true));
        let (client, server) = (c.client.end.as_ref().unwrap(), c.server.end.as_ref().unwrap());
        assert_eq!((client.role, server.role), (Role::Client, Role::Server));
        assert_eq!((client.seen.bytes_sent, client.seen.bytes_received), (asked, answered));
        assert_eq!((server.seen.bytes_sent, server.seen.bytes_received), (answered, asked));
        for end in [client, server] {
            assert!(end.owner.process.as_ref().unwrap().comm.starts_with("python3"), "{end:?}");
        }
    }
    let edge = until("the slice", || {
        let totals = agent.store().snapshot().totals.clone();
        let edge = totals.edges.iter().find(|e| e.key.port == port as u16)?.clone();
        let full = |view: View| {
            let c = if view == View::Client { &edge.by_client } else { &edge.by_server };
            c.as_ref().is_some_and(|c| c.bytes_to_client == 3 * answered && c.opened == 3)
        };
        (full(View::Client) && full(View::Server)).then_some(edge)
    });
    assert_eq!(edge.by_client.as_ref().unwrap().bytes_to_server, 3 * asked);
    assert_eq!(agent.store().status().loss.total(), 0);
    python(
        &cgroup,
        &format!("import socket\nsocket.socket(2, 2).sendto(b'end', ('127.0.0.1', {port}))\nprint('{{}}')"),
    )
    .finish();
    server.finish();
}

/// Datagrams that the kernel handles as one are counted as what they are on the wire.
#[test]
fn segments_of_one_send_are_counted_each() {
    needs_root();
    let cgroup = Cgroup::new("udp-gso");
    let agent = watch(&[&cgroup]);
    // UDP_SEGMENT, include/uapi/linux/udp.h
    let script = "import socket\n\
        r = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); r.bind(('127.0.0.1', 0))\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        s.setsockopt(socket.IPPROTO_UDP, 103, 1000)\n\
        s.sendto(b'x' * 9500, r.getsockname())\n\
        print('{\"got\": %d}' % sum(len(r.recv(9999)) for _ in range(10)))\n";
    let truth = python(&cgroup, script).finish();
    assert_eq!(truth["got"], 9500);
    until("ten datagrams at both ends", || {
        let rows = talks(&agent);
        let c = rows.first()?;
        let (client, server) = (c.client.end.as_ref()?.seen, c.server.end.as_ref()?.seen);
        (client.packets == Some((10, 0)) && server.packets == Some((0, 10)) && client.bytes_sent == 9500)
            .then_some(())
    });
}

/// More peers than there is room for: those that are not counted are counted as lost.
#[test]
fn what_finds_no_room_is_lost_and_said() {
    needs_root();
    let cgroup = Cgroup::new("udp-many");
    let agent = watch(&[&cgroup]);
    let script = "import socket\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        for i in range(40000):\n\
        \x20try: s.sendto(b'0123456789', ('127.%d.%d.%d' % (1 + i // 62500, i // 250 % 250, 1 + i % 250), 9))\n\
        \x20except ConnectionRefusedError: pass\n\
        print('{}')\n";
    python(&cgroup, script).finish();
    until("seen + lost == sent", || {
        let status = agent.store().status();
        let lost: u64 = status.loss.0.iter().filter(|r| r.kind == LossKind::Datagram).map(|r| r.count).sum();
        let sent = |c: &Counters| c.bytes_to_server / 10;
        let totals = agent.store().snapshot().totals.clone();
        let seen: u64 = totals.edges.iter().filter_map(|e| e.by_client.as_ref()).map(sent).sum();
        (seen + lost == 40_000 && lost > 0).then_some(())
    });
}

/// A server that was there before the agent: who asks is not guessed while the conversation may be old.
#[test]
fn the_roles_of_an_older_conversation_are_not_guessed() {
    needs_root();
    let cgroup = Cgroup::new("udp-old");
    let script = "import socket, sys\n\
        r = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); r.bind(('127.0.0.1', 0))\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', 0))\n\
        t = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(t.getsockname())\n\
        print('{}', flush=True)\n\
        sys.stdin.readline()\n\
        for _ in range(5): r.sendto(b'answer', s.getsockname()); s.recv(99)\n\
        print('{}')\n";
    let mut old = python(&cgroup, script);
    old.line();
    let agent = watch(&[&cgroup]);
    // The pass that finds the TCP connection finds the other sockets too.
    until("the pass over open files", || connections(&agent).first().map(|_| ()));
    old.go();
    old.finish();
    let row = until("the conversation", || talks(&agent).first().cloned());
    assert!(!row.role_known, "{row:?}");
}
