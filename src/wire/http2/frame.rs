//! Frame headers of RFC 9113 section 4.1.

use crate::wire::decoder::Speaker;

/// Length of a frame header.
pub(super) const HEADER: usize = 9;
/// Largest payload before the receiver allows more. Source: RFC 9113 section 6.5.2.
pub(super) const FIRST_MAX: u32 = 1 << 14;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const WITH_PRIORITY: u8 = 0x20;

/// A frame header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) len: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// Stream id, with the reserved bit: no sender sets it.
    pub(super) id: u32,
}

impl Frame {
    pub(super) fn parse(data: &[u8]) -> Option<Frame> {
        let [a, b, c, kind, flags, d, e, f, g, ..] = *data else { return None };
        Some(Frame {
            len: u32::from_be_bytes([0, a, b, c]),
            kind,
            flags,
            id: u32::from_be_bytes([d, e, f, g]),
        })
    }

    pub(super) fn end_stream(self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    pub(super) fn end_headers(self) -> bool {
        self.flags & END_HEADERS != 0
    }

    pub(super) fn padded(self) -> bool {
        matches!(self.kind, DATA | HEADERS | PUSH_PROMISE) && self.flags & PADDED != 0
    }

    /// It belongs to a header block.
    pub(super) fn heads(self) -> bool {
        matches!(self.kind, HEADERS | PUSH_PROMISE | CONTINUATION)
    }

    /// Fixed fields at the start of the payload that matter. Source: RFC 9113 section 6.
    pub(super) fn fields(self) -> u32 {
        let padding = u32::from(self.padded());
        match self.kind {
            DATA => padding,
            HEADERS => padding + if self.flags & WITH_PRIORITY != 0 { 5 } else { 0 },
            PUSH_PROMISE => padding + 4,
            RST_STREAM => 4,
            GOAWAY => 8,
            SETTINGS if self.len > 0 => 6,
            _ => 0,
        }
    }

    /// Whether `from` may send this. Unknown types may have any form: they are extensions.
    pub(super) fn valid(self, from: Speaker) -> bool {
        let client = from == Speaker::Client;
        let form = match self.kind {
            DATA | CONTINUATION => self.id != 0,
            HEADERS => self.id != 0 && (!client || self.id % 2 == 1),
            PRIORITY => self.id != 0 && self.len == 5,
            RST_STREAM => self.id != 0 && self.len == 4,
            SETTINGS => {
                self.id == 0 && self.len.is_multiple_of(6) && (self.flags & ACK == 0 || self.len == 0)
            }
            PUSH_PROMISE => self.id % 2 == 1 && !client,
            PING => self.id == 0 && self.len == 8,
            GOAWAY => self.id == 0 && self.len >= 8,
            WINDOW_UPDATE => self.len == 4,
            _ => true,
        };
        form && self.id >> 31 == 0 && self.fields() <= self.len
    }

    /// Whether this is a frame header, when it may as well be anything: a known type that can stand
    /// after any other frame, no longer than `max`, with no flag that is not defined.
    pub(super) fn plausible(self, from: Speaker, max: u32) -> bool {
        let flags = match self.kind {
            DATA => END_STREAM | PADDED,
            HEADERS => END_STREAM | END_HEADERS | PADDED | WITH_PRIORITY,
            SETTINGS | PING => ACK,
            PUSH_PROMISE => END_HEADERS | PADDED,
            PRIORITY | RST_STREAM | GOAWAY | WINDOW_UPDATE => 0,
            _ => return false,
        };
        let filled = self.kind != HEADERS || self.len > self.fields();
        self.valid(from) && self.flags & !flags == 0 && self.len <= max && filled
    }
}

/// The name of an error code. Source: RFC 9113 section 7.
pub(super) fn error_name(code: u32) -> &'static str {
    match code {
        0 => "NO_ERROR",
        1 => "PROTOCOL_ERROR",
        2 => "INTERNAL_ERROR",
        3 => "FLOW_CONTROL_ERROR",
        4 => "SETTINGS_TIMEOUT",
        5 => "STREAM_CLOSED",
        6 => "FRAME_SIZE_ERROR",
        7 => "REFUSED_STREAM",
        8 => "CANCEL",
        9 => "COMPRESSION_ERROR",
        10 => "CONNECT_ERROR",
        11 => "ENHANCE_YOUR_CALM",
        12 => "INADEQUATE_SECURITY",
        13 => "HTTP_1_1_REQUIRED",
        _ => "unknown error code",
    }
}
