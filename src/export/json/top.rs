//! Rows of `webb top` as JSON.

use serde::Serialize;

use super::asked::TallyJson;
use super::counters::{HistJson, hist};
use super::{NameJson, WindowJson};
use crate::export::Window;
use crate::export::top::TopRow;
use crate::model::{Protocol, UtcOffset};

/// An edge or a path, at its place in the order that was asked for.
#[derive(Debug, Serialize)]
pub struct TopJson {
    rank: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<NameJson>,
    server: NameJson,
    server_port: u16,
    transport: &'static str,
    role_known: bool,
    view: &'static str,
    #[serde(flatten)]
    window: WindowJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    #[serde(flatten)]
    path: Option<PathJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_s: Option<f64>,
    #[serde(flatten)]
    tally: Option<TallyJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn_us: Option<HistJson>,
    #[serde(flatten)]
    connections: Option<ConnectionsJson>,
}

#[derive(Debug, Serialize)]
struct PathJson {
    #[serde(skip_serializing_if = "String::is_empty")]
    method: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    target: String,
    rest: bool,
}

#[derive(Debug, Serialize)]
struct ConnectionsJson {
    opened: u64,
    open: u64,
    failures: u64,
    bytes_to_server: u64,
    bytes_to_client: u64,
}

/// The row at a place, counted from 1, over `window`, with times by `utc`.
pub fn top(rank: usize, row: &TopRow, window: Window, utc: UtcOffset) -> TopJson {
    let tally = row.asked.tally.as_ref();
    let turns = row.counters.as_ref().and_then(|c| c.asked.as_deref());
    TopJson {
        rank: rank as u64,
        client: row.client.as_ref().map(NameJson::new),
        server: NameJson::new(&row.server),
        server_port: row.port,
        transport: row.transport.as_str(),
        role_known: row.role_known,
        view: row.view.as_str(),
        window: WindowJson::new(window, utc),
        protocol: row.asked.protocol.map(|(p, _): (Protocol, usize)| p.as_str()),
        path: row.path.as_ref().map(|p| PathJson {
            method: p.method.to_string(),
            target: p.target.to_string(),
            rest: p.rest,
        }),
        requests_per_s: tally.map(|t| (window.per_second(t.requests) * 100.0).round() / 100.0),
        tally: tally.map(TallyJson::new),
        incomplete: row.counters.is_some().then_some(row.asked.incomplete),
        turn_us: turns.and_then(|a| hist(&a.turns.first_us)),
        connections: row.counters.as_ref().map(|c| ConnectionsJson {
            opened: c.opened,
            open: c.open,
            failures: c.failures(),
            bytes_to_server: c.bytes_to_server,
            bytes_to_client: c.bytes_to_client,
        }),
    }
}
