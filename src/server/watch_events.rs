//! `WatchEvents`: kept events, then new ones, filtered here.

use std::collections::{HashMap, VecDeque};

use tokio::sync::watch;
use tonic::Status;

use super::service::Shared;
use crate::api::pb::{self, watch_events_response::Message};
use crate::api::{event_to_pb, name_update_to_pb};
use crate::model::{EntityId, Event, EventClass, Filter};
use crate::store::Progress;

/// Events read from the store at once: all that is buffered for a viewer.
const BATCH: usize = 64;
/// Entities of which it is remembered that the viewer has their names.
pub(super) const KNOWN: usize = 8192;

/// How far a viewer has come in one class of events.
struct Place {
    class: EventClass,
    /// Everything up to this event was looked at or given up.
    after: u64,
    /// Without `follow`: the last event to look at.
    until: Option<u64>,
    /// What was read and not sent yet.
    batch: VecDeque<Event>,
}

impl Place {
    fn left(&self) -> u64 {
        self.until.map_or(u64::MAX, |until| until.saturating_sub(self.after))
    }
}

pub(super) struct EventStream {
    shared: Shared,
    progress: watch::Receiver<Progress>,
    filter: Filter,
    places: Vec<Place>,
    /// The next one to be sent, when its names are.
    next: Option<Event>,
    known: HashMap<EntityId, u64>,
}

impl EventStream {
    pub(super) fn new(shared: Shared, filter: Filter, last: u64, follow: bool) -> Self {
        let max = usize::try_from(last).unwrap_or(usize::MAX);
        let classes = [EventClass::Connections, EventClass::Requests];
        let place = |class| {
            let (after, newest) = shared.store.newest_events(class, max, &filter);
            Place { class, after, until: (!follow).then_some(newest), batch: VecDeque::new() }
        };
        let places = classes.into_iter().filter(|class| filter.wants(*class)).map(place).collect();
        EventStream {
            progress: shared.store.progress(),
            shared,
            filter,
            places,
            next: None,
            known: HashMap::new(),
        }
    }

    /// The next message, or the end when it does not follow.
    pub(super) async fn next(&mut self) -> Result<Option<pb::WatchEventsResponse>, Status> {
        let message = loop {
            if let Some(event) = self.next.take() {
                break Message::Event(event_to_pb(&event));
            }
            self.progress.borrow_and_update();
            if let Some(n) = self.refill() {
                break Message::Missed(n);
            }
            let Some(event) = self.earliest() else {
                if self.places.iter().all(|p| p.left() == 0) {
                    return Ok(None);
                }
                // The store, which holds the sender, is held by this stream.
                let _ = self.shared.wait(self.progress.changed()).await?;
                continue;
            };
            // Names before their event, one event's at a time: a message of bounded size.
            let c = &event.connection;
            if self.known.len() > KNOWN {
                self.known.clear();
            }
            let ids = [c.client.entity, c.server.entity].into_iter();
            let names = self.shared.store.names(ids, &mut self.known);
            self.next = Some(event);
            if !names.entities.is_empty() || !names.names.is_empty() {
                break Message::Names(name_update_to_pb(&names));
            }
        };
        Ok(Some(pb::WatchEventsResponse { message: Some(message) }))
    }

    /// Reads on in each class of which nothing waits; how many events are gone, where some are.
    fn refill(&mut self) -> Option<u64> {
        for place in &mut self.places {
            while place.batch.is_empty() && place.left() > 0 {
                let (events, missed) = self.shared.store.events_after(place.class, place.after, BATCH);
                if missed > 0 {
                    let missed = missed.min(place.left());
                    place.after += missed;
                    return Some(missed);
                }
                let Some(last) = events.last() else { break };
                place.after = last.sequence;
                let until = place.until.unwrap_or(u64::MAX);
                let wanted = |e: &Event| e.sequence <= until && self.filter.matches_event(e);
                place.batch.extend(events.into_iter().filter(wanted));
            }
        }
        None
    }

    /// Each class in its own order, the classes in that of time.
    fn earliest(&mut self) -> Option<Event> {
        let waiting = self.places.iter_mut().filter(|p| !p.batch.is_empty());
        waiting.min_by_key(|p| p.batch.front().map(|e| e.at))?.batch.pop_front()
    }
}
