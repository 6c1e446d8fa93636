//! Merging: over adjacent time (1 s → 10 s, and everything into the totals), and beside each other.
//!
//! Over time deltas add. `open` is a gauge: the merged slice has the value at its end. A slice holds
//! every edge that changed in it or has a connection open at its end; so an edge, or one view of an
//! edge, that the later slice does not hold has none open at its end, and the merged gauge is 0. That
//! makes merging associative: however slices are grouped, the result is the same. Beside each other
//! everything adds.

use std::collections::{HashMap, HashSet};

use super::asked::AskedSum;
use crate::model::{Counters, EdgeKey, EdgeSlice, EntityId, HistSum, NameKind, Slice};

/// Merges the slice that follows `into` in time, or begins with it where `into` is an empty one. Edges
/// end up sorted by key; entities are kept once and of each kind of name of an entity the later one.
pub fn merge_adjacent(into: &mut Slice, later: &Slice) {
    merge_head(into, later);

    let at: HashMap<EdgeKey, usize> = into.edges.iter().enumerate().map(|(i, e)| (e.key, i)).collect();
    into.edges.iter_mut().for_each(close);
    for edge in &later.edges {
        match at.get(&edge.key) {
            Some(&i) => merge_later(&mut into.edges[i], edge),
            None => into.edges.push(edge.clone()),
        }
    }
    into.edges.sort_unstable_by_key(|e| e.key);

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

/// [`merge_adjacent`] of everything but the lists of edges, entities and names.
pub fn merge_head(into: &mut Slice, later: &Slice) {
    if into.length_ns == 0 {
        into.start = later.start;
    }
    into.agent = later.agent;
    into.sequence = later.sequence;
    // From the first start to the last end, also over a hole.
    into.length_ns = later.end().since(into.start);
    into.utc = later.utc;
    into.loss.merge(&later.loss);
    // Saturates: the counts may come from a peer.
    into.late = into.late.saturating_add(later.late);
    into.cpu_ns = into.cpu_ns.saturating_add(later.cpu_ns);
}

/// The same edge in a later interval: a view that is not there has nothing open any more.
pub fn merge_later(mine: &mut EdgeSlice, later: &EdgeSlice) {
    close(mine);
    for (mine, later) in [(&mut mine.by_client, &later.by_client), (&mut mine.by_server, &later.by_server)] {
        if let Some(later) = later {
            mine.get_or_insert_default().merge_later(later);
        }
    }
}

/// Nothing of this edge is open any more.
pub fn close(edge: &mut EdgeSlice) {
    for c in [&mut edge.by_client, &mut edge.by_server].into_iter().flatten() {
        c.open = 0;
        if let Some(secured) = &mut c.secured {
            secured.open = [0; 8];
        }
    }
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

/// Adds the same view of another edge of the same interval: everything adds, gauges too, because
/// these are other connections.
pub fn merge_beside(to: &mut Counters, other: &Counters) {
    let open = to.open.saturating_add(other.open);
    let secured = |c: &Counters| c.secured.as_ref().map_or([0; 8], |s| s.open);
    let (mine, theirs) = (secured(to), secured(other));
    to.merge_later(other);
    to.open = open;
    if let Some(s) = &mut to.secured {
        s.open = std::array::from_fn(|i| mine[i].saturating_add(theirs[i]));
    }
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
    }

    #[test]
    fn what_is_absent_later_is_not_open() {
        let mut a = slice(1, &vec![(1, true, 1, 5, 9), (2, true, 1, 4, 9), (2, false, 1, 3, 9)]);
        merge_adjacent(&mut a, &slice(2, &vec![(2, false, 0, 2, 9)]));
        let open =
            |e: &EdgeSlice| [&e.by_client, &e.by_server].map(|c| c.as_ref().map(|c| (c.opened, c.open)));
        assert_eq!(open(&a.edges[0]), [Some((1, 0)), None]);
        assert_eq!(open(&a.edges[1]), [Some((1, 0)), Some((1, 2))]);
    }

    #[test]
    fn open_ones_of_each_security_add_beside_each_other_and_not_over_time() {
        use crate::model::Secured;
        let of = |open: u64, closed: u64| {
            let mut s = Secured::default();
            (s.open[1], s.closed[3]) = (open, closed);
            Counters { open, secured: Some(Box::new(s)), ..Counters::default() }
        };
        let get = |c: &Counters| c.secured.as_ref().map(|s| (s.open[1], s.closed[3]));
        let mut beside = of(2, 5);
        merge_beside(&mut beside, &of(3, 1));
        assert_eq!(get(&beside), Some((5, 6)));
        merge_beside(&mut beside, &Counters::default());
        assert_eq!(get(&beside), Some((5, 6)));
        beside.merge_later(&of(1, 1));
        assert_eq!(get(&beside), Some((1, 7)));
        let mut edge = EdgeSlice { by_client: Some(beside), ..EdgeSlice::new(key(1)) };
        close(&mut edge);
        assert_eq!(get(edge.by_client.as_ref().unwrap()), Some((0, 7)));
    }

    /// A viewer begins with nothing.
    #[test]
    fn an_empty_slice_takes_over_what_comes() {
        let first = slice(7, &vec![(1, true, 1, 5, 9)]);
        let mut all = Slice::default();
        merge_adjacent(&mut all, &first);
        assert_eq!(all, first);
    }
}
