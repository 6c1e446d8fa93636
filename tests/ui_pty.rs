//! The UI in a terminal as a person has it: every view at every size, keys, resizing, and that the
//! terminal is given back however it ends.
#![cfg(all(target_os = "linux", feature = "agent"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::path::PathBuf;
use std::time::Duration;

use common::cli::{Served, WEBB, run, webb};
use common::pty::{Term, count, in_terminal};
use common::{Cgroup, Workload, needs_root, traffic, until};
use rustix::process::{Signal, kill_process};

const SIZES: [(u16, u16); 4] = [(80, 24), (120, 40), (200, 60), (40, 10)];

/// Bounds for (first frame, first data). The promise is (100 ms, 1 s) for a release build on a machine
/// that does nothing else; a debug build beside other tests gets more.
const BOUNDS: (Duration, Duration) = if cfg!(debug_assertions) {
    (Duration::from_secs(5), Duration::from_secs(20))
} else {
    (Duration::from_millis(500), Duration::from_secs(5))
};

/// Something that stands in one view only, whatever the size.
const VIEWS: [(&str, &str); 6] = [
    ("1", "1 Map"),
    ("2", "2 Edges"),
    ("3", "3 Connections"),
    ("4", "4 Requests"),
    ("5", "5 Security"),
    ("6", "Loss since the agent started"),
];

/// Whether the screen was drawn for this height: what was there before has its last line elsewhere.
fn drawn(text: &str, rows: u16) -> bool {
    text.contains('●')
        && text.lines().count() == usize::from(rows)
        && text.lines().last().is_some_and(|l| l.contains("? help"))
}

/// Every view and every key; `name` is that of a workload that is there.
fn tour(mut t: Term, (cols, rows): (u16, u16), name: &str) {
    let frame = t.until("a frame", |text| text.contains("1 Map"));
    assert!(t.screen(|s| s.alternate_screen() && s.hide_cursor()));
    assert!(!t.is_cooked());
    // On the smallest screen the map shows a part, which may be another.
    let data = t.until("data", |text| text.contains('●') && (cols < 80 || text.contains(name)));
    println!("{cols}x{rows}: first frame after {frame:?}, first data after {data:?}");
    assert!(frame < BOUNDS.0 && data < BOUNDS.1, "first frame after {frame:?}, first data after {data:?}");

    for (key, mark) in VIEWS {
        t.key(key, mark);
    }
    for mark in ["1 Map", "2 Edges", "3 Connections", "4 Requests", "5 Security", "6 Agent"] {
        t.key("\t", mark);
    }
    t.key("5", "5 Security");
    // Shares of how connections are secured, or why there are none; the arrows and Enter do no harm.
    let security = |text: &str| text.contains("connections on") || text.contains("looked at");
    t.until("the security or why there is none", security);
    t.type_("\x1b[B\r");
    t.until("the finding's edge, or nothing", |text| text.contains("┌ Edge ─") || security(text));
    if t.text().contains("┌ Edge ─") {
        t.type_("\x1b");
        t.until("the security again", |text| security(text) && !text.contains("┌ Edge ─"));
    }
    t.key("6", "6 Agent");
    t.type_("\x1b[Z\x1b[Z\x1b[Z\x1b[Z");
    t.key("", "2 Edges");
    t.until("the edges", |text| text.contains("CLIENT") && text.contains(name));
    t.key("?", "┌ Help ─");
    t.type_("\x1b");
    t.until("no help", |text| !text.contains("┌ Help ─") && text.contains("CLIENT"));

    // The first edge, in detail.
    t.type_("\x1b[B");
    t.key("\r", "Esc closes");
    t.until("the edge", |text| text.contains("┌ Edge ─"));
    t.type_("\x1b");
    t.until("no detail", |text| !text.contains("Esc closes"));

    t.key("/", "▏");
    t.key("nothing-has-this-name", "No edges match");
    t.type_("\x1b");
    t.until("no filter", |text| text.contains("CLIENT") && text.contains("to filter"));
    t.type_(&format!("/{name}\r"));
    t.until("the edges that fit", |text| text.contains(&format!("/ {name}")) && text.contains("CLIENT"));
    t.type_("\x1b");
    t.until("no filter", |text| text.contains("to filter"));

    let sorted = |text: &str| {
        let head = text.lines().find(|l| l.contains("CLIENT")).unwrap_or_default().to_owned();
        head.split_whitespace().find(|w| w.contains(['▼', '▲'])).map(str::to_owned)
    };
    let before = sorted(&t.text());
    t.type_("s");
    t.until("another order", |text| sorted(text) != before);
    t.key(" ", "paused");
    t.type_(" ");
    t.until("it goes on", |text| !text.contains("paused") && text.contains('●'));
    if cols >= 80 {
        t.key("w", "last 5 min");
        t.key("w", "last 10 s");
        t.key("w", "last 60 s");
    }

    // Too small to show anything but that; then another size.
    t.resize(20, 5);
    t.until("it is too small", |text| text.contains("webb needs 40x10"));
    t.resize(1, 1);
    t.resize(100, 30);
    t.until("the whole screen again", |text| drawn(text, 30));
    t.resize(40, 10);
    t.until("a small screen", |text| drawn(text, 10));
    t.resize(cols, rows);
    t.until("the first size", |text| drawn(text, rows));
    // A key that comes at the very moment of a resize may be held back until the next one is pressed.
    t.press_until("6", "6 Agent");
    t.press_until("2", "2 Edges");

    t.type_("q");
    assert_eq!(t.wait(), 0);
    t.restored();
}

/// The demo's cgroups and processes that a webb process made.
fn left(pid: u32) -> Vec<PathBuf> {
    let mount = webb::identity::cgroup2_mount().unwrap();
    let named = |dir: PathBuf| {
        std::fs::read_dir(dir).unwrap().filter_map(Result::ok).map(|e| e.path()).filter(|p| {
            let name = p.file_name().unwrap().to_string_lossy().into_owned();
            name == format!("webb-demo-{pid}") || name.starts_with(&format!("webb-demo-{pid}-"))
        })
    };
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = own.lines().find_map(|l| l.strip_prefix("0::/")).unwrap_or_default().to_owned();
    let mut all: Vec<_> = named(mount.clone()).chain(named(mount.join(own))).collect();
    all.dedup();
    all
}

#[test]
fn every_view_of_the_demo_at_every_size() {
    needs_root();
    for at in SIZES {
        let t = Term::webb(&["demo"], at);
        let pid = t.child.process_id().unwrap();
        until("the demo's cgroup", || (!left(pid).is_empty()).then_some(()));
        let services = services(&left(pid)[0]);
        tour(t, at, "stock");
        assert_eq!(left(pid), Vec::<PathBuf>::new());
        for service in services {
            assert!(!PathBuf::from(format!("/proc/{service}")).exists(), "{service} is still there");
        }
    }
}

fn services(cgroup: &std::path::Path) -> Vec<u32> {
    until("all services", || {
        let mut pids = Vec::new();
        for dir in std::fs::read_dir(cgroup).ok()?.filter_map(Result::ok).filter(|e| e.path().is_dir()) {
            let inside = std::fs::read_to_string(dir.path().join("cgroup.procs")).ok()?;
            pids.extend(inside.lines().filter_map(|l| l.parse::<u32>().ok()));
        }
        (pids.len() >= 6).then_some(pids)
    })
}

/// An agent with something to see.
struct Agent {
    served: Served,
    held: Workload,
    _cgroup: Cgroup,
}

fn agent() -> Agent {
    needs_root();
    let cgroup = Cgroup::new("ui");
    let mut held =
        Workload::spawn(cgroup.command(traffic()).args(["run", "--connections", "5", "--hold-end"]));
    assert_eq!(held.line()["held"], "exchanged");
    let served = Served::new(&cgroup);
    // Its name is learnt a moment after it.
    served.until("an edge with a name", &["list", "workloads", "-o", "json"], |w| {
        // With the port, once that is known.
        w.iter().any(|w| w["name"].as_str().is_some_and(|n| n.starts_with("traffic"))).then_some(())
    });
    Agent { served, held, _cgroup: cgroup }
}

impl Agent {
    fn ui(&self, at: (u16, u16)) -> Term {
        Term::webb(&["--server", &self.served.address], at)
    }
}

#[test]
fn every_view_of_an_agent_at_every_size() {
    let mut agent = agent();
    for at in SIZES {
        tour(agent.ui(at), at, "traffic");
    }
    agent.held.go();
    assert!(agent.served.stop().success());
}

#[test]
fn the_terminal_is_given_back_on_every_signal_and_key_that_ends() {
    let agent = agent();
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut t = agent.ui((80, 24));
        t.until_says("live");
        kill_process(t.pid(), signal).unwrap();
        assert_eq!(t.wait(), 0, "{signal:?}");
        t.restored();
    }
    let mut t = agent.ui((80, 24));
    t.until_says("live");
    t.type_("\x03");
    assert_eq!(t.wait(), 0);
    t.restored();
    // Before there is anything to see: at once.
    let mut t = agent.ui((80, 24));
    t.until_says("webb");
    t.type_("q");
    assert_eq!(t.wait(), 0);
    t.restored();
}

#[test]
fn a_demo_that_is_terminated_leaves_nothing() {
    needs_root();
    let mut t = Term::webb(&["demo"], (80, 24));
    t.until_says("live");
    let pid = t.child.process_id().unwrap();
    let services = services(&left(pid)[0]);
    kill_process(t.pid(), Signal::TERM).unwrap();
    assert_eq!(t.wait(), 0);
    t.restored();
    assert_eq!(left(pid), Vec::<PathBuf>::new());
    for service in services {
        assert!(!PathBuf::from(format!("/proc/{service}")).exists(), "{service} is still there");
    }
}

/// Under a shell that does job control: the shell has the terminal meanwhile, and `fg` comes back.
#[test]
fn ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_again() {
    let agent = agent();
    let script = format!(
        "set -m; {WEBB} --server {}; echo left-$?-; read line; fg >/dev/null; echo over-$?-",
        agent.served.address
    );
    let mut t = Term::start(in_terminal("bash", &["--norc", "--noprofile", "-c", &script]), (80, 24));
    t.until_says("live");
    t.key("\x1a", "left-148-");
    t.restored();
    t.resize(100, 30);
    t.type_("\r");
    t.until("the UI again, at the new size", |text| drawn(text, 30));
    assert!(t.screen(|s| s.alternate_screen() && s.hide_cursor()) && !t.is_cooked());
    t.key("2", "CLIENT");
    t.key("q", "over-0-");
    assert_eq!(t.wait(), 0);
    t.restored();
}

/// Without a shell nobody would ever continue it: it goes on by itself.
#[test]
fn ctrl_z_without_job_control_does_not_hang() {
    let agent = agent();
    let mut t = agent.ui((80, 24));
    t.until_says("live");
    let before = count(&t.raw(), b"\x1b[?1049h");
    t.type_("\x1a");
    t.until("the UI again", |_| count(&t.raw(), b"\x1b[?1049h") > before);
    t.key("2", "CLIENT");
    // Stopped and continued from outside, it draws everything again.
    let before = count(&t.raw(), b"\x1b[?1049h");
    kill_process(t.pid(), Signal::STOP).unwrap();
    kill_process(t.pid(), Signal::CONT).unwrap();
    t.until("the UI again", |text| count(&t.raw(), b"\x1b[?1049h") > before && text.contains("CLIENT"));
    t.type_("q");
    assert_eq!(t.wait(), 0);
    t.restored();
}

#[test]
fn an_agent_that_ends_and_one_that_comes_again_are_shown() {
    let mut agent = agent();
    let mut t = agent.ui((80, 24));
    t.until_says("live");
    let socket = agent.served.socket.clone().unwrap();
    assert!(agent.served.stop().success());
    t.until("it is lost", |text| text.contains("lost") && text.contains("connection lost: "));
    let mut again = webb(&["agent", "--cgroup"]);
    again.arg(&agent._cgroup.path).arg("--listen").arg(format!("unix:{}", socket.display()));
    let _again = Served::spawn(again, tempfile::tempdir().unwrap());
    t.until("it is there again", |text| text.contains('●') && text.contains("traffic"));
    t.type_("q");
    assert_eq!(t.wait(), 0);
    t.restored();
}

/// Parameters of every SGR sequence.
fn sgr(raw: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(raw);
    let sequences = text.split("\x1b[").skip(1).filter_map(|s| {
        let end = s.find(|c: char| !(c.is_ascii_digit() || c == ';' || c == ':'))?;
        s[end..].starts_with('m').then(|| s[..end].to_owned())
    });
    sequences.flat_map(|s| s.split([';', ':']).map(|n| n.parse().unwrap_or(0)).collect::<Vec<_>>()).collect()
}

fn is_colour(n: &u16) -> bool {
    matches!(n, 30..=38 | 40..=48 | 58 | 90..=97 | 100..=107)
}

#[test]
fn no_color_means_none() {
    let agent = agent();
    for (no_color, coloured) in [("1", false), ("", true)] {
        let mut command = in_terminal(WEBB, &["--server", &agent.served.address]);
        command.env("NO_COLOR", no_color);
        let mut t = Term::start(command, (120, 40));
        t.until("data", |text| text.contains('●') && text.contains("traffic"));
        for (key, mark) in VIEWS {
            t.key(key, mark);
        }
        t.key("2", "CLIENT");
        t.type_("\x1b[B");
        t.key("\r", "Esc closes");
        t.type_("q");
        assert_eq!(t.wait(), 0);
        t.restored();
        let all = sgr(&t.raw());
        assert!(!all.is_empty());
        assert_eq!(all.iter().any(is_colour), coloured, "NO_COLOR={no_color}: {all:?}");
    }
}

#[test]
fn without_the_mouse_it_is_left_to_the_terminal() {
    let agent = agent();
    let mut t = Term::webb(&["--no-mouse", "--ascii", "--server", &agent.served.address], (80, 24));
    t.until("data", |text| text.contains("live") && text.contains("traffic"));
    assert_eq!(t.screen(vt100::Screen::mouse_protocol_mode), vt100::MouseProtocolMode::None);
    t.key("2", "CLIENT");
    assert!(t.text().is_ascii(), "{}", t.text());
    t.type_("q");
    assert_eq!(t.wait(), 0);
    t.restored();

    let mut t = agent.ui((80, 24));
    t.until("data", |text| text.contains('●') && text.contains("traffic"));
    assert_ne!(t.screen(vt100::Screen::mouse_protocol_mode), vt100::MouseProtocolMode::None);
    // A click on the second tab, as a terminal reports it: column 9, line 2.
    t.type_("\x1b[<0;9;2M\x1b[<0;9;2m");
    t.until_says("CLIENT");
    t.type_("q");
    assert_eq!(t.wait(), 0);
    t.restored();
}

#[test]
fn what_is_no_terminal_gets_one_sentence() {
    for args in [&[][..], &["demo"], &["--server", "unix:/nonexistent"], &["--theme", "mono"]] {
        let output = run(&mut webb(args));
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        assert!(error.starts_with("webb: the UI needs a terminal"), "{error}");
        assert!(error.lines().count() == 1 && error.contains("`webb list`"), "{error}");
    }
}

/// A capture on a terminal: it says what it is, whether it is whole, and of which time; nothing in it needs
/// a kernel.
#[test]
fn a_capture_says_what_it_is_in_every_pane() {
    let captures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let whole = std::fs::read(captures.join("http2-nginx.pcap")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for (name, len, mark) in [("whole", whole.len(), "◆ capture"), ("cut", 30_000, "◆ capture, incomplete")]
    {
        let file = dir.path().join(format!("{name}.pcap"));
        std::fs::write(&file, &whole[..len]).unwrap();
        for size in [(80, 24), (120, 40), (200, 60)] {
            let mut t = Term::webb(&["--file", file.to_str().unwrap()], size);
            let said = t.until("the header", |text| text.contains(mark));
            assert!(said < BOUNDS.1, "{said:?}");
            assert_eq!(t.text().contains("incomplete"), name == "cut");
            t.key("2", "CLIENT");
            t.until("the edge", |text| text.contains("8080"));
            t.key("3", "127.0.0.1:8080");
            t.key("4", "GET /broken");
            t.key("5", "5 Security");
            t.until("shares, or why there are none", |text| {
                text.contains("connections on") || text.contains("said enough to tell")
            });
            t.key("6", "Loss in reading the capture");
            assert!(t.text().contains(&format!("capture {name}.pcap · 20")));
            assert!(!t.text().contains("kernel") && !t.text().contains("Cost"));
            t.type_("q");
            assert_eq!(t.wait(), 0);
            t.restored();
        }
    }
    let none = dir.path().join("none.pcap");
    std::fs::write(&none, &whole[..24]).unwrap();
    let mut t = Term::webb(&["--file", none.to_str().unwrap()], (80, 24));
    t.until("that it is empty", |text| text.contains("No connections in the last 60 s of this capture"));
    t.key("4", "No request was found in this capture");
    t.type_("q");
    assert_eq!(t.wait(), 0);
}
