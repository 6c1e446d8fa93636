//! One stream: a request and its response.

use std::borrow::Cow;

use super::frame::error_name;
use super::grpc::{self, Messages};
use super::head::{Content, Head, MISSED};
use crate::model::{BootNs, Known, Protocol, Shape, Verdict};
use crate::wire::decoder::{Span, Told};
use crate::wire::hpack::MAX_VALUE;

/// How a stream came to its end.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// The response is complete.
    Complete,
    /// The client gave up; with the error code if it was seen.
    ClientReset(Option<u32>),
    /// The server gave up.
    ServerReset(Option<u32>),
    /// The server did not and will not look at it.
    GoAway,
    /// The connection ended.
    Closed,
    /// Its end was most likely missed.
    Missed,
    /// It was reset, perhaps after a response that was missed.
    Doubtful,
}

/// A stream that the client opened.
#[derive(Debug)]
pub(super) struct Stream {
    /// Its request was seen.
    pub(super) asked: bool,
    /// Why what was not seen was not.
    why: &'static str,
    key: (u64, u32),
    method: Cow<'static, str>,
    path: Known<Box<[u8]>>,
    content: Known<Content>,
    websocket: bool,
    request: Span,
    /// When the request was complete.
    asked_all: Option<BootNs>,
    sent: Messages,
    /// When the response began, and so on; without its head where that was missed.
    response: Option<Span>,
    answer: Known<Content>,
    status: Known<u16>,
    /// The response has ended with a header block: trailers, or the only one.
    headed: bool,
    /// It had a head before that.
    trailed: bool,
    grpc_status: Known<u32>,
    received: Messages,
    /// When something last happened.
    pub(super) touched: BootNs,
}

impl Stream {
    /// A stream of which nothing was seen yet; `why` says why not.
    pub(super) fn unseen(id: u32, at: BootNs, why: &'static str) -> Self {
        Stream {
            asked: false,
            why,
            key: (0, id),
            method: Cow::Borrowed(""),
            path: Known::Unknown(why),
            content: Known::Unknown(why),
            websocket: false,
            request: Span::default(),
            asked_all: None,
            sent: Messages::default(),
            response: None,
            answer: Known::Absent,
            status: Known::Absent,
            headed: false,
            trailed: false,
            grpc_status: Known::Absent,
            received: Messages::default(),
            touched: at,
        }
    }

    /// A stream whose request came another way: before an upgrade.
    pub(super) fn upgraded(asked: &Told) -> Self {
        Stream {
            asked: true,
            key: (asked.key.0, 1),
            method: asked.method.clone(),
            path: match &asked.target {
                Known::Known(target) => Known::Known(target.as_bytes().into()),
                Known::Unknown(why) => Known::Unknown(why),
                Known::Absent => Known::Absent,
            },
            content: Known::Known(Content::Other),
            request: asked.request,
            asked_all: Some(asked.request.last),
            ..Stream::unseen(1, asked.request.last, MISSED)
        }
    }

    /// The head of the request.
    pub(super) fn ask(&mut self, head: &mut Head, offset: u64, request: Span, end: bool) {
        self.asked = true;
        self.key.0 = offset;
        if let Known::Known(method) = std::mem::replace(&mut head.method, Known::Absent) {
            self.method = method;
        }
        self.path = std::mem::replace(&mut head.path, Known::Absent);
        self.content = head.content.clone();
        self.websocket = head.websocket;
        self.request = request;
        self.asked_until(request.last, end);
    }

    /// Payload of frames of the client after the head.
    pub(super) fn asks(&mut self, bytes: u64) {
        self.request.bytes = self.request.bytes.saturating_add(bytes);
    }

    /// The client spoke last; with `end` the request is complete.
    pub(super) fn asked_until(&mut self, at: BootNs, end: bool) {
        self.request.last = at;
        if end {
            self.asked_all = Some(at);
        }
        self.touched = at;
    }

    /// A header block of the server: interim response, head, trailers, or the last two in one.
    /// `missed` is when bytes of the server were last missed.
    pub(super) fn answer(&mut self, head: &Head, span: Span, end: bool, missed: Option<BootNs>) {
        self.touched = span.last;
        if !end && matches!(head.status, Known::Known(100..=199)) {
            return;
        }
        let trailers = end && (self.response.is_some() || matches!(head.status, Known::Absent));
        if trailers {
            self.trailed = true;
            self.response_begins(span.first, missed);
        } else {
            self.status = head.status.clone();
            self.answer = head.content.clone();
        }
        if end {
            self.headed = true;
            self.grpc_status = head.grpc_status.clone();
        }
        let response = self.response.get_or_insert(Span { bytes: 0, ..span });
        response.last = span.last;
        response.bytes = response.bytes.saturating_add(span.bytes);
    }

    /// Something of a response is here: if its head was not seen, it came when bytes were missed.
    fn response_begins(&mut self, at: BootNs, missed: Option<BootNs>) {
        if self.response.is_some() {
            return;
        }
        let first = missed.filter(|m| *m >= self.request.last && *m <= at).unwrap_or(at);
        self.response = Some(Span { first, last: at, bytes: 0 });
        self.status = Known::Unknown(self.why);
        self.answer = Known::Unknown(self.why);
    }

    /// A DATA frame of the server begins. `missed` is when bytes of the server were last missed.
    pub(super) fn answers(&mut self, len: u32, at: BootNs, missed: Option<BootNs>) {
        self.touched = at;
        self.response_begins(at, missed);
        if let Some(response) = &mut self.response {
            response.bytes = response.bytes.saturating_add(u64::from(len));
        }
    }

    /// The server spoke last.
    pub(super) fn answered_until(&mut self, at: BootNs) {
        self.touched = at;
        if let Some(response) = &mut self.response {
            response.last = at;
        }
    }

    /// Where to count the messages of a direction, unless this is certainly not gRPC.
    pub(super) fn messages(&mut self, client: bool) -> Option<&mut Messages> {
        let other = |c: &Known<Content>| matches!(c, Known::Known(Content::Other | Content::Events));
        if other(&self.content) || other(&self.answer) {
            return None;
        }
        Some(if client { &mut self.sent } else { &mut self.received })
    }

    /// Something came of the server.
    pub(super) fn is_answered(&self) -> bool {
        self.response.is_some()
    }

    /// Whether the response may have been complete in what was last `missed` of the server. A reset
    /// can come after it: for a body that is not wanted any more, or because they crossed.
    pub(super) fn may_be_answered(&self, missed: Option<BootNs>) -> bool {
        missed.is_some_and(|m| m >= self.request.first)
    }

    /// What was seen does not say whether this is gRPC.
    fn open(&self) -> bool {
        matches!(self.content, Known::Unknown(_))
            && self.answer.known().is_none()
            && matches!(&*self.method, "POST" | "")
    }

    /// This is gRPC; `hint` says that others on this connection are.
    fn is_grpc(&self, hint: bool) -> bool {
        let grpc = |c: &Known<Content>| *c == Known::Known(Content::Grpc);
        if grpc(&self.content) || grpc(&self.answer) || self.grpc_status.known().is_some() {
            return true;
        }
        // Hardly anybody but gRPC answers a POST with trailers, or sends bodies of this form.
        let trailers = self.trailed && self.sent.may_be() && self.received.may_be();
        let framed = self.sent.framed() || self.received.framed();
        self.open() && (trailers || framed || hint)
    }

    fn shape(&self, grpc: bool) -> Shape {
        let several = grpc && (self.sent.several() || self.received.several());
        let tunnel = self.websocket || self.method == "CONNECT";
        let events = self.answer == Known::Known(Content::Events);
        // The server did not wait for the end of the request.
        let both =
            self.asked && self.response.is_some_and(|r| self.asked_all.is_none_or(|all| r.first < all));
        if several || tunnel || events || both { Shape::Stream } else { Shape::Unary }
    }

    /// All that is known of it.
    pub(super) fn told(&mut self, end: End, hint: bool) -> Told {
        // gRPC never ends a response with DATA.
        let hint = hint && (self.headed || !matches!(end, End::Complete));
        let grpc = self.is_grpc(hint);
        let (status, verdict) = self.outcome(end, grpc);
        let shape = self.shape(grpc);
        let target = match std::mem::replace(&mut self.path, Known::Absent) {
            Known::Known(path) => Known::Known(target(path, grpc)),
            Known::Unknown(why) => Known::Unknown(why),
            Known::Absent => Known::Absent,
        };
        // Without its head no time is told, even if some of its content was seen: from a time that is
        // not the request's end no latency may be measured.
        let request = if self.asked { self.request } else { Span::default() };
        Told {
            protocol: match (self.websocket, grpc) {
                (true, _) => Protocol::WebSocket,
                (false, true) => Protocol::Grpc,
                (false, false) => Protocol::Http2,
            },
            shape,
            method: std::mem::take(&mut self.method),
            target,
            status,
            verdict,
            request,
            response: self.response,
            key: self.key,
            dns: None,
        }
    }

    fn outcome(&self, end: End, grpc: bool) -> (Known<Cow<'static, str>>, Verdict) {
        let said = |s| Known::Known(Cow::Borrowed(s));
        match end {
            End::Complete if grpc => self.grpc_outcome(),
            // If this is gRPC after all, its status is among what is hidden.
            End::Complete if self.headed && self.open() && matches!(self.grpc_status, Known::Unknown(_)) => {
                (Known::Unknown(self.why), Verdict::Unknown)
            }
            End::Complete => self.http_outcome(),
            // Source: RFC 9113 section 7: CANCEL, and NO_ERROR, are no fault of anybody.
            End::ClientReset(Some(0 | 8)) if grpc => (said(grpc::CANCELLED), Verdict::ClientError),
            End::ClientReset(Some(0 | 8)) => (said("cancelled"), Verdict::ClientError),
            End::ClientReset(None) => (Known::Unknown(MISSED), Verdict::ClientError),
            End::ClientReset(Some(code)) | End::ServerReset(Some(code)) => {
                (said(error_name(code)), Verdict::Error)
            }
            End::ServerReset(None) => (Known::Unknown(MISSED), Verdict::Error),
            End::GoAway => (said("GOAWAY"), Verdict::Error),
            End::Doubtful => (Known::Unknown(MISSED), Verdict::Unknown),
            // What the head said stands, unless the rest is known to be missing.
            End::Missed if self.response.is_some() && !grpc => self.http_outcome(),
            End::Missed => (Known::Unknown(MISSED), Verdict::Unknown),
            End::Closed if self.response.is_some() && !grpc => {
                let (status, verdict) = self.http_outcome();
                (status, if verdict == Verdict::Ok { Verdict::Unknown } else { verdict })
            }
            End::Closed => (Known::Absent, Verdict::Unknown),
        }
    }

    fn grpc_outcome(&self) -> (Known<Cow<'static, str>>, Verdict) {
        match (&self.grpc_status, &self.status) {
            (Known::Known(code), _) => {
                let (name, verdict) = grpc::status(*code);
                (Known::Known(name), verdict)
            }
            (Known::Unknown(why), _) => (Known::Unknown(why), Verdict::Unknown),
            // No gRPC status: something between answered, or the server broke off.
            (Known::Absent, Known::Known(200)) => (Known::Absent, Verdict::Error),
            (Known::Absent, Known::Known(code)) => (Known::Known(http_status(*code)), Verdict::Error),
            (Known::Absent, Known::Unknown(why)) => (Known::Unknown(why), Verdict::Unknown),
            (Known::Absent, Known::Absent) => (Known::Absent, Verdict::Unknown),
        }
    }

    fn http_outcome(&self) -> (Known<Cow<'static, str>>, Verdict) {
        match &self.status {
            Known::Known(code) => {
                let verdict = match code {
                    400..=499 => Verdict::ClientError,
                    500..=599 => Verdict::Error,
                    _ => Verdict::Ok,
                };
                (Known::Known(http_status(*code)), verdict)
            }
            Known::Unknown(why) => (Known::Unknown(why), Verdict::Unknown),
            Known::Absent => (Known::Absent, Verdict::Unknown),
        }
    }
}

fn http_status(code: u16) -> Cow<'static, str> {
    Cow::Borrowed(match code {
        200 => "200",
        201 => "201",
        204 => "204",
        206 => "206",
        301 => "301",
        302 => "302",
        304 => "304",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        429 => "429",
        500 => "500",
        502 => "502",
        503 => "503",
        504 => "504",
        other => return Cow::Owned(other.to_string()),
    })
}

/// What a request is about: a gRPC method as it is, where it has the form of one; a path as its
/// template.
fn target(path: Box<[u8]>, grpc: bool) -> Box<str> {
    let cut = path.len() >= MAX_VALUE;
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-');
    let text: Box<str> = match std::str::from_utf8(&path) {
        Ok(name) if grpc && path.iter().all(is_name) => name.into(),
        _ => crate::wire::template::path(&path),
    };
    if cut { format!("{text}…").into() } else { text }
}
