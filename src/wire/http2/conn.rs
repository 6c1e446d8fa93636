//! The streams of a connection, from the frames of both directions.

use crate::wire::decoder::TEXT;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::frame::{self, FIRST_MAX, Frame};
use super::half::Block;
use super::head::{Head, MISSED, OLDER};
use super::stream::{End, Stream};
use crate::model::{BootNs, Protocol};
use crate::wire::decoder::{Span, Speaker, Told};

/// Streams that are held at a time.
pub(super) const MAX_STREAMS: usize = 1024;
/// How far ahead of the newest stream id one is taken for the next of the client.
const AHEAD: u32 = 2000;
/// The least that a request takes: a frame header and one byte.
const LEAST_REQUEST: u64 = 10;
/// A stream on which nothing came for so long since bytes were missed has most likely ended there.
const DOUBT_NS: u64 = 30_000_000_000;
/// The same where there is no room for more.
const HASTE_NS: u64 = 1_000_000_000;

/// Stream ids are small numbers in order; chance collisions are bounded by `MAX_STREAMS`.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, n: u32) {
        self.0 = (self.0 ^ u64::from(n)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Some of a DATA frame.
pub(super) struct Part<'a> {
    /// The frame begins, at this time.
    pub(super) begins: Option<BootNs>,
    /// So much of its content was not captured.
    pub(super) gap: u32,
    /// Then comes this.
    pub(super) content: &'a [u8],
    /// The frame is complete.
    pub(super) ends: bool,
}

/// What both directions say of the streams.
pub(super) struct Conn {
    streams: HashMap<u32, Box<Stream>, BuildHasherDefault<IdHasher>>,
    /// Highest stream that the client opened; 0 where none was seen.
    high: u32,
    /// Streams above `high` that were told without their request.
    early: Vec<u32>,
    /// Bytes of the client that were missed since it last opened a stream.
    client_missed: u64,
    /// When bytes of the server were last missed.
    server_missed: Option<BootNs>,
    /// The first and the last time that bytes were missed since doubtful streams were looked for.
    doubt: Option<(BootNs, BootNs)>,
    /// Highest stream that the server says it may have looked at.
    goaway: Option<u32>,
    /// Largest payload that each may send.
    max_frame: [u32; 2],
    why: &'static str,
    /// There were gRPC calls on this connection.
    grpc: bool,
    pub(super) undecoded: u64,
    pub(super) missed: u64,
    pub(super) alien: bool,
}

impl Conn {
    /// Bytes that it holds beside itself.
    pub(super) fn held(&self) -> usize {
        self.streams.capacity() * size_of::<(u32, Box<Stream>)>()
            + self.streams.len() * (size_of::<Stream>() + TEXT)
            + self.early.capacity() * size_of::<u32>()
    }

    /// A connection without streams; `adopted` where some may have been opened before.
    pub(super) fn new(adopted: bool) -> Self {
        Conn {
            streams: HashMap::default(),
            high: 0,
            early: Vec::new(),
            client_missed: 0,
            server_missed: None,
            doubt: None,
            goaway: None,
            max_frame: [FIRST_MAX; 2],
            why: if adopted { OLDER } else { MISSED },
            grpc: false,
            undecoded: 0,
            missed: 0,
            alien: false,
        }
    }

    /// Stream 1 was opened by an upgrade.
    pub(super) fn open_upgraded(&mut self, stream: Stream) {
        self.high = 1;
        self.streams.insert(1, Box::new(stream));
    }

    pub(super) fn not_http2(&mut self) {
        self.alien = true;
    }

    pub(super) fn max_frame(&self, from: Speaker) -> u32 {
        self.max_frame[usize::from(from == Speaker::Server)]
    }

    pub(super) fn allow_frames(&mut self, from: Speaker, max: u32) {
        let known = &mut self.max_frame[usize::from(from == Speaker::Server)];
        *known = max.max(*known);
    }

    /// Whether a frame speaks of a stream that is open, or of one that is about to be.
    pub(super) fn expects(&self, from: Speaker, f: Frame) -> bool {
        let about_stream =
            matches!(f.kind, frame::DATA | frame::HEADERS | frame::RST_STREAM | frame::WINDOW_UPDATE);
        let next = from == Speaker::Client
            && f.kind == frame::HEADERS
            && self.high > 0
            && f.id > self.high
            && f.id - self.high <= AHEAD;
        about_stream && f.id % 2 == 1 && (next || self.streams.contains_key(&f.id))
    }

    /// Bytes that cannot be read: what was in them is not known.
    pub(super) fn lost(&mut self, from: Speaker, at: BootNs, bytes: u64) {
        self.undecoded = self.undecoded.saturating_add(bytes);
        if from == Speaker::Client {
            self.client_missed = self.client_missed.saturating_add(bytes);
        } else {
            self.server_missed = Some(at);
        }
        self.doubt = Some((self.doubt.map_or(at, |(first, _)| first), at));
    }

    /// Streams that most likely ended in bytes that were missed are told, when it is time.
    pub(super) fn tick(&mut self, at: BootNs, out: &mut Vec<Told>) {
        if let Some((first, _)) = self.doubt
            && at.0.saturating_sub(first.0) > DOUBT_NS
        {
            self.sweep(out);
        }
    }

    fn sweep(&mut self, out: &mut Vec<Told>) {
        let Some((first, last)) = self.doubt.take() else { return };
        let mut doubtful: Vec<u32> =
            self.streams.iter().filter(|(_, s)| s.touched <= first).map(|(id, _)| *id).collect();
        doubtful.sort_unstable();
        for id in doubtful {
            self.tell(id, End::Missed, out);
        }
        if last > first {
            self.doubt = Some((last, last));
        }
    }

    /// A header block.
    pub(super) fn head(
        &mut self,
        from: Speaker,
        block: &Block,
        head: &mut Head,
        at: BootNs,
        out: &mut Vec<Told>,
    ) {
        let span = Span { first: block.first, last: at, bytes: block.bytes };
        // A promised stream, and what is pushed on it, is no answer to anything that was asked.
        if block.promise || block.id.is_multiple_of(2) {
            return;
        }
        if from == Speaker::Client {
            self.request(block, head, span, out);
            return;
        }
        if !self.streams.contains_key(&block.id) {
            // Answered or forgotten already; or else its request was missed.
            if block.id <= self.high || self.early.contains(&block.id) || !self.room(at, out) {
                return;
            }
            self.streams.insert(block.id, Box::new(Stream::unseen(block.id, at, self.why)));
        }
        let missed = self.server_missed;
        if let Some(stream) = self.streams.get_mut(&block.id) {
            stream.answer(head, span, block.end_stream, missed);
        }
        if block.end_stream {
            self.tell(block.id, End::Complete, out);
        }
    }

    fn request(&mut self, block: &Block, head: &mut Head, span: Span, out: &mut Vec<Told>) {
        let id = block.id;
        if let Some(stream) = self.streams.get_mut(&id).filter(|s| s.asked) {
            stream.asks(span.bytes);
            stream.asked_until(span.last, block.end_stream);
            return;
        }
        let new = id > self.high;
        if new {
            self.skipped(id, span.last);
            self.high = id;
        }
        let told = self.early.contains(&id);
        if new && !self.early.is_empty() {
            self.early.retain(|e| *e > id);
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.ask(head, block.offset, span, block.end_stream);
            return;
        }
        // Told without its request, or over before.
        if told || !new {
            return;
        }
        if !self.room(span.last, out) {
            self.missed = self.missed.saturating_add(1);
            self.undecoded = self.undecoded.saturating_add(span.bytes);
            return;
        }
        let mut stream = Box::new(Stream::unseen(id, span.last, MISSED));
        stream.ask(head, block.offset, span, block.end_stream);
        self.streams.insert(id, stream);
    }

    /// The client opens `id`. It opened those before it in what was missed, as far as they fit
    /// there: they are held, in case their responses are seen, or counted.
    fn skipped(&mut self, id: u32, at: BootNs) {
        let fit = std::mem::take(&mut self.client_missed) / LEAST_REQUEST;
        // Where a client begins is its choice: only between two requests is it known what it skips.
        let between = self.high.saturating_add(2)..id;
        if fit == 0 || self.high == 0 || between.is_empty() {
            return;
        }
        let seen = self.streams.keys().chain(&self.early).filter(|s| between.contains(s)).count();
        let unseen = (between.len() / 2).saturating_sub(seen) as u64;
        let mut count = unseen.min(fit);
        for skipped in between.step_by(2) {
            if count == 0 || self.streams.len() >= MAX_STREAMS / 2 {
                break;
            }
            if !self.early.contains(&skipped) && !self.streams.contains_key(&skipped) {
                self.streams.insert(skipped, Box::new(Stream::unseen(skipped, at, MISSED)));
                count -= 1;
            }
        }
        self.missed = self.missed.saturating_add(count);
    }

    /// Whether there is room for a stream, after those that have most likely ended.
    fn room(&mut self, at: BootNs, out: &mut Vec<Told>) -> bool {
        if self.streams.len() >= MAX_STREAMS
            && self.doubt.is_some_and(|(first, _)| at.0.saturating_sub(first.0) > HASTE_NS)
        {
            self.sweep(out);
        }
        self.streams.len() < MAX_STREAMS
    }

    /// Some of a DATA frame.
    pub(super) fn data(&mut self, from: Speaker, f: Frame, part: &Part<'_>, at: BootNs, out: &mut Vec<Told>) {
        let Some(stream) = self.streams.get_mut(&f.id) else { return };
        let client = from == Speaker::Client;
        if let Some(first) = part.begins {
            if client {
                stream.asks(u64::from(f.len));
            } else {
                stream.answers(f.len, first, self.server_missed);
            }
        }
        if let Some(messages) = stream.messages(client) {
            if let Some(first) = part.begins {
                messages.frame(f.len, first);
            }
            messages.gap(part.gap);
            messages.content(part.content);
        }
        if !part.ends {
            return;
        }
        if client {
            stream.asked_until(at, f.end_stream());
            return;
        }
        stream.answered_until(at);
        if f.end_stream() {
            self.tell(f.id, End::Complete, out);
        }
    }

    /// A stream is broken off.
    pub(super) fn reset(
        &mut self,
        from: Speaker,
        id: u32,
        code: Option<u32>,
        at: BootNs,
        out: &mut Vec<Told>,
    ) {
        let missed = self.server_missed;
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if from == Speaker::Server {
            stream.answered_until(at);
        }
        let end = match from {
            _ if stream.may_be_answered(missed) => End::Doubtful,
            Speaker::Client => End::ClientReset(code),
            Speaker::Server => End::ServerReset(code),
        };
        self.tell(id, end, out);
    }

    /// The server says which streams it will still look at.
    pub(super) fn goaway(&mut self, from: Speaker, last: Option<u32>, out: &mut Vec<Told>) {
        let (Speaker::Server, Some(last)) = (from, last) else { return };
        let last = self.goaway.map_or(last, |known| known.min(last));
        self.goaway = Some(last);
        let mut refused: Vec<u32> = self.streams.keys().copied().filter(|id| *id > last).collect();
        refused.sort_unstable();
        for id in refused {
            self.tell(id, End::GoAway, out);
        }
    }

    /// The connection is over.
    pub(super) fn end(&mut self, out: &mut Vec<Told>) {
        let mut open: Vec<u32> = self.streams.keys().copied().collect();
        open.sort_unstable();
        for id in open {
            let touched = self.streams.get(&id).map(|s| s.touched);
            let end = if self.goaway.is_some_and(|last| id > last) {
                End::GoAway
            } else if touched.is_some_and(|t| self.server_missed.is_some_and(|m| m >= t)) {
                End::Missed
            } else {
                End::Closed
            };
            self.tell(id, end, out);
        }
    }

    fn tell(&mut self, id: u32, end: End, out: &mut Vec<Told>) {
        let Some(mut stream) = self.streams.remove(&id) else { return };
        if stream.asked || stream.is_answered() {
            if id > self.high && self.early.len() < MAX_STREAMS {
                self.early.push(id);
            }
            let told = stream.told(end, self.grpc);
            self.grpc |= told.protocol == Protocol::Grpc;
            out.push(told);
        } else {
            self.missed = self.missed.saturating_add(1);
        }
    }
}
