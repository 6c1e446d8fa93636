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
    batch: VecDeque<Event>,
    named: bool,
    known: HashMap<EntityId, u64>,
}

impl EventStream {
    pub(super) fn new(shared: Shared, filter: Filter, last: u64, follow: bool) -> Self {
        let max = usize::try_from(last).unwrap_or(usize::MAX);
        let classes = [EventClass::Connections, EventClass::Requests];
        let place = |class| {
            let (after, newest) = shared.store.newest_events(class, max, &filter);
            Place { class, after, until: (!follow).then_some(newest) }
        };
        let places = classes.into_iter().filter(|class| filter.wants(*class)).map(place).collect();
        EventStream {
            progress: shared.store.progress(),
            shared,
            filter,
            places,
            batch: VecDeque::new(),
            named: false,
            known: HashMap::new(),
        }
    }

    /// The next message, or the end when it does not follow.
    pub(super) async fn next(&mut self) -> Result<Option<pb::WatchEventsResponse>, Status> {
        let message = loop {
            if let Some(event) = self.batch.front() {
                // Names before their event, one event's at a time: a message of bounded size.
                if !std::mem::replace(&mut self.named, true) {
                    let c = &event.connection;
                    if self.known.len() > KNOWN {
                        self.known.clear();
                    }
                    let ids = [c.client.entity, c.server.entity].into_iter();
                    let names = self.shared.store.names(ids, &mut self.known);
                    if !names.entities.is_empty() || !names.names.is_empty() {
                        break Message::Names(name_update_to_pb(&names));
                    }
                }
                let message = Message::Event(event_to_pb(event));
                self.batch.pop_front();
                self.named = false;
                break message;
            }
            self.progress.borrow_and_update();
            if self.places.iter().all(|p| p.left() == 0) {
                return Ok(None);
            }
            match self.refill() {
                Refill::Missed(n) => break Message::Missed(n),
                Refill::Read => {}
                Refill::Nothing => {
                    let progress = &mut self.progress;
                    // The store, which holds the sender, is held by this stream.
                    let _ = self.shared.wait(progress.changed()).await?;
                }
            }
        };
        Ok(Some(pb::WatchEventsResponse { message: Some(message) }))
    }

    /// Reads on in each class; what both have is sent in the order of time.
    fn refill(&mut self) -> Refill {
        let mut refill = Refill::Nothing;
        for place in &mut self.places {
            let left = place.left();
            if left == 0 {
                continue;
            }
            let (events, missed) = self.shared.store.events_after(place.class, place.after, BATCH);
            if missed > 0 {
                let missed = missed.min(left);
                place.after += missed;
                return Refill::Missed(missed);
            }
            let Some(last) = events.last() else { continue };
            place.after = last.sequence;
            let until = place.until.unwrap_or(u64::MAX);
            let wanted = |e: &Event| e.sequence <= until && self.filter.matches_event(e);
            self.batch.extend(events.into_iter().filter(wanted));
            refill = Refill::Read;
        }
        self.batch.make_contiguous().sort_by_key(|e| e.at);
        refill
    }
}

/// What reading on gave.
enum Refill {
    Missed(u64),
    Read,
    Nothing,
}
