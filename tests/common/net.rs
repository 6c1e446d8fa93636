//! Network namespaces of the tests' own, and wires between them. Addresses are of 10.200.0.0/16 and
//! fd00:c8::/32, and never leave these namespaces.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::Cgroup;

static N: AtomicU32 = AtomicU32::new(0);

/// A network namespace with its loopback up; deleted when dropped.
pub struct Netns {
    name: String,
}

impl Netns {
    pub fn new() -> Netns {
        let n = N.fetch_add(1, Ordering::Relaxed);
        let netns = Netns { name: format!("webb-t-{}-{n}", std::process::id()) };
        run(Command::new("ip").args(["netns", "add", &netns.name]));
        netns.ip("link set lo up");
        netns
    }

    fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }

    /// Its inode, by which owners are told apart.
    pub fn inode(&self) -> u32 {
        std::fs::metadata(self.path()).unwrap().ino() as u32
    }

    /// `ip` in here.
    pub fn ip(&self, args: &str) {
        run(Command::new("ip").args(["-n", &self.name]).args(args.split(' ')));
    }

    /// Rules for nftables in here.
    pub fn nft(&self, rules: &str) {
        run(self.enter(Command::new("nft").arg(rules)));
    }

    /// A setting below /proc/sys/net.
    pub fn sysctl(&self, key: &str, value: &str) {
        let script = format!("echo '{value}' > /proc/sys/net/{key}");
        run(self.enter(Command::new("sh").args(["-c", &script])));
    }

    /// A command in a cgroup and in here.
    pub fn command(&self, cgroup: &Cgroup, program: impl AsRef<Path>) -> Command {
        let mut command = cgroup.command(program);
        self.enter(&mut command);
        command
    }

    fn enter<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let file = File::open(self.path()).expect("the namespace is there");
        // SAFETY: between fork and exec only setns is called.
        unsafe {
            command.pre_exec(move || {
                Ok(move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?)
            })
        }
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        // Its processes are gone, or are killed with their cgroup.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// A wire: an interface `name` in each, with these addresses (`10.200.1.1/24`, `fd00:c8:1::1/64`).
pub fn wire(name: &str, a: &Netns, in_a: &[&str], b: &Netns, in_b: &[&str]) {
    run(Command::new("ip")
        .args(["-n", &a.name, "link", "add", name, "type", "veth"])
        .args(["peer", "name", name, "netns", &b.name]));
    for (netns, addrs) in [(a, in_a), (b, in_b)] {
        for addr in addrs {
            let nodad = if addr.contains(':') { " nodad" } else { "" };
            netns.ip(&format!("addr add {addr} dev {name}{nodad}"));
        }
        netns.ip(&format!("link set {name} up"));
    }
}

fn run(command: &mut Command) {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
}
