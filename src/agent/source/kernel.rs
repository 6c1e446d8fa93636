//! eBPF as the source: reads the rings, and knows when which walk is due.

use std::time::{Duration, Instant};

use super::{Decoding, SourceOptions};
use crate::agent::privileges::with_admin;
use crate::identity;
use crate::model::{BootNs, EndId, Hook, Loss, Role, Totals};
use crate::source::ebpf::{
    BEGINNINGS_RING_BYTES, EbpfError, EbpfOptions, EbpfSource, PAYLOAD_RING_BYTES, STATE_RING_BYTES,
    ScopeRoot, WalkDone, WalkKind, Walker, sample_ring_bytes,
};
use crate::track::{Fact, Observation};

/// Records of one drain: bounds how long the table works before it publishes.
const BATCH: usize = 8192;
/// Of what is said, before the other ring is looked at again.
const SAID_BATCH: usize = 512;
/// Without events the rings are looked at this often.
const TICK: Duration = Duration::from_millis(50);
/// And this often while a walk fills the ring of samples.
const WALK_TICK: Duration = Duration::from_millis(2);

/// The kernel side, with its walks.
pub(in crate::agent) struct Kernel {
    ebpf: EbpfSource,
    decoding: Decoding,
    walker: Walker,
    schedule: Schedule,
    sample_lost_before: u64,
    last_walk: (Duration, u64),
    met_before: u64,
    walks: u64,
    last_pass: Duration,
}

/// When the next walks are due.
#[derive(Debug)]
struct Schedule {
    /// Passes over open files still to be made at fixed times after the start.
    early: Vec<Duration>,
    started: Instant,
    files_due: Instant,
    sockets_due: Instant,
    first: bool,
}

/// A walk over all sockets costs at most this share of a core: interval = 100 × its time.
const WALK_SHARE: u32 = 100;
/// A pass over all open files, at most a 200th.
const FILES_SHARE: u32 = 200;
const SOCKETS_EVERY: Duration = Duration::from_millis(950);
const FILES_EVERY: Duration = Duration::from_secs(30);

impl Kernel {
    /// Loads and attaches everything that this kernel and our privileges allow.
    pub(super) fn open(options: &SourceOptions) -> Result<Kernel, EbpfError> {
        let decode = options.decoding == Decoding::On;
        let (ebpf, walker) = EbpfSource::open(&EbpfOptions {
            scopes: options.scopes.iter().map(root).collect(),
            attach_at: attach_at(options),
            state_ring_bytes: options.state_ring_bytes.unwrap_or(STATE_RING_BYTES),
            sample_ring_bytes: sample_ring_bytes(sockets_in_use()),
            payload_ring_bytes: options.payload_ring_bytes.unwrap_or(if decode {
                PAYLOAD_RING_BYTES
            } else {
                BEGINNINGS_RING_BYTES
            }),
            decode,
            identities: options.identities,
        })?;
        let now = Instant::now();
        let schedule = Schedule {
            early: vec![Duration::from_secs(10), Duration::from_secs(1)],
            started: now,
            files_due: now,
            sockets_due: now,
            first: true,
        };
        let mut kernel = Kernel {
            ebpf,
            decoding: options.decoding,
            walker,
            schedule,
            sample_lost_before: 0,
            last_walk: (Duration::ZERO, 0),
            met_before: 0,
            walks: 0,
            last_pass: Duration::ZERO,
        };
        kernel.probe_libraries();
        Ok(kernel)
    }

    fn probe_libraries(&mut self) {
        if self.ebpf.has_libraries_to_probe() {
            with_admin(|| self.ebpf.probe_libraries());
        }
    }

    /// Each datum with its hook.
    pub(super) fn hooks(&self) -> Vec<Hook> {
        self.ebpf.hooks().chain(self.decoding.off()).collect()
    }

    /// Whether both directions of what is said can be seen.
    pub(super) fn sees_bytes(&self) -> bool {
        self.ebpf.sees_bytes()
    }

    /// Waits a tick at most, and gives what there is. `slice_end`: the walk is timed to be over just
    /// before it, so that its readings fall into the slice.
    pub(super) fn poll(&mut self, now: BootNs, slice_end: BootNs, mut each: impl FnMut(Observation<'_>)) {
        self.ebpf.wait(if self.walker.is_running() { WALK_TICK } else { TICK });
        self.probe_libraries();
        // What is said is much, and may wait: openings and closings must not be lost for it.
        for _ in 0..BATCH / SAID_BATCH {
            self.ebpf.drain_state(BATCH, &mut each);
            if self.ebpf.drain_payload(SAID_BATCH, &mut each) < SAID_BATCH {
                break;
            }
        }
        if self.walker.is_running() {
            self.ebpf.drain_samples(BATCH, &mut each);
            if let Some(done) = self.walker.finished() {
                self.walk_done(done, now, &mut each);
            }
        } else {
            self.start_due_walk(now, slice_end, &mut each);
        }
    }

    /// Reads the rings of opening and closing records and of what was said until they are empty.
    pub(super) fn drain(&mut self, mut each: impl FnMut(Observation<'_>)) {
        while self.ebpf.drain_state(BATCH, &mut each) == BATCH
            || self.ebpf.drain_payload(SAID_BATCH, &mut each) == SAID_BATCH
        {}
    }

    fn start_due_walk(&mut self, now: BootNs, slice_end: BootNs, each: &mut impl FnMut(Observation<'_>)) {
        let clock = Instant::now();
        let s = &mut self.schedule;
        if s.early.last().is_some_and(|after| clock >= s.started + *after) {
            s.early.pop();
            s.files_due = clock;
        }
        if clock >= s.files_due {
            self.ebpf.begin_pass();
            if self.walker.start(WalkKind::Files) {
                s.files_due = clock + FILES_EVERY;
            }
        } else if clock >= s.sockets_due && (s.first || before_end(now, slice_end)) {
            self.sample_lost_before = self.ebpf.counts().sample_lost;
            self.met_before = self.ebpf.sockets_met;
            each(Observation::Fact(Fact::WalkBegan { at: now }));
            if self.walker.start(WalkKind::Sockets) {
                s.first = false;
                s.sockets_due = clock + SOCKETS_EVERY;
            }
        }
    }

    fn walk_done(&mut self, done: WalkDone, now: BootNs, each: &mut impl FnMut(Observation<'_>)) {
        let clock = Instant::now();
        match done.kind {
            WalkKind::Files => {
                self.last_pass = done.took;
                if done.ok {
                    self.ebpf.pass_done();
                }
                self.schedule.files_due = self.schedule.files_due.max(clock + done.took * FILES_SHARE);
            }
            WalkKind::Sockets => {
                // The closings that came while it ran are read after its last record.
                while self.ebpf.drain_samples(BATCH, &mut *each) == BATCH {}
                self.drain(&mut *each);
                let complete = done.ok && self.ebpf.counts().sample_lost == self.sample_lost_before;
                each(Observation::Fact(Fact::WalkEnded { at: now, complete }));
                self.last_walk = (done.took, self.ebpf.sockets_met - self.met_before);
                self.walks += 1;
                self.schedule.sockets_due = self.schedule.sockets_due.max(clock + done.took * WALK_SHARE);
            }
        }
    }

    /// The next walk has to describe every socket in full.
    pub(super) fn describe_again(&mut self) {
        self.ebpf.describe_again();
    }

    /// Other cgroups are there now; `returned` need their programs attached.
    pub(super) fn rescope(&mut self, present: &[&identity::ScopeRoot], returned: &[std::path::PathBuf]) {
        let roots: Vec<ScopeRoot> = present.iter().map(|r| root(r)).collect();
        // The number of paths does not grow: it cannot be too large now.
        let _ = self.ebpf.set_scopes(&roots);
        for dir in returned {
            // It may be gone again; then the next look finds it.
            let _ = self.ebpf.attach_at(dir);
        }
        self.schedule.files_due = Instant::now();
    }

    /// Roles of adopted ends that are known now.
    pub(super) fn tell_roles(&mut self, roles: impl Iterator<Item = (EndId, Role)>) {
        self.ebpf.tell_roles(roles.map(|(id, role)| (id.cookie, role)));
    }

    /// What these sockets say cannot be decoded: no more of it is captured.
    pub(super) fn look_away(&mut self, ends: impl Iterator<Item = EndId>) {
        self.ebpf.look_away(ends.map(|id| id.cookie));
    }

    /// Sheds what is said, or captures it again.
    pub(super) fn shed(&mut self, shed: bool) {
        self.ebpf.shed(shed);
    }

    /// Pieces of what was said that were captured.
    pub(super) fn pieces_produced(&self) -> u64 {
        self.ebpf.counts().pieces_produced
    }

    /// Exact totals of ends.
    pub(super) fn ends(&self) -> Totals {
        self.ebpf.counts().ends
    }

    /// (state records produced, everything lost so far).
    pub(super) fn losses(&self) -> (u64, Loss) {
        let counts = self.ebpf.counts();
        (counts.state_produced, counts.loss)
    }

    /// Memory of maps and rings, bytes.
    pub(super) fn bpf_bytes(&self) -> u64 {
        self.ebpf.bpf_bytes(self.last_walk.1)
    }

    /// Whether everything that was open at the start has been met.
    pub(super) fn has_walked(&self) -> bool {
        self.walks > 0
    }

    /// Processor time of the last pass over open files.
    pub(super) fn last_pass(&self) -> Duration {
        self.last_pass
    }

    /// Processor time of the last walk, and the sockets that it met.
    pub(super) fn last_walk(&self) -> (Duration, u64) {
        self.last_walk
    }
}

/// TCP sockets of this network namespace, from `/proc/net/sockstat` and `sockstat6`; an estimate for
/// the size of a ring, so what cannot be read counts as none.
fn sockets_in_use() -> u64 {
    ["/proc/net/sockstat", "/proc/net/sockstat6"]
        .into_iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .filter_map(|text| {
            let line = text
                .lines()
                .find_map(|l| l.strip_prefix("TCP: inuse ").or(l.strip_prefix("TCP6: inuse ")))?;
            line.split(' ').next()?.parse::<u64>().ok()
        })
        .sum()
}

/// In the last tenth of the slice.
fn before_end(now: BootNs, slice_end: BootNs) -> bool {
    slice_end.since(now) <= 110_000_000
}

fn root(r: &identity::ScopeRoot) -> ScopeRoot {
    ScopeRoot { id: r.id, level: r.level }
}

/// The scopes without those that lie in another one; the root of the hierarchy for the whole host.
fn attach_at(options: &SourceOptions) -> Vec<std::path::PathBuf> {
    let Some(mount) = &options.cgroup_mount else { return Vec::new() };
    if options.scopes.is_empty() {
        return vec![mount.clone()];
    }
    let paths: Vec<&str> = options.scopes.iter().map(|s| s.path.trim_matches('/')).collect();
    let nested = |p: &str| {
        paths
            .iter()
            .any(|q| *q != p && (q.is_empty() || p.strip_prefix(q).is_some_and(|rest| rest.starts_with('/'))))
    };
    let mut outer: Vec<&str> = paths.iter().copied().filter(|p| !nested(p)).collect();
    outer.sort_unstable();
    outer.dedup();
    outer.into_iter().map(|p| mount.join(p)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_scopes_are_attached_once() {
        let scope = |path: &str| identity::ScopeRoot { path: path.to_owned(), id: 1, level: 1 };
        let options = SourceOptions {
            scopes: vec![scope("/a/b"), scope("/a"), scope("/ab"), scope("/a")],
            cgroup_mount: Some("/m".into()),
            ..SourceOptions::default()
        };
        assert_eq!(attach_at(&options), [std::path::PathBuf::from("/m/a"), "/m/ab".into()]);
    }
}
