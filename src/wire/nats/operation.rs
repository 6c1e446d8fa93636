//! The operations of the NATS client protocol: a line each, some with a payload after it.

use crate::wire::decoder::{Sniff, Speaker};
use crate::wire::line::{number, place};

/// Largest payload that is believed; `max_payload` of a server is at most 64 MiB.
const MOST: u64 = 1 << 30;

/// An operation's line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Operation<'a> {
    /// `PUB`, `HPUB`, `MSG`, `HMSG`: a payload of `size` bytes follows, the first `headers` of which
    /// are headers.
    Message { subject: &'a [u8], reply: Option<&'a [u8]>, headers: u64, size: u64 },
    /// `-ERR`, with its text.
    Error(&'a [u8]),
    /// `INFO` or `CONNECT`.
    Greeting,
    /// Any other.
    Control,
}

/// Reads the line that `from` said. `None` if it is none of an operation of that side.
pub(super) fn parse(from: Speaker, line: &[u8]) -> Option<Operation<'_>> {
    let end = line.iter().position(|b| matches!(b, b' ' | b'\t')).unwrap_or(line.len());
    let (verb, rest) = line.split_at(end);
    let is = |name: &str| verb.eq_ignore_ascii_case(name.as_bytes());
    match from {
        Speaker::Client if is("PUB") => message(rest, false, false),
        Speaker::Client if is("HPUB") => message(rest, false, true),
        Speaker::Client if is("CONNECT") => Some(Operation::Greeting),
        Speaker::Client if is("SUB") || is("UNSUB") => (!rest.is_empty()).then_some(Operation::Control),
        Speaker::Server if is("MSG") => message(rest, true, false),
        Speaker::Server if is("HMSG") => message(rest, true, true),
        Speaker::Server if is("INFO") => Some(Operation::Greeting),
        Speaker::Server if is("+OK") => Some(Operation::Control),
        Speaker::Server if is("-ERR") => Some(Operation::Error(rest)),
        _ if is("PING") || is("PONG") => Some(Operation::Control),
        _ => None,
    }
}

/// Words parted by white space.
struct Words<'a>(&'a [u8]);

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        while let [b' ' | b'\t', rest @ ..] = self.0 {
            self.0 = rest;
        }
        let end = place([b' ', b'\t'], self.0).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }
}

/// `subject [sid] [reply] [header size] size`.
fn message(rest: &[u8], sid: bool, headers: bool) -> Option<Operation<'_>> {
    let mut words = Words(rest);
    let subject = words.next()?;
    if sid {
        words.next()?;
    }
    let (mut reply, mut first) = (None, words.next()?);
    let second = words.next();
    let mut second = second;
    let third = words.next();
    // With a reply subject there is one word more.
    let needed = 1 + usize::from(headers);
    let count = 1 + usize::from(second.is_some()) + usize::from(third.is_some());
    if count == needed + 1 {
        reply = Some(first);
        first = second?;
        second = third;
    } else if count != needed {
        return None;
    }
    if words.next().is_some() {
        return None;
    }
    let (headers, size) = if headers { (number(first)?, number(second?)?) } else { (0, number(first)?) };
    (headers <= size && size <= MOST).then_some(Operation::Message { subject, reply, headers, size })
}

/// Whether these are the beginnings of a NATS conversation: what each side said from the beginning
/// of an operation on; either may be empty.
pub fn sniff(client: &[u8], server: &[u8]) -> Sniff {
    match (evidence(Speaker::Client, client), evidence(Speaker::Server, server)) {
        (Evidence::Against, _) | (_, Evidence::Against) => Sniff::No,
        (Evidence::Strong, _) | (_, Evidence::Strong) | (Evidence::Weak, Evidence::Weak) => Sniff::Yes,
        _ => Sniff::Maybe,
    }
}

enum Evidence {
    None,
    Weak,
    Strong,
    Against,
}

fn evidence(from: Speaker, data: &[u8]) -> Evidence {
    const GREETINGS: [(Speaker, &[u8]); 2] =
        [(Speaker::Server, b"INFO {\"server_"), (Speaker::Client, b"CONNECT {\"")];
    const VERBS: [&str; 11] = [
        "CONNECT ", "PUB ", "HPUB ", "SUB ", "UNSUB ", "INFO ", "MSG ", "HMSG ", "PING\r", "PONG\r", "+OK\r",
    ];
    if GREETINGS.iter().any(|(who, text)| *who == from && data.starts_with(text)) {
        return Evidence::Strong;
    }
    let Some(end) = data.iter().position(|b| *b == b'\n') else {
        let begins = |verb: &&str| {
            let n = verb.len().min(data.len());
            verb.as_bytes().get(..n).is_some_and(|v| data.get(..n).is_some_and(|d| d.eq_ignore_ascii_case(v)))
        };
        return if VERBS.iter().any(begins) || data.starts_with(b"-ERR") || b"-ERR".starts_with(data) {
            Evidence::None
        } else {
            Evidence::Against
        };
    };
    let (line, _) = data.split_at(end);
    match parse(from, line.strip_suffix(b"\r").unwrap_or(line)) {
        Some(Operation::Message { .. }) => Evidence::Strong,
        Some(Operation::Error(_) | Operation::Control | Operation::Greeting) => Evidence::Weak,
        None => Evidence::Against,
    }
}
