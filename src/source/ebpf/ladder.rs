//! The ladder: each datum with its hook, tried one by one. A program that does not load takes one
//! datum away, with the reason; it never stops the rest.

use aya::programs::ProgramError;

use crate::model::{Hook, HookState};

/// What a datum is, and what its absence means.
pub(super) struct Datum {
    pub name: &'static str,
    pub hook: &'static str,
    pub without: &'static str,
    pub essential: bool,
}

pub(super) const STATE: Datum = Datum {
    name: "opened, established, failed, closed",
    hook: "tp_btf/inet_sock_set_state",
    without: "no connection is seen",
    essential: true,
};
pub(super) const WALK: Datum = Datum {
    name: "live counters",
    hook: "iter/bpf_sk_storage_map",
    without: "bytes and round-trip times only when a connection closes; lost events are not made up for",
    essential: true,
};
pub(super) const FILES: Datum = Datum {
    name: "connections older than webb; who holds a socket",
    hook: "iter/task_file",
    without: "connections that were open before webb are missing; owners of accepted sockets may be the listener's",
    essential: false,
};
pub(super) const ATTEMPT4: Datum = Datum {
    name: "connects without a route, IPv4",
    hook: "cgroup/connect4",
    without: "connects that fail before a packet is sent are missing (outcome no-route)",
    essential: false,
};
pub(super) const ATTEMPT6: Datum = Datum {
    name: "connects without a route, IPv6",
    hook: "cgroup/connect6",
    without: "connects that fail before a packet is sent are missing (outcome no-route)",
    essential: false,
};
pub(super) const RELEASE: Datum = Datum {
    name: "end of a connect without a route",
    hook: "cgroup/sock_release",
    without: "a connect without a route is reported by the next walk, or missed",
    essential: false,
};

pub(super) const INGRESS: Datum = Datum {
    name: Hook::SAID[0],
    hook: "cgroup_skb/ingress",
    without: "no turns, no requests",
    essential: false,
};
pub(super) const EGRESS: Datum = Datum {
    name: Hook::SAID[1],
    hook: "cgroup_skb/egress",
    without: "no turns, no requests",
    essential: false,
};

pub(super) const SOCKETS: Datum = Datum {
    name: "who holds a UDP socket",
    hook: "cgroup/sock_create",
    without: "no UDP but for sockets older than webb: no DNS facts, no names of far addresses, no QUIC",
    essential: false,
};
pub(super) const TALKS: Datum = Datum {
    name: "UDP conversations",
    hook: "iter/bpf_map_elem",
    without: "of UDP only DNS and the first packets of QUIC are seen",
    essential: false,
};

pub(super) const IDENTITIES: Datum = Datum {
    name: Hook::IDENTITIES,
    hook: "uprobe d2i_X509 and its like",
    without: "certificates are known up to TLS 1.2 only",
    essential: false,
};

impl Datum {
    /// The hook's row, from what became of it.
    pub(super) fn row(&self, state: Result<(), String>) -> Hook {
        let advice = match &state {
            Ok(()) => String::new(),
            Err(why) => advice(why).to_owned(),
        };
        Hook {
            datum: self.name.to_owned(),
            hook: self.hook.to_owned(),
            state: match state {
                Ok(()) => HookState::On,
                Err(why) => HookState::Off(why),
            },
            without: self.without.to_owned(),
            advice,
            essential: self.essential,
        }
    }
}

/// What a person can do about a reason.
fn advice(why: &str) -> &'static str {
    if why.contains("EPERM") || why.contains("not permitted") || why.contains("Permission denied") {
        "run as root, or grant CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN; see `webb doctor` for lockdown"
    } else if why.contains("verifier") || why.contains("CO-RE") {
        "this kernel lacks what the program reads; a kernel from 6.1 on has it"
    } else {
        "see `webb doctor`"
    }
}

/// A program's failure in one line: the last telling line of the verifier, not its whole log.
pub(super) fn why(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            let telling = log.lines().rev().map(str::trim).find(|l| {
                let closing = ["processed ", "verification time", "stack depth", "mark_precise"];
                !l.is_empty() && !closing.iter().any(|c| l.starts_with(c))
            });
            match telling {
                Some(line) => format!("refused by the verifier: {line}"),
                None => format!("cannot be loaded: {io_error}"),
            }
        }
        ProgramError::SyscallError(e) => format!("cannot be attached: {}: {}", e.call, e.io_error),
        e => with_causes(e),
    }
}

/// An error in one line.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(c) = cause {
        text.push_str(": ");
        text.push_str(&c.to_string());
        cause = c.source();
    }
    text
}
