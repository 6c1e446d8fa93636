//! One socket's side of a conversation.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::{BootNs, EntityId, Outcome, Owner};

/// Transport protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Transport {
    /// TCP (RFC 9293).
    #[default]
    Tcp = 1,
    /// UDP (RFC 768).
    Udp = 2,
}

impl Transport {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        }
    }
}

/// An address and a port. IPv4-mapped IPv6 addresses are IPv4 here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Address, in normal form.
    pub addr: IpAddr,
    /// Port, host order; 0 when unknown.
    pub port: u16,
}

impl Endpoint {
    /// Normalises `::ffff:a.b.c.d` to `a.b.c.d`, so that a dual-stack socket is not a second peer.
    pub fn new(addr: IpAddr, port: u16) -> Self {
        Endpoint { addr: addr.to_canonical(), port }
    }

    /// From the 16 bytes in which the kernel side carries every address.
    pub fn from_bytes(bytes: [u8; 16], port: u16) -> Self {
        Endpoint::new(IpAddr::V6(Ipv6Addr::from(bytes)), port)
    }

    /// The address as 16 bytes, IPv4 as mapped.
    pub fn addr_bytes(&self) -> [u8; 16] {
        match self.addr {
            IpAddr::V4(a) => a.to_ipv6_mapped().octets(),
            IpAddr::V6(a) => a.octets(),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.addr {
            IpAddr::V4(a) => write!(f, "{a}:{}", self.port),
            IpAddr::V6(a) => write!(f, "[{a}]:{}", self.port),
        }
    }
}

/// Identity of an end: never pid, descriptor or 4-tuple, which are reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndId {
    /// Network namespace cookie, as the kernel gives it.
    pub netns_cookie: u64,
    /// Socket cookie (`bpf_get_socket_cookie`), unique per boot and namespace.
    pub cookie: u64,
    /// A socket that connects again is another end: counts `connect()`s on it.
    pub generation: u32,
}

/// Which part an end plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// Not known; never guessed from port numbers.
    #[default]
    Unknown = 0,
    /// It connected.
    Client = 1,
    /// It was accepted.
    Server = 2,
}

impl Role {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Unknown => "unknown",
            Role::Client => "client",
            Role::Server => "server",
        }
    }

    /// The role of a kernel or wire number.
    pub fn from_number(n: u8) -> Self {
        match n {
            1 => Role::Client,
            2 => Role::Server,
            _ => Role::Unknown,
        }
    }

    /// The part the peer plays.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Role::Unknown => Role::Unknown,
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        }
    }
}

/// How a role is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RoleEvidence {
    /// It is not.
    #[default]
    Unknown = 0,
    /// The state machine was seen to go through SYN_SENT.
    SawConnect = 1,
    /// The socket was cloned from a listener.
    ClonedFromListener = 2,
    /// Adopted: its local address and port are in the set of listeners.
    InListenSet = 3,
    /// Adopted: its peer's address and port are in the set of listeners of the same namespace.
    PeerInListenSet = 4,
    /// Both ends seen: only the client's sequence space counts its SYN as acknowledged data.
    SequenceNumbers = 5,
    /// The other end's role is known, so this one's is.
    PeerRole = 6,
    /// UDP: the first datagram that was seen was its own, or asked something by its own account.
    SpokeFirst = 7,
    /// What both sides said: a protocol was recognised with this end as the one who asks, or answers,
    /// and none the other way round.
    Said = 8,
}

impl RoleEvidence {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            RoleEvidence::Unknown => "unknown",
            RoleEvidence::SawConnect => "saw-connect",
            RoleEvidence::ClonedFromListener => "cloned-from-listener",
            RoleEvidence::InListenSet => "in-listen-set",
            RoleEvidence::PeerInListenSet => "peer-in-listen-set",
            RoleEvidence::SequenceNumbers => "sequence-numbers",
            RoleEvidence::PeerRole => "peer-role",
            RoleEvidence::SpokeFirst => "spoke-first",
            RoleEvidence::Said => "said",
        }
    }

    /// The evidence of a kernel or wire number; unknown numbers are [`RoleEvidence::Unknown`].
    pub fn from_number(n: u8) -> Self {
        use RoleEvidence::{
            ClonedFromListener, InListenSet, PeerInListenSet, PeerRole, Said, SawConnect, SequenceNumbers,
            SpokeFirst, Unknown,
        };
        [
            Unknown,
            SawConnect,
            ClonedFromListener,
            InListenSet,
            PeerInListenSet,
            SequenceNumbers,
            PeerRole,
            SpokeFirst,
            Said,
        ]
        .into_iter()
        .find(|e| *e as u8 == n)
        .unwrap_or_default()
    }
}

/// The two sequence bases of an end: `snd_una - bytes_acked` and `rcv_nxt - bytes_received` of
/// `struct tcp_sock`, constant over its life. A client's `tx` is its initial sequence number (its
/// SYN counts as acknowledged); a server's `tx`, and `rx` at both, is that number plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Isns {
    /// Base of what this end sends.
    pub tx: u32,
    /// Base of what it receives.
    pub rx: u32,
}

/// Counters as one end saw them. Totals since the end opened; for an adopted end since its first
/// reading, which is a baseline and not traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Payload bytes sent, without retransmissions.
    pub bytes_sent: u64,
    /// Payload bytes received in order.
    pub bytes_received: u64,
    /// Smoothed round-trip time, microseconds; `None` before the first measurement.
    pub srtt_us: Option<u32>,
    /// Minimum round-trip time in the kernel's window, microseconds.
    pub min_rtt_us: Option<u32>,
    /// Segments retransmitted.
    pub retransmits: u32,
    /// Datagrams sent and received; `None` over TCP, where packets are not counted.
    pub packets: Option<(u64, u64)>,
}

/// Where an end stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EndState {
    /// SYN sent or received, not established.
    #[default]
    Opening = 1,
    /// Established, possibly half closed.
    Established = 2,
    /// Closed after having been established.
    Closed = 3,
    /// Never established.
    Failed = 4,
}

/// One socket's side of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Identity.
    pub id: EndId,
    /// Own address and port.
    pub local: Endpoint,
    /// The peer's, as this socket has it (as dialled, before NAT).
    pub peer: Endpoint,
    /// Role.
    pub role: Role,
    /// How the role is known.
    pub role_evidence: RoleEvidence,
    /// Who holds it.
    pub owner: Owner,
    /// What slices call its owner.
    pub entity: EntityId,
    /// Whether it was open before webb watched.
    pub adopted: bool,
    /// Sequence bases; `None` before the handshake is done.
    pub isns: Option<Isns>,
    /// SYN sent, or child made.
    pub opened: BootNs,
    /// Handshake done.
    pub established: BootNs,
    /// Reached CLOSE.
    pub closed: BootNs,
    /// Where it stands.
    pub state: EndState,
    /// How it ended, as this end knows.
    pub outcome: Option<Outcome>,
    /// What it counted.
    pub seen: Seen,
}

impl End {
    /// Client only: SYN to ESTABLISHED in microseconds, SYN retransmissions included.
    pub fn connect_us(&self) -> Option<u64> {
        (self.role == Role::Client && !self.adopted && self.established.0 != 0 && self.opened.0 != 0)
            .then(|| self.established.since(self.opened) / 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_are_ipv4() {
        let mut bytes = [0u8; 16];
        bytes[10] = 0xff;
        bytes[11] = 0xff;
        bytes[12..].copy_from_slice(&[10, 0, 0, 7]);
        let e = Endpoint::from_bytes(bytes, 80);
        assert_eq!(e.to_string(), "10.0.0.7:80");
        assert_eq!(e.addr_bytes(), bytes);
    }

    #[test]
    fn ipv6_is_bracketed() {
        assert_eq!(Endpoint::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 1).to_string(), "[::1]:1");
    }
}
