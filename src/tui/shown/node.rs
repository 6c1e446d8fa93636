//! A workload with its figures.

use std::collections::BTreeMap;

use super::edge::{Edge, Latency, Reason, Trouble};
use crate::model::{BootNs, Hist, HistSum, NameKind};
use crate::world::{Timed, WorkloadId};

/// A workload with its figures.
#[derive(Clone, Debug)]
pub struct Node {
    /// Which.
    pub id: WorkloadId,
    /// How its name is known.
    pub source: std::sync::Arc<str>,
    /// Ports on which it was dialled.
    pub ports: Vec<u16>,
    /// Connections per second that it was asked for.
    pub served: f64,
    /// Connections per second that it began.
    pub begun: f64,
    /// Requests per second that it was asked.
    pub asked: f64,
    /// Requests per second that it made.
    pub asks: f64,
    /// Failures and attempts as a server (as a client where nobody dials it).
    pub failures: (u64, u64),
    /// Worst of the edges that the line above is about.
    pub trouble: Trouble,
    /// Its most frequent failure there, per second, and since when without a success.
    pub worst: Option<(Reason, f64, Option<BootNs>)>,
    /// Latency of requests on those edges, where none was timed of turns.
    pub latency: Option<Latency>,
    /// Whether requests on those edges may have been missed.
    pub incomplete: bool,
    /// Connect times of those edges.
    pub connect: Hist,
    /// Open connections of those edges.
    pub open: u64,
    /// Bytes per second, both ways, of those edges.
    pub bytes: f64,
    /// Connections begun for each second.
    pub trend: Vec<f64>,
    /// For each second the largest 99th percentile of the latency among those edges, microseconds;
    /// of connecting where nothing is asked.
    pub slow: Vec<f64>,
    /// When something last happened.
    pub active: Option<BootNs>,
    /// Edges, by their place in [`Shown::edges`].
    pub edges: Vec<usize>,
}

impl Node {
    /// Whether it is not a workload of this host but an address, or many.
    pub fn is_far(&self) -> bool {
        matches!(self.id.kind, NameKind::Address | NameKind::Folded)
    }

    /// Whether nothing happened in the window.
    pub fn is_idle(&self) -> bool {
        self.trend.iter().all(|n| *n == 0.0)
            && self.bytes == 0.0
            && self.failures.0 == 0
            && self.asked + self.asks == 0.0
    }
}

/// Adds up the times of several edges.
#[derive(Default)]
pub(super) struct Times {
    requests: HistSum,
    turns: HistSum,
    connect: HistSum,
}

impl Times {
    pub(super) fn add(&mut self, e: &Edge) {
        self.connect.add(&e.row.shown().1.connect_us);
        if let Some((_, asked)) = e.asked() {
            asked.protocols.iter().for_each(|p| self.requests.add(&p.tally.latency_us));
            self.turns.add(&asked.turns.first_us);
        }
    }

    /// The latency, and connecting; the next sum begins at nothing.
    pub(super) fn take(&mut self) -> (Option<Latency>, Hist) {
        let turns = self.turns.take();
        let requests = Latency::of(Timed::Requests, &self.requests.take());
        (requests.or_else(|| Latency::of(Timed::Turns, &turns)), self.connect.take())
    }
}

/// The workloads of some edges.
pub(super) fn nodes(edges: &[Edge], seconds: f64) -> BTreeMap<WorkloadId, Node> {
    let mut nodes: BTreeMap<WorkloadId, Node> = BTreeMap::new();
    for (i, e) in edges.iter().enumerate() {
        for (w, is_server) in [(&e.row.client, false), (&e.row.server, true)] {
            let node = nodes.entry(w.id.clone()).or_insert_with(|| Node {
                id: w.id.clone(),
                source: w.source.clone(),
                ports: Vec::new(),
                served: 0.0,
                begun: 0.0,
                asked: 0.0,
                asks: 0.0,
                failures: (0, 0),
                trouble: Trouble::None,
                worst: None,
                latency: None,
                incomplete: false,
                connect: Hist::default(),
                open: 0,
                bytes: 0.0,
                trend: Vec::new(),
                slow: Vec::new(),
                active: None,
                edges: Vec::new(),
            });
            node.active = node.active.max(e.active);
            if node.edges.last() != Some(&i) {
                node.edges.push(i);
            }
            if is_server {
                node.served += e.rate;
                node.asked += e.request_rate;
                if !node.ports.contains(&e.row.id.port) {
                    node.ports.push(e.row.id.port);
                }
            } else {
                node.begun += e.rate;
                node.asks += e.request_rate;
            }
        }
    }
    let mut sum = Times::default();
    for node in nodes.values_mut() {
        let serves = node.edges.iter().any(|i| edges[*i].id().server == node.id);
        let own: Vec<&Edge> =
            node.edges.iter().map(|i| &edges[*i]).filter(|e| (e.id().server == node.id) == serves).collect();
        for e in &own {
            add(node, e, seconds);
            sum.add(e);
        }
        (node.latency, node.connect) = sum.take();
        slowest(node, &own);
    }
    nodes
}

/// The course of the slowest, of what [`Node::latency`] is about.
fn slowest(node: &mut Node, edges: &[&Edge]) {
    node.slow = vec![0.0; node.trend.len()];
    let asks = node.latency.is_some();
    for e in edges.iter().filter(|e| e.latency.is_some() == asks) {
        for (slow, p) in node.slow.iter_mut().zip(&e.row.trend) {
            *slow = slow.max(if asks { p.latency_us } else { p.connect_max_us } as f64);
        }
    }
}

/// Adds an edge to the figures of a workload.
fn add(node: &mut Node, e: &Edge, seconds: f64) {
    let (failed, tried) = e.err();
    node.failures = (node.failures.0.saturating_add(failed), node.failures.1.saturating_add(tried));
    node.incomplete |= e.undecoded > 0;
    node.open += e.open;
    node.bytes += e.out + e.back;
    if node.trend.len() < e.row.trend.len() {
        node.trend.resize(e.row.trend.len(), 0.0);
    }
    for (sum, p) in node.trend.iter_mut().zip(&e.row.trend) {
        *sum += p.opened as f64;
    }
    if let Some((reason, n)) = e.worst() {
        let rate = n as f64 / seconds;
        if (e.trouble, -rate) < (node.trouble, node.worst.map_or(0.0, |w| -w.1)) {
            node.worst = Some((reason, rate, e.row.failing_since));
        }
    }
    node.trouble = node.trouble.min(e.trouble);
}
