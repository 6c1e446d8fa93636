//! The thread that runs the iterators, so that the rings are read while they walk.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use super::iter::Iterator;

/// Which iterator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkKind {
    /// Over all watched sockets, and conversations over UDP: samples.
    Sockets,
    /// Over all open files: adoption, owners.
    Files,
}

/// A walk is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkDone {
    /// Which.
    pub kind: WalkKind,
    /// Processor time it took.
    pub took: Duration,
    /// Whether the kernel let it run to the end.
    pub ok: bool,
}

/// Those that could be loaded.
#[derive(Debug, Default)]
pub(super) struct Iterators {
    pub sockets: Option<Iterator>,
    /// Over all conversations over UDP; runs after the one over sockets.
    pub talks: Option<Iterator>,
    pub files: Option<Iterator>,
}

/// Handle of the thread; one walk at a time.
#[derive(Debug)]
pub struct Walker {
    start: SyncSender<WalkKind>,
    done: Receiver<WalkDone>,
    running: bool,
}

impl Walker {
    pub(super) fn spawn(iterators: Iterators) -> Walker {
        let (start, starts) = sync_channel::<WalkKind>(1);
        let (dones, done) = sync_channel(1);
        let body = move || {
            while let Ok(kind) = starts.recv() {
                let run = |i: &Option<Iterator>| i.as_ref().is_some_and(|i| i.run().is_ok());
                let before = thread_cpu();
                let ok = match kind {
                    WalkKind::Sockets => {
                        let ok = run(&iterators.sockets);
                        // What it does not tell is told by the next.
                        run(&iterators.talks);
                        ok
                    }
                    WalkKind::Files => run(&iterators.files),
                };
                let took = thread_cpu().saturating_sub(before);
                if dones.send(WalkDone { kind, took, ok }).is_err() {
                    return;
                }
            }
        };
        // Without its thread there are no walks: `start` then fails, and the hooks say so.
        let _ = std::thread::Builder::new().name("webb-walk".to_owned()).spawn(body);
        Walker { start, done, running: false }
    }

    /// Starts a walk; `false` when one is still running.
    pub fn start(&mut self, kind: WalkKind) -> bool {
        if self.running || self.start.try_send(kind).is_err() {
            return false;
        }
        self.running = true;
        true
    }

    /// Whether one is running.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// The walk that is over, if one is.
    pub fn finished(&mut self) -> Option<WalkDone> {
        match self.done.try_recv() {
            Ok(done) => {
                self.running = false;
                Some(done)
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        }
    }
}

fn thread_cpu() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec.max(0) as u64, t.tv_nsec as u32)
}
