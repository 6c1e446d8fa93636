//! TLS as it is on the wire (RFC 8446, RFC 5246).

pub mod certificate;
pub mod names;
