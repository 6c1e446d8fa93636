//! What the benches share: an agent as people run it, and figures of paired runs.
#![allow(dead_code, reason = "each bench uses a part of the rig")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::common::Cgroup;

/// `webb agent` as people run it.
pub struct Agent {
    pub child: Child,
    socket: PathBuf,
    _dir: tempfile::TempDir,
}

impl Agent {
    /// Watches a cgroup, with these flags beside.
    pub fn start(cgroup: &Cgroup, flags: &[&str]) -> Agent {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("webb.sock");
        let mut child = Command::new(env!("CARGO_BIN_EXE_webb"))
            .args(["agent", "--cgroup"])
            .arg(&cgroup.path)
            .arg("--listen")
            .arg(format!("unix:{}", socket.display()))
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("serving"), "{line}");
        Agent { child, socket, _dir: dir }
    }

    /// What it says of itself.
    pub fn status(&self) -> serde_json::Value {
        let out = Command::new(env!("CARGO_BIN_EXE_webb"))
            .args(["status", "-o", "json", "--server"])
            .arg(format!("unix:{}", self.socket.display()))
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    }

    /// What a command of the viewer prints, one object a line.
    pub fn ask(&self, args: &[&str]) -> Vec<serde_json::Value> {
        let out = Command::new(env!("CARGO_BIN_EXE_webb"))
            .args(args)
            .arg("--server")
            .arg(format!("unix:{}", self.socket.display()))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    /// Processor time so far, microseconds (utime and stime of /proc/PID/stat are in ticks of 10 ms).
    pub fn cpu_us(&self) -> u64 {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/schedstat", self.child.id())).unwrap_or_default();
        let main: u64 = stat.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let all: u64 = tasks
            .filter_map(|t| {
                let text = std::fs::read_to_string(t.ok()?.path().join("schedstat")).ok()?;
                text.split(' ').next()?.parse::<u64>().ok()
            })
            .sum();
        all.max(main) / 1000
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

/// Median, and the interval that covers it with at least 95 % (binomial order statistics).
pub fn show(what: &str, values: &mut [f64]) {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    let half = (0.98 * (n as f64).sqrt()).ceil() as usize;
    let (low, high) = ((n / 2).saturating_sub(half), (n / 2 + half).min(n - 1));
    println!("{what}: {:.3} [{:.3}, {:.3}]", values[n / 2], values[low], values[high]);
}
