//! The clocks of this host.

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::model::{BootNs, UtcOffset};

/// Now, by the clock that facts carry.
pub fn boot_now() -> BootNs {
    BootNs(ns(clock_gettime(ClockId::Boottime)))
}

/// What to add to boot time to get wall time, now.
pub(super) fn utc_offset() -> UtcOffset {
    let boot = ns(clock_gettime(ClockId::Boottime));
    let wall = ns(clock_gettime(ClockId::Realtime));
    UtcOffset(i64::try_from(i128::from(wall) - i128::from(boot)).unwrap_or(i64::MAX))
}

/// Processor time of this process so far, nanoseconds.
pub(super) fn process_cpu_ns() -> u64 {
    ns(clock_gettime(ClockId::ProcessCPUTime))
}

fn ns(t: Timespec) -> u64 {
    (t.tv_sec.max(0) as u64).saturating_mul(1_000_000_000).saturating_add(t.tv_nsec.max(0) as u64)
}

/// Processor time of this thread.
pub(super) fn thread_cpu() -> std::time::Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    std::time::Duration::new(t.tv_sec.max(0) as u64, t.tv_nsec as u32)
}
