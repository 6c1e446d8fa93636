//! Edges: a table of who talks to whom. Columns have fixed widths; those that do not fit are left out.
//!
//! ```text
//!  CLIENT   SERVER     PORT PROTO     SEC       CONN/s  OPEN   REQ/s    ERR        p50        p99  TREND
//!  api      stock      9002           -           12.0     0       -  100 %          -          -  ×××××××× refused
//!  web      api        8080 http      P           8.40    40     820  1.9 %  8.20 ms     41 ms     ▂▂▃▇▅▂▃▂
//!  api      vault      8200 tls       M97 P3      0.20     3       -    0 %  3.10 ms t   12 ms t   ▁▁▂▁▁▂▁▁
//! ```
//!
//! Trouble stands first, then rate; rows keep their order until the person sorts or five quiet
//! seconds pass, and the selection follows the edge, not the row.

use std::borrow::Cow;
use std::collections::HashSet;

use ratatui::layout::Rect;

use super::figures;
use super::pen::{Pen, columns, eighth, groups};
use super::security;
use super::shown::{Edge, Latency, Reason, Shown, Trouble, trouble_first};
use super::state::State;
use super::theme::Role;
use super::view::{Hit, Hits};
use crate::model::{Outcome, Transport};
use crate::world::{EdgeId, Filter};

/// After so many quiet milliseconds rows may be sorted again.
const QUIET_MS: u64 = 5_000;
/// Columns that the trend, with the reason of failures, needs at least.
const TREND_MIN: u16 = 16;
/// Below so many columns there is room for the reason of failures only.
const NARROW: u16 = 76;
/// Below so many columns names are shorter.
const SHORT_NAMES: u16 = 84;
/// Below so many columns security is letters only.
const LETTERS: u16 = 100;
/// Columns of the longest reason of a failure, and of the longest short form.
const REASON: u16 = 17;
/// See [`REASON`].
const REASON_SHORT: u16 = 11;

/// A column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Column {
    /// Not a column: trouble first, then rate.
    #[default]
    Trouble,
    /// Client.
    Client,
    /// Server.
    Server,
    /// Server port.
    Port,
    /// Connections begun per second.
    Rate,
    /// Open now.
    Open,
    /// Share that failed.
    Failed,
    /// Main protocol.
    Protocol,
    /// How connections are secured.
    Security,
    /// Requests per second.
    Requests,
    /// Median latency of requests, else of turns.
    Latency50,
    /// 90th percentile.
    Latency90,
    /// 99th percentile.
    Latency99,
    /// 99th percentile of connecting.
    Connect99,
    /// Median round-trip time.
    Rtt,
    /// Segments retransmitted.
    Retransmits,
    /// Bytes per second to the server.
    Out,
    /// Bytes per second to the client.
    In,
}

struct Spec {
    column: Column,
    title: &'static str,
    width: u16,
    right: bool,
    /// The higher, the sooner it is left out.
    rank: u8,
}

const fn spec(column: Column, title: &'static str, width: u16, right: bool, rank: u8) -> Spec {
    Spec { column, title, width, right, rank }
}

static COLUMNS: [Spec; 17] = [
    spec(Column::Client, "CLIENT", 14, false, 0),
    spec(Column::Server, "SERVER", 14, false, 0),
    spec(Column::Port, "PORT", 5, true, 1),
    spec(Column::Protocol, "PROTO", 9, false, 6),
    spec(Column::Security, "SEC", 8, false, 4),
    spec(Column::Rate, "CONN/s", 7, true, 5),
    spec(Column::Open, "OPEN", 5, true, 8),
    spec(Column::Requests, "REQ/s", 7, true, 3),
    spec(Column::Failed, "ERR", 6, true, 0),
    spec(Column::Latency50, "p50  ", 9, true, 7),
    spec(Column::Latency90, "p90  ", 9, true, 11),
    spec(Column::Latency99, "p99  ", 9, true, 2),
    spec(Column::Connect99, "CON p99", 7, true, 13),
    spec(Column::Rtt, "RTT p50", 7, true, 10),
    spec(Column::Retransmits, "RETR", 5, true, 12),
    spec(Column::Out, "OUT", 9, true, 9),
    spec(Column::In, "IN", 9, true, 9),
];

/// State of the table.
#[derive(Debug, Default)]
pub struct Edges {
    /// The selected edge.
    pub selected: Option<EdgeId>,
    /// Sorted by.
    pub sort: Column,
    /// Turned around.
    pub reversed: bool,
    order: Vec<EdgeId>,
    /// What the filter lets pass, in order.
    visible: Vec<EdgeId>,
    sorted_ms: u64,
    scroll: usize,
    rows: usize,
    /// Whether anything was ever asked: where nothing is decoded or timed, connections matter more.
    asked: bool,
    /// Whether security was ever looked at.
    looked: bool,
}

impl Edges {
    /// Takes over what is shown.
    pub fn settle(&mut self, shown: &Shown, filter: &Filter, now_ms: u64, quiet_ms: u64, height: u16) {
        self.asked |= shown.edges.iter().any(|e| e.requests > 0 || e.latency.is_some());
        self.looked |= shown.edges.iter().any(|e| e.secured.is_some());
        let known: HashSet<&EdgeId> = self.order.iter().collect();
        let first = known.is_empty();
        let new: Vec<EdgeId> =
            shown.edges.iter().map(Edge::id).filter(|id| !known.contains(id)).cloned().collect();
        self.order.retain(|id| shown.index.contains_key(id));
        self.order.extend(new);
        if first || (quiet_ms >= QUIET_MS && now_ms.saturating_sub(self.sorted_ms) >= QUIET_MS) {
            self.sort_now(shown, now_ms);
        }
        self.visible = self
            .order
            .iter()
            .filter(|id| shown.edge(id).is_some_and(|e| e.passes(filter)))
            .cloned()
            .collect();
        if let Some(id) = self.selected.as_ref().filter(|id| !shown.index.contains_key(*id)) {
            // The selection follows the thing, also when a better name of it was learnt.
            self.selected = shown.renamed.get(id).cloned();
        }
        self.rows = usize::from(height.saturating_sub(1)).max(1);
        self.scroll = self.scroll.min(self.visible.len().saturating_sub(self.rows));
    }

    fn sort_now(&mut self, shown: &Shown, now_ms: u64) {
        self.sorted_ms = now_ms;
        let (sort, reversed) = (self.sort, self.reversed);
        self.order.sort_by(|a, b| match (shown.edge(a), shown.edge(b)) {
            (Some(a), Some(b)) => {
                let o = compare(sort, a, b);
                let o = if reversed { o.reverse() } else { o };
                o.then_with(|| a.id().cmp(b.id()))
            }
            _ => std::cmp::Ordering::Equal,
        });
    }

    /// Sorts by the next column; after the last one by trouble again.
    pub fn sort_next(&mut self, shown: &Shown, now_ms: u64) {
        let at = COLUMNS.iter().position(|c| c.column == self.sort);
        let next = COLUMNS.get(at.map_or(0, |i| i + 1)).map_or(Column::Trouble, |c| c.column);
        self.sort = next;
        self.reversed = false;
        self.sort_now(shown, now_ms);
    }

    /// Sorts by a column; by the same one again turns the order around.
    pub fn sort_by(&mut self, column: Column, shown: &Shown, now_ms: u64) {
        self.reversed = self.sort == column && !self.reversed;
        self.sort = column;
        self.sort_now(shown, now_ms);
    }

    /// Turns the order around.
    pub fn reverse(&mut self, shown: &Shown, now_ms: u64) {
        self.reversed = !self.reversed;
        self.sort_now(shown, now_ms);
    }

    /// Moves the selection.
    pub fn step(&mut self, by: isize) {
        let at = self.visible.iter().position(|id| self.selected.as_ref() == Some(id));
        let last = self.visible.len().saturating_sub(1);
        let next = match at {
            Some(i) => (i as isize).saturating_add(by).clamp(0, last as isize) as usize,
            None if by == isize::MAX => last,
            None => self.scroll.min(last),
        };
        self.selected = self.visible.get(next).cloned();
        // Keys may come before the first frame, and with it the height.
        self.scroll = self.scroll.clamp((next + 1).saturating_sub(self.rows.max(1)), next);
    }

    /// Moves the view.
    pub fn scroll_by(&mut self, by: isize) {
        let max = self.visible.len().saturating_sub(self.rows);
        self.scroll = (self.scroll as isize).saturating_add(by).clamp(0, max as isize) as usize;
    }
}

fn compare(column: Column, a: &Edge, b: &Edge) -> std::cmp::Ordering {
    // Figures: the largest first; names and ports: rising.
    let share = |e: &Edge| e.err().0 as f64 / e.err().1.max(1) as f64;
    let latency = |of: fn(&Latency) -> u64| b.latency.as_ref().map(of).cmp(&a.latency.as_ref().map(of));
    match column {
        Column::Trouble => trouble_first(a, b),
        Column::Client => a.id().client.cmp(&b.id().client),
        Column::Server => a.id().server.cmp(&b.id().server),
        Column::Port => a.id().port.cmp(&b.id().port),
        Column::Rate => b.rate.total_cmp(&a.rate),
        Column::Open => b.open.cmp(&a.open),
        Column::Failed => share(b).total_cmp(&share(a)),
        Column::Protocol => a.protocol_words().cmp(&b.protocol_words()),
        Column::Security => {
            let gravest = |e: &Edge| e.secured.as_ref().map_or(u8::MAX, security::gravest);
            gravest(a).cmp(&gravest(b))
        }
        Column::Requests => b.request_rate.total_cmp(&a.request_rate),
        Column::Latency50 => latency(|l| l.p50),
        Column::Latency90 => latency(|l| l.p90),
        Column::Latency99 => latency(|l| l.p99),
        Column::Connect99 => b.connect.map(|c| c.1).cmp(&a.connect.map(|c| c.1)),
        Column::Rtt => b.rtt.cmp(&a.rtt),
        Column::Retransmits => b.retransmits.cmp(&a.retransmits),
        Column::Out => b.out.total_cmp(&a.out),
        Column::In => b.back.total_cmp(&a.back),
    }
}

/// Columns of a cell; names and security give way on a narrow screen.
fn cell_width(c: &Spec, width: u16) -> u16 {
    match c.column {
        Column::Client | Column::Server if width < SHORT_NAMES => c.width - 2,
        Column::Security if width < LETTERS => 3,
        _ => c.width,
    }
}

/// The columns that fit, and the extra width of each of the two names.
fn layout(width: u16, (asked, looked): (bool, bool)) -> (Vec<&'static Spec>, u16) {
    let mut chosen: Vec<&Spec> = COLUMNS.iter().collect();
    let rank = |c: &Spec| match c.column {
        // Where nothing is asked, connections and their time stand for it.
        Column::Requests | Column::Latency50 | Column::Latency90 | Column::Latency99 if !asked => 14,
        // Where nobody looked there is nothing to see.
        Column::Security if !looked => 15,
        Column::Connect99 if !asked => 2,
        Column::Rate if !asked => 3,
        _ => c.rank,
    };
    let total = |c: &[&Spec]| c.iter().map(|c| cell_width(c, width) + 1).sum::<u16>() + 1;
    let trend = match width {
        100.. => TREND_MIN + 8,
        NARROW.. => TREND_MIN,
        // Room for the reason of failures only.
        _ => 9,
    };
    while total(&chosen) + trend > width {
        let Some(worst) = chosen.iter().map(|c| rank(c)).max().filter(|r| *r > 0) else { break };
        chosen.retain(|c| rank(c) != worst);
    }
    let spare = width.saturating_sub(total(&chosen) + TREND_MIN + 8);
    (chosen, (spare / 3).min(12))
}

/// Draws the table.
pub fn draw(state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
    let (edges, shown) = (&state.edges, &state.shown);
    if edges.visible.is_empty() {
        return super::view::empty(state, pen, "edges");
    }
    let (chosen, extra) = layout(pen.area.width, (edges.asked, edges.looked));
    let width = pen.area.width;
    let wide = |c: &Spec| cell_width(c, width) + if c.rank == 0 && !c.right { extra } else { 0 };
    let mut x = 1;
    for c in &chosen {
        let w = wide(c);
        let sorted = edges.sort == c.column;
        let rises = matches!(c.column, Column::Client | Column::Server | Column::Port | Column::Protocol);
        let mark = if !rises ^ edges.reversed { "▼" } else { "▲" };
        // Figures that leave room for a mark have titles that do so too.
        let blank = c.title.len() - c.title.trim_end().len();
        let title = if sorted {
            format!("{}{mark}{}", c.title.trim_end(), " ".repeat(blank.saturating_sub(1)))
        } else {
            c.title.to_owned()
        };
        let role = if sorted { Role::Accent } else { Role::Muted };
        pen.cell(x, 0, w, &title, role, c.right);
        let at = Rect::new(pen.area.x + x, pen.area.y, w, 1);
        hits.add(at, Hit::Column(c.column));
        x += w + 1;
    }
    pen.text(x, 0, "TREND", Role::Muted);
    let trend_at = x;
    let seconds = shown.edges.iter().map(|e| e.row.trend.len()).max().unwrap_or(0);
    for (row, id) in edges.visible.iter().skip(edges.scroll).take(edges.rows).enumerate() {
        let y = row as u16 + 1;
        let Some(e) = shown.edge(id) else { continue };
        let mut x = 1;
        for c in &chosen {
            let w = wide(c);
            if let (Column::Security, Some(counts)) = (c.column, &e.secured) {
                let pieces = if w < c.width { security::letters(counts) } else { security::pieces(counts) };
                pen.pieces(x, y, pieces.into_iter().map(|p| (p.0.into(), p.1)));
            } else {
                let (text, role) = cell(c.column, e);
                pen.cell(x, y, w, &text, role, c.right);
            }
            x += w + 1;
        }
        trend(pen, trend_at, y, (shown, seconds), e);
        let line = Rect { x: 0, y, width: pen.area.width, height: 1 };
        if edges.selected.as_ref() == Some(id) {
            pen.restyle(line, Role::Selected);
        }
        hits.add(Rect { x: pen.area.x, y: pen.area.y + y, ..line }, Hit::Edge(id.clone()));
    }
    let below = edges.visible.len().saturating_sub(edges.scroll + edges.rows);
    if below > 0 || edges.scroll > 0 {
        let last = edges.scroll + edges.rows.min(edges.visible.len());
        let text = format!(" {}-{last} of {} ", edges.scroll + 1, edges.visible.len());
        let w = columns(&text);
        pen.right(0, 0, pen.area.width, &text, Role::Muted);
        debug_assert!(w > 0);
    }
}

fn cell(column: Column, e: &Edge) -> (String, Role) {
    let idle = if e.is_idle() { Role::Muted } else { Role::Text };
    let time = |us: Option<u64>| us.map_or_else(|| figures::NONE.into(), figures::micros);
    match column {
        Column::Trouble => (String::new(), Role::Text),
        Column::Client => {
            (e.id().client.name.to_string(), if e.is_idle() { Role::Muted } else { Role::Strong })
        }
        Column::Server => {
            (e.id().server.name.to_string(), if e.is_idle() { Role::Muted } else { Role::Strong })
        }
        Column::Port => (e.id().port.to_string(), idle),
        Column::Rate => (figures::sig3(e.rate), idle),
        Column::Open => (figures::count(e.open), idle),
        Column::Protocol => (e.protocol_words().into_owned(), idle),
        Column::Security => (figures::NONE.into(), Role::Muted),
        Column::Requests if e.requests == 0 => (figures::NONE.into(), Role::Muted),
        Column::Requests => (figures::at_least(figures::sig3(e.request_rate), e.undecoded > 0), idle),
        Column::Failed => (figures::share(e.err().0, e.err().1), reason_role(e)),
        Column::Latency50 => (figures::latency(e.latency.as_ref(), |l| l.p50), idle),
        Column::Latency90 => (figures::latency(e.latency.as_ref(), |l| l.p90), idle),
        Column::Latency99 => (figures::latency(e.latency.as_ref(), |l| l.p99), idle),
        Column::Connect99 => (time(e.connect.map(|c| c.1)), idle),
        Column::Rtt => (time(e.rtt), idle),
        Column::Retransmits => {
            (figures::count(e.retransmits), if e.retransmits > 0 { Role::Warn } else { Role::Muted })
        }
        Column::Out => (figures::byte_rate(e.out), idle),
        Column::In => (figures::byte_rate(e.back), idle),
    }
}

/// Columns of the course and of the reason after it: the same in all rows.
fn trend_widths(room: u16) -> (u16, u16) {
    let reason = if room >= REASON + 1 + TREND_MIN { REASON } else { REASON_SHORT };
    (room.saturating_sub(reason + 1).min(24), reason)
}

/// A failure in as many columns as there are.
fn reason(reason: Reason, width: u16) -> Cow<'static, str> {
    let words = reason.words();
    match reason {
        _ if columns(&words) <= width => words,
        Reason::Connections(Outcome::ResetByClient) => "reset c".into(),
        Reason::Connections(Outcome::ResetByServer) => "reset s".into(),
        Reason::Connections(Outcome::AbortedByClient) => "abort c".into(),
        Reason::Connections(Outcome::AbortedByServer) => "abort s".into(),
        Reason::Requests(_) => "errors".into(),
        Reason::Connections(_) => words,
    }
}

/// The course over the window, × where something failed, and why. All rows have the same cells of
/// the same seconds (`seconds` in all), the last one is now.
fn trend(pen: &mut Pen<'_>, x: u16, y: u16, (shown, seconds): (&Shown, usize), e: &Edge) {
    let room = pen.area.width.saturating_sub(x + 1);
    let (bars, words) = trend_widths(room);
    let words = words.min(room.saturating_sub(bars + 1));
    let why = match (e.worst(), e.is_idle(), e.active) {
        (Some((why, _)), _, _) => reason(why, words).into_owned(),
        (None, true, Some(at)) => format!("idle {}", figures::age(shown.now.since(at))),
        (None, true, None) => "idle".to_owned(),
        _ => String::new(),
    };
    let values: Vec<f64> = course(e);
    let top = values.iter().copied().fold(0.0, f64::max);
    let parts = groups(seconds, bars.into());
    let pad = bars - parts.len() as u16;
    // A row that knows less of the past than others has nothing there.
    let missing = seconds.saturating_sub(values.len());
    for (i, part) in parts.into_iter().enumerate() {
        let known = part.start.saturating_sub(missing)..part.end.saturating_sub(missing);
        let failing = e.row.trend[known.clone()].iter().any(|p| p.failures > 0 || p.errors > 0);
        let n = part.len().max(1) as f64;
        let mean = values[known].iter().sum::<f64>() / n;
        let (glyph, role) = if failing {
            ('×', if e.trouble == Trouble::Failing { Role::Bad } else { Role::Warn })
        } else if mean <= 0.0 {
            ('▁', Role::Muted)
        } else {
            (eighth((1.0 + mean / top * 7.0).round() as usize), Role::Accent)
        };
        pen.text(x + pad + i as u16, y, glyph.encode_utf8(&mut [0; 4]), role);
    }
    pen.put(x + bars + 1, y, room.saturating_sub(bars + 1), &why, reason_role(e));
}

fn reason_role(e: &Edge) -> Role {
    match e.trouble {
        Trouble::Failing => Role::Bad,
        Trouble::Some => Role::Warn,
        Trouble::None => Role::Muted,
    }
}

/// What a trend is drawn of: requests where they are decoded, else connections begun, or bytes where
/// connections are long.
pub fn course(e: &Edge) -> Vec<f64> {
    if e.requests > 0 {
        e.row.trend.iter().map(|p| p.requests as f64).collect()
    } else if e.rate > 0.0 {
        e.row.trend.iter().map(|p| p.opened as f64).collect()
    } else {
        e.row.trend.iter().map(|p| p.bytes as f64).collect()
    }
}

/// `web → api :8080`.
pub fn title(id: &EdgeId) -> String {
    let arrow = if id.role_known { "→" } else { "?→" };
    let udp = if id.transport == Transport::Udp { " udp" } else { "" };
    format!("{} {arrow} {} :{}{udp}", id.client.name, id.server.name, id.port)
}

/// Name and address for the clipboard.
pub fn words(e: &Edge) -> String {
    match e.row.addr.filter(|a| !a.is_unspecified()) {
        Some(addr) => format!("{} ({})", title(e.id()), figures::endpoint(addr, e.id().port)),
        None => title(e.id()),
    }
}

/// `:8080`, `:80 +2`.
pub fn port_words(ports: &[u16]) -> String {
    match ports {
        [] => String::new(),
        [one] => format!(":{one}"),
        [first, rest @ ..] => format!(":{first} +{}", rest.len()),
    }
}
