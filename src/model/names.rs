//! Entities and the names that people read for them.

use std::net::IpAddr;
use std::sync::Arc;

use super::{BootNs, EntityId, ProcessKey, StableHasher};

/// What an entity is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EntityKind {
    /// All processes of one command name in one cgroup: bounded however many are forked.
    Program {
        /// Boot the cgroup id belongs to (a hash of the kernel's boot id).
        node: u64,
        /// cgroup v2 id.
        cgroup: u64,
        /// Command name of the thread group leader.
        comm: Arc<str>,
    },
    /// One process: for interpreters, whose command name says nothing.
    Process {
        /// Boot the pid belongs to.
        node: u64,
        /// cgroup v2 id.
        cgroup: u64,
        /// Which process.
        key: ProcessKey,
        /// Command name of the thread group leader.
        comm: Arc<str>,
    },
    /// An address whose owner is not in scope.
    Far {
        /// The address.
        addr: IpAddr,
        /// The name that led those who connect to it, where their own DNS questions say so: two names
        /// of one address are two entities.
        name: Option<Arc<str>>,
    },
    /// Addresses beyond the limit of one server port or one client, folded with exact counters.
    OtherFar {
        /// The entity (and port, else 0) whose far addresses these are.
        anchor: EntityId,
        /// Server port, 0 when `anchor` is the client.
        port: u16,
    },
}

impl EntityKind {
    /// A far address, however it was found.
    pub fn far(addr: IpAddr) -> Self {
        EntityKind::Far { addr, name: None }
    }

    /// The stable id of this entity.
    pub fn id(&self) -> EntityId {
        let h = match self {
            EntityKind::Program { node, cgroup, comm } => {
                StableHasher::new("program").number(*node).number(*cgroup).bytes(comm.as_bytes())
            }
            EntityKind::Process { node, cgroup, key, comm } => StableHasher::new("process")
                .number(*node)
                .number(*cgroup)
                .number(u64::from(key.pid))
                .number(key.start_ns)
                .bytes(comm.as_bytes()),
            EntityKind::Far { addr, name } => {
                let far = match addr {
                    IpAddr::V4(a) => StableHasher::new("far").bytes(&a.octets()),
                    IpAddr::V6(a) => StableHasher::new("far").bytes(&a.octets()),
                };
                name.as_ref().map_or(far, |name| far.bytes(name.as_bytes()))
            }
            EntityKind::OtherFar { anchor, port } => {
                StableHasher::new("other").number(anchor.0).number(u64::from(*port))
            }
        };
        EntityId(h.finish())
    }

    /// Whether its owner is in scope on some node.
    pub fn is_local(&self) -> bool {
        matches!(self, EntityKind::Program { .. } | EntityKind::Process { .. })
    }
}

/// An entity and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// Id, as in edges.
    pub id: EntityId,
    /// What it is.
    pub kind: EntityKind,
}

/// Where a name comes from, the most telling first: of several names the first kind is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum NameKind {
    /// Name or short id of a container.
    Container = 1,
    /// systemd unit.
    Unit = 2,
    /// Leaf of a cgroup path that a person chose.
    Cgroup = 3,
    /// Service name of `webb demo`, or script of an interpreter.
    Script = 4,
    /// Executable or command name.
    Process = 5,
    /// Address.
    Address = 6,
    /// Many addresses folded into one.
    Folded = 7,
    /// Name whose DNS question was answered with the address.
    Dns = 8,
}

impl NameKind {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            NameKind::Container => "container",
            NameKind::Unit => "unit",
            NameKind::Cgroup => "cgroup",
            NameKind::Script => "script",
            NameKind::Process => "process",
            NameKind::Address => "address",
            NameKind::Folded => "folded",
            NameKind::Dns => "dns",
        }
    }

    /// The kind of a wire number.
    pub fn from_number(n: u8) -> Option<Self> {
        use NameKind::{Address, Cgroup, Container, Dns, Folded, Process, Script, Unit};
        [Container, Unit, Cgroup, Script, Process, Address, Folded, Dns].into_iter().find(|k| *k as u8 == n)
    }
}

/// A dated statement that an entity has a name. A later one of the same kind replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Which entity.
    pub entity: EntityId,
    /// The name, not escaped.
    pub name: Arc<str>,
    /// What kind of name.
    pub kind: NameKind,
    /// How it is known, in words: "cgroup path", "/proc/812/exe".
    pub source: Arc<str>,
    /// Valid from.
    pub from: BootNs,
}
