//! The frames of one direction, cut anywhere, with holes.

use super::conn::{Conn, Part};
use super::frame::{self, FIRST_MAX, Frame, HEADER};
use super::head::{Head, MISSED};
use crate::model::BootNs;
use crate::wire::decoder::{Speaker, Told};
use crate::wire::hpack;

/// What a client says first. Source: RFC 9113 section 3.4.
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the end of the client's preface.
    Preface,
    /// In a frame header.
    Header,
    /// In fixed fields at the start of a payload.
    Fields,
    /// In the rest of a payload.
    Content,
    /// Not known where a frame begins.
    Lost,
}

/// A header block that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// Its stream.
    pub(super) id: u32,
    /// The stream ends with it.
    pub(super) end_stream: bool,
    /// It promises a pushed stream.
    pub(super) promise: bool,
    /// When it began.
    pub(super) first: BootNs,
    /// Where it began.
    pub(super) offset: u64,
    /// Payload of its frames.
    pub(super) bytes: u64,
    /// The rest of it cannot be read.
    broken: bool,
}

/// One direction.
pub(super) struct Half {
    from: Speaker,
    state: State,
    /// The last turn was for this side and nothing came since.
    turned: bool,
    /// What is cut: the preface, a frame header, or fixed fields.
    small: [u8; 24],
    have: usize,
    first: BootNs,
    offset: u64,
    frame: Frame,
    /// What of the payload is still to come, padding included.
    left: u32,
    padding: u32,
    /// Of a DATA frame: the beginning, the end was told.
    begun: bool,
    ended: bool,
    code: Option<u32>,
    last_stream: Option<u32>,
    block: Option<Block>,
    head: Head,
    hpack: hpack::Decoder,
}

/// Where the bytes in hand came from, and who is told of what is in them.
pub(super) struct To<'a> {
    pub(super) at: BootNs,
    pub(super) conn: &'a mut Conn,
    pub(super) out: &'a mut Vec<Told>,
}

impl Half {
    /// Bytes that it holds beside itself.
    pub(super) fn held(&self) -> usize {
        self.hpack.held()
    }

    /// The direction of `from`, from its first byte on.
    pub(super) fn new(from: Speaker) -> Self {
        let state = if from == Speaker::Client { State::Preface } else { State::Header };
        Half {
            from,
            state,
            turned: false,
            small: [0; 24],
            have: 0,
            first: BootNs(0),
            offset: 0,
            frame: Frame::default(),
            left: 0,
            padding: 0,
            begun: false,
            ended: false,
            code: None,
            last_stream: None,
            block: None,
            head: Head::new(),
            hpack: hpack::Decoder::new(MISSED),
        }
    }

    /// The direction of `from` from some place on; `why` says why its table is not known.
    pub(super) fn adopted(from: Speaker, why: &'static str) -> Self {
        Half { state: State::Lost, hpack: hpack::Decoder::new(why), ..Half::new(from) }
    }

    pub(super) fn turn(&mut self) {
        self.turned = self.state == State::Lost;
    }

    pub(super) fn bytes(&mut self, offset: u64, mut data: &[u8], to: &mut To<'_>) {
        let end = offset.saturating_add(data.len() as u64);
        if self.state == State::Lost {
            let skip = if self.found(data, to.conn) { 0 } else { self.search(data, to.conn) };
            if skip > 0 {
                to.conn.lost(self.from, to.at, skip as u64);
            }
            data = data.get(skip..).unwrap_or_default();
            if data.is_empty() {
                return;
            }
            self.state = State::Header;
            self.have = 0;
        }
        let mut rest = data;
        while !rest.is_empty() {
            match self.state {
                State::Preface => {
                    rest = self.gather(rest, PREFACE.len());
                    if !PREFACE.starts_with(self.small.get(..self.have).unwrap_or_default()) {
                        to.conn.not_http2();
                        self.lose(to, self.have + rest.len());
                        return;
                    }
                    if self.have == PREFACE.len() {
                        self.state = State::Header;
                        self.have = 0;
                    }
                }
                State::Header => {
                    if self.have == 0 {
                        self.first = to.at;
                        self.offset = end - rest.len() as u64;
                    }
                    let parsed = if self.have == 0 { Frame::parse(rest) } else { None };
                    if parsed.is_some() {
                        rest = rest.get(HEADER..).unwrap_or_default();
                    } else {
                        rest = self.gather(rest, HEADER);
                        if self.have < HEADER {
                            return;
                        }
                    }
                    self.frame = parsed.or_else(|| Frame::parse(&self.small)).unwrap_or_default();
                    self.have = 0;
                    if !self.begin(to) {
                        self.lose(to, HEADER + rest.len());
                        return;
                    }
                }
                State::Fields => {
                    let before = rest.len();
                    rest = self.gather(rest, self.frame.fields() as usize);
                    self.left -= (before - rest.len()) as u32;
                    if self.have == self.frame.fields() as usize && !self.fields(to) {
                        self.lose(to, rest.len());
                        return;
                    }
                }
                State::Content => {
                    let n = rest.len().min(self.left as usize);
                    let (now, later) = rest.split_at(n);
                    self.content(now, to);
                    rest = later;
                    self.left -= n as u32;
                    if self.left == 0 {
                        self.finish(to);
                    }
                }
                // Not reached: whoever loses it returns.
                State::Lost => return,
            }
        }
    }

    pub(super) fn gap(&mut self, len: u64, to: &mut To<'_>) {
        let mut rest = len;
        if matches!(self.state, State::Fields | State::Content) {
            let n = u64::from(self.left).min(len) as u32;
            rest -= u64::from(n);
            // Fixed fields that are cut are not told: the frame is, without them.
            self.state = State::Content;
            let content = n.min(self.left.saturating_sub(self.padding));
            if self.frame.kind == frame::DATA {
                self.data(content, &[], n == self.left, to);
            } else if content > 0 && self.frame.heads() {
                self.broken_block();
            }
            self.left -= n;
            if self.left == 0 {
                self.finish(to);
            }
        }
        if rest > 0 {
            self.lose(to, 0);
            to.conn.lost(self.from, to.at, rest);
        }
    }

    /// What is pending in this direction is told: nothing more comes.
    pub(super) fn end(&mut self, to: &mut To<'_>) {
        self.lose(to, 0);
    }

    /// Appends to `small` until it holds `need` bytes. Returns what is left.
    fn gather<'a>(&mut self, data: &'a [u8], need: usize) -> &'a [u8] {
        let n = data.len().min(need.saturating_sub(self.have));
        let (now, later) = data.split_at(n);
        if let Some(into) = self.small.get_mut(self.have..self.have + n) {
            into.copy_from_slice(now);
            self.have += n;
        }
        later
    }

    /// Whether `data` begins with a frame: its header is plausible, and either another one follows
    /// it, or the data ends with it, or it speaks of a stream that is known, or it is a turn.
    fn found(&mut self, data: &[u8], conn: &mut Conn) -> bool {
        let turned = std::mem::take(&mut self.turned);
        let Some(first) = Frame::parse(data) else { return false };
        let max = conn.max_frame(self.from);
        if conn.expects(self.from, first) && first.plausible(self.from, u32::MAX) {
            conn.allow_frames(self.from, first.len);
            return true;
        }
        if !first.plausible(self.from, max) {
            return false;
        }
        match data.get(HEADER + first.len as usize..) {
            Some([]) => true,
            Some(next) => Frame::parse(next).is_some_and(|f| f.plausible(self.from, max)),
            None => turned,
        }
    }

    /// Where in `data` frames begin for sure: one of a known stream, and another one or the end of
    /// the data behind it. Its length where there is no such place.
    fn search(&self, data: &[u8], conn: &Conn) -> usize {
        let max = conn.max_frame(self.from);
        let here = |bytes: &[u8]| {
            let Some(f) = Frame::parse(bytes) else { return false };
            if f.len > max || !f.plausible(self.from, max) || !conn.expects(self.from, f) {
                return false;
            }
            match bytes.get(HEADER + f.len as usize..) {
                Some([]) => true,
                Some(next) => Frame::parse(next).is_some_and(|f| f.plausible(self.from, max)),
                None => false,
            }
        };
        (1..data.len()).find(|i| data.get(*i..).is_some_and(here)).unwrap_or(data.len())
    }

    /// A frame header is complete. False where it cannot be one.
    fn begin(&mut self, to: &mut To<'_>) -> bool {
        let f = self.frame;
        if !f.valid(self.from) {
            return false;
        }
        if f.len > to.conn.max_frame(self.from) {
            // The setting may have passed before us.
            if !to.conn.expects(self.from, f) {
                return false;
            }
            to.conn.allow_frames(self.from, f.len);
        }
        // A header block is not interrupted. Source: RFC 9113 section 6.10.
        match &mut self.block {
            Some(block) if f.kind == frame::CONTINUATION && f.id == block.id => {
                block.bytes += u64::from(f.len);
            }
            None if f.kind != frame::CONTINUATION => {}
            _ => return false,
        }
        if matches!(f.kind, frame::HEADERS | frame::PUSH_PROMISE) {
            self.hpack.begin();
            self.head = Head::new();
            self.block = Some(Block {
                id: f.id,
                end_stream: f.end_stream(),
                promise: f.kind == frame::PUSH_PROMISE,
                first: self.first,
                offset: self.offset,
                bytes: u64::from(f.len),
                broken: false,
            });
        }
        self.left = f.len;
        self.padding = 0;
        self.code = None;
        self.last_stream = None;
        self.begun = false;
        self.ended = false;
        self.state = if f.fields() > 0 { State::Fields } else { State::Content };
        if f.len == 0 {
            self.finish(to);
        }
        true
    }

    /// The fixed fields of a payload are complete. False where they cannot be.
    fn fields(&mut self, to: &mut To<'_>) -> bool {
        self.have = 0;
        self.state = State::Content;
        let [a, b, c, d, e, f, g, h, ..] = self.small;
        match self.frame.kind {
            frame::RST_STREAM => self.code = Some(u32::from_be_bytes([a, b, c, d])),
            frame::GOAWAY => {
                self.last_stream = Some(u32::from_be_bytes([a & 0x7f, b, c, d]));
                self.code = Some(u32::from_be_bytes([e, f, g, h]));
            }
            frame::SETTINGS => {
                // SETTINGS_MAX_FRAME_SIZE. Source: RFC 9113 section 6.5.2.
                if u16::from_be_bytes([a, b]) == 5 {
                    to.conn.allow_frames(self.from.other(), u32::from_be_bytes([c, d, e, f]));
                }
                if self.left > 0 {
                    self.state = State::Fields;
                }
            }
            _ if self.frame.padded() => self.padding = u32::from(a),
            _ => {}
        }
        if self.padding > self.left {
            return false;
        }
        if self.left == 0 {
            self.finish(to);
        }
        true
    }

    /// Bytes of a payload, before they are taken from what is left of it.
    fn content(&mut self, data: &[u8], to: &mut To<'_>) {
        let real = data.len().min(self.left.saturating_sub(self.padding) as usize);
        let real = data.get(..real).unwrap_or_default();
        if self.frame.kind == frame::DATA {
            self.data(0, real, data.len() == self.left as usize, to);
        } else if self.frame.heads() && !real.is_empty() && self.block.is_some_and(|b| !b.broken) {
            let (head, why) = (&mut self.head, self.hpack.why());
            if self.hpack.bytes(real, |name, value| head.field(name, value, why)).is_err() {
                // No genuine encoder says this: what was read before is not to be trusted.
                self.head = Head::new();
                self.broken_block();
            }
        }
    }

    fn data(&mut self, gap: u32, content: &[u8], ends: bool, to: &mut To<'_>) {
        let begins = if self.begun { None } else { Some(self.first) };
        self.begun = true;
        self.ended = ends;
        let part = Part { begins, gap, content, ends };
        to.conn.data(self.from, self.frame, &part, to.at, to.out);
    }

    fn broken_block(&mut self) {
        self.hpack.forget(MISSED);
        self.head.hide(MISSED);
        if let Some(block) = &mut self.block {
            block.broken = true;
        }
    }

    /// A frame is complete.
    fn finish(&mut self, to: &mut To<'_>) {
        self.state = State::Header;
        self.have = 0;
        let f = self.frame;
        match f.kind {
            frame::DATA if !self.ended => self.data(0, &[], true, to),
            frame::RST_STREAM => to.conn.reset(self.from, f.id, self.code, to.at, to.out),
            frame::GOAWAY => to.conn.goaway(self.from, self.last_stream, to.out),
            _ if f.heads() && f.end_headers() => {
                if self.hpack.end().is_err() {
                    self.broken_block();
                }
                self.tell_block(to);
            }
            _ => {}
        }
    }

    fn tell_block(&mut self, to: &mut To<'_>) {
        let Some(block) = self.block.take() else { return };
        self.head.finish();
        to.conn.head(self.from, &block, &mut self.head, to.at, to.out);
    }

    /// It is not known where the next frame begins; `skipped` bytes of those in hand are not read.
    fn lose(&mut self, to: &mut To<'_>, skipped: usize) {
        self.state = State::Lost;
        self.have = 0;
        self.turned = false;
        self.hpack.forget(MISSED);
        if self.block.is_some() {
            self.broken_block();
            self.tell_block(to);
        }
        if skipped > 0 {
            to.conn.lost(self.from, to.at, skipped as u64);
        }
    }
}

/// Whether a sequence of frames begins here: `Some(true)` where two headers in a row are plausible,
/// `Some(false)` where there is too little to say.
pub(super) fn frames(from: Speaker, data: &[u8]) -> Option<bool> {
    let Some(first) = Frame::parse(data) else { return Some(false) };
    if !first.plausible(from, FIRST_MAX) {
        return None;
    }
    let Some(next) = data.get(HEADER + first.len as usize..).and_then(Frame::parse) else {
        return Some(false);
    };
    next.plausible(from, FIRST_MAX).then_some(true)
}
