//! `examples/scenario` on strings: a process that does one socket operation after another.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::net::Netns;
use super::{Cgroup, Workload, traffic};
use webb::model::Endpoint;

/// The puppet's program, beside `examples/traffic`.
pub fn scenario() -> PathBuf {
    traffic().with_file_name("scenario")
}

/// A process that does what it is told.
pub struct Puppet {
    work: Workload,
    pub pid: u32,
}

impl Puppet {
    pub fn new(cgroup: &Cgroup) -> Puppet {
        Puppet::spawn(&mut cgroup.command(scenario()))
    }

    pub fn in_netns(cgroup: &Cgroup, netns: &Netns) -> Puppet {
        Puppet::spawn(&mut netns.command(cgroup, scenario()))
    }

    fn spawn(command: &mut Command) -> Puppet {
        let work = Workload::spawn(command);
        let pid = work.child.id();
        Puppet { work, pid }
    }

    /// Does it, and it works; its answer.
    pub fn ok(&mut self, command: &str) -> Value {
        self.begin(command);
        self.done(command)
    }

    /// Does it, and the kernel refuses; the error number.
    pub fn refused(&mut self, command: &str) -> i64 {
        self.begin(command);
        self.errno(command)
    }

    /// Begins something that takes a while.
    pub fn begin(&mut self, command: &str) {
        self.work.tell(command);
    }

    /// What was begun worked.
    pub fn done(&mut self, command: &str) -> Value {
        let answer = self.work.line();
        assert!(answer.get("errno").is_none() && answer.get("error").is_none(), "{command}: {answer}");
        answer
    }

    /// What was begun was refused.
    pub fn errno(&mut self, command: &str) -> i64 {
        let answer = self.work.line();
        answer["errno"].as_i64().unwrap_or_else(|| panic!("{command} was not refused: {answer}"))
    }

    /// What became of what was begun, whatever it is.
    pub fn answer(&mut self) -> Value {
        self.work.line()
    }

    /// Listens; the address.
    pub fn listen(&mut self, name: &str, addr: &str) -> SocketAddr {
        local(&self.ok(&format!("listen {name} {addr}")))
    }

    /// Connects `client` to `listener` (both here), accepts it as `server`.
    pub fn pair(&mut self, listener: &str, at: SocketAddr, client: &str, server: &str) -> Value {
        let answer = self.ok(&format!("connect {client} {at}"));
        self.ok(&format!("accept {server} {listener}"));
        answer
    }

    /// One exchange over a pair of sockets here: what the client says, and what the server answers.
    pub fn exchange(&mut self, client: &str, server: &str, asks: &str, answers: &str) {
        for (from, to, text) in [(client, server, asks), (server, client, answers)] {
            let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
            self.ok(&format!("say {from} {hex}"));
            self.ok(&format!("read {to} {}", text.len()));
        }
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.work.child.kill().unwrap();
        self.work.child.wait().unwrap();
    }

    /// Waits until it is gone; somebody else sees to that.
    pub fn wait(mut self) {
        self.work.child.wait().unwrap();
    }

    /// Ends it, which closes what is open, in the order of nothing in particular.
    pub fn end(mut self) {
        self.work.close_stdin();
        assert!(self.work.child.wait().unwrap().success());
    }
}

/// The socket's own address in an answer.
pub fn local(answer: &Value) -> SocketAddr {
    address(answer, "local")
}

pub fn address(answer: &Value, key: &str) -> SocketAddr {
    answer[key].as_str().and_then(|a| a.parse().ok()).unwrap_or_else(|| panic!("no {key}: {answer}"))
}

/// As the model writes it.
pub fn endpoint(addr: SocketAddr) -> Endpoint {
    Endpoint::new(addr.ip(), addr.port())
}
