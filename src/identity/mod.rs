//! Owner → names. What a person calls a process or a cgroup: the container's name, the systemd unit,
//! the cgroup that somebody named, the script that an interpreter runs, the executable.
//!
//! Files are read on a thread of its own, because `/proc` and the state of runtimes can be slow:
//! questions go in and answers come out through bounded queues, and nobody waits.

mod cgroup_path;
mod cgroup_tree;
mod cmdline;
mod container;
mod process;
mod read;
mod scope;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

pub use cgroup_tree::{MountError, cgroup2_mount};
pub use cmdline::is_interpreter;
pub use container::RuntimeRoots;
pub use scope::{ScopeError, ScopeRoot, ScopeSpec, resolve_scope};

use crate::model::{NameKind, ProcessKey};
use cgroup_path::PathMeaning;
use cgroup_tree::{CgroupPaths, Found};
use container::ContainerNames;
use process::Procs;

/// Questions that may wait.
const ASKS: usize = 4096;
/// Answers that may wait to be fetched; the thread stops reading when they are not.
const ANSWERS: usize = 4096;
/// Cgroups that may wait for the next walk.
const DEFERRED: usize = 4096;

/// Where to look.
#[derive(Clone, Debug)]
pub struct IdentityConfig {
    /// Mount point of cgroup v2 (see [`cgroup2_mount`]); `None` when there is none.
    pub cgroup_mount: Option<PathBuf>,
    /// `/proc`.
    pub proc_root: PathBuf,
    /// State of container runtimes.
    pub runtime_roots: RuntimeRoots,
    /// Paths, below the mount, of the cgroups that only frame the view.
    pub scope_roots: Vec<String>,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// What is this process called?
    Process {
        /// Which.
        key: ProcessKey,
        /// Its command name, used where nothing better can be read.
        comm: String,
        /// Its cgroup v2 id, 0 = unknown.
        cgroup: u64,
    },
    /// What is this cgroup (v2 id) called?
    Cgroup(u64),
}

/// A name that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundName {
    /// The name, not escaped.
    pub name: String,
    /// What kind of name.
    pub kind: NameKind,
    /// How it is known: "docker config.v2.json", "cgroup path", "/proc/812/exe".
    pub source: String,
}

/// An answer. No names: nothing is known, or nothing that names a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Of a process.
    Process {
        /// Which.
        key: ProcessKey,
        /// Path of its executable, if it could be read while the process lived.
        exe: Option<String>,
        /// Names; a container's too where only cgroup v1 knows of it.
        names: Vec<FoundName>,
    },
    /// Of a cgroup.
    Cgroup {
        /// Which.
        id: u64,
        /// Path below the mount.
        path: Option<String>,
        /// Names.
        names: Vec<FoundName>,
    },
}

/// The thread that knows names. It ends when this is dropped.
#[derive(Debug)]
pub struct Identity {
    asks: SyncSender<Ask>,
    answers: Receiver<Answer>,
}

impl Identity {
    /// Starts the thread.
    pub fn spawn(config: IdentityConfig) -> std::io::Result<Identity> {
        let (asks, asked) = sync_channel(ASKS);
        let (answer, answers) = sync_channel(ANSWERS);
        thread::Builder::new().name("identity".to_owned()).spawn(move || {
            Worker::new(config).run(&asked, &answer);
        })?;
        Ok(Identity { asks, answers })
    }

    /// Asks; `false` when too many questions wait already, then ask again later. Never blocks.
    pub fn try_ask(&self, ask: Ask) -> bool {
        self.asks.try_send(ask).is_ok()
    }

    /// The answers so far, in no particular order. Never blocks.
    pub fn answers(&self) -> impl Iterator<Item = Answer> + '_ {
        self.answers.try_iter()
    }
}

/// A cgroup whose path was not known when it was asked for.
struct Deferred {
    id: u64,
    asked: Instant,
    retry: Instant,
}

struct Worker {
    procs: Procs,
    paths: Option<CgroupPaths>,
    containers: ContainerNames,
    scope_roots: Vec<String>,
    deferred: VecDeque<Deferred>,
}

impl Worker {
    fn new(config: IdentityConfig) -> Self {
        Worker {
            procs: Procs::new(config.proc_root),
            paths: config.cgroup_mount.map(CgroupPaths::new),
            containers: ContainerNames::new(config.runtime_roots),
            scope_roots: config.scope_roots,
            deferred: VecDeque::new(),
        }
    }

    fn run(&mut self, asked: &Receiver<Ask>, answers: &SyncSender<Answer>) {
        loop {
            let now = Instant::now();
            let ask = match self.deferred.front() {
                None => asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(first) if first.retry <= now => Err(RecvTimeoutError::Timeout),
                Some(first) => asked.recv_timeout(first.retry.saturating_duration_since(now)),
            };
            let answer = match ask {
                Ok(Ask::Process { key, comm, cgroup }) => Some(self.process(key, &comm, cgroup)),
                Ok(Ask::Cgroup(id)) => {
                    let now = Instant::now();
                    self.cgroup(id, now, now)
                }
                Err(RecvTimeoutError::Timeout) => self
                    .deferred
                    .pop_front()
                    .and_then(|Deferred { id, asked, .. }| self.cgroup(id, asked, Instant::now())),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if answer.is_some_and(|answer| answers.send(answer).is_err()) {
                return;
            }
        }
    }

    /// The answer, or `None` when it has to wait for the next walk.
    fn cgroup(&mut self, id: u64, asked: Instant, now: Instant) -> Option<Answer> {
        let found = match &mut self.paths {
            Some(paths) if id != 0 => paths.find(id, asked, now),
            _ => Found::Absent,
        };
        let path = match found {
            Found::Path(path) => path,
            Found::Later(retry) if self.deferred.len() < DEFERRED => {
                self.deferred.push_back(Deferred { id, asked, retry });
                return None;
            }
            Found::Later(_) | Found::Absent => {
                return Some(Answer::Cgroup { id, path: None, names: Vec::new() });
            }
        };
        let names = self.path_names(&path);
        Some(Answer::Cgroup { id, path: Some(path.to_string()), names })
    }

    fn path_names(&mut self, path: &str) -> Vec<FoundName> {
        let from_path = |name, kind| vec![FoundName { name, kind, source: "cgroup path".to_owned() }];
        match cgroup_path::meaning(path, &self.scope_roots) {
            PathMeaning::Container(container) => vec![self.container_name(&container)],
            PathMeaning::Machine(name) => from_path(name, NameKind::Container),
            PathMeaning::Unit(name) => from_path(name, NameKind::Unit),
            PathMeaning::Leaf(name) => from_path(name, NameKind::Cgroup),
            PathMeaning::Nothing => Vec::new(),
        }
    }

    fn container_name(&mut self, container: &cgroup_path::ContainerId) -> FoundName {
        let found = self.containers.name(container);
        FoundName { name: found.name, kind: NameKind::Container, source: found.source.to_owned() }
    }

    fn process(&mut self, key: ProcessKey, comm: &str, cgroup: u64) -> Answer {
        let unknown = Answer::Process { key, exe: None, names: Vec::new() };
        if !self.procs.is_current(key) {
            return unknown;
        }
        let exe = self.procs.exe(key.pid).ok();
        let argv = self.procs.argv(key.pid);
        let cgroups = self.procs.cgroups(key.pid).unwrap_or_default();
        // It may have ended, and its pid been given away, while its files were read.
        if !self.procs.is_current(key) {
            return unknown;
        }
        if let (Some(paths), Some(path)) = (&mut self.paths, cgroups.v2.as_deref()) {
            paths.hint(cgroup, path);
        }
        let mut names = Vec::new();
        // Where a runtime uses cgroup v1, the v2 path says nothing of the container.
        if cgroups.v2.as_deref().and_then(cgroup_path::container).is_none() {
            let container = cgroups.v1.iter().find_map(|path| cgroup_path::container(path));
            names.extend(container.map(|container| self.container_name(&container)));
        }
        names.extend(self.program_name(key.pid, exe.as_deref(), &argv, comm));
        Answer::Process { key, exe, names }
    }

    fn program_name(&self, pid: u32, exe: Option<&str>, argv: &[String], comm: &str) -> Option<FoundName> {
        let found = |name: &str, kind, source| {
            (!name.is_empty()).then(|| FoundName { name: name.to_owned(), kind, source })
        };
        let file = |name| format!("{}/{pid}/{name}", self.procs.root().display());
        let exe = exe.map(cmdline::base_name);
        // One executable with many names: the one it was called by.
        let called = argv.first().map(|a| cmdline::base_name(a).trim_start_matches('-'));
        let (program, source) = match (exe, called) {
            (Some("busybox" | "toybox" | "coreutils"), Some(called)) => (called, file("cmdline")),
            (Some(exe), _) => (exe, file("exe")),
            (None, _) => (comm, "command name".to_owned()),
        };
        match cmdline::script(program, argv) {
            Some(script) => found(&script, NameKind::Script, file("cmdline")),
            None => found(program, NameKind::Process, source),
        }
    }
}

#[cfg(test)]
mod tests;
