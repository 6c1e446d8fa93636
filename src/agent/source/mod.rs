//! The source of a pipeline: the kernel's own events, or what sock_diag shows.

mod kernel;
mod polled;

use std::path::PathBuf;
use std::time::Duration;

use crate::identity::ScopeRoot;
use crate::model::{BootNs, EndId, Hook, HookState, Loss, Role, Totals};
use crate::source::ebpf::EbpfError;
use crate::source::sockdiag::SockDiagError;
use crate::track::Observation;

use kernel::Kernel;
use polled::Polled;

/// Whether requests are decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decoding {
    /// They are.
    On,
    /// They are not wanted.
    #[default]
    Unwanted,
    /// The whole host is watched, and nobody asked for them.
    WholeHost,
}

impl Decoding {
    /// Why they are not decoded; `None` when they are.
    fn off(self) -> Option<Hook> {
        let (why, advice) = match self {
            Decoding::On => return None,
            Decoding::Unwanted => ("it was not asked for (--no-requests)", "leave --no-requests out"),
            Decoding::WholeHost => {
                ("the whole host is watched", "add --requests, or a scope such as --unit or --cgroup")
            }
        };
        Some(Hook {
            datum: Hook::REQUESTS.to_owned(),
            hook: "decoding".to_owned(),
            state: HookState::Off(why.to_owned()),
            without: "requests are not decoded; turns are measured, and TLS handshakes read".to_owned(),
            advice: advice.to_owned(),
            essential: false,
        })
    }
}

/// How to open a source.
#[derive(Clone, Debug, Default)]
pub struct SourceOptions {
    /// Watched cgroups; empty = the whole host.
    pub scopes: Vec<ScopeRoot>,
    /// Mount point of cgroup v2, if there is one.
    pub cgroup_mount: Option<PathBuf>,
    /// Size of the ring of opening and closing records, bytes; `None` = the default.
    pub state_ring_bytes: Option<u32>,
    /// Size of the ring of what is said, bytes; `None` = the default.
    pub payload_ring_bytes: Option<u32>,
    /// Whether what is said is captured, for decoding; else only how connections begin.
    pub decoding: Decoding,
    /// Tell of requests only their kind and how they went, not what they are about.
    pub strict: bool,
    /// Read the certificates that processes have from their peers, where they are encrypted on the wire.
    pub identities: bool,
    /// Watch only these processes; for the view without eBPF, where no cgroups could be made.
    pub pids: Vec<u32>,
}

/// Why no source opens.
#[derive(Debug, thiserror::Error)]
#[error("neither eBPF ({ebpf}) nor sock_diag ({sockdiag}) can be used here; `webb doctor` says more")]
pub struct SourceError {
    ebpf: EbpfError,
    sockdiag: SockDiagError,
}

/// A source that is open.
pub(super) enum Source {
    /// eBPF.
    Kernel(Box<Kernel>),
    /// sock_diag.
    Polled(Box<Polled>),
}

macro_rules! each {
    ($self:expr, $s:ident => $body:expr) => {
        match $self {
            Source::Kernel($s) => $body,
            Source::Polled($s) => $body,
        }
    };
}

impl Source {
    /// Opens eBPF with everything that this kernel and our privileges allow, else sock_diag.
    pub(super) fn open(options: &SourceOptions) -> Result<Source, SourceError> {
        let ebpf = match Kernel::open(options) {
            Ok(kernel) => return Ok(Source::Kernel(Box::new(kernel))),
            Err(why) => why,
        };
        match Polled::open(options, &ebpf) {
            Ok(polled) => Ok(Source::Polled(Box::new(polled))),
            Err(sockdiag) => Err(SourceError { ebpf, sockdiag }),
        }
    }

    /// What it is called.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Source::Kernel(_) => "ebpf",
            Source::Polled(_) => "sock_diag",
        }
    }

    /// Whether it gives what connections say, at least how they begin.
    pub(super) fn sees_bytes(&self) -> bool {
        match self {
            Source::Kernel(s) => s.sees_bytes(),
            Source::Polled(_) => false,
        }
    }

    /// Each datum with its hook.
    pub(super) fn hooks(&self) -> Vec<Hook> {
        each!(self, s => s.hooks())
    }

    /// Waits a tick at most, and gives what there is. `slice_end`: walks are timed to be over just
    /// before it, so that their readings fall into the slice.
    pub(super) fn poll(&mut self, now: BootNs, slice_end: BootNs, mut each: impl FnMut(Observation<'_>)) {
        match self {
            Source::Kernel(s) => s.poll(now, slice_end, each),
            Source::Polled(s) => s.poll(now, slice_end, |fact| each(Observation::Fact(fact))),
        }
    }

    /// Reads opening and closing records until there are none.
    pub(super) fn drain(&mut self, each: impl FnMut(Observation<'_>)) {
        if let Source::Kernel(s) = self {
            s.drain(each);
        }
    }

    /// Roles of adopted ends that are known now.
    pub(super) fn tell_roles(&mut self, roles: impl Iterator<Item = (EndId, Role)>) {
        if let Source::Kernel(s) = self {
            s.tell_roles(roles);
        }
    }

    /// What these sockets say cannot be decoded: no more of it is captured.
    pub(super) fn look_away(&mut self, ends: impl Iterator<Item = EndId>) {
        if let Source::Kernel(s) = self {
            s.look_away(ends);
        }
    }

    /// The next walk has to describe every socket in full.
    pub(super) fn describe_again(&mut self) {
        if let Source::Kernel(s) = self {
            s.describe_again();
        }
    }

    /// Other cgroups are there now; `returned` need their programs attached.
    pub(super) fn rescope(&mut self, present: &[&ScopeRoot], returned: &[PathBuf]) {
        if let Source::Kernel(s) = self {
            s.rescope(present, returned);
        }
    }

    /// Sheds what is said, or captures it again.
    pub(super) fn shed(&mut self, shed: bool) {
        if let Source::Kernel(s) = self {
            s.shed(shed);
        }
    }

    /// Pieces of what was said that were captured.
    pub(super) fn pieces_produced(&self) -> u64 {
        match self {
            Source::Kernel(s) => s.pieces_produced(),
            Source::Polled(_) => 0,
        }
    }

    /// Exact totals of ends; `None` where nobody counts them.
    pub(super) fn ends(&self) -> Option<Totals> {
        match self {
            Source::Kernel(s) => Some(s.ends()),
            Source::Polled(_) => None,
        }
    }

    /// (state records produced, everything lost so far).
    pub(super) fn losses(&self) -> (u64, Loss) {
        match self {
            Source::Kernel(s) => s.losses(),
            Source::Polled(_) => (0, Loss::default()),
        }
    }

    /// Memory of maps and rings, bytes.
    pub(super) fn bpf_bytes(&self) -> u64 {
        match self {
            Source::Kernel(s) => s.bpf_bytes(),
            Source::Polled(_) => 0,
        }
    }

    /// Whether everything that was open at the start has been met.
    pub(super) fn has_walked(&self) -> bool {
        each!(self, s => s.has_walked())
    }

    /// Processor time of the last pass over open files.
    pub(super) fn last_pass(&self) -> Duration {
        match self {
            Source::Kernel(s) => s.last_pass(),
            Source::Polled(_) => Duration::ZERO,
        }
    }

    /// Processor time of the last walk, and the sockets that it met.
    pub(super) fn last_walk(&self) -> (Duration, u64) {
        each!(self, s => s.last_walk())
    }
}

/// Tries every rung of the ladder once, for `webb doctor`: nothing stays attached. Without a scope it
/// observes nothing, not even for that moment: the cgroup programs are loaded and attached nowhere,
/// and no socket is in scope.
pub fn try_hooks(options: &SourceOptions) -> Vec<Hook> {
    let mut options = options.clone();
    if options.scopes.is_empty() {
        // No cgroup lies that deep.
        options.scopes = vec![ScopeRoot { path: "/".to_owned(), id: 0, level: u32::MAX }];
        options.cgroup_mount = None;
    }
    match Kernel::open(&options) {
        Ok(kernel) => kernel.hooks(),
        Err(why) => vec![no_ebpf(&why)],
    }
}

/// eBPF as a whole, when it cannot be used.
fn no_ebpf(why: &EbpfError) -> Hook {
    Hook {
        datum: "every connection, as it happens".to_owned(),
        hook: "eBPF".to_owned(),
        state: HookState::Off(why.to_string()),
        without: "the view is that of sock_diag: what is open once a second".to_owned(),
        advice: "run `sudo webb`; `webb doctor` says what is missing".to_owned(),
        essential: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The view of requests looks for a hook by this word, and shows why and what to do.
    #[test]
    fn decoding_that_is_off_says_why_and_what_to_do() {
        assert_eq!(Decoding::On.off(), None);
        for (decoding, why, advice) in [
            (Decoding::Unwanted, "--no-requests", "leave --no-requests out"),
            (Decoding::WholeHost, "whole host", "--requests"),
        ] {
            let hook = decoding.off().unwrap();
            assert!(hook.datum.contains("request") && !hook.essential, "{hook:?}");
            assert!(matches!(&hook.state, HookState::Off(said) if said.contains(why)), "{hook:?}");
            assert!(hook.advice.contains(advice), "{hook:?}");
        }
    }
}
