//! Starts the shop's processes, knows them, and ends them.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::certs::{Authority, CertError};
use super::cgroup::{Tree, place};
use super::handshake::{Config, Peers, Reply, User, receive_until, send, wait_end};
use super::reaper::Made;
use super::topology::{self, SERVICES};

/// How long processes get to end by themselves.
const END_PATIENCE: Duration = Duration::from_secs(2);
/// How long the reaper gets: it waits for the services twice, then removes.
const REAPER_PATIENCE: Duration = Duration::from_secs(8);

/// How to start the shop.
#[derive(Debug, Clone)]
pub struct ShopOptions {
    /// The webb to run, an absolute path; `/proc/self/exe` unless the caller is not webb.
    pub program: PathBuf,
    /// Whom the services become; by default who called sudo, else nobody else.
    pub user: Option<User>,
    /// How long to wait until all services are ready.
    pub patience: Duration,
}

impl Default for ShopOptions {
    fn default() -> ShopOptions {
        ShopOptions { program: "/proc/self/exe".into(), user: sudo_user(), patience: Duration::from_secs(10) }
    }
}

/// Why the shop could not start. Whatever had been started has been ended again.
#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    /// A process could not be started.
    #[error("cannot start the demo's {name}: {source}")]
    Spawn {
        /// The service, or `reaper`.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A service could not be put into its cgroup.
    #[error("cannot move the demo's {name} into {}: {source}; is the cgroup delegated?", cgroup.display())]
    Place {
        /// The service.
        name: &'static str,
        /// Its cgroup.
        cgroup: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A service says it cannot start.
    #[error("the demo's {name} did not start: {why}")]
    Failed {
        /// The service.
        name: &'static str,
        /// Its own words.
        why: String,
    },
    /// A process ended, or talked nonsense, instead of starting.
    #[error("the demo's {name} did not start: {source}")]
    Silent {
        /// The service, or `reaper`.
        name: &'static str,
        /// `UnexpectedEof`: ended; `TimedOut`: hangs; else what came is no answer.
        source: io::Error,
    },
    /// Certificates could not be made.
    #[error(transparent)]
    Certificate(#[from] CertError),
}

/// A running service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// Its name, also that of its process (`comm`) and cgroup.
    pub name: &'static str,
    /// Its process.
    pub pid: u32,
    /// Where it listens on 127.0.0.1; `None` for those that only call.
    pub port: Option<u16>,
}

/// The running demo shop. Dropping it ends it; if this process is killed, it ends by itself.
pub struct Shop {
    services: Vec<Service>,
    processes: Vec<Process>,
    reaper: Option<Process>,
    cgroup: Result<PathBuf, String>,
}

struct Process {
    child: Child,
    /// Closing it ends the process.
    input: Option<ChildStdin>,
    /// Ends when the process has.
    output: ChildStdout,
}

impl Shop {
    /// Starts all services, each in its cgroup where cgroups can be made, and returns when all
    /// listen and the traffic begins. Blocks for some 100 ms; call it outside async code.
    ///
    /// # Errors
    /// When a process cannot be started or does not become ready in time; nothing is left then.
    pub fn start(options: &ShopOptions) -> Result<Shop, ShopError> {
        let deadline = Instant::now() + options.patience;
        let mut shop = Shop {
            services: Vec::new(),
            processes: Vec::new(),
            reaper: None,
            cgroup: Err("not made".to_owned()),
        };
        // On any error the half-built shop is dropped, which ends what was started.
        shop.start_reaper(options, deadline)?;
        shop.start_services(options, deadline)?;
        Ok(shop)
    }

    /// The cgroup that holds the services' cgroups; `None` when none could be made.
    pub fn cgroup(&self) -> Option<&Path> {
        self.cgroup.as_deref().ok()
    }

    /// Why there is no cgroup, as a sentence.
    pub fn why_no_cgroup(&self) -> Option<&str> {
        self.cgroup.as_ref().err().map(String::as_str)
    }

    /// The services.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// Ends all services, waits for them, and removes the cgroups. Takes some milliseconds; up to
    /// some seconds when a service has been stopped by a signal.
    ///
    /// # Errors
    /// When a cgroup could not be removed, for example because another process is inside.
    pub fn stop(mut self) -> io::Result<()> {
        self.end()
    }

    fn start_reaper(&mut self, options: &ShopOptions, deadline: Instant) -> Result<(), ShopError> {
        let name = "reaper";
        let mut reaper =
            Process::start(options, &["demo-reaper"]).map_err(|source| ShopError::Spawn { name, source })?;
        let made = receive_until::<Made>(&mut reaper.output, deadline);
        self.reaper = Some(reaper);
        self.cgroup = made.map_err(|source| ShopError::Silent { name, source })?;
        Ok(())
    }

    fn start_services(&mut self, options: &ShopOptions, deadline: Instant) -> Result<(), ShopError> {
        let authority = Authority::new()?;
        for spec in SERVICES {
            let name = spec.name;
            let process = Process::start(options, &["demo-service", name])
                .map_err(|source| ShopError::Spawn { name, source })?;
            let pid = process.child.id();
            self.processes.push(process);
            self.services.push(Service { name, pid, port: None });
            // Before it is told to go on: a socket belongs to the cgroup it was opened in.
            if let Ok(cgroup) = &self.cgroup {
                let cgroup = cgroup.join(name);
                place(&cgroup, pid).map_err(|source| ShopError::Place { name, cgroup, source })?;
            }
            let identity = match topology::needs_certificate(spec) {
                true => Some(authority.issue(name)?),
                false => None,
            };
            self.tell(name, &Config { identity, user: options.user })?;
        }
        for (service, process) in self.services.iter_mut().zip(&mut self.processes) {
            let name = service.name;
            match receive_until(&mut process.output, deadline) {
                Ok(Reply::Ready(port)) => service.port = port,
                Ok(Reply::Failed(why)) => return Err(ShopError::Failed { name, why }),
                Err(source) => return Err(ShopError::Silent { name, source }),
            }
        }
        let ports = self.services.iter().filter_map(|s| Some((s.name.to_owned(), s.port?)));
        let peers = Peers(ports.collect::<BTreeMap<_, _>>());
        SERVICES.iter().try_for_each(|spec| self.tell(spec.name, &peers))
    }

    fn tell(&self, name: &'static str, message: &impl serde::Serialize) -> Result<(), ShopError> {
        let known = self.services.iter().zip(&self.processes).find(|(service, _)| service.name == name);
        let input = known.and_then(|(_, process)| process.input.as_ref());
        let sent = match input {
            Some(input) => send(input, message),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        sent.map_err(|source| ShopError::Silent { name, source })
    }

    fn end(&mut self) -> io::Result<()> {
        for process in &mut self.processes {
            process.input = None;
        }
        let deadline = Instant::now() + END_PATIENCE;
        for mut process in self.processes.drain(..) {
            // How a service ended matters to nobody; that it did, does.
            let _ = process.wait(deadline);
        }
        let Some(mut reaper) = self.reaper.take() else { return Ok(()) };
        reaper.input = None;
        let _ = reaper.wait(Instant::now() + REAPER_PATIENCE);
        match &self.cgroup {
            // Nothing to do, unless somebody killed the reaper.
            Ok(path) => Tree::existing(path.clone(), topology::NAMES).remove(),
            Err(_) => Ok(()),
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // Nobody to tell; `stop` is for those who want to know.
        let _ = self.end();
    }
}

impl Process {
    fn start(options: &ShopOptions, args: &[&str]) -> io::Result<Process> {
        let mut child = Command::new(&options.program)
            .arg0("webb")
            .args(args)
            .current_dir("/")
            // Out of reach of the terminal's Ctrl-C, which is the viewer's to handle.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Ok(Process { child, input: Some(input), output }),
            // Both were asked for; an own child without them ends by its closed pipes.
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Waits for the end; kills at the deadline.
    fn wait(&mut self, deadline: Instant) -> io::Result<ExitStatus> {
        if wait_end(&mut self.output, deadline).is_err() {
            self.child.kill()?;
        }
        self.child.wait()
    }
}

/// Who called sudo, when this process is root because of it.
fn sudo_user() -> Option<User> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let id = |name| std::env::var(name).ok()?.parse::<u32>().ok();
    // All ones means "no change" to the kernel.
    let user = User { uid: id("SUDO_UID")?, gid: id("SUDO_GID")? };
    (user.uid != 0 && user.uid != u32::MAX && user.gid != u32::MAX).then_some(user)
}
