//! Processes by `/proc`: the start time that tells a process from a later one with its pid, the
//! executable, the command line and the cgroup.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::read;
use crate::model::ProcessKey;

/// Bytes of `/proc/PID/cmdline` that are read.
const CMDLINE_LIMIT: u64 = 4096;
/// Bytes of the other files of `/proc/PID` that are read.
const SMALL_LIMIT: u64 = 16 * 1024;

/// The processes below one `/proc`.
#[derive(Clone, Debug)]
pub struct Procs {
    root: PathBuf,
    /// Clock ticks per second of `/proc/PID/stat`.
    ticks: u64,
}

impl Procs {
    /// `root` is `/proc`, or a tree that looks like it.
    pub fn new(root: PathBuf) -> Self {
        Procs { root, ticks: rustix::param::clock_ticks_per_second().clamp(1, 1_000_000_000) }
    }

    /// Whether the process that now has this pid is the one of `key`. The kernel reports start
    /// times in clock ticks, so that is how they are compared.
    pub fn is_current(&self, key: ProcessKey) -> bool {
        let tick_ns = 1_000_000_000 / self.ticks;
        self.start_ticks(key.pid) == Some(key.start_ns / tick_ns)
    }

    fn start_ticks(&self, pid: u32) -> Option<u64> {
        start_ticks(&read::bounded(&self.file(pid, "stat"), SMALL_LIMIT).ok()?)
    }

    /// Path of the executable: without ` (deleted)`, and `memfd:NAME` for one that has no file.
    pub fn exe(&self, pid: u32) -> io::Result<String> {
        let link = std::fs::read_link(self.file(pid, "exe"))?;
        let text = String::from_utf8_lossy(link.as_os_str().as_bytes()).into_owned();
        let text = text.strip_suffix(" (deleted)").unwrap_or(&text);
        Ok(text.strip_prefix('/').filter(|t| t.starts_with("memfd:")).unwrap_or(text).to_owned())
    }

    /// Arguments, as far as they fit the limit.
    pub fn argv(&self, pid: u32) -> Vec<String> {
        read::bounded(&self.file(pid, "cmdline"), CMDLINE_LIMIT)
            .map(|bytes| super::cmdline::split(&bytes))
            .unwrap_or_default()
    }

    /// Its cgroups.
    pub fn cgroups(&self, pid: u32) -> io::Result<Cgroups> {
        read::bounded(&self.file(pid, "cgroup"), SMALL_LIMIT).map(|bytes| Cgroups::parse(&bytes))
    }

    fn file(&self, pid: u32, name: &str) -> PathBuf {
        self.root.join(pid.to_string()).join(name)
    }

    /// Where that is, for messages.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// Field 22 of `/proc/PID/stat`. The command name in field 2 may hold blanks and parentheses: what
/// follows its last `)` is field 3.
fn start_ticks(stat: &[u8]) -> Option<u64> {
    let after = stat.iter().rposition(|&b| b == b')')? + 1;
    let rest = std::str::from_utf8(stat.get(after..)?).ok()?;
    rest.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

/// `/proc/PID/cgroup`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cgroups {
    /// Path in the v2 hierarchy (line `0::PATH`).
    pub v2: Option<String>,
    /// Paths in v1 hierarchies, without doubles.
    pub v1: Vec<String>,
}

impl Cgroups {
    fn parse(bytes: &[u8]) -> Self {
        let mut found = Cgroups::default();
        for line in String::from_utf8_lossy(bytes).lines().take(64) {
            let mut fields = line.splitn(3, ':');
            let (Some(id), Some(_), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
                continue;
            };
            let path = path.strip_suffix(" (deleted)").unwrap_or(path);
            if id == "0" {
                found.v2 = Some(path.to_owned());
            } else if path != "/" && !found.v1.iter().any(|p| p == path) {
                found.v1.push(path.to_owned());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stat(comm: &str, ticks: u64) -> String {
        let middle = vec!["1"; 18].join(" ");
        format!("42 ({comm}) S {middle} {ticks} 5 6 7\n")
    }

    #[test]
    fn start_is_field_22_whatever_the_command_is_called() {
        for comm in ["a", "a b", "a) S 1 2 3", "(", ")) 9 9"] {
            assert_eq!(start_ticks(stat(comm, 1234).as_bytes()), Some(1234), "{comm}");
        }
        assert_eq!(start_ticks(b"42 (a) S 1"), None);
        assert_eq!(start_ticks(b""), None);
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("42")).unwrap();
        std::fs::write(dir.path().join("42/stat"), stat("x", 500)).unwrap();
        let procs = Procs::new(dir.path().to_owned());
        let tick = 1_000_000_000 / procs.ticks;
        // The kernel's nanoseconds are finer than the ticks it prints.
        assert!(procs.is_current(ProcessKey { pid: 42, start_ns: 500 * tick + tick - 1 }));
        assert!(!procs.is_current(ProcessKey { pid: 42, start_ns: 501 * tick }));
        assert!(!procs.is_current(ProcessKey { pid: 43, start_ns: 500 * tick }));
    }

    #[test]
    fn this_process_is_what_it_is() {
        let procs = Procs::new("/proc".into());
        let me = std::process::id();
        let expected = std::env::current_exe().unwrap();
        assert_eq!(procs.exe(me).unwrap(), expected.to_str().unwrap());
        assert_eq!(procs.argv(me)[0], std::env::args().next().unwrap());
    }

    #[test]
    fn exe_without_a_file_keeps_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let procs = Procs::new(dir.path().to_owned());
        let table = [
            ("/usr/bin/nginx", "/usr/bin/nginx"),
            ("/usr/bin/nginx (deleted)", "/usr/bin/nginx"),
            ("/memfd:runc (deleted)", "memfd:runc"),
        ];
        for (pid, (link, expected)) in table.into_iter().enumerate() {
            std::fs::create_dir(dir.path().join(pid.to_string())).unwrap();
            std::os::unix::fs::symlink(link, dir.path().join(pid.to_string()).join("exe")).unwrap();
            assert_eq!(procs.exe(pid as u32).unwrap(), expected);
        }
    }

    #[test]
    fn reads_both_cgroup_versions() {
        let found =
            Cgroups::parse(b"9:name=systemd:/a\n4:memory:/a\n3:cpu,cpuacct:/b:c\n2:x:/\n0::/u (deleted)\n");
        assert_eq!(found.v2.as_deref(), Some("/u"));
        assert_eq!(found.v1, ["/a", "/b:c"]);
        assert_eq!(Cgroups::parse(b"nonsense"), Cgroups::default());
    }

    proptest! {
        #[test]
        fn no_file_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = start_ticks(&bytes);
            let _ = Cgroups::parse(&bytes);
        }
    }
}
