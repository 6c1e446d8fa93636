//! The map of workloads that the languages of graphs write down: nodes, and links with labels.

use std::collections::BTreeMap;

use super::Window;
use super::asked::AskedFigures;
use super::figures::{NONE, count, micros};
use crate::model::{Counters, Transport, escape};
use crate::world::{EdgeRow, WorkloadId};

/// Nodes and the links between them, by position.
pub(super) struct Graph {
    /// Sorted by name.
    pub(super) nodes: Vec<Node>,
    /// In the order of the edges.
    pub(super) links: Vec<Link>,
}

/// One workload.
pub(super) struct Node {
    /// Escaped, not quoted; never empty, which Mermaid cannot parse.
    pub(super) name: String,
    pub(super) kind: &'static str,
}

/// One edge.
pub(super) struct Link {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Port, rate and failures: only figures and words of webb, no text from outside.
    pub(super) label: String,
    pub(super) failing: bool,
    pub(super) role_known: bool,
}

impl Graph {
    pub(super) fn new(edges: &[EdgeRow], window: Window) -> Self {
        let mut index: BTreeMap<&WorkloadId, usize> =
            edges.iter().flat_map(|e| [&e.id.client, &e.id.server]).map(|id| (id, 0)).collect();
        index.values_mut().enumerate().for_each(|(i, n)| *n = i);
        let link = |e: &EdgeRow| {
            Some(Link {
                from: *index.get(&e.id.client)?,
                to: *index.get(&e.id.server)?,
                label: label(e, window),
                failing: is_failing(e.shown().1),
                role_known: e.id.role_known,
            })
        };
        let links = edges.iter().filter_map(link).collect();
        Graph { nodes: index.into_keys().map(node).collect(), links }
    }
}

fn node(id: &WorkloadId) -> Node {
    let name = if id.name.trim().is_empty() { NONE.to_owned() } else { escape(&id.name) };
    Node { name, kind: id.kind.as_str() }
}

/// Connections that failed, or errors in answers.
fn is_failing(c: &Counters) -> bool {
    c.failures() > 0 || c.asked.iter().flat_map(|a| &a.protocols).any(|p| p.tally.errors > 0)
}

/// ":8080  http  120 req/s  2.10% errors  p99 8.20 ms  3 refused", ":8080  12.3/s  connect p99 1.20 ms".
fn label(e: &EdgeRow, window: Window) -> String {
    let (_, c) = e.shown();
    let mut parts = vec![format!(":{}", e.id.port)];
    if e.id.transport != Transport::Tcp {
        parts.push(e.id.transport.as_str().to_owned());
    }
    let asked = AskedFigures::new(c.asked.as_deref());
    parts.extend(asked.words(window));
    // One rate and one latency: those of connections only where nothing is known of requests.
    if asked.tally.is_none() {
        parts.push(window.amount(c.opened));
        if !asked.is_turns() {
            parts.extend(c.connect_us.quantile(0.99).map(|us| format!("connect p99 {}", micros(us))));
        }
    }
    if let Some((outcome, n)) = e.worst_failure() {
        let others = c.failures().saturating_sub(n);
        parts.push(format!("{} {outcome}", count(n)));
        if others > 0 {
            parts.push(format!("{} other failures", count(others)));
        }
    }
    if !e.id.role_known {
        parts.push("role unknown".to_owned());
    }
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::samples;

    #[test]
    fn labels_say_how_much_and_what_fails() {
        let edges = [samples::rich_edge(), samples::minimal_edge()];
        let labels =
            |window| Graph::new(&edges, window).links.into_iter().map(|l| l.label).collect::<Vec<_>>();
        let last = Window { since: None, seconds: 60.0 };
        let [rich, minimal] = &labels(last)[..] else { panic!("two links") };
        assert_eq!(
            rich,
            ":8080  http +2  ≥1.12 req/s  10.4% errors  p99 66.0 ms  11 aborted-by-server  54 other failures"
        );
        assert_eq!(minimal, ":8080  0/s  role unknown");
        let total = Window { since: Some(crate::model::BootNs(1)), ..last };
        assert!(labels(total)[0].starts_with(":8080  http +2  ≥67 requests  10.4% errors"));
        // Without requests: connections, and the latency of answers before that of connecting.
        let mut edge = samples::rich_edge();
        let counters = edge.by_client.as_mut().unwrap();
        counters.asked = Some(Box::new(samples::turns_only()));
        let label = |edge: &EdgeRow| Graph::new([edge.clone()].as_slice(), last).links.remove(0).label;
        assert!(label(&edge).starts_with(":8080  p99 ~8.20 ms  12.3/s  11 aborted"), "{}", label(&edge));
        edge.by_client.as_mut().unwrap().asked = None;
        assert!(label(&edge).starts_with(":8080  12.3/s  connect p99 40.0 ms  11"), "{}", label(&edge));
    }

    #[test]
    fn no_node_is_without_a_label() {
        let g = Graph::new(&[samples::edge_of(" ")], Window { since: None, seconds: 1.0 });
        assert_eq!(g.nodes[0].name, "-");
    }

    #[test]
    fn a_workload_is_one_node() {
        let edges = [samples::rich_edge(), samples::rich_edge(), samples::minimal_edge()];
        let g = Graph::new(&edges, Window { since: None, seconds: 1.0 });
        let names: Vec<&str> = g.nodes.iter().map(|n| n.name.as_str()).collect();
        assert_eq!(names, ["192.0.2.7", "api.service", "shop/web"]);
        assert_eq!(g.links.iter().map(|l| (l.from, l.to)).collect::<Vec<_>>(), [(2, 1), (2, 1), (0, 1)]);
    }
}
