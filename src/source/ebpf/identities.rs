//! Certificates where they are encrypted on the wire: `bpf/cert.bpf.c`, and the files that it probes.

use aya::programs::Program;
use aya::programs::uprobe::{UProbe, UProbeScope};
use aya::{Btf, Ebpf};

use super::EbpfOptions;
use super::ladder;
use super::libraries::{Found, Libraries};
use super::load::{self, Loaded};
use crate::model::Hook;
use crate::source::Among;

/// The probes, and who finds files for them.
pub(super) struct Identities {
    /// `None`: nothing can be read, see `state`.
    libraries: Option<Libraries>,
    /// Files that were found, until they are probed.
    due: Vec<Found>,
    /// Files that are probed.
    files: usize,
    /// Why there are none.
    state: Result<(), String>,
}

impl Identities {
    /// Loads the programs, and finds what is mapped now.
    pub(super) fn start(options: &EbpfOptions, loaded: &mut Loaded) -> Identities {
        let mut identities = Identities { libraries: None, due: Vec::new(), files: 0, state: Ok(()) };
        let among =
            if options.scopes.is_empty() { Among::Host } else { Among::Cgroups(options.attach_at.clone()) };
        let started = load_programs(&mut loaded.ebpf)
            .and_then(|()| Libraries::start(among).map_err(|e| format!("no thread can be started: {e}")));
        match started {
            Ok((found, libraries)) => (identities.due, identities.libraries) = (found, Some(libraries)),
            Err(why) => identities.state = Err(why),
        }
        identities
    }

    /// Whether there is a file to probe.
    pub(super) fn is_due(&mut self) -> bool {
        self.due.extend(self.libraries.iter().flat_map(Libraries::found));
        !self.due.is_empty()
    }

    /// Probes the files that were found.
    pub(super) fn probe(&mut self, ebpf: &mut Ebpf) {
        for file in std::mem::take(&mut self.due) {
            self.attach(ebpf, &file);
        }
    }

    fn attach(&mut self, ebpf: &mut Ebpf, file: &Found) {
        let attached = match ebpf.program_mut(file.library.program()) {
            Some(Program::UProbe(p)) => {
                let p: &mut UProbe = p;
                p.attach(file.library.function(), &file.path, UProbeScope::AllProcesses)
                    .map(|_| ())
                    .map_err(|e| ladder::why(&e))
            }
            _ => Err(format!("the object has no program `{}`", file.library.program())),
        };
        match attached {
            Ok(()) => {
                self.files += 1;
                self.state = Ok(());
            }
            // The process may be gone, or the file has no such function: others may do.
            Err(why) if self.files == 0 => self.state = Err(why),
            Err(_) => {}
        }
    }

    /// Its row.
    pub(super) fn hook(&self) -> Hook {
        let mut hook = ladder::IDENTITIES.row(self.state.clone());
        if self.state.as_ref().is_err_and(|why| why.contains("perf_event_open")) {
            "run as root, or grant CAP_SYS_ADMIN: perf_event_open(2) asks for it"
                .clone_into(&mut hook.advice);
        }
        hook.hook = format!("{}, in {} libraries", hook.hook, self.files);
        hook
    }
}

fn load_programs(ebpf: &mut Ebpf) -> Result<(), String> {
    let btf = Btf::from_sys_fs().map_err(|e| e.to_string())?;
    load::trace_point(ebpf, "webb_reads", "tcp_rcv_space_adjust", &btf)?;
    for name in ["webb_d2i_x509", "webb_gnutls", "webb_nss"] {
        match ebpf.program_mut(name) {
            Some(Program::UProbe(p)) => p.load().map_err(|e| ladder::why(&e))?,
            _ => return Err(format!("the object has no program `{name}`")),
        }
    }
    Ok(())
}
