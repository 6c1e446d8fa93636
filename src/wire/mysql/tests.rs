//! Tests of the MySQL decoder.

use super::super::testing::{Said, conversations, decode, decode_cut, said};
use super::super::{Decoder, Sniff, Speaker, Told};
use super::{Mysql, sniff};
use crate::model::{BootNs, Known, Protocol, Shape, Verdict};
use proptest::prelude::*;

use Speaker::{Client, Server};

fn capture(name: &str) -> Vec<Vec<Said>> {
    let mut dir = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    while !dir.join("tests/captures").is_dir() {
        assert!(dir.pop(), "tests/captures is not above {}", env!("CARGO_MANIFEST_DIR"));
    }
    let path = dir.join(format!("tests/captures/mysql-{name}.pcap"));
    conversations(path).into_iter().filter(|(port, _)| *port == 3306).map(|(_, c)| c).collect()
}

fn all(name: &str) -> Vec<Told> {
    capture(name).iter().flat_map(|c| decode(Mysql::new(), c)).collect()
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
    for name in ["drivers", "client"] {
        println!("== {name}");
        for l in lines(&all(name)) {
            println!("{l}");
        }
    }
}
