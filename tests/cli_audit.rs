//! `webb audit` and `webb list tls` of captures: what they print, and how they end.
#![cfg(all(target_os = "linux", feature = "agent"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "only the check is used here")]
#[path = "schema/validator.rs"]
mod validator;

use std::process::{Command, Output};

use serde_json::Value;
use validator::Schemas;
use webb::model::SECURITIES;

const CAPTURES: [&str; 4] =
    ["http1-nginx.pcap", "postgres-psql.pcap", "connect-failures.pcap", "dns-udp-tcp.pcap"];

fn webb(args: &[&str], capture: &str) -> Output {
    let path = format!("{}/tests/captures/{capture}", env!("CARGO_MANIFEST_DIR"));
    Command::new(env!("CARGO_BIN_EXE_webb")).args(args).args(["--file", &path]).output().unwrap()
}

fn text(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn objects(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    text(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn report(capture: &str) -> Value {
    let mut reports = objects(&webb(&["audit", "-o", "json"], capture));
    assert_eq!(reports.len(), 1);
    let report = reports.remove(0);
    Schemas::load().check("audit", &report).unwrap();
    report
}

/// Each verdict that is there, and none that is not, ends the audit with status 3 where it is asked for.
#[test]
fn the_exit_status_says_whether_it_is_there() {
    for capture in CAPTURES {
        let report = report(capture);
        assert_eq!((&report["ok"], &report["findings"]), (&Value::Bool(true), &serde_json::json!([])));
        for (check, count) in [
            ("plaintext", &report["security"]["plaintext"]),
            ("unknown", &report["security"]["unknown"]),
            ("tls", &report["security"]["tls"]),
            ("failed", &report["security"]["failed"]),
        ] {
            let output = webb(&["audit", "--fail-on", check], capture);
            let (code, last) = (output.status.code(), text(&output).lines().last().unwrap());
            match count.as_u64() {
                Some(n) => {
                    assert_eq!((code, last), (Some(3), format!("FAIL: {check} ({n})").as_str()), "{capture}");
                    let json = webb(&["audit", "-o", "json", "--fail-on", check], capture);
                    assert_eq!(json.status.code(), Some(3));
                    let json: Value = serde_json::from_str(text(&json)).unwrap();
                    assert_eq!(json["findings"], serde_json::json!([{ "check": check, "count": n }]));
                }
                None => {
                    let ok = last.starts_with(&format!("ok: nothing of {check}"));
                    assert!(code == Some(0) && ok, "{capture}: {code:?} {last}");
                    // It is no promise for what is not known.
                    let unknown = !report["security"]["unknown"].is_null();
                    assert_eq!(last.contains("not known"), unknown, "{capture}: {last}");
                }
            }
        }
    }
}

#[test]
fn every_connection_is_in_the_report_once() {
    for capture in CAPTURES {
        let report = report(capture);
        let all = objects(&webb(&["list", "connections", "-o", "json"], capture));
        let shares: u64 = SECURITIES.iter().filter_map(|s| report["security"][s.as_str()].as_u64()).sum();
        assert_eq!(report["connections"], shares);
        assert_eq!(shares + report["silent"].as_u64().unwrap(), all.len() as u64, "{capture}");
        // The list has those that were looked at.
        let listed = objects(&webb(&["list", "tls", "-o", "json"], capture));
        let looked: Vec<&Value> = all.iter().filter(|c| !c["tls"].is_null()).collect();
        assert_eq!(listed.len(), looked.len(), "{capture}");
        for (line, connection) in listed.iter().zip(looked) {
            Schemas::load().check("listed-tls", line).unwrap();
            assert_eq!((&line["id"], &line["tls"]), (&connection["id"], &connection["tls"]));
        }
        let table = webb(&["list", "tls"], capture);
        let rows = text(&table).lines().filter(|l| !l.ends_with("were not looked at")).count();
        assert_eq!(rows, listed.len() + 1, "{}", text(&table));
    }
}

#[test]
fn the_report_says_what_mtls_means() {
    let output = webb(&["audit"], CAPTURES[0]);
    let means = "the client presented a certificate and the server continued; trust is the server's decision and not visible";
    assert!(text(&output).contains(means), "{}", text(&output));
    assert!(report(CAPTURES[0])["mtls_means"].as_str().unwrap().contains(means));
}

#[test]
fn a_check_that_does_not_exist_is_refused_with_those_that_do() {
    for words in ["plaintxt", "plaintext,expires:30", "expires:soon", ""] {
        let output = webb(&["audit", "--fail-on", words], CAPTURES[0]);
        assert_eq!((output.status.code(), text(&output)), (Some(2), ""), "{words}");
        let error = String::from_utf8(output.stderr).unwrap();
        for known in ["plaintext", "mixed", "expired", "expires:DAYSd", "weak", "failed", "unknown", "tls"] {
            assert!(error.contains(known), "{words}: {error}");
        }
        assert!(error.starts_with("error: ") && error.contains("there is no check"), "{error}");
    }
    let missing = Command::new(env!("CARGO_BIN_EXE_webb"))
        .args(["audit", "--fail-on", "plaintext", "--file", "/nowhere.pcap"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(1), "what cannot be looked at is no finding");
}
