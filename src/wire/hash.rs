//! A hash for the maps of decoders. Its keys are chosen by whoever sends them, so it has a secret of
//! its own like the standard one; unlike that it takes a few instructions for a number, which is
//! enough where a map is bounded and nobody sees in which order it holds what it holds.

use std::hash::{BuildHasher, Hasher, RandomState};

/// The golden ratio in 64 bits.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A hash without a secret: the same in every process.
pub(super) fn fixed(bytes: &[u8]) -> u64 {
    let mut mixer = Mixer(ODD);
    mixer.write(bytes);
    mixer.finish()
}

/// Builds hashers with a secret that is drawn for each map.
#[derive(Clone, Debug)]
pub(super) struct Keyed(u64);

impl Default for Keyed {
    fn default() -> Self {
        Keyed(RandomState::new().hash_one(0u8))
    }
}

impl BuildHasher for Keyed {
    type Hasher = Mixer;

    #[inline]
    fn build_hasher(&self) -> Mixer {
        Mixer(self.0)
    }
}

/// Mixes what it is given into a secret, word by word.
pub(super) struct Mixer(u64);

impl Hasher for Mixer {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, tail) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(tail) {
            *to = *from;
        }
        // The length, too: zeros at the end are not nothing.
        self.write_u64(u64::from_le_bytes(last) ^ (bytes.len() as u64).rotate_right(8));
    }

    #[inline]
    fn write_u8(&mut self, n: u8) {
        self.write_u64(u64::from(n));
    }

    #[inline]
    fn write_u16(&mut self, n: u16) {
        self.write_u64(u64::from(n));
    }

    #[inline]
    fn write_u32(&mut self, n: u32) {
        self.write_u64(u64::from(n));
    }

    #[inline]
    fn write_u64(&mut self, n: u64) {
        // Both halves of the product: every bit of it depends on bits from everywhere.
        let product = u128::from(self.0 ^ n) * u128::from(ODD);
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }

    #[inline]
    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_spread_over_all_bits_and_secrets_differ() {
        let keyed = Keyed::default();
        let hashes: Vec<u64> = (0..4096u64).map(|n| keyed.hash_one(n)).collect();
        // The table takes its place from the low bits, its tag from the high ones.
        for shift in [0, 52] {
            let places: std::collections::HashSet<u64> = hashes.iter().map(|h| h >> shift & 0xfff).collect();
            assert!(places.len() > 2300, "{} of 4096 places", places.len());
        }
        assert_ne!(keyed.hash_one(&b"a"[..]), keyed.hash_one(&b"a\0"[..]));
        assert_ne!(keyed.hash_one(&b"12345678"[..]), keyed.hash_one(&b"12345678\0"[..]));
        assert_ne!(keyed.hash_one(1u8), Keyed::default().hash_one(1u8));
    }
}
