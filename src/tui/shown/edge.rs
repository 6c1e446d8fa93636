//! An edge with its figures.

use std::borrow::Cow;

use crate::model::{Asked, BootNs, Counters, Hist, OUTCOMES, Outcome, Protocol, View};
use crate::world::{EdgeId, EdgeRow, Filter, Subject, Timed};

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
    pub(super) fn of(timed: Timed, h: &Hist) -> Option<Latency> {
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
    /// Connections of the window by their security, at [`crate::model::Security::index`]; `None` where
    /// nobody looked.
    pub secured: Option<[u64; 8]>,
    /// When something last happened, when it did.
    pub active: Option<BootNs>,
}

impl Edge {
    pub(super) fn new(row: EdgeRow, seconds: f64, active: Option<BootNs>) -> Self {
        let (_, c) = row.shown();
        let failures = c.failures();
        let ended: u64 = OUTCOMES.iter().map(|o| c.outcomes[o.index()]).sum();
        let two = |h: &Hist| Some((h.quantile(0.5)?, h.quantile(0.99)?));
        let asked = c.asked.as_deref();
        let mut protocols: Vec<(u64, Protocol)> =
            asked.map_or(&[][..], |a| &a.protocols).iter().map(|p| (p.tally.requests, p.protocol)).collect();
        protocols.sort_by_key(|p| (std::cmp::Reverse(p.0), p.1));
        let tallies = || asked.into_iter().flat_map(|a| &a.protocols).map(|p| &p.tally);
        let requests = tallies().fold(0u64, |sum, t| sum.saturating_add(t.requests));
        let errors = tallies().fold(0u64, |sum, t| sum.saturating_add(t.errors));
        Edge {
            trouble: match failures.saturating_add(errors) {
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
            secured: row.secured(),
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
            failing: self.failures > 0 || self.errors > 0,
            idle: self.is_idle(),
        })
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
    let after = row.trend.iter().skip(last.map_or(0, |i| i + 1));
    let since = after.fold(0u64, |sum, p| sum.saturating_add(p.failures).saturating_add(p.errors));
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
