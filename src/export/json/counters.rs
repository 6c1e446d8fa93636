//! The counters of an edge as JSON.

use serde::Serialize;

use super::Counts;
use super::asked::AskedJson;
use crate::model::{Counters, Hist, OUTCOMES, SECURITIES, Security};

/// Counters of one view over the window.
#[derive(Debug, Serialize)]
pub(super) struct CountersJson {
    opened: u64,
    established: u64,
    open: u64,
    closed: u64,
    adopted: u64,
    failed: Counts,
    outcomes: Counts,
    bytes_to_server: u64,
    bytes_to_client: u64,
    retransmits: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_us: Option<HistJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    srtt_us: Option<HistJson>,
    #[serde(flatten)]
    asked: AskedJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    security: Option<Counts>,
}

#[derive(Debug, Serialize)]
pub(super) struct HistJson {
    count: u64,
    p50: u64,
    p90: u64,
    p99: u64,
    max: u64,
    mean: f64,
}

impl CountersJson {
    pub(super) fn new(c: &Counters) -> Self {
        let (mut failed, mut outcomes) = (Counts::default(), Counts::default());
        for o in OUTCOMES {
            failed.add(o.as_str(), c.failed(o));
            outcomes.add(o.as_str(), c.outcomes[o.index()]);
        }
        CountersJson {
            opened: c.opened,
            established: c.established,
            open: c.open,
            closed: c.closed,
            adopted: c.adopted,
            failed,
            outcomes,
            bytes_to_server: c.bytes_to_server,
            bytes_to_client: c.bytes_to_client,
            retransmits: c.retransmits,
            connect_us: hist(&c.connect_us),
            srtt_us: hist(&c.srtt_us),
            asked: c.asked.as_deref().map(AskedJson::new).unwrap_or_default(),
            security: c.secured.as_deref().map(|secured| securities(|s| secured.of(s))),
        }
    }
}

/// Connections by verdict.
pub(super) fn securities(of: impl Fn(Security) -> u64) -> Counts {
    let mut counts = Counts::default();
    SECURITIES.into_iter().for_each(|s| counts.add(s.as_str(), of(s)));
    counts
}

/// `None` for an empty histogram: it has no quantiles.
pub(super) fn hist(h: &Hist) -> Option<HistJson> {
    Some(HistJson {
        count: h.count(),
        p50: h.quantile(0.5)?,
        p90: h.quantile(0.9)?,
        p99: h.quantile(0.99)?,
        max: h.max(),
        mean: (h.sum() as f64 / h.count() as f64 * 10.0).round() / 10.0,
    })
}
