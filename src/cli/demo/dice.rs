//! Chance for the demo's traffic: good enough to look alive, of no other use.

use std::sync::atomic::{AtomicU64, Ordering};

/// A stream of pseudo-random numbers (SplitMix64, Steele et al. 2014) that tasks can share.
pub struct Dice(AtomicU64);

impl Dice {
    /// Dice that fall the same way for the same seed.
    pub fn new(seed: u64) -> Dice {
        Dice(AtomicU64::new(seed))
    }

    /// A number from `low` to `high`, both included; `low` when they are the wrong way round.
    pub fn between(&self, low: u32, high: u32) -> u32 {
        let span = u64::from(high.saturating_sub(low)) + 1;
        // The remainder is below 2^32 + 1 and low + it is at most high.
        low + (self.next() % span) as u32
    }

    /// True once in `n` times on average; always for 0 and 1.
    pub fn one_in(&self, n: u32) -> bool {
        self.between(1, n.max(1)) == 1
    }

    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_in_range_and_is_not_constant() {
        let dice = Dice::new(1);
        let seen: std::collections::BTreeSet<u32> = (0..1000).map(|_| dice.between(40, 49)).collect();
        assert_eq!(seen, (40..=49).collect());
        assert_eq!((dice.between(7, 7), dice.between(9, 3)), (7, 9));
        let _ = dice.between(0, u32::MAX);
    }

    #[test]
    fn one_in_n_is_about_that() {
        let dice = Dice::new(2);
        let hits = (0..40_000).filter(|_| dice.one_in(40)).count();
        assert!((800..1200).contains(&hits), "{hits} of 40000");
        assert!(dice.one_in(1) && dice.one_in(0));
    }
}
