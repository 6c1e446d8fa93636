//! Certificates that a process had from its peer, where they are encrypted on the wire (RFC 8446,
//! section 4.4.2). A source read them where a TLS library parses them; which connection they are of is
//! its best guess, so they count only where the lengths of the records agree.

use super::certificate;
use super::modern::Modern;
use crate::model::Certificate;
use crate::wire::Speaker;

/// Candidates that are kept of each side.
const KEPT: usize = 4;
/// Longest one that is read, in bytes.
const LONGEST: u32 = 4096;

/// A certificate as it stood in its message.
#[derive(Clone, Copy, Debug)]
pub struct Handed<'a> {
    /// What stood before it: for the first one the length of the context of the request, and then the
    /// lengths of the list and of the certificate, three bytes each. `None` where a library had copied
    /// it: then it counts only if it is all of the list.
    pub before: Option<[u8; 8]>,
    /// Its length.
    pub len: u32,
    /// Its DER, or the beginning of it.
    pub der: &'a [u8],
}

/// A first certificate of a list.
#[derive(Debug)]
pub(super) struct Leaf {
    certificate: Box<Certificate>,
    /// Length of the list, with lengths and extensions.
    list: u16,
    /// It stood in its message.
    framed: bool,
}

/// What each side was handed of the other.
#[derive(Debug, Default)]
pub(super) struct Leaves([Vec<Leaf>; 2]);

/// A certificate that belongs to the handshake.
pub(super) struct Proved<'a> {
    pub certificate: &'a Certificate,
    pub list: u16,
    /// The record that it came in.
    pub record: u16,
}

impl Handed<'_> {
    /// Length of the list that it is the first one of, in an answer to a handshake's request.
    fn list(&self) -> Option<u16> {
        // An entry has its length before it, and the length of its extensions behind it.
        let entry = self.len.saturating_add(5);
        let Some([_, context, a, b, c, ..]) = self.before else { return u16::try_from(entry).ok() };
        let list = u32::from_be_bytes([0, a, b, c]);
        u16::try_from(list).ok().filter(|_| context == 0 && list >= entry)
    }
}

impl Leaves {
    /// `from` sent it.
    pub fn take(&mut self, from: Speaker, handed: &Handed<'_>) {
        let Some(leaves) = self.0.get_mut(from as usize).filter(|leaves| leaves.len() < KEPT) else { return };
        let whole = handed.len <= LONGEST && u32::try_from(handed.der.len()) == Ok(handed.len);
        let Some(list) = handed.list().filter(|_| whole) else { return };
        let Some(certificate) = certificate::parse(handed.der).map(Box::new) else { return };
        if !leaves.iter().any(|leaf| leaf.list == list && leaf.certificate == certificate) {
            leaves.push(Leaf { certificate, list, framed: handed.before.is_some() });
        }
    }

    /// The certificate of `from` that fits the records of the handshake.
    pub fn proved(&self, from: Speaker, modern: &Modern) -> Option<Proved<'_>> {
        self.0.get(from as usize)?.iter().find_map(|leaf| {
            let record = modern.carries(from, leaf.list, leaf.framed)?;
            Some(Proved { certificate: &leaf.certificate, list: leaf.list, record })
        })
    }
}

impl Proved<'_> {
    /// In words.
    pub fn evidence(&self, from: Speaker) -> Box<str> {
        let (who, by) = if from == Speaker::Client { ("client", "server") } else { ("server", "client") };
        format!(
            "{who}'s certificate, as the {by}'s process had it: {}; its list of {} bytes fits a record of {}",
            self.certificate.name(),
            self.list,
            self.record
        )
        .into()
    }
}
