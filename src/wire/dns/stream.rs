//! DNS over TCP (RFC 7766): messages with their length before them, any number of queries at once,
//! answers in any order.

use crate::wire::decoder::TEXT;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::{Asked, Message, Outcome, codes, parse};
use crate::model::{BootNs, Known, Protocol, Shape, Verdict};
use crate::wire::hash::Keyed;
use crate::wire::{Decoder, Span, Speaker, Told};

/// Most queries that wait for an answer; what comes beyond that is counted as undecoded.
const MAX_PENDING: usize = 1024;
/// Most bytes of a message that are kept while it is cut in pieces; its records behind that are not read.
const MAX_KEPT: usize = 4096;
/// After this many messages in a row that are none, the conversation is not DNS.
const MAX_BAD: u32 = 3;

/// Decodes one TCP connection.
///
/// Bounds: 1024 pending queries, 4 KiB of one message in each direction. Answers to queries that
/// were not seen are told with an empty request, and `(offset of the answer, u32::MAX)` as key.
/// A zone transfer is one exchange: told at its end, or with the next message of another id.
#[derive(Debug, Default)]
pub struct Stream {
    client: Frames,
    server: Frames,
    pending: HashMap<u16, Asked, Keyed>,
    transfer: Option<(u16, Asked, Message, Span)>,
    undecoded: u64,
    bad: u32,
}

/// One direction, cut into messages.
#[derive(Debug, Default)]
struct Frames {
    /// Bytes of the current message, its length included.
    kept: Vec<u8>,
    /// Length of the current message with its length bytes; 0 until that is known.
    whole: u64,
    /// How much of it passed.
    passed: u64,
    /// Something of it was not captured: `kept` cannot be continued.
    torn: bool,
    offset: u64,
    first: BootNs,
    lost: bool,
}

/// A message that passed whole, or of which the rest is known to be missing.
struct Frame<'a> {
    data: &'a [u8],
    offset: u64,
    span: Span,
}

impl Stream {
    /// A decoder of a connection, from its start or from any message boundary on.
    pub fn new() -> Self {
        Self::default()
    }

    fn frames(&mut self, from: Speaker) -> &mut Frames {
        match from {
            Speaker::Client => &mut self.client,
            Speaker::Server => &mut self.server,
        }
    }

    fn message(&mut self, from: Speaker, frame: &Frame<'_>, out: &mut Vec<Told>) {
        match parse(frame.data) {
            Ok(message) if message.response == (from == Speaker::Server) => {
                self.bad = 0;
                match from {
                    Speaker::Client => self.query(message, frame, out),
                    Speaker::Server => self.answer(message, frame, out),
                }
            }
            _ => {
                self.undecoded += frame.span.bytes;
                self.bad = self.bad.saturating_add(1);
                self.frames(from).lost = true;
            }
        }
    }

    fn query(&mut self, message: Message, frame: &Frame<'_>, out: &mut Vec<Told>) {
        self.finish_transfer(out);
        if self.pending.len() >= MAX_PENDING {
            self.undecoded += frame.span.bytes;
            return;
        }
        let asked = Asked {
            opcode: message.opcode,
            question: message.question,
            request: frame.span,
            key: (frame.offset, 0),
            retries: 0,
        };
        if let Some(old) = self.pending.insert(message.id, asked) {
            out.push(old.unanswered("its id was used again before an answer came"));
        }
    }

    fn answer(&mut self, mut message: Message, frame: &Frame<'_>, out: &mut Vec<Told>) {
        if let Some((id, asked, whole, span)) = &mut self.transfer
            && *id == message.id
        {
            whole.soas = whole.soas.saturating_add(message.soas);
            *span = Span { first: span.first, last: frame.span.last, bytes: span.bytes + frame.span.bytes };
            if whole.soas > 1 && asked.is_axfr() {
                self.finish_transfer(out);
            }
            return;
        }
        self.finish_transfer(out);
        let asked = match self.pending.entry(message.id) {
            Entry::Occupied(entry) if entry.get().fits(&message) => entry.remove(),
            _ => {
                let asked = Asked::unseen(&mut message, (frame.offset, u32::MAX));
                out.push(asked.answered(Shape::Unary, message, frame.span));
                return;
            }
        };
        if !asked.is_transfer() {
            out.push(asked.answered(Shape::Unary, message, frame.span));
            return;
        }
        let whole = message.rcode != 0 || (asked.is_axfr() && message.soas > 1);
        self.transfer = Some((message.id, asked, message, frame.span));
        if whole {
            self.finish_transfer(out);
        }
    }

    fn finish_transfer(&mut self, out: &mut Vec<Told>) {
        if let Some((_, asked, message, span)) = self.transfer.take() {
            out.push(asked.answered(Shape::Stream, message, span));
        }
    }
}

impl Asked {
    fn is_axfr(&self) -> bool {
        self.question.as_ref().is_some_and(|q| q.kind == codes::AXFR)
    }

    fn is_transfer(&self) -> bool {
        self.is_axfr() || self.question.as_ref().is_some_and(|q| q.kind == codes::IXFR)
    }

    /// Tells it without an answer, for a reason that says nothing of the server.
    pub(super) fn unanswered(self, why: &'static str) -> Told {
        let outcome = Outcome { shape: Shape::Unary, status: Known::Unknown(why), verdict: Verdict::Unknown };
        self.told(outcome, None)
    }
}

impl Decoder for Stream {
    fn bytes(&mut self, from: Speaker, at: BootNs, offset: u64, data: &[u8], out: &mut Vec<Told>) {
        let mut rest = data;
        while !rest.is_empty() {
            let position = offset + (data.len() - rest.len()) as u64;
            let frames = self.frames(from);
            if frames.lost {
                self.undecoded += rest.len() as u64;
                return;
            }
            // The message lies in these bytes: it is read where it is.
            if frames.passed == 0
                && let Some(whole) = whole(rest)
                && let Some((now, later)) = rest.split_at_checked(whole)
            {
                let frame = Frame {
                    // No more than would be kept of it in pieces: any split tells the same.
                    data: now.get(2..whole.min(MAX_KEPT)).unwrap_or_default(),
                    offset: position,
                    span: Span { first: at, last: at, bytes: now.len() as u64 },
                };
                self.message(from, &frame, out);
                rest = later;
                continue;
            }
            rest = frames.take(at, position, rest);
            self.complete(from, at, out);
        }
    }

    fn gap(&mut self, from: Speaker, at: BootNs, _offset: u64, len: u64, out: &mut Vec<Told>) {
        let frames = self.frames(from);
        if frames.lost || len == 0 {
            self.undecoded += len;
            return;
        }
        if frames.whole == 0 {
            // Where the next message begins is not known.
            let held = frames.passed;
            frames.reset();
            frames.lost = true;
            self.undecoded += held + len;
            return;
        }
        let inside = (frames.whole - frames.passed).min(len);
        frames.passed += inside;
        frames.torn = true;
        self.complete(from, at, out);
        if len > inside {
            self.frames(from).lost = true;
            self.undecoded += len - inside;
        }
    }

    fn turn(&mut self, from: Speaker, _out: &mut Vec<Told>) {
        self.frames(from).lost = false;
    }

    fn end(&mut self, _at: BootNs, out: &mut Vec<Told>) {
        self.undecoded += self.client.passed + self.server.passed;
        self.client.reset();
        self.server.reset();
        self.finish_transfer(out);
        let mut left: Vec<Asked> = self.pending.drain().map(|(_, asked)| asked).collect();
        left.sort_unstable_by_key(|asked| asked.key);
        out.extend(
            left.into_iter().map(|asked| asked.unanswered("the connection ended before an answer came")),
        );
    }

    fn take_undecoded(&mut self) -> u64 {
        std::mem::take(&mut self.undecoded)
    }

    fn held(&self) -> usize {
        size_of::<Self>()
            + self.client.kept.capacity()
            + self.server.kept.capacity()
            + self.pending.capacity() * size_of::<(u16, Asked)>()
            + self.pending.len() * TEXT
    }

    fn over(&self) -> Option<Known<Protocol>> {
        (self.bad >= MAX_BAD).then_some(Known::Unknown("what came is no DNS"))
    }
}

impl Stream {
    /// Reads the current message of `from` if all of it passed.
    fn complete(&mut self, from: Speaker, at: BootNs, out: &mut Vec<Told>) {
        let frames = self.frames(from);
        if frames.whole == 0 || frames.passed < frames.whole {
            return;
        }
        let mut kept = std::mem::take(&mut frames.kept);
        let frame = Frame {
            data: kept.get(2..).unwrap_or_default(),
            offset: frames.offset,
            span: Span { first: frames.first, last: at, bytes: frames.whole },
        };
        frames.reset();
        self.message(from, &frame, out);
        kept.clear();
        self.frames(from).kept = kept;
    }
}

impl Frames {
    fn reset(&mut self) {
        self.kept.clear();
        self.whole = 0;
        self.passed = 0;
        self.torn = false;
    }

    /// Takes what belongs to the current message, at most; gives back the rest.
    fn take<'a>(&mut self, at: BootNs, offset: u64, data: &'a [u8]) -> &'a [u8] {
        if self.passed == 0 {
            self.offset = offset;
            self.first = at;
        }
        // Until the length is known, only the length.
        let want = if self.whole == 0 { 2 - self.passed.min(2) } else { self.whole - self.passed };
        let n = usize::try_from(want).unwrap_or(usize::MAX).min(data.len());
        let (now, later) = data.split_at(n);
        self.passed += n as u64;
        if !self.torn {
            let room = MAX_KEPT.saturating_sub(self.kept.len());
            self.kept.extend_from_slice(now.get(..room).unwrap_or(now));
        }
        if self.whole == 0 {
            self.whole = whole(&self.kept).unwrap_or(0) as u64;
        }
        later
    }
}

/// Length of the message that begins here, its length bytes included.
fn whole(bytes: &[u8]) -> Option<usize> {
    let prefix: &[u8; 2] = bytes.first_chunk()?;
    // A length that holds no header is read as a message too, and found to be none.
    Some(2 + usize::from(u16::from_be_bytes(*prefix)))
}
