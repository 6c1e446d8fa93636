//! The error of every conversion from the wire, and the checks that many of them share.

use std::net::IpAddr;
use std::sync::Arc;

use super::MAX_TEXT;
use crate::model::{Endpoint, Outcome, Transport};

/// A peer sent a message that breaks the rules of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer sent an invalid message: {what}")]
pub struct InvalidMessage {
    /// Which field, and what is wrong with it; holds no text of the peer's.
    pub what: String,
}

pub(super) fn invalid<T>(what: impl Into<String>) -> Result<T, InvalidMessage> {
    Err(InvalidMessage { what: what.into() })
}

/// A field without which its message means nothing.
pub(super) fn required<T>(field: Option<T>, name: &str) -> Result<T, InvalidMessage> {
    field.map_or_else(|| invalid(format!("{name} is missing")), Ok)
}

/// 4 or 16 bytes; an IPv4-mapped address becomes IPv4.
pub(super) fn addr(bytes: &[u8], name: &str) -> Result<IpAddr, InvalidMessage> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Ok(IpAddr::from(v4));
    }
    match <[u8; 16]>::try_from(bytes) {
        Ok(v6) => Ok(IpAddr::from(v6).to_canonical()),
        Err(_) => invalid(format!("{name} has {} bytes, not 4 or 16", bytes.len())),
    }
}

pub(super) fn addr_bytes(addr: IpAddr) -> Vec<u8> {
    match addr {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

pub(super) fn port(n: u32, name: &str) -> Result<u16, InvalidMessage> {
    u16::try_from(n).or_else(|_| invalid(format!("{name} is {n}, more than 65535")))
}

pub(super) fn endpoint(bytes: &[u8], n: u32, name: &str) -> Result<Endpoint, InvalidMessage> {
    Ok(Endpoint::new(addr(bytes, name)?, port(n, name)?))
}

/// A count: below 2^60, so that sums of a few of them cannot overflow.
pub(super) fn count(n: u64, name: &str) -> Result<u64, InvalidMessage> {
    if n < 1 << 60 { Ok(n) } else { invalid(format!("{name} is {n}, which no counter reaches")) }
}

pub(super) fn text(s: String, name: &str) -> Result<String, InvalidMessage> {
    if s.len() <= MAX_TEXT {
        Ok(s)
    } else {
        invalid(format!("{name} has {} bytes, more than {MAX_TEXT}", s.len()))
    }
}

pub(super) fn shared_text(s: String, name: &str) -> Result<Arc<str>, InvalidMessage> {
    text(s, name).map(Arc::from)
}

/// Text for the wire: what is longer than a reader accepts is cut.
pub(super) fn cut(s: &str) -> String {
    let end = (0..=s.len().min(MAX_TEXT)).rev().find(|&i| s.is_char_boundary(i)).unwrap_or(0);
    s[..end].to_owned()
}

/// An enumeration whose numbers fit a byte.
pub(super) fn number<T>(n: u32, name: &str, from: impl FnOnce(u8) -> Option<T>) -> Result<T, InvalidMessage> {
    match u8::try_from(n).ok().and_then(from) {
        Some(value) => Ok(value),
        None => invalid(format!("{name} has the unknown number {n}")),
    }
}

pub(super) fn transport(n: u32, name: &str) -> Result<Transport, InvalidMessage> {
    number(n, name, |n| [Transport::Tcp, Transport::Udp].into_iter().find(|t| *t as u8 == n))
}

/// 0 stands for none.
pub(super) fn outcome(n: u32, name: &str) -> Result<Option<Outcome>, InvalidMessage> {
    if n == 0 { Ok(None) } else { number(n, name, Outcome::from_number).map(Some) }
}

pub(super) fn outcome_number(outcome: Option<Outcome>) -> u32 {
    outcome.map_or(0, |o| o as u32)
}
