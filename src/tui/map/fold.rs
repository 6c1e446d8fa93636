//! What is on the map: a picture of boxes can be read up to about 25 of them, so beyond that idle
//! and outside ones are folded away, and hubs that everyone calls, and the map says so.

use std::collections::{BTreeMap, BTreeSet};

use super::layers::Graph;
use crate::tui::shown::{Node, Shown};
use crate::world::{Filter, WorkloadId};

/// Boxes that a map may have.
pub const BOXES: usize = 25;

/// What was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Workloads without anything in the window.
    pub idle: usize,
    /// Outside addresses.
    pub outside: usize,
    /// Other workloads, those with the fewest connections.
    pub quiet: usize,
    /// Servers that most of the others call.
    pub hubs: Vec<WorkloadId>,
}

impl Folded {
    /// Whether everything is on the map.
    pub fn is_empty(&self) -> bool {
        *self == Folded::default()
    }

    /// `+ 3 idle · + 1 hub (dns) folded`.
    pub fn words(&self) -> String {
        let mut parts = Vec::new();
        let mut part = |n: usize, what: &str| {
            if n > 0 {
                parts.push(format!("+ {n} {what}"));
            }
        };
        part(self.idle, "idle");
        part(self.outside, "outside addresses");
        part(self.quiet, "quieter ones");
        if !self.hubs.is_empty() {
            let names: Vec<&str> = self.hubs.iter().take(3).map(|h| &*h.name).collect();
            part(self.hubs.len(), &format!("hubs ({})", names.join(", ")));
        }
        format!("{} folded: / filters", parts.join(" · "))
    }
}

/// The graph of what passes the filter; `before` are the boxes that are on the map already, which
/// stay as long as they are not idle.
pub fn graph(shown: &Shown, filter: &Filter, before: &[WorkloadId]) -> (Graph, Folded) {
    let passing: Vec<_> = shown.edges.iter().filter(|e| e.passes(filter)).collect();
    let mut nodes: BTreeSet<&WorkloadId> = BTreeSet::new();
    for e in &passing {
        nodes.extend([&e.row.id.client, &e.row.id.server]);
    }
    let mut folded = Folded::default();
    if nodes.len() > BOXES {
        let mut callers: BTreeMap<&WorkloadId, BTreeSet<&WorkloadId>> = BTreeMap::new();
        for e in &passing {
            callers.entry(&e.row.id.server).or_default().insert(&e.row.id.client);
        }
        let many = (nodes.len() / 3).max(8);
        for (hub, by) in callers {
            if by.len() >= many && shown.nodes.get(hub).is_some_and(|n| n.begun == 0.0 && n.failures.0 == 0) {
                nodes.remove(hub);
                folded.hubs.push(hub.clone());
            }
        }
        let mut ranked: Vec<&Node> = nodes.iter().filter_map(|id| shown.nodes.get(*id)).collect();
        ranked.sort_by(|a, b| {
            let key = |n: &Node| (n.trouble, n.is_idle(), n.is_far(), !before.contains(&n.id));
            key(a)
                .cmp(&key(b))
                .then((b.asked + b.asks).total_cmp(&(a.asked + a.asks)))
                .then((b.served + b.begun).total_cmp(&(a.served + a.begun)))
                .then_with(|| a.id.cmp(&b.id))
        });
        for node in ranked.into_iter().skip(BOXES) {
            nodes.remove(&node.id);
            *match (node.is_idle(), node.is_far()) {
                (true, _) => &mut folded.idle,
                (_, true) => &mut folded.outside,
                _ => &mut folded.quiet,
            } += 1;
        }
    }
    let nodes: Vec<WorkloadId> = nodes.into_iter().cloned().collect();
    let at = |id: &WorkloadId| nodes.binary_search(id).ok();
    let pairs: BTreeSet<(usize, usize)> =
        passing.iter().filter_map(|e| Some((at(&e.row.id.client)?, at(&e.row.id.server)?))).collect();
    (Graph { edges: pairs.into_iter().collect(), nodes }, folded)
}
