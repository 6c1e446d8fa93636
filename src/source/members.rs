//! Whose sockets are looked at, and which processes can hold them.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

/// cgroups below the given ones that are taken in.
const MAX_CGROUPS: usize = 65_536;
/// Bytes of one `cgroup.procs` that are read.
const PROCS_LIMIT: u64 = 1 << 20;

/// Whose sockets are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Among {
    /// All of this network namespace.
    Host,
    /// Those made in these cgroup v2 directories or below (the kernel says in which since Linux
    /// 5.8). Of one that was handed to a process elsewhere the process is not known.
    Cgroups(Vec<PathBuf>),
    /// Those held by these processes: needs no privilege and no cgroup of one's own.
    Pids(Vec<u32>),
}

/// The cgroups in scope at one moment.
#[derive(Debug)]
pub(in crate::source) struct Members {
    /// Ids; `None` = any.
    ids: Option<HashSet<u64>>,
    /// Processes that can hold sockets in scope; `None` = any.
    pub(in crate::source) pids: Option<Vec<u32>>,
    /// Whether all of them could be listed.
    pub(in crate::source) complete: bool,
}

impl Members {
    /// Whether a socket that was made in the cgroup `id` can be in scope.
    pub(in crate::source) fn may_hold(&self, id: u64) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(&id))
    }
}

impl Among {
    pub(in crate::source) fn members(&self) -> Members {
        match self {
            Among::Host => Members { ids: None, pids: None, complete: true },
            Among::Pids(pids) => Members { ids: None, pids: Some(pids.clone()), complete: true },
            Among::Cgroups(roots) => subtree(roots),
        }
    }
}

/// `roots` and all directories below, with their processes. A root that is gone holds nothing.
fn subtree(roots: &[PathBuf]) -> Members {
    let mut ids = HashSet::new();
    let mut pids = Vec::new();
    let mut complete = true;
    let mut todo = Vec::new();
    for root in roots {
        if let Ok(meta) = fs::metadata(root) {
            ids.insert(meta.ino());
            todo.push(root.clone());
        }
    }
    while let Some(dir) = todo.pop() {
        pids.extend(processes(&dir));
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|t| t.is_dir()) || ids.contains(&entry.ino()) {
                continue;
            }
            if ids.len() < MAX_CGROUPS {
                ids.insert(entry.ino());
                todo.push(entry.path());
            } else {
                complete = false;
            }
        }
    }
    Members { ids: Some(ids), pids: Some(pids), complete }
}

/// The processes in one cgroup.
fn processes(dir: &Path) -> Vec<u32> {
    let mut text = String::new();
    let file = File::open(dir.join("cgroup.procs"));
    // A threaded cgroup does not list processes: its domain above does.
    let _ = file.and_then(|file| file.take(PROCS_LIMIT).read_to_string(&mut text));
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_in_what_is_below_and_nothing_beside() {
        let dir = tempfile::tempdir().unwrap();
        let id = |path: &str| {
            fs::create_dir_all(dir.path().join(path)).unwrap();
            fs::metadata(dir.path().join(path)).unwrap().ino()
        };
        let (shop, cart, beside) = (id("shop"), id("shop/a/cart"), id("shopping"));
        let roots = vec![dir.path().join("shop"), dir.path().join("shop/a"), dir.path().join("gone")];
        fs::write(dir.path().join("shop/a/cart/cgroup.procs"), "12\n0\n7\n").unwrap();
        fs::write(dir.path().join("shopping/cgroup.procs"), "99\n").unwrap();
        let members = Among::Cgroups(roots).members();
        assert_eq!(members.pids.as_deref(), Some(&[12, 0, 7][..]));
        assert!(members.may_hold(shop) && members.may_hold(cart));
        assert!(!members.may_hold(beside) && !members.may_hold(0));
        assert!(Among::Host.members().may_hold(0));
    }
}
