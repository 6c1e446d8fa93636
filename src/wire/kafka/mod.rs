//! Kafka (protocol guide: <https://kafka.apache.org/protocol>). Requests and answers are prefixed
//! with their size; answers come in the order of the requests and carry their correlation id.
//!
//! The method is the API's name, the target the topic (`orders`, or `orders +2` where there are
//! more), the status the first error code that is not 0, by name. Fetch, JoinGroup and SyncGroup wait
//! by design; Produce with `acks=0` is not answered.
//!
//! State: two heads of at most 4 KiB, and at most 1024 requests that wait for their answer; further
//! ones are counted as undecoded.

mod answer;
mod api;
mod errors;
mod read;
mod request;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::VecDeque;

use super::decoder::{Decoder, Sniff, Span, Speaker, TEXT, Told};
use super::framed::{Event, Framers, Framing, Head};
use crate::model::{BootNs, Known, Protocol, Shape, Verdict};
use request::Request;

const FRAMING: Framing = Framing { prefix: 4, head: 4096, length: request::length };

/// Requests that wait for their answer, per connection.
const PENDING: usize = 1024;

/// So far from the waiting correlation ids lie those of requests that were missed.
const WINDOW: i32 = 1024;

/// Whether these are the beginnings of a Kafka conversation: a request header whose API, version,
/// correlation id and client id are all possible, or an answer to such a request.
pub fn sniff(client: &[u8], server: &[u8]) -> Sniff {
    let answered = |correlation: i32| {
        let answer = server.get(4..8).and_then(|b| b.try_into().ok()).map(i32::from_be_bytes);
        request::length(server).is_some() && answer == Some(correlation)
    };
    if client.is_empty() {
        // A broker does not speak first; an answer alone is no evidence.
        return match server.len() >= 4 && request::length(server).is_none() {
            true => Sniff::No,
            false => Sniff::Maybe,
        };
    }
    match request::header(client) {
        Ok((request, _, named)) => {
            let versions = request.key == api::API_VERSIONS;
            // Clients count from 0. The DATA frames of HTTP/2 look the same but for this number, whose
            // first byte is of their stream's id: then only the answer tells.
            let named = named && request.correlation < 1 << 24;
            if named || answered(request.correlation) || (versions && server.is_empty()) {
                Sniff::Yes
            } else if server.len() >= 8 {
                Sniff::No
            } else {
                Sniff::Maybe
            }
        }
        Err(true) => Sniff::Maybe,
        Err(false) => Sniff::No,
    }
}

/// Decoder of one Kafka connection. It may begin at any message.
#[derive(Debug, Default)]
pub struct Kafka {
    framers: Framers,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    /// The request that is being said.
    asking: Option<Pending>,
    /// Requests in the order in which they were asked.
    pending: VecDeque<Pending>,
    /// The answer that is being said.
    answering: Option<Told>,
    /// SaslHandshake version 0 was asked: tokens without a header follow (KIP-12), until a request.
    tokens: bool,
    undecoded: u64,
}

#[derive(Debug)]
struct Pending {
    correlation: i32,
    key: i16,
    version: i16,
    newest: i16,
    flexible: bool,
    told: Told,
}

impl Kafka {
    /// A decoder at the beginning of a message.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Decoder for Kafka {
    fn bytes(&mut self, from: Speaker, at: BootNs, offset: u64, data: &[u8], out: &mut Vec<Told>) {
        let Kafka { framers, state } = self;
        let framer = framers.of(from);
        let missed = framer.bytes(&FRAMING, at, offset, data, &mut |event| state.on(from, event, out));
        self.state.undecoded = self.state.undecoded.saturating_add(missed);
    }

    fn gap(&mut self, from: Speaker, at: BootNs, _offset: u64, len: u64, out: &mut Vec<Told>) {
        let Kafka { framers, state } = self;
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
        // Not by the broker: after a gap among the requests its answers are of unknown ones.
        self.framers.client.is_astray().then_some(Known::Unknown("no longer Kafka"))
    }
}

impl State {
    fn on(&mut self, from: Speaker, event: Event<'_>, out: &mut Vec<Told>) -> bool {
        match (from, event) {
            (Speaker::Client, Event::Head(head)) => self.asked(&head),
            (Speaker::Client, Event::End { span, .. }) => {
                self.asked_all(span, out);
                true
            }
            (Speaker::Server, Event::Head(head)) => self.answered(&head, out),
            (Speaker::Server, Event::End { span, .. }) => {
                match self.answering.take() {
                    Some(mut told) => {
                        told.response = Some(span);
                        out.push(told);
                    }
                    None => self.undecoded = self.undecoded.saturating_add(span.bytes),
                }
                true
            }
        }
    }

    fn asked(&mut self, head: &Head<'_>) -> bool {
        let Some(request) = request::read(head.data) else {
            return self.tokens;
        };
        let Request { key, version, correlation, api, target, mut shape } = request;
        // The broker answers in order: what is asked behind a request that waits, waits with it.
        if shape == Shape::Unary && self.pending.back().is_some_and(|p| p.told.shape == Shape::Wait) {
            shape = Shape::Wait;
        }
        self.tokens = key == api::SASL_HANDSHAKE && version == 0;
        let (status, verdict) = match shape {
            Shape::OneWay => (Known::Absent, Verdict::Ok),
            _ => (Known::Unknown("no answer was seen"), Verdict::Unknown),
        };
        let told = Told {
            protocol: Protocol::Kafka,
            shape,
            method: Cow::Borrowed(api.name),
            target,
            status,
            verdict,
            request: head.span,
            response: None,
            key: (head.offset, 0),
            dns: None,
        };
        let flexible = version >= api.flexible;
        self.asking = Some(Pending { correlation, key, version, newest: api.newest, flexible, told });
        true
    }

    /// The last byte of a request was seen.
    fn asked_all(&mut self, span: Span, out: &mut Vec<Told>) {
        let Some(mut p) = self.asking.take() else {
            // A token.
            self.undecoded = self.undecoded.saturating_add(span.bytes);
            return;
        };
        p.told.request = span;
        if p.told.shape == Shape::OneWay {
            out.push(p.told);
        } else if self.pending.len() < PENDING {
            self.pending.push_back(p);
        } else {
            self.undecoded = self.undecoded.saturating_add(span.bytes);
        }
    }

    fn answered(&mut self, head: &Head<'_>, out: &mut Vec<Told>) -> bool {
        let correlation = head.data.get(4..8).and_then(|b| b.try_into().ok()).map(i32::from_be_bytes);
        let Some(correlation) = correlation else { return false };
        let Some(p) = self.take(correlation, out) else {
            if self.tokens || self.near(correlation) {
                // A token, or the answer to a request that was missed.
                return true;
            }
            // Nobody asked for it: hardly the beginning of an answer, or joined in the middle.
            return false;
        };
        let mut told = p.told;
        let body = head.data.get(8..).unwrap_or_default();
        (told.status, told.verdict) = answer::outcome(p.key, p.version, p.newest, p.flexible, body);
        told.response = Some(head.span);
        self.answering = Some(told);
        true
    }

    /// The request of an answer. Requests before it were answered, too, but that was not seen.
    fn take(&mut self, correlation: i32, out: &mut Vec<Told>) -> Option<Pending> {
        // Clients count upwards, so that most ids need no search.
        let near = self.near(correlation);
        let i = near.then(|| self.pending.iter().position(|p| p.correlation == correlation)).flatten()?;
        out.extend(self.pending.drain(..i).map(|p| p.told));
        self.pending.pop_front()
    }

    /// Whether an id is about where those of the waiting requests are.
    fn near(&self, correlation: i32) -> bool {
        let Some(front) = self.pending.front() else { return false };
        let back = self.pending.back().unwrap_or(front);
        let (low, high) = (front.correlation.min(back.correlation), front.correlation.max(back.correlation));
        (low.saturating_sub(WINDOW)..=high.saturating_add(WINDOW)).contains(&correlation)
    }
}
