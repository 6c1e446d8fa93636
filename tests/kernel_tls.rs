//! Verdicts on TLS connections through the real kernel, against what both ends of them say.
#![cfg(all(target_os = "linux", feature = "agent"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use common::{
    Cgroup, Workload, connections, needs_root, settled, until, watch, watch_identities, watch_requests,
};
use serde_json::Value;
use webb::agent::Agent;
use webb::model::{Certificate, ClientCert, Confidence, Connection, Handshake, Inherits, Security, Tls};

/// Connections to a port, in the order in which they began.
fn to_port(agent: &Agent, port: u64) -> Vec<Arc<Connection>> {
    let mut rows = connections(agent);
    rows.retain(|c| u64::from(c.server.address.port) == port);
    rows.sort_by_key(|c| c.opened());
    rows
}

fn is_final(tls: &Tls) -> bool {
    tls.status != Security::Unknown
}

#[test]
fn verdicts_are_what_both_ends_say() {
    needs_root();
    let cgroup = Cgroup::new("tls");
    let agent = watch_requests(&[&cgroup]);
    compare(&agent, &cgroup);
}

/// Where requests are not decoded, handshakes are read all the same.
#[test]
fn without_decoding_verdicts_are_the_same() {
    needs_root();
    let cgroup = Cgroup::new("hellos");
    let agent = watch(&[&cgroup]);
    compare(&agent, &cgroup);
}

/// Real handshakes, held until they are told to go; what it writes goes into a directory of its own.
struct Handshakes {
    workload: Workload,
    dir: PathBuf,
}

impl Handshakes {
    fn start(cgroup: &Cgroup, libraries: Option<&Path>) -> Handshakes {
        let dir = std::env::temp_dir().join(cgroup.path.file_name().unwrap());
        std::fs::create_dir_all(&dir).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/handshakes.py");
        let mut command = cgroup.command("python3");
        command.arg(script).arg(&dir);
        if let Some(libraries) = libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        let mut workload = Workload::spawn(&mut command);
        workload.line();
        Handshakes { workload, dir }
    }

    /// What both ends say of each.
    fn finish(mut self) -> Vec<Value> {
        self.workload.go();
        let mut truth = self.workload.finish();
        std::fs::remove_dir_all(&self.dir).unwrap();
        let handshakes = truth["handshakes"].take().as_array().unwrap().clone();
        assert_eq!(handshakes.len(), 2 * 13);
        handshakes
    }
}

/// The verdict on the connection of a handshake.
fn verdict(agent: &Agent, handshakes: &[Value], i: usize) -> Arc<Tls> {
    let port = handshakes[i]["port"].as_u64().unwrap();
    let nth = handshakes[..i].iter().filter(|h| h["port"] == handshakes[i]["port"]).count();
    until("a verdict", || {
        let row = to_port(agent, port).get(nth)?.clone();
        row.tls.clone().filter(|tls| is_final(tls) || row.state.is_over())
    })
}

fn spiffe(c: &Option<Box<Certificate>>) -> Option<&str> {
    c.as_ref()?.spiffe.as_deref()
}

fn compare(agent: &Agent, cgroup: &Cgroup) {
    let handshakes = Handshakes::start(cgroup, None).finish();
    let mut wrong = Vec::new();
    for (i, t) in handshakes.iter().enumerate() {
        let tls = verdict(agent, &handshakes, i);
        let case = t["case"].as_str().unwrap();
        let ok = t["ok"] == true;
        let resumed = t["resumed"] == true;
        let presented = t["client_cert"] == true && !resumed;
        let status = match (ok, resumed, presented) {
            (false, ..) => Security::Failed,
            (_, true, _) => Security::Resumed,
            (_, _, true) => Security::Mtls,
            _ => Security::Tls,
        };
        let client = match status {
            Security::Failed => ClientCert::Declined,
            Security::Mtls => ClientCert::Presented,
            Security::Tls if case.ends_with("declined") => ClientCert::Declined,
            _ => ClientCert::NotAsked,
        };
        let version = if case.starts_with("1.3") { 0x0304 } else { 0x0303 };
        let inherits =
            resumed.then_some(if case.ends_with("mutual") { Inherits::Mtls } else { Inherits::Tls });
        let handshake = if ok { Handshake::Established } else { Handshake::Failed };
        let told = (tls.status, tls.client_cert, tls.version, tls.inherits, tls.handshake);
        if told != (status, client, Some(version), inherits, handshake)
            || tls.sni.as_deref() != Some("server.test")
        {
            wrong.push(format!("{case}: {t}: {tls:?}"));
        }
        // Up to TLS 1.2 the certificates are in the clear.
        if case == "1.2 mutual"
            && (spiffe(&tls.client), spiffe(&tls.server))
                != (Some("spiffe://test/client"), Some("spiffe://test/server"))
        {
            wrong.push(format!("{case}: certificates {:?} {:?}", tls.client, tls.server));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Copies of the libraries that Python's TLS is made of: a probe is in every process that maps its file, and
/// these files nobody else maps.
fn own_libraries(to: &Path) {
    let script = "import ssl\nfor line in open('/proc/self/maps'):\n print(line.split()[-1])";
    let maps = Command::new("python3").args(["-c", script]).output().unwrap();
    let mapped = String::from_utf8(maps.stdout).unwrap();
    let mut names: Vec<&Path> = mapped.lines().map(Path::new).collect();
    names.dedup();
    for library in names.iter().filter(|p| {
        let name = p.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libcrypto.so") || name.starts_with("libssl.so")
    }) {
        std::fs::copy(library, to.join(library.file_name().unwrap())).unwrap();
    }
}

/// Certificates that are encrypted on the wire, as the process at the other end had them.
#[test]
fn identities_in_tls_13_are_those_of_the_certificates() {
    needs_root();
    let cgroup = Cgroup::new("identities");
    let libraries = tempfile::tempdir().unwrap();
    own_libraries(libraries.path());
    let workload = Handshakes::start(&cgroup, Some(libraries.path()));
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", workload.workload.child.id())).unwrap();
    assert!(maps.contains(&format!("{}/libcrypto", libraries.path().display())), "a copy is used: {maps}");
    let agent = watch_identities(&[&cgroup]);
    let handshakes = workload.finish();
    let status = settled(&agent);
    assert_eq!(status.loss.total(), 0, "{:?}", status.loss);
    let hook = status.hooks.iter().find(|h| h.hook.contains("d2i_X509")).unwrap();
    assert!(hook.hook.contains("in 1 libraries"), "{hook:?}");
    let mut wrong = Vec::new();
    for (i, t) in handshakes.iter().enumerate() {
        let tls = verdict(&agent, &handshakes, i);
        let full = t["ok"] == true && t["resumed"] == false;
        let mutual = full && t["client_cert"] == true;
        let read = (
            tls.confidence,
            spiffe(&tls.client),
            spiffe(&tls.server),
            tls.evidence.iter().filter(|e| e.contains("process had it")).count(),
        );
        let is_13 = tls.version == Some(0x0304);
        let expected = (
            mutual.then_some(Confidence::IdentityRead),
            mutual.then_some("spiffe://test/client"),
            // A client that was refused had the server's certificate, too.
            (t["resumed"] != true).then_some("spiffe://test/server"),
            if is_13 && t["resumed"] != true { 1 + usize::from(mutual) } else { 0 },
        );
        if read != expected {
            wrong.push(format!("{t}: {read:?}: {tls:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
