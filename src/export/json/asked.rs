//! Requests and turns of one view of an edge as JSON.

use serde::Serialize;

use super::counters::{HistJson, hist};
use crate::model::{Asked, Tally, TargetCounts};

/// What was asked and how fast it was answered.
#[derive(Debug, Serialize)]
pub(super) struct AskedJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    #[serde(flatten)]
    all: TallyJson,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    protocols: Vec<ProtocolJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    targets: Vec<TargetJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn_us: Option<HistJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn_full_us: Option<HistJson>,
    turns_not_timed: TurnsJson,
    undecoded_bytes: u64,
}

#[derive(Debug, Serialize)]
struct TallyJson {
    requests: u64,
    errors: u64,
    client_errors: u64,
    unknown_outcomes: u64,
    not_timed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_us: Option<HistJson>,
}

#[derive(Debug, Serialize)]
struct ProtocolJson {
    protocol: &'static str,
    #[serde(flatten)]
    tally: TallyJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_us: Option<HistJson>,
    missed: u64,
}

#[derive(Debug, Serialize)]
struct TargetJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    method: String,
    target: String,
    rest: bool,
    #[serde(flatten)]
    tally: TallyJson,
}

#[derive(Debug, Serialize)]
struct TurnsJson {
    overlapped: u64,
    waits: u64,
    pushes: u64,
    streams: u64,
}

impl AskedJson {
    pub(super) fn new(a: &Asked) -> Self {
        let t = &a.turns;
        AskedJson {
            protocol: a.main_protocol().map(|p| p.as_str()),
            all: tally(&a.all()),
            protocols: a
                .protocols
                .iter()
                .map(|p| ProtocolJson {
                    protocol: p.protocol.as_str(),
                    tally: tally(&p.tally),
                    answer_us: hist(&p.full_us),
                    missed: p.missed,
                })
                .collect(),
            targets: a.targets.iter().map(target).collect(),
            turn_us: hist(&t.first_us),
            turn_full_us: hist(&t.full_us),
            turns_not_timed: TurnsJson {
                overlapped: t.overlapped,
                waits: t.waits,
                pushes: t.pushes,
                streams: t.streams,
            },
            undecoded_bytes: a.undecoded_bytes,
        }
    }
}

fn target(t: &TargetCounts) -> TargetJson {
    TargetJson {
        protocol: (!t.is_rest()).then_some(t.protocol.as_str()),
        method: t.method.to_string(),
        target: t.target.to_string(),
        rest: t.is_rest(),
        tally: tally(&t.tally),
    }
}

fn tally(t: &Tally) -> TallyJson {
    TallyJson {
        requests: t.requests,
        errors: t.errors,
        client_errors: t.client_errors,
        unknown_outcomes: t.unknown,
        not_timed: t.not_timed,
        latency_us: hist(&t.latency_us),
    }
}
