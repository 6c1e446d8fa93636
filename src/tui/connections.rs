//! Connections: single ones, as they come and go, and those that are open. Each keeps its row from
//! its first sight to its end; new ones come at the bottom.
//!
//! ```text
//!  TIME      CLIENT       SERVER            SEC STATE             CONNECT      RTT      OUT       IN  PROCESS
//!  14:03:01  web          api:8080          P   ● open             120 µs    60 µs   1.2 kB   3.4 MB  nginx[812] → api[840]
//!  14:03:02  api          stock:9002        -   × refused               -        -      0 B      0 B  api[840]
//! ```

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ratatui::layout::Rect;

use super::figures;
use super::pen::Pen;
use super::state::State;
use super::theme::Role;
use super::view::{Hit, Hits};
use crate::model::{Connection, ConnectionId, ConnectionState, EdgeKey, End, EntityId, Event, Side, View};
use crate::world::{Filter, NameTable, Subject};

/// Rows that are kept: beyond it the oldest that are over go first.
pub const KEPT: usize = 2_000;

/// Columns from which processes are shown: one with its number.
const PROCESS_MIN: u16 = 16;
/// Columns for both processes; what is left beyond it goes to the names.
const PROCESS: u16 = 44;

/// State of the view.
#[derive(Debug, Default)]
pub struct Connections {
    /// The selected one; without a selection the view stays at the newest.
    pub selected: Option<ConnectionId>,
    /// Events that were not sent because this viewer was too slow.
    pub missed: u64,
    rows: HashMap<ConnectionId, Arc<Connection>>,
    order: VecDeque<ConnectionId>,
    visible: Vec<ConnectionId>,
    waiting: VecDeque<Event>,
    changes: u64,
    scroll: usize,
    height: usize,
}

impl Connections {
    /// The open ones, as a list; what is known of others stays.
    pub fn replace(&mut self, list: Vec<Arc<Connection>>) {
        let mut list = list;
        list.sort_by_key(|c| c.opened());
        // Rows that were open and are not in the list ended unseen: they go.
        let open: std::collections::HashSet<ConnectionId> = list.iter().map(|c| c.id).collect();
        self.rows.retain(|id, c| c.state.is_over() || open.contains(id));
        let rows = &self.rows;
        self.order.retain(|id| rows.contains_key(id));
        list.into_iter().for_each(|c| self.put(c));
        self.changes += 1;
    }

    /// Something happened; while paused it waits.
    pub fn event(&mut self, event: Event, paused: bool) {
        if !paused {
            return self.put(event.connection);
        }
        self.waiting.push_back(event);
        if self.waiting.len() > KEPT {
            self.waiting.pop_front();
        }
    }

    /// What waited is shown.
    pub fn resume(&mut self) {
        for event in std::mem::take(&mut self.waiting) {
            self.put(event.connection);
        }
    }

    fn put(&mut self, connection: Arc<Connection>) {
        let id = connection.id;
        self.changes += 1;
        if self.rows.insert(id, connection).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > KEPT {
            let rows = &self.rows;
            let over = |id: &ConnectionId| rows.get(id).is_none_or(|c| c.state.is_over());
            let at = self.order.iter().position(over).unwrap_or(0);
            if let Some(gone) = self.order.remove(at) {
                self.rows.remove(&gone);
            }
        }
    }

    /// A connection that is kept.
    pub fn get(&self, id: ConnectionId) -> Option<&Arc<Connection>> {
        self.rows.get(&id)
    }

    /// All that are kept.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Connection>> {
        self.order.iter().filter_map(|id| self.rows.get(id))
    }

    /// The kept ones on these edges, oldest first.
    pub fn of<'a>(&'a self, keys: &'a [EdgeKey]) -> impl Iterator<Item = &'a Arc<Connection>> {
        self.all().filter(|c| {
            let of = (c.client.entity, c.server.entity, c.server.address.port);
            keys.iter().any(|k| of == (k.client, k.server, k.port))
        })
    }

    /// Rises when what is kept changes.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// The path of a cgroup, when a connection that is kept knows it.
    pub fn cgroup_path(&self, id: u64) -> Option<Arc<str>> {
        let owners = self.rows.values().flat_map(|c| [&c.client.end, &c.server.end]).flatten();
        owners.filter(|end| end.owner.cgroup == id).find_map(|end| end.owner.cgroup_path.clone())
    }

    /// Takes over filter and height.
    pub fn settle(&mut self, filter: &Filter, names: &NameTable, height: u16) {
        let passes = |id: &ConnectionId| self.rows.get(id).is_some_and(|c| passes(c, filter, names));
        self.visible = self.order.iter().copied().filter(passes).collect();
        self.height = usize::from(height.saturating_sub(2)).max(1);
        let end = self.visible.len().saturating_sub(self.height);
        match self.selected.and_then(|id| self.visible.iter().position(|v| *v == id)) {
            Some(at) => {
                self.scroll = self.scroll.clamp((at + 1).saturating_sub(self.height), at).min(end);
            }
            None => {
                self.selected = None;
                self.scroll = end;
            }
        }
    }

    /// Moves the selection.
    pub fn step(&mut self, by: isize) {
        let at = self.selected.and_then(|id| self.visible.iter().position(|v| *v == id));
        let last = self.visible.len().saturating_sub(1);
        let next = match at {
            // Below the last row the view follows the newest again.
            Some(i) if i == last && by > 0 => {
                self.selected = None;
                return;
            }
            Some(i) => (i as isize).saturating_add(by).clamp(0, last as isize) as usize,
            None if by == isize::MIN => 0,
            None => last,
        };
        self.selected = self.visible.get(next).copied();
    }

    /// Moves the view; what is selected then is in it.
    pub fn scroll_by(&mut self, by: isize) {
        self.step(by);
    }

    /// Both addresses of the selected one.
    pub fn selected_text(&self) -> Option<String> {
        let c = self.rows.get(&self.selected?)?;
        Some(format!("{} → {}", c.client.address, c.server.address))
    }
}

fn passes(c: &Connection, filter: &Filter, names: &NameTable) -> bool {
    if filter.is_empty() {
        return true;
    }
    let name = |e: EntityId| names.workload(e).id.name;
    let (client, server) = (name(c.client.entity), name(c.server.entity));
    let (client_at, server_at) = (c.client.address.to_string(), c.server.address.to_string());
    let (client_proc, server_proc) = (process(&c.client), process(&c.server));
    filter.matches(&Subject {
        client: &[&client, &client_at, &client_proc],
        server: &[&server, &server_at, &server_proc],
        asked: &[],
        protocols: &[],
        port: c.server.address.port,
        failing: c.outcome.is_some_and(|o| o.is_failure()),
        idle: c.bytes() == (0, 0),
    })
}

/// `nginx[812]`, or nothing.
pub fn process(side: &Side) -> String {
    let process = side.end.as_ref().and_then(|e| e.owner.process.as_ref());
    process.map_or_else(String::new, |p| format!("{}[{}]", p.comm, p.key.pid))
}

/// State or outcome in a word, and how it is meant.
pub fn state_words(c: &Connection) -> (String, Role) {
    match (c.state, c.outcome) {
        (_, Some(o)) if o.is_failure() => {
            (format!("× {o}"), if c.state == ConnectionState::Failed { Role::Bad } else { Role::Warn })
        }
        (ConnectionState::Open, _) => ("● open".into(), Role::Ok),
        (ConnectionState::Opening, _) => ("○ opening".into(), Role::Text),
        (_, Some(o)) => (format!("  {o}"), Role::Muted),
        (s, None) => (format!("  {}", s.as_str()), Role::Muted),
    }
}

/// Draws the table.
pub fn draw(state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
    let view = &state.connections;
    if view.visible.is_empty() {
        return super::view::empty(state, pen, "connections");
    }
    let names = state.world.names();
    let width = pen.area.width;
    // What fixed columns leave goes to processes where it is enough for them, else to the names.
    let fixed = [(68, 67), (76, 76), (88, 85), (98, 94), (107, 103)];
    let used = fixed.into_iter().rev().find(|f| width >= f.0).map_or(63, |f| f.1);
    let left = width.saturating_sub(used + 1);
    let (processes, wide) = if width >= 107 && left >= PROCESS_MIN {
        (0, left.saturating_sub(PROCESS) / 2)
    } else {
        (u16::MAX, left / 2)
    };
    let (name, server) = (13 + wide.min(12), 17 + wide.min(12));
    // Title, width, right-aligned, narrowest screen that has it.
    let columns: [(&str, u16, bool, u16); 10] = [
        ("TIME", 9, false, 0),
        ("CLIENT", name, false, 0),
        ("SERVER", server, false, 0),
        ("SEC", 3, false, 68),
        ("STATE", 19, false, 0),
        ("CONNECT", 8, true, 76),
        ("RTT", 8, true, 88),
        ("OUT", 8, true, 98),
        ("IN", 8, true, 107),
        ("PROCESS", u16::MAX, false, processes),
    ];
    let mut x = 1;
    for (title, w, right, from) in columns {
        if width < from {
            continue;
        }
        pen.cell(x, 0, w, title, Role::Muted, right);
        x = x.saturating_add(w).saturating_add(1);
    }
    for (row, id) in view.visible.iter().skip(view.scroll).take(view.height).enumerate() {
        let Some(c) = view.get(*id) else { continue };
        let y = row as u16 + 1;
        let (out, back) = c.bytes();
        let end = c.view();
        let connect = c.end(View::Client).and_then(End::connect_us);
        let (words, role) = state_words(c);
        let micros = |us: Option<u64>| us.map_or_else(|| figures::NONE.into(), figures::micros);
        let owners = [process(&c.client), process(&c.server)];
        let owners: Vec<&str> = owners.iter().map(String::as_str).filter(|o| !o.is_empty()).collect();
        let arrow = if c.adopted() { "≤" } else { "" };
        let time = format!("{arrow}{}", state.shown.clock.time(c.opened()));
        let calm = if c.state.is_over() { Role::Muted } else { Role::Text };
        let none = || (figures::NONE.to_owned(), Role::Muted);
        let secured = c.tls.as_ref().map_or_else(none, |t| super::security::letter(t.status));
        let cells: [(String, Role); 10] = [
            (time.replace('≤', "<"), calm),
            (
                names.workload(c.client.entity).id.bare().to_owned(),
                if c.state.is_over() { calm } else { Role::Strong },
            ),
            (format!("{}:{}", names.workload(c.server.entity).id.bare(), c.server.address.port), calm),
            secured,
            (words, role),
            (micros(connect), calm),
            (micros(end.and_then(|(_, e)| e.seen.srtt_us).map(u64::from)), calm),
            (figures::bytes(out), calm),
            (figures::bytes(back), calm),
            (owners.join(" → "), calm),
        ];
        let mut x = 1;
        for ((_, w, right, from), (text, role)) in columns.into_iter().zip(cells) {
            if width < from {
                continue;
            }
            pen.cell(x, y, w, &text, role, right);
            x = x.saturating_add(w).saturating_add(1);
        }
        let line = Rect { x: 0, y, width, height: 1 };
        if view.selected == Some(*id) {
            pen.restyle(line, Role::Selected);
        }
        hits.add(Rect { x: pen.area.x, y: pen.area.y + y, ..line }, Hit::Connection(*id));
    }
    let mut words = match view.selected {
        None => "▼ following the newest · ↑ stops and selects".to_owned(),
        Some(_) => "following stopped · G follows again · Enter opens".to_owned(),
    };
    words = format!("{} of at most {KEPT} kept · {words}", view.visible.len());
    if view.missed > 0 {
        words = format!("{} events missed, this viewer was too slow · {words}", figures::count(view.missed));
    }
    if !view.waiting.is_empty() {
        words = format!("{} events wait · {words}", view.waiting.len());
    }
    let role = if view.missed > 0 { Role::Warn } else { Role::Muted };
    pen.put(1, pen.area.height - 1, width.saturating_sub(2), &words, role);
}
