//! TLS libraries that processes map, for [`super::EbpfOptions::identities`]: a probe is of a file, so each
//! file is found once, in whichever mount namespace, and the probe is in every process that maps it.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::source::Among;

/// Between two scans.
const EVERY: Duration = Duration::from_secs(1);
/// A process is looked at when it is first met, and after these times: libraries may come later. Then
/// again each time that the last one is over.
const AGAIN: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];
/// Processes that are remembered, and files that are probed.
const PROCESSES: usize = 65_536;
const FILES: usize = 256;
/// Bytes of `/proc/PID/maps` that are read.
const MAPS_LIMIT: u64 = 8 << 20;
/// Where the host's own libraries are; with a scope only those count that a process in it maps.
const STANDARD: [&str; 6] = [
    "/lib64",
    "/usr/lib64",
    "/usr/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/local/lib",
];

/// Who parses a peer's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Library {
    /// OpenSSL's libcrypto, and programs that have it in them and export it.
    Crypto,
    /// GnuTLS.
    Gnutls,
    /// NSS.
    Nss,
}

impl Library {
    /// By the name of a file.
    fn of(name: &str) -> Option<Library> {
        match name {
            "node" | "nodejs" => Some(Library::Crypto),
            _ if !name.contains(".so") => None,
            _ if name.starts_with("libcrypto") => Some(Library::Crypto),
            _ if name.starts_with("libgnutls") => Some(Library::Gnutls),
            _ if name.starts_with("libnss3") => Some(Library::Nss),
            _ => None,
        }
    }

    /// The function whose entry is probed.
    pub(super) fn function(self) -> &'static str {
        match self {
            Library::Crypto => "d2i_X509",
            Library::Gnutls => "gnutls_pcert_import_x509_raw",
            Library::Nss => "CERT_NewTempCertificate",
        }
    }

    /// The program of bpf/cert.bpf.c.
    pub(super) fn program(self) -> &'static str {
        match self {
            Library::Crypto => "webb_d2i_x509",
            Library::Gnutls => "webb_gnutls",
            Library::Nss => "webb_nss",
        }
    }
}

/// A file to probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub library: Library,
    /// A path to it from here; through a process, for one in another mount namespace.
    pub path: PathBuf,
}

/// Device and inode.
type FileId = (u64, u64);

/// What was looked at already.
struct Scan {
    proc_root: PathBuf,
    among: Among,
    files: HashSet<FileId>,
    /// Processes, how often each was looked at, and when it is next.
    processes: HashMap<u32, (usize, Instant)>,
}

impl Scan {
    /// What is new. A pid that is used again is looked at a minute late at worst.
    fn new_files(&mut self, now: Instant) -> Vec<Found> {
        let mut found = Vec::new();
        if self.among == Among::Host {
            STANDARD.iter().for_each(|dir| self.standard(Path::new(dir), &mut found));
        }
        let pids = self.among.members().pids.unwrap_or_else(|| pids(&self.proc_root));
        let present: HashSet<u32> = pids.iter().copied().collect();
        self.processes.retain(|pid, _| present.contains(pid));
        for pid in pids {
            let (times, due) = self.processes.get(&pid).copied().unwrap_or((0, now));
            if due > now || (times == 0 && self.processes.len() >= PROCESSES) {
                continue;
            }
            let after = AGAIN.get(times).or(AGAIN.last()).copied().unwrap_or(EVERY);
            self.processes.insert(pid, (times.saturating_add(1), now + after));
            self.mapped_by(pid, &mut found);
        }
        found
    }

    fn standard(&mut self, dir: &Path, found: &mut Vec<Found>) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if let Some(library) = entry.file_name().to_str().and_then(Library::of)
                && let Ok(meta) = fs::metadata(entry.path())
            {
                self.add((meta.dev(), meta.ino()), library, entry.path(), found);
            }
        }
    }

    fn mapped_by(&mut self, pid: u32, found: &mut Vec<Found>) {
        let process = self.proc_root.join(pid.to_string());
        let mut maps = Vec::new();
        // A process that is gone, or that we may not look at, maps nothing.
        let _ = File::open(process.join("maps")).and_then(|f| f.take(MAPS_LIMIT).read_to_end(&mut maps));
        for line in String::from_utf8_lossy(&maps).lines() {
            let Some((id, path)) = mapping(line) else { continue };
            let name = path.rsplit('/').next().unwrap_or_default();
            let Some(library) = Library::of(name) else { continue };
            let from_here = process.join("root").join(path.trim_start_matches('/'));
            self.add(id, library, from_here, found);
        }
    }

    fn add(&mut self, id: FileId, library: Library, path: PathBuf, found: &mut Vec<Found>) {
        if self.files.len() < FILES && self.files.insert(id) {
            found.push(Found { library, path });
        }
    }
}

/// All processes.
fn pids(proc_root: &Path) -> Vec<u32> {
    let entries = fs::read_dir(proc_root).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// File and path of a mapping of code (proc_pid_maps(5)); a file that was deleted has no path any more.
fn mapping(line: &str) -> Option<(FileId, &str)> {
    let (fields, path) = line.split_at_checked(line.find('/')?)?;
    let mut fields = fields.split_ascii_whitespace().skip(1);
    let executable = fields.next()?.contains('x');
    let (major, minor) = fields.nth(1)?.split_once(':')?;
    let [major, minor] = [major, minor].map(|n| u32::from_str_radix(n, 16));
    let inode = fields.next()?.parse().ok()?;
    let file = (rustix::fs::makedev(major.ok()?, minor.ok()?), inode);
    (executable && !path.ends_with(" (deleted)")).then_some((file, path))
}

/// Looks for libraries on a thread of its own; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Libraries {
    found: Receiver<Found>,
    _stop: SyncSender<()>,
}

impl Libraries {
    /// What is mapped now, and a thread that tells what is mapped later.
    pub(super) fn start(among: Among) -> std::io::Result<(Vec<Found>, Libraries)> {
        let mut scan = Scan {
            proc_root: PathBuf::from("/proc"),
            among,
            files: HashSet::new(),
            processes: HashMap::new(),
        };
        let first = scan.new_files(Instant::now());
        let (tell, found) = sync_channel(FILES);
        let (stop, stopped) = sync_channel(0);
        std::thread::Builder::new().name("libraries".to_owned()).spawn(move || {
            // A second of quiet, or nobody is there any more.
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                for file in scan.new_files(Instant::now()) {
                    // There is room for all that are ever told.
                    let _ = tell.try_send(file);
                }
            }
        })?;
        Ok((first, Libraries { found, _stop: stop }))
    }

    /// What was found since the last call. Never blocks.
    pub(super) fn found(&self) -> impl Iterator<Item = Found> + '_ {
        self.found.try_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "7f5c9a400000-7f5c9a680000 r-xp 000b2000 fe:01 4242                   /usr/lib/libcrypto.so.3";

    #[test]
    fn a_mapping_of_code_has_a_file() {
        let file = (rustix::fs::makedev(0xfe, 1), 4242);
        assert_eq!(mapping(LINE), Some((file, "/usr/lib/libcrypto.so.3")));
        assert_eq!(mapping(&LINE.replace("r-xp", "r--p")), None);
        assert_eq!(mapping(&format!("{LINE} (deleted)")), None);
        for not in ["", "7f-7f rwxp 0 00:00 0 [heap]", "x r-xp 0 fe:zz 1 /a", "/", "r-xp /"] {
            assert_eq!(mapping(not), None, "{not}");
        }
    }

    #[test]
    fn libraries_are_known_by_their_files() {
        for (name, library) in [
            ("libcrypto.so.3", Some(Library::Crypto)),
            ("libcrypto-81d66ed9.so.3", Some(Library::Crypto)),
            ("libgnutls.so.30.34.3", Some(Library::Gnutls)),
            ("libnss3.so", Some(Library::Nss)),
            ("node", Some(Library::Crypto)),
            ("libcrypto.a", None),
            ("libssl.so.3", None),
            ("nodelib", None),
        ] {
            assert_eq!(Library::of(name), library, "{name}");
        }
    }

    /// A tree that looks like /proc: two processes map one file, and one of them another one later.
    #[test]
    fn each_file_is_found_once() {
        let proc_root = tempfile::tempdir().unwrap();
        let maps = |pid: &str, text: &str| {
            fs::create_dir_all(proc_root.path().join(pid)).unwrap();
            fs::write(proc_root.path().join(pid).join("maps"), text).unwrap();
        };
        maps("10", LINE);
        maps("11", &format!("{LINE}\n"));
        let mut scan = Scan {
            proc_root: proc_root.path().to_owned(),
            among: Among::Pids(vec![10, 11, 12]),
            files: HashSet::new(),
            processes: HashMap::new(),
        };
        let start = Instant::now();
        let path = proc_root.path().join("10/root/usr/lib/libcrypto.so.3");
        assert_eq!(scan.new_files(start), [Found { library: Library::Crypto, path }]);
        maps("11", &LINE.replace("4242", "4343"));
        assert!(scan.new_files(start).is_empty(), "not each time");
        let later = scan.new_files(start + AGAIN[0]);
        assert_eq!(later.len(), 1);
        assert!(later[0].path.ends_with("11/root/usr/lib/libcrypto.so.3"), "{later:?}");
    }
}
