//! The pipeline of one node: source → track → world → store, with identity beside it.
//!
//! One thread owns the source, the table and the slice builder; everything else reads the store.
//! It never waits for a viewer, for `/proc` or for a walk.

mod clock;
mod cost;
mod naming;
mod pipeline;
mod privileges;
mod scope;
mod source;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::identity::{Identity, IdentityConfig, RuntimeRoots, ScopeRoot};
use crate::model::{AgentInstance, Hook, StableHasher};
use crate::store::{Store, StoreConfig};
use crate::track::{Track, TrackConfig};

pub use clock::boot_now;
pub use privileges::{DropError, Kept, drop_privileges};
pub use source::{Source, SourceError, SourceOptions};

/// How an agent is to run.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// Watched cgroups; empty = the whole host.
    pub scopes: Vec<ScopeRoot>,
    /// Mount point of cgroup v2, if there is one.
    pub cgroup_mount: Option<PathBuf>,
    /// What is watched, in words, for headers.
    pub label: String,
    /// Closed connections that are remembered.
    pub history: usize,
}

/// An agent that runs. Dropping it stops the pipeline and waits for it.
#[derive(Debug)]
pub struct Agent {
    store: Store,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// No thread.
    #[error("cannot start a thread: {0}; is the process limit reached?")]
    Thread(#[from] std::io::Error),
}

impl Agent {
    /// Runs a pipeline over a source that is already open (so that privileges can be dropped
    /// between the two).
    pub fn start(options: &AgentOptions, source: Source) -> Result<Agent, AgentError> {
        let node = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let instance = new_instance();
        let mut config = StoreConfig::new(instance, node.clone(), options.label.clone());
        config.closed_history = options.history;
        let live_limit = config.live_limit;
        let store = Store::new(config);
        let identity = Identity::spawn(IdentityConfig {
            cgroup_mount: options.cgroup_mount.clone(),
            proc_root: PathBuf::from("/proc"),
            runtime_roots: RuntimeRoots::default(),
            scope_roots: options.scopes.iter().map(|s| s.path.clone()).collect(),
        })?;
        let track = Track::new(TrackConfig { node: boot_hash(), connections: live_limit });
        let stop = Arc::new(AtomicBool::new(false));
        let pipeline = pipeline::Pipeline::new(pipeline::Parts {
            source,
            track,
            identity,
            store: store.clone(),
            instance,
            node,
            scopes: scope::Scopes::new(options.cgroup_mount.clone(), options.scopes.clone()),
            label: options.label.clone(),
        });
        let stopped = stop.clone();
        let thread =
            std::thread::Builder::new().name("pipeline".to_owned()).spawn(move || pipeline.run(&stopped))?;
        Ok(Agent { store, stop, thread: Some(thread) })
    }

    /// What the agent remembers.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Each datum with its hook.
    pub fn hooks(&self) -> Vec<Hook> {
        self.store.status().hooks
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic of the pipeline was reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

/// Differs for every run on every host.
fn new_instance() -> AgentInstance {
    let boot = boot_hash();
    let pid = u64::from(std::process::id());
    AgentInstance(StableHasher::new("agent").number(boot).number(pid).number(boot_now().0).finish())
}

/// What cgroup ids and pids are relative to.
fn boot_hash() -> u64 {
    let id = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    StableHasher::new("boot").bytes(&id).finish()
}
