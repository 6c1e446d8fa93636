//! Merging: over adjacent time (deltas add, gauges are replaced), and beside each other (all add).

use std::collections::HashMap;

use super::asked::AskedSum;
use crate::model::{Counters, EdgeKey, EdgeSlice, HistSum, Slice};

/// Appends a later slice to an earlier one of the same agent. An edge that the later slice does
/// not have has nothing open any more.
pub fn merge_adjacent(earlier: &mut Slice, later: &Slice) {
    if earlier.length_ns == 0 {
        earlier.start = later.start;
    }
    let index: HashMap<_, usize> = earlier.edges.iter().enumerate().map(|(i, e)| (e.key, i)).collect();
    earlier.edges.iter_mut().for_each(close);
    for edge in &later.edges {
        match index.get(&edge.key) {
            Some(&i) => {
                merge_later(&mut earlier.edges[i], edge);
            }
            None => earlier.edges.push(edge.clone()),
        }
    }
    earlier.agent = later.agent;
    earlier.sequence = later.sequence;
    earlier.length_ns = later.end().since(earlier.start);
    earlier.utc = later.utc;
    earlier.entities.extend(later.entities.iter().cloned());
    earlier.names.extend(later.names.iter().cloned());
    earlier.loss.merge(&later.loss);
    earlier.late += later.late;
    earlier.cpu_ns += later.cpu_ns;
}

/// The same edge in a later interval.
pub(super) fn merge_later(mine: &mut EdgeSlice, later: &EdgeSlice) {
    append(&mut mine.by_client, later.by_client.as_ref());
    append(&mut mine.by_server, later.by_server.as_ref());
}

/// Adds up one edge over rising intervals: [`merge_later`] for many, at a fraction of its cost, and
/// without targets.
#[derive(Debug, Default)]
pub(super) struct EdgeSum {
    by_client: ViewSum,
    by_server: ViewSum,
}

#[derive(Debug, Default)]
struct ViewSum {
    counts: Option<Counters>,
    connect_us: HistSum,
    srtt_us: HistSum,
    asked: AskedSum,
}

impl EdgeSum {
    /// The edge in the next interval.
    pub(super) fn add(&mut self, edge: &EdgeSlice) {
        self.by_client.add(edge.by_client.as_ref());
        self.by_server.add(edge.by_server.as_ref());
    }

    /// The sum so far; the next one begins at nothing.
    pub(super) fn take(&mut self, key: EdgeKey) -> EdgeSlice {
        EdgeSlice { key, by_client: self.by_client.take(), by_server: self.by_server.take() }
    }
}

impl ViewSum {
    fn add(&mut self, counters: Option<&Counters>) {
        if let Some(c) = counters {
            self.counts.get_or_insert_default().merge_later_counts(c);
            self.connect_us.add(&c.connect_us);
            self.srtt_us.add(&c.srtt_us);
            if let Some(asked) = &c.asked {
                self.asked.add(asked);
            }
        }
    }

    fn take(&mut self) -> Option<Counters> {
        let counts = self.counts.take()?;
        Some(Counters {
            connect_us: self.connect_us.take(),
            srtt_us: self.srtt_us.take(),
            asked: self.asked.take(),
            ..counts
        })
    }
}

/// Nothing of this edge is open any more.
pub(super) fn close(edge: &mut EdgeSlice) {
    for c in [&mut edge.by_client, &mut edge.by_server].into_iter().flatten() {
        c.open = 0;
    }
}

fn append(mine: &mut Option<Counters>, later: Option<&Counters>) {
    if let Some(later) = later {
        mine.get_or_insert_default().merge_later(later);
    }
}

/// Adds the same view of another edge of the same interval: everything adds, gauges too, because
/// these are other connections.
pub fn merge_beside(to: &mut Counters, other: &Counters) {
    let open = to.open + other.open;
    to.merge_later(other);
    to.open = open;
}

/// [`merge_beside`] for one view that may not be there; what comes first is taken over as it is.
pub(super) fn merge_view_beside(mine: &mut Option<Counters>, theirs: Option<Counters>) {
    match (mine, theirs) {
        (Some(mine), Some(theirs)) => merge_beside(mine, &theirs),
        (mine @ None, theirs) => *mine = theirs,
        (Some(_), None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BootNs, EdgeKey, EntityId, Transport, View};
    use proptest::prelude::*;

    fn slice(sequence: u64, opened: &[(u8, u8)]) -> Slice {
        let edges = opened.iter().enumerate().map(|(i, &(n, open))| {
            let key = EdgeKey {
                client: EntityId(i as u64 % 3),
                server: EntityId(9),
                addr: [127, 0, 0, 1].into(),
                port: i as u16 % 3,
                transport: Transport::Tcp,
                role_known: true,
            };
            let mut e = EdgeSlice::new(key);
            let c = e.view_mut(View::Client);
            c.opened = n.into();
            c.open = open.into();
            c.connect_us.record(n.into());
            e
        });
        let mut seen = std::collections::HashSet::new();
        Slice {
            sequence,
            start: BootNs(sequence * 1_000_000_000),
            length_ns: 1_000_000_000,
            edges: edges.filter(|e| seen.insert(e.key)).collect(),
            ..Slice::default()
        }
    }

    fn sorted(mut s: Slice) -> Slice {
        s.edges.sort_by_key(|e| e.key);
        s
    }

    proptest! {
        /// The same slices give the same world, however they were rolled up.
        #[test]
        fn grouping_does_not_matter(
            parts in proptest::collection::vec(proptest::collection::vec((any::<u8>(), any::<u8>()), 0..4), 1..12),
            cut in 0usize..12,
        ) {
            let slices: Vec<Slice> = parts.iter().enumerate().map(|(i, p)| slice(i as u64 + 1, p)).collect();
            let mut one = Slice::default();
            slices.iter().for_each(|s| merge_adjacent(&mut one, s));
            let cut = cut.min(slices.len());
            let (mut a, mut b) = (Slice::default(), Slice::default());
            slices[..cut].iter().for_each(|s| merge_adjacent(&mut a, s));
            slices[cut..].iter().for_each(|s| merge_adjacent(&mut b, s));
            let two = if cut == 0 { b } else if cut == slices.len() { a } else { merge_adjacent(&mut a, &b); a };
            prop_assert_eq!(sorted(one), sorted(two));
        }
    }

    #[test]
    fn what_is_absent_later_is_not_open() {
        let mut a = slice(1, &[(1, 5)]);
        merge_adjacent(&mut a, &slice(2, &[]));
        assert_eq!(a.edges[0].by_client.as_ref().unwrap().open, 0);
        assert_eq!(a.edges[0].by_client.as_ref().unwrap().opened, 1);
    }
}
