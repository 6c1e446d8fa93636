//! memcached: the text protocol with its meta commands, and the binary protocol; which of them is
//! told by the first byte.
//!
//! Replies come in the order of the commands. Quiet commands (`q` of a meta command, the binary
//! opcodes that end in Q) are replied only when the outcome is not the usual one: when the reply to a
//! later command comes, those before it are told as one way. Keys and values are never told.
//! A reply is matched to a quiet command by its opaque or its key where it returns one. A line that
//! begins with no known command is one that does not exist if the reply is `ERROR`; else it may be data.
//!
//! State is bounded: [`PENDING`] commands without a reply, and one line's beginning each way.

mod binary;
mod queue;
mod sniff;
#[cfg(test)]
mod tests;
mod text;

use self::binary::{HEADER, Header, REQUEST, RESPONSE};
use self::queue::{Asked, Queue};
pub use self::sniff::sniff;
use self::text::{Answer, Code};
use super::decoder::{Decoder, Span, Speaker, Told};
use super::line::{Line, pop_front_if};
use crate::model::{BootNs, Known, Protocol, Verdict};

/// Commands without a reply that are kept; those beyond are counted, and told as undecoded bytes.
pub const PENDING: usize = 1024;
/// Longest beginning of a line that is looked at: a key has at most 250 bytes.
const LINE: usize = 512;
/// This many places in a row that are not memcached, and it is taken for something else.
const STRIKES: u8 = 4;

/// Decoder of one memcached connection.
pub struct Memcached {
    /// The binary protocol is spoken; not known before the first byte.
    binary: Option<bool>,
    client: Side,
    server: Side,
    asking: Option<Asking>,
    answering: Option<Answering>,
    /// Values in the reply in hand.
    values: u64,
    queue: Queue,
    /// Lines of a log come from the server.
    watched: bool,
    /// Commands were missed since the client was last understood.
    missed: bool,
    heard: BootNs,
    strikes: u8,
}

/// What one side says.
#[derive(Default)]
struct Side {
    line: Line<LINE>,
    header: [u8; HEADER],
    header_len: usize,
    /// The message in hand; not begun while it has no bytes.
    span: Span,
    offset: u64,
    /// Bytes of its block or body to come.
    left: u64,
    lost: bool,
}

/// A command whose block of data comes.
struct Asking {
    method: &'static str,
    id: u64,
    quiet: bool,
    one_way: bool,
}

/// A reply, or part of one, whose block of data comes.
enum Answering {
    Text(Answer),
    Binary(Header),
}

impl Memcached {
    /// A decoder that awaits the beginning of a command or of a reply.
    pub fn new() -> Self {
        Memcached {
            binary: None,
            client: Side::default(),
            server: Side::default(),
            asking: None,
            answering: None,
            values: 0,
            queue: Queue::default(),
            watched: false,
            missed: false,
            heard: BootNs(0),
            strikes: 0,
        }
    }

    fn side(&mut self, from: Speaker) -> &mut Side {
        match from {
            Speaker::Client => &mut self.client,
            Speaker::Server => &mut self.server,
        }
    }

    /// The block or body of the message in hand is complete.
    fn block_over(&mut self, from: Speaker, out: &mut Vec<Told>) {
        match from {
            Speaker::Client => {
                let (span, offset) = (self.client.span, self.client.offset);
                self.client.span.bytes = 0;
                let Some(Asking { method, id, quiet, one_way }) = self.asking.take() else { return };
                let asked = Asked { method, id, quiet, doubted: false, span, offset };
                if one_way { out.push(asked.tell_one_way()) } else { self.queue.ask(asked) }
            }
            Speaker::Server => match self.answering.take() {
                Some(Answering::Text(answer)) => self.answered(&answer, out),
                Some(Answering::Binary(header)) => self.answered_binary(header, out),
                None => self.server.span.bytes = 0,
            },
        }
    }

    fn answered(&mut self, answer: &Answer, out: &mut Vec<Told>) {
        self.strikes = 0;
        if answer.code == Code::Part {
            self.values += 1;
            return;
        }
        let span = self.server.span;
        let values = std::mem::take(&mut self.values);
        self.server.span.bytes = 0;
        match self.queue.answer(|asked| answer.is_for(asked), span.first, out) {
            Some(asked) => {
                let (status, verdict) = answer.outcome(&asked, values);
                self.watched |= asked.method == "watch" && verdict == Verdict::Ok;
                out.push(asked.tell(status.map_or(Known::Absent, Known::Known), verdict, Some(span)));
            }
            None => self.queue.surplus(span.bytes),
        }
    }

    fn answered_binary(&mut self, header: Header, out: &mut Vec<Told>) {
        self.strikes = 0;
        if header.is_part() {
            self.values += 1;
            return;
        }
        let span = self.server.span;
        (self.values, self.server.span.bytes) = (0, 0);
        let found = self.queue.pending.iter().position(|a| a.id == header.id());
        if let Some(n) = found {
            self.queue.pass(n, out);
        }
        match found.and_then(|_| self.queue.pending.pop_front()) {
            Some(asked) => {
                let (status, verdict) = header.outcome(asked.method);
                out.push(asked.tell(status.map_or(Known::Absent, Known::Known), verdict, Some(span)));
            }
            None => self.queue.surplus(span.bytes),
        }
    }

    /// One line, one header, or one piece of a block.
    fn step(&mut self, from: Speaker, at: BootNs, data: &mut &[u8], out: &mut Vec<Told>) {
        let binary = self.binary == Some(true);
        let side = self.side(from);
        if side.left > 0 {
            let n = usize::try_from(side.left).unwrap_or(usize::MAX).min(data.len());
            *data = data.get(n..).unwrap_or_default();
            side.pass(n as u64, at);
            if side.left == 0 {
                self.block_over(from, out);
            }
            return;
        }
        let understood =
            if binary { self.header(from, at, data, out) } else { self.line(from, at, data, out) };
        if understood == Some(false) {
            let side = self.side(from);
            side.lost = true;
            let taken = std::mem::take(&mut side.span.bytes);
            self.queue.miss(taken);
            self.strikes = self.strikes.saturating_add(1);
            self.missed |= from == Speaker::Client;
        }
    }

    /// A line of the text protocol; whether it was understood. `None` while it is not complete.
    fn line(&mut self, from: Speaker, at: BootNs, data: &mut &[u8], out: &mut Vec<Told>) -> Option<bool> {
        let had = data.len();
        let side = match from {
            Speaker::Client => &mut self.client,
            Speaker::Server => &mut self.server,
        };
        let line = side.line.take(data);
        side.span.bytes += (had - data.len()) as u64;
        side.span.last = at;
        let line = line?;
        let block = match from {
            Speaker::Client => {
                let Some(ask) = text::ask(line) else {
                    let is_text = text::is_text(line);
                    return Some(is_text && self.doubt());
                };
                let text::Ask { method, id, quiet, one_way, block } = ask;
                self.asking = Some(Asking { method, id, quiet, one_way });
                block
            }
            Speaker::Server => {
                if self.watched {
                    side.span.bytes = 0;
                    return Some(true);
                }
                let Some(answer) = text::answer(line) else { return Some(false) };
                let block = answer.block;
                self.answering = Some(Answering::Text(answer));
                block
            }
        };
        match block {
            Some(n) => self.side(from).left = n + 2,
            None => self.block_over(from, out),
        }
        Some(true)
    }

    /// The client's line begins with no known command. Whether it may still be one: of two in a row
    /// neither is taken for one.
    fn doubt(&mut self) -> bool {
        if self.queue.pending.back().is_some_and(|a| a.doubted) {
            let before = self.queue.pending.pop_back();
            self.queue.miss(before.map_or(0, |a| a.span.bytes));
            return false;
        }
        let strikes = self.strikes.saturating_add(1);
        if strikes >= STRIKES {
            return false;
        }
        self.strikes = strikes;
        let Side { span, offset, .. } = self.client;
        self.client.span.bytes = 0;
        self.queue.ask(Asked { method: "unknown", id: 0, quiet: false, doubted: true, span, offset });
        true
    }

    /// Bytes of the server that cannot be read. Behind the beginning of the only reply that is awaited
    /// they are the rest of it: no other one can hide in them.
    fn unread(&mut self, at: BootNs, len: u64) {
        let span = &mut self.server.span;
        if span.bytes > 0 && !self.watched && !self.missed && self.queue.awaits_only(span.first) {
            span.bytes = span.bytes.saturating_add(len);
            span.last = at;
        } else {
            self.queue.miss(len);
        }
    }

    /// A header of the binary protocol; whether it was understood. `None` while it is not complete.
    fn header(&mut self, from: Speaker, at: BootNs, data: &mut &[u8], out: &mut Vec<Told>) -> Option<bool> {
        let side = self.side(from);
        let room = side.header.get_mut(side.header_len..)?;
        let n = room.len().min(data.len());
        for (to, from) in room.iter_mut().zip(data.iter()) {
            *to = *from;
        }
        *data = data.get(n..).unwrap_or_default();
        side.span.bytes += n as u64;
        side.span.last = at;
        side.header_len += n;
        if side.header_len < HEADER {
            return None;
        }
        side.header_len = 0;
        let magic = if from == Speaker::Client { REQUEST } else { RESPONSE };
        let Some(header) = Header::read(magic, &side.header) else { return Some(false) };
        side.left = u64::from(header.body);
        if from == Speaker::Client {
            let (method, quiet) = header.command();
            self.asking = Some(Asking { method, id: header.id(), quiet, one_way: false });
        } else {
            self.answering = Some(Answering::Binary(header));
        }
        if header.body == 0 {
            self.block_over(from, out);
        }
        Some(true)
    }

    /// Replies were missed: what was asked before is over. What the first of them got says how it
    /// went, as far as it was seen.
    fn settle(&mut self, out: &mut Vec<Told>) {
        let span = self.server.span;
        let values = std::mem::take(&mut self.values);
        let only = self.server.lost && span.bytes > 0 && self.queue.awaits_only(span.first);
        let answered = |a: &Asked| !a.quiet && !a.doubted && a.span.first <= self.heard;
        if values > 0 {
            if let Some(asked) = pop_front_if(&mut self.queue.pending, answered) {
                let (status, verdict) = Answer::END.outcome(&asked, values);
                out.push(asked.tell(status.map_or(Known::Absent, Known::Known), verdict, Some(span)));
            }
        } else if only && let Some(asked) = self.queue.pending.pop_front() {
            let why = "the end of the reply was not seen";
            out.push(asked.tell(Known::Unknown(why), Verdict::Unknown, Some(span)));
        }
        self.queue.settle(self.heard, out);
    }
}

impl Default for Memcached {
    fn default() -> Self {
        Self::new()
    }
}

impl Side {
    fn pass(&mut self, n: u64, at: BootNs) {
        self.left -= n;
        self.span.bytes += n;
        self.span.last = at;
    }
}

impl Decoder for Memcached {
    fn bytes(&mut self, from: Speaker, at: BootNs, offset: u64, data: &[u8], out: &mut Vec<Told>) {
        if from == Speaker::Server {
            self.heard = at;
            if self.server.lost {
                return self.unread(at, data.len() as u64);
            }
        }
        let all = data.len();
        let mut data = data;
        while let Some(&first) = data.first() {
            let side = self.side(from);
            if side.lost {
                return self.queue.miss(data.len() as u64);
            }
            if side.span.bytes == 0 {
                side.span = Span { first: at, last: at, bytes: 0 };
                side.offset = offset.saturating_add((all - data.len()) as u64);
                self.binary.get_or_insert(matches!(first, REQUEST | RESPONSE));
            }
            self.step(from, at, &mut data, out);
        }
    }

    fn gap(&mut self, from: Speaker, at: BootNs, _offset: u64, len: u64, out: &mut Vec<Told>) {
        if from == Speaker::Server {
            self.heard = at;
        }
        let side = self.side(from);
        let n = if side.lost { 0 } else { side.left.min(len) };
        if n > 0 {
            side.pass(n, at);
            if side.left == 0 {
                self.block_over(from, out);
            }
        }
        if len == n {
            return;
        }
        self.side(from).lost = true;
        match from {
            Speaker::Client => {
                self.queue.miss(len - n);
                self.missed = true;
            }
            Speaker::Server => self.unread(at, len - n),
        }
    }

    fn turn(&mut self, from: Speaker, out: &mut Vec<Told>) {
        if self.server.lost {
            self.settle(out);
            self.answering = None;
            self.server = Side { lost: from == Speaker::Client, ..Side::default() };
        }
        if from == Speaker::Client && self.client.lost {
            self.client = Side::default();
            self.asking = None;
            // How many commands were missed is not known: replies still to come cannot be matched.
            if std::mem::take(&mut self.missed) {
                self.queue.settle(self.heard, out);
            }
        }
    }

    fn end(&mut self, _at: BootNs, out: &mut Vec<Told>) {
        self.heard = BootNs(u64::MAX);
        self.settle(out);
    }

    fn take_undecoded(&mut self) -> u64 {
        std::mem::take(&mut self.queue.undecoded)
    }

    fn held(&self) -> usize {
        size_of::<Self>() + self.queue.held()
    }

    fn over(&self) -> Option<Known<Protocol>> {
        (self.strikes >= STRIKES).then_some(Known::Unknown("not memcached any more"))
    }
}
