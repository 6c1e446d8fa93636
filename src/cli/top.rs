//! `webb top`: edges or paths in order, on the terminal each second, or once.

use std::io::{self, IsTerminal, Write};

use crossterm::event::{Event as Input, EventStream, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute, queue, style, terminal};
use tokio_stream::StreamExt;

use super::args::{Global, TableFormat, TopArgs, TopBy, TopSort};
use super::error::{CliError, done_or};
use super::node::Node;
use super::tables::{lines, world};
use crate::client::{Backoff, Follow, Update};
use crate::export::top::{By, Order, rows, sum};
use crate::export::{Window, fill_targets, json, table};
use crate::model::escape;
use crate::world::{EdgeRow, World};

pub(super) fn run(global: &Global, args: TopArgs) -> Result<(), CliError> {
    let node = Node::find(global)?;
    let terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    let runtime = super::runtime_of_one()?;
    if args.once || !terminal || args.format.output == TableFormat::Json {
        return runtime.block_on(once(&node, args));
    }
    runtime.block_on(live(&node, args))
}

async fn once(node: &Node, args: TopArgs) -> Result<(), CliError> {
    let world = world(&mut node.client(2).await?).await?;
    let text = match args.format.output {
        TableFormat::Table => text(&world, args),
        TableFormat::Json => {
            let window = Window::last(&world, args.window);
            let rows = rows(&edges(&world, args), by(args), order(args));
            let utc = world.utc();
            lines(rows.iter().zip(1..).map(|(row, rank)| json::top(rank, row, window, utc)))?
        }
    };
    done_or(super::print(&text))
}

/// The line above, and the table.
fn text(world: &World, args: TopArgs) -> String {
    let (edges, window) = (edges(world, args), Window::last(world, args.window));
    let rows = rows(&edges, by(args), order(args));
    format!(
        "{}\n{}",
        table::top_header(window, &sum(&edges), world.utc()),
        table::top(&rows, by(args), window)
    )
}

fn edges(world: &World, args: TopArgs) -> Vec<EdgeRow> {
    let mut edges = world.edges(args.window);
    if args.by == TopBy::Paths {
        fill_targets(&mut edges, world, args.window);
    }
    edges
}

fn by(args: TopArgs) -> By {
    match args.by {
        TopBy::Edges => By::Edges,
        TopBy::Paths => By::Paths,
    }
}

fn order(args: TopArgs) -> Order {
    match args.sort {
        TopSort::Rate => Order::Rate,
        TopSort::Errors => Order::Errors,
        TopSort::P99 => Order::P99,
    }
}

/// Until somebody ends it. The terminal is given back in any case.
async fn live(node: &Node, args: TopArgs) -> Result<(), CliError> {
    node.ready(0).await?;
    let mut follow = Follow::start(node.target(), Backoff::default());
    let stop = super::stop_signal()?;
    tokio::pin!(stop);
    let screen = Held::enter()?;
    let mut keys = EventStream::new();
    let mut world = World::default();
    let mut state = "connecting".to_owned();
    loop {
        let draw = tokio::select! {
            () = &mut stop => return Ok(()),
            key = keys.next() => match key {
                Some(Ok(Input::Key(key))) if key.kind != KeyEventKind::Release => {
                    let control = key.modifiers.contains(KeyModifiers::CONTROL);
                    match key.code {
                        KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                        KeyCode::Char('c') if control => return Ok(()),
                        _ => false,
                    }
                }
                Some(Ok(Input::Resize(..))) => true,
                Some(Ok(_)) => false,
                // The terminal is gone.
                Some(Err(_)) | None => return Ok(()),
            },
            update = follow.next() => {
                let Some(update) = update else { return Ok(()) };
                take(&mut world, &mut state, update)
            }
        };
        if draw {
            screen.draw(&world, &state, args)?;
        }
    }
}

/// Takes what came; whether there is something new to show.
fn take(world: &mut World, state: &mut String, update: Update) -> bool {
    match update {
        Update::Connecting => return false,
        Update::Connected(_) => return false,
        Update::Snapshot(s) => {
            world.reset(s.node, s.scope, s.totals, s.history);
            state.clear();
        }
        Update::Slice(slice) => {
            world.push((*slice).into());
            state.clear();
        }
        Update::Gap(why) => *state = why,
        Update::Disconnected { why, retry_in } => {
            *state = format!("{why}; again in {:.0} s", retry_in.as_secs_f64().ceil());
        }
    }
    true
}

/// The terminal while it is ours: another screen, keys without Enter, no cursor.
struct Held;

impl Held {
    fn enter() -> io::Result<Held> {
        enable_raw_mode()?;
        // From here on dropping it gives the terminal back.
        let held = Held;
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)?;
        Ok(held)
    }

    /// One write; lines are replaced in their place to their full width, so that nothing flickers.
    fn draw(&self, world: &World, state: &str, args: TopArgs) -> io::Result<()> {
        let (columns, lines) = terminal::size()?;
        let mut text = format!("webb top  {}  ", escape(&world.node));
        if state.is_empty() {
            text.push_str("q ends\n");
        } else {
            text.push_str(&format!("{}\n", escape(state)));
        }
        text.push_str(&self::text(world, args));
        let mut frame = Vec::new();
        queue!(frame, BeginSynchronizedUpdate, style::ResetColor)?;
        let shown = table::fit(&text, columns.into(), lines.into());
        for (line, y) in shown.iter().zip(0u16..) {
            queue!(frame, cursor::MoveTo(0, y))?;
            frame.extend_from_slice(line.as_bytes());
        }
        if let Some(y) = u16::try_from(shown.len()).ok().filter(|y| *y < lines) {
            queue!(frame, cursor::MoveTo(0, y), Clear(ClearType::FromCursorDown))?;
        }
        queue!(frame, EndSynchronizedUpdate)?;
        let mut out = io::stdout().lock();
        out.write_all(&frame)?;
        out.flush()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = execute!(io::stdout(), EndSynchronizedUpdate, cursor::Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}
