//! For the tests of decoders: conversations from captures, and the property that any split of the
//! bytes gives the same result.

use std::path::Path;

use super::decoder::{Decoder, Speaker, Told};
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
