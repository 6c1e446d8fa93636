//! Finding the other end of a connection by its pair of initial sequence numbers.
//!
//! The pair survives namespaces with equal 4-tuples and NAT, where addresses mislead. An end whose
//! role is not known waits under both readings of its numbers; that only one of them can match is
//! what tells the roles (see [`Isns`]).

use std::collections::HashMap;

use crate::model::{EndId, Endpoint, Isns, Role};

/// (client's, server's) initial sequence number.
pub(super) type Pair = (u32, u32);

/// The pair that an end with this role has.
pub(super) fn pair(isns: Isns, role: Role) -> Option<Pair> {
    let peer = isns.rx.wrapping_sub(1);
    match role {
        Role::Client => Some((isns.tx, peer)),
        Role::Server => Some((peer, isns.tx.wrapping_sub(1))),
        Role::Unknown => None,
    }
}

/// Ends that wait for their other end.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    clients: HashMap<Pair, EndId>,
    servers: HashMap<Pair, EndId>,
    /// Ends whose source does not tell sequence numbers, by namespace, own and peer's address.
    addresses: HashMap<Place, (EndId, Role)>,
}

/// Where an end is: namespace, own address, peer's address.
pub(super) type Place = (u32, Endpoint, Endpoint);

impl Waiting {
    /// The other end of this one, and the role that this one has then; if there is none yet, it
    /// waits.
    pub(super) fn meet(&mut self, id: EndId, isns: Isns, role: Role) -> Option<(EndId, Role)> {
        for as_role in roles(role) {
            let Some(key) = pair(isns, as_role) else { continue };
            let found = match as_role {
                Role::Client => self.servers.get(&key),
                _ => self.clients.get(&key),
            };
            if let Some(&other) = found
                && other != id
            {
                self.forget(id, isns);
                return Some((other, as_role));
            }
        }
        for as_role in roles(role) {
            let Some(key) = pair(isns, as_role) else { continue };
            match as_role {
                Role::Client => self.clients.insert(key, id),
                _ => self.servers.insert(key, id),
            };
        }
        None
    }

    /// The other end, by addresses alone, for a source that knows nothing better: only within one
    /// namespace, and only where one of the two roles is known.
    pub(super) fn meet_at(
        &mut self,
        id: EndId,
        (netns, local, peer): Place,
        role: Role,
    ) -> Option<(EndId, Role)> {
        let found = self.addresses.get(&(netns, peer, local)).filter(|(other, _)| *other != id);
        if let Some(&(other, others)) = found {
            let mine = if role == Role::Unknown { others.other() } else { role };
            if mine != Role::Unknown && mine != others {
                self.addresses.remove(&(netns, peer, local));
                return Some((other, mine));
            }
        }
        self.addresses.insert((netns, local, peer), (id, role));
        None
    }

    /// As [`Waiting::forget`], for an end without numbers.
    pub(super) fn forget_at(&mut self, id: EndId, place: Place) {
        if self.addresses.get(&place).is_some_and(|(waiting, _)| *waiting == id) {
            self.addresses.remove(&place);
        }
    }

    /// An end that waits no more, because it was joined or is gone.
    pub(super) fn forget(&mut self, id: EndId, isns: Isns) {
        for as_role in [Role::Client, Role::Server] {
            let Some(key) = pair(isns, as_role) else { continue };
            let map = match as_role {
                Role::Client => &mut self.clients,
                _ => &mut self.servers,
            };
            if map.get(&key) == Some(&id) {
                map.remove(&key);
            }
        }
    }
}

fn roles(role: Role) -> impl Iterator<Item = Role> {
    [Role::Client, Role::Server].into_iter().filter(move |r| role == Role::Unknown || role == *r)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(cookie: u64) -> EndId {
        EndId { netns_cookie: 1, cookie, generation: 1 }
    }

    fn client(c: u32, s: u32) -> Isns {
        Isns { tx: c, rx: s.wrapping_add(1) }
    }

    fn server(c: u32, s: u32) -> Isns {
        Isns { tx: s.wrapping_add(1), rx: c.wrapping_add(1) }
    }

    proptest! {
        #[test]
        fn roles_follow_from_the_numbers(c: u32, s: u32, flip: bool, known: bool) {
            let mut w = Waiting::default();
            let role = |r| if known { r } else { Role::Unknown };
            let first = (id(1), client(c, s), Role::Client);
            let second = (id(2), server(c, s), Role::Server);
            let (a, b) = if flip { (second, first) } else { (first, second) };
            prop_assert_eq!(w.meet(a.0, a.1, role(a.2)), None);
            prop_assert_eq!(w.meet(b.0, b.1, role(b.2)), Some((a.0, b.2)));
        }

        #[test]
        fn by_addresses_only_opposite_roles_meet(a in 1u16.., b in 1u16.., first in 0u8..3, second in 0u8..3, other: bool) {
            prop_assume!(a != b);
            let at = |port| Endpoint::new([127, 0, 0, 1].into(), port);
            let (x, y) = (Role::from_number(first), Role::from_number(second));
            let mut w = Waiting::default();
            prop_assert_eq!(w.meet_at(id(1), (7, at(a), at(b)), x), None);
            let netns = if other { 8 } else { 7 };
            let met = w.meet_at(id(2), (netns, at(b), at(a)), y);
            let mine = if y == Role::Unknown { x.other() } else { y };
            let meets = !other && mine != Role::Unknown && mine != x;
            prop_assert_eq!(met, meets.then_some((id(1), mine)));
        }

        #[test]
        fn strangers_do_not_meet(c: u32, s: u32, d in 2u32..1000) {
            let mut w = Waiting::default();
            w.meet(id(1), client(c, s), Role::Client);
            prop_assert_eq!(w.meet(id(2), server(c.wrapping_add(d), s), Role::Server), None);
            prop_assert_eq!(w.meet(id(3), client(c, s.wrapping_add(d)), Role::Client), None);
        }
    }
}
