//! `webb list`, `webb status`, `webb map`: one look, printed.

use std::sync::Arc;

use tokio_stream::StreamExt;

use super::args::{Format, Global, ListArgs, Listed, MapArgs, MapFormat, TableFormat};
use super::error::{CliError, done_or};
use super::node::Node;
use crate::client::Client;
use crate::export::{Window, dot, json, mermaid, table};
use crate::model::{Connection, Filter, SliceMessage, UtcOffset};
use crate::world::{EdgeRow, NameTable, World};

/// Seconds that figures speak of, unless everything is asked for.
const WINDOW: u64 = 60;

pub(super) fn list(global: &Global, args: &ListArgs) -> Result<(), CliError> {
    let node = Node::find(global)?;
    let text = super::runtime_of_one()?.block_on(async {
        match args.what {
            Listed::Connections => connections(&mut node.client(0).await?, args).await,
            Listed::Edges => {
                let (world, rows, window) = edges(&mut node.client(2).await?, args.all).await?;
                match args.format.output {
                    TableFormat::Table => Ok(said(window, world.utc(), &table::edges(&rows, window))),
                    TableFormat::Json => lines(rows.iter().map(|r| json::edge(r, window, world.utc()))),
                }
            }
            Listed::Workloads => {
                let (world, rows, window) = edges(&mut node.client(2).await?, args.all).await?;
                let rows = world.workloads(&rows);
                match args.format.output {
                    TableFormat::Table => Ok(said(window, world.utc(), &table::workloads(&rows))),
                    TableFormat::Json => lines(rows.iter().map(|r| json::workload(r, window, world.utc()))),
                }
            }
        }
    })?;
    done_or(super::print(&text))
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
        let (world, rows, window) = edges(&mut node.client(2).await?, args.all).await?;
        match args.output {
            MapFormat::Table => Ok(said(window, world.utc(), &table::edges(&rows, window))),
            MapFormat::Json => lines(rows.iter().map(|r| json::edge(r, window, world.utc()))),
            MapFormat::Dot => Ok(dot::dot(&rows, window)),
            MapFormat::Mermaid => Ok(mermaid::mermaid(&rows, window)),
        }
    })?;
    done_or(super::print(&text))
}

/// A table under the interval that its figures speak of.
fn said(window: Window, utc: UtcOffset, table: &str) -> String {
    format!("{}\n{table}", window.words(utc))
}

fn lines<T: serde::Serialize>(objects: impl Iterator<Item = T>) -> Result<String, CliError> {
    let mut text = String::new();
    for object in objects {
        text.push_str(&json::line(&object)?);
        text.push('\n');
    }
    Ok(text)
}

async fn connections(client: &mut Client, args: &ListArgs) -> Result<String, CliError> {
    let mut pages = client.list_connections(&Filter::default(), args.all, None).await?;
    let mut names = NameTable::default();
    let mut utc = UtcOffset::default();
    let mut list: Vec<Arc<Connection>> = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page?;
        page.names.entities.iter().for_each(|e| names.describe(e));
        page.names.names.iter().for_each(|n| names.learn(n));
        utc = page.names.utc;
        list.extend(page.connections);
    }
    match args.format.output {
        TableFormat::Table => Ok(table::connections(list.iter().map(|c| &**c), &names, utc)),
        TableFormat::Json => lines(list.iter().map(|c| json::connection(c, &names, utc))),
    }
}

/// The world as it stands, and its edges over the window or since the start.
async fn edges(client: &mut Client, all: bool) -> Result<(World, Vec<EdgeRow>, Window), CliError> {
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
    let (rows, window) = if all {
        (world.total_edges(), Window::total(&world))
    } else {
        (world.edges(WINDOW), Window::last(&world, WINDOW))
    };
    Ok((world, rows, window))
}
