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

/// Something that happens to a decoder.
#[derive(Clone, Debug)]
pub(in crate::wire) enum Step {
    Bytes(bool, Vec<u8>),
    Gap(bool, u64),
    Turn(bool),
}

/// Any bytes, gaps and turns, with small numbers among them so that lengths are often possible.
pub(in crate::wire) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let small = prop::collection::vec(prop_oneof![Just(0u8), 0u8..24, any::<u8>()], 0..80);
    let step = prop_oneof![
        4 => (any::<bool>(), small).prop_map(|(who, b)| Step::Bytes(who, b)),
        1 => (any::<bool>(), prop_oneof![0u64..200, any::<u64>()]).prop_map(|(who, n)| Step::Gap(who, n)),
        2 => any::<bool>().prop_map(Step::Turn),
    ];
    prop::collection::vec(step, 0..60)
}

/// Does them to a decoder: the number of exchanges told and of bytes said.
pub(in crate::wire) fn survive(decoder: &mut impl Decoder, steps: &[Step]) -> (usize, u64) {
    let who = |server: bool| if server { Speaker::Server } else { Speaker::Client };
    let mut out = Vec::new();
    let mut offsets = [0u64; 2];
    for (i, step) in steps.iter().enumerate() {
        let at = BootNs(i as u64);
        match step {
            Step::Bytes(server, data) => {
                let offset = &mut offsets[usize::from(*server)];
                decoder.bytes(who(*server), at, *offset, data, &mut out);
                *offset = offset.saturating_add(data.len() as u64);
            }
            Step::Gap(server, len) => {
                let offset = &mut offsets[usize::from(*server)];
                decoder.gap(who(*server), at, *offset, *len, &mut out);
                *offset = offset.saturating_add(*len);
            }
            Step::Turn(server) => decoder.turn(who(*server), &mut out),
        }
    }
    decoder.end(BootNs(steps.len() as u64), &mut out);
    (out.len(), offsets[0].saturating_add(offsets[1]))
}
