//! The pipeline of one node: source → track → world → store, with identity beside it.
//!
//! One thread owns the source, the table and the slice builder; everything else reads the store.
//! It never waits for a viewer, for `/proc` or for a walk.

mod budget;
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

use tokio::sync::watch;

use crate::identity::{Identity, IdentityConfig, RuntimeRoots};
use crate::model::{AgentInstance, StableHasher};
use crate::store::{Store, StoreConfig};
use crate::track::{Track, TrackConfig};

pub use clock::boot_now;
pub use privileges::{Become, DropError, Kept, drop_privileges, keep_none};
use source::Source;
pub use source::{Decoding, SourceError, SourceOptions, try_hooks};

/// How an agent is to run.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// What is watched, and how.
    pub source: SourceOptions,
    /// What is watched, in words, for headers.
    pub label: String,
    /// Closed connections that are remembered.
    pub history: usize,
    /// Share of one core that the pipeline may use before it sheds what is said; `None` = no limit.
    pub cpu_budget: Option<f64>,
}

/// Where a start stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Readiness {
    /// The probes are being loaded.
    #[default]
    Starting,
    /// Facts arrive.
    Running,
    /// There is no source of facts, and why.
    Failed(String),
}

/// An agent that runs. Dropping it stops the pipeline and waits for it.
#[derive(Debug)]
pub struct Agent {
    store: Store,
    stop: Arc<AtomicBool>,
    readiness: watch::Receiver<Readiness>,
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
    /// Starts the pipeline, which opens its source on its own thread: a viewer can draw its first
    /// frame while the probes are loaded.
    pub fn start(options: AgentOptions) -> Result<Agent, AgentError> {
        let node = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let instance = new_instance();
        let mut config = StoreConfig::new(instance, node.clone(), options.label.clone());
        config.closed_history = options.history;
        let live_limit = config.live_limit;
        let store = Store::new(config);
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, readiness) = watch::channel(Readiness::Starting);
        let (to, stopped) = (store.clone(), stop.clone());
        let body = move || {
            let parts = Source::open(&options.source).map_err(|e| e.to_string()).and_then(|source| {
                let identity = Identity::spawn(identity_config(&options)).map_err(|e| e.to_string())?;
                let track = Track::new(TrackConfig {
                    strict: options.source.strict,
                    looks: source.sees_bytes(),
                    decodes: options.source.decoding == Decoding::On,
                    ..TrackConfig::new(boot_hash(), live_limit)
                });
                let scopes =
                    scope::Scopes::new(options.source.cgroup_mount.clone(), options.source.scopes.clone());
                Ok(pipeline::Parts {
                    source,
                    track,
                    identity,
                    store: to,
                    instance,
                    node,
                    scopes,
                    label: options.label,
                    budget: options
                        .cpu_budget
                        .filter(|_| options.source.decoding == Decoding::On)
                        .map(budget::Budget::new),
                })
            });
            match parts {
                Ok(parts) => pipeline::Pipeline::new(parts).run(&stopped, &ready),
                Err(why) => {
                    ready.send_replace(Readiness::Failed(why));
                }
            }
        };
        let thread = std::thread::Builder::new().name("pipeline".to_owned()).spawn(body)?;
        Ok(Agent { store, stop, readiness, thread: Some(thread) })
    }

    /// What the agent remembers.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Where its start stands; [`Readiness::Running`] once the first walk is over.
    pub fn readiness(&self) -> watch::Receiver<Readiness> {
        self.readiness.clone()
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

fn identity_config(options: &AgentOptions) -> IdentityConfig {
    IdentityConfig {
        cgroup_mount: options.source.cgroup_mount.clone(),
        proc_root: PathBuf::from("/proc"),
        runtime_roots: RuntimeRoots::default(),
        scope_roots: options.source.scopes.iter().map(|s| s.path.clone()).collect(),
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
