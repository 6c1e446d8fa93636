//! Bytes as a source saw them at one end: pieces of TCP segments, and datagrams. They are borrowed,
//! so that nothing is allocated for them on the way.

use super::fact::{Fact, OwnerFact};
use crate::model::{BootNs, EndId, Endpoint};
use crate::wire::tls::Handed;

/// A TCP segment with payload, or as much of its beginning as was captured.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// At which end.
    pub id: EndId,
    /// When it passed there.
    pub at: BootNs,
    /// Sent by this end; else received.
    pub sent: bool,
    /// Sequence number of the first byte of payload.
    pub seq: u32,
    /// Acknowledgement number: what the sender had received in order.
    pub ack: u32,
    /// Length of the segment's payload.
    pub len: u32,
    /// The captured beginning of the payload, at most `len` bytes.
    pub data: &'a [u8],
    /// The other direction spoke since the last payload in this direction: when it last did.
    pub turned: Option<BootNs>,
    /// The source saw every byte in this direction before `seq`, and chose what to capture of it.
    pub in_order: bool,
}

/// How far each direction of an end has come, where not every segment makes a [`Piece`].
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// At which end.
    pub id: EndId,
    /// First sequence number that was not sent yet, and when the byte before it was.
    pub sent: Option<(u32, BootNs)>,
    /// The same for what was received.
    pub received: Option<(u32, BootNs)>,
}

/// Payload that came with a handshake and was seen at the listener, before the socket of the
/// connection existed.
#[derive(Clone, Copy, Debug)]
pub struct Early<'a> {
    /// Network namespace inode of the listener.
    pub netns: u32,
    /// Own address.
    pub local: Endpoint,
    /// Peer's address.
    pub peer: Endpoint,
    /// The segment; `id` is the listener's.
    pub piece: Piece<'a>,
}

/// A datagram.
#[derive(Clone, Debug)]
pub struct Datagram<'a> {
    /// At which socket.
    pub id: EndId,
    /// When.
    pub at: BootNs,
    /// Sent by this socket; else received.
    pub sent: bool,
    /// Own address.
    pub local: Endpoint,
    /// Peer's address.
    pub peer: Endpoint,
    /// Who holds the socket.
    pub owner: OwnerFact,
    /// Length of the payload.
    pub len: u32,
    /// The captured beginning of it.
    pub data: &'a [u8],
    /// It is counted in a [`TalkFact`](super::TalkFact) too.
    pub counted: bool,
}

/// A certificate that a process had from its peer.
#[derive(Clone, Copy, Debug)]
pub struct HandedAt<'a> {
    /// The end that its thread had read last.
    pub id: EndId,
    /// When.
    pub at: BootNs,
    /// The certificate.
    pub handed: Handed<'a>,
}

/// One thing that a source says.
#[derive(Debug)]
pub enum Observation<'a> {
    /// Of ends and listeners.
    Fact(Fact),
    /// Payload of a segment.
    Piece(Piece<'a>),
    /// How far both directions are.
    Progress(Progress),
    /// Payload that came with a handshake.
    Early(Early<'a>),
    /// A datagram.
    Datagram(Datagram<'a>),
    /// A certificate.
    Handed(HandedAt<'a>),
}
