//! A box of the map and what stands in it, for as much room as it has.
//!
//! ```text
//! ┌ api :8080 ─────────┐   ┌ stock :9002 ───┐   ┌ cron ──────┐
//! │ ▂▂▃▇▅▂▃▂ p99 41 ms │   │ refused 12.0/s │   │ ▂▃▂▁ 0.2/s │
//! │ err 1.9 %   82.1/s │   │ since 14:01:10 │   │ err 0 %    │
//! │ 40 open   670 kB/s │   │ ▁▁▂▃▂▁▁ 0 open │   └────────────┘
//! └────────────────────┘   └────────────────┘
//! ```

use ratatui::layout::Rect;

use crate::tui::edges::port_words;
use crate::tui::figures;
use crate::tui::pen::{Pen, clean, columns, spark};
use crate::tui::shown::{FEW, Node, Shown, Trouble};
use crate::tui::state::State;
use crate::tui::theme::Role;
use crate::world::Timed;

/// Below so many columns a box has only the rate and the share of failures.
const NARROW: u16 = 14;

/// From this width of a box on, borders included, it has something for a third row.
pub const THREE: u16 = NARROW + 4;

/// A left and a right text with their roles.
type Row = ((String, Role), (String, Role));

/// Draws a box into the pen's area.
pub fn draw(pen: &mut Pen<'_>, state: &State, node: &Node, selected: bool) {
    let border = match (selected, node.trouble) {
        (true, _) => Role::Accent,
        (_, Trouble::Failing) => Role::Bad,
        _ => Role::Muted,
    };
    pen.clear();
    let inside = pen.frame("", border);
    if selected {
        heavy(pen, border);
    }
    let ports = port_words(&node.ports);
    let name_role = if node.is_far() { Role::Text } else { Role::Strong };
    let room = pen.area.width.saturating_sub(3);
    let name = format!(" {}", node.id.name);
    // By the width that all boxes have: either every server shows its port or none does, and a long
    // name gives way. An address stays whole.
    let beside = columns(&ports) + 1;
    let with_port = !ports.is_empty()
        && pen.area.width >= THREE
        && (!node.is_far() || columns(&clean(&name)) + beside <= room);
    // The name of a process may carry the port itself: once is enough.
    let name = if with_port { format!(" {}", node.id.bare()) } else { name };
    let mut end = pen.put(1, 0, room.saturating_sub(if with_port { beside } else { 0 }), &name, name_role);
    if with_port {
        end = pen.put(end, 0, beside, &format!(" {ports}"), Role::Muted);
    }
    pen.text(end, 0, " ", Role::Muted);
    let mut pen = pen.within(Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside });
    let width = pen.area.width;
    for (y, (left, right)) in rows(&state.shown, node, width).into_iter().enumerate() {
        let y = y as u16;
        pen.right(0, y, width, &right.0, right.1);
        let room = width.saturating_sub(columns(&right.0) + u16::from(!right.0.is_empty()));
        pen.put(0, y, room, &left.0, left.1);
    }
}

/// The first pair that fits into a width, else the last one.
fn fitting(width: u16, roles: (Role, Role), pairs: Vec<(String, String)>) -> Row {
    let fits = |p: &(String, String)| columns(&p.0) + columns(&p.1) + u16::from(!p.1.is_empty()) <= width;
    let at = pairs.iter().position(fits).unwrap_or(pairs.len().saturating_sub(1));
    let (left, right) = pairs.into_iter().nth(at).unwrap_or_default();
    ((left, roles.0), (right, roles.1))
}

/// The course of a workload, as wide as the right text allows: latency, drawn so that a steady one
/// stays low and what rises above its median is seen; connections where nothing is timed.
fn course(node: &Node, width: u16, most: usize, right: String) -> Row {
    let bars = usize::from(width.saturating_sub(columns(&right) + 1)).min(most);
    let mut timed: Vec<f64> = node.slow.iter().copied().filter(|us| *us > 0.0).collect();
    timed.sort_unstable_by(f64::total_cmp);
    let text = match (timed.get(timed.len() / 2), timed.last()) {
        (Some(median), Some(most)) => spark(&node.slow, bars, most.max(median * 4.0)),
        _ => spark(&node.trend, bars, 0.0),
    };
    ((text, Role::Accent), (right, Role::Text))
}

/// `p99 41 ms`; `turn 41 ms` and `conn 80 µs` where nothing is decoded, nothing is asked. A count of
/// values that is small is shown where there is room.
fn slow(node: &Node, width: u16, open: &str) -> String {
    let (what, us, n) = match node.latency {
        Some(l) if l.timed == Timed::Requests => ("p99", l.p99, l.n),
        Some(l) => ("turn", l.p99, l.n),
        None => match node.connect.quantile(0.99) {
            Some(us) => ("conn", us, node.connect.count()),
            None => return open.to_owned(),
        },
    };
    let text = format!("{what} {}", figures::micros(us));
    if n < FEW && width >= 21 { format!("{text} (n {n})") } else { text }
}

/// The rows inside, the most important first.
fn rows(shown: &Shown, node: &Node, width: u16) -> Vec<Row> {
    if node.is_idle() && node.open == 0 {
        let age = node.active.map(|at| figures::age(shown.now.since(at)));
        let words = age.map_or_else(|| "idle".into(), |age| format!("idle {age}"));
        return vec![((words, Role::Muted), (String::new(), Role::Muted))];
    }
    // Requests where they are decoded, else connections.
    let rates = [(node.asked, "req/s"), (node.served, "conn/s"), (node.asks, "req/s")];
    let (rate, unit) = rates.into_iter().find(|r| r.0 > 0.0).unwrap_or((node.begun, "conn/s"));
    let about = |rate: String| figures::at_least(rate, node.incomplete);
    let (long, short) = (about(figures::rate(rate)), about(figures::short_rate(rate)));
    let whole = about(format!("{} {}", figures::sig3(rate), unit));
    let share = figures::share(node.failures.0, node.failures.1);
    let err_role = if node.trouble == Trouble::None { Role::Muted } else { Role::Warn };
    let open = format!("{} open", figures::count(node.open));
    let p99 = slow(node, width, &open);
    let failing = node.worst.filter(|_| node.trouble == Trouble::Failing);
    if let Some((reason, per_s, since)) = failing {
        let outcome = reason.words();
        let time = since.map_or_else(String::new, |at| shown.clock.time(at));
        let why = |rate: String| (format!("{outcome} {rate}"), String::new());
        let first = fitting(
            width,
            (Role::Bad, Role::Bad),
            vec![
                why(figures::rate(per_s)),
                why(figures::short_rate(per_s)),
                (outcome.to_string(), String::new()),
            ],
        );
        // Without its zone, which the line under the map has, before without its seconds.
        let digits = time.trim_end_matches('Z');
        let since = vec![
            (format!("since {time}"), String::new()),
            (format!("since {digits}"), String::new()),
            (time.clone(), String::new()),
            (digits.to_owned(), String::new()),
            (time.chars().take(5).collect(), String::new()),
        ];
        let since = fitting(width, (Role::Bad, Role::Bad), since);
        let right = if width < NARROW { short } else { p99 };
        return vec![first, since, course(node, width, 8, right)];
    }
    let (err, brief) = (format!("err {share}"), format!("×{share}"));
    if width < NARROW {
        let err = fitting(width, (err_role, Role::Text), vec![(err, String::new()), (brief, String::new())]);
        let value = p99.split_once(' ').map_or_else(String::new, |(_, value)| value.to_owned());
        let p99 = vec![(p99, String::new()), (value, String::new())];
        return vec![course(node, width, 6, short), err, fitting(width, (Role::Muted, Role::Text), p99)];
    }
    let bytes = figures::byte_rate(node.bytes);
    let traffic = vec![(open.clone(), bytes), (open, String::new())];
    vec![
        course(node, width, 8, p99),
        fitting(
            width,
            (err_role, Role::Text),
            vec![
                (err.clone(), whole),
                (err.clone(), long.clone()),
                (err, short.clone()),
                (brief.clone(), long),
                (brief, short),
            ],
        ),
        fitting(width, (Role::Muted, Role::Muted), traffic),
    ]
}

/// A heavy frame over the light one.
fn heavy(pen: &mut Pen<'_>, role: Role) {
    let (w, h) = (pen.area.width, pen.area.height);
    if w < 2 || h < 2 {
        return;
    }
    let line = "━".repeat(usize::from(w) - 2);
    pen.text(0, 0, &format!("┏{line}┓"), role);
    pen.text(0, h - 1, &format!("┗{line}┛"), role);
    for y in 1..h - 1 {
        pen.text(0, y, "┃", role);
        pen.text(w - 1, y, "┃", role);
    }
}
