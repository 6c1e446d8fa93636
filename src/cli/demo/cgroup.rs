//! The demo's cgroups (v2): one for the shop, one below it for each service.
//!
//! No controller is enabled, so the "no internal processes" rule does not bite, and nothing that
//! runs elsewhere is touched. Only directories made here are removed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::handshake::wait_for;

/// Names tried before giving up: `webb-demo-PID`, then with `-2`, ...: a process may run several
/// shops, and containers that share a cgroup tree repeat pids.
const NAMES_TRIED: u32 = 16;

/// The shop's cgroup and those below it.
#[derive(Debug)]
pub struct Tree {
    path: PathBuf,
    children: &'static [&'static str],
}

impl Tree {
    /// Makes `webb-demo-PID` and its children below this process's own cgroup when it may move
    /// processes there, else below the root of the mount. Leaves nothing behind on error; the
    /// error is a sentence.
    pub fn make(pid: u32, children: &'static [&'static str]) -> Result<Tree, String> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")
            .map_err(|error| format!("cannot read /proc/self/mountinfo: {error}"))?;
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let bases = bases(&mounts, &own);
        let mut why = "no cgroup v2 is mounted".to_owned();
        for base in bases {
            match Tree::make_in(&base, pid, children) {
                Ok(tree) => return Ok(tree),
                Err(error) => why = format!("cannot make a cgroup in {}: {error}", base.display()),
            }
        }
        Err(why)
    }

    /// The tree another process made at `path`.
    pub fn existing(path: PathBuf, children: &'static [&'static str]) -> Tree {
        Tree { path, children }
    }

    /// The directory of the shop's cgroup.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn make_in(base: &Path, pid: u32, children: &'static [&'static str]) -> io::Result<Tree> {
        // Moving a process needs this of the nearest common ancestor, which is the base.
        OpenOptions::new().write(true).open(base.join("cgroup.procs"))?;
        for n in 1..=NAMES_TRIED {
            let name = if n == 1 { format!("webb-demo-{pid}") } else { format!("webb-demo-{pid}-{n}") };
            let tree = Tree { path: base.join(name), children };
            match fs::create_dir(&tree.path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            return match tree.fill() {
                Ok(()) => Ok(tree),
                Err(error) => {
                    tree.remove()?;
                    Err(error)
                }
            };
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    fn fill(&self) -> io::Result<()> {
        // Below a threaded cgroup it would say "domain invalid" and take no processes.
        if fs::read_to_string(self.path.join("cgroup.type"))?.trim() != "domain" {
            return Err(ErrorKind::Unsupported.into());
        }
        self.children.iter().try_for_each(|child| fs::create_dir(self.path.join(child)))
    }

    /// Removes the cgroups once they are empty; those already gone are no error.
    ///
    /// # Errors
    /// `ResourceBusy` when a process is still inside.
    pub fn remove(&self) -> io::Result<()> {
        let gone = |result: io::Result<()>| match result {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        };
        for child in self.children {
            gone(fs::remove_dir(self.path.join(child)))?;
        }
        gone(fs::remove_dir(&self.path))
    }

    /// Waits until no process is inside.
    ///
    /// # Errors
    /// `TimedOut` after `patience`.
    pub fn wait_empty(&self, patience: Duration) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let events = match File::open(self.path.join("cgroup.events")) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                opened => opened?,
            };
            if io::read_to_string(&events)?.lines().any(|line| line == "populated 0") {
                return Ok(());
            }
            // Wakes on any change after the read above.
            wait_for(&events, PollFlags::PRI, deadline)?;
        }
    }

    /// Kills what is inside the services' cgroups (Linux 5.14).
    pub fn kill(&self) {
        for child in self.children {
            // Absent on older kernels: then the caller's removal fails and says so.
            let _ = OpenOptions::new()
                .write(true)
                .open(self.path.join(child).join("cgroup.kill"))
                .and_then(|mut file| io::Write::write_all(&mut file, b"1"));
        }
    }
}

/// Moves a process into the cgroup at `path`.
pub fn place(path: &Path, pid: u32) -> io::Result<()> {
    fs::write(path.join("cgroup.procs"), pid.to_string())
}

/// Where to try: our own cgroup in each cgroup2 mount, then the roots of the mounts.
fn bases(mountinfo: &str, own: &str) -> Vec<PathBuf> {
    let own = own.lines().find_map(|line| line.strip_prefix("0::")).map(Path::new);
    let mut below = Vec::new();
    let mut roots = Vec::new();
    for line in mountinfo.lines() {
        let Some((mount, filesystem)) = line.split_once(" - ") else { continue };
        if filesystem.split(' ').next() != Some("cgroup2") {
            continue;
        }
        let mut fields = mount.split(' ').skip(3);
        let (Some(root), Some(point)) = (fields.next(), fields.next()) else { continue };
        let point = PathBuf::from(unescape(point));
        let inside = own.and_then(|own| own.strip_prefix(unescape(root)).ok());
        if let Some(inside) = inside.filter(|path| !path.as_os_str().is_empty()) {
            below.push(point.join(inside));
        }
        roots.push(point);
    }
    below.append(&mut roots);
    below
}

/// mountinfo writes space, tab, newline and backslash as `\ooo`.
fn unescape(field: &str) -> String {
    let mut out = field.to_owned();
    for (escaped, plain) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        out = out.replace(escaped, plain);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
        32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";

    fn paths(mountinfo: &str, own: &str) -> Vec<String> {
        bases(mountinfo, own).into_iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn finds_the_unified_mount_and_our_own_cgroup() {
        assert_eq!(paths(HYBRID, "4:memory:/x\n0::/\n"), ["/sys/fs/cgroup/unified"]);
        assert_eq!(
            paths(HYBRID, "0::/user.slice/a.scope\n"),
            ["/sys/fs/cgroup/unified/user.slice/a.scope", "/sys/fs/cgroup/unified"]
        );
        assert_eq!(paths(HYBRID, ""), ["/sys/fs/cgroup/unified"]);
    }

    #[test]
    fn a_mount_of_a_subtree_shows_only_what_is_below() {
        let mounts = "9 8 0:1 /docker/ab /my\\040cg rw - cgroup2 cgroup2 rw\n";
        assert_eq!(paths(mounts, "0::/docker/ab/c\n"), ["/my cg/c", "/my cg"]);
        assert_eq!(paths(mounts, "0::/elsewhere\n"), ["/my cg"]);
    }

    #[test]
    fn garbage_is_no_mount() {
        assert!(paths("", "").is_empty());
        assert!(paths("1 2 3 - cgroup2\n - cgroup2 x\nx - cgroup2 cgroup2 rw\n", "0::\n").is_empty());
    }
}
