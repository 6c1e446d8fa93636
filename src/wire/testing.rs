//! For the tests of decoders: conversations from captures, and the properties that any split of the
//! bytes gives the same result and that anything is survived.

use std::path::Path;

use proptest::prelude::*;

use super::decoder::{Decoder, Sniff, Speaker, Told};
use crate::model::BootNs;

/// A run of bytes by one speaker at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// By whom.
    pub from: Speaker,
    /// When.
    pub at: BootNs,
    /// What.
    pub data: Vec<u8>,
}

/// A run at `ms` milliseconds.
pub fn said(from: Speaker, ms: u64, data: impl AsRef<[u8]>) -> Said {
    Said { from, at: BootNs(ms * 1_000_000), data: data.as_ref().to_vec() }
}

/// Gives a conversation to a decoder, run by run, and ends it.
pub fn decode(mut decoder: impl Decoder, conversation: &[Said]) -> Vec<Told> {
    decode_cut(&mut decoder, conversation, &[])
}

/// The same with every run cut after each of these many bytes in turn (0 is skipped).
pub fn decode_cut(decoder: &mut impl Decoder, conversation: &[Said], cuts: &[usize]) -> Vec<Told> {
    let mut out = Vec::new();
    let mut offsets = [0u64; 2];
    let mut last: Option<Speaker> = None;
    let mut cut = cuts.iter().copied().filter(|c| *c > 0).cycle();
    let mut at = BootNs(0);
    for s in conversation {
        if last != Some(s.from) {
            decoder.turn(s.from, &mut out);
            last = Some(s.from);
        }
        at = s.at;
        let offset = &mut offsets[usize::from(s.from == Speaker::Server)];
        let mut rest = s.data.as_slice();
        while !rest.is_empty() {
            let n = cut.next().unwrap_or(rest.len()).min(rest.len());
            let (now, later) = rest.split_at(n);
            decoder.bytes(s.from, s.at, *offset, now, &mut out);
            *offset += n as u64;
            rest = later;
        }
    }
    decoder.end(at, &mut out);
    out
}

/// Something that happens to a decoder.
#[derive(Clone, Debug)]
pub enum Step {
    /// These bytes.
    Bytes(Speaker, Vec<u8>),
    /// So many bytes that are missing.
    Gap(Speaker, u64),
    /// A turn.
    Turn(Speaker),
}

fn speaker() -> impl Strategy<Value = Speaker> + Clone {
    prop_oneof![Just(Speaker::Client), Just(Speaker::Server)]
}

/// Steps of any kind, most of them with such pieces.
pub fn steps(piece: impl Strategy<Value = Vec<u8>> + 'static) -> impl Strategy<Value = Vec<Step>> {
    let random = prop::collection::vec(any::<u8>(), 0..64);
    let len = prop_oneof![0u64..2000, any::<u64>(), Just(u64::MAX / 2)];
    let step = prop_oneof![
        4 => (speaker(), piece).prop_map(|(s, data)| Step::Bytes(s, data)),
        1 => (speaker(), random).prop_map(|(s, data)| Step::Bytes(s, data)),
        1 => (speaker(), len).prop_map(|(s, n)| Step::Gap(s, n)),
        2 => speaker().prop_map(Step::Turn),
    ];
    prop::collection::vec(step, 0..60)
}

/// Pieces of these.
pub fn pieces(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (prop::sample::select(seeds), any::<(u16, u16)>()).prop_map(|(seed, (a, b))| {
        let from = usize::from(a) % (seed.len() + 1);
        let len = usize::from(b) % (seed.len() - from + 1);
        seed[from..from + len].to_vec()
    })
}

/// These words in any order, said by anyone.
pub fn made_of(words: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<Said>> {
    let run = (speaker(), prop::collection::vec(prop::sample::select(words), 1..8));
    prop::collection::vec(run, 1..12).prop_map(|runs| {
        let of = |(i, (from, words)): (usize, (Speaker, Vec<&[u8]>))| said(from, i as u64, words.concat());
        runs.into_iter().enumerate().map(of).collect()
    })
}

/// Such conversations with turns anywhere, and gaps with noise behind them.
pub fn damaged(conversation: impl Strategy<Value = Vec<Said>>) -> impl Strategy<Value = Vec<Step>> {
    let noise = prop::collection::vec(any::<u8>(), 0..64);
    let gaps = prop::collection::vec((speaker(), 0u64..2000), 0..20);
    (conversation, gaps, any::<u64>(), noise).prop_map(|(conversation, gaps, turns, noise)| {
        let mut steps = Vec::new();
        for (i, s) in conversation.into_iter().enumerate() {
            if turns >> (i % 64) & 1 == 1 {
                steps.push(Step::Turn(s.from));
            }
            steps.push(Step::Bytes(s.from, s.data));
            if let Some((from, len)) = gaps.get(i) {
                steps.extend([Step::Gap(*from, *len), Step::Bytes(*from, noise.clone())]);
            }
        }
        steps
    })
}

/// Anything is survived: does this to a decoder and ends it. `holds` looks at it after each step. No
/// more exchanges are told than bytes were seen, no more bytes counted as undecoded than were said, and
/// targets are short.
pub fn survive<D: Decoder>(decoder: &mut D, steps: &[Step], holds: impl Fn(&D)) -> Vec<Told> {
    let mut out = Vec::new();
    let (mut offsets, mut said, mut seen, mut undecoded) = ([0u64; 2], 0u64, 0, 0u64);
    let endless = [Speaker::Client, Speaker::Server].map(|from| Step::Gap(from, u64::MAX));
    for (i, step) in steps.iter().chain(&endless).enumerate() {
        let at = BootNs(i as u64);
        let (from, len) = match step {
            Step::Bytes(from, data) => {
                decoder.bytes(*from, at, offsets[*from as usize], data, &mut out);
                seen += data.len();
                (from, data.len() as u64)
            }
            Step::Gap(from, len) => {
                decoder.gap(*from, at, offsets[*from as usize], *len, &mut out);
                (from, *len)
            }
            Step::Turn(from) => {
                decoder.turn(*from, &mut out);
                (from, 0)
            }
        };
        let offset = &mut offsets[*from as usize];
        *offset = offset.saturating_add(len);
        said = said.saturating_add(len);
        undecoded = undecoded.saturating_add(decoder.take_undecoded());
        assert!(undecoded <= said, "{undecoded} of {said} bytes were not decoded");
        holds(decoder);
    }
    decoder.end(BootNs(u64::MAX), &mut out);
    assert!(out.len() <= seen, "{} exchanges in {seen} bytes", out.len());
    assert!(out.iter().all(|t| t.target.known().is_none_or(|target| target.len() < 600)));
    out
}

/// [`survive`] for the function that finds the protocol.
pub fn survive_sniffing(sniff: fn(&[u8], &[u8]) -> Sniff, steps: &[Step]) {
    for step in steps {
        if let Step::Bytes(_, data) = step {
            let _ = (sniff(data, b""), sniff(b"", data), sniff(data, data));
        }
    }
}

/// The TCP conversations of a small capture (classic pcap, little endian, Ethernet, Linux cooked or
/// raw, IPv4, nothing lost or out of order, at most a retransmission), by server port: a list of
/// (server port, conversation). The side that sent the first SYN is the client; without a SYN, the
/// one with the higher port.
pub fn conversations(path: impl AsRef<Path>) -> Vec<(u16, Vec<Said>)> {
    let raw = std::fs::read(path.as_ref()).unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()));
    let u32_at = |i: usize| u32::from_le_bytes(raw[i..i + 4].try_into().unwrap());
    let nanos = match u32_at(0) {
        0xa1b2_c3d4 => 1000,
        0xa1b2_3c4d => 1,
        other => panic!("not a little endian pcap: {other:#x}"),
    };
    let link = match u32_at(20) {
        1 => 14,
        113 => 16,
        276 => 20,
        101 => 0,
        0 => 4,
        other => panic!("link type {other}"),
    };
    let mut flows: Vec<Flow> = Vec::new();
    let mut at = 24;
    while at + 16 <= raw.len() {
        let time = u64::from(u32_at(at)) * 1_000_000_000 + u64::from(u32_at(at + 4)) * nanos;
        let len = u32_at(at + 8) as usize;
        let packet = &raw[at + 16 + link..at + 16 + len];
        at += 16 + len;
        if packet.len() < 40 || packet[0] >> 4 != 4 || packet[9] != 6 {
            continue;
        }
        let ihl = usize::from(packet[0] & 15) * 4;
        let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        let tcp = &packet[ihl..if total == 0 { packet.len() } else { total.min(packet.len()) }];
        let ports = (u16::from_be_bytes([tcp[0], tcp[1]]), u16::from_be_bytes([tcp[2], tcp[3]]));
        let seq = u32::from_be_bytes(tcp[4..8].try_into().unwrap());
        let (syn, ack) = (tcp[13] & 2 != 0, tcp[13] & 16 != 0);
        let data = &tcp[usize::from(tcp[12] >> 4) * 4..];
        let from = (packet[12..16].to_vec(), ports.0);
        let to = (packet[16..20].to_vec(), ports.1);
        let fresh = syn && !ack;
        let known = flows
            .iter()
            .rposition(|f| (f.client == from && f.server == to) || (f.client == to && f.server == from));
        let i = match known {
            Some(i) if !fresh => i,
            _ => {
                let from_client = fresh || (!syn && ports.0 > ports.1);
                let (client, server) = if from_client { (from.clone(), to) } else { (to, from.clone()) };
                flows.push(Flow { client, server, next: [None, None], said: Vec::new() });
                flows.len() - 1
            }
        };
        let flow = &mut flows[i];
        let speaker = if flow.client == from { Speaker::Client } else { Speaker::Server };
        let next = &mut flow.next[usize::from(speaker == Speaker::Server)];
        if syn {
            *next = Some(seq.wrapping_add(1));
            continue;
        }
        let expected = *next.get_or_insert(seq);
        let skip = expected.wrapping_sub(seq) as usize;
        if data.is_empty() || skip >= data.len() {
            continue;
        }
        *next = Some(seq.wrapping_add(data.len() as u32));
        flow.said.push(Said { from: speaker, at: BootNs(time), data: data[skip..].to_vec() });
    }
    flows.into_iter().map(|f| (f.server.1, f.said)).collect()
}

struct Flow {
    client: (Vec<u8>, u16),
    server: (Vec<u8>, u16),
    next: [Option<u32>; 2],
    said: Vec<Said>,
}
