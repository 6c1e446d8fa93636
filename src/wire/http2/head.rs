//! What a header block says, as far as it matters.

use std::borrow::Cow;

use super::grpc;
use crate::model::Known;
use crate::wire::hpack::Name;

/// Bytes of the connection were missed.
pub(super) const MISSED: &str = "bytes of the connection were not seen";
/// The dynamic table is older than the decoder.
pub(super) const OLDER: &str = "the connection is older than webb";

/// What a content type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Grpc,
    /// `text/event-stream`.
    Events,
    Other,
}

/// The fields of one header block.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Known<Cow<'static, str>>,
    /// Without the query.
    pub(super) path: Known<Box<[u8]>>,
    pub(super) status: Known<u16>,
    pub(super) content: Known<Content>,
    pub(super) grpc_status: Known<u32>,
    pub(super) websocket: bool,
    /// Fields whose names are not known, and why: what is absent may be among them.
    hidden: Option<&'static str>,
}

impl Head {
    pub(super) fn new() -> Self {
        Head {
            method: Known::Absent,
            path: Known::Absent,
            status: Known::Absent,
            content: Known::Absent,
            grpc_status: Known::Absent,
            websocket: false,
            hidden: None,
        }
    }

    /// Some or all of the block was not seen.
    pub(super) fn hide(&mut self, why: &'static str) {
        self.hidden = Some(why);
    }

    /// A field; `why` says why a name is not known.
    pub(super) fn field(&mut self, name: Name, value: &[u8], why: &'static str) {
        match name {
            Name::Method => self.method = Known::Known(method(value)),
            Name::Path => {
                let path = value.split(|b| matches!(b, b'?' | b'#')).next().unwrap_or_default();
                self.path = Known::Known(path.into());
            }
            Name::Status => {
                let code = number(value).and_then(|n| u16::try_from(n).ok());
                self.status = code.map_or(Known::Absent, Known::Known);
            }
            Name::GrpcStatus => self.grpc_status = number(value).map_or(Known::Absent, Known::Known),
            Name::ContentType => {
                self.content = Known::Known(match value {
                    v if grpc::content_type(v) => Content::Grpc,
                    v if v.starts_with(b"text/event-stream") => Content::Events,
                    _ => Content::Other,
                });
            }
            Name::Protocol => self.websocket = value == b"websocket",
            Name::Unknown => self.hidden = Some(why),
            Name::Scheme | Name::Other => {}
        }
    }

    /// The block is complete: what did not come is absent, unless it may be hidden.
    pub(super) fn finish(&mut self) {
        let Some(why) = self.hidden else { return };
        or_hidden(&mut self.method, why);
        or_hidden(&mut self.path, why);
        or_hidden(&mut self.status, why);
        or_hidden(&mut self.content, why);
        or_hidden(&mut self.grpc_status, why);
    }
}

fn or_hidden<T>(field: &mut Known<T>, why: &'static str) {
    if matches!(field, Known::Absent) {
        *field = Known::Unknown(why);
    }
}

fn number(value: &[u8]) -> Option<u32> {
    let digit = |n: u32, b: &u8| n.checked_mul(10)?.checked_add(char::from(*b).to_digit(10)?);
    if value.is_empty() { None } else { value.iter().try_fold(0, digit) }
}

/// A method; what is not an upper-case word is not shown.
fn method(value: &[u8]) -> Cow<'static, str> {
    let known = match value {
        b"GET" => "GET",
        b"POST" => "POST",
        b"HEAD" => "HEAD",
        b"PUT" => "PUT",
        b"DELETE" => "DELETE",
        b"PATCH" => "PATCH",
        b"OPTIONS" => "OPTIONS",
        b"CONNECT" => "CONNECT",
        _ => "",
    };
    if !known.is_empty() {
        return Cow::Borrowed(known);
    }
    let word = value.len() <= 20 && value.iter().all(|b| b.is_ascii_uppercase() || *b == b'-');
    if word { Cow::Owned(String::from_utf8_lossy(value).into_owned()) } else { Cow::Borrowed("") }
}
