//! `webb observe`: events as they happen.

use std::io::{self, Write};

use tokio_stream::StreamExt;

use super::args::{EventFormat, Global, ObserveArgs};
use super::error::{CliError, done_or};
use super::node::Node;
use crate::export::{json, table};
use crate::model::{EVENT_KINDS, Event, EventKind, EventMessage, Filter, UtcOffset};
use crate::world::NameTable;

/// Kept events that are shown first, unless told otherwise.
const LAST: u64 = 20;

pub(super) fn run(global: &Global, args: &ObserveArgs) -> Result<(), CliError> {
    let filter = filter(args)?;
    let node = Node::find(global)?;
    super::runtime_of_one()?.block_on(async {
        let mut client = node.client(0).await?;
        let mut messages = client.watch_events(&filter, args.last.unwrap_or(LAST), args.follow).await?;
        let stop = super::stop_signal()?;
        tokio::pin!(stop);
        let mut printer =
            Printer { names: NameTable::default(), utc: UtcOffset::default(), format: args.output };
        loop {
            let message = tokio::select! {
                message = messages.next() => message,
                () = &mut stop => return Ok(()),
            };
            let Some(message) = message else { return Ok(()) };
            if let Err(e) = printer.print(message?) {
                return done_or(Err(e));
            }
        }
    })
}

/// Requests would drown connections: they are shown when they are asked for, in one way or another.
fn filter(args: &ObserveArgs) -> Result<Filter, CliError> {
    let requests = args.kind.contains(&EventKind::Request);
    if !args.protocol.is_empty() && !args.kind.is_empty() && !requests {
        return Err(CliError(
            "--protocol chooses requests: add request to --kind, or leave one of the two out".to_owned(),
        ));
    }
    let event_kinds = match (args.kind.is_empty(), args.protocol.is_empty()) {
        (false, _) => args.kind.clone(),
        (true, false) => vec![EventKind::Request],
        // What fails is worth seeing whatever it is.
        (true, true) if args.failed => Vec::new(),
        (true, true) => EVENT_KINDS.into_iter().filter(|k| *k != EventKind::Request).collect(),
    };
    Ok(Filter {
        event_kinds,
        server_port: args.port,
        failures_only: args.failed,
        protocols: args.protocol.clone(),
        ..Filter::default()
    })
}

struct Printer {
    names: NameTable,
    utc: UtcOffset,
    format: EventFormat,
}

impl Printer {
    fn print(&mut self, message: EventMessage) -> io::Result<()> {
        let line = match message {
            EventMessage::Names(update) => {
                update.entities.iter().for_each(|e| self.names.describe(e));
                update.names.iter().for_each(|n| self.names.learn(n));
                self.utc = update.utc;
                return Ok(());
            }
            EventMessage::Event(event) => self.event(&event)?,
            EventMessage::Missed(n) => match self.format {
                EventFormat::Compact => format!("... {n} events missed"),
                EventFormat::Json => json::line(&json::missed(n))?,
            },
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()
    }

    fn event(&self, event: &Event) -> io::Result<String> {
        Ok(match self.format {
            EventFormat::Compact => table::event(event, &self.names, self.utc),
            EventFormat::Json => match json::request(event, &self.names, self.utc) {
                Some(request) => json::line(&request)?,
                None => json::line(&json::event(event, &self.names, self.utc))?,
            },
        })
    }
}
