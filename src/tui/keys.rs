//! The key table: what dispatches keys also writes the key line, the help and the documentation.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::state::Pane;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the table below says what each one does")]
pub enum Action {
    Quit,
    Help,
    Back,
    Open,
    Up,
    Down,
    Left,
    Right,
    Top,
    Bottom,
    PageUp,
    PageDown,
    NextPane,
    PreviousPane,
    Show(Pane),
    Filter,
    Sort,
    Reverse,
    Pause,
    Window,
    Theme,
    Copy,
    NextEdge,
    PreviousEdge,
    Arrange,
    Suspend,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The keys as people write them: `↑ k`.
    pub keys: &'static str,
    /// What they do, as a sentence without its subject.
    pub does: &'static str,
    /// A word for the key line; empty where it is not shown there.
    pub hint: &'static str,
    /// Panes where it does something; empty for everywhere.
    pub panes: &'static [Pane],
    /// What it asks for.
    pub action: Action,
    codes: &'static [(KeyCode, KeyModifiers)],
}

const NONE: KeyModifiers = KeyModifiers::NONE;
const CTRL: KeyModifiers = KeyModifiers::CONTROL;

macro_rules! key {
    ($keys:literal, $does:literal, $hint:literal, [$($pane:ident)*], $action:expr, [$($code:expr),*]) => {
        Key { keys: $keys, does: $does, hint: $hint, panes: &[$(Pane::$pane),*], action: $action, codes: &[$($code),*] }
    };
}

use Action as A;
use KeyCode::{BackTab, Char, Down, End, Enter, Esc, F, Home, Left, PageDown, PageUp, Right, Tab, Up};

static TABLE: &[Key] = &[
    key!("?", "opens and closes this help", "help", [], A::Help, [(Char('?'), NONE), (F(1), NONE)]),
    key!("Enter", "opens the detail of what is selected", "open", [Map Edges Connections Requests Security], A::Open, [(Enter, NONE)]),
    key!("Esc", "closes, clears the filter, or deselects", "", [], A::Back, [(Esc, NONE)]),
    key!(
        "Tab Shift-Tab",
        "next view, previous view",
        "view",
        [],
        A::NextPane,
        [(Tab, NONE), (Char(']'), NONE)]
    ),
    key!("[", "previous view", "", [], A::PreviousPane, [(BackTab, NONE), (Char('['), NONE)]),
    key!("1", "shows the map", "", [], A::Show(Pane::Map), [(Char('1'), NONE)]),
    key!("2", "shows the edges", "", [], A::Show(Pane::Edges), [(Char('2'), NONE)]),
    key!("3", "shows the connections", "", [], A::Show(Pane::Connections), [(Char('3'), NONE)]),
    key!("4", "shows the requests", "", [], A::Show(Pane::Requests), [(Char('4'), NONE)]),
    key!("5", "shows the security", "", [], A::Show(Pane::Security), [(Char('5'), NONE)]),
    key!("6", "shows the agent", "", [], A::Show(Pane::Agent), [(Char('6'), NONE)]),
    key!("/", "filters: to:api port:80 proto:dns err !web", "filter", [], A::Filter, [(Char('/'), NONE)]),
    key!("↑ k", "moves up", "", [], A::Up, [(Up, NONE), (Char('k'), NONE)]),
    key!("↓ j", "moves down", "", [], A::Down, [(Down, NONE), (Char('j'), NONE)]),
    key!("← h", "moves left", "", [Map], A::Left, [(Left, NONE), (Char('h'), NONE)]),
    key!("→ l", "moves right", "", [Map], A::Right, [(Right, NONE), (Char('l'), NONE)]),
    key!("g Home", "goes to the first", "", [], A::Top, [(Char('g'), NONE), (Home, NONE)]),
    key!("G End", "goes to the last", "", [], A::Bottom, [(Char('G'), NONE), (End, NONE)]),
    key!("PgUp Ctrl-u", "a page up", "", [], A::PageUp, [(PageUp, NONE), (Char('u'), CTRL)]),
    key!("PgDn Ctrl-d", "a page down", "", [], A::PageDown, [(PageDown, NONE), (Char('d'), CTRL)]),
    key!("e", "selects the next edge of the box", "edge", [Map], A::NextEdge, [(Char('e'), NONE)]),
    key!("E", "selects the previous edge of the box", "", [Map], A::PreviousEdge, [(Char('E'), NONE)]),
    key!("r", "arranges the boxes anew", "arrange", [Map], A::Arrange, [(Char('r'), NONE)]),
    key!("s", "sorts by the next column", "sort", [Edges], A::Sort, [(Char('s'), NONE)]),
    key!("S", "turns the order around", "", [Edges], A::Reverse, [(Char('S'), NONE)]),
    key!("Space", "pauses; what happens meanwhile is kept", "pause", [], A::Pause, [(Char(' '), NONE)]),
    key!("w", "window of all figures: 10 s, 60 s, 5 min", "window", [], A::Window, [(Char('w'), NONE)]),
    key!("t", "theme: dark, light, mono", "theme", [], A::Theme, [(Char('t'), NONE)]),
    key!("y", "copies name and address (by OSC 52)", "", [Map Edges Connections Requests Security], A::Copy, [(Char('y'), NONE)]),
    key!("Ctrl-z", "suspends; fg comes back", "", [], A::Suspend, [(Char('z'), CTRL)]),
    key!("q Ctrl-c", "leaves", "quit", [], A::Quit, [(Char('q'), NONE), (Char('c'), CTRL)]),
];

/// All keys, in the order of help.
pub fn key_table() -> &'static [Key] {
    TABLE
}

/// What a key asks for.
pub fn action(key: &KeyEvent) -> Option<Action> {
    let modifiers = match key.code {
        // Shift is in the letter already.
        Char(_) | BackTab => key.modifiers - KeyModifiers::SHIFT,
        _ => key.modifiers,
    };
    TABLE.iter().find(|row| row.codes.contains(&(key.code, modifiers))).map(|row| row.action)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_key_has_two_meanings() {
        let mut seen = HashSet::new();
        for row in key_table() {
            for code in row.codes {
                assert!(seen.insert(*code), "{code:?} twice");
            }
            assert!(!row.does.is_empty() && !row.keys.is_empty());
        }
    }

    #[test]
    fn shift_is_in_the_letter() {
        let key = |c, m| action(&KeyEvent::new(c, m));
        assert_eq!(key(Char('S'), KeyModifiers::SHIFT), Some(Action::Reverse));
        assert_eq!(key(Char('s'), NONE), Some(Action::Sort));
        assert_eq!(key(Char('c'), CTRL), Some(Action::Quit));
        assert_eq!(key(Char('c'), NONE), None);
        assert_eq!(key(BackTab, KeyModifiers::SHIFT), Some(Action::PreviousPane));
    }
}
