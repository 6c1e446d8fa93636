//! The view without eBPF: sock_diag(7) lists the TCP sockets of this network namespace with their
//! counters, `/proc/PID/fd` says who holds them. Read once a second it draws a true map of what
//! stays open that long; [`SockDiag::hooks`] says what it cannot see.
//!
//! Times: a socket that was found established has the time of that reading as `established` and
//! none as `opened`, so that no connect latency can be made of it.

mod diag;
mod ends;
mod holders;
mod hooks;
mod netlink;

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::model::{BootNs, Endpoint, Hook, OwnerEvidence};
use crate::source::members::{Among, Members};
use crate::track::{Fact, OwnerFact};
use diag::{DiagSocket, TcpState};
use ends::Ends;
use holders::Holder;
use netlink::Netlink;

/// Sockets that one walk takes in.
const MAX_SOCKETS: usize = 1 << 18;
/// Ends that vanished from a dump and are asked for one by one, in one walk.
const MAX_QUESTIONS: usize = 8192;
/// Walks after which holders are looked for again, although all were known.
const HOLDERS_EVERY: u64 = 10;

/// What to look at.
#[derive(Clone, Debug)]
pub struct SockDiagConfig {
    /// Which sockets.
    pub scope: Among,
    /// Processes whose sockets are left out: webb's own.
    pub leave_out: Vec<u32>,
    /// `/proc`.
    pub proc_root: PathBuf,
}

/// Why sockets cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum SockDiagError {
    /// No netlink socket.
    #[error("cannot open a sock_diag socket: {0}; a seccomp or container policy may forbid AF_NETLINK")]
    Socket(std::io::Error),
    /// No answer.
    #[error("sock_diag does not answer: {0}")]
    Ask(std::io::Error),
    /// The kernel said no.
    #[error("the kernel refused to list sockets: {0}; is its module inet_diag (CONFIG_INET_DIAG) there?")]
    Refused(std::io::Error),
    /// Counters are missing.
    #[error("this kernel's tcp_info has no byte counters; Linux 4.19 or later is needed")]
    OldKernel,
    /// The network namespace has no inode.
    #[error("cannot read {0}: {1}; is /proc mounted?")]
    Namespace(PathBuf, std::io::Error),
}

/// What one walk met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// Sockets of the namespace that were looked at.
    pub sockets: usize,
    /// Of these, in scope.
    pub in_scope: usize,
    /// Whether all sockets were looked at, and all cgroups of the scope.
    pub complete: bool,
}

/// The source. One thread calls [`SockDiag::walk`] each second; a walk blocks for as long as the
/// kernel needs to list its sockets.
#[derive(Debug)]
pub struct SockDiag {
    netlink: Netlink,
    config: SockDiagConfig,
    netns: u32,
    ends: Ends,
    holders: HashMap<u32, Holder>,
    /// Inodes that nobody who may be read held when last looked for.
    unheld: HashSet<u32>,
    /// Cookies of sockets of processes that are left out; those stay out when closed.
    left_out: HashSet<u64>,
    walks: u64,
}

impl SockDiag {
    /// Opens the socket; nothing is read yet.
    pub fn new(config: SockDiagConfig) -> Result<Self, SockDiagError> {
        let path = config.proc_root.join("self/ns/net");
        let inode = std::fs::metadata(&path).map_err(|e| SockDiagError::Namespace(path, e))?.ino();
        let netlink = Netlink::open()?;
        // Before Linux 5.14 there is no cookie to be had; the inode tells namespaces apart as well.
        let netns_cookie = netlink.netns_cookie().unwrap_or(inode);
        Ok(SockDiag {
            netlink,
            config,
            netns: inode as u32,
            ends: Ends::new(netns_cookie),
            holders: HashMap::new(),
            unheld: HashSet::new(),
            left_out: HashSet::new(),
            walks: 0,
        })
    }

    /// Looks at other sockets from the next walk on; what was in view stays until it closes.
    pub fn set_scope(&mut self, scope: Among) {
        self.config.scope = scope;
    }

    /// Lists all sockets and appends what that says to `out`, between [`Fact::WalkBegan`] and
    /// [`Fact::WalkEnded`]. What is open at the first walk is adopted.
    pub fn walk(&mut self, now: BootNs, out: &mut Vec<Fact>) -> Result<Walk, SockDiagError> {
        let (sockets, complete) = self.read_sockets()?;
        let members = self.config.scope.members();
        self.refresh_holders(&sockets, &members);
        let met = sockets.len();
        let (listeners, ends): (Vec<_>, Vec<_>) =
            sockets.into_iter().partition(|socket| socket.state == TcpState::Listen);

        out.push(Fact::WalkBegan { at: now });
        let adopt = self.walks == 0;
        let mut in_scope = 0;
        for socket in &listeners {
            if self.is_in_scope(socket, &members, &[]) {
                in_scope += 1;
                self.ends.listener(socket, self.owner(socket, &[]), now, out);
            }
        }
        let listening: Vec<(Endpoint, OwnerFact)> = self.ends.listening();
        let mut left_out = HashSet::new();
        for socket in &ends {
            if self.is_left_out(socket) {
                left_out.insert(socket.cookie);
            } else if self.is_in_scope(socket, &members, &listening) {
                in_scope += 1;
                self.ends.end(socket, self.owner(socket, &listening), adopt, now, out);
            }
        }
        self.left_out = left_out;
        self.ends.finish(complete, now, out);
        out.push(Fact::WalkEnded { at: now, complete });
        self.walks += 1;
        Ok(Walk { sockets: met, in_scope, complete: complete && members.complete })
    }

    /// What this view has and what it lacks, with what to do about it.
    pub fn hooks(&self) -> Vec<Hook> {
        hooks::hooks(rustix::process::geteuid().is_root())
    }

    fn read_sockets(&mut self) -> Result<(Vec<DiagSocket>, bool), SockDiagError> {
        let mut sockets = Vec::new();
        let mut complete = true;
        let whole = self.netlink.dump(|socket| {
            if sockets.len() < MAX_SOCKETS {
                sockets.push(socket);
            } else {
                complete = false;
            }
        })?;
        let seen: HashSet<u64> = sockets.iter().map(|s| s.cookie).collect();
        let missing = self.ends.missing(&seen);
        complete &= missing.len() <= MAX_QUESTIONS;
        for (local, peer, cookie) in missing.into_iter().take(MAX_QUESTIONS) {
            match self.netlink.find(local, peer, cookie)? {
                Some(socket) => sockets.push(socket),
                None => self.ends.forget(cookie),
            }
        }
        let counts = |s: &DiagSocket| s.info.is_some() || s.state == TcpState::Listen;
        if sockets.iter().all(counts) {
            Ok((sockets, complete && whole))
        } else {
            Err(SockDiagError::OldKernel)
        }
    }

    fn refresh_holders(&mut self, sockets: &[DiagSocket], members: &Members) {
        let wanted: HashSet<u32> =
            sockets.iter().filter(|s| s.inode != 0 && members.may_hold(s.cgroup)).map(|s| s.inode).collect();
        let news = wanted.iter().any(|i| !self.holders.contains_key(i) && !self.unheld.contains(i));
        let by_pid = matches!(self.config.scope, Among::Pids(_));
        if by_pid || news || self.walks.is_multiple_of(HOLDERS_EVERY) {
            let is_wanted = |inode| wanted.contains(&inode);
            self.holders =
                holders::find(&self.config.proc_root, members.pids.as_deref(), &self.holders, is_wanted);
            self.unheld = wanted.into_iter().filter(|i| !self.holders.contains_key(i)).collect();
        } else {
            self.holders.retain(|inode, _| wanted.contains(inode));
            self.unheld.retain(|inode| wanted.contains(inode));
        }
    }

    fn holder(&self, socket: &DiagSocket) -> Option<&Holder> {
        self.holders.get(&socket.inode).filter(|_| socket.inode != 0)
    }

    fn is_left_out(&self, socket: &DiagSocket) -> bool {
        self.left_out.contains(&socket.cookie)
            || self.holder(socket).is_some_and(|h| self.config.leave_out.contains(&h.key.pid))
    }

    fn is_in_scope(
        &self,
        socket: &DiagSocket,
        members: &Members,
        listening: &[(Endpoint, OwnerFact)],
    ) -> bool {
        if self.is_left_out(socket) {
            return false;
        }
        if self.ends.knows(socket.cookie) {
            return true;
        }
        match &self.config.scope {
            Among::Pids(_) => self.holder(socket).is_some() || waits_at(socket, listening).is_some(),
            Among::Host | Among::Cgroups(_) => members.may_hold(socket.cgroup),
        }
    }

    fn owner(&self, socket: &DiagSocket, listening: &[(Endpoint, OwnerFact)]) -> OwnerFact {
        let (process, evidence) = if let Some(holder) = self.holder(socket) {
            (Some((holder.key, holder.comm)), OwnerEvidence::HoldsFile)
        } else if let Some(owner) = waits_at(socket, listening).filter(|o| o.process.is_some()) {
            (owner.process, OwnerEvidence::Inherited)
        } else {
            (None, OwnerEvidence::Unknown)
        };
        OwnerFact { process, evidence, cgroup: socket.cgroup, netns: self.netns }
    }
}

/// The owner of the listener at which `socket`, which nobody holds, waits to be accepted.
fn waits_at<'a>(socket: &DiagSocket, listening: &'a [(Endpoint, OwnerFact)]) -> Option<&'a OwnerFact> {
    if socket.inode != 0 || !matches!(socket.state, TcpState::Established | TcpState::CloseWait) {
        return None;
    }
    listening
        .iter()
        .find(|(at, _)| {
            at.port == socket.local.port && (at.addr.is_unspecified() || at.addr == socket.local.addr)
        })
        .map(|(_, owner)| owner)
}

#[cfg(test)]
mod tests;
