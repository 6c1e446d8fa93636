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
