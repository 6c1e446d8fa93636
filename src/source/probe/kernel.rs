//! The kernel's own settings, read from their text.

/// The oldest kernel series on which all of webb is meant to work.
pub const OLDEST_KERNEL: (u32, u32) = (5, 15);

/// Release of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelRelease {
    /// As `uname -r` prints it.
    pub text: String,
    /// Major and minor number, when it begins with them.
    pub version: Option<(u32, u32)>,
}

impl KernelRelease {
    pub(super) fn parse(text: &str) -> Self {
        let text = text.trim();
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().ok());
        let version = match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(major), Some(minor)) => Some((major, minor)),
            _ => None,
        };
        KernelRelease { text: text.to_owned(), version }
    }
}

/// Kernel lockdown (kernel_lockdown(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lockdown {
    /// Off.
    None,
    /// The kernel may not be changed; watching it is allowed.
    Integrity,
    /// Nor may its memory be read: programs cannot trace.
    Confidentiality,
}

impl Lockdown {
    /// The word in brackets is in force.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once('[')?;
        match rest.split_once(']')?.0 {
            "none" => Some(Lockdown::None),
            "integrity" => Some(Lockdown::Integrity),
            "confidentiality" => Some(Lockdown::Confidentiality),
            _ => None,
        }
    }

    /// The kernel's own word.
    pub fn as_str(self) -> &'static str {
        match self {
            Lockdown::None => "none",
            Lockdown::Integrity => "integrity",
            Lockdown::Confidentiality => "confidentiality",
        }
    }
}

/// Which cgroup versions are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupMode {
    /// Only version 2.
    V2,
    /// Version 2 beside controllers of version 1.
    Hybrid,
    /// Only version 1: no scope can be given.
    V1,
    /// None.
    Absent,
}

impl CgroupMode {
    pub(super) fn of_mountinfo(text: &str) -> Self {
        let kinds = || text.lines().filter_map(|line| line.split_once(" - ")?.1.split(' ').next());
        match (kinds().any(|k| k == "cgroup2"), kinds().any(|k| k == "cgroup")) {
            (true, false) => CgroupMode::V2,
            (true, true) => CgroupMode::Hybrid,
            (false, true) => CgroupMode::V1,
            (false, false) => CgroupMode::Absent,
        }
    }

    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            CgroupMode::V2 => "v2",
            CgroupMode::Hybrid => "hybrid",
            CgroupMode::V1 => "v1",
            CgroupMode::Absent => "none",
        }
    }
}

/// `kernel.unprivileged_bpf_disabled` (Documentation/admin-guide/sysctl/kernel.rst).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnprivilegedBpf {
    /// 0: anybody may load some kinds of programs.
    On,
    /// 1: only with CAP_BPF, until the next boot.
    OffForGood,
    /// 2: only with CAP_BPF.
    Off,
}

impl UnprivilegedBpf {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "0" => Some(UnprivilegedBpf::On),
            "1" => Some(UnprivilegedBpf::OffForGood),
            "2" => Some(UnprivilegedBpf::Off),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_releases() {
        let table = [
            ("6.18.44-fc-v595\n", Some((6, 18))),
            ("5.4.0-1103-aws", Some((5, 4))),
            ("7.3-rc1", Some((7, 3))),
            ("6", None),
            ("next-2026", None),
            ("99999999999.1", None),
            ("", None),
        ];
        for (text, version) in table {
            assert_eq!(KernelRelease::parse(text).version, version, "{text}");
        }
        assert!((5, 4) < OLDEST_KERNEL && (5, 15) >= OLDEST_KERNEL && (6, 1) >= OLDEST_KERNEL);
    }

    #[test]
    fn tells_cgroup_modes_apart() {
        let v1 = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        let v2 = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let table = [
            (v2.to_owned(), CgroupMode::V2),
            (format!("{v1}{v2}"), CgroupMode::Hybrid),
            (v1.to_owned(), CgroupMode::V1),
            ("1 1 0:1 / / rw - ext4 cgroup rw\n".to_owned(), CgroupMode::Absent),
        ];
        for (text, mode) in table {
            assert_eq!(CgroupMode::of_mountinfo(&text), mode, "{text}");
        }
    }

    #[test]
    fn a_word_that_is_not_known_is_not_guessed() {
        assert_eq!(Lockdown::parse("[none] integrity confidentiality"), Some(Lockdown::None));
        assert_eq!(Lockdown::parse("[other] integrity"), None);
        assert_eq!(Lockdown::parse("none"), None);
        assert_eq!(UnprivilegedBpf::parse("3"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = (KernelRelease::parse(&text), Lockdown::parse(&text), CgroupMode::of_mountinfo(&text));
        }
    }
}
