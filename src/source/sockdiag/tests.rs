//! Real sockets of this process on loopback.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::*;
use crate::model::{EndId, Seen};
use crate::track::{EndFact, ListenFact, Moment};

fn source(pids: Vec<u32>) -> SockDiag {
    SockDiag::new(SockDiagConfig {
        scope: Among::Pids(pids),
        leave_out: Vec::new(),
        proc_root: "/proc".into(),
    })
    .unwrap()
}

fn walk(source: &mut SockDiag, at: u64) -> Vec<Fact> {
    let mut out = Vec::new();
    let walk = source.walk(BootNs(at), &mut out).unwrap();
    assert!(walk.complete && walk.in_scope <= walk.sockets);
    assert_eq!(out.first(), Some(&Fact::WalkBegan { at: BootNs(at) }));
    assert_eq!(out.last(), Some(&Fact::WalkEnded { at: BootNs(at), complete: true }));
    out
}

fn end_at(facts: &[Fact], local: std::net::SocketAddr) -> Option<EndFact> {
    facts.iter().find_map(|fact| match fact {
        Fact::End(end) if end.local == Endpoint::new(local.ip(), local.port()) => Some(end.clone()),
        _ => None,
    })
}

fn listener_at(facts: &[Fact], at: std::net::SocketAddr) -> Option<ListenFact> {
    facts.iter().find_map(|fact| match fact {
        Fact::Listen(l) if l.local == Endpoint::new(at.ip(), at.port()) => Some(l.clone()),
        _ => None,
    })
}

fn seen(facts: &[Fact], id: EndId) -> Seen {
    facts
        .iter()
        .find_map(|fact| match fact {
            Fact::Sample(s) if s.id == id => Some(s.seen),
            Fact::End(e) if e.id == id => Some(e.seen),
            _ => None,
        })
        .expect("the end is in the walk")
}

/// Both directions carried `to_server` and `to_client` bytes, and both sides have read them, so the
/// counters of either end have them.
fn exchange(client: &mut TcpStream, server: &mut TcpStream, to_server: usize, to_client: usize) {
    carry(client, server, to_server);
    carry(server, client, to_client);
}

fn carry(from: &mut TcpStream, to: &mut TcpStream, n: usize) {
    // Beside each other: what is sent may be more than fits the buffers.
    std::thread::scope(|scope| {
        scope.spawn(|| from.write_all(&vec![b'x'; n]).unwrap());
        to.read_exact(&mut vec![0; n]).unwrap();
    });
}

fn life_of_a_connection(bind: &str) {
    let me = std::process::id();
    let listener = TcpListener::bind(bind).unwrap();
    let at = listener.local_addr().unwrap();
    let mut old_client = TcpStream::connect(at).unwrap();
    let (mut old_server, _) = listener.accept().unwrap();
    exchange(&mut old_client, &mut old_server, 1000, 10);

    let mut source = source(vec![me]);
    let first = walk(&mut source, 100);
    let listen = listener_at(&first, at).unwrap();
    assert_eq!(listen.owner.process.unwrap().0.pid, me);
    assert_eq!(listen.backlog.unwrap().0, 0);
    let old = end_at(&first, old_client.local_addr().unwrap()).unwrap();
    assert!(old.adopted && old.moment == Moment::Met);
    assert_eq!(old.peer, Endpoint::new(at.ip(), at.port()));
    assert_eq!((old.seen.bytes_sent, old.seen.bytes_received), (0, 0), "the first reading is a baseline");
    assert_eq!(old.owner.process.unwrap().0.pid, me);
    assert_eq!(old.owner.evidence, OwnerEvidence::HoldsFile);
    assert_ne!((old.owner.netns, old.id.netns_cookie, old.id.cookie), (0, 0, 0));
    let old_other = end_at(&first, at).unwrap();
    assert_ne!(old_other.id, old.id);

    exchange(&mut old_client, &mut old_server, 7, 5);
    let mut new_client = TcpStream::connect(at).unwrap();
    let second = walk(&mut source, 200);
    let s = seen(&second, old.id);
    assert_eq!((s.bytes_sent, s.bytes_received), (7, 5));
    assert!(s.srtt_us.is_some());
    // Nobody accepted it yet, so no process holds the server's end: it is its listener's.
    let waiting = second.iter().find_map(|fact| match fact {
        Fact::End(e) if e.peer.port == new_client.local_addr().unwrap().port() => Some(e.clone()),
        _ => None,
    });
    let waiting = waiting.unwrap();
    assert_eq!(waiting.owner.evidence, OwnerEvidence::Inherited);
    assert_eq!(listener_at(&second, at).unwrap().backlog.unwrap().0, 1);

    let (mut new_server, _) = listener.accept().unwrap();
    exchange(&mut new_client, &mut new_server, 100, 200_000);
    let third = walk(&mut source, 300);
    let new = end_at(&second, new_client.local_addr().unwrap()).unwrap();
    assert!(!new.adopted);
    let s = seen(&third, new.id);
    assert_eq!((s.bytes_sent, s.bytes_received), (100, 200_000), "all of it: it was not open before");
    assert_eq!(seen(&third, waiting.id).bytes_sent, 200_000);
    let accepted = third.iter().find_map(|fact| match fact {
        Fact::End(e) if e.id == waiting.id => Some(e.owner.evidence),
        _ => None,
    });
    assert_eq!(accepted, Some(OwnerEvidence::HoldsFile), "the owner became better known");

    // The server finishes; the client's end knows it by the end of file, and its FIN is no byte.
    drop(new_server);
    assert_eq!(new_client.read(&mut [0; 1]).unwrap(), 0);
    drop(old_client);
    drop(old_server);
    drop(listener);
    let fourth = walk(&mut source, 400);
    assert!(fourth.contains(&Fact::Alive(new.id)), "nothing changed: {fourth:?}");
    let of_old = |fact: &&Fact| match fact {
        Fact::Alive(id) => *id == old.id,
        Fact::Sample(s) => s.id == old.id,
        Fact::End(e) => e.id == old.id,
        _ => false,
    };
    assert_eq!(fourth.iter().find(of_old), None, "gone");
    assert!(fourth.contains(&Fact::ListenClosed { id: listen.id, at: BootNs(400) }));
}

#[test]
fn life_of_a_connection_v4() {
    life_of_a_connection("127.0.0.1:0");
}

#[test]
fn life_of_a_connection_v6() {
    // A machine without IPv6 on loopback has nothing to show here.
    if TcpListener::bind("[::1]:0").is_ok() {
        life_of_a_connection("[::1]:0");
    }
}

#[test]
fn other_processes_and_those_left_out_are_not_seen() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let client = TcpStream::connect(at).unwrap();
    // Process 0 does not exist.
    assert_eq!(end_at(&walk(&mut source(vec![0]), 1), client.local_addr().unwrap()), None);

    let mut source = source(vec![std::process::id()]);
    source.config.leave_out = vec![std::process::id()];
    let facts = walk(&mut source, 1);
    assert_eq!(end_at(&facts, client.local_addr().unwrap()), None);
    assert_eq!(listener_at(&facts, at), None);
}

#[test]
fn a_question_for_one_socket_is_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut source = source(vec![std::process::id()]);
    let end = end_at(&walk(&mut source, 1), client.local_addr().unwrap()).unwrap();
    let found = source.netlink.find(end.local, end.peer, end.id.cookie).unwrap().unwrap();
    assert_eq!((found.cookie, found.local, found.peer), (end.id.cookie, end.local, end.peer));
    assert_eq!(source.netlink.find(end.local, end.peer, end.id.cookie + 1).unwrap(), None);
}

/// A cgroup of its own, removed with the test; `None` without the right to make one.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new() -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
        let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
        let dir = PathBuf::from(line.split(' ').nth(4)?).join(format!("webb-test-{}", std::process::id()));
        std::fs::create_dir(&dir).ok()?;
        Some(Cgroup(dir))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn a_cgroup_bounds_the_view() {
    let Some(cgroup) = Cgroup::new() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = "echo $$ > \"$0\"/cgroup.procs && exec 3<>/dev/tcp/127.0.0.1/$1 && read -r x <&3";
    let child =
        std::process::Command::new("bash").args(["-c", script]).arg(&cgroup.0).arg(port.to_string()).spawn();
    let Ok(mut child) = child else { return };
    let (mut server, from) = listener.accept().unwrap();

    let mut source = source(Vec::new());
    source.set_scope(Among::Cgroups(vec![cgroup.0.clone()]));
    let facts = walk(&mut source, 1);
    let ends: Vec<_> = facts.iter().filter(|f| matches!(f, Fact::End(_) | Fact::Listen(_))).collect();
    let end = end_at(&facts, from).unwrap();
    assert_eq!(ends.len(), 1, "the other end is not in scope, nor anybody else's: {ends:?}");
    assert_eq!(end.owner.cgroup, std::fs::metadata(&cgroup.0).unwrap().ino());
    let (key, comm) = end.owner.process.unwrap();
    assert_eq!((key.pid, comm.to_text().as_str()), (child.id(), "bash"));

    server.write_all(b"bye\n").unwrap();
    child.wait().unwrap();
    assert_eq!(server.read(&mut [0; 1]).unwrap(), 0);
    // Until this end is closed too, the other one waits in FIN_WAIT2 and is rightly in view.
    drop(server);
    let facts = walk(&mut source, 2);
    assert_eq!(facts.len(), 2, "nothing left: {facts:?}");
}
