//! gRPC over HTTP/2: status codes and length-prefixed messages.
//!
//! Source: gRPC over HTTP2 (`PROTOCOL-HTTP2.md`) and status codes (`statuscodes.md`) of the gRPC
//! documentation.

use std::borrow::Cow;

use crate::model::{BootNs, Verdict};

/// CANCELLED.
pub(super) const CANCELLED: &str = "CANCELLED";

/// Name and meaning of a status code.
pub(super) fn status(code: u32) -> (Cow<'static, str>, Verdict) {
    const NAMES: [&str; 17] = [
        "OK",
        CANCELLED,
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    let verdict = match code {
        0 => Verdict::Ok,
        1 => Verdict::ClientError,
        _ => Verdict::Error,
    };
    let name = usize::try_from(code).ok().and_then(|c| NAMES.get(c));
    (name.map_or_else(|| Cow::Owned(code.to_string()), |n| Cow::Borrowed(*n)), verdict)
}

/// Whether a content type is gRPC with its status in trailers (gRPC-Web has it in the body).
pub(super) fn content_type(value: &[u8]) -> bool {
    value.strip_prefix(b"application/grpc").is_some_and(|rest| matches!(rest, [] | [b'+' | b';', ..]))
}

/// Two small frames this far apart are not one message.
const APART_NS: u64 = 5_000_000;
/// Senders cut a large message into frames of at least this size, unless a window is full.
const FULL_FRAME: u32 = 8 << 10;

/// Counts the messages of one direction of a stream: each has a prefix of one byte (compressed or
/// not) and a length of four.
#[derive(Debug, Default)]
pub(super) struct Messages {
    count: u32,
    left: u32,
    prefix: [u8; 5],
    have: u8,
    /// A prefix was not seen: from here on messages cannot be told apart.
    blind: bool,
    /// What was seen is no message.
    odd: bool,
    /// The last frame with content: its length and when it began.
    frame: Option<(u32, BootNs)>,
    spread: bool,
}

impl Messages {
    /// A DATA frame with content begins.
    pub(super) fn frame(&mut self, len: u32, at: BootNs) {
        if len == 0 {
            return;
        }
        let last = self.frame.replace((len, at));
        self.spread |=
            last.is_some_and(|(len, then)| len < FULL_FRAME && at.0.saturating_sub(then.0) > APART_NS);
    }

    /// Content of DATA frames.
    pub(super) fn content(&mut self, mut data: &[u8]) {
        while !self.blind && !data.is_empty() {
            let skip = data.len().min(self.left as usize);
            self.left -= skip as u32;
            data = data.get(skip..).unwrap_or_default();
            let have = usize::from(self.have);
            let n = data.len().min(self.prefix.len() - have);
            let (now, later) = data.split_at(n);
            if let Some(into) = self.prefix.get_mut(have..have + n) {
                into.copy_from_slice(now);
            }
            self.have += n as u8;
            data = later;
            if usize::from(self.have) == self.prefix.len() {
                let [compressed, length @ ..] = self.prefix;
                self.have = 0;
                self.left = u32::from_be_bytes(length);
                self.count = self.count.saturating_add(1);
                self.odd = compressed > 1;
                self.blind = self.odd;
            }
        }
    }

    /// Content that was not captured.
    pub(super) fn gap(&mut self, len: u32) {
        match self.left.checked_sub(len) {
            Some(left) => self.left = left,
            None => self.blind = true,
        }
    }

    /// More than one message: for sure, or where they are not visible, by what lies apart in time.
    pub(super) fn several(&self) -> bool {
        self.count > 1 || self.blind && self.spread
    }

    /// All was seen, and it is whole messages.
    pub(super) fn framed(&self) -> bool {
        self.count > 0 && !self.blind && self.left == 0 && self.have == 0
    }

    /// What was seen is whole messages, as far as it was seen.
    pub(super) fn may_be(&self) -> bool {
        !self.odd && (self.blind || self.left == 0 && self.have == 0)
    }
}
