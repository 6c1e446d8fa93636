//! The newest events, with their sequence numbers.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::{BootNs, Connection, Event, EventClass, EventKind, Filter, Request};

/// The two classes apart, so that requests cannot push openings and closings out.
#[derive(Debug)]
pub(super) struct Rings([Events; 2]);

impl Rings {
    pub(super) fn new(limit: usize) -> Self {
        Rings([Events::new(limit), Events::new(limit)])
    }

    pub(super) fn of(&self, class: EventClass) -> &Events {
        &self.0[class as usize]
    }

    pub(super) fn of_mut(&mut self, class: EventClass) -> &mut Events {
        &mut self.0[class as usize]
    }
}

#[derive(Debug)]
pub(super) struct Events {
    ring: VecDeque<Event>,
    limit: usize,
    /// Sequence number of the newest.
    last: u64,
}

impl Events {
    pub(super) fn new(limit: usize) -> Self {
        Events { ring: VecDeque::new(), limit, last: 0 }
    }

    pub(super) fn push(
        &mut self,
        at: BootNs,
        kind: EventKind,
        connection: Arc<Connection>,
        request: Option<Arc<Request>>,
    ) {
        self.last += 1;
        self.ring.push_back(Event { sequence: self.last, at, kind, connection, request });
        while self.ring.len() > self.limit {
            self.ring.pop_front();
        }
    }

    /// Numbers so many events that are not kept.
    pub(super) fn skip(&mut self, events: u64) {
        self.last += events;
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Up to `max` events after a sequence number, and how many before them are gone.
    pub(super) fn after(&self, sequence: u64, max: usize) -> (Vec<Event>, u64) {
        let first = self.ring.partition_point(|e| e.sequence <= sequence);
        let next = self.ring.get(first).map_or(self.last + 1, |e| e.sequence);
        let missed = next.saturating_sub(sequence.saturating_add(1));
        // Up to where numbers were skipped.
        let run = self.ring.iter().skip(first).zip(next..).take_while(|(e, n)| e.sequence == *n);
        (run.take(max).map(|(e, _)| e.clone()).collect(), missed)
    }

    /// The number just before the newest `max` kept events that match.
    pub(super) fn before_newest(&self, max: usize, filter: &Filter) -> u64 {
        let newest = self.ring.iter().rev().filter(|e| filter.matches_event(e)).take(max);
        newest.last().map_or(self.last, |e| e.sequence - 1)
    }
}
