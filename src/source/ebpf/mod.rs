//! Facts from the kernel: `bpf/webb.bpf.o`, loaded, attached, and read.
//!
//! [`EbpfSource`] belongs to the one thread that reads the rings. The two passes over the kernel's
//! sockets run on a thread of their own ([`Walker`]), so that reading never waits for a walk.

mod identities;
mod iter;
mod ladder;
mod libraries;
mod load;
mod records;
mod said;
mod walker;

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use crate::model::{Cause, EndCounts, Hook, HookState, Loss, LossKind, Role, Totals};
use crate::track::{Fact, Observation};
use identities::Identities;

pub use walker::{WalkDone, WalkKind, Walker};

/// Why there is no eBPF source at all; single programs that fail are hooks that are off.
#[derive(Debug, thiserror::Error)]
pub enum EbpfError {
    /// The kernel does not describe its types.
    #[error("this kernel has no BTF ({0}); webb needs CONFIG_DEBUG_INFO_BTF, or use the sock_diag view")]
    NoBtf(String),
    /// The object was refused as a whole: usually for want of privilege.
    #[error(
        "the BPF object cannot be loaded ({0}); run as root or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN"
    )]
    Object(String),
    /// The one hook that everything needs.
    #[error("no connection can be watched: {0}")]
    Essential(String),
    /// A limit of the kernel side.
    #[error("{0} cgroups are watched at most; give a common parent instead")]
    TooManyScopes(usize),
}

/// A watched cgroup: its id and its depth below the root of the cgroup2 hierarchy (root = 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeRoot {
    /// Inode of the directory.
    pub id: u64,
    /// Depth.
    pub level: u32,
}

/// How to load.
#[derive(Clone, Debug)]
pub struct EbpfOptions {
    /// Watched cgroups; empty = the whole host.
    pub scopes: Vec<ScopeRoot>,
    /// Directories to which cgroup programs are attached: the scopes without nested ones, or the
    /// root of the hierarchy.
    pub attach_at: Vec<PathBuf>,
    /// Size of the ring of state records, bytes: rounded up to a power of two of pages.
    pub state_ring_bytes: u32,
    /// Size of the ring of samples, bytes.
    pub sample_ring_bytes: u32,
    /// Size of the ring of what is said, bytes.
    pub payload_ring_bytes: u32,
    /// Capture what is said, for decoding; else only how connections begin.
    pub decode: bool,
    /// Read the certificates that processes have from their peers, where they are encrypted on the wire:
    /// probes in TLS libraries.
    pub identities: bool,
}

/// `enum webb_decode`.
const DECODE_HELLO: u32 = 0;
const DECODE_ON: u32 = 1;
const DECODE_SHED: u32 = 2;
/// `enum webb_mode`.
const MODE_OFF: u32 = 2;

/// Holds 0.25 s of 20,000 exchanges/s with both ends in scope.
pub const PAYLOAD_RING_BYTES: u32 = 4 << 20;
/// Turns and how connections begin: 0.2 s of 10,000 connections/s.
pub const BEGINNINGS_RING_BYTES: u32 = 2 << 20;
/// Holds 0.3 s of 17,000 connections/s.
pub const STATE_RING_BYTES: u32 = 4 << 20;
/// Bytes of the ring of samples for so many open sockets: a first walk describes every socket in full,
/// and what does not fit waits for the next walk; until then roles may be missing. The pages of a
/// ring count twice in the resident memory of whoever maps it, so a quiet host gets a small one.
pub fn sample_ring_bytes(sockets: u64) -> u32 {
    let full = sockets.saturating_mul(records::FULL_RECORD as u64);
    full.clamp(1 << 20, 8 << 20).next_power_of_two() as u32
}

/// Exact counts of the kernel side since it was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelCounts {
    /// Ends by role.
    pub ends: Totals,
    /// State records that were to be written, lost ones included.
    pub state_produced: u64,
    /// Samples lost, to tell whether a walk was complete.
    pub sample_lost: u64,
    /// Pieces of what was said that were to be told, lost ones included.
    pub pieces_produced: u64,
    /// Everything lost, by kind.
    pub loss: Loss,
}

/// The loaded kernel side.
pub struct EbpfSource {
    loaded: load::Loaded,
    identities: Option<Identities>,
    config: records::Config,
    /// Records of a kind or length that this build does not know: none, unless the committed
    /// object and this build differ.
    pub unknown_records: u64,
    /// Sockets that walks have reported so far.
    pub sockets_met: u64,
    ring_bytes: u64,
}

impl EbpfSource {
    /// Loads and attaches, and gives the thread that walks. Links are tied to descriptors: when
    /// this process ends in any way, nothing stays attached.
    pub fn open(options: &EbpfOptions) -> Result<(EbpfSource, Walker), EbpfError> {
        let mut config = records::Config {
            all: u32::from(options.scopes.is_empty()),
            own: std::process::id(),
            epoch: 1,
            decode: if options.decode { DECODE_ON } else { DECODE_HELLO },
            ..records::Config::default()
        };
        fill_scopes(&mut config, &options.scopes)?;
        let mut loaded = load::load(options, config)?;
        if let Some(Hook { state: HookState::Off(why), .. }) =
            loaded.hooks.iter().find(|h| h.hook == "tp_btf/inet_sock_set_state")
        {
            return Err(EbpfError::Essential(why.clone()));
        }
        let identities = options.identities.then(|| Identities::start(options, &mut loaded));
        let walker = Walker::spawn(std::mem::take(&mut loaded.iterators));
        trim_heap();
        let rings = [options.state_ring_bytes, options.sample_ring_bytes, options.payload_ring_bytes];
        let ring_bytes = rings.into_iter().map(u64::from).sum();
        Ok((
            EbpfSource { loaded, identities, config, unknown_records: 0, sockets_met: 0, ring_bytes },
            walker,
        ))
    }

    /// Each datum with its hook.
    pub fn hooks(&self) -> impl Iterator<Item = Hook> + '_ {
        self.loaded.hooks.iter().cloned().chain(self.identities.iter().map(Identities::hook))
    }

    /// Whether libraries were found that are not probed yet.
    pub fn has_libraries_to_probe(&mut self) -> bool {
        self.identities.as_mut().is_some_and(Identities::is_due)
    }

    /// Probes them; on this kernel's perf_event_open(2) that may need CAP_SYS_ADMIN.
    pub fn probe_libraries(&mut self) {
        if let Some(identities) = &mut self.identities {
            identities.probe(&mut self.loaded.ebpf);
        }
    }

    /// Whether both directions of what is said can be seen.
    pub fn sees_bytes(&self) -> bool {
        let is_way = |h: &&Hook| [ladder::INGRESS.hook, ladder::EGRESS.hook].contains(&h.hook.as_str());
        self.loaded.hooks.iter().filter(is_way).all(|h| h.state == HookState::On)
    }

    /// Waits until the ring of states or of payload fills, or the time is over.
    pub fn wait(&self, at_most: Duration) {
        let rings = [&self.loaded.state_ring, &self.loaded.payload_ring];
        let mut fds = rings.map(|ring| PollFd::from_borrowed_fd(ring.as_fd(), PollFlags::IN));
        let timeout = rustix::time::Timespec {
            tv_sec: at_most.as_secs() as i64,
            tv_nsec: i64::from(at_most.subsec_nanos()),
        };
        // A signal ends the wait early: no harm.
        let _ = poll(&mut fds, Some(&timeout));
    }

    /// Reads up to `at_most` state records; says how many there were.
    pub fn drain_state(&mut self, at_most: usize, mut each: impl FnMut(Observation<'_>)) -> usize {
        drain(&mut self.loaded.state_ring, at_most, &mut self.unknown_records, |bytes| {
            records::parse(bytes).map(|fact| {
                each(Observation::Fact(fact));
                if let Some(turns) = records::last_turns(bytes) {
                    each(Observation::Fact(turns));
                }
            })
        })
    }

    /// Reads up to `at_most` records of what is said and of turns; says how many there were.
    pub fn drain_payload(&mut self, at_most: usize, mut each: impl FnMut(Observation<'_>)) -> usize {
        drain(&mut self.loaded.payload_ring, at_most, &mut self.unknown_records, |bytes| {
            said::parse(bytes, &mut each)
        })
    }

    /// Reads up to `at_most` records of the walk; says how many there were.
    pub fn drain_samples(&mut self, at_most: usize, mut each: impl FnMut(Observation<'_>)) -> usize {
        drain(&mut self.loaded.sample_ring, at_most, &mut self.unknown_records, |bytes| {
            let fact = records::parse_met(bytes)?;
            self.sockets_met += u64::from(!matches!(fact, Fact::Talk(_)));
            each(Observation::Fact(fact));
            Some(())
        })
    }

    /// Sheds what is said, or captures it again: what is shed is counted.
    pub fn shed(&mut self, shed: bool) {
        self.config.decode = if shed { DECODE_SHED } else { DECODE_ON };
        self.write_config();
    }

    /// Tells the role of adopted sockets, so that their turns can be measured.
    pub fn tell_roles(&mut self, roles: impl Iterator<Item = (u64, Role)>) {
        for (cookie, role) in roles {
            // A client asks in what it sends (0), a server is asked in what it receives (1).
            let _ = self.loaded.roles.insert(cookie, u32::from(role == Role::Server), 0);
        }
    }

    /// Has no more captured of these sockets: what they say cannot be decoded.
    pub fn look_away(&mut self, cookies: impl Iterator<Item = u64>) {
        for cookie in cookies {
            // A full map forgets the one that was not used for longest: it is captured again.
            let _ = self.loaded.modes.insert(cookie, MODE_OFF, 0);
        }
    }

    /// Numbers the next pass over open files; to be called before it starts.
    pub fn begin_pass(&mut self) {
        self.config.pass += 1;
        self.write_config();
    }

    /// The pass went through: what it found may be believed by the walk.
    pub fn pass_done(&mut self) {
        self.config.pass_complete = self.config.pass;
        self.write_config();
    }

    /// Has every socket described in full by the next walk, as if it were new.
    pub fn describe_again(&mut self) {
        self.config.epoch += 1;
        self.write_config();
    }

    /// Watches other cgroups from now on: one of them vanished, or returned and has a new id.
    pub fn set_scopes(&mut self, scopes: &[ScopeRoot]) -> Result<(), EbpfError> {
        fill_scopes(&mut self.config, scopes)?;
        self.write_config();
        Ok(())
    }

    /// Attaches the cgroup programs to a directory that returned.
    pub fn attach_at(&mut self, path: &std::path::Path) -> Result<(), String> {
        load::attach_all(&mut self.loaded.ebpf, path)
    }

    fn write_config(&mut self) {
        // An array map of one element: only a bad descriptor could make this fail.
        let _ = self.loaded.config.set(0, self.config, 0);
    }

    /// Sums the per-CPU counts.
    pub fn counts(&self) -> KernelCounts {
        let mut n = records::Counts::default();
        if let Ok(values) = self.loaded.counts.get(&0, 0) {
            for v in values.iter() {
                for (to, from) in [
                    (&mut n.opened, &v.opened),
                    (&mut n.established, &v.established),
                    (&mut n.failed, &v.failed),
                    (&mut n.closed, &v.closed),
                    (&mut n.adopted, &v.adopted),
                ] {
                    to.iter_mut().zip(from).for_each(|(a, b)| *a += b);
                }
                n.state_produced += v.state_produced;
                n.state_lost += v.state_lost;
                n.sample_lost += v.sample_lost;
                n.no_storage += v.no_storage;
                n.pieces_produced += v.pieces_produced;
                n.pieces_lost += v.pieces_lost;
                n.turns_lost += v.turns_lost;
                n.messages_shed += v.messages_shed;
                n.datagrams_lost += v.datagrams_lost;
            }
        }
        let of = |role: usize| EndCounts {
            opened: n.opened[role],
            established: n.established[role],
            failed: n.failed[role],
            closed: n.closed[role],
            adopted: n.adopted[role],
        };
        let mut loss = Loss::default();
        loss.add(LossKind::State, Cause::RingFull, n.state_lost);
        loss.add(LossKind::Sample, Cause::RingFull, n.sample_lost);
        loss.add(LossKind::State, Cause::NoStorage, n.no_storage);
        loss.add(LossKind::Exchange, Cause::RingFull, n.pieces_lost);
        loss.add(LossKind::Turn, Cause::RingFull, n.turns_lost);
        loss.add(LossKind::Datagram, Cause::TableFull, n.datagrams_lost);
        loss.add(LossKind::Exchange, Cause::Budget, n.messages_shed);
        KernelCounts {
            ends: Totals { unknown: of(0), client: of(1), server: of(2) },
            state_produced: n.state_produced,
            sample_lost: n.sample_lost,
            pieces_produced: n.pieces_produced,
            loss,
        }
    }

    /// Memory of the rings and of `sockets` storages (397 bytes of slab each was measured for a
    /// smaller value; the kernel rounds up to 512).
    pub fn bpf_bytes(&self, sockets: u64) -> u64 {
        self.ring_bytes + sockets * 512
    }
}

fn fill_scopes(config: &mut records::Config, scopes: &[ScopeRoot]) -> Result<(), EbpfError> {
    if scopes.len() > records::SCOPES {
        return Err(EbpfError::TooManyScopes(records::SCOPES));
    }
    config.scopes = scopes.len() as u32;
    for (i, s) in scopes.iter().enumerate() {
        config.scope_id[i] = s.id;
        config.scope_level[i] = s.level;
    }
    Ok(())
}

fn drain(
    ring: &mut aya::maps::RingBuf<aya::maps::MapData>,
    at_most: usize,
    unknown: &mut u64,
    mut each: impl FnMut(&[u8]) -> Option<()>,
) -> usize {
    let mut n = 0;
    while n < at_most {
        let Some(item) = ring.next() else { break };
        *unknown += u64::from(each(&item).is_none());
        n += 1;
    }
    n
}

/// Parsing the kernel's types takes some 30 MB for a moment; give them back at once.
fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim only releases free memory; it has no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}
