//! What the agent costs.

use std::time::Duration;

use super::clock::process_cpu_ns;
use crate::model::Cost;

/// Reads the cost of this process.
pub(super) fn read(bpf_bytes: u64, walk: (Duration, u64), pass: Duration) -> Cost {
    Cost {
        cpu_ns: process_cpu_ns(),
        bpf_ns: None,
        rss_bytes: rss_bytes(),
        bpf_bytes,
        walk_ns: u64::try_from(walk.0.as_nanos()).unwrap_or(u64::MAX),
        walk_sockets: walk.1,
        pass_ns: u64::try_from(pass.as_nanos()).unwrap_or(u64::MAX),
    }
}

/// Resident memory, the second figure of `/proc/self/statm`, in pages; 0 where it cannot be read.
fn rss_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|p| p.parse().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}
