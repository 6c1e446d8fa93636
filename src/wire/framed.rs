//! Messages that begin with their length: cut out of the bytes of one direction, their heads shown,
//! their bodies skipped without a copy. Kafka, MongoDB and AMQP are framed so.

use super::decoder::{Span, Speaker, Told};
use crate::model::BootNs;

/// How messages of a protocol are framed.
pub(super) struct Framing {
    /// So many bytes tell the length.
    pub prefix: usize,
    /// At most so many bytes of a message are shown, at least `prefix`: the bound of what is held.
    pub head: usize,
    /// The length of a whole message, from its first `prefix` bytes; `None` where that cannot be the
    /// beginning of a message. At least `prefix`.
    pub length: fn(&[u8]) -> Option<u64>,
}

/// Strikes after which a direction is taken for another protocol.
const ASTRAY: u8 = 4;

/// What is said of one message: its head once, then its end.
pub(super) enum Event<'a> {
    /// Its beginning.
    Head(Head<'a>),
    /// Its last byte was seen or lay in a gap.
    End {
        /// Its times and length.
        span: Span,
        /// Its last byte, unless it lay in a gap.
        tail: Option<u8>,
    },
}

/// The beginning of a message.
pub(super) struct Head<'a> {
    /// Its first bytes: all of them up to [`Framing::head`], fewer where a gap cut them.
    pub data: &'a [u8],
    /// Offset of its first byte in what this side said.
    pub offset: u64,
    /// Its first byte, the last byte of `data`, and its whole length.
    pub span: Span,
}

/// Cuts the bytes of one direction into messages. Holds at most [`Framing::head`] bytes.
#[derive(Debug, Default)]
pub(super) struct Framer {
    /// What was seen of a head that is not complete.
    head: Vec<u8>,
    /// The head was shown.
    shown: bool,
    /// No message begins at the place that was reached, as far as is known.
    lost: bool,
    /// How often in a row it was lost without a message between.
    strikes: u8,
    start: u64,
    first: BootNs,
    /// Length of the present message; 0 where it is not known yet.
    total: u64,
    /// Bytes of it that have passed.
    seen: u64,
}

impl Framer {
    /// Bytes that it holds beside itself.
    pub fn held(&self) -> usize {
        self.head.capacity()
    }

    /// The next bytes. `on` says `false` to an event that cannot be of this protocol: then the
    /// framer is lost. Returns the number of bytes that could not be read.
    pub(super) fn bytes(
        &mut self,
        framing: &Framing,
        at: BootNs,
        mut offset: u64,
        mut data: &[u8],
        on: &mut impl FnMut(Event<'_>) -> bool,
    ) -> u64 {
        while !data.is_empty() {
            if self.lost {
                return data.len() as u64;
            }
            if self.seen == 0 {
                (self.start, self.first) = (offset, at);
            }
            let ok = if self.shown {
                let left = usize::try_from(self.total - self.seen).unwrap_or(usize::MAX);
                let (now, later) = data.split_at(left.min(data.len()));
                self.seen += now.len() as u64;
                offset = offset.saturating_add(now.len() as u64);
                data = later;
                self.ended(at, now.last().copied(), on);
                true
            } else if self.seen == 0 && data.len() >= framing.prefix {
                self.whole(framing, at, data, on).is_some_and(|taken| {
                    offset = offset.saturating_add(taken as u64);
                    data = data.get(taken..).unwrap_or_default();
                    true
                })
            } else {
                self.piecemeal(framing, at, data, on).is_some_and(|taken| {
                    offset = offset.saturating_add(taken as u64);
                    data = data.get(taken..).unwrap_or_default();
                    true
                })
            };
            if !ok {
                let missed = self.seen.saturating_add(data.len() as u64);
                self.lose();
                self.strikes = self.strikes.saturating_add(1);
                return missed;
            }
        }
        0
    }

    /// A message that begins with `data`, which is long enough for its prefix: the head is shown
    /// where it lies, if it lies there as a whole. How many bytes were taken; `None`: not of this
    /// protocol.
    fn whole(
        &mut self,
        framing: &Framing,
        at: BootNs,
        data: &[u8],
        on: &mut impl FnMut(Event<'_>) -> bool,
    ) -> Option<usize> {
        self.total = (framing.length)(data.get(..framing.prefix)?)?.max(1);
        let want = usize::try_from(self.total).unwrap_or(usize::MAX).min(framing.head);
        let Some(head) = data.get(..want) else {
            self.head.extend_from_slice(data);
            self.seen = data.len() as u64;
            return Some(data.len());
        };
        self.shown = true;
        self.seen = want as u64;
        let head = Head { data: head, offset: self.start, span: self.span(at) };
        if !on(Event::Head(head)) {
            self.seen = 0;
            return None;
        }
        let taken = usize::try_from(self.total).unwrap_or(usize::MAX).min(data.len());
        self.seen = taken as u64;
        let tail = taken.checked_sub(1).and_then(|i| data.get(i)).copied();
        self.ended(at, tail, on);
        Some(taken)
    }

    /// The same where the head comes in pieces: they are put together.
    fn piecemeal(
        &mut self,
        framing: &Framing,
        at: BootNs,
        data: &[u8],
        on: &mut impl FnMut(Event<'_>) -> bool,
    ) -> Option<usize> {
        let mut taken = 0;
        for _ in 0..2 {
            let want = match self.total {
                0 => framing.prefix,
                total => usize::try_from(total).unwrap_or(usize::MAX).min(framing.head),
            };
            let rest = data.get(taken..).unwrap_or_default();
            let now = rest.get(..want.saturating_sub(self.head.len())).unwrap_or(rest);
            self.head.extend_from_slice(now);
            self.seen += now.len() as u64;
            taken += now.len();
            if self.head.len() < want {
                return Some(taken);
            }
            if self.total != 0 {
                break;
            }
            let length = self.head.get(..framing.prefix).and_then(framing.length);
            let Some(length) = length else {
                // What came before this piece is lost with it; this piece is counted by the caller.
                self.seen -= taken as u64;
                return None;
            };
            self.total = length.max(1);
        }
        let want = usize::try_from(self.total).unwrap_or(usize::MAX).min(framing.head);
        if self.head.len() < want {
            return Some(taken);
        }
        if !self.show(at, on) {
            self.seen -= taken as u64;
            return None;
        }
        let tail = taken.checked_sub(1).and_then(|i| data.get(i)).copied();
        self.ended(at, tail, on);
        Some(taken)
    }

    /// `len` bytes were not captured; the last of them was seen at `at`. As [`Framer::bytes`].
    pub(super) fn gap(&mut self, at: BootNs, len: u64, on: &mut impl FnMut(Event<'_>) -> bool) -> u64 {
        if self.lost {
            return len;
        }
        if self.total == 0 {
            // Where the next message begins is not known.
            let missed = self.seen.saturating_add(len);
            self.lose();
            return missed;
        }
        if !self.shown && !self.show(at, on) {
            let missed = self.seen.saturating_add(len);
            self.lose();
            return missed;
        }
        let now = len.min(self.total - self.seen);
        self.seen += now;
        self.ended(at, None, on);
        if now < len {
            self.lose();
        }
        len - now
    }

    /// The next bytes most likely begin a message.
    pub(super) fn turn(&mut self) {
        self.lost = false;
    }

    /// No message is known to begin here.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Where a gap left it, a message of `total` bytes is known to have begun, of which `seen` have
    /// passed; 0 of 0 where one is about to begin.
    pub(super) fn resume(&mut self, at: BootNs, total: u64, seen: u64) {
        self.lose();
        (self.lost, self.shown, self.first) = (false, total > 0, at);
        (self.total, self.seen) = (total, seen.min(total));
    }

    /// It was lost so often, without a message between, that the bytes are hardly of this protocol.
    pub(super) fn is_astray(&self) -> bool {
        self.strikes >= ASTRAY
    }

    /// Times and length of the present message, as far as it was seen; `None` between messages.
    pub(super) fn partial(&self) -> Option<(u64, BootNs)> {
        (self.seen > 0).then_some((self.seen, self.first))
    }

    fn span(&self, last: BootNs) -> Span {
        Span { first: self.first, last, bytes: self.total }
    }

    fn show(&mut self, at: BootNs, on: &mut impl FnMut(Event<'_>) -> bool) -> bool {
        let data = std::mem::take(&mut self.head);
        let ok = on(Event::Head(Head { data: &data, offset: self.start, span: self.span(at) }));
        // The room is kept for the next head.
        self.head = data;
        self.head.clear();
        self.shown = true;
        ok
    }

    /// After bytes of a shown message: tells its end if it was reached.
    fn ended(&mut self, at: BootNs, tail: Option<u8>, on: &mut impl FnMut(Event<'_>) -> bool) {
        if self.seen < self.total {
            return;
        }
        let span = self.span(at);
        (self.total, self.seen, self.shown) = (0, 0, false);
        if on(Event::End { span, tail }) {
            self.strikes = 0;
        } else {
            self.lost = true;
            self.strikes = self.strikes.saturating_add(1);
        }
    }

    fn lose(&mut self) {
        self.head.clear();
        (self.total, self.seen, self.shown, self.lost) = (0, 0, false, true);
    }
}

/// Both directions of a connection.
#[derive(Debug, Default)]
pub(super) struct Framers {
    pub client: Framer,
    pub server: Framer,
}

impl Framers {
    /// The one of a side.
    pub(super) fn of(&mut self, from: Speaker) -> &mut Framer {
        match from {
            Speaker::Client => &mut self.client,
            Speaker::Server => &mut self.server,
        }
    }

    /// Memory held beyond the structs themselves, bytes.
    pub(super) fn held(&self) -> usize {
        self.client.held() + self.server.held()
    }

    /// Tells what the end of a connection leaves: an answer whose rest was not seen, requests that
    /// were not answered, and the one that was being said.
    pub(super) fn end(
        &self,
        at: BootNs,
        answering: Option<Told>,
        waiting: impl Iterator<Item = Told>,
        asking: Option<Told>,
        out: &mut Vec<Told>,
    ) {
        if let Some(mut told) = answering {
            if let (Some(span), Some((bytes, _))) = (&mut told.response, self.server.partial()) {
                (span.last, span.bytes) = (at, bytes);
            }
            out.push(told);
        }
        out.extend(waiting);
        if let (Some(mut told), Some((bytes, _))) = (asking, self.client.partial()) {
            told.request.bytes = bytes;
            out.push(told);
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
