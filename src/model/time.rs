//! Time as webb keeps it: nanoseconds of `CLOCK_BOOTTIME`, turned into wall time only for people.
//!
//! Durations and slice boundaries never come from wall time, which steps; each slice carries the
//! offset that was in force when it was sealed.

/// Nanoseconds of `CLOCK_BOOTTIME` (kernel: `bpf_ktime_get_boot_ns`); 0 means "not known".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootNs(pub u64);

impl BootNs {
    /// Nanoseconds from `earlier` to `self`, 0 if the order is reversed.
    pub fn since(self, earlier: BootNs) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `None` for the value that means "not known".
    pub fn known(self) -> Option<BootNs> {
        (self.0 != 0).then_some(self)
    }
}

/// What to add to a [`BootNs`] to get nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UtcOffset(pub i64);

impl UtcOffset {
    /// Nanoseconds since the Unix epoch, 0 where the sum would lie before it.
    pub fn unix_ns(self, at: BootNs) -> u64 {
        at.0.saturating_add_signed(self.0)
    }

    /// The boot-clock time of a Unix time in nanoseconds.
    pub fn boot_ns(self, unix_ns: u64) -> BootNs {
        BootNs(unix_ns.saturating_add_signed(self.0.saturating_neg()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_both_ways() {
        let offset = UtcOffset(1_700_000_000_000_000_000);
        let at = BootNs(5_000_000_000);
        assert_eq!(offset.unix_ns(at), 1_700_000_005_000_000_000);
        assert_eq!(offset.boot_ns(offset.unix_ns(at)), at);
    }

    #[test]
    fn reversed_order_is_zero_not_a_wrap() {
        assert_eq!(BootNs(5).since(BootNs(9)), 0);
    }
}
