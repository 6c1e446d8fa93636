//! Keeps a stream of slices alive: reconnects with back-off and resumes, so that whoever reads the
//! updates counts everything once.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;

use super::{Client, ClientError, Target};
use crate::model::{AgentInstance, Slice, SliceMessage, Snapshot};

/// Updates that wait for their reader. When it is full the stream is not read on, and the server
/// notices nothing but a slow viewer.
const WAITING: usize = 16;

/// What a follower tells.
#[derive(Debug)]
pub enum Update {
    /// Dialling.
    Connecting,
    /// The server answered; the client can be used for other calls on the same connection.
    Connected(Client),
    /// Replaces everything that was received before.
    Snapshot(Box<Snapshot>),
    /// Follows on what was received before, also across a reconnect.
    Slice(Box<Slice>),
    /// Something was not seen, and why (escaped); a snapshot follows.
    Gap(String),
    /// The connection is gone, or there was none.
    Disconnected {
        /// One sentence, escaped.
        why: String,
        /// When the next attempt is made.
        retry_in: Duration,
    },
}

/// Pauses between attempts: doubling, up to a fifth shorter or longer by chance.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// First pause.
    pub first: Duration,
    /// Longest pause, before chance.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(5) }
    }
}

impl Backoff {
    /// The pause after so many attempts without a message, counted from 0.
    fn pause(&self, failures: u32) -> Duration {
        let pause = self.first.saturating_mul(2u32.saturating_pow(failures)).min(self.longest);
        let chance = RandomState::new().build_hasher().finish() % 401;
        pause.mul_f64(0.8 + chance as f64 / 1000.0)
    }
}

/// A task that follows one server; dropping this ends it.
#[derive(Debug)]
pub struct Follow {
    updates: mpsc::Receiver<Update>,
    task: JoinHandle<()>,
}

impl Follow {
    /// Begins, as a task of the current runtime.
    pub fn start(target: Target, backoff: Backoff) -> Follow {
        let (out, updates) = mpsc::channel(WAITING);
        let task = tokio::spawn(async move {
            // The only error is that nobody reads any more.
            let _ = follow(&target, backoff, &out).await;
        });
        Follow { updates, task }
    }

    /// The next update; never ends by itself.
    pub async fn next(&mut self) -> Option<Update> {
        self.updates.recv().await
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Nobody reads any more.
struct Unread;

impl<T> From<mpsc::error::SendError<T>> for Unread {
    fn from(_: mpsc::error::SendError<T>) -> Self {
        Unread
    }
}

type Position = Option<(AgentInstance, u64)>;

async fn follow(
    target: &Target,
    backoff: Backoff,
    out: &mpsc::Sender<Update>,
) -> Result<std::convert::Infallible, Unread> {
    let mut at: Position = None;
    let mut failures = 0u32;
    loop {
        out.send(Update::Connecting).await?;
        let before = at;
        let mut heard = false;
        let why = match watch(target, &mut at, &mut heard, out).await? {
            Ok(()) => "the server ended the stream".to_owned(),
            Err(error) => {
                if matches!(error, ClientError::Invalid(_)) && at == before {
                    // Resuming again would fail in the same way.
                    at = None;
                }
                error.to_string()
            }
        };
        // A server that answers and then says nothing is not worth a quick retry.
        failures = if heard { 0 } else { failures + 1 };
        let retry_in = backoff.pause(failures.saturating_sub(1));
        out.send(Update::Disconnected { why, retry_in }).await?;
        tokio::select! {
            () = tokio::time::sleep(retry_in) => {}
            () = out.closed() => return Err(Unread),
        }
    }
}

/// One connection, until it ends. `at` is what the reader has been given.
async fn watch(
    target: &Target,
    at: &mut Position,
    heard: &mut bool,
    out: &mpsc::Sender<Update>,
) -> Result<Result<(), ClientError>, Unread> {
    let mut client = match Client::connect(target).await {
        Ok(client) => client,
        Err(error) => return Ok(Err(error)),
    };
    let mut messages = match client.watch_slices(*at).await {
        Ok(messages) => messages,
        Err(error) => return Ok(Err(error)),
    };
    out.send(Update::Connected(client)).await?;
    while let Some(message) = messages.next().await {
        let (update, now) = match message {
            Ok(SliceMessage::Snapshot(s)) => {
                let now = Some((s.totals.agent, s.totals.sequence));
                (Update::Snapshot(s), now)
            }
            Ok(SliceMessage::Slice(s)) => {
                let now = Some((s.agent, s.sequence));
                (Update::Slice(s), now)
            }
            Ok(SliceMessage::Gap(why)) => (Update::Gap(crate::model::escape(&why)), None),
            Err(error) => return Ok(Err(error)),
        };
        *heard = true;
        out.send(update).await?;
        *at = now;
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let b = Backoff::default();
        for (failures, ms) in [(0, 100), (1, 200), (2, 400), (6, 5000), (40, 5000), (u32::MAX, 5000)] {
            let pause = b.pause(failures).as_secs_f64() * 1000.0;
            let middle = f64::from(ms);
            assert!((0.79 * middle..1.21 * middle).contains(&pause), "{failures}: {pause}");
        }
    }
}
