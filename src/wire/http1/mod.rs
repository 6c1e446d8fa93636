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
mod head;
mod reader;
mod sniff;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::VecDeque;

use self::body::{Body, Chunk, Went};
use self::head::{Coding, Head, Length, RequestLine};
use self::reader::{Reader, State, Step};
pub use self::sniff::sniff;
use super::decoder::{Decoder, Span, Speaker, Told};
use crate::model::{BootNs, Known, Protocol, Shape, Verdict};

/// Most requests that wait for their response; the bytes of further ones count as undecoded.
pub const MAX_PENDING: usize = 256;
/// So many times in a row what a turn promised was no message: this is not HTTP/1.
const MAX_STRIKES: u8 = 8;

const NOT_CAPTURED: &str = "the response was not captured";

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

struct Request {
    method: Cow<'static, str>,
    target: Known<Box<str>>,
    first: BootNs,
    last: BootNs,
    /// Offsets of its first byte and of the one after its last.
    start: u64,
    end: u64,
    upgrade: Option<Known<Protocol>>,
    /// An interim response came: its body may follow in a turn of its own.
    continued: bool,
}

struct Response {
    status: Option<u16>,
    first: BootNs,
    last: BootNs,
    start: u64,
    end: u64,
    /// It answers the first of the pending requests; else one that was not seen.
    answers: bool,
    stream: bool,
    /// How far the client was when it began.
    client_at: u64,
}

/// What follows a head.
enum Framing {
    Nothing,
    Body(Body),
    /// The fields do not say for sure.
    Faulty,
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

    /// The start line or the fields of a request are not complete, and will not be.
    fn cut_request(&mut self, at: BootNs) -> bool {
        match self.client.state {
            State::Fields => {
                let upgrade = self.client.head.upgrade.take();
                if let Some(request) = self.open_request() {
                    request.upgrade = upgrade;
                }
            }
            _ => {
                let Some(line) = self.client.cut_request() else { return false };
                self.request(at, line);
            }
        }
        self.client.leave(State::Rest);
        true
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

    /// The head of a response is not complete, and will not be.
    fn cut_response(&mut self, out: &mut Vec<Told>) {
        let head = std::mem::take(&mut self.server.head);
        if let Some(response) = &mut self.response {
            response.stream = head.stream;
        }
        if self.became(head.upgrade, out) {
            return;
        }
        if self.response.as_ref().is_some_and(|r| r.status.is_some_and(|s| s < 200)) {
            // The final response may be in the gap, and its request pending: told at the next turn.
            self.interim_is_over();
            self.server.leave(State::Lost);
        } else {
            self.server.leave(State::Rest);
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
        if let Some(held) = self.tunnel.filter(|_| self.pending.is_empty() && self.over.is_none())
            && request.as_ref().is_some_and(|r| r.method == "CONNECT")
            && !matches!(response.status, Some(200..=299))
        {
            self.tunnel = None;
            // No tunnel: the client goes on with requests, if it did not send ahead.
            if held == self.client.position {
                self.client.restart(true);
            }
        }
        let span = Span { first: response.first, last: response.last, bytes };
        let mut told = match request {
            Some(request) => request.told(),
            None => {
                self.unseen = self.unseen.wrapping_add(1);
                let at = Span { first: response.first, last: response.first, bytes: 0 };
                Told {
                    protocol: Protocol::Http1,
                    shape: Shape::Unary,
                    method: Cow::Borrowed(""),
                    target: Known::Unknown("the request was not captured"),
                    status: Known::Absent,
                    verdict: Verdict::Unknown,
                    request: at,
                    response: None,
                    key: (self.client.position, self.unseen),
                    dns: None,
                }
            }
        };
        told.response = Some(span);
        told.status = response.status.map_or(Known::Unknown(NOT_CAPTURED), |s| Known::Known(status_text(s)));
        if response.stream {
            told.shape = Shape::Stream;
        }
        told.verdict = match response.status {
            // Broken off: by whom is not known here. A stream has no other end.
            Some(..400) if !complete && !response.stream => Verdict::Unknown,
            Some(..400) => Verdict::Ok,
            Some(..500) => Verdict::ClientError,
            Some(_) => Verdict::Error,
            None => Verdict::Unknown,
        };
        out.push(told);
    }

    /// Tells what is pending, without an answer.
    fn tell_unanswered(&mut self, status: &Known<Cow<'static, str>>, out: &mut Vec<Told>) {
        for request in self.pending.drain(..) {
            out.push(Told { status: status.clone(), ..request.told() });
        }
        self.skipped = 0;
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
        self.tell_unanswered(&Known::Unknown(NOT_CAPTURED), out);
        self.over = Some(over);
    }

    fn client_gap(&mut self, at: BootNs, offset: u64, len: u64) {
        let end = offset.saturating_add(len);
        let before = self.client.partial();
        self.client.position = end;
        match &mut self.client.state {
            State::Start | State::Fields => {
                if self.client.between() || !self.cut_request(at) {
                    // Whole requests may be in it.
                    self.client.leave(State::Lost);
                    self.missed = true;
                    self.undecoded = self.undecoded.saturating_add(before);
                }
                self.sent(at, len);
            }
            State::Body(body) => match body.gap(len) {
                Went::Inside => self.sent(at, len),
                Went::Lost => {
                    self.client.leave(State::Rest);
                    self.sent(at, len);
                }
                Went::End(n) => {
                    self.client.position = offset.saturating_add(n);
                    self.sent(at, n);
                    self.open = false;
                    self.client.restart(true);
                    if n < len {
                        self.client_gap(at, offset.saturating_add(n), len - n);
                    }
                }
            },
            State::Rest | State::Lost => self.sent(at, len),
        }
    }

    fn server_gap(&mut self, at: BootNs, offset: u64, len: u64, out: &mut Vec<Told>) {
        let before = self.server.partial();
        let status = self.server.cut_status();
        let between = self.server.between();
        self.server.position = offset.saturating_add(len);
        match &mut self.server.state {
            State::Start => {
                if between {
                    self.server.began = (offset, at);
                }
                if status.is_some() || !self.pending.is_empty() || self.client.partial() > 0 {
                    self.begin_response(at, status);
                    self.cut_response(out);
                } else {
                    self.server.leave(State::Lost);
                    self.undecoded = self.undecoded.saturating_add(before);
                    self.answered(at, len);
                }
            }
            State::Fields => {
                self.answered(at, len);
                self.cut_response(out);
            }
            State::Body(body) => match body.gap(len) {
                Went::Inside => self.answered(at, len),
                Went::Lost => {
                    self.server.leave(State::Rest);
                    self.answered(at, len);
                }
                Went::End(n) => {
                    self.server.position = offset.saturating_add(n);
                    self.answered(at, n);
                    self.server.restart(true);
                    self.tell(true, out);
                    if n < len {
                        self.server_gap(at, offset.saturating_add(n), len - n, out);
                    }
                }
            },
            State::Rest | State::Lost => self.answered(at, len),
        }
    }

    /// The client begins to speak. Whether that can be the beginning of a request.
    fn client_may_begin(&self) -> bool {
        match self.client.state {
            State::Start => self.client.between(),
            State::Fields | State::Body(_) => false,
            // After `100 Continue` it is the body.
            State::Rest => {
                self.response.is_some() || !(self.open && self.pending.back().is_some_and(|r| r.continued))
            }
            State::Lost => true,
        }
    }

    /// Whether the server's message has an end that a turn may show.
    fn response_is_vague(&self) -> bool {
        match self.server.state {
            State::Rest | State::Lost => true,
            // The request was not seen: if it was HEAD, there is no body.
            State::Body(_) => self.response.as_ref().is_some_and(|r| !r.answers),
            State::Start | State::Fields => false,
        }
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
                    // Their responses may have been in what could not be read.
                    self.tell_unanswered(&Known::Unknown(NOT_CAPTURED), out);
                    self.server.restart(false);
                }
                if self.client.state != State::Start {
                    self.open = false;
                    self.tunnel = None;
                    self.client.restart(false);
                }
            }
            Speaker::Server => {
                let spoke = self.response.as_ref().is_none_or(|r| self.client.position > r.client_at);
                let mid = matches!(self.client.state, State::Fields | State::Body(_));
                if self.response_is_vague() && spoke && !mid {
                    self.tell(true, out);
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
        self.tell_unanswered(&status, out);
    }

    fn take_undecoded(&mut self) -> u64 {
        std::mem::take(&mut self.undecoded)
    }

    fn over(&self) -> Option<Known<Protocol>> {
        self.over.clone()
    }

    fn over_at(&self) -> Option<(u64, u64)> {
        self.over.as_ref()?;
        Some((self.tunnel.unwrap_or(self.client.position), self.server.position))
    }
}

impl Request {
    fn told(self) -> Told {
        Told {
            protocol: Protocol::Http1,
            shape: Shape::Unary,
            method: self.method,
            target: self.target,
            status: Known::Absent,
            verdict: Verdict::Unknown,
            request: Span { first: self.first, last: self.last, bytes: self.end.saturating_sub(self.start) },
            response: None,
            key: (self.start, 0),
            dns: None,
        }
    }
}

/// RFC 9112 section 6.3 for requests.
fn request_framing(head: &Head) -> Framing {
    match (head.coding, head.length) {
        _ if head.faulty => Framing::Faulty,
        (Coding::Chunked, _) => Framing::Body(Body::Chunked(Chunk::FIRST)),
        (Coding::Other, _) => Framing::Faulty,
        (Coding::Absent, Length::Bytes(n)) if n > 0 => Framing::Body(Body::Length(n)),
        (Coding::Absent, _) => Framing::Nothing,
    }
}

/// RFC 9112 section 6.3 for responses.
fn response_framing(head: &Head, method: &str, status: u16) -> Framing {
    if method == "HEAD" || matches!(status, 100..=199 | 204 | 304) {
        return Framing::Nothing;
    }
    match (head.coding, head.length) {
        _ if head.faulty => Framing::Faulty,
        (Coding::Chunked, _) => Framing::Body(Body::Chunked(Chunk::FIRST)),
        (Coding::Absent, Length::Bytes(0)) => Framing::Nothing,
        (Coding::Absent, Length::Bytes(n)) => Framing::Body(Body::Length(n)),
        (Coding::Other, Length::Bytes(_)) => Framing::Faulty,
        (Coding::Other | Coding::Absent, Length::Absent) => Framing::Body(Body::UntilClose),
    }
}

fn status_text(status: u16) -> Cow<'static, str> {
    Cow::Borrowed(match status {
        101 => "101",
        200 => "200",
        201 => "201",
        202 => "202",
        204 => "204",
        206 => "206",
        301 => "301",
        302 => "302",
        303 => "303",
        304 => "304",
        307 => "307",
        308 => "308",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        409 => "409",
        410 => "410",
        422 => "422",
        429 => "429",
        499 => "499",
        500 => "500",
        501 => "501",
        502 => "502",
        503 => "503",
        504 => "504",
        other => return Cow::Owned(other.to_string()),
    })
}
