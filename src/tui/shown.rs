//! What the panes show, worked out once per slice: rows with their figures, workloads, the header.
//!
//! While the UI is paused this is simply not worked out again; the world behind it goes on.

mod edge;
mod node;

use std::collections::{BTreeMap, HashMap};

pub use edge::{Edge, FEW, Latency, Reason, Trouble, trouble_first};
pub use node::Node;
use node::{Times, nodes};

use super::figures::Clock;
use crate::model::{BootNs, Counters, EdgeKey, Hist};
use crate::world::{EdgeId, EdgeRow, WorkloadId, World};

/// Edges without anything in the window stay, as idle, for so long.
const REMEMBERED_NS: u64 = 300 * 1_000_000_000;
/// At most so many of them.
const REMEMBERED: usize = 2_000;

/// Everything that the panes show.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// End of the last slice in it.
    pub now: BootNs,
    /// For times of day.
    pub clock: Clock,
    /// Seconds that are covered: at most the window.
    pub seconds: u64,
    /// Edges, sorted by identity.
    pub edges: Vec<Edge>,
    /// Where an edge stands in `edges`.
    pub index: HashMap<EdgeId, usize>,
    /// Edges that were shown under another name, which an end had before a better one was learnt.
    pub renamed: HashMap<EdgeId, EdgeId>,
    /// Workloads.
    pub nodes: BTreeMap<WorkloadId, Node>,
    /// Connections begun per second.
    pub rate: f64,
    /// Requests per second; `None` where none was decoded.
    pub request_rate: Option<f64>,
    /// Whether some may have been missed.
    pub incomplete: bool,
    /// Failures, and what they are a share of.
    pub failures: (u64, u64),
    /// Latency of the requests of all edges, where none was timed of turns.
    pub latency: Option<Latency>,
    /// Connect times of all edges.
    pub connect: Hist,
    /// Lost in the window, and since the agent started.
    pub loss: (u64, u64),
}

impl Shown {
    /// Works it out. `before` is what was shown until now: edges that fell silent stay as idle.
    pub fn new(world: &World, window_s: u64, zone: Option<i32>, before: &Shown) -> Shown {
        let now = world.now();
        let length = world.window(window_s).fold(0u64, |sum, s| sum.saturating_add(s.length_ns));
        let seconds = (length as f64 / 1e9).max(1.0);
        let starts: Vec<BootNs> = world.window(window_s).map(|s| s.end()).collect();
        let mut edges: Vec<Edge> = Vec::new();
        for row in world.edges(window_s) {
            let earlier = before.edge(&row.id).and_then(|e| e.active);
            let last = row.trend.iter().rposition(|p| !p.is_idle());
            let active = last.and_then(|i| starts.get(i).copied()).or(earlier);
            edges.push(Edge::new(row, seconds, active));
        }
        let present: HashMap<EdgeId, ()> = edges.iter().map(|e| (e.id().clone(), ())).collect();
        let by_key: HashMap<EdgeKey, EdgeId> =
            edges.iter().flat_map(|e| e.row.keys.iter().map(|k| (*k, e.id().clone()))).collect();
        let mut renamed = HashMap::new();
        for old in before.edges.iter().take(REMEMBERED).filter(|old| !present.contains_key(old.id())) {
            if let Some(new) = old.row.keys.iter().find_map(|k| by_key.get(k)) {
                renamed.insert(old.id().clone(), new.clone());
                continue;
            }
            let recent = old.active.is_some_and(|at| now.since(at) < REMEMBERED_NS && at <= now);
            if recent {
                edges.push(Edge::new(silent(&old.row), seconds, old.active));
            }
        }
        edges.sort_by(|a, b| a.id().cmp(b.id()));
        let health = world.health(window_s);
        let mut shown = Shown {
            now,
            clock: Clock { utc: world.utc(), zone },
            seconds: seconds as u64,
            index: edges.iter().enumerate().map(|(i, e)| (e.id().clone(), i)).collect(),
            renamed,
            nodes: nodes(&edges, seconds),
            loss: (health.loss.total(), health.loss_total),
            ..Shown::default()
        };
        let mut sum = Times::default();
        for e in &edges {
            shown.rate += e.rate;
            if e.requests > 0 {
                *shown.request_rate.get_or_insert(0.0) += e.request_rate;
            }
            shown.incomplete |= e.undecoded > 0;
            let (failed, tried) = e.err();
            shown.failures.0 = shown.failures.0.saturating_add(failed);
            shown.failures.1 = shown.failures.1.saturating_add(tried);
            sum.add(e);
        }
        (shown.latency, shown.connect) = sum.take();
        shown.edges = edges;
        shown
    }

    /// An edge by its identity.
    pub fn edge(&self, id: &EdgeId) -> Option<&Edge> {
        self.index.get(id).and_then(|i| self.edges.get(*i))
    }

    /// The edge that a person should look at first: trouble, then rate.
    pub fn first<'a>(&'a self, edges: impl Iterator<Item = &'a Edge>) -> Option<&'a Edge> {
        edges.min_by(|a, b| trouble_first(a, b))
    }
}

/// An edge of which the window knows nothing.
fn silent(row: &EdgeRow) -> EdgeRow {
    EdgeRow {
        by_client: row.by_client.as_ref().map(|_| Counters::default()),
        by_server: row.by_server.as_ref().map(|_| Counters::default()),
        trend: Vec::new(),
        failing_since: None,
        ..row.clone()
    }
}
