//! Which connections and events somebody wants to see.

use std::net::IpAddr;

use super::{Connection, ConnectionState, EntityId, Event, EventKind, Outcome};

/// A filter: every set field must match, an unset (or empty) one matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Kinds of events; says nothing of connections.
    pub event_kinds: Vec<EventKind>,
    /// Port of the server side.
    pub server_port: Option<u16>,
    /// Either side's address, in normal form.
    pub address: Option<IpAddr>,
    /// Either side's entity is one of these.
    pub entities: Vec<EntityId>,
    /// Only those that never were established, or that ended in a failure.
    pub failures_only: bool,
}

impl Filter {
    /// Whether a connection matches; [`Filter::event_kinds`] is not looked at.
    pub fn matches(&self, c: &Connection) -> bool {
        let sides = [&c.client, &c.server];
        self.server_port.is_none_or(|port| c.server.address.port == port)
            && self.address.is_none_or(|addr| sides.iter().any(|s| s.address.addr == addr))
            && (self.entities.is_empty() || sides.iter().any(|s| self.entities.contains(&s.entity)))
            && (!self.failures_only
                || c.state == ConnectionState::Failed
                || c.outcome.is_some_and(Outcome::is_failure))
    }

    /// Whether an event matches.
    pub fn matches_event(&self, e: &Event) -> bool {
        (self.event_kinds.is_empty() || self.event_kinds.contains(&e.kind)) && self.matches(&e.connection)
    }
}
