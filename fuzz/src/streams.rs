//! Ends, pieces of their streams, and what is put together of them.

use std::net::IpAddr;

use crate::meter;
use crate::model::{
    BootNs, EndId, Endpoint, Isns, Outcome, OwnerEvidence, ProcessKey, Request, Role, RoleEvidence, Seen,
};
use crate::track::{
    Comm, Datagram, Early, EndFact, Ending, Fact, ListenFact, Moment, Observation, OwnerFact, Piece,
    Progress, SampleFact, Track, TrackConfig, TurnsFact,
};

/// Pieces may wait for their order: 1 MiB in each direction of an end.
const MEMORY: usize = 4 << 20;

/// Reads from the front; zeros at the end.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn number<const N: usize>(&mut self) -> u64 {
        self.take(N).iter().fold(0, |n, b| n << 8 | u64::from(*b))
    }

    fn byte(&mut self) -> u8 {
        self.number::<1>() as u8
    }
}

/// One of eight connections, and one of its ends.
#[derive(Clone, Copy)]
struct Place {
    n: u8,
    client: bool,
}

impl Place {
    fn of(byte: u8) -> Self {
        Place { n: byte & 7, client: byte & 8 != 0 }
    }

    fn id(self) -> EndId {
        EndId { netns_cookie: 1, cookie: u64::from(self.n) * 2 + u64::from(self.client), generation: 1 }
    }

    fn index(self) -> usize {
        usize::from(self.n) * 2 + usize::from(self.client)
    }

    fn ends(self) -> (Endpoint, Endpoint) {
        let at = |port| Endpoint::new(IpAddr::from([127, 0, 0, 1 + self.n / 4]), port);
        let (client, server) = (at(40_000 + u16::from(self.n)), at(8080));
        if self.client { (client, server) } else { (server, client) }
    }

    /// Initial sequence numbers of client and server: near the wrap, at 0, anywhere.
    fn numbers(self) -> (u32, u32) {
        match self.n & 3 {
            0 => (u32::MAX - 20, u32::MAX - 3),
            1 => (0, 1 << 31),
            n => (u32::from(n) * 1_000_003, u32::from(n) * 7_000_001),
        }
    }

    fn isns(self) -> Isns {
        let (client, server) = self.numbers();
        if self.client {
            Isns { tx: client, rx: server.wrapping_add(1) }
        } else {
            Isns { tx: server.wrapping_add(1), rx: client.wrapping_add(1) }
        }
    }
}

fn owner(byte: u8) -> OwnerFact {
    let key = ProcessKey { pid: 10 + u32::from(byte & 3), start_ns: u64::from(byte >> 6) };
    OwnerFact {
        process: (byte & 4 != 0).then_some((key, Comm([b'a' + (byte & 7); 16]))),
        evidence: if byte & 8 != 0 { OwnerEvidence::Opened } else { OwnerEvidence::default() },
        cgroup: u64::from(byte >> 4 & 3),
        netns: 5,
    }
}

fn moment(byte: u8) -> Moment {
    match byte % 10 {
        0 => Moment::Met,
        1..=3 => Moment::Established,
        4 => Moment::Closed(Ending::Clean),
        5 => Moment::Closed(Ending::Reset),
        6 => Moment::Closed(Ending::Aborted),
        7 => Moment::Closed(Ending::TimedOut),
        8 => Moment::Failed(Outcome::Unreachable),
        _ => Moment::Failed(Outcome::Unknown),
    }
}

/// What holds for every exchange as an event.
pub fn check(request: &Request) {
    for text in [Some(&*request.method), request.target.as_deref()].into_iter().flatten() {
        assert!(!text.chars().any(char::is_control), "control characters in {text:?} of {request:?}");
    }
}

/// Any order of anything that a source can say.
pub fn run(data: &[u8]) {
    meter::within(MEMORY + data.len() * 1024, || observe(Input(data)));
}

fn observe(mut input: Input<'_>) {
    let mut track = Track::new(TrackConfig::new(1, 6));
    let mut now = 1_000_000u64;
    let mut said = [[0u32; 2]; 16];
    let (mut sealed, mut pieces, mut facts, mut requests) = (BootNs(0), 0u64, 0u64, 0u64);
    let mut bytes = 0u64;
    while !input.0.is_empty() {
        let (op, place) = (input.byte(), Place::of(input.byte()));
        let at = BootNs(match op >> 4 {
            15 => 0,
            14 => u64::MAX,
            n => {
                now = now.saturating_add(500 << (2 * n));
                now
            }
        });
        let (id, (local, peer)) = (place.id(), place.ends());
        match op & 15 {
            0 | 1 => {
                let (what, how) = (input.byte(), input.byte());
                facts += 1;
                let role = if place.client { Role::Client } else { Role::Server };
                let adopted = how & 1 != 0;
                let known = how & 2 == 0 || !adopted;
                let end = EndFact {
                    id,
                    at,
                    moment: moment(what),
                    local,
                    peer,
                    role: if known { role } else { Role::Unknown },
                    role_evidence: if known { RoleEvidence::SawConnect } else { RoleEvidence::Unknown },
                    owner: owner(how),
                    adopted,
                    isns: (how & 0x30 != 0x30).then(|| place.isns()),
                    opened: BootNs(if adopted { 0 } else { at.0.min(10) }),
                    established: BootNs(if adopted { 0 } else { at.0.min(20) }),
                    seen: Seen::default(),
                    route: None,
                };
                track.observe(Observation::Fact(Fact::End(end)));
            }
            2..=8 => {
                let how = input.byte();
                let sent = how & 1 != 0;
                let len = if how & 2 == 0 { input.number::<1>() } else { input.number::<2>() } as u32;
                let captured = if how & 4 == 0 { len as usize } else { usize::from(input.byte()) };
                let shift = if how & 8 == 0 { 0 } else { input.number::<2>() as u16 as i16 };
                let data = input.take(captured.min(len as usize));
                let next = &mut said[place.index()][usize::from(sent)];
                let isns = place.isns();
                let base = if sent { isns.tx.wrapping_add(u32::from(place.client)) } else { isns.rx };
                let start = next.wrapping_add_signed(i32::from(shift));
                *next = (*next).max(start.wrapping_add(len));
                let ack = said[place.index()][usize::from(!sent)];
                let other = if sent { isns.rx } else { isns.tx.wrapping_add(u32::from(place.client)) };
                let piece = Piece {
                    id,
                    at,
                    sent,
                    seq: base.wrapping_add(start),
                    ack: other.wrapping_add(if how & 64 == 0 { ack } else { 0 }),
                    len,
                    data,
                    turned: (how & 16 != 0).then_some(at),
                    in_order: how & 32 != 0,
                };
                pieces += 1;
                bytes += data.len() as u64;
                if how & 0xc0 == 0xc0 {
                    track.observe(Observation::Early(Early { netns: 5, local, peer, piece }));
                } else {
                    track.observe(Observation::Piece(piece));
                }
            }
            9 => {
                let reached = |n: u64| (n != 0).then_some((n as u32, at));
                let isns = place.isns();
                let mut far = |base: u32| input.number::<2>().checked_add(u64::from(base)).and_then(reached);
                let (sent, received) = (far(isns.tx), far(isns.rx));
                track.observe(Observation::Progress(Progress { id, sent, received }));
            }
            10 => {
                let (how, len) = (input.byte(), input.byte());
                let data = input.take(usize::from(len));
                pieces += 1;
                bytes += data.len() as u64;
                let group = Endpoint::new(IpAddr::from([224, 0, 0, 251]), 5353);
                track.observe(Observation::Datagram(Datagram {
                    id: EndId { cookie: id.cookie + 100, ..id },
                    at,
                    sent: how & 1 != 0,
                    local,
                    peer: if how & 2 != 0 { group } else { Endpoint::new(peer.addr, 53) },
                    owner: owner(how),
                    len: data.len() as u32 + u32::from(how >> 6),
                    data,
                    counted: how & 4 != 0,
                }));
            }
            11 => {
                let flushed = track.flush(at);
                requests += flushed.requests.len() as u64 + flushed.requests_skipped;
                for (_, _, request) in &flushed.requests {
                    check(request);
                }
                track.take_opaque();
            }
            12 => {
                track.seal(sealed, at, |_| {}, |_, _, _, _| {}, |_, _, _, _| {});
                sealed = at;
            }
            13 => track.apply(match input.byte() % 4 {
                0 => Fact::WalkBegan { at },
                1 => Fact::Alive(id),
                n => Fact::WalkEnded { at, complete: n == 2 },
            }),
            14 => {
                let how = input.byte();
                track.apply(match how % 3 {
                    0 => Fact::Listen(ListenFact {
                        id: EndId { cookie: id.cookie + 50, ..id },
                        at,
                        local: Endpoint::new(local.addr, 8080),
                        owner: owner(how),
                        met: how & 64 != 0,
                        backlog: None,
                    }),
                    1 => Fact::ListenClosed { id: EndId { cookie: id.cookie + 50, ..id }, at },
                    _ => Fact::FarListener { pass: u32::from(how >> 6), netns: 5, local },
                });
            }
            _ => {
                let how = input.byte();
                let mut codes = [0; 16];
                if how & 1 != 0 {
                    codes.fill_with(|| input.number::<4>() as u32);
                    let from = input.number::<2>() as u32;
                    track.apply(Fact::Turns(TurnsFact { id, at, from, count: how >> 1, codes }));
                } else {
                    let seen = Seen {
                        bytes_sent: input.number::<4>() << (how & 31),
                        bytes_received: input.number::<2>(),
                        retransmits: input.number::<2>() as u32,
                        srtt_us: (how & 64 != 0).then_some(7),
                        min_rtt_us: None,
                        packets: None,
                    };
                    track.apply(Fact::Sample(SampleFact { id, at, seen }));
                }
            }
        }
    }
    let end = BootNs(now.saturating_add(60_000_000_000));
    for _ in 0..2 {
        let flushed = track.flush(end);
        requests += flushed.requests.len() as u64 + flushed.requests_skipped;
    }
    track.seal(sealed, end, |_| {}, |_, _, _, _| {}, |_, _, _, _| {});
    let (seen, lost) = track.pieces();
    assert!(seen == pieces && lost <= seen, "{lost} lost of {seen}, {pieces} given");
    assert!(requests <= bytes + pieces + facts, "{requests} requests of {bytes} bytes");
    assert!(track.live_ends() <= 12, "{} ends", track.live_ends());
}
