//! QUIC, recognised by its long headers (RFC 8999, 9000, 9369), and what the client says in its
//! first packets: server name and application protocols.
//!
//! Initial packets are encrypted with keys that follow from the connection id in them (RFC 9001
//! section 5.2): whoever sees the packet can read it. An Initial that opens with them is proof of
//! QUIC, and that its sender is the client. Everything later is not readable.
//!
//! - [`header`], [`sniff`]: one datagram.
//! - [`Handshake`]: the client's Initials of one conversation → [`ClientHello`].
//!
//! A packet is checked as a whole: it must have been captured to its end (client Initials fill
//! datagrams of 1200 bytes or a little more).

mod crypto;
mod header;
mod initial;

pub use super::tls::{Hello, NoHello, hello};
pub use header::{Header, Kind, V1, V2, header, sniff, version_name};
pub use initial::{ClientHello, Handshake};

#[cfg(test)]
mod tests;
