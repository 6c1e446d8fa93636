//! What DNS questions were answered: which name led an asker to an address, and when.
//!
//! Kept far beyond the time to live of an answer, because connections and the caches of programs last
//! longer. Bounded by what it takes up: what was of no use for longest is forgotten.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use crate::model::{BootNs, End};
use crate::wire::{Dns, Record};

/// Names that are kept of one address: of each asker the newest, of all together the first.
const NAMES: usize = 16;
/// What one generation of a table takes up at most, in bytes.
const GENERATION: usize = 4 << 20;
/// What a name takes up beside its text.
const OVERHEAD: usize = 200;
/// Steps of a chain of aliases that are told.
const CHAIN: usize = 8;

/// Who asks, as far as it shares what it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Asker {
    /// All processes of a cgroup.
    Cgroup(u64),
    /// Where no cgroup is known, as in a capture: all behind one address.
    Address(IpAddr),
}

impl Asker {
    /// Who holds an end.
    pub(super) fn of(end: &End) -> Asker {
        match end.owner.cgroup {
            0 => Asker::Address(end.local.addr),
            cgroup => Asker::Cgroup(cgroup),
        }
    }

    /// In words.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Asker::Cgroup(_) => "cgroup",
            Asker::Address(_) => "address",
        }
    }
}

/// A name that led to an address.
#[derive(Clone, Debug)]
pub(super) struct Led {
    /// What was asked for.
    pub name: Arc<str>,
    /// The answer in words, with its aliases.
    pub source: Arc<str>,
    /// When it was answered.
    pub at: BootNs,
}

/// All answers that gave addresses.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    /// In the order of time; one name does not follow on itself.
    own: Ages<(Asker, IpAddr)>,
    /// Each name once.
    anyone: Ages<IpAddr>,
}

impl Resolved {
    /// A question was answered. Gives the addresses to which another name leads the asker now, and
    /// those to which a name leads that led nobody there before.
    pub(super) fn answered(&mut self, asker: Asker, dns: &Dns, at: BootNs) -> (Vec<IpAddr>, Vec<IpAddr>) {
        let mut led: Option<Led> = None;
        let (mut own, mut anyone) = (Vec::new(), Vec::new());
        for answer in &dns.answers {
            let Record::Address(addr) = answer.record else { continue };
            let mut make = || {
                let led = led.get_or_insert_with(|| Led {
                    name: (&*dns.name).into(),
                    source: source(dns).into(),
                    at,
                });
                led.clone()
            };
            let is_new = self.own.change((asker, addr), |list| {
                let place = list.partition_point(|l| l.at <= at);
                let before = place.checked_sub(1).and_then(|i| list.get(i));
                if before.is_some_and(|l| *l.name == *dns.name) {
                    return false;
                }
                list.insert(place, make());
                if list.len() > NAMES {
                    list.remove(0);
                }
                true
            });
            if is_new {
                own.push(addr);
            }
            let is_new = self.anyone.change(addr, |list| {
                let known = list.len() >= NAMES || list.iter().any(|l| *l.name == *dns.name);
                if !known {
                    list.push(make());
                }
                !known
            });
            if is_new {
                anyone.push(addr);
            }
        }
        (own, anyone)
    }

    /// The name that the asker was led by when it connected, and how many names led it there until
    /// then, as far as they are kept.
    pub(super) fn led(&mut self, asker: Asker, addr: IpAddr, connected: BootNs) -> Option<(Led, usize)> {
        let list = self.own.used((asker, addr))?;
        let before = list.get(..list.partition_point(|l| l.at <= connected))?;
        let names: HashSet<&str> = before.iter().map(|l| &*l.name).collect();
        Some((before.last()?.clone(), names.len()))
    }

    /// What anyone was led by: which of several names was meant is not known.
    pub(super) fn anyone(&mut self, addr: IpAddr) -> Option<Led> {
        let list = self.anyone.used(addr)?;
        let (first, last) = (list.first()?, list.last()?);
        let name = match list.len() {
            1 => first.name.clone(),
            n => format!("{} (or {} more)", first.name, n - 1).into(),
        };
        Some(Led { name, ..last.clone() })
    }
}

/// The answer in words.
fn source(dns: &Dns) -> String {
    let aliases = dns.answers.iter().filter_map(|a| match &a.record {
        Record::Alias(to) => Some(&**to),
        Record::Address(_) => None,
    });
    let chain: Vec<&str> = std::iter::once(&*dns.name).chain(aliases).take(CHAIN).collect();
    format!("DNS answer {}", chain.join(" → "))
}

/// A table of two generations: what is of use moves to the young one, and when that is full the old
/// one is forgotten.
#[derive(Debug)]
struct Ages<K> {
    young: HashMap<K, Vec<Led>>,
    old: HashMap<K, Vec<Led>>,
    /// Of the young one.
    bytes: usize,
}

impl<K> Default for Ages<K> {
    fn default() -> Self {
        Ages { young: HashMap::new(), old: HashMap::new(), bytes: 0 }
    }
}

impl<K: Eq + Hash + Copy> Ages<K> {
    /// The names of a key, which is of use.
    fn used(&mut self, key: K) -> Option<&Vec<Led>> {
        if let Some(list) = self.old.remove(&key) {
            self.make_room();
            self.bytes += list.iter().map(size).sum::<usize>();
            self.young.insert(key, list);
        }
        self.young.get(&key)
    }

    /// Changes the names of a key by a function that says whether it added one.
    fn change(&mut self, key: K, change: impl FnOnce(&mut Vec<Led>) -> bool) -> bool {
        if self.used(key).is_none() {
            self.make_room();
        }
        let list = self.young.entry(key).or_default();
        let before: usize = list.iter().map(size).sum();
        let changed = change(list);
        let now: usize = list.iter().map(size).sum();
        self.bytes = (self.bytes + now).saturating_sub(before);
        changed
    }

    fn make_room(&mut self) {
        if self.bytes >= GENERATION {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
    }
}

/// What a name takes up; answers share their text, so this is the most.
fn size(led: &Led) -> usize {
    OVERHEAD + led.name.len() + led.source.len()
}

#[cfg(test)]
impl Resolved {
    /// Names in all tables and generations.
    pub(super) fn names_kept(&self) -> usize {
        let own = self.own.young.values().chain(self.own.old.values());
        let anyone = self.anyone.young.values().chain(self.anyone.old.values());
        own.chain(anyone).map(Vec::len).sum()
    }
}
