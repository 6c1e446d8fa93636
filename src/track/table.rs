//! The table of live connections.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::asked::Counting;
use super::datagrams::Datagrams;
use super::delta::{Step, Waiting as WaitingStep};
use super::entities::Entities;
use super::fact::{EndFact, Fact, ListenFact, Moment, OwnerFact, SampleFact};
use super::far::FarAddresses;
use super::flows::Flows;
use super::join::Waiting;
use super::listen::ListenSet;
use super::owners::Owners;
use super::piece::Observation;
use super::secured::Securing;
use super::talks::Talks;
use super::tracked::{Tracked, slot};
use super::walk::Walk;
use crate::model::{
    BootNs, Connection, ConnectionCounts, ConnectionId, End, EndId, EndState, Entity, EntityId, EntityKind,
    EventKind, Name, Process, Request, Role, Seen, View,
};

/// Bounds of a table.
#[derive(Clone, Debug)]
pub struct TrackConfig {
    /// Hash of the boot that cgroup ids and pids belong to.
    pub node: u64,
    /// Live connections at most; beyond it new ones are counted as lost.
    pub connections: usize,
    /// Tell of requests only their kind and how they went, not what they are about.
    pub strict: bool,
    /// Bytes that the conversations of all ends may hold; beyond it those silent for longest lose
    /// what they hold, which is counted.
    pub held: usize,
    /// The facts are those of a capture: there is one end of each connection, and where its role is
    /// not known what both sides say may tell it.
    pub capture: bool,
    /// What is said is looked at: each connection has a verdict on its security.
    pub looks: bool,
    /// Requests are decoded; else what is said is looked at only until the verdict is known.
    pub decodes: bool,
}

impl TrackConfig {
    /// For so many connections, on this boot.
    pub fn new(node: u64, connections: usize) -> Self {
        TrackConfig {
            node,
            connections,
            strict: false,
            held: 256 << 20,
            capture: false,
            looks: true,
            decodes: true,
        }
    }
}

/// What a flush gives.
#[derive(Debug, Default)]
pub struct Flushed {
    /// What happened, in order.
    pub events: Vec<(BootNs, EventKind, Arc<Connection>)>,
    /// Connections that changed without an event.
    pub changed: Vec<Arc<Connection>>,
    /// Ids under which a connection was published and is no more.
    pub removed: Vec<ConnectionId>,
    /// Entities used for the first time.
    pub entities: Vec<Entity>,
    /// Processes seen for the first time, with their cgroup and entity.
    pub processes: Vec<(Arc<Process>, u64, EntityId)>,
    /// cgroups seen for the first time.
    pub cgroups: Vec<u64>,
    /// Far addresses that the connections above have for the first time.
    pub far: Vec<Entity>,
    /// Names that DNS answers gave to addresses.
    pub names: Vec<Name>,
    /// Adopted ends whose role became known.
    pub roles: Vec<(EndId, Role)>,
    /// Exchanges, in order.
    pub requests: Vec<(BootNs, Arc<Connection>, Arc<Request>)>,
    /// Exchanges that were counted, but are left out of `requests`.
    pub requests_skipped: u64,
}

/// Ends, joined to connections.
#[derive(Debug)]
pub struct Track {
    pub(super) config: TrackConfig,
    pub(super) ends: HashMap<EndId, (u64, View)>,
    pub(super) rows: HashMap<u64, Box<Tracked>>,
    next_key: u64,
    pub(super) waiting: Waiting,
    pub(super) listeners: ListenSet,
    pub(super) entities: Entities,
    pub(super) walk: Walk,
    pub(super) dirty: Vec<u64>,
    pub(super) steps: VecDeque<WaitingStep>,
    /// Over, kept until their last slice is sealed.
    pub(super) over: VecDeque<(BootNs, u64)>,
    pub(super) owners: Owners,
    pub(super) removed: Vec<ConnectionId>,
    pub(super) flows: Flows,
    pub(super) asked: Counting,
    pub(super) datagrams: Datagrams,
    pub(super) talks: Talks,
    pub(super) securing: Securing,
    pub(super) far: FarAddresses,
    counts: ConnectionCounts,
    lost: u64,
}

impl Track {
    /// An empty table.
    pub fn new(config: TrackConfig) -> Self {
        let asked = Counting::new(config.strict, config.capture);
        let securing = Securing::new(config.looks);
        Track {
            entities: Entities::new(config.node),
            config,
            ends: HashMap::new(),
            rows: HashMap::new(),
            next_key: 1,
            waiting: Waiting::default(),
            listeners: ListenSet::default(),
            walk: Walk::default(),
            dirty: Vec::new(),
            steps: VecDeque::new(),
            over: VecDeque::new(),
            owners: Owners::default(),
            removed: Vec::new(),
            flows: Flows::default(),
            asked,
            datagrams: Datagrams::default(),
            talks: Talks::default(),
            securing,
            far: FarAddresses::default(),
            counts: ConnectionCounts::default(),
            lost: 0,
        }
    }

    /// Takes anything that a source says.
    pub fn observe(&mut self, observation: Observation<'_>) {
        match observation {
            Observation::Fact(fact) => self.apply(fact),
            Observation::Piece(p) => self.piece(&p),
            Observation::Progress(p) => self.progress(&p),
            Observation::Early(e) => self.early(&e),
            Observation::Datagram(d) => self.datagram(&d),
            Observation::Handed(h) => self.handed(&h),
        }
    }

    /// Takes one fact.
    pub fn apply(&mut self, fact: Fact) {
        match fact {
            Fact::End(f) => self.end(f),
            Fact::Sample(f) => self.sample(&f),
            Fact::Alive(id) => self.alive(id),
            Fact::Listen(f) => self.listen(f),
            Fact::ListenClosed { id, at } => self.listeners.close(id, at),
            Fact::FarListener { pass, netns, local } => self.listeners.note_far(pass, netns, local),
            Fact::Turns(f) => self.turns(&f),
            Fact::Talk(f) => self.talk(&f),
            Fact::WalkBegan { at } => self.walk_began(at),
            Fact::WalkEnded { at, complete } => self.walk_ended(at, complete),
        }
    }

    fn end(&mut self, f: EndFact) {
        self.listeners.note_local(f.owner.netns, f.local.addr);
        if let Some(&(key, view)) = self.ends.get(&f.id) {
            self.update(key, view, &f);
            return;
        }
        if f.moment == Moment::Met && self.walk.closed_meanwhile(f.id) {
            return;
        }
        self.admit(f);
    }

    /// An end that is not in the table.
    fn admit(&mut self, f: EndFact) {
        if self.is_full() {
            return;
        }
        let mut end = self.new_end(&f);
        if end.isns.is_none() || self.config.capture {
            self.role_without_numbers(&mut end);
        }
        let first = if f.adopted { Step::Adopted } else { Step::Opened };
        let opened = end.opened.known().unwrap_or(f.at);
        let joined = match end.isns {
            Some(isns) => self.waiting.meet(end.id, isns, end.role),
            None if end.established.0 != 0 => {
                self.waiting.meet_at(end.id, (end.owner.netns, end.local, end.peer), end.role)
            }
            None => None,
        };
        let (key, view) = match joined.and_then(|(other, role)| self.join(&end, other, role)) {
            Some(place) => place,
            None => self.insert(end, f.at),
        };
        self.ends.insert(f.id, (key, view));
        self.step(if f.adopted { f.at } else { opened }, key, view, first);
        if self.walk.running {
            self.mark_met(key, view);
        }
        if f.adopted && f.moment == Moment::Met {
            self.walk.hold(key);
        }
        self.update(key, view, &f);
    }

    /// Whether there is room for no more; one that finds none is lost.
    pub(super) fn is_full(&mut self) -> bool {
        let full = self.rows.len() >= self.config.connections;
        self.lost += u64::from(full);
        full
    }

    /// Gives a row its place.
    pub(super) fn put_row(&mut self, row: Tracked) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        self.far.watch(key, &row.connection);
        self.rows.insert(key, Box::new(row));
        key
    }

    fn insert(&mut self, end: End, at: BootNs) -> (u64, View) {
        let far = EntityKind::far(end.peer.addr).id();
        let adopted = end.adopted;
        let (mut row, view) = Tracked::new(end, far);
        if adopted {
            self.counts.adopted += 1;
            row.pending.adopted = Some(at);
        } else {
            self.counts.opened += 1;
        }
        self.counts.live += 1;
        (self.put_row(row), view)
    }

    /// Puts an end beside the other one that was found for it.
    pub(super) fn join(&mut self, end: &End, other: EndId, role: Role) -> Option<(u64, View)> {
        let &(key, other_view) = self.ends.get(&other)?;
        let view = Option::<View>::from(role)?;
        if self.is_taken(key, other_view) {
            return None;
        }
        if view == other_view {
            // The other end stood on the wrong side for want of a role.
            self.flip(key);
        }
        let mut end = end.clone();
        self.set_both_roles(key, &mut end, role);
        let row = self.rows.get_mut(&key)?;
        row.put(view, end);
        Some((key, view))
    }

    /// Whether the end on this side of a row has its other end already: one whose numbers are the
    /// same by chance is of another connection.
    fn is_taken(&self, key: u64, view: View) -> bool {
        let other = match view {
            View::Client => View::Server,
            View::Server => View::Client,
        };
        self.rows.get(&key).is_some_and(|row| row.side(other).end.is_some())
    }

    /// Exchanges the sides of a row and of its ends' places.
    pub(super) fn flip(&mut self, key: u64) {
        let Some(row) = self.rows.get_mut(&key) else { return };
        row.flip();
        for view in [View::Client, View::Server] {
            if let Some(end) = &row.side(view).end {
                self.ends.insert(end.id, (key, view));
            }
        }
        for s in self.steps.iter_mut().filter(|s| s.key == key) {
            s.view = match s.view {
                View::Client => View::Server,
                View::Server => View::Client,
            };
        }
        self.touch(key);
    }

    fn new_end(&mut self, f: &EndFact) -> End {
        End {
            id: f.id,
            local: f.local,
            peer: f.peer,
            role: f.role,
            role_evidence: f.role_evidence,
            owner: self.owner(&f.owner),
            entity: self.entities.of_owner(&f.owner, f.local.addr),
            adopted: f.adopted,
            isns: f.isns,
            opened: f.opened,
            established: f.established,
            closed: BootNs::default(),
            state: EndState::Opening,
            outcome: None,
            seen: Seen::default(),
        }
    }

    /// What a fact changes of an end that is in the table.
    fn update(&mut self, key: u64, view: View, f: &EndFact) {
        let owner = f
            .owner
            .process
            .is_some()
            .then(|| (self.owner(&f.owner), self.entities.of_owner(&f.owner, f.local.addr)));
        self.traffic(key, view, f.at, f.seen);
        if self.walk.running {
            self.mark_met(key, view);
        }
        let Some(row) = self.rows.get_mut(&key) else { return };
        let mut known_now = None;
        let mut first = None;
        let mut steps = [None, None];
        let far_known = row.connection.client.end.is_some() && row.connection.server.end.is_some();
        let ending = match f.moment {
            Moment::Closed(ending) => Some(ending),
            _ => None,
        };
        row.endings[slot(view)] = row.endings[slot(view)].or(ending);
        let Some(end) = row.end_mut(view) else { return };
        if end.state >= EndState::Closed {
            return;
        }
        // The tuple: at CLOSE a peer address may be gone, and a failed connect has no local port.
        if f.local.port != 0 {
            end.local = f.local;
        }
        if f.peer.port != 0 {
            end.peer = f.peer;
        }
        if let Some((owner, entity)) = owner {
            end.owner = owner;
            end.entity = entity;
        }
        if end.isns.is_none() && f.isns.is_some() {
            end.isns = f.isns;
            known_now = f.isns.map(|isns| (end.id, isns, end.role));
        }
        end.opened = end.opened.known().unwrap_or(f.opened);
        end.established = end.established.known().unwrap_or(f.established);
        let was_open = end.state == EndState::Established;
        let established =
            (f.isns.is_some() || end.established.0 != 0) && !matches!(f.moment, Moment::Failed(_));
        if established && !was_open {
            end.state = EndState::Established;
            first = self.securing.at_first(end.adopted);
            // Of an adopted end the handshake counts when it was seen.
            if !end.adopted || end.established.known().is_some() {
                steps[0] =
                    Some((end.established.known().unwrap_or(f.at), Step::Established(end.connect_us())));
            }
        }
        match f.moment {
            Moment::Met | Moment::Established => {}
            Moment::Closed(_) => {
                end.state = EndState::Closed;
                end.closed = f.at;
                steps[1] = Some((f.at, Step::Closed));
            }
            Moment::Failed(outcome) => {
                end.state = EndState::Failed;
                end.closed = f.at;
                end.outcome = Some(outcome);
                steps[1] = Some((f.at, Step::Failed));
            }
        }
        let (address, entity) = (end.local, end.entity);
        let side = row.side_mut(view);
        side.entity = entity;
        if view == View::Client || !far_known {
            side.address = address;
        }
        row.connection.changed = f.at;
        row.first = row.first.take().or(first);
        row.routes[slot(view)] = f.route.or(row.routes[slot(view)]);
        // The other end may come late, even when this one is closed already: it is one handshake.
        if let Some((at, _)) = steps[0]
            && !std::mem::replace(&mut row.counted_established, true)
        {
            row.pending.established = Some(at);
            self.counts.established += 1;
        }
        let over = row.settle();
        if over {
            row.pending.over = Some(f.at);
            let failed = row.connection.state == crate::model::ConnectionState::Failed;
            self.ended(key, f.at, failed);
        } else if row.published.is_none()
            && row.pending.established.is_none()
            && row.pending.adopted.is_none()
        {
            row.pending.opened = Some(f.opened.known().unwrap_or(f.at));
        }
        for (at, step) in steps.into_iter().flatten() {
            self.step(at, key, view, step);
        }
        if matches!(f.moment, Moment::Closed(_) | Moment::Failed(_)) {
            self.walk.closed(f.id);
            self.flow_closed(f.id, f.at);
        }
        self.touch(key);
        if let Some((id, isns, role)) = known_now {
            self.renumber(key, view, id, isns, role);
        }
        self.judge(key, f.at);
    }

    /// The numbers of an end became known: it may meet its other end, and its row has a new id.
    fn renumber(&mut self, key: u64, view: View, id: EndId, isns: crate::model::Isns, role: Role) {
        if let Some((other, _)) = self.waiting.meet(id, isns, role)
            && let Some(&(other_key, other_view)) = self.ends.get(&other)
            && other_key != key
            && other_view != view
            && !self.is_taken(key, view)
            && !self.is_taken(other_key, other_view)
        {
            self.absorb(key, other_key, other_view);
        }
        if let Some(row) = self.rows.get_mut(&key)
            && let Some(end) = &row.side(view).end
        {
            row.connection.id = super::tracked::connection_id(end, view);
        }
    }

    /// Moves the end of one row into another: they turned out to be one connection.
    fn absorb(&mut self, into: u64, from: u64, view: View) {
        let Some(mut gone) = self.rows.remove(&from) else { return };
        let Some(end) = gone.side_mut(view).end.take() else { return };
        self.removed.extend(gone.published);
        let id = end.id;
        if end.adopted {
            self.counts.adopted = self.counts.adopted.saturating_sub(1);
        } else {
            self.counts.opened = self.counts.opened.saturating_sub(1);
            self.counts.established = self.counts.established.saturating_sub(1);
        }
        self.counts.live = self.counts.live.saturating_sub(1);
        if let Some(row) = self.rows.get_mut(&into) {
            row.counted_established |= gone.counted_established;
            row.put(view, end);
            row.endings[slot(view)] = gone.endings[slot(view)];
            row.routes[slot(view)] = gone.routes[slot(view)];
            row.settle();
        }
        self.ends.insert(id, (into, view));
        for s in self.steps.iter_mut().filter(|s| s.key == from) {
            s.key = into;
        }
    }

    fn sample(&mut self, f: &SampleFact) {
        let Some(&(key, view)) = self.ends.get(&f.id) else {
            self.walk.stranger(f.id);
            return;
        };
        self.mark_met(key, view);
        self.traffic(key, view, f.at, f.seen);
        if let Some(row) = self.rows.get_mut(&key) {
            row.connection.changed = f.at;
        }
        self.touch(key);
    }

    /// Counts what moved since the last reading of an end.
    pub(super) fn traffic(&mut self, key: u64, view: View, at: BootNs, seen: Seen) {
        let Some(end) = self.rows.get_mut(&key).and_then(|r| r.end_mut(view)) else { return };
        if end.state >= EndState::Closed {
            return;
        }
        let before = std::mem::replace(&mut end.seen, seen);
        end.seen.srtt_us = seen.srtt_us.or(before.srtt_us);
        end.seen.min_rtt_us = seen.min_rtt_us.or(before.min_rtt_us);
        let step = Step::Traffic {
            sent: seen.bytes_sent.saturating_sub(before.bytes_sent),
            received: seen.bytes_received.saturating_sub(before.bytes_received),
            retransmits: seen.retransmits.saturating_sub(before.retransmits),
            srtt_us: seen.srtt_us,
        };
        if !matches!(step, Step::Traffic { sent: 0, received: 0, retransmits: 0, .. }) {
            self.step(at, key, view, step);
        }
    }

    fn listen(&mut self, f: ListenFact) {
        self.listeners.note_local(f.owner.netns, f.local.addr);
        let entity = self.entities.of_owner(&f.owner, f.local.addr);
        self.owner(&f.owner);
        self.walk.met_listener(f.id);
        self.listeners.open(f.id, f.owner.netns, f.local, entity);
        if self.config.capture {
            // There are no walks: who was met before it is looked at now.
            self.resolve_roles();
        }
    }

    pub(super) fn step(&mut self, at: BootNs, key: u64, view: View, step: Step) {
        self.steps.push_back(WaitingStep { at, key, view, step });
    }

    pub(super) fn touch(&mut self, key: u64) {
        if let Some(row) = self.rows.get_mut(&key)
            && !row.dirty
        {
            row.dirty = true;
            self.dirty.push(key);
        }
    }

    fn ended(&mut self, key: u64, at: BootNs, failed: bool) {
        self.over.push_back((at, key));
        // An end that is joined late may open a row again for a moment: count it once.
        if self.rows.get_mut(&key).is_some_and(|row| std::mem::replace(&mut row.counted_over, true)) {
            return;
        }
        if failed {
            self.counts.failed += 1;
        } else {
            self.counts.closed += 1;
        }
        self.counts.live = self.counts.live.saturating_sub(1);
    }

    pub(super) fn mark_met(&mut self, key: u64, view: View) {
        if let Some(row) = self.rows.get_mut(&key) {
            row.met[slot(view)] = true;
            row.missed[slot(view)] = false;
        }
    }

    /// An end that is gone without a trace: it closed, and its closing was lost.
    pub(super) fn vanish(&mut self, id: EndId, at: BootNs) {
        let Some(&(key, view)) = self.ends.get(&id) else { return };
        let Some(end) = self.rows.get(&key).and_then(|r| r.side(view).end.as_ref()) else { return };
        let moment = if end.state == EndState::Established {
            Moment::Closed(super::Ending::Unknown)
        } else {
            Moment::Failed(crate::model::Outcome::Unknown)
        };
        let fact = EndFact {
            id,
            at,
            moment,
            local: end.local,
            peer: end.peer,
            role: end.role,
            role_evidence: end.role_evidence,
            owner: OwnerFact { netns: end.owner.netns, ..OwnerFact::default() },
            adopted: end.adopted,
            isns: end.isns,
            opened: end.opened,
            established: end.established,
            seen: end.seen,
            route: None,
        };
        self.update(key, view, &fact);
    }

    /// Connections, each counted once.
    pub fn counts(&self) -> ConnectionCounts {
        self.counts
    }

    /// Connections that were not taken in because the table was full.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Ends that the last walk met and the table does not know: it has to be told again.
    pub fn wants_description(&mut self) -> bool {
        self.walk.take_strangers()
    }

    /// Entities that listen, with their ports, for names.
    pub fn listening(&self) -> impl Iterator<Item = (EntityId, u16)> {
        self.listeners.entities()
    }

    /// Live ends, for the cost shown.
    pub fn live_ends(&self) -> usize {
        self.ends.len()
    }
}
