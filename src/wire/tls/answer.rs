//! ServerHello (RFC 8446 section 4.1.3).

use super::hello::{ALPN, KEY_SHARE, PRE_SHARED_KEY, SUPPORTED_VERSIONS, printable};
use super::reader::Reader;
use crate::wire::hash;

/// The random of a HelloRetryRequest.
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What the server chose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// It is a HelloRetryRequest.
    pub retry: bool,
    /// Version, as it is negotiated: 0x0304 is TLS 1.3.
    pub version: u16,
    /// Cipher suite.
    pub cipher: u16,
    /// Hash of the session id, if there is one.
    pub session_id: Option<u64>,
    /// Group of the key exchange; before TLS 1.3 it stands elsewhere.
    pub group: Option<u16>,
    /// Application protocol.
    pub alpn: Option<Box<str>>,
    /// A pre-shared key is used.
    pub psk: bool,
}

impl Answer {
    /// TLS 1.3.
    pub fn is_13(&self) -> bool {
        self.version == 0x0304
    }
}

/// Reads one, from its handshake header on. `None` where it is damaged, or not whole.
pub(super) fn answer(bytes: &[u8]) -> Option<Answer> {
    let mut at = Reader(bytes.get(4..)?);
    let mut answer = Answer { version: at.u16()?, ..Answer::default() };
    answer.retry = at.take(32)? == RETRY;
    let id = at.vector8()?;
    answer.session_id = (!id.0.is_empty()).then(|| hash::fixed(id.0));
    answer.cipher = at.u16()?;
    at.u8()?;
    if at.0.is_empty() {
        return Some(answer);
    }
    let mut all = at.vector16()?;
    while !all.0.is_empty() {
        let kind = all.u16()?;
        let mut data = all.vector16()?;
        match kind {
            SUPPORTED_VERSIONS => answer.version = data.u16()?,
            KEY_SHARE => answer.group = data.u16(),
            PRE_SHARED_KEY => answer.psk = true,
            ALPN => {
                data.u16()?;
                answer.alpn = data.vector8().map(|name| printable(name.0));
            }
            _ => {}
        }
    }
    Some(answer)
}
