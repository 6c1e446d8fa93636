//! Agent: what it watches, with which hooks, what it could not see, and what it costs.
//!
//! ```text
//!  webb 0.1.0 on node1 · ebpf · scope demo · up 12 min
//!
//!  HOOKS                                                LOSS since start     0
//!  ● connections     tp_btf/inet_sock_set_state          none
//!  ○ no-route        fentry/...   off: not supported    CONNECTIONS
//!                    without: ...                         opened 20,000 ...
//! ```

use ratatui::layout::Rect;

use super::figures;
use super::pen::{Pen, clean, columns, fit};
use super::state::State;
use super::theme::Role;
use crate::model::{EndCounts, HookState, Status};

type Line = Vec<(String, Role)>;

/// Columns of what a hook is for.
const DATUM: u16 = 28;

/// Draws the view.
pub fn draw(state: &State, pen: &mut Pen<'_>) {
    let Some(status) = &state.status else {
        let y = pen.area.height / 3;
        pen.text(2, y, "Asking the agent for its state ...", Role::Text);
        pen.text(2, y + 2, "It comes within a second of the connection to the agent.", Role::Muted);
        return;
    };
    let up = figures::age(status.now.since(status.started));
    let head: Line = vec![
        (format!("webb {}", status.version), Role::Strong),
        (
            if state.capture {
                let clock = state.shown.clock;
                let (day, from, to) =
                    (clock.date(status.started), clock.time(status.started), clock.time(status.now));
                format!(" · capture {} · {day} {from} to {to} ({up})", status.node)
            } else {
                format!(" on {} · {} · scope {} · up {up}", status.node, status.source, status.scope.label)
            },
            Role::Text,
        ),
    ];
    write(pen, 1, 0, &head);
    let body = Rect { y: pen.area.y + 2, height: pen.area.height.saturating_sub(2), ..pen.area };
    let (left, right) = (hooks(status, state.capture), facts(status, state.capture));
    let mut lines: Vec<Line>;
    let scroll;
    if body.width >= 110 {
        let column = body.width - 46;
        let end = left.len().max(right.len()).saturating_sub(body.height.into());
        scroll = usize::from(state.agent_scroll).min(end);
        let mut p = pen.within(Rect { width: column, ..body });
        for (y, line) in left.iter().skip(scroll).enumerate() {
            write(&mut p, 1, y as u16, line);
        }
        lines = right;
        let mut p = pen.within(Rect { x: body.x + column, width: 46, ..body });
        for (y, line) in lines.iter().skip(scroll).enumerate() {
            write(&mut p, 1, y as u16, line);
        }
    } else {
        lines = right;
        lines.push(Vec::new());
        lines.extend(left);
        let end = lines.len().saturating_sub(body.height.into());
        scroll = usize::from(state.agent_scroll).min(end);
        let mut p = pen.within(body);
        for (y, line) in lines.iter().skip(scroll).enumerate() {
            write(&mut p, 1, y as u16, line);
        }
        if scroll < end {
            let last = body.height.saturating_sub(1);
            p.right(0, last, body.width, " ▼ more ", Role::Muted);
        }
    }
}

fn write(pen: &mut Pen<'_>, x: u16, y: u16, line: &Line) {
    pen.pieces(x, y, line.iter().map(|(t, r)| (t.as_str().into(), *r)));
}

fn title(text: &str) -> Line {
    vec![(text.to_owned(), Role::Accent)]
}

fn hooks(status: &Status, capture: bool) -> Vec<Line> {
    let mut lines = vec![title(if capture { "What the file says" } else { "Hooks" })];
    let wide = status.hooks.iter().map(|h| columns(&clean(&h.datum))).max().unwrap_or(0).min(DATUM);
    let datum = |text: &str| {
        let text = clean(text);
        let text = fit(&text, wide);
        format!("{text}{}", " ".repeat((wide - columns(&text)).into()))
    };
    for hook in &status.hooks {
        match &hook.state {
            HookState::On => lines.push(vec![
                ("● ".into(), Role::Ok),
                (datum(&hook.datum), Role::Text),
                (format!("  {}", hook.hook), Role::Muted),
            ]),
            HookState::Off(why) => {
                let role = if hook.essential { Role::Bad } else { Role::Warn };
                lines.push(vec![
                    ("○ ".into(), role),
                    (datum(&hook.datum), Role::Text),
                    (format!("  off: {why}"), role),
                ]);
                let mut note = |label: &str, text: &str| {
                    if !text.is_empty() {
                        lines.push(vec![(format!("    {label} {text}"), Role::Muted)]);
                    }
                };
                note("without it:", &hook.without);
                note("to get it:", &hook.advice);
            }
        }
    }
    if status.hooks.is_empty() {
        lines.push(vec![("none are reported".into(), Role::Muted)]);
    }
    if !status.scope.cgroups.is_empty() {
        lines.push(Vec::new());
        lines.push(title("Watched cgroups"));
        lines.extend(status.scope.cgroups.iter().map(|c| vec![(format!("  {c}"), Role::Text)]));
    }
    lines
}

fn facts(status: &Status, capture: bool) -> Vec<Line> {
    let lost = if capture { "Loss in reading the capture" } else { "Loss since the agent started" };
    let mut lines = vec![title(lost)];
    if status.loss.total() == 0 {
        lines.push(vec![("  nothing was lost".into(), Role::Muted)]);
    }
    for row in &status.loss.0 {
        lines.push(vec![(
            format!(
                "  {:<8} {:<14} {:>10}",
                row.kind.as_str(),
                row.cause.as_str(),
                figures::exact(row.count)
            ),
            Role::Warn,
        )]);
    }
    if !capture {
        let (seen, produced) = (figures::exact(status.state_seen), figures::exact(status.state_produced));
        lines.push(vec![(format!("  state records {seen} of {produced} read"), Role::Muted)]);
    }
    lines.push(Vec::new());
    lines.push(title("Connections"));
    let c = &status.connections;
    let row = |label: &str, n: u64| vec![(format!("  {label:<22}{:>12}", figures::exact(n)), Role::Text)];
    lines.push(row("opened", c.opened));
    lines.push(row("established", c.established));
    lines.push(row("failed", c.failed));
    lines.push(row("closed", c.closed));
    lines.push(row("found open", c.adopted));
    lines.push(row(if capture { "open at its end" } else { "open now" }, c.live));
    if c.evicted > 0 {
        lines.push(row("given up from history", c.evicted));
    }
    // There is no kernel behind a file, and nobody watches at a cost.
    if capture {
        return lines;
    }
    lines.push(Vec::new());
    lines.push(title("Ends, counted in the kernel"));
    let titles = format!("  {:<11}{:>10}{:>10}{:>10}", "", "client", "server", "unknown");
    lines.push(vec![(titles, Role::Muted)]);
    let rows = |e: &EndCounts| [e.opened, e.established, e.failed, e.closed, e.adopted];
    let e = &status.ends;
    let columns = [rows(&e.client), rows(&e.server), rows(&e.unknown)];
    for (i, label) in ["opened", "established", "failed", "closed", "found open"].into_iter().enumerate() {
        let n = |c: usize| figures::exact(columns[c][i]);
        lines.push(vec![(format!("  {label:<11}{:>10}{:>10}{:>10}", n(0), n(1), n(2)), Role::Text)]);
    }
    lines.push(Vec::new());
    lines.push(title("Cost"));
    let cost = &status.cost;
    let text = |label: &str, value: String| vec![(format!("  {label:<22}{value:>12}"), Role::Text)];
    lines.push(text("agent's processor time", figures::seconds(cost.cpu_ns)));
    if let Some(ns) = cost.bpf_ns {
        lines.push(text("kernel programs", figures::seconds(ns)));
    }
    lines.push(text("resident memory", figures::bytes(cost.rss_bytes)));
    lines.push(text("maps and rings", figures::bytes(cost.bpf_bytes)));
    lines.push(text("last walk", figures::micros(cost.walk_ns / 1000)));
    lines.push(text("sockets it met", figures::exact(cost.walk_sockets)));
    lines
}
