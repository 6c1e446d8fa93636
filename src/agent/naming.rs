//! What identity found, given to the entities that it names.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::identity::FoundName;
use crate::model::{BootNs, Entity, EntityId, EntityKind, Name, NameKind, ProcessKey};

/// Entities for which names are kept at hand. Beyond it, names of the cgroup are still given when an
/// entity is described.
const ENTITIES: usize = 65_536;

#[derive(Debug, Default)]
struct Known {
    /// Best name of its own process, without the port.
    own: Option<FoundName>,
    /// Ports on which it listens.
    ports: Vec<u16>,
    /// What was told last.
    told: Option<String>,
}

/// Which entities are in which cgroup, and what they are called.
#[derive(Debug, Default)]
pub(super) struct Naming {
    by_cgroup: HashMap<u64, Vec<EntityId>>,
    cgroup_names: HashMap<u64, Vec<FoundName>>,
    of_process: HashMap<ProcessKey, EntityId>,
    entities: HashMap<EntityId, Known>,
    changed: HashSet<EntityId>,
    out: Vec<Name>,
}

impl Naming {
    /// An entity was described.
    pub(super) fn entity(&mut self, entity: &Entity, now: BootNs) {
        let (EntityKind::Program { cgroup, .. } | EntityKind::Process { cgroup, .. }) = &entity.kind else {
            return;
        };
        if let Some(names) = self.cgroup_names.get(cgroup) {
            self.out.extend(names.iter().map(|n| dated(entity.id, n, now)));
        }
        if self.entities.len() < ENTITIES {
            self.entities.entry(entity.id).or_default();
            self.by_cgroup.entry(*cgroup).or_default().push(entity.id);
        }
    }

    /// A process belongs to an entity.
    pub(super) fn process(&mut self, key: ProcessKey, entity: EntityId) {
        if self.of_process.len() >= ENTITIES {
            self.of_process.clear();
        }
        self.of_process.insert(key, entity);
    }

    /// Names of a cgroup were found.
    pub(super) fn cgroup_answer(&mut self, id: u64, names: Vec<FoundName>, now: BootNs) {
        for &entity in self.by_cgroup.get(&id).map_or(&[][..], Vec::as_slice) {
            self.out.extend(names.iter().map(|n| dated(entity, n, now)));
        }
        if self.cgroup_names.len() < ENTITIES {
            self.cgroup_names.insert(id, names);
        }
    }

    /// Names of a process were found: of its executable or script, and of a container that only
    /// cgroup v1 knows of.
    pub(super) fn process_answer(&mut self, key: ProcessKey, names: Vec<FoundName>, now: BootNs) {
        let Some(&entity) = self.of_process.get(&key) else { return };
        for name in names {
            if matches!(name.kind, NameKind::Script | NameKind::Process) {
                let known = self.entities.entry(entity).or_default();
                if known.own.as_ref().is_none_or(|own| name.kind <= own.kind) {
                    known.own = Some(name);
                    self.changed.insert(entity);
                }
            } else {
                self.out.push(dated(entity, &name, now));
            }
        }
    }

    /// The ports on which entities listen now.
    pub(super) fn listening(&mut self, listening: impl Iterator<Item = (EntityId, u16)>) {
        let mut ports: HashMap<EntityId, Vec<u16>> = HashMap::new();
        for (entity, port) in listening {
            let list = ports.entry(entity).or_default();
            if !list.contains(&port) {
                list.push(port);
            }
        }
        for (entity, mut list) in ports {
            list.sort_unstable();
            // A listener that closes keeps its port in the name: it is how people know the service.
            if let Some(known) = self.entities.get_mut(&entity)
                && known.ports != list
            {
                known.ports = list;
                self.changed.insert(entity);
            }
        }
    }

    /// Names that were learnt since the last call.
    pub(super) fn take(&mut self, now: BootNs) -> Vec<Name> {
        for entity in std::mem::take(&mut self.changed) {
            let Some(known) = self.entities.get_mut(&entity) else { continue };
            let Some(own) = &known.own else { continue };
            let text = match known.ports.as_slice() {
                [] => own.name.clone(),
                [port] => format!("{} :{port}", own.name),
                [port, more @ ..] => format!("{} :{port}+{}", own.name, more.len()),
            };
            if known.told.as_ref() != Some(&text) {
                self.out.push(Name { name: Arc::from(text.as_str()), ..dated(entity, own, now) });
                known.told = Some(text);
            }
        }
        std::mem::take(&mut self.out)
    }
}

fn dated(entity: EntityId, n: &FoundName, now: BootNs) -> Name {
    Name { entity, name: n.name.as_str().into(), kind: n.kind, source: n.source.as_str().into(), from: now }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, kind: NameKind) -> FoundName {
        FoundName { name: name.to_owned(), kind, source: "test".to_owned() }
    }

    #[test]
    fn names_reach_entities_in_any_order() {
        let kind = EntityKind::Program { node: 1, cgroup: 5, comm: "nginx".into() };
        let entity = Entity { id: kind.id(), kind };
        let key = ProcessKey { pid: 1, start_ns: 2 };
        let mut n = Naming::default();
        n.cgroup_answer(5, vec![found("web", NameKind::Cgroup)], BootNs(1));
        assert!(n.take(BootNs(1)).is_empty());
        n.entity(&entity, BootNs(2));
        n.process(key, entity.id);
        n.process_answer(key, vec![found("nginx", NameKind::Process)], BootNs(2));
        let names: Vec<_> = n.take(BootNs(2)).into_iter().map(|n| n.name.to_string()).collect();
        assert_eq!(names, ["web", "nginx"]);
        n.listening([(entity.id, 80), (entity.id, 443)].into_iter());
        assert_eq!(&*n.take(BootNs(3))[0].name, "nginx :80+1");
        n.listening([(entity.id, 80), (entity.id, 443)].into_iter());
        assert!(n.take(BootNs(4)).is_empty(), "told once");
    }
}
