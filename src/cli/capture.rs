//! `--file`: a capture in the place of an agent.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::args::{Command, Global, Listed};
use super::error::CliError;
use crate::model::EVENT_KINDS;
use crate::replay::{self, CaptureError, Counts};
use crate::store::Store;

/// Files larger than this show how far they are read.
const LARGE: u64 = 64 << 20;
/// Between two updates of it.
const EVERY: Duration = Duration::from_millis(200);

/// A capture is over: commands show all of it, and do not wait for more.
pub(super) fn adapt(command: &mut Option<Command>) -> Result<(), CliError> {
    match command {
        Some(Command::List(args)) => match &mut args.what {
            Listed::Connections { all, .. } | Listed::Tls { all, .. } => *all = true,
            Listed::Edges(summed) | Listed::Workloads(summed) => summed.all = true,
            Listed::Requests(args) => args.last = u64::MAX,
        },
        Some(Command::Top(args)) => args.once = true,
        Some(Command::Map(args)) => args.all = true,
        Some(Command::Audit(args)) => args.wait = 0,
        Some(Command::Observe(args)) => {
            args.last = args.last.or(Some(u64::MAX));
            // All that happened: it does not go on.
            if args.kind.is_empty() && args.protocol.is_empty() && !args.failed {
                args.kind = EVENT_KINDS.to_vec();
            }
            args.follow = false;
        }
        None | Some(Command::Status(_) | Command::Completions { .. } | Command::Man) => {}
        Some(_) => {
            return Err(CliError(
                "this command watches a host and cannot look at a capture: leave out --file".to_owned(),
            ));
        }
    }
    Ok(())
}

/// Reads all of it.
pub(super) fn read(global: &Global, path: &Path) -> Result<Store, CliError> {
    let mut progress = Progress::new();
    let read = replay::read(path, global.history as usize, |counts| progress.update(counts));
    progress.clear();
    read.map(|r| r.store).map_err(|e| match e {
        CaptureError::Open { .. } => e.into(),
        e => CliError(format!("{}: {e}", path.display())),
    })
}

/// How far the file is read, on a terminal.
struct Progress {
    shown: bool,
    next: Option<Instant>,
}

impl Progress {
    fn new() -> Self {
        Progress { shown: false, next: io::stderr().is_terminal().then(|| Instant::now() + EVERY) }
    }

    fn update(&mut self, counts: &Counts) {
        let (Some(next), Some(total)) = (self.next, counts.total.filter(|t| *t > LARGE)) else { return };
        let now = Instant::now();
        if now < next {
            return;
        }
        (self.shown, self.next) = (true, Some(now + EVERY));
        let percent = u128::from(counts.bytes) * 100 / u128::from(total);
        // Where it cannot be written nobody misses it.
        let _ = write!(io::stderr(), "\rreading the capture: {percent} %");
    }

    fn clear(&self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
