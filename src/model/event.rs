//! What happened to one connection, for those who look at single ones.

use std::sync::Arc;

use super::{BootNs, Connection, Request};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EventKind {
    /// Found open when webb began to watch.
    Adopted = 1,
    /// Still connecting when it was first sampled.
    Opened = 2,
    /// Established.
    Established = 3,
    /// Never established.
    Failed = 4,
    /// Closed.
    Closed = 5,
    /// A request was answered, or given up.
    Request = 6,
}

/// All kinds, in the order of their numbers.
pub const EVENT_KINDS: [EventKind; 6] = [
    EventKind::Adopted,
    EventKind::Opened,
    EventKind::Established,
    EventKind::Failed,
    EventKind::Closed,
    EventKind::Request,
];

impl EventKind {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::Adopted => "adopted",
            EventKind::Opened => "opened",
            EventKind::Established => "established",
            EventKind::Failed => "failed",
            EventKind::Closed => "closed",
            EventKind::Request => "request",
        }
    }

    /// The class of events that it belongs to.
    pub fn class(self) -> EventClass {
        if self == EventKind::Request { EventClass::Requests } else { EventClass::Connections }
    }

    /// The kind of a wire number.
    pub fn from_number(n: u8) -> Option<Self> {
        EVENT_KINDS.into_iter().find(|k| *k as u8 == n)
    }

    /// The kind of a documented name.
    pub fn from_name(name: &str) -> Option<Self> {
        EVENT_KINDS.into_iter().find(|k| k.as_str() == name)
    }
}

/// Events are numbered and kept by class, so that many requests push out no openings and closings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventClass {
    /// What happened to connections.
    Connections = 0,
    /// Requests.
    Requests = 1,
}

/// One event; `connection` is its state when the event was published, up to 50 ms later: of a short
/// connection the first event may already tell its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Counts events of one class and agent instance from 1; a jump is a miss.
    pub sequence: u64,
    /// When it happened (not when it was read).
    pub at: BootNs,
    /// What happened.
    pub kind: EventKind,
    /// To which connection.
    pub connection: Arc<Connection>,
    /// Which request, if that is what happened.
    pub request: Option<Arc<Request>>,
}
