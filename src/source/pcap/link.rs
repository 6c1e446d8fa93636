//! Link layers, by the numbers of <https://www.tcpdump.org/linktypes.html>: what lies before the IP
//! header.

use super::bytes::{array, be16, be32};
use super::counts::Skip;

/// Tags that are passed over between a link header and IP; more are no traffic of this world.
const MAX_TAGS: usize = 16;

/// The IP packet in a frame, as far as it was captured.
pub(super) fn network(link: u16, frame: &[u8]) -> Result<&[u8], Skip> {
    match link {
        // Ethernet.
        1 => ethertype(be16(frame, 12).ok_or(Skip::Cut)?, after(frame, 14)?),
        // Linux cooked capture v1: packet type, hardware type, address; then an EtherType.
        113 => ethertype(be16(frame, 14).ok_or(Skip::Cut)?, after(frame, 16)?),
        // Linux cooked capture v2: the EtherType comes first.
        276 => ethertype(be16(frame, 0).ok_or(Skip::Cut)?, after(frame, 20)?),
        // Raw IP: LINKTYPE_RAW and what systems wrote before it had a number; IPv4; IPv6.
        101 | 12 | 14 | 228 | 229 => ip(frame),
        // BSD loopback: an address family in the capturing host's order, or (OpenBSD) the network's.
        0 | 108 => {
            let raw = array(frame, 0).ok_or(Skip::Cut)?;
            let families = [u32::from_le_bytes(raw), u32::from_be_bytes(raw)];
            // AF_INET, and AF_INET6 of Linux, NetBSD, FreeBSD, macOS.
            if families.iter().any(|f| matches!(f, 2 | 10 | 24 | 28 | 30)) {
                ip(after(frame, 4)?)
            } else {
                Err(Skip::NotIp)
            }
        }
        _ => Err(Skip::Link),
    }
}

fn after(frame: &[u8], at: usize) -> Result<&[u8], Skip> {
    frame.get(at..).ok_or(Skip::Cut)
}

/// What an EtherType says of the bytes behind it: IEEE 802.1Q and 802.1ad tags, MPLS (RFC 3032).
fn ethertype(kind: u16, bytes: &[u8]) -> Result<&[u8], Skip> {
    let (mut kind, mut bytes) = (kind, bytes);
    for _ in 0..MAX_TAGS {
        match kind {
            0x0800 | 0x86dd => return ip(bytes),
            0x8100 | 0x88a8 | 0x9100 => {
                kind = be16(bytes, 2).ok_or(Skip::Cut)?;
                bytes = after(bytes, 4)?;
            }
            0x8847 | 0x8848 => {
                let bottom = be32(bytes, 0).ok_or(Skip::Cut)? & 0x100 != 0;
                bytes = after(bytes, 4)?;
                if bottom {
                    return ip(bytes);
                }
            }
            _ => return Err(Skip::NotIp),
        }
    }
    Err(Skip::Malformed)
}

fn ip(bytes: &[u8]) -> Result<&[u8], Skip> {
    match bytes.first().ok_or(Skip::Cut)? >> 4 {
        4 | 6 => Ok(bytes),
        _ => Err(Skip::NotIp),
    }
}
