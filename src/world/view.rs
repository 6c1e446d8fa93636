//! A world as a viewer holds it: history of slices, names, totals.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::merge::{close, merge_adjacent, merge_edges_beside, merge_later};
use super::names::NameTable;
use super::rows::{EdgeId, EdgeRow, Point, WorkloadRow};
use crate::model::{
    AgentInstance, BootNs, Counters, EdgeKey, EdgeSlice, EntityId, Loss, Outcome, Slice, UtcOffset,
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
        let from = BootNs(self.now().0.saturating_sub(seconds * 1_000_000_000));
        self.fine.iter().filter(move |s| s.start >= from)
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

    /// Edges between workloads over the last `seconds`, sorted by identity.
    pub fn edges(&self, seconds: u64) -> Vec<EdgeRow> {
        let slices: Vec<&Arc<Slice>> = self.window(seconds).collect();
        let mut merged: Vec<EdgeSlice> = Vec::new();
        // For each edge: its place in `merged`, its row, and the last slice that had it.
        let mut index: HashMap<EdgeKey, (usize, EdgeId, usize)> = HashMap::new();
        let mut rows: HashMap<EdgeId, Trend> = HashMap::new();
        for (i, slice) in slices.iter().enumerate() {
            for e in &slice.edges {
                let (at, id, last) = index.entry(e.key).or_insert_with(|| {
                    merged.push(EdgeSlice::new(e.key));
                    (merged.len() - 1, self.edge_id(&e.key), i)
                });
                *last = i;
                merge_later(&mut merged[*at], e);
                let trend = match rows.get_mut(id) {
                    Some(t) => t,
                    None => rows.entry(id.clone()).or_insert_with(|| Trend::new(slices.len())),
                };
                trend.add(i, slice.start, e);
            }
        }
        // What the last slice does not have has nothing open any more.
        for (at, _, last) in index.into_values() {
            if last + 1 != slices.len() {
                close(&mut merged[at]);
            }
        }
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
            let mut both =
                EdgeSlice { key: e.key, by_client: row.by_client.take(), by_server: row.by_server.take() };
            merge_edges_beside(&mut both, &e);
            row.by_client = both.by_client;
            row.by_server = both.by_server;
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

    fn add(&mut self, i: usize, at: BootNs, e: &EdgeSlice) {
        let Some((_, c)) = e.shown() else { return };
        let failures = c.failures();
        let p = &mut self.points[i];
        p.opened += c.opened;
        p.failures += failures;
        p.bytes += c.bytes_to_server + c.bytes_to_client;
        p.connect_max_us = p.connect_max_us.max(c.connect_us.max());
        let good = is_good(c);
        if good {
            self.last_success = Some(at);
            self.failing_since = None;
        }
        if failures > 0 && !good && self.failing_since.is_none() {
            self.failing_since = Some(at);
        }
    }
}

/// Something worked: a handshake, a clean end, or payload.
fn is_good(c: &Counters) -> bool {
    c.established > 0 || c.outcomes[Outcome::Clean.index()] > 0 || c.bytes_to_server + c.bytes_to_client > 0
}
