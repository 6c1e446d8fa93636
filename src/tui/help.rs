//! Help: the key table, and what figures and signs mean, over the view.
//!
//! ```text
//! ┌ Help ─────────────────────────── ↑ ↓ scroll · Esc closes ┐
//! │ ?             opens and closes this help                 │
//! │ Enter         opens the detail of what is selected       │
//! ```

use super::keys::key_table;
use super::pen::{Pen, columns};
use super::state::State;
use super::theme::Role;

const SIGNS: [(&str, &str); 19] = [
    ("conn/s", "connections begun per second"),
    ("req/s", "decoded requests per second"),
    ("820/s", "on the map: requests, else connections"),
    ("~820", "at least: some bytes were not decoded"),
    ("err", "share of requests, else of connections"),
    ("p50 p99", "last byte asked to first byte answered"),
    ("41 ms t", "of turns: not decoded, only timed"),
    ("conn 80 µs", "nothing is asked: the time to connect"),
    ("8 ms c, s", "as the client, as the server saw it"),
    ("× ! ?", "error, the client's error, unknown"),
    ("CON p99", "99 of 100 connects took at most this"),
    ("RTT p50", "median of the smoothed round-trip times"),
    ("OUT IN", "payload to the server, from the server"),
    ("(n 12)", "the figure rests on 12 values only"),
    ("SEC P T M R", "plaintext, TLS, mutual TLS, resumed"),
    ("SEC I U F ?", "implied by mesh, tunnel, failed, unknown"),
    ("━ ═ ╌ ×", "lines: selected, busiest, idle, failing"),
    ("loss", "what could not be seen; 6 says why"),
    ("?→", "roles unknown: lower port stands as server"),
];

/// Draws over its area.
pub fn draw(state: &State, pen: &mut Pen<'_>) {
    pen.clear();
    let inside = pen.frame("Help", Role::Accent);
    if pen.area.width > 30 {
        pen.right(0, 0, pen.area.width - 2, " ↑ ↓ scroll · Esc closes ", Role::Muted);
    }
    let mut pen = pen.within(inside);
    let rows: Vec<(&str, &str)> =
        key_table().iter().map(|k| (k.keys, k.does)).chain([("", "")]).chain(SIGNS).collect();
    let height = usize::from(pen.area.height).max(1);
    // A second column where one is too short.
    let two = rows.len() > height && pen.area.width >= 116;
    let room = if two { height * 2 } else { height };
    let width = if two { pen.area.width / 2 } else { pen.area.width };
    let end = rows.len().saturating_sub(room);
    let scroll = usize::from(state.help_scroll).min(end);
    for (i, (keys, does)) in rows.iter().skip(scroll).take(room).enumerate() {
        let (x, y) = ((i / height) as u16 * width, (i % height) as u16);
        pen.put(x + 1, y, 13, keys, Role::Accent);
        pen.put(x + 15, y, width.saturating_sub(16), does, Role::Text);
        debug_assert!(columns(keys) <= 13, "{keys}");
    }
    if scroll < end {
        pen.right(0, pen.area.height.saturating_sub(1), pen.area.width, " ▼ more ", Role::Muted);
    }
}
