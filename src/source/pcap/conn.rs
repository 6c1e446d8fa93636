//! One TCP connection as its client end would tell it, from the segments that passed.

use super::Found;
use super::counts::Skip;
use super::segment::Segment;
use super::slab::Key;
use super::stream::{Payload, Stream};
use crate::model::{BootNs, EndId, Endpoint, Isns, Outcome, Role, RoleEvidence, Seen};
use crate::track::{EndFact, Ending, Fact, Moment, OwnerFact, Piece, Progress, SampleFact};

/// After this time payload on the addresses of a connection that is over is of another one, whose
/// handshake was missed; before, it is late (2 MSL is at most four minutes, 60 s on Linux).
const QUIET_NS: u64 = 120_000_000_000;

/// Where what is found goes.
pub(super) type Out<'o> = &'o mut dyn FnMut(Found<'_>);

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Opening,
    Open,
    Over,
}

/// What a segment is to a connection with its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Of this connection.
    Its,
    /// Of this connection, which is over.
    Late,
    /// Of another connection between the same addresses and ports.
    Anothers,
}

/// Payload that came with a SYN (TCP Fast Open, RFC 7413).
#[derive(Debug)]
struct EarlyData {
    at: BootNs,
    len: u32,
    data: Box<[u8]>,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Conn {
    pub key: Key,
    cookie: u64,
    local: Endpoint,
    peer: Endpoint,
    pub phase: Phase,
    adopted: bool,
    /// First SYN; 0 = not seen.
    opened: BootNs,
    /// Last SYN.
    syn_at: BootNs,
    syns: u32,
    syn_ack_at: BootNs,
    established: BootNs,
    /// First and last segment.
    pub first: BootNs,
    last: BootNs,
    /// From the client.
    up: Stream,
    down: Stream,
    srtt_us: Option<u32>,
    /// The largest payload that both take; 0 = not known.
    max_segment: u32,
    retransmits: u32,
    /// Counters moved since they were last told.
    pub moved: bool,
    early: Option<EarlyData>,
}

impl Conn {
    /// A connection of which this is the first segment; `None` when it says nothing of one.
    pub(super) fn begin(
        (key, cookie): (Key, u64),
        (src, dst): (Endpoint, Endpoint),
        segment: &Segment<'_>,
        at: BootNs,
    ) -> Option<Conn> {
        let mut conn = Conn {
            key,
            cookie,
            local: src,
            peer: dst,
            phase: Phase::Opening,
            adopted: false,
            opened: BootNs(0),
            syn_at: BootNs(0),
            syns: 0,
            syn_ack_at: BootNs(0),
            established: BootNs(0),
            first: at,
            last: at,
            up: Stream::default(),
            down: Stream::default(),
            srtt_us: None,
            max_segment: 0,
            retransmits: 0,
            moved: false,
            early: None,
        };
        match (segment.rst, segment.syn, segment.ack) {
            (true, ..) => return None,
            (_, true, None) => {
                conn.up.begin(segment.seq.wrapping_add(1));
                conn.opened = at;
            }
            (_, true, Some(ack)) => {
                (conn.local, conn.peer) = (dst, src);
                conn.up.begin(ack);
            }
            (_, false, Some(ack)) if segment.len > 0 || segment.fin => {
                conn.adopted = true;
                conn.phase = Phase::Open;
                let (mine, its) = (segment.seq, ack);
                // Which end is told of is arbitrary: nobody knows who connected.
                if src.port >= dst.port {
                    conn.up.begin(mine);
                    conn.down.begin(its);
                } else {
                    (conn.local, conn.peer) = (dst, src);
                    conn.up.begin(its);
                    conn.down.begin(mine);
                }
            }
            _ => return None,
        }
        Some(conn)
    }

    /// Bytes that are kept of what came with the SYN.
    pub(super) fn early_len(&self) -> usize {
        self.early.as_ref().map_or(0, |e| e.data.len())
    }

    /// Gives these bytes up; how many they are. Their place in the stream stays known.
    pub(super) fn drop_early(&mut self) -> Option<usize> {
        self.early.as_mut().map(|e| std::mem::take(&mut e.data).len()).filter(|n| *n > 0)
    }

    fn id(&self) -> EndId {
        EndId { netns_cookie: 0, cookie: self.cookie, generation: 1 }
    }

    /// Whether a segment from this address comes from the end that is told of.
    pub(super) fn is_from_local(&self, src: Endpoint) -> bool {
        src == self.local
    }

    /// What a segment is to this connection.
    pub(super) fn fate(&self, from_local: bool, segment: &Segment<'_>, at: BootNs) -> Fate {
        let over = self.phase == Phase::Over;
        let its = if over { Fate::Late } else { Fate::Its };
        let stream = if from_local { &self.up } else { &self.down };
        match (segment.syn, segment.ack) {
            (true, None) => match stream.isn() {
                Some(isn) if isn == segment.seq => its,
                // Simultaneous open (RFC 9293 section 3.5).
                None if self.phase == Phase::Opening => Fate::Its,
                _ => Fate::Anothers,
            },
            (true, Some(ack)) if over => {
                // Of the connection that was: it acknowledges its SYN, and at most what came with it.
                let client = if from_local { &self.down } else { &self.up };
                let of_it = client.base().is_some_and(|base| ack.wrapping_sub(base) <= 0xffff);
                if of_it { Fate::Late } else { Fate::Anothers }
            }
            _ if over && segment.len > 0 && !segment.rst && at.since(self.last) > QUIET_NS => Fate::Anothers,
            _ => its,
        }
    }

    /// Tells of the connection for the first time.
    pub(super) fn introduce(&self, at: BootNs, out: Out<'_>) {
        self.tell(Moment::Met, at, out);
    }

    /// Takes in a segment of this connection.
    pub(super) fn segment(
        &mut self,
        from_local: bool,
        segment: &Segment<'_>,
        at: BootNs,
        out: Out<'_>,
    ) -> Result<(), Skip> {
        self.last = self.last.max(at);
        let at = self.last;
        let stream = if from_local { &mut self.up } else { &mut self.down };
        if stream.is_copy(segment.digest, at) {
            return Err(Skip::Copy);
        }
        if segment.rst {
            return self.reset(from_local, segment, at, out);
        }
        if self.phase == Phase::Opening && !self.handshake(from_local, segment, at, out) {
            return Ok(());
        }
        // A handshake's segment once more.
        if segment.syn {
            return Ok(());
        }
        self.lost(at, false, out);
        let (stream, other) = self.streams(from_local);
        let offset = stream.offset(segment.seq).ok_or(Skip::OutOfWindow)?;
        if let Some(acked) = segment.ack.and_then(|ack| other.offset(ack))
            && other.acknowledge(acked, at)
        {
            self.moved = true;
        }
        if segment.len > 0 {
            self.payload(from_local, offset, segment, at, out);
        }
        if segment.fin {
            let (stream, _) = self.streams(from_local);
            let again = stream.finish(offset + i64::from(segment.len));
            if again && from_local && segment.len == 0 {
                self.retransmits += 1;
                self.moved = true;
            }
        }
        if self.up.fin_acked && self.down.is_finished() {
            self.close(Ending::Clean, at, out);
        }
        Ok(())
    }

    fn streams(&mut self, from_local: bool) -> (&mut Stream, &mut Stream) {
        if from_local { (&mut self.up, &mut self.down) } else { (&mut self.down, &mut self.up) }
    }

    /// Before the connection is established; says whether it is now.
    fn handshake(&mut self, from_local: bool, segment: &Segment<'_>, at: BootNs, out: Out<'_>) -> bool {
        if segment.syn
            && let Some(most) = segment.max_segment()
        {
            self.max_segment = if self.max_segment == 0 { most } else { self.max_segment.min(most) };
        }
        let answers = |ack: u32| {
            // The SYN, and at most what came with it.
            self.up.base().is_some_and(|base| ack.wrapping_sub(base) <= 0xffff)
        };
        match (from_local, segment.syn, segment.ack) {
            (true, true, None) => {
                self.syns += 1;
                self.syn_at = at;
                if self.syns > 1 {
                    self.retransmits += 1;
                }
                if segment.len > 0 && self.early.is_none() {
                    self.early = Some(EarlyData { at, len: segment.len, data: segment.data.into() });
                }
                false
            }
            (false, true, None) => {
                self.down.begin(segment.seq.wrapping_add(1));
                false
            }
            (false, true, Some(ack)) => {
                if answers(ack) && self.down.base().is_none_or(|b| b == segment.seq.wrapping_add(1)) {
                    self.down.begin(segment.seq.wrapping_add(1));
                    self.syn_ack_at = self.syn_ack_at.known().unwrap_or(at);
                }
                false
            }
            (true, _, Some(ack)) => {
                let in_window = segment.syn || self.up.offset(segment.seq).is_some_and(|o| o >= 0);
                if !in_window || self.down.base().is_some_and(|b| ack.wrapping_sub(b) > u32::MAX / 2) {
                    return false;
                }
                self.down.begin(ack);
                self.establish(segment.len == 0, at, out);
                true
            }
            (false, false, Some(ack)) => {
                // An acknowledgement alone may be a challenge (RFC 5961), payload is not.
                if segment.len == 0 && !segment.fin || !answers(ack) {
                    return false;
                }
                self.down.begin(segment.seq);
                self.establish(false, at, out);
                true
            }
            (_, false, None) => false,
        }
    }

    /// The handshake is done. For the client that was when the SYN-ACK came. A capture near the
    /// server sees that too early: there, the client's acknowledgement tells how long it waited.
    fn establish(&mut self, bare_ack: bool, at: BootNs, out: Out<'_>) {
        self.phase = Phase::Open;
        self.established = match (self.syn_ack_at.known(), self.syn_at.known()) {
            (Some(answered), Some(asked)) if bare_ack && at.since(answered) > answered.since(asked) => at,
            (Some(answered), _) => answered,
            (None, _) => at,
        };
        if self.syns == 1 && self.syn_ack_at.known().is_some() {
            let us = self.established.since(self.syn_at) / 1000;
            self.srtt_us = Some(u32::try_from(us).unwrap_or(u32::MAX).max(1));
        }
        self.tell(Moment::Established, at, out);
        if let Some(early) = self.early.take() {
            self.up.payload(0, early.len, early.at);
            self.down.heard = Some(early.at);
            self.moved = true;
            out(Found::Piece(Piece {
                id: self.id(),
                at: early.at,
                sent: true,
                seq: self.up.seq(0),
                ack: self.down.seq(0),
                len: early.len,
                data: &early.data,
                turned: None,
                in_order: false,
            }));
        }
    }

    fn payload(&mut self, from_local: bool, offset: i64, segment: &Segment<'_>, at: BootNs, out: Out<'_>) {
        let id = self.id();
        let (stream, other) = self.streams(from_local);
        let (new, again) = match stream.payload(offset, segment.len, at) {
            Payload::Outside | Payload::KeepAlive => return,
            Payload::New { again } => (true, again),
            Payload::Fills { again } => (true, again),
            Payload::Old => (false, true),
        };
        let turned = if new { stream.heard.take() } else { None };
        // Bytes before those from which an adopted connection is told.
        let before = offset.min(0).unsigned_abs() as u32;
        let piece = Piece {
            id,
            at,
            sent: from_local,
            seq: segment.seq.wrapping_add(before),
            ack: segment.ack.unwrap_or_default(),
            len: segment.len.saturating_sub(before),
            data: segment.data.get(before as usize..).unwrap_or_default(),
            turned,
            in_order: false,
        };
        if new {
            other.heard = Some(at);
        }
        self.moved = true;
        if again && from_local {
            self.retransmits = self.retransmits.saturating_add(self.segments(segment));
        }
        out(Found::Piece(piece));
    }

    /// How many segments on the wire this one is, where the capture saw it before the network card cut
    /// it up: the kernel counts those.
    fn segments(&self, segment: &Segment<'_>) -> u32 {
        match self.max_segment.saturating_sub(segment.options.len() as u32) {
            0 => 1,
            most => segment.len.div_ceil(most),
        }
    }

    fn reset(
        &mut self,
        from_local: bool,
        segment: &Segment<'_>,
        at: BootNs,
        out: Out<'_>,
    ) -> Result<(), Skip> {
        let (stream, _) = self.streams(from_local);
        let plausible = stream.base().is_none() || stream.offset(segment.seq).is_some();
        match (self.phase, from_local) {
            (Phase::Opening, false) if self.down.base().is_some() && plausible => {
                // The SYN-ACK had made the client's end established.
                self.establish(false, at, out);
                self.close(Ending::Reset, at, out);
            }
            (Phase::Opening, false) => {
                let of_syn = |ack: u32| self.up.base().is_some_and(|b| ack.wrapping_sub(b) <= 0xffff);
                if segment.ack.is_some_and(|ack| !of_syn(ack)) {
                    return Err(Skip::OutOfWindow);
                }
                self.fail(Outcome::Refused, at, out);
            }
            // It answers something old that the other side sent, and goes on connecting.
            (Phase::Opening, true) if self.down.base().is_none() => return Err(Skip::Stray),
            (Phase::Opening, true) => self.fail(Outcome::GivenUp, at, out),
            _ if !plausible => return Err(Skip::OutOfWindow),
            (_, true) => self.close(Ending::Aborted, at, out),
            (_, false) => self.close(Ending::Reset, at, out),
        }
        Ok(())
    }

    /// What the capture has lost of either direction, once that is certain.
    fn lost(&mut self, now: BootNs, at_once: bool, out: Out<'_>) {
        let (sent, received) = (self.up.take_missing(now, at_once), self.down.take_missing(now, at_once));
        if sent.is_some() || received.is_some() {
            out(Found::Progress(Progress { id: self.id(), sent, received }));
        }
    }

    /// The counters, if they moved, as of the last segment.
    pub(super) fn sample(&mut self, out: Out<'_>) {
        if self.phase != Phase::Open || !std::mem::take(&mut self.moved) {
            return;
        }
        self.lost(self.last, true, out);
        out(Found::Fact(Fact::Sample(SampleFact { id: self.id(), at: self.last, seen: self.seen() })));
    }

    fn close(&mut self, ending: Ending, at: BootNs, out: Out<'_>) {
        self.lost(at, true, out);
        self.phase = Phase::Over;
        self.tell(Moment::Closed(ending), at, out);
    }

    fn fail(&mut self, outcome: Outcome, at: BootNs, out: Out<'_>) {
        self.phase = Phase::Over;
        self.tell(Moment::Failed(outcome), at, out);
    }

    /// The server does not answer: how that ends, if it has to end now. Asking once and no more
    /// says nothing: what else there was may not have been captured.
    pub(super) fn unanswered(&self) -> Option<Outcome> {
        (self.syns > 1 && self.down.base().is_none()).then_some(Outcome::TimedOut)
    }

    /// It is given up without its end having been seen.
    pub(super) fn give_up(&mut self, at: BootNs, out: Out<'_>) {
        let at = at.max(self.last);
        match self.phase {
            Phase::Opening => self.fail(self.unanswered().unwrap_or(Outcome::Unknown), at, out),
            Phase::Open => self.close(Ending::Unknown, self.last, out),
            Phase::Over => {}
        }
    }

    fn seen(&self) -> Seen {
        Seen {
            bytes_sent: self.up.bytes(),
            bytes_received: self.down.bytes(),
            srtt_us: self.srtt_us,
            min_rtt_us: self.srtt_us,
            retransmits: self.retransmits,
        }
    }

    fn tell(&self, moment: Moment, at: BootNs, out: Out<'_>) {
        let isns = match (self.up.isn(), self.down.base()) {
            (Some(tx), Some(rx)) if self.phase != Phase::Opening && !matches!(moment, Moment::Failed(_)) => {
                Some(Isns { tx, rx })
            }
            _ => None,
        };
        out(Found::Fact(Fact::End(EndFact {
            id: self.id(),
            at,
            moment,
            local: self.local,
            peer: self.peer,
            role: if self.adopted { Role::Unknown } else { Role::Client },
            role_evidence: if self.adopted { RoleEvidence::Unknown } else { RoleEvidence::SawConnect },
            owner: OwnerFact::default(),
            adopted: self.adopted,
            isns,
            opened: self.opened,
            established: self.established,
            seen: self.seen(),
        })));
    }
}
