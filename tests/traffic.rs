//! The generator that other tests take their ground truth from: every way to end a connection, at
//! either side and in both families, and that it fails rather than print a wrong truth.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[path = "support/traffic.rs"]
mod support;

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use support::traffic;

/// Runs it and returns the last line.
fn truth(words: &str) -> Value {
    let output = traffic().args(words.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn every_end_at_either_side_is_exact() {
    for end in ["clean", "reset", "unread"] {
        for by in ["client", "server"] {
            for addr in ["127.0.0.1:0", "[::1]:0"] {
                let truth = truth(&format!(
                    "run --connections 30 --concurrency 3 --bytes-to-server 70000 --bytes-to-client 3 \
                     --end {end} --by {by} --addr {addr}"
                ));
                assert_eq!(truth["connections"], 30);
                assert_eq!(truth["bytes_to_server"], 2_100_000);
                assert_eq!(truth["bytes_to_client"], 90);
                assert_eq!((&truth["end"], &truth["by"]), (&end.into(), &by.into()));
            }
        }
    }
}

#[test]
fn refused_connections_carry_nothing() {
    let truth = truth("refused --connections 7");
    assert_eq!(truth["failed"], 7);
    assert_eq!(truth["bytes_to_server"], 0);
}

#[test]
fn two_processes_hold_until_they_are_told() {
    let options = ["--connections", "50", "--concurrency", "2", "--hold-end", "--bytes-to-client", "5"];
    let mut server = traffic().arg("serve").args(options).stdout(Stdio::piped()).spawn().unwrap();
    let mut server_says = BufReader::new(server.stdout.take().unwrap()).lines().map(Result::unwrap);
    let listening: Value = serde_json::from_str(&server_says.next().unwrap()).unwrap();
    let mut client = traffic()
        .args(["connect", "--addr", listening["listening"].as_str().unwrap()])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut client_says = BufReader::new(client.stdout.take().unwrap()).lines().map(Result::unwrap);

    let held: Value = serde_json::from_str(&client_says.next().unwrap()).unwrap();
    assert_eq!(held["held"], "exchanged");
    assert!(client.try_wait().unwrap().is_none(), "it must wait for its line");
    client.stdin.take().unwrap().write_all(b"go\n").unwrap();

    let client_truth: Value = serde_json::from_str(&client_says.next().unwrap()).unwrap();
    let server_truth: Value = serde_json::from_str(&server_says.last().unwrap()).unwrap();
    for name in ["connections", "bytes_to_server", "bytes_to_client"] {
        assert_eq!(client_truth[name], server_truth[name], "{name}");
    }
    assert_eq!(client_truth["bytes_to_client"], 250);
    assert!(client.wait().unwrap().success() && server.wait().unwrap().success());
}

#[test]
fn a_deviation_is_a_failure_not_a_truth() {
    let mut server = traffic()
        .args(["serve", "--connections", "1", "--bytes-to-server", "101"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut server_says = BufReader::new(server.stdout.take().unwrap()).lines().map(Result::unwrap);
    let listening: Value = serde_json::from_str(&server_says.next().unwrap()).unwrap();
    let client = traffic()
        .args(["connect", "--connections", "1", "--bytes-to-server", "100", "--bytes-to-client", "0"])
        .args(["--addr", listening["listening"].as_str().unwrap()])
        .output()
        .unwrap();
    assert!(client.status.success());
    assert!(!server.wait().unwrap().success());
    assert_eq!(server_says.next(), None);
}
