//! The terminal UI over an agent: what it shows is fed from here, what it wants is fetched here.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;

use super::args::{Global, ThemeArg};
use super::error::CliError;
use super::node::Node;
use crate::client::{Backoff, Client, ClientError, Follow, Update};
use crate::model::{EventKind, EventMessage, Filter};
use crate::tui::{self, Feed, Theme, UiOptions, Want};

/// Updates that wait for the UI.
const WAITING: usize = 256;
/// Connections that the UI is given at most.
const LISTED: u64 = 2000;

/// `webb` without a command.
pub(super) fn open(global: &Global) -> Result<(), CliError> {
    if global.file.as_deref() == Some(Path::new("-")) {
        return Err(CliError(
            "the UI takes its keys from standard input: save the capture, and give --file its path"
                .to_owned(),
        ));
    }
    check_terminal()?;
    let node = Node::find(global)?;
    run(global, node)
}

/// One sentence instead of escape codes in a file.
pub(super) fn check_terminal() -> Result<(), CliError> {
    if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
        return Ok(());
    }
    Err(CliError(
        "the UI needs a terminal; use `webb list`, `webb map` or `webb observe` for output to a file or a pipe"
            .to_owned(),
    ))
}

/// The UI over a node, until the person leaves.
pub(super) fn run(global: &Global, node: Node) -> Result<(), CliError> {
    let capture = matches!(node, Node::Capture(_));
    let options = UiOptions { capture, ..options(global) };
    super::runtime_of_one()?.block_on(async {
        let (feed, fed) = mpsc::channel(WAITING);
        let (want, wants) = mpsc::channel(16);
        let (clients, client) = watch::channel(None);
        let follow = tokio::spawn(feed_slices(
            Follow::start(node.target(), Backoff::default()),
            feed.clone(),
            clients,
        ));
        let fetch =
            tokio::spawn(Fetcher { client, feed, capture, tasks: [None, None, None, None] }.run(wants));
        let shown = tui::run(options, fed, want).await;
        follow.abort();
        fetch.abort();
        Ok(shown?)
    })
}

fn options(global: &Global) -> UiOptions {
    let mut options = UiOptions::default().with_environment(|name| std::env::var(name).ok());
    if let Some(theme) = global.theme {
        options.theme = match theme {
            ThemeArg::Dark => Theme::Dark,
            ThemeArg::Light => Theme::Light,
            ThemeArg::Mono => Theme::Mono,
        };
    }
    options.ascii |= global.ascii;
    options.mouse = !global.no_mouse;
    options.zone = super::zone::offset_s();
    options
}

/// Slices, and what became of the connection.
async fn feed_slices(mut follow: Follow, feed: mpsc::Sender<Feed>, clients: watch::Sender<Option<Client>>) {
    let mut told = false;
    while let Some(update) = follow.next().await {
        // Once per connection, when the agent has had time to find out what it can see.
        if !told && matches!(update, Update::Slice(_)) {
            told = true;
            let client = clients.borrow().clone();
            if let Some(client) = client {
                tokio::spawn(once(client, feed.clone()));
            }
        }
        let fed = match update {
            Update::Connecting => Feed::Connecting,
            Update::Connected(client) => {
                clients.send_replace(Some(client));
                told = false;
                continue;
            }
            Update::Snapshot(s) => {
                Feed::Snapshot { node: s.node, scope: s.scope, totals: s.totals, history: s.history }
            }
            Update::Slice(slice) => Feed::Slice(Arc::new(*slice)),
            Update::Gap(why) => Feed::Gap(why),
            Update::Disconnected { why, retry_in } => Feed::Disconnected { why, retry_in },
        };
        if feed.send(fed).await.is_err() {
            return;
        }
    }
}

/// Opens and closes what the UI looks at.
struct Fetcher {
    client: watch::Receiver<Option<Client>>,
    feed: mpsc::Sender<Feed>,
    /// Of a capture closed connections are listed too.
    capture: bool,
    /// Connections, events of connections, status, requests.
    tasks: [Option<JoinHandle<()>>; 4],
}

impl Fetcher {
    async fn run(mut self, mut wants: mpsc::Receiver<Want>) {
        while let Some(want) = wants.recv().await {
            let (slot, on) = match want {
                Want::Connections { on } => (0, on),
                Want::Events { on } => (1, on),
                Want::Status { on } => (2, on),
                Want::Requests { on, .. } => (3, on),
            };
            if let Some(task) = self.tasks[slot].take() {
                task.abort();
            }
            if on {
                let (client, feed, all) = (self.client.clone(), self.feed.clone(), self.capture);
                self.tasks[slot] = Some(match want {
                    Want::Connections { .. } => {
                        let connections = move |client, feed| connections(client, feed, all);
                        tokio::spawn(again(client, feed, Duration::from_secs(5), connections))
                    }
                    Want::Events { .. } => tokio::spawn(again(client, feed, Duration::from_secs(1), events)),
                    Want::Requests { port, .. } => {
                        let requests = move |client, feed| requests(client, feed, port);
                        tokio::spawn(again(client, feed, Duration::from_secs(1), requests))
                    }
                    Want::Status { .. } => tokio::spawn(again(client, feed, Duration::from_secs(1), status)),
                });
            }
        }
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.tasks.iter().flatten().for_each(JoinHandle::abort);
    }
}

/// Fetches again and again, by the newest connection there is. Errors are told by the stream of
/// slices, which breaks for the same reasons.
async fn again<F>(
    mut client: watch::Receiver<Option<Client>>,
    feed: mpsc::Sender<Feed>,
    every: Duration,
    fetch: impl Fn(Client, mpsc::Sender<Feed>) -> F,
) where
    F: Future<Output = Result<(), ClientError>>,
{
    loop {
        let now = match client.wait_for(Option::is_some).await {
            Ok(now) => now.clone(),
            Err(_) => return,
        };
        if let Some(now) = now {
            let _ = fetch(now, feed.clone()).await;
        }
        // The agent keeps no stream of these lists: the period is how old what is shown may be.
        tokio::time::sleep(every).await;
    }
}

async fn connections(mut client: Client, feed: mpsc::Sender<Feed>, all: bool) -> Result<(), ClientError> {
    let mut pages = client.list_connections(&Filter::default(), all, Some(LISTED)).await?;
    let (mut names, mut entities, mut list) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let page = page?;
        names.extend(page.names.names);
        entities.extend(page.names.entities);
        list.extend(page.connections);
    }
    // Sending fails only when the UI is gone.
    let _ = feed.send(Feed::Connections { names, entities, list }).await;
    Ok(())
}

async fn events(client: Client, feed: mpsc::Sender<Feed>) -> Result<(), ClientError> {
    use EventKind::{Adopted, Closed, Established, Failed, Opened};
    let kinds = vec![Adopted, Opened, Established, Failed, Closed];
    watch(client, feed, Filter { event_kinds: kinds, ..Filter::default() }, Feed::Missed).await
}

async fn requests(client: Client, feed: mpsc::Sender<Feed>, port: Option<u16>) -> Result<(), ClientError> {
    let filter = Filter { event_kinds: vec![EventKind::Request], server_port: port, ..Filter::default() };
    watch(client, feed, filter, Feed::MissedRequests).await
}

/// The newest events and those that come.
async fn watch(
    mut client: Client,
    feed: mpsc::Sender<Feed>,
    filter: Filter,
    missed: fn(u64) -> Feed,
) -> Result<(), ClientError> {
    let mut messages = client.watch_events(&filter, 200, true).await?;
    while let Some(message) = messages.next().await {
        let fed = match message? {
            EventMessage::Event(event) => Feed::Event(event),
            EventMessage::Missed(n) => missed(n),
            EventMessage::Names(n) => Feed::Names { names: n.names, entities: n.entities },
        };
        if feed.send(fed).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

async fn once(client: Client, feed: mpsc::Sender<Feed>) {
    // What breaks this breaks the stream of slices too, which says so.
    let _ = status(client, feed).await;
}

async fn status(mut client: Client, feed: mpsc::Sender<Feed>) -> Result<(), ClientError> {
    let status = client.status().await?;
    let _ = feed.send(Feed::Status(Box::new(status))).await;
    Ok(())
}
