//! The thread over a `/proc` and a cgroup tree made for the test.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use super::*;

const ID: &str = "3f4e5d6c7b8a99887766554433221100ffeeddccbbaa00112233445566778899";
const OTHER: &str = "0123456789ab99887766554433221100ffeeddccbbaa00112233445566778899";

struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("cg")).unwrap();
        Host { dir }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn cgroup(&self, path: &str) -> u64 {
        let dir = self.path("cg").join(path.trim_start_matches('/'));
        fs::create_dir_all(&dir).unwrap();
        fs::metadata(dir).unwrap().ino()
    }

    fn process(&self, pid: u32, ticks: u64, exe: &str, cmdline: &str, cgroup: &str) -> ProcessKey {
        let dir = self.path(&format!("proc/{pid}"));
        fs::create_dir_all(&dir).unwrap();
        let zeros = "0 ".repeat(18);
        fs::write(dir.join("stat"), format!("{pid} (a b) S {zeros}{ticks} 0\n")).unwrap();
        fs::write(dir.join("cmdline"), cmdline.replace('|', "\0")).unwrap();
        fs::write(dir.join("cgroup"), cgroup).unwrap();
        if !exe.is_empty() {
            symlink(exe, dir.join("exe")).unwrap();
        }
        ProcessKey { pid, start_ns: ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second() }
    }

    fn config(&self, scope_roots: &[&str]) -> IdentityConfig {
        IdentityConfig {
            cgroup_mount: Some(self.path("cg")),
            proc_root: self.path("proc"),
            runtime_roots: RuntimeRoots {
                docker: self.path("docker"),
                docker_socket: self.path("docker.sock"),
                containerd: self.path("containerd"),
                storage: Vec::new(),
            },
            scope_roots: scope_roots.iter().map(|s| (*s).to_owned()).collect(),
        }
    }

    /// Asks and waits for as many answers.
    fn ask(&self, scope_roots: &[&str], asks: Vec<Ask>) -> Vec<Answer> {
        let identity = Identity::spawn(self.config(scope_roots)).unwrap();
        let n = asks.len();
        for ask in asks {
            assert!(identity.try_ask(ask));
        }
        identity.answers.iter().take(n).collect()
    }

    fn one(&self, scope_roots: &[&str], ask: Ask) -> Answer {
        self.ask(scope_roots, vec![ask]).remove(0)
    }

    fn process_names(&self, key: ProcessKey) -> (Option<String>, Vec<(String, NameKind)>) {
        match self.one(&[], Ask::Process { key, comm: "comm".to_owned(), cgroup: 0 }) {
            Answer::Process { key: answered, exe, names } => {
                assert_eq!(answered, key);
                (exe, names.into_iter().map(|n| (n.name, n.kind)).collect())
            }
            Answer::Cgroup { .. } => panic!("an answer to another question"),
        }
    }
}

#[test]
fn names_cgroups_by_container_unit_and_leaf() {
    let host = Host::new();
    let docker = host.path(&format!("docker/containers/{ID}"));
    fs::create_dir_all(&docker).unwrap();
    fs::write(docker.join("config.v2.json"), r#"{"Name":"/cart"}"#).unwrap();
    let table = [
        (
            format!("/system.slice/docker-{ID}.scope"),
            Some(("cart", NameKind::Container, "docker config.v2.json")),
        ),
        (format!("/kubepods/poduid/crio-{OTHER}"), Some((&OTHER[..12], NameKind::Container, "container id"))),
        ("/system.slice/nginx.service".into(), Some(("nginx.service", NameKind::Unit, "cgroup path"))),
        ("/shop/checkout".into(), Some(("checkout", NameKind::Cgroup, "cgroup path"))),
        ("/shop".into(), None),
        ("/user.slice/user-0.slice/session-1.scope".into(), None),
    ];
    let asks = table.iter().map(|(path, _)| Ask::Cgroup(host.cgroup(path))).collect();
    for (answer, (expected_path, expected)) in host.ask(&["/shop"], asks).into_iter().zip(table) {
        let Answer::Cgroup { path, names, .. } = answer else { panic!("an answer to another question") };
        assert_eq!(path.as_deref(), Some(expected_path.as_str()));
        let names: Vec<_> = names.iter().map(|n| (&*n.name, n.kind, &*n.source)).collect();
        assert_eq!(names, Vec::from_iter(expected), "{expected_path}");
    }
}

#[test]
fn a_cgroup_that_is_not_there_is_answered_so() {
    let host = Host::new();
    let asks = vec![Ask::Cgroup(u64::MAX), Ask::Cgroup(0), Ask::Cgroup(u64::MAX - 1)];
    for answer in host.ask(&[], asks) {
        assert!(matches!(answer, Answer::Cgroup { path: None, names, .. } if names.is_empty()));
    }
}

#[test]
fn a_cgroup_made_after_the_walk_is_found_by_the_next() {
    let host = Host::new();
    let identity = Identity::spawn(host.config(&[])).unwrap();
    let first = host.cgroup("/a");
    assert!(identity.try_ask(Ask::Cgroup(first)));
    assert!(
        matches!(identity.answers.recv().unwrap(), Answer::Cgroup { id, path: Some(_), .. } if id == first)
    );
    let second = host.cgroup("/b");
    assert!(identity.try_ask(Ask::Cgroup(second)));
    let answer = identity.answers.recv().unwrap();
    assert!(matches!(answer, Answer::Cgroup { id, path: Some(path), .. } if id == second && path == "/b"));
}

#[test]
fn names_processes_by_executable_and_script() {
    let host = Host::new();
    let v2 = "0::/\n";
    let table = [
        ("/usr/sbin/nginx (deleted)", "nginx: worker process", "nginx", NameKind::Process),
        ("/usr/bin/python3.11", "python3|/srv/cart.py", "cart.py", NameKind::Script),
        ("/usr/bin/python3.11", "python3", "python3.11", NameKind::Process),
        ("/opt/webb", "webb|demo-service|checkout", "checkout", NameKind::Script),
        ("/bin/busybox", "/bin/httpd|-f", "httpd", NameKind::Process),
        ("/bin/busybox", "sh|/run.sh", "run.sh", NameKind::Script),
        ("/memfd:tool (deleted)", "x", "memfd:tool", NameKind::Process),
        ("", "", "comm", NameKind::Process),
    ];
    for (pid, (exe, cmdline, name, kind)) in table.into_iter().enumerate() {
        let key = host.process(pid as u32 + 1, 777, exe, cmdline, v2);
        assert_eq!(host.process_names(key).1, [(name.to_owned(), kind)], "{exe} {cmdline}");
    }
}

#[test]
fn a_reused_pid_gives_nothing() {
    let host = Host::new();
    let key = host.process(5, 777, "/usr/sbin/nginx", "nginx", "0::/\n");
    assert_eq!(host.process_names(key).0.as_deref(), Some("/usr/sbin/nginx"));
    let earlier = ProcessKey { pid: 5, start_ns: key.start_ns - 50_000_000 };
    assert_eq!(host.process_names(earlier), (None, Vec::new()));
    assert_eq!(host.process_names(ProcessKey { pid: 6, start_ns: key.start_ns }), (None, Vec::new()));
}

#[test]
fn a_container_of_cgroup_v1_is_found_by_its_process() {
    let host = Host::new();
    let key = host.process(5, 1, "/app", "app", &format!("4:memory:/docker/{ID}\n0::/\n"));
    let expected = [(ID[..12].to_owned(), NameKind::Container), ("app".to_owned(), NameKind::Process)];
    assert_eq!(host.process_names(key).1, expected);
}

#[test]
fn a_process_tells_the_path_of_its_cgroup() {
    let host = Host::new();
    let a = host.cgroup("/a");
    let identity = Identity::spawn(host.config(&[])).unwrap();
    assert!(identity.try_ask(Ask::Cgroup(a)));
    identity.answers.recv().unwrap();
    // Made after the walk; the process gives its path, so no second walk has to be waited for: the
    // directory may be gone by then.
    let b = host.cgroup("/b");
    let key = host.process(5, 1, "/app", "app", "0::/b\n");
    assert!(identity.try_ask(Ask::Process { key, comm: "app".to_owned(), cgroup: b }));
    identity.answers.recv().unwrap();
    fs::rename(host.path("cg/b"), host.path("elsewhere")).unwrap();
    assert!(identity.try_ask(Ask::Cgroup(b)));
    let answer = identity.answers.recv().unwrap();
    assert!(matches!(answer, Answer::Cgroup { path: Some(path), .. } if path == "/b"));
}

#[test]
fn too_many_questions_are_refused_not_kept() {
    let host = Host::new();
    let identity = Identity::spawn(host.config(&[])).unwrap();
    // Nobody fetches answers: the queues fill, and asking says so instead of blocking.
    let asked = (0..ASKS + ANSWERS + DEFERRED + 1000).filter(|_| identity.try_ask(Ask::Cgroup(0))).count();
    assert!((ASKS..=ASKS + ANSWERS + 2).contains(&asked), "{asked}");
    assert!(identity.answers.recv().is_ok());
}

#[test]
fn this_machines_own_tree_can_be_walked() {
    let Ok(mount) = cgroup2_mount() else { return };
    let dirs = cgroup_tree::walk(&mount);
    assert_eq!(&*dirs[0].path, "/");
    assert_eq!(dirs[0].id, fs::metadata(Path::new(&mount)).unwrap().ino());
}
