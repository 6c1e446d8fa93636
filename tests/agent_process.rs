//! The agent as a process that is stopped, killed, starved of viewers that read, and restarted, while
//! real traffic goes on: what it leaves in the kernel, what it does to the traffic, what it counts.
#![cfg(all(target_os = "linux", feature = "agent"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use common::cli::{LONG, Served, printed, run, signal, webb};
use common::pty::Term;
use common::{Cgroup, Workload, needs_root, traffic, until, until_for};
use rustix::process::Signal;
use serde_json::Value;
use webb::api::Address;
use webb::client::{Client, Target};

fn bpftool(what: &[&str]) -> Vec<Value> {
    let output = Command::new("bpftool").arg("-j").args(what).output().expect("bpftool is there");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// Ids of programs that the process holds, and of links to them.
fn held(pid: u32) -> (Vec<u64>, Vec<u64>) {
    let (mut programs, mut links) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
        let id = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)?.trim().parse::<u64>().ok());
        programs.extend(id("prog_id:"));
        links.extend(id("link_id:"));
    }
    (programs, links)
}

fn still_there(what: &str, ids: &[u64]) -> bool {
    bpftool(&[what, "list"]).iter().any(|v| v["id"].as_u64().is_some_and(|id| ids.contains(&id)))
}

#[test]
fn a_killed_agent_leaves_nothing_attached_and_a_terminated_one_no_socket() {
    needs_root();
    let cgroup = Cgroup::new("killed");
    for kill in [true, false] {
        let mut served = Served::new(&cgroup);
        let (programs, links) = held(served.child.id());
        assert!(programs.len() >= 3 && !links.is_empty(), "{programs:?} {links:?}");
        let socket = served.socket.clone().unwrap();
        if kill {
            served.kill();
            assert!(socket.exists());
        } else {
            assert!(served.stop().success());
            assert!(!socket.exists());
        }
        // The kernel takes programs away in the background.
        until("no program and no link of it", || {
            (!still_there("link", &links) && !still_there("prog", &programs)).then_some(())
        });
        let attached =
            Command::new("bpftool").args(["-j", "cgroup", "show"]).arg(&cgroup.path).output().unwrap();
        let attached: Vec<Value> = serde_json::from_slice(&attached.stdout).unwrap_or_default();
        assert!(attached.is_empty(), "{attached:?}");
    }
}

fn churn(cgroup: &Cgroup, n: u64) -> Command {
    let mut command = cgroup.command(traffic());
    command.args(["run", "--connections", &n.to_string(), "--bytes-to-server", "300"]);
    command
}

fn number(v: &Value, pointer: &str) -> u64 {
    v.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {pointer} in {v:#}"))
}

/// Records that were lost; what a cgroup did while it was not watched left no record.
fn state_lost(status: &Value) -> u64 {
    let lost = |at: &str| status.pointer(at).and_then(Value::as_u64).unwrap_or(0);
    lost("/loss/by_kind/state") - lost("/loss/by_place/blind")
}

/// The status when all state records were read or lost, and nothing lives: as it stands two slices
/// after what was done, for it is made once a second.
fn settled(served: &Served) -> Value {
    let mut times = std::collections::BTreeSet::new();
    until_for(LONG, "everything read, nothing live", || {
        let s = served.status();
        times.insert(s["now"].to_string());
        let seen = number(&s, "/state/seen") + state_lost(&s);
        let done = seen == number(&s, "/state/produced") && number(&s, "/connections/live") == 0;
        (times.len() > 3 && done).then_some(s)
    })
}

#[test]
fn a_stopped_agent_harms_no_connection_and_catches_up_with_exact_totals() {
    needs_root();
    let cgroup = Cgroup::new("stopped");
    let args = ["--ring", "65536"];
    let served = Served::with(&cgroup, &args);
    // How long the traffic takes while it is watched.
    let n = 5000;
    let before = Workload::spawn(&mut churn(&cgroup, n)).finish();
    assert_eq!(before["connections"], n);
    let usual = number(&before, "/elapsed_us");

    signal(&served.child, Signal::STOP);
    let stopped = Instant::now();
    let (mut rounds, mut slowest) = (0, 0);
    while stopped.elapsed() < Duration::from_secs(10) {
        let truth = Workload::spawn(&mut churn(&cgroup, n)).finish();
        assert_eq!((&truth["connections"], &truth["failed"]), (&n.into(), &0.into()));
        slowest = slowest.max(number(&truth, "/elapsed_us"));
        rounds += 1;
    }
    println!("{rounds} rounds of {n}; usual {usual} us, slowest while stopped {slowest} us");
    // Other tests use the processor too: an absolute second is allowed beside the ratio.
    assert!(slowest < 3 * usual + 1_000_000, "usual {usual} us, slowest {slowest} us");
    signal(&served.child, Signal::CONT);

    let status = settled(&served);
    let all = (rounds + 1) * n;
    assert!(state_lost(&status) > 0, "the ring was not small enough to lose anything");
    for end in ["client", "server"] {
        for what in ["opened", "established", "closed"] {
            assert_eq!(number(&status, &format!("/ends/{end}/{what}")), all, "{end} {what}");
        }
        assert_eq!(number(&status, &format!("/ends/{end}/failed")), 0);
    }
    assert_eq!(number(&status, "/connections/live"), 0);
}

#[test]
fn a_restarted_agent_counts_nothing_twice() {
    needs_root();
    let cgroup = Cgroup::new("restart");
    let mut first = Served::new(&cgroup);
    let mut load = Workload::spawn(cgroup.command(traffic()).args([
        "run",
        "--connections",
        "40",
        "--hold-end",
        "--bytes-to-server",
        "5000",
    ]));
    assert_eq!(load.line()["held"], "exchanged");
    let bytes = |edges: Vec<Value>| edges.iter().map(|e| number(e, "/bytes_to_server")).sum::<u64>();
    let all = ["list", "edges", "--all", "-o", "json"];
    first.until("the first agent has all bytes", &all, |e| (bytes(e) == 200_000).then_some(()));
    let churning = Workload::spawn(&mut churn(&cgroup, 20_000));
    first.kill();
    let mut second = Served::new(&cgroup);
    let truth = churning.finish();
    load.go();
    load.finish();
    settled(&second);
    let seen = bytes(second.objects(&all));
    let produced = number(&truth, "/bytes_to_server");
    println!("the second agent saw {seen} of {produced} bytes");
    // What the held ones had carried before is a baseline, not traffic.
    assert!(seen <= produced, "{seen} of {produced}");
    assert!(second.stop().success());
}

#[tokio::test]
async fn a_viewer_that_never_reads_holds_up_no_other() {
    needs_root();
    let cgroup = Cgroup::new("viewers");
    let served = Served::new(&cgroup);
    let target = Target::Remote(served.address.parse::<Address>().unwrap(), None);
    let mut lazy = Client::connect(&target).await.unwrap();
    let _unread =
        (lazy.watch_slices(None).await.unwrap(), lazy.watch_events(&Default::default(), 1000, true).await);
    // Neither does one that does not even speak.
    let _mute = UnixStream::connect(served.socket.as_ref().unwrap()).unwrap();
    let mut keen = Client::connect(&target).await.unwrap();
    let mut slices = keen.watch_slices(None).await.unwrap();
    let load = std::thread::spawn(move || {
        Workload::spawn(&mut churn(&cgroup, 20_000)).finish();
        cgroup
    });
    let mut got = 0;
    while got < 6 {
        let next = tokio::time::timeout(LONG, tokio_stream::StreamExt::next(&mut slices)).await;
        next.expect("slices go on").expect("a slice").expect("no error");
        got += 1;
    }
    let _cgroup = load.join().unwrap();
    let rss = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/{}/status", served.child.id())).unwrap();
        text.lines().find_map(|l| l.strip_prefix(name)).unwrap_or("?").trim().to_owned()
    };
    println!("the agent's VmRSS after 20,000 connections: {} (peak {})", rss("VmRSS:"), rss("VmHWM:"));
}

#[test]
fn an_idle_agent_is_small() {
    needs_root();
    let cgroup = Cgroup::new("idle");
    let served = Served::new(&cgroup);
    let status = served.status();
    println!("idle: {} bytes resident, {} in maps", status["cost"]["rss_bytes"], status["cost"]["bpf_bytes"]);
}

/// A title, a bell, a right-to-left override, and an escape sequence that clears the screen.
const HOSTILE: &str = "a\x1b]0;\x07\u{202e}\x1b[2J";

#[test]
fn a_process_name_with_escape_sequences_reaches_no_terminal() {
    needs_root();
    let cgroup = Cgroup::new("hostile");
    let dir = tempfile::tempdir().unwrap();
    let program: PathBuf = dir.path().join(OsStr::from_bytes(HOSTILE.as_bytes()));
    std::fs::copy(traffic(), &program).unwrap();
    let mut work =
        Workload::spawn(cgroup.command(&program).args(["run", "--connections", "3", "--hold-end"]));
    assert_eq!(work.line()["held"], "exchanged");
    let comm = std::fs::read(format!("/proc/{}/comm", work.child.id())).unwrap();
    assert!(comm.contains(&0x1b), "the kernel keeps it as it is: {comm:?}");
    let served = Served::new(&cgroup);
    served.until("its edge", &["list", "workloads", "-o", "json"], |w| {
        w.iter().any(|w| w["name"].as_str().is_some_and(|n| n.contains("]0;"))).then_some(())
    });
    let raw = |text: &str| {
        text.chars().any(|c| {
            (c.is_control() && c != '\n')
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        })
    };
    for args in [
        &["list", "connections"][..],
        &["list", "connections", "-o", "json"],
        &["list", "edges"],
        &["list", "edges", "--all", "-o", "json"],
        &["list", "workloads", "--all"],
        &["list", "workloads", "-o", "json"],
        &["map"],
        &["map", "-o", "dot"],
        &["map", "-o", "mermaid"],
        &["observe", "--last", "100"],
        &["observe", "--last", "100", "-o", "json"],
        &["status"],
    ] {
        let text = served.ask(args);
        assert!(!raw(&text), "{args:?}: {text:?}");
        // As webb escapes it, or as JSON does.
        let escaped = text.contains("x1b") || text.contains("u001b");
        assert!(escaped || args == ["status"], "{args:?} does not show the name: {text}");
    }

    let mut ui = Term::webb(&["--server", &served.address], (200, 60));
    ui.until("the name, escaped", |text| text.contains("live") && text.contains("x1b]0;"));
    for (key, mark) in [("2", "2 Edges"), ("3", "of at most"), ("1", "arrow keys")] {
        ui.key(key, mark);
    }
    ui.key("2", "CLIENT");
    ui.type_("\x1b[B");
    ui.key("\r", "Esc closes");
    ui.type_("q");
    assert_eq!(ui.wait(), 0);
    let all = String::from_utf8_lossy(&ui.raw()).into_owned();
    assert!(!all.contains("\x1b]0;") && !all.contains('\u{202e}'), "it reached the terminal");
    work.go();
    work.finish();
}

#[test]
fn a_scope_by_pid_or_relative_path_is_the_same_cgroup() {
    needs_root();
    let cgroup = Cgroup::new("names");
    let mut work = Workload::spawn(cgroup.command(traffic()).args(["run", "--connections", "4", "--hold"]));
    assert_eq!(work.line()["held"], "opened");
    let leaf = cgroup.path.file_name().unwrap().to_str().unwrap().to_owned();
    let pid = work.child.id().to_string();
    for scope in [["--pid", &pid], ["--cgroup", &leaf], ["--cgroup", &format!("/{leaf}/")]] {
        let output = run(webb(&["list", "connections", "-o", "json"]).args(scope));
        let list = common::cli::objects(&printed(&output));
        assert_eq!(list.len(), 4, "{scope:?}");
        let status = common::cli::objects(&printed(&run(webb(&["status", "-o", "json"]).args(scope))));
        assert!(status[0].to_string().contains(&leaf), "{scope:?}");
    }
    work.go();
    work.finish();
}

/// Many short-lived processes, each with connections of its own.
#[test]
fn a_storm_of_forks_is_counted_exactly() {
    needs_root();
    let cgroup = Cgroup::new("storm");
    let served = Served::new(&cgroup);
    let script = format!(
        "for i in $(seq 60); do {} run --connections 5 --concurrency 1 >/dev/null & done; wait",
        traffic().display()
    );
    assert!(cgroup.command("sh").args(["-c", &script]).status().unwrap().success());
    let status = settled(&served);
    assert_eq!(number(&status, "/ends/client/opened"), 300);
    assert_eq!(number(&status, "/connections/closed"), 300);
    assert_eq!(number(&status, "/loss/total"), 0);
}

#[test]
fn a_cgroup_that_is_made_again_is_watched_again() {
    needs_root();
    let outer = Cgroup::new("again");
    let inner = outer.child("inner");
    let mut served = Served::new(&inner);
    Workload::spawn(&mut churn(&inner, 10)).finish();
    settled(&served);
    let path = inner.path.clone();
    until("it can be removed", || std::fs::remove_dir(&path).ok());
    let gone = until_for(LONG, "a row that says so", || {
        let status = served.status();
        let hooks = status["hooks"].as_array().unwrap().clone();
        hooks.into_iter().find(|h| h["hook"] == "scope")
    });
    assert!(gone.to_string().contains("the directory is gone"), "{gone}");
    assert!(served.ask(&["status"]).contains("the directory is gone"));
    drop(inner);
    let inner = outer.child("inner");
    until_for(LONG, "no such row", || {
        let status = served.status();
        let hooks = status["hooks"].as_array().unwrap();
        (!hooks.iter().any(|h| h["hook"] == "scope")).then_some(())
    });
    Workload::spawn(&mut churn(&inner, 10)).finish();
    let status = settled(&served);
    for end in ["client", "server"] {
        assert_eq!(number(&status, &format!("/ends/{end}/opened")), 20, "{end}");
    }
    assert_eq!(number(&status, "/connections/closed"), 20);
    assert!(number(&status, "/loss/by_place/blind") >= 1);
    // Connects without a route are seen by programs attached to the directory itself.
    let attached = Command::new("bpftool").args(["-j", "cgroup", "show"]).arg(&inner.path).output().unwrap();
    let attached: Vec<Value> = serde_json::from_slice(&attached.stdout).unwrap_or_default();
    assert!(!attached.is_empty(), "its programs are attached again");
    assert!(served.stop().success());
}
