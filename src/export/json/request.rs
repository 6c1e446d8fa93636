//! A request as JSON.

use std::net::IpAddr;

use serde::Serialize;

use super::NameJson;
use crate::export::time;
use crate::model::{Event, Request, Shape, Timing, UtcOffset, Verdict};
use crate::world::NameTable;

/// One exchange: top-level figures are those of the end named in `view`.
#[derive(Debug, Serialize)]
pub struct RequestJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    sequence: u64,
    protocol: &'static str,
    kind: &'static str,
    client: PartyJson,
    server: PartyJson,
    connection: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    view: Option<&'static str>,
    #[serde(flatten)]
    said: SaidJson,
    ok: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ok_unknown: Option<String>,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_us: Option<u64>,
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

/// What is absent there is absent here; what is not known is `null`, beside the reason.
#[derive(Debug, Serialize)]
struct SaidJson {
    #[serde(skip_serializing_if = "String::is_empty")]
    method: String,
    #[serde(flatten)]
    target: Option<TargetJson>,
    #[serde(flatten)]
    status: Option<StatusJson>,
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
struct PartyJson {
    workload: NameJson,
    address: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

#[derive(Debug, Serialize)]
struct TimingJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_us: Option<u64>,
}

/// The request of an event, with names from `names` and times by `utc`; `None` for other events.
pub fn request(e: &Event, names: &NameTable, utc: UtcOffset) -> Option<RequestJson> {
    let r: &Request = e.request.as_deref()?;
    let c = &*e.connection;
    let party = |side: &crate::model::Side| PartyJson {
        workload: NameJson::new(&names.workload(side.entity)),
        address: side.address.addr,
        port: (side.address.port != 0).then_some(side.address.port),
    };
    let text = |s: &Option<std::borrow::Cow<'static, str>>| s.as_deref().map(str::to_owned);
    let shown = r.shown();
    let (latency_us, answer_us) = match (shown, r.shape) {
        (Some((_, t)), Shape::Unary) => (t.latency_us(), t.full_us()),
        _ => (None, None),
    };
    Some(RequestJson {
        time: time::rfc3339(utc, shown.map(|(_, t)| t.asked).filter(|at| at.0 != 0).unwrap_or(e.at)),
        sequence: e.sequence,
        protocol: r.protocol.as_str(),
        kind: r.shape.as_str(),
        client: party(&c.client),
        server: party(&c.server),
        connection: c.id.to_string(),
        view: shown.map(|(view, _)| view.as_str()),
        said: SaidJson {
            method: r.method.to_string(),
            target: (r.target.is_some() || r.target_unknown.is_some()).then(|| TargetJson {
                target: r.target.as_deref().map(str::to_owned),
                target_unknown: text(&r.target_unknown),
            }),
            status: (r.status.is_some() || r.status_unknown.is_some())
                .then(|| StatusJson { status: text(&r.status), status_unknown: text(&r.status_unknown) }),
        },
        ok: match r.verdict {
            Verdict::Ok => Some(true),
            Verdict::ClientError | Verdict::Error => Some(false),
            Verdict::Unknown => None,
        },
        ok_unknown: (r.verdict == Verdict::Unknown)
            .then(|| text(&r.status_unknown).unwrap_or_else(|| "the answer was not seen".to_owned())),
        verdict: r.verdict.as_str(),
        latency_us,
        answer_us,
        request_bytes: r.request_bytes,
        response_bytes: r.response_bytes,
        by_client: r.by_client.as_ref().map(timing),
        by_server: r.by_server.as_ref().map(timing),
        note: r.note.to_string(),
        evidence: r.evidence.to_string(),
    })
}

fn timing(t: &Timing) -> TimingJson {
    TimingJson { latency_us: t.latency_us(), answer_us: t.full_us() }
}
