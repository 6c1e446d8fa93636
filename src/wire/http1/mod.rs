//! HTTP/1.0 and HTTP/1.1 (RFC 9112, semantics of RFC 9110): requests and the responses to them.
//!
//! Bodies are passed over by their framing. Where the framing cannot be known (the head is longer
//! than what was captured, a gap in a chunked body, fields that contradict each other) a message is
//! over at the next [`Decoder::turn`]. Responses answer requests in order; what that order would
//! make of a response after requests or responses were missed is not guessed: the requests that
//! were pending are told without a status.
//!
//! A response is told when it is complete, with the request as far as it has come by then: a
//! server may answer before it has read all of the request.
//!
//! Bounds: [`MAX_PENDING`] requests without a response, one line of [`reader::MAX_LINE`] bytes for
//! each direction. Heads may be of any length; what is not needed of them is not kept.

mod body;
mod exchange;
mod gaps;
mod head;
mod reader;
mod sniff;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::VecDeque;

use self::body::{Body, Framing, request_framing, response_framing};
use self::exchange::{NOT_CAPTURED, Request, Response, unseen};
use self::head::RequestLine;
use self::reader::{Reader, State, Step};
pub use self::sniff::sniff;
use super::decoder::{Decoder, Speaker, TEXT, Told};
use crate::model::{BootNs, Known, Protocol};

/// Most requests that wait for their response; the bytes of further ones count as undecoded.
pub const MAX_PENDING: usize = 256;
/// So many times in a row what a turn promised was no message: this is not HTTP/1.
const MAX_STRIKES: u8 = 8;

/// Decoder of one HTTP/1 connection.
pub struct Http1 {
    client: Reader,
    server: Reader,
    /// Requests without a complete response, the oldest first.
    pending: VecDeque<Request>,
    /// The last of `pending` (if it was not told yet) is not complete.
    open: bool,
    /// Requests after those in `pending` that were not kept.
    skipped: u64,
    /// A response that is not complete.
    response: Option<Response>,
    /// Bytes of the interim responses before it.
    interim: u64,
    /// Requests may have passed that were not seen: a response to none that was seen is told.
    missed: bool,
    /// How many of those were told, to tell them apart.
    unseen: u32,
    /// Where the client's bytes after the head of a CONNECT begin.
    tunnel: Option<u64>,
    strikes: u8,
    undecoded: u64,
    over: Option<Known<Protocol>>,
}

impl Http1 {
    /// A decoder for a connection; `adopted` if it was open before its bytes were, so that the
    /// first ones may lie inside of a message.
    pub fn new(adopted: bool) -> Self {
        Http1 {
            client: Reader::new(Speaker::Client, !adopted),
            server: Reader::new(Speaker::Server, !adopted),
            pending: VecDeque::new(),
            open: false,
            skipped: 0,
            response: None,
            interim: 0,
            missed: adopted,
            unseen: 0,
            tunnel: None,
            strikes: 0,
            undecoded: 0,
            over: None,
        }
    }

    /// The request whose end did not come yet, unless it is told already or was not kept.
    fn open_request(&mut self) -> Option<&mut Request> {
        if self.open && self.skipped == 0 { self.pending.back_mut() } else { None }
    }

    /// Bytes of the open request passed, up to where the client's reader is.
    fn sent(&mut self, at: BootNs, len: u64) {
        let end = self.client.position;
        if self.client.state == State::Lost {
            self.undecoded = self.undecoded.saturating_add(len);
        } else if let Some(request) = self.open_request() {
            request.last = at;
            request.end = end;
        } else if self.open && self.skipped > 0 {
            self.undecoded = self.undecoded.saturating_add(len);
        }
    }

    /// Bytes of the response passed, up to where the server's reader is.
    fn answered(&mut self, at: BootNs, len: u64) {
        if self.server.state == State::Lost {
            self.undecoded = self.undecoded.saturating_add(len);
        } else if let Some(response) = &mut self.response {
            response.last = at;
            response.end = self.server.position;
        }
    }

    fn client_step(&mut self, at: BootNs, len: u64, step: Step, out: &mut Vec<Told>) {
        match step {
            Step::More => self.sent(at, len),
            Step::Request(line) => self.request(at, line),
            Step::Head => {
                self.strikes = 0;
                self.sent(at, len);
                self.request_head();
            }
            Step::End => {
                self.sent(at, len);
                self.open = false;
            }
            Step::Invalid | Step::Status(_) => self.invalid(Speaker::Client, out),
        }
    }

    fn request(&mut self, at: BootNs, line: RequestLine) {
        let (start, first) = self.client.began;
        self.open = true;
        if self.skipped > 0 || self.pending.len() >= MAX_PENDING {
            self.skipped += 1;
            self.undecoded = self.undecoded.saturating_add(self.client.position.saturating_sub(start));
            return;
        }
        // With nothing outstanding before it, the next response is to this one.
        self.missed &= !self.pending.is_empty();
        self.pending.push_back(Request {
            method: line.method,
            target: line.target,
            first,
            last: at,
            start,
            end: self.client.position,
            upgrade: None,
            continued: false,
        });
    }

    fn request_head(&mut self) {
        let head = std::mem::take(&mut self.client.head);
        let framing = request_framing(&head);
        let mut connect = false;
        if let Some(request) = self.open_request() {
            request.upgrade = head.upgrade;
            connect = request.method == "CONNECT";
        }
        match framing {
            _ if connect => {
                // What follows belongs to the tunnel, if the server opens one.
                self.tunnel = Some(self.client.position);
                self.open = false;
                self.client.leave(State::Rest);
            }
            Framing::Nothing => {
                self.open = false;
                self.client.restart(true);
            }
            Framing::Body(body) => self.client.leave(State::Body(body)),
            Framing::Faulty => self.client.leave(State::Rest),
        }
    }

    fn server_step(&mut self, at: BootNs, len: u64, step: Step, out: &mut Vec<Told>) {
        match step {
            Step::More => self.answered(at, len),
            Step::Status(status) => self.begin_response(at, Some(status)),
            Step::Head => {
                self.strikes = 0;
                self.answered(at, len);
                self.response_head(out);
            }
            Step::End => {
                self.answered(at, len);
                self.tell(true, out);
            }
            Step::Invalid | Step::Request(_) => self.invalid(Speaker::Server, out),
        }
    }

    fn begin_response(&mut self, at: BootNs, status: Option<u16>) {
        if self.pending.is_empty() && self.client.partial() > 0 {
            // It is answered before its head is complete: too long, too slow.
            self.cut_request(self.client.began.1);
        }
        let (start, first) = self.server.began;
        self.response = Some(Response {
            status,
            first,
            last: at,
            start,
            end: self.server.position,
            answers: !self.pending.is_empty(),
            stream: false,
            client_at: self.client.position,
        });
    }

    fn response_head(&mut self, out: &mut Vec<Told>) {
        let head = std::mem::take(&mut self.server.head);
        let Some(response) = &mut self.response else { return };
        response.stream = head.stream;
        let status = response.status.unwrap_or_default();
        let request = if response.answers { self.pending.front_mut() } else { None };
        let method = request.as_ref().map_or("", |r| &r.method);
        let framing = response_framing(&head, method, status);
        if self.became(head.upgrade, out) {
            return;
        }
        if status < 200 {
            self.interim_is_over();
            self.server.restart(true);
            return;
        }
        match framing {
            Framing::Nothing => {
                self.server.restart(true);
                self.tell(true, out);
            }
            Framing::Body(body) => self.server.leave(State::Body(body)),
            Framing::Faulty => self.server.leave(State::Rest),
        }
    }

    /// If this response makes another protocol of the connection: tells it, and what it became.
    fn became(&mut self, upgrade: Option<Known<Protocol>>, out: &mut Vec<Told>) -> bool {
        let Some(response) = &self.response else { return false };
        let request = if response.answers { self.pending.front_mut() } else { None };
        let over = match response.status {
            Some(101) => upgrade
                .or_else(|| request.and_then(|r| r.upgrade.take()))
                .unwrap_or(Known::Unknown("upgraded, to what was not captured")),
            Some(200..=299) if request.is_some_and(|r| r.method == "CONNECT") => {
                Known::Unknown("a tunnel opened by CONNECT")
            }
            _ => return false,
        };
        self.tell(true, out);
        self.give_up(over, out);
        true
    }

    fn interim_is_over(&mut self) {
        if let Some(response) = self.response.take() {
            self.interim = self.interim.saturating_add(response.end.saturating_sub(response.start));
        }
        if let Some(request) = self.pending.front_mut() {
            request.continued = true;
        }
    }

    /// Tells the response with its request. `complete`: its end was seen, or nothing speaks
    /// against it.
    fn tell(&mut self, complete: bool, out: &mut Vec<Told>) {
        let Some(response) = self.response.take() else { return };
        let bytes =
            response.end.saturating_sub(response.start).saturating_add(std::mem::take(&mut self.interim));
        let request = if response.answers {
            self.pending.pop_front()
        } else if self.skipped > 0 {
            self.skipped -= 1;
            return;
        } else if !self.missed {
            // Nobody asked: a server that says 408 before it closes an idle connection.
            return;
        } else {
            None
        };
        if let Some(held) = self.tunnel
            && request.as_ref().is_some_and(|r| r.method == "CONNECT")
            && !matches!(response.status, Some(200..=299))
        {
            self.tunnel = None;
            // No tunnel: the client goes on with requests, if it did not send ahead.
            if held == self.client.position {
                self.client.restart(true);
            }
        }
        let mut told = match request {
            Some(request) => request.told(),
            None => {
                self.unseen = self.unseen.wrapping_add(1);
                unseen(response.first, (self.client.position, self.unseen))
            }
        };
        response.answer(&mut told, bytes, complete);
        out.push(told);
    }

    /// Tells the requests, or those that began before this offset, without an answer: it may have
    /// been in what could not be read.
    fn tell_unanswered(
        &mut self,
        before: Option<u64>,
        status: &Known<Cow<'static, str>>,
        out: &mut Vec<Told>,
    ) {
        let n = self.pending.iter().take_while(|r| before.is_none_or(|b| r.start < b)).count();
        for request in self.pending.drain(..n) {
            out.push(Told { status: status.clone(), ..request.told() });
        }
        if self.pending.is_empty() {
            self.skipped = 0;
        }
        self.interim = 0;
    }

    fn invalid(&mut self, who: Speaker, out: &mut Vec<Told>) {
        self.strikes = self.strikes.saturating_add(1);
        let reader = match who {
            Speaker::Client => &mut self.client,
            Speaker::Server => &mut self.server,
        };
        let passed = reader.position.saturating_sub(reader.began.0);
        self.undecoded = self.undecoded.saturating_add(passed);
        let sure = reader.sure;
        reader.leave(State::Lost);
        self.missed |= who == Speaker::Client;
        if sure || self.strikes >= MAX_STRIKES {
            self.give_up(Known::Unknown("not HTTP/1"), out);
        }
    }

    fn give_up(&mut self, over: Known<Protocol>, out: &mut Vec<Told>) {
        self.tell(false, out);
        self.tell_unanswered(None, &Known::Unknown(NOT_CAPTURED), out);
        self.over = Some(over);
    }
}

impl Decoder for Http1 {
    fn bytes(&mut self, from: Speaker, at: BootNs, offset: u64, data: &[u8], out: &mut Vec<Told>) {
        let (mut rest, mut offset) = (data, offset);
        while !rest.is_empty() && self.over.is_none() {
            let n = match from {
                Speaker::Client => {
                    let (n, step) = self.client.read(at, offset, rest);
                    self.client_step(at, n as u64, step, out);
                    n
                }
                Speaker::Server => {
                    let (n, step) = self.server.read(at, offset, rest);
                    self.server_step(at, n as u64, step, out);
                    n
                }
            };
            rest = rest.get(n..).unwrap_or_default();
            offset = offset.saturating_add(n as u64);
        }
    }

    fn gap(&mut self, from: Speaker, at: BootNs, offset: u64, len: u64, out: &mut Vec<Told>) {
        if len == 0 || self.over.is_some() {
            return;
        }
        match from {
            Speaker::Client => self.client_gap(at, offset, len),
            Speaker::Server => self.server_gap(at, offset, len, out),
        }
    }

    fn turn(&mut self, from: Speaker, out: &mut Vec<Told>) {
        if self.over.is_some() {
            return;
        }
        match from {
            Speaker::Client => {
                if !self.client_may_begin() {
                    return;
                }
                if self.response_is_vague() {
                    self.tell(true, out);
                    self.tell_unanswered(None, &Known::Unknown(NOT_CAPTURED), out);
                    self.server.restart(false);
                }
                if self.client.state != State::Start {
                    self.open = false;
                    self.tunnel = None;
                    self.client.restart(false);
                }
            }
            Speaker::Server => {
                let before = self.response.as_ref().map(|r| r.client_at);
                let spoke = before.is_none_or(|b| self.client.position > b);
                let mid = matches!(self.client.state, State::Fields | State::Body(_));
                if self.response_is_vague() && spoke && !mid {
                    self.tell(true, out);
                    self.tell_unanswered(before.or(Some(0)), &Known::Unknown(NOT_CAPTURED), out);
                    self.server.restart(false);
                }
            }
        }
    }

    fn end(&mut self, _: BootNs, out: &mut Vec<Told>) {
        let complete = matches!(self.server.state, State::Body(Body::UntilClose)) || self.response_is_vague();
        let status = match self.server.state {
            State::Start if self.server.between() => Known::Absent,
            _ => Known::Unknown(NOT_CAPTURED),
        };
        self.tell(complete, out);
        self.tell_unanswered(None, &status, out);
    }

    fn take_undecoded(&mut self) -> u64 {
        std::mem::take(&mut self.undecoded)
    }

    fn held(&self) -> usize {
        size_of::<Self>()
            + self.client.held()
            + self.server.held()
            + self.pending.capacity() * size_of::<Request>()
            + self.pending.len() * TEXT
    }

    fn over(&self) -> Option<Known<Protocol>> {
        self.over.clone()
    }

    fn over_at(&self) -> Option<(u64, u64)> {
        self.over.as_ref()?;
        Some((self.tunnel.unwrap_or(self.client.position), self.server.position))
    }
}
