//! The walk as reconciler: what a complete walk does not meet is gone, what it meets unknown is new.
//!
//! The walk's records and those of opening and closing come through different rings. A walk begins
//! only after everything before it was read, so an end that closed while it ran may still be "met"
//! afterwards by a record that is older than its closing: those ends are remembered until the walk
//! is over.

use std::collections::HashSet;

use super::table::Track;
use super::tracked::slot;
use crate::model::{BootNs, EndId, EndState, Transport, View};

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
            // Only TCP ends are walked.
            for row in self.rows.values_mut().filter(|r| r.connection.transport == Transport::Tcp) {
                for view in [View::Client, View::Server] {
                    let open = row.side(view).end.as_ref().filter(|e| e.state < EndState::Closed);
                    let Some(id) = open.map(|e| e.id).filter(|_| !row.met[slot(view)]) else { continue };
                    // A list that changes while it is walked may hide one: it is gone when two do not meet it.
                    if std::mem::replace(&mut row.missed[slot(view)], true) {
                        gone.push(id);
                    }
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

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::model::{Endpoint, Isns, OwnerEvidence, ProcessKey, Role, RoleEvidence, Seen};
    use crate::track::{Comm, EndFact, Fact, ListenFact, Moment, OwnerFact, Step, TrackConfig};

    fn at(port: u16) -> Endpoint {
        Endpoint::new(IpAddr::from([127, 0, 0, 1]), port)
    }

    fn id(cookie: u64) -> EndId {
        EndId { netns_cookie: 1, cookie, generation: 1 }
    }

    fn owner(pid: u32, comm: &str) -> OwnerFact {
        let mut bytes = [0; 16];
        bytes[..comm.len()].copy_from_slice(comm.as_bytes());
        let process = Some((ProcessKey { pid, start_ns: 1 }, Comm(bytes)));
        OwnerFact { process, evidence: OwnerEvidence::HoldsFile, cgroup: 7, netns: 5 }
    }

    /// An adopted end at `local` of one connection; role not known.
    fn met(cookie: u64, now: u64, local: Endpoint, peer: Endpoint, isns: Option<Isns>) -> EndFact {
        EndFact {
            id: id(cookie),
            at: BootNs(now),
            moment: Moment::Met,
            local,
            peer,
            role: Role::Unknown,
            role_evidence: RoleEvidence::Unknown,
            owner: owner(cookie as u32, "some"),
            adopted: true,
            isns,
            opened: BootNs(0),
            established: BootNs(0),
            seen: Seen::default(),
            route: None,
        }
    }

    fn table() -> Track {
        Track::new(TrackConfig::new(1, 10))
    }

    fn sealed(t: &mut Track, start: u64, end: u64) -> Vec<(View, Step, bool)> {
        let mut out = Vec::new();
        t.seal(
            BootNs(start),
            BootNs(end),
            |c| out.push((c.view, c.step, c.late)),
            |_, _, _, _| {},
            |_, _, _, _| {},
        );
        out
    }

    #[test]
    fn what_a_walk_describes_is_counted_when_it_is_over() {
        let (mut t, low, high) = (table(), at(33_000), at(40_000));
        t.apply(Fact::WalkBegan { at: BootNs(1) });
        // The client has the lower port: it stands as the server until its peer is met.
        t.apply(Fact::End(met(1, 5, low, high, Some(Isns { tx: 100, rx: 201 }))));
        assert_eq!(sealed(&mut t, 0, 10), []);
        t.apply(Fact::End(met(2, 12, high, low, Some(Isns { tx: 201, rx: 101 }))));
        t.apply(Fact::WalkEnded { at: BootNs(15), complete: true });
        let counted = sealed(&mut t, 10, 20);
        assert_eq!(counted, [(View::Client, Step::Adopted, true), (View::Server, Step::Adopted, false)]);
        let events = t.flush(BootNs(0)).events;
        let c = &events[0].2;
        assert_eq!((events.len(), c.client.address, c.server.address), (1, low, high));
    }

    #[test]
    fn one_that_closes_while_it_is_described_is_counted_too() {
        let (mut t, low, high) = (table(), at(33_000), at(40_000));
        t.apply(Fact::WalkBegan { at: BootNs(1) });
        let end = met(1, 5, low, high, Some(Isns { tx: 100, rx: 201 }));
        t.apply(Fact::End(end.clone()));
        t.apply(Fact::End(EndFact {
            at: BootNs(6),
            moment: Moment::Closed(crate::track::Ending::Clean),
            ..end
        }));
        assert_eq!(sealed(&mut t, 0, 10), []);
        t.apply(Fact::WalkEnded { at: BootNs(15), complete: true });
        let steps: Vec<_> = sealed(&mut t, 10, 20).into_iter().map(|(_, step, _)| step).collect();
        assert_eq!(steps, [Step::Adopted, Step::Closed]);
        assert_eq!((t.counts().closed, t.live_ends()), (1, 0));
    }

    #[test]
    fn a_server_that_only_listens_in_scope_is_named_on_the_connection() {
        let (mut t, client, server) = (table(), at(40_000), at(8080));
        t.apply(Fact::WalkBegan { at: BootNs(1) });
        t.apply(Fact::End(met(1, 5, client, server, Some(Isns { tx: 100, rx: 201 }))));
        let listen = ListenFact {
            id: id(9),
            at: BootNs(6),
            local: server,
            owner: owner(9, "server"),
            met: true,
            backlog: None,
        };
        t.apply(Fact::Listen(listen));
        t.apply(Fact::WalkEnded { at: BootNs(7), complete: true });
        let (entity, _) = t.listening().next().unwrap();
        let events = t.flush(BootNs(0)).events;
        assert_eq!(events[0].2.server.entity, entity);
        assert_eq!(events[0].2.client.end.as_ref().unwrap().role_evidence, RoleEvidence::PeerInListenSet);
    }

    #[test]
    fn the_handshake_of_an_adopted_end_counts_when_it_was_seen() {
        let (mut t, client, server) = (table(), at(40_000), at(8080));
        let connecting = EndFact { role: Role::Client, ..met(1, 5, client, server, None) };
        t.apply(Fact::End(connecting.clone()));
        assert_eq!(t.counts().established, 0);
        t.apply(Fact::End(EndFact {
            at: BootNs(8),
            moment: Moment::Established,
            established: BootNs(8),
            isns: Some(Isns { tx: 100, rx: 201 }),
            ..connecting
        }));
        assert_eq!((t.counts().adopted, t.counts().opened, t.counts().established), (1, 0, 1));
        assert_eq!(
            sealed(&mut t, 0, 10),
            [(View::Client, Step::Adopted, false), (View::Client, Step::Established(None), false)]
        );
    }
}
