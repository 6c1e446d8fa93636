//! What the streams of the API carry, as plain types.

use std::sync::Arc;

use super::{Connection, Entity, Event, Name, Slice, UtcOffset};

/// Everything a new viewer needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Host name.
    pub node: String,
    /// What is watched, in words.
    pub scope: String,
    /// Everything since the agent started, as one slice whose sequence number is the last one
    /// merged (0 = none yet), with all entities and their newest names.
    pub totals: Slice,
    /// 10 s slices, then 1 s slices, oldest first; all are part of `totals`.
    pub history: Vec<Arc<Slice>>,
}

/// One message of the stream of slices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SliceMessage {
    /// Replaces everything that was received before.
    Snapshot(Box<Snapshot>),
    /// Follows on what was received before.
    Slice(Box<Slice>),
    /// The stream could not be kept whole, and why, in words (not escaped); a snapshot follows.
    Gap(String),
}

/// Entities and names that the connections and events after it use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameUpdate {
    /// Entities.
    pub entities: Vec<Entity>,
    /// Their newest names.
    pub names: Vec<Name>,
    /// Wall time's offset.
    pub utc: UtcOffset,
}

/// One message of the stream of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventMessage {
    /// An event.
    Event(Event),
    /// So many events were given up before they could be looked at for this viewer.
    Missed(u64),
    /// Names for the events that follow.
    Names(NameUpdate),
}

/// Some of the connections that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionPage {
    /// Entities and names that this page uses and earlier pages did not carry.
    pub names: NameUpdate,
    /// Connections, newest change last.
    pub connections: Vec<Arc<Connection>>,
}
