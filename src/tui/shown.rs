//! What the panes show, worked out once per slice: rows with their figures, workloads, the header.
//!
//! While the UI is paused this is simply not worked out again; the world behind it goes on.

use std::collections::{BTreeMap, HashMap};

use super::figures::Clock;
use crate::model::{BootNs, Counters, EdgeKey, Hist, HistSum, NameKind, OUTCOMES, Outcome, View};
use crate::world::{EdgeId, EdgeRow, Filter, Point, Subject, WorkloadId, World};

/// Edges without anything in the window stay, as idle, for so long.
const REMEMBERED_NS: u64 = 300 * 1_000_000_000;
/// At most so many of them.
const REMEMBERED: usize = 2_000;

/// Below so many values a percentile is shown with their count.
pub const FEW: u64 = 100;

/// How an edge does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Failing without a success since.
    Failing,
    /// Some failed in the window.
    Some,
    /// Nothing failed.
    #[default]
    None,
}

/// An edge with its figures.
#[derive(Clone, Debug)]
pub struct Edge {
    /// The row.
    pub row: EdgeRow,
    /// How it does.
    pub trouble: Trouble,
    /// Connections begun per second.
    pub rate: f64,
    /// Failures in the window.
    pub failures: u64,
    /// What failures are a share of: connections begun or ended.
    pub tried: u64,
    /// Open now.
    pub open: u64,
    /// Bytes per second to the server.
    pub out: f64,
    /// Bytes per second to the client.
    pub back: f64,
    /// Median, 99th percentile of connecting, microseconds.
    pub connect: Option<(u64, u64)>,
    /// Median of the smoothed round-trip times, microseconds.
    pub rtt: Option<u64>,
    /// Segments retransmitted.
    pub retransmits: u64,
    /// When something last happened, when it did.
    pub active: Option<BootNs>,
}

impl Edge {
    fn new(row: EdgeRow, seconds: f64, active: Option<BootNs>) -> Self {
        let (_, c) = row.shown();
        let failures = c.failures();
        let ended: u64 = OUTCOMES.iter().map(|o| c.outcomes[o.index()]).sum();
        let two = |h: &Hist| Some((h.quantile(0.5)?, h.quantile(0.99)?));
        Edge {
            trouble: match failures {
                0 => Trouble::None,
                _ if is_failing(&row) => Trouble::Failing,
                _ => Trouble::Some,
            },
            rate: c.opened as f64 / seconds,
            failures,
            tried: c.opened.max(ended),
            open: c.open,
            out: c.bytes_to_server as f64 / seconds,
            back: c.bytes_to_client as f64 / seconds,
            connect: two(&c.connect_us),
            rtt: c.srtt_us.quantile(0.5),
            retransmits: c.retransmits,
            active,
            row,
        }
    }

    /// Its identity.
    pub fn id(&self) -> &EdgeId {
        &self.row.id
    }

    /// Whether nothing happened in the window.
    pub fn is_idle(&self) -> bool {
        self.row.is_idle()
    }

    /// The counters of one view.
    pub fn counters(&self, view: View) -> Option<&Counters> {
        match view {
            View::Client => self.row.by_client.as_ref(),
            View::Server => self.row.by_server.as_ref(),
        }
    }

    /// `refused`, and how many, of the most frequent failure.
    pub fn worst(&self) -> Option<(Outcome, u64)> {
        self.row.worst_failure()
    }

    /// Whether a filter lets it pass.
    pub fn passes(&self, filter: &Filter) -> bool {
        if filter.is_empty() {
            return true;
        }
        let addr = self.row.addr.map(|a| a.to_string()).unwrap_or_default();
        filter.matches(&Subject {
            client: &[&self.row.id.client.name],
            server: &[&self.row.id.server.name, &addr],
            port: self.row.id.port,
            failing: self.failures > 0,
            idle: self.is_idle(),
        })
    }
}

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
    /// Failures and attempts as a server (as a client where nobody dials it).
    pub failures: (u64, u64),
    /// Worst of the edges that the line above is about.
    pub trouble: Trouble,
    /// Its most frequent failure there, per second, and since when without a success.
    pub worst: Option<(Outcome, f64, Option<BootNs>)>,
    /// Connect times of those edges.
    pub connect: Hist,
    /// Open connections of those edges.
    pub open: u64,
    /// Bytes per second, both ways, of those edges.
    pub bytes: f64,
    /// Connections begun for each second.
    pub trend: Vec<f64>,
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
        self.trend.iter().all(|n| *n == 0.0) && self.bytes == 0.0 && self.failures.0 == 0
    }
}

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
    /// Failures, and what they are a share of.
    pub failures: (u64, u64),
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
            let last = row.trend.iter().rposition(|p| p.opened + p.failures + p.bytes > 0);
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
        let mut sum = HistSum::default();
        for e in &edges {
            shown.rate += e.rate;
            shown.failures.0 = shown.failures.0.saturating_add(e.failures);
            shown.failures.1 = shown.failures.1.saturating_add(e.tried);
            sum.add(&e.row.shown().1.connect_us);
        }
        shown.connect = sum.take();
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

/// So many failures after the last success are failing, fewer may be chance.
const FAILING: u64 = 3;

/// Whether nothing succeeded since some failures, or ever in the window.
fn is_failing(row: &EdgeRow) -> bool {
    if row.failing_since.is_none() {
        return false;
    }
    let good = |p: &Point| p.bytes > 0 || p.connect_max_us > 0;
    let last = row.trend.iter().rposition(good);
    let since: u64 = row.trend.iter().skip(last.map_or(0, |i| i + 1)).map(|p| p.failures).sum();
    row.last_success.is_none() || since >= FAILING
}

/// Trouble first, then rate, then open connections; equal ones by identity.
pub fn trouble_first(a: &Edge, b: &Edge) -> std::cmp::Ordering {
    a.trouble
        .cmp(&b.trouble)
        .then(b.rate.total_cmp(&a.rate))
        .then(b.open.cmp(&a.open))
        .then_with(|| a.id().cmp(b.id()))
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

fn nodes(edges: &[Edge], seconds: f64) -> BTreeMap<WorkloadId, Node> {
    let mut nodes: BTreeMap<WorkloadId, Node> = BTreeMap::new();
    for (i, e) in edges.iter().enumerate() {
        for (w, is_server) in [(&e.row.client, false), (&e.row.server, true)] {
            let node = nodes.entry(w.id.clone()).or_insert_with(|| Node {
                id: w.id.clone(),
                source: w.source.clone(),
                ports: Vec::new(),
                served: 0.0,
                begun: 0.0,
                failures: (0, 0),
                trouble: Trouble::None,
                worst: None,
                connect: Hist::default(),
                open: 0,
                bytes: 0.0,
                trend: Vec::new(),
                active: None,
                edges: Vec::new(),
            });
            node.active = node.active.max(e.active);
            if node.edges.last() != Some(&i) {
                node.edges.push(i);
            }
            if is_server {
                node.served += e.rate;
                if !node.ports.contains(&e.row.id.port) {
                    node.ports.push(e.row.id.port);
                }
            } else {
                node.begun += e.rate;
            }
        }
    }
    let mut sum = HistSum::default();
    for node in nodes.values_mut() {
        let serves = node.edges.iter().any(|i| edges[*i].id().server == node.id);
        for e in node.edges.clone().into_iter().map(|i| &edges[i]) {
            if (e.id().server == node.id) == serves {
                add(node, e, seconds);
                sum.add(&e.row.shown().1.connect_us);
            }
        }
        node.connect = sum.take();
    }
    nodes
}

/// Adds an edge to the figures of a workload.
fn add(node: &mut Node, e: &Edge, seconds: f64) {
    node.failures = (node.failures.0 + e.failures, node.failures.1 + e.tried);
    node.open += e.open;
    node.bytes += e.out + e.back;
    if node.trend.len() < e.row.trend.len() {
        node.trend.resize(e.row.trend.len(), 0.0);
    }
    for (sum, p) in node.trend.iter_mut().zip(&e.row.trend) {
        *sum += p.opened as f64;
    }
    if let Some((outcome, n)) = e.worst() {
        let rate = n as f64 / seconds;
        if (e.trouble, -rate) < (node.trouble, node.worst.map_or(0.0, |w| -w.1)) {
            node.worst = Some((outcome, rate, e.row.failing_since));
        }
    }
    node.trouble = node.trouble.min(e.trouble);
}
