//! Keys and mouse → state.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::keys::{self, Action};
use super::state::{Detail, Link, PANES, Pane, State};
use super::view::{Areas, Hit};

/// Rows of one turn of the wheel.
const WHEEL: isize = 3;

impl State {
    /// A key was pressed.
    pub fn key(&mut self, key: &KeyEvent) {
        self.touched_ms = self.now_ms;
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        if self.filter.editing && !(ctrl && matches!(key.code, KeyCode::Char('c' | 'z'))) {
            return self.edit(key, ctrl);
        }
        if let Some(action) = keys::action(key) {
            self.act(action);
        }
    }

    /// Text was pasted: into the filter.
    pub fn paste(&mut self, text: &str) {
        if self.filter.editing {
            let text = format!("{}{}", self.filter.text, text.lines().next().unwrap_or(""));
            self.filter.set(&text);
        }
    }

    fn edit(&mut self, key: &KeyEvent, ctrl: bool) {
        let mut text = self.filter.text.clone();
        match key.code {
            KeyCode::Enter | KeyCode::Tab | KeyCode::Down => self.filter.editing = false,
            KeyCode::Esc => {
                self.filter.editing = false;
                text.clear();
            }
            KeyCode::Backspace if text.is_empty() => self.filter.editing = false,
            KeyCode::Backspace => {
                text.pop();
            }
            KeyCode::Char('u') if ctrl => text.clear(),
            KeyCode::Char('w') if ctrl => {
                let end = text.trim_end().rfind(' ').map_or(0, |i| i + 1);
                text.truncate(end);
            }
            KeyCode::Char(c) if !ctrl => text.push(c),
            _ => {}
        }
        self.filter.set(&text);
    }

    /// Does what a key asks for.
    pub fn act(&mut self, action: Action) {
        if self.help {
            let scroll = |by: i16| self.help_scroll.saturating_add_signed(by);
            match action {
                Action::Up => return self.help_scroll = scroll(-1),
                Action::Down => return self.help_scroll = scroll(1),
                Action::PageUp | Action::Top => return self.help_scroll = 0,
                Action::PageDown | Action::Bottom => return self.help_scroll = scroll(10),
                Action::Help | Action::Back => return self.help = false,
                Action::Quit | Action::Suspend | Action::Theme => {}
                // Anything else closes it and acts.
                _ => self.help = false,
            }
        }
        match action {
            Action::Quit => self.quit = true,
            Action::Suspend => self.suspend = true,
            Action::Help => (self.help, self.help_scroll) = (true, 0),
            Action::Back => self.back(),
            Action::Open => self.open(),
            Action::Filter => self.filter.editing = true,
            Action::Show(pane) => self.go(pane),
            Action::NextPane => self.go(PANES[(self.pane as usize + 1) % PANES.len()]),
            Action::PreviousPane => self.go(PANES[(self.pane as usize + PANES.len() - 1) % PANES.len()]),
            Action::Theme => {
                self.theme = self.theme.next();
                self.note(format!("theme {}", self.theme.name()));
            }
            Action::Pause => self.pause(),
            Action::Window => self.change_window(),
            Action::Copy => self.copy_selected(),
            Action::Sort if self.pane == Pane::Edges => self.edges.sort_next(&self.shown, self.now_ms),
            Action::Reverse if self.pane == Pane::Edges => self.edges.reverse(&self.shown, self.now_ms),
            Action::Arrange if self.pane == Pane::Map => self.map.forget(),
            Action::NextEdge if self.pane == Pane::Map => self.map.next_edge(&self.shown, 1),
            Action::PreviousEdge if self.pane == Pane::Map => self.map.next_edge(&self.shown, -1),
            Action::Sort | Action::Reverse | Action::Arrange | Action::NextEdge | Action::PreviousEdge => {}
            Action::Up => self.step(0, -1),
            Action::Down => self.step(0, 1),
            Action::Left => self.step(-1, 0),
            Action::Right => self.step(1, 0),
            Action::PageUp => self.page(-1),
            Action::PageDown => self.page(1),
            Action::Top => self.page(isize::MIN),
            Action::Bottom => self.page(isize::MAX),
        }
    }

    fn go(&mut self, pane: Pane) {
        if pane != self.pane {
            self.detail = None;
            // Nobody looks at the one that was selected: what comes need not wait for it.
            if self.pane == Pane::Requests {
                self.follow_requests();
            }
        }
        self.pane = pane;
        // The next key may come before the next frame: rows are there to be selected at once.
        self.settle();
    }

    fn back(&mut self) {
        if self.detail.is_some() {
            self.detail = None;
        } else if !self.filter.text.is_empty() {
            self.filter.set("");
        } else {
            match self.pane {
                Pane::Map => self.map.selected = None,
                Pane::Edges => self.edges.selected = None,
                Pane::Connections => self.connections.selected = None,
                Pane::Requests => self.follow_requests(),
                Pane::Security => self.security.selected = None,
                Pane::Agent => {}
            }
        }
    }

    fn open(&mut self) {
        let detail = match self.pane {
            Pane::Map => self.map.detail(&self.shown),
            Pane::Edges => self.edges.selected.clone().map(Detail::Edge),
            Pane::Connections => self.connections.selected.map(Detail::Connection),
            Pane::Requests => self.requests.selected().map(Detail::Request),
            Pane::Security => self.security.detail(),
            Pane::Agent => return,
        };
        match detail {
            Some(d) if self.detail.as_ref() == Some(&d) => self.detail = None,
            Some(d) => {
                self.detail = Some(d);
                self.detail_scroll = 0;
            }
            None => self.note("nothing is selected: the arrow keys select".into()),
        }
    }

    /// The detail follows the selection while it stands beside the list.
    fn follow(&mut self) {
        if self.detail.is_none() {
            return;
        }
        let detail = match self.pane {
            Pane::Map => self.map.detail(&self.shown),
            Pane::Edges => self.edges.selected.clone().map(Detail::Edge),
            Pane::Connections => self.connections.selected.map(Detail::Connection),
            Pane::Requests => self.requests.selected().map(Detail::Request),
            Pane::Security => self.security.detail(),
            Pane::Agent => None,
        };
        if detail.is_some() {
            self.detail = detail;
        }
    }

    fn step(&mut self, dx: isize, dy: isize) {
        let areas = Areas::new(self);
        if areas.list.is_none() {
            self.detail_scroll = self.detail_scroll.saturating_add_signed(dy as i16);
            return;
        }
        match self.pane {
            Pane::Map => self.map.step(&self.shown, dx, dy),
            Pane::Edges => self.edges.step(dy),
            Pane::Connections => self.connections.step(dy),
            Pane::Requests => {
                if self.requests.step(dy) {
                    self.follow_requests();
                }
            }
            Pane::Security => self.security.step(dy),
            Pane::Agent => self.agent_scroll = self.agent_scroll.saturating_add_signed(dy as i16),
        }
        self.follow();
    }

    fn page(&mut self, pages: isize) {
        let areas = Areas::new(self);
        let rows = areas.list.unwrap_or(areas.body).height.saturating_sub(2).max(1) as isize;
        let by = pages.saturating_mul(rows);
        let to =
            |scroll: u16| -> u16 { (scroll as isize).saturating_add(by).clamp(0, i16::MAX as isize) as u16 };
        if areas.detail.is_some() {
            // Beside the list too: the arrows move the list, pages the detail.
            self.detail_scroll = to(self.detail_scroll);
            return;
        }
        match self.pane {
            Pane::Map => self.map.scroll_by(0, by),
            Pane::Edges => self.edges.step(by),
            Pane::Connections if pages == isize::MAX => self.connections.selected = None,
            Pane::Connections => self.connections.step(by),
            Pane::Requests if pages == isize::MAX => self.follow_requests(),
            Pane::Requests => {
                if self.requests.step(by) {
                    self.follow_requests();
                }
            }
            Pane::Security => self.security.step(by),
            Pane::Agent => self.agent_scroll = to(self.agent_scroll),
        }
        self.follow();
    }

    fn pause(&mut self) {
        if self.paused.take().is_some() {
            self.connections.resume();
            self.requests.resume();
            self.show();
        } else if self.link != Link::Connecting {
            self.paused = Some(0);
        }
    }

    /// The list of requests stays at the newest again.
    fn follow_requests(&mut self) {
        self.requests.follow(self.paused.is_some());
    }

    fn change_window(&mut self) {
        if self.paused.is_some() {
            return self.note("paused: the window stays as it is; Space goes on".into());
        }
        self.window_s = match self.window_s {
            0..=10 => 60,
            11..=60 => 300,
            _ => 10,
        };
        self.show();
    }

    fn copy_selected(&mut self) {
        let text = match self.pane {
            Pane::Map => self.map.selected_text(&self.shown),
            Pane::Edges => {
                self.edges.selected.as_ref().and_then(|id| self.shown.edge(id)).map(super::edges::words)
            }
            Pane::Connections => self.connections.selected_text(),
            Pane::Requests => {
                self.requests.selected().map(|e| super::requests::words(&e, self.world.names()))
            }
            Pane::Security => self.security.selected_text(),
            Pane::Agent => None,
        };
        match text {
            Some(text) => {
                let text = crate::model::escape(&text);
                self.note(format!("copied: {text}"));
                self.copy = Some(text);
            }
            None => self.note("nothing is selected: the arrow keys select".into()),
        }
    }

    /// The mouse did something.
    pub fn mouse(&mut self, event: &MouseEvent) {
        self.touched_ms = self.now_ms;
        let at = Position::new(event.column, event.row);
        match event.kind {
            MouseEventKind::Down(MouseButton::Left) => self.click(at),
            MouseEventKind::ScrollUp => self.wheel(at, -WHEEL),
            MouseEventKind::ScrollDown => self.wheel(at, WHEEL),
            MouseEventKind::ScrollLeft if self.pane == Pane::Map => self.map.scroll_by(-WHEEL * 2, 0),
            MouseEventKind::ScrollRight if self.pane == Pane::Map => self.map.scroll_by(WHEEL * 2, 0),
            _ => {}
        }
    }

    fn wheel(&mut self, at: Position, by: isize) {
        let areas = Areas::new(self);
        if areas.detail.is_some_and(|d| d.contains(at)) {
            self.detail_scroll = self.detail_scroll.saturating_add_signed(by as i16);
            return;
        }
        match self.pane {
            Pane::Map => self.map.scroll_by(0, by),
            Pane::Edges => self.edges.scroll_by(by),
            Pane::Connections => self.connections.scroll_by(by),
            Pane::Requests => {
                if self.requests.step(by) {
                    self.follow_requests();
                }
            }
            Pane::Security => self.security.scroll_by(by),
            Pane::Agent => self.agent_scroll = self.agent_scroll.saturating_add_signed(by as i16),
        }
    }

    /// A click selects; on what is selected already it opens.
    fn click(&mut self, at: Position) {
        if self.help {
            self.help = false;
            return;
        }
        let Some(hit) = self.hits.at(at).cloned() else { return };
        match hit {
            Hit::Tab(pane) => self.go(pane),
            Hit::Filter => self.filter.editing = true,
            Hit::Close => self.detail = None,
            Hit::Pause => self.pause(),
            Hit::Window => self.change_window(),
            Hit::Column(column) => self.edges.sort_by(column, &self.shown, self.now_ms),
            Hit::Edge(id) if self.pane == Pane::Map => {
                let again = self.map.selected_edge() == Some(&id);
                self.map.select_edge(id);
                self.after_click(again);
            }
            Hit::Edge(id) => {
                let again = self.edges.selected.as_ref() == Some(&id);
                self.edges.selected = Some(id);
                self.after_click(again);
            }
            Hit::Node(id) => {
                let again = self.map.selected_node() == Some(&id);
                self.map.select_node(id);
                self.after_click(again);
            }
            Hit::Request(sequence) => {
                let again = self.requests.select(sequence);
                self.after_click(again);
            }
            Hit::Finding(id) => {
                let again = self.security.selected.as_ref() == Some(&id);
                self.security.selected = Some(id);
                self.after_click(again);
            }
            Hit::Connection(id) => {
                let again = self.connections.selected == Some(id);
                self.connections.selected = Some(id);
                self.after_click(again);
            }
        }
    }

    fn after_click(&mut self, again: bool) {
        if again && self.detail.is_none() { self.open() } else { self.follow() }
    }
}
