//! The records of `bpf/webb.h` and their conversion to facts. Kernel structs end here.

use aya::Pod;

use crate::model::{
    BootNs, EndId, Endpoint, Isns, Outcome, OwnerEvidence, ProcessKey, Role, RoleEvidence, Seen,
};
use crate::track::{
    Comm, EndFact, Ending, Fact, ListenFact, Moment, OwnerFact, Route, SampleFact, TalkFact, TurnsFact,
};

/// Scopes that the kernel side can hold (`WEBB_SCOPES`).
pub(super) const SCOPES: usize = 32;

/// Turns that the record of an end can hold (`WEBB_FEW_TURNS`).
const FEW_TURNS: usize = 2;

const ESTABLISHED: u8 = 1;
const ENDED: u8 = 2;
const NOT_SENT: u8 = 3;
const LISTEN: u8 = 4;
const LISTEN_END: u8 = 5;
const MET: u8 = 6;
const SAMPLE: u8 = 7;
const ALIVE: u8 = 8;
const FAR_LISTEN: u8 = 9;
const TALK: u8 = 14;

const F_ADOPTED: u8 = 1;
const F_ESTABLISHED: u8 = 2;
const F_NO_PORT: u8 = 4;
const F_LATE_DATA: u8 = 16;

const R_KNOWN: u8 = 1;
const R_WIREGUARD: u8 = 2;
const R_CILIUM: u8 = 4;
const R_ESP: u8 = 8;

const T_SENT_FIRST: u8 = 1;
const T_OLD: u8 = 2;

/// `struct webb_config`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Config {
    pub scopes: u32,
    pub all: u32,
    pub own: u32,
    pub epoch: u32,
    pub pass: u32,
    pub pass_complete: u32,
    pub decode: u32,
    pub pad: u32,
    pub scope_id: [u64; SCOPES],
    pub scope_level: [u32; SCOPES],
}

/// `struct webb_counts`; arrays are by `enum webb_role`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub opened: [u64; 4],
    pub established: [u64; 4],
    pub failed: [u64; 4],
    pub closed: [u64; 4],
    pub adopted: [u64; 4],
    pub state_produced: u64,
    pub state_lost: u64,
    pub sample_produced: u64,
    pub sample_lost: u64,
    pub no_storage: u64,
    pub pieces_produced: u64,
    pub pieces_lost: u64,
    pub turns_lost: u64,
    pub messages_shed: u64,
    pub datagrams_lost: u64,
}

// SAFETY: repr(C), integers only, no padding (checked by `layouts_match_the_header`).
unsafe impl Pod for Config {}
// SAFETY: as above.
unsafe impl Pod for Counts {}

/// `struct webb_owner`.
#[repr(C)]
#[derive(Clone, Copy)]
struct OwnerRecord {
    start: u64,
    cgroup: u64,
    pid: u32,
    evidence: u32,
    comm: [u8; 16],
}

/// `struct webb_record`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Record {
    kind: u8,
    role: u8,
    role_evidence: u8,
    flags: u8,
    old_state: u8,
    state: u8,
    err: u16,
    generation: u32,
    netns: u32,
    at: u64,
    cookie: u64,
    netns_cookie: u64,
    opened: u64,
    established: u64,
    local: [u8; 16],
    peer: [u8; 16],
    local_port: u16,
    peer_port: u16,
    isn_tx: u32,
    isn_rx: u32,
    retransmits: u32,
    owner: OwnerRecord,
    sent: u64,
    received: u64,
    srtt_us: u32,
    min_rtt_us: u32,
    backlog: u32,
    max_backlog: u32,
    turn_from: u32,
    turns: u8,
    route: u8,
    pad: [u8; 2],
    turn: [u32; FEW_TURNS],
}

/// `struct webb_talk`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Talk {
    kind: u8,
    flags: u8,
    pad: [u8; 2],
    netns: u32,
    cookie: u64,
    netns_cookie: u64,
    first: u64,
    last: u64,
    local: [u8; 16],
    peer: [u8; 16],
    local_port: u16,
    peer_port: u16,
    pad2: u32,
    bytes: [u64; 2],
    packets: [u64; 2],
    owner: OwnerRecord,
}

/// `struct webb_sample`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Sample {
    kind: u8,
    pad: [u8; 3],
    generation: u32,
    at: u64,
    cookie: u64,
    netns_cookie: u64,
    sent: u64,
    received: u64,
    srtt_us: u32,
    min_rtt_us: u32,
    retransmits: u32,
    pad2: u32,
}

/// `struct webb_alive`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Alive {
    kind: u8,
    pad: [u8; 3],
    generation: u32,
    cookie: u64,
    netns_cookie: u64,
}

/// `struct webb_far_listen`.
#[repr(C)]
#[derive(Clone, Copy)]
struct FarListen {
    kind: u8,
    pad: u8,
    port: u16,
    netns: u32,
    pass: u32,
    pad2: u32,
    addr: [u8; 16],
}

/// Bytes of a record that describes a socket, with the ring's own header.
pub(super) const FULL_RECORD: usize = size_of::<Record>() + 8;

/// Types for which every bit pattern of the right size is a value.
trait Plain: Copy {}
impl Plain for Record {}
impl Plain for Sample {}
impl Plain for Alive {}
impl Plain for FarListen {}
impl Plain for Talk {}

fn read<T: Plain>(bytes: &[u8]) -> Option<T> {
    if bytes.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: long enough (checked above), unaligned read, and T is repr(C) of integers only.
    Some(unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast::<T>()) })
}

/// A record of the walk as a fact.
pub(super) fn parse_met(bytes: &[u8]) -> Option<Fact> {
    let mut fact = parse(bytes)?;
    if let Fact::Listen(f) = &mut fact {
        f.met = true;
    }
    Some(fact)
}

/// The last turns of an end that closed, where its record holds them.
pub(super) fn last_turns(bytes: &[u8]) -> Option<Fact> {
    if *bytes.first()? != ENDED {
        return None;
    }
    let r = read::<Record>(bytes)?;
    let count = usize::from(r.turns).min(FEW_TURNS);
    let mut codes = [0; 16];
    codes.iter_mut().zip(r.turn).take(count).for_each(|(to, code)| *to = code);
    let id = EndId { netns_cookie: r.netns_cookie, cookie: r.cookie, generation: r.generation };
    let fact = TurnsFact { id, at: BootNs(r.at), from: r.turn_from, count: count as u8, codes };
    (count > 0).then_some(Fact::Turns(fact))
}

/// One record as a fact; `None` for a kind or length that this build does not know.
pub(super) fn parse(bytes: &[u8]) -> Option<Fact> {
    match *bytes.first()? {
        SAMPLE => read::<Sample>(bytes).map(|s| {
            Fact::Sample(SampleFact {
                id: EndId { netns_cookie: s.netns_cookie, cookie: s.cookie, generation: s.generation },
                at: BootNs(s.at),
                seen: seen(s.sent, s.received, s.srtt_us, s.min_rtt_us, s.retransmits),
            })
        }),
        ALIVE => read::<Alive>(bytes).map(|a| {
            Fact::Alive(EndId { netns_cookie: a.netns_cookie, cookie: a.cookie, generation: a.generation })
        }),
        FAR_LISTEN => read::<FarListen>(bytes).map(|l| Fact::FarListener {
            pass: l.pass,
            netns: l.netns,
            local: Endpoint::from_bytes(l.addr, l.port),
        }),
        TALK => read::<Talk>(bytes).map(|t| Fact::Talk(from_talk(&t))),
        kind @ (ESTABLISHED | ENDED | NOT_SENT | LISTEN | LISTEN_END | MET) => {
            read::<Record>(bytes).map(|r| from_record(kind, &r))
        }
        _ => None,
    }
}

fn owner(o: &OwnerRecord, netns: u32) -> OwnerFact {
    OwnerFact {
        process: (o.pid != 0).then_some((ProcessKey { pid: o.pid, start_ns: o.start }, Comm(o.comm))),
        evidence: OwnerEvidence::from_number(o.evidence as u8),
        cgroup: o.cgroup,
        netns,
    }
}

fn from_talk(t: &Talk) -> TalkFact {
    TalkFact {
        id: EndId { netns_cookie: t.netns_cookie, cookie: t.cookie, generation: 0 },
        first: BootNs(t.first),
        last: BootNs(t.last),
        sent_first: t.flags & T_SENT_FIRST != 0,
        old: t.flags & T_OLD != 0,
        local: Endpoint::from_bytes(t.local, t.local_port),
        peer: Endpoint::from_bytes(t.peer, t.peer_port),
        owner: owner(&t.owner, t.netns),
        bytes: t.bytes,
        packets: t.packets,
    }
}

fn from_record(kind: u8, r: &Record) -> Fact {
    let id = EndId { netns_cookie: r.netns_cookie, cookie: r.cookie, generation: r.generation };
    let at = BootNs(r.at);
    let owner = owner(&r.owner, r.netns);
    let local = Endpoint::from_bytes(r.local, r.local_port);
    match kind {
        LISTEN => {
            return Fact::Listen(ListenFact {
                id,
                at,
                local,
                owner,
                met: false,
                backlog: Some((r.backlog, r.max_backlog)),
            });
        }
        LISTEN_END => return Fact::ListenClosed { id, at },
        _ => {}
    }
    let role = Role::from_number(r.role);
    let established = r.flags & F_ESTABLISHED != 0;
    let moment = match kind {
        ESTABLISHED => Moment::Established,
        NOT_SENT => Moment::Failed(Outcome::NoRoute),
        ENDED if established => Moment::Closed(ending(r.flags, r.old_state, r.err)),
        ENDED => Moment::Failed(failed_outcome(r.flags, r.err)),
        _ => Moment::Met,
    };
    Fact::End(EndFact {
        id,
        at,
        moment,
        local,
        peer: Endpoint::from_bytes(r.peer, r.peer_port),
        role,
        role_evidence: RoleEvidence::from_number(r.role_evidence),
        owner,
        adopted: r.flags & F_ADOPTED != 0,
        isns: established.then_some(Isns { tx: r.isn_tx, rx: r.isn_rx }),
        opened: BootNs(r.opened),
        established: BootNs(r.established),
        seen: seen(r.sent, r.received, r.srtt_us, r.min_rtt_us, r.retransmits),
        route: route(r.route),
    })
}

fn route(flags: u8) -> Option<Route> {
    let has = |flag| flags & flag != 0;
    has(R_KNOWN).then(|| Route { wireguard: has(R_WIREGUARD), cilium: has(R_CILIUM), esp: has(R_ESP) })
}

fn seen(sent: u64, received: u64, srtt_us: u32, min_rtt_us: u32, retransmits: u32) -> Seen {
    Seen {
        bytes_sent: sent,
        bytes_received: received,
        srtt_us: (srtt_us != 0).then_some(srtt_us),
        min_rtt_us: (min_rtt_us != u32::MAX).then_some(min_rtt_us),
        retransmits,
        packets: None,
    }
}

/// errno values that `sk_err` holds at CLOSE (asm-generic/errno.h).
mod errno {
    pub(super) const EACCES: u16 = 13;
    pub(super) const EPIPE: u16 = 32;
    pub(super) const ENONET: u16 = 64;
    pub(super) const EPROTO: u16 = 71;
    pub(super) const ENOPROTOOPT: u16 = 92;
    pub(super) const EOPNOTSUPP: u16 = 95;
    pub(super) const ENETUNREACH: u16 = 101;
    pub(super) const ECONNABORTED: u16 = 103;
    pub(super) const ECONNRESET: u16 = 104;
    pub(super) const ETIMEDOUT: u16 = 110;
    pub(super) const ECONNREFUSED: u16 = 111;
    pub(super) const EHOSTDOWN: u16 = 112;
    pub(super) const EHOSTUNREACH: u16 = 113;

    /// What the kernel makes of ICMP and ICMPv6 errors other than "port unreachable"
    /// (`icmp_err_convert` in net/ipv4/icmp.c, `icmpv6_err_convert` in net/ipv6/icmp.c), and of
    /// unanswered ARP and ND. EACCES: a firewall says "administratively prohibited" over IPv6.
    pub(super) fn is_unreachable(err: u16) -> bool {
        matches!(
            err,
            EACCES | ENONET | EPROTO | ENOPROTOOPT | EOPNOTSUPP | ENETUNREACH | EHOSTDOWN | EHOSTUNREACH
        )
    }
}

/// Outcome of a connect that came to nothing, from `sk_err` at SYN_SENT → CLOSE.
fn failed_outcome(flags: u8, err: u16) -> Outcome {
    match err {
        errno::ECONNREFUSED | errno::ECONNRESET => Outcome::Refused,
        errno::ETIMEDOUT => Outcome::TimedOut,
        err if errno::is_unreachable(err) => Outcome::Unreachable,
        0 if flags & F_NO_PORT != 0 => Outcome::NoPort,
        0 | errno::ECONNABORTED => Outcome::GivenUp,
        _ => Outcome::Unknown,
    }
}

/// How an established end reached CLOSE, from the state it left and `sk_err`.
fn ending(flags: u8, old_state: u8, err: u16) -> Ending {
    // include/net/tcp_states.h
    const FIN_WAIT2: u8 = 5;
    const TIME_WAIT: u8 = 6;
    const LAST_ACK: u8 = 9;
    const CLOSING: u8 = 11;
    match err {
        0 if matches!(old_state, FIN_WAIT2 | TIME_WAIT | LAST_ACK | CLOSING) => Ending::Clean,
        0 | errno::ECONNABORTED => Ending::Aborted,
        errno::ECONNRESET if flags & F_LATE_DATA != 0 => Ending::Aborted,
        errno::ECONNRESET | errno::EPIPE => Ending::Reset,
        errno::ETIMEDOUT => Ending::TimedOut,
        err if errno::is_unreachable(err) => Ending::Unreachable,
        _ => Ending::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn layouts_match_the_header() {
        // Sum of the members in bpf/webb.h: equal to the size means no padding on either side.
        assert_eq!(size_of::<OwnerRecord>(), 40);
        assert_eq!(size_of::<Record>(), 192);
        assert_eq!(size_of::<Talk>(), 152);
        assert_eq!(size_of::<Sample>(), 64);
        assert_eq!(size_of::<Alive>(), 24);
        assert_eq!(size_of::<FarListen>(), 32);
        assert_eq!(size_of::<Config>(), 8 * 4 + SCOPES * 12);
        assert_eq!(size_of::<Counts>(), 30 * 8);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_fact_or_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }
    }

    #[test]
    fn without_a_route_nothing_is_said_of_it() {
        assert_eq!(route(0), None);
        assert_eq!(route(R_KNOWN), Some(Route::default()));
        let all = Route { wireguard: true, cilium: true, esp: true };
        assert_eq!(route(R_KNOWN | R_WIREGUARD | R_CILIUM | R_ESP), Some(all));
    }

    #[test]
    fn outcomes_follow_state_and_error() {
        use Outcome::*;
        assert_eq!(ending(0, 9, 0), Ending::Clean);
        assert_eq!(ending(0, 1, 0), Ending::Aborted);
        assert_eq!(ending(0, 8, 0), Ending::Aborted);
        assert_eq!(ending(0, 1, 104), Ending::Reset);
        assert_eq!(ending(0, 8, 32), Ending::Reset);
        assert_eq!(ending(F_LATE_DATA, 4, 104), Ending::Aborted);
        assert_eq!(ending(0, 4, 104), Ending::Reset);
        assert_eq!(ending(0, 1, 110), Ending::TimedOut);
        assert_eq!(failed_outcome(0, 111), Refused);
        assert_eq!(failed_outcome(F_NO_PORT, 0), NoPort);
        assert_eq!(failed_outcome(0, 0), GivenUp);
        for icmp in [13, 64, 71, 92, 95, 101, 112, 113] {
            assert_eq!(failed_outcome(0, icmp), Unreachable);
            assert_eq!(ending(0, 1, icmp), Ending::Unreachable);
        }
    }
}
