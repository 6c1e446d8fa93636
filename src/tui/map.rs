//! Map: who talks to whom, as boxes in layers and lines between them.
//!
//! ```text
//!                                                    ┌ orders :9001 ──────┐
//!  ┌ web ───────────────┐        ┌ api :8080 ─────────┐     ┌─ 410/s ─▶│ ▁▁▂▂▁▁▂   p99  9 ms│
//!  │ ▁▂▃▅▂▁▂   p99 12 ms├─ 820/s▶│ ▂▂▃▇▅▂▃   p99 41 ms├─────┤          └────────────────────┘
//!  │ err 0 %      820/s │        │ err 1.9 %    443/s │     │          ┌ stock :9002 ───────┐
//!  └────────────────────┘        └────────────────────┘     └─ × 12/s ▶│ refused 12/s       │
//!                                                                      │ since 14:01:10     │
//!                                                                      └────────────────────┘
//!  + 3 idle · + 1 hub (dns) folded
//!  ▸ api → stock :9002  12/s refused since 14:01:10 · last success 14:01:09 · Enter opens
//! ```
//!
//! `layers.rs` says where boxes stand, `route.rs` how lines run, `canvas.rs` turns lines into glyphs,
//! `boxes.rs`, `inside.rs` and `words.rs` draw. Here: what is on the map, what is selected, and which part is in view.

mod boxes;
mod canvas;
mod fold;
mod inside;
mod layers;
mod route;
mod words;

use ratatui::layout::Rect;

pub use boxes::draw;
use fold::Folded;
use layers::{Graph, Places};
use route::{Plan, Route, Widths};

use super::shown::{Edge, Shown, Trouble, trouble_first};
use super::state::Detail;
use crate::world::{EdgeId, Filter, WorkloadId};

/// What is selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    /// A box.
    Node(WorkloadId),
    /// A line.
    Edge(EdgeId),
}

/// All edges from one workload to another, as one line.
#[derive(Clone, Debug, Default)]
pub struct Pair {
    /// Places in [`Shown::edges`], the most telling first.
    pub edges: Vec<usize>,
    /// Requests per second where they are decoded, else connections begun.
    pub rate: f64,
    /// Failures, and attempts.
    pub failures: (u64, u64),
    /// The worst of them.
    pub trouble: Trouble,
    /// Open now.
    pub open: u64,
    /// Whether nothing happened.
    pub idle: bool,
    /// Whether `rate` is of requests alone.
    pub asked: bool,
    /// Whether requests may have been missed.
    pub incomplete: bool,
    /// Connections by their security; all 0 where nobody looked.
    pub secured: super::security::Counts,
}

/// State of the map.
#[derive(Debug, Default)]
pub struct Map {
    /// What is selected.
    pub selected: Option<Selected>,
    places: Places,
    graph: Graph,
    pairs: Vec<Pair>,
    folded: Folded,
    widths: Widths,
    routes: Vec<Route>,
    height: u16,
    arranged_for: Option<(u16, u16)>,
    scroll: (u16, u16),
    view: (u16, u16),
    reveal: bool,
    /// Whether the person chose what is in view.
    moved: bool,
    /// The failing edge that was brought into view by itself.
    shown_worst: Option<EdgeId>,
}

impl Map {
    /// Forgets all places: everything is arranged anew.
    pub fn forget(&mut self) {
        self.arranged_for = None;
        self.moved = false;
    }

    /// Takes over what is shown. `body` is the room that boxes are arranged for, `area` the part of
    /// it that a detail leaves free; `young` allows boxes to move.
    pub fn settle(&mut self, shown: &Shown, filter: &Filter, body: Rect, area: Rect, young: bool) {
        let (graph, folded) = fold::graph(shown, filter, &self.graph.nodes);
        self.folded = folded;
        let room = (body.width, body.height.saturating_sub(2));
        let changed = graph != self.graph;
        if self.arranged_for != Some(room) || self.places.is_empty() || (young && changed) {
            let weights: Vec<f64> = graph
                .edges
                .iter()
                .map(|&(a, b)| pair(shown, filter, &graph.nodes[a], &graph.nodes[b]).rate)
                .collect();
            // One row stays free under the tab line.
            let rows = room.1.saturating_sub(1);
            self.places = Places::arrange(&graph, &weights, rows, 3);
            self.widths = Widths::default();
            self.route(&graph, room.0);
            if self.widths.node < inside::THREE {
                // Narrow boxes have nothing for a third row.
                self.places = Places::arrange(&graph, &weights, rows, 2);
                self.widths = Widths::default();
                self.route(&graph, room.0);
            }
            // What is left goes above and below; boxes do not move later.
            let second = !self.folded.is_empty() || self.widths.total() > room.0;
            let left = body.height.saturating_sub(1 + u16::from(second)).saturating_sub(self.height);
            if left > 0 {
                self.places.lower((left / 3).max(1));
                self.route(&graph, room.0);
            }
            self.arranged_for = (!graph.nodes.is_empty()).then_some(room);
            self.scroll = (0, 0);
            self.reveal = true;
            self.shown_worst = None;
        } else if changed {
            self.places.extend(&graph);
            self.route(&graph, room.0);
        }
        self.graph = graph;
        let (nodes, edges) = (&self.graph.nodes, &self.graph.edges);
        self.pairs = edges.iter().map(|&(a, b)| pair(shown, filter, &nodes[a], &nodes[b])).collect();
        let below = area.height.saturating_sub(1);
        // A second line under the map says what was folded and where there is more.
        let second = !self.folded.is_empty() || self.widths.total() > area.width || self.height > below;
        let view = (area.width, below.saturating_sub(u16::from(second)));
        // What was in view stays there when a detail opens beside it.
        self.reveal |= std::mem::replace(&mut self.view, view) != view;
        self.keep_in_view(shown);
    }

    fn route(&mut self, graph: &Graph, columns: u16) {
        let places: Vec<_> = graph.nodes.iter().filter_map(|n| self.places.get(n).copied()).collect();
        let plan = Plan::new(graph, &places, self.places.layers());
        if self.widths.gutters.is_empty() {
            self.widths = widths(&plan, graph, self.places.layers(), columns);
        }
        // New layers after the arrangement: what is to their left stays where it is.
        for gutter in self.widths.gutters.len()..=self.places.layers() {
            if let Some(last) = self.widths.gutters.last_mut() {
                *last = (*last).max(plan.track_count(gutter - 1) + 10);
            }
            self.widths.gutters.push(plan.track_count(gutter) + 1);
        }
        self.routes = plan.routes(graph, &self.widths);
        self.height = places.iter().map(layers::Place::bottom).max().unwrap_or(0).max(plan.bottom());
    }

    /// The rectangle of a box on the whole map.
    fn rect(&self, id: &WorkloadId) -> Option<Rect> {
        let p = self.places.get(id)?;
        Some(Rect::new(self.widths.layer_x(p.layer), p.y, self.widths.node, p.height))
    }

    fn keep_in_view(&mut self, shown: &Shown) {
        let (w, h) = self.view;
        self.look_at_trouble(shown);
        if std::mem::take(&mut self.reveal) {
            let ends = |id: &EdgeId| {
                let ends = (self.rect(&id.client), self.rect(&id.server));
                match ends {
                    (Some(a), Some(b)) if a.union(b).width <= w && a.union(b).height <= h => Some(a.union(b)),
                    (a, b) => b.or(a),
                }
            };
            let target = match &self.selected {
                Some(Selected::Node(id)) => self.rect(id),
                Some(Selected::Edge(id)) => ends(id),
                None if self.moved => None,
                None => self.shown_worst.as_ref().and_then(ends),
            };
            if let Some(r) = target {
                // One column and row of surroundings.
                self.scroll.0 = self.scroll.0.clamp(
                    (r.right() + 1).saturating_sub(w),
                    r.x.saturating_sub(1).max((r.right() + 1).saturating_sub(w)),
                );
                self.scroll.1 =
                    self.scroll.1.clamp(r.bottom().saturating_sub(h), r.y.max(r.bottom().saturating_sub(h)));
            }
        }
        self.scroll.0 = self.scroll.0.min(self.widths.total().saturating_sub(w));
        self.scroll.1 = self.scroll.1.min(self.height.saturating_sub(h));
        // What was selected and is gone is no longer selected.
        let there = match &self.selected {
            Some(Selected::Node(id)) => shown.nodes.contains_key(id),
            Some(Selected::Edge(id)) => shown.edge(id).is_some(),
            None => true,
        };
        if !there {
            self.selected = None;
        }
    }

    /// Until the person moves, what fails is brought into view; another failure does not take its
    /// place as long as it fails.
    fn look_at_trouble(&mut self, shown: &Shown) {
        let fails = |e: &&Edge| e.trouble == Trouble::Failing;
        let old = self.shown_worst.as_ref().and_then(|id| shown.edge(id)).filter(fails);
        if self.moved || self.selected.is_some() || old.is_some() {
            return;
        }
        self.shown_worst = self.worst(shown).filter(fails).map(|e| e.id().clone());
        self.reveal |= self.shown_worst.is_some();
    }

    /// Moves the view.
    pub fn scroll_by(&mut self, dx: isize, dy: isize) {
        self.moved = true;
        let add = |v: u16, by: isize, max: u16| (v as isize).saturating_add(by).clamp(0, max as isize) as u16;
        self.scroll.0 = add(self.scroll.0, dx, self.widths.total().saturating_sub(self.view.0));
        self.scroll.1 = add(self.scroll.1, dy, self.height.saturating_sub(self.view.1));
    }

    /// Selects the next box in a direction.
    pub fn step(&mut self, shown: &Shown, dx: isize, dy: isize) {
        let here = match self.selected.clone() {
            Some(Selected::Node(id)) => Some(id),
            Some(Selected::Edge(id)) if dx > 0 => return self.select_node(id.server),
            Some(Selected::Edge(id)) if dx < 0 => return self.select_node(id.client),
            Some(Selected::Edge(id)) => Some(id.client),
            None => {
                // The first thing to look at.
                let worst = shown.first(self.pairs.iter().flat_map(|p| &p.edges).map(|i| &shown.edges[*i]));
                if let Some(id) = worst.map(|e| e.id().client.clone()) {
                    self.select_node(id);
                }
                return;
            }
        };
        let Some(from) = here.and_then(|id| self.places.get(&id)).copied() else { return };
        let centre = |p: &layers::Place| i32::from(p.y) * 2 + i32::from(p.height);
        let next = self
            .graph
            .nodes
            .iter()
            .filter_map(|id| Some((id, self.places.get(id)?)))
            .filter(|(_, p)| match (dx, dy) {
                (1.., _) => p.layer > from.layer,
                (..=-1, _) => p.layer < from.layer,
                (_, 1..) => p.layer == from.layer && p.y > from.y,
                _ => p.layer == from.layer && p.y < from.y,
            })
            .min_by_key(|(_, p)| (p.layer.abs_diff(from.layer), centre(p).abs_diff(centre(&from))));
        if let Some((id, _)) = next {
            self.select_node(id.clone());
        }
    }

    /// Goes through the edges of the selected box.
    pub fn next_edge(&mut self, shown: &Shown, by: isize) {
        let node = match &self.selected {
            Some(Selected::Node(id)) => Some(id.clone()),
            Some(Selected::Edge(id)) => Some(id.client.clone()),
            None => None,
        };
        let mut edges: Vec<&Edge> =
            self.pairs.iter().flat_map(|p| &p.edges).map(|i| &shown.edges[*i]).collect();
        if let Some(node) = &node {
            let own: Vec<&Edge> = edges.iter().copied().filter(|e| e.id().client == *node).collect();
            // Who calls nobody is asked for the edges that lead to it.
            edges = if own.is_empty() {
                edges.into_iter().filter(|e| e.id().server == *node).collect()
            } else {
                own
            };
        }
        edges.sort_by(|a, b| trouble_first(a, b));
        let at = edges.iter().position(|e| self.selected_edge() == Some(e.id()));
        let next = match at {
            Some(i) => (i as isize + by).rem_euclid(edges.len().max(1) as isize) as usize,
            None => 0,
        };
        if let Some(e) = edges.get(next) {
            self.select_edge(e.id().clone());
        }
    }

    /// Selects a box.
    pub fn select_node(&mut self, id: WorkloadId) {
        self.selected = Some(Selected::Node(id));
        (self.reveal, self.moved) = (true, true);
    }

    /// Selects a line.
    pub fn select_edge(&mut self, id: EdgeId) {
        self.selected = Some(Selected::Edge(id));
        (self.reveal, self.moved) = (true, true);
    }

    /// The selected line.
    pub fn selected_edge(&self) -> Option<&EdgeId> {
        match &self.selected {
            Some(Selected::Edge(id)) => Some(id),
            _ => None,
        }
    }

    /// The selected box.
    pub fn selected_node(&self) -> Option<&WorkloadId> {
        match &self.selected {
            Some(Selected::Node(id)) => Some(id),
            _ => None,
        }
    }

    /// What Enter opens; without a selection the worst edge, if something fails.
    pub fn detail(&self, shown: &Shown) -> Option<Detail> {
        match &self.selected {
            Some(Selected::Node(id)) => Some(Detail::Workload(id.clone())),
            Some(Selected::Edge(id)) => Some(Detail::Edge(id.clone())),
            None => self.worst(shown).map(|e| Detail::Edge(e.id().clone())),
        }
    }

    /// The first edge that fails.
    fn worst<'a>(&self, shown: &'a Shown) -> Option<&'a Edge> {
        let edges = self.pairs.iter().flat_map(|p| &p.edges).map(|i| &shown.edges[*i]);
        shown.first(edges).filter(|e| e.trouble != Trouble::None)
    }

    /// Name (and address) of what is selected.
    pub fn selected_text(&self, shown: &Shown) -> Option<String> {
        match &self.selected {
            Some(Selected::Node(id)) => Some(id.name.to_string()),
            Some(Selected::Edge(id)) => shown.edge(id).map(super::edges::words),
            None => None,
        }
    }
}

/// All edges from one workload to another that pass the filter.
fn pair(shown: &Shown, filter: &Filter, client: &WorkloadId, server: &WorkloadId) -> Pair {
    let mut pair = Pair { idle: true, asked: true, ..Pair::default() };
    for &i in shown.nodes.get(client).map_or(&[][..], |n| &n.edges) {
        let e = &shown.edges[i];
        if e.id().client == *client && e.id().server == *server && e.passes(filter) {
            pair.edges.push(i);
            pair.rate += e.busy();
            let (failed, tried) = e.err();
            pair.failures = (pair.failures.0.saturating_add(failed), pair.failures.1.saturating_add(tried));
            pair.trouble = pair.trouble.min(e.trouble);
            pair.open += e.open;
            pair.idle &= e.is_idle();
            pair.asked &= e.requests > 0 || e.rate == 0.0;
            pair.incomplete |= e.undecoded > 0;
            if let Some(counts) = &e.secured {
                super::security::add(&mut pair.secured, counts);
            }
        }
    }
    pair.edges.sort_by(|a, b| trouble_first(&shown.edges[*a], &shown.edges[*b]));
    pair
}

/// Column widths for a room: boxes and labels as wide as they fit, else narrow, and the view scrolls.
fn widths(plan: &Plan, graph: &Graph, layers: usize, columns: u16) -> Widths {
    let gutters = |label: u16| -> Vec<u16> {
        (0..=layers)
            .map(|g| match (plan.track_count(g), plan.has_inlets(graph, g)) {
                (t, true) => t + 3 + if g == 0 { label.min(6) } else { label },
                (0, false) => 1,
                (t, false) => t + 2,
            })
            .collect()
    };
    const TRIES: [(u16, u16); 12] = [
        (22, 10),
        (22, 9),
        (20, 9),
        (20, 8),
        (18, 8),
        (18, 7),
        (16, 7),
        (16, 6),
        (14, 6),
        (14, 5),
        (12, 4),
        (12, 2),
    ];
    let of = |(node, label): (u16, u16)| Widths { node, gutters: gutters(label) };
    let mut best = TRIES.into_iter().map(of).find(|w| w.total() <= columns).unwrap_or_else(|| of((16, 6)));
    // What is left goes to labels, then to boxes.
    let inner = layers.saturating_sub(1);
    let each = usize::from(columns.saturating_sub(best.total())).checked_div(inner).unwrap_or(0).min(10);
    best.gutters.iter_mut().skip(1).take(inner).for_each(|g| *g += each as u16);
    let spare = columns.saturating_sub(best.total()) / (layers.max(1) as u16);
    best.node += spare.min(6);
    best
}
