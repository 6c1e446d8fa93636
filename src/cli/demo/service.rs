//! One service of the shop, as its own process: the hidden command `demo-service NAME`.

use std::convert::Infallible;
use std::ffi::CString;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::call::Caller;
use super::certs::CertError;
use super::dice::Dice;
use super::handshake::{Config, Peers, Reply, User, receive, send};
use super::reaper::wait_for_end;
use super::serve::{Port, Server};
use super::topology::{self, Listens, Rhythm, Spec};

/// Beats under way at a time; further ones are left out.
const MAX_BEATS: usize = 16;
/// A rhythm's first beat comes no later, so that everybody is on the map soon.
const FIRST_BEAT: Duration = Duration::from_secs(2);
/// A swaying rhythm's period.
const SWAY: Duration = Duration::from_secs(60);

/// The words after the hidden command `demo-service`.
#[derive(Debug, clap::Args)]
pub struct DemoServiceArgs {
    /// Which service of the demo to be
    pub name: String,
}

#[derive(Debug, thiserror::Error)]
enum ServiceError {
    #[error("there is no demo service {0:?}; `webb demo` starts those there are")]
    Unknown(String),
    #[error("a demo service is started by `webb demo`, which did not answer: {0}")]
    Shop(io::Error),
    #[error("cannot become user {}: {error}", user.uid)]
    User { user: User, error: io::Error },
    #[error("cannot listen on 127.0.0.1: {0}")]
    Listen(io::Error),
    #[error(transparent)]
    Certificate(#[from] CertError),
    #[error("no certificate came for a service that needs one")]
    NoCertificate,
    #[error("no port came for {0}")]
    NoPeer(&'static str),
    #[error("cannot call {to}: {error}")]
    Caller { to: &'static str, error: Box<dyn std::error::Error + Send + Sync> },
    #[error("cannot start: {0}")]
    Start(io::Error),
}

/// Runs the hidden command `demo-service`: one service of the shop, until standard input ends.
///
/// Not async on purpose: it brings its own single-threaded runtime and changes its user, so it
/// must be called from `main` before there is a runtime or a second thread.
pub fn run_service(args: &DemoServiceArgs) -> ExitCode {
    match run(args) {
        Ok(never) => match never {},
        Err(error) => {
            // After the start nobody reads this, and the exit status is all there is.
            let _ = send(io::stdout(), &Reply::Failed(error.to_string()));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &DemoServiceArgs) -> Result<Infallible, ServiceError> {
    let spec = topology::find(&args.name).ok_or_else(|| ServiceError::Unknown(args.name.clone()))?;
    if let Ok(name) = CString::new(spec.name) {
        // `comm` is a nicety; the cgroup has the name as well.
        let _ = rustix::thread::set_name(&name);
    }
    let config: Config = receive(io::stdin()).map_err(ServiceError::Shop)?;
    if let Some(user) = config.user {
        become_user(user).map_err(|error| ServiceError::User { user, error })?;
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ServiceError::Start)?
        .block_on(live(spec, config))
}

/// This thread only, which is the whole process at this point.
fn become_user(user: User) -> io::Result<()> {
    let (uid, gid) = (rustix::fs::Uid::from_raw(user.uid), rustix::fs::Gid::from_raw(user.gid));
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    // Else /proc/PID stays root's, and a webb that has dropped its privilege could not read it.
    set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    Ok(())
}

async fn live(spec: &'static Spec, config: Config) -> Result<Infallible, ServiceError> {
    let mut acceptor = None;
    let mut door = None;
    if let Some(listens) = spec.listens {
        let version = match listens {
            Listens::Plain => None,
            Listens::MutualTls12 => Some(&TLS12),
            Listens::MutualTls13 => Some(&TLS13),
        };
        if let Some(version) = version {
            let identity = config.identity.as_ref().ok_or(ServiceError::NoCertificate)?;
            acceptor = Some(TlsAcceptor::from(identity.server(version)?));
        }
        let port = Port::reserve().map_err(ServiceError::Listen)?;
        let listener = port.listen().map_err(ServiceError::Listen)?;
        door = Some((port, listener));
    }
    let number = door.as_ref().map(|(port, _): &(Port, TcpListener)| port.number());
    send(io::stdout(), &Reply::Ready(number)).map_err(ServiceError::Shop)?;
    let peers: Peers = receive(io::stdin()).map_err(ServiceError::Shop)?;
    std::thread::Builder::new()
        .spawn(|| {
            // A thread, so that the process ends with the shop whatever the runtime is doing.
            wait_for_end();
            std::process::exit(0)
        })
        .map_err(ServiceError::Start)?;

    let callers = callers(spec, &config, &peers)?;
    let seed = u64::from(std::process::id());
    let server = Arc::new(Server { spec, callers, dice: Dice::new(seed), tls: acceptor });
    if let Some(rhythm) = spec.rhythm {
        tokio::spawn(beat(server.clone(), rhythm));
    }
    match door {
        Some((port, listener)) => server.run(port, listener).await.map_err(ServiceError::Listen),
        None => std::future::pending().await,
    }
}

fn callers(spec: &'static Spec, config: &Config, peers: &Peers) -> Result<Vec<Caller>, ServiceError> {
    let client = config.identity.as_ref().map(|identity| identity.client()).transpose()?;
    let mut callers = Vec::with_capacity(spec.calls.len());
    for call in spec.calls {
        let port = *peers.0.get(call.to).ok_or(ServiceError::NoPeer(call.to))?;
        let tls = match topology::find(call.to).and_then(|to| to.listens) {
            Some(listens) if listens.is_tls() => Some(client.clone().ok_or(ServiceError::NoCertificate)?),
            _ => None,
        };
        let caller =
            Caller::new(call, port, tls).map_err(|error| ServiceError::Caller { to: call.to, error })?;
        callers.push(caller);
    }
    Ok(callers)
}

/// Makes the service's calls by its own clock, forever. A beat that would make too many at once
/// is left out, and so are beats missed while the machine slept.
async fn beat(server: Arc<Server>, rhythm: Rhythm) {
    let every = Duration::from_millis(rhythm.every_ms.into());
    let start = Instant::now();
    let places = Arc::new(Semaphore::new(MAX_BEATS));
    let mut next = start + every.min(FIRST_BEAT);
    loop {
        sleep_until(next).await;
        if let Ok(place) = places.clone().try_acquire_owned() {
            let server = server.clone();
            tokio::spawn(async move {
                for _ in 0..rhythm.burst {
                    server.call_others().await;
                }
                drop(place);
            });
        }
        let pace = if rhythm.sways { sway(start.elapsed()) } else { 1.0 };
        next = (next + every.div_f64(pace)).max(Instant::now());
    }
}

/// The pace after `elapsed`: 0.5 to 1.5, up and down over [`SWAY`].
fn sway(elapsed: Duration) -> f64 {
    let phase = elapsed.as_secs_f64() / SWAY.as_secs_f64() % 1.0;
    1.5 - (2.0 * phase - 1.0).abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_stays_in_its_bounds_and_comes_round() {
        for s in 0..240 {
            let pace = sway(Duration::from_secs(s));
            assert!((0.5..=1.5).contains(&pace), "{pace} after {s} s");
        }
        assert_eq!(sway(Duration::ZERO), sway(SWAY));
        assert!(sway(SWAY / 2) > 2.9 * sway(Duration::ZERO));
    }
}
