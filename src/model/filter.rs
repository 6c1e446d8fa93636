//! Which connections and events somebody wants to see.

use std::net::IpAddr;

use super::{
    Connection, ConnectionState, EntityId, Event, EventClass, EventKind, Outcome, Protocol, Verdict,
};

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
    /// Only those that never were established, or that ended in a failure; of requests, those with
    /// an error.
    pub failures_only: bool,
    /// Only requests in one of these protocols; says nothing of connections.
    pub protocols: Vec<Protocol>,
}

impl Filter {
    /// Whether a connection matches; [`Filter::event_kinds`] is not looked at.
    pub fn matches(&self, c: &Connection) -> bool {
        self.matches_place(c)
            && (!self.failures_only
                || c.state == ConnectionState::Failed
                || c.outcome.is_some_and(Outcome::is_failure))
    }

    fn matches_place(&self, c: &Connection) -> bool {
        let sides = [&c.client, &c.server];
        self.server_port.is_none_or(|port| c.server.address.port == port)
            && self.address.is_none_or(|addr| sides.iter().any(|s| s.address.addr == addr))
            && (self.entities.is_empty() || sides.iter().any(|s| self.entities.contains(&s.entity)))
    }

    /// Whether events of a class can match.
    pub fn wants(&self, class: EventClass) -> bool {
        let kinds = self.event_kinds.is_empty() || self.event_kinds.iter().any(|k| k.class() == class);
        kinds && (class == EventClass::Requests || self.protocols.is_empty())
    }

    /// Whether an event matches.
    pub fn matches_event(&self, e: &Event) -> bool {
        if !self.event_kinds.is_empty() && !self.event_kinds.contains(&e.kind) {
            return false;
        }
        match &e.request {
            None => self.protocols.is_empty() && self.matches(&e.connection),
            Some(r) => {
                (self.protocols.is_empty() || self.protocols.contains(&r.protocol))
                    && (!self.failures_only || r.verdict == Verdict::Error)
                    && self.matches_place(&e.connection)
            }
        }
    }
}
