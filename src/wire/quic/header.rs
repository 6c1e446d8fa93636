//! Long headers (RFC 8999 section 5.1, RFC 9000 section 17.2, RFC 9369 section 3.2).

use std::borrow::Cow;
use std::ops::Range;

use crate::wire::Sniff;

/// QUIC version 1 (RFC 9000).
pub const V1: u32 = 1;
/// QUIC version 2 (RFC 9369).
pub const V2: u32 = 0x6b33_43cf;
/// Longest connection id of versions 1 and 2.
const MAX_ID: usize = 20;
/// A client's Initial fills a datagram of at least this many bytes (RFC 9000 section 14.1).
const MIN_INITIAL: u32 = 1200;

/// What kind of packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The first packets of either side.
    Initial,
    /// Early data of the client.
    ZeroRtt,
    /// The rest of the handshake.
    Handshake,
    /// The server asks the client to begin again with a token.
    Retry,
    /// The server lists the versions that it knows.
    Negotiation,
    /// A version of which only the connection ids can be read.
    Unknown,
}

/// A long header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Version; 0 in a version negotiation.
    pub version: u32,
    /// What kind of packet.
    pub kind: Kind,
    /// Destination connection id.
    pub destination: &'a [u8],
    /// Source connection id.
    pub source: &'a [u8],
    /// Of a packet with a length: where the (encrypted) packet number begins and the packet ends;
    /// the end may lie behind what was captured.
    pub payload: Option<Range<usize>>,
}

/// The name of a version: `v1`, `v2`, or its number.
pub fn version_name(version: u32) -> Cow<'static, str> {
    match version {
        V1 => "v1".into(),
        V2 => "v2".into(),
        _ => format!("{version:#010x}").into(),
    }
}

/// Reads the long header at the beginning of a datagram, or of a packet in it; `None` where there is
/// none, or not all of it.
pub fn header(packet: &[u8]) -> Option<Header<'_>> {
    let mut rest = Cursor { data: packet, at: 0 };
    let first = rest.byte()?;
    if first & 0x80 == 0 {
        return None;
    }
    let version = u32::from_be_bytes(*rest.take(4)?.first_chunk()?);
    let len = rest.byte()?;
    let destination = rest.take(usize::from(len))?;
    let len = rest.byte()?;
    let source = rest.take(usize::from(len))?;
    let kind = kind(first, version);
    let mut header = Header { version, kind, destination, source, payload: None };
    if matches!(kind, Kind::Negotiation | Kind::Unknown) {
        return Some(header);
    }
    // The fixed bit, and ids no longer than these versions allow.
    if first & 0x40 == 0 || destination.len() > MAX_ID || source.len() > MAX_ID {
        return None;
    }
    if kind == Kind::Retry {
        return Some(header);
    }
    if kind == Kind::Initial {
        let token = rest.varint()?;
        rest.take(usize::try_from(token).ok()?)?;
    }
    let len = usize::try_from(rest.varint()?).ok()?;
    // A packet number and what is taken to protect the header.
    if len < 20 {
        return None;
    }
    header.payload = Some(rest.at..rest.at.checked_add(len)?);
    Some(header)
}

/// Whether a datagram of `len` bytes that begins with `data` is QUIC.
///
/// Only long headers can be recognised. Evidence is a known version with lengths that fit the
/// datagram; other versions and version negotiation leave it open.
pub fn sniff(data: &[u8], len: u32) -> Sniff {
    let Some(header) = header(data) else {
        // A header that goes on behind what was captured may still be one.
        let known = data.get(1..5).is_none_or(|v| v == V1.to_be_bytes() || v == V2.to_be_bytes());
        let open = data.len() < len as usize && data.first().is_none_or(|first| first & 0xc0 == 0xc0);
        return if known && open { Sniff::Maybe } else { Sniff::No };
    };
    match (header.kind, header.payload) {
        (Kind::Retry, _) => Sniff::Yes,
        (kind, Some(payload)) if payload.end <= len as usize => {
            // A server may answer an Initial with less.
            if kind == Kind::Initial && len < MIN_INITIAL { Sniff::Maybe } else { Sniff::Yes }
        }
        (_, Some(_)) => Sniff::No,
        (_, None) => Sniff::Maybe,
    }
}

fn kind(first: u8, version: u32) -> Kind {
    let number = first >> 4 & 3;
    match (version, number) {
        (0, _) => Kind::Negotiation,
        (V1, 0) | (V2, 1) => Kind::Initial,
        (V1, 1) | (V2, 2) => Kind::ZeroRtt,
        (V1, 2) | (V2, 3) => Kind::Handshake,
        (V1, _) | (V2, _) => Kind::Retry,
        _ => Kind::Unknown,
    }
}

/// Reads from the front.
pub(super) struct Cursor<'a> {
    pub(super) data: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(n)?;
        let taken = self.data.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// A variable-length integer (RFC 9000 section 16).
    pub(super) fn varint(&mut self) -> Option<u64> {
        let first = self.byte()?;
        let more = self.take((1usize << (first >> 6)) - 1)?;
        Some(more.iter().fold(u64::from(first & 0x3f), |n, byte| n << 8 | u64::from(*byte)))
    }
}
