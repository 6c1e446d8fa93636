//! One direction of a TCP connection: how far it came, by sequence and acknowledgement numbers.

use crate::model::BootNs;

/// Farther than the largest window (RFC 7323) no valid sequence number lies from the last one.
const WINDOW: i64 = 1 << 30;
/// Segments among which a copy is looked for.
const RECENT: usize = 8;
/// Copies of one packet are seen within this time; retransmissions come later.
const COPY_US: u32 = 10_000;
/// A segment that fills a hole a quarter of a round trip after what followed it, or this long, was sent
/// again; before, the network has changed the order.
const REORDERED_NS: u64 = 3_000_000;
/// Where several queues are captured, an acknowledgement may stand before what it acknowledges.
const PATIENCE_NS: u64 = 1_000_000;

/// Bytes of one direction. Offsets count from the first byte of payload.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    /// Sequence number of the first byte of payload, once known.
    base: Option<u32>,
    /// First offset that was not reached yet.
    next: u64,
    /// When a segment came that left a hole before it, while there is one.
    hole_at: Option<BootNs>,
    /// Everything before this offset was captured, or is known to be missing.
    whole: u64,
    /// A run of bytes beyond the hole at `whole`.
    island: Option<(u64, u64)>,
    /// Acknowledged by the other side.
    acked: u64,
    /// Offset of the FIN.
    fin: Option<u64>,
    /// The FIN was acknowledged.
    pub fin_acked: bool,
    /// Acknowledged up to here without having been captured: the capture has lost it.
    missing: Option<(u64, BootNs)>,
    /// The other direction spoke since the last payload of this one.
    pub heard: Option<BootNs>,
    /// Digests and times (microseconds, modulo 2^32) of the last segments.
    recent: [(u32, u32); RECENT],
    oldest_recent: u8,
}

/// What a segment's payload is to its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// Bytes that were not seen before, at least in part.
    New { again: bool },
    /// Bytes that fill a hole.
    Fills { again: bool },
    /// Bytes that were all seen before.
    Old,
    /// A keep-alive: no byte of the stream.
    KeepAlive,
    /// It lies before the first or behind the last byte.
    Outside,
}

impl Stream {
    /// The first byte of payload has this sequence number, unless that is known already.
    pub(super) fn begin(&mut self, seq: u32) {
        self.base.get_or_insert(seq);
    }

    pub(super) fn base(&self) -> Option<u32> {
        self.base
    }

    /// The initial sequence number: that of the SYN.
    pub(super) fn isn(&self) -> Option<u32> {
        self.base.map(|b| b.wrapping_sub(1))
    }

    /// Sequence number of an offset.
    pub(super) fn seq(&self, offset: u64) -> u32 {
        self.base.unwrap_or_default().wrapping_add(offset as u32)
    }

    /// Payload bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.fin.map_or(self.next, |fin| self.next.min(fin))
    }

    /// FIN seen, with everything before it.
    pub(super) fn is_finished(&self) -> bool {
        self.fin_acked || self.fin.is_some_and(|fin| self.whole >= fin)
    }

    /// Offset of a sequence number; `None` when it cannot be of this connection.
    pub(super) fn offset(&self, seq: u32) -> Option<i64> {
        let delta = i64::from(seq.wrapping_sub(self.seq(self.next)).cast_signed());
        (delta.abs() <= WINDOW).then(|| self.next.cast_signed() + delta)
    }

    /// Whether a segment with this header passed a moment ago.
    pub(super) fn is_copy(&mut self, digest: u32, at: BootNs) -> bool {
        let now = (at.0 / 1000) as u32;
        let recently = |&(d, t): &(u32, u32)| d == digest && now.wrapping_sub(t) <= COPY_US;
        if self.recent.iter().any(recently) {
            return true;
        }
        if let Some(place) = self.recent.get_mut(usize::from(self.oldest_recent)) {
            *place = (digest, now);
        }
        self.oldest_recent = (self.oldest_recent + 1) % RECENT as u8;
        false
    }

    /// Takes in the payload of a segment; also whether it is sent once more. `round_trip`: in
    /// nanoseconds, where it is known.
    pub(super) fn payload(&mut self, offset: i64, len: u32, at: BootNs, round_trip: Option<u64>) -> Payload {
        let end = offset + i64::from(len);
        let (Ok(end), begin) = (u64::try_from(end), offset.max(0).cast_unsigned()) else {
            return Payload::Outside;
        };
        if end == 0 || self.fin.is_some_and(|fin| end > fin) {
            return Payload::Outside;
        }
        if len == 1 && end == self.next && self.acked >= end {
            return Payload::KeepAlive;
        }
        if end > self.next {
            let again = begin < self.next;
            self.fill(begin, end);
            self.next = end;
            if self.whole < begin {
                self.hole_at.get_or_insert(at);
            }
            return Payload::New { again };
        }
        let seen = end <= self.whole || self.island.is_some_and(|(a, b)| a <= begin && end <= b);
        if seen {
            return Payload::Old;
        }
        let patience = round_trip.map_or(REORDERED_NS, |ns| (ns / 4).min(REORDERED_NS));
        let again = self.hole_at.is_some_and(|since| at.since(since) >= patience);
        self.fill(begin, end);
        Payload::Fills { again }
    }

    fn fill(&mut self, begin: u64, end: u64) {
        if begin <= self.whole {
            self.reach(end);
            return;
        }
        self.island = match self.island {
            Some((a, b)) if begin <= b && a <= end => Some((a.min(begin), b.max(end))),
            // Of several holes only the first is remembered: acknowledgements pass over the others.
            Some(first) => Some(first),
            None => Some((begin, end)),
        };
    }

    fn reach(&mut self, offset: u64) {
        self.whole = self.whole.max(offset);
        if let Some((a, b)) = self.island
            && a <= self.whole
        {
            self.whole = self.whole.max(b);
            self.island = None;
        }
        if self.whole >= self.next {
            self.hole_at = None;
        }
    }

    /// Takes in a FIN; whether it was seen before.
    pub(super) fn finish(&mut self, offset: i64) -> bool {
        match (self.fin, u64::try_from(offset)) {
            (None, Ok(fin)) if fin >= self.next => {
                self.fin = Some(fin);
                false
            }
            (Some(fin), Ok(again)) => fin == again,
            _ => false,
        }
    }

    /// Takes in what the other side says to have received in order; whether the capture has lost some
    /// of that.
    pub(super) fn acknowledge(&mut self, offset: i64, at: BootNs) -> bool {
        let Ok(offset) = u64::try_from(offset) else { return false };
        self.fin_acked |= self.fin.is_some_and(|fin| offset > fin);
        let payload = self.fin.map_or(offset, |fin| offset.min(fin));
        self.acked = self.acked.max(payload);
        self.next = self.next.max(payload);
        if payload > self.whole {
            self.missing.get_or_insert((payload, at));
        }
        payload > self.whole
    }

    /// What the capture has lost for certain: the sequence number up to which, and when it was known.
    pub(super) fn take_missing(&mut self, now: BootNs, at_once: bool) -> Option<(u32, BootNs)> {
        let (to, since) = self.missing?;
        if self.whole >= to {
            self.missing = None;
            return None;
        }
        if !at_once && now.since(since) < PATIENCE_NS {
            return None;
        }
        self.missing = None;
        self.reach(to);
        Some((self.seq(to), since))
    }
}
