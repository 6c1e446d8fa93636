//! Giving up what is no longer needed once everything is attached.
//!
//! Kept: CAP_BPF and CAP_PERFMON (iterators are opened again for each walk), CAP_NET_ADMIN (a
//! watched cgroup that returns is attached again), CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH (names of
//! processes and containers of other users). With identities CAP_SYS_ADMIN stays permitted, and is used
//! only while a probe is attached to a library: perf_event_open(2) asks for it. Started through sudo, the
//! process becomes the user who called it. To be called before other threads are started: capabilities belong to threads.

use rustix::thread::{CapabilitySet, CapabilitySets};

/// What is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// User id from now on.
    pub uid: u32,
    /// Capabilities that are still effective.
    pub capabilities: CapabilitySet,
}

/// Why privileges could not be given up.
#[derive(Debug, thiserror::Error)]
#[error("cannot give up privileges ({step}: {error}); run as root, or as a user with the capabilities")]
pub struct DropError {
    step: &'static str,
    error: std::io::Error,
}

/// Whose process it is from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Become {
    /// The user who called sudo, if root is only so because of it: there is a UI in this process.
    Caller,
    /// The same user as before: a service.
    Same,
}

/// Gives up everything that a running agent does not need; `identities`: it attaches probes to libraries.
pub fn drop_privileges(user: Become, identities: bool) -> Result<Kept, DropError> {
    let wanted = CapabilitySet::BPF
        | CapabilitySet::PERFMON
        | CapabilitySet::NET_ADMIN
        | CapabilitySet::SYS_PTRACE
        | CapabilitySet::DAC_READ_SEARCH;
    let sets = rustix::thread::capabilities(None).map_err(|e| failed("read capabilities", e))?;
    let keep = sets.effective & wanted;
    if user == Become::Caller
        && let Some((uid, gid)) = sudo_user()
    {
        become_user(uid, gid)?;
    }
    let at_times =
        if identities { sets.permitted & CapabilitySet::SYS_ADMIN } else { CapabilitySet::empty() };
    let only =
        CapabilitySets { effective: keep, permitted: keep | at_times, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, only).map_err(|e| failed("set capabilities", e))?;
    rustix::thread::set_no_new_privs(true).map_err(|e| failed("no_new_privs", e))?;
    Ok(Kept { uid: rustix::process::getuid().as_raw(), capabilities: keep })
}

/// Does something with CAP_SYS_ADMIN in effect, if that is permitted; else what it needs is refused, and said.
pub(super) fn with_admin<T>(act: impl FnOnce() -> T) -> T {
    let before = rustix::thread::capabilities(None).ok();
    let set = |sets| {
        // Only capabilities that are permitted are asked for: it cannot fail.
        let _ = rustix::thread::set_capabilities(None, sets);
    };
    if let Some(CapabilitySets { effective, permitted, inheritable }) = before {
        let effective = effective | (permitted & CapabilitySet::SYS_ADMIN);
        set(CapabilitySets { effective, permitted, inheritable });
    }
    let done = act();
    if let Some(before) = before {
        set(before);
    }
    done
}

/// The user behind sudo, when we run as root because of it.
fn sudo_user() -> Option<(u32, u32)> {
    let id = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    let (uid, gid) = (id("SUDO_UID")?, id("SUDO_GID")?);
    (rustix::process::geteuid().is_root() && uid != 0).then_some((uid, gid))
}

fn become_user(uid: u32, gid: u32) -> Result<(), DropError> {
    rustix::thread::set_keep_capabilities(true).map_err(|e| failed("keep capabilities", e))?;
    // glibc's wrappers change all threads of the process; the raw calls only one.
    // SAFETY: no memory is passed except an empty list with length 0.
    let groups = unsafe { libc::setgroups(0, std::ptr::null()) };
    check("setgroups", groups)?;
    // SAFETY: plain integers.
    check("setresgid", unsafe { libc::setresgid(gid, gid, gid) })?;
    // SAFETY: plain integers.
    check("setresuid", unsafe { libc::setresuid(uid, uid, uid) })
}

fn check(step: &'static str, result: i32) -> Result<(), DropError> {
    if result == 0 { Ok(()) } else { Err(DropError { step, error: std::io::Error::last_os_error() }) }
}

fn failed(step: &'static str, error: rustix::io::Errno) -> DropError {
    DropError { step, error: error.into() }
}

/// Gives up the rest, on this thread and those that it will start: the pipeline runs on another one.
pub fn keep_none() -> Result<(), DropError> {
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none).map_err(|e| failed("set capabilities", e))
}
