//! The one histogram scheme: HdrHistogram with 2 significant digits, 1 µs to 67 s, sparse.
//!
//! Index and bounds follow HdrHistogram's definition (lowest discernible value 1, sub-bucket count
//! 256), so that the V2 encoding on the wire and the index computed in the kernel are the same.
//! Beside the buckets stand the exact count, sum and maximum.

/// Largest value that has a bucket of its own: 2^26 - 1 µs, about 67 s. Larger ones are counted
/// there; the exact maximum and sum still know them.
pub const MAX_US: u64 = (1 << 26) - 1;

const HALF_MAGNITUDE: u32 = 7; // 256 sub-buckets, half of them per further bucket

/// Bucket of a value in microseconds; 0 counts as 1.
pub fn bucket_index(us: u64) -> u16 {
    let v = us.clamp(1, MAX_US);
    let bucket = 64 - HALF_MAGNITUDE - 1 - (v | 0xff).leading_zeros();
    let sub = (v >> bucket) as u32;
    // At most ((26 - 8) + 1) * 128 + 127: fits u16.
    (((bucket + 1) << HALF_MAGNITUDE) + sub - (1 << HALF_MAGNITUDE)) as u16
}

/// Lowest value and width of a bucket, in microseconds.
pub fn bucket_bounds(index: u16) -> (u64, u64) {
    let index = u64::from(index);
    let half = 1u64 << HALF_MAGNITUDE;
    if index < 2 * half {
        return (index, 1);
    }
    let bucket = (index >> HALF_MAGNITUDE) - 1;
    let sub = (index & (half - 1)) + half;
    (sub << bucket, 1 << bucket)
}

/// A sparse histogram of microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hist {
    /// (bucket, count), sorted by bucket, no zero counts.
    buckets: Vec<(u16, u32)>,
    count: u64,
    sum: u64,
    max: u64,
}

impl Hist {
    /// Counts one value.
    pub fn record(&mut self, us: u64) {
        self.add(bucket_index(us), 1);
        self.count += 1;
        self.sum = self.sum.saturating_add(us);
        self.max = self.max.max(us);
    }

    fn add(&mut self, index: u16, n: u32) {
        match self.buckets.binary_search_by_key(&index, |b| b.0) {
            Ok(i) => self.buckets[i].1 = self.buckets[i].1.saturating_add(n),
            Err(i) => self.buckets.insert(i, (index, n)),
        }
    }

    /// Adds another histogram.
    pub fn merge(&mut self, other: &Hist) {
        for &(index, n) in &other.buckets {
            self.add(index, n);
        }
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// From buckets (any order, may repeat) and the exact figures that stand beside them.
    pub fn from_parts(buckets: impl IntoIterator<Item = (u16, u32)>, sum: u64, max: u64) -> Self {
        let mut h = Hist { sum, max, ..Hist::default() };
        for (index, n) in buckets {
            if n > 0 {
                h.add(index.min(bucket_index(MAX_US)), n);
                h.count += u64::from(n);
            }
        }
        h
    }

    /// (bucket, count), sorted by bucket.
    pub fn buckets(&self) -> &[(u16, u32)] {
        &self.buckets
    }

    /// Values counted, exact.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Sum of the values, exact, microseconds.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Largest value, exact, microseconds.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Value at a quantile in 0..=1, as HdrHistogram gives it: the highest value of the bucket,
    /// never above the maximum. `None` when empty.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        if self.is_empty() {
            return None;
        }
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for &(index, n) in &self.buckets {
            seen += u64::from(n);
            if seen >= rank {
                let (low, width) = bucket_bounds(index);
                let value = if q <= 0.0 { low } else { low + width - 1 };
                return Some(value.min(self.max));
            }
        }
        Some(self.max)
    }
}

/// Adds many histograms up at the price of one dense array, which is used again for the next sum.
#[derive(Clone, Debug)]
pub struct HistSum {
    counts: Vec<u32>,
    /// Buckets in use lie in `low..high`.
    low: usize,
    high: usize,
    count: u64,
    sum: u64,
    max: u64,
}

impl Default for HistSum {
    fn default() -> Self {
        let counts = vec![0; usize::from(bucket_index(MAX_US)) + 1];
        HistSum { low: counts.len(), counts, high: 0, count: 0, sum: 0, max: 0 }
    }
}

impl HistSum {
    /// Adds one histogram.
    pub fn add(&mut self, h: &Hist) {
        let (Some(first), Some(last)) = (h.buckets.first(), h.buckets.last()) else { return };
        self.low = self.low.min(first.0.into());
        self.high = self.high.max(usize::from(last.0) + 1);
        for &(index, n) in &h.buckets {
            if let Some(c) = self.counts.get_mut(usize::from(index)) {
                *c = c.saturating_add(n);
            }
        }
        self.count += h.count;
        self.sum = self.sum.saturating_add(h.sum);
        self.max = self.max.max(h.max);
    }

    /// The sum so far; the next one begins at nothing.
    pub fn take(&mut self) -> Hist {
        let used = self.low..self.high.max(self.low);
        let mut h = Hist { buckets: Vec::new(), count: self.count, sum: self.sum, max: self.max };
        if let Some(counts) = self.counts.get_mut(used.clone()) {
            h.buckets =
                used.zip(counts.iter()).filter(|(_, n)| **n > 0).map(|(i, n)| (i as u16, *n)).collect();
            counts.fill(0);
        }
        (self.low, self.high) = (self.counts.len(), 0);
        (self.count, self.sum, self.max) = (0, 0, 0);
        h
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reference() -> hdrhistogram::Histogram<u64> {
        hdrhistogram::Histogram::new_with_bounds(1, MAX_US, 2).unwrap()
    }

    proptest! {
        #[test]
        fn buckets_are_hdr_histograms(v in 1u64..=MAX_US) {
            let h = reference();
            let (low, width) = bucket_bounds(bucket_index(v));
            prop_assert_eq!(low, h.lowest_equivalent(v));
            prop_assert_eq!(low + width - 1, h.highest_equivalent(v));
        }

        #[test]
        fn quantiles_are_hdr_histograms(vs in proptest::collection::vec(1u64..=MAX_US, 1..200)) {
            let (mut ours, mut theirs) = (Hist::default(), reference());
            for v in &vs {
                ours.record(*v);
                theirs.record(*v).unwrap();
            }
            for q in [0.0, 0.5, 0.9, 0.99, 1.0] {
                let t = theirs.value_at_quantile(q).min(ours.max());
                prop_assert_eq!(ours.quantile(q), Some(t));
            }
        }

        #[test]
        fn merge_is_recording_both(a in proptest::collection::vec(0u64..1<<30, 0..50),
                                   b in proptest::collection::vec(0u64..1<<30, 0..50)) {
            let (mut x, mut y, mut both) = (Hist::default(), Hist::default(), Hist::default());
            for v in &a { x.record(*v); both.record(*v); }
            for v in &b { y.record(*v); both.record(*v); }
            let mut total = HistSum::default();
            for _ in 0..2 {
                // Twice: the second sum must not know the first.
                total.add(&x);
                total.add(&y);
                prop_assert_eq!(&total.take(), &both);
            }
            prop_assert_eq!(total.take(), Hist::default());
            x.merge(&y);
            prop_assert_eq!(x, both);
        }
    }

    /// Vectors that the kernel side must reproduce.
    #[test]
    fn shared_vectors() {
        for (us, index) in [
            (0, 1),
            (1, 1),
            (255, 255),
            (256, 256),
            (257, 256),
            (511, 383),
            (512, 384),
            (1000, 506),
            (MAX_US, 2559),
            (u64::MAX, 2559),
        ] {
            assert_eq!(bucket_index(us), index, "{us}");
        }
    }
}
