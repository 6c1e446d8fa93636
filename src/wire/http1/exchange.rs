//! Requests and responses while they pass, and what is told of them.

use std::borrow::Cow;

use crate::model::{BootNs, Known, Protocol, Shape, Verdict};
use crate::wire::{Span, Told};

pub const NOT_CAPTURED: &str = "the response was not captured";

/// A request, as far as it has come.
pub struct Request {
    pub method: Cow<'static, str>,
    pub target: Known<Box<str>>,
    pub first: BootNs,
    pub last: BootNs,
    /// Offsets of its first byte and of the one after its last.
    pub start: u64,
    pub end: u64,
    pub upgrade: Option<Known<Protocol>>,
    /// An interim response came: its body may follow in a turn of its own.
    pub continued: bool,
}

/// A response that is coming.
pub struct Response {
    pub status: Option<u16>,
    pub first: BootNs,
    pub last: BootNs,
    pub start: u64,
    pub end: u64,
    /// It answers the first of the pending requests; else one that was not seen.
    pub answers: bool,
    pub stream: bool,
    /// How far the client was when it began.
    pub client_at: u64,
}

impl Request {
    /// The request without an answer.
    pub fn told(self) -> Told {
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

impl Response {
    /// Sets the answer of an exchange. `complete`: its end was seen, or nothing speaks against it.
    pub fn answer(&self, told: &mut Told, bytes: u64, complete: bool) {
        told.response = Some(Span { first: self.first, last: self.last, bytes });
        told.status = self.status.map_or(Known::Unknown(NOT_CAPTURED), |s| Known::Known(status_text(s)));
        if self.stream {
            told.shape = Shape::Stream;
        }
        told.verdict = match self.status {
            // Broken off: by whom is not known here. A stream has no other end.
            Some(..400) if !complete && !self.stream => Verdict::Unknown,
            Some(..400) => Verdict::Ok,
            Some(..500) => Verdict::ClientError,
            Some(_) => Verdict::Error,
            None => Verdict::Unknown,
        };
    }
}

/// An exchange whose request was not seen.
pub fn unseen(at: BootNs, key: (u64, u32)) -> Told {
    Told {
        protocol: Protocol::Http1,
        shape: Shape::Unary,
        method: Cow::Borrowed(""),
        target: Known::Unknown("the request was not captured"),
        status: Known::Absent,
        verdict: Verdict::Unknown,
        request: Span { first: at, last: at, bytes: 0 },
        response: None,
        key,
        dns: None,
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
