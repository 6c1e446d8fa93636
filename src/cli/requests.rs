//! `webb list requests`: the newest requests that are kept, printed.

use tokio_stream::StreamExt;

use super::args::{RequestsArgs, TableFormat};
use super::error::CliError;
use super::tables::lines;
use crate::client::Client;
use crate::export::{json, table};
use crate::model::{Event, EventKind, EventMessage, Filter, UtcOffset};
use crate::world::NameTable;

pub(super) async fn list(client: &mut Client, args: &RequestsArgs) -> Result<String, CliError> {
    let filter = Filter {
        event_kinds: vec![EventKind::Request],
        server_port: args.port,
        failures_only: args.failed,
        protocols: args.protocol.clone(),
        ..Filter::default()
    };
    let mut messages = client.watch_events(&filter, args.last, false).await?;
    let mut names = NameTable::default();
    let mut utc = UtcOffset::default();
    let mut list: Vec<Event> = Vec::new();
    let mut missed: u64 = 0;
    while let Some(message) = messages.next().await {
        match message? {
            EventMessage::Names(update) => {
                update.entities.iter().for_each(|e| names.describe(e));
                update.names.iter().for_each(|n| names.learn(n));
                utc = update.utc;
            }
            EventMessage::Event(event) => list.push(event),
            EventMessage::Missed(n) => missed = missed.saturating_add(n),
        }
    }
    let mut text = match args.format.output {
        TableFormat::Table => table::requests(&list, &names, utc),
        TableFormat::Json => lines(list.iter().filter_map(|e| json::request(e, &names, utc)))?,
    };
    if missed > 0 {
        match args.format.output {
            TableFormat::Table => text.push_str(&table::requests_missed(missed)),
            TableFormat::Json => text.push_str(&lines([json::missed(missed)].into_iter())?),
        }
    }
    Ok(text)
}
