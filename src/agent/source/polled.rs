//! sock_diag as the source: one walk a second.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{SourceOptions, no_ebpf};
use crate::model::{BootNs, Hook};
use crate::source::Among;
use crate::source::ebpf::EbpfError;
use crate::source::sockdiag::{SockDiag, SockDiagConfig, SockDiagError};
use crate::track::Fact;

/// Between two looks at the clock.
const TICK: Duration = Duration::from_millis(50);
const EVERY: Duration = Duration::from_millis(950);

/// sock_diag, with why it is not eBPF.
pub(in crate::agent) struct Polled {
    diag: SockDiag,
    no_ebpf: Hook,
    due: Instant,
    facts: Vec<Fact>,
    last_walk: (Duration, u64),
    walks: u64,
    failure: Option<String>,
}

impl Polled {
    pub(super) fn open(options: &SourceOptions, why: &EbpfError) -> Result<Polled, SockDiagError> {
        let scope = match (&options.cgroup_mount, options.scopes.as_slice(), options.pids.as_slice()) {
            (_, _, pids @ [_, ..]) => Among::Pids(pids.to_vec()),
            (Some(mount), roots @ [_, ..], _) => {
                Among::Cgroups(roots.iter().map(|r| mount.join(r.path.trim_start_matches('/'))).collect())
            }
            _ => Among::Host,
        };
        let config =
            SockDiagConfig { scope, leave_out: vec![std::process::id()], proc_root: PathBuf::from("/proc") };
        Ok(Polled {
            diag: SockDiag::new(config)?,
            no_ebpf: no_ebpf(why),
            due: Instant::now(),
            facts: Vec::new(),
            last_walk: (Duration::ZERO, 0),
            walks: 0,
            failure: None,
        })
    }

    pub(super) fn hooks(&self) -> Vec<Hook> {
        let mut hooks = vec![self.no_ebpf.clone()];
        hooks.extend(self.diag.hooks());
        if let Some(why) = &self.failure {
            for hook in hooks.iter_mut().filter(|h| h.hook.starts_with("sock_diag")) {
                hook.state = crate::model::HookState::Off(why.clone());
            }
        }
        hooks
    }

    pub(super) fn poll(&mut self, now: BootNs, slice_end: BootNs, mut each: impl FnMut(Fact)) {
        let clock = Instant::now();
        let timely = self.walks == 0 || slice_end.since(now) <= 110_000_000;
        if clock < self.due || !timely {
            // Nothing wakes us: sock_diag is only ever asked. A tick, because the pipeline has more to do.
            std::thread::sleep(TICK);
            return;
        }
        let walked = self.diag.walk(now, &mut self.facts);
        self.facts.drain(..).for_each(&mut each);
        let took = clock.elapsed();
        self.due = clock + EVERY.max(took * 20);
        self.walks += 1;
        self.failure = walked.as_ref().err().map(ToString::to_string);
        if let Ok(walk) = walked {
            self.last_walk = (took, walk.in_scope as u64);
        }
    }

    pub(super) fn has_walked(&self) -> bool {
        self.walks > 0
    }

    pub(super) fn last_walk(&self) -> (Duration, u64) {
        self.last_walk
    }
}
