//! The decoders that there are, in the order in which they are asked.

use super::conversation::Next;
use super::decoder::Decoder;
use crate::model::{Known, Protocol};

/// What the first bytes of a conversation are.
pub(super) enum Found {
    /// This protocol: its decoder.
    Decoder(Protocol, Box<dyn Decoder>),
    /// This protocol, which is not decoded.
    Opaque(Protocol),
    /// More bytes are needed.
    NotYet,
    /// None of them.
    Nothing,
}

/// By the first bytes of each side, from the beginning of a message on.
pub(super) fn find(client: &[u8], server: &[u8], _adopted: bool) -> Found {
    if is_tls(client) || is_tls(server) {
        return Found::Opaque(Protocol::Tls);
    }
    Found::NotYet
}

/// What a protocol turned into, by its own account.
pub(super) fn after(next: Next, _decoder: &mut dyn Decoder) -> Found {
    match next {
        Known::Known(protocol @ Protocol::Tls) => Found::Opaque(protocol),
        _ => Found::Nothing,
    }
}

/// A handshake record of SSL 3.0 to TLS 1.3 (RFC 8446, section 5.1).
fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x16, 3, 0..=4, high, low, ..] if (*high, *low) != (0, 0) && *high <= 0x41)
}
