//! How lines run: from the right side of the client's box, through the gutters between layers, to
//! a row of their own at the left side of the server's box.
//!
//! ```text
//!  gutter 0   layer 0      gutter 1        layer 1      gutter 2
//!           ┌──────┐ out   tracks   label ┌──────┐
//!           │      ├────┬─┐                │      │
//!           └──────┘    │ └──── 33/s ───▶ │      │
//!                       └───────────────── lane ─────────────▶
//! ```
//!
//! Everything that leaves one box is one *net* and has one vertical *track* in a gutter. A line that
//! skips layers, or runs backwards, takes a *lane*: a row that is free of boxes in all layers that
//! it passes. Where a line would lie on that of another net, tracks are ordered so that it does not.

use std::collections::{BTreeMap, BTreeSet};

use super::layers::{BORDER, Graph, Place};

/// Columns between lines and box: the arrow and one of line.
const ARROW: u16 = 2;

/// Widths of the picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Widths {
    /// Of a box.
    pub node: u16,
    /// Of each gutter; gutter `i` is left of layer `i`.
    pub gutters: Vec<u16>,
}

impl Widths {
    /// First column of a layer.
    pub fn layer_x(&self, layer: usize) -> u16 {
        let gutters: u16 = self.gutters.iter().take(layer + 1).sum();
        gutters + self.node * layer as u16
    }

    /// First column of a gutter.
    fn gutter_x(&self, gutter: usize) -> u16 {
        self.layer_x(gutter) - self.gutters.get(gutter).copied().unwrap_or(0)
    }

    /// All columns.
    pub fn total(&self) -> u16 {
        self.gutters.iter().sum::<u16>() + self.node * (self.gutters.len().saturating_sub(1)) as u16
    }
}

/// The way of one edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Corners, from the client's box to the column before the server's.
    pub corners: Vec<(u16, u16)>,
    /// From this segment on it may lie on lines of other nets, as they end in the same row.
    pub join_from: usize,
    /// Where its label may stand: column, row, width. `None` where several end in one row.
    pub label: Option<(u16, u16, u16)>,
}

/// What one net does in one gutter.
#[derive(Clone, Debug, Default)]
struct Crossing {
    left: BTreeSet<u16>,
    right: BTreeSet<u16>,
}

impl Crossing {
    fn span(&self) -> (u16, u16) {
        let rows = || self.left.iter().chain(&self.right).copied();
        (rows().min().unwrap_or(0), rows().max().unwrap_or(0))
    }

    fn is_straight(&self) -> bool {
        let (a, b) = self.span();
        a == b
    }
}

/// Everything but columns: rows of outlets, inlets and lanes, and the tracks of each gutter.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    outlet: Vec<u16>,
    /// Row, and whether several share it.
    inlet: Vec<(u16, bool)>,
    lane: Vec<Option<u16>>,
    gutters: Vec<BTreeMap<usize, Crossing>>,
    tracks: Vec<BTreeMap<usize, usize>>,
    layers: Vec<usize>,
}

impl Plan {
    /// Plans the rows.
    pub fn new(graph: &Graph, places: &[Place], layers: usize) -> Plan {
        let mut plan = Plan {
            outlet: places.iter().map(|p| p.y + 1).collect(),
            inlet: vec![(0, false); graph.edges.len()],
            lane: vec![None; graph.edges.len()],
            gutters: vec![BTreeMap::new(); layers + 1],
            tracks: Vec::new(),
            layers: places.iter().map(|p| p.layer).collect(),
        };
        plan.choose_inlets(graph, places);
        plan.choose_outlets(graph, places);
        plan.choose_lanes(graph, places);
        plan.fill(graph);
        plan.tracks = plan.gutters.iter().map(tracks).collect();
        plan
    }

    /// Tracks in a gutter.
    pub fn track_count(&self, gutter: usize) -> u16 {
        self.tracks.get(gutter).and_then(|t| t.values().max()).map_or(0, |t| *t as u16 + 1)
    }

    /// Whether any line ends at the right side of this gutter.
    pub fn has_inlets(&self, graph: &Graph, gutter: usize) -> bool {
        graph.edges.iter().any(|e| self.layers[e.1] == gutter)
    }

    /// Rows that lanes use: one past the last.
    pub fn bottom(&self) -> u16 {
        self.lane.iter().flatten().map(|r| r + 1).max().unwrap_or(0)
    }

    fn is_adjacent(&self, (a, b): (usize, usize)) -> bool {
        self.layers[a] + 1 == self.layers[b]
    }

    /// Each line gets a row of its own, in the order of where it comes from; those that are too
    /// many share the last.
    fn choose_inlets(&mut self, graph: &Graph, places: &[Place]) {
        for (node, place) in places.iter().enumerate() {
            let mut into: Vec<usize> = (0..graph.edges.len()).filter(|e| graph.edges[*e].1 == node).collect();
            // Lines from the layer before by height; those over lanes after them.
            into.sort_by_key(|&e| {
                let from = graph.edges[e].0;
                (!self.is_adjacent(graph.edges[e]), places[from].y, e)
            });
            let inner = (place.height - BORDER).max(1);
            let shared = into.len() > usize::from(inner);
            // A single line into a box of two rows: the upper one.
            for (i, e) in into.into_iter().enumerate() {
                let row = (i as u16).min(inner - 1);
                self.inlet[e] = (place.y + 1 + row, shared && row == inner - 1);
            }
        }
    }

    /// The row where a net leaves its box: straight on where that is possible, and none that would
    /// force it onto another net's line.
    fn choose_outlets(&mut self, graph: &Graph, places: &[Place]) {
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_by_key(|n| (places[*n].layer, places[*n].y));
        for node in order {
            let place = &places[node];
            let near: Vec<usize> = (0..graph.edges.len())
                .filter(|&e| graph.edges[e].0 == node && self.is_adjacent(graph.edges[e]))
                .collect();
            let best = (place.y + 1..place.bottom() - 1).min_by_key(|&row| {
                let mine = near.iter().filter(|&&e| self.inlet[e].0 == row).count();
                let others = (0..graph.edges.len())
                    .filter(|&e| self.layers[graph.edges[e].1] == place.layer + 1)
                    .filter(|&e| graph.edges[e].0 != node && self.inlet[e].0 == row)
                    .count();
                (others, !near.is_empty() && mine == 0, row)
            });
            if let Some(row) = best {
                self.outlet[node] = row;
            }
        }
    }

    /// The free row nearest to both ends of each line that is not between neighbouring layers.
    fn choose_lanes(&mut self, graph: &Graph, places: &[Place]) {
        let floor = places.iter().map(Place::bottom).max().unwrap_or(0);
        let limit = floor + graph.edges.len() as u16 + 1;
        // Where no box stands in the first row, it stays free.
        let first_row = u16::from(places.iter().all(|p| p.y > 0));
        let mut boxes = vec![vec![false; limit.into()]; self.gutters.len()];
        for p in places {
            boxes[p.layer][p.y.into()..p.bottom().into()].fill(true);
        }
        // For each row: first layer, last layer, net.
        let mut taken: Vec<Vec<(usize, usize, usize)>> = vec![Vec::new(); limit.into()];
        for (e, &(from, to)) in graph.edges.iter().enumerate() {
            if self.is_adjacent((from, to)) {
                continue;
            }
            let (a, b) = (self.layers[from] + 1, self.layers[to]);
            let (first, last) = if a < b { (a, b - 1) } else { (b, a - 1) };
            let (out, inn) = (self.outlet[from], self.inlet[e].0);
            let best = (first_row..limit)
                .filter(|&row| {
                    let row = usize::from(row);
                    !boxes[first..=last].iter().any(|layer| layer[row])
                        && !taken[row].iter().any(|t| t.2 != from && t.0 <= last + 1 && first <= t.1 + 1)
                })
                .min_by_key(|&row| {
                    let own = taken[usize::from(row)].iter().any(|t| t.2 == from);
                    (row.abs_diff(out) + row.abs_diff(inn) + if own { 0 } else { 2 }, row)
                });
            // There are as many rows below the boxes as there are lines: one is free.
            let row = best.unwrap_or(limit - 1);
            taken[usize::from(row)].push((first, last, from));
            self.lane[e] = Some(row);
        }
    }

    fn fill(&mut self, graph: &Graph) {
        for (e, &(from, to)) in graph.edges.iter().enumerate() {
            let (first, last) = (self.layers[from] + 1, self.layers[to]);
            let (out, inn) = (self.outlet[from], self.inlet[e].0);
            match self.lane[e] {
                None => {
                    let c = self.gutters[first].entry(from).or_default();
                    c.left.insert(out);
                    c.right.insert(inn);
                }
                Some(row) => {
                    let forward = first < last;
                    let c = self.gutters[first].entry(from).or_default();
                    c.left.insert(out);
                    if forward {
                        c.right.insert(row)
                    } else {
                        c.left.insert(row)
                    };
                    let c = self.gutters[last].entry(from).or_default();
                    c.right.insert(inn);
                    if forward {
                        c.left.insert(row)
                    } else {
                        c.right.insert(row)
                    };
                }
            }
        }
    }

    /// The ways of all edges in columns.
    pub fn routes(&self, graph: &Graph, widths: &Widths) -> Vec<Route> {
        let mut routes = Vec::with_capacity(graph.edges.len());
        for (e, &(from, to)) in graph.edges.iter().enumerate() {
            let (first, last) = (self.layers[from] + 1, self.layers[to]);
            let out = self.outlet[from];
            let (inn, shared) = self.inlet[e];
            let start = (widths.layer_x(self.layers[from]) + widths.node - 1, out);
            let end = (widths.layer_x(last).saturating_sub(1), inn);
            let mut corners = vec![start];
            let track = |gutter| self.track_x(gutter, from, widths);
            match self.lane[e] {
                None => {
                    if let Some(x) = track(first).filter(|_| out != inn) {
                        corners.extend([(x, out), (x, inn)]);
                    }
                }
                Some(row) => {
                    if let Some(x) = track(first).filter(|_| row != out) {
                        corners.extend([(x, out), (x, row)]);
                    }
                    if let Some(x) = track(last).filter(|_| row != inn) {
                        corners.extend([(x, row), (x, inn)]);
                    }
                }
            }
            corners.push(end);
            corners.dedup();
            // The corner into the shared row belongs to it.
            let join_from = if shared { corners.len().saturating_sub(2).max(1) } else { corners.len() };
            let tracks_end = widths.gutter_x(last) + 1 + self.track_count(last);
            let label_end = end.0.saturating_sub(ARROW - 1);
            let width = label_end.saturating_sub(tracks_end);
            let label = (!shared && width > 0).then_some((tracks_end, inn, width));
            routes.push(Route { corners, join_from, label });
        }
        routes
    }

    /// The column of a net's track; where the gutter has too few, the last is shared.
    fn track_x(&self, gutter: usize, net: usize, widths: &Widths) -> Option<u16> {
        let track = *self.tracks.get(gutter)?.get(&net)? as u16;
        let width = widths.gutters.get(gutter).copied().unwrap_or(0);
        Some(widths.gutter_x(gutter) + (1 + track).min(width.saturating_sub(ARROW)))
    }
}

/// Gives each net of a gutter that turns in it a track, so that no line lies on another's.
fn tracks(nets: &BTreeMap<usize, Crossing>) -> BTreeMap<usize, usize> {
    let mut waiting: Vec<usize> = nets.iter().filter(|(_, c)| !c.is_straight()).map(|(n, _)| *n).collect();
    // Lines that go down: the lowest first; lines that go up: the highest first. They then do not
    // cross each other.
    waiting.sort_by_key(|n| {
        let c = &nets[n];
        let (left, right) = (c.left.first().copied().unwrap_or(0), c.right.last().copied().unwrap_or(0));
        if right >= left { (1, u16::MAX - left) } else { (0, left) }
    });
    // `a` must stand left of `b`: `a` comes from the left in a row in which `b` leaves to the right.
    let before = |a: usize, b: usize| a != b && nets[&a].left.iter().any(|r| nets[&b].right.contains(r));
    let mut placed: BTreeMap<usize, usize> = BTreeMap::new();
    while !waiting.is_empty() {
        let next = waiting.iter().position(|&b| !waiting.iter().any(|&a| before(a, b))).unwrap_or(0);
        let net = waiting.remove(next);
        let after = placed.iter().filter(|(a, _)| before(**a, net)).map(|(_, t)| t + 1).max().unwrap_or(0);
        let (top, bottom) = nets[&net].span();
        let mut track = after;
        while placed.iter().any(|(other, t)| {
            let (a, b) = nets[other].span();
            *t == track && a <= bottom && top <= b
        }) {
            track += 1;
        }
        placed.insert(net, track);
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::super::canvas::{Canvas, Stroke, glyph};
    use super::super::layers::{Places, tests::graph};
    use super::*;
    use proptest::prelude::*;

    fn picture(g: &Graph, rows: u16) -> (Canvas, Vec<Place>, Vec<Route>, Widths) {
        let places = Places::arrange(g, &[], rows, 2);
        let list: Vec<Place> = g.nodes.iter().map(|n| *places.get(n).unwrap()).collect();
        let plan = Plan::new(g, &list, places.layers());
        let gutters = (0..=places.layers()).map(|i| plan.track_count(i) + 8).collect();
        let widths = Widths { node: 8, gutters };
        let routes = plan.routes(g, &widths);
        let mut canvas = Canvas::default();
        for (e, r) in routes.iter().enumerate() {
            canvas.path(g.edges[e].0, e, Stroke::Light, &r.corners, r.join_from);
        }
        (canvas, list, routes, widths)
    }

    fn show(g: &Graph) -> String {
        let (canvas, places, _, widths) = picture(g, 20);
        let mut out = String::new();
        for y in 0..12 {
            let line: String = (0..widths.total())
                .map(|x| {
                    let inside = places.iter().position(|p| {
                        let left = widths.layer_x(p.layer);
                        (left..left + 8).contains(&x) && (p.y..p.bottom()).contains(&y)
                    });
                    match (inside, canvas.at(x, y)) {
                        (Some(n), _) => char::from(b'0' + n as u8),
                        (None, Some(l)) => glyph(l.arms, l.stroke),
                        _ => ' ',
                    }
                })
                .collect();
            out += line.trim_end();
            out.push('\n');
        }
        out.trim_end().to_owned()
    }

    #[test]
    fn straight_fan_and_lane() {
        let g = graph(4, &[(0, 1), (0, 2), (1, 3), (0, 3)]);
        let shown = show(&g);
        let expected = "
        00000000         11111111         33333333
        00000000─┬───────11111111─────────33333333
        00000000 │       11111111 ┌───────33333333
        00000000 │       11111111 │       33333333
                 ├────────────────┘
                 │
                 │
                 │       22222222
                 └───────22222222
                         22222222
                         22222222";
        assert_eq!(shown, expected.trim_start_matches('\n'));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// However dense a graph is, its lines are laid in a moment.
        #[test]
        fn dense_graphs_are_quick(n in 20usize..26) {
            let all: Vec<(usize, usize)> = (0..n).flat_map(|a| (0..n).map(move |b| (a, b))).collect();
            let began = std::time::Instant::now();
            picture(&graph(n, &all), 40);
            prop_assert!(began.elapsed() < std::time::Duration::from_secs(3), "{:?}", began.elapsed());
        }

        /// A line never runs through a box.
        #[test]
        fn lines_avoid_boxes(n in 1usize..16, edges in proptest::collection::vec((0usize..16, 0usize..16), 0..30)) {
            let g = graph(n, &edges);
            let (_, places, routes, widths) = picture(&g, 24);
            for (e, r) in routes.iter().enumerate() {
                for pair in r.corners.windows(2) {
                    let (x0, x1) = (pair[0].0.min(pair[1].0), pair[0].0.max(pair[1].0));
                    let (y0, y1) = (pair[0].1.min(pair[1].1), pair[0].1.max(pair[1].1));
                    for p in &places {
                        let left = widths.layer_x(p.layer);
                        let hits = x0 < left + 7 && x1 >= left && y0 < p.bottom() && y1 >= p.y;
                        prop_assert!(!hits, "edge {e} {:?} through box {p:?}", r.corners);
                    }
                }
            }
        }

        /// Lines of two nets never lie on each other lengthwise, unless they end in a shared row:
        /// that would show an edge that does not exist.
        #[test]
        fn nets_stay_apart(n in 1usize..9, edges in proptest::collection::vec((0usize..9, 0usize..9), 0..12)) {
            let g = graph(n, &edges);
            let (_, _, routes, _) = picture(&g, 40);
            let mut flat: std::collections::HashMap<(u16, u16, bool), (usize, bool)> = Default::default();
            let mut overlaps = 0;
            for (e, r) in routes.iter().enumerate() {
                for (i, pair) in r.corners.windows(2).enumerate() {
                    let join = i + 1 >= r.join_from;
                    let horizontal = pair[0].1 == pair[1].1;
                    let (a, b) = if horizontal { (pair[0].0, pair[1].0) } else { (pair[0].1, pair[1].1) };
                    for v in a.min(b)..a.max(b) {
                        let at = if horizontal { (v, pair[0].1, true) } else { (pair[0].0, v, false) };
                        let old = flat.insert(at, (g.edges[e].0, join));
                        overlaps += usize::from(old.is_some_and(|o| o.0 != g.edges[e].0 && !(o.1 && join)));
                    }
                }
            }
            // Where the order of tracks would have to be a circle it cannot be helped.
            prop_assert!(overlaps <= 8, "{overlaps} cells");
        }
    }
}
