//! What turns and decoding cost, and how near their figures are: nginx with keep-alive, its end in scope.
//!
//! `cargo bench --bench requests -- [cost|latency] [--pairs N]`, as root, on a quiet machine, with
//! nginx and wrk. Every round runs without an agent, with turns only, and with decoding, in turn and
//! in changing order; figures of a round are compared with each other only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench fails by panicking")]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "rig/mod.rs"]
mod rig;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Cgroup, Workload, asker, needs_root, until_for};
use rig::{Agent, show};

const PORT: &str = "127.0.0.1:18099";

fn main() {
    needs_root();
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let pairs =
        args.iter().position(|a| a == "--pairs").and_then(|i| args.get(i + 1)?.parse().ok()).unwrap_or(15);
    let wanted =
        |name: &str| args.iter().all(|a| a.starts_with("--") || a.parse::<u32>().is_ok() || a == name);
    if wanted("cost") {
        cost(pairs);
    }
    if wanted("latency") {
        latency();
    }
}

/// nginx that answers "hello"; ended by pid.
struct Nginx {
    child: Child,
    _dir: tempfile::TempDir,
}

impl Nginx {
    fn start(cgroup: &Cgroup) -> Nginx {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display().to_string();
        let text = format!(
            "worker_processes 1; daemon off; master_process off; pid {path}/pid; error_log {path}/error.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {path}; \
             proxy_temp_path {path}; fastcgi_temp_path {path}; uwsgi_temp_path {path}; scgi_temp_path {path}; \
             server {{ listen {PORT}; location / {{ return 200 \"hello\\n\"; }} }} }}\n"
        );
        std::fs::write(dir.path().join("nginx.conf"), text).unwrap();
        let child = cgroup
            .command("nginx")
            .args(["-c", &format!("{path}/nginx.conf")])
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is installed");
        until_for(Duration::from_secs(5), "nginx listens", || std::net::TcpStream::connect(PORT).ok());
        Nginx { child, _dir: dir }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Round {
    cpu: f64,
    rate: f64,
    own: f64,
    p99: f64,
    requests: u64,
}

fn wrk() -> u64 {
    let out = Command::new("wrk")
        .args(["-t1", "-c16", "-d3", &format!("http://{PORT}/")])
        .output()
        .expect("wrk is installed");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let line = text.lines().find(|l| l.contains("requests in")).unwrap_or_else(|| panic!("{text}"));
    line.trim().split(' ').next().unwrap().parse().unwrap()
}

/// One measurement: saturation by wrk, then the tail at 2,000 requests/s.
fn round(cgroup: &Cgroup, asking: &Cgroup, agent: Option<&Agent>) -> Round {
    let (before, own_before) = (cgroup.cpu_us(), agent.map_or(0, Agent::cpu_us));
    let requests = wrk();
    let cpu = (cgroup.cpu_us() - before) as f64 / requests as f64;
    let args =
        ["ask", "--addr", PORT, "--connections", "8", "--requests", "500", "--rate", "2000", "--plain"];
    let truth = Workload::spawn(asking.command(asker()).args(args)).finish();
    // Measured here, so that what was still in the rings is in it.
    let own = agent.map_or(0, Agent::cpu_us).saturating_sub(own_before) as f64 / (requests + 4000) as f64;
    let p99 = truth["p99"].as_f64().unwrap();
    Round { cpu, rate: requests as f64 / 3.0, own, p99, requests }
}

fn cost(rounds: usize) {
    let (cgroup, asking) = (Cgroup::new("bench-nginx"), Cgroup::new("bench-asking"));
    let _nginx = Nginx::start(&cgroup);
    round(&cgroup, &asking, None);
    let mut ratios: [[Vec<f64>; 3]; 2] = Default::default();
    let mut own: [Vec<f64>; 2] = Default::default();
    let (mut base, mut base_p99) = (Vec::new(), Vec::new());
    for n in 0..rounds {
        let mut seen: [Option<Round>; 3] = [None, None, None];
        for k in 0..3 {
            let variant = (n + k) % 3;
            let agent = match variant {
                1 => Some(Agent::start(&cgroup, &["--no-requests"])),
                2 => Some(Agent::start(&cgroup, &["--cpu-budget", "0"])),
                _ => None,
            };
            let r = round(&cgroup, &asking, agent.as_ref());
            if variant == 2 {
                exact(agent.as_ref().unwrap(), r.requests + 4000);
            }
            seen[variant] = Some(r);
        }
        let [without, turns, decoding] = seen.map(Option::unwrap);
        base.push(without.cpu);
        base_p99.push(without.p99);
        for (i, r) in [turns, decoding].into_iter().enumerate() {
            ratios[i][0].push(r.cpu / without.cpu);
            ratios[i][1].push(r.rate / without.rate);
            ratios[i][2].push(r.p99 / without.p99);
            own[i].push(r.own);
        }
    }
    println!(
        "nginx hello, keep-alive, wrk -t1 -c16, server's end in scope, {rounds} rounds, each with / without"
    );
    show("  without: CPU per request in the cgroup, us", &mut base);
    show("  without: p99 at 2,000/s, us", &mut base_p99);
    for (i, name) in ["turns only", "decoding"].into_iter().enumerate() {
        for (k, what) in
            ["CPU per request", "requests/s at saturation", "p99 at 2,000/s"].into_iter().enumerate()
        {
            show(&format!("  {name}: {what}"), &mut ratios[i][k]);
        }
        show(&format!("  {name}: agent's own CPU per request, us"), &mut own[i]);
    }
}

/// Seen and lost are what the clients report.
fn exact(agent: &Agent, requests: u64) {
    let n = |e: &serde_json::Value, key: &str| e["by_server"][key].as_u64().unwrap_or(0);
    let sums = || {
        let edges = agent.ask(&["list", "edges", "--all", "-o", "json"]);
        ["requests", "errors", "undecoded_bytes"].map(|key| edges.iter().map(|e| n(e, key)).sum::<u64>())
    };
    // The last of them are sealed within two seconds.
    let began = std::time::Instant::now();
    let mut seen = sums();
    while seen[0] < requests && began.elapsed() < Duration::from_secs(3) {
        // Between two looks.
        std::thread::sleep(Duration::from_millis(200));
        seen = sums();
    }
    let [seen, errors, undecoded] = seen;
    let loss = &agent.status()["loss"]["total"];
    println!(
        "  decoded {seen} of {requests}, errors {errors}, undecoded bytes {undecoded}, lost pieces {loss}"
    );
}

/// Client and server view against the clocks of the workload.
fn latency() {
    for (rate, requests) in [("100", "500"), ("5000", "5000")] {
        let cgroup = Cgroup::new("bench-latency");
        let agent = Agent::start(&cgroup, &["--cpu-budget", "0"]);
        let args =
            ["both", "--connections", "4", "--requests", requests, "--rate", rate, "--delay-us", "1000"];
        let truth = Workload::spawn(cgroup.command(asker()).args(args)).finish();
        let edge = until_for(Duration::from_secs(10), "all is counted", || {
            let edges = agent.ask(&["list", "edges", "--all", "-o", "json"]);
            edges.into_iter().find(|e| e["by_client"]["requests"] == truth["asked"]["requests"])
        });
        println!(
            "latency at {rate}/s, answers after 1 ms, {} requests, us: webb | workload",
            truth["asked"]["requests"]
        );
        for (view, side) in [("by_client", "asked"), ("by_server", "served")] {
            let w = &edge[view]["latency_us"];
            let t = &truth[side];
            println!("  {view}: p50 {} | {}  p99 {} | {}", w["p50"], t["p50"], w["p99"], t["p99"]);
        }
    }
}
