//! Capabilities of a process, by the names of capabilities(7).

/// A capability that webb has a use for; the number is that of linux/capability.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Capability {
    /// Attach programs to cgroups' packets.
    NetAdmin = 12,
    /// Read `/proc/PID/exe` and `/proc/PID/fd` of other users' processes.
    SysPtrace = 19,
    /// All of the others, before Linux 5.8.
    SysAdmin = 21,
    /// Attach tracing programs (Linux 5.8).
    Perfmon = 38,
    /// Load programs and make maps (Linux 5.8).
    Bpf = 39,
}

impl Capability {
    /// All of them, the most needed first.
    pub const ALL: [Capability; 5] = [
        Capability::Bpf,
        Capability::Perfmon,
        Capability::NetAdmin,
        Capability::SysAdmin,
        Capability::SysPtrace,
    ];

    /// Its name: `CAP_BPF`.
    pub fn as_str(self) -> &'static str {
        match self {
            Capability::NetAdmin => "CAP_NET_ADMIN",
            Capability::SysPtrace => "CAP_SYS_PTRACE",
            Capability::SysAdmin => "CAP_SYS_ADMIN",
            Capability::Perfmon => "CAP_PERFMON",
            Capability::Bpf => "CAP_BPF",
        }
    }
}

/// A set of capabilities, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// The effective ones, from `/proc/PID/status`.
    pub(super) fn of_status(status: &str) -> Option<Self> {
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
        u64::from_str_radix(line.trim(), 16).ok().map(Capabilities)
    }

    /// Whether `capability` is one of them.
    pub fn has(self, capability: Capability) -> bool {
        self.0 >> (capability as u8) & 1 == 1
    }

    /// Whether they suffice for tracing programs.
    pub(super) fn may_trace(self) -> bool {
        self.has(Capability::SysAdmin) || (self.has(Capability::Bpf) && self.has(Capability::Perfmon))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_bits() {
        let some = Capabilities::of_status("CapPrm:\t0\nCapEff:\t000000c000001000\nCapBnd:\tff\n").unwrap();
        let names: Vec<_> =
            Capability::ALL.into_iter().filter(|c| some.has(*c)).map(Capability::as_str).collect();
        assert_eq!(names, ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"]);
        assert_eq!(Capabilities::of_status("Name: x"), None);
        assert_eq!(Capabilities::of_status("CapEff:\tnonsense"), None);
    }
}
