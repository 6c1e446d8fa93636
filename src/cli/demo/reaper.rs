//! The process that makes the demo's cgroups and removes them when the shop is gone.
//!
//! It is separate because it must outlive a shop that is killed: the same process makes and
//! removes, so there is no moment at which a kill of the shop leaves a directory behind. It keeps
//! the privilege the shop started with, takes no input but the end of its standard input, and is
//! in a process group of its own, so that Ctrl-C in the shop's terminal does not reach it.

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::cgroup::Tree;
use super::handshake::send;

/// How long services may take to notice that the shop is gone, before they are killed.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the reaper tells the shop: the shop's cgroup, or a sentence why there is none.
pub type Made = Result<PathBuf, String>;

/// Runs the hidden command `demo-reaper`: makes the cgroups, writes [`Made`] to standard output,
/// waits for the end of standard input, removes them.
pub fn run_reaper() -> ExitCode {
    // A name is a nicety.
    let _ = rustix::thread::set_name(c"demo-reaper");
    let Some(shop) = rustix::process::getppid() else { return ExitCode::FAILURE };
    let tree = Tree::make(shop.as_raw_nonzero().get().unsigned_abs(), super::topology::NAMES);
    let (said, tree) = match tree {
        Ok(tree) => (send(io::stdout(), &Made::Ok(tree.path().to_owned())), tree),
        Err(why) => {
            return match send(io::stdout(), &Made::Err(why)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            };
        }
    };
    // When the shop cannot hear it is gone already, and so is its end of standard input.
    if said.is_ok() {
        wait_for_end();
    }
    if tree.wait_empty(PATIENCE).is_err() {
        tree.kill();
        // If this fails too, the removal below does, and the exit status says so.
        let _ = tree.wait_empty(PATIENCE);
    }
    match tree.remove() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Blocks until standard input ends; the kernel ends it when the shop is gone, however it went.
pub fn wait_for_end() {
    let mut input = io::stdin().lock();
    loop {
        match input.read(&mut [0; 256]) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
