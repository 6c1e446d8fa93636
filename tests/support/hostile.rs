//! Captures that no honest network makes, written as long as wanted: each kind aims at one table.

use std::io::{self, Write};

/// What a capture is full of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hostile {
    /// SYNs, each from another address.
    Syns,
    /// First fragments of datagrams whose rest never comes.
    Fragments,
    /// Connections whose first byte is missing and never comes, with much behind it.
    Holes,
    /// Datagrams, each from another address.
    UdpPeers,
    /// DNS questions, each for another name and from another address, that nobody answers.
    Questions,
    /// Connections with one request and its answer.
    Tiny,
    /// Connections that stay open in the middle of the head of a request.
    Heads,
    /// Connections that stay open, each with as many requests pending as HTTP/2 lets it have.
    Streams,
    /// Connections whose handshake is not in the capture and whose bytes are of no protocol.
    MidStream,
}

impl Hostile {
    /// All kinds with their names.
    pub const ALL: [(&'static str, Hostile); 9] = [
        ("syns", Hostile::Syns),
        ("fragments", Hostile::Fragments),
        ("holes", Hostile::Holes),
        ("udp-peers", Hostile::UdpPeers),
        ("questions", Hostile::Questions),
        ("tiny", Hostile::Tiny),
        ("heads", Hostile::Heads),
        ("streams", Hostile::Streams),
        ("mid-stream", Hostile::MidStream),
    ];
}

/// Connections that are open at the same time, where a kind keeps them open.
const OPEN: u64 = 50_000;

/// Writes at least `bytes` of a capture (raw IP), packets `step_us` apart.
///
/// # Errors
/// When writing fails.
pub fn write(kind: Hostile, bytes: u64, step_us: u64, out: impl Write) -> io::Result<()> {
    let mut file = Capture { out, at_us: 1_700_000_000_000_000, step_us, written: 0 };
    file.begin()?;
    let mut n = 0;
    while file.written < bytes {
        packets(kind, n, &mut file)?;
        n += 1;
    }
    file.out.flush()
}

/// SYN, ACK and PSH|ACK, FIN|ACK.
const SYN: u8 = 2;
const ACK: u8 = 16;
const PSH: u8 = 24;
const FIN: u8 = 17;

fn packets<W: Write>(kind: Hostile, n: u64, to: &mut Capture<W>) -> io::Result<()> {
    // The same address comes again long after it was forgotten.
    let far = mix(n);
    let (addr, port) = ((far as u32) | 1, 1024 + (far >> 32) as u16 % 60_000);
    let new = Tcp { client: addr, port, up: far as u32, down: (far >> 16) as u32 };
    // One of those that stay open, and its turn.
    let (round, of) = (n / OPEN, mix(n % OPEN));
    let kept =
        Tcp { client: (of as u32) | 1, port: 1024 + (of >> 32) as u16 % 60_000, up: of as u32, down: 9 };
    match kind {
        Hostile::Syns => to.packet(&tcp(&new, true, new.up, 0, SYN, &[])),
        Hostile::Fragments => to.packet(&ip(17, addr, SERVER, n as u16, 0x2000, &[7; 1400])),
        Hostile::UdpPeers => to.packet(&udp(addr, port, 9999, b"hello")),
        Hostile::Questions => {
            let mut question = vec![(n >> 8) as u8, n as u8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 63];
            question.extend(format!("{far:063x}").bytes());
            question.extend(b"\x04test\0\0\x01\0\x01");
            to.packet(&udp(addr, port, 53, &question))
        }
        Hostile::Tiny => {
            let (ask, answer) =
                (format!("GET /{far:x} HTTP/1.1\r\n\r\n"), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            let (up, down) = (new.up.wrapping_add(1), new.down.wrapping_add(1));
            let (said, heard) = (up.wrapping_add(ask.len() as u32), down.wrapping_add(answer.len() as u32));
            new.open(to)?;
            to.packet(&tcp(&new, true, up, down, PSH, ask.as_bytes()))?;
            to.packet(&tcp(&new, false, down, said, PSH, answer.as_bytes()))?;
            to.packet(&tcp(&new, true, said, heard, FIN, &[]))?;
            to.packet(&tcp(&new, false, heard, said.wrapping_add(1), FIN, &[]))?;
            to.packet(&tcp(&new, true, said.wrapping_add(1), heard.wrapping_add(1), ACK, &[]))
        }
        Hostile::Holes if round == 0 => kept.open(to),
        Hostile::Holes => kept.say(to, round, 1, &[b'x'; 1000]),
        Hostile::Heads if round == 0 => {
            kept.open(to)?;
            kept.say(to, 0, 0, &padded("GET / HTTP/1.1\r\nCookie: ", 1000))
        }
        Hostile::Heads => kept.say(to, round, 0, &[b'x'; 1000]),
        Hostile::Streams if round == 0 => {
            kept.open(to)?;
            let mut preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
            preface.resize(1000 - 9, 0);
            // The rest is one unknown frame.
            preface.splice(33..33, [0, 3, 182, 0xbb, 0, 0, 0, 0, 0]);
            kept.say(to, 0, 0, &preface)
        }
        Hostile::Streams => {
            // Ten requests of 100 bytes; what they ask goes into the dynamic table, too.
            let mut frames = Vec::new();
            for i in 0..10u64 {
                let stream = (2 * (10 * round + i) + 1) as u32;
                let mut block = vec![0x82, 0x86, 0x44, 0x40];
                block.extend(format!("/{:063x}", mix(u64::from(stream))).bytes());
                block.extend([0x40, 2, b'x', b'y', 15]);
                block.extend([b'z'; 15]);
                block.push(0x84);
                block.resize(91, 0x84);
                frames.extend([0, 0, 91, 1, 5]);
                frames.extend(stream.to_be_bytes());
                frames.extend(block);
            }
            kept.say(to, round, 0, &frames)
        }
        Hostile::MidStream => {
            let up = !n.is_multiple_of(3);
            to.packet(&tcp(&kept, up, 1 + 1000 * (round as u32), 1, PSH, &mix(n).to_be_bytes().repeat(125)))
        }
    }
}

const SERVER: u32 = 0x0a00_0001;

/// One connection to port 80.
struct Tcp {
    client: u32,
    port: u16,
    up: u32,
    down: u32,
}

impl Tcp {
    fn open<W: Write>(&self, to: &mut Capture<W>) -> io::Result<()> {
        let (up, down) = (self.up.wrapping_add(1), self.down.wrapping_add(1));
        to.packet(&tcp(self, true, self.up, 0, SYN, &[]))?;
        to.packet(&tcp(self, false, self.down, up, SYN | ACK, &[]))?;
        to.packet(&tcp(self, true, up, down, ACK, &[]))
    }

    /// The client's thousand bytes of a round, `skipped` farther than they should be.
    fn say<W: Write>(&self, to: &mut Capture<W>, round: u64, skipped: u32, data: &[u8]) -> io::Result<()> {
        let seq = self.up.wrapping_add(1 + skipped).wrapping_add(1000 * round as u32);
        to.packet(&tcp(self, true, seq, self.down.wrapping_add(1), PSH, data))
    }
}

fn padded(text: &str, to: usize) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(to, b'x');
    bytes
}

/// A number that looks like chance (SplitMix64).
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn ip(protocol: u8, src: u32, dst: u32, id: u16, fragment: u16, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + body.len() as u16).to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(src.to_be_bytes());
    packet.extend(dst.to_be_bytes());
    packet.extend(body);
    packet
}

fn tcp(of: &Tcp, up: bool, seq: u32, ack: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    let ports = if up { [of.port, 80] } else { [80, of.port] };
    let mut segment: Vec<u8> = ports.into_iter().flat_map(u16::to_be_bytes).collect();
    segment.extend(seq.to_be_bytes());
    segment.extend(ack.to_be_bytes());
    segment.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(data);
    let (src, dst) = if up { (of.client, SERVER) } else { (SERVER, of.client) };
    ip(6, src, dst, 0, 0x4000, &segment)
}

fn udp(src: u32, port: u16, to: u16, data: &[u8]) -> Vec<u8> {
    let fields = [port, to, 8 + data.len() as u16, 0];
    let mut datagram: Vec<u8> = fields.into_iter().flat_map(u16::to_be_bytes).collect();
    datagram.extend(data);
    ip(17, src, SERVER, 0, 0x4000, &datagram)
}

struct Capture<W> {
    out: W,
    at_us: u64,
    step_us: u64,
    written: u64,
}

impl<W: Write> Capture<W> {
    fn begin(&mut self) -> io::Result<()> {
        self.put(&0xa1b2_c3d4_u32.to_le_bytes())?;
        self.put(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0])
    }

    fn packet(&mut self, packet: &[u8]) -> io::Result<()> {
        self.at_us += self.step_us;
        let (s, us, len) = (self.at_us / 1_000_000, self.at_us % 1_000_000, packet.len() as u64);
        for field in [s, us, len, len] {
            self.put(&(field as u32).to_le_bytes())?;
        }
        self.put(packet)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}
