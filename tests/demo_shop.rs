//! The demo shop as real processes: what it starts, and that nothing of it stays, however it ends.
#![cfg(all(target_os = "linux", feature = "agent"))]
// clippy.toml allows these in test functions; here the helpers around them are tests too.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use webb::cli::demo::topology::SERVICES;
use webb::cli::demo::{Shop, ShopOptions, User};

const WEBB: &str = env!("CARGO_BIN_EXE_webb");
const NOBODY: u32 = 65534;

fn options() -> ShopOptions {
    ShopOptions { program: WEBB.into(), user: None, ..ShopOptions::default() }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn status(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/status")).ok()
}

fn field(pid: u32, name: &str) -> String {
    let status = status(pid).unwrap_or_else(|| panic!("process {pid} is gone"));
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().replace('\t', " ")
}

/// A process that can be waited for without fear of a reused pid.
fn pidfd(pid: u32) -> OwnedFd {
    pidfd_open(Pid::from_raw(pid as i32).unwrap(), PidfdFlags::empty()).unwrap()
}

fn wait_gone(process: &OwnedFd, what: &str) {
    let patience = Timespec { tv_sec: 20, tv_nsec: 0 };
    let ended = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&patience)).unwrap();
    assert_eq!(ended, 1, "{what} is still there");
}

/// The answer's status line.
fn get(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn starts_each_service_in_its_own_process_and_cgroup_and_leaves_nothing() {
    let shop = Shop::start(&options()).unwrap();
    assert_eq!(shop.services().len(), SERVICES.len());
    assert_eq!(shop.cgroup().is_some(), shop.why_no_cgroup().is_none());
    if is_root() {
        assert!(shop.cgroup().is_some(), "{:?}", shop.why_no_cgroup());
    }
    for (service, spec) in shop.services().iter().zip(SERVICES) {
        assert_eq!(service.name, spec.name);
        assert_eq!(field(service.pid, "Name"), spec.name);
        assert_eq!(field(service.pid, "PPid"), std::process::id().to_string());
        assert_eq!(service.port.is_some(), spec.listens.is_some());
        if let Some(cgroup) = shop.cgroup() {
            let inside = fs::read_to_string(cgroup.join(spec.name).join("cgroup.procs")).unwrap();
            assert_eq!(inside.trim(), service.pid.to_string());
        }
    }
    let port = |name| shop.services().iter().find(|s| s.name == name).unwrap().port.unwrap();
    assert_eq!(get(port("ledger")), "HTTP/1.1 200 OK");
    assert!(get(port("web")).starts_with("HTTP/1.1 "));
    assert!(!get(port("orders")).starts_with("HTTP"), "orders answered without TLS");

    let services = shop.services().to_vec();
    let cgroup = shop.cgroup().map(Path::to_owned);
    shop.stop().unwrap();
    for service in services {
        assert_eq!(status(service.pid), None, "{} is still there", service.name);
    }
    assert!(!cgroup.is_some_and(|path| path.exists()));
}

#[test]
fn services_give_up_privilege_for_the_user_given() {
    if !is_root() {
        eprintln!("not root: there is no privilege to give up");
        return;
    }
    let user = Some(User { uid: NOBODY, gid: NOBODY });
    let shop = Shop::start(&ShopOptions { user, ..options() }).unwrap();
    for service in shop.services() {
        let nobody = [NOBODY.to_string().as_str(); 4].join(" ");
        assert_eq!(field(service.pid, "Uid"), nobody);
        assert_eq!(field(service.pid, "Gid"), nobody);
        assert_eq!(field(service.pid, "Groups"), "");
        assert_eq!(u64::from_str_radix(&field(service.pid, "CapPrm"), 16), Ok(0));
    }
}

#[test]
fn a_program_that_is_no_webb_is_an_error_and_leaves_nothing() {
    for (program, what) in [("/bin/true", "did not start"), ("/nonexistent", "cannot start")] {
        let error = Shop::start(&ShopOptions { program: program.into(), ..options() }).err().unwrap();
        assert!(error.to_string().contains(what), "{error}");
    }
}

/// A shop in a process of its own, which can be killed.
struct Held {
    process: Child,
    services: Vec<(String, OwnedFd)>,
    cgroup: Option<PathBuf>,
    reaper: Option<OwnedFd>,
}

fn hold(mut command: Command) -> Held {
    let mut process = command.arg("demo-shop").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    let services = told["services"].as_array().unwrap().iter();
    let services = services
        .map(|s| (s["name"].as_str().unwrap().to_owned(), pidfd(s["pid"].as_u64().unwrap() as u32)))
        .collect();
    let cgroup = told["cgroup"].as_str().map(PathBuf::from);
    let reaper = cgroup.as_ref().map(|_| pidfd(find_reaper(process.id())));
    Held { process, services, cgroup, reaper }
}

fn find_reaper(shop: u32) -> u32 {
    let is_it = |pid: &u32| {
        status(*pid).is_some_and(|s| {
            s.starts_with("Name:\tdemo-reaper\n") && s.contains(&format!("\nPPid:\t{shop}\n"))
        })
    };
    let pids = fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
    pids.into_iter().find(is_it).unwrap()
}

impl Held {
    fn assert_gone(self) {
        for (name, process) in &self.services {
            wait_gone(process, name);
        }
        if let Some(reaper) = &self.reaper {
            wait_gone(reaper, "the reaper");
        }
        assert!(!self.cgroup.is_some_and(|path| path.exists()), "the cgroup is still there");
    }
}

#[test]
fn a_killed_shop_leaves_nothing() {
    let mut held = hold(Command::new(WEBB));
    assert_eq!(held.cgroup.is_some(), is_root());
    held.process.kill().unwrap();
    held.process.wait().unwrap();
    held.assert_gone();
}

#[test]
fn a_killed_shop_leaves_no_service_that_cannot_run() {
    if !is_root() {
        eprintln!("not root: without cgroups there is nothing to freeze");
        return;
    }
    let mut held = hold(Command::new(WEBB));
    // Unlike one that is stopped, a frozen process hears nothing when its group is orphaned.
    fs::write(held.cgroup.as_ref().unwrap().join("ledger/cgroup.freeze"), "1").unwrap();
    held.process.kill().unwrap();
    held.process.wait().unwrap();
    held.assert_gone();
}

#[test]
fn the_shop_cleans_up_itself_when_its_reaper_was_killed() {
    let mut held = hold(Command::new(WEBB));
    if let Some(reaper) = &held.reaper {
        pidfd_send_signal(reaper, Signal::KILL).unwrap();
        wait_gone(reaper, "the reaper");
    }
    drop(held.process.stdin.take());
    assert!(held.process.wait().unwrap().success());
    held.assert_gone();
}

#[test]
fn runs_without_privilege() {
    if !is_root() {
        return; // Then all the other tests do.
    }
    // The build directory may be closed to others.
    let directory = tempfile::tempdir().unwrap();
    let webb = directory.path().join("webb");
    fs::copy(WEBB, &webb).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(directory.path(), mode).unwrap();
    let mut command = Command::new(&webb);
    command.uid(NOBODY).gid(NOBODY).current_dir("/");
    let mut held = hold(command);
    assert_eq!(held.cgroup, None);
    assert_eq!(held.services.len(), SERVICES.len());
    drop(held.process.stdin.take());
    assert!(held.process.wait().unwrap().success());
    held.assert_gone();
}
