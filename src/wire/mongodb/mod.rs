//! MongoDB's wire protocol
//! (<https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/>): OP_MSG; OP_QUERY and
//! OP_REPLY, with which old clients say hello; the other old messages; OP_COMPRESSED, whose content
//! is not read.
//!
//! The method is the command (`find`, `insert`, …), the target `db.collection`, the status `ok` or
//! the name of the error's code. Answers name the message that they answer. Several answers to one
//! request (exhaust cursors, a streamed hello) are one exchange, told with the first of them.
//!
//! State: two heads of at most 4 KiB, at most 256 requests that wait for their answer (the oldest is
//! told as unanswered then), the ids of at most 16 cursors that wait for what is to come.

mod bson;
mod command;
mod message;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::VecDeque;

use super::decoder::{Decoder, Sniff, Span, Speaker, TEXT, Told};
use super::framed::{Event, Framers, Framing, Head};
use crate::model::{BootNs, Known, Protocol, Shape, Verdict};
use command::{Command, Outcome};
use message::{Header, Op};

const FRAMING: Framing = Framing { prefix: message::HEADER, head: 4096, length: message::length };

/// Requests that wait for their answer, per connection.
const PENDING: usize = 256;

/// Cursors that wait for what is to come, per connection.
const TAILING: usize = 16;

/// Whether these are the beginnings of a MongoDB conversation: a header of a known kind whose length,
/// flags and first document fit each other.
pub fn sniff(client: &[u8], server: &[u8]) -> Sniff {
    match (fits(client, true), fits(server, false)) {
        (Sniff::No, _) | (_, Sniff::No) => Sniff::No,
        (Sniff::Yes, _) | (_, Sniff::Yes) => Sniff::Yes,
        _ => Sniff::Maybe,
    }
}

fn fits(data: &[u8], asks: bool) -> Sniff {
    if data.len() < message::HEADER {
        // The length is little endian and below 64 MiB: its last byte is small.
        return if data.get(3).is_some_and(|b| *b > 4) { Sniff::No } else { Sniff::Maybe };
    }
    let Some(header) = message::header(data).filter(|_| message::length(data).is_some()) else {
        return Sniff::No;
    };
    let kind = match header.op {
        Op::Msg | Op::Compressed => true,
        Op::Reply => !asks,
        _ => asks,
    };
    if (header.response_to == 0) != asks || !kind {
        return Sniff::No;
    }
    let document = match header.op {
        Op::Msg if data.len() < message::HEADER + 5 => return Sniff::Maybe,
        Op::Msg => match message::msg(data) {
            Some(msg) => msg.body,
            None => return Sniff::No,
        },
        Op::Query => message::old(header.op, data).map_or(&[][..], |(_, document)| document),
        Op::Reply => message::reply(data).map_or(&[][..], |(_, document)| document),
        // Nothing in these says more than their header.
        Op::Compressed | Op::Unanswered(_) | Op::GetMore => return Sniff::Maybe,
    };
    let first = bson::Elements::new(document).and_then(|mut elements| elements.next());
    match first {
        Some((key, _)) if !key.is_empty() && key.iter().all(u8::is_ascii_graphic) => Sniff::Yes,
        // A first element that is cut is no evidence against it.
        None if document.len() < 256 => Sniff::Maybe,
        _ => Sniff::No,
    }
}

/// Decoder of one MongoDB connection. It may begin at any message.
#[derive(Debug, Default)]
pub struct Mongodb {
    framers: Framers,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    /// The request that is being said.
    asking: Option<Pending>,
    pending: VecDeque<Pending>,
    /// The answer that is being said.
    answering: Option<Told>,
    /// Id of the last answer that said that another one follows.
    exhaust: Option<i32>,
    /// The answer that is being said follows that one.
    following: bool,
    /// Cursors that wait for what is to come.
    tailing: VecDeque<i64>,
    undecoded: u64,
}

#[derive(Debug)]
struct Pending {
    id: i32,
    /// It opens a cursor that waits for what is to come.
    tails: bool,
    told: Told,
}

impl Mongodb {
    /// A decoder at the beginning of a message.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Decoder for Mongodb {
    fn bytes(&mut self, from: Speaker, at: BootNs, offset: u64, data: &[u8], out: &mut Vec<Told>) {
        let Mongodb { framers, state } = self;
        let framer = framers.of(from);
        let missed = framer.bytes(&FRAMING, at, offset, data, &mut |event| state.on(from, event, out));
        self.state.undecoded = self.state.undecoded.saturating_add(missed);
    }

    fn gap(&mut self, from: Speaker, at: BootNs, _offset: u64, len: u64, out: &mut Vec<Told>) {
        let Mongodb { framers, state } = self;
        let framer = framers.of(from);
        let missed = framer.gap(at, len, &mut |event| state.on(from, event, out));
        self.state.undecoded = self.state.undecoded.saturating_add(missed);
    }

    fn turn(&mut self, from: Speaker, _out: &mut Vec<Told>) {
        self.framers.of(from).turn();
    }

    fn end(&mut self, at: BootNs, out: &mut Vec<Told>) {
        let State { asking, pending, answering, .. } = &mut self.state;
        let waiting = pending.drain(..).map(|p| p.told);
        self.framers.end(at, answering.take(), waiting, asking.take().map(|p| p.told), out);
    }

    fn take_undecoded(&mut self) -> u64 {
        std::mem::take(&mut self.state.undecoded)
    }

    fn held(&self) -> usize {
        size_of::<Self>()
            + self.framers.held()
            + self.state.pending.capacity() * size_of::<Pending>()
            + self.state.pending.len() * TEXT
    }

    fn over(&self) -> Option<Known<Protocol>> {
        let astray = self.framers.client.is_astray() || self.framers.server.is_astray();
        astray.then_some(Known::Unknown("no longer MongoDB"))
    }
}

impl State {
    fn on(&mut self, from: Speaker, event: Event<'_>, out: &mut Vec<Told>) -> bool {
        match (from, event) {
            (Speaker::Client, Event::Head(head)) => self.asked(&head).is_some(),
            (Speaker::Client, Event::End { span, .. }) => {
                self.asked_all(span, out);
                true
            }
            (Speaker::Server, Event::Head(head)) => self.answered(&head).is_some(),
            (Speaker::Server, Event::End { span, .. }) => {
                if let Some(mut told) = self.answering.take() {
                    told.response = Some(span);
                    out.push(told);
                } else if !self.following {
                    self.undecoded = self.undecoded.saturating_add(span.bytes);
                }
                true
            }
        }
    }

    /// `None`: that is no request.
    fn asked(&mut self, head: &Head<'_>) -> Option<()> {
        let header = message::header(head.data).filter(|header| header.response_to == 0)?;
        let command = match header.op {
            Op::Msg => {
                let msg = message::msg(head.data)?;
                let mut command = self.command(msg.body, None)?;
                if msg.more_to_come {
                    command.shape = Shape::OneWay;
                } else if msg.exhaust_allowed && command.shape == Shape::Unary {
                    command.shape = Shape::Stream;
                }
                command
            }
            Op::Query => self.query(head.data)?,
            Op::GetMore | Op::Unanswered(_) => {
                let (namespace, _) = message::old(header.op, head.data)?;
                match header.op {
                    Op::Unanswered(name) => plain(name, namespace, Shape::OneWay),
                    _ => plain("getMore", namespace, Shape::Unary),
                }
            }
            Op::Compressed => {
                Command { target: Known::Unknown("compressed"), ..plain("compressed", &[], Shape::Unary) }
            }
            Op::Reply => return None,
        };
        let (status, verdict) = match command.shape {
            Shape::OneWay => (Known::Absent, Verdict::Ok),
            _ => (Known::Unknown("no answer was seen"), Verdict::Unknown),
        };
        let told = Told {
            protocol: Protocol::Mongodb,
            shape: command.shape,
            method: command.name,
            target: command.target,
            status,
            verdict,
            request: head.span,
            response: None,
            key: (head.offset, 0),
            dns: None,
        };
        self.asking = Some(Pending { id: header.id, tails: command.tails, told });
        Some(())
    }

    /// The command of a document; where too little of it was captured, an unknown one.
    fn command(&self, document: &[u8], db: Option<&[u8]>) -> Option<Command> {
        let Some(mut command) = command::read(document, db) else {
            let short = bson::Elements::new(document).is_none_or(|mut e| e.next().is_none());
            let target = Known::Unknown("the command was not captured");
            return short.then(|| Command { target, ..plain("", &[], Shape::Unary) });
        };
        if command.cursor.is_some_and(|id| self.tailing.contains(&id)) {
            command.shape = Shape::Wait;
        }
        Some(command)
    }

    /// OP_QUERY: a command if it is sent to `db.$cmd`, else a query of a collection.
    fn query(&self, head: &[u8]) -> Option<Command> {
        let (namespace, document) = message::old(Op::Query, head)?;
        match namespace.strip_suffix(b".$cmd") {
            Some(db) => self.command(document, Some(db)),
            None => Some(plain("query", namespace, Shape::Unary)),
        }
    }

    /// The last byte of a request was seen.
    fn asked_all(&mut self, span: Span, out: &mut Vec<Told>) {
        let Some(mut p) = self.asking.take() else { return };
        p.told.request = span;
        if p.told.shape == Shape::OneWay {
            out.push(p.told);
            return;
        }
        if self.pending.len() >= PENDING {
            out.extend(self.pending.pop_front().map(|p| p.told));
        }
        self.pending.push_back(p);
    }

    /// `None`: that is no answer.
    fn answered(&mut self, head: &Head<'_>) -> Option<()> {
        let header = message::header(head.data)?;
        let (outcome, more) = match header.op {
            Op::Msg => {
                let msg = message::msg(head.data)?;
                (command::outcome(msg.body), msg.more_to_come)
            }
            Op::Reply => (replied(head.data)?, false),
            // Whether another one follows is said inside.
            Op::Compressed => (Outcome::unknown("compressed"), false),
            _ => return None,
        };
        let Header { id, response_to, .. } = header;
        self.following = self.exhaust.take_if(|last| *last == response_to).is_some();
        if more {
            self.exhaust = Some(id);
        }
        let waiting = self.pending.iter().position(|p| p.id == response_to);
        let Some(pending) = waiting.and_then(|i| self.pending.remove(i)) else {
            // It follows another answer, or the request was missed.
            return Some(());
        };
        if let Some(cursor) = outcome.cursor.filter(|_| pending.tails) {
            self.tailing.truncate(TAILING - 1);
            self.tailing.push_front(cursor);
        }
        let mut told = pending.told;
        (told.status, told.verdict) = (outcome.status, outcome.verdict);
        told.response = Some(head.span);
        self.answering = Some(told);
        Some(())
    }
}

/// A command of which no document is read.
fn plain(name: &'static str, namespace: &[u8], shape: Shape) -> Command {
    let target = match std::str::from_utf8(namespace) {
        Ok("") => Known::Absent,
        Ok(text) if text.len() <= 255 && !text.chars().any(char::is_control) => Known::Known(text.into()),
        _ => Known::Unknown("not a name of a collection"),
    };
    Command { name: Cow::Borrowed(name), target, shape, tails: false, cursor: None }
}

/// OP_REPLY: its flags, else the document of a command's answer, else documents that were found.
fn replied(head: &[u8]) -> Option<Outcome> {
    let (flags, document) = message::reply(head)?;
    Some(match flags & 3 {
        0 => match command::outcome(document) {
            Outcome { status: Known::Unknown(_), .. } if bson::Elements::new(document).is_none() => {
                Outcome { status: Known::Known(Cow::Borrowed("ok")), verdict: Verdict::Ok, cursor: None }
            }
            outcome => outcome,
        },
        2 => Outcome::error("QueryFailure"),
        _ => Outcome::error("CursorNotFound"),
    })
}
