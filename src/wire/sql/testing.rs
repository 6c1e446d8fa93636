//! For the tests of both SQL decoders: captures, exchanges as lines, and what the kernel path does
//! to a conversation.

use super::super::testing::{Said, conversations};
use super::super::{Decoder, Speaker, Told};
use crate::model::{BootNs, Known};

/// The conversations with `port` of a capture in tests/captures.
pub fn capture(name: &str, port: u16) -> Vec<Vec<Said>> {
    let mut dir = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    while !dir.join("tests/captures").is_dir() {
        assert!(dir.pop(), "tests/captures is not above {}", env!("CARGO_MANIFEST_DIR"));
    }
    let path = dir.join(format!("tests/captures/{name}.pcap"));
    conversations(path).into_iter().filter(|(p, _)| *p == port).map(|(_, c)| c).collect()
}

fn words<T: AsRef<str>>(known: &Known<T>) -> String {
    match known {
        Known::Known(s) => s.as_ref().to_string(),
        Known::Unknown(why) => format!("<{why}>"),
        Known::Absent => "-".into(),
    }
}

/// `method | target | status verdict`
pub fn line(t: &Told) -> String {
    format!("{} | {} | {} {}", t.method, words(&t.target), words(&t.status), t.verdict.as_str())
}

/// The same of each.
pub fn lines(told: &[Told]) -> Vec<String> {
    told.iter().map(line).collect()
}

/// What one side said until the other one spoke.
pub fn turns(conversation: &[Said]) -> Vec<Said> {
    let mut turns: Vec<Said> = Vec::new();
    for s in conversation {
        match turns.last_mut() {
            Some(t) if t.from == s.from => t.data.extend_from_slice(&s.data),
            _ => turns.push(s.clone()),
        }
    }
    turns
}

/// Decodes with only the first bytes of each turn captured: `client` of the client's, `server` of the
/// server's.
pub fn decode_heads(
    decoder: &mut impl Decoder,
    conversation: &[Said],
    client: usize,
    server: usize,
) -> (Vec<Told>, u64) {
    let mut out = Vec::new();
    let mut offsets = [0u64; 2];
    for s in turns(conversation) {
        decoder.turn(s.from, &mut out);
        let offset = &mut offsets[usize::from(s.from == Speaker::Server)];
        let n = s.data.len().min(if s.from == Speaker::Client { client } else { server });
        decoder.bytes(s.from, s.at, *offset, &s.data[..n], &mut out);
        if n < s.data.len() {
            decoder.gap(s.from, s.at, *offset + n as u64, (s.data.len() - n) as u64, &mut out);
        }
        *offset += s.data.len() as u64;
    }
    decoder.end(BootNs(u64::MAX), &mut out);
    (out, decoder.take_undecoded())
}

/// One step of a hostile conversation.
#[derive(Clone, Debug)]
pub enum Step {
    /// These bytes.
    Bytes(Speaker, Vec<u8>),
    /// So many missing bytes.
    Gap(Speaker, u64),
    /// A turn.
    Turn(Speaker),
}

/// Plays hostile steps.
pub fn play(decoder: &mut impl Decoder, steps: &[Step]) -> Vec<Told> {
    let mut out = Vec::new();
    let mut offsets = [0u64; 2];
    for (i, step) in steps.iter().enumerate() {
        let at = BootNs(i as u64);
        match step {
            Step::Bytes(from, data) => {
                let offset = &mut offsets[usize::from(*from == Speaker::Server)];
                decoder.bytes(*from, at, *offset, data, &mut out);
                *offset = offset.wrapping_add(data.len() as u64);
            }
            Step::Gap(from, len) => {
                let offset = &mut offsets[usize::from(*from == Speaker::Server)];
                decoder.gap(*from, at, *offset, *len, &mut out);
                *offset = offset.wrapping_add(*len);
            }
            Step::Turn(from) => decoder.turn(*from, &mut out),
        }
        decoder.take_undecoded();
    }
    decoder.end(BootNs(steps.len() as u64), &mut out);
    out
}

/// Hostile steps: random bytes, pieces of `seeds`, and gaps.
pub fn steps(seeds: Vec<Vec<u8>>) -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    use proptest::prelude::*;
    let speaker = prop_oneof![Just(Speaker::Client), Just(Speaker::Server)];
    let piece = (proptest::sample::select(seeds), any::<(u16, u16)>()).prop_map(|(seed, (a, b))| {
        let from = usize::from(a) % (seed.len() + 1);
        let len = usize::from(b) % (seed.len() - from + 1);
        seed[from..from + len].to_vec()
    });
    let random = proptest::collection::vec(any::<u8>(), 0..64);
    let len = prop_oneof![0u64..2000, Just(u64::MAX / 2)];
    proptest::collection::vec(
        prop_oneof![
            4 => (speaker.clone(), piece).prop_map(|(s, d)| Step::Bytes(s, d)),
            2 => (speaker.clone(), random).prop_map(|(s, d)| Step::Bytes(s, d)),
            1 => (speaker.clone(), len).prop_map(|(s, n)| Step::Gap(s, n)),
            2 => speaker.prop_map(Step::Turn),
        ],
        0..60,
    )
}
