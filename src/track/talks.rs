//! Conversations over UDP: a socket and a peer. There is no handshake and no end: one begins with its
//! first datagram, and is over when nothing was said for [`IDLE_NS`].

use std::collections::HashMap;

use super::delta::Step;
use super::fact::{OwnerFact, TalkFact};
use super::table::Track;
use super::tracked::Tracked;
use crate::model::{
    BootNs, End, EndId, EndState, Endpoint, EntityKind, Outcome, Role, RoleEvidence, Seen, StableHasher,
    Transport, View,
};

/// A conversation is over after so long a silence.
const IDLE_NS: u64 = 15_000_000_000;
/// Silent ones are looked for this often.
const LOOK_NS: u64 = 1_000_000_000;

/// When each conversation last said something.
#[derive(Debug, Default)]
pub(super) struct Talks {
    last: HashMap<EndId, BootNs>,
    looked: BootNs,
}

/// The first that is known of a conversation.
pub(super) struct First<'a> {
    pub id: EndId,
    pub at: BootNs,
    /// Role of this socket; unknown where the conversation may be older.
    pub role: Role,
    pub local: Endpoint,
    pub peer: Endpoint,
    pub owner: &'a OwnerFact,
}

/// What passed one way: payload bytes and datagrams.
pub(super) type Passed = (u64, u64);

/// The id of a conversation: of its socket, with a number for the peer. A source that knows
/// conversations gives its own.
pub(super) fn conversation(id: EndId, peer: Endpoint) -> EndId {
    if id.generation != 0 {
        return id;
    }
    let hash = StableHasher::new("udp").bytes(&peer.addr_bytes()).number(u64::from(peer.port)).finish();
    EndId { generation: hash as u32 | 1, ..id }
}

impl Track {
    /// Takes what passed in a conversation since it was told last.
    pub(super) fn talk(&mut self, f: &TalkFact) {
        let id = conversation(f.id, f.peer);
        let spoke = if f.sent_first { Role::Client } else { Role::Server };
        let role = if f.old { Role::Unknown } else { spoke };
        let first = First { id, at: f.first, role, local: f.local, peer: f.peer, owner: &f.owner };
        if let Some(place) = self.talk_place(&first) {
            let way = |i: usize| (f.bytes[i], f.packets[i]);
            self.passed(id, place, f.last, way(0), way(1));
        }
    }

    /// Where a conversation stands; it begins, or begins anew, where it is not going on.
    pub(super) fn talk_place(&mut self, first: &First<'_>) -> Option<(u64, View)> {
        if let Some(&(key, view)) = self.ends.get(&first.id) {
            let end = self.rows.get(&key).and_then(|r| r.side(view).end.as_ref());
            if end.is_some_and(|e| e.state == EndState::Established) {
                return Some((key, view));
            }
        }
        self.open_talk(first)
    }

    fn open_talk(&mut self, first: &First<'_>) -> Option<(u64, View)> {
        if self.is_full() {
            return None;
        }
        let known = first.role != Role::Unknown;
        let end = End {
            id: first.id,
            local: first.local,
            peer: first.peer,
            role: first.role,
            role_evidence: if known { RoleEvidence::SpokeFirst } else { RoleEvidence::Unknown },
            owner: self.owner(first.owner),
            entity: self.entities.of_owner(first.owner, first.local.addr),
            adopted: !known,
            isns: None,
            opened: if known { first.at } else { BootNs(0) },
            established: BootNs(0),
            closed: BootNs(0),
            state: EndState::Established,
            outcome: None,
            seen: Seen { packets: Some((0, 0)), ..Seen::default() },
        };
        let netns = first.owner.netns;
        let other = self.waiting.meet_at(end.id, (netns, end.local, end.peer), end.role);
        let joined = other.and_then(|(other, role)| self.join(&end, other, role));
        let (key, view) = joined.unwrap_or_else(|| {
            let far = EntityKind::far(end.peer.addr).id();
            let (mut row, view) = Tracked::new(end, far);
            row.connection.transport = Transport::Udp;
            row.settle();
            (self.put_row(row), view)
        });
        self.ends.insert(first.id, (key, view));
        self.step(first.at, key, view, if known { Step::Opened } else { Step::Adopted });
        Some((key, view))
    }

    /// Counts what passed in a conversation.
    pub(super) fn passed(
        &mut self,
        id: EndId,
        (key, view): (u64, View),
        at: BootNs,
        sent: Passed,
        received: Passed,
    ) {
        let last = self.talks.last.entry(id).or_default();
        *last = at.max(*last);
        let Some(row) = self.rows.get_mut(&key) else { return };
        row.connection.changed = at;
        let Some(end) = row.end_mut(view) else { return };
        let before = end.seen.packets.unwrap_or_default();
        let seen = Seen {
            bytes_sent: end.seen.bytes_sent.saturating_add(sent.0),
            bytes_received: end.seen.bytes_received.saturating_add(received.0),
            packets: Some((before.0.saturating_add(sent.1), before.1.saturating_add(received.1))),
            ..end.seen
        };
        self.traffic(key, view, at, seen);
        self.touch(key);
    }

    /// Conversations that are over, when it is time to look for them.
    pub(super) fn silent_talks(&mut self, now: BootNs) -> Vec<EndId> {
        if now.since(self.talks.looked) < LOOK_NS {
            return Vec::new();
        }
        self.talks.looked = now;
        let silent = |at: &BootNs| now.since(*at) > IDLE_NS;
        let over: Vec<(EndId, BootNs)> =
            self.talks.last.iter().filter(|(_, at)| silent(at)).map(|(id, at)| (*id, *at)).collect();
        for &(id, at) in &over {
            self.talks.last.remove(&id);
            let Some(&(key, view)) = self.ends.get(&id) else { continue };
            let Some(row) = self.rows.get_mut(&key) else { continue };
            if let Some(end) = row.end_mut(view) {
                end.state = EndState::Closed;
                end.closed = at;
                end.outcome = Some(Outcome::Clean);
            }
            if row.settle() {
                self.over.push_back((now, key));
            }
            self.step(now, key, view, Step::Closed);
            self.touch(key);
        }
        over.into_iter().map(|(id, _)| id).collect()
    }
}
