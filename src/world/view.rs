//! A world as a viewer holds it: history of slices, names, totals.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::asked::slowest;
use super::merge::{EdgeSum, close, merge_adjacent, merge_view_beside};
use super::names::NameTable;
use super::rows::{EdgeId, EdgeRow, Point, WorkloadRow};
use crate::model::{
    AgentInstance, BootNs, Counters, EdgeKey, EdgeSlice, EntityId, Loss, Outcome, SECURITIES, Security,
    Slice, UtcOffset,
};

/// Slices of 1 s that are kept.
const FINE: usize = 300;
/// Longer ones.
const COARSE: usize = 360;

/// What the header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Lost in the window.
    pub loss: Loss,
    /// Lost since the agent started.
    pub loss_total: u64,
    /// Agent's processor time in the window, nanoseconds per second.
    pub cpu_ns_per_s: u64,
}

/// Everything a viewer knows.
#[derive(Debug, Default)]
pub struct World {
    /// Host name of the agent, or of the relay.
    pub node: String,
    /// What is watched, in words.
    pub scope: String,
    instance: AgentInstance,
    fine: VecDeque<Arc<Slice>>,
    coarse: VecDeque<Arc<Slice>>,
    totals: Slice,
    names: NameTable,
}

impl World {
    /// Begins anew: what was known is replaced. `totals` holds everything since the agent started,
    /// history included; `history` is in rising order, longer slices before those of 1 s.
    pub fn reset(
        &mut self,
        node: String,
        scope: String,
        totals: Slice,
        history: impl IntoIterator<Item = Arc<Slice>>,
    ) {
        *self = World { node, scope, instance: totals.agent, ..World::default() };
        self.learn(&totals);
        self.totals = totals;
        self.totals.entities.clear();
        self.totals.names.clear();
        for slice in history {
            self.learn(&slice);
            self.keep(slice);
        }
    }

    /// Appends the next slice.
    pub fn push(&mut self, slice: Arc<Slice>) {
        self.learn(&slice);
        merge_adjacent(&mut self.totals, &slice);
        self.totals.entities.clear();
        self.totals.names.clear();
        self.instance = slice.agent;
        self.keep(slice);
    }

    fn learn(&mut self, slice: &Slice) {
        slice.entities.iter().for_each(|e| self.names.describe(e));
        slice.names.iter().for_each(|n| self.names.learn(n));
    }

    fn keep(&mut self, slice: Arc<Slice>) {
        let (ring, limit) =
            if slice.length_ns > 1_500_000_000 { (&mut self.coarse, COARSE) } else { (&mut self.fine, FINE) };
        ring.push_back(slice);
        if ring.len() > limit {
            ring.pop_front();
        }
    }

    /// Where to resume: the instance and the last sequence number.
    pub fn position(&self) -> (AgentInstance, u64) {
        (self.instance, self.totals.sequence)
    }

    /// End of the last slice; 0 before the first.
    pub fn now(&self) -> BootNs {
        if self.totals.length_ns == 0 { BootNs::default() } else { self.totals.end() }
    }

    /// Wall time's offset.
    pub fn utc(&self) -> UtcOffset {
        self.totals.utc
    }

    /// Start of the first slice that was ever counted.
    pub fn since(&self) -> BootNs {
        self.totals.start
    }

    /// Names.
    pub fn names(&self) -> &NameTable {
        &self.names
    }

    /// Names, to add those of a connection list.
    pub fn names_mut(&mut self) -> &mut NameTable {
        &mut self.names
    }

    /// Everything since the agent started, as one slice.
    pub fn totals(&self) -> &Slice {
        &self.totals
    }

    /// 1 s slices of the last `seconds`, oldest first.
    pub fn window(&self, seconds: u64) -> impl Iterator<Item = &Arc<Slice>> {
        self.window_until(self.now(), seconds)
    }

    /// 1 s slices of the `seconds` before `until`, as far as they are kept, oldest first.
    pub fn window_until(&self, until: BootNs, seconds: u64) -> impl Iterator<Item = &Arc<Slice>> {
        let from = BootNs(until.0.saturating_sub(seconds.saturating_mul(1_000_000_000)));
        self.fine.iter().filter(move |s| s.start >= from && s.end() <= until)
    }

    /// Losses and cost over the window.
    pub fn health(&self, seconds: u64) -> Health {
        let mut health = Health { loss_total: self.totals.loss.total(), ..Health::default() };
        let mut length = 0;
        for s in self.window(seconds) {
            health.loss.merge(&s.loss);
            health.cpu_ns_per_s += s.cpu_ns;
            length += s.length_ns;
        }
        if let Some(per_s) =
            health.cpu_ns_per_s.checked_mul(1_000_000_000).and_then(|n| n.checked_div(length))
        {
            health.cpu_ns_per_s = per_s;
        }
        health
    }

    /// Edges between workloads over the last `seconds`, sorted by identity; without targets, which
    /// are many: see [`World::targets`].
    pub fn edges(&self, seconds: u64) -> Vec<EdgeRow> {
        let slices: Vec<&Arc<Slice>> = self.window(seconds).collect();
        // Each edge's slices in their order; edge by edge is much faster than slice by slice.
        let mut runs: HashMap<EdgeKey, Vec<(usize, &EdgeSlice)>> = HashMap::new();
        for (i, slice) in slices.iter().enumerate() {
            for e in &slice.edges {
                runs.entry(e.key).or_default().push((i, e));
            }
        }
        let mut merged: Vec<EdgeSlice> = Vec::with_capacity(runs.len());
        let mut rows: HashMap<EdgeId, Trend> = HashMap::new();
        let mut sum = EdgeSum::default();
        for (key, run) in runs {
            // A row may stand for several edges.
            let trend = rows.entry(self.edge_id(&key)).or_insert_with(|| Trend::new(slices.len()));
            for (i, e) in &run {
                sum.add(e);
                trend.add(*i, e);
            }
            let mut edge = sum.take(key);
            // What the last slice does not have has nothing open any more.
            if run.last().is_none_or(|(i, _)| i + 1 != slices.len()) {
                close(&mut edge);
            }
            merged.push(edge);
        }
        merged.sort_unstable_by_key(|e| e.key);
        rows.values_mut().for_each(|trend| trend.finish(|i| slices[i].start));
        self.group(merged, rows)
    }

    /// Edges between workloads since the agent started.
    pub fn total_edges(&self) -> Vec<EdgeRow> {
        self.group(self.totals.edges.clone(), HashMap::new())
    }

    fn group(&self, edges: Vec<EdgeSlice>, mut trends: HashMap<EdgeId, Trend>) -> Vec<EdgeRow> {
        let mut rows: BTreeMap<EdgeId, EdgeRow> = BTreeMap::new();
        for e in edges {
            let id = self.edge_id(&e.key);
            let row = rows.entry(id.clone()).or_insert_with(|| {
                let trend = trends.remove(&id).unwrap_or_default();
                EdgeRow {
                    client: self.names.workload(e.key.client),
                    server: self.names.workload(e.key.server),
                    addr: Some(e.key.addr),
                    keys: Vec::new(),
                    by_client: None,
                    by_server: None,
                    trend: trend.points,
                    failing_since: trend.failing_since,
                    last_success: trend.last_success,
                    id,
                }
            });
            if row.addr != Some(e.key.addr) {
                row.addr = None;
            }
            row.keys.push(e.key);
            merge_view_beside(&mut row.by_client, e.by_client);
            merge_view_beside(&mut row.by_server, e.by_server);
        }
        rows.into_values().collect()
    }

    fn edge_id(&self, key: &EdgeKey) -> EdgeId {
        EdgeId {
            client: self.names.workload(key.client).id,
            server: self.names.workload(key.server).id,
            port: key.port,
            transport: key.transport,
            role_known: key.role_known,
        }
    }

    /// Workloads of the given edges, sorted by name.
    pub fn workloads(&self, edges: &[EdgeRow]) -> Vec<WorkloadRow> {
        let mut rows: BTreeMap<_, WorkloadRow> = BTreeMap::new();
        for e in edges {
            let (_, c) = e.shown();
            let failures = c.failures();
            for (w, is_client) in [(&e.client, true), (&e.server, false)] {
                let row = rows.entry(w.id.clone()).or_insert_with(|| WorkloadRow {
                    workload: w.clone(),
                    entities: Vec::new(),
                    opened: 0,
                    served: 0,
                    failures: 0,
                    bytes: (0, 0),
                    ports: Vec::new(),
                });
                row.failures += failures;
                let (sent, received) = if is_client {
                    row.opened += c.opened;
                    (c.bytes_to_server, c.bytes_to_client)
                } else {
                    row.served += c.opened;
                    add_once(&mut row.ports, e.id.port);
                    (c.bytes_to_client, c.bytes_to_server)
                };
                row.bytes = (row.bytes.0 + sent, row.bytes.1 + received);
                for k in &e.keys {
                    add_once(&mut row.entities, if is_client { k.client } else { k.server });
                }
            }
        }
        rows.into_values().collect()
    }

    /// The entities of one workload, as far as edges of the last `seconds` name them.
    pub fn entities_of(&self, edges: &[EdgeRow], id: &super::WorkloadId) -> Vec<EntityId> {
        self.workloads(edges).into_iter().find(|w| w.workload.id == *id).map_or(Vec::new(), |w| w.entities)
    }
}

fn add_once<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// The course of one row over the window.
#[derive(Debug, Default)]
struct Trend {
    points: Vec<Point>,
    failing_since: Option<BootNs>,
    last_success: Option<BootNs>,
}

impl Trend {
    fn new(length: usize) -> Self {
        Trend { points: vec![Point::default(); length], ..Trend::default() }
    }

    fn add(&mut self, i: usize, e: &EdgeSlice) {
        let Some((_, c)) = e.shown() else { return };
        let p = &mut self.points[i];
        p.opened += c.opened;
        p.failures += c.failures();
        p.bytes += c.bytes_to_server + c.bytes_to_client;
        p.connect_max_us = p.connect_max_us.max(c.connect_us.max());
        p.good |= is_good(c);
        if let Some(secured) = &c.secured {
            let here = |s: Security| u8::from(secured.of(s) > 0) << s.index();
            p.secured |= SECURITIES.into_iter().fold(0, |bits, s| bits | here(s));
        }
        let Some(asked) = &c.asked else { return };
        for t in asked.protocols.iter().map(|p| &p.tally) {
            p.requests = p.requests.saturating_add(t.requests);
            p.errors = p.errors.saturating_add(t.errors);
        }
        p.latency_us = p.latency_us.max(slowest(asked));
    }

    /// Looks back: the last second in which something worked, and the first failure after it.
    fn finish(&mut self, start: impl Fn(usize) -> BootNs) {
        // Where requests are decoded only they say whether it works: a server that answers nothing
        // but errors takes connections and sends bytes.
        if self.points.iter().any(|p| p.requests > 0) {
            self.points.iter_mut().for_each(|p| p.good = p.requests > p.errors);
        }
        let last = self.points.iter().rposition(|p| p.good);
        self.last_success = last.map(&start);
        let after = last.map_or(0, |i| i + 1);
        let failed = self.points.iter().skip(after).position(|p| p.failures.saturating_add(p.errors) > 0);
        self.failing_since = failed.map(|i| start(after + i));
    }
}

/// Something worked: a handshake, a clean end, or payload.
fn is_good(c: &Counters) -> bool {
    c.established > 0 || c.outcomes[Outcome::Clean.index()] > 0 || c.bytes_to_server + c.bytes_to_client > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AgentInstance, Transport, View};
    use proptest::prelude::*;

    fn edge(client: u64, port: u16, opened: u64, failed: u64) -> EdgeSlice {
        let mut e = EdgeSlice::new(EdgeKey {
            client: EntityId(client),
            server: EntityId(9),
            addr: [127, 0, 0, 1].into(),
            port,
            transport: Transport::Tcp,
            role_known: true,
        });
        for view in [View::Client, View::Server] {
            let c = e.view_mut(view);
            c.opened = opened + failed;
            c.established = opened;
            c.open = opened / 2;
            let mut secured = crate::model::Secured::default();
            (secured.open[2], secured.closed[2]) = (c.open, failed);
            c.secured = (opened > 3).then(|| Box::new(secured));
            c.outcomes[Outcome::Refused.index()] = failed;
            (0..opened).for_each(|i| c.connect_us.record(100 * i + client));
        }
        e
    }

    fn world(seconds: &[Vec<EdgeSlice>]) -> World {
        let mut world = World::default();
        for (i, edges) in seconds.iter().enumerate() {
            world.push(Arc::new(Slice {
                agent: AgentInstance(1),
                sequence: i as u64 + 1,
                start: BootNs((i as u64 + 1) * 1_000_000_000),
                length_ns: 1_000_000_000,
                edges: edges.clone(),
                ..Slice::default()
            }));
        }
        world
    }

    #[test]
    fn failing_is_since_the_first_failure_after_the_last_success() {
        let at = |s: u64| Some(BootNs(s * 1_000_000_000));
        let row = |seconds: &[(u64, u64)]| {
            let edges: Vec<_> = seconds.iter().map(|(ok, bad)| vec![edge(1, 80, *ok, *bad)]).collect();
            let row = world(&edges).edges(60).remove(0);
            (row.failing_since, row.last_success)
        };
        assert_eq!(row(&[(1, 0), (0, 2), (0, 3)]), (at(2), at(1)));
        assert_eq!(row(&[(0, 1), (1, 1), (0, 0)]), (None, at(2)), "both in one second is not failing");
        assert_eq!(row(&[(0, 1), (0, 1)]), (at(1), None));
    }

    proptest! {
        /// A window over everything is everything.
        #[test]
        fn the_window_is_the_sum_of_its_slices(
            seconds in proptest::collection::vec(proptest::collection::vec((0u64..3, 0u16..3, 0u64..9, 0u64..3), 0..5), 1..9),
        ) {
            let seconds: Vec<Vec<EdgeSlice>> = seconds
                .into_iter()
                .map(|edges| {
                    let mut seen = std::collections::HashSet::new();
                    edges.into_iter().map(|(c, p, o, f)| edge(c, p, o, f)).filter(|e| seen.insert(e.key)).collect()
                })
                .collect();
            let world = world(&seconds);
            let (window, total) = (world.edges(300), world.total_edges());
            prop_assert_eq!(window.len(), total.len());
            for (w, t) in window.iter().zip(&total) {
                prop_assert_eq!(&w.id, &t.id);
                prop_assert_eq!(&w.by_client, &t.by_client);
                prop_assert_eq!(&w.by_server, &t.by_server);
                let opened: u64 = w.trend.iter().map(|p| p.opened).sum();
                prop_assert_eq!(opened, w.shown().1.opened);
            }
        }
    }
}
