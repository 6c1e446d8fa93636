//! ICMP (RFC 792) and ICMPv6 (RFC 4443) errors: what the network says of a connect.

use super::bytes::{be16, be32};
use super::ip::{self, Body};
use crate::model::{Endpoint, Outcome};

/// A TCP segment did not arrive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Error {
    /// Sender and receiver of the segment.
    pub ends: (Endpoint, Endpoint),
    /// Its sequence number.
    pub seq: u32,
    /// What that makes of a connect, as in Linux (`icmp_err_convert`, `icmpv6_err_convert`).
    pub outcome: Outcome,
}

/// Reads an error about a TCP segment; `None` when it is something else.
pub(super) fn error(body: Body<'_>) -> Option<Error> {
    let kind = *body.data.first()?;
    let code = *body.data.get(1)?;
    let outcome = match (body.protocol, kind, code) {
        // Fragmentation needed: path MTU discovery, not a failure.
        (1, 3, 4) => return None,
        // Port unreachable.
        (1, 3, 3) | (58, 1, 4) => Outcome::Refused,
        // Destination unreachable, time exceeded.
        (1, 3 | 11, _) | (58, 1 | 3, _) => Outcome::Unreachable,
        _ => return None,
    };
    // The beginning of the packet that did not arrive; its own length says more than is there.
    let inner = ip::parse(body.data.get(8..)?, u32::MAX / 2).ok()?;
    if inner.body.protocol != 6 || inner.fragment.is_some_and(|f| f.offset != 0) {
        return None;
    }
    let head = inner.body.data;
    let ends = (Endpoint::new(inner.src, be16(head, 0)?), Endpoint::new(inner.dst, be16(head, 2)?));
    Some(Error { ends, seq: be32(head, 4)?, outcome })
}
