//! The list in a Certificate message up to TLS 1.2 (RFC 5246 section 7.4.2): the first certificate,
//! and how many there are.

use super::message::keep;

/// A list of certificates, as it is read.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// The number that is being read, and how many of its three bytes are there.
    number: u32,
    have: u8,
    /// The length of the list itself was read.
    begun: bool,
    /// Bytes of the present certificate that are still to come.
    left: usize,
    /// Certificates.
    pub count: u8,
    /// The first one.
    pub leaf: Vec<u8>,
    /// All of the first one is there.
    pub whole: bool,
    /// Bytes are missing: there may be more certificates.
    pub torn: bool,
}

impl Chain {
    /// Bytes that are kept.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.leaf.capacity()
    }

    pub fn bytes(&mut self, mut data: &[u8], most: usize) {
        while !self.torn && !data.is_empty() {
            if self.left > 0 {
                let (part, rest) = data.split_at(self.left.min(data.len()));
                if self.count == 1 && self.whole {
                    if self.leaf.len() + part.len() > most {
                        (self.leaf, self.whole) = (Vec::new(), false);
                    } else {
                        keep(&mut self.leaf, part, most);
                    }
                }
                self.left -= part.len();
                data = rest;
                continue;
            }
            let Some((byte, rest)) = data.split_first() else { return };
            data = rest;
            self.number = self.number << 8 | u32::from(*byte);
            self.have += 1;
            if self.have == 3 {
                if self.begun {
                    self.left = self.number as usize;
                    self.count = self.count.saturating_add(1);
                    self.whole |= self.count == 1;
                }
                (self.begun, self.have, self.number) = (true, 0, 0);
            }
        }
    }

    pub fn gap(&mut self, len: usize) {
        if len == 0 || self.torn {
            return;
        }
        if self.count <= 1 {
            (self.leaf, self.whole) = (Vec::new(), false);
        }
        match self.left.checked_sub(len) {
            Some(left) => self.left = left,
            None => self.torn = true,
        }
    }
}
