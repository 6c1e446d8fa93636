//! Makes the slices of one agent.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::fold::{FAR_ADDRESSES, Fold};
use crate::model::{
    BootNs, EdgeKey, EdgeSlice, Entity, EntityId, EntityKind, Name, NameKind, Outcome, Slice, View,
};

/// The addresses of an edge's sides that have no owner in scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Far {
    /// The client's, if it is far.
    pub client: Option<IpAddr>,
    /// The server's, if it is far.
    pub server: Option<IpAddr>,
    /// The name that led there, of a far server where it is known.
    pub server_name: Option<Arc<str>>,
}

/// Collects one slice after the other; remembers across slices what was described and folded.
#[derive(Debug)]
pub struct SliceBuilder {
    edges: HashMap<EdgeKey, EdgeSlice>,
    fold: Fold,
    entities: Vec<Entity>,
    names: Vec<Name>,
    far_sent: HashSet<EntityId>,
    others: HashMap<EntityId, (EntityId, u16, u64)>,
}

impl Default for SliceBuilder {
    fn default() -> Self {
        SliceBuilder::new(FAR_ADDRESSES)
    }
}

impl SliceBuilder {
    /// With a limit of far addresses per server port and per client.
    pub fn new(far_addresses: usize) -> Self {
        SliceBuilder {
            edges: HashMap::new(),
            fold: Fold::new(far_addresses),
            entities: Vec::new(),
            names: Vec::new(),
            far_sent: HashSet::new(),
            others: HashMap::new(),
        }
    }

    /// The edge of the slice under which this one is counted.
    pub fn edge(&mut self, edge: EdgeKey, far: Far) -> &mut EdgeSlice {
        let (key, entities) = self.fold.fold(edge, far);
        for entity in entities.into_iter().flatten() {
            if let EntityKind::OtherFar { anchor, port } = entity.kind {
                self.others.entry(entity.id).or_insert((anchor, port, 0));
            }
            if self.far_sent.insert(entity.id) {
                self.entities.push(entity);
            }
        }
        self.edges.entry(key).or_insert_with(|| EdgeSlice::new(key))
    }

    /// An entity that edges may use from now on.
    pub fn describe(&mut self, entity: Entity) {
        self.entities.push(entity);
    }

    /// A name that was learnt.
    pub fn name(&mut self, name: Name) {
        self.names.push(name);
    }

    /// The slice so far; the next one begins empty. The caller fills in what is not edges.
    pub fn take(&mut self, now: BootNs) -> Slice {
        for (&entity, (anchor, port, told)) in &mut self.others {
            let n = self.fold.estimate(*anchor, *port);
            // Told again when it grew by an eighth: a name that changes each second cannot be read.
            if n > *told + *told / 8 {
                *told = n;
                self.names.push(Name {
                    entity,
                    name: format!("other addresses (~{n})").into(),
                    kind: NameKind::Folded,
                    source: Arc::from("folded"),
                    from: now,
                });
            }
        }
        let mut edges: Vec<EdgeSlice> = std::mem::take(&mut self.edges).into_values().collect();
        edges.sort_unstable_by_key(|e| e.key);
        Slice {
            edges,
            entities: std::mem::take(&mut self.entities),
            names: std::mem::take(&mut self.names),
            ..Slice::default()
        }
    }
}

impl EdgeSlice {
    /// Counts the end of a connection.
    pub fn count_outcome(&mut self, view: View, outcome: Option<Outcome>) {
        let outcome = outcome.unwrap_or(Outcome::Unknown);
        self.view_mut(view).outcomes[outcome.index()] += 1;
    }
}
