//! Reads the captures of `tests/tls`: one TCP connection each, Ethernet and IPv4, with reassembly by
//! sequence number. What both sides said, in the order in which it can be read, with what was
//! acknowledged.

use std::collections::BTreeMap;
use std::path::Path;

use crate::model::BootNs;
use crate::wire::Speaker;

/// Bytes of one segment.
#[derive(Clone, Debug)]
pub struct Said {
    pub from: Speaker,
    pub at: BootNs,
    pub offset: u64,
    pub acked: u64,
    pub data: Vec<u8>,
}

/// A connection.
#[derive(Debug, Default)]
pub struct Connection {
    /// It began before the capture did.
    pub adopted: bool,
    pub said: Vec<Said>,
}

#[derive(Default)]
struct Side {
    /// Sequence number of its first byte.
    first: Option<u32>,
    next: u64,
    early: BTreeMap<u64, Said>,
}

fn be16(b: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([b[at], b[at + 1]])
}

fn be32(b: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(b[at..at + 4].try_into().unwrap())
}

/// Reads one; `port` is the client's.
pub fn read(path: &Path, port: u16) -> Connection {
    let raw = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let le32 = |at: usize| u32::from_le_bytes(raw[at..at + 4].try_into().unwrap());
    assert_eq!((le32(0), le32(20)), (0xa1b2_c3d4, 1), "{}", path.display());
    let mut connection = Connection { adopted: true, said: Vec::new() };
    let mut sides = [Side::default(), Side::default()];
    let mut at = 24;
    while at + 16 <= raw.len() {
        let time = u64::from(le32(at)) * 1_000_000_000 + u64::from(le32(at + 4)) * 1000;
        let len = le32(at + 8) as usize;
        let packet = &raw[at + 16..at + 16 + len];
        at += 16 + len;
        if packet.len() < 54 || be16(packet, 12) != 0x0800 || packet[23] != 6 {
            continue;
        }
        let ip = &packet[14..];
        let total = usize::from(be16(ip, 2));
        let tcp = &ip[usize::from(ip[0] & 15) * 4..if total == 0 { ip.len() } else { total.min(ip.len()) }];
        let from = if be16(tcp, 0) == port { Speaker::Client } else { Speaker::Server };
        assert!(from == Speaker::Client || be16(tcp, 2) == port, "one connection");
        let (seq, ack, flags) = (be32(tcp, 4), be32(tcp, 8), tcp[13]);
        let data = &tcp[usize::from(tcp[12] >> 4) * 4..];
        let syn = flags & 2 != 0;
        let me = from as usize;
        if syn {
            connection.adopted = false;
            sides[me].first = Some(seq.wrapping_add(1));
            continue;
        }
        if data.is_empty() {
            continue;
        }
        let other = sides[1 - me].first;
        let acked = if flags & 16 == 0 { 0 } else { u64::from(other.map_or(0, |o| ack.wrapping_sub(o))) };
        let side = &mut sides[me];
        let offset = u64::from(seq.wrapping_sub(*side.first.get_or_insert(seq)));
        if offset < 1 << 31 {
            let said = Said { from, at: BootNs(time), offset, acked, data: data.to_vec() };
            side.early.entry(offset).or_insert(said);
        }
        while let Some(entry) = side.early.first_entry().filter(|e| *e.key() <= side.next) {
            let mut said = entry.remove();
            let known = (side.next - said.offset) as usize;
            if known < said.data.len() {
                said.data.drain(..known);
                said.offset = side.next;
                side.next += said.data.len() as u64;
                connection.said.push(said);
            }
        }
    }
    connection
}
