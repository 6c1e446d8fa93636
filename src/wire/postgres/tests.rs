//! Tests of the PostgreSQL decoder.

use super::super::testing::{Said, conversations, decode, decode_cut, said};
use super::super::{Decoder, Sniff, Speaker, Told};
use super::{Postgres, sniff};
use crate::model::{BootNs, Known, Protocol, Shape, Verdict};
use proptest::prelude::*;
use std::collections::BTreeMap;

use Speaker::{Client, Server};

fn capture(name: &str) -> Vec<Vec<Said>> {
    let path = format!("{}/tests/captures/postgres-{name}.pcap", root());
    conversations(path).into_iter().filter(|(port, _)| *port == 5432).map(|(_, c)| c).collect()
}

/// The directory of the project.
fn root() -> String {
    let mut dir = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    while !dir.join("tests/captures").is_dir() {
        assert!(dir.pop(), "tests/captures is not above {}", env!("CARGO_MANIFEST_DIR"));
    }
    dir.display().to_string()
}

fn all(name: &str) -> Vec<Told> {
    capture(name).iter().flat_map(|c| decode(Postgres::new(), c)).collect()
}

fn line(t: &Told) -> String {
    let target = match &t.target {
        Known::Known(s) => s.to_string(),
        Known::Unknown(why) => format!("<{why}>"),
        Known::Absent => "-".into(),
    };
    let status = match &t.status {
        Known::Known(s) => s.to_string(),
        Known::Unknown(why) => format!("<{why}>"),
        Known::Absent => "-".into(),
    };
    format!("{} | {target} | {status} {}", t.method, t.verdict.as_str())
}

fn lines(told: &[Told]) -> Vec<String> {
    told.iter().map(line).collect()
}

#[test]
fn show() {
    for name in ["psql", "drivers", "replication"] {
        println!("== {name}");
        for l in lines(&all(name)) {
            println!("{l}");
        }
    }
    for name in ["simple", "extended", "prepared"] {
        println!("== {name}");
        let mut count = BTreeMap::new();
        for l in lines(&all(&format!("pgbench-{name}"))) {
            *count.entry(l).or_insert(0) += 1;
        }
        for l in count {
            println!("{l:?}");
        }
    }
}
