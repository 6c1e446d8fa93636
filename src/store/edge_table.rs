//! The edges of the totals: merged slice by slice at the cost of what is new in each, and folded where
//! there are too many.

use std::collections::{HashMap, HashSet};

use crate::model::{EdgeKey, EdgeSlice};
use crate::world::{close, merge_later};

/// Edges that can be found by key, and what was merged into them last.
#[derive(Debug, Default)]
pub(super) struct EdgeTable {
    edges: Vec<EdgeSlice>,
    at: HashMap<EdgeKey, usize>,
    /// Round in which each edge was last in a merged slice.
    touched: Vec<u64>,
    /// Edges whose gauge may not be 0.
    open: Vec<usize>,
    round: u64,
}

impl EdgeTable {
    pub(super) fn edges(&self) -> &[EdgeSlice] {
        &self.edges
    }

    /// Merges the edges of the slice that comes next in time.
    pub(super) fn merge(&mut self, later: &[EdgeSlice]) {
        self.round += 1;
        let before = std::mem::take(&mut self.open);
        for edge in later {
            let i = *self.at.entry(edge.key).or_insert(self.edges.len());
            match self.edges.get_mut(i) {
                Some(kept) => {
                    merge_later(kept, edge);
                    self.touched[i] = self.round;
                }
                None => {
                    self.edges.push(edge.clone());
                    self.touched.push(self.round);
                }
            }
            self.open.push(i);
        }
        for i in before {
            if self.touched[i] != self.round {
                close(&mut self.edges[i]);
            }
        }
    }

    /// Folds the edges that were idle longest into one per transport, so that at most `limit` and a
    /// few stay: nothing that was counted is lost. Returns how many were folded.
    pub(super) fn fold(&mut self, limit: usize, folded_key: impl Fn(&EdgeKey) -> EdgeKey) -> u64 {
        if self.edges.len() <= limit {
            return 0;
        }
        // Some room at once, so that this is not done again for each new edge.
        let keep = limit - limit / 16;
        let mut order: Vec<usize> = (0..self.edges.len()).collect();
        // Newest first; a folded edge is as new as can be, so it is not folded into itself.
        order.sort_by_key(|&i| {
            let e = &self.edges[i];
            std::cmp::Reverse((folded_key(&e.key) == e.key, self.touched[i]))
        });
        let victims: HashSet<usize> = order.split_off(keep).into_iter().collect();
        let mut kept = EdgeTable { round: self.round, ..EdgeTable::default() };
        let mut sums: Vec<EdgeSlice> = Vec::new();
        for (i, mut edge) in std::mem::take(&mut self.edges).into_iter().enumerate() {
            let key = if victims.contains(&i) { folded_key(&edge.key) } else { edge.key };
            if key == edge.key && !victims.contains(&i) {
                kept.at.insert(edge.key, kept.edges.len());
                kept.touched.push(self.touched[i]);
                kept.open.push(kept.edges.len());
                kept.edges.push(edge);
                continue;
            }
            // What is open there is counted anew by the next slice that holds the edge.
            close(&mut edge);
            edge.key = key;
            match sums.iter_mut().find(|s| s.key == key) {
                Some(sum) => merge_later(sum, &edge),
                None => sums.push(edge),
            }
        }
        let still_open = std::mem::take(&mut kept.open);
        kept.merge(&sums);
        kept.open.extend(still_open);
        *self = kept;
        victims.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Counters, EntityId, Slice, Transport, View};
    use crate::world::merge_adjacent;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Edges of one slice from rows: edge, view, opened, open.
    fn edges(rows: &[(u8, bool, u64, u64)]) -> Vec<EdgeSlice> {
        let mut edges: Vec<EdgeSlice> = Vec::new();
        for &(n, client, opened, open) in rows {
            let key = EdgeKey {
                client: EntityId(u64::from(n)),
                server: EntityId(9),
                addr: std::net::Ipv4Addr::LOCALHOST.into(),
                port: 80,
                transport: Transport::Tcp,
                role_known: true,
            };
            let at = edges.iter().position(|e| e.key == key).unwrap_or_else(|| {
                edges.push(EdgeSlice::new(key));
                edges.len() - 1
            });
            let c = edges[at].view_mut(if client { View::Client } else { View::Server });
            (c.opened, c.open) = (opened, open);
        }
        edges
    }

    fn sum(edges: &[EdgeSlice], of: impl Fn(&Counters) -> u64) -> u64 {
        edges.iter().flat_map(|e| [&e.by_client, &e.by_server]).flatten().map(of).sum()
    }

    proptest! {
        /// Step by step it is what merging whole slices gives.
        #[test]
        fn the_table_is_the_merged_slice(
            slices in vec(vec((0..4u8, any::<bool>(), 0..9u64, 0..3u64), 0..6), 1..10),
        ) {
            let (mut table, mut merged) = (EdgeTable::default(), Slice::default());
            for rows in &slices {
                table.merge(&edges(rows));
                merge_adjacent(&mut merged, &Slice { edges: edges(rows), ..Slice::default() });
                let mut of_table = table.edges().to_vec();
                of_table.sort_by_key(|e| e.key);
                prop_assert_eq!(&of_table, &merged.edges);
            }
        }

        /// The table of the totals, merged step by step and folded, counts the same.
        #[test]
        fn folding_loses_nothing(
            slices in vec(vec((0..40u8, any::<bool>(), 0..9u64, 0..3u64), 0..6), 1..20),
        ) {
            let mut table = EdgeTable::default();
            let folded = |k: &EdgeKey| EdgeKey { client: EntityId(77), ..*k };
            let mut total = 0;
            for rows in &slices {
                let edges = edges(rows);
                total += sum(&edges, |c| c.opened);
                table.merge(&edges);
                table.fold(16, folded);
                prop_assert!(table.edges().len() <= 16);
                prop_assert_eq!(sum(table.edges(), |c| c.opened), total);
                for (at, e) in table.edges.iter().enumerate() {
                    prop_assert_eq!(table.at.get(&e.key), Some(&at));
                }
            }
            table.merge(&[]);
            prop_assert_eq!(sum(table.edges(), |c| c.open), 0, "an empty slice has none open");
        }
    }
}
