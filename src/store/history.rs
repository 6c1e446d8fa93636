//! The recent slices: 1 s, and before them 10 s.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::{Asked, EdgeSlice, Entity, Name, ProtocolCounts, Slice, TargetCounts};
use crate::world::merge_adjacent;

/// Slices in one coarse slice.
const ROLL: usize = 10;

/// How much history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Slices of 1 s; up to 9 more wait to be rolled up.
    pub fine: usize,
    /// Slices of 10 s.
    pub coarse: usize,
    /// Memory for both, bytes, estimated; the oldest are given up first.
    pub bytes: usize,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        HistoryLimits { fine: 300, coarse: 360, bytes: 24 << 20 }
    }
}

#[derive(Debug)]
pub(super) struct History {
    fine: VecDeque<Arc<Slice>>,
    coarse: VecDeque<Arc<Slice>>,
    bytes: usize,
    limits: HistoryLimits,
}

impl History {
    pub(super) fn new(limits: HistoryLimits) -> Self {
        History { fine: VecDeque::new(), coarse: VecDeque::new(), bytes: 0, limits }
    }

    pub(super) fn push(&mut self, slice: Arc<Slice>) {
        self.bytes += size(&slice);
        self.fine.push_back(slice);
        // Ten at once, so that fine and coarse always meet without a hole.
        if self.fine.len() >= self.limits.fine + ROLL {
            self.roll();
        }
        while self.coarse.len() > self.limits.coarse {
            self.give_up();
        }
        while self.bytes > self.limits.bytes && self.coarse.len() + self.fine.len() > 1 {
            self.give_up();
        }
    }

    fn roll(&mut self) {
        let mut merged: Option<Slice> = None;
        for slice in self.fine.drain(..ROLL) {
            self.bytes -= size(&slice);
            match &mut merged {
                Some(m) => merge_adjacent(m, &slice),
                // Nobody resumes within coarse slices, and totals hold the names.
                None => {
                    merged = Some(Slice { entities: Vec::new(), names: Vec::new(), ..(*slice).clone() });
                }
            }
        }
        if let Some(mut m) = merged {
            m.entities = Vec::new();
            m.names = Vec::new();
            self.bytes += size(&m);
            self.coarse.push_back(Arc::new(m));
        }
    }

    fn give_up(&mut self) {
        if let Some(old) = self.coarse.pop_front().or_else(|| self.fine.pop_front()) {
            self.bytes -= size(&old);
        }
    }

    /// Coarse, then fine, oldest first.
    pub(super) fn all(&self) -> Vec<Arc<Slice>> {
        self.coarse.iter().chain(&self.fine).cloned().collect()
    }

    /// Up to `max` 1 s slices after a sequence number; `None` when they are no longer all there.
    pub(super) fn after(&self, sequence: u64, max: usize) -> Option<Vec<Arc<Slice>>> {
        let first = self.fine.front().map_or(u64::MAX, |s| s.sequence);
        if first > sequence.saturating_add(1) {
            return None;
        }
        let from = self.fine.partition_point(|s| s.sequence <= sequence);
        Some(self.fine.iter().skip(from).take(max).cloned().collect())
    }
}

/// Estimated memory of a slice, bytes.
fn size(s: &Slice) -> usize {
    let views = || s.edges.iter().flat_map(|e| [&e.by_client, &e.by_server]).flatten();
    let buckets: usize = views().map(|c| c.connect_us.buckets().len() + c.srtt_us.buckets().len()).sum();
    let asked: usize = views().filter_map(|c| c.asked.as_deref()).map(asked).sum();
    size_of::<Slice>()
        + s.edges.len() * size_of::<EdgeSlice>()
        + buckets * size_of::<(u16, u32)>()
        + asked
        + s.entities.len() * size_of::<Entity>()
        + s.names.len() * size_of::<Name>()
}

/// Estimated memory of what was asked about on one edge. Labels are shared.
fn asked(a: &Asked) -> usize {
    let turns = [&a.turns.first_us, &a.turns.full_us];
    let protocols = a.protocols.iter().flat_map(|p| [&p.tally.latency_us, &p.full_us]);
    let targets = a.targets.iter().map(|t| &t.tally.latency_us);
    let buckets: usize = turns.into_iter().chain(protocols).chain(targets).map(|h| h.buckets().len()).sum();
    size_of::<Asked>()
        + a.protocols.len() * size_of::<ProtocolCounts>()
        + a.targets.len() * size_of::<TargetCounts>()
        + buckets * size_of::<(u16, u32)>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BootNs, Counters, EdgeKey, EntityId, Transport};

    fn slice(n: u64) -> Arc<Slice> {
        let key = EdgeKey {
            client: EntityId(1),
            server: EntityId(2),
            addr: std::net::Ipv4Addr::LOCALHOST.into(),
            port: 1,
            transport: Transport::Tcp,
            role_known: true,
        };
        let by_client = Some(Counters { opened: n, ..Counters::default() });
        let edge = EdgeSlice { key, by_client, by_server: None };
        Arc::new(Slice {
            sequence: n,
            start: BootNs(n * 1_000_000_000),
            length_ns: 1_000_000_000,
            edges: vec![edge],
            ..Slice::default()
        })
    }

    #[test]
    fn rolls_up_without_a_hole_and_forgets_the_oldest() {
        let mut h = History::new(HistoryLimits { fine: 20, coarse: 3, bytes: usize::MAX });
        for n in 1..=100 {
            h.push(slice(n));
            let all = h.all();
            assert!(all.windows(2).all(|w| w[0].end() == w[1].start), "{n}");
            assert_eq!(all.last().unwrap().sequence, n);
            let opened: u64 = all.iter().map(|s| s.edges[0].by_client.as_ref().unwrap().opened).sum();
            let first = all[0].start.0 / 1_000_000_000;
            assert_eq!(opened, (first..=n).sum::<u64>());
        }
        assert_eq!(h.coarse.len(), 3);
        assert_eq!(h.all()[0].start, BootNs(51_000_000_000));
    }

    #[test]
    fn is_bounded_by_bytes() {
        let one = size(&slice(1));
        let mut h = History::new(HistoryLimits { fine: 300, coarse: 360, bytes: 10 * one });
        for n in 1..=1000 {
            h.push(slice(n));
            assert!(h.bytes <= 10 * one);
            assert_eq!(h.bytes, h.all().iter().map(|s| size(s)).sum::<usize>());
        }
        assert_eq!(h.after(998, 9).unwrap().len(), 2);
    }

    #[test]
    fn resumes_only_where_nothing_is_missing() {
        let mut h = History::new(HistoryLimits { fine: 20, coarse: 3, bytes: usize::MAX });
        assert_eq!(h.after(0, 9), None);
        (1..=30).for_each(|n| h.push(slice(n)));
        assert_eq!(h.after(9, 99), None);
        let sequences =
            |after, max| -> Vec<u64> { h.after(after, max).unwrap().iter().map(|s| s.sequence).collect() };
        assert_eq!(sequences(10, 99), (11..=30).collect::<Vec<_>>());
        assert_eq!(sequences(28, 1), [29]);
        assert_eq!(sequences(30, 9), Vec::<u64>::new());
    }
}
