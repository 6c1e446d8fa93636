//! NATS: the client protocol (<https://docs.nats.io/reference/reference-protocols/nats-protocol>).
//!
//! What is told, of a connection between a client and a server:
//! - `REQ`: the client published with a reply subject, and a message came on that very subject.
//! - `PUB`: any other message of the client (one way), answers to requests of others among them, and
//!   requests for the next messages of a JetStream consumer, which are deliveries and no answers.
//! - `MSG`: a message that the server delivered and the client had not asked for (one way).
//! - `-ERR`: an error that the server reported; it belongs to no message in particular.
//!
//! A request that no message answered is told after [`PATIENCE_NS`], at the end of the connection, or
//! when there are more than [`PENDING`]: its verdict is unknown. Subjects are told as templates.
//! State is bounded: [`PENDING`] requests with subjects of at most 512 bytes, and one line each way.

mod operation;
mod subject;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

pub use self::operation::sniff;
use self::operation::{Operation, parse};
use super::decoder::{Decoder, Span, Speaker, TEXT, Told};
use super::hash::Keyed;
use super::line::{Line, number};
use crate::model::{BootNs, Known, Protocol, Shape, Verdict};

/// Requests without an answer that are kept.
pub const PENDING: usize = 1024;
/// How long an answer is waited for.
pub const PATIENCE_NS: u64 = 60_000_000_000;
/// Longest beginning of a line that is looked at: subject, reply subject and sizes.
const LINE: usize = 512;
/// Longest part of the server's greeting that is passed over unseen: with the addresses of a large
/// cluster it is longer than what is captured of an answer.
const GREETING: u64 = 4096;
/// This many places in a row that are not NATS, and it is taken for something else.
const STRIKES: u8 = 4;
/// `NATS/1.0 503`: the status line of headers, where there is one.
const STATUS: usize = 12;

/// Decoder of one NATS client connection.
pub struct Nats {
    client: Side,
    server: Side,
    requests: Requests,
    /// Bytes of the server's greeting that were not seen: nothing was missed if the client answers it.
    greeting: u64,
    undecoded: u64,
    strikes: u8,
    tls: bool,
}

/// What one side says.
#[derive(Default)]
struct Side {
    line: Line<LINE>,
    /// The operation in hand.
    span: Span,
    offset: u64,
    message: Option<Message>,
    /// Bytes to come of its payload with the line end.
    left: u64,
    lost: bool,
}

/// A message whose payload comes.
struct Message {
    /// The subject as it is told.
    target: Box<str>,
    /// Where an answer is wanted.
    reply: Option<Box<[u8]>>,
    /// The request that it answers.
    answers: Option<Request>,
    /// The beginning of its headers; as many bytes of it as are wanted.
    status: [u8; STATUS],
    status_len: usize,
    wanted: usize,
}

/// A request that waits for its answer.
struct Request {
    target: Box<str>,
    span: Span,
    offset: u64,
}

/// Requests by the subject on which the answer comes, and by age.
#[derive(Default)]
struct Requests {
    by_reply: HashMap<Box<[u8]>, u64, Keyed>,
    by_age: BTreeMap<u64, (Box<[u8]>, Request)>,
    next: u64,
}

impl Requests {
    /// Bytes that they take.
    fn held(&self) -> usize {
        let one = size_of::<(u64, (Box<[u8]>, Request))>() + size_of::<(Box<[u8]>, u64)>() + 3 * TEXT;
        self.by_age.len() * one
    }

    fn add(&mut self, reply: Box<[u8]>, request: Request, out: &mut Vec<Told>) {
        self.next += 1;
        if let Some(older) = self.by_reply.insert(reply.clone(), self.next)
            && let Some((_, older)) = self.by_age.remove(&older)
        {
            out.push(unanswered(older));
        }
        self.by_age.insert(self.next, (reply, request));
        if self.by_age.len() > PENDING {
            self.give_up_oldest(out);
        }
    }

    fn answered(&mut self, subject: &[u8]) -> Option<Request> {
        let age = self.by_reply.remove(subject)?;
        self.by_age.remove(&age).map(|(_, request)| request)
    }

    fn give_up_oldest(&mut self, out: &mut Vec<Told>) {
        if let Some((_, (reply, request))) = self.by_age.pop_first() {
            self.by_reply.remove(&reply);
            out.push(unanswered(request));
        }
    }

    fn give_up(&mut self, now: BootNs, out: &mut Vec<Told>) {
        while self.by_age.first_key_value().is_some_and(|(_, (_, r))| now.since(r.span.last) > PATIENCE_NS) {
            self.give_up_oldest(out);
        }
    }
}

impl Nats {
    /// A decoder that awaits the beginning of an operation.
    pub fn new() -> Self {
        Nats {
            client: Side::default(),
            server: Side::default(),
            requests: Requests::default(),
            greeting: 0,
            undecoded: 0,
            strikes: 0,
            tls: false,
        }
    }

    /// One line of `from`, or one piece of a payload. `None` when there is no more in `data`.
    fn step(&mut self, from: Speaker, at: BootNs, data: &mut &[u8], out: &mut Vec<Told>) -> Option<()> {
        let side = if from == Speaker::Client { &mut self.client } else { &mut self.server };
        let had = data.len();
        if side.left > 0 {
            let n = usize::try_from(side.left).unwrap_or(usize::MAX).min(data.len());
            let (now, later) = data.split_at_checked(n)?;
            *data = later;
            if let Some(message) = &mut side.message {
                message.look(now);
            }
            side.pass(n as u64, at);
            if side.left == 0 {
                self.payload_over(from, out);
            }
            return Some(());
        }
        let line = side.line.take(data);
        side.span.bytes += (had - data.len()) as u64;
        side.span.last = at;
        let operation = parse(from, line?);
        if operation.is_some() {
            self.strikes = 0;
        }
        match operation {
            Some(Operation::Message { subject, reply, headers, size }) => {
                let answers = if from == Speaker::Server { self.requests.answered(subject) } else { None };
                let pulls = subject.starts_with(b"$JS.API.CONSUMER.MSG.NEXT.");
                let target = if answers.is_some() { Box::default() } else { subject::template(subject) };
                side.message = Some(Message {
                    target,
                    reply: reply.filter(|_| !pulls).map(Box::from),
                    answers,
                    status: [0; STATUS],
                    status_len: 0,
                    wanted: usize::try_from(headers).unwrap_or(STATUS).min(STATUS),
                });
                side.left = size + 2;
            }
            Some(Operation::Error(text)) => {
                let status =
                    known_error(text).map_or(Known::Unknown("an error of unknown text"), Known::Known);
                let mut told = told("-ERR", Shape::OneWay, Known::Absent, Span::default(), (side.offset, 1));
                let span = side.span;
                (told.request.first, told.request.last) = (span.first, span.first);
                (told.verdict, told.status, told.response) = (Verdict::Error, status, Some(span));
                out.push(told);
                side.span.bytes = 0;
            }
            Some(Operation::Greeting | Operation::Control) => side.span.bytes = 0,
            None => {
                side.lost = true;
                let taken = std::mem::take(&mut side.span.bytes);
                self.strikes = self.strikes.saturating_add(1);
                self.miss(taken);
            }
        }
        Some(())
    }

    /// The payload of the message in hand is complete.
    fn payload_over(&mut self, from: Speaker, out: &mut Vec<Told>) {
        let side = if from == Speaker::Client { &mut self.client } else { &mut self.server };
        let (span, offset) = (side.span, side.offset);
        side.span.bytes = 0;
        let Some(message) = side.message.take() else { return };
        match (from, message) {
            (Speaker::Client, Message { reply: Some(reply), target, .. }) => {
                self.requests.add(reply, Request { target, span, offset }, out);
            }
            (Speaker::Client, Message { target, .. }) => {
                out.push(told("PUB", Shape::OneWay, Known::Known(target), span, (offset, 0)));
            }
            (Speaker::Server, message) => out.push(message.tell(span, offset)),
        }
    }

    fn miss(&mut self, bytes: u64) {
        self.undecoded = self.undecoded.saturating_add(bytes);
    }
}

impl Default for Nats {
    fn default() -> Self {
        Self::new()
    }
}

impl Side {
    /// In the middle of the first line of the connection, an INFO: nothing follows it before the client
    /// has spoken.
    fn greets(&self) -> bool {
        self.offset == 0 && self.left == 0 && self.line.partial().starts_with(b"INFO ")
    }

    fn pass(&mut self, n: u64, at: BootNs) {
        self.left -= n;
        self.span.bytes += n;
        self.span.last = at;
    }
}

impl Message {
    /// Keeps of the headers what matters.
    fn look(&mut self, payload: &[u8]) {
        let room = self.status.get_mut(self.status_len..self.wanted).unwrap_or_default();
        let n = room.len().min(payload.len());
        for (to, from) in room.iter_mut().zip(payload) {
            *to = *from;
        }
        self.status_len += n;
    }

    /// What the server delivered.
    fn tell(self, span: Span, offset: u64) -> Told {
        let Some(request) = self.answers else {
            return told("MSG", Shape::OneWay, Known::Known(self.target), span, (offset, 1));
        };
        let mut told = request.tell();
        told.response = Some(span);
        let code = self.status.strip_prefix(b"NATS/1.0 ").filter(|_| self.status_len == STATUS);
        (told.status, told.verdict) = match code.filter(|code| number(code).is_some()) {
            Some(b"503") => (Known::Known("503".into()), Verdict::Error),
            Some(code) => {
                let verdict = match code.first() {
                    Some(b'5') => Verdict::Error,
                    Some(b'4') => Verdict::ClientError,
                    _ => Verdict::Ok,
                };
                (Known::Known(String::from_utf8_lossy(code).into_owned().into()), verdict)
            }
            None => (Known::Absent, Verdict::Ok),
        };
        told
    }
}

impl Request {
    fn tell(self) -> Told {
        told("REQ", Shape::Unary, Known::Known(self.target), self.span, (self.offset, 0))
    }
}

fn unanswered(request: Request) -> Told {
    let mut told = request.tell();
    (told.verdict, told.status) = (Verdict::Unknown, Known::Unknown("no answer was seen"));
    told
}

fn told(method: &'static str, shape: Shape, target: Known<Box<str>>, request: Span, key: (u64, u32)) -> Told {
    Told {
        protocol: Protocol::Nats,
        shape,
        method: Cow::Borrowed(method),
        target,
        status: Known::Absent,
        verdict: Verdict::Ok,
        request,
        response: None,
        key,
        dns: None,
    }
}

/// The text of an error, without the subjects that some have.
fn known_error(text: &[u8]) -> Option<Cow<'static, str>> {
    const ERRORS: [&str; 16] = [
        "Permissions Violation for Publish",
        "Permissions Violation for Subscription",
        "Permissions Violation",
        "Authorization Violation",
        "Authorization Timeout",
        "Authentication Timeout",
        "Authentication Expired",
        "User Authentication Expired",
        "Unknown Protocol Operation",
        "Parser Error",
        "Invalid Subject",
        "Stale Connection",
        "Slow Consumer",
        "Maximum Payload Violation",
        "Maximum Connections Exceeded",
        "Secure Connection - TLS Required",
    ];
    let text = text.trim_ascii_start();
    let text = text.strip_prefix(b"'").unwrap_or(text);
    let same = |e: &&&str| text.get(..e.len()).is_some_and(|t| t.eq_ignore_ascii_case(e.as_bytes()));
    ERRORS.iter().find(same).map(|e| Cow::Borrowed(*e))
}

impl Decoder for Nats {
    fn bytes(&mut self, from: Speaker, at: BootNs, offset: u64, data: &[u8], out: &mut Vec<Told>) {
        self.requests.give_up(at, out);
        if from == Speaker::Client {
            self.greeting = 0;
        }
        let all = data.len();
        let mut data = data;
        while !data.is_empty() {
            let side = if from == Speaker::Client { &mut self.client } else { &mut self.server };
            if side.lost {
                return self.miss(data.len() as u64);
            }
            if side.span.bytes == 0 {
                side.span = Span { first: at, last: at, bytes: 0 };
                side.offset = offset.saturating_add((all - data.len()) as u64);
                // After an INFO that wants it: the record type of a handshake. No operation begins so.
                self.tls |= from == Speaker::Client && data.first() == Some(&22);
            }
            if self.tls {
                return;
            }
            if self.step(from, at, &mut data, out).is_none() {
                break;
            }
        }
    }

    fn gap(&mut self, from: Speaker, at: BootNs, _offset: u64, len: u64, out: &mut Vec<Told>) {
        let side = if from == Speaker::Client { &mut self.client } else { &mut self.server };
        let n = if side.lost { 0 } else { side.left.min(len) };
        if n > 0 {
            if let Some(message) = &mut side.message
                && message.status_len < message.wanted
            {
                message.wanted = 0;
            }
            side.pass(n, at);
            if side.left == 0 {
                self.payload_over(from, out);
            }
        }
        if len > n {
            let side = if from == Speaker::Client { &mut self.client } else { &mut self.server };
            side.lost = true;
            let greets = from == Speaker::Server && side.greets() && len <= GREETING;
            let taken = std::mem::take(&mut side.span.bytes);
            if greets {
                self.greeting = len;
            } else {
                self.miss((len - n).saturating_add(taken));
            }
        }
    }

    fn turn(&mut self, from: Speaker, _out: &mut Vec<Told>) {
        let side = if from == Speaker::Client { &mut self.client } else { &mut self.server };
        if side.lost {
            *side = Side::default();
        }
    }

    fn end(&mut self, _at: BootNs, out: &mut Vec<Told>) {
        // Turned away, most likely, and why was not seen.
        let unanswered = std::mem::take(&mut self.greeting);
        self.miss(unanswered);
        // The beginning of an answer is an answer.
        if let Some(message) = self.server.message.take_if(|m| m.answers.is_some()) {
            out.push(message.tell(self.server.span, self.server.offset));
        }
        while !self.requests.by_age.is_empty() {
            self.requests.give_up_oldest(out);
        }
    }

    fn take_undecoded(&mut self) -> u64 {
        std::mem::take(&mut self.undecoded)
    }

    fn held(&self) -> usize {
        size_of::<Self>() + self.requests.held()
    }

    fn over(&self) -> Option<Known<Protocol>> {
        if self.tls {
            return Some(Known::Known(Protocol::Tls));
        }
        (self.strikes >= STRIKES).then_some(Known::Unknown("not NATS any more"))
    }
}
