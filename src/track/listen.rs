//! The set of listeners: who serves an address, and which role an end has whose opening was not seen.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::{BootNs, EndId, Endpoint, EntityId};

/// Closed listeners are remembered so that refused connects still lead to a name.
const REMEMBERED: usize = 1024;
/// And for this long.
const REMEMBERED_NS: u64 = 600_000_000_000;

#[derive(Clone, Debug)]
struct Listener {
    netns: u32,
    local: Endpoint,
    entity: EntityId,
}

/// Listeners that are open, and those that were lately.
#[derive(Debug, Default)]
pub(super) struct ListenSet {
    open: HashMap<EndId, Listener>,
    /// Open ones by (namespace, port).
    by_port: HashMap<(u32, u16), Vec<EndId>>,
    closed: VecDeque<(BootNs, Listener)>,
    /// Where others listen, out of scope: as the newest pass met them.
    far: HashSet<(u32, Endpoint)>,
    far_pass: u32,
    /// Addresses seen as local in a namespace: what "our own address" means for wildcard listeners.
    local: HashSet<(u32, IpAddr)>,
}

impl ListenSet {
    pub(super) fn open(&mut self, id: EndId, netns: u32, local: Endpoint, entity: EntityId) {
        if self.open.insert(id, Listener { netns, local, entity }).is_none() {
            self.by_port.entry((netns, local.port)).or_default().push(id);
        }
    }

    pub(super) fn close(&mut self, id: EndId, at: BootNs) {
        let Some(listener) = self.open.remove(&id) else { return };
        let slot = (listener.netns, listener.local.port);
        if let Some(ids) = self.by_port.get_mut(&slot) {
            ids.retain(|i| *i != id);
            if ids.is_empty() {
                self.by_port.remove(&slot);
            }
        }
        self.closed.push_back((at, listener));
        while self.closed.len() > REMEMBERED
            || self.closed.front().is_some_and(|(then, _)| at.since(*then) > REMEMBERED_NS)
        {
            self.closed.pop_front();
        }
    }

    /// Notes that an address is local in a namespace. Bounded: a host has few addresses.
    pub(super) fn note_local(&mut self, netns: u32, addr: IpAddr) {
        if self.local.len() < 65_536 {
            self.local.insert((netns, addr));
        }
    }

    /// Notes a listener that is not watched. Bounded: beyond it a client's role stays unknown.
    pub(super) fn note_far(&mut self, pass: u32, netns: u32, local: Endpoint) {
        if self.far_pass != pass {
            self.far_pass = pass;
            self.far.clear();
        }
        if self.far.len() < 65_536 {
            self.far.insert((netns, local));
        }
    }

    /// Whether something listens at this local address now.
    pub(super) fn serves(&self, netns: u32, at: Endpoint) -> bool {
        self.covering(netns, at).is_some()
    }

    /// Whether something in this namespace listens at what is a peer's address there.
    pub(super) fn serves_peer(&self, netns: u32, at: Endpoint) -> bool {
        (at.addr.is_loopback() || self.local.contains(&(netns, at.addr)))
            && (self.serves(netns, at) || self.serves_far(netns, at))
    }

    fn serves_far(&self, netns: u32, at: Endpoint) -> bool {
        let any: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let places = [at.addr, any[0], any[1]];
        places.into_iter().any(|addr| self.far.contains(&(netns, Endpoint::new(addr, at.port))))
    }

    /// Who serves, or lately served, an address as dialled from this namespace.
    pub(super) fn server_of(&self, netns: u32, dialled: Endpoint) -> Option<EntityId> {
        if !dialled.addr.is_loopback() && !self.local.contains(&(netns, dialled.addr)) {
            return None;
        }
        let open = self.covering(netns, dialled);
        let closed = || self.closed.iter().rev().map(|(_, l)| l).find(|l| l.covers(netns, dialled));
        open.or_else(closed).map(|l| l.entity)
    }

    fn covering(&self, netns: u32, at: Endpoint) -> Option<&Listener> {
        let ids = self.by_port.get(&(netns, at.port))?;
        ids.iter().filter_map(|id| self.open.get(id)).find(|l| l.covers(netns, at))
    }

    pub(super) fn contains(&self, id: EndId) -> bool {
        self.open.contains_key(&id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = EndId> {
        self.open.keys().copied()
    }

    pub(super) fn entities(&self) -> impl Iterator<Item = (EntityId, u16)> {
        self.open.values().map(|l| (l.entity, l.local.port))
    }
}

impl Listener {
    fn covers(&self, netns: u32, at: Endpoint) -> bool {
        self.netns == netns
            && self.local.port == at.port
            && (self.local.addr == at.addr || self.local.addr.is_unspecified())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Endpoint {
        let s: std::net::SocketAddr = text.parse().unwrap();
        Endpoint::new(s.ip(), s.port())
    }

    fn id(cookie: u64) -> EndId {
        EndId { netns_cookie: 1, cookie, generation: 1 }
    }

    #[test]
    fn a_wildcard_listener_serves_only_our_own_addresses() {
        let mut set = ListenSet::default();
        set.open(id(1), 7, at("0.0.0.0:443"), EntityId(5));
        set.note_local(7, "10.0.0.1".parse().unwrap());
        assert!(set.serves_peer(7, at("127.0.0.1:443")));
        assert!(set.serves_peer(7, at("10.0.0.1:443")));
        assert!(!set.serves_peer(7, at("93.184.216.34:443")), "a far server on the same port");
        assert!(!set.serves_peer(8, at("127.0.0.1:443")), "another namespace");
    }

    #[test]
    fn a_listener_out_of_scope_tells_only_who_is_the_client() {
        let mut set = ListenSet::default();
        set.note_far(1, 7, at("[::]:443"));
        assert!(set.serves_peer(7, at("127.0.0.1:443")));
        assert!(!set.serves_peer(8, at("127.0.0.1:443")) && !set.serves_peer(7, at("127.0.0.1:444")));
        assert!(!set.serves(7, at("127.0.0.1:443")));
        assert_eq!(set.server_of(7, at("127.0.0.1:443")), None);
        set.note_far(2, 7, at("127.0.0.1:444"));
        assert!(!set.serves_peer(7, at("127.0.0.1:443")), "gone in the next pass");
    }

    #[test]
    fn a_closed_listener_is_remembered_for_a_while() {
        let mut set = ListenSet::default();
        set.open(id(1), 7, at("127.0.0.1:9002"), EntityId(5));
        set.close(id(1), BootNs(1));
        assert!(!set.serves(7, at("127.0.0.1:9002")));
        assert_eq!(set.server_of(7, at("127.0.0.1:9002")), Some(EntityId(5)));
        set.open(id(2), 7, at("127.0.0.1:1"), EntityId(6));
        set.close(id(2), BootNs(2 + REMEMBERED_NS));
        assert_eq!(set.server_of(7, at("127.0.0.1:9002")), None);
    }
}
