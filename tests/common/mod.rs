//! The rig of the tests on the real kernel: cgroups of their own, workloads in them, an agent that
//! watches exactly those. Everything is removed when it goes out of scope.
#![allow(dead_code, reason = "each test binary uses a part of the rig")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod cli;
pub mod look;
pub mod net;
pub mod pty;
pub mod puppet;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use webb::agent::{Agent, AgentOptions, Decoding, Readiness, SourceOptions};
use webb::identity::{ScopeRoot, cgroup2_mount};
use webb::model::{Connection, Filter, LossKind, Status};

/// These tests mean nothing without the kernel: they fail, and never skip.
pub fn needs_root() {
    assert!(rustix::process::geteuid().is_root(), "this test watches the real kernel: run it as root");
}

/// Waits until something is so; panics with `what` after ten seconds.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    until_for(Duration::from_secs(10), what, &mut look)
}

pub fn until_for<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {patience:?} for: {what}");
        // Between two looks at a condition; nothing depends on its length.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A cgroup below the cgroup2 mount, removed with everything in it.
pub struct Cgroup {
    pub path: PathBuf,
    mount: PathBuf,
}

impl Cgroup {
    pub fn new(name: &str) -> Cgroup {
        static N: AtomicU32 = AtomicU32::new(0);
        let mount = cgroup2_mount().expect("cgroup v2 is mounted");
        let n = N.fetch_add(1, Ordering::Relaxed);
        let path = mount.join(format!("webb-test-{}-{n}-{name}", std::process::id()));
        std::fs::create_dir(&path).expect("a cgroup can be made");
        Cgroup { path, mount }
    }

    pub fn child(&self, name: &str) -> Cgroup {
        let path = self.path.join(name);
        std::fs::create_dir(&path).expect("a child cgroup can be made");
        Cgroup { path, mount: self.mount.clone() }
    }

    pub fn root(&self) -> ScopeRoot {
        let below = self.path.strip_prefix(&self.mount).unwrap();
        ScopeRoot {
            path: format!("/{}", below.display()),
            id: std::fs::metadata(&self.path).unwrap().ino(),
            level: below.components().count() as u32,
        }
    }

    /// A command whose process is in this cgroup before it runs.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        let procs = self.path.join("cgroup.procs");
        // SAFETY: between fork and exec only open, write and close are called, on a path that was
        // made before; getpid is async-signal-safe.
        unsafe {
            command.pre_exec(move || std::fs::write(&procs, b"0"));
        }
        command
    }

    /// Processor time of everything in it, microseconds.
    pub fn cpu_us(&self) -> u64 {
        let text = std::fs::read_to_string(self.path.join("cpu.stat")).unwrap_or_default();
        text.lines().find_map(|l| l.strip_prefix("usage_usec ")?.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::write(self.path.join("cgroup.kill"), b"1");
        let deadline = Instant::now() + Duration::from_secs(5);
        while std::fs::remove_dir(&self.path).is_err() && self.path.exists() && Instant::now() < deadline {
            // Between two tries: what was killed leaves the cgroup when the kernel is done with it.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The workload that knows what it did: `examples/traffic`.
pub fn traffic() -> PathBuf {
    example("traffic")
}

/// The one that asks and answers over HTTP: `examples/asker`.
pub fn asker() -> PathBuf {
    example("asker")
}

fn example(name: &str) -> PathBuf {
    let exe = std::env::current_exe().expect("the test's own path");
    exe.parent().and_then(Path::parent).expect("target/debug").join("examples").join(name)
}

/// A workload that is running; ended by pid when dropped.
pub struct Workload {
    pub child: Child,
    stdin: Option<ChildStdin>,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Workload {
    pub fn spawn(command: &mut Command) -> Workload {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the workload starts");
        let stdin = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Workload { child, stdin, lines }
    }

    /// The next line that it prints, as JSON.
    pub fn line(&mut self) -> serde_json::Value {
        let line = self.lines.next().expect("the workload says something").expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line}: {e}"))
    }

    /// Lets a held workload go on.
    pub fn go(&mut self) {
        self.tell("");
    }

    /// Writes it a line.
    pub fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("its input is open");
        stdin.write_all(format!("{line}\n").as_bytes()).expect("the workload listens");
    }

    /// Has it see the end of its input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Its last line, after it ended well.
    pub fn finish(mut self) -> serde_json::Value {
        let truth = self.line();
        assert!(self.child.wait().unwrap().success());
        truth
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What was lost of connections themselves. In a storm that an agent without optimisation watches beside
/// other tests, some of what was said may be: that is counted, and no question of these tests.
pub fn lost(status: &Status) -> Vec<LossKind> {
    let rows = status.loss.0.iter().filter(|r| r.count > 0 && r.kind != LossKind::Exchange);
    rows.map(|r| r.kind).collect()
}

/// An agent that watches the given cgroups.
pub fn watch(scopes: &[&Cgroup]) -> Agent {
    watch_with(scopes, None)
}

pub fn watch_with(scopes: &[&Cgroup], state_ring_bytes: Option<u32>) -> Agent {
    start(scopes, SourceOptions { state_ring_bytes, ..SourceOptions::default() })
}

/// One that decodes what is asked, too.
pub fn watch_requests(scopes: &[&Cgroup]) -> Agent {
    start(scopes, SourceOptions { decoding: Decoding::On, ..SourceOptions::default() })
}

/// One that reads the certificates that processes have from their peers, too.
pub fn watch_identities(scopes: &[&Cgroup]) -> Agent {
    start(scopes, SourceOptions { identities: true, ..SourceOptions::default() })
}

/// The same with a small ring for what is said.
pub fn watch_requests_with(scopes: &[&Cgroup], payload_ring_bytes: u32) -> Agent {
    let source = SourceOptions { payload_ring_bytes: Some(payload_ring_bytes), ..SourceOptions::default() };
    start(scopes, SourceOptions { decoding: Decoding::On, ..source })
}

fn start(scopes: &[&Cgroup], source: SourceOptions) -> Agent {
    let scopes: Vec<ScopeRoot> = scopes.iter().map(|c| c.root()).collect();
    let source = SourceOptions { scopes, cgroup_mount: cgroup2_mount().ok(), ..source };
    let options = AgentOptions { source, label: "test".to_owned(), history: 65_536, cpu_budget: None };
    let agent = Agent::start(options).expect("an agent starts");
    // The first pass over open files and the first walk are part of starting.
    until("the first walk", || match &*agent.readiness().borrow() {
        Readiness::Starting => None,
        Readiness::Running => Some(()),
        Readiness::Failed(why) => panic!("eBPF works here: {why}"),
    });
    assert_eq!(agent.store().status().source, "ebpf");
    agent
}

/// State records that were lost.
pub fn state_lost(status: &Status) -> u64 {
    status.loss.0.iter().filter(|r| r.kind == LossKind::State).map(|r| r.count).sum()
}

/// The state after everything that has happened was read, walked over and counted.
pub fn settled(agent: &Agent) -> Status {
    until("every record was read", || {
        let s = agent.store().status();
        (s.state_seen + state_lost(&s) == s.state_produced).then_some(())
    });
    let mut slices = agent.store().progress();
    let from = slices.borrow_and_update().slice;
    until("three more slices", || (slices.borrow_and_update().slice >= from + 3).then_some(()));
    agent.store().status()
}

/// All connections, closed ones too.
pub fn connections(agent: &Agent) -> Vec<std::sync::Arc<Connection>> {
    agent.store().connections(true, &Filter::default(), None)
}
