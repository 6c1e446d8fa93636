//! The busiest, the most failing, the slowest: edges or paths in the order of `webb top`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::asked::AskedFigures;
use crate::model::{Asked, Counters, Protocol, Tally, Transport, View};
use crate::world::{EdgeRow, Workload, WorkloadId};

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Who talks to whom.
    Edges,
    /// What is asked of a server: path templates, statements, names.
    Paths,
}

/// What is on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Most requests; without requests, most answers, then most connections.
    Rate,
    /// Most errors of requests and failures of connections.
    Errors,
    /// Slowest 99th percentile, of requests, else of answers.
    P99,
}

/// One row.
#[derive(Clone, Debug)]
pub struct TopRow {
    pub(super) client: Option<Workload>,
    pub(super) server: Workload,
    pub(super) port: u16,
    pub(super) transport: Transport,
    pub(super) role_known: bool,
    pub(super) view: View,
    /// Of a path.
    pub(super) path: Option<Path>,
    /// Of an edge.
    pub(super) counters: Option<Counters>,
    pub(super) asked: AskedFigures,
}

/// What was asked about.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) method: Arc<str>,
    pub(super) target: Arc<str>,
    /// It stands for all that were not told apart.
    pub(super) rest: bool,
}

/// Everything together, in the views that are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Connections begun.
    pub(super) opened: u64,
    /// Failures of connections.
    pub(super) failures: u64,
    /// Requests, where any were decoded.
    pub(super) requests: Option<u64>,
    /// Of them, with an error.
    pub(super) errors: u64,
}

/// Edges or their paths in order; those with nothing to say are left out.
pub fn rows(edges: &[EdgeRow], by: By, order: Order) -> Vec<TopRow> {
    let mut rows = match by {
        By::Edges => edges.iter().map(edge).filter(TopRow::says_something).collect(),
        By::Paths => paths(edges),
    };
    // What is equal stays in the order of names, so that rows do not jump.
    rows.sort_by_cached_key(|r| Reverse(r.rank(order)));
    rows
}

/// The sum of all edges.
pub fn sum(edges: &[EdgeRow]) -> Sum {
    let mut sum = Sum::default();
    for (_, c) in edges.iter().map(EdgeRow::shown) {
        sum.opened = sum.opened.saturating_add(c.opened);
        sum.failures = sum.failures.saturating_add(c.failures());
        for t in c.asked.iter().flat_map(|a| &a.protocols).map(|p| &p.tally).filter(|t| t.requests > 0) {
            sum.requests = Some(sum.requests.unwrap_or(0).saturating_add(t.requests));
            sum.errors = sum.errors.saturating_add(t.errors);
        }
    }
    sum
}

fn edge(e: &EdgeRow) -> TopRow {
    let (view, c) = e.shown();
    TopRow {
        client: Some(e.client.clone()),
        server: e.server.clone(),
        port: e.id.port,
        transport: e.id.transport,
        role_known: e.id.role_known,
        view,
        path: None,
        counters: Some(c.clone()),
        asked: AskedFigures::new(c.asked.as_deref()),
    }
}

/// Where a server is dialled.
type Place<'a> = (&'a WorkloadId, u16, Transport, bool);
/// What is asked there; of what was not told apart the protocol says nothing.
type What<'a> = (Option<Protocol>, &'a Arc<str>, &'a Arc<str>);

/// Paths of each server over all its clients, as the server's ends saw them, where these were seen:
/// the two views are never added.
fn paths(edges: &[EdgeRow]) -> Vec<TopRow> {
    let mut places: BTreeMap<Place<'_>, Vec<&EdgeRow>> = BTreeMap::new();
    for e in edges {
        places.entry((&e.id.server, e.id.port, e.id.transport, e.id.role_known)).or_default().push(e);
    }
    let mut rows = Vec::new();
    for ((_, port, transport, role_known), edges) in places {
        let Some(server) = edges.first().map(|e| &e.server) else { continue };
        let seen = |view| edges.iter().filter_map(move |e| asked(e, view)).flat_map(|a| &a.targets);
        let view = if seen(View::Server).next().is_some() { View::Server } else { View::Client };
        let mut tallies: BTreeMap<What<'_>, Tally> = BTreeMap::new();
        for t in seen(view) {
            let protocol = (!t.is_rest()).then_some(t.protocol);
            tallies.entry((protocol, &t.method, &t.target)).or_default().merge(&t.tally);
        }
        rows.extend(tallies.into_iter().map(|((protocol, method, target), tally)| TopRow {
            client: None,
            server: server.clone(),
            port,
            transport,
            role_known,
            view,
            path: Some(Path { method: method.clone(), target: target.clone(), rest: protocol.is_none() }),
            counters: None,
            asked: AskedFigures::of(protocol, &tally),
        }));
    }
    rows
}

fn asked(e: &EdgeRow, view: View) -> Option<&Asked> {
    let counters = match view {
        View::Client => e.by_client.as_ref(),
        View::Server => e.by_server.as_ref(),
    };
    counters?.asked.as_deref()
}

impl TopRow {
    fn says_something(&self) -> bool {
        self.asked.tally.is_some()
            || !self.asked.latency_us().is_empty()
            || self.counters.as_ref().is_some_and(|c| {
                c.opened > 0
                    || c.failures() > 0
                    || c.open > 0
                    || c.bytes_to_server > 0
                    || c.bytes_to_client > 0
            })
    }

    /// Larger is higher.
    fn rank(&self, order: Order) -> [u64; 4] {
        let (requests, errors) = self.asked.tally.as_ref().map_or((0, 0), |t| (t.requests, t.errors));
        let (opened, failures) = self.counters.as_ref().map_or((0, 0), |c| (c.opened, c.failures()));
        let latency = self.asked.latency_us();
        match order {
            Order::Rate => [requests, latency.count(), opened, 0],
            Order::Errors => [errors.saturating_add(failures), requests, opened, 0],
            Order::P99 => [latency.quantile(0.99).unwrap_or(0), latency.max(), requests, opened],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::samples;
    use crate::model::{Shape, Verdict};

    /// An edge with so many requests to one path, errors among them, and a latency.
    fn busy(server: &str, view: View, requests: u64, errors: u64, us: u64) -> EdgeRow {
        let mut e = samples::edge_of(server);
        let mut c = Counters::default();
        let (get, path): (Arc<str>, Arc<str>) = ("GET".into(), "/x".into());
        for n in 0..requests {
            let verdict = if n < errors { Verdict::Error } else { Verdict::Ok };
            let asked = c.asked_mut();
            asked.protocol_mut(Protocol::Http1).tally.count(Shape::Unary, verdict, Some(us));
            asked.target_mut(Protocol::Http1, &get, &path).count(Shape::Unary, verdict, Some(us));
        }
        match view {
            View::Client => e.by_client = Some(c),
            View::Server => e.by_server = Some(c),
        }
        e
    }

    fn servers(rows: &[TopRow]) -> Vec<String> {
        rows.iter().map(|r| r.server.id.name.to_string()).collect()
    }

    #[test]
    fn each_order_has_its_own_first() {
        let many = busy("many", View::Client, 30, 0, 100);
        let broken = busy("broken", View::Client, 5, 5, 200);
        let slow = busy("slow", View::Client, 2, 1, 9000);
        let edges = [slow, many, broken, samples::edge_of("idle")];
        let of = |order| servers(&rows(&edges, By::Edges, order));
        assert_eq!(of(Order::Rate), ["many", "broken", "slow"]);
        assert_eq!(of(Order::Errors), ["broken", "slow", "many"]);
        assert_eq!(of(Order::P99), ["slow", "broken", "many"]);
        assert_eq!(servers(&rows(&edges, By::Paths, Order::P99)), ["slow", "broken", "many"]);
        assert_eq!(sum(&edges), Sum { opened: 0, failures: 0, requests: Some(37), errors: 6 });
        assert_eq!(sum(&[samples::edge_of("idle")]), Sum::default());
    }

    /// What both ends saw is counted once, and clients of one server are added.
    #[test]
    fn paths_are_as_the_server_saw_them() {
        let mut both = busy("api", View::Client, 4, 0, 100);
        both.by_server = busy("api", View::Server, 4, 0, 50).by_server;
        let mut far = busy("api", View::Server, 3, 0, 60);
        far.id.client.name = "far".into();
        let rows = rows(&[both, far], By::Paths, Order::Rate);
        let [row] = &rows[..] else { panic!("one path: {rows:?}") };
        let tally = row.asked.tally.as_ref().unwrap();
        assert_eq!((row.view, tally.requests, tally.latency_us.max()), (View::Server, 7, 60));
    }

    #[test]
    fn a_failed_connection_is_an_error() {
        let mut refused = samples::edge_of("down");
        let mut c = Counters { opened: 9, ..Counters::default() };
        c.outcomes[crate::model::Outcome::Refused.index()] = 9;
        refused.by_client = Some(c);
        let edges = [busy("api", View::Client, 30, 3, 100), refused];
        assert_eq!(servers(&rows(&edges, By::Edges, Order::Errors)), ["down", "api"]);
        assert_eq!(servers(&rows(&edges, By::Edges, Order::Rate)), ["api", "down"]);
    }
}
