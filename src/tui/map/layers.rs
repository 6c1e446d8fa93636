//! Where boxes stand: layers from left to right, rows within a layer, and the promise that a box
//! that stands somewhere stays there.
//!
//! [`Places::arrange`] lays everything out anew: cycles are broken (greedily, after Eades, Lin and
//! Smyth), layers are longest paths, the order in a layer is by barycentre. [`Places::extend`] only
//! appends what is new to the end of its layer. What vanished keeps its place.

use std::collections::HashMap;

use crate::world::WorkloadId;

/// Rows of a box besides its inside.
pub const BORDER: u16 = 2;
/// Inner rows of a box: one for each line that comes in, within these bounds.
pub const INNER: std::ops::RangeInclusive<u16> = 2..=6;
/// Places of vanished boxes that are kept.
const KEPT: usize = 256;

/// Where a box stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Layer, from the left.
    pub layer: usize,
    /// Top row.
    pub y: u16,
    /// Rows, borders included.
    pub height: u16,
}

impl Place {
    /// First row below it.
    pub fn bottom(&self) -> u16 {
        self.y + self.height
    }
}

/// Nodes, and edges as pairs of their indices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// Nodes.
    pub nodes: Vec<WorkloadId>,
    /// (client, server).
    pub edges: Vec<(usize, usize)>,
}

impl Graph {
    fn degree_in(&self, node: usize) -> usize {
        self.edges.iter().filter(|e| e.1 == node).count()
    }

    fn height(&self, node: usize, least: u16) -> u16 {
        let inlets = u16::try_from(self.degree_in(node)).unwrap_or(u16::MAX);
        inlets.clamp(least.max(*INNER.start()), *INNER.end()) + BORDER
    }
}

/// Places of boxes, by identity.
#[derive(Clone, Debug, Default)]
pub struct Places {
    map: HashMap<WorkloadId, Place>,
    gap: u16,
    /// Inner rows of a box at least.
    inner: u16,
}

impl Places {
    /// The place of a box.
    pub fn get(&self, id: &WorkloadId) -> Option<&Place> {
        self.map.get(id)
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.map.values().map(|p| p.layer + 1).max().unwrap_or(0)
    }

    /// Whether nothing has a place yet.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Lays everything out anew. `weights` say how much each edge matters: a cycle is broken where
    /// that costs least. `rows` is the height that there is, as a wish;
    /// `inner` the rows in a box where that fits.
    pub fn arrange(graph: &Graph, weights: &[f64], rows: u16, inner: u16) -> Places {
        let layer = layers(graph, weights);
        let mut order: Vec<Vec<usize>> = Vec::new();
        for (node, &l) in layer.iter().enumerate() {
            if order.len() <= l {
                order.resize(l + 1, Vec::new());
            }
            order[l].push(node);
        }
        sort_layers(graph, &layer, &mut order);
        // As generous as the room allows: with a third row in each box, and with air between them.
        let tall = |inner: u16, gap: u16| {
            order.iter().map(|l| l.iter().map(|n| graph.height(*n, inner) + gap).sum::<u16>()).max()
        };
        let (inner, gap) = [(inner, 3), (inner, 2), (inner, 1), (2, 1)]
            .into_iter()
            .find(|&(inner, gap)| tall(inner, gap).unwrap_or(0) <= rows + gap)
            .unwrap_or((2, 0));
        let mut places = Places { map: HashMap::new(), gap, inner };
        let mut centre: HashMap<usize, u16> = HashMap::new();
        for nodes in &order {
            let mut y = 0;
            let mut left: u16 = nodes.iter().map(|n| graph.height(*n, inner) + gap).sum();
            for &n in nodes {
                let h = graph.height(n, inner);
                let before: Vec<u16> = graph
                    .edges
                    .iter()
                    .filter(|e| e.1 == n)
                    .filter_map(|e| centre.get(&e.0).copied())
                    .collect();
                let mean = before.iter().map(|c| u32::from(*c)).sum::<u32>() / before.len().max(1) as u32;
                let wish = (mean as u16).saturating_sub(1).min((rows + gap).saturating_sub(left));
                y = y.max(if before.is_empty() { 0 } else { wish });
                centre.insert(n, y + 1);
                places.map.insert(graph.nodes[n].clone(), Place { layer: layer[n], y, height: h });
                y += h + gap;
                left -= h + gap;
            }
        }
        places
    }

    /// Moves everything down.
    pub fn lower(&mut self, rows: u16) {
        self.map.values_mut().for_each(|p| p.y = p.y.saturating_add(rows));
    }

    /// Gives a place to what has none, at the end of its layer. Nothing else moves.
    pub fn extend(&mut self, graph: &Graph) {
        if self.map.len() > graph.nodes.len() + KEPT {
            self.map.retain(|id, _| graph.nodes.contains(id));
        }
        // Several rounds: a new node may hang on another new one.
        for round in 0..graph.nodes.len() {
            let mut left = 0;
            for (n, id) in graph.nodes.iter().enumerate() {
                if self.map.contains_key(id) {
                    continue;
                }
                let layer_of = |m: usize| self.map.get(&graph.nodes[m]).map(|p| p.layer);
                let after = graph.edges.iter().filter(|e| e.1 == n).filter_map(|e| layer_of(e.0)).max();
                let before = graph.edges.iter().filter(|e| e.0 == n).filter_map(|e| layer_of(e.1)).min();
                let layer = match (after, before) {
                    (Some(l), _) => l + 1,
                    (None, Some(l)) => l.saturating_sub(1),
                    (None, None) if round == 0 && graph.edges.iter().any(|e| e.0 == n || e.1 == n) => {
                        left += 1;
                        continue;
                    }
                    (None, None) => 0,
                };
                let end = self.map.values().filter(|p| p.layer == layer).map(|p| p.bottom() + self.gap).max();
                let place = Place { layer, y: end.unwrap_or(0), height: graph.height(n, self.inner) };
                self.map.insert(id.clone(), place);
            }
            if left == 0 {
                break;
            }
        }
    }
}

/// The layer of each node: the longest path to it, cycles broken; who is called by nobody stands
/// right before the first that it calls.
fn layers(graph: &Graph, weights: &[f64]) -> Vec<usize> {
    let n = graph.nodes.len();
    let rank = acyclic_order(graph, weights);
    let forward: Vec<(usize, usize)> =
        graph.edges.iter().copied().filter(|&(a, b)| rank[a] < rank[b]).collect();
    let mut by_rank: Vec<usize> = (0..n).collect();
    by_rank.sort_by_key(|&i| rank[i]);
    let mut layer = vec![0usize; n];
    for &i in &by_rank {
        for &(a, b) in &forward {
            if a == i {
                layer[b] = layer[b].max(layer[a] + 1);
            }
        }
    }
    for i in 0..n {
        let called = forward.iter().any(|e| e.1 == i);
        let first = forward.iter().filter(|e| e.0 == i).map(|e| layer[e.1]).min();
        if let Some(first) = first.filter(|_| !called) {
            layer[i] = first - 1;
        }
    }
    layer
}

/// An order in which few edges run backwards, and light ones rather than heavy ones.
fn acyclic_order(graph: &Graph, weights: &[f64]) -> Vec<usize> {
    let n = graph.nodes.len();
    let mut gone = vec![false; n];
    let (mut front, mut back) = (Vec::new(), Vec::new());
    while front.len() + back.len() < n {
        // Edges and weight (out, in) among those that are left; an edge counts even without traffic.
        let mut degree = vec![(0usize, 0usize, 0f64); n];
        for (i, &(a, b)) in graph.edges.iter().enumerate() {
            if a != b && !gone[a] && !gone[b] {
                let w = 0.01 + weights.get(i).copied().unwrap_or(0.0);
                degree[a] = (degree[a].0 + 1, degree[a].1, degree[a].2 + w);
                degree[b] = (degree[b].0, degree[b].1 + 1, degree[b].2 - w);
            }
        }
        let left = || (0..n).filter(|i| !gone[*i]);
        let sink = left().find(|&i| degree[i].0 == 0);
        let source = left().find(|&i| degree[i].1 == 0);
        let widest = left().max_by(|a, b| degree[*a].2.total_cmp(&degree[*b].2));
        let Some(pick) = sink.or(source).or(widest) else { break };
        gone[pick] = true;
        if Some(pick) == sink { back.push(pick) } else { front.push(pick) }
    }
    let mut rank = vec![0; n];
    for (r, &i) in front.iter().chain(back.iter().rev()).enumerate() {
        rank[i] = r;
    }
    rank
}

/// Orders each layer by the mean position of the neighbours, forth and back a few times.
fn sort_layers(graph: &Graph, layer: &[usize], order: &mut [Vec<usize>]) {
    let mut position = vec![0f64; graph.nodes.len()];
    let update = |nodes: &[usize], position: &mut [f64]| {
        for (i, &n) in nodes.iter().enumerate() {
            position[n] = i as f64;
        }
    };
    order.iter().for_each(|l| update(l, &mut position));
    for sweep in 0..6 {
        let downward = sweep % 2 == 0;
        let count = order.len();
        for step in 0..count {
            let l = if downward { step } else { count - 1 - step };
            let mut keyed: Vec<(f64, usize)> = order[l]
                .iter()
                .map(|&n| {
                    let near: Vec<f64> = graph
                        .edges
                        .iter()
                        .filter_map(|&(a, b)| match (a == n, b == n) {
                            (true, false) if !downward && layer[b] > l => Some(position[b]),
                            (false, true) if downward && layer[a] < l => Some(position[a]),
                            _ => None,
                        })
                        .collect();
                    let mean = if near.is_empty() {
                        position[n]
                    } else {
                        near.iter().sum::<f64>() / near.len() as f64
                    };
                    (mean, n)
                })
                .collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            order[l] = keyed.into_iter().map(|k| k.1).collect();
            let nodes = order[l].clone();
            update(&nodes, &mut position);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::NameKind;
    use proptest::prelude::*;

    pub fn graph(nodes: usize, edges: &[(usize, usize)]) -> Graph {
        let nodes: Vec<WorkloadId> = (0..nodes)
            .map(|i| WorkloadId { name: format!("n{i:02}").into(), kind: NameKind::Process })
            .collect();
        let mut pairs: Vec<_> = edges.iter().map(|&(a, b)| (a % nodes.len(), b % nodes.len())).collect();
        pairs.sort_unstable();
        pairs.dedup();
        Graph { nodes, edges: pairs }
    }

    #[test]
    fn layers_are_longest_paths() {
        // web → api → db, web → db; cron → db stands right before db.
        let g = graph(4, &[(0, 1), (1, 2), (0, 2), (3, 2)]);
        assert_eq!(layers(&g, &[]), [0, 1, 2, 1]);
    }

    #[test]
    fn a_cycle_is_broken() {
        let g = graph(3, &[(0, 1), (1, 2), (2, 0)]);
        let mut l = layers(&g, &[]);
        l.sort_unstable();
        assert_eq!(l, [0, 1, 2]);
    }

    proptest! {
        #[test]
        fn boxes_never_overlap(n in 1usize..30, edges in proptest::collection::vec((0usize..30, 0usize..30), 0..60), rows in 0u16..80) {
            let g = graph(n, &edges);
            let places = Places::arrange(&g, &[], rows, 3);
            check(&g, &places)?;
        }

        #[test]
        fn adding_never_moves(n in 1usize..20, more in 0usize..12, edges in proptest::collection::vec((0usize..32, 0usize..32), 0..60), rows in 5u16..60) {
            let before = graph(n, &edges.iter().copied().filter(|e| e.0 < n && e.1 < n).collect::<Vec<_>>());
            let mut places = Places::arrange(&before, &[], rows, 3);
            let old = places.clone();
            let after = graph(n + more, &edges);
            places.extend(&after);
            for id in &before.nodes {
                prop_assert_eq!(places.get(id), old.get(id));
            }
            check(&after, &places)?;
        }
    }

    fn check(g: &Graph, places: &Places) -> Result<(), TestCaseError> {
        for (i, a) in g.nodes.iter().enumerate() {
            let pa = places.get(a).unwrap();
            for b in &g.nodes[i + 1..] {
                let pb = places.get(b).unwrap();
                prop_assert!(pa.layer != pb.layer || pa.bottom() <= pb.y || pb.bottom() <= pa.y);
            }
        }
        Ok(())
    }
}
