//! Whether a conversation is Redis.

use super::names;
use crate::wire::decoder::Sniff;
use crate::wire::line::number;

/// What one side's first bytes are worth.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Evidence {
    /// Not enough to say.
    None,
    /// Fits, but other protocols might say it as well.
    Weak,
    /// Chance does not make it.
    Strong,
    /// It cannot be Redis.
    Against,
}

/// Whether these are the beginnings of a Redis conversation: what each side said from the beginning
/// of a message on; either may be empty.
pub fn sniff(client: &[u8], server: &[u8]) -> Sniff {
    match (asks(client), answers(server)) {
        (Evidence::Against, _) | (_, Evidence::Against) => Sniff::No,
        (Evidence::Strong, _) | (_, Evidence::Strong) | (Evidence::Weak, Evidence::Weak) => Sniff::Yes,
        _ => Sniff::Maybe,
    }
}

/// The first line, and what follows it, if it is complete.
fn line(data: &[u8]) -> (&[u8], Option<&[u8]>) {
    match data.iter().position(|b| *b == b'\n') {
        Some(end) => {
            let (line, rest) = data.split_at(end);
            (line.strip_suffix(b"\r").unwrap_or(line), rest.get(1..))
        }
        None => (data, None),
    }
}

/// A length after its type byte, as far as it goes.
fn length(line: &[u8], complete: bool) -> bool {
    let digits = line.get(1..).unwrap_or_default();
    let digits = if complete { digits } else { digits.strip_suffix(b"\r").unwrap_or(digits) };
    number(digits).is_some_and(|n| n < 1 << 30) || (!complete && digits.is_empty())
}

fn asks(data: &[u8]) -> Evidence {
    let (first, rest) = line(data);
    if first.first() == Some(&b'*') {
        if !length(first, rest.is_some()) {
            return Evidence::Against;
        }
        let Some(rest) = rest else { return Evidence::None };
        let (second, rest) = line(rest);
        if second.is_empty() && rest.is_none() {
            return Evidence::None;
        }
        if second.first() != Some(&b'$') || !length(second, rest.is_some()) {
            return Evidence::Against;
        }
        let Some(rest) = rest else { return Evidence::None };
        let len = second.get(1..).and_then(number).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        return match rest.get(..len) {
            Some(name) if names::known(name).is_some() => Evidence::Strong,
            Some(name) if !name.is_empty() && name.iter().all(u8::is_ascii_graphic) => Evidence::Weak,
            None if len <= 64 && rest.iter().take(len).all(u8::is_ascii_graphic) => Evidence::None,
            _ => Evidence::Against,
        };
    }
    // An inline command. HTTP has a GET, too, and mail protocols have words in common.
    if data.is_empty() {
        return Evidence::None;
    }
    let text = |b: &u8| b.is_ascii_graphic() || matches!(b, b' ' | b'\t');
    let mut words = first.split(|b| matches!(b, b' ' | b'\t'));
    let word = words.next().unwrap_or_default();
    let whole = rest.is_some() || words.next().is_some();
    let http = first.windows(6).any(|w| w == b" HTTP/");
    if http || !first.iter().all(|b| text(b) || (rest.is_none() && *b == b'\r')) || word.len() > 24 {
        return Evidence::Against;
    }
    if !whole {
        return if word.iter().all(|b| b.is_ascii_alphabetic() || *b == b'\r') {
            Evidence::None
        } else {
            Evidence::Against
        };
    }
    match names::known(word) {
        Some(("AUTH" | "QUIT", _)) => Evidence::None,
        Some(_) if rest.is_some() => Evidence::Weak,
        Some(_) => Evidence::None,
        None => Evidence::Against,
    }
}

fn answers(data: &[u8]) -> Evidence {
    let Some((kind, _)) = data.split_first() else { return Evidence::None };
    let (first, rest) = line(data);
    let value = first.get(1..).unwrap_or_default();
    let fits = match kind {
        b'+' | b'-' => value.iter().all(|b| b.is_ascii_graphic() || matches!(b, b' ' | b'\r')),
        b':' => value.iter().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'\r')),
        b'$' | b'*' if value == b"-1" || (rest.is_none() && b"-1\r".starts_with(value)) => true,
        b'$' | b'*' | b'%' | b'~' | b'>' | b'!' | b'=' | b'|' => length(first, rest.is_some()),
        b'_' => value.is_empty() || value == b"\r",
        b'#' => matches!(value, b"" | b"t" | b"f" | b"t\r" | b"f\r"),
        b',' | b'(' => value.iter().all(|b| b.is_ascii_graphic() || *b == b'\r'),
        _ => false,
    };
    if !fits {
        return Evidence::Against;
    }
    let Some(rest) = rest else { return Evidence::None };
    let pushed =
        [&b"$7\r\nmessage\r\n"[..], b"$8\r\npmessage\r\n", b"$8\r\nsmessage\r\n", b"$10\r\ninvalidate\r\n"];
    if matches!(kind, b'*' | b'>') && pushed.iter().any(|p| rest.starts_with(p)) {
        return Evidence::Strong;
    }
    Evidence::Weak
}
