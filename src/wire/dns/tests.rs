//! What real resolvers and servers say (tests/captures), and what hostile ones might.

mod messages;
mod queries;
mod storms;
mod stream;

use std::path::PathBuf;

use crate::model::{BootNs, Known};
use crate::wire::{Record, Speaker, Told};

/// A capture of the repository, wherever the crate under test lies in it.
pub(super) fn capture(name: &str) -> PathBuf {
    let below = format!("tests/captures/{name}");
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|dir| dir.join(&below))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{below} is missing"))
}

/// A UDP datagram: when, from, to (address, port), payload.
pub(super) type Packet = (BootNs, ([u8; 4], u16), ([u8; 4], u16), Vec<u8>);

/// The datagrams of a small capture (classic pcap, little endian, microseconds, Ethernet, IPv4).
pub(super) fn datagrams(name: &str) -> Vec<Packet> {
    let raw = std::fs::read(capture(name)).unwrap();
    let word = |i: usize| u32::from_le_bytes(raw[i..i + 4].try_into().unwrap());
    let mut out = Vec::new();
    let mut at = 24;
    while at + 16 <= raw.len() {
        let time = u64::from(word(at)) * 1_000_000_000 + u64::from(word(at + 4)) * 1000;
        let len = word(at + 8) as usize;
        let ip = &raw[at + 16 + 14..at + 16 + len];
        at += 16 + len;
        if ip[9] != 17 {
            continue;
        }
        let udp = &ip[usize::from(ip[0] & 15) * 4..];
        let port = |i: usize| u16::from_be_bytes([udp[i], udp[i + 1]]);
        let end = usize::from(port(4));
        out.push((
            BootNs(time),
            (ip[12..16].try_into().unwrap(), port(0)),
            (ip[16..20].try_into().unwrap(), port(2)),
            udp[8..end].to_vec(),
        ));
    }
    out
}

/// A message with one question; `records` are written out behind it.
pub(super) fn message(
    id: u16,
    flags: u16,
    counts: [u16; 3],
    name: &str,
    kind: u16,
    records: &[u8],
) -> Vec<u8> {
    let mut m = Vec::new();
    for half in [id, flags, 1, counts[0], counts[1], counts[2]] {
        m.extend_from_slice(&half.to_be_bytes());
    }
    m.extend_from_slice(&wire_name(name));
    m.extend_from_slice(&kind.to_be_bytes());
    m.extend_from_slice(&1u16.to_be_bytes());
    m.extend_from_slice(records);
    m
}

pub(super) fn wire_name(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.').filter(|l| !l.is_empty()) {
        wire.push(label.len() as u8);
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}

/// A record whose owner is the question.
pub(super) fn record(kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut r = vec![0xc0, 12];
    r.extend_from_slice(&kind.to_be_bytes());
    r.extend_from_slice(&1u16.to_be_bytes());
    r.extend_from_slice(&ttl.to_be_bytes());
    r.extend_from_slice(&(data.len() as u16).to_be_bytes());
    r.extend_from_slice(data);
    r
}

pub(super) fn query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    message(id, 0x0100, [0; 3], name, kind, &[])
}

/// An answer with one address.
pub(super) fn answer(id: u16, name: &str) -> Vec<u8> {
    message(id, 0x8180, [1, 0, 0], name, 1, &record(1, 60, &[10, 0, 0, 1]))
}

pub(super) fn failure(id: u16, name: &str, kind: u16, rcode: u16) -> Vec<u8> {
    message(id, 0x8180 | rcode, [0; 3], name, kind, &[])
}

/// `TYPE NAME STATUS [answers]`, to compare with what was asked.
pub(super) fn line(told: &Told) -> String {
    let status = match &told.status {
        Known::Known(status) => status.as_ref(),
        Known::Unknown(why) => why,
        Known::Absent => "-",
    };
    let mut line = format!("{} {} {status}", told.method, told.target.known().map_or("?", |t| t));
    for answer in told.dns.iter().flat_map(|dns| &dns.answers) {
        match &answer.record {
            Record::Address(address) => line += &format!(" {address}"),
            Record::Alias(alias) => line += &format!(" ={alias}"),
        }
    }
    line
}

pub(super) fn ms(ms: u64) -> BootNs {
    BootNs(ms * 1_000_000)
}

pub(super) const C: Speaker = Speaker::Client;
pub(super) const S: Speaker = Speaker::Server;
