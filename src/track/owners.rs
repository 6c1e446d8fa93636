//! Owners of ends: processes and cgroups, each known once, and what is learnt of them later.

use std::collections::HashMap;
use std::sync::Arc;

use super::fact::{Comm, OwnerFact};
use super::table::Track;
use crate::model::{EntityId, Owner, Process, ProcessKey, View};

/// Processes that are remembered; those that live on are put back by their next fact.
const PROCESSES: usize = 16_384;
/// Cgroups that are remembered.
const CGROUPS: usize = 65_536;

/// Processes and cgroups that ends have named.
#[derive(Debug, Default)]
pub(super) struct Owners {
    processes: HashMap<ProcessKey, Arc<Process>>,
    pub fresh_processes: Vec<(Arc<Process>, u64, EntityId)>,
    cgroup_paths: HashMap<u64, Option<Arc<str>>>,
    pub fresh_cgroups: Vec<u64>,
}

impl Track {
    pub(super) fn owner(&mut self, f: &OwnerFact) -> Owner {
        let process = f.process.map(|(key, comm)| self.process(key, comm, f));
        let path = if f.cgroup == 0 {
            None
        } else {
            if self.owners.cgroup_paths.len() >= CGROUPS {
                self.owners.cgroup_paths.clear();
            }
            let fresh = &mut self.owners.fresh_cgroups;
            self.owners
                .cgroup_paths
                .entry(f.cgroup)
                .or_insert_with(|| {
                    fresh.push(f.cgroup);
                    None
                })
                .clone()
        };
        Owner { process, evidence: f.evidence, cgroup: f.cgroup, cgroup_path: path, netns: f.netns }
    }

    fn process(&mut self, key: ProcessKey, comm: Comm, f: &OwnerFact) -> Arc<Process> {
        if let Some(p) = self.owners.processes.get(&key)
            && comm.is(&p.comm)
        {
            return p.clone();
        }
        if self.owners.processes.len() >= PROCESSES {
            self.owners.processes.clear();
        }
        let exe = None; // after an exec the old one would be wrong
        let process = Arc::new(Process { key, comm: comm.to_text(), exe });
        self.owners.processes.insert(key, process.clone());
        let entity = self.entities.of_owner(f, std::net::Ipv4Addr::UNSPECIFIED.into());
        self.owners.fresh_processes.push((process.clone(), f.cgroup, entity));
        process
    }

    /// The executable of a process became known.
    pub fn set_exe(&mut self, key: ProcessKey, exe: String) {
        let Some(old) = self.owners.processes.get(&key) else { return };
        let new = Arc::new(Process { exe: Some(exe), ..(**old).clone() });
        self.owners.processes.insert(key, new.clone());
        self.each_owner(|owner| {
            if owner.process.as_ref().is_some_and(|p| p.key == key) {
                owner.process = Some(new.clone());
                return true;
            }
            false
        });
    }

    /// The path of a cgroup became known.
    pub fn set_cgroup_path(&mut self, cgroup: u64, path: Arc<str>) {
        self.owners.cgroup_paths.insert(cgroup, Some(path.clone()));
        self.each_owner(|owner| {
            if owner.cgroup == cgroup {
                owner.cgroup_path = Some(path.clone());
                return true;
            }
            false
        });
    }

    fn each_owner(&mut self, mut change: impl FnMut(&mut Owner) -> bool) {
        let mut touched = Vec::new();
        for (key, row) in &mut self.rows {
            let mut hit = false;
            for view in [View::Client, View::Server] {
                hit |= row.end_mut(view).is_some_and(|e| change(&mut e.owner));
            }
            if hit {
                touched.push(*key);
            }
        }
        touched.into_iter().for_each(|key| self.touch(key));
    }
}
