//! ClientHello (RFC 8446 section 4.1.2), of TLS and of QUIC.

use std::fmt::Write;

use super::reader::Reader;
use crate::model::Known;
use crate::wire::hash;

const CLIENT_HELLO: u8 = 1;
/// Most protocols that are kept.
const MAX_PROTOCOLS: usize = 16;
/// Bytes of a ticket that are hashed: it is random, and as good as unique by its first ones.
pub(super) const TICKET_HASHED: usize = 1024;
const NOT_SEEN: &str = "the ClientHello was not seen to its end";
const DAMAGED: &str = "damaged";

/// server_name (RFC 6066 section 3).
const SERVER_NAME: u16 = 0;
/// application_layer_protocol_negotiation (RFC 7301).
pub(super) const ALPN: u16 = 16;
/// client_certificate_type (RFC 7250).
const CLIENT_CERTIFICATE_TYPE: u16 = 19;
/// session_ticket (RFC 5077).
const SESSION_TICKET: u16 = 35;
/// pre_shared_key.
pub(super) const PRE_SHARED_KEY: u16 = 41;
/// early_data.
const EARLY_DATA: u16 = 42;
/// supported_versions.
pub(super) const SUPPORTED_VERSIONS: u16 = 43;
/// post_handshake_auth.
const POST_HANDSHAKE_AUTH: u16 = 49;
/// key_share.
pub(super) const KEY_SHARE: u16 = 51;
/// encrypted_client_hello (RFC 9849).
const ENCRYPTED_HELLO: u16 = 0xfe0d;

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
    /// TLS 1.3 is offered.
    pub offers_13: bool,
    /// Hash of the session id, if there is one.
    pub session_id: Option<u64>,
    /// Hash of the ticket (RFC 5077), if one is offered.
    pub ticket: Option<u64>,
    /// Length of the first identity of pre_shared_key.
    pub identity: Option<u16>,
    /// Data before the handshake is done is announced.
    pub early_data: bool,
    /// The client is ready to authenticate later.
    pub post_handshake_auth: bool,
    /// The client may show something else than an X.509 certificate.
    pub raw_key: bool,
    /// There is an encrypted hello inside, or something that looks like it (GREASE).
    pub encrypted: bool,
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
    let mut hello = Hello {
        server_name: Known::Unknown(NOT_SEEN),
        protocols: Known::Unknown(NOT_SEEN),
        complete: false,
        offers_13: false,
        session_id: None,
        ticket: None,
        identity: None,
        early_data: false,
        post_handshake_auth: false,
        raw_key: false,
        encrypted: false,
    };
    let mut at = Reader(bytes.get(1..).unwrap_or_default());
    let Some(len) = at.u24() else { return Ok(hello) };
    let whole = at.0.len() >= len;
    let read = extensions(Reader(at.0.get(..len).unwrap_or(at.0)), &mut hello);
    if whole {
        read.ok_or(NoHello)?;
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

/// `None` where the bytes end early, or not where the lengths say.
fn extensions(mut body: Reader<'_>, hello: &mut Hello) -> Option<()> {
    // Version and random; session id; cipher suites; compression methods.
    body.take(2 + 32)?;
    let id = body.vector8()?;
    hello.session_id = (!id.0.is_empty()).then(|| hash::fixed(id.0));
    body.vector16()?;
    body.vector8()?;
    if body.0.is_empty() {
        return Some(());
    }
    let all = usize::from(body.u16()?);
    let whole = body.0.len() == all;
    while !body.0.is_empty() {
        let kind = body.u16()?;
        let data = body.vector16()?;
        match kind {
            SERVER_NAME => {
                hello.server_name = server_name(data).map_or(Known::Unknown(DAMAGED), Known::Known);
            }
            ALPN => hello.protocols = protocols(data).map_or(Known::Unknown(DAMAGED), Known::Known),
            CLIENT_CERTIFICATE_TYPE => hello.raw_key = true,
            SESSION_TICKET => hello.ticket = ticket(data.0),
            PRE_SHARED_KEY => hello.identity = identity(data),
            EARLY_DATA => hello.early_data = true,
            SUPPORTED_VERSIONS => hello.offers_13 = offers_13(data),
            POST_HANDSHAKE_AUTH => hello.post_handshake_auth = true,
            ENCRYPTED_HELLO => hello.encrypted = true,
            _ => {}
        }
    }
    whole.then_some(())
}

/// The hash of a ticket; `None` of the empty one, which only says that tickets are welcome.
pub(super) fn ticket(bytes: &[u8]) -> Option<u64> {
    (!bytes.is_empty()).then(|| hash::fixed(bytes.get(..TICKET_HASHED).unwrap_or(bytes)))
}

fn server_name(mut data: Reader<'_>) -> Option<Box<str>> {
    data.u16()?;
    // The only kind of name that there is: a host's.
    if data.u8()? != 0 {
        return None;
    }
    let name = data.vector16()?.0;
    (!name.is_empty() && name.len() <= 255).then(|| printable(&name.to_ascii_lowercase()))
}

fn protocols(mut data: Reader<'_>) -> Option<Vec<Box<str>>> {
    data.u16()?;
    let mut all = Vec::new();
    while !data.0.is_empty() {
        let name = data.vector8()?;
        if all.len() < MAX_PROTOCOLS {
            all.push(printable(name.0));
        }
    }
    Some(all)
}

fn identity(mut data: Reader<'_>) -> Option<u16> {
    data.u16()?;
    data.u16()
}

fn offers_13(mut data: Reader<'_>) -> bool {
    data.vector8().is_some_and(|all| all.0.as_chunks::<2>().0.contains(&[3, 4]))
}

/// Text of bytes that may be anything.
pub(super) fn printable(bytes: &[u8]) -> Box<str> {
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
