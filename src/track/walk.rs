//! The walk as reconciler: what a complete walk does not meet is gone, what it meets unknown is new.
//!
//! The walk's records and those of opening and closing come through different rings. A walk begins
//! only after everything before it was read, so an end that closed while it ran may still be "met"
//! afterwards by a record that is older than its closing: those ends are remembered until the walk
//! is over.

use std::collections::HashSet;

use super::table::Track;
use super::tracked::slot;
use crate::model::{BootNs, EndId, EndState, View};

/// State of the running walk.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub running: bool,
    closed: HashSet<EndId>,
    /// Rows that the walk has just found: not shown before their roles could be told.
    held: HashSet<u64>,
    listeners: HashSet<EndId>,
    strangers: bool,
}

impl Walk {
    pub(super) fn closed(&mut self, id: EndId) {
        if self.running {
            self.closed.insert(id);
        }
    }

    pub(super) fn closed_meanwhile(&self, id: EndId) -> bool {
        self.closed.contains(&id)
    }

    pub(super) fn hold(&mut self, key: u64) {
        if self.running {
            self.held.insert(key);
        }
    }

    pub(super) fn is_held(&self, key: u64) -> bool {
        self.held.contains(&key)
    }

    /// The walk met an end that the table does not know, in a record that does not describe it.
    pub(super) fn stranger(&mut self, id: EndId) {
        self.strangers |= !self.closed.contains(&id);
    }

    pub(super) fn take_strangers(&mut self) -> bool {
        std::mem::take(&mut self.strangers)
    }

    pub(super) fn met_listener(&mut self, id: EndId) {
        if self.running {
            self.listeners.insert(id);
        }
    }
}

impl Track {
    pub(super) fn walk_began(&mut self, _at: BootNs) {
        self.walk = Walk { running: true, ..Walk::default() };
        for row in self.rows.values_mut() {
            row.met = [false, false];
        }
    }

    pub(super) fn alive(&mut self, id: EndId) {
        if let Some(&(key, view)) = self.ends.get(&id) {
            self.mark_met(key, view);
        } else if self.listeners.contains(id) {
            self.walk.met_listener(id);
        } else {
            self.walk.stranger(id);
        }
    }

    pub(super) fn walk_ended(&mut self, at: BootNs, complete: bool) {
        if complete {
            let mut gone = Vec::new();
            for row in self.rows.values() {
                for view in [View::Client, View::Server] {
                    let open = row.side(view).end.as_ref().filter(|e| e.state < EndState::Closed);
                    gone.extend(open.filter(|_| !row.met[slot(view)]).map(|e| e.id));
                }
            }
            gone.into_iter().for_each(|id| self.vanish(id, at));
            let closed: Vec<EndId> =
                self.listeners.ids().filter(|id| !self.walk.listeners.contains(id)).collect();
            closed.into_iter().for_each(|id| self.listeners.close(id, at));
        }
        self.resolve_roles();
        let strangers = self.walk.strangers;
        self.walk = Walk { strangers, ..Walk::default() };
    }
}
