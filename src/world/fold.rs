//! Bounded cardinality: beyond a limit, the far addresses of one server port or of one client are
//! one entity, "other addresses", with exact counters. The first ones stay, so nothing jumps.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::Far;
use crate::model::{EdgeKey, Entity, EntityId, EntityKind};

/// Far addresses that are kept apart, for each server entity and port, and for each client entity.
pub(super) const FAR_ADDRESSES: usize = 256;
/// Anchors for which sets are kept; anchors beyond it fold all their far addresses.
const ANCHORS: usize = 4096;
/// Bits of the estimate of how many were folded (linear counting).
const BITS: usize = 4096;

#[derive(Debug, Default)]
struct FarSet {
    kept: HashSet<EntityId>,
    folded: Vec<u64>,
}

/// Remembers which far addresses are kept.
#[derive(Debug)]
pub(super) struct Fold {
    limit: usize,
    sets: HashMap<(EntityId, u16), FarSet>,
}

impl Fold {
    pub(super) fn new(limit: usize) -> Self {
        Fold { limit, sets: HashMap::new() }
    }

    /// The edge under which something is counted, and the entities that stand for far sides.
    pub(super) fn fold(&mut self, mut edge: EdgeKey, far: Far) -> (EdgeKey, [Option<Entity>; 2]) {
        let mut entities = [None, None];
        if let Some(addr) = far.client {
            // Of a capture both sides are far: one server that many ask is folded, many servers are not.
            let entity = self.far(edge.server, edge.port, (addr, None), far.server.is_some());
            edge.client = entity.id;
            entities[0] = Some(entity);
        }
        if let Some(addr) = far.server {
            // Where both sides are far there is no anchor but the far one: then it is kept.
            let there = (addr, far.server_name);
            let entity = match far.client {
                None => self.far(edge.client, 0, there, false),
                Some(_) => far_entity(there),
            };
            if !matches!(entity.kind, EntityKind::Far { .. }) {
                edge.addr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            }
            edge.server = entity.id;
            entities[1] = Some(entity);
        }
        (edge, entities)
    }

    /// `keep`: it is kept where there is no room for the set of its anchor, else folded.
    fn far(&mut self, anchor: EntityId, port: u16, there: FarPlace, keep: bool) -> Entity {
        let addr = there.0;
        let far = far_entity(there);
        let room = self.sets.len() < ANCHORS;
        let set = match self.sets.get_mut(&(anchor, port)) {
            Some(set) => set,
            None if room => self.sets.entry((anchor, port)).or_default(),
            None if keep => return far,
            None => return other(anchor, port),
        };
        if set.kept.contains(&far.id) {
            return far;
        }
        if set.kept.len() < self.limit {
            set.kept.insert(far.id);
            return far;
        }
        if set.folded.is_empty() {
            set.folded = vec![0; BITS / 64];
        }
        // Addresses are what is estimated, by whatever names they were found.
        let bit = EntityKind::far(addr).id().0 as usize % BITS;
        set.folded[bit / 64] |= 1 << (bit % 64);
        other(anchor, port)
    }

    /// About how many addresses an "other addresses" entity stands for.
    pub(super) fn estimate(&self, anchor: EntityId, port: u16) -> u64 {
        let Some(set) = self.sets.get(&(anchor, port)) else { return 0 };
        let zeros = set.folded.iter().map(|w| u64::from(w.count_zeros())).sum::<u64>();
        let m = (set.folded.len() * 64) as f64;
        if zeros == 0 { BITS as u64 } else { (-m * (zeros as f64 / m).ln()).round() as u64 }
    }
}

/// An address, and the name that led there.
type FarPlace = (IpAddr, Option<Arc<str>>);

fn far_entity((addr, name): FarPlace) -> Entity {
    let kind = EntityKind::Far { addr, name };
    Entity { id: kind.id(), kind }
}

fn other(anchor: EntityId, port: u16) -> Entity {
    let kind = EntityKind::OtherFar { anchor, port };
    Entity { id: kind.id(), kind }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Transport;

    #[test]
    fn a_scan_is_folded_and_estimated() {
        let mut fold = Fold::new(4);
        let mut edges = HashSet::new();
        for i in 0..1000u32 {
            let addr = IpAddr::from((0x0a00_0000 + i).to_be_bytes());
            let edge = EdgeKey {
                client: EntityId(0),
                server: EntityId(7),
                addr: [127, 0, 0, 1].into(),
                port: 80,
                transport: Transport::Tcp,
                role_known: true,
            };
            edges.insert(fold.fold(edge, Far { client: Some(addr), ..Far::default() }).0);
        }
        assert_eq!(edges.len(), 5);
        let n = fold.estimate(EntityId(7), 80);
        assert!((900..1100).contains(&n), "{n}");
    }

    #[test]
    fn names_of_one_address_are_apart_until_they_are_folded() {
        let mut fold = Fold::new(4);
        let mut edges = HashSet::new();
        for i in 0..1000u32 {
            let addr = IpAddr::from([10, 0, 0, 1]);
            let name: Option<Arc<str>> = Some(format!("n{i}.test").into());
            let edge = EdgeKey {
                client: EntityId(7),
                server: EntityKind::Far { addr, name: name.clone() }.id(),
                addr,
                port: 80,
                transport: Transport::Tcp,
                role_known: true,
            };
            let far = Far { client: None, server: Some(addr), server_name: name };
            edges.insert(fold.fold(edge, far).0);
        }
        assert_eq!(edges.len(), 5);
        assert_eq!(fold.estimate(EntityId(7), 0), 1, "it is one address");
    }
}
