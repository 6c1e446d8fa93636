//! Verdicts on TLS connections through the real kernel, against what both ends of them say.
#![cfg(all(target_os = "linux", feature = "agent"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use common::{Cgroup, Workload, connections, needs_root, until, watch, watch_requests};
use webb::agent::Agent;
use webb::model::{ClientCert, Connection, Handshake, Inherits, Security, Tls};

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

fn compare(agent: &Agent, cgroup: &Cgroup) {
    let name = cgroup.path.file_name().unwrap();
    let dir = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&dir).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/handshakes.py");
    let mut workload = Workload::spawn(cgroup.command("python3").arg(script).arg(dir.to_str().unwrap()));
    workload.line();
    workload.go();
    let truth = workload.finish();
    std::fs::remove_dir_all(&dir).unwrap();
    let mut wrong = Vec::new();
    let handshakes = truth["handshakes"].as_array().unwrap();
    assert_eq!(handshakes.len(), 2 * 13);
    for (i, t) in handshakes.iter().enumerate() {
        let port = t["port"].as_u64().unwrap();
        let nth = handshakes[..i].iter().filter(|h| h["port"] == t["port"]).count();
        let tls = until("a verdict", || {
            let row = to_port(agent, port).get(nth)?.clone();
            row.tls.clone().filter(|tls| is_final(tls) || row.state.is_over())
        });
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
            wrong.push(format!("{case} #{nth}: {t}: {tls:?}"));
        }
        // Up to TLS 1.2 the certificates are in the clear.
        let spiffe = |c: &Option<Box<webb::model::Certificate>>| {
            c.as_ref().and_then(|c| c.spiffe.as_deref().map(str::to_owned))
        };
        if case == "1.2 mutual"
            && (spiffe(&tls.client).as_deref(), spiffe(&tls.server).as_deref())
                != (Some("spiffe://test/client"), Some("spiffe://test/server"))
        {
            wrong.push(format!("{case}: certificates {:?} {:?}", tls.client, tls.server));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
