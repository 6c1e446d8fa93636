//! Requests: single ones as they are answered, the newest at the bottom. Selecting one stops
//! following: the list then stays as it is, and what comes meanwhile waits.
//!
//! ```text
//!  TIME           CLIENT → SERVER      PROTO     REQUEST                 STATUS          LATENCY       OUT        IN
//!  14:03:01.042   web → api:8080       http      GET /orders/{id}          200         8.20 ms c     480 B   2.60 kB
//!  14:03:01.050   api → stock:9002     grpc      POST /stock.Stock/Get   × UNAVAILABLE 1.20 ms c     120 B       0 B
//!  14:03:01.061   api → cache:6379     redis     BLPOP                     ok              wait       64 B      90 B
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use ratatui::layout::Rect;

use super::figures;
use super::pen::Pen;
use super::state::{Link, State};
use super::theme::Role;
use super::view::{Hit, Hits};
use crate::model::{BootNs, EdgeKey, Event, Request, Shape, Unheard, Verdict, View};
use crate::world::{Filter, NameTable, Subject};

/// Requests that are kept: beyond it the oldest go first.
pub const KEPT: usize = 2_000;

/// A request in the list.
#[derive(Debug)]
struct Row {
    event: Arc<Event>,
    /// Whether the filter lets it pass, as of this round.
    passes: bool,
    round: u64,
}

/// State of the view.
#[derive(Debug, Default)]
pub struct Requests {
    /// Requests that were not sent because this viewer was too slow.
    pub missed: u64,
    /// Number of the selected one; without a selection the view stays at the newest.
    selected: Option<u64>,
    /// By rising number.
    rows: VecDeque<Row>,
    /// What came while following was stopped.
    waiting: VecDeque<Arc<Event>>,
    /// How many came, also beyond what is kept of them.
    waited: u64,
    /// Places in `rows` of those that the filter lets pass.
    visible: Vec<usize>,
    filter: Filter,
    looked: BootNs,
    round: u64,
    scroll: usize,
    height: usize,
}

impl Requests {
    /// One was answered; while the list stands still it waits.
    pub fn event(&mut self, event: Arc<Event>, paused: bool) {
        if !paused && self.selected.is_none() {
            return self.put(event);
        }
        self.waited += 1;
        self.waiting.push_back(event);
        if self.waiting.len() > KEPT {
            self.waiting.pop_front();
        }
    }

    /// Nothing that is known is of this run of the agent.
    pub fn forget(&mut self) {
        *self = Requests { height: self.height, ..Requests::default() };
    }

    /// A stream that is opened again tells some requests twice, and some that are older.
    fn put(&mut self, event: Arc<Event>) {
        let row = |event| Row { event, passes: true, round: 0 };
        match self.rows.back().map(|r| r.event.sequence) {
            Some(last) if event.sequence <= last => {
                let at = self.rows.binary_search_by_key(&event.sequence, |r| r.event.sequence);
                if let (Err(at), true) = (at, self.rows.len() < KEPT) {
                    self.rows.insert(at, row(event));
                }
            }
            _ => self.rows.push_back(row(event)),
        }
        if self.rows.len() > KEPT {
            self.rows.pop_front();
        }
    }

    /// What waited is shown, unless the person looks at one.
    pub fn resume(&mut self) {
        if self.selected.is_none() {
            self.waited = 0;
            for event in std::mem::take(&mut self.waiting) {
                self.put(event);
            }
        }
    }

    /// Stays at the newest again.
    pub fn follow(&mut self, paused: bool) {
        self.selected = None;
        if !paused {
            self.resume();
        }
    }

    /// Takes over filter and height.
    pub fn settle(&mut self, filter: &Filter, names: &NameTable, now: BootNs, height: u16) {
        // Names may be learnt later: looked at again each second, not with each frame.
        if self.filter != *filter || self.looked != now {
            self.filter.clone_from(filter);
            self.looked = now;
            self.round += 1;
        }
        self.visible.clear();
        for (i, row) in self.rows.iter_mut().enumerate() {
            if row.round != self.round {
                row.round = self.round;
                row.passes = passes(&row.event, filter, names);
            }
            if row.passes {
                self.visible.push(i);
            }
        }
        self.height = usize::from(height.saturating_sub(2)).max(1);
        let end = self.visible.len().saturating_sub(self.height);
        match self.place() {
            Some(at) => {
                self.scroll = self.scroll.clamp((at + 1).saturating_sub(self.height), at).min(end);
            }
            None => self.scroll = end,
        }
    }

    /// Where the selected one stands among the visible ones; the filter may hide it.
    fn place(&self) -> Option<usize> {
        let number = self.selected?;
        self.visible.iter().position(|i| self.rows.get(*i).is_some_and(|r| r.event.sequence == number))
    }

    /// Moves the selection; whether it went beyond the newest, which follows again.
    #[must_use]
    pub fn step(&mut self, by: isize) -> bool {
        let last = self.visible.len().saturating_sub(1);
        let next = match self.place() {
            Some(i) if i == last && by > 0 => return true,
            Some(i) => (i as isize).saturating_add(by).clamp(0, last as isize) as usize,
            // At the newest already.
            None if by > 0 => return true,
            None if by == isize::MIN => 0,
            None => (last as isize).saturating_add(by + 1).max(0) as usize,
        };
        self.selected = self.at(next).map(|e| e.sequence);
        false
    }

    fn at(&self, place: usize) -> Option<&Arc<Event>> {
        Some(&self.rows.get(*self.visible.get(place)?)?.event)
    }

    /// Selects one; whether it was selected already.
    pub fn select(&mut self, number: u64) -> bool {
        self.selected.replace(number) == Some(number)
    }

    /// The selected one.
    pub fn selected(&self) -> Option<Arc<Event>> {
        let at = self.rows.binary_search_by_key(&self.selected?, |r| r.event.sequence).ok()?;
        self.rows.get(at).map(|r| r.event.clone())
    }

    /// The kept requests on these edges, oldest first.
    pub fn of<'a>(&'a self, keys: &'a [EdgeKey]) -> impl Iterator<Item = &'a Arc<Event>> {
        let is_of = |e: &Event| {
            let c = &e.connection;
            let of = (c.client.entity, c.server.entity, c.server.address.port);
            keys.iter().any(|k| of == (k.client, k.server, k.port))
        };
        self.rows.iter().map(|r| &r.event).filter(move |e| is_of(e))
    }
}

fn passes(event: &Event, filter: &Filter, names: &NameTable) -> bool {
    let Some(r) = event.request.as_ref().filter(|_| !filter.is_empty()) else { return true };
    let c = &event.connection;
    let (client, server) = (names.workload(c.client.entity).id.name, names.workload(c.server.entity).id.name);
    let (client_at, server_at) = (c.client.address.to_string(), c.server.address.to_string());
    let (status, target) = (r.status.as_deref().unwrap_or(""), r.target.as_deref().unwrap_or(""));
    filter.matches(&Subject {
        client: &[&client, &client_at],
        server: &[&server, &server_at],
        asked: &[r.protocol.as_str(), &r.method, target, status],
        protocols: &[r.protocol],
        port: c.server.address.port,
        failing: r.verdict == Verdict::Error,
        idle: false,
    })
}

/// Whether a target says its method itself.
pub fn begins(target: &str, method: &str) -> bool {
    target.get(..method.len()).is_some_and(|start| start.eq_ignore_ascii_case(method))
}

/// `GET /orders/{id}`; `?` where it is not known about what.
pub fn what(r: &Request) -> String {
    match (&r.target, &r.target_unknown) {
        // A statement begins with its verb.
        (Some(target), _) if begins(target, &r.method) => target.to_string(),
        (Some(target), _) => format!("{} {target}", r.method),
        (None, Some(_)) => format!("{} ?", r.method),
        (None, None) => r.method.to_string(),
    }
}

/// Status with the sign of its verdict, and how that is meant.
pub fn status(r: &Request) -> (String, Role) {
    let status = match (&r.status, r.verdict) {
        (Some(status), _) => status,
        (None, Verdict::Unknown) => "?",
        (None, verdict) => verdict.as_str(),
    };
    match r.verdict {
        Verdict::Error => (format!("× {status}"), Role::Bad),
        Verdict::ClientError => (format!("! {status}"), Role::Warn),
        Verdict::Unknown => (format!("  {status}"), Role::Muted),
        Verdict::Ok => (format!("  {status}"), Role::Ok),
    }
}

/// Latency with a letter for whose view it is; a word where there is none to be told.
pub fn latency(r: &Request) -> String {
    match r.shape {
        Shape::Unary => match r.shown() {
            Some((view, t)) => match t.latency_us() {
                Some(us) => format!("{} {}", figures::micros(us), letter(view)),
                None if t.answered.known().is_none() => "no answer".to_owned(),
                None => format!("{}  ", figures::NONE),
            },
            None => format!("{}  ", figures::NONE),
        },
        other => format!("{}  ", other.as_str()),
    }
}

fn letter(view: View) -> char {
    match view {
        View::Client => 'c',
        View::Server => 's',
    }
}

/// `web → api:8080`.
pub fn place(event: &Event, names: &NameTable) -> String {
    let c = &event.connection;
    let arrow = if c.role_known { "→" } else { "?→" };
    let (client, server) = (names.workload(c.client.entity).id, names.workload(c.server.entity).id);
    format!("{} {arrow} {}:{}", client.bare(), server.bare(), c.server.address.port)
}

/// For the clipboard.
pub fn words(event: &Event, names: &NameTable) -> String {
    let Some(r) = &event.request else { return place(event, names) };
    format!("{}  {} {}  {}", place(event, names), r.protocol.as_str(), what(r), status(r).0.trim())
}

/// Draws the list.
pub fn draw(state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
    let view = &state.requests;
    if view.visible.is_empty() {
        return empty(state, pen);
    }
    let (names, clock) = (state.world.names(), &state.shown.clock);
    let width = pen.area.width;
    // What fixed columns leave goes to the request and to the names, two parts to one.
    let (protocol, bytes) = (width >= 96, width >= 116);
    let status_width = match width {
        140.. => 20,
        72.. => 13,
        _ => 11,
    };
    let time_width = if width >= 72 { 13 } else { 9 };
    let fixed = 1 + time_width + 1 + status_width + 1 + 9 + 1;
    let fixed = fixed + if protocol { 10 } else { 0 } + if bytes { 18 } else { 0 };
    let left = width.saturating_sub(fixed + 2);
    let place_width = (left / 2).min(16 + left / 5);
    let columns: [(&str, u16, bool); 8] = [
        ("TIME", time_width, false),
        ("CLIENT → SERVER", place_width, false),
        ("PROTO", if protocol { 9 } else { 0 }, false),
        ("REQUEST", left.saturating_sub(place_width), false),
        ("STATUS", status_width, false),
        ("LATENCY  ", 9, true),
        ("OUT", if bytes { 8 } else { 0 }, true),
        ("IN", if bytes { 8 } else { 0 }, true),
    ];
    let mut x = 1;
    for (title, w, right) in columns {
        if w > 0 {
            // The sign of the verdict stands before it.
            let title = if title == "STATUS" { "  STATUS" } else { title };
            pen.cell(x, 0, w, title, Role::Muted, right);
            x += w + 1;
        }
    }
    for (row, place_in_list) in (view.scroll..view.visible.len()).take(view.height).enumerate() {
        let Some((event, r)) = view.at(place_in_list).and_then(|e| Some((e, e.request.as_ref()?))) else {
            continue;
        };
        let y = row as u16 + 1;
        let (status, role) = status(r);
        let time = latency(r);
        let timed = if r.shape == Shape::Unary { Role::Text } else { Role::Muted };
        let late = if time.starts_with("no ") { role } else { timed };
        let size = |n: u64| figures::bytes(n);
        let cells: [(String, Role); 8] = [
            (if width >= 72 { clock.millis(event.at) } else { clock.time(event.at) }, Role::Muted),
            (place(event, names), Role::Strong),
            (r.protocol.as_str().to_owned(), Role::Muted),
            (what(r), Role::Text),
            (status, role),
            (time, late),
            (size(r.request_bytes), Role::Muted),
            (size(r.response_bytes), Role::Muted),
        ];
        let mut x = 1;
        for ((_, w, right), (text, role)) in columns.into_iter().zip(cells) {
            if w > 0 {
                pen.cell(x, y, w, &text, role, right);
                x += w + 1;
            }
        }
        let line = Rect { x: 0, y, width, height: 1 };
        if view.selected == Some(event.sequence) {
            pen.restyle(line, Role::Selected);
        }
        hits.add(Rect { x: pen.area.x, y: pen.area.y + y, ..line }, Hit::Request(event.sequence));
    }
    let (words, role) = foot(state);
    pen.put(1, pen.area.height.saturating_sub(1), width.saturating_sub(2), &words, role);
}

/// Whether the list follows, what waits, what was missed.
fn foot(state: &State) -> (String, Role) {
    let view = &state.requests;
    let mut parts = Vec::new();
    if view.missed > 0 {
        parts.push(format!("{} missed, this viewer was too slow", figures::count(view.missed)));
    }
    if view.waited > 0 {
        let kept = if view.waited > KEPT as u64 { " (the last 2000 are kept)" } else { "" };
        parts.push(format!("{} newer wait{kept}", figures::count(view.waited)));
    }
    parts.push(match view.selected {
        None if state.paused.is_some() => "paused · Space goes on".to_owned(),
        None => "▼ following the newest · ↑ stops and selects".to_owned(),
        Some(_) => "following stopped · G follows again · Enter opens".to_owned(),
    });
    parts.push(format!("{} of at most {KEPT} kept", view.visible.len()));
    (parts.join(" · "), if view.missed > 0 { Role::Warn } else { Role::Muted })
}

/// Says why there is no request, and what to do.
fn empty(state: &State, pen: &mut Pen<'_>) {
    if state.link != Link::Live || !state.filter.filter.is_empty() {
        return super::view::empty(state, pen, "requests");
    }
    let off = state.status.as_ref().and_then(|s| s.unheard());
    let timed = state.shown.edges.iter().any(|e| e.latency.is_some());
    let decoded = state.shown.request_rate.is_some();
    let (first, second) = match off {
        _ if state.is_limited() => (
            "sock_diag shows connections only: what is said on them is not seen.".to_owned(),
            "sudo webb sees requests.".to_owned(),
        ),
        Some(Unheard { unseen, why, advice }) if !decoded => {
            let what = if unseen { "cannot be seen here" } else { "are not decoded" };
            let advice = if advice.is_empty() { "6 shows what the agent sees and what not." } else { advice };
            (format!("Requests {what}: {why}."), advice.to_owned())
        }
        _ if decoded && state.capture => {
            ("No request can be shown one by one.".to_owned(), "The edges (2) count all of them.".to_owned())
        }
        _ if decoded => (
            "No request was answered since this view was opened.".to_owned(),
            "They appear here as they are answered; the edges (2) count all of them.".to_owned(),
        ),
        _ if timed => (
            "No protocol that can be decoded was seen: traffic is encrypted, or unknown.".to_owned(),
            "The edges (2) show how long answers take all the same, marked t.".to_owned(),
        ),
        _ if state.capture => (
            "No request was found in this capture.".to_owned(),
            "The edges (2) show who talks to whom; 6 shows how the file was read.".to_owned(),
        ),
        _ => (
            "No request was seen yet.".to_owned(),
            "They appear here as they are answered; 6 shows what the agent watches.".to_owned(),
        ),
    };
    super::view::say(pen, &first, &second);
}
