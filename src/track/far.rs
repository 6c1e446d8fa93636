//! Far addresses: described when a connection first has one, and named by what the workloads' own DNS
//! questions were answered.
//!
//! A far server is an entity of its own for each name that led to it: two clients that resolved one
//! address under two names have two edges. A connection gets its name when it is first told, and
//! again if an answer that came before it is read later, until its first slice is sealed. Where the
//! client did not ask itself, the address has the names that anyone was led by.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::resolved::{Asker, Led, Resolved};
use super::table::Track;
use crate::model::{
    BootNs, Connection, Entity, EntityId, EntityKind, Name, NameKind, ProcessKey, Shape, Verdict, View,
};
use crate::wire::Told;
use crate::wire::dns::{Storm, Storms};

/// Far addresses that are remembered as described; beyond it they are described again.
const DESCRIBED: usize = 65_536;

/// What is known of far addresses.
#[derive(Debug, Default)]
pub(super) struct FarAddresses {
    resolved: Resolved,
    /// With the least and the most names that led someone there by then; 0 of those without a name
    /// of their own.
    described: HashMap<EntityId, (usize, usize)>,
    /// Connections to far servers that were not sealed yet.
    unsealed: Vec<Unsealed>,
    /// Addresses to which another name leads someone since the last look.
    changed: HashSet<IpAddr>,
    searches: Storms<(Asker, Option<ProcessKey>)>,
    fresh: Vec<Entity>,
    names: Vec<Name>,
}

#[derive(Debug)]
struct Unsealed {
    key: u64,
    addr: IpAddr,
    opened: BootNs,
    looked: bool,
}

impl FarAddresses {
    /// A row begins: if its server is far, a name may have led there.
    pub(super) fn watch(&mut self, key: u64, c: &Connection) {
        if let (Some(client), None, true) = (&c.client.end, &c.server.end, c.role_known)
            && let Some(opened) = client.opened.known()
        {
            self.unsealed.push(Unsealed { key, addr: c.server.address.addr, opened, looked: false });
        }
    }

    /// What began before `end` is counted: it keeps the name that it has.
    pub(super) fn sealed(&mut self, end: BootNs) {
        self.unsealed.retain(|u| u.opened >= end);
    }

    /// Far addresses that are used for the first time, those of these connections among them: to be
    /// described with them. Edges, which fold, describe their own.
    pub(super) fn fresh<'a>(
        &mut self,
        connections: impl Iterator<Item = &'a Arc<Connection>>,
    ) -> Vec<Entity> {
        for c in connections {
            for side in [&c.client, &c.server].into_iter().filter(|s| s.end.is_none()) {
                let kind = EntityKind::far(side.address.addr);
                if kind.id() != side.entity || self.described.contains_key(&side.entity) {
                    continue;
                }
                self.describe(side.entity, kind, (0, 0));
                let known = self.resolved.anyone(side.address.addr);
                self.names.extend(known.map(|led| anyones(side.entity, led)));
            }
        }
        std::mem::take(&mut self.fresh)
    }

    fn describe(&mut self, id: EntityId, kind: EntityKind, names: (usize, usize)) {
        if self.described.len() >= DESCRIBED {
            self.described.clear();
        }
        if self.described.insert(id, names).is_none() {
            self.fresh.push(Entity { id, kind });
        }
    }

    /// The entity of an address to which a name, the latest of `n`, led a client.
    fn led(&mut self, u: &Unsealed, asker: Asker, led: &Led, n: usize) -> EntityId {
        let kind = EntityKind::Far { addr: u.addr, name: Some(led.name.clone()) };
        let id = kind.id();
        let before = self.described.get(&id).copied();
        let (least, most) = before.map_or((n, n), |(least, most)| (least.min(n), most.max(n)));
        if before == Some((least, most)) {
            return id;
        }
        self.describe(id, kind, (least, most));
        let latest = match (least, most) {
            (_, 1) => String::new(),
            (least, most) if least == most => format!("; latest of {most} names that led there"),
            (_, most) => format!("; latest of up to {most} names that led there"),
        };
        let source = format!("{}, asked by the client's own {}{latest}", led.source, asker.as_str());
        self.names.push(Name {
            entity: id,
            name: led.name.clone(),
            kind: NameKind::Dns,
            source: source.into(),
            from: u.opened,
        });
        id
    }

    /// Names that were learnt since the last call.
    pub(super) fn take_names(&mut self) -> Vec<Name> {
        std::mem::take(&mut self.names)
    }
}

/// The name of an address that connections have whose clients did not ask themselves.
fn anyones(entity: EntityId, led: Led) -> Name {
    let source = format!("{}, asked by another process, or after connecting", led.source).into();
    Name { entity, name: led.name, kind: NameKind::Dns, source, from: led.at }
}

impl Track {
    /// Takes what a DNS exchange at a client's end says of addresses; if a lookup that went through a
    /// search list is over with it, that one.
    pub(super) fn heard_dns(&mut self, key: u64, view: View, told: &Told) -> Option<Storm> {
        let (Some(dns), Some(response), View::Client) = (&told.dns, told.response, view) else { return None };
        let end = self.rows.get(&key)?.connection.client.end.as_ref()?;
        let asker = Asker::of(end);
        if !dns.answers.is_empty() {
            let (own, anyone) = self.far.resolved.answered(asker, dns, response.last);
            self.far.changed.extend(own);
            for addr in anyone {
                let entity = EntityKind::far(addr).id();
                let known = self.far.resolved.anyone(addr);
                self.far.names.extend(known.map(|led| anyones(entity, led)));
            }
        }
        // A server that fails says nothing of whether the name exists.
        let says = matches!(told.verdict, Verdict::Ok | Verdict::ClientError) && told.shape == Shape::Unary;
        let process = end.owner.process.as_ref().map(|p| p.key);
        says.then(|| self.far.searches.observe((asker, process), dns, told.verdict, response.last))?
    }

    /// Gives the far servers of new connections the names that led there.
    pub(super) fn name_far(&mut self) {
        let changed = std::mem::take(&mut self.far.changed);
        let mut unsealed = std::mem::take(&mut self.far.unsealed);
        for u in unsealed.iter_mut().filter(|u| !u.looked || changed.contains(&u.addr)) {
            u.looked = true;
            let Some(row) = self.rows.get_mut(&u.key) else { continue };
            let c = &row.connection;
            let (Some(client), None) = (&c.client.end, &c.server.end) else { continue };
            let asker = Asker::of(client);
            let Some((led, n)) = self.far.resolved.led(asker, u.addr, u.opened) else { continue };
            row.connection.server.entity = self.far.led(u, asker, &led, n);
            if row.far_name.as_ref() != Some(&led.name) {
                row.far_name = Some(led.name);
                self.touch(u.key);
            }
        }
        self.far.unsealed = unsealed;
    }
}

#[cfg(test)]
mod tests;
