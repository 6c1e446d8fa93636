//! Watched cgroups that come and go: a path that vanished is watched again when it returns.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::identity::ScopeRoot;
use crate::model::{BootNs, Hook, HookState};

/// One watched path.
#[derive(Debug)]
struct Watched {
    root: ScopeRoot,
    gone_since: Option<BootNs>,
}

/// What changed since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// The set of ids is another one.
    pub any: bool,
    /// Directories that returned, and need their programs attached.
    pub returned: Vec<PathBuf>,
    /// Paths that have just vanished.
    pub vanished: u64,
}

/// The watched paths.
#[derive(Debug)]
pub(super) struct Scopes {
    mount: Option<PathBuf>,
    watched: Vec<Watched>,
}

impl Scopes {
    pub(super) fn new(mount: Option<PathBuf>, roots: Vec<ScopeRoot>) -> Self {
        Scopes { mount, watched: roots.into_iter().map(|root| Watched { root, gone_since: None }).collect() }
    }

    /// The directory of a path below the mount.
    fn dir(&self, path: &str) -> Option<PathBuf> {
        Some(self.mount.as_ref()?.join(path.trim_start_matches('/')))
    }

    /// Looks at every path: one `stat` each.
    pub(super) fn look(&mut self, now: BootNs) -> Changes {
        let mut changes = Changes::default();
        for i in 0..self.watched.len() {
            let Some(dir) = self.dir(&self.watched[i].root.path) else { continue };
            let inode = std::fs::metadata(&dir).ok().map(|m| m.ino());
            let w = &mut self.watched[i];
            match (inode, w.gone_since) {
                (None, None) => {
                    w.gone_since = Some(now);
                    changes.any = true;
                    changes.vanished += 1;
                }
                (Some(id), gone) if gone.is_some() || id != w.root.id => {
                    w.root.id = id;
                    w.gone_since = None;
                    changes.any = true;
                    changes.returned.push(dir);
                }
                _ => {}
            }
        }
        changes
    }

    /// The paths that are there now.
    pub(super) fn present(&self) -> Vec<&ScopeRoot> {
        self.watched.iter().filter(|w| w.gone_since.is_none()).map(|w| &w.root).collect()
    }

    /// Paths, for the status.
    pub(super) fn paths(&self) -> Vec<String> {
        self.watched.iter().map(|w| w.root.path.clone()).collect()
    }

    /// A row for each path that is gone.
    pub(super) fn hooks(&self, now: BootNs) -> Vec<Hook> {
        let gone = self.watched.iter().filter_map(|w| w.gone_since.map(|since| (w, since)));
        gone.map(|(w, since)| Hook {
            datum: format!("cgroup {}", w.root.path),
            hook: "scope".to_owned(),
            state: HookState::Off(format!(
                "the directory is gone, for {} s now",
                now.since(since) / 1_000_000_000
            )),
            without: "nothing of it is seen until it returns".to_owned(),
            advice: "it is watched again as soon as it is made again".to_owned(),
            essential: false,
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_returns_has_a_new_id_and_is_attached_again() {
        let mount = tempfile::tempdir().unwrap();
        let dir = mount.path().join("a");
        std::fs::create_dir(&dir).unwrap();
        let id = std::fs::metadata(&dir).unwrap().ino();
        let root = ScopeRoot { path: "/a".to_owned(), id, level: 1 };
        let mut scopes = Scopes::new(Some(mount.path().to_owned()), vec![root]);
        assert_eq!(scopes.look(BootNs(1)), Changes::default());
        std::fs::remove_dir(&dir).unwrap();
        assert_eq!(scopes.look(BootNs(2)), Changes { any: true, vanished: 1, ..Changes::default() });
        assert!(scopes.present().is_empty());
        assert_eq!(scopes.hooks(BootNs(3_000_000_002)).len(), 1);
        assert_eq!(scopes.look(BootNs(4)), Changes::default());
        std::fs::create_dir(&dir).unwrap();
        assert_eq!(scopes.look(BootNs(5)), Changes { any: true, returned: vec![dir], ..Changes::default() });
        assert_eq!(scopes.present().len(), 1);
    }
}
