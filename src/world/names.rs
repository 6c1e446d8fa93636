//! From entities to the names that people read, and to workloads: entities of one name.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{Entity, EntityId, EntityKind, Name, NameKind};

/// What entities are grouped by where they are viewed: a name of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkloadId {
    /// Name, not escaped.
    pub name: Arc<str>,
    /// Its kind: a unit and a container of one name are two workloads.
    pub kind: NameKind,
}

impl WorkloadId {
    /// The name without the listening port that names of processes carry, for where a port follows.
    pub fn bare(&self) -> &str {
        if !matches!(self.kind, NameKind::Script | NameKind::Process) {
            return &self.name;
        }
        match self.name.rsplit_once(" :") {
            Some((bare, port)) if port.starts_with(|c: char| c.is_ascii_digit()) => bare,
            _ => &self.name,
        }
    }
}

/// A workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Name and kind.
    pub id: WorkloadId,
    /// How the name is known.
    pub source: Arc<str>,
}

/// Entities and their names. Bounded: beyond [`ENTITIES`] far addresses fall back to being unnamed.
#[derive(Debug, Default)]
pub struct NameTable {
    entities: HashMap<EntityId, EntityKind>,
    names: HashMap<EntityId, Vec<Name>>,
}

/// Entities that are remembered.
pub const ENTITIES: usize = 131_072;

impl NameTable {
    /// An entity was described.
    pub fn describe(&mut self, entity: &Entity) {
        if self.entities.len() < ENTITIES || self.entities.contains_key(&entity.id) {
            self.entities.insert(entity.id, entity.kind.clone());
        }
    }

    /// A name was learnt; one of the same kind replaces the earlier one.
    pub fn learn(&mut self, name: &Name) {
        if self.names.len() >= ENTITIES && !self.names.contains_key(&name.entity) {
            return;
        }
        let names = self.names.entry(name.entity).or_default();
        match names.iter_mut().find(|n| n.kind == name.kind) {
            Some(old) => *old = name.clone(),
            None => names.push(name.clone()),
        }
        names.sort_by_key(|n| n.kind);
    }

    /// What an entity is.
    pub fn entity(&self, id: EntityId) -> Option<&EntityKind> {
        self.entities.get(&id)
    }

    /// All names of an entity, the most telling first.
    pub fn names(&self, id: EntityId) -> &[Name] {
        self.names.get(&id).map_or(&[], Vec::as_slice)
    }

    /// The workload of an entity: its most telling name, else what the entity itself says.
    pub fn workload(&self, id: EntityId) -> Workload {
        if let Some(n) = self.names(id).first() {
            return Workload {
                id: WorkloadId { name: n.name.clone(), kind: n.kind },
                source: n.source.clone(),
            };
        }
        let (name, kind, source): (Arc<str>, NameKind, &str) = match self.entities.get(&id) {
            Some(EntityKind::Far { name: Some(name), .. }) => (name.clone(), NameKind::Dns, "DNS answer"),
            Some(EntityKind::Far { addr, name: None }) => {
                (addr.to_string().into(), NameKind::Address, "address")
            }
            Some(EntityKind::OtherFar { .. }) => ("other addresses".into(), NameKind::Folded, "folded"),
            Some(EntityKind::Program { comm, .. } | EntityKind::Process { comm, .. }) if !comm.is_empty() => {
                (comm.clone(), NameKind::Process, "command name")
            }
            _ => (format!("unknown {id}").into(), NameKind::Process, "no process is known"),
        };
        Workload { id: WorkloadId { name, kind }, source: source.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_left_out_only_of_names_that_carry_one() {
        let id = |name: &str, kind| WorkloadId { name: name.into(), kind };
        assert_eq!(id("nginx :80+1", NameKind::Process).bare(), "nginx");
        assert_eq!(id("api.py :8080", NameKind::Script).bare(), "api.py");
        assert_eq!(id("odd :name", NameKind::Process).bare(), "odd :name");
        assert_eq!(id("web :80", NameKind::Cgroup).bare(), "web :80");
    }
}
