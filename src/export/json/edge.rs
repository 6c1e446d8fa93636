//! An edge between two workloads as JSON.

use std::net::IpAddr;

use serde::Serialize;

use super::counters::CountersJson;
use super::{NameJson, WindowJson};
use crate::export::{Window, time};
use crate::model::{EdgeKey, EntityId, UtcOffset};
use crate::world::{EdgeRow, Workload};

/// An edge: top-level counters are those of the end named in `view`.
#[derive(Debug, Serialize)]
pub struct EdgeJson {
    client: EdgeSideJson,
    server: EdgeSideJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_address: Option<IpAddr>,
    server_port: u16,
    transport: &'static str,
    role_known: bool,
    view: &'static str,
    #[serde(flatten)]
    window: WindowJson,
    #[serde(flatten)]
    shown: CountersJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_client: Option<CountersJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_server: Option<CountersJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_success: Option<String>,
}

#[derive(Debug, Serialize)]
struct EdgeSideJson {
    workload: NameJson,
    entities: Vec<String>,
}

/// An edge over `window`, with times by `utc`.
pub fn edge(row: &EdgeRow, window: Window, utc: UtcOffset) -> EdgeJson {
    let (view, shown) = row.shown();
    let at = |time: Option<_>| time.and_then(|at| time::rfc3339(utc, at));
    EdgeJson {
        client: side(&row.client, row, |k| k.client),
        server: side(&row.server, row, |k| k.server),
        // The unspecified address stands for many folded ones.
        server_address: row.addr.filter(|addr| !addr.is_unspecified()),
        server_port: row.id.port,
        transport: row.id.transport.as_str(),
        role_known: row.id.role_known,
        view: view.as_str(),
        window: WindowJson::new(window, utc),
        shown: CountersJson::new(shown),
        by_client: row.by_client.as_ref().map(CountersJson::new),
        by_server: row.by_server.as_ref().map(CountersJson::new),
        failing_since: at(row.failing_since),
        last_success: at(row.last_success),
    }
}

fn side(workload: &Workload, row: &EdgeRow, entity: impl Fn(&EdgeKey) -> EntityId) -> EdgeSideJson {
    let mut entities: Vec<EntityId> = row.keys.iter().map(entity).collect();
    entities.sort_unstable();
    entities.dedup();
    EdgeSideJson {
        workload: NameJson::new(workload),
        entities: entities.iter().map(EntityId::to_string).collect(),
    }
}
