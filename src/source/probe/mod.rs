//! What this host allows, for `webb doctor`: read from `/proc` and `/sys`, nothing is tried out.

mod capability;
mod kernel;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use capability::{Capabilities, Capability};
pub use kernel::{CgroupMode, KernelRelease, Lockdown, OLDEST_KERNEL, UnprivilegedBpf};

/// Bytes of one file that are read.
const LIMIT: u64 = 4 << 20;

/// Facts of the host and of this process. `None`: could not be read, so not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Release of the running kernel.
    pub kernel: Option<KernelRelease>,
    /// Whether the kernel describes its own types (`/sys/kernel/btf/vmlinux`).
    pub btf: bool,
    /// Effective capabilities of this process.
    pub capabilities: Option<Capabilities>,
    /// Whether this is the first user namespace; in others capabilities do not count for BPF.
    pub initial_user_namespace: Option<bool>,
    /// Lockdown; also unknown where securityfs is not mounted or the kernel has none.
    pub lockdown: Option<Lockdown>,
    /// Which cgroup versions are mounted.
    pub cgroup: Option<CgroupMode>,
    /// `kernel.unprivileged_bpf_disabled`.
    pub unprivileged_bpf: Option<UnprivilegedBpf>,
    /// `kernel.bpf_stats_enabled`: whether the kernel counts the time of programs.
    pub bpf_stats: Option<bool>,
}

impl HostFacts {
    /// Reads the facts below `root`, which is `/` except in tests.
    pub fn read(root: &Path) -> Self {
        let text = |path: &str| read(&root.join(path));
        HostFacts {
            kernel: text("proc/sys/kernel/osrelease").map(|t| KernelRelease::parse(&t)),
            btf: root.join("sys/kernel/btf/vmlinux").is_file(),
            capabilities: text("proc/self/status").and_then(|t| Capabilities::of_status(&t)),
            initial_user_namespace: text("proc/self/uid_map").map(|t| maps_every_user(&t)),
            lockdown: text("sys/kernel/security/lockdown").and_then(|t| Lockdown::parse(&t)),
            cgroup: text("proc/self/mountinfo").map(|t| CgroupMode::of_mountinfo(&t)),
            unprivileged_bpf: text("proc/sys/kernel/unprivileged_bpf_disabled")
                .and_then(|t| UnprivilegedBpf::parse(&t)),
            bpf_stats: text("proc/sys/kernel/bpf_stats_enabled").map(|t| t.trim() != "0"),
        }
    }

    /// Whether the kernel is older than [`OLDEST_KERNEL`]; `None` when its release says nothing.
    pub fn kernel_is_too_old(&self) -> Option<bool> {
        self.kernel.as_ref()?.version.map(|version| version < OLDEST_KERNEL)
    }

    /// Whether this process may load and attach tracing programs, as far as these facts tell:
    /// CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, in the first user namespace, and no lockdown for
    /// confidentiality, which forbids programs to read kernel memory.
    pub fn may_trace(&self) -> bool {
        self.capabilities.is_some_and(Capabilities::may_trace)
            && self.initial_user_namespace != Some(false)
            && self.lockdown != Some(Lockdown::Confidentiality)
    }
}

/// `/proc/PID/uid_map` of the first user namespace maps all ids to themselves (user_namespaces(7)).
fn maps_every_user(uid_map: &str) -> bool {
    let mut lines = uid_map.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    lines.next().is_some_and(|first| first == ["0", "0", "4294967295"]) && lines.next().is_none()
}

fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LIMIT).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, HostFacts) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let facts = HostFacts::read(dir.path());
        (dir, facts)
    }

    const MOUNTS: &str = "35 24 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn reads_a_host_that_has_everything() {
        let (_dir, facts) = host(&[
            ("proc/sys/kernel/osrelease", "6.12.9-amd64\n"),
            ("sys/kernel/btf/vmlinux", "\u{feff}"),
            ("proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\n"),
            ("proc/self/uid_map", "         0          0 4294967295\n"),
            ("sys/kernel/security/lockdown", "none [integrity] confidentiality\n"),
            ("proc/self/mountinfo", MOUNTS),
            ("proc/sys/kernel/unprivileged_bpf_disabled", "2\n"),
            ("proc/sys/kernel/bpf_stats_enabled", "0\n"),
        ]);
        assert_eq!(facts.kernel.as_ref().unwrap().text, "6.12.9-amd64");
        assert_eq!(facts.kernel_is_too_old(), Some(false));
        assert!(facts.btf && facts.may_trace());
        assert_eq!(facts.lockdown, Some(Lockdown::Integrity));
        assert_eq!(facts.cgroup, Some(CgroupMode::V2));
        assert_eq!(facts.unprivileged_bpf, Some(UnprivilegedBpf::Off));
        assert_eq!(facts.bpf_stats, Some(false));
        assert_eq!(facts.initial_user_namespace, Some(true));
    }

    #[test]
    fn what_cannot_be_read_is_not_known() {
        let (_dir, facts) = host(&[]);
        assert_eq!(facts, HostFacts::default());
        assert_eq!(facts.kernel_is_too_old(), None);
        assert!(!facts.may_trace());
    }

    #[test]
    fn what_stands_in_the_way_of_tracing() {
        let all = ("proc/self/status", "CapEff:\t000001ffffffffff\n");
        let table: [(&[(&str, &str)], bool); 5] = [
            (&[all], true),
            (&[("proc/self/status", "CapEff:\t000000c000000000\n")], true),
            (&[("proc/self/status", "CapEff:\t0000000000001000\n")], false),
            (&[all, ("proc/self/uid_map", "0 1000 1\n")], false),
            (&[all, ("sys/kernel/security/lockdown", "none integrity [confidentiality]\n")], false),
        ];
        for (files, expected) in table {
            assert_eq!(host(files).1.may_trace(), expected, "{files:?}");
        }
    }

    #[test]
    fn reads_this_host() {
        let facts = HostFacts::read(Path::new("/"));
        assert!(facts.kernel.unwrap().version.is_some());
        assert!(facts.capabilities.is_some() && facts.cgroup.is_some());
    }
}
