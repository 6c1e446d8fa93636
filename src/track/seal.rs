//! What leaves the table: events and changed rows by flush, counted steps by seal.

use std::collections::VecDeque;

use super::delta::{Counted, Step};
use super::table::{Flushed, Track};
use super::tracked::Tracked;
use crate::model::{Asked, BootNs, EdgeKey, End, EndState, Endpoint, EntityId, EntityKind, Security, View};
use crate::world::Far;

impl Track {
    /// Events and changes since the last flush.
    pub fn flush(&mut self, now: BootNs) -> Flushed {
        self.settle_flows(now);
        self.name_far();
        let mut out = Flushed {
            entities: self.entities.take_fresh(),
            processes: std::mem::take(&mut self.owners.fresh_processes),
            cgroups: std::mem::take(&mut self.owners.fresh_cgroups),
            removed: std::mem::take(&mut self.removed),
            ..Flushed::default()
        };
        let mut held = Vec::new();
        for key in std::mem::take(&mut self.dirty) {
            if self.walk.is_held(key) {
                held.push(key);
                continue;
            }
            let Some(server) = self.rows.get(&key).map(|row| self.server_entity(row)) else { continue };
            let Some(row) = self.rows.get_mut(&key) else { continue };
            row.dirty = false;
            if row.connection.role_known && !row.roles_told {
                row.roles_told = true;
                out.roles.extend(row.adopted_roles());
            }
            let pending = std::mem::take(&mut row.pending);
            let mut connection = row.connection.clone();
            // As on its edge: whoever listens there, also where the server's end is not seen.
            if connection.server.entity != server {
                connection.server.entity = server;
            }
            let connection = connection.published();
            row.shared = Some(connection.clone());
            if let Some(old) = row.published.replace(connection.id)
                && old != connection.id
            {
                out.removed.push(old);
            }
            let before = out.events.len();
            out.events
                .extend(pending.events(connection.state).map(|(at, kind)| (at, kind, connection.clone())));
            if out.events.len() == before {
                out.changed.push(connection);
            }
        }
        self.dirty = held;
        out.far = self.far.fresh(out.events.iter().map(|e| &e.2).chain(&out.changed));
        out.names = self.far.take_names();
        let (requests, skipped) = self.asked.take_events(&mut self.rows, now);
        out.requests_skipped = skipped;
        out.requests = requests
            .into_iter()
            .filter_map(|h| Some((h.at, self.rows.get(&h.key)?.shared.clone()?, h.request)))
            .collect();
        out
    }

    /// Gives every step before `end` to its edge, every open end as a gauge, and what was asked; then forgets
    /// connections whose last step was counted.
    pub fn seal(
        &mut self,
        start: BootNs,
        end: BootNs,
        mut count: impl FnMut(Counted),
        mut open: impl FnMut(EdgeKey, Far, View, Option<Security>),
        mut asked: impl FnMut(EdgeKey, Far, View, Box<Asked>),
    ) {
        self.asked.slice_end = BootNs(end.0.saturating_add(end.since(start)));
        let mut keep = VecDeque::new();
        for s in std::mem::take(&mut self.steps) {
            // Of ends that a walk is just describing, the roles are told when it is over.
            if s.at >= end || self.walk.is_held(s.key) {
                keep.push_back(s);
                continue;
            }
            let Some(row) = self.rows.get(&s.key) else { continue };
            let ends = matches!(s.step, Step::Closed | Step::Failed);
            let own = row.side(s.view).end.as_ref().and_then(|e| e.outcome);
            // A capture has one view of a connection, that of whoever connected.
            let reversed = self.config.capture && s.view == View::Server;
            let (view, step) = if reversed { (View::Client, s.step.reversed()) } else { (s.view, s.step) };
            count(Counted {
                edge: self.edge(row),
                far: self.far(row),
                view,
                step,
                outcome: if ends { row.connection.outcome.or(own) } else { None },
                security: row.connection.tls.as_ref().map(|t| t.status),
                late: s.at < start,
            });
        }
        self.steps = keep;
        let mut heard: Vec<u64> =
            self.rows.iter().filter(|(_, r)| r.heard.is_some()).map(|(k, _)| *k).collect();
        // In their order, so that the same capture always reads the same.
        heard.sort_unstable();
        for key in heard {
            for view in [View::Client, View::Server] {
                let heard = self.rows.get_mut(&key).and_then(|r| r.heard.as_mut());
                let Some(counted) = heard.and_then(|h| h.take(view)) else { continue };
                if let Some(row) = self.rows.get(&key) {
                    asked(self.edge(row), self.far(row), self.view(view), counted);
                }
            }
        }
        for row in self.rows.values() {
            for view in [View::Client, View::Server] {
                // What began since then is of the next slice, where it may have got a name.
                let is_open = |e: &End| e.state == EndState::Established && e.opened < end;
                if row.side(view).end.as_ref().is_some_and(is_open) {
                    let security = row.connection.tls.as_ref().map(|t| t.status);
                    open(self.edge(row), self.far(row), self.view(view), security);
                }
            }
        }
        self.far.sealed(end);
        while let Some(&(at, key)) = self.over.front()
            && at < end
            && !self.walk.is_held(key)
        {
            self.over.pop_front();
            if self.rows.get(&key).is_none_or(|row| !row.connection.state.is_over()) {
                continue;
            }
            let Some(row) = self.rows.remove(&key) else { continue };
            for side in [&row.connection.client, &row.connection.server] {
                let Some(end) = &side.end else { continue };
                // A conversation over UDP may have begun anew.
                if self.ends.get(&end.id).is_some_and(|place| place.0 == key) {
                    self.ends.remove(&end.id);
                }
                match end.isns {
                    Some(isns) => self.waiting.forget(end.id, isns),
                    None => self.waiting.forget_at(end.id, (end.owner.netns, end.local, end.peer)),
                }
            }
        }
    }

    /// A capture has one view of a connection.
    fn view(&self, view: View) -> View {
        if self.config.capture { View::Client } else { view }
    }

    fn edge(&self, row: &Tracked) -> EdgeKey {
        let c = &row.connection;
        EdgeKey {
            client: c.client.entity,
            server: self.server_entity(row),
            addr: c.server.address.addr,
            port: c.server.address.port,
            transport: c.transport,
            role_known: c.role_known,
        }
    }

    /// Which sides are addresses whose owner is not in scope.
    fn far(&self, row: &Tracked) -> Far {
        let c = &row.connection;
        let server_known = c.server.end.is_some() || self.server_entity(row) != c.server.entity;
        // A capture has the client's end, but knows no more of it than its address.
        let addr = c.client.address.addr;
        let client_far = c.client.end.is_none() || c.client.entity == EntityKind::far(addr).id();
        Far {
            client: client_far.then_some(addr),
            server: (!server_known).then_some(c.server.address.addr),
            server_name: row.far_name.clone().filter(|_| !server_known),
        }
    }

    /// The server's entity: its end's, else that of whoever listens, or lately listened, there.
    fn server_entity(&self, row: &Tracked) -> EntityId {
        let c = &row.connection;
        match (&c.server.end, &c.client.end) {
            (None, Some(client)) => {
                self.served_by(client.owner.netns, c.server.address).unwrap_or(c.server.entity)
            }
            _ => c.server.entity,
        }
    }

    fn served_by(&self, netns: u32, at: Endpoint) -> Option<EntityId> {
        self.listeners.server_of(netns, at)
    }
}
