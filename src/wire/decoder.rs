//! What all decoders have in common.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::model::{BootNs, Known, Protocol, Shape, Verdict};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Speaker {
    /// The one who connected.
    Client,
    /// The one who was connected to.
    Server,
}

impl Speaker {
    /// The other one.
    pub fn other(self) -> Speaker {
        match self {
            Speaker::Client => Speaker::Server,
            Speaker::Server => Speaker::Client,
        }
    }
}

/// Whether the first bytes of a conversation are of a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniff {
    /// There is evidence for it: not one magic byte, but something that chance does not make.
    Yes,
    /// Fits so far; more bytes are needed.
    Maybe,
    /// It cannot be.
    No,
}

/// Where a message lies in time and how long it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// When its first byte was seen.
    pub first: BootNs,
    /// When its last byte was seen.
    pub last: BootNs,
    /// Its length on the wire: heads, bodies, framing.
    pub bytes: u64,
}

/// One request with its response, as far as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Protocol of this exchange.
    pub protocol: Protocol,
    /// Whether its latency counts.
    pub shape: Shape,
    /// What kind of request: `GET`, `SELECT`, `HGET`, `A`, `Produce`; empty where there is none.
    pub method: Cow<'static, str>,
    /// What it is about, redacted: path template, statement without literals, DNS name, topic.
    pub target: Known<Box<str>>,
    /// What the answer says, in the protocol's own words: `200`, `OK`, `NXDOMAIN`, SQLSTATE.
    pub status: Known<Cow<'static, str>>,
    /// What that means.
    pub verdict: Verdict,
    /// The request. `bytes` 0 where its start was not seen, and its times 0 where nothing of it was:
    /// no latency is measured then.
    pub request: Span,
    /// The response; `None` where none came (or none is expected).
    pub response: Option<Span>,
    /// Offset of the request's first byte in what the client said on this connection, and a number
    /// that tells requests at one offset apart (HTTP/2: stream id). The same at both ends.
    pub key: (u64, u32),
    /// DNS only: what was asked and answered, for naming addresses.
    pub dns: Option<Box<Dns>>,
}

/// What a DNS exchange said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// The name that was asked for, lower case, no final dot.
    pub name: Box<str>,
    /// Type number asked for (1 = A, 28 = AAAA).
    pub kind: u16,
    /// Response code.
    pub rcode: u8,
    /// Answer records that matter for naming, at most 64, in order.
    pub answers: Vec<Answer>,
    /// How often the question was sent again before the answer.
    pub retries: u16,
}

/// One answer record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Owner name, lower case.
    pub name: Box<str>,
    /// What it says.
    pub record: Record,
    /// Seconds it may be kept.
    pub ttl: u32,
}

/// What an answer record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A or AAAA.
    Address(IpAddr),
    /// CNAME.
    Alias(Box<str>),
}

/// What a text that waits to be told takes, for [`Decoder::held`]: statements, subjects and paths are
/// cut at about this.
pub const TEXT: usize = 192;

/// A decoder of one connection, in one protocol.
///
/// It is given the bytes of each direction in order. Where bytes are missing their number is known:
/// inside of a body whose length the decoder knows, a gap of at most that length is harmless.
/// Elsewhere the decoder is *lost*: it tells what it can of what is pending, counts the bytes that
/// it cannot read as undecoded, and waits for [`Decoder::turn`].
///
/// Bounds: state is bounded whatever the input; heads beyond the bound are cut, never grown.
pub trait Decoder: Send {
    /// The next bytes of `from`; `offset` is the position of the first of them in all that `from`
    /// said on this connection.
    fn bytes(&mut self, from: Speaker, at: BootNs, offset: u64, data: &[u8], out: &mut Vec<Told>);

    /// `len` bytes of `from` from `offset` on were not captured; the last of them was seen at `at`.
    fn gap(&mut self, from: Speaker, at: BootNs, offset: u64, len: u64, out: &mut Vec<Told>);

    /// The next bytes of `from` most likely begin a message: the other side spoke before them and
    /// nothing is missing at this place. Only a hint: a decoder that is not lost may ignore it.
    fn turn(&mut self, from: Speaker, out: &mut Vec<Told>);

    /// The connection is over: what is pending is told, with what is known of it.
    fn end(&mut self, at: BootNs, out: &mut Vec<Told>);

    /// Bytes that could not be decoded since the last call: the exchanges in them were missed.
    fn take_undecoded(&mut self) -> u64;

    /// Requests that were missed for certain since the last call, where the protocol numbers them.
    fn take_missed(&mut self) -> u64 {
        0
    }

    /// About how many bytes it holds, itself included: for a bound over all connections. Cheap.
    fn held(&self) -> usize;

    /// The protocol is not (or no longer) this one: the conversation is to be looked at afresh.
    /// After an upgrade that is known, what it became.
    fn over(&self) -> Option<Known<Protocol>>;

    /// After [`Decoder::over`], where known: the offsets in what the client and the server said at
    /// which the next protocol begins. It may be in the middle of the last bytes that were given.
    fn over_at(&self) -> Option<(u64, u64)> {
        None
    }
}
