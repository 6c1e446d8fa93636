//! Server name and application protocols in a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066
//! section 3, RFC 7301). Nothing else of it is read.

use std::fmt::Write;

use super::header::Cursor;
use crate::model::Known;

const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
/// Most protocols that are kept.
const MAX_PROTOCOLS: usize = 16;
const NOT_SEEN: &str = "the ClientHello was not seen to its end";

/// The bytes are no ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a ClientHello")]
pub struct NoHello;

/// What a ClientHello asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Name of the server, lower case; of an encrypted ClientHello the outer, public one.
    pub server_name: Known<Box<str>>,
    /// Application protocols that are offered, in order, at most 16 (`h3`, `doq`).
    pub protocols: Known<Vec<Box<str>>>,
    /// All of it was read.
    pub complete: bool,
}

/// Reads a ClientHello from its handshake header on, as far as it is there.
///
/// Bytes of names that are not printable ASCII are written `\DDD`.
///
/// # Errors
/// Where it is another message, or its lengths contradict each other.
pub fn hello(bytes: &[u8]) -> Result<Hello, NoHello> {
    if bytes.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return Err(NoHello);
    }
    let mut hello =
        Hello { server_name: Known::Unknown(NOT_SEEN), protocols: Known::Unknown(NOT_SEEN), complete: false };
    let mut at = Cursor { data: bytes, at: 1 };
    let Some(len) = at.take(3) else { return Ok(hello) };
    let len = len.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
    let body = bytes.get(4..).unwrap_or_default();
    let whole = body.len() >= len;
    let mut body = Cursor { data: body.get(..len).unwrap_or(body), at: 0 };
    let read = extensions(&mut body, &mut hello);
    if whole && read.is_none() {
        return Err(NoHello);
    }
    if whole {
        hello.complete = true;
        if hello.server_name == Known::Unknown(NOT_SEEN) {
            hello.server_name = Known::Absent;
        }
        if hello.protocols == Known::Unknown(NOT_SEEN) {
            hello.protocols = Known::Absent;
        }
    }
    Ok(hello)
}

/// `None` where the bytes end early.
fn extensions(body: &mut Cursor<'_>, hello: &mut Hello) -> Option<()> {
    // Version and random; session id; cipher suites; compression methods.
    body.take(2 + 32)?;
    let len = body.byte()?;
    body.take(usize::from(len))?;
    let len = short(body)?;
    body.take(len)?;
    let len = body.byte()?;
    body.take(usize::from(len))?;
    if body.at == body.data.len() {
        return Some(());
    }
    let all = short(body)?;
    let end = body.at.checked_add(all)?;
    while body.at < end {
        let kind = short(body)?;
        let len = short(body)?;
        let mut data = Cursor { data: body.take(len)?, at: 0 };
        match u16::try_from(kind).ok()? {
            SERVER_NAME => hello.server_name = Known::Known(server_name(&mut data)?),
            ALPN => hello.protocols = Known::Known(protocols(&mut data)?),
            _ => {}
        }
    }
    (body.at == end).then_some(())
}

fn server_name(data: &mut Cursor<'_>) -> Option<Box<str>> {
    short(data)?;
    // The only kind of name that there is: a host's.
    if data.byte()? != 0 {
        return None;
    }
    let len = short(data)?;
    let name = data.take(len)?;
    (!name.is_empty() && name.len() <= 255).then(|| printable(&name.to_ascii_lowercase()))
}

fn protocols(data: &mut Cursor<'_>) -> Option<Vec<Box<str>>> {
    short(data)?;
    let mut all = Vec::new();
    while data.at < data.data.len() {
        let len = data.byte()?;
        let name = data.take(usize::from(len))?;
        if all.len() < MAX_PROTOCOLS {
            all.push(printable(name));
        }
    }
    Some(all)
}

fn short(at: &mut Cursor<'_>) -> Option<usize> {
    at.take(2)?.first_chunk().map(|b| usize::from(u16::from_be_bytes(*b)))
}

fn printable(bytes: &[u8]) -> Box<str> {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_graphic() && byte != b'\\' {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "\\{byte:03}");
        }
    }
    text.into()
}
