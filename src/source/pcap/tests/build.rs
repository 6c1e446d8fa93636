//! Packets and files as bytes.

use std::net::IpAddr;

pub(super) const FIN: u8 = 1;
pub(super) const SYN: u8 = 2;
pub(super) const RST: u8 = 4;
pub(super) const ACK: u8 = 16;

pub(super) const MS: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1_000_000_000;
/// Times of tests count from here.
pub(super) const EPOCH: u64 = 1_700_000_000 * SECOND;

pub(super) fn tcp(ports: (u16, u16), seq: u32, ack: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    let mut b = Vec::new();
    b.extend(ports.0.to_be_bytes());
    b.extend(ports.1.to_be_bytes());
    b.extend(seq.to_be_bytes());
    b.extend(ack.to_be_bytes());
    b.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
    b.extend(data);
    b
}

pub(super) fn udp(ports: (u16, u16), data: &[u8]) -> Vec<u8> {
    let mut b = Vec::new();
    b.extend(ports.0.to_be_bytes());
    b.extend(ports.1.to_be_bytes());
    b.extend((8 + data.len() as u16).to_be_bytes());
    b.extend([0, 0]);
    b.extend(data);
    b
}

/// `flags`: the field of flags and fragment offset.
pub(super) fn v4(src: u8, dst: u8, id: u16, flags: u16, protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut b = vec![0x45, 0];
    b.extend((20 + body.len() as u16).to_be_bytes());
    b.extend(id.to_be_bytes());
    b.extend(flags.to_be_bytes());
    b.extend([64, protocol, 0, 0, 10, 0, 0, src, 10, 0, 0, dst]);
    b.extend(body);
    b
}

pub(super) fn v6(src: u16, dst: u16, next: u8, body: &[u8]) -> Vec<u8> {
    let mut b = vec![0x60, 0, 0, 0];
    b.extend((body.len() as u16).to_be_bytes());
    b.extend([next, 64]);
    for n in [src, dst] {
        let IpAddr::V6(a) = format!("fd00::{n:x}").parse().unwrap() else { panic!() };
        b.extend(a.octets());
    }
    b.extend(body);
    b
}

pub(super) fn ethernet(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut b = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    b.extend(kind.to_be_bytes());
    b.extend(body);
    b
}

/// A packet of a file: time since [`EPOCH`], bytes, length on the wire.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub at: u64,
    pub bytes: Vec<u8>,
    pub wire: usize,
}

/// A classic file: nanoseconds, little endian.
pub(super) fn classic(link: u32, frames: &[Frame]) -> Vec<u8> {
    let mut b = vec![0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
    b.extend(link.to_le_bytes());
    for f in frames {
        let at = EPOCH + f.at;
        for n in [at / SECOND, at % SECOND, f.bytes.len() as u64, f.wire as u64] {
            b.extend((n as u32).to_le_bytes());
        }
        b.extend(&f.bytes);
    }
    b
}

/// Segments between a client (10.0.0.1:40000, its number 1000) and a server (10.0.0.2:80, 9000), on
/// raw IP.
#[derive(Clone, Debug, Default)]
pub(super) struct Talk {
    pub frames: Vec<Frame>,
    pub now: u64,
    pub id: u16,
}

impl Talk {
    pub(super) fn new() -> Self {
        Talk::default()
    }

    /// A segment 1 ms later; sequence numbers count from each side's initial one.
    pub(super) fn say(mut self, client: bool, flags: u8, seq: u32, ack: u32, data: &[u8]) -> Self {
        self.now += MS;
        self.id += 1;
        let (ports, mine, its, from, to) =
            if client { ((40000, 80), 1000, 9000, 1, 2) } else { ((80, 40000), 9000, 1000, 2, 1) };
        let ack = if flags & ACK == 0 { 0 } else { ack + its };
        let bytes = v4(from, to, self.id, 0, 6, &tcp(ports, seq + mine, ack, flags, data));
        self.frames.push(Frame { at: self.now, wire: bytes.len(), bytes });
        self
    }

    pub(super) fn client(self, flags: u8, seq: u32, ack: u32, data: &[u8]) -> Self {
        self.say(true, flags, seq, ack, data)
    }

    pub(super) fn server(self, flags: u8, seq: u32, ack: u32, data: &[u8]) -> Self {
        self.say(false, flags, seq, ack, data)
    }

    pub(super) fn wait(mut self, ns: u64) -> Self {
        self.now += ns;
        self
    }

    /// The last packet is captured once more.
    pub(super) fn copy(mut self) -> Self {
        let mut last = self.frames.last().unwrap().clone();
        self.now += 1000;
        last.at = self.now;
        self.frames.push(last);
        self
    }

    pub(super) fn handshake(self) -> Self {
        self.client(SYN, 0, 0, b"").server(SYN | ACK, 0, 1, b"").client(ACK, 1, 1, b"")
    }

    /// The request "ping", the response "pong!".
    pub(super) fn exchange(self) -> Self {
        self.client(ACK, 1, 1, b"ping").server(ACK, 1, 5, b"pong!").client(ACK, 5, 6, b"")
    }

    /// In order, behind [`Talk::exchange`].
    pub(super) fn close(self) -> Self {
        self.client(FIN | ACK, 5, 6, b"").server(FIN | ACK, 6, 6, b"").client(ACK, 6, 7, b"")
    }

    pub(super) fn file(&self) -> Vec<u8> {
        classic(101, &self.frames)
    }
}
