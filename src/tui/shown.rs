//! What the panes show, worked out once per slice: rows with their figures, workloads, the header.
//!
//! While the UI is paused this is simply not worked out again; the world behind it goes on.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::figures::Clock;
use crate::model::{
    Asked, BootNs, Counters, EdgeKey, Hist, HistSum, NameKind, OUTCOMES, Outcome, Protocol, View,
};
use crate::world::{EdgeId, EdgeRow, Filter, Subject, Timed, WorkloadId, World};

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

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Connections, in this way.
    Connections(Outcome),
    /// Requests of this protocol, by their answers.
    Requests(Protocol),
}

impl Reason {
    /// `refused`, `http errors`.
    pub fn words(self) -> Cow<'static, str> {
        match self {
            Reason::Connections(outcome) => outcome.as_str().into(),
            Reason::Requests(protocol) => format!("{} errors", protocol.as_str()).into(),
        }
    }
}

/// Percentiles, microseconds, with what they are the time of and how many values they rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Requests, or turns.
    pub timed: Timed,
    /// Median.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 99th percentile.
    pub p99: u64,
    /// Values.
    pub n: u64,
}

impl Latency {
    fn of(timed: Timed, h: &Hist) -> Option<Latency> {
        let q = |q| h.quantile(q);
        Some(Latency { timed, p50: q(0.5)?, p90: q(0.9)?, p99: q(0.99)?, n: h.count() })
    }

    /// Of one view of an edge: of its requests, where none was timed of its turns.
    fn of_asked(asked: &Asked) -> Option<Latency> {
        let requests = match asked.protocols.as_slice() {
            [one] => Latency::of(Timed::Requests, &one.tally.latency_us),
            _ => Latency::of(Timed::Requests, &asked.all().latency_us),
        };
        requests.or_else(|| Latency::of(Timed::Turns, &asked.turns.first_us))
    }
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
    /// Connections that failed in the window.
    pub failures: u64,
    /// What they are a share of: connections begun or ended.
    pub tried: u64,
    /// Protocols, that with the most requests first.
    pub protocols: Vec<Protocol>,
    /// Decoded requests in the window.
    pub requests: u64,
    /// The same per second.
    pub request_rate: f64,
    /// Of them, with an error.
    pub errors: u64,
    /// Their latency, else that of turns.
    pub latency: Option<Latency>,
    /// Bytes in which requests may have been missed: their figures are a lower bound.
    pub undecoded: u64,
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
        let asked = c.asked.as_deref();
        let mut protocols: Vec<(u64, Protocol)> =
            asked.map_or(&[][..], |a| &a.protocols).iter().map(|p| (p.tally.requests, p.protocol)).collect();
        protocols.sort_by_key(|p| (std::cmp::Reverse(p.0), p.1));
        let tallies = || asked.into_iter().flat_map(|a| &a.protocols).map(|p| &p.tally);
        let requests: u64 = tallies().map(|t| t.requests).sum();
        let errors: u64 = tallies().map(|t| t.errors).sum();
        Edge {
            trouble: match failures + errors {
                0 => Trouble::None,
                _ if is_failing(&row) => Trouble::Failing,
                _ => Trouble::Some,
            },
            protocols: protocols.into_iter().map(|p| p.1).collect(),
            requests,
            request_rate: requests as f64 / seconds,
            errors,
            latency: asked.and_then(Latency::of_asked),
            undecoded: asked.map_or(0, |a| a.undecoded_bytes),
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

    /// What failed most often, and how often.
    pub fn worst(&self) -> Option<(Reason, u64)> {
        let connections = self.row.worst_failure().map(|(o, n)| (Reason::Connections(o), n));
        match (self.errors, self.protocols.first()) {
            (errors, Some(p)) if connections.is_none_or(|c| c.1 < errors) && errors > 0 => {
                Some((Reason::Requests(*p), errors))
            }
            _ => connections,
        }
    }

    /// What failed, and what it is a share of: requests where any were decoded, else connections.
    pub fn err(&self) -> (u64, u64) {
        if self.requests > 0 { (self.errors, self.requests) } else { (self.failures, self.tried) }
    }

    /// Requests per second where they are decoded, else connections begun per second.
    pub fn busy(&self) -> f64 {
        if self.requests > 0 { self.request_rate } else { self.rate }
    }

    /// `http`, `http +1`; nothing where no protocol was recognised.
    pub fn protocol_words(&self) -> Cow<'static, str> {
        match self.protocols.as_slice() {
            [] => "".into(),
            [one] => one.as_str().into(),
            [first, rest @ ..] => format!("{} +{}", first.as_str(), rest.len()).into(),
        }
    }

    /// The view that is shown of what was asked.
    pub fn asked(&self) -> Option<(View, &Asked)> {
        let (view, c) = self.row.shown();
        Some((view, c.asked.as_deref()?))
    }

    /// Whether a filter lets it pass.
    pub fn passes(&self, filter: &Filter) -> bool {
        if filter.is_empty() {
            return true;
        }
        let addr = self.row.addr.map(|a| a.to_string()).unwrap_or_default();
        let protocols: Vec<&str> = self.protocols.iter().map(|p| p.as_str()).collect();
        filter.matches(&Subject {
            client: &[&self.row.id.client.name],
            server: &[&self.row.id.server.name, &addr],
            asked: &protocols,
            protocols: &self.protocols,
            port: self.row.id.port,
            failing: self.failures + self.errors > 0,
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

/// So many failures after the last success are failing, fewer may be chance.
const FAILING: u64 = 3;

/// Whether nothing succeeded since some failures, or ever in the window.
fn is_failing(row: &EdgeRow) -> bool {
    if row.failing_since.is_none() {
        return false;
    }
    let last = row.trend.iter().rposition(|p| p.good);
    let since: u64 = row.trend.iter().skip(last.map_or(0, |i| i + 1)).map(|p| p.failures + p.errors).sum();
    row.last_success.is_none() || since >= FAILING
}

/// Trouble first, then rate, then open connections; equal ones by identity.
pub fn trouble_first(a: &Edge, b: &Edge) -> std::cmp::Ordering {
    a.trouble
        .cmp(&b.trouble)
        .then(b.busy().total_cmp(&a.busy()))
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

/// Adds up the times of several edges.
#[derive(Default)]
struct Times {
    requests: HistSum,
    turns: HistSum,
    connect: HistSum,
}

impl Times {
    fn add(&mut self, e: &Edge) {
        self.connect.add(&e.row.shown().1.connect_us);
        if let Some((_, asked)) = e.asked() {
            asked.protocols.iter().for_each(|p| self.requests.add(&p.tally.latency_us));
            self.turns.add(&asked.turns.first_us);
        }
    }

    /// The latency, and connecting; the next sum begins at nothing.
    fn take(&mut self) -> (Option<Latency>, Hist) {
        let turns = self.turns.take();
        let requests = Latency::of(Timed::Requests, &self.requests.take());
        (requests.or_else(|| Latency::of(Timed::Turns, &turns)), self.connect.take())
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
    node.failures = (node.failures.0 + failed, node.failures.1 + tried);
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
