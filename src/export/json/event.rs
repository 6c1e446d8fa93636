//! Events as JSON.

use serde::Serialize;

use super::connection::{ConnectionJson, connection};
use crate::export::time;
use crate::model::{Event, UtcOffset};
use crate::world::NameTable;

/// What happened, and the connection just after it.
#[derive(Debug, Serialize)]
pub struct EventJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    sequence: u64,
    event: &'static str,
    connection: ConnectionJson,
}

/// So many events were not delivered at this point of the stream.
#[derive(Debug, Serialize)]
pub struct MissedJson {
    missed: u64,
}

/// An event, with names from `names` and times by `utc`.
pub fn event(e: &Event, names: &NameTable, utc: UtcOffset) -> EventJson {
    EventJson {
        time: time::rfc3339(utc, e.at),
        sequence: e.sequence,
        event: e.kind.as_str(),
        connection: connection(&e.connection, names, utc),
    }
}

/// The line that stands where events are missing.
pub fn missed(n: u64) -> MissedJson {
    MissedJson { missed: n }
}
