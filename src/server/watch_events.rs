//! `WatchEvents`: kept events, then new ones, filtered here.

use std::collections::{HashMap, VecDeque};

use tokio::sync::watch;
use tonic::Status;

use super::service::Shared;
use crate::api::pb::{self, watch_events_response::Message};
use crate::api::{event_to_pb, name_update_to_pb};
use crate::model::{EntityId, Event, Filter};
use crate::store::Progress;

/// Events read from the store at once: all that is buffered for a viewer.
const BATCH: usize = 64;
/// Entities of which it is remembered that the viewer has their names.
pub(super) const KNOWN: usize = 8192;

pub(super) struct EventStream {
    shared: Shared,
    progress: watch::Receiver<Progress>,
    filter: Filter,
    /// Everything up to this event was looked at or given up.
    after: u64,
    /// Without `follow`: the last event to look at.
    until: Option<u64>,
    batch: VecDeque<Event>,
    named: bool,
    known: HashMap<EntityId, u64>,
}

impl EventStream {
    pub(super) fn new(shared: Shared, filter: Filter, last: u64, follow: bool) -> Self {
        let max = usize::try_from(last).unwrap_or(usize::MAX);
        let (after, newest) = shared.store.newest_events(max, &filter);
        EventStream {
            progress: shared.store.progress(),
            shared,
            filter,
            after,
            until: (!follow).then_some(newest),
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
            let left = self.until.map_or(u64::MAX, |until| until.saturating_sub(self.after));
            if left == 0 {
                return Ok(None);
            }
            let (events, missed) = self.shared.store.events_after(self.after, BATCH);
            if missed > 0 {
                let missed = missed.min(left);
                self.after += missed;
                break Message::Missed(missed);
            }
            match events.last() {
                Some(last) => {
                    self.after = last.sequence;
                    let until = self.until.unwrap_or(u64::MAX);
                    let wanted = |e: &Event| e.sequence <= until && self.filter.matches_event(e);
                    self.batch.extend(events.into_iter().filter(wanted));
                }
                None => {
                    let progress = &mut self.progress;
                    // The store, which holds the sender, is held by this stream.
                    let _ = self.shared.wait(progress.changed()).await?;
                }
            }
        };
        Ok(Some(pb::WatchEventsResponse { message: Some(message) }))
    }
}
