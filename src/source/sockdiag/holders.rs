//! Which process holds a socket: the inodes of `/proc/PID/fd`, as far as they may be read.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::model::ProcessKey;
use crate::track::Comm;

/// Processes, and open files of one, that a pass looks at.
const MAX_PROCESSES: usize = 65_536;
const MAX_FILES: usize = 1 << 20;

/// A process that holds a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) key: ProcessKey,
    pub(super) comm: Comm,
}

/// Looks for the holders of the sockets that `wanted` accepts, among `pids` or, without them, among
/// all processes. `current` is what was known: it stays where it is still true; otherwise the
/// process that started last is the holder, which of several that share a socket is more likely the
/// one that uses it (a service of systemd's socket, a worker of a server).
pub(super) fn find(
    proc_root: &Path,
    pids: Option<&[u32]>,
    current: &HashMap<u32, Holder>,
    wanted: impl Fn(u32) -> bool,
) -> HashMap<u32, Holder> {
    let mut found: HashMap<u32, Holder> = HashMap::new();
    let mut visit = |pid: u32| {
        let mut holder = None;
        for inode in socket_inodes(proc_root, pid).filter(|inode| wanted(*inode)) {
            let Some(holder) = *holder.get_or_insert_with(|| read_process(proc_root, pid)) else { return };
            let better = found.get(&inode).is_none_or(|other| {
                let kept = |h: &Holder| current.get(&inode).is_some_and(|c| c.key == h.key);
                !kept(other) && (kept(&holder) || holder.key.start_ns >= other.key.start_ns)
            });
            if better {
                found.insert(inode, holder);
            }
        }
    };
    match pids {
        Some(pids) => pids.iter().take(MAX_PROCESSES).for_each(|pid| visit(*pid)),
        None => all_pids(proc_root).take(MAX_PROCESSES).for_each(visit),
    }
    found
}

fn all_pids(proc_root: &Path) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(proc_root).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn socket_inodes(proc_root: &Path, pid: u32) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(proc_root.join(pid.to_string()).join("fd")).into_iter().flatten().flatten();
    entries.take(MAX_FILES).filter_map(|entry| {
        let link = fs::read_link(entry.path()).ok()?;
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    })
}

/// Start time and command name of a process, from `/proc/PID/stat` (proc_pid_stat(5)).
fn read_process(proc_root: &Path, pid: u32) -> Option<Holder> {
    let mut stat = Vec::new();
    let file = File::open(proc_root.join(pid.to_string()).join("stat")).ok()?;
    file.take(4096).read_to_end(&mut stat).ok()?;
    parse_stat(pid, &stat, rustix::param::clock_ticks_per_second())
}

fn parse_stat(pid: u32, stat: &[u8], ticks_per_second: u64) -> Option<Holder> {
    // The command name stands in parentheses and may hold some itself.
    let open = stat.iter().position(|&b| b == b'(')? + 1;
    let close = stat.iter().rposition(|&b| b == b')')?;
    let name = stat.get(open..close)?;
    let rest = std::str::from_utf8(stat.get(close + 1..)?).ok()?;
    let ticks: u64 = rest.split_ascii_whitespace().nth(22 - 3)?.parse().ok()?;
    let start_ns = ticks.checked_mul(1_000_000_000u64.checked_div(ticks_per_second)?)?;
    let mut comm = Comm::default();
    let length = name.len().min(comm.0.len() - 1);
    comm.0[..length].copy_from_slice(&name[..length]);
    Some(Holder { key: ProcessKey { pid, start_ns }, comm })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::symlink;

    fn process(root: &Path, pid: u32, start: u64, inodes: &[u32]) {
        let dir = root.join(pid.to_string());
        fs::create_dir_all(dir.join("fd")).unwrap();
        fs::write(dir.join("stat"), format!("{pid} (a) b) S {}{start} 0\n", "0 ".repeat(18))).unwrap();
        symlink("/dev/null", dir.join("fd/0")).unwrap();
        for (fd, inode) in inodes.iter().enumerate() {
            symlink(format!("socket:[{inode}]"), dir.join(format!("fd/{}", fd + 1))).unwrap();
        }
    }

    #[test]
    fn of_several_the_last_started_unless_one_is_known() {
        let dir = tempfile::tempdir().unwrap();
        process(dir.path(), 10, 100, &[1, 2, 3]);
        process(dir.path(), 11, 300, &[2]);
        process(dir.path(), 12, 200, &[2]);
        fs::create_dir(dir.path().join("self")).unwrap();
        let found = find(dir.path(), None, &HashMap::new(), |inode| inode != 3);
        let pids = |m: &HashMap<u32, Holder>| {
            let mut all: Vec<_> = m.iter().map(|(inode, h)| (*inode, h.key.pid)).collect();
            all.sort_unstable();
            all
        };
        assert_eq!(pids(&found), [(1, 10), (2, 11)]);
        assert_eq!(found[&1].comm.to_text(), "a) b");
        let known = HashMap::from([(2, Holder { key: found[&1].key, comm: found[&1].comm })]);
        assert_eq!(pids(&find(dir.path(), None, &known, |_| true)), [(1, 10), (2, 10), (3, 10)]);
        assert_eq!(pids(&find(dir.path(), Some(&[12, 99]), &known, |_| true)), [(2, 12)]);
    }

    proptest! {
        #[test]
        fn no_stat_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), ticks in 0u64..3) {
            let _ = parse_stat(1, &bytes, ticks);
        }
    }
}
