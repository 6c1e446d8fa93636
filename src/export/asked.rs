//! Requests of one view in the columns of a table: the same in every table and label.

use super::Window;
use super::figures::{NONE, count, micros, rate, share};
use crate::model::{Asked, Hist, Protocol, Tally};

/// Said once, above a table in which the signs may stand.
pub const LEGEND: &str = "~ answers without decoding, ≥ incomplete";

/// What a row says of requests and answers.
#[derive(Clone, Debug, Default)]
pub(super) struct AskedFigures {
    /// The protocol with the most requests, and how many others there are.
    pub(super) protocol: Option<(Protocol, usize)>,
    /// All requests; `None` where none was decoded.
    pub(super) tally: Option<Tally>,
    /// Latency of turns, where that of requests is not known.
    turns: Hist,
    /// Requests may be missing.
    pub(super) incomplete: bool,
    /// Nothing could be decoded of what was said.
    undecoded: bool,
}

impl AskedFigures {
    pub(super) fn new(asked: Option<&Asked>) -> Self {
        let Some(a) = asked else { return AskedFigures::default() };
        let all = a.all();
        let missed = a.protocols.iter().any(|p| p.missed > 0);
        let none = all.requests == 0 && !missed;
        AskedFigures {
            protocol: a.main_protocol().map(|p| (p, a.protocols.len() - 1)),
            turns: if all.latency_us.is_empty() { a.turns.first_us.clone() } else { Hist::default() },
            incomplete: missed || a.undecoded_bytes > 0,
            undecoded: none && a.undecoded_bytes > 0,
            tally: (!none).then_some(all),
        }
    }

    /// Figures of a tally that stands alone.
    pub(super) fn of(protocol: Option<Protocol>, tally: &Tally) -> Self {
        AskedFigures { protocol: protocol.map(|p| (p, 0)), tally: Some(tally.clone()), ..Self::default() }
    }

    /// Of requests, else of turns.
    pub(super) fn latency_us(&self) -> &Hist {
        match &self.tally {
            Some(t) if !t.latency_us.is_empty() => &t.latency_us,
            _ => &self.turns,
        }
    }

    /// Whether [`AskedFigures::latency_us`] is that of turns.
    pub(super) fn is_turns(&self) -> bool {
        !self.turns.is_empty()
    }

    /// "http", "http +1".
    pub(super) fn protocol_cell(&self) -> String {
        match self.protocol {
            None => NONE.to_owned(),
            Some((p, 0)) => p.as_str().to_owned(),
            Some((p, others)) => format!("{} +{others}", p.as_str()),
        }
    }

    /// "≥12.3/s"; how many where everything since a start is counted.
    pub(super) fn requests_cell(&self, window: Window) -> String {
        let Some(t) = &self.tally else { return if self.undecoded { "?" } else { NONE }.to_owned() };
        let mark = if self.incomplete { "≥" } else { "" };
        match window.since {
            None => format!("{mark}{}", rate(window.per_second(t.requests))),
            Some(_) => format!("{mark}{}", count(t.requests)),
        }
    }

    /// Errors among requests: "2.10%".
    pub(super) fn errors_cell(&self) -> String {
        self.tally.as_ref().map_or_else(|| NONE.to_owned(), |t| share(t.errors, t.requests))
    }

    /// "8.20 ms", "~8.20 ms".
    pub(super) fn latency_cell(&self, quantile: f64) -> String {
        let mark = if self.is_turns() { "~" } else { "" };
        match self.latency_us().quantile(quantile) {
            Some(us) => format!("{mark}{}", micros(us)),
            None => NONE.to_owned(),
        }
    }

    /// In a label: `["http", "12.3 req/s", "2.10% errors", "p99 8.20 ms"]`, as far as it is known.
    pub(super) fn words(&self, window: Window) -> Vec<String> {
        let mut words = Vec::new();
        words.extend(self.protocol.map(|_| self.protocol_cell()));
        if let Some(t) = &self.tally {
            words.push(match window.since {
                None => self.requests_cell(window).replace("/s", " req/s"),
                Some(_) => format!("{} requests", self.requests_cell(window)),
            });
            words.extend((t.errors > 0).then(|| format!("{} errors", self.errors_cell())));
        }
        if !self.latency_us().is_empty() {
            words.push(format!("p99 {}", self.latency_cell(0.99)));
        }
        words
    }
}
