//! What a source says: plain observations of ends, before anything is concluded from them.

use crate::model::{
    BootNs, EndId, Endpoint, Isns, Outcome, OwnerEvidence, ProcessKey, Role, RoleEvidence, Seen,
};

/// One observation.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// Something happened to an end, or it was met for the first time: everything known of it.
    End(EndFact),
    /// New counters of an end that was described before.
    Sample(SampleFact),
    /// An end that was described before is still there, unchanged.
    Alive(EndId),
    /// A listener was opened, found open, or its owner became better known.
    Listen(ListenFact),
    /// A listener closed.
    ListenClosed {
        /// Which.
        id: EndId,
        /// When.
        at: BootNs,
    },
    /// A listener that is not watched: only where it is, so that adopted clients can be told.
    FarListener {
        /// Number of the pass that met it; what earlier passes met is forgotten.
        pass: u32,
        /// Network namespace inode.
        netns: u32,
        /// Where it listens.
        local: Endpoint,
    },
    /// Latencies of turns at an end.
    Turns(TurnsFact),
    /// What passed in a conversation over UDP.
    Talk(TalkFact),
    /// A walk over all live sockets begins: what it does not meet is gone.
    WalkBegan {
        /// When.
        at: BootNs,
    },
    /// The walk is over.
    WalkEnded {
        /// When.
        at: BootNs,
        /// Whether every socket could be reported; only then can absence be concluded from it.
        complete: bool,
    },
}

/// A conversation over UDP, with what passed since it was told last.
#[derive(Clone, Debug, PartialEq)]
pub struct TalkFact {
    /// The socket; `generation` is 0.
    pub id: EndId,
    /// When the first datagram passed since it was last silent, and when the last.
    pub first: BootNs,
    /// See `first`.
    pub last: BootNs,
    /// This socket spoke first; else the peer.
    pub sent_first: bool,
    /// It may have begun before it was watched.
    pub old: bool,
    /// Own address.
    pub local: Endpoint,
    /// Peer's address.
    pub peer: Endpoint,
    /// Who holds the socket.
    pub owner: OwnerFact,
    /// Payload bytes sent, and received.
    pub bytes: [u64; 2],
    /// Datagrams sent, and received.
    pub packets: [u64; 2],
}

/// Who holds a socket, as the source saw it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnerFact {
    /// Process and its command name.
    pub process: Option<(ProcessKey, Comm)>,
    /// How the process is known.
    pub evidence: OwnerEvidence,
    /// cgroup v2 id, 0 = unknown.
    pub cgroup: u64,
    /// Network namespace inode, 0 = unknown.
    pub netns: u32,
}

/// Command name of a process: at most 15 bytes and a zero, any bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Comm(pub [u8; 16]);

impl Comm {
    /// Whether it is this text, without making a new one.
    pub fn is(&self, text: &str) -> bool {
        let end = self.0.iter().position(|&b| b == 0).unwrap_or(16);
        &self.0[..end] == text.as_bytes()
    }

    /// As text; bytes that are not UTF-8 are replaced.
    pub fn to_text(self) -> String {
        let end = self.0.iter().position(|&b| b == 0).unwrap_or(16);
        String::from_utf8_lossy(&self.0[..end]).into_owned()
    }
}

/// What is being said of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It was met by a walk: adopted, or its opening record was lost, or its owner changed.
    Met,
    /// Its handshake was done.
    Established,
    /// It closed after having been established.
    Closed(Ending),
    /// It never became established.
    Failed(Outcome),
}

/// How an established end reached CLOSE, as it knows itself; roles turn it into an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// In order.
    Clean,
    /// This end gave it up: close with unread data, linger 0, killed.
    Aborted,
    /// A reset came from the peer.
    Reset,
    /// Retransmissions or keep-alives were used up.
    TimedOut,
    /// The network said that the peer cannot be reached.
    Unreachable,
    /// Not known.
    Unknown,
}

impl Ending {
    /// The outcome, once it is known which end this is.
    pub fn outcome(self, role: Role) -> Outcome {
        match (self, role) {
            (Ending::Clean, _) => Outcome::Clean,
            (Ending::TimedOut, _) => Outcome::TimedOut,
            (Ending::Unreachable, _) => Outcome::Unreachable,
            (Ending::Aborted, Role::Client) => Outcome::AbortedByClient,
            (Ending::Aborted, Role::Server) => Outcome::AbortedByServer,
            (Ending::Reset, Role::Client) => Outcome::ResetByServer,
            (Ending::Reset, Role::Server) => Outcome::ResetByClient,
            (Ending::Aborted | Ending::Reset, Role::Unknown) | (Ending::Unknown, _) => Outcome::Unknown,
        }
    }
}

/// Everything known of one end at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct EndFact {
    /// Which end.
    pub id: EndId,
    /// When.
    pub at: BootNs,
    /// What is said.
    pub moment: Moment,
    /// Own address.
    pub local: Endpoint,
    /// Peer's address as this socket has it.
    pub peer: Endpoint,
    /// Role.
    pub role: Role,
    /// How it is known.
    pub role_evidence: RoleEvidence,
    /// Who holds it.
    pub owner: OwnerFact,
    /// Open before the source watched; counters are since its first reading.
    pub adopted: bool,
    /// Sequence bases, once the handshake is done.
    pub isns: Option<Isns>,
    /// SYN sent or child made; 0 = not known.
    pub opened: BootNs,
    /// Handshake done; 0 = not yet or not known.
    pub established: BootNs,
    /// Counters so far.
    pub seen: Seen,
    /// Where its packets go; `None` where the source does not know.
    pub route: Option<Route>,
}

/// Where the packets of a socket go, by the route that it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// By a device of WireGuard.
    pub wireguard: bool,
    /// ... that is Cilium's, by its name.
    pub cilium: bool,
    /// By an ESP transform that encrypts (RFC 4303).
    pub esp: bool,
}

/// Turns of one end as the source measured them: see [`crate::model::Turns`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TurnsFact {
    /// At which end.
    pub id: EndId,
    /// When this was told.
    pub at: BootNs,
    /// Number of the first code; the codes of an end are numbered from 0, and may be told twice.
    pub from: u32,
    /// Codes used.
    pub count: u8,
    /// Class in the upper three bits (`enum webb_turn`), microseconds in the lower 29.
    pub codes: [u32; 16],
}

/// Counters of an end described before.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleFact {
    /// Which end.
    pub id: EndId,
    /// When it was read.
    pub at: BootNs,
    /// Counters so far.
    pub seen: Seen,
}

/// A listening socket.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenFact {
    /// Which socket.
    pub id: EndId,
    /// When.
    pub at: BootNs,
    /// Where it listens; the unspecified address for all.
    pub local: Endpoint,
    /// Who holds it.
    pub owner: OwnerFact,
    /// It was met by a walk, rather than seen to be opened.
    pub met: bool,
    /// Connections that wait to be accepted, and how many may.
    pub backlog: Option<(u32, u32)>,
}
