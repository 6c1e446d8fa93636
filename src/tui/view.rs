//! The frame around all views, and which view is drawn where.
//!
//! ```text
//!  webb  demo · 8 workloads · 11 edges · last 60 s   312 conn/s  1.93k req/s  err 0.8 %  p99 41 ms  ● live
//!  1 Map  2 Edges  3 Connections  4 Requests  5 Security  6 Agent                    / type to filter
//!  (the view; the detail beside it from 120 columns on, else over it)
//!  ? help  Enter open  Tab view  / filter  s sort  Space pause  w window  t theme  q quit
//! ```
//!
//! [`draw`] is a pure function of the state into a buffer.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::pen::{Pen, clean, columns, to_ascii, wrapped};
use super::security::FindingId;
use super::shown::{Shown, Trouble};
use super::state::{Detail, Link, PANES, Pane, State};
use super::theme::Role;
use super::{agent, connections, detail, edges, figures, help, keys, map, requests, security};
use crate::model::{ConnectionId, Hook, HookState, Status};
use crate::world::{EdgeId, Timed, WorkloadId};

/// Smallest terminal in which anything but a sentence is drawn.
pub const SMALLEST: (u16, u16) = (40, 10);
/// Below this width the header is short.
const COMPACT: u16 = 72;
/// From this width on the detail stands beside the view.
const BESIDE: u16 = 120;

/// What lies under the mouse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hit {
    /// A tab.
    Tab(Pane),
    /// The filter.
    Filter,
    /// Live or paused.
    Pause,
    /// The window.
    Window,
    /// What closes the detail.
    Close,
    /// A column's title.
    Column(edges::Column),
    /// An edge.
    Edge(EdgeId),
    /// A box.
    Node(WorkloadId),
    /// A connection.
    Connection(ConnectionId),
    /// A request, by its number.
    Request(u64),
    /// A finding.
    Finding(FindingId),
}

/// What was drawn where; the last one added lies on top.
#[derive(Clone, Debug, Default)]
pub struct Hits(Vec<(Rect, Hit)>);

impl Hits {
    /// Adds a rectangle of the screen.
    pub fn add(&mut self, area: Rect, hit: Hit) {
        self.0.push((area, hit));
    }

    /// What lies at a position.
    pub fn at(&self, at: Position) -> Option<&Hit> {
        self.0.iter().rev().find(|(r, _)| r.contains(at)).map(|(_, h)| h)
    }
}

/// Parts of the screen.
#[derive(Clone, Copy, Debug)]
pub struct Areas {
    /// Between tab line and key line.
    pub body: Rect,
    /// The view; `None` while the detail covers it.
    pub list: Option<Rect>,
    /// The detail.
    pub detail: Option<Rect>,
}

impl Areas {
    /// For a state.
    pub fn new(state: &State) -> Areas {
        let s = state.size;
        let body = Rect { y: s.y + 2.min(s.height), height: s.height.saturating_sub(3), ..s };
        match &state.detail {
            None => Areas { body, list: Some(body), detail: None },
            Some(_) if s.width < BESIDE => Areas { body, list: None, detail: Some(body) },
            Some(_) => {
                let width = (s.width / 2).min(if s.width < 180 { 76 } else { 90 });
                let list = Rect { width: s.width - width, ..body };
                let detail = Rect { x: s.x + list.width, width, ..body };
                Areas { body, list: Some(list), detail: Some(detail) }
            }
        }
    }
}

/// Draws everything; what was drawn where is for the mouse.
pub fn draw(state: &State, buf: &mut Buffer) -> Hits {
    let mut hits = Hits::default();
    let size = state.size.intersection(buf.area);
    let mut pen = Pen::new(buf, state.theme, size);
    if size.width < SMALLEST.0 || size.height < SMALLEST.1 {
        let text =
            format!("webb needs {}x{}, this is {}x{}", SMALLEST.0, SMALLEST.1, size.width, size.height);
        pen.text(0, size.height / 2, &text, Role::Text);
        if state.ascii {
            to_ascii(buf);
        }
        return hits;
    }
    header(state, &mut pen, &mut hits);
    tabs(state, &mut pen, &mut hits);
    key_line(state, &mut pen);
    let areas = Areas::new(state);
    if let Some(area) = areas.list {
        let mut pen = pen.within(area);
        match state.pane {
            Pane::Map => map::draw(state, &mut pen, &mut hits),
            Pane::Edges => edges::draw(state, &mut pen, &mut hits),
            Pane::Connections => connections::draw(state, &mut pen, &mut hits),
            Pane::Requests => requests::draw(state, &mut pen, &mut hits),
            Pane::Security => security::draw(state, &mut pen, &mut hits),
            Pane::Agent => agent::draw(state, &mut pen),
        }
    }
    if let (Some(area), Some(what)) = (areas.detail, &state.detail) {
        let mut pen = pen.within(area);
        pen.clear();
        // Nothing that the view drew can be clicked through it.
        hits.0.retain(|(r, _)| r.intersection(area).is_empty());
        let title = match what {
            Detail::Edge(_) => "Edge",
            Detail::Workload(_) => "Workload",
            Detail::Connection(_) => "Connection",
            Detail::Request(_) => "Request",
        };
        let inside = pen.frame(title, Role::Muted);
        let close = " Esc closes ";
        if area.width > 30 {
            pen.right(0, 0, area.width - 2, close, Role::Muted);
            let at = Rect::new(area.right() - 2 - columns(close), area.y, columns(close), 1);
            hits.add(at, Hit::Close);
        }
        let more = detail::draw(state, what, &mut pen.within(inside));
        if more && area.width > 30 {
            pen.right(0, area.height - 1, area.width - 2, " ▼ more: PgDn ", Role::Muted);
        }
    }
    if state.help {
        help::draw(state, &mut pen.within(areas.body));
    }
    if state.ascii {
        to_ascii(buf);
    }
    hits
}

/// `webb  demo · 8 workloads · 11 edges · last 60 s` and on the right what matters most.
fn header(state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
    let shown = &state.shown;
    let width = pen.area.width;
    if width < COMPACT {
        return compact_header(state, pen, hits);
    }
    let (live, live_role) = liveness(state);
    let live_width = columns(&live).min(width);
    pen.right(0, 0, width.saturating_sub(1), &live, live_role);
    let at = (width.saturating_sub(1 + live_width), live_width);
    hits.add(Rect::new(pen.area.x + at.0, pen.area.y, at.1, 1), Hit::Pause);

    // Figures from the right, the most important last to be left out; fixed widths: nothing jumps.
    let (lost, lost_total) = shown.loss;
    let loss = if lost_total > lost && lost == 0 {
        format!("loss 0 ({} before)", figures::count(lost_total))
    } else {
        format!("loss {}", figures::count(lost))
    };
    let (failed, tried) = shown.failures;
    let (time, time_width, time_rank) = match (shown.latency, shown.connect.quantile(0.99)) {
        (Some(l), _) if l.timed == Timed::Requests => (format!("p99 {}", figures::micros(l.p99)), 11, 1),
        (Some(l), _) => (format!("turn p99 {}", figures::micros(l.p99)), 16, 2),
        (None, Some(us)) => (format!("connect p99 {}", figures::micros(us)), 20, 2),
        (None, None) => (String::new(), 0, 3),
    };
    let requests = shown.request_rate.map_or_else(String::new, |r| {
        format!("{} req/s", figures::at_least(figures::sig3(r), shown.incomplete))
    });
    // Where requests are known they say more than connections.
    let connections_rank = if shown.request_rate.is_some() { 2 } else { 0 };
    let figures = [
        (format!("{} conn/s", figures::sig3(shown.rate)), 12, Role::Text, connections_rank),
        (requests, 12, Role::Text, 0u8),
        (format!("err {}", figures::share(failed, tried)), 10, err_role(shown), 0),
        (time, time_width, Role::Text, time_rank),
        (loss, 8, loss_role(shown), 1),
    ];
    let label = if state.scope.is_empty() { "connecting" } else { &state.scope };
    let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let window = format!("last {}", figures::age(state.window_s * 1_000_000_000));
    let counts = [
        (label.to_owned(), 0u8),
        (plural(shown.nodes.len(), "workload"), 3),
        (plural(shown.edges.len(), "edge"), 2),
        (window, 0),
    ];
    // Leaves out what is least important until both sides fit.
    let mut rank = 4u8;
    let (left, right) = loop {
        let left: Vec<&str> = counts.iter().filter(|c| c.1 < rank).map(|c| c.0.as_str()).collect();
        let right: Vec<_> = figures.iter().filter(|f| f.3 < rank && !f.0.is_empty()).collect();
        // `webb` and a blank, the texts with ` · ` between them, a blank.
        let w: u16 = 8
            + (left.iter().map(|t| columns(t) + 3).sum::<u16>()).saturating_sub(3)
            + right.iter().map(|f| columns(&f.0).max(f.1) + 2).sum::<u16>();
        if w <= at.0 || rank == 1 {
            break (left.join(" · "), right);
        }
        rank -= 1;
    };
    let mut x = at.0;
    for (text, w, role, _) in right.into_iter().rev() {
        let w = columns(text).max(*w);
        x = x.saturating_sub(w + 2);
        if x > 7 {
            pen.right(x, 0, w, text, *role);
        }
    }
    pen.text(1, 0, "webb", Role::Accent);
    let end = pen.put(7, 0, x.saturating_sub(8), &left, Role::Strong);
    hits.add(Rect::new(pen.area.x + 7, pen.area.y, end.saturating_sub(7), 1), Hit::Window);
}

/// The same in few columns: `demo 60 s  134/s  err 6.2 %  loss 0 ●`.
fn compact_header(state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
    let shown = &state.shown;
    let width = pen.area.width;
    let (live, live_role) = liveness(state);
    let live = live.split(" · ").next().unwrap_or_default();
    let live = live.strip_suffix(" live").unwrap_or(live);
    let w = columns(live).min(width);
    pen.right(0, 0, width.saturating_sub(1), live, live_role);
    hits.add(Rect::new(pen.area.x + width.saturating_sub(1 + w), pen.area.y, w, 1), Hit::Pause);
    let room = width.saturating_sub(2 + w);
    let mut left = pen.within(Rect { width: room, height: 1, ..pen.area });
    let window = figures::age(state.window_s * 1_000_000_000);
    let (failed, tried) = shown.failures;
    let label = super::pen::fit(&state.scope, 8).into_owned();
    left.pieces(
        1,
        0,
        [
            (label.into(), Role::Strong),
            (format!(" {window}").into(), Role::Muted),
            (
                format!("  {:>6}", figures::short_rate(shown.request_rate.unwrap_or(shown.rate))).into(),
                Role::Text,
            ),
            (format!("  err {:>5}", figures::share(failed, tried)).into(), err_role(shown)),
            (format!("  loss {}", figures::count(shown.loss.0)).into(), loss_role(shown)),
        ],
    );
}

fn err_role(shown: &Shown) -> Role {
    match shown.edges.iter().map(|e| e.trouble).min() {
        Some(Trouble::Failing) => Role::Bad,
        Some(Trouble::Some) => Role::Warn,
        _ => Role::Muted,
    }
}

fn loss_role(shown: &Shown) -> Role {
    if shown.loss.0 > 0 { Role::Warn } else { Role::Muted }
}

/// Of a capture: not all of its file could be read, or what it holds is more than is kept.
fn is_incomplete(status: &Status) -> bool {
    let unread = |h: &Hook| h.datum == "the whole file" && h.state != HookState::On;
    status.hooks.iter().any(unread) || status.loss.total() > 0
}

/// Whether what is on the screen is still true.
fn liveness(state: &State) -> (String, Role) {
    if let Some(behind) = state.paused {
        return (format!("‖ paused · {behind} s behind").replace('‖', "◆"), Role::Warn);
    }
    match &state.link {
        Link::Connecting => ("○ connecting".into(), Role::Muted),
        // Why stands in the Agent pane.
        Link::Live if state.capture && state.status.as_ref().is_some_and(|s| is_incomplete(s)) => {
            ("◆ capture, incomplete".into(), Role::Warn)
        }
        Link::Live if state.capture => ("◆ capture".into(), Role::Muted),
        Link::Live => match state.silent_s() {
            Some(s) => (format!("○ silent for {s} s"), Role::Warn),
            None => ("● live".into(), Role::Ok),
        },
        Link::Lost { until_ms, .. } => {
            let s = until_ms.saturating_sub(state.now_ms).div_ceil(1000);
            (format!("○ lost · again in {s} s"), Role::Bad)
        }
    }
}

fn tabs(state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
    let line = &state.filter;
    let width = pen.area.width;
    // Titles of the views that are not shown make way for what the person typed.
    let typed = columns(&line.text) + if line.error.is_some() { 40 } else { 20 };
    let titles = PANES.iter().map(|p| columns(p.title()) + 4).sum::<u16>() + 1;
    let is_typed = line.editing || line.error.is_some() || !line.text.is_empty();
    let narrow = width < 60 || (is_typed && titles + typed > width);
    let mut x = 1;
    for (i, pane) in PANES.into_iter().enumerate() {
        let current = state.pane == pane;
        let start = x;
        x = pen.text(x, 1, &format!("{}", i + 1), if current { Role::Accent } else { Role::Muted });
        if !narrow || current {
            x = pen.text(x + 1, 1, pane.title(), if current { Role::Strong } else { Role::Muted });
        }
        hits.add(Rect::new(pen.area.x + start, pen.area.y + 1, x - start, 1), Hit::Tab(pane));
        x += if narrow { 1 } else { 2 };
    }
    let room = width.saturating_sub(x);
    let (text, role) = match (&line.error, line.editing, line.text.is_empty()) {
        (Some(error), _, _) => (format!("/ {}  {error}", line.text), Role::Bad),
        (None, true, _) => (format!("/ {}▏", line.text), Role::Accent),
        // What is not seen has to be said where it is missed, not only on the Agent pane.
        (None, false, true) if state.is_limited() && room < 40 => ("sock_diag only".to_owned(), Role::Warn),
        (None, false, true) if state.is_limited() => (
            "sock_diag only: short connections and failures are not seen; sudo webb sees them".to_owned(),
            Role::Warn,
        ),
        (None, false, true) if room < 16 => ("/ to filter".to_owned(), Role::Muted),
        (None, false, true) => ("/ type to filter".to_owned(), Role::Muted),
        (None, false, false) => (format!("/ {}  (Esc clears)", line.text), Role::Accent),
    };
    let w = columns(&text).min(room);
    let at = x + (room - w);
    pen.put(at, 1, w, &text, role);
    hits.add(Rect::new(pen.area.x + at, pen.area.y + 1, w, 1), Hit::Filter);
}

/// The keys of this view, from the key table; or what there is to say.
fn key_line(state: &State, pen: &mut Pen<'_>) {
    let y = pen.area.height - 1;
    let width = pen.area.width;
    let notice = match (&state.note, &state.link) {
        (Some((text, _)), _) => Some((text.clone(), Role::Accent)),
        (None, Link::Lost { why, .. }) => Some((format!("connection lost: {why}"), Role::Bad)),
        _ => None,
    };
    if let Some((text, role)) = notice {
        pen.put(1, y, width - 2, &text, role);
        return;
    }
    if state.filter.editing {
        let text = "name from:web to:api port:80 proto:dns err !idle · Enter keeps · Esc clears";
        pen.put(1, y, width - 2, text, Role::Muted);
        return;
    }
    let shown = keys::key_table()
        .iter()
        .filter(|k| !k.hint.is_empty() && (k.panes.is_empty() || k.panes.contains(&state.pane)));
    let mut words: Vec<(&str, String)> = shown
        .map(|key| {
            let hint = match key.action {
                keys::Action::Window => format!("window {}", figures::age(state.window_s * 1_000_000_000)),
                keys::Action::Pause if state.paused.is_some() => "go on".to_owned(),
                _ => key.hint.to_owned(),
            };
            (key.keys.split(' ').next().unwrap_or_default(), hint)
        })
        .collect();
    // The first and the last, help and quit, always stay.
    let all = |words: &[(&str, String)]| words.iter().map(|w| columns(w.0) + columns(&w.1) + 3).sum::<u16>();
    while words.len() > 2 && all(&words) > width {
        words.remove(words.len() - 2);
    }
    let mut x = 1;
    for (name, hint) in words {
        x = pen.text(x, y, name, Role::Strong);
        x = pen.text(x + 1, y, &hint, Role::Muted) + 2;
    }
}

/// Says why a view is empty, and what to do.
pub fn empty(state: &State, pen: &mut Pen<'_>, what: &str) {
    let scope = if state.scope.is_empty() { "this scope" } else { &state.scope };
    let window = figures::age(state.window_s * 1_000_000_000);
    let (first, second) = match &state.link {
        Link::Connecting if state.shown.edges.is_empty() => (
            "Connecting to the agent ...".to_owned(),
            "What it watches appears here within a second.".to_owned(),
        ),
        Link::Lost { why, .. } if state.shown.edges.is_empty() => {
            (format!("There is no connection to the agent: {why}"), "webb keeps trying; q leaves.".to_owned())
        }
        _ if !state.filter.filter.is_empty() => (
            format!("No {what} match the filter {}", state.filter.text),
            "Esc clears it; / changes it.".to_owned(),
        ),
        _ if state.capture => (
            format!("No connections in the last {window} of this capture."),
            "w widens the window; 6 shows how the file was read and what is missing.".to_owned(),
        ),
        _ => (
            format!("No connections in the last {window} in scope {scope}."),
            "w widens the window; 6 shows what the agent watches and what it cannot see.".to_owned(),
        ),
    };
    say(pen, &first, &second);
}

/// Says in the middle of an empty view why it is empty, and what to do. What is too wide goes on below.
pub fn say(pen: &mut Pen<'_>, first: &str, second: &str) {
    let mut y = pen.area.height / 3;
    for (text, role) in [(first, Role::Text), (second, Role::Muted)] {
        for part in wrapped(&clean(text), pen.area.width) {
            let w = columns(&part).min(pen.area.width);
            pen.put((pen.area.width - w) / 2, y, w, &part, role);
            y += 1;
        }
        y += 1;
    }
}
