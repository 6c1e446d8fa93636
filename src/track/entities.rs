//! Owner → entity: which processes slices treat as one.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::fact::OwnerFact;
use crate::model::{Entity, EntityId, EntityKind, ProcessKey};

/// Interpreters of one cgroup that are told apart; later ones share an entity.
const PROCESSES_PER_CGROUP: usize = 64;
/// Entities that are remembered as described; beyond it they are described again.
const DESCRIBED: usize = 65_536;

/// Makes entities, and remembers which of them were described already.
#[derive(Debug)]
pub(super) struct Entities {
    node: u64,
    processes: HashMap<u64, HashSet<ProcessKey>>,
    known: HashSet<EntityId>,
    fresh: Vec<Entity>,
}

impl Entities {
    pub(super) fn new(node: u64) -> Self {
        Entities { node, processes: HashMap::new(), known: HashSet::new(), fresh: Vec::new() }
    }

    /// The entity of an owner. Programs of one name in one cgroup are one, except interpreters,
    /// whose name says nothing. Without any owner it is the address.
    pub(super) fn of_owner(&mut self, owner: &OwnerFact, addr: IpAddr) -> EntityId {
        let Some((key, comm)) = owner.process else {
            // A capture knows addresses only.
            if *owner == OwnerFact::default() {
                return self.describe(EntityKind::far(addr));
            }
            return self.describe(EntityKind::Program {
                node: self.node,
                cgroup: owner.cgroup,
                comm: Arc::from(""),
            });
        };
        let comm: Arc<str> = comm.to_text().into();
        let (node, cgroup) = (self.node, owner.cgroup);
        if is_interpreter(&comm) {
            let seen = self.processes.entry(cgroup).or_default();
            if seen.contains(&key) || (seen.len() < PROCESSES_PER_CGROUP && seen.insert(key)) {
                return self.describe(EntityKind::Process { node, cgroup, key, comm });
            }
        }
        self.describe(EntityKind::Program { node, cgroup, comm })
    }

    fn describe(&mut self, kind: EntityKind) -> EntityId {
        let id = kind.id();
        if self.known.len() >= DESCRIBED {
            self.known.clear();
        }
        if self.known.insert(id) {
            self.fresh.push(Entity { id, kind });
        }
        id
    }

    /// Entities that were not described yet.
    pub(super) fn take_fresh(&mut self) -> Vec<Entity> {
        std::mem::take(&mut self.fresh)
    }
}

/// Command names behind which the script is what matters.
fn is_interpreter(comm: &str) -> bool {
    const NAMES: [&str; 14] = [
        "node", "java", "ruby", "perl", "php", "php-fpm", "bash", "sh", "dash", "deno", "bun", "beam.smp",
        "webb", "dotnet",
    ];
    comm.starts_with("python") || NAMES.contains(&comm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::Comm;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn owner(comm: &str, pid: u32) -> OwnerFact {
        let mut bytes = [0; 16];
        bytes[..comm.len()].copy_from_slice(comm.as_bytes());
        OwnerFact {
            process: Some((ProcessKey { pid, start_ns: 1 }, Comm(bytes))),
            cgroup: 9,
            ..OwnerFact::default()
        }
    }

    #[test]
    fn workers_are_one_interpreters_are_not() {
        let mut e = Entities::new(1);
        assert_eq!(e.of_owner(&owner("nginx", 1), HERE), e.of_owner(&owner("nginx", 2), HERE));
        assert_ne!(e.of_owner(&owner("python3", 1), HERE), e.of_owner(&owner("python3", 2), HERE));
        assert_eq!(e.take_fresh().len(), 3);
        assert!(e.take_fresh().is_empty());
    }

    #[test]
    fn a_flood_of_scripts_is_folded() {
        let mut e = Entities::new(1);
        let ids: HashSet<_> = (0..10_000).map(|pid| e.of_owner(&owner("python3", pid), HERE)).collect();
        assert_eq!(ids.len(), PROCESSES_PER_CGROUP + 1);
    }
}
