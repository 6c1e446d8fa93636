//! The state of the UI: what was received and where the person is. Inputs change it ([`State::feed`],
//! and `act.rs` for keys and mouse); views only read it. It has no clock: time is an argument.

use std::sync::Arc;
use std::time::Duration;

use ratatui::layout::Rect;

use super::connections::Connections;
use super::edges::Edges;
use super::feed::{Feed, UiOptions, Want};
use super::looked::Looked;
use super::map::Map;
use super::pen::clean;
use super::requests::Requests;
use super::security::{Identities, Security};
use super::shown::Shown;
use super::theme::Theme;
use super::view::{Areas, Hits};
use crate::model::{ConnectionId, Entity, Event, Name, Status};
use crate::world::{EdgeId, Filter, FilterError, WorkloadId, World};

/// The views, as numbered on the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pane {
    /// Boxes and lines.
    #[default]
    Map,
    /// Table of edges.
    Edges,
    /// Single connections.
    Connections,
    /// Single requests.
    Requests,
    /// How connections are secured, and what is wrong with it.
    Security,
    /// The agent itself.
    Agent,
}

/// All views in their order.
pub const PANES: [Pane; 6] =
    [Pane::Map, Pane::Edges, Pane::Connections, Pane::Requests, Pane::Security, Pane::Agent];

impl Pane {
    /// Its name in the tab line.
    pub fn title(self) -> &'static str {
        match self {
            Pane::Map => "Map",
            Pane::Edges => "Edges",
            Pane::Connections => "Connections",
            Pane::Requests => "Requests",
            Pane::Security => "Security",
            Pane::Agent => "Agent",
        }
    }
}

/// What the detail shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// An edge.
    Edge(EdgeId),
    /// A workload.
    Workload(WorkloadId),
    /// A connection.
    Connection(ConnectionId),
    /// A request: the event itself, which the list may not keep as long.
    Request(Arc<Event>),
}

/// How the stream of slices does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// Dialling.
    #[default]
    Connecting,
    /// Streaming.
    Live,
    /// Broken: why, and when it is dialled again (milliseconds of the UI's clock).
    Lost {
        /// Why, in words.
        why: String,
        /// When.
        until_ms: u64,
    },
}

/// The filter line.
#[derive(Clone, Debug, Default)]
pub struct FilterLine {
    /// What was typed.
    pub text: String,
    /// Whether keys go there.
    pub editing: bool,
    /// The last text that could be understood.
    pub filter: Filter,
    /// Why the text cannot be understood.
    pub error: Option<FilterError>,
}

/// Longest filter, in bytes.
const FILTER_MAX: usize = 200;

impl FilterLine {
    /// Replaces the text.
    pub fn set(&mut self, text: &str) {
        self.text = text.chars().filter(|c| !c.is_control()).take(FILTER_MAX).collect();
        match Filter::parse(&self.text) {
            Ok(filter) => (self.filter, self.error) = (filter, None),
            Err(error) => self.error = Some(error),
        }
    }
}

/// The state.
#[derive(Debug, Default)]
pub struct State {
    /// Colours.
    pub theme: Theme,
    /// Only ASCII glyphs.
    pub ascii: bool,
    /// Seconds east of UTC.
    pub zone: Option<i32>,
    /// Everything that was received.
    pub world: World,
    /// What is shown of it.
    pub shown: Shown,
    /// The stream.
    pub link: Link,
    /// The agent.
    pub status: Option<Box<Status>>,
    /// What is watched, in words.
    pub scope: String,
    /// The view.
    pub pane: Pane,
    /// The detail beside or over it.
    pub detail: Option<Detail>,
    /// First line of the detail that is shown.
    pub detail_scroll: u16,
    /// Whether the help is open.
    pub help: bool,
    /// First line of the help that is shown.
    pub help_scroll: u16,
    /// Seconds that figures speak of.
    pub window_s: u64,
    /// It is a capture: nothing more will come.
    pub capture: bool,
    /// Slices that came since the person paused.
    pub paused: Option<u64>,
    /// The filter.
    pub filter: FilterLine,
    /// The map.
    pub map: Map,
    /// The table of edges.
    pub edges: Edges,
    /// The connections.
    pub connections: Connections,
    /// The requests.
    pub requests: Requests,
    /// The findings.
    pub security: Security,
    /// What the detail of an edge shows beside its row.
    pub looked: Option<Box<Looked>>,
    /// First line of the agent that is shown.
    pub agent_scroll: u16,
    /// A short message and when it goes (milliseconds).
    pub note: Option<(String, u64)>,
    /// The terminal.
    pub size: Rect,
    /// What was drawn where, for the mouse.
    pub hits: Hits,
    /// Milliseconds since the UI began.
    pub now_ms: u64,
    /// When the person last did something.
    pub touched_ms: u64,
    /// When the last slice came.
    pub heard_ms: u64,
    /// When the first edges came.
    pub(super) first_edges_ms: Option<u64>,
    /// Text for the clipboard, taken by the loop.
    pub copy: Option<String>,
    /// Whether to leave.
    pub quit: bool,
    /// Whether to suspend, taken by the loop.
    pub suspend: bool,
}

/// A note is shown for so long.
const NOTE_MS: u64 = 4_000;
/// Without a slice for so long the screen says so.
pub const SILENT_MS: u64 = 3_000;

impl State {
    /// At the start.
    pub fn new(options: &UiOptions) -> State {
        let mut state = State {
            theme: options.theme,
            ascii: options.ascii,
            zone: options.zone,
            scope: options.scope.clone(),
            capture: options.capture,
            window_s: options.window_s.clamp(10, 300),
            ..State::default()
        };
        state.filter.set(&options.filter);
        state
    }

    /// Takes one message of the feed.
    pub fn feed(&mut self, feed: Feed) {
        match feed {
            Feed::Connecting => self.link = Link::Connecting,
            Feed::Snapshot { node, scope, totals, history } => {
                self.scope.clone_from(&scope);
                if totals.agent != self.world.position().0 {
                    // Another run of the agent counts its events anew.
                    self.requests.forget();
                }
                self.world.reset(node, scope, totals, history);
                self.heard();
                // A snapshot replaces everything: a pause cannot outlive what it showed.
                self.paused = None;
                self.show();
            }
            Feed::Slice(slice) => {
                self.world.push(slice);
                self.heard();
                match &mut self.paused {
                    Some(behind) => *behind += 1,
                    None => self.show(),
                }
            }
            Feed::Gap(why) => self.note(format!("slices are missing: {}", clean(&why))),
            Feed::Disconnected { why, retry_in } => {
                let until_ms = self.now_ms.saturating_add(millis(retry_in));
                self.link = Link::Lost { why, until_ms };
            }
            Feed::Status(status) => self.status = Some(status),
            Feed::Connections { names, entities, list } => {
                self.learn(&names, &entities);
                self.connections.replace(list);
            }
            Feed::Names { names, entities } => self.learn(&names, &entities),
            Feed::Event(event) if event.request.is_some() => {
                self.requests.event(Arc::new(event), self.paused.is_some());
            }
            Feed::Event(event) => self.connections.event(event, self.paused.is_some()),
            Feed::MissedRequests(n) => self.requests.missed = self.requests.missed.saturating_add(n),
            Feed::Missed(n) => self.connections.missed = self.connections.missed.saturating_add(n),
        }
    }

    fn learn(&mut self, names: &[Name], entities: &[Entity]) {
        entities.iter().for_each(|e| self.world.names_mut().describe(e));
        names.iter().for_each(|n| self.world.names_mut().learn(n));
    }

    fn heard(&mut self) {
        self.link = Link::Live;
        self.heard_ms = self.now_ms;
    }

    /// Works out what is shown.
    pub fn show(&mut self) {
        self.shown = Shown::new(&self.world, self.window_s, self.zone, &self.shown);
        if let Some(Detail::Edge(id)) = &mut self.detail
            && let Some(new) = self.shown.renamed.get(id)
        {
            *id = new.clone();
        }
        if self.first_edges_ms.is_none() && !self.shown.edges.is_empty() {
            self.first_edges_ms = Some(self.now_ms);
        }
    }

    /// Tells the person something in the key line for a while.
    pub fn note(&mut self, text: String) {
        self.note = Some((text, self.now_ms + NOTE_MS));
    }

    /// Time passes; whether the screen has to be drawn for that alone.
    pub fn tick(&mut self, now_ms: u64) -> bool {
        let second = now_ms / 1000 != self.now_ms / 1000;
        self.now_ms = now_ms;
        let over = self.note.as_ref().is_some_and(|n| n.1 <= now_ms);
        if over {
            self.note = None;
        }
        let counting = matches!(self.link, Link::Lost { .. }) || self.silent_s().is_some();
        over || (second && counting)
    }

    /// Whether the agent sees only what sock_diag shows.
    pub fn is_limited(&self) -> bool {
        self.status.as_ref().is_some_and(|s| s.source == "sock_diag")
    }

    /// Seconds without a slice on a stream that should have brought some.
    pub fn silent_s(&self) -> Option<u64> {
        let silent = self.now_ms.saturating_sub(self.heard_ms);
        (self.link == Link::Live && silent > SILENT_MS).then_some(silent / 1000)
    }

    /// After inputs, before drawing: orders rows, lays out the map, keeps selections in view.
    pub fn settle(&mut self) {
        let areas = Areas::new(self);
        let quiet = self.now_ms.saturating_sub(self.touched_ms);
        if let (Some(area), Pane::Edges) = (areas.list, self.pane) {
            self.edges.settle(&self.shown, &self.filter.filter, self.now_ms, quiet, area.height);
        }
        if let (Some(area), Pane::Map) = (areas.list, self.pane) {
            let young = self.first_edges_ms.is_some_and(|t| self.now_ms.saturating_sub(t) < 6_000);
            let young = young && self.map.selected.is_none();
            self.map.settle(&self.shown, &self.filter.filter, areas.body, area, young);
        }
        if let (Some(area), Pane::Connections) = (areas.list, self.pane) {
            self.connections.settle(&self.filter.filter, self.world.names(), area.height);
        }
        if let (Some(area), Pane::Requests) = (areas.list, self.pane) {
            self.requests.settle(&self.filter.filter, self.world.names(), self.shown.now, area.height);
        }
        if let (Some(area), Pane::Security) = (areas.list, self.pane) {
            let (filter, names) = (&self.filter.filter, self.world.names());
            let identities = Identities::of(self.status.as_deref(), self.capture);
            self.security.settle((&self.shown, &self.connections), identities, filter, names, area);
        }
        self.look();
    }

    /// Looks closely at the edge whose detail is open: when it is opened, and with each slice.
    fn look(&mut self) {
        let Some(Detail::Edge(id)) = &self.detail else {
            self.looked = None;
            return;
        };
        let Some(edge) = self.shown.edge(id) else { return };
        if self.looked.as_ref().is_none_or(|l| !l.is_of(id, self.shown.now, self.window_s)) {
            let at_hand = (&self.requests, &self.connections);
            self.looked =
                Some(Box::new(Looked::new(&self.world, edge, at_hand, self.shown.now, self.window_s)));
        }
    }

    /// What has to be streamed for what is looked at.
    pub fn wants(&self) -> [Want; 4] {
        let connections = match &self.detail {
            _ if matches!(self.pane, Pane::Connections | Pane::Security) => true,
            Some(Detail::Connection(_)) => true,
            // Why its connections are as secure as they are.
            Some(Detail::Edge(id)) => self.shown.edge(id).is_some_and(|e| e.secured.is_some()),
            _ => false,
        };
        // Of a capture the header says whether it is whole.
        let agent = self.pane == Pane::Agent || self.capture;
        let (requests, port) = match &self.detail {
            _ if self.pane == Pane::Requests => (true, None),
            // Its slowest and failed ones.
            Some(Detail::Edge(id)) if self.shown.edge(id).is_some_and(|e| e.requests > 0) => {
                (true, Some(id.port))
            }
            _ => (false, None),
        };
        [
            Want::Connections { on: connections },
            Want::Events { on: connections },
            Want::Requests { on: requests, port },
            Want::Status { on: agent },
        ]
    }
}

fn millis(d: Duration) -> u64 {
    d.as_millis().try_into().unwrap_or(u64::MAX)
}
