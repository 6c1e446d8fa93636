//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::bytes::{array, be16, be32};
use super::counts::Skip;

/// Extension headers that are passed over; more are an attack.
const MAX_EXTENSIONS: usize = 16;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

/// An IP packet without its headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub src: IpAddr,
    pub dst: IpAddr,
    /// IPv4's identification, which tells a copy of a packet from a retransmission; 0 for IPv6.
    pub id: u16,
    pub body: Body<'a>,
    /// It is a part of a datagram.
    pub fragment: Option<Fragment>,
}

/// What an IP packet carries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body<'a> {
    /// Protocol number.
    pub protocol: u8,
    /// What was captured of it.
    pub data: &'a [u8],
    /// Its length on the wire.
    pub len: u32,
}

/// Where a fragment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    pub id: u32,
    /// Bytes before it.
    pub offset: u32,
    /// It is not the last one.
    pub more: bool,
}

/// Reads a packet of which `wire` bytes were on the wire: with segmentation offload its own length
/// may be 0, and what lies behind its own length is padding.
pub(super) fn parse(bytes: &[u8], wire: u32) -> Result<Packet<'_>, Skip> {
    match bytes.first().ok_or(Skip::Cut)? >> 4 {
        4 => v4(bytes, wire),
        _ => v6(bytes, wire),
    }
}

fn v4(bytes: &[u8], wire: u32) -> Result<Packet<'_>, Skip> {
    let head: [u8; 20] = array(bytes, 0).ok_or(Skip::Cut)?;
    let header = usize::from(head[0] & 0xf) * 4;
    let total = match be16(&head, 2).map(u32::from) {
        Some(total) if total != 0 => total.min(wire),
        _ => wire,
    };
    let len = total.checked_sub(header as u32).filter(|_| header >= 20).ok_or(Skip::Malformed)?;
    let data = cut(bytes.get(header..).ok_or(Skip::Cut)?, len);
    let id = be16(&head, 4).unwrap_or_default();
    let flags = be16(&head, 6).unwrap_or_default();
    let fragment =
        Fragment { id: u32::from(id), offset: u32::from(flags & 0x1fff) * 8, more: flags & 0x2000 != 0 };
    Ok(Packet {
        src: Ipv4Addr::from(array::<4>(&head, 12).unwrap_or_default()).into(),
        dst: Ipv4Addr::from(array::<4>(&head, 16).unwrap_or_default()).into(),
        id,
        body: Body { protocol: head[9], data, len },
        fragment: (fragment.more || fragment.offset != 0).then_some(fragment),
    })
}

fn v6(bytes: &[u8], wire: u32) -> Result<Packet<'_>, Skip> {
    let head: [u8; 40] = array(bytes, 0).ok_or(Skip::Cut)?;
    let room = wire.checked_sub(40).ok_or(Skip::Malformed)?;
    // 0: a jumbogram (RFC 2675), or segmentation offload.
    let len = match be16(&head, 4).map(u32::from) {
        Some(len) if len != 0 => len.min(room),
        _ => room,
    };
    let body = Body { protocol: head[6], data: cut(bytes.get(40..).ok_or(Skip::Cut)?, len), len };
    let (body, fragment) = extensions(body)?;
    Ok(Packet {
        src: Ipv6Addr::from(array::<16>(&head, 8).unwrap_or_default()).into(),
        dst: Ipv6Addr::from(array::<16>(&head, 24).unwrap_or_default()).into(),
        id: 0,
        body,
        fragment,
    })
}

/// Passes over IPv6 extension headers, up to and with the one that says that this is a fragment:
/// what follows that one belongs to the whole datagram.
pub(super) fn extensions(body: Body<'_>) -> Result<(Body<'_>, Option<Fragment>), Skip> {
    let mut body = body;
    for _ in 0..MAX_EXTENSIONS {
        let data = body.data;
        let length = match body.protocol {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => 8 + 8 * extension_length(data)?,
            // RFC 4302: in units of 4 bytes, less 2.
            AUTHENTICATION => 8 + 4 * extension_length(data)?,
            FRAGMENT => 8,
            _ => return Ok((body, None)),
        };
        let rest = data.get(length..).ok_or(Skip::Cut)?;
        let len = body.len.checked_sub(length as u32).ok_or(Skip::Malformed)?;
        let is_fragment = body.protocol == FRAGMENT;
        body = Body { protocol: *data.first().ok_or(Skip::Cut)?, data: rest, len };
        if is_fragment {
            let place = be16(data, 2).ok_or(Skip::Cut)?;
            let id = be32(data, 4).ok_or(Skip::Cut)?;
            let fragment = Fragment { id, offset: u32::from(place & 0xfff8), more: place & 1 != 0 };
            // One that is both first and last is a whole datagram (RFC 6946).
            if fragment.more || fragment.offset != 0 {
                return Ok((body, Some(fragment)));
            }
        }
    }
    Err(Skip::Malformed)
}

fn extension_length(data: &[u8]) -> Result<usize, Skip> {
    data.get(1).map(|n| usize::from(*n)).ok_or(Skip::Cut)
}

fn cut(data: &[u8], len: u32) -> &[u8] {
    data.get(..len as usize).unwrap_or(data)
}
