//! How a connection is established, refused and reset.

use super::super::Observation;
use super::super::counts::Skip;
use super::super::icmp;
use super::super::segment::Segment;
use super::{Conn, EarlyData, Out, Phase};
use crate::model::{BootNs, Outcome};
use crate::track::{Ending, Moment, Piece};

impl Conn {
    /// Before the connection is established; says whether it is now.
    pub(super) fn handshake(
        &mut self,
        from_local: bool,
        segment: &Segment<'_>,
        at: BootNs,
        out: Out<'_>,
    ) -> bool {
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
                self.syns = self.syns.saturating_add(1);
                self.syn_at = at;
                if self.syns > 1 {
                    self.retransmits = self.retransmits.saturating_add(1);
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
            self.up.payload(0, early.len, early.at, None);
            self.down.heard = Some(early.at);
            self.moved = true;
            out(Observation::Piece(Piece {
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

    pub(super) fn reset(
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

    /// The network says that a segment did not arrive: of the SYN that ends the connect, later it is
    /// only a hint (RFC 1122 section 4.2.3.9).
    pub(in crate::source::pcap) fn unreachable(
        &mut self,
        error: &icmp::Error,
        at: BootNs,
        out: Out<'_>,
    ) -> bool {
        let of_syn = self.is_from_local(error.ends.0) && self.up.isn() == Some(error.seq);
        if self.phase != Phase::Opening || self.down.base().is_some() || !of_syn {
            return false;
        }
        self.last = self.last.max(at);
        self.fail(error.outcome, self.last, out);
        true
    }
}
