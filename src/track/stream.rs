//! One direction of a connection: puts pieces in order, drops what came twice, and knows how many
//! bytes are missing where.

use std::collections::BTreeMap;

use super::piece::Piece;
use crate::model::BootNs;

/// Out-of-order pieces that are held back, and their bytes.
const HELD: usize = 512;
const HELD_BYTES: usize = 1 << 20;

/// Takes what a direction says, in order.
pub(super) trait Sink {
    /// The next bytes; who said them had heard the other side up to `acked` by then.
    fn bytes(&mut self, at: BootNs, offset: u64, acked: u64, data: &[u8]);
    /// So many bytes are not there.
    fn gap(&mut self, at: BootNs, offset: u64, len: u64);
    /// A message most likely begins here.
    fn turn(&mut self);
}

/// One direction.
#[derive(Debug)]
pub(super) struct Stream {
    /// Sequence number of offset 0.
    base: u32,
    /// Offset of the next byte.
    next: u64,
    held: BTreeMap<u64, Held>,
    held_bytes: usize,
}

#[derive(Debug)]
struct Held {
    at: BootNs,
    acked: u64,
    end: u64,
    turn: bool,
    data: Vec<u8>,
}

/// What is delivered: captured bytes, and where the segment ends.
struct Heard<'a> {
    at: BootNs,
    acked: u64,
    end: u64,
    data: &'a [u8],
}

impl Held {
    fn heard(&self) -> Heard<'_> {
        Heard { at: self.at, acked: self.acked, end: self.end, data: &self.data }
    }
}

impl Stream {
    /// `base`: sequence number of the first byte that was, or will be, said.
    pub(super) fn new(base: u32) -> Self {
        Stream { base, next: 0, held: BTreeMap::new(), held_bytes: 0 }
    }

    /// Bytes that it holds beside itself.
    pub(super) fn held(&self) -> usize {
        self.held_bytes + self.held.len() * (size_of::<Held>() + size_of::<u64>())
    }

    /// What waits for the bytes before it goes on without them.
    pub(super) fn shed(&mut self, sink: &mut impl Sink) {
        while !self.held.is_empty() {
            self.release_first(sink);
        }
    }

    /// One of which the beginning was not seen begins at its first piece.
    pub(super) fn skip_to(&mut self, seq: u32) {
        self.next = u64::try_from(self.offset(seq)).unwrap_or(self.next).max(self.next);
    }

    /// Nearest to what comes next: sequence numbers wrap. Negative before the first byte.
    pub(super) fn offset(&self, seq: u32) -> i64 {
        let expected = self.base.wrapping_add(self.next as u32);
        self.next as i64 + i64::from(seq.wrapping_sub(expected) as i32)
    }

    /// Takes a piece; `acked`: what it acknowledges, as an offset in the other direction.
    pub(super) fn piece(&mut self, p: &Piece<'_>, acked: u64, sink: &mut impl Sink) {
        let start = self.offset(p.seq);
        let end = start + i64::from(p.len);
        if end <= self.next as i64 {
            return;
        }
        // What lies before the first byte (a keep-alive's) was never said.
        let early = usize::try_from(-start).unwrap_or(0);
        let (start, end) = (start.max(0) as u64, end as u64);
        let data = p.data.get(early..).unwrap_or_default();
        if start > self.next && !p.in_order {
            self.hold(p, acked, start, end, data);
            if self.held.len() > HELD || self.held_bytes > HELD_BYTES {
                self.release_first(sink);
            }
            return;
        }
        // What is held back before this piece is not lost with what is missing there.
        while self.held.first_key_value().is_some_and(|(&held, _)| held < start) {
            self.release_first(sink);
        }
        self.deliver(start, p.turned.is_some(), Heard { at: p.at, acked, end, data }, sink);
        self.release_ready(sink);
    }

    /// Everything before `seq` has passed: what is not here will not come.
    pub(super) fn advance(&mut self, seq: u32, at: BootNs, sink: &mut impl Sink) {
        let Ok(target) = u64::try_from(self.offset(seq)) else { return };
        // A FIN takes a number too. If it is a byte that is missing, what follows it will tell.
        if target == self.next + 1 && self.held.is_empty() {
            return;
        }
        while self.next < target {
            match self.held.first_key_value() {
                Some((&start, _)) if start < target => self.release_first(sink),
                _ => self.gap_to(target, at, sink),
            }
        }
    }

    fn hold(&mut self, p: &Piece<'_>, acked: u64, start: u64, end: u64, data: &[u8]) {
        let longer = |held: &Held| held.data.len() >= data.len() && held.end >= end;
        if self.held.get(&start).is_some_and(longer) {
            return;
        }
        self.held_bytes += data.len();
        let held = Held { at: p.at, acked, end, turn: p.turned.is_some(), data: data.to_vec() };
        if let Some(old) = self.held.insert(start, held) {
            self.held_bytes -= old.data.len();
        }
    }

    fn release_first(&mut self, sink: &mut impl Sink) {
        if let Some((start, h)) = self.held.pop_first() {
            self.held_bytes -= h.data.len();
            self.deliver(start, h.turn, h.heard(), sink);
            self.release_ready(sink);
        }
    }

    fn release_ready(&mut self, sink: &mut impl Sink) {
        while self.held.first_key_value().is_some_and(|(&start, _)| start <= self.next) {
            if let Some((start, h)) = self.held.pop_first() {
                self.held_bytes -= h.data.len();
                self.deliver(start, h.turn, h.heard(), sink);
            }
        }
    }

    fn gap_to(&mut self, target: u64, at: BootNs, sink: &mut impl Sink) {
        if target > self.next {
            sink.gap(at, self.next, target - self.next);
            self.next = target;
        }
    }

    fn deliver(&mut self, start: u64, turn: bool, h: Heard<'_>, sink: &mut impl Sink) {
        if h.end <= self.next {
            return;
        }
        self.gap_to(start, h.at, sink);
        let known = usize::try_from(self.next - start).unwrap_or(usize::MAX);
        if turn && known == 0 {
            sink.turn();
        }
        let fresh = h.data.get(known..).unwrap_or_default();
        if !fresh.is_empty() {
            sink.bytes(h.at, self.next, h.acked, fresh);
            self.next += fresh.len() as u64;
        }
        self.gap_to(h.end, h.at, sink);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EndId;
    use proptest::prelude::*;

    #[derive(Default)]
    struct Listener {
        /// What was said, `None` where it is missing.
        said: Vec<Option<u8>>,
        turns: usize,
    }

    impl Sink for Listener {
        fn bytes(&mut self, _: BootNs, offset: u64, _: u64, data: &[u8]) {
            assert_eq!(offset as usize, self.said.len());
            self.said.extend(data.iter().map(|b| Some(*b)));
        }
        fn gap(&mut self, _: BootNs, offset: u64, len: u64) {
            assert_eq!(offset as usize, self.said.len());
            self.said.resize(self.said.len() + len as usize, None);
        }
        fn turn(&mut self) {
            self.turns += 1;
        }
    }

    fn piece(base: u32, text: &[u8], start: usize, len: usize, cap: usize, in_order: bool) -> Piece<'_> {
        Piece {
            id: EndId { netns_cookie: 0, cookie: 1, generation: 1 },
            at: BootNs(1),
            sent: true,
            seq: base.wrapping_add(start as u32),
            ack: 0,
            len: len as u32,
            data: &text[start..start + len.min(cap)],
            turned: None,
            in_order,
        }
    }

    #[test]
    fn the_numbers_wrap() {
        let text = b"0123456789";
        let base = u32::MAX - 3;
        let (mut s, mut heard) = (Stream::new(base), Listener::default());
        for start in [0, 4, 2, 6, 8] {
            s.piece(&piece(base, text, start, 2, 9, false), 0, &mut heard);
        }
        assert_eq!(heard.said, text.map(Some));
        assert_eq!(s.next, 10);
    }

    #[test]
    fn what_was_left_out_on_purpose_is_a_gap_at_once_and_what_is_late_is_waited_for() {
        let text = b"0123456789abcdef";
        let (mut s, mut heard) = (Stream::new(7), Listener::default());
        s.piece(&piece(7, text, 0, 4, 2, true), 0, &mut heard);
        assert_eq!(heard.said, [Some(b'0'), Some(b'1'), None, None]);
        s.piece(&piece(7, text, 8, 2, 9, false), 0, &mut heard);
        assert_eq!(heard.said.len(), 4, "held back");
        s.piece(&piece(7, text, 12, 2, 9, true), 0, &mut heard);
        assert_eq!(&heard.said[8..], [Some(b'8'), Some(b'9'), None, None, Some(b'c'), Some(b'd')]);
        s.advance(7 + 16, BootNs(2), &mut heard);
        assert_eq!(heard.said.len(), 16);
    }

    proptest! {
        /// Any order, any overlaps: what was captured is heard, in its place, once.
        #[test]
        fn any_order_gives_the_text(
            base: u32,
            cuts in proptest::collection::vec((0usize..200, 1usize..60, 0usize..60), 1..60),
        ) {
            let text: Vec<u8> = (0..300u16).map(|n| n as u8).collect();
            let (mut s, mut heard) = (Stream::new(base), Listener::default());
            let mut captured = vec![false; 300];
            for (start, len, cap) in &cuts {
                s.piece(&piece(base, &text, *start, *len, *cap, false), 0, &mut heard);
                captured[*start..start + len.min(cap)].fill(true);
            }
            s.advance(base.wrapping_add(300), BootNs(2), &mut heard);
            prop_assert_eq!(heard.said.len(), 300);
            for (i, b) in heard.said.iter().enumerate() {
                if let Some(b) = b {
                    prop_assert!(captured[i]);
                    prop_assert_eq!(*b, text[i]);
                }
            }
            let end = cuts.iter().map(|c| c.0 + c.1).max().unwrap_or(0);
            prop_assert!(heard.said[end..].iter().all(Option::is_none));
        }

        /// Without captures that are cut, and each byte passed: nothing is missing.
        #[test]
        fn a_shuffled_whole_is_whole(base: u32, order in Just((0..40usize).collect::<Vec<_>>()).prop_shuffle()) {
            let text: Vec<u8> = (0..300u16).map(|n| n as u8).collect();
            let (mut s, mut heard) = (Stream::new(base), Listener::default());
            for i in order {
                s.piece(&piece(base, &text, i * 5, 6, 6, false), 0, &mut heard);
            }
            prop_assert_eq!(heard.said, text[..201].iter().map(|b| Some(*b)).collect::<Vec<_>>());
        }
    }
}
