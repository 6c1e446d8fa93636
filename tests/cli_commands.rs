//! Every command of the program over an agent on a Unix socket: what it prints, as what, and how it
//! ends.
#![cfg(all(target_os = "linux", feature = "agent"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;
#[allow(dead_code, reason = "only the check is used here")]
#[path = "schema/validator.rs"]
mod validator;

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use common::cli::{LONG, Served, objects, printed, run, signal, wait, webb};
use common::pty::{Term, count};
use common::puppet::Puppet;
use common::{Cgroup, Workload, needs_root, traffic, until_for};
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use validator::Schemas;

fn valid(schema: &str, objects: &[Value]) {
    let mut schemas = Schemas::load();
    for object in objects {
        if let Err(why) = schemas.check(schema, object) {
            panic!("{schema}: {why}\n{object:#}");
        }
    }
}

/// An agent that has seen `n` connections end and `held` that are open.
struct Seen {
    served: Served,
    held: Workload,
    cgroup: Cgroup,
}

const DONE: u64 = 30;
const HELD: u64 = 7;

fn seen() -> Seen {
    needs_root();
    let cgroup = Cgroup::new("commands");
    let served = Served::new(&cgroup);
    churn(&cgroup, DONE);
    let held = ["run", "--connections", &HELD.to_string(), "--hold-end"];
    let mut held = Workload::spawn(cgroup.command(traffic()).args(held));
    assert_eq!(held.line()["held"], "exchanged");
    let seen = Seen { served, held, cgroup };
    let total = u128::from(DONE + HELD);
    // Sealed in slices, and read by a walk: then every command says the same.
    seen.served.until("all in edges", &["list", "edges", "--all", "-o", "json"], |edges| {
        let sum = |name: &str| edges.iter().map(|e| u128::from(e[name].as_u64().unwrap_or(0))).sum::<u128>();
        (sum("opened") == total && sum("open") == u128::from(HELD) && sum("bytes_to_server") == total * 100)
            .then_some(())
    });
    seen
}

fn churn(cgroup: &Cgroup, connections: u64) {
    let n = connections.to_string();
    Workload::spawn(cgroup.command(traffic()).args(["run", "--connections", &n])).finish();
}

fn sum(objects: &[Value], field: &str) -> u64 {
    objects.iter().map(|o| o[field].as_u64().unwrap_or(0)).sum()
}

#[test]
fn lists_maps_and_status_say_the_same_in_every_format() {
    let Seen { mut served, held, cgroup } = seen();
    let leaf = cgroup.path.file_name().unwrap().to_str().unwrap().to_owned();

    let open = served.objects(&["list", "connections", "-o", "json"]);
    valid("connection", &open);
    assert_eq!(open.len() as u64, HELD);
    assert!(open.iter().all(|c| c["state"] == "open" && c["role_known"] == true && c["adopted"] == false));
    let all = served.objects(&["list", "connections", "--all", "-o", "json"]);
    valid("connection", &all);
    // An audit of the same speaks of each of them, whether it waited or not.
    for wait in ["0", "1"] {
        let audit = served.objects(&["audit", "--wait", wait, "-o", "json"]);
        valid("audit", &audit);
        let told = sum(&audit, "connections") + sum(&audit, "silent");
        assert_eq!(told, all.len() as u64, "{audit:?}");
    }
    assert_eq!(all.len() as u64, DONE + HELD);
    assert_eq!(all.iter().filter(|c| c["outcome"] == "clean").count() as u64, DONE);
    assert_eq!(sum(&all, "bytes_to_server"), (DONE + HELD) * 100);
    let table = served.ask(&["list", "connections", "--all"]);
    assert_eq!(table.lines().count() as u64, DONE + HELD + 1, "{table}");
    let table = served.ask(&["list", "connections"]);
    assert_eq!(table.lines().count() as u64, HELD + 1, "{table}");

    for (args, timed) in [(&["list", "edges"][..], "window_s"), (&["list", "edges", "--all"][..], "since")] {
        let json = served.objects(&[args, &["-o", "json"]].concat());
        valid("edge", &json);
        assert_eq!(sum(&json, "opened"), DONE + HELD, "{args:?}");
        assert_eq!(sum(&json, "open"), HELD);
        assert!(json.iter().all(|e| e.get(timed).is_some()), "{json:?}");
        let table = served.ask(args);
        // What interval the figures speak of, the head, and a row each.
        assert_eq!(table.lines().count(), json.len() + 2, "{table}");
        let first = table.lines().next().unwrap();
        assert!(first.contains(if timed == "since" { "since" } else { "last" }), "{first}");
    }
    for all in [&[][..], &["--all"][..]] {
        let json = served.objects(&[&["list", "workloads", "-o", "json"][..], all].concat());
        valid("workload", &json);
        assert!(!json.is_empty());
        let table = served.ask(&[&["list", "workloads"][..], all].concat());
        assert_eq!(table.lines().count(), json.len() + 2, "{table}");
        assert!(json.iter().all(|w| table.contains(w["name"].as_str().unwrap())), "{table}");

        let map = |format: &str| served.ask(&[&["map", "-o", format][..], all].concat());
        let edges = objects(&map("json"));
        valid("edge", &edges);
        assert_eq!(sum(&edges, "opened"), DONE + HELD);
        let dot = map("dot");
        assert!(dot.starts_with("digraph") && dot.trim_end().ends_with('}'), "{dot}");
        assert_eq!(dot.matches(" -> ").count(), edges.len(), "{dot}");
        let mermaid = map("mermaid");
        assert!(mermaid.contains("flowchart") && mermaid.matches("-->").count() >= edges.len(), "{mermaid}");
        assert_eq!(map("table").lines().count(), edges.len() + 2);
    }
    assert_eq!(served.ask(&["map"]).lines().count(), served.ask(&["map", "-o", "table"]).lines().count());

    let status = served.status();
    valid("status", std::slice::from_ref(&status));
    assert_eq!(status["connections"]["opened"], DONE + HELD);
    assert_eq!(status["connections"]["live"], HELD);
    assert_eq!(status["loss"]["total"], 0);
    let text = served.ask(&["status"]);
    assert!(text.contains(&leaf) && text.contains("ebpf"), "{text}");

    release(held);
    assert!(served.stop().success());
    assert_eq!(served.rest(), "", "the agent said more than where it serves");
}

fn release(mut held: Workload) {
    held.go();
    held.finish();
}

#[test]
fn events_are_shown_from_the_past_and_as_they_happen() {
    let Seen { served, held, cgroup } = seen();
    let all = served.objects(&["observe", "--last", "1000", "-o", "json"]);
    valid("event", &all);
    let count = |kind: &str| all.iter().filter(|e| e["event"] == kind).count() as u64;
    assert_eq!(count("established"), DONE + HELD);
    assert_eq!(count("closed"), DONE);
    let last = served.objects(&["observe", "--last", "5", "-o", "json"]);
    assert_eq!(last, all[all.len() - 5..]);
    assert_eq!(served.ask(&["observe", "--last", "5"]).lines().count(), 5);
    assert_eq!(served.ask(&["observe", "--last", "0"]), "");
    assert_eq!(served.ask(&["observe"]).lines().count(), 20);
    assert_eq!(served.ask(&["observe", "--last", "1000", "--failed"]), "");
    assert_eq!(served.ask(&["observe", "--last", "1000", "--port", "1"]), "");

    for format in ["json", "compact"] {
        let mut follow = served
            .command(&["observe", "-f", "--last", "1", "-o", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines().map(Result::unwrap);
        // The one of the past is there: what is made now comes while it follows.
        assert!(!lines.next().unwrap().is_empty());
        let refused = ["refused", "--connections", "4"];
        Workload::spawn(cgroup.command(traffic()).args(refused)).finish();
        churn(&cgroup, 3);
        let (mut failed, mut closed) = (0, 0);
        while failed < 4 || closed < 3 {
            let line = lines.next().expect("it goes on");
            if format == "json" {
                valid("event", &objects(&line));
            }
            failed += u64::from(line.contains("refused"));
            closed += u64::from(line.contains("clean"));
        }
        signal(&follow, Signal::INT);
        assert!(wait(&mut follow).success());
        let mut errors = String::new();
        follow.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!(errors, "");
    }
    assert_eq!(served.objects(&["observe", "--last", "1000", "--failed", "-o", "json"]).len(), 8);
    release(held);
}

/// Without its reader a command ends, and says nothing about it.
#[test]
fn a_broken_pipe_is_no_error() {
    let Seen { mut served, held, cgroup } = seen();
    for args in [
        &["observe", "-f", "--last", "1000"][..],
        &["list", "connections", "--all"],
        &["list", "edges", "-o", "json"],
        &["status"],
        &["list", "requests"],
        &["top"],
        &["map", "-o", "dot"],
        &["completions", "bash"],
        &["man"],
    ] {
        let mut command = served.command(args);
        let (reader, writer) = std::io::pipe().unwrap();
        command.stdout(writer).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // The command holds our copy of the writing end.
        drop(command);
        let mut first = [0u8; 1];
        (&reader).read_exact(&mut first).unwrap();
        drop(reader);
        if args.contains(&"-f") {
            // It notices with the next event.
            until_for(LONG, "observe ends", || {
                churn(&cgroup, 1);
                child.try_wait().unwrap()
            });
        }
        assert!(wait(&mut child).success(), "{args:?}");
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!(errors, "", "{args:?}");
    }
    release(held);
    assert!(served.stop().success());
}

#[test]
fn an_agent_inside_answers_too_and_global_flags_stand_anywhere() {
    needs_root();
    let cgroup = Cgroup::new("inside");
    let mut held = Workload::spawn(cgroup.command(traffic()).args(["run", "--connections", "9", "--hold"]));
    assert_eq!(held.line()["held"], "opened");
    let path = cgroup.path.to_str().unwrap();
    for args in [
        &["--cgroup", path, "list", "connections", "-o", "json"][..],
        &["list", "--cgroup", path, "connections", "-o", "json"],
        &["list", "connections", "-o", "json", "--cgroup", path],
    ] {
        let list = objects(&printed(&run(&mut webb(args))));
        valid("connection", &list);
        assert_eq!(list.len(), 9, "{args:?}");
        assert!(list.iter().all(|c| c["adopted"] == true));
    }
    let status = objects(&printed(&run(&mut webb(&["status", "-o", "json", "--cgroup", path]))));
    valid("status", &status);
    assert_eq!(status[0]["connections"]["live"], 9);
    held.go();
    held.finish();

    // By the environment, and the flag before it.
    let served = Served::new(&cgroup);
    let by_name = run(webb(&["status"]).env("WEBB_SERVER", &served.address));
    assert!(printed(&by_name).contains("ebpf"));
    let flag = run(served.command(&["status"]).env("WEBB_SERVER", "unix:/nonexistent"));
    assert!(printed(&flag).contains("ebpf"));
}

/// HTTP/1.1 over loopback in a cgroup of its own: what was asked is known exactly.
struct Asked {
    served: Served,
    _puppet: Puppet,
    _cgroup: Cgroup,
    port: u16,
}

const ORDERS: usize = 20;
const BAD: usize = 5;
const NONE: usize = 3;
const ALL: usize = ORDERS + BAD + NONE;

fn asked() -> Asked {
    needs_root();
    let cgroup = Cgroup::new("asked");
    let served = Served::new(&cgroup);
    let mut puppet = Puppet::new(&cgroup);
    let at = puppet.listen("l", "127.0.0.1:0");
    puppet.pair("l", at, "c", "s");
    let mut ask = |path: &str, status: &str| {
        let asks = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        puppet.exchange("c", "s", &asks, &format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\nhello"));
    };
    (0..ORDERS).for_each(|n| ask(&format!("/orders/{n}?token=secret"), "200 OK"));
    (0..BAD).for_each(|_| ask("/bad", "503 Service Unavailable"));
    (0..NONE).for_each(|_| ask("/none", "404 Not Found"));
    served.until("every request", &["list", "requests", "-o", "json"], |r| (r.len() == ALL).then_some(()));
    served.until("all in edges", &["list", "edges", "--all", "-o", "json"], |edges| {
        (sum(&edges, "requests") == ALL as u64).then_some(())
    });
    Asked { served, _puppet: puppet, _cgroup: cgroup, port: at.port() }
}

fn numbers(events: &[Value]) -> Vec<u64> {
    events.iter().map(|e| e["sequence"].as_u64().unwrap()).collect()
}

#[test]
fn requests_are_listed_one_by_one() {
    let Asked { served, port, _puppet, _cgroup } = asked();
    let all = served.objects(&["list", "requests", "-o", "json"]);
    valid("request", &all);
    let of = |objects: &[Value], status: &str| objects.iter().filter(|r| r["status"] == status).count();
    assert_eq!([of(&all, "200"), of(&all, "503"), of(&all, "404")], [ORDERS, BAD, NONE]);
    for r in &all {
        assert_eq!(
            (&r["protocol"], &r["method"], &r["shape"]),
            (&"http".into(), &"GET".into(), &"unary".into())
        );
        assert_eq!(r["server"]["port"], port);
        assert_eq!(
            r["verdict"],
            if r["status"] == "503" {
                "error"
            } else if r["status"] == "404" {
                "client-error"
            } else {
                "ok"
            }
        );
        assert_eq!(r["ok"], r["status"] == "200");
        // Both ends are watched.
        assert!(r["latency_us"].is_u64() && r["by_client"]["latency_us"].is_u64(), "{r:#}");
        assert!(r["by_server"]["latency_us"].as_u64() <= r["latency_us"].as_u64(), "{r:#}");
    }
    let paths = all.iter().filter(|r| r["status"] == "200").map(|r| r["target"].as_str().unwrap());
    assert!(paths.clone().all(|p| p == "/orders/{id}"), "{:?}", paths.collect::<Vec<_>>());
    assert!(all.iter().is_sorted_by_key(|r| r["sequence"].as_u64()));

    let list = |args: &[&str]| served.objects(&[&["list", "requests", "-o", "json"], args].concat());
    // Names may be learnt between two looks.
    assert_eq!(numbers(&list(&["--last", "4"])), numbers(&all[ALL - 4..]));
    assert_eq!(list(&["--last", "0"]), [] as [Value; 0]);
    assert_eq!(of(&list(&["--failed"]), "503"), BAD);
    assert_eq!(list(&["--failed"]).len(), BAD);
    assert_eq!(list(&["--protocol", "http,dns"]).len(), ALL);
    assert_eq!(list(&["--protocol", "redis", "--protocol", "dns"]).len(), 0);
    assert_eq!(list(&["--port", &port.to_string()]).len(), ALL);
    assert_eq!(list(&["--port", "1"]).len(), 0);

    let table = served.ask(&["list", "requests"]);
    assert_eq!(table.lines().count(), 1 + ALL, "{table}");
    assert!(!table.contains("secret") && table.contains("/orders/{id}"), "{table}");
    assert_eq!(table.matches("! 503").count(), BAD, "{table}");
    assert!(table.lines().skip(1).all(|l| l.ends_with("client, server") && l.contains(" http ")), "{table}");
    assert_eq!(served.ask(&["list", "requests", "--last", "0"]).lines().count(), 1);
}

#[test]
fn events_are_requests_where_they_are_asked_for() {
    let Asked { served, port, _puppet, _cgroup } = asked();
    let observe =
        |args: &[&str]| served.objects(&[&["observe", "--last", "1000", "-o", "json"], args].concat());
    let kinds = |events: &[Value]| {
        let mut kinds: Vec<String> = events.iter().map(|e| e["event"].as_str().unwrap().to_owned()).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    };
    // Without a word of requests there are none.
    let connections = observe(&[]);
    valid("event", &connections);
    assert_eq!(kinds(&connections), ["established"]);
    let requests = observe(&["--protocol", "http"]);
    valid("request", &requests);
    assert_eq!(requests.len(), ALL);
    assert_eq!(numbers(&observe(&["--kind", "request"])), numbers(&requests));
    assert_eq!(observe(&["--kind", "request", "--protocol", "dns"]).len(), 0);
    let both = observe(&["--kind", "request,established"]);
    assert_eq!((both.len(), kinds(&both)), (ALL + 1, vec!["established".to_owned(), "request".to_owned()]));
    assert_eq!(both[0]["event"], "established", "in the order of time");
    assert_eq!(observe(&["--kind", "closed"]).len(), 0);
    // What fails is shown whatever it is.
    let failed = observe(&["--failed"]);
    assert_eq!(failed.len(), BAD);
    assert!(failed.iter().all(|r| r["status"] == "503"), "{failed:?}");
    assert_eq!(observe(&["--failed", "--kind", "failed"]).len(), 0);
    assert_eq!(observe(&["--kind", "request", "--port", &port.to_string()]).len(), ALL);
    let text = served.ask(&["observe", "--kind", "request", "--last", "1"]);
    assert!(text.contains("  request  ") && text.contains("GET /none") && text.contains(" 404 "), "{text}");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn edges_maps_and_top_say_what_is_asked() {
    let Asked { mut served, port, _puppet, _cgroup } = asked();
    let edges = served.objects(&["list", "edges", "--all", "-o", "json"]);
    valid("edge", &edges);
    let [e] = &edges[..] else { panic!("one edge: {edges:#?}") };
    let counts = |o: &Value| ["requests", "errors", "client_errors"].map(|f| o[f].as_u64().unwrap() as usize);
    assert_eq!((e["protocol"].as_str(), counts(e)), (Some("http"), [ALL, BAD, NONE]));
    // Both views count all, and nothing adds them.
    assert_eq!((counts(&e["by_client"]), counts(&e["by_server"])), ([ALL, BAD, NONE], [ALL, BAD, NONE]));
    assert_eq!((&e["latency_us"]["count"], &e["undecoded_bytes"]), (&ALL.into(), &0.into()));
    assert_eq!(e["turn_us"]["count"], ALL);
    assert_eq!(e["targets"].as_array().map(Vec::len), Some(3), "{e:#}");
    let last = served.objects(&["list", "edges", "-o", "json"]);
    assert_eq!((&last[0]["targets"], last.len()), (&e["targets"], 1), "as long as it is young");
    let table = served.ask(&["list", "edges", "--all"]);
    assert!(
        table.contains(" http ") && table.contains(&format!(" {ALL} ")) && table.contains(" 17.9% "),
        "{table}"
    );
    let dot = served.ask(&["map", "--all", "-o", "dot"]);
    assert!(dot.contains(&format!(":{port}  http  {ALL} requests  17.9% errors  p99 ")), "{dot}");
    assert!(served.ask(&["map", "--all", "-o", "mermaid"]).contains(" req"), "the same in Mermaid");

    let top = |args: &[&str]| {
        let rows = served.objects(&[&["top", "--window", "300", "-o", "json"], args].concat());
        valid("top", &rows);
        assert!(rows.iter().zip(1..).all(|(r, n)| r["rank"] == n));
        rows
    };
    let rows = top(&[]);
    assert_eq!(rows.len(), 1);
    assert_eq!(counts(&rows[0]), [ALL, BAD, NONE]);
    let target = |r: &Value| r["target"].as_str().unwrap().to_owned();
    assert_eq!(
        top(&["--by", "paths"]).iter().map(target).collect::<Vec<_>>(),
        ["/orders/{id}", "/bad", "/none"]
    );
    assert_eq!(target(&top(&["--by", "paths", "--sort", "errors"])[0]), "/bad");
    let slowest = top(&["--by", "paths", "--sort", "p99"]);
    assert!(slowest.iter().map(|r| r["latency_us"]["p99"].as_u64()).is_sorted_by(|a, b| a >= b));
    assert!(slowest.iter().all(|r| r["view"] == "server"));
    // No terminal: once.
    let text = served.ask(&["top", "--window", "300", "--by", "paths"]);
    assert_eq!(text.lines().count(), 2 + 3, "{text}");
    assert!(text.contains("17.9% errors") && text.contains("GET  "), "{text}");

    // On a terminal until it is ended, and that is given back.
    for (end, by) in [("q", "edges"), ("\x03", "paths"), ("\x1b", "edges")] {
        let args = ["--server", &served.address, "top", "--by", by, "--window", "300"];
        let mut t = Term::webb(&args, (160, 12));
        t.until("the figures", |text| text.contains("REQ/S") && text.contains(" http "));
        assert!(t.screen(|s| s.alternate_screen() && s.hide_cursor()) && !t.is_cooked());
        t.until("another second", |_| count(&t.raw(), b"\x1b[?2026h") >= 3);
        if by == "paths" {
            t.resize(60, 4);
            t.until("what does not fit is counted", |text| {
                text.contains("3 more") && text.lines().count() == 4
            });
        }
        t.type_(end);
        assert_eq!(t.wait(), 0);
        t.restored();
    }
    let mut t = Term::webb(&["--server", &served.address, "top"], (80, 24));
    t.until("the figures", |text| text.contains("REQ/S"));
    kill_process(t.pid(), Signal::TERM).unwrap();
    assert_eq!(t.wait(), 0);
    t.restored();
    assert!(served.stop().success());
}

const COMMANDS: [&str; 11] =
    ["agent", "demo", "doctor", "observe", "list", "audit", "top", "status", "map", "completions", "man"];

#[test]
fn help_completions_and_the_man_page_name_every_command() {
    let help = printed(&run(&mut webb(&["--help"])));
    let man = printed(&run(&mut webb(&["man"])));
    assert!(man.contains(".TH webb 1"), "{man}");
    for command in COMMANDS {
        assert!(help.lines().any(|l| l.trim_start().starts_with(command)), "{command}: {help}");
        assert!(man.contains(command), "{command}: {man}");
        let of_it = printed(&run(&mut webb(&[command, "--help"])));
        assert!(of_it.contains(&format!("webb {command}")), "{of_it}");
    }
    for (hidden, text) in [("demo-service", &help), ("demo-reaper", &help), ("demo-shop", &man)] {
        assert!(!text.contains(hidden), "{hidden} is for webb itself");
    }
    for (shell, mark) in
        [("bash", "complete -F _webb"), ("zsh", "#compdef webb"), ("fish", "complete -c webb")]
    {
        let script = printed(&run(&mut webb(&["completions", shell])));
        assert!(script.contains(mark), "{shell}");
        assert!(COMMANDS.iter().all(|c| script.contains(c)), "{shell}");
    }
    let version = printed(&run(&mut webb(&["--version"])));
    assert_eq!(version.trim(), format!("webb {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_has_status_2_and_a_hint() {
    for args in [
        &["nonsense"][..],
        &["list"],
        &["list", "nonsense"],
        &["list", "edges", "-o", "dot"],
        &["map", "-o", "svg"],
        &["observe", "--last", "many"],
        &["observe", "--port", "65536"],
        &["observe", "--kind", "opening"],
        &["observe", "--protocol", "ftp"],
        &["list", "requests", "--all"],
        &["list", "requests", "--last", "-1"],
        &["list", "edges", "--protocol", "http"],
        &["list", "tls", "--last", "3"],
        &["audit", "--wait", "3601"],
        &["audit", "--all"],
        &["top", "--by", "ports"],
        &["top", "--sort", "name"],
        &["top", "--window", "0"],
        &["top", "--window", "301"],
        &["--pid", "-1"],
        &["--history", "0"],
        &["--ring", "1"],
        &["--ring", "4294967295"],
        &["--theme", "pink"],
        &["agent", "--tls-cert", "x"],
        &["agent", "--tls-client-ca", "x"],
        &["completions", "cmd"],
        &["--nonsense"],
        &["status", "extra"],
    ] {
        let output = run(&mut webb(args));
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.starts_with("error: ") && error.contains("--help"), "{args:?}: {error}");
    }
}

/// `webb doctor` as root on a host with eBPF.
#[test]
fn doctor_names_each_datum_with_its_hook() {
    needs_root();
    let cgroup = Cgroup::new("doctor");
    let scope = ["--cgroup", cgroup.path.to_str().unwrap()];
    let text = printed(&run(webb(&["doctor"]).args(scope)));
    assert!(text.lines().any(|l| l.starts_with("kernel ")) && text.contains("on "), "{text}");
    assert!(text.ends_with("The essentials hold: webb sees every connection in scope.\n"), "{text}");
    let json = objects(&printed(&run(webb(&["doctor", "-o", "json"]).args(scope))));
    assert_eq!(json.len(), 1);
    assert_eq!(json[0]["essentials"], true);
    assert!(json[0]["hooks"].as_array().unwrap().len() > 5);
}
