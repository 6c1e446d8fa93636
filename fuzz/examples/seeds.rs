//! Makes seeds of the captures in `tests/captures`: `cargo run --example seeds`, in `fuzz/`.
//!
//! Each conversation of a capture is written as a script (`src/script.rs`) into `seeds/TARGET/`, whole
//! where it is short, else its beginning and its end.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use webb_fuzz::model::{BootNs, EndId, Protocol};
use webb_fuzz::script::Writer;
use webb_fuzz::source::pcap::Capture;
use webb_fuzz::track::{Fact, Observation};
use webb_fuzz::wire::{Conversation, Speaker, dns, quic};

/// Longest seed, in bytes.
const LONGEST: usize = 3072;
/// Longest run that is kept whole; of longer ones the rest is a gap.
const RUN: usize = 1024;
/// Most seeds of one capture.
const MOST: usize = 5;

/// What one side said at one time.
type Run = (Speaker, BootNs, Vec<u8>);

#[derive(Default)]
struct Conn {
    next: [Option<u32>; 2],
    runs: Vec<Run>,
    datagrams: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let seeds = fuzz.join("seeds");
    let mut captures: Vec<PathBuf> = fs::read_dir(fuzz.join("../tests/captures"))?
        .map(|e| e.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    captures.retain(|p| p.extension().is_some_and(|e| e == "pcap" || e == "pcapng"));
    captures.sort();
    for path in &captures {
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or("capture");
        let mut written: HashMap<String, usize> = HashMap::new();
        for conn in conversations(path)? {
            for (target, seed) in scripts(&conn) {
                let n = written.entry(target.clone()).or_default();
                *n += 1;
                if *n <= MOST {
                    write(&seeds.join(&target), &format!("{stem}-{n}"), &seed)?;
                }
            }
        }
    }
    for path in handshakes(&fuzz.join("../tests/tls"))? {
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or("handshake");
        for conn in conversations(&path)? {
            write(&seeds.join("tls"), stem, &script(&conn.runs, false))?;
        }
    }
    write(&seeds.join("quic"), "client-hello", &client_hello())?;
    Ok(())
}

/// Every sixth of the handshakes, and those that are not of the plain kind.
fn handshakes(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut all: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    all.retain(|p| p.extension().is_some_and(|e| e == "pcap"));
    all.sort();
    let odd = |p: &Path| {
        let name = p.to_string_lossy();
        ["starttls", "proxy", "connect", "reneg", "pha", "padding", "0rtt", "hrr", "frag", "fail"]
            .iter()
            .any(|kind| name.contains(kind))
    };
    Ok(all.into_iter().enumerate().filter(|(i, p)| i % 6 == 0 || odd(p)).map(|(_, p)| p).collect())
}

fn write(dir: &Path, name: &str, seed: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    fs::write(dir.join(name), seed)
}

/// All conversations of a capture, bytes in order; what came twice or out of order is left out.
fn conversations(path: &Path) -> Result<Vec<Conn>, Box<dyn std::error::Error>> {
    let mut capture = Capture::open(path)?;
    let (mut conns, mut order): (HashMap<EndId, Conn>, Vec<EndId>) = (HashMap::new(), Vec::new());
    let mut each = |o: Observation<'_>| match o {
        Observation::Fact(Fact::End(f)) => {
            if !conns.contains_key(&f.id) {
                order.push(f.id);
            }
            conns.entry(f.id).or_default();
        }
        Observation::Piece(p) => {
            let conn = conns.entry(p.id).or_default();
            let next = &mut conn.next[usize::from(!p.sent)];
            let known = next.get_or_insert(p.seq).wrapping_sub(p.seq);
            let Some(fresh) = p.data.get(known as usize..).filter(|d| !d.is_empty()) else { return };
            *next = Some(p.seq.wrapping_add(p.data.len() as u32));
            let from = if p.sent { Speaker::Client } else { Speaker::Server };
            match conn.runs.last_mut() {
                Some(last) if last.0 == from => last.2.extend_from_slice(fresh),
                _ => conn.runs.push((from, p.at, fresh.to_vec())),
            }
        }
        Observation::Datagram(d) => {
            if !conns.contains_key(&d.id) {
                order.push(d.id);
            }
            let conn = conns.entry(d.id).or_default();
            conn.datagrams = true;
            let from = if d.sent { Speaker::Client } else { Speaker::Server };
            conn.runs.push((from, d.at, d.data.to_vec()));
        }
        _ => {}
    };
    while capture.next(&mut each)? {}
    Ok(order.into_iter().filter_map(|id| conns.remove(&id)).collect())
}

/// The seeds of a conversation, with their targets.
fn scripts(conn: &Conn) -> Vec<(String, Vec<u8>)> {
    let Some((_, _, first)) = conn.runs.first() else { return Vec::new() };
    if conn.datagrams {
        let is_dns = dns::parse(first).is_ok() && quic::header(first).is_none();
        if is_dns {
            return vec![("dns_message".to_owned(), script(&conn.runs, false))];
        }
        // As they are: the target takes the client's runs for frames.
        let raw: Vec<Run> = conn.runs.iter().map(|r| (Speaker::Server, r.1, r.2.clone())).collect();
        return vec![("quic".to_owned(), script(&raw, false))];
    }
    let Some(protocol) = protocol(&conn.runs) else { return Vec::new() };
    let target = match protocol {
        Protocol::Http1 => "http1",
        Protocol::Http2 | Protocol::Grpc => "http2",
        Protocol::WebSocket => "http1",
        Protocol::Dns => "dns_stream",
        other => other.as_str(),
    };
    let mut out =
        vec![(target.to_owned(), script(&conn.runs, false)), ("track".to_owned(), pieces(&conn.runs))];
    let total: usize = conn.runs.iter().map(|r| r.2.len().min(RUN) + 8).sum();
    if total > LONGEST {
        let mut from = conn.runs.len();
        let mut len = 0;
        while from > 0 && len + conn.runs[from - 1].2.len().min(RUN) + 8 <= LONGEST - 2 {
            from -= 1;
            len += conn.runs[from].2.len().min(RUN) + 8;
        }
        out.push((target.to_owned(), script(&conn.runs[from..], true)));
    }
    if protocol == Protocol::WebSocket {
        // Behind the answer to the upgrade.
        let behind: Vec<Run> = conn.runs.iter().skip(1).filter_map(behind_head).collect();
        out.push(("websocket".to_owned(), script(&behind, false)));
    }
    out
}

fn behind_head(run: &Run) -> Option<Run> {
    let head = run.2.starts_with(b"HTTP/").then(|| run.2.windows(4).position(|w| w == b"\r\n\r\n"));
    let from = head.flatten().map_or(0, |at| at + 4);
    let rest = run.2.get(from..).filter(|rest| !rest.is_empty())?;
    Some((run.0, run.1, rest.to_vec()))
}

/// What webb takes it for.
fn protocol(runs: &[Run]) -> Option<Protocol> {
    let (mut conversation, mut out, mut offsets) = (Conversation::new(false), Vec::new(), [0u64; 2]);
    let mut first = None;
    for (from, at, data) in runs {
        conversation.turn(*from, &mut out);
        let offset = &mut offsets[usize::from(*from == Speaker::Server)];
        conversation.bytes(*from, *at, *offset, data, &mut out);
        *offset += data.len() as u64;
        first = first.or(conversation.protocol());
    }
    match (first, conversation.protocol()) {
        (Some(Protocol::Http1), Some(Protocol::WebSocket)) => Some(Protocol::WebSocket),
        (first, _) => first,
    }
}

fn script(runs: &[Run], adopted: bool) -> Vec<u8> {
    let mut writer = Writer::new(adopted);
    for (from, at, data) in runs {
        let shown = data.len().min(RUN);
        if writer.out.len() + shown + 8 > LONGEST {
            break;
        }
        writer.say(*from, *at, &data[..shown]);
        if shown < data.len() {
            writer.gap(*from, (data.len() - shown) as u32);
        }
    }
    writer.out
}

/// The input of the target `track` (`src/streams.rs`): one end, its pieces, and a look at the table.
fn pieces(runs: &[Run]) -> Vec<u8> {
    const PLACE: u8 = 2 | 8;
    const LOOK: [u8; 4] = [0x1b, PLACE, 0x1c, PLACE];
    let mut out = vec![0x10, PLACE, 1, 4 | 8];
    for (from, _, data) in runs.iter().take(64) {
        let data = &data[..data.len().min(RUN / 2)];
        if out.len() + data.len() > LONGEST {
            break;
        }
        let [high, low] = (data.len() as u16).to_be_bytes();
        let sent = u8::from(*from == Speaker::Client);
        out.extend_from_slice(&[0x12, PLACE, sent | 2 | 16, high, low]);
        out.extend_from_slice(data);
    }
    out.extend_from_slice(&LOOK);
    out.extend_from_slice(&[0x10, PLACE, 4, 4 | 8]);
    out.extend_from_slice(&LOOK);
    out
}

/// Two CRYPTO frames, the second before the first, with a ClientHello (RFC 8446 section 4.1.2) that
/// has a server name and application protocols.
fn client_hello() -> Vec<u8> {
    let name = [&[0, 0, 0, 14, 0, 12, 0, 0, 9][..], b"shop.test"].concat();
    let protocols = [&[0, 16, 0, 5, 0, 3, 2][..], b"h3"].concat();
    let random = [&[3, 3][..], &[7; 32]].concat();
    let body =
        [&random[..], &[0, 0, 2, 0x13, 1, 1, 0, 0, (name.len() + protocols.len()) as u8], &name, &protocols];
    let body = body.concat();
    let hello = [&[1, 0, 0, body.len() as u8][..], &body].concat();
    let frame = |from: usize, bytes: &[u8]| [&[6, from as u8, 0x40, bytes.len() as u8][..], bytes].concat();
    let (first, second) = hello.split_at(50);
    let mut writer = Writer::new(false);
    writer.say(Speaker::Client, BootNs(1_000_000), &[frame(50, second), vec![1, 0, 0]].concat());
    writer.say(Speaker::Client, BootNs(2_000_000), &frame(0, first));
    writer.out
}
