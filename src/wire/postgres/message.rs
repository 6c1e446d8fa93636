//! Heads of messages and what is in their bodies (PostgreSQL documentation, 55.7).

use super::super::sql::frames::Head;

/// Most bytes that are read of a message's body.
pub const TEXT: usize = 2048;
/// Longest startup packet that a server takes.
const STARTUP: u32 = 10_000;
/// Longest message: a gigabyte.
const LONGEST: u32 = 0x3fff_ffff;
/// Longest message other than those that carry data.
const SHORT: u32 = 30_000;

/// Kind of a startup packet, which has no type byte.
pub const START: u8 = 0;

/// Request codes and versions of startup packets.
pub const CANCEL: u32 = 80_877_102;
/// SSLRequest.
pub const SSL: u32 = 80_877_103;
/// GSSENCRequest.
pub const GSS: u32 = 80_877_104;

type Read = Result<Option<(Head, usize)>, ()>;

#[inline]
fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<4>().map(|b| u32::from_be_bytes(*b))
}

/// Head of what a client says.
#[inline]
pub fn client(bytes: &[u8]) -> Read {
    let Some(kind) = bytes.first().copied() else { return Ok(None) };
    if kind == START {
        let Some(len) = number(bytes) else { return Ok(None) };
        let body = len.checked_sub(4).filter(|b| (4..=STARTUP).contains(b)).ok_or(())?;
        return Ok(Some((Head { kind, len: body, want: 4 }, 4)));
    }
    let (longest, text) = match kind {
        b'Q' | b'P' => (LONGEST, TEXT),
        b'B' => (LONGEST, 256),
        b'D' | b'E' | b'C' => (SHORT, 256),
        b'F' | b'd' => (LONGEST, 0),
        b'p' | b'f' => (SHORT, 0),
        b'S' | b'H' | b'X' | b'c' => (4, 0),
        _ => return Err(()),
    };
    typed(bytes, kind, longest, text)
}

/// Head of what a server says.
#[inline]
pub fn server(bytes: &[u8]) -> Read {
    let Some(kind) = bytes.first().copied() else { return Ok(None) };
    let (longest, text) = match kind {
        b'D' | b'd' | b'V' => (LONGEST, 0),
        b'C' => (SHORT, 16),
        b'E' => (SHORT, 256),
        b'Z' => (5, 1),
        b'R' => (SHORT, 4),
        b'T' | b't' | b'A' | b'N' | b'S' | b'K' | b'v' | b'G' | b'H' | b'W' => (1 << 20, 0),
        b'1' | b'2' | b'3' | b'n' | b'I' | b's' | b'c' => (4, 0),
        _ => return Err(()),
    };
    typed(bytes, kind, longest, text)
}

/// The single byte that answers SSLRequest and GSSENCRequest; a server that is too old for them says
/// ErrorResponse.
pub fn answer_to_encryption(bytes: &[u8]) -> Read {
    match bytes.first() {
        None => Ok(None),
        Some(kind @ (b'S' | b'N' | b'G')) => Ok(Some((Head { kind: *kind, len: 0, want: 0 }, 1))),
        Some(_) => server(bytes),
    }
}

#[inline]
fn typed(bytes: &[u8], kind: u8, longest: u32, text: usize) -> Read {
    let Some(len) = bytes.get(1..).and_then(number) else { return Ok(None) };
    if len > longest {
        return Err(());
    }
    let body = len.checked_sub(4).ok_or(())?;
    let want = usize::try_from(body).unwrap_or(usize::MAX).min(text);
    Ok(Some((Head { kind, len: body, want }, 5)))
}

/// The string up to the next NUL, whether that was there, and what follows it.
pub fn string(body: &[u8]) -> (&[u8], bool, &[u8]) {
    match body.iter().position(|b| *b == 0) {
        Some(n) => (body.get(..n).unwrap_or_default(), true, body.get(n + 1..).unwrap_or_default()),
        None => (body, false, &[]),
    }
}

/// SQLSTATE of an ErrorResponse, if it is one.
pub fn sqlstate(body: &[u8]) -> Option<[u8; 5]> {
    let mut rest = body;
    while let Some((field, value)) = rest.split_first() {
        let (text, whole, next) = string(value);
        if *field == b'C' {
            return <[u8; 5]>::try_from(text).ok().filter(|c| c.iter().all(u8::is_ascii_alphanumeric));
        }
        if *field == 0 || !whole {
            return None;
        }
        rest = next;
    }
    None
}
