//! Bad input: one sentence that says what is wrong and what to do, the right exit status, and
//! nothing left behind.
#![cfg(all(target_os = "linux", feature = "agent"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;
#[path = "support/pki.rs"]
mod pki;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use common::cli::{Served, printed, run, webb};
use common::{Cgroup, needs_root};
use pki::pki;

/// It fails with status 1 and one sentence that holds each of `says`.
fn refused(command: &mut Command, says: &[&str]) {
    let what = format!("{command:?}");
    let output = run(command);
    let error = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{what}: {error}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{what}");
    assert!(error.starts_with("webb: ") && error.ends_with('\n'), "{what}: {error}");
    assert_eq!(error.trim_end_matches('\n').lines().count(), 1, "{what}: {error}");
    assert!(!error.trim_end().chars().any(char::is_control), "{what}: {error:?}");
    for part in says {
        assert!(error.contains(part), "{what}: expected {part:?} in: {error}");
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut all: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    all.sort();
    all
}

#[test]
fn a_scope_that_is_not_there() {
    needs_root();
    let dir = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}", dir.path().join("s").display());
    // A pid of a process that has ended, and that is not waited for: nobody else can get it.
    let mut ended = Command::new("true").spawn().unwrap();
    let zombie = ended.id().to_string();
    for (scope, says) in [
        (["--cgroup", "nope/nope"], ["no cgroup nope/nope", "systemd-cgls"]),
        (["--cgroup", "/proc"], ["/proc is not a cgroup v2 directory", "give a path below"]),
        (["--cgroup", ".."], ["is not a cgroup v2 directory", "give a path below"]),
        (["--unit", "nope"], ["no running unit nope.service", "systemctl status"]),
        (["--container", "nope"], ["no running container", "docker ps"]),
        (["--pid", "4294967295"], ["process 4294967295", "is the pid right?"]),
        (["--pid", "0"], ["process 0", "is the pid right?"]),
        (["--pid", &zombie], ["process", "cgroup"]),
    ] {
        refused(webb(&["agent", "--listen", &socket]).args(scope), &says);
        refused(webb(&["list", "edges"]).args(scope), &says);
        refused(webb(&["doctor"]).args(scope), &says);
        assert!(names(dir.path()).is_empty());
    }
    ended.wait().unwrap();
    // What a script gives whose variable is not set: not the whole host.
    for flag in ["--cgroup", "--unit", "--container"] {
        let output = run(&mut webb(&["agent", "--listen", &socket, flag, ""]));
        assert_eq!(output.status.code(), Some(2), "{flag}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(flag));
    }
    // A name with control characters does not reach the terminal as such.
    let output = run(&mut webb(&["list", "edges", "--cgroup", "a\x1b]0;x\x07b"]));
    assert!(!output.stderr.contains(&0x1b), "{:?}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn certificates_that_cannot_be_used() {
    needs_root();
    let cgroup = Cgroup::new("certs");
    let dir = tempfile::tempdir().unwrap();
    let (good, other) = (pki(dir.path(), "good"), pki(dir.path(), "other"));
    let missing = dir.path().join("missing.pem");
    let garbage = dir.path().join("garbage.pem");
    fs::write(&garbage, "-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n").unwrap();
    let empty = dir.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    let agent = |listen: &str, cert: &Path, key: &Path, says: &[&str]| {
        let mut command = webb(&["agent", "--listen", listen, "--cgroup"]);
        command.arg(&cgroup.path).arg("--tls-cert").arg(cert).arg("--tls-key").arg(key);
        refused(&mut command, says);
    };
    let tcp = "127.0.0.1:0";
    agent(tcp, &missing, &good.key, &["cannot read", "missing.pem", "--tls-cert"]);
    agent(tcp, &good.cert, &missing, &["cannot read", "missing.pem", "--tls-key"]);
    agent(tcp, dir.path(), &good.key, &["cannot read", "directory"]);
    agent(tcp, &empty, &good.key, &["empty.pem holds no certificate in PEM form"]);
    agent(tcp, &good.key, &good.key, &["holds no certificate in PEM form"]);
    agent(tcp, &good.cert, &good.cert, &["holds no private key in PEM form"]);
    agent(tcp, &garbage, &good.key, &["certificate and key cannot be used"]);
    agent(tcp, &good.cert, &other.key, &["certificate and key cannot be used"]);
    let socket = format!("unix:{}", dir.path().join("s").display());
    agent(&socket, &good.cert, &good.key, &["TLS is for TCP", "leave out --tls-*"]);
    assert!(!dir.path().join("s").exists());

    let server = "127.0.0.1:1";
    let view = |ca: &Path, says: &[&str]| {
        refused(webb(&["status", "--server", server, "--tls-ca"]).arg(ca), says);
    };
    view(&missing, &["cannot read", "missing.pem", "--tls-ca"]);
    view(&empty, &["holds no certificate in PEM form", "--tls-ca"]);
    view(&garbage, &["TLS options cannot be used"]);
    let mut own = webb(&["status", "--server", server, "--tls-ca"]);
    own.arg(&good.ca).arg("--tls-cert").arg(&good.cert).arg("--tls-key").arg(&missing);
    refused(&mut own, &["cannot read", "missing.pem", "--tls-key"]);
    refused(&mut webb(&["status", "--server", server, "--tls-server-name", "x"]), &["--tls-ca FILE"]);
    refused(webb(&["status", "--server", &socket, "--tls-ca"]).arg(&good.ca), &["leave out --tls-*"]);
}

#[test]
fn a_path_that_is_taken() {
    needs_root();
    let cgroup = Cgroup::new("busy");
    let agent = |path: &Path| {
        let mut command = webb(&["agent", "--cgroup", cgroup.path.to_str().unwrap(), "--listen"]);
        command.arg(format!("unix:{}", path.display()));
        command
    };
    let mut live = Served::new(&cgroup);
    let socket = live.socket.clone().unwrap();
    let says = ["another server already listens on", "stop it, or choose another path"];
    refused(&mut agent(&socket), &says);
    assert_eq!(live.status()["connections"]["live"], 0, "the first one still serves");
    assert_eq!(names(live.dir()), ["webb.sock"]);

    let file = live.dir().join("file");
    fs::write(&file, "precious").unwrap();
    for path in [&file, live.dir()] {
        refused(&mut agent(path), &["is not a socket and is left alone", "--listen unix:PATH"]);
    }
    refused(&mut agent(&file.join("s")), &["cannot make a socket at", "--listen unix:PATH"]);
    refused(&mut agent(&live.dir().join("x".repeat(120))), &["too long for a Unix socket"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");

    // Killed, it leaves its socket, which nobody answers: the next agent takes the place.
    live.kill();
    assert!(fs::symlink_metadata(&socket).unwrap().file_type().is_socket());
    refused(&mut live.command(&["status"]), &["cannot connect to unix:", "is `webb agent` running?"]);
    let mut next = Served::spawn(agent(&socket), tempfile::tempdir().unwrap());
    assert_eq!(next.status()["connections"]["live"], 0);
    assert_eq!(names(live.dir()), ["file", "webb.sock"]);
    assert!(next.stop().success());
    assert_eq!(names(live.dir()), ["file"]);

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    let mut busy = webb(&["agent", "--insecure", "--listen", &port, "--cgroup"]);
    refused(busy.arg(&cgroup.path), &["cannot listen on 127.0.0.1:", "in use"]);
}

#[test]
fn tcp_without_protection_is_refused_on_loopback_too() {
    needs_root();
    let cgroup = Cgroup::new("plain");
    for listen in ["127.0.0.1:0", "[::1]:0", "localhost:0"] {
        let mut command = webb(&["agent", "--listen", listen, "--cgroup"]);
        refused(command.arg(&cgroup.path), &["refusing to serve", "--tls-cert and --tls-key", "--insecure"]);
    }
    let mut command = webb(&["agent", "--listen", "nonsense", "--cgroup"]);
    refused(command.arg(&cgroup.path), &["\"nonsense\" is no address", "unix:PATH, host:port"]);
    let served = Served::tcp(&cgroup, &["--insecure"]);
    assert_eq!(served.status()["connections"]["live"], 0);
    for (command, says) in [(["agent"], "--listen to say where to serve"), (["demo"], "a terminal")] {
        refused(webb(&command).args(["--server", &served.address]), &[says]);
    }
}

#[test]
fn no_such_server() {
    let dir = tempfile::tempdir().unwrap();
    let missing = format!("unix:{}", dir.path().join("none").display());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for (server, says) in [
        (missing.as_str(), &["cannot connect to unix:", "start one with `webb agent`"][..]),
        (&closed, &["cannot connect to 127.0.0.1:", "is `webb agent` running?"]),
        ("localhost", &["\"localhost\" is no address", "host:port"]),
        ("", &["\"\" is no address", "host:port"]),
        ("a\x1b]0;x\x07:1", &["is no address"]),
        ("unix:/a\x1b]0;x\x07", &["cannot connect to unix:/a"]),
        ("webb.invalid:1", &["cannot connect to webb.invalid:1"]),
    ] {
        for command in [
            &["list", "edges"][..],
            &["list", "connections"],
            &["list", "requests"],
            &["top"],
            &["observe"],
            &["status"],
            &["map"],
        ] {
            refused(webb(command).args(["--server", server]), says);
        }
    }
    // The environment is no better.
    refused(webb(&["status"]).env("WEBB_SERVER", &missing), &["cannot connect to unix:"]);
    assert!(names(dir.path()).is_empty());
}

#[test]
fn tls_that_does_not_fit() {
    needs_root();
    let cgroup = Cgroup::new("tls");
    let dir = tempfile::tempdir().unwrap();
    let (good, other) = (pki(dir.path(), "good"), pki(dir.path(), "other"));
    let text = |p: &Path| p.to_str().unwrap().to_owned();
    let shown = |p: &pki::Pki| ["--tls-cert".to_owned(), text(&p.cert), "--tls-key".to_owned(), text(&p.key)];
    let own = shown(&good);
    let own: Vec<&str> = own.iter().map(String::as_str).collect();

    let served = Served::tcp(&cgroup, &own);
    let ask = |served: &Served, ca: &Path| {
        let mut command = served.command(&["list", "edges", "--tls-ca"]);
        command.arg(ca);
        command
    };
    let connect = "cannot connect to 127.0.0.1:";
    printed(&run(&mut ask(&served, &good.ca)));
    printed(&run(ask(&served, &good.ca).args(["--tls-server-name", "localhost"])));
    refused(&mut ask(&served, &other.ca), &[connect, "not signed by the CA in --tls-ca"]);
    refused(
        ask(&served, &good.ca).args(["--tls-server-name", "example.org"]),
        &[connect, "--tls-server-name"],
    );
    refused(&mut served.command(&["list", "edges"]), &["the peer", "with TLS needs --tls-ca"]);
    printed(&run(&mut ask(&served, &good.ca)));
    drop(served);

    let served = Served::tcp(&cgroup, &[&own[..], &["--tls-client-ca", &text(&good.ca)]].concat());
    printed(&run(ask(&served, &good.ca).args(shown(&good))));
    // In one sentence or another: whether the server's alert is read first is chance.
    refused(&mut ask(&served, &good.ca), &["--tls-cert"]);
    refused(ask(&served, &good.ca).args(shown(&other)), &["--tls-cert"]);
    printed(&run(ask(&served, &good.ca).args(shown(&good))));
    drop(served);

    let served = Served::tcp(&cgroup, &["--insecure"]);
    refused(&mut ask(&served, &good.ca), &[connect, "does not use TLS", "leave out --tls-*"]);
    printed(&run(&mut served.command(&["list", "edges"])));
}

/// Names that are none are answered with those that are.
#[test]
fn a_protocol_or_an_event_that_does_not_exist() {
    for args in [&["list", "requests", "--protocol", "ftp"][..], &["observe", "--protocol", "http,ftp"]] {
        let output = run(&mut webb(args));
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains("'ftp'") && error.contains("--protocol"), "{error}");
        for protocol in webb::model::PROTOCOLS {
            assert!(error.contains(protocol.as_str()), "{protocol:?}: {error}");
        }
    }
    let output = run(&mut webb(&["observe", "--kind", "request,opening"]));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(webb::model::EVENT_KINDS.iter().all(|k| error.contains(k.as_str())), "{error}");
    // Nothing could match.
    let mut contradiction = webb(&["observe", "--protocol", "http", "--kind", "closed"]);
    refused(&mut contradiction, &["--protocol chooses requests", "add request to --kind"]);
    refused(&mut webb(&["list", "requests", "--no-requests"]), &["leave it out"]);
}

/// Servers that are no agent.
#[test]
fn a_server_that_speaks_nonsense() {
    let dir = tempfile::tempdir().unwrap();
    let answers: [(&str, &[u8]); 5] = [
        ("bytes", b"\x00\x01\x02garbage \x1b]0;title\x07 garbage\r\n\r\n"),
        ("http1", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        ("ssh", b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"),
        ("closes", b""),
        // A frame of HTTP/2 that says it is larger than is allowed.
        ("huge", b"\xff\xff\xff\x00\x00\x00\x00\x00\x01"),
    ];
    for (name, answer) in answers {
        let path = dir.path().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        let serving = std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let mut first = [0u8; 3];
                if stream.read_exact(&mut first).is_err() || first == *b"end" {
                    return;
                }
                let _ = stream.write_all(answer);
            }
        });
        let server = format!("unix:{}", path.display());
        for command in [
            &["list", "edges"][..],
            &["list", "connections"],
            &["list", "requests"],
            &["top"],
            &["status"],
            &["observe", "-f"],
        ] {
            refused(webb(command).args(["--server", &server]), &["the peer"]);
        }
        std::os::unix::net::UnixStream::connect(&path).unwrap().write_all(b"end").unwrap();
        serving.join().unwrap();
    }
}

/// One that accepts and says nothing is given up in a bounded time.
#[test]
fn a_server_that_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("silent");
    let _listener = UnixListener::bind(&path).unwrap();
    let server = format!("unix:{}", path.display());
    refused(&mut webb(&["status", "--server", &server]), &["did not answer within 10 s"]);
}

#[test]
fn output_that_cannot_be_written() {
    needs_root();
    let cgroup = Cgroup::new("full");
    let served = Served::new(&cgroup);
    for args in [
        &["status"][..],
        &["list", "edges"],
        &["list", "requests"],
        &["top"],
        &["map", "-o", "dot"],
        &["man"],
        &["completions", "fish"],
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let child = served.command(args).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {error}");
        assert!(
            error.starts_with("webb: cannot write to standard output: No space left"),
            "{args:?}: {error}"
        );
    }
}

#[test]
fn a_file_that_is_no_capture() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let missing = dir.path().join("missing.pcap").display().to_string();
    for (path, says) in [
        (missing.as_str(), ["cannot open", "missing.pcap", "No such file"]),
        (&file("empty.pcap", b""), ["empty.pcap", "empty", ""]),
        (
            &file("text.pcap", b"GET / HTTP/1.1\r\n\r\n and more of it"),
            ["text.pcap", "not a capture", "pcapng"],
        ),
        (&file("packed.pcap.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03abcdef"), ["packed", "gzip", "unpack"]),
        (&dir.path().display().to_string(), ["cannot read the capture", "directory", ""]),
    ] {
        for command in [&["list", "connections"][..], &["list", "edges"], &["map"], &["observe"], &["status"]]
        {
            refused(webb(command).args(["--file", path]), &says);
        }
    }
    // A command that watches has nothing to do with a file.
    refused(&mut webb(&["doctor", "--file", &missing]), &["leave out --file"]);
    refused(&mut webb(&["agent", "--file", &missing]), &["leave out --file"]);
    // The UI needs its keys, and a terminal.
    refused(&mut webb(&["--file", "-"]), &["keys"]);
    for flag in ["--server", "--cgroup", "--unit", "--container", "--pid"] {
        let output = run(&mut webb(&["list", "edges", "--file", &missing, flag, "1"]));
        assert_eq!(output.status.code(), Some(2), "{flag}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("--file"), "{flag}");
    }
    // Nothing in it is no error.
    let mut header = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    let nothing = file("nothing.pcap", &header);
    let output = run(&mut webb(&["list", "edges", "-o", "json", "--file", &nothing]));
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    // Damage is told, not an error.
    header.extend([1, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3]);
    let damaged = file("damaged.pcap", &header);
    let output = run(&mut webb(&["status", "--file", &damaged]));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("cannot be right"), "{text}");
}
