//! WebSocket (RFC 6455) after the upgrade: one stream, told once, at its end.
//!
//! Frames are passed over by their length; of the content nothing is looked at but the code of the
//! first close frame. State: the part of a frame header.

use std::borrow::Cow;

use super::decoder::{Decoder, Span, Speaker, TEXT, Told};
use crate::model::{BootNs, Known, Protocol, Shape, Verdict};

/// Longest frame header: two bytes, eight of length, four of mask (RFC 6455 section 5.2), and the
/// two bytes of a close code.
const HEADER: usize = 16;

/// Decoder of one WebSocket.
pub struct WebSocket {
    target: Known<Box<str>>,
    key: u64,
    client: Direction,
    server: Direction,
    /// The first close frame: its code if it has one, and who sent it.
    close: Option<(Option<u16>, Speaker)>,
    over: Option<Known<Protocol>>,
    told: bool,
}

#[derive(Default)]
struct Direction {
    span: Option<Span>,
    header: [u8; HEADER],
    held: usize,
    /// Bytes of payload to come.
    left: u64,
    lost: bool,
    /// A frame boundary is hoped for, not known.
    unsure: bool,
    position: u64,
}

impl WebSocket {
    /// A WebSocket that was opened by a request for `target`; its first byte from the client is at
    /// offset `from` of what the client said on the connection.
    pub fn new(target: Known<Box<str>>, from: u64) -> Self {
        WebSocket {
            target,
            key: from,
            client: Direction { position: from, ..Direction::default() },
            server: Direction::default(),
            close: None,
            over: None,
            told: false,
        }
    }

    fn direction(&mut self, from: Speaker) -> &mut Direction {
        match from {
            Speaker::Client => &mut self.client,
            Speaker::Server => &mut self.server,
        }
    }

    fn tell(&mut self, out: &mut Vec<Told>) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let (status, verdict) = match self.close {
            // 1005: a close frame without a code (RFC 6455 section 7.1.5).
            Some((None, _)) => (Known::Known(Cow::Borrowed("1005")), Verdict::Ok),
            Some((Some(code), by)) => (Known::Known(Cow::Owned(code.to_string())), verdict(code, by)),
            None if self.client.lost || self.server.lost => {
                (Known::Unknown("the end was not captured"), Verdict::Unknown)
            }
            None => (Known::Absent, Verdict::Unknown),
        };
        let began = self.server.span.map(|s| s.first).unwrap_or_default();
        out.push(Told {
            protocol: Protocol::WebSocket,
            shape: Shape::Stream,
            method: Cow::Borrowed(""),
            target: self.target.clone(),
            status,
            verdict,
            request: self.client.span.unwrap_or(Span { first: began, last: began, bytes: 0 }),
            response: self.server.span,
            // The request that opened it has number 0.
            key: (self.key, 1),
            dns: None,
        });
    }
}

/// What a close code means (RFC 6455 section 7.4.1 and the IANA registry).
fn verdict(code: u16, by: Speaker) -> Verdict {
    match (code, by) {
        (1000 | 1001, _) => Verdict::Ok,
        // Internal error, restart, try again later, bad gateway.
        (1011..=1014, _) => Verdict::Error,
        // The other side broke a rule: protocol, data that is not accepted, policy, size.
        (1002 | 1003 | 1007..=1009, Speaker::Server) | (1010, _) => Verdict::ClientError,
        (1002 | 1003 | 1007..=1009, Speaker::Client) => Verdict::Error,
        // The application's own.
        _ => Verdict::Unknown,
    }
}

impl Direction {
    fn passed(&mut self, at: BootNs, offset: u64, len: u64) {
        let span = self.span.get_or_insert(Span { first: at, last: at, bytes: 0 });
        span.last = at;
        span.bytes = span.bytes.saturating_add(len);
        self.position = offset.saturating_add(len);
    }

    /// Passes over frames; `close` becomes the code of the first close frame. False where they end
    /// to be frames; what follows does not belong to the stream.
    fn frames(&mut self, from: Speaker, data: &[u8], close: &mut Option<Option<u16>>) -> bool {
        let mut rest = data;
        while !rest.is_empty() {
            if self.left > 0 {
                let n = self.left.min(rest.len() as u64);
                self.left -= n;
                rest = usize::try_from(n).ok().and_then(|n| rest.get(n..)).unwrap_or_default();
                continue;
            }
            // The longest header fits, so there is a place.
            let (Some((&b, after)), Some(place)) = (rest.split_first(), self.header.get_mut(self.held))
            else {
                return false;
            };
            *place = b;
            self.held += 1;
            rest = after;
            match Frame::parse(from, self.header.get(..self.held).unwrap_or_default()) {
                Ok(None) => {}
                Ok(Some(frame)) => {
                    self.held = 0;
                    self.left = frame.left;
                    *close = close.or(frame.close);
                }
                Err(Invalid) => {
                    if let (Some(span), false) = (&mut self.span, self.unsure) {
                        span.bytes = span.bytes.saturating_sub(rest.len() as u64);
                    }
                    return false;
                }
            }
        }
        true
    }
}

struct Invalid;

struct Frame {
    /// Bytes of payload after what was parsed.
    left: u64,
    close: Option<Option<u16>>,
}

impl Frame {
    /// `None` if more bytes are needed.
    fn parse(from: Speaker, h: &[u8]) -> Result<Option<Frame>, Invalid> {
        let Some((&first, rest)) = h.split_first() else { return Ok(None) };
        let opcode = first & 15;
        // RSV1 is of permessage-deflate (RFC 7692); the others have no use so far.
        if first & 0x30 != 0 || !matches!(opcode, 0..=2 | 8..=10) {
            return Err(Invalid);
        }
        let Some((&second, rest)) = rest.split_first() else { return Ok(None) };
        let masked = second & 0x80 != 0;
        let control = opcode >= 8;
        if masked != (from == Speaker::Client) || (control && (second & 0x7f > 125 || first & 0x80 == 0)) {
            return Err(Invalid);
        }
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((length, rest)) = rest.split_at_checked(extended) else { return Ok(None) };
        let length = match extended {
            0 => u64::from(second & 0x7f),
            _ => length.iter().fold(0, |n, b| n << 8 | u64::from(*b)),
        };
        if length > u64::MAX / 2 {
            return Err(Invalid);
        }
        let Some((mask, rest)) = rest.split_at_checked(if masked { 4 } else { 0 }) else { return Ok(None) };
        if opcode != 8 {
            return Ok(Some(Frame { left: length, close: None }));
        }
        if length < 2 {
            return Ok(Some(Frame { left: length, close: Some(None) }));
        }
        let [high, low] = rest else { return Ok(None) };
        let mask = mask.first_chunk::<2>().copied().unwrap_or_default();
        let code = u16::from_be_bytes([high ^ mask[0], low ^ mask[1]]);
        Ok(Some(Frame { left: length - 2, close: Some(Some(code)) }))
    }
}

impl Decoder for WebSocket {
    fn bytes(&mut self, from: Speaker, at: BootNs, offset: u64, data: &[u8], out: &mut Vec<Told>) {
        if data.is_empty() || self.over.is_some() {
            return;
        }
        let direction = self.direction(from);
        direction.passed(at, offset, data.len() as u64);
        if direction.lost {
            return;
        }
        let mut close = None;
        let unsure = direction.unsure;
        let lost = !direction.frames(from, data, &mut close);
        direction.lost = lost;
        self.close = self.close.or(close.map(|code| (code, from)));
        if lost && !unsure {
            self.over = Some(Known::Unknown("not WebSocket"));
            self.tell(out);
        }
    }

    fn gap(&mut self, from: Speaker, at: BootNs, offset: u64, len: u64, _: &mut Vec<Told>) {
        if len == 0 || self.over.is_some() {
            return;
        }
        let direction = self.direction(from);
        direction.passed(at, offset, len);
        if direction.left >= len && direction.held == 0 {
            direction.left -= len;
        } else {
            direction.lost = true;
        }
    }

    fn turn(&mut self, from: Speaker, _: &mut Vec<Told>) {
        let direction = self.direction(from);
        if direction.lost {
            let (span, position) = (direction.span, direction.position);
            *direction = Direction { span, position, unsure: true, ..Direction::default() };
        }
    }

    fn end(&mut self, _: BootNs, out: &mut Vec<Told>) {
        self.tell(out);
    }

    /// Always 0: what is missed are frames of the one exchange, whose bytes are counted.
    fn take_undecoded(&mut self) -> u64 {
        0
    }

    fn held(&self) -> usize {
        size_of::<Self>() + TEXT
    }

    fn over(&self) -> Option<Known<Protocol>> {
        self.over.clone()
    }
}

#[cfg(test)]
#[path = "websocket_tests.rs"]
mod tests;
