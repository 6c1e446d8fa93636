//! `webb list`, `webb status`, `webb map`: one look, printed.

use std::sync::Arc;

use tokio_stream::StreamExt;

use super::args::{Format, Global, ListArgs, Listed, MapArgs, MapFormat, TableFormat};
use super::error::{CliError, done_or};
use super::node::Node;
use crate::client::Client;
use crate::export::{LEGEND, Window, dot, json, mermaid, table};
use crate::model::{Connection, Filter, SliceMessage, UtcOffset};
use crate::world::{EdgeRow, NameTable, World};

/// Seconds that figures speak of, unless everything is asked for.
const WINDOW: u64 = 60;

pub(super) fn list(global: &Global, args: &ListArgs) -> Result<(), CliError> {
    if global.no_requests && matches!(args.what, Listed::Requests(_)) {
        return Err(CliError("with --no-requests there are none to list: leave it out".to_owned()));
    }
    let node = Node::find(global)?;
    let text = super::runtime_of_one()?.block_on(async {
        match &args.what {
            Listed::Connections { all, format } => {
                let list = collect(&mut node.client(0).await?, *all).await?;
                match format.output {
                    TableFormat::Table => Ok(table::connections(list.connections(), &list.names, list.utc)),
                    TableFormat::Json => {
                        lines(list.connections().map(|c| json::connection(c, &list.names, list.utc)))
                    }
                }
            }
            Listed::Tls { all, format } => {
                let list = collect(&mut node.client(0).await?, *all).await?;
                match format.output {
                    TableFormat::Table => Ok(table::tls(list.connections(), &list.names, list.utc)),
                    TableFormat::Json => {
                        lines(list.connections().filter_map(|c| json::listed_tls(c, &list.names)))
                    }
                }
            }
            Listed::Edges(args) => {
                let seen = edges(&mut node.client(2).await?, args.all).await?;
                table_or_lines(args.format, &seen)
            }
            Listed::Workloads(args) => {
                let (world, rows, window) = edges(&mut node.client(2).await?, args.all).await?;
                let rows = world.workloads(&rows);
                match args.format.output {
                    TableFormat::Table => Ok(said(&window.words(world.utc()), &table::workloads(&rows))),
                    TableFormat::Json => lines(rows.iter().map(|r| json::workload(r, window, world.utc()))),
                }
            }
            // An exchange that both ends may tell of is held back for more than a second.
            Listed::Requests(args) => super::requests::list(&mut node.client(3).await?, args).await,
        }
    })?;
    done_or(super::print(&text))
}

/// Edges as `webb list edges` and `webb map` print them.
fn table_or_lines(format: Format, (world, rows, window): &Seen) -> Result<String, CliError> {
    match format.output {
        TableFormat::Table => {
            let words = format!("{}   {LEGEND}", window.words(world.utc()));
            Ok(said(&words, &table::edges(rows, *window)))
        }
        TableFormat::Json => lines(rows.iter().map(|r| json::edge(r, *window, world.utc()))),
    }
}

pub(super) fn status(global: &Global, format: Format) -> Result<(), CliError> {
    let node = Node::find(global)?;
    let text = super::runtime_of_one()?.block_on(async {
        let status = node.client(1).await?.status().await?;
        match format.output {
            TableFormat::Table => Ok::<_, CliError>(table::status(&status)),
            TableFormat::Json => lines([json::status(&status)].into_iter()),
        }
    })?;
    done_or(super::print(&text))
}

pub(super) fn map(global: &Global, args: &MapArgs) -> Result<(), CliError> {
    let node = Node::find(global)?;
    let text = super::runtime_of_one()?.block_on(async {
        let seen = edges(&mut node.client(2).await?, args.all).await?;
        let (_, rows, window) = &seen;
        match args.output {
            MapFormat::Table => table_or_lines(Format { output: TableFormat::Table }, &seen),
            MapFormat::Json => table_or_lines(Format { output: TableFormat::Json }, &seen),
            MapFormat::Dot => Ok(dot::dot(rows, *window)),
            MapFormat::Mermaid => Ok(mermaid::mermaid(rows, *window)),
        }
    })?;
    done_or(super::print(&text))
}

/// A table under the interval that its figures speak of.
fn said(words: &str, table: &str) -> String {
    format!("{words}\n{table}")
}

pub(super) fn lines<T: serde::Serialize>(objects: impl Iterator<Item = T>) -> Result<String, CliError> {
    let mut text = String::new();
    for object in objects {
        text.push_str(&json::line(&object)?);
        text.push('\n');
    }
    Ok(text)
}

/// Connections, with what is needed to show them.
pub(super) struct Collected {
    pub(super) names: NameTable,
    pub(super) utc: UtcOffset,
    list: Vec<Arc<Connection>>,
}

impl Collected {
    pub(super) fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.list.iter().map(|c| &**c)
    }
}

/// The connections that are open, or all that are kept.
pub(super) async fn collect(client: &mut Client, all: bool) -> Result<Collected, CliError> {
    let mut pages = client.list_connections(&Filter::default(), all, None).await?;
    let mut seen = Collected { names: NameTable::default(), utc: UtcOffset::default(), list: Vec::new() };
    while let Some(page) = pages.next().await {
        let page = page?;
        page.names.entities.iter().for_each(|e| seen.names.describe(e));
        page.names.names.iter().for_each(|n| seen.names.learn(n));
        seen.utc = page.names.utc;
        seen.list.extend(page.connections);
    }
    Ok(seen)
}

/// A world, edges in it, and what these cover.
type Seen = (World, Vec<EdgeRow>, Window);

/// The edges over the window or since the start.
async fn edges(client: &mut Client, all: bool) -> Result<Seen, CliError> {
    let world = world(client).await?;
    let (rows, window) = if all {
        (world.total_edges(), Window::total(&world))
    } else {
        (world.edges_in_full(WINDOW), Window::last(&world, WINDOW))
    };
    Ok((world, rows, window))
}

/// The world as it stands.
pub(super) async fn world(client: &mut Client) -> Result<World, CliError> {
    let mut world = World::default();
    let mut messages = client.watch_slices(None).await?;
    while let Some(message) = messages.next().await {
        match message? {
            SliceMessage::Snapshot(s) => {
                world.reset(s.node, s.scope, s.totals, s.history);
                break;
            }
            SliceMessage::Gap(_) | SliceMessage::Slice(_) => {}
        }
    }
    Ok(world)
}
