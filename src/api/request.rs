//! Requests: one by one, and counted.

use std::borrow::Cow;
use std::sync::Arc;

use super::hist;
use super::invalid::{InvalidMessage, count, cut, invalid, number, required, shared_text, text};
use super::pb;
use crate::model::{
    Asked, BootNs, Protocol, ProtocolCounts, Request, TARGETS, Tally, TargetCounts, Timing, Turns, Verdict,
};

/// Targets that one message may hold: of all that was ever counted, folded as in a slice.
const TARGET_ROWS: usize = TARGETS + 1;

pub(super) fn asked_to_pb(a: &Asked) -> pb::Asked {
    pb::Asked {
        turns: (a.turns != Turns::default()).then(|| {
            Box::new(pb::Turns {
                first_us: hist::to_pb(&a.turns.first_us),
                full_us: hist::to_pb(&a.turns.full_us),
                overlapped: a.turns.overlapped,
                waits: a.turns.waits,
                pushes: a.turns.pushes,
                streams: a.turns.streams,
            })
        }),
        protocols: a
            .protocols
            .iter()
            .map(|p| pb::ProtocolCounts {
                protocol: p.protocol as u32,
                tally: Some(Box::new(tally_to_pb(&p.tally))),
                full_us: hist::to_pb(&p.full_us),
                missed: p.missed,
            })
            .collect(),
        targets: a
            .targets
            .iter()
            .map(|t| pb::TargetCounts {
                protocol: t.protocol as u32,
                method: cut(&t.method),
                target: cut(&t.target),
                tally: Some(Box::new(tally_to_pb(&t.tally))),
            })
            .collect(),
        undecoded_bytes: a.undecoded_bytes,
    }
}

pub(super) fn asked_from_pb(a: pb::Asked) -> Result<Asked, InvalidMessage> {
    if a.targets.len() > TARGET_ROWS {
        return invalid(format!("Asked.targets has more than {TARGET_ROWS}"));
    }
    let mut protocols: Vec<ProtocolCounts> = Vec::new();
    for p in a.protocols {
        let protocol = protocol(p.protocol, "ProtocolCounts.protocol")?;
        if protocols.iter().any(|p| p.protocol == protocol) {
            return invalid("Asked.protocols names a protocol twice");
        }
        protocols.push(ProtocolCounts {
            protocol,
            tally: tally_from_pb(p.tally)?,
            full_us: hist::from_pb(p.full_us, "ProtocolCounts.full_us")?,
            missed: count(p.missed, "ProtocolCounts.missed")?,
        });
    }
    let turns = match a.turns.map(|t| *t) {
        None => Turns::default(),
        Some(t) => Turns {
            first_us: hist::from_pb(t.first_us, "Turns.first_us")?,
            full_us: hist::from_pb(t.full_us, "Turns.full_us")?,
            overlapped: count(t.overlapped, "Turns.overlapped")?,
            waits: count(t.waits, "Turns.waits")?,
            pushes: count(t.pushes, "Turns.pushes")?,
            streams: count(t.streams, "Turns.streams")?,
        },
    };
    let targets = a.targets.into_iter().map(|t| {
        Ok(TargetCounts {
            protocol: protocol(t.protocol, "TargetCounts.protocol")?,
            method: shared_text(t.method, "TargetCounts.method")?,
            target: shared_text(t.target, "TargetCounts.target")?,
            tally: tally_from_pb(t.tally)?,
        })
    });
    Ok(Asked {
        turns,
        protocols,
        targets: targets.collect::<Result<_, InvalidMessage>>()?,
        undecoded_bytes: count(a.undecoded_bytes, "Asked.undecoded_bytes")?,
    })
}

fn tally_to_pb(t: &Tally) -> pb::Tally {
    pb::Tally {
        requests: t.requests,
        errors: t.errors,
        client_errors: t.client_errors,
        unknown: t.unknown,
        not_timed: t.not_timed,
        latency_us: hist::to_pb(&t.latency_us),
    }
}

fn tally_from_pb(t: Option<Box<pb::Tally>>) -> Result<Tally, InvalidMessage> {
    let t = t.map(|t| *t).unwrap_or_default();
    Ok(Tally {
        requests: count(t.requests, "Tally.requests")?,
        errors: count(t.errors, "Tally.errors")?,
        client_errors: count(t.client_errors, "Tally.client_errors")?,
        unknown: count(t.unknown, "Tally.unknown")?,
        not_timed: count(t.not_timed, "Tally.not_timed")?,
        latency_us: hist::from_pb(t.latency_us, "Tally.latency_us")?,
    })
}

pub(super) fn protocol(n: u32, name: &str) -> Result<Protocol, InvalidMessage> {
    number(n, name, Protocol::from_number)
}

pub(super) fn request_to_pb(r: &Request) -> pb::Request {
    pb::Request {
        protocol: r.protocol as u32,
        shape: r.shape as u32,
        method: cut(&r.method),
        target: r.target.as_deref().map(cut),
        target_unknown: r.target_unknown.as_deref().map(cut),
        status: r.status.as_deref().map(cut),
        status_unknown: r.status_unknown.as_deref().map(cut),
        verdict: r.verdict as u32,
        by_client: r.by_client.as_ref().map(timing_to_pb).map(Box::new),
        by_server: r.by_server.as_ref().map(timing_to_pb).map(Box::new),
        request_bytes: r.request_bytes,
        response_bytes: r.response_bytes,
        note: cut(&r.note),
        evidence: cut(&r.evidence),
    }
}

pub(super) fn request_from_pb(r: pb::Request) -> Result<Request, InvalidMessage> {
    let words = |s: Option<String>, name: &str| s.map(|s| text(s, name).map(Cow::Owned)).transpose();
    Ok(Request {
        protocol: protocol(r.protocol, "Request.protocol")?,
        shape: number(r.shape, "Request.shape", crate::model::Shape::from_number)?,
        method: Cow::Owned(text(r.method, "Request.method")?),
        target: r.target.map(|t| shared_text(t, "Request.target")).transpose()?,
        target_unknown: words(r.target_unknown, "Request.target_unknown")?,
        status: words(r.status, "Request.status")?,
        status_unknown: words(r.status_unknown, "Request.status_unknown")?,
        verdict: number(r.verdict, "Request.verdict", Verdict::from_number)?,
        by_client: r.by_client.as_deref().map(timing_from_pb),
        by_server: r.by_server.as_deref().map(timing_from_pb),
        request_bytes: count(r.request_bytes, "Request.request_bytes")?,
        response_bytes: count(r.response_bytes, "Request.response_bytes")?,
        note: Cow::Owned(text(r.note, "Request.note")?),
        evidence: Cow::Owned(text(r.evidence, "Request.evidence")?),
    })
}

/// The request of an event, if it must have one.
pub(super) fn event_request(
    r: Option<Box<pb::Request>>,
    expected: bool,
) -> Result<Option<Arc<Request>>, InvalidMessage> {
    if !expected {
        return match r {
            None => Ok(None),
            Some(_) => invalid("Event.request comes with kind 6 only"),
        };
    }
    Ok(Some(Arc::new(request_from_pb(*required(r, "Event.request")?)?)))
}

fn timing_to_pb(t: &Timing) -> pb::Timing {
    pb::Timing {
        asked_ns: t.asked.0,
        asked_all_ns: t.asked_all.0,
        answered_ns: t.answered.0,
        answered_all_ns: t.answered_all.0,
    }
}

fn timing_from_pb(t: &pb::Timing) -> Timing {
    Timing {
        asked: BootNs(t.asked_ns),
        asked_all: BootNs(t.asked_all_ns),
        answered: BootNs(t.answered_ns),
        answered_all: BootNs(t.answered_all_ns),
    }
}
