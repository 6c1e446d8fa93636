//! AMQP 0-9-1, as RabbitMQ speaks it
//! (<https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf>, extensions:
//! <https://www.rabbitmq.com/docs/extensions>).
//!
//! The method is AMQP's (`queue.declare`), the target a queue or exchange, or exchange and routing key
//! (`shop.events/order.{id}`). Synchronous methods are answered on their channel; a channel or
//! connection that is closed with an error fails what waits on it, with the reply code as status.
//! `basic.publish` is one-way, or answered by `basic.ack` or `basic.nack` where the channel confirms.
//! What the server says unasked (`basic.deliver`, a returned message, a close with nothing waiting)
//! is one-way, too: its span is the exchange's request, and its key is the offset in what the server
//! said, with the highest bit of the second number set.
//!
//! State: two heads of at most 1 KiB, at most 2048 channels of under 1 KiB, at most 1024 exchanges
//! that wait.

mod channel;
mod frame;
mod method;
mod name;
mod say;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::decoder::{Decoder, Sniff, Span, Speaker, TEXT, Told};
use super::framed::{Event, Framer};
use crate::model::{BootNs, Known, Protocol, Shape};
use channel::Channel;
use frame::Frame;
use say::After;

/// Channels per connection: RabbitMQ allows 2047 by default, beside channel 0.
const CHANNELS: usize = 2048;

/// Exchanges that wait for their answer or confirmation, per connection.
const WAITING: usize = 1024;

/// In the second number of a key: the offset is that of the server.
const SERVER_SAID: u32 = 1 << 31;

/// Whether these are the beginnings of an AMQP 0-9-1 conversation: its protocol header, or a whole
/// frame of a known kind, or the first frame that is longer than what is there but begins with a known
/// method.
pub fn sniff(client: &[u8], server: &[u8]) -> Sniff {
    match (fits(client), fits(server)) {
        (Sniff::No, _) | (_, Sniff::No) => Sniff::No,
        (Sniff::Yes, _) | (_, Sniff::Yes) => Sniff::Yes,
        _ => Sniff::Maybe,
    }
}

fn fits(data: &[u8]) -> Sniff {
    let protocol = frame::PROTOCOL;
    if data.starts_with(protocol) {
        return Sniff::Yes;
    }
    if protocol.starts_with(data) {
        return Sniff::Maybe;
    }
    let Some(length) = frame::length(data) else {
        return if data.len() < frame::PREFIX && matches!(data.first(), Some(1..=3 | 8)) {
            Sniff::Maybe
        } else {
            Sniff::No
        };
    };
    let whole = usize::try_from(length).ok().and_then(|n| data.get(..n));
    match (whole, frame::read(whole.unwrap_or(data))) {
        (Some(whole), _) if whole.last() != Some(&frame::END) => Sniff::No,
        (Some(_), Some(_)) => Sniff::Yes,
        (Some(_), None) => Sniff::No,
        (None, None) if data.len() >= frame::PREFIX + 12 => Sniff::No,
        (None, _) => Sniff::Maybe,
    }
}

/// Decoder of one AMQP connection. It may begin at any frame.
#[derive(Debug, Default)]
pub struct Amqp {
    client: Framer,
    server: Framer,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    /// The frames that are being said by the client and the server, and their offsets.
    client: Option<(Frame, u64)>,
    server: Option<(Frame, u64)>,
    /// On which channels the client and the server said a body last.
    bodies: [Option<u16>; 2],
    channels: BTreeMap<u16, Box<Channel>>,
    counts: Counts,
}

/// What is counted over all channels.
#[derive(Debug, Default)]
struct Counts {
    /// Exchanges that wait for their answer or confirmation.
    waiting: usize,
    /// How often frames of the client were missed: the count of its messages is not known then.
    losses: u64,
    undecoded: u64,
}

impl Amqp {
    /// A decoder at the beginning of a frame.
    pub fn new() -> Self {
        Self::default()
    }

    fn missed(&mut self, from: Speaker, missed: u64) {
        if missed > 0 && from == Speaker::Client {
            self.state.counts.losses += 1;
        }
        let undecoded = &mut self.state.counts.undecoded;
        *undecoded = undecoded.saturating_add(missed);
    }
}

impl Decoder for Amqp {
    fn bytes(&mut self, from: Speaker, at: BootNs, offset: u64, data: &[u8], out: &mut Vec<Told>) {
        let Amqp { client, server, state } = self;
        let framer = if from == Speaker::Client { client } else { server };
        let missed = framer.bytes(&frame::FRAMING, at, offset, data, &mut |e| state.on(from, e, out));
        self.missed(from, missed);
    }

    fn gap(&mut self, from: Speaker, at: BootNs, _offset: u64, len: u64, out: &mut Vec<Told>) {
        let Amqp { client, server, state } = self;
        let framer = if from == Speaker::Client { client } else { server };
        let followed = !framer.is_lost();
        let mut missed = framer.gap(at, len, &mut |e| state.on(from, e, out));
        if missed > 0 && followed {
            let frame;
            (missed, frame) = state.foresee(from, at, missed, out);
            if let (0, (total, seen)) = (missed, frame) {
                framer.resume(at, total, seen);
            }
        }
        self.missed(from, missed);
    }

    fn turn(&mut self, from: Speaker, _out: &mut Vec<Told>) {
        match from {
            Speaker::Client => self.client.turn(),
            Speaker::Server => self.server.turn(),
        }
    }

    fn end(&mut self, _at: BootNs, out: &mut Vec<Told>) {
        let from = out.len();
        for channel in std::mem::take(&mut self.state.channels).into_values() {
            channel.end(out);
        }
        in_order(out, from);
        self.state.counts.waiting = 0;
    }

    fn take_undecoded(&mut self) -> u64 {
        std::mem::take(&mut self.state.counts.undecoded)
    }

    fn held(&self) -> usize {
        size_of::<Self>()
            + self.client.held()
            + self.server.held()
            + self.state.channels.len() * (size_of::<Channel>() + size_of::<(u16, Box<Channel>)>())
            + self.state.counts.waiting * (size_of::<Told>() + TEXT)
    }

    fn over(&self) -> Option<Known<Protocol>> {
        let astray = self.client.is_astray() || self.server.is_astray();
        astray.then_some(Known::Unknown("no longer AMQP 0-9-1"))
    }
}

/// What was told of all channels from here on, in the order in which it was asked.
fn in_order(out: &mut [Told], from: usize) {
    if let Some(told) = out.get_mut(from..) {
        told.sort_by_key(|t| (t.request.first, t.key));
    }
}

impl State {
    fn on(&mut self, from: Speaker, event: Event<'_>, out: &mut Vec<Told>) -> bool {
        let own = if from == Speaker::Client { &mut self.client } else { &mut self.server };
        match event {
            Event::Head(head) => {
                *own = frame::read(head.data).map(|frame| (frame, head.offset));
                own.is_some()
            }
            Event::End { span, tail } => {
                let Some((frame, offset)) = own.take() else { return false };
                let protocol = matches!(frame, Frame::Other) && tail == frame::PROTOCOL.last().copied();
                if tail.is_some_and(|tail| tail != frame::END) && !protocol {
                    return false;
                }
                self.frame(from, frame, offset, span, out);
                true
            }
        }
    }

    fn frame(&mut self, from: Speaker, frame: Frame, offset: u64, span: Span, out: &mut Vec<Told>) {
        let (Frame::Method(number, _) | Frame::Header(number, _) | Frame::Body(number, _)) = frame else {
            return;
        };
        let counts = &mut self.counts;
        if self.channels.len() >= CHANNELS && !self.channels.contains_key(&number) {
            counts.undecoded = counts.undecoded.saturating_add(span.bytes);
            return;
        }
        let channel = self.channels.entry(number).or_default();
        let before = channel.waiting();
        let after = match frame {
            Frame::Method(_, call) => {
                channel.finish(from, counts, out);
                match from {
                    Speaker::Client => channel.client_says(call, offset, span, counts, out),
                    Speaker::Server => channel.server_says(call, offset, span, counts, out),
                }
            }
            Frame::Header(_, size) => {
                channel.header(from, size, span, counts, out);
                After::Nothing
            }
            Frame::Body(_, len) => {
                let [client, server] = &mut self.bodies;
                *(if from == Speaker::Client { client } else { server }) = Some(number);
                channel.body(from, len, span, counts, out);
                After::Nothing
            }
            Frame::Other => After::Nothing,
        };
        counts.waiting = (counts.waiting + channel.waiting()).saturating_sub(before);
        match after {
            After::Nothing => {}
            After::ChannelClosed => {
                // What waits on it gets no answer any more.
                if let Some(channel) = self.channels.remove(&number) {
                    counts.waiting = counts.waiting.saturating_sub(channel.waiting());
                    let from = out.len();
                    channel.end(out);
                    for told in out.iter_mut().skip(from).filter(|t| t.shape == Shape::Unary) {
                        told.status = Known::Unknown("the channel was closed before an answer");
                    }
                }
            }
            After::ConnectionClosed(status) => {
                let from = out.len();
                for channel in self.channels.values_mut() {
                    channel.failed(&status, span, out);
                }
                in_order(out, from);
                counts.waiting = 0;
            }
        }
    }

    /// `missed` bytes in a gap behind a body frame: as far as the body goes on, they are frames as
    /// long as that one. What remains of the gap, and length and seen bytes of the frame in which it
    /// ends.
    fn foresee(&mut self, from: Speaker, at: BootNs, missed: u64, out: &mut Vec<Told>) -> (u64, (u64, u64)) {
        let side = usize::from(from == Speaker::Server);
        let number = self.bodies.get(side).copied().flatten();
        let channel = number.and_then(|number| Some((number, self.channels.get_mut(&number)?)));
        let Some((number, channel)) = channel else { return (missed, (0, 0)) };
        let Some((piece, left)) = channel.body_to_come(from) else { return (missed, (0, 0)) };
        let whole = (missed / (piece + frame::OVERHEAD)).min(left / piece);
        let mut rest = missed - whole * (piece + frame::OVERHEAD);
        let before = channel.waiting();
        let frames = |payload: u64, count: u64| {
            let bytes = payload.saturating_add(frame::OVERHEAD.saturating_mul(count));
            Span { first: at, last: at, bytes }
        };
        if whole > 0 {
            channel.body(from, whole * piece, frames(whole * piece, whole), &mut self.counts, out);
        }
        let last = (left - whole * piece).min(piece);
        let mut open = (0, 0);
        if last > 0 && rest >= last + frame::OVERHEAD {
            channel.body(from, last, frames(last, 1), &mut self.counts, out);
            rest -= last + frame::OVERHEAD;
        } else if last > 0 && rest > 0 {
            let own = if from == Speaker::Client { &mut self.client } else { &mut self.server };
            *own = Some((Frame::Body(number, last), 0));
            open = (last + frame::OVERHEAD, rest);
            rest = 0;
        }
        self.counts.waiting = (self.counts.waiting + channel.waiting()).saturating_sub(before);
        (rest, open)
    }
}
