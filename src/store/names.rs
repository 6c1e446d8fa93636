//! Entities and their newest names, bounded.

use std::collections::HashMap;

use crate::model::{Entity, EntityId, EntityKind, Name, NameUpdate};

#[derive(Debug)]
struct Row {
    kind: EntityKind,
    /// At most one of each kind of name.
    names: Vec<Name>,
    /// When it was last of use, in slices.
    used: u64,
    /// Grows with every change of the table; that of this row's last one.
    version: u64,
}

#[derive(Debug)]
pub(super) struct Names {
    rows: HashMap<EntityId, Row>,
    limit: usize,
    version: u64,
    /// Entities given up for newer ones.
    pub(super) dropped: u64,
}

impl Names {
    pub(super) fn new(limit: usize) -> Self {
        Names { rows: HashMap::new(), limit, version: 0, dropped: 0 }
    }

    /// Takes entities and names; a name of an entity that is not known is of no use.
    pub(super) fn learn(&mut self, entities: &[Entity], names: &[Name], now: u64) {
        for e in entities {
            self.version += 1;
            let version = self.version;
            self.rows.entry(e.id).or_insert_with(|| Row {
                kind: e.kind.clone(),
                names: Vec::new(),
                used: now,
                version,
            });
        }
        for name in names {
            let Some(row) = self.rows.get_mut(&name.entity) else { continue };
            match row.names.iter_mut().find(|n| n.kind == name.kind) {
                Some(old) if old.from > name.from || old == name => continue,
                Some(old) => *old = name.clone(),
                None => row.names.push(name.clone()),
            }
            self.version += 1;
            row.version = self.version;
        }
        self.shrink();
    }

    /// Marks an entity as of use.
    pub(super) fn touch(&mut self, id: EntityId, now: u64) {
        if let Some(row) = self.rows.get_mut(&id) {
            row.used = now;
        }
    }

    /// Far addresses that were not of use for longest go first.
    fn shrink(&mut self) {
        if self.rows.len() <= self.limit {
            return;
        }
        // Some room at once, so that this is not done again for each new entity.
        let excess = self.rows.len() - (self.limit - self.limit / 16);
        let mut order: Vec<_> = self.rows.iter().map(|(id, r)| (r.kind.is_local(), r.used, *id)).collect();
        order.sort_unstable();
        for (_, _, id) in order.into_iter().take(excess) {
            self.rows.remove(&id);
            self.dropped += 1;
        }
    }

    /// Everything.
    pub(super) fn all(&self) -> (Vec<Entity>, Vec<Name>) {
        let entities = self.rows.iter().map(|(&id, r)| Entity { id, kind: r.kind.clone() }).collect();
        (entities, self.rows.values().flat_map(|r| &r.names).cloned().collect())
    }

    /// Appends what is new of `ids` for a reader that knows some versions already, and notes that it
    /// knows these now.
    pub(super) fn news(
        &self,
        ids: impl Iterator<Item = EntityId>,
        known: &mut HashMap<EntityId, u64>,
        out: &mut NameUpdate,
    ) {
        for id in ids {
            let Some(row) = self.rows.get(&id) else { continue };
            match known.insert(id, row.version) {
                Some(version) if version == row.version => continue,
                Some(_) => {}
                None => out.entities.push(Entity { id, kind: row.kind.clone() }),
            }
            out.names.extend(row.names.iter().cloned());
        }
    }
}
