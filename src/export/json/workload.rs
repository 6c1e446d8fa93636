//! A workload as JSON.

use serde::Serialize;

use super::{NameJson, WindowJson};
use crate::export::Window;
use crate::model::{EntityId, UtcOffset};
use crate::world::WorkloadRow;

/// A workload and what it did over the window.
#[derive(Debug, Serialize)]
pub struct WorkloadJson {
    #[serde(flatten)]
    name: NameJson,
    entities: Vec<String>,
    ports: Vec<u16>,
    #[serde(flatten)]
    window: WindowJson,
    opened: u64,
    served: u64,
    failures: u64,
    bytes_sent: u64,
    bytes_received: u64,
}

/// A workload over `window`, with times by `utc`.
pub fn workload(row: &WorkloadRow, window: Window, utc: UtcOffset) -> WorkloadJson {
    let mut ports = row.ports.clone();
    ports.sort_unstable();
    WorkloadJson {
        name: NameJson::new(&row.workload),
        entities: row.entities.iter().map(EntityId::to_string).collect(),
        ports,
        window: WindowJson::new(window, utc),
        opened: row.opened,
        served: row.served,
        failures: row.failures,
        bytes_sent: row.bytes.0,
        bytes_received: row.bytes.1,
    }
}
