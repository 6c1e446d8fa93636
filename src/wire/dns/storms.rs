//! Search-list storms: one lookup that asks for a name below every domain of the search list
//! (resolv.conf(5): `search`, `ndots`) until one of them exists. In Kubernetes, with `ndots:5`,
//! every lookup of an outside name does so.

use std::collections::HashMap;
use std::hash::Hash;

use crate::model::{BootNs, Verdict};
use crate::wire::Dns;

/// Names that must not exist before it is called a storm.
const MIN_TRIES: u16 = 2;
/// Most sockets' owners that are watched.
const MAX_OWNERS: usize = 1024;
/// Most lookups of one owner at a time.
const MAX_SEARCHES: usize = 8;
/// A search that is older than this is another one.
const WINDOW_NS: u64 = 10_000_000_000;

/// A lookup that went through a search list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storm {
    /// The name that was looked for: what the names that were tried begin with.
    pub name: Box<str>,
    /// How many names below it were asked for in vain.
    pub tries: u16,
}

/// Recognises search-list storms, per owner of the sockets.
///
/// Names belong to one search if the later one is the earlier one with labels left out of its
/// middle or end: `db.prod.shop.svc.cluster.local`, `db.prod.svc.cluster.local`, `db.prod`.
///
/// Bounds: 1024 owners (the one longest silent is forgotten), 8 searches of each.
#[derive(Debug)]
pub struct Storms<K> {
    owners: HashMap<K, Owner>,
}

#[derive(Debug, Default)]
struct Owner {
    searches: Vec<Search>,
    seen: BootNs,
}

#[derive(Debug)]
struct Search {
    last: Box<str>,
    base: Box<str>,
    tries: u16,
    at: BootNs,
}

impl<K: Eq + Hash + Copy> Default for Storms<K> {
    fn default() -> Self {
        Storms { owners: HashMap::new() }
    }
}

impl<K: Eq + Hash + Copy> Storms<K> {
    /// The next answer that `owner` got; gives the storm that ends with it.
    pub fn observe(&mut self, owner: K, dns: &Dns, verdict: Verdict, at: BootNs) -> Option<Storm> {
        let missing = verdict == Verdict::ClientError;
        if !self.owners.contains_key(&owner) {
            if !missing {
                return None;
            }
            self.make_room();
        }
        let known = self.owners.entry(owner).or_default();
        known.seen = at;
        known.searches.retain(|search| at.since(search.at) <= WINDOW_NS);
        let found = known.searches.iter().position(|search| search.last == dns.name);
        if let Some(i) = found {
            // The other address family of the same name.
            return (!missing).then(|| known.searches.swap_remove(i).storm()).flatten();
        }
        let found = known.searches.iter().enumerate().find_map(|(i, search)| {
            common(&search.last, &dns.name)
                .filter(|base| search.base.starts_with(*base))
                .map(|base| (i, base))
        });
        match found {
            // It ends with a name that exists, or with the bare name, which is tried last.
            Some((i, base)) if !missing || base.len() == dns.name.len() => {
                let search = known.searches.swap_remove(i);
                Search { base: base.into(), ..search }.storm()
            }
            Some((i, base)) => {
                let search = known.searches.get_mut(i)?;
                search.base = base.into();
                search.last = dns.name.clone();
                search.tries = search.tries.saturating_add(1);
                search.at = at;
                None
            }
            None if missing => {
                if known.searches.len() >= MAX_SEARCHES {
                    known.searches.remove(0);
                }
                known.searches.push(Search { last: dns.name.clone(), base: dns.name.clone(), tries: 1, at });
                None
            }
            None => None,
        }
    }

    fn make_room(&mut self) {
        if self.owners.len() >= MAX_OWNERS
            && let Some(oldest) = self.owners.iter().min_by_key(|(_, owner)| owner.seen).map(|(k, _)| *k)
        {
            self.owners.remove(&oldest);
        }
    }
}

impl Search {
    fn storm(self) -> Option<Storm> {
        (self.tries >= MIN_TRIES).then_some(Storm { name: self.base, tries: self.tries })
    }
}

/// What `earlier` and `later` begin with, if they are that with domains behind it of which the
/// second is the end of the first, or none.
fn common<'a>(earlier: &str, later: &'a str) -> Option<&'a str> {
    let mut labels = (earlier.split('.'), later.split('.'));
    let mut base = 0;
    while let (Some(a), Some(b)) = (labels.0.next(), labels.1.next()) {
        if a != b {
            break;
        }
        base += b.len() + usize::from(base > 0);
    }
    let common = later.get(..base).filter(|common| !common.is_empty())?;
    let (a, b) = (earlier.get(base..)?, later.get(base..)?);
    (a.len() > b.len() && a.ends_with(b)).then_some(common)
}
