//! What watching costs, on the real kernel: paired runs of a real workload with and without an agent.
//!
//! `cargo bench --bench kernel -- [churn|adopt|idle|live] [--pairs N]`, as root, on a quiet machine.
//! Everything runs in a cgroup of its own on loopback and ends by itself. Figures of a pair are
//! compared with each other only: printed are medians, and intervals from order statistics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench fails by panicking")]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "rig/mod.rs"]
mod rig;

use std::time::{Duration, Instant};

use common::{Cgroup, Workload, needs_root, traffic, until_for};
use rig::{Agent, show};

const CHURN: u64 = 20_000;

fn main() {
    needs_root();
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let pairs =
        args.iter().position(|a| a == "--pairs").and_then(|i| args.get(i + 1)?.parse().ok()).unwrap_or(15);
    let wanted =
        |name: &str| args.iter().all(|a| a.starts_with("--") || a.parse::<u32>().is_ok() || a == name);
    if wanted("churn") {
        churn(pairs);
    }
    if wanted("adopt") {
        adopt();
    }
    if wanted("idle") {
        idle();
    }
    if wanted("live") {
        live();
    }
}

/// Runs the churn once: (CPU of the cgroup per connection in µs, connections per second).
fn churn_once(cgroup: &Cgroup) -> (f64, f64) {
    let before = cgroup.cpu_us();
    let began = Instant::now();
    let n = CHURN.to_string();
    let args = [
        "run",
        "--connections",
        &n,
        "--concurrency",
        "2",
        "--bytes-to-server",
        "1",
        "--bytes-to-client",
        "1",
    ];
    let truth = Workload::spawn(cgroup.command(traffic()).args(args)).finish();
    assert_eq!(truth["connections"], CHURN);
    let took = began.elapsed().as_secs_f64();
    ((cgroup.cpu_us() - before) as f64 / CHURN as f64, CHURN as f64 / took)
}

/// CPU per connection in the watched cgroup, throughput, the agent's own CPU: with against without.
fn churn(pairs: usize) {
    let cgroup = Cgroup::new("bench-churn");
    churn_once(&cgroup);
    let (mut cpu, mut rate, mut own, mut base) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for pair in 0..pairs {
        let mut with = None;
        let mut without = None;
        // A B, then B A: drift of the machine falls on both.
        for first in [pair % 2 == 0, pair % 2 != 0] {
            if first {
                without = Some(churn_once(&cgroup));
            } else {
                let agent = Agent::start(&cgroup, &[]);
                let before = agent.cpu_us();
                with = Some(churn_once(&cgroup));
                // The agent has still to read what is in its rings.
                let status = until_for(Duration::from_secs(10), "every record is read", || {
                    let s = agent.status();
                    let read = s["state"]["seen"] == s["state"]["produced"];
                    (read && s["ends"]["client"]["closed"] == CHURN).then_some(s)
                });
                own.push((agent.cpu_us() - before) as f64 / CHURN as f64);
                assert_eq!(status["loss"]["total"], 0, "lost events: {}", status["loss"]);
            }
        }
        let (with, without) = (with.unwrap(), without.unwrap());
        cpu.push(with.0 / without.0);
        rate.push(with.1 / without.1);
        base.push(without.0);
    }
    println!("churn, {CHURN} connections a run, both ends watched, {pairs} pairs, loss 0 in all");
    show("  CPU per connection without, µs", &mut base);
    show("  CPU per connection, with / without", &mut cpu);
    show("  connections per second, with / without", &mut rate);
    show("  agent's own CPU per connection, µs", &mut own);
}

/// 5,000 connections with both ends: 10,000 sockets, each process within 20,000 descriptors.
fn hold(cgroup: &Cgroup, connections: &str) -> (Workload, Workload) {
    let common = ["--connections", connections, "--bytes-to-server", "10", "--bytes-to-client", "10"];
    let mut server = Workload::spawn(cgroup.command(traffic()).arg("serve").arg("--hold-end").args(common));
    let address = server.line()["listening"].as_str().unwrap().to_owned();
    let mut client = Workload::spawn(
        cgroup
            .command(traffic())
            .args(["connect", "--addr", &address, "--hold-end", "--concurrency", "64"])
            .args(common),
    );
    client.line();
    (server, client)
}

/// 10,000 open sockets: time to adopt them, and of a walk over them.
fn adopt() {
    let cgroup = Cgroup::new("bench-adopt");
    let _held = hold(&cgroup, "5000");
    let mut walks = Vec::new();
    let mut passes = Vec::new();
    for _ in 0..5 {
        let agent = Agent::start(&cgroup, &[]);
        let status = agent.status();
        assert_eq!(status["connections"]["adopted"], 5000, "{}", status["connections"]);
        passes.push(status["cost"]["pass_us"].as_f64().unwrap() / 1000.0);
        walks.push(status["cost"]["walk_us"].as_f64().unwrap() / 1000.0);
    }
    println!("10,000 open sockets, 5 starts");
    show("  adopting pass, ms", &mut passes);
    show("  walk that describes them all, ms", &mut walks);
}

/// An agent with nothing to do: memory and CPU over ten seconds.
fn idle() {
    let cgroup = Cgroup::new("bench-idle");
    let agent = Agent::start(&cgroup, &[]);
    let (rss, share) = over_ten_seconds(&agent);
    println!("idle: {rss:.1} MiB resident (rings included), {:.2} % of a core", share * 100.0);
}

/// 9,500 connections with both ends, 19,000 sockets, open and silent.
fn live() {
    let cgroup = Cgroup::new("bench-live");
    let _held = hold(&cgroup, "9500");
    let agent = Agent::start(&cgroup, &[]);
    let (rss, share) = over_ten_seconds(&agent);
    let status = agent.status();
    println!(
        "{} live connections, both ends watched: {rss:.1} MiB resident, {:.2} % of a core, walk {} µs over {} sockets",
        status["connections"]["live"],
        share * 100.0,
        status["cost"]["walk_us"],
        status["cost"]["walk_sockets"]
    );
}

fn over_ten_seconds(agent: &Agent) -> (f64, f64) {
    let (began, before) = (Instant::now(), agent.cpu_us());
    // The time over which is measured.
    std::thread::sleep(Duration::from_secs(10));
    let share = (agent.cpu_us() - before) as f64 / began.elapsed().as_micros() as f64;
    let statm = std::fs::read_to_string(format!("/proc/{}/statm", agent.child.id())).unwrap();
    let pages: f64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    (pages * 4096.0 / f64::from(1 << 20), share)
}
