//! Who holds a socket: process, cgroup, network namespace, and how that is known.

use std::sync::Arc;

/// A process, told apart from a later one with the same pid by its start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessKey {
    /// Process id (thread group id) in the initial pid namespace.
    pub pid: u32,
    /// Start of the process, nanoseconds of boot time (`task_struct.start_boottime`).
    pub start_ns: u64,
}

/// What is known of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Identity.
    pub key: ProcessKey,
    /// Name of the thread group leader (`task_struct.comm`), not escaped.
    pub comm: String,
    /// Path of the executable, when it could be read while the process lived.
    pub exe: Option<String>,
}

/// How the owning process is known, strongest last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum OwnerEvidence {
    /// No process is known.
    #[default]
    Unknown = 0,
    /// An accepted socket: the process that called `listen()`.
    Inherited = 1,
    /// It called `connect()` or `listen()` on this socket.
    Opened = 2,
    /// A pass over the open files found the socket in its file table.
    HoldsFile = 3,
    /// It closed the socket.
    Closed = 4,
}

impl OwnerEvidence {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            OwnerEvidence::Unknown => "unknown",
            OwnerEvidence::Inherited => "inherited-from-listener",
            OwnerEvidence::Opened => "opened",
            OwnerEvidence::HoldsFile => "holds-file",
            OwnerEvidence::Closed => "closed",
        }
    }

    /// The evidence of a kernel or wire number; unknown numbers are [`OwnerEvidence::Unknown`].
    pub fn from_number(n: u8) -> Self {
        use OwnerEvidence::{Closed, HoldsFile, Inherited, Opened, Unknown};
        [Unknown, Inherited, Opened, HoldsFile, Closed]
            .into_iter()
            .find(|e| *e as u8 == n)
            .unwrap_or_default()
    }
}

/// The owner of an end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The process, if any is known.
    pub process: Option<Arc<Process>>,
    /// How the process is known.
    pub evidence: OwnerEvidence,
    /// cgroup v2 id (inode of its directory) of the process; where none is known, the one in which
    /// the socket was made; 0 = unknown.
    pub cgroup: u64,
    /// Path of that cgroup below the cgroup2 mount, when known.
    pub cgroup_path: Option<Arc<str>>,
    /// Network namespace (inode number), 0 = unknown.
    pub netns: u32,
}
