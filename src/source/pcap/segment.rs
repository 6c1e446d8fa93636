//! TCP (RFC 9293) and UDP (RFC 768) headers.

use super::bytes::{be16, be32};
use super::counts::Skip;
use super::ip::Body;

/// A TCP segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    pub src: u16,
    pub dst: u16,
    pub seq: u32,
    /// Acknowledgement number, where there is one.
    pub ack: Option<u32>,
    pub syn: bool,
    pub fin: bool,
    pub rst: bool,
    /// Length of the payload on the wire.
    pub len: u32,
    /// What was captured of it.
    pub data: &'a [u8],
    /// Options in the header, as far as captured.
    pub options: &'a [u8],
    /// Of the header as captured: the same for copies of one packet, different for retransmissions.
    pub digest: u32,
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Udp<'a> {
    pub src: u16,
    pub dst: u16,
    pub len: u32,
    pub data: &'a [u8],
}

/// Reads a segment; `id` is the packet's identification.
pub(super) fn tcp(body: Body<'_>, id: u16) -> Result<Segment<'_>, Skip> {
    let bytes = body.data;
    let head: &[u8; 20] = bytes.first_chunk().ok_or(Skip::Cut)?;
    let header = usize::from(head[12] >> 4) * 4;
    let len = body.len.checked_sub(header as u32).filter(|_| header >= 20).ok_or(Skip::Malformed)?;
    let flags = head[13];
    let options = bytes.get(20..header.min(bytes.len())).unwrap_or_default();
    Ok(Segment {
        src: be16(head, 0).unwrap_or_default(),
        dst: be16(head, 2).unwrap_or_default(),
        seq: be32(head, 4).unwrap_or_default(),
        ack: be32(head, 8).filter(|_| flags & 0x10 != 0),
        syn: flags & 2 != 0,
        fin: flags & 1 != 0,
        rst: flags & 4 != 0,
        len,
        data: bytes.get(header..).unwrap_or_default(),
        options,
        digest: digest(head, options, id, len),
    })
}

impl Segment<'_> {
    /// The largest payload that the sender takes, as its SYN says (RFC 9293 section 3.7.1).
    pub(super) fn max_segment(&self) -> Option<u32> {
        let mut rest = self.options;
        loop {
            rest = match *rest {
                [1, ref behind @ ..] => behind,
                [2, 4, a, b, ..] => return Some(u32::from(u16::from_be_bytes([a, b]))),
                [0, ..] | [] | [_] => return None,
                [_, length, ..] => rest.get(usize::from(length.max(2))..)?,
            };
        }
    }
}

/// FNV-1a over words. The checksum is left out: where it is offloaded, only the last copy has it.
fn digest(head: &[u8; 20], options: &[u8], id: u16, len: u32) -> u32 {
    let mut hash = 0x811c_9dc5u32;
    let mut mix = |word: u32| hash = (hash ^ word).wrapping_mul(0x0100_0193).rotate_left(5);
    mix(u32::from(id));
    mix(len);
    for word in head[..16].chunks_exact(4).chain(options.chunks_exact(4)) {
        mix(be32(word, 0).unwrap_or_default());
    }
    hash
}

/// Reads a datagram.
pub(super) fn udp(body: Body<'_>) -> Result<Udp<'_>, Skip> {
    let bytes = body.data;
    let head: &[u8; 8] = bytes.first_chunk().ok_or(Skip::Cut)?;
    let room = body.len.checked_sub(8).ok_or(Skip::Malformed)?;
    // 0: a jumbogram (RFC 2675), or segmentation offload.
    let len = match be16(head, 4).map(u32::from) {
        None | Some(0) => room,
        Some(length) => length.checked_sub(8).ok_or(Skip::Malformed)?.min(room),
    };
    let data = bytes.get(8..).unwrap_or_default();
    Ok(Udp {
        src: be16(head, 0).unwrap_or_default(),
        dst: be16(head, 2).unwrap_or_default(),
        len,
        data: data.get(..len as usize).unwrap_or(data),
    })
}
