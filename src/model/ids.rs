//! Opaque ids and the one stable hash they are made with.

use std::fmt;

/// FNV-1a with a final avalanche: the same on every machine and in every release, which
/// `std::hash::DefaultHasher` does not promise.
#[derive(Clone, Copy, Debug)]
pub struct StableHasher(u64);

impl StableHasher {
    /// A hasher for one kind of id; `domain` keeps the kinds apart.
    pub fn new(domain: &str) -> Self {
        StableHasher(0xcbf2_9ce4_8422_2325).bytes(domain.as_bytes())
    }

    /// Adds bytes, followed by their length so that neighbours cannot run together.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        for &b in bytes.iter().chain(&(bytes.len() as u64).to_le_bytes()) {
            self.0 = (self.0 ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn number(self, n: u64) -> Self {
        self.bytes(&n.to_le_bytes())
    }

    /// The id; never 0.
    pub fn finish(self) -> u64 {
        let mut x = self.0;
        x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        (x ^ (x >> 33)).max(1)
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }
    };
}

id!(
    /// One connection: derived from its two initial sequence numbers, so that both ends, and both
    /// sides of a NAT, arrive at the same value; a failed connect has one derived from its end.
    ConnectionId
);
id!(
    /// What slices speak of: an owner on a node or a far address (see [`super::EntityKind`]).
    EntityId
);
id!(
    /// One run of one agent; sequence numbers of slices count within it.
    AgentInstance
);

impl ConnectionId {
    /// The id of an established TCP connection from the client's and the server's initial
    /// sequence number (RFC 9293 section 3.4.1).
    pub fn from_isns(client: u32, server: u32) -> Self {
        ConnectionId(StableHasher::new("tcp").number(u64::from(client) << 32 | u64::from(server)).finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_stable_and_directed() {
        assert_eq!(ConnectionId::from_isns(1, 2), ConnectionId::from_isns(1, 2));
        assert_ne!(ConnectionId::from_isns(1, 2), ConnectionId::from_isns(2, 1));
        // Recordings hold ids: the value may not drift between releases.
        assert_eq!(ConnectionId::from_isns(1, 2).to_string(), "630130fa3b7adb5f");
    }

    #[test]
    fn neighbours_do_not_run_together() {
        let a = StableHasher::new("x").bytes(b"ab").bytes(b"c").finish();
        let b = StableHasher::new("x").bytes(b"a").bytes(b"bc").finish();
        assert_ne!(a, b);
    }
}
