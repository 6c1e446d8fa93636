//! What the decoder tells of real connections, of crafted frames, and across holes.

mod captures;
mod crafted;
mod holes;

use super::*;
use crate::model::{Shape, Verdict};
use crate::wire::testing::{Said, conversations};

/// The HTTP/2 conversations of a capture; of one that was upgraded, what follows the 101.
fn capture(name: &str) -> Vec<Vec<Said>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures/").to_owned() + name;
    conversations(path).into_iter().map(|(_, said)| said).collect()
}

/// Status, or `?` and `-` where it is unknown or absent.
fn status(told: &Told) -> &str {
    match &told.status {
        Known::Known(s) => s,
        Known::Unknown(_) => "?",
        Known::Absent => "-",
    }
}

fn target(told: &Told) -> &str {
    match &told.target {
        Known::Known(t) => t,
        Known::Unknown(_) => "?",
        Known::Absent => "-",
    }
}

/// `method target status` of all.
fn lines(told: &[Told]) -> Vec<String> {
    told.iter().map(|t| format!("{} {} {}", t.method, target(t), status(t))).collect()
}
