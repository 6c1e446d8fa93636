//! The rows: live connections, and as many closed ones as the configuration keeps.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::model::{Connection, ConnectionId, Filter};

#[derive(Debug)]
pub(super) struct Connections {
    live: HashMap<ConnectionId, Arc<Connection>>,
    live_limit: usize,
    /// In the order in which they ended; `None` where a row was taken out again.
    closed: VecDeque<Option<Arc<Connection>>>,
    /// Number of a closed row; the one at the front has `first`.
    at: HashMap<ConnectionId, u64>,
    first: u64,
    closed_limit: usize,
    /// Closed rows given up for newer ones.
    pub(super) evicted: u64,
    /// Live rows that found no room.
    pub(super) refused: u64,
}

impl Connections {
    pub(super) fn new(live_limit: usize, closed_limit: usize) -> Self {
        Connections {
            live: HashMap::new(),
            live_limit,
            closed: VecDeque::new(),
            at: HashMap::new(),
            first: 0,
            closed_limit,
            evicted: 0,
            refused: 0,
        }
    }

    /// Takes the newest state of a connection, wherever its row is.
    pub(super) fn put(&mut self, c: &Arc<Connection>) {
        if !c.state.is_over() {
            self.take_closed(c.id);
            let full = self.live.len() >= self.live_limit;
            match self.live.get_mut(&c.id) {
                Some(row) => *row = c.clone(),
                None if full => self.refused += 1,
                None => {
                    self.live.insert(c.id, c.clone());
                }
            }
            return;
        }
        self.live.remove(&c.id);
        if let Some(&n) = self.at.get(&c.id) {
            // Joined late with its other end: the row stays where it is.
            self.closed[(n - self.first) as usize] = Some(c.clone());
            return;
        }
        self.at.insert(c.id, self.first + self.closed.len() as u64);
        self.closed.push_back(Some(c.clone()));
        // Rows that were taken out leave holes; they hold no room but twice the limit ends that.
        while self.at.len() > self.closed_limit
            || self.closed.len() > 2 * self.closed_limit
            || self.closed.front().is_some_and(Option::is_none)
        {
            if let Some(Some(old)) = self.closed.pop_front() {
                self.at.remove(&old.id);
                self.evicted += 1;
            }
            self.first += 1;
        }
    }

    /// Takes a row away: its connection has another id now.
    pub(super) fn remove(&mut self, id: ConnectionId) {
        self.live.remove(&id);
        self.take_closed(id);
    }

    fn take_closed(&mut self, id: ConnectionId) {
        if let Some(n) = self.at.remove(&id) {
            self.closed[(n - self.first) as usize] = None;
        }
    }

    /// Those that match, in no order.
    pub(super) fn matching(&self, all: bool, filter: &Filter) -> Vec<Arc<Connection>> {
        let closed = self.closed.iter().flatten().filter(|_| all);
        self.live.values().chain(closed).filter(|c| filter.matches(c)).cloned().collect()
    }
}
