//! `WatchSlices`: a snapshot (or a resume), then slices as they are sealed.

use std::sync::Arc;

use tokio::sync::watch;
use tonic::Status;

use super::held::Held;
use super::service::Shared;
use crate::api::Pieces;
use crate::api::pb::{self, watch_slices_response::Message};
use crate::model::{AgentInstance, Slice, Snapshot};
use crate::store::{GapReason, Progress};

pub(super) struct SliceStream {
    shared: Shared,
    progress: watch::Receiver<Progress>,
    phase: Phase,
}

enum Phase {
    /// The viewer has this already.
    Resume(AgentInstance, u64),
    /// A snapshot is due.
    Begin,
    /// Part 0 is the totals, part n the nth slice of the history.
    Sending { snapshot: Held<Snapshot>, part: usize, pieces: Pieces },
    /// Everything up to this slice was sent.
    Live(u64),
    /// A slice is being sent.
    Slice(Arc<Slice>, Pieces),
}

impl SliceStream {
    pub(super) fn new(shared: Shared, request: &pb::WatchSlicesRequest) -> Self {
        let phase = match request.after_sequence {
            0 => Phase::Begin,
            after => Phase::Resume(AgentInstance(request.instance), after),
        };
        SliceStream { progress: shared.store.progress(), shared, phase }
    }

    /// The next message. The stream never ends by itself.
    pub(super) async fn next(&mut self) -> Result<Option<pb::WatchSlicesResponse>, Status> {
        loop {
            if let Some(message) = self.step().await? {
                return Ok(Some(pb::WatchSlicesResponse { message: Some(message) }));
            }
        }
    }

    /// One step; not each yields a message.
    async fn step(&mut self) -> Result<Option<Message>, Status> {
        match &mut self.phase {
            Phase::Resume(instance, after) => match self.shared.store.slices_after(*instance, *after, 1) {
                Ok(_) => {
                    self.phase = Phase::Live(*after);
                    Ok(None)
                }
                Err(reason) => Ok(Some(self.gap(reason))),
            },
            Phase::Begin => {
                let permit = self.shared.hold()?;
                let snapshot = self.shared.store.snapshot();
                let head = pb::Snapshot {
                    instance: snapshot.totals.agent.0,
                    node: snapshot.node.clone(),
                    scope: snapshot.scope.clone(),
                };
                let snapshot = Held::new(snapshot, permit, self.shared.limits.held_for);
                self.phase = Phase::Sending { snapshot, part: 0, pieces: Pieces::new(true) };
                Ok(Some(Message::Snapshot(head)))
            }
            Phase::Sending { snapshot, part, pieces } => {
                let Some(s) = snapshot.get() else {
                    let took = self.shared.limits.held_for.as_secs();
                    return Err(Status::deadline_exceeded(format!(
                        "the viewer did not take a snapshot within {took} s"
                    )));
                };
                let slice =
                    part.checked_sub(1).map_or(Some(&s.totals), |i| s.history.get(i).map(Arc::as_ref));
                let Some(slice) = slice else {
                    self.phase = Phase::Live(s.totals.sequence);
                    return Ok(Some(Message::SnapshotEnd(pb::SnapshotEnd {})));
                };
                let Some(piece) = pieces.next_of(slice) else {
                    *part += 1;
                    *pieces = Pieces::new(false);
                    return Ok(None);
                };
                Ok(Some(if *part == 0 { Message::Totals(piece) } else { Message::History(piece) }))
            }
            Phase::Live(last) => {
                let last = *last;
                // Noted before reading, so that what comes between is not slept over.
                self.progress.borrow_and_update();
                match self.shared.store.slices_after(self.shared.store.instance(), last, 1) {
                    Err(reason) => Ok(Some(self.gap(reason))),
                    Ok(slices) => {
                        match slices.into_iter().next() {
                            Some(slice) => self.phase = Phase::Slice(slice, Pieces::new(true)),
                            None => {
                                let progress = &mut self.progress;
                                // The store, which holds the sender, is held by this stream.
                                let _ = self.shared.wait(progress.changed()).await?;
                            }
                        }
                        Ok(None)
                    }
                }
            }
            Phase::Slice(slice, pieces) => match pieces.next_of(slice) {
                Some(piece) => Ok(Some(Message::Slice(piece))),
                None => {
                    self.phase = Phase::Live(slice.sequence);
                    Ok(None)
                }
            },
        }
    }

    fn gap(&mut self, reason: GapReason) -> Message {
        self.phase = Phase::Begin;
        Message::Gap(pb::Gap { reason: reason.to_string() })
    }
}
