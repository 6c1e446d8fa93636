//! Requests and turns of one view of an edge as JSON.

use serde::Serialize;

use super::counters::{HistJson, hist};
use crate::model::{Asked, ProtocolCounts, Tally, TargetCounts, Turns};

/// What was asked and how fast it was answered. Nothing is 0 because nobody decoded.
#[derive(Debug, Default, Serialize)]
pub(super) struct AskedJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    #[serde(flatten)]
    all: Option<TallyJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undecoded_bytes: Option<u64>,
    protocols: Vec<ProtocolJson>,
    targets: Vec<TargetJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn_us: Option<HistJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn_full_us: Option<HistJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    turns_not_timed: Option<TurnsJson>,
}

#[derive(Debug, Serialize)]
pub(super) struct TallyJson {
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
    decoded: Option<DecodedJson>,
}

#[derive(Debug, Serialize)]
struct DecodedJson {
    #[serde(flatten)]
    tally: TallyJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    full_us: Option<HistJson>,
    missed: u64,
}

#[derive(Debug, Serialize)]
struct TargetJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    method: String,
    #[serde(skip_serializing_if = "String::is_empty")]
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
        let decoded = a.protocols.iter().any(is_decoded);
        let missed = a.protocols.iter().fold(0u64, |sum, p| sum.saturating_add(p.missed));
        AskedJson {
            protocol: a.main_protocol().map(|p| p.as_str()),
            all: decoded.then(|| TallyJson::new(&a.all())),
            missed: decoded.then_some(missed),
            undecoded_bytes: (decoded || a.undecoded_bytes > 0).then_some(a.undecoded_bytes),
            protocols: a.protocols.iter().map(protocol).collect(),
            targets: a.targets.iter().map(target).collect(),
            turn_us: hist(&a.turns.first_us),
            turn_full_us: hist(&a.turns.full_us),
            turns_not_timed: (a.turns != Turns::default()).then_some(TurnsJson {
                overlapped: a.turns.overlapped,
                waits: a.turns.waits,
                pushes: a.turns.pushes,
                streams: a.turns.streams,
            }),
        }
    }
}

fn is_decoded(p: &ProtocolCounts) -> bool {
    p.tally.requests > 0 || p.missed > 0
}

fn protocol(p: &ProtocolCounts) -> ProtocolJson {
    ProtocolJson {
        protocol: p.protocol.as_str(),
        decoded: is_decoded(p).then(|| DecodedJson {
            tally: TallyJson::new(&p.tally),
            full_us: hist(&p.full_us),
            missed: p.missed,
        }),
    }
}

fn target(t: &TargetCounts) -> TargetJson {
    TargetJson {
        protocol: (!t.is_rest()).then_some(t.protocol.as_str()),
        method: t.method.to_string(),
        target: t.target.to_string(),
        rest: t.is_rest(),
        tally: TallyJson::new(&t.tally),
    }
}

impl TallyJson {
    pub(super) fn new(t: &Tally) -> Self {
        TallyJson {
            requests: t.requests,
            errors: t.errors,
            client_errors: t.client_errors,
            unknown_outcomes: t.unknown,
            not_timed: t.not_timed,
            latency_us: hist(&t.latency_us),
        }
    }
}
