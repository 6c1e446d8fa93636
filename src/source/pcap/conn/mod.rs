//! One TCP connection as its client end would tell it, from the segments that passed.

mod opening;

use super::Observation;
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
pub(super) type Out<'o> = &'o mut dyn FnMut(Observation<'_>);

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
                self.retransmits = self.retransmits.saturating_add(1);
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

    fn payload(&mut self, from_local: bool, offset: i64, segment: &Segment<'_>, at: BootNs, out: Out<'_>) {
        let id = self.id();
        let round_trip = self.srtt_us.map(|us| u64::from(us) * 1000);
        let (stream, other) = self.streams(from_local);
        let (new, again) = match stream.payload(offset, segment.len, at, round_trip) {
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
        out(Observation::Piece(piece));
    }

    /// How many segments on the wire this one is, where the capture saw it before the network card cut
    /// it up: the kernel counts those.
    fn segments(&self, segment: &Segment<'_>) -> u32 {
        match self.max_segment.saturating_sub(segment.options.len() as u32) {
            0 => 1,
            most => segment.len.div_ceil(most),
        }
    }

    /// What the capture has lost of either direction, once that is certain.
    fn lost(&mut self, now: BootNs, at_once: bool, out: Out<'_>) {
        let (sent, received) = (self.up.take_missing(now, at_once), self.down.take_missing(now, at_once));
        if sent.is_some() || received.is_some() {
            out(Observation::Progress(Progress { id: self.id(), sent, received }));
        }
    }

    /// The counters, if they moved, as of the last segment.
    pub(super) fn sample(&mut self, out: Out<'_>) {
        if self.phase != Phase::Open || !std::mem::take(&mut self.moved) {
            return;
        }
        self.lost(self.last, true, out);
        out(Observation::Fact(Fact::Sample(SampleFact { id: self.id(), at: self.last, seen: self.seen() })));
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
            packets: None,
        }
    }

    fn tell(&self, moment: Moment, at: BootNs, out: Out<'_>) {
        let isns = match (self.up.isn(), self.down.base()) {
            (Some(tx), Some(rx)) if self.phase != Phase::Opening && !matches!(moment, Moment::Failed(_)) => {
                Some(Isns { tx, rx })
            }
            _ => None,
        };
        out(Observation::Fact(Fact::End(EndFact {
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
            route: None,
        })));
    }
}
