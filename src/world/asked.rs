//! Requests and turns over a window: added up for all edges, and looked at closely for one row.

use std::collections::HashMap;
use std::sync::Arc;

use super::rows::EdgeRow;
use super::view::World;
use crate::model::{
    Asked, BootNs, Counters, EdgeKey, Hist, HistSum, Protocol, ProtocolCounts, Slice, Tally, TargetCounts,
    Turns, View,
};

/// Adds up [`Asked`] over intervals, without its targets: many histograms at the price of dense
/// arrays that are used again.
#[derive(Debug, Default)]
pub(super) struct AskedSum {
    any: bool,
    turns: Turns,
    first_us: HistSum,
    full_us: HistSum,
    protocols: Vec<ProtocolSum>,
    /// How many of `protocols` belong to this sum; the others are kept for the next one.
    used: usize,
    undecoded_bytes: u64,
}

#[derive(Debug)]
struct ProtocolSum {
    protocol: Protocol,
    tally: Tally,
    latency_us: HistSum,
    full_us: HistSum,
    missed: u64,
}

impl AskedSum {
    /// The next interval.
    pub(super) fn add(&mut self, asked: &Asked) {
        self.any = true;
        let (mine, theirs) = (&mut self.turns, &asked.turns);
        self.first_us.add(&theirs.first_us);
        self.full_us.add(&theirs.full_us);
        mine.overlapped = mine.overlapped.saturating_add(theirs.overlapped);
        mine.waits = mine.waits.saturating_add(theirs.waits);
        mine.pushes = mine.pushes.saturating_add(theirs.pushes);
        mine.streams = mine.streams.saturating_add(theirs.streams);
        for p in &asked.protocols {
            let sum = self.protocol(p.protocol);
            sum.tally.merge_counts(&p.tally);
            sum.latency_us.add(&p.tally.latency_us);
            sum.full_us.add(&p.full_us);
            sum.missed = sum.missed.saturating_add(p.missed);
        }
        self.undecoded_bytes = self.undecoded_bytes.saturating_add(asked.undecoded_bytes);
    }

    fn protocol(&mut self, protocol: Protocol) -> &mut ProtocolSum {
        let i = match self.protocols[..self.used].iter().position(|p| p.protocol == protocol) {
            Some(i) => i,
            None => {
                self.used += 1;
                match self.protocols.get_mut(self.used - 1) {
                    Some(free) => free.protocol = protocol,
                    None => self.protocols.push(ProtocolSum {
                        protocol,
                        tally: Tally::default(),
                        latency_us: HistSum::default(),
                        full_us: HistSum::default(),
                        missed: 0,
                    }),
                }
                self.used - 1
            }
        };
        &mut self.protocols[i]
    }

    /// The sum so far, if there was anything; the next one begins at nothing.
    pub(super) fn take(&mut self) -> Option<Box<Asked>> {
        if !std::mem::take(&mut self.any) {
            return None;
        }
        let take = |p: &mut ProtocolSum| ProtocolCounts {
            protocol: p.protocol,
            tally: Tally { latency_us: p.latency_us.take(), ..std::mem::take(&mut p.tally) },
            full_us: p.full_us.take(),
            missed: std::mem::take(&mut p.missed),
        };
        let used = std::mem::take(&mut self.used);
        Some(Box::new(Asked {
            turns: Turns {
                first_us: self.first_us.take(),
                full_us: self.full_us.take(),
                ..std::mem::take(&mut self.turns)
            },
            protocols: self.protocols.iter_mut().take(used).map(take).collect(),
            targets: Vec::new(),
            undecoded_bytes: std::mem::take(&mut self.undecoded_bytes),
        }))
    }
}

/// 99th percentile of the latency of requests, the largest of several protocols; of turns where no
/// request was timed; 0 = none.
pub(super) fn slowest(asked: &Asked) -> u64 {
    let p99 = |h: &Hist| h.quantile(0.99);
    let decoded = asked.protocols.iter().filter_map(|p| p99(&p.tally.latency_us)).max();
    decoded.or_else(|| p99(&asked.turns.first_us)).unwrap_or(0)
}

/// What a latency is the time of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timed {
    /// Decoded requests.
    #[default]
    Requests,
    /// Turns, whatever the protocol.
    Turns,
}

/// One slice of one row, looked at closely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedPoint {
    /// Start of the slice.
    pub start: BootNs,
    /// Last byte asked to first byte answered, microseconds.
    pub latency_us: Hist,
    /// Requests with an error.
    pub errors: u64,
}

impl World {
    /// Latencies and errors of the edges of one row, slice by slice, oldest first, in one view: as
    /// many as the window before `until` has slices.
    pub fn asked_course(
        &self,
        keys: &[EdgeKey],
        (view, timed): (View, Timed),
        until: BootNs,
        seconds: u64,
    ) -> Vec<AskedPoint> {
        let mut sum = HistSum::default();
        let point = |slice: &Arc<Slice>| {
            let mut errors = 0u64;
            for asked in asked_of(slice, keys, view) {
                for p in &asked.protocols {
                    errors = errors.saturating_add(p.tally.errors);
                    if timed == Timed::Requests {
                        sum.add(&p.tally.latency_us);
                    }
                }
                if timed == Timed::Turns {
                    sum.add(&asked.turns.first_us);
                }
            }
            AskedPoint { start: slice.start, latency_us: sum.take(), errors }
        };
        self.window_until(until, seconds).map(point).collect()
    }

    /// [`World::edges`] with the targets of each, for what is printed once.
    pub fn edges_in_full(&self, seconds: u64) -> Vec<EdgeRow> {
        let mut rows = self.edges(seconds);
        for row in &mut rows {
            for view in [View::Client, View::Server] {
                let targets = self.targets(&row.keys, view, self.now(), seconds);
                let counters = match view {
                    View::Client => &mut row.by_client,
                    View::Server => &mut row.by_server,
                };
                if let Some(asked) = counters.as_mut().and_then(|c| c.asked.as_mut()) {
                    asked.targets = targets;
                }
            }
        }
        rows
    }

    /// Targets of the edges of one row over the window before `until`, in one view, the most asked
    /// ones first. What was not told apart in some slice is in the one that [`TargetCounts::is_rest`].
    pub fn targets(&self, keys: &[EdgeKey], view: View, until: BootNs, seconds: u64) -> Vec<TargetCounts> {
        let mut tallies: HashMap<(Protocol, &str, &str), Vec<&TargetCounts>> = HashMap::new();
        for slice in self.window_until(until, seconds) {
            for t in asked_of(slice, keys, view).flat_map(|asked| &asked.targets) {
                tallies.entry((t.protocol, &t.method, &t.target)).or_default().push(t);
            }
        }
        let mut sum = HistSum::default();
        let mut targets: Vec<TargetCounts> = Vec::with_capacity(tallies.len());
        for parts in tallies.into_values() {
            let mut tally = Tally::default();
            for t in &parts {
                tally.merge_counts(&t.tally);
                sum.add(&t.tally.latency_us);
            }
            tally.latency_us = sum.take();
            if let Some(t) = parts.first() {
                let (method, target) = (t.method.clone(), t.target.clone());
                targets.push(TargetCounts { protocol: t.protocol, method, target, tally });
            }
        }
        let name = |t: &TargetCounts| (t.protocol, t.method.clone(), t.target.clone());
        targets.sort_by(|a, b| b.tally.requests.cmp(&a.tally.requests).then_with(|| name(a).cmp(&name(b))));
        targets
    }
}

/// What one view of some edges has in a slice.
fn asked_of<'a>(slice: &'a Slice, keys: &'a [EdgeKey], view: View) -> impl Iterator<Item = &'a Asked> {
    let edges = slice.edges.iter().filter(move |e| keys.contains(&e.key));
    let counters = edges.filter_map(move |e| match view {
        View::Client => e.by_client.as_ref(),
        View::Server => e.by_server.as_ref(),
    });
    counters.filter_map(|c: &Counters| c.asked.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AgentInstance, EdgeSlice, EntityId, Shape, Transport, Verdict};
    use proptest::prelude::*;

    fn key(client: u64) -> EdgeKey {
        EdgeKey {
            client: EntityId(client),
            server: EntityId(9),
            addr: [127, 0, 0, 1].into(),
            port: 80,
            transport: Transport::Tcp,
            role_known: true,
        }
    }

    /// (client, protocol, target, microseconds, whether it failed)
    type Asked1 = (u64, u8, u8, u64, bool);

    fn world(seconds: &[Vec<Asked1>]) -> World {
        let mut world = World::default();
        for (i, asked) in seconds.iter().enumerate() {
            let mut edges: Vec<EdgeSlice> = Vec::new();
            for (client, protocol, target, us, failed) in asked {
                let at = edges.iter().position(|e| e.key == key(*client)).unwrap_or_else(|| {
                    edges.push(EdgeSlice::new(key(*client)));
                    edges.len() - 1
                });
                for view in [View::Client, View::Server] {
                    let us = if view == View::Client { us + 1_000 } else { *us };
                    let verdict = if *failed { Verdict::Error } else { Verdict::Ok };
                    let protocol = Protocol::from_number(protocol + 1).unwrap();
                    let asked = edges[at].view_mut(view).asked_mut();
                    asked.turns.first_us.record(us / 2);
                    asked.turns.waits += 1;
                    asked.undecoded_bytes += 3;
                    let counts = asked.protocol_mut(protocol);
                    counts.tally.count(Shape::Unary, verdict, Some(us));
                    counts.full_us.record(us * 2);
                    counts.missed += 1;
                    let name = Arc::from(format!("/{target}"));
                    asked.target_mut(protocol, &Arc::from("GET"), &name).count(
                        Shape::Unary,
                        verdict,
                        Some(us),
                    );
                }
            }
            world.push(Arc::new(Slice {
                agent: AgentInstance(1),
                sequence: i as u64 + 1,
                start: BootNs((i as u64 + 1) * 1_000_000_000),
                length_ns: 1_000_000_000,
                edges,
                ..Slice::default()
            }));
        }
        world
    }

    /// In an order of their own.
    fn sorted(mut targets: Vec<TargetCounts>) -> Vec<TargetCounts> {
        targets.sort_by_key(|t| (t.protocol, t.target.clone()));
        targets
    }

    proptest! {
        /// What is summed fast is what is summed slowly, and what is looked at closely is all of it.
        #[test]
        fn the_window_is_the_sum_of_what_was_asked(
            seconds in proptest::collection::vec(
                proptest::collection::vec((0u64..3, 0u8..3, 0u8..4, 0u64..100_000, any::<bool>()), 0..9), 1..9),
        ) {
            let world = world(&seconds);
            let (window, totals) = (world.edges(300), world.total_edges());
            prop_assert_eq!(window.len(), totals.len());
            for (w, t) in window.iter().zip(&totals) {
                for view in [View::Client, View::Server] {
                    let of = |row: &crate::world::EdgeRow| match view {
                        View::Client => row.by_client.clone().unwrap(),
                        View::Server => row.by_server.clone().unwrap(),
                    };
                    let (quick, mut slow) = (of(w), of(t));
                    let all = slow.asked.as_deref().unwrap().all();
                    let targets = std::mem::take(&mut slow.asked_mut().targets);
                    prop_assert_eq!(&quick, &slow);
                    prop_assert_eq!(sorted(world.targets(&w.keys, view, world.now(), 300)), sorted(targets));
                    let turns = slow.asked.as_deref().unwrap().turns.first_us.clone();
                    for (timed, expected) in [(Timed::Requests, all.latency_us), (Timed::Turns, turns)] {
                        let course = world.asked_course(&w.keys, (view, timed), world.now(), 300);
                        prop_assert_eq!(course.len(), seconds.len());
                        let mut sum = Hist::default();
                        course.iter().for_each(|p| sum.merge(&p.latency_us));
                        prop_assert_eq!(sum, expected);
                        prop_assert_eq!(course.iter().map(|p| p.errors).sum::<u64>(), all.errors);
                    }
                }
                let requests: u64 = w.trend.iter().map(|p| p.requests).sum();
                prop_assert_eq!(requests, w.shown().1.asked.as_ref().unwrap().all().requests);
            }
        }
    }

    #[test]
    fn only_an_answer_without_an_error_is_a_success() {
        let ok = |ok: bool| vec![(0, 0, 0, 5, !ok)];
        let world = world(&[ok(true), ok(false), vec![], ok(false)]);
        let row = world.edges(60).remove(0);
        let at = |s: u64| Some(BootNs(s * 1_000_000_000));
        assert_eq!((row.last_success, row.failing_since), (at(1), at(2)));
    }

    #[test]
    fn the_window_may_end_before_now() {
        let ok = || vec![(0, 0, 0, 5, false)];
        let world = world(&[ok(), ok(), ok(), ok()]);
        let starts = |until: u64, seconds| -> Vec<u64> {
            let until = BootNs(until * 1_000_000_000);
            let course = world.asked_course(&[key(0)], (View::Client, Timed::Requests), until, seconds);
            course.iter().map(|p| p.start.0 / 1_000_000_000).collect()
        };
        assert_eq!(starts(5, 60), [1, 2, 3, 4]);
        assert_eq!(starts(4, 2), [2, 3]);
        assert_eq!(starts(4, u64::MAX), [1, 2, 3]);
    }
}
