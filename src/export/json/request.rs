//! A request as JSON.
//!
//! What does not exist is absent; what exists and could not be told is `null`, beside a field of the
//! same name with `_unknown` that says why.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Serialize;

use super::NameJson;
use super::connection::ProcessJson;
use crate::export::time;
use crate::model::{Event, EventKind, Request, Shape, Side, Timing, UtcOffset, Verdict, View};
use crate::world::NameTable;

/// One exchange: top-level figures are those of the end named in `view`.
#[derive(Debug, Serialize)]
pub struct RequestJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    sequence: u64,
    event: &'static str,
    protocol: &'static str,
    shape: &'static str,
    client: PartyJson,
    server: PartyJson,
    connection: String,
    transport: &'static str,
    role_known: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    view: Option<&'static str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    method: String,
    #[serde(flatten)]
    target: Option<TargetJson>,
    #[serde(flatten)]
    status: Option<StatusJson>,
    ok: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ok_unknown: Option<String>,
    verdict: &'static str,
    #[serde(flatten)]
    latency: Option<LatencyJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    full_us: Option<u64>,
    request_bytes: u64,
    response_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_client: Option<TimingJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_server: Option<TimingJson>,
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
    evidence: String,
}

#[derive(Debug, Serialize)]
struct TargetJson {
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_unknown: Option<String>,
}

#[derive(Debug, Serialize)]
struct StatusJson {
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_unknown: Option<String>,
}

#[derive(Debug, Serialize)]
struct LatencyJson {
    latency_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_us_unknown: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct PartyJson {
    address: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    entity: String,
    workload: NameJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<ProcessJson>,
}

#[derive(Debug, Serialize)]
struct TimingJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    full_us: Option<u64>,
}

/// The request of an event, with names from `names` and times by `utc`; `None` for other events.
pub fn request(e: &Event, names: &NameTable, utc: UtcOffset) -> Option<RequestJson> {
    let r: &Request = e.request.as_deref()?;
    let c = &*e.connection;
    let shown = r.shown();
    let asked = shown.and_then(|(_, t)| t.asked.known());
    Some(RequestJson {
        time: time::rfc3339(utc, asked.unwrap_or(e.at)),
        sequence: e.sequence,
        event: EventKind::Request.as_str(),
        protocol: r.protocol.as_str(),
        shape: r.shape.as_str(),
        client: party(&c.client, names),
        server: party(&c.server, names),
        connection: c.id.to_string(),
        transport: c.transport.as_str(),
        role_known: c.role_known,
        view: shown.map(|(view, _)| view.as_str()),
        method: r.method.to_string(),
        target: (r.target.is_some() || r.target_unknown.is_some()).then(|| TargetJson {
            target: r.target.as_deref().map(str::to_owned),
            target_unknown: unless(r.target.is_some(), r.target_unknown.as_ref()),
        }),
        status: (r.status.is_some() || r.status_unknown.is_some()).then(|| StatusJson {
            status: r.status.as_deref().map(str::to_owned),
            status_unknown: unless(r.status.is_some(), r.status_unknown.as_ref()),
        }),
        ok: match r.verdict {
            Verdict::Ok => Some(true),
            Verdict::ClientError | Verdict::Error => Some(false),
            Verdict::Unknown => None,
        },
        ok_unknown: (r.verdict == Verdict::Unknown)
            .then(|| unless(false, r.status_unknown.as_ref()).unwrap_or_else(|| UNSEEN.to_owned())),
        verdict: r.verdict.as_str(),
        latency: latency(r, shown),
        full_us: shown.filter(|_| r.shape == Shape::Unary).and_then(|(_, t)| t.full_us()),
        request_bytes: r.request_bytes,
        response_bytes: r.response_bytes,
        by_client: r.by_client.as_ref().map(timing),
        by_server: r.by_server.as_ref().map(timing),
        note: r.note.to_string(),
        evidence: r.evidence.to_string(),
    })
}

const UNSEEN: &str = "the answer was not seen";

/// Absent for what has no latency, or no answer; `null` for what has one that was not measured.
fn latency(r: &Request, shown: Option<(View, &Timing)>) -> Option<LatencyJson> {
    if r.shape != Shape::Unary {
        return None;
    }
    let latency_us = shown.and_then(|(_, t)| t.latency_us());
    let answered = shown.is_some_and(|(_, t)| t.answered.0 != 0);
    let latency_us_unknown = match (latency_us, answered, r.verdict) {
        (Some(_), ..) => None,
        (None, true, _) => Some("the end of the request was not seen"),
        (None, false, Verdict::Unknown) => Some(UNSEEN),
        // It ended without an answer.
        (None, false, _) => return None,
    };
    Some(LatencyJson { latency_us, latency_us_unknown })
}

fn unless(known: bool, why: Option<&Cow<'static, str>>) -> Option<String> {
    why.filter(|_| !known).map(|why| why.to_string())
}

fn party(side: &Side, names: &NameTable) -> PartyJson {
    PartyJson {
        address: side.address.addr,
        port: (side.address.port != 0).then_some(side.address.port),
        entity: side.entity.to_string(),
        workload: NameJson::new(&names.workload(side.entity)),
        process: side.end.as_ref().and_then(|end| end.owner.process.as_deref()).map(ProcessJson::new),
    }
}

fn timing(t: &Timing) -> TimingJson {
    TimingJson { latency_us: t.latency_us(), full_us: t.full_us() }
}
