//! What a person names as the scope, found in the cgroup v2 hierarchy: `--cgroup`, `--unit`,
//! `--container`, `--pid`.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::cgroup_path::{container_at, unescape};
use super::cgroup_tree::{Dir, walk};
use super::container::{ContainerNames, RuntimeRoots};
use super::process::Procs;

/// A scope as given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeSpec {
    /// A cgroup directory, or its path below the mount.
    Cgroup(String),
    /// A systemd unit; `.service` may be left out.
    Unit(String),
    /// Name of a container, or the beginning of its id.
    Container(String),
    /// The cgroup of a process.
    Pid(u32),
}

/// A cgroup whose subtree is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeRoot {
    /// Path below the mount; `/` for its root.
    pub path: String,
    /// cgroup id: inode of the directory.
    pub id: u64,
    /// Depth below the mount; 0 for its root. Inside a cgroup namespace the kernel's own levels
    /// are higher by the depth of the namespace's root.
    pub level: u32,
}

/// Why a scope was not found. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    /// No such directory.
    #[error("no cgroup {0} below {1}; `systemd-cgls` or `find {1} -type d` lists what there is")]
    NoCgroup(String, PathBuf),
    /// A path outside of the v2 mount.
    #[error("{0} is not a cgroup v2 directory; give a path below {1}")]
    NotBelowMount(String, PathBuf),
    /// No unit.
    #[error("no running unit {0} has a cgroup below {1}; `systemctl status {0}` says whether it runs")]
    NoUnit(String, PathBuf),
    /// No container.
    #[error(
        "no running container has the name {0}, or an id that begins so, in a cgroup below {1}; \
         `docker ps`, `podman ps` or `crictl ps` list containers (those whose runtime uses cgroup v1 \
         cannot be watched alone)"
    )]
    NoContainer(String, PathBuf),
    /// More than one fits.
    #[error("{0} fits more than one: {1}; give one of them with --cgroup")]
    Ambiguous(String, String),
    /// No such process, or its cgroup cannot be read.
    #[error("cannot read the cgroup of process {0}: {1}; is the pid right?")]
    NoProcess(u32, std::io::Error),
    /// The process is in no cgroup of its own.
    #[error(
        "process {0} is in the root cgroup, which is the whole host; move it to a cgroup of its own \
         (`systemd-run --scope COMMAND`), or leave --pid out to watch everything"
    )]
    PidInRoot(u32),
}

/// Finds `spec` in the hierarchy at `mount`.
pub fn resolve_scope(
    mount: &Path,
    proc_root: &Path,
    runtimes: &RuntimeRoots,
    spec: &ScopeSpec,
) -> Result<ScopeRoot, ScopeError> {
    match spec {
        ScopeSpec::Cgroup(path) => by_path(mount, path),
        ScopeSpec::Unit(name) => by_unit(mount, name),
        ScopeSpec::Container(name) => by_container(mount, runtimes, name),
        ScopeSpec::Pid(pid) => by_pid(mount, proc_root, *pid),
    }
}

fn by_path(mount: &Path, given: &str) -> Result<ScopeRoot, ScopeError> {
    let absent = || ScopeError::NoCgroup(given.to_owned(), mount.to_owned());
    let path = Path::new(given);
    // An absolute path is either that of a directory or one as /proc/PID/cgroup writes it.
    let below = mount.join(given.trim_start_matches('/'));
    let real_mount = mount.canonicalize().map_err(|_| absent())?;
    let mut outside = false;
    for candidate in [path.is_absolute().then_some(path), Some(below.as_path())].into_iter().flatten() {
        let Ok(real) = candidate.canonicalize() else { continue };
        let Ok(relative) = real.strip_prefix(&real_mount) else {
            outside = true;
            continue;
        };
        if let (true, Some(relative)) = (real.is_dir(), relative.to_str()) {
            return root_at(mount, &format!("/{relative}")).ok_or_else(absent);
        }
    }
    Err(if outside { ScopeError::NotBelowMount(given.to_owned(), mount.to_owned()) } else { absent() })
}

fn root_at(mount: &Path, path: &str) -> Option<ScopeRoot> {
    let meta = std::fs::metadata(mount.join(path.trim_start_matches('/'))).ok()?;
    meta.is_dir().then(|| ScopeRoot { path: path.to_owned(), id: meta.ino(), level: level(path) })
}

fn level(path: &str) -> u32 {
    path.split('/').filter(|c| !c.is_empty()).count() as u32
}

fn by_unit(mount: &Path, name: &str) -> Result<ScopeRoot, ScopeError> {
    let kinds = [".service", ".scope", ".slice", ".mount", ".swap", ".socket"];
    let wanted =
        if kinds.iter().any(|k| name.ends_with(k)) { name.to_owned() } else { format!("{name}.service") };
    let found = walk(mount).into_iter().filter(|dir| {
        let leaf = dir.path.rsplit('/').next().unwrap_or("");
        !leaf.is_empty() && (leaf == wanted || unescape(leaf) == wanted)
    });
    only(found.collect(), name)?.ok_or_else(|| ScopeError::NoUnit(wanted, mount.to_owned()))
}

fn by_container(mount: &Path, runtimes: &RuntimeRoots, wanted: &str) -> Result<ScopeRoot, ScopeError> {
    let mut names = ContainerNames::new(runtimes.clone());
    let absent = || ScopeError::NoContainer(wanted.to_owned(), mount.to_owned());
    if wanted.is_empty() {
        return Err(absent());
    }
    let mut by_name = Vec::new();
    let mut by_id = Vec::new();
    for dir in walk(mount) {
        let Some(container) = container_at(&dir.path) else { continue };
        let name = names.name(&container).name;
        let in_pod = name.rsplit_once('/').is_some_and(|(_, container)| container == wanted);
        if name == wanted || in_pod {
            by_name.push(dir);
        } else if container.id.starts_with(wanted) {
            by_id.push(dir);
        }
    }
    // As with the runtimes' own commands, a name beats the beginning of an id.
    let found = if by_name.is_empty() { by_id } else { by_name };
    only(found, wanted)?.ok_or_else(absent)
}

/// The one directory of `found`; of several the one that is above all others.
fn only(found: Vec<Dir>, wanted: &str) -> Result<Option<ScopeRoot>, ScopeError> {
    let Some(top) = found.iter().min_by_key(|dir| level(&dir.path)) else { return Ok(None) };
    let below_top = |dir: &Dir| {
        dir.path == top.path || dir.path.strip_prefix(&*top.path).is_some_and(|r| r.starts_with('/'))
    };
    if !found.iter().all(below_top) {
        let list: Vec<&str> = found.iter().take(8).map(|dir| &*dir.path).collect();
        return Err(ScopeError::Ambiguous(wanted.to_owned(), list.join(", ")));
    }
    Ok(Some(ScopeRoot { path: top.path.to_string(), id: top.id, level: level(&top.path) }))
}

fn by_pid(mount: &Path, proc_root: &Path, pid: u32) -> Result<ScopeRoot, ScopeError> {
    let cgroups = Procs::new(proc_root.to_owned()).cgroups(pid).map_err(|e| ScopeError::NoProcess(pid, e))?;
    match cgroups.v2.as_deref() {
        None | Some("/") => Err(ScopeError::PidInRoot(pid)),
        Some(path) => {
            root_at(mount, path).ok_or_else(|| ScopeError::NoCgroup(path.to_owned(), mount.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1";
    const B: &str = "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2";

    struct Host {
        dir: tempfile::TempDir,
    }

    impl Host {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let cgroups = [
                "system.slice/nginx.service/worker".to_owned(),
                r"system.slice/my\x2dapp.service".to_owned(),
                "user.slice/user-1.slice/twice.service".to_owned(),
                "user.slice/user-2.slice/twice.service".to_owned(),
                format!("system.slice/docker-{A}.scope/nested"),
                format!("system.slice/docker-{B}.scope"),
            ];
            for path in cgroups {
                fs::create_dir_all(dir.path().join("cg").join(path)).unwrap();
            }
            let state = dir.path().join(format!("docker/containers/{A}"));
            fs::create_dir_all(&state).unwrap();
            fs::write(state.join("config.v2.json"), r#"{"Name":"/cart"}"#).unwrap();
            for (pid, line) in [(7, "0::/system.slice/nginx.service\n"), (8, "4:memory:/x\n0::/\n")] {
                fs::create_dir_all(dir.path().join(format!("proc/{pid}"))).unwrap();
                fs::write(dir.path().join(format!("proc/{pid}/cgroup")), line).unwrap();
            }
            Host { dir }
        }

        fn resolve(&self, spec: ScopeSpec) -> Result<ScopeRoot, ScopeError> {
            let root = self.dir.path();
            let runtimes = RuntimeRoots {
                docker: root.join("docker"),
                docker_socket: root.join("docker.sock"),
                containerd: root.join("containerd"),
                storage: Vec::new(),
            };
            resolve_scope(&root.join("cg"), &root.join("proc"), &runtimes, &spec)
        }

        fn inode(&self, path: &str) -> u64 {
            fs::metadata(self.dir.path().join("cg").join(path)).unwrap().ino()
        }
    }

    #[test]
    fn finds_what_is_named() {
        let host = Host::new();
        let full = host.dir.path().join("cg/system.slice/nginx.service");
        let nginx = ("/system.slice/nginx.service".to_owned(), 2);
        let a = (format!("/system.slice/docker-{A}.scope"), 2);
        let table = [
            (ScopeSpec::Cgroup("/system.slice/nginx.service".into()), &nginx),
            (ScopeSpec::Cgroup("system.slice/nginx.service/".into()), &nginx),
            (ScopeSpec::Cgroup(full.to_str().unwrap().into()), &nginx),
            (ScopeSpec::Cgroup("/".into()), &("/".to_owned(), 0)),
            (ScopeSpec::Unit("nginx".into()), &nginx),
            (ScopeSpec::Unit("nginx.service".into()), &nginx),
            (ScopeSpec::Unit("my-app".into()), &(r"/system.slice/my\x2dapp.service".to_owned(), 2)),
            (ScopeSpec::Unit("system.slice".into()), &("/system.slice".to_owned(), 1)),
            (ScopeSpec::Container("cart".into()), &a),
            (ScopeSpec::Container(A[..20].into()), &a),
            (ScopeSpec::Container(B.into()), &(format!("/system.slice/docker-{B}.scope"), 2)),
            (ScopeSpec::Pid(7), &nginx),
        ];
        for (spec, (path, level)) in table {
            let found = host.resolve(spec.clone());
            // "/" is also a directory of this machine, outside of the mount.
            let found = found.unwrap_or_else(|e| panic!("{spec:?}: {e}"));
            assert_eq!((&found.path, found.level), (path, *level), "{spec:?}");
            assert_eq!(found.id, host.inode(path.trim_start_matches('/')), "{spec:?}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        use ScopeSpec::{Cgroup, Container, Pid, Unit};
        let host = Host::new();
        let table = [
            (Cgroup("nope".into()), "no cgroup nope below"),
            (Cgroup("../proc".into()), "not a cgroup v2 directory"),
            (Cgroup("/usr".into()), "not a cgroup v2 directory"),
            (Unit("nope".into()), "no running unit nope.service"),
            (Unit("twice".into()), "fits more than one"),
            (Container("nope".into()), "no running container"),
            (Container(String::new()), "no running container"),
            (Container("aaaa".into()), "fits more than one"),
            (Pid(8), "root cgroup"),
            (Pid(9), "cannot read the cgroup of process 9"),
        ];
        for (spec, expected) in table {
            let message = host.resolve(spec.clone()).unwrap_err().to_string();
            assert!(message.contains(expected), "{spec:?}: {message}");
        }
    }
}
