//! What an agent (or a relay) remembers for its viewers: sealed slices, totals, connections, recent
//! events, names. No I/O; time comes with the data.
//!
//! One thread writes, many readers pull at their own pace: nothing is kept per reader, so a slow
//! one costs nothing here and is told what it missed. Everything is bounded by [`StoreConfig`], and
//! what is given up is counted ([`Dropped`]).

mod connections;
mod edge_table;
mod events;
mod history;
mod names;
#[cfg(test)]
mod tests;
mod totals;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

pub use history::HistoryLimits;

use crate::model::{
    AgentInstance, BootNs, Connection, ConnectionId, Entity, EntityId, Event, EventClass, EventKind, Filter,
    Name, NameUpdate, Request, Slice, Snapshot, Status, UtcOffset,
};
use connections::Connections;
use events::Rings;
use history::History;
use names::Names;
use totals::Totals;

/// Who the store speaks for, and how much it keeps.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// This run.
    pub instance: AgentInstance,
    /// Host name.
    pub node: String,
    /// What is watched, in words.
    pub scope: String,
    /// Closed connections.
    pub closed_history: usize,
    /// Live connections; the table that feeds this one has a lower limit.
    pub live_limit: usize,
    /// Events.
    pub event_history: usize,
    /// Slices.
    pub history: HistoryLimits,
    /// Entities with their names.
    pub entities: usize,
    /// Edges in the totals; those idle longest are folded into one.
    pub edges: usize,
}

impl StoreConfig {
    /// The default sizes.
    pub fn new(instance: AgentInstance, node: impl Into<String>, scope: impl Into<String>) -> Self {
        StoreConfig {
            instance,
            node: node.into(),
            scope: scope.into(),
            closed_history: 32_768,
            live_limit: 131_072,
            event_history: 8192,
            history: HistoryLimits::default(),
            entities: 65_536,
            edges: 16_384,
        }
    }
}

/// Why a stream of slices cannot go on where a viewer stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GapReason {
    /// It watched another run.
    #[error("the agent was restarted")]
    OtherInstance,
    /// Some of the slices are gone.
    #[error("the history no longer reaches back to what was last received")]
    TooOld,
    /// It names a slice that does not exist yet.
    #[error("the last slice that was received is not of this agent")]
    NotYet,
}

/// A slice that does not follow on the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("slice {got} of {agent} was sealed where slice {expected} of {own} comes next")]
pub struct OutOfSequence {
    /// Agent of the slice.
    pub agent: AgentInstance,
    /// Its number.
    pub got: u64,
    /// Agent of the store.
    pub own: AgentInstance,
    /// The number that comes next.
    pub expected: u64,
}

/// What was given up to stay within the limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Closed connections.
    pub closed: u64,
    /// Live connections that found no room.
    pub live: u64,
    /// Entities and their names.
    pub entities: u64,
    /// Edges folded into one in the totals.
    pub edges_folded: u64,
}

/// How far the store is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Last sealed slice.
    pub slice: u64,
    /// Times that events were published.
    pub events: u64,
}

/// Shared by the pipeline, which writes, and the server, which reads. A clone is the same store.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    instance: AgentInstance,
    inner: Mutex<Inner>,
    progress: watch::Sender<Progress>,
}

#[derive(Debug)]
struct Inner {
    node: String,
    scope: String,
    totals: Totals,
    history: History,
    connections: Connections,
    events: Rings,
    names: Names,
    status: Status,
    utc: UtcOffset,
    /// Made when first asked for after a seal: many viewers that come at once share it.
    snapshot: Option<Arc<Snapshot>>,
}

impl Store {
    /// An empty store.
    pub fn new(config: StoreConfig) -> Self {
        let inner = Inner {
            totals: Totals::new(config.instance, config.edges),
            history: History::new(config.history),
            connections: Connections::new(config.live_limit, config.closed_history),
            events: Rings::new(config.event_history),
            names: Names::new(config.entities),
            status: Status { agent: config.instance, node: config.node.clone(), ..Status::default() },
            utc: UtcOffset::default(),
            snapshot: None,
            node: config.node,
            scope: config.scope,
        };
        let (progress, _) = watch::channel(Progress::default());
        Store { shared: Arc::new(Shared { instance: config.instance, inner: Mutex::new(inner), progress }) }
    }

    /// A panic while the lock was held leaves tables that are bounded and usable, at worst with one
    /// update half done: serving them is better than taking every viewer down.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This run.
    pub fn instance(&self) -> AgentInstance {
        self.shared.instance
    }

    /// Takes what happened to connections: events in order, then rows that changed (the events'
    /// connections need not be repeated there), then ids that their connections no longer have.
    pub fn publish(
        &self,
        events: Vec<(BootNs, EventKind, Arc<Connection>)>,
        changed: &[Arc<Connection>],
        removed: &[ConnectionId],
    ) {
        let mut inner = self.lock();
        let now = inner.totals.sequence();
        let Inner { connections, names, events: ring, .. } = &mut *inner;
        let mut put = |c: &Arc<Connection>| {
            connections.put(c);
            names.touch(c.client.entity, now);
            names.touch(c.server.entity, now);
        };
        let happened = !events.is_empty();
        for (at, kind, c) in events {
            put(&c);
            ring.of_mut(kind.class()).push(at, kind, c, None);
        }
        changed.iter().for_each(put);
        for &id in removed {
            connections.remove(id);
        }
        drop(inner);
        if happened {
            self.shared.progress.send_modify(|p| p.events += 1);
        }
    }

    /// Takes requests that were answered or given up, in order, each with its connection; `skipped`
    /// more are not told one by one: viewers learn that they missed them.
    pub fn publish_requests(&self, requests: Vec<(BootNs, Arc<Connection>, Arc<Request>)>, skipped: u64) {
        if requests.is_empty() && skipped == 0 {
            return;
        }
        let mut inner = self.lock();
        let ring = inner.events.of_mut(EventClass::Requests);
        ring.skip(skipped);
        for (at, connection, request) in requests {
            ring.push(at, EventKind::Request, connection, Some(request));
        }
        drop(inner);
        self.shared.progress.send_modify(|p| p.events += 1);
    }

    /// Takes entities and names before the slice that carries them is sealed, so that events can
    /// be named at once.
    pub fn learn(&self, entities: &[Entity], names: &[Name]) {
        let mut inner = self.lock();
        let now = inner.totals.sequence();
        inner.names.learn(entities, names, now);
    }

    /// Takes a sealed slice.
    ///
    /// # Errors
    /// When it is not the one that comes next; it is not taken then.
    pub fn seal(&self, slice: Slice) -> Result<(), OutOfSequence> {
        let mut inner = self.lock();
        let expected = inner.totals.sequence() + 1;
        let (agent, own) = (slice.agent, self.shared.instance);
        if agent != own || slice.sequence != expected {
            return Err(OutOfSequence { agent, got: slice.sequence, own, expected });
        }
        inner.snapshot = None;
        inner.utc = slice.utc;
        inner.totals.merge(&slice);
        inner.names.learn(&slice.entities, &slice.names, slice.sequence);
        for e in &slice.edges {
            inner.names.touch(e.key.client, slice.sequence);
            inner.names.touch(e.key.server, slice.sequence);
        }
        inner.history.push(Arc::new(slice));
        drop(inner);
        self.shared.progress.send_modify(|p| p.slice = expected);
        Ok(())
    }

    /// Takes the agent's newest state.
    pub fn set_status(&self, status: Status) {
        let mut inner = self.lock();
        inner.utc = status.utc;
        inner.status = status;
    }

    /// The newest state, with the store's own count of evictions.
    pub fn status(&self) -> Status {
        let inner = self.lock();
        let mut status = inner.status.clone();
        status.connections.evicted = inner.connections.evicted;
        status
    }

    /// What was given up.
    pub fn dropped(&self) -> Dropped {
        let inner = self.lock();
        Dropped {
            closed: inner.connections.evicted,
            live: inner.connections.refused,
            entities: inner.names.dropped,
            edges_folded: inner.totals.folded(),
        }
    }

    /// Everything a new viewer needs.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        let mut inner = self.lock();
        if let Some(made) = &inner.snapshot {
            return made.clone();
        }
        let (entities, names) = inner.names.all();
        let made = Arc::new(Snapshot {
            node: inner.node.clone(),
            scope: inner.scope.clone(),
            totals: inner.totals.to_slice(entities, names),
            history: inner.history.all(),
        });
        inner.snapshot = Some(made.clone());
        made
    }

    /// Up to `max` slices after one that a viewer has.
    ///
    /// # Errors
    /// Why it has to begin anew.
    pub fn slices_after(
        &self,
        instance: AgentInstance,
        sequence: u64,
        max: usize,
    ) -> Result<Vec<Arc<Slice>>, GapReason> {
        if instance != self.shared.instance {
            return Err(GapReason::OtherInstance);
        }
        let inner = self.lock();
        let last = inner.totals.sequence();
        if sequence >= last {
            return if sequence == last { Ok(Vec::new()) } else { Err(GapReason::NotYet) };
        }
        inner.history.after(sequence, max).ok_or(GapReason::TooOld)
    }

    /// Up to `max` events after a sequence number, and how many before them are gone.
    pub fn events_after(&self, class: EventClass, sequence: u64, max: usize) -> (Vec<Event>, u64) {
        self.lock().events.of(class).after(sequence, max)
    }

    /// After which event to begin in order to read the newest `max` kept ones that match, and the
    /// last event's number.
    pub fn newest_events(&self, class: EventClass, max: usize, filter: &Filter) -> (u64, u64) {
        let inner = self.lock();
        let ring = inner.events.of(class);
        (ring.before_newest(max, filter), ring.last())
    }

    /// Connections that match, newest change last; with `limit` only the newest. `all`: closed ones
    /// too, as far as they are kept.
    pub fn connections(&self, all: bool, filter: &Filter, limit: Option<usize>) -> Vec<Arc<Connection>> {
        let mut found = self.lock().connections.matching(all, filter);
        found.sort_unstable_by_key(|c| (c.changed, c.id));
        if let Some(limit) = limit {
            found.drain(..found.len().saturating_sub(limit));
        }
        found
    }

    /// What is new about the names of entities since a reader last asked; `known` is the reader's
    /// memory of what it was given.
    pub fn names(
        &self,
        ids: impl Iterator<Item = EntityId>,
        known: &mut HashMap<EntityId, u64>,
    ) -> NameUpdate {
        let inner = self.lock();
        let mut out = NameUpdate { utc: inner.utc, ..NameUpdate::default() };
        inner.names.news(ids, known, &mut out);
        out
    }

    /// Tells when there is more to read.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.shared.progress.subscribe()
    }
}
