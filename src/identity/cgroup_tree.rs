//! The cgroup v2 hierarchy as directories: where it is mounted, and the path of a cgroup id.
//!
//! A cgroup's id is the inode number of its directory. On 64-bit kernels such ids are not used
//! twice within a boot, so what was found once stays true after the directory is gone.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::read;

/// Directories that one walk visits at most.
const MAX_DIRS: usize = 65_536;
/// Vanished cgroups that are remembered.
const MAX_GONE: usize = 8_192;
/// Walks are at least this far apart.
const WALK_INTERVAL: Duration = Duration::from_millis(500);
/// Bytes of mountinfo that are read.
const MOUNTINFO_LIMIT: u64 = 4 << 20;

/// Why there is no cgroup v2 mount.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// mountinfo could not be read.
    #[error("cannot read {0}: {1}")]
    Unreadable(PathBuf, std::io::Error),
    /// No such file system is mounted.
    #[error(
        "no cgroup v2 file system is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup/unified \
         (create the directory first), or boot with systemd.unified_cgroup_hierarchy=1"
    )]
    None,
}

/// Where cgroup v2 is mounted: `/sys/fs/cgroup`, or `/sys/fs/cgroup/unified` beside v1.
pub fn cgroup2_mount() -> Result<PathBuf, MountError> {
    let path = Path::new("/proc/self/mountinfo");
    let bytes =
        read::bounded(path, MOUNTINFO_LIMIT).map_err(|e| MountError::Unreadable(path.to_owned(), e))?;
    find_mount(&String::from_utf8_lossy(&bytes)).ok_or(MountError::None)
}

/// The mount point of the first cgroup2 mount of the hierarchy's root, else of the first one
/// (proc_pid_mountinfo(5)).
fn find_mount(mountinfo: &str) -> Option<PathBuf> {
    let mut fallback = None;
    for line in mountinfo.lines() {
        let Some((mount, fs)) = line.split_once(" - ") else { continue };
        if fs.split(' ').next() != Some("cgroup2") {
            continue;
        }
        let mut fields = mount.split(' ').skip(3);
        let (Some(root), Some(point)) = (fields.next(), fields.next()) else { continue };
        let point = PathBuf::from(unescape_octal(point));
        if root == "/" {
            return Some(point);
        }
        fallback.get_or_insert(point);
    }
    fallback
}

/// Blank, tab, newline and backslash are octal escapes in mountinfo.
fn unescape_octal(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(field.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

/// One directory of the hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dir {
    /// Path below the mount, `/` for its root.
    pub path: Arc<str>,
    /// cgroup id.
    pub id: u64,
}

/// Every directory of the hierarchy at `mount`, parents before children, up to a bound. Names that
/// are not UTF-8 are left out with what is below them.
pub fn walk(mount: &Path) -> Vec<Dir> {
    let Ok(meta) = fs::metadata(mount) else { return Vec::new() };
    let mut dirs = vec![Dir { path: "/".into(), id: meta.ino() }];
    let mut next = 0;
    while let Some(dir) = dirs.get(next).cloned() {
        next += 1;
        let Ok(entries) = fs::read_dir(mount.join(dir.path.trim_start_matches('/'))) else { continue };
        for entry in entries.flatten() {
            // The type comes with the entry: symbolic links are not followed.
            if !entry.file_type().is_ok_and(|t| t.is_dir()) {
                continue;
            }
            if dirs.len() >= MAX_DIRS {
                return dirs;
            }
            if let Some(name) = entry.file_name().to_str() {
                let path = format!("{}/{name}", dir.path.trim_end_matches('/')).into();
                dirs.push(Dir { path, id: entry.ino() });
            }
        }
    }
    dirs
}

/// What is known of a cgroup id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Its path.
    Path(Arc<str>),
    /// No directory has it.
    Absent,
    /// Not known, and the last walk is too fresh to walk again: ask after this time.
    Later(Instant),
}

/// Paths of cgroup ids: known ones from memory, others by a walk, not more often than bearable.
#[derive(Debug)]
pub struct CgroupPaths {
    mount: PathBuf,
    live: HashMap<u64, Arc<str>>,
    gone: HashMap<u64, Arc<str>>,
    gone_order: VecDeque<u64>,
    last_walk: Option<Instant>,
}

impl CgroupPaths {
    /// Paths below `mount`.
    pub fn new(mount: PathBuf) -> Self {
        CgroupPaths {
            mount,
            live: HashMap::new(),
            gone: HashMap::new(),
            gone_order: VecDeque::new(),
            last_walk: None,
        }
    }

    /// The path of `id`, first asked for at `asked`: a walk since then settles it.
    pub fn find(&mut self, id: u64, asked: Instant, now: Instant) -> Found {
        if let Some(path) = self.known(id) {
            return Found::Path(path);
        }
        if let Some(last) = self.last_walk {
            if last > asked {
                return Found::Absent;
            }
            if now < last + WALK_INTERVAL {
                return Found::Later(last + WALK_INTERVAL);
            }
        }
        self.last_walk = Some(now);
        self.replace(walk(&self.mount));
        self.known(id).map_or(Found::Absent, Found::Path)
    }

    /// Takes note of `path`, where a process was said to be, if that directory has the id `id`.
    pub fn hint(&mut self, id: u64, path: &str) {
        if self.known(id).is_some() || path.split('/').any(|c| c == "..") {
            return;
        }
        let dir = self.mount.join(path.trim_start_matches('/'));
        if self.live.len() < MAX_DIRS && fs::symlink_metadata(dir).is_ok_and(|m| m.is_dir() && m.ino() == id)
        {
            self.live.insert(id, path.into());
        }
    }

    fn known(&self, id: u64) -> Option<Arc<str>> {
        self.live.get(&id).or_else(|| self.gone.get(&id)).cloned()
    }

    fn replace(&mut self, dirs: Vec<Dir>) {
        let live = dirs.into_iter().map(|d| (d.id, d.path)).collect();
        let before = std::mem::replace(&mut self.live, live);
        for (id, path) in before {
            if !self.live.contains_key(&id) && self.gone.insert(id, path).is_none() {
                self.gone_order.push_back(id);
            }
        }
        while self.gone_order.len() > MAX_GONE {
            if let Some(id) = self.gone_order.pop_front() {
                self.gone.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(path: &Path) -> u64 {
        fs::metadata(path).unwrap().ino()
    }

    #[test]
    fn finds_the_mount_in_every_mode() {
        let hybrid = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw\n\
                      32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw shared:1 - cgroup2 cgroup2 rw\n";
        assert_eq!(find_mount(hybrid), Some("/sys/fs/cgroup/unified".into()));
        let v2 = "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(find_mount(v2), Some("/sys/fs/cgroup".into()));
        let bound = "35 24 0:30 /docker /mnt/x rw - cgroup2 c rw\n36 24 0:30 / /a\\040b rw - cgroup2 c rw\n";
        assert_eq!(find_mount(bound), Some("/a b".into()), "the root of the hierarchy before a part of it");
        assert_eq!(find_mount("garbage\n - cgroup2\n"), None);
    }

    #[test]
    fn finds_new_ones_and_keeps_those_that_vanished() {
        let dir = tempfile::tempdir().unwrap();
        let a = dir.path().join("shop/a");
        fs::create_dir_all(&a).unwrap();
        let a_id = id(&a);
        let mut paths = CgroupPaths::new(dir.path().to_owned());
        let t0 = Instant::now();
        assert_eq!(paths.find(a_id, t0, t0), Found::Path("/shop/a".into()));
        assert_eq!(paths.find(id(dir.path()), t0, t0), Found::Path("/".into()));

        let b = dir.path().join("shop/b");
        fs::create_dir(&b).unwrap();
        let b_id = id(&b);
        assert_eq!(paths.find(b_id, t0, t0), Found::Later(t0 + WALK_INTERVAL), "walks are rationed");
        // Kept open, so that the file system cannot give its inode number to another directory.
        let _held = fs::File::open(&a).unwrap();
        fs::remove_dir(&a).unwrap();
        let t1 = t0 + WALK_INTERVAL;
        assert_eq!(paths.find(b_id, t1, t1), Found::Path("/shop/b".into()));
        assert_eq!(paths.find(a_id, t1, t1), Found::Path("/shop/a".into()), "known although gone");
        assert_eq!(paths.find(u64::MAX, t1 + WALK_INTERVAL, t1 + WALK_INTERVAL), Found::Absent);
    }

    #[test]
    fn a_hint_is_believed_only_where_the_inode_agrees() {
        let dir = tempfile::tempdir().unwrap();
        let a = dir.path().join("a");
        fs::create_dir(&a).unwrap();
        let mut paths = CgroupPaths::new(dir.path().to_owned());
        let t0 = Instant::now();
        assert_eq!(paths.find(1, t0, t0), Found::Absent);
        let b = dir.path().join("b");
        fs::create_dir(&b).unwrap();
        paths.hint(id(&b), "/a");
        paths.hint(id(&b), "/../b");
        assert!(matches!(paths.find(id(&b), t0, t0), Found::Later(_)));
        paths.hint(id(&b), "/b");
        assert_eq!(paths.find(id(&b), t0, t0), Found::Path("/b".into()));
    }

    proptest! {
        #[test]
        fn no_mountinfo_panics(text in "[ a-z/\\\\0-9\\-\n]{0,200}") {
            let _ = find_mount(&text);
        }
    }
}
