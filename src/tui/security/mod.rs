//! Security: what share of the connections is how secured, and what is wrong with it, trouble first.
//!
//! ```text
//!  M mTLS 61 % ████████████   T TLS 22 % ████   P plaintext 15 % ███   ? unknown 2 % ▏
//!  of 1,204 connections on 9 edges · last 60 s · Enter opens the edge and says why
//!
//!  × failed        orders → mail :25       the client said unknown_ca to the server   3 at hand
//!  × fallback      cart → prices :8443     was M until 13:58:02, now P   12 conn/s
//!  ! expires 6 d   orders                  in use   CN=orders  spiffe://demo/ns/shop/sa/orders   issuer CN=demo-ca
//!  ! plaintext     web → api :8080         820 req/s   since 14:01:10   the first bytes are HTTP/1.1 in the clear
//!  ? unknown       api → postgres :5432    4 × older than webb
//!  · strict ready? orders :9001            1 of 2 clients always present a cert
//!                    batch                 T not asked, last seen 14:03:01, 44 of 44
//!  · certificates  none of 12 handshakes at hand: TLS 1.3 hides them on the wire
//!
//!  mTLS: the client presented a certificate and the server continued; trust is the server's decision
//!  and not visible
//! ```

mod certificates;
mod findings;
mod identities;
mod mix;
mod readiness;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_pane;
mod why;

use findings::{Finding, Kind};
pub use identities::Identities;
pub use mix::{Counts, Piece, add, gravest, gravity, letter, letters, name, percents, pieces};
pub use why::lines as why;

use ratatui::layout::Rect;

use super::connections::Connections;
use super::figures;
use super::heat::bar;
use super::pen::{Pen, clean, columns, wrapped};
use super::shown::Shown;
use super::state::{Detail, Link, State};
use super::theme::Role;
use super::view::{Hit, Hits};
use crate::model::{BootNs, Unheard};
use crate::world::security::{MTLS, Report};
use crate::world::{Filter, NameTable, Subject};

/// Which finding; the same from second to second.
pub type FindingId = (Kind, String);

/// Columns of a finding's kind.
const LABEL: u16 = 13;
/// Rows above the findings: shares in one row or two, of what, a blank.
const HEAD: u16 = 4;
/// From so many rows on there is a foot.
const FOOT_FROM: u16 = 14;

/// State of the view.
#[derive(Debug, Default)]
pub struct Security {
    /// The selected finding.
    pub selected: Option<FindingId>,
    report: Report,
    findings: Vec<Finding>,
    /// What the report was worked out of: the last slice, changes of connections, what is read.
    of: Option<(BootNs, u64, Identities)>,
    /// Places of those that the filter lets pass.
    visible: Vec<usize>,
    scroll: usize,
    rows: usize,
}

impl Security {
    /// Takes over what is shown and at hand.
    pub fn settle(
        &mut self,
        (shown, connections): (&Shown, &Connections),
        identities: Identities,
        filter: &Filter,
        names: &NameTable,
        area: Rect,
    ) {
        let of = Some((shown.now, connections.changes(), identities));
        if let (true, Some((.., identities))) = (self.of != of, &of) {
            let mut report = findings::report(shown, connections.all(), names);
            report.keep_beginnings(&self.report);
            self.findings = findings::findings(&report, shown, identities);
            (self.report, self.of) = (report, of);
        }
        let findings = self.findings.iter().enumerate();
        self.visible = findings.filter(|f| passes(f.1, filter)).map(|f| f.0).collect();
        let foot = foot(area.width, area.height).len() as u16;
        self.rows = usize::from(area.height.saturating_sub(HEAD + foot)).max(1);
        let end = self.visible.len().saturating_sub(self.rows);
        match self.place() {
            Some(at) => self.scroll = self.scroll.clamp((at + 1).saturating_sub(self.rows), at).min(end),
            None => self.scroll = self.scroll.min(end),
        }
    }

    fn place(&self) -> Option<usize> {
        let id = self.selected.as_ref()?;
        self.visible.iter().position(|i| self.findings[*i].id == *id)
    }

    /// Moves the selection.
    pub fn step(&mut self, by: isize) {
        let last = self.visible.len().saturating_sub(1);
        let next = match self.place() {
            Some(i) => (i as isize).saturating_add(by).clamp(0, last as isize) as usize,
            None if by == isize::MAX => last,
            None => self.scroll.min(last),
        };
        self.selected = self.visible.get(next).map(|i| self.findings[*i].id.clone());
        self.scroll = self.scroll.clamp((next + 1).saturating_sub(self.rows.max(1)), next);
    }

    /// Moves the view; a selection keeps its place in it.
    pub fn scroll_by(&mut self, by: isize) {
        if self.selected.is_some() {
            return self.step(by);
        }
        let end = self.visible.len().saturating_sub(self.rows);
        self.scroll = (self.scroll as isize).saturating_add(by).clamp(0, end as isize) as usize;
    }

    fn finding(&self) -> Option<&Finding> {
        Some(&self.findings[*self.visible.get(self.place()?)?])
    }

    /// What Enter opens.
    pub fn detail(&self) -> Option<Detail> {
        self.finding().and_then(|f| f.edge.clone()).map(Detail::Edge)
    }

    /// The selected finding in words.
    pub fn selected_text(&self) -> Option<String> {
        let f = self.finding()?;
        let words: String = f.words.iter().map(|w| w.0.as_str()).collect();
        Some(format!("{} {} {words}", f.label, f.subject.trim()))
    }
}

fn passes(f: &Finding, filter: &Filter) -> bool {
    let words: Vec<&str> =
        f.words.iter().map(|w| w.0.as_str()).chain([f.label.as_str(), f.subject.as_str()]).collect();
    let client: Vec<&str> = f.edge.iter().map(|e| &*e.client.name).collect();
    let server: Vec<&str> = f.edge.iter().map(|e| &*e.server.name).collect();
    filter.is_empty()
        || filter.matches(&Subject {
            client: client.as_slice(),
            server: server.as_slice(),
            asked: &words,
            protocols: &[],
            port: f.edge.as_ref().map_or(0, |e| e.port),
            failing: f.sign.1 == Role::Bad,
            idle: false,
        })
}

/// Draws the view.
pub fn draw(state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
    let view = &state.security;
    let report = &view.report;
    if report.looked == 0 && view.findings.is_empty() {
        return empty(state, pen);
    }
    let head = shares(report, pen);
    let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let mut words = format!(
        "of {} connections on {} · last {}",
        figures::exact(report.connections()),
        plural(report.looked, "edge"),
        figures::age(state.window_s * 1_000_000_000)
    );
    if !report.unlooked.is_empty() {
        words += &format!(" · {} not looked at", plural(report.unlooked.rows.len(), "edge"));
    }
    words += if pen.area.width < 100 { "" } else { " · Enter says why" };
    pen.put(1, head, pen.area.width.saturating_sub(2), &words, Role::Muted);
    let width = pen.area.width;
    let foot = foot(width, pen.area.height);
    for (row, line) in (pen.area.height.saturating_sub(foot.len() as u16)..).zip(&foot) {
        pen.put(1, row, width.saturating_sub(2), line, Role::Muted);
    }
    if view.visible.is_empty() {
        let words = "○ no finding matches the filter · Esc clears it";
        pen.put(1, HEAD, width.saturating_sub(2), words, Role::Muted);
        return;
    }
    let subject = ((width.saturating_sub(LABEL + 5)) * 2 / 5).clamp(16, 34);
    for (row, i) in view.visible.iter().skip(view.scroll).take(view.rows).enumerate() {
        let (f, y) = (&view.findings[*i], HEAD + row as u16);
        pen.put(1, y, 1, &f.sign.0, f.sign.1);
        let label = if matches!(f.sign.1, Role::Bad | Role::Warn) { f.sign.1 } else { Role::Muted };
        pen.put(3, y, LABEL, &f.label, label);
        pen.put(4 + LABEL, y, subject, &f.subject, Role::Strong);
        // What is about no edge has more room for its words.
        let x = match (f.label.is_empty(), f.subject.is_empty()) {
            (_, false) => 5 + LABEL + subject,
            (false, true) => 4 + LABEL,
            (true, true) => 3,
        };
        say(pen, (x, y), width.saturating_sub(x + 1), &f.words);
        let line = Rect { x: 0, y, width, height: 1 };
        if view.selected.as_ref() == Some(&f.id) {
            pen.restyle(line, Role::Selected);
        }
        hits.add(Rect { x: pen.area.x, y: pen.area.y + y, ..line }, Hit::Finding(f.id.clone()));
    }
    let last = view.scroll + view.rows;
    if last < view.visible.len() || view.scroll > 0 {
        let of = view.visible.len();
        let text = format!(" {}-{} of {of} ", view.scroll + 1, last.min(of));
        pen.right(0, HEAD - 1, width.saturating_sub(1), &text, Role::Muted);
    }
}

/// What mutual TLS means, in as many lines as it takes; none where there is little room.
fn foot(width: u16, height: u16) -> Vec<String> {
    if height < FOOT_FROM {
        return Vec::new();
    }
    let mut lines = wrapped(&format!("mTLS: {MTLS}"), width.saturating_sub(2));
    lines.insert(0, String::new());
    lines
}

/// Words one after the other; where they end too early there is an ellipsis.
fn say(pen: &mut Pen<'_>, (mut x, y): (u16, u16), mut room: u16, words: &[Piece]) {
    let mut words = words.iter().filter(|w| !w.0.is_empty()).peekable();
    while let Some((text, role)) = words.next() {
        let wide = columns(&clean(text));
        // What exactly fills the row ends before its end if more is to follow.
        let room_here = if words.peek().is_some() && wide == room { room.saturating_sub(1) } else { room };
        let end = pen.put(x, y, room_here, text, *role);
        if wide > room_here {
            return;
        }
        room = room.saturating_sub(end.saturating_sub(x));
        x = end;
    }
}

/// `M mTLS 61 % ████   T TLS 22 % ██`; where there is no room for that, a second row is one bar of
/// all. Returns the rows it took.
fn shares(report: &Report, pen: &mut Pen<'_>) -> u16 {
    let shares = percents(&report.shares);
    let words = |long: bool| -> Vec<String> {
        let word = |(s, n): &(crate::model::Security, u64)| {
            if long { format!("{} {} {n} %", s.letter(), name(*s)) } else { format!("{} {n} %", s.letter()) }
        };
        shares.iter().map(word).collect()
    };
    let taken = |words: &[String], gap: u16| words.iter().map(|w| columns(w) + gap).sum::<u16>();
    let room = pen.area.width.saturating_sub(1);
    let mut texts = words(true);
    let kinds = shares.len() as u16;
    // A blank before each bar, three after it.
    let left = room.saturating_sub(taken(&texts, 4)).min(60);
    let beside = left >= 6 * kinds;
    if taken(&texts, 2) > room {
        texts = words(false);
    }
    let mut x = 1;
    for ((security, share), text) in shares.iter().zip(texts) {
        x = pen.text(x, 0, &text, Role::Secured(*security));
        if beside {
            let long = f64::from(left) * *share as f64 / 100.0;
            x = pen.text(x + 1, 0, &bar(long, f64::from(left), left.into()), Role::Secured(*security)) + 1;
        }
        x += 2;
    }
    if beside || shares.is_empty() {
        return 1;
    }
    // Each part begins with its letter: never by colour alone. The largest takes what rounding leaves.
    let room = room.saturating_sub(1);
    let part = |share: u64| ((u64::from(room) * share / 100) as u16).max(1);
    let rest = shares.iter().skip(1).map(|s| part(s.1)).sum::<u16>();
    let mut x = 1;
    for (i, (security, share)) in shares.iter().enumerate() {
        let wide = if i == 0 { room.saturating_sub(rest) } else { part(*share) };
        let text = format!("{}{}", security.letter(), "▄".repeat(usize::from(wide).saturating_sub(1)));
        x = pen.put(x, 1, wide, &text, Role::Secured(*security));
    }
    2
}

/// Says why there is nothing, and what to do.
fn empty(state: &State, pen: &mut Pen<'_>) {
    if state.link != Link::Live || !state.filter.filter.is_empty() {
        return super::view::empty(state, pen, "findings");
    }
    let off = state.status.as_ref().and_then(|s| s.unheard());
    let (first, second) = match off {
        _ if state.is_limited() => (
            "sock_diag shows connections only: whether they are encrypted is not seen.".to_owned(),
            "sudo webb sees it.".to_owned(),
        ),
        Some(Unheard { unseen, why, advice }) => {
            let what = if unseen {
                "Nothing can be looked at here"
            } else {
                "Nothing is looked at, decoding is off"
            };
            let advice = if advice.is_empty() { "6 shows what the agent sees and what not." } else { advice };
            (format!("{what}: {why}."), advice.to_owned())
        }
        None if state.capture => (
            "No connection of this capture said enough to tell how it is secured.".to_owned(),
            "2 shows who talks to whom; 6 shows how the file was read.".to_owned(),
        ),
        None => (
            "No connection has been looked at yet.".to_owned(),
            "It is decided by what both sides say first; 6 shows what the agent watches.".to_owned(),
        ),
    };
    super::view::say(pen, &first, &second);
}
