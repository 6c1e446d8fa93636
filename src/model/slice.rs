//! The unit that is streamed, merged, recorded, replayed and diffed: one interval of one agent.

use std::net::IpAddr;

use super::{
    AgentInstance, Asked, BootNs, Entity, EntityId, Hist, Name, Outcome, Security, Transport, UtcOffset, View,
};

/// Who talks to whom, at which dialled address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeKey {
    /// Client.
    pub client: EntityId,
    /// Server.
    pub server: EntityId,
    /// Server address as dialled; the unspecified address where far servers were folded.
    pub addr: IpAddr,
    /// Server port as dialled.
    pub port: u16,
    /// Transport.
    pub transport: Transport,
    /// Whether the roles are known (else the lower port stands as the server).
    pub role_known: bool,
}

/// Counters of one edge from one end's view, as deltas over the slice; `open` is a gauge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections begun.
    pub opened: u64,
    /// Handshakes done.
    pub established: u64,
    /// Closed after having been established.
    pub closed: u64,
    /// Found open.
    pub adopted: u64,
    /// Ends of connections by outcome (see [`Outcome::index`]), clean ones too.
    pub outcomes: [u64; 12],
    /// Payload bytes to the server.
    pub bytes_to_server: u64,
    /// Payload bytes to the client.
    pub bytes_to_client: u64,
    /// Segments retransmitted by this end.
    pub retransmits: u64,
    /// Open at the end of the slice.
    pub open: u64,
    /// SYN to ESTABLISHED, microseconds, client's view only.
    pub connect_us: Hist,
    /// Smoothed round-trip times read in the slice, microseconds.
    pub srtt_us: Hist,
    /// Requests and turns, where any were seen.
    pub asked: Option<Box<Asked>>,
    /// Connections by their security, where it was looked at.
    pub secured: Option<Box<Secured>>,
}

/// Connections by their security, at [`Security::index`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Secured {
    /// Open at the end of the slice.
    pub open: [u64; 8],
    /// Closed after having been established.
    pub closed: [u64; 8],
}

impl Secured {
    /// Adds what came in a later interval: the gauge is replaced.
    pub fn merge_later(&mut self, later: &Secured) {
        self.open = later.open;
        for (a, b) in self.closed.iter_mut().zip(&later.closed) {
            *a = a.saturating_add(*b);
        }
    }

    /// Connections of this kind in the interval.
    pub fn of(&self, security: Security) -> u64 {
        self.open[security.index()].saturating_add(self.closed[security.index()])
    }
}

impl Counters {
    /// Ends that count as failures, of this outcome.
    pub fn failed(&self, outcome: Outcome) -> u64 {
        if outcome.is_failure() { self.outcomes[outcome.index()] } else { 0 }
    }

    /// All failures.
    pub fn failures(&self) -> u64 {
        super::OUTCOMES.iter().fold(0, |sum, &o| sum.saturating_add(self.failed(o)))
    }

    /// Adds what came in a later interval: deltas add, the gauge is replaced. Saturates: the counts
    /// may come from a peer.
    pub fn merge_later(&mut self, later: &Counters) {
        self.merge_later_counts(later);
        self.connect_us.merge(&later.connect_us);
        self.srtt_us.merge(&later.srtt_us);
        if let Some(asked) = &later.asked {
            self.asked_mut().merge(asked);
        }
    }

    /// [`Counters::merge_later`] without histograms, requests and turns.
    pub fn merge_later_counts(&mut self, later: &Counters) {
        self.opened = self.opened.saturating_add(later.opened);
        self.established = self.established.saturating_add(later.established);
        self.closed = self.closed.saturating_add(later.closed);
        self.adopted = self.adopted.saturating_add(later.adopted);
        for (a, b) in self.outcomes.iter_mut().zip(&later.outcomes) {
            *a = a.saturating_add(*b);
        }
        self.bytes_to_server = self.bytes_to_server.saturating_add(later.bytes_to_server);
        self.bytes_to_client = self.bytes_to_client.saturating_add(later.bytes_to_client);
        self.retransmits = self.retransmits.saturating_add(later.retransmits);
        self.open = later.open;
        match (&mut self.secured, &later.secured) {
            (Some(s), Some(later)) => s.merge_later(later),
            (None, Some(later)) => self.secured = Some(later.clone()),
            // Nothing is open any more.
            (Some(s), None) => s.open = [0; 8],
            (None, None) => {}
        }
    }

    /// Requests and turns, made if absent.
    pub fn asked_mut(&mut self) -> &mut Asked {
        self.asked.get_or_insert_default()
    }

    /// Whether nothing happened and nothing is open.
    pub fn is_idle(&self) -> bool {
        *self == Counters::default()
    }
}

/// One edge in one slice. Both views are kept apart; nothing ever adds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeSlice {
    /// Which edge.
    pub key: EdgeKey,
    /// As client ends saw it.
    pub by_client: Option<Counters>,
    /// As server ends saw it.
    pub by_server: Option<Counters>,
}

impl EdgeSlice {
    /// An edge with nothing counted yet.
    pub fn new(key: EdgeKey) -> Self {
        EdgeSlice { key, by_client: None, by_server: None }
    }

    /// The view that is shown: the client's, else the server's, and which.
    pub fn shown(&self) -> Option<(View, &Counters)> {
        match (&self.by_client, &self.by_server) {
            (Some(c), _) => Some((View::Client, c)),
            (None, Some(c)) => Some((View::Server, c)),
            (None, None) => None,
        }
    }

    /// The counters of one view, made if absent.
    pub fn view_mut(&mut self, view: View) -> &mut Counters {
        match view {
            View::Client => self.by_client.get_or_insert_default(),
            View::Server => self.by_server.get_or_insert_default(),
        }
    }
}

/// What kind of observation was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum LossKind {
    /// Opening, establishing or closing of an end.
    State = 1,
    /// A periodic reading of a live end; the next one makes up for it.
    Sample = 2,
    /// An event that a slow viewer missed.
    Event = 3,
    /// A captured piece of what was said: the exchanges in it were missed.
    Exchange = 4,
    /// Latencies of turns.
    Turn = 5,
    /// A datagram that found no room for its conversation: its bytes are not counted.
    Datagram = 6,
}

impl LossKind {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            LossKind::State => "state",
            LossKind::Sample => "sample",
            LossKind::Event => "event",
            LossKind::Exchange => "exchange",
            LossKind::Turn => "turn",
            LossKind::Datagram => "datagram",
        }
    }

    /// The kind of a wire number.
    pub fn from_number(n: u8) -> Option<Self> {
        use LossKind::{Datagram, Event, Exchange, Sample, State, Turn};
        [State, Sample, Event, Exchange, Turn, Datagram].into_iter().find(|k| *k as u8 == n)
    }
}

/// Where and why something was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Cause {
    /// A ring between kernel and agent was full.
    RingFull = 1,
    /// The kernel had no memory for a socket's storage.
    NoStorage = 2,
    /// A table was full: in the agent its oldest row was given up, in the kernel there was no room.
    TableFull = 3,
    /// The viewer did not keep up.
    SlowViewer = 4,
    /// A watched cgroup was gone for a while.
    Blind = 5,
    /// The agent's processor budget was used up.
    Budget = 6,
    /// It belongs to no connection that is known.
    NoConnection = 7,
}

impl Cause {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::RingFull => "ring-full",
            Cause::NoStorage => "no-storage",
            Cause::TableFull => "table-full",
            Cause::SlowViewer => "slow-viewer",
            Cause::Blind => "blind",
            Cause::Budget => "budget",
            Cause::NoConnection => "no-connection",
        }
    }

    /// The cause of a wire number.
    pub fn from_number(n: u8) -> Option<Self> {
        use Cause::{Blind, Budget, NoConnection, NoStorage, RingFull, SlowViewer, TableFull};
        [RingFull, NoStorage, TableFull, SlowViewer, Blind, Budget, NoConnection]
            .into_iter()
            .find(|k| *k as u8 == n)
    }
}

/// One row of a loss table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossRow {
    /// What was lost.
    pub kind: LossKind,
    /// Where and why.
    pub cause: Cause,
    /// How many.
    pub count: u64,
}

/// What was not seen, by kind and place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loss(pub Vec<LossRow>);

impl Loss {
    /// Adds to one row; zero adds nothing.
    pub fn add(&mut self, kind: LossKind, cause: Cause, count: u64) {
        if count == 0 {
            return;
        }
        match self.0.iter_mut().find(|r| r.kind == kind && r.cause == cause) {
            Some(row) => row.count = row.count.saturating_add(count),
            None => self.0.push(LossRow { kind, cause, count }),
        }
    }

    /// Adds another table.
    pub fn merge(&mut self, other: &Loss) {
        for r in &other.0 {
            self.add(r.kind, r.cause, r.count);
        }
    }

    /// What was lost after an earlier reading of the same table.
    pub fn after(&self, before: &Loss) -> Loss {
        let mut out = Loss::default();
        for r in &self.0 {
            let was = before.0.iter().find(|b| b.kind == r.kind && b.cause == r.cause).map_or(0, |b| b.count);
            out.add(r.kind, r.cause, r.count.saturating_sub(was));
        }
        out
    }

    /// All kinds together.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, r| sum.saturating_add(r.count))
    }
}

/// Exact per-CPU counts of the kernel side for one role: right even when events are lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndCounts {
    /// Ends begun.
    pub opened: u64,
    /// Handshakes done.
    pub established: u64,
    /// Never established.
    pub failed: u64,
    /// Closed after having been established.
    pub closed: u64,
    /// Found open.
    pub adopted: u64,
}

/// Totals of ends by role, since the agent started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Client ends.
    pub client: EndCounts,
    /// Server ends.
    pub server: EndCounts,
    /// Ends whose role is not known.
    pub unknown: EndCounts,
}

/// One interval of one agent. Sealed shortly after its end, never amended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// Which run of which agent.
    pub agent: AgentInstance,
    /// Counts up from 1 within the instance, over 1 s slices; a merged slice has its last part's.
    pub sequence: u64,
    /// Start, boot clock.
    pub start: BootNs,
    /// Length in nanoseconds.
    pub length_ns: u64,
    /// Wall time's offset when it was sealed.
    pub utc: UtcOffset,
    /// Edges that changed or have connections open.
    pub edges: Vec<EdgeSlice>,
    /// Entities first used in this slice.
    pub entities: Vec<Entity>,
    /// Names learnt in this slice.
    pub names: Vec<Name>,
    /// What was lost in it.
    pub loss: Loss,
    /// Observations that belong to an earlier, already sealed slice.
    pub late: u64,
    /// Agent's own processor time in the interval, nanoseconds.
    pub cpu_ns: u64,
}

impl Slice {
    /// First instant after the slice.
    pub fn end(&self) -> BootNs {
        BootNs(self.start.0.saturating_add(self.length_ns))
    }
}
