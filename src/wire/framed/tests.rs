//! What the tests of the framed protocols share, and those of the framing itself.

use proptest::prelude::*;

use super::*;
use crate::model::Known;
use crate::wire::decoder::{Decoder, Speaker, Told};
use crate::wire::testing::{Said, conversations};

/// Where the captures are.
pub(in crate::wire) fn captures() -> std::path::PathBuf {
    let mut path = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    while !path.join("tests/captures").is_dir() {
        assert!(path.pop(), "tests/captures is missing");
    }
    path.join("tests/captures")
}

/// The conversations of a capture.
pub(in crate::wire) fn captured(name: &str) -> Vec<Vec<Said>> {
    conversations(captures().join(name)).into_iter().map(|c| c.1).collect()
}

/// One line for each exchange: method, target, status, verdict, shape.
pub(in crate::wire) fn lines(told: &[Told]) -> Vec<String> {
    fn text<T: AsRef<str>>(known: &Known<T>) -> String {
        match known {
            Known::Known(s) => s.as_ref().into(),
            Known::Unknown(why) => format!("? {why}"),
            Known::Absent => "-".into(),
        }
    }
    let line = |t: &Told| {
        let (shape, verdict) = (t.shape.as_str(), t.verdict.as_str());
        format!("{} {} | {} | {verdict} {shape}", t.method, text(&t.target), text(&t.status))
    };
    told.iter().map(line).collect()
}

/// Decodes with the first `head` bytes of each run only; the rest are gaps. Also says how many bytes
/// were not decoded.
pub(in crate::wire) fn heads_only(
    mut decoder: impl Decoder,
    conversation: &[Said],
    head: usize,
) -> (Vec<Told>, u64) {
    let mut out = Vec::new();
    let mut offsets = [0u64; 2];
    let mut last = None;
    let mut at = BootNs(0);
    for s in conversation {
        if last != Some(s.from) {
            decoder.turn(s.from, &mut out);
            last = Some(s.from);
        }
        at = s.at;
        let offset = &mut offsets[usize::from(s.from == Speaker::Server)];
        let (now, later) = s.data.split_at(head.min(s.data.len()));
        decoder.bytes(s.from, at, *offset, now, &mut out);
        *offset += now.len() as u64;
        if !later.is_empty() {
            decoder.gap(s.from, at, *offset, later.len() as u64, &mut out);
            *offset += later.len() as u64;
        }
    }
    decoder.end(at, &mut out);
    (out, decoder.take_undecoded())
}

/// Small numbers among any bytes, so that lengths are often possible.
pub(in crate::wire) fn small() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![Just(0u8), 0u8..24, any::<u8>()], 0..80)
}
