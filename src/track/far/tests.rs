//! What far servers are called, through the table as a whole: questions, connects, edges.

use std::collections::BTreeMap;

use super::*;
use crate::model::{EndId, Endpoint, Isns, Protocol, Request, Role, RoleEvidence, Seen};
use crate::track::{
    Datagram, EndFact, Ending, Fact, Moment, Observation, OwnerFact, Piece, Step, TrackConfig,
};
use crate::wire::{Answer, Dns, Record};

const FAR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));
const RESOLVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 53));
const SECOND: u64 = 1_000_000_000;

struct Watch {
    track: Track,
    cookie: u64,
    entities: HashMap<EntityId, EntityKind>,
    names: HashMap<EntityId, Name>,
    requests: Vec<Arc<Request>>,
    connections: HashMap<u16, Arc<Connection>>,
}

/// One who asks and connects.
#[derive(Clone, Copy)]
struct Client {
    cgroup: u64,
    addr: IpAddr,
}

fn client(cgroup: u64) -> Client {
    Client { cgroup, addr: [10, 0, 0, cgroup as u8].into() }
}

impl Client {
    fn owner(self) -> OwnerFact {
        match self.cgroup {
            0 => OwnerFact::default(),
            cgroup => OwnerFact { cgroup, netns: 5, ..OwnerFact::default() },
        }
    }
}

fn labels(name: &str) -> Vec<u8> {
    let mut out: Vec<u8> =
        name.split('.').flat_map(|l| std::iter::once(l.len() as u8).chain(l.bytes())).collect();
    out.push(0);
    out
}

fn question(id: u16, name: &str) -> Vec<u8> {
    let mut out = vec![(id >> 8) as u8, id as u8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    out.extend(labels(name));
    out.extend([0, 1, 0, 1]);
    out
}

/// Without an address the name does not exist.
fn answer(id: u16, name: &str, addr: Option<[u8; 4]>) -> Vec<u8> {
    let mut out = question(id, name);
    (out[2], out[3]) = (0x81, if addr.is_some() { 0x80 } else { 0x83 });
    out[7] = u8::from(addr.is_some());
    if let Some(addr) = addr {
        out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4]);
        out.extend(addr);
    }
    out
}

impl Watch {
    fn new() -> Self {
        Watch {
            track: Track::new(TrackConfig::new(1, 1000)),
            cookie: 0,
            entities: HashMap::new(),
            names: HashMap::new(),
            requests: Vec::new(),
            connections: HashMap::new(),
        }
    }

    /// Asks over UDP, from a socket of its own, and is answered a nanosecond later.
    fn resolves(&mut self, who: Client, at: u64, name: &str, addr: Option<[u8; 4]>) -> &mut Self {
        self.cookie += 1;
        let id = self.cookie as u16;
        for (sent, at, data) in [(true, at - 1, question(id, name)), (false, at, answer(id, name, addr))] {
            self.track.observe(Observation::Datagram(Datagram {
                counted: false,
                id: EndId { netns_cookie: 1, cookie: self.cookie, generation: 0 },
                at: BootNs(at),
                sent,
                local: Endpoint::new(who.addr, 30_000 + id),
                peer: Endpoint::new(RESOLVER, 53),
                owner: who.owner(),
                len: data.len() as u32,
                data: &data,
            }));
        }
        self
    }

    /// The same over TCP, on a connection that is closed after it.
    fn resolves_by_tcp(&mut self, who: Client, at: u64, name: &str, addr: [u8; 4]) -> &mut Self {
        let port = self.connects_to(who, at - 10, 53);
        let id = self.end(port);
        let framed = |data: Vec<u8>| [&(data.len() as u16).to_be_bytes()[..], &data].concat();
        let (q, a) = (framed(question(7, name)), framed(answer(7, name, Some(addr))));
        let isns = isns(port);
        let mut piece = |sent, at, seq, ack, data: &[u8]| {
            self.track.observe(Observation::Piece(Piece {
                id,
                at: BootNs(at),
                sent,
                seq,
                ack,
                len: data.len() as u32,
                data,
                turned: None,
                in_order: true,
            }));
        };
        piece(true, at - 1, isns.tx + 1, isns.rx, &q);
        piece(false, at, isns.rx, isns.tx + 1 + q.len() as u32, &a);
        self
    }

    fn connects(&mut self, who: Client, at: u64) -> u16 {
        self.connects_to(who, at, 443)
    }

    fn connects_to(&mut self, who: Client, at: u64, to: u16) -> u16 {
        self.cookie += 1;
        let port = 40_000 + self.cookie as u16;
        self.fact(who, at, port, to, Moment::Established);
        port
    }

    fn end(&self, port: u16) -> EndId {
        EndId { netns_cookie: 1, cookie: u64::from(port), generation: 1 }
    }

    fn fact(&mut self, who: Client, at: u64, port: u16, to: u16, moment: Moment) {
        self.track.apply(Fact::End(EndFact {
            id: self.end(port),
            at: BootNs(at),
            moment,
            local: Endpoint::new(who.addr, port),
            peer: Endpoint::new(if to == 53 { RESOLVER } else { FAR }, to),
            role: Role::Client,
            role_evidence: RoleEvidence::SawConnect,
            owner: who.owner(),
            adopted: false,
            isns: Some(isns(port)),
            opened: BootNs(at),
            established: BootNs(at),
            seen: Seen::default(),
            route: None,
        }));
    }

    fn flush(&mut self, at: u64) -> &mut Self {
        let out = self.track.flush(BootNs(at));
        self.entities.extend(out.far.into_iter().map(|e| (e.id, e.kind)));
        self.names.extend(out.names.into_iter().map(|n| (n.entity, n)));
        let told = out.events.into_iter().map(|e| e.2).chain(out.changed);
        self.connections.extend(told.map(|c| (c.client.address.port, c)));
        self.requests.extend(out.requests.into_iter().map(|r| r.2));
        self
    }

    /// Name and evidence of the far server of a connection.
    fn server(&self, port: u16) -> (String, String) {
        let entity = self.connections[&port].server.entity;
        assert_eq!(self.entities[&entity].id(), entity, "what it is was told with it");
        let name = &self.names[&entity];
        (name.name.to_string(), name.source.to_string())
    }

    /// Of each edge to port 443: its server's name, what was opened and closed, and what is open.
    fn seal(&mut self, end: u64) -> BTreeMap<String, (u64, u64, u64)> {
        let mut edges: HashMap<EntityId, (u64, u64, u64)> = HashMap::new();
        let edges = std::cell::RefCell::new(&mut edges);
        self.track.seal(
            BootNs(end - SECOND),
            BootNs(end),
            |c| {
                let mut edges = edges.borrow_mut();
                let n = if c.edge.port == 443 { edges.entry(c.edge.server).or_default() } else { return };
                let kind = EntityKind::Far { addr: FAR, name: c.far.server_name };
                assert_eq!((kind.id(), c.far.server), (c.edge.server, Some(FAR)));
                n.0 += u64::from(c.step == Step::Opened);
                n.1 += u64::from(c.step == Step::Closed);
            },
            |edge, _, _, _| {
                if edge.port == 443 {
                    edges.borrow_mut().entry(edge.server).or_default().2 += 1;
                }
            },
            |_, _, _, _| {},
        );
        let edges = std::mem::take(*edges.borrow_mut());
        let name = |id| match self.entities.get(&id) {
            Some(EntityKind::Far { name: Some(name), .. }) => name.to_string(),
            _ => String::new(),
        };
        edges.into_iter().map(|(id, n)| (name(id), n)).collect()
    }
}

fn isns(port: u16) -> Isns {
    Isns { tx: u32::from(port) * 1000, rx: u32::from(port) * 2000 }
}

fn named<const N: usize>(edges: [(&str, (u64, u64, u64)); N]) -> BTreeMap<String, (u64, u64, u64)> {
    edges.into_iter().map(|(name, n)| (name.to_owned(), n)).collect()
}

#[test]
fn each_cgroup_has_the_name_that_it_asked_for() {
    let mut w = Watch::new();
    let (a, b, silent) = (client(1), client(2), client(3));
    w.resolves(a, 10, "api.test", Some([203, 0, 113, 7])).resolves(b, 11, "cdn.test", Some([203, 0, 113, 7]));
    let ports = [w.connects(a, 20), w.connects(b, 21), w.connects(silent, 22), w.connects(a, 23)];
    w.flush(50);
    let own = |name: &str| (name.to_owned(), format!("DNS answer {name}, asked by the client's own cgroup"));
    assert_eq!(w.server(ports[0]), own("api.test"));
    assert_eq!(w.server(ports[1]), own("cdn.test"));
    assert_eq!(w.server(ports[3]), own("api.test"));
    let (name, source) = w.server(ports[2]);
    assert_eq!(name, "api.test (or 1 more)");
    assert!(source.ends_with(", asked by another process, or after connecting"), "{source}");
    w.fact(a, 30, ports[0], 443, Moment::Closed(Ending::Clean));
    w.flush(60);
    let edges = named([("api.test", (2, 1, 1)), ("cdn.test", (1, 0, 1)), ("", (1, 0, 1))]);
    assert_eq!(w.seal(SECOND), edges);
}

#[test]
fn the_latest_question_before_the_connect_wins() {
    let mut w = Watch::new();
    let a = client(1);
    let to = Some([203, 0, 113, 7]);
    w.resolves(a, 10, "api.test", to).resolves(a, 20, "cdn.test", to).resolves(a, 30, "api.test", to);
    // Read later than all of it: what counts is when each began.
    let ports = [5, 15, 25, 35].map(|at| w.connects(a, at));
    w.flush(50);
    let names: Vec<String> = ports.iter().map(|p| w.server(*p).0).collect();
    assert_eq!(names, ["api.test (or 1 more)", "api.test", "cdn.test", "api.test"]);
    let source = "DNS answer cdn.test, asked by the client's own cgroup; latest of 2 names that led there";
    assert_eq!(w.server(ports[2]).1, source);
    // It stood alone for the first of the two.
    assert!(w.server(ports[3]).1.ends_with("; latest of up to 2 names that led there"));
    assert_eq!(w.seal(SECOND).values().map(|n| n.0).sum::<u64>(), 4);
}

/// The ring of what is said is read after that of connections, and TCP is told when it is closed.
#[test]
fn an_answer_that_is_read_late_names_the_connection_until_it_is_counted() {
    let mut w = Watch::new();
    let a = client(1);
    let port = w.connects(a, 20);
    let next = w.connects(a, SECOND + 5);
    w.flush(30);
    assert_eq!(w.entities[&w.connections[&port].server.entity], EntityKind::far(FAR));
    w.resolves(a, 10, "api.test", Some([203, 0, 113, 7])).flush(40);
    assert_eq!(w.server(port).0, "api.test");
    // The one that began after the slice is not counted in it at all.
    assert_eq!(w.seal(SECOND), named([("api.test", (1, 0, 1))]));
    w.resolves(a, SECOND + 4, "cdn.test", Some([203, 0, 113, 7]));
    w.resolves(a, 15, "too.late.test", Some([203, 0, 113, 7])).flush(SECOND + 50);
    assert_eq!((w.server(port).0, w.server(next).0), ("api.test".to_owned(), "cdn.test".to_owned()));
    assert_eq!(w.seal(2 * SECOND), named([("api.test", (0, 0, 1)), ("cdn.test", (1, 0, 1))]));
}

#[test]
fn questions_over_tcp_name_too() {
    let mut w = Watch::new();
    let a = client(1);
    let port = w.resolves_by_tcp(a, 100, "api.test", [203, 0, 113, 7]).connects(a, 200);
    w.flush(300);
    assert_eq!(w.server(port).0, "api.test");
}

/// In a capture nobody has a cgroup: an address asks, and an address connects.
#[test]
fn without_cgroups_the_address_of_the_client_tells_them_apart() {
    let mut w = Watch::new();
    let at = |n: u8| Client { cgroup: 0, addr: [10, 0, 0, n].into() };
    w.resolves(at(1), 10, "api.test", Some([203, 0, 113, 7]));
    w.resolves(at(2), 11, "cdn.test", Some([203, 0, 113, 7]));
    let ports = [w.connects(at(1), 20), w.connects(at(2), 21)];
    w.flush(50);
    assert_eq!(w.server(ports[0]).1, "DNS answer api.test, asked by the client's own address");
    assert_eq!(w.server(ports[1]).0, "cdn.test");
}

#[test]
fn a_lookup_through_the_search_list_says_so() {
    let mut w = Watch::new();
    let a = client(1);
    for (i, name) in
        ["db.shop.svc.cluster.local", "db.svc.cluster.local", "db.cluster.local"].iter().enumerate()
    {
        w.resolves(a, 10 + 2 * i as u64, name, None);
    }
    w.resolves(a, 30, "db", Some([203, 0, 113, 7])).flush(40);
    let notes: Vec<&str> = w.requests.iter().map(|r| &*r.note).collect();
    let last = "203.0.113.7; search list: looked for db, 3 names below it do not exist";
    assert_eq!(notes, ["", "", "", last]);
    assert!(w.requests.iter().all(|r| r.protocol == Protocol::Dns));
}

#[test]
fn datagrams_that_cannot_be_read_make_their_edge_incomplete() {
    let mut w = Watch::new();
    let mut bad = question(1, "api.test");
    // Less than a header was captured.
    bad.truncate(8);
    w.track.observe(Observation::Datagram(Datagram {
        counted: false,
        id: EndId { netns_cookie: 1, cookie: 1, generation: 0 },
        at: BootNs(1),
        sent: true,
        local: Endpoint::new([10, 0, 0, 1].into(), 30_000),
        peer: Endpoint::new(RESOLVER, 53),
        owner: client(1).owner(),
        len: 300,
        data: &bad,
    }));
    w.flush(2);
    let mut undecoded = 0;
    w.track.seal(
        BootNs(0),
        BootNs(SECOND),
        |_| {},
        |_, _, _, _| {},
        |_, _, _, a| undecoded += a.undecoded_bytes,
    );
    assert_eq!(undecoded, 300);
}

/// A client that asks for ever new names and addresses: what is kept is bounded.
#[test]
fn what_is_kept_is_bounded_and_what_is_used_stays() {
    let mut resolved = Resolved::default();
    let dns = |name: &str, addr: IpAddr| Dns {
        name: name.into(),
        kind: 1,
        answers: vec![Answer { name: name.into(), record: Record::Address(addr), ttl: 1 }],
        ..Dns::default()
    };
    let asker = Asker::Cgroup(1);
    resolved.answered(asker, &dns("used.test", FAR), BootNs(1));
    for i in 0..200_000u32 {
        let addr = IpAddr::from((0x0a00_0000 + i).to_be_bytes());
        resolved.answered(asker, &dns(&format!("n{i}.test"), addr), BootNs(2 + u64::from(i)));
        if i.is_multiple_of(1000) {
            assert!(resolved.led(asker, FAR, BootNs(1)).is_some());
        }
    }
    assert!(resolved.names_kept() < 100_000, "{}", resolved.names_kept());
    assert!(resolved.led(asker, [10, 0, 0, 1].into(), BootNs(u64::MAX)).is_none(), "forgotten");
    for i in 0..1000u64 {
        resolved.answered(asker, &dns(&format!("n{i}.test"), FAR), BootNs(1_000_000 + i));
    }
    let (led, n) = resolved.led(asker, FAR, BootNs(u64::MAX)).unwrap();
    assert_eq!((&*led.name, n), ("n999.test", 16));
    assert_eq!(&*resolved.anyone(FAR).unwrap().name, "n0.test (or 15 more)");
}
