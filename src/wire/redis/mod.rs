//! Redis: the serialization protocol RESP, versions 2 and 3
//! (<https://redis.io/docs/latest/develop/reference/protocol-spec/>), and inline commands.
//!
//! Replies come in the order of the commands, however many were sent ahead. Not replies, and told
//! apart here: messages pushed to a subscriber (RESP 2: a list that begins with `message`; RESP 3: the
//! push type), the lines of `MONITOR`, and the replication stream after `PSYNC`. Keys, values and
//! credentials are never told: a command is its name, with the subcommand where it is a known one.
//!
//! State is bounded: [`PENDING`] commands without a reply, one argument's beginning, one line's
//! beginning each way, and a counter for each of 32 levels of nesting.

mod names;
mod reply;
mod request;
mod sniff;
#[cfg(test)]
mod tests;

use super::line::pop_front_if;
use std::borrow::Cow;
use std::collections::VecDeque;

use self::names::Class;
use self::reply::{Replies, Reply};
use self::request::{Command, Requests, Switch};
pub use self::sniff::sniff;
use super::decoder::{Decoder, Span, Speaker, Told};
use crate::model::{BootNs, Known, Protocol, Shape, Verdict};

/// Commands without a reply that are kept; those beyond are counted, and told as undecoded bytes.
pub const PENDING: usize = 1024;
/// This many places in a row that are not Redis, and it is taken for something else.
const STRIKES: u8 = 4;

/// Decoder of one Redis connection.
pub struct Redis {
    requests: Requests,
    replies: Replies,
    pending: VecDeque<Pending>,
    /// Commands that came when `pending` was full, after all that is in it, and are not answered.
    overflow: u64,
    replying: Replying,
    flow: Flow,
    /// Commands were missed since the client was last understood.
    missed: bool,
    /// When the server last said anything.
    heard: BootNs,
    undecoded: u64,
    strikes: u8,
}

/// A command that waits for its reply.
struct Pending {
    command: Command,
    /// Confirmations to come of a subscription.
    confirmations: u64,
    /// Those that came.
    response: Option<Span>,
}

/// What `CLIENT REPLY` has led to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Replying {
    On,
    Off,
    /// Not to the next command.
    Skip,
}

/// What the server says beside replies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// Nothing but what RESP 3 marks as pushed.
    Replies,
    /// Messages as lists (RESP 2).
    Subscribed,
    /// A line per command.
    Monitor,
    /// Replication: nothing is a command or a reply any more.
    Replication,
}

impl Redis {
    /// A decoder that awaits the beginning of a command or of a reply.
    pub fn new() -> Self {
        Redis {
            requests: Requests::new(),
            replies: Replies::new(),
            pending: VecDeque::new(),
            overflow: 0,
            replying: Replying::On,
            flow: Flow::Replies,
            missed: false,
            heard: BootNs(0),
            undecoded: 0,
            strikes: 0,
        }
    }

    fn asked(&mut self, command: Command, out: &mut Vec<Told>) {
        let one_way = match command.switch {
            Some(Switch::On) => {
                self.replying = Replying::On;
                false
            }
            Some(Switch::Off) => {
                self.replying = Replying::Off;
                true
            }
            Some(Switch::Skip) => {
                if self.replying == Replying::On {
                    self.replying = Replying::Skip;
                }
                true
            }
            None => {
                let quiet = self.replying != Replying::On;
                if self.replying == Replying::Skip {
                    self.replying = Replying::On;
                }
                quiet
            }
        };
        if one_way {
            out.push(told(command, Some(Shape::OneWay), Known::Absent, Verdict::Ok, None));
        } else if self.overflow > 0 || self.pending.len() >= PENDING {
            self.overflow += 1;
            self.miss(command.span.bytes);
        } else {
            let confirmations = if command.class == Class::Subscribe { command.args.max(1) } else { 0 };
            self.pending.push_back(Pending { command, confirmations, response: None });
        }
    }

    fn answered(&mut self, reply: Reply, out: &mut Vec<Told>) {
        self.strikes = 0;
        match reply.kind {
            b'>' => return self.pushed(&reply, out),
            b'*' if matches!(reply.elements, 3 | 4) => {
                let subscribing = self.pending.front().is_none_or(|p| p.command.class == Class::Subscribe);
                if (subscribing || self.flow == Flow::Subscribed) && is_push(reply.word()) {
                    return self.pushed(&reply, out);
                }
            }
            b'+' if self.flow == Flow::Monitor && reply.status.is_none() => return,
            _ => {}
        }
        let first = reply.span.first;
        let Some(Pending { command, .. }) =
            pop_front_if(&mut self.pending, |p| p.command.span.first <= first)
        else {
            // A reply to a command that was not seen, since none waits that is older than it. If replies were thought to be off, they are not.
            self.overflow = self.overflow.saturating_sub(1);
            self.replying = Replying::On;
            self.miss(reply.span.bytes);
            return;
        };
        let queued = reply.status.as_deref() == Some("QUEUED");
        if !queued && !reply.is_error() {
            match command.class {
                Class::Monitor => self.flow = Flow::Monitor,
                Class::Sync => self.flow = Flow::Replication,
                Class::Reset => (self.flow, self.replying) = (Flow::Replies, Replying::On),
                _ => {}
            }
        }
        out.push(answer(command, reply, queued));
    }

    /// A message that is no reply, unless it confirms a subscription.
    fn pushed(&mut self, reply: &Reply, out: &mut Vec<Told>) {
        let confirms = |p: &&mut Pending| {
            p.command.class == Class::Subscribe
                && reply.word().eq_ignore_ascii_case(p.command.name.as_bytes())
        };
        if reply.kind == b'*' {
            let ends = reply.zero && reply.word().ends_with(b"unsubscribe");
            self.flow = if ends { Flow::Replies } else { Flow::Subscribed };
        }
        let Some(first) = self.pending.front_mut().filter(confirms) else { return };
        let span = first.response.get_or_insert(Span { first: reply.span.first, ..Span::default() });
        span.last = reply.span.last;
        span.bytes += reply.span.bytes;
        first.confirmations = first.confirmations.saturating_sub(1);
        if first.confirmations == 0
            && let Some(Pending { command, response, .. }) = self.pending.pop_front()
        {
            out.push(told(command, None, Known::Absent, Verdict::Ok, response));
        }
    }

    /// Replies were missed: what was asked before is over. `cut` is what was read of the reply that
    /// the first of them got.
    fn settle(&mut self, cut: Option<Reply>, before: BootNs, out: &mut Vec<Told>) {
        if let Some(reply) = cut.filter(|r| r.kind != b'>')
            && let Some(Pending { command, .. }) = self.pending.pop_front()
        {
            out.push(answer(command, reply, false));
        }
        while let Some(p) = pop_front_if(&mut self.pending, |p| p.command.span.first <= before) {
            out.push(told(p.command, None, Known::Unknown(UNSEEN), Verdict::Unknown, p.response));
        }
        self.overflow = 0;
    }

    fn miss(&mut self, bytes: u64) {
        self.undecoded = self.undecoded.saturating_add(bytes);
    }

    /// Bytes of the server that cannot be read. Behind the beginning of the only reply that is awaited
    /// they are the rest of it: no other one can hide in them.
    fn unread(&mut self, at: BootNs, len: u64) {
        let plain = self.flow == Flow::Replies && self.overflow == 0 && !self.missed;
        let rest = match (self.replies.cut_since(), self.pending.front()) {
            (Some(began), Some(p)) => plain && self.pending.len() == 1 && p.command.span.first <= began,
            _ => false,
        };
        if rest { self.replies.goes_on(at, len) } else { self.miss(len) }
    }

    /// What `from` said is not Redis: `taken` bytes of a message, and `rest` that came with it.
    fn broken(&mut self, from: Speaker, taken: u64, rest: &[u8]) {
        self.miss(taken.saturating_add(rest.len() as u64));
        self.strikes = self.strikes.saturating_add(1);
        match from {
            Speaker::Client => {
                self.requests.restart();
                self.requests.lost = true;
                self.missed = true;
            }
            Speaker::Server => self.replies.lost = true,
        }
    }
}

impl Default for Redis {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a status is not known.
const UNSEEN: &str = "the reply was not seen";

/// Whether a list that begins with this word is pushed to a subscriber.
fn is_push(word: &[u8]) -> bool {
    matches!(
        word,
        b"message"
            | b"pmessage"
            | b"smessage"
            | b"subscribe"
            | b"psubscribe"
            | b"ssubscribe"
            | b"unsubscribe"
            | b"punsubscribe"
            | b"sunsubscribe"
    )
}

fn answer(command: Command, reply: Reply, queued: bool) -> Told {
    let error = reply.is_error();
    let inner = if command.class == Class::Exec { reply.inner } else { None };
    let verdict = match reply.status.as_deref() {
        Some("MOVED" | "ASK") if error => Verdict::ClientError,
        _ if error || inner.is_some() => Verdict::Error,
        _ => Verdict::Ok,
    };
    let status = match inner.or(reply.status) {
        Some(status) => Known::Known(status),
        None if error => Known::Unknown("the error has no code"),
        None => Known::Absent,
    };
    let shape = (queued || command.class == Class::Subscribe && error).then_some(Shape::Unary);
    told(command, shape, status, verdict, Some(reply.span))
}

fn told(
    command: Command,
    shape: Option<Shape>,
    status: Known<Cow<'static, str>>,
    verdict: Verdict,
    response: Option<Span>,
) -> Told {
    let shape = shape.unwrap_or(match command.class {
        Class::Subscribe | Class::Monitor | Class::Sync => Shape::Stream,
        _ if command.waits => Shape::Wait,
        _ => Shape::Unary,
    });
    Told {
        protocol: Protocol::Redis,
        shape,
        method: command.name,
        target: Known::Absent,
        status,
        verdict,
        request: command.span,
        response,
        key: (command.offset, 0),
        dns: None,
    }
}

impl Decoder for Redis {
    fn bytes(&mut self, from: Speaker, at: BootNs, offset: u64, data: &[u8], out: &mut Vec<Told>) {
        let (mut offset, mut data) = (offset, data);
        while !data.is_empty() && self.flow != Flow::Replication {
            match from {
                Speaker::Client => {
                    if self.requests.lost {
                        self.miss(data.len() as u64);
                        return;
                    }
                    match self.requests.next(at, &mut offset, &mut data) {
                        Some(request::Step::Command(command)) => self.asked(command, out),
                        Some(request::Step::Broken(taken)) => return self.broken(from, taken, data),
                        None => {}
                    }
                }
                Speaker::Server => {
                    self.heard = at;
                    if self.replies.lost {
                        return self.unread(at, data.len() as u64);
                    }
                    // SYNC, unlike PSYNC, is answered by the dump itself, whose length may be open.
                    if data.first() == Some(&b'$')
                        && self.replies.between()
                        && let Some(p) = pop_front_if(&mut self.pending, |p| p.command.class == Class::Sync)
                    {
                        self.flow = Flow::Replication;
                        let span = Span { first: at, last: at, bytes: 0 };
                        out.push(told(p.command, None, Known::Absent, Verdict::Ok, Some(span)));
                        return;
                    }
                    match self.replies.next(at, &mut data) {
                        Some(reply::Step::Reply(reply)) => self.answered(reply, out),
                        Some(reply::Step::Broken(taken)) => return self.broken(from, taken, data),
                        None => {}
                    }
                }
            }
        }
    }

    fn gap(&mut self, from: Speaker, at: BootNs, offset: u64, len: u64, out: &mut Vec<Told>) {
        let (mut offset, mut len) = (offset, len);
        if self.flow == Flow::Replication {
            return;
        }
        match from {
            Speaker::Client => {
                if !self.requests.lost
                    && let Some(request::Step::Command(command)) =
                        self.requests.gap(at, &mut offset, &mut len)
                {
                    self.asked(command, out);
                }
                self.missed |= self.requests.lost;
                self.miss(len);
            }
            Speaker::Server => {
                self.heard = at;
                if !self.replies.lost
                    && let Some(reply::Step::Reply(reply)) = self.replies.gap(at, &mut len)
                {
                    self.answered(reply, out);
                    // Whole replies may be missing behind it.
                    self.replies.lost |= len > 0;
                }
                if len > 0 {
                    self.unread(at, len);
                }
            }
        }
    }

    fn turn(&mut self, from: Speaker, out: &mut Vec<Told>) {
        if self.replies.lost {
            let before = self.heard;
            let cut = self.replies.restart();
            self.settle(cut, before, out);
            self.replies.lost = from == Speaker::Client;
        }
        if from == Speaker::Client && self.requests.lost {
            self.requests.restart();
            // How many commands were missed is not known: replies still to come cannot be matched.
            if self.missed {
                self.settle(None, self.heard, out);
                self.missed = false;
            }
        }
    }

    fn end(&mut self, _at: BootNs, out: &mut Vec<Told>) {
        let cut = self.replies.restart();
        self.settle(cut, BootNs(u64::MAX), out);
    }

    fn take_undecoded(&mut self) -> u64 {
        std::mem::take(&mut self.undecoded)
    }

    fn held(&self) -> usize {
        size_of::<Self>() + self.pending.capacity() * size_of::<Pending>()
    }

    fn over(&self) -> Option<Known<Protocol>> {
        (self.strikes >= STRIKES).then_some(Known::Unknown("not Redis any more"))
    }
}
