//! Whether a conversation is memcached.

use super::binary::{HEADER, Header, REQUEST, RESPONSE};
use super::text::{self, Code};
use crate::wire::decoder::Sniff;

enum Evidence {
    None,
    Weak,
    Strong,
    Against,
}

/// Whether these are the beginnings of a memcached conversation: what each side said from the
/// beginning of a message on; either may be empty.
pub fn sniff(client: &[u8], server: &[u8]) -> Sniff {
    if is_statistics(client, server) {
        return Sniff::Yes;
    }
    match (asks(client), answers(server)) {
        (Evidence::Against, _) | (_, Evidence::Against) => Sniff::No,
        (Evidence::Strong, _) | (_, Evidence::Strong) | (Evidence::Weak, Evidence::Weak) => Sniff::Yes,
        _ => Sniff::Maybe,
    }
}

/// Others have a command `stats`, but none answers it in lines of `STAT`, name and value.
fn is_statistics(client: &[u8], server: &[u8]) -> bool {
    let (ask, asked) = first_line(client);
    let (answer, answered) = first_line(server);
    let mut words = answer.split(|b| *b == b' ');
    let statistic = words.next() == Some(b"STAT") && words.take(2).filter(|w| !w.is_empty()).count() == 2;
    asked && answered && statistic && text::command(ask) == Some("stats")
}

fn header(magic: u8, data: &[u8]) -> Evidence {
    match data.get(..HEADER) {
        None => Evidence::None,
        Some(bytes) => match Header::read(magic, bytes) {
            // A known command, or a known status, and lengths that fit: six bytes that agree.
            Some(h) if h.command().0 != "unknown" && (magic == REQUEST || h.status <= 0x86) => {
                Evidence::Strong
            }
            _ => Evidence::Against,
        },
    }
}

fn first_line(data: &[u8]) -> (&[u8], bool) {
    match data.iter().position(|b| *b == b'\n') {
        Some(end) => {
            let (line, _) = data.split_at(end);
            (line.strip_suffix(b"\r").unwrap_or(line), true)
        }
        None => (data, false),
    }
}

fn asks(data: &[u8]) -> Evidence {
    if data.first() == Some(&REQUEST) {
        return header(REQUEST, data);
    }
    let (line, complete) = first_line(data);
    let text = line.iter().all(|b| b.is_ascii_graphic() || matches!(b, b' ' | b'\r') || *b >= 0x80);
    if !text || line.windows(6).any(|w| w == b" HTTP/") {
        return Evidence::Against;
    }
    if !complete {
        let word = line.split(|b| *b == b' ').next().unwrap_or_default();
        let begins = word.iter().all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'\r'));
        let known = word.len() == line.len() || text::command(line).is_some();
        return if begins && known && word.len() <= 16 { Evidence::None } else { Evidence::Against };
    }
    match text::ask(line) {
        // Key, flags, time and length: only memcached asks so.
        Some(ask) if ask.block.is_some() && ask.method != "ms" => Evidence::Strong,
        // Words of other protocols as well.
        Some(ask) if matches!(ask.method, "quit" | "version" | "stats" | "watch" | "shutdown") => {
            Evidence::None
        }
        Some(_) => Evidence::Weak,
        None => Evidence::Against,
    }
}

fn answers(data: &[u8]) -> Evidence {
    if data.first() == Some(&RESPONSE) {
        return header(RESPONSE, data);
    }
    let (line, complete) = first_line(data);
    if !complete {
        let word = line.split(|b| *b == b' ').next().unwrap_or_default();
        let begins = word
            .iter()
            .take(8)
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'_' | b'\r'));
        return if begins { Evidence::None } else { Evidence::Against };
    }
    match text::answer(line) {
        Some(a) if a.code == Code::Part && a.block.is_some() => Evidence::Strong,
        Some(_) => Evidence::Weak,
        None => Evidence::Against,
    }
}
