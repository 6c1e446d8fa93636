//! Whether a conversation is HTTP/1.

use super::head;
use crate::wire::Sniff;

/// A request line cut off at so many bytes of a target that is one is evidence enough.
const LONG_TARGET: usize = 100;

/// Evidence is a whole request line (RFC 9112 section 3) or, where the client was not heard (the
/// connection is in the middle of a response), a status line (section 4).
///
/// `PRI * HTTP/2.0` (RFC 9113 section 3.4) is not HTTP/1.
pub fn sniff(client: &[u8], server: &[u8]) -> Sniff {
    match (sniff_client(client), sniff_server(server)) {
        (Sniff::No, _) => Sniff::No,
        (Sniff::Yes, _) => Sniff::Yes,
        (Sniff::Maybe, of_server) => of_server,
    }
}

fn sniff_client(said: &[u8]) -> Sniff {
    let blank = said.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let said = said.get(blank..).unwrap_or_default();
    let end = said.iter().position(|b| *b == b'\n');
    let Some(line) = said.get(..end.unwrap_or(said.len())) else { return Sniff::Maybe };
    if end.is_some() {
        return yes_or_no(head::request_line(line.strip_suffix(b"\r").unwrap_or(line)).is_some());
    }
    let mut words = line.split(|b| *b == b' ');
    let method = words.next().unwrap_or_default();
    let Some(target) = words.next() else {
        // `get`, `PING`, `SELECT`: only methods that are known are worth waiting for.
        return if head::begins_known_method(method) { Sniff::Maybe } else { Sniff::No };
    };
    let known = head::known_method(method).is_some();
    match words.next() {
        Some(version) if version.len() >= 8 => {
            yes_or_no(words.next().is_none() && head::request_line(line.trim_ascii_end()).is_some())
        }
        Some(version) => {
            let possible = b"HTTP/1.".starts_with(version) || version.starts_with(b"HTTP/1.");
            if possible && words.next().is_none() { Sniff::Maybe } else { Sniff::No }
        }
        None => {
            let first = target.first().copied();
            let starts = first.is_none_or(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'*' | b'['));
            if !known || !starts || target.iter().any(|b| !b.is_ascii_graphic()) {
                Sniff::No
            } else if target.len() >= LONG_TARGET && (first == Some(b'/') || target.starts_with(b"http")) {
                Sniff::Yes
            } else {
                Sniff::Maybe
            }
        }
    }
}

fn sniff_server(said: &[u8]) -> Sniff {
    // `HTTP/1.1 200` and the byte after it.
    match said.get(..13) {
        Some(line) => {
            let line = if matches!(line.last(), Some(b'\r' | b'\n')) { line.get(..12) } else { Some(line) };
            yes_or_no(line.is_some_and(|l| head::status_line(l).is_some()))
        }
        None if head::begins_status_line(said) => Sniff::Maybe,
        None => Sniff::No,
    }
}

fn yes_or_no(yes: bool) -> Sniff {
    if yes { Sniff::Yes } else { Sniff::No }
}
