//! Merging slices that are adjacent in time: 1 s → 10 s, and everything into the totals.
//!
//! Deltas add. `open` is a gauge: the merged slice has the value at its end. A slice holds every
//! edge that changed in it or has a connection open at its end; so an edge, or one view of an edge,
//! that the later slice does not hold has none open at its end, and the merged gauge is 0. That
//! makes merging associative: however slices are grouped, the result is the same.

use std::collections::{HashMap, HashSet};

use crate::model::{Counters, EdgeKey, EdgeSlice, EntityId, NameKind, Slice};

/// Merges the slice that follows `into` in time. Edges end up sorted by key; entities are kept once
/// and of each kind of name of an entity the later one.
pub fn merge_adjacent(into: &mut Slice, later: &Slice) {
    let mut table = EdgeTable::from_edges(std::mem::take(&mut into.edges));
    table.merge(&later.edges);
    into.edges = table.edges;
    into.edges.sort_unstable_by_key(|e| e.key);
    merge_head(into, later);

    let mut known: HashSet<EntityId> = into.entities.iter().map(|e| e.id).collect();
    into.entities.extend(later.entities.iter().filter(|e| known.insert(e.id)).cloned());
    let mut at: HashMap<(EntityId, NameKind), usize> =
        into.names.iter().enumerate().map(|(i, n)| ((n.entity, n.kind), i)).collect();
    for name in &later.names {
        match at.get(&(name.entity, name.kind)) {
            Some(&i) => into.names[i] = name.clone(),
            None => {
                at.insert((name.entity, name.kind), into.names.len());
                into.names.push(name.clone());
            }
        }
    }
}

/// Merges everything but the lists of edges, entities and names.
pub(super) fn merge_head(into: &mut Slice, later: &Slice) {
    into.agent = later.agent;
    into.sequence = later.sequence;
    // From the first start to the last end, also over a hole.
    into.length_ns = later.end().since(into.start);
    into.utc = later.utc;
    into.loss.merge(&later.loss);
    into.late = into.late.saturating_add(later.late);
    into.cpu_ns = into.cpu_ns.saturating_add(later.cpu_ns);
}

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
    pub(super) fn from_edges(edges: Vec<EdgeSlice>) -> Self {
        let at = edges.iter().enumerate().map(|(i, e)| (e.key, i)).collect();
        let open = (0..edges.len()).collect();
        EdgeTable { touched: vec![0; edges.len()], edges, at, open, round: 0 }
    }

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
                    merge_view(&mut kept.by_client, edge.by_client.as_ref());
                    merge_view(&mut kept.by_server, edge.by_server.as_ref());
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
                let edge = &mut self.edges[i];
                for c in [&mut edge.by_client, &mut edge.by_server].into_iter().flatten() {
                    c.open = 0;
                }
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
            for c in [&mut edge.by_client, &mut edge.by_server].into_iter().flatten() {
                c.open = 0;
            }
            edge.key = key;
            match sums.iter_mut().find(|s| s.key == key) {
                Some(sum) => {
                    merge_view(&mut sum.by_client, edge.by_client.as_ref());
                    merge_view(&mut sum.by_server, edge.by_server.as_ref());
                }
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

fn merge_view(into: &mut Option<Counters>, later: Option<&Counters>) {
    match (into.as_mut(), later) {
        (Some(a), Some(b)) => a.merge_later(b),
        (Some(a), None) => a.open = 0,
        (None, b) => *into = b.cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        AgentInstance, BootNs, Cause, Entity, EntityKind, LossKind, Name, Transport, UtcOffset, View,
    };
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn key(n: u8) -> EdgeKey {
        EdgeKey {
            client: EntityId(u64::from(n)),
            server: EntityId(9),
            addr: std::net::Ipv4Addr::LOCALHOST.into(),
            port: 80,
            transport: Transport::Tcp,
            role_known: true,
        }
    }

    /// Rows: edge, view, opened, open, time.
    type Rows = Vec<(u8, bool, u64, u64, u64)>;

    fn slice(n: u64, rows: &Rows) -> Slice {
        let mut s = Slice {
            agent: AgentInstance(1),
            sequence: n,
            start: BootNs(n * 1000),
            length_ns: 1000,
            utc: UtcOffset(n as i64),
            late: n,
            cpu_ns: 3,
            ..Slice::default()
        };
        for &(k, client, opened, open, us) in rows {
            let at = s.edges.iter().position(|e| e.key == key(k)).unwrap_or_else(|| {
                s.edges.push(EdgeSlice::new(key(k)));
                s.edges.len() - 1
            });
            let c = s.edges[at].view_mut(if client { View::Client } else { View::Server });
            (c.opened, c.open) = (opened, open);
            c.connect_us.record(us);
            s.loss.add(LossKind::State, if client { Cause::RingFull } else { Cause::Blind }, opened);
            let kind = EntityKind::OtherFar { anchor: EntityId(u64::from(k)), port: 0 };
            s.entities.push(Entity { id: kind.id(), kind: kind.clone() });
            s.names.push(Name {
                entity: kind.id(),
                name: format!("{n}").into(),
                kind: NameKind::Folded,
                source: "test".into(),
                from: s.start,
            });
        }
        s.entities.dedup();
        s.edges.sort_unstable_by_key(|e| e.key);
        s
    }

    proptest! {
        #[test]
        fn grouping_makes_no_difference(
            slices in vec(vec((0..4u8, any::<bool>(), 0..9u64, 0..3u64, 1..5000u64), 0..6), 1..10),
            cuts in vec(1..4usize, 10),
        ) {
            let slices: Vec<Slice> = slices.iter().enumerate().map(|(i, r)| slice(i as u64 + 1, r)).collect();
            let mut one_by_one = slices[0].clone();
            for s in &slices[1..] {
                merge_adjacent(&mut one_by_one, s);
            }
            let (mut grouped, mut rest) = (Vec::new(), &slices[..]);
            for cut in cuts {
                let (group, left) = rest.split_at(cut.min(rest.len()));
                if let Some((first, more)) = group.split_first() {
                    let mut g = first.clone();
                    more.iter().for_each(|s| merge_adjacent(&mut g, s));
                    grouped.push(g);
                }
                rest = left;
            }
            let mut of_groups = grouped[0].clone();
            for g in &grouped[1..] {
                merge_adjacent(&mut of_groups, g);
            }
            prop_assert_eq!(of_groups, one_by_one);
        }

        #[test]
        fn sums_are_sums_and_gauges_are_the_last(
            slices in vec(vec((0..4u8, any::<bool>(), 0..9u64, 0..3u64, 1..5000u64), 0..6), 1..10),
        ) {
            let slices: Vec<Slice> = slices.iter().enumerate().map(|(i, r)| slice(i as u64 + 1, r)).collect();
            let mut all = slices[0].clone();
            for s in &slices[1..] {
                merge_adjacent(&mut all, s);
            }
            for view in [View::Client, View::Server] {
                let get = |s: &Slice, k: u8| {
                    let e = s.edges.iter().find(|e| e.key == key(k)).cloned();
                    e.and_then(|e| if view == View::Client { e.by_client } else { e.by_server })
                        .unwrap_or_default()
                };
                for k in 0..4 {
                    prop_assert_eq!(get(&all, k).opened, slices.iter().map(|s| get(s, k).opened).sum::<u64>());
                    let times: u64 = slices.iter().map(|s| get(s, k).connect_us.count()).sum();
                    prop_assert_eq!(get(&all, k).connect_us.count(), times);
                    prop_assert_eq!(get(&all, k).open, get(slices.last().unwrap(), k).open);
                }
            }
            prop_assert_eq!(all.end(), slices.last().unwrap().end());
        }

        /// The table of the totals, merged step by step and folded, counts the same.
        #[test]
        fn folding_loses_nothing(
            slices in vec(vec((0..40u8, any::<bool>(), 0..9u64, 0..3u64, 1..5000u64), 0..6), 1..20),
        ) {
            let mut table = EdgeTable::default();
            let folded = |k: &EdgeKey| EdgeKey { client: EntityId(77), ..*k };
            let mut total = 0;
            for (i, rows) in slices.iter().enumerate() {
                let s = slice(i as u64 + 1, rows);
                total += s.edges.iter().flat_map(|e| [&e.by_client, &e.by_server]).flatten()
                    .map(|c| c.opened).sum::<u64>();
                table.merge(&s.edges);
                table.fold(16, folded);
                prop_assert!(table.edges().len() <= 16);
                let counters = || table.edges().iter().flat_map(|e| [&e.by_client, &e.by_server]).flatten();
                prop_assert_eq!(counters().map(|c| c.opened).sum::<u64>(), total);
                for (at, e) in table.edges.iter().enumerate() {
                    prop_assert_eq!(table.at.get(&e.key), Some(&at));
                }
            }
            table.merge(&[]);
            let open = table.edges().iter().flat_map(|e| [&e.by_client, &e.by_server]).flatten();
            prop_assert_eq!(open.map(|c| c.open).sum::<u64>(), 0, "an empty slice has none open");
        }
    }
}
