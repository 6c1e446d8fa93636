//! Which sockets are looked at.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::PathBuf;

/// cgroups below the given ones that are taken in.
const MAX_CGROUPS: usize = 65_536;

/// Which sockets are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SockDiagScope {
    /// All of this network namespace.
    Host,
    /// Those made in these cgroup v2 directories or below. The kernel says in which since Linux 5.8.
    Cgroups(Vec<PathBuf>),
    /// Those held by these processes: needs no privilege and no cgroup of one's own.
    Pids(Vec<u32>),
}

/// The cgroups in scope at one moment.
#[derive(Debug)]
pub(super) struct Members {
    /// Ids; `None` = any.
    ids: Option<HashSet<u64>>,
    /// Whether all of them could be listed.
    pub(super) complete: bool,
}

impl Members {
    /// Whether a socket that was made in the cgroup `id` can be in scope.
    pub(super) fn may_hold(&self, id: u64) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(&id))
    }
}

impl SockDiagScope {
    pub(super) fn pids(&self) -> Option<&[u32]> {
        match self {
            SockDiagScope::Pids(pids) => Some(pids),
            SockDiagScope::Host | SockDiagScope::Cgroups(_) => None,
        }
    }

    pub(super) fn members(&self) -> Members {
        match self {
            SockDiagScope::Host | SockDiagScope::Pids(_) => Members { ids: None, complete: true },
            SockDiagScope::Cgroups(roots) => subtree_ids(roots),
        }
    }
}

/// Inode numbers of `roots` and of all directories below. A root that is gone holds nothing.
fn subtree_ids(roots: &[PathBuf]) -> Members {
    let mut ids = HashSet::new();
    let mut todo = Vec::new();
    for root in roots {
        if let Ok(meta) = fs::metadata(root) {
            ids.insert(meta.ino());
            todo.push(root.clone());
        }
    }
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|t| t.is_dir()) || !ids.insert(entry.ino()) {
                continue;
            }
            if ids.len() >= MAX_CGROUPS {
                return Members { ids: Some(ids), complete: false };
            }
            todo.push(entry.path());
        }
    }
    Members { ids: Some(ids), complete: true }
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
        let members = SockDiagScope::Cgroups(roots).members();
        assert!(members.may_hold(shop) && members.may_hold(cart));
        assert!(!members.may_hold(beside) && !members.may_hold(0));
        assert!(SockDiagScope::Host.members().may_hold(0));
    }
}
