//! What this view has and what it lacks, in words.

use crate::model::{Hook, HookState};

/// `privileged`: other users' processes can be read.
pub(super) fn hooks(privileged: bool) -> Vec<Hook> {
    let sudo = "run `sudo webb`: eBPF sees it";
    let on = |datum: &str, hook: &str, without: &str, essential| Hook {
        datum: datum.to_owned(),
        hook: hook.to_owned(),
        state: HookState::On,
        without: without.to_owned(),
        advice: String::new(),
        essential,
    };
    let off = |datum: &str, why: &str, without: &str, advice: &str| Hook {
        datum: datum.to_owned(),
        hook: "sock_diag".to_owned(),
        state: HookState::Off(why.to_owned()),
        without: without.to_owned(),
        advice: advice.to_owned(),
        essential: false,
    };
    let once = "sockets are read once a second";
    let mut all = vec![
        on("open connections", "sock_diag", "no map", true),
        on("live counters", "sock_diag INET_DIAG_INFO", "no bytes, RTT or retransmits", false),
        on("listeners", "sock_diag", "no roles of what was open before", false),
        on("owners", "/proc/PID/fd", "sockets without a process", false),
    ];
    if !privileged {
        all.push(off(
            "owners of other users' sockets",
            "their /proc/PID/fd may not be read",
            "these have an address and a cgroup, but no process",
            "run `sudo webb`",
        ));
    }
    all.extend([
        off("short connections", once, "what opens and closes between two readings is not counted", sudo),
        off("failed connects", once, "refused, unreachable and timed-out connects are not counted", sudo),
        off("outcomes", once, "closed connections have the outcome unknown, and lack their last bytes", sudo),
        off("connect latency", once, "no connect times", sudo),
        off(
            Hook::REQUESTS,
            "sock_diag does not show what is said",
            "no requests, no latency of answers",
            sudo,
        ),
        off(
            "sequence numbers",
            "sock_diag does not report them",
            "ends are joined by their addresses only, not through NAT or across nodes",
            sudo,
        ),
        off(
            "other network namespaces",
            "sock_diag lists its own namespace",
            "sockets inside containers are not seen",
            sudo,
        ),
    ]);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_off_says_what_is_missing_and_what_to_do() {
        let all = hooks(false);
        let off: Vec<_> = all.iter().filter(|h| h.state != HookState::On).collect();
        assert!(off.len() >= 6);
        for hook in off {
            assert!(!hook.without.is_empty() && hook.advice.contains("sudo"), "{hook:?}");
        }
        assert_eq!(hooks(true).len() + 1, all.len());
        assert!(all.iter().any(|h| h.essential && h.state == HookState::On));
    }
}
