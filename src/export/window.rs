//! The interval that counters of edges and workloads cover.

use super::{figures, time};
use crate::model::{BootNs, UtcOffset};
use crate::world::World;

/// The interval that counters cover: a moving window, or everything since a start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Set where everything since then is counted.
    pub since: Option<BootNs>,
    /// Length in seconds, for rates; 0 before the first slice.
    pub seconds: f64,
}

impl Window {
    /// The window of [`World::edges`]: shorter than asked for while the agent is younger.
    pub fn last(world: &World, seconds: u64) -> Self {
        let ns = world.window(seconds).fold(0u64, |sum, s| sum.saturating_add(s.length_ns));
        Window { since: None, seconds: ns as f64 / 1e9 }
    }

    /// The window of [`World::total_edges`].
    pub fn total(world: &World) -> Self {
        Window { since: Some(world.since()), seconds: world.now().since(world.since()) as f64 / 1e9 }
    }

    /// A count per second; 0 for an empty window.
    pub fn per_second(&self, count: u64) -> f64 {
        if self.seconds > 0.0 { count as f64 / self.seconds } else { 0.0 }
    }

    /// In words: "last 60 s", "since 2026-03-01 14:03:01 UTC".
    pub fn words(&self, utc: UtcOffset) -> String {
        match self.since {
            None => format!("last {:.0} s", self.seconds),
            Some(at) => match time::date_time(utc, at) {
                Some(at) => format!("since {at} UTC"),
                None => "since the agent started".to_owned(),
            },
        }
    }

    /// The count or, over a moving window, the rate: `820`, `12.3/s`.
    pub(super) fn amount(&self, count: u64) -> String {
        match self.since {
            None => figures::rate(self.per_second(count)),
            Some(_) => figures::count(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Slice;
    use std::sync::Arc;

    #[test]
    fn a_young_world_has_a_short_window() {
        let mut world = World::default();
        assert_eq!(Window::last(&world, 60).per_second(5), 0.0);
        for n in 1..=4 {
            let start = BootNs(n * 1_000_000_000);
            world.push(Arc::new(Slice { start, sequence: n, length_ns: 1_000_000_000, ..Slice::default() }));
        }
        assert_eq!(Window::last(&world, 60), Window { since: None, seconds: 4.0 });
        assert_eq!(Window::last(&world, 2).seconds, 2.0);
        assert_eq!(Window::last(&world, 60).per_second(8), 2.0);
        assert_eq!(Window::total(&world), Window { since: Some(BootNs(1_000_000_000)), seconds: 4.0 });
        assert_eq!(Window::total(&world).words(UtcOffset(0)), "since 1970-01-01 00:00:01 UTC");
        assert_eq!(Window::last(&world, 60).words(UtcOffset(0)), "last 4 s");
    }
}
