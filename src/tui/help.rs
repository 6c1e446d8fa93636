//! Help: the key table, and what figures and signs mean, over the view.
//!
//! ```text
//! ┌ Help ─────────────────────────────────── any key closes ┐
//! │ ?            opens and closes this help                 │
//! │ Enter        opens the detail of what is selected       │
//! ```

use super::keys::key_table;
use super::pen::{Pen, columns};
use super::state::State;
use super::theme::Role;

const SIGNS: [(&str, &str); 9] = [
    ("conn/s", "connections begun per second, over the window in the header"),
    ("err", "share of connections that failed or were reset, of those begun or ended"),
    ("CON p99", "99 of 100 connects were this fast or faster: SYN to established"),
    ("RTT p50", "median of the kernel's smoothed round-trip times"),
    ("OUT IN", "payload per second from the client's side: to the server, from it"),
    ("(n 12)", "the figure rests on 12 values only"),
    ("━ ═ ╌ ×", "lines: selected, busiest, idle, failing"),
    ("loss", "what the agent could not see; 4 says what and why"),
    ("?→", "client and server are not known; the lower port stands as the server"),
];

/// Draws over its area.
pub fn draw(_state: &State, pen: &mut Pen<'_>) {
    pen.clear();
    let inside = pen.frame("Help", Role::Accent);
    if pen.area.width > 30 {
        pen.right(0, 0, pen.area.width - 2, " any key closes ", Role::Muted);
    }
    let mut pen = pen.within(inside);
    let rows: Vec<(&str, &str)> =
        key_table().iter().map(|k| (k.keys, k.does)).chain([("", "")]).chain(SIGNS).collect();
    let height = usize::from(pen.area.height).max(1);
    // A second column where one is too short.
    let two = rows.len() > height && pen.area.width >= 110;
    let width = if two { pen.area.width / 2 } else { pen.area.width };
    for (i, (keys, does)) in rows.iter().enumerate().take(height * if two { 2 } else { 1 }) {
        let (x, y) = ((i / height) as u16 * width, (i % height) as u16);
        if !two && i + 1 == height && i + 1 < rows.len() {
            let text = format!("... {} more: a higher or wider terminal shows them", rows.len() - i);
            pen.put(1, y, width.saturating_sub(2), &text, Role::Muted);
            break;
        }
        pen.put(x + 1, y, 13, keys, Role::Accent);
        pen.put(x + 15, y, width.saturating_sub(16), does, Role::Text);
        debug_assert!(columns(keys) <= 13, "{keys}");
    }
}
