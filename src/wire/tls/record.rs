//! Records (RFC 8446 section 5.1): their headers, over any pieces; bodies are passed on or over.

/// change_cipher_spec.
pub(super) const CHANGE_CIPHER: u8 = 20;
/// alert.
pub(super) const ALERT: u8 = 21;
/// handshake.
pub(super) const HANDSHAKE: u8 = 22;
/// application_data: in TLS 1.3 everything that is encrypted.
pub(super) const DATA: u8 = 23;
/// Longest body: 2^14 and what the oldest versions may add (RFC 5246 section 6.2.3).
pub(super) const LONGEST: u16 = (1 << 14) + 2048;

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// What is in it.
    pub kind: u8,
    /// Length of its body.
    pub len: u16,
    /// Where it begins, in what its sender said.
    pub offset: u64,
    /// What its sender had acknowledged when it was sent.
    pub acked: u64,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// A record begins.
    Head(Head),
    /// Bytes of its body; the flag: with its last one.
    Body(&'a [u8], bool),
    /// This is no record.
    Alien,
}

/// Whether these can be the first bytes of a record of this protocol.
pub(super) fn fits(header: &[u8]) -> bool {
    let ok = |i: usize, test: fn(u8) -> bool| header.get(i).is_none_or(|byte| test(*byte));
    let len = header.get(3..5).and_then(|b| b.first_chunk()).map(|b| u16::from_be_bytes(*b));
    ok(0, |b| (CHANGE_CIPHER..=DATA).contains(&b))
        && ok(1, |b| b == 3)
        && ok(2, |b| b <= 4)
        && len.is_none_or(|len| len <= LONGEST)
}

/// One side's records.
#[derive(Debug, Default)]
pub(super) struct Records {
    header: [u8; 5],
    have: u8,
    /// Bytes of the body that are still to come.
    left: u16,
    offset: u64,
    acked: u64,
}

impl Records {
    /// Takes the next part off `data`, whose first byte stands at `offset`; `None` at its end.
    pub fn next<'a>(&mut self, data: &mut &'a [u8], offset: &mut u64, acked: u64) -> Option<Part<'a>> {
        if data.is_empty() {
            return None;
        }
        if self.left > 0 {
            let (body, rest) = data.split_at(usize::from(self.left).min(data.len()));
            self.left -= body.len() as u16;
            *offset = offset.saturating_add(body.len() as u64);
            *data = rest;
            return Some(Part::Body(body, self.left == 0));
        }
        while let Some((byte, rest)) = data.split_first() {
            if self.have == 0 {
                (self.offset, self.acked) = (*offset, acked);
            }
            if let Some(place) = self.header.get_mut(usize::from(self.have)) {
                *place = *byte;
            }
            self.have += 1;
            *data = rest;
            *offset = offset.saturating_add(1);
            if !fits(self.header.get(..usize::from(self.have)).unwrap_or_default()) {
                return Some(Part::Alien);
            }
            if self.have == 5 {
                self.have = 0;
                let [kind, _, _, high, low] = self.header;
                self.left = u16::from_be_bytes([high, low]);
                return Some(Part::Head(Head {
                    kind,
                    len: self.left,
                    offset: self.offset,
                    acked: self.acked,
                }));
            }
        }
        None
    }

    /// `len` bytes are missing: what of the body they were, and whether it ended with them. `None`
    /// where a header is among them.
    pub fn gap(&mut self, len: u64) -> Option<(u16, bool)> {
        let len = u16::try_from(len).ok().filter(|len| *len <= self.left)?;
        self.left -= len;
        Some((len, self.left == 0))
    }
}
