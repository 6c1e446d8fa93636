//! Frames of AMQP 0-9-1 (specification, section 2.3): type, channel, size, payload, an end octet.

use super::method::{self, About, Args, Method};
use super::name;
use crate::model::Known;
use crate::wire::framed::Framing;

/// What a client says first.
pub(super) const PROTOCOL: &[u8; 8] = b"AMQP\0\0\x09\x01";

/// The last octet of every frame.
pub(super) const END: u8 = 0xce;

/// Type, channel, size.
pub(super) const PREFIX: usize = 7;

/// What a frame has beside its payload.
pub(super) const OVERHEAD: u64 = 8;

/// Brokers and clients agree on 128 KiB by default, and on as much as they like.
const LONGEST: u32 = 128 << 20;

pub(super) const FRAMING: Framing = Framing { prefix: PREFIX, head: 1024, length };

/// Length of a frame, or of the protocol header.
pub(super) fn length(prefix: &[u8]) -> Option<u64> {
    if prefix.get(..PREFIX)? == PROTOCOL.get(..PREFIX)? {
        return Some(PROTOCOL.len() as u64);
    }
    let (kind, channel, size) = prefix_of(prefix)?;
    let fits = match kind {
        METHOD => size >= 4,
        HEADER => size >= 14 && channel > 0,
        BODY => channel > 0,
        HEARTBEAT => size == 0 && channel == 0,
        _ => false,
    };
    (fits && size <= LONGEST).then_some(u64::from(size) + OVERHEAD)
}

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;

fn prefix_of(data: &[u8]) -> Option<(u8, u16, u32)> {
    let mut args = Args(data);
    let kind = args.octet()?;
    let channel = args.short()?;
    let size = u32::from_be_bytes(args.take(4)?.try_into().ok()?);
    Some((kind, channel, size))
}

/// What the beginning of a frame says.
#[derive(Debug)]
pub(super) enum Frame {
    /// The protocol header, or a heartbeat.
    Other,
    Method(u16, Call),
    /// A content header with the size of the body that follows.
    Header(u16, u64),
    /// So much of a body.
    Body(u16, u64),
}

/// A method with those of its arguments that matter.
#[derive(Debug)]
pub(super) struct Call {
    pub method: &'static Method,
    pub target: Known<Box<str>>,
    pub no_wait: bool,
    /// Delivery tag and bits of ack and nack.
    pub tag: Option<(u64, u8)>,
    /// Reply code of close and return.
    pub code: Option<u16>,
}

/// Reads the captured beginning of a frame; `None`: it is none.
pub(super) fn read(head: &[u8]) -> Option<Frame> {
    if head == PROTOCOL {
        return Some(Frame::Other);
    }
    let (kind, channel, size) = prefix_of(head)?;
    let payload = head.get(PREFIX..).unwrap_or_default();
    let payload = payload.get(..usize::try_from(size).ok()?).unwrap_or(payload);
    let mut args = Args(payload);
    Some(match kind {
        METHOD => Frame::Method(channel, call(&mut args)?),
        HEADER => {
            // Only this class has content; a weight of 0 follows.
            if (args.short()?, args.short()?) != (method::BASIC, 0) {
                return None;
            }
            Frame::Header(channel, args.longlong()?)
        }
        BODY => Frame::Body(channel, u64::from(size)),
        HEARTBEAT => Frame::Other,
        _ => return None,
    })
}

fn call(args: &mut Args<'_>) -> Option<Call> {
    let method = method::method(args.short()?, args.short()?)?;
    let target = match method.about {
        About::Nothing => Known::Absent,
        _ => name::target(method.names(*args)),
    };
    let mut call = Call { method, target, no_wait: method.says_no_wait(*args), tag: None, code: None };
    match (method.class, method.id) {
        (method::BASIC, method::ACK | method::NACK) => {
            call.tag = args.longlong().and_then(|tag| Some((tag, args.octet()?)));
        }
        (method::BASIC, method::RETURN)
        | (method::CHANNEL, method::CHANNEL_CLOSE)
        | (method::CONNECTION, method::CONNECTION_CLOSE) => call.code = args.short(),
        _ => {}
    }
    Some(call)
}
