//! Far addresses: described when a connection first has one, and named by what the workloads' own DNS
//! questions were answered.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::model::{BootNs, Connection, Entity, EntityId, EntityKind, Name, NameKind};
use crate::wire::{Dns, Record};

/// Addresses that are remembered; beyond it they are described again, and no more are named.
const ADDRESSES: usize = 65_536;
/// Names that are kept of one address.
const NAMES: usize = 16;

/// What is known of far addresses.
#[derive(Debug, Default)]
pub(super) struct FarAddresses {
    described: HashSet<EntityId>,
    resolved: HashMap<IpAddr, Resolved>,
    names: Vec<Name>,
}

/// Names whose resolution gave one address.
#[derive(Debug)]
struct Resolved {
    names: Vec<Box<str>>,
    source: Arc<str>,
    at: BootNs,
}

impl Resolved {
    /// Several names behind one address are not told apart: which one was meant is not known.
    fn name(&self, entity: EntityId) -> Name {
        let first = self.names.first().map_or("", |n| n);
        let name = match self.names.len() {
            0 | 1 => Arc::from(first),
            n => format!("{first} (or {} more)", n - 1).into(),
        };
        Name { entity, name, kind: NameKind::Dns, source: self.source.clone(), from: self.at }
    }
}

impl FarAddresses {
    /// Far addresses that connections name for the first time, to be described with them: edges,
    /// which fold, describe their own.
    pub(super) fn fresh<'a>(
        &mut self,
        connections: impl Iterator<Item = &'a Arc<Connection>>,
    ) -> Vec<Entity> {
        let mut fresh = Vec::new();
        for c in connections {
            for side in [&c.client, &c.server].into_iter().filter(|s| s.end.is_none()) {
                let kind = EntityKind::Far { addr: side.address.addr };
                if self.described.len() >= ADDRESSES {
                    self.described.clear();
                }
                if kind.id() == side.entity && self.described.insert(side.entity) {
                    self.names.extend(self.resolved.get(&side.address.addr).map(|r| r.name(side.entity)));
                    fresh.push(Entity { id: side.entity, kind });
                }
            }
        }
        fresh
    }

    /// A question for an address was answered. The name is kept beyond its time to live: the
    /// connections that were made with it last longer.
    pub(super) fn resolved(&mut self, dns: &Dns, now: BootNs) {
        let aliases = dns.answers.iter().filter_map(|a| match &a.record {
            Record::Alias(to) => Some(&**to),
            Record::Address(_) => None,
        });
        let chain: Vec<&str> = std::iter::once(&*dns.name).chain(aliases).take(8).collect();
        let source: Arc<str> = format!("DNS answer {}", chain.join(" → ")).into();
        for answer in &dns.answers {
            let Record::Address(addr) = answer.record else { continue };
            if self.resolved.len() >= ADDRESSES && !self.resolved.contains_key(&addr) {
                return;
            }
            let known = self.resolved.entry(addr).or_insert_with(|| Resolved {
                names: Vec::new(),
                source: source.clone(),
                at: now,
            });
            if known.names.contains(&dns.name) || known.names.len() >= NAMES {
                continue;
            }
            known.names.push(dns.name.clone());
            (known.source, known.at) = (source.clone(), now);
            let entity = EntityKind::Far { addr }.id();
            self.names.push(known.name(entity));
        }
    }

    /// Names that were learnt since the last call.
    pub(super) fn take_names(&mut self) -> Vec<Name> {
        std::mem::take(&mut self.names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Answer;

    fn dns(name: &str, alias: Option<&str>, addr: [u8; 4]) -> Dns {
        let mut answers: Vec<Answer> = Vec::new();
        if let Some(alias) = alias {
            answers.push(Answer { name: name.into(), record: Record::Alias(alias.into()), ttl: 1 });
        }
        answers.push(Answer { name: name.into(), record: Record::Address(addr.into()), ttl: 1 });
        Dns { name: name.into(), kind: 1, rcode: 0, answers, retries: 0 }
    }

    #[test]
    fn an_address_is_named_by_the_question_and_two_questions_are_said() {
        let mut far = FarAddresses::default();
        far.resolved(&dns("api.test", Some("lb.test"), [10, 0, 0, 1]), BootNs(1));
        far.resolved(&dns("api.test", Some("lb.test"), [10, 0, 0, 1]), BootNs(2));
        let names = far.take_names();
        assert_eq!(names.len(), 1);
        assert_eq!((&*names[0].name, &*names[0].source), ("api.test", "DNS answer api.test → lb.test"));
        far.resolved(&dns("cdn.test", None, [10, 0, 0, 1]), BootNs(3));
        assert_eq!(&*far.take_names()[0].name, "api.test (or 1 more)");
    }
}
