//! Everything since the agent started, as one slice that grows.

use std::net::{IpAddr, Ipv4Addr};

use super::edge_table::EdgeTable;
use crate::model::{AgentInstance, BootNs, EdgeKey, Entity, EntityId, EntityKind, Name, NameKind, Slice};
use crate::world::merge_head;

#[derive(Debug)]
pub(super) struct Totals {
    /// Without its lists.
    head: Slice,
    edges: EdgeTable,
    limit: usize,
    folded: u64,
}

impl Totals {
    pub(super) fn new(agent: AgentInstance, limit: usize) -> Self {
        Totals { head: Slice { agent, ..Slice::default() }, edges: EdgeTable::default(), limit, folded: 0 }
    }

    /// Of the last slice that was merged, 0 before the first.
    pub(super) fn sequence(&self) -> u64 {
        self.head.sequence
    }

    /// Edges folded so far.
    pub(super) fn folded(&self) -> u64 {
        self.folded
    }

    pub(super) fn merge(&mut self, slice: &Slice) {
        merge_head(&mut self.head, slice);
        self.edges.merge(&slice.edges);
        self.folded += self.edges.fold(self.limit, folded_key);
    }

    pub(super) fn to_slice(&self, mut entities: Vec<Entity>, mut names: Vec<Name>) -> Slice {
        if self.folded > 0 {
            let kind = folded_entity();
            names.push(Name {
                entity: kind.id(),
                name: "edges idle longest".into(),
                kind: NameKind::Folded,
                source: "folded to keep the totals within their limit".into(),
                from: BootNs::default(),
            });
            entities.push(Entity { id: kind.id(), kind });
        }
        Slice { edges: self.edges.edges().to_vec(), entities, names, ..self.head.clone() }
    }
}

/// Stands for both sides of the edges that were folded.
fn folded_entity() -> EntityKind {
    EntityKind::OtherFar { anchor: EntityId(0), port: 0 }
}

fn folded_key(key: &EdgeKey) -> EdgeKey {
    let id = folded_entity().id();
    EdgeKey { client: id, server: id, addr: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port: 0, ..*key }
}
