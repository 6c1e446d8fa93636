//! Heads of messages, line by line (RFC 9112 sections 2 to 6): start lines, and of the fields
//! only those that say how long the body is and what it is. Everything else is passed over.

use std::borrow::Cow;

use crate::model::{Known, Protocol};
use crate::wire::template;

/// Methods that are shown without a copy; the rest is any other token.
const METHODS: [&str; 26] = [
    "GET",
    "POST",
    "HEAD",
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "CONNECT",
    "TRACE",
    "PROPFIND",
    "PROPPATCH",
    "REPORT",
    "SEARCH",
    "QUERY",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "PURGE",
    "LINK",
    "UNLINK",
    "MERGE",
    "CHECKOUT",
    "SUBSCRIBE",
    "NOTIFY",
];
/// Longest method that is taken for one.
pub const MAX_METHOD: usize = 20;

/// What a request line says.
#[derive(Debug, PartialEq)]
pub struct RequestLine {
    pub method: Cow<'static, str>,
    pub target: Known<Box<str>>,
}

/// Octets of a token (RFC 9110 section 5.6.2).
pub fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// The known method of these bytes.
pub fn known_method(bytes: &[u8]) -> Option<&'static str> {
    METHODS.into_iter().find(|m| m.as_bytes() == bytes)
}

/// Whether some known method begins so.
pub fn begins_known_method(bytes: &[u8]) -> bool {
    METHODS.into_iter().any(|m| m.as_bytes().starts_with(bytes))
}

fn method(bytes: &[u8]) -> Option<Cow<'static, str>> {
    if let Some(known) = known_method(bytes) {
        return Some(Cow::Borrowed(known));
    }
    // Other methods are registered in capitals (RFC 9110 section 16.1); words in small letters
    // begin the lines of many other protocols.
    let plausible = (2..=MAX_METHOD).contains(&bytes.len())
        && bytes.iter().all(|b| is_token(*b) && !b.is_ascii_lowercase())
        && bytes.first().is_some_and(u8::is_ascii_uppercase);
    plausible.then(|| Cow::Owned(String::from_utf8_lossy(bytes).into_owned()))
}

fn target(method: &str, bytes: &[u8]) -> Known<Box<str>> {
    if method != "CONNECT" {
        return Known::Known(template::path(bytes));
    }
    match template::authority(bytes) {
        Some(authority) => Known::Known(authority),
        None => Known::Unknown("not a host and a port"),
    }
}

/// A whole request line, without its end.
pub fn request_line(line: &[u8]) -> Option<RequestLine> {
    let mut words = line.split(|b| *b == b' ');
    let method = method(words.next()?)?;
    let bytes = words.next().filter(|t| !t.is_empty())?;
    let version = words.next()?;
    // Spaces in a target are against the rules and not unheard of; but then nothing is sure.
    if words.next().is_some() || !is_version(version) || !is_target(bytes) {
        return None;
    }
    Some(RequestLine { target: target(&method, bytes), method })
}

/// A request line whose end was not seen.
pub fn cut_request_line(line: &[u8]) -> Option<RequestLine> {
    let space = line.iter().position(|b| *b == b' ')?;
    let (first, rest) = line.split_at(space);
    let method = method(first)?;
    let rest = rest.get(1..)?;
    let end = rest.iter().position(|b| matches!(b, b' ' | b'?' | b'#'));
    let seen = rest.get(..end.unwrap_or(rest.len()))?;
    if rest.is_empty() || !is_target(seen) {
        return None;
    }
    if end.is_none() {
        return Some(RequestLine { method, target: Known::Unknown("longer than what was captured") });
    }
    Some(RequestLine { target: target(&method, seen), method })
}

fn is_target(bytes: &[u8]) -> bool {
    !bytes.iter().any(|b| *b <= b' ' || *b == 0x7f)
}

fn is_version(bytes: &[u8]) -> bool {
    matches!(bytes, [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit())
}

/// The status of a whole status line, or of one that is cut after the status.
pub fn status_line(line: &[u8]) -> Option<u16> {
    let (version, rest) = line.split_at_checked(8)?;
    let [b' ', a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = rest else { return None };
    if !is_version(version) || rest.first().is_some_and(|b| *b != b' ') {
        return None;
    }
    Some([a, b, c].into_iter().fold(0, |n, d| n * 10 + u16::from(d - b'0')))
}

/// Whether `prefix` can be the beginning of a status line.
pub fn begins_status_line(prefix: &[u8]) -> bool {
    let fixed = b"HTTP/1.";
    let n = prefix.len().min(fixed.len());
    prefix.get(..n) == fixed.get(..n)
}

/// What Content-Length says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Length {
    #[default]
    Absent,
    Bytes(u64),
}

/// What Transfer-Encoding says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Coding {
    #[default]
    Absent,
    /// chunked is the last coding.
    Chunked,
    /// Some other coding is the last.
    Other,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Field {
    #[default]
    Other,
    Framing,
}

/// The fields of a head that matter here.
#[derive(Debug, Default)]
pub struct Head {
    pub length: Length,
    pub coding: Coding,
    /// The fields contradict each other or can be read in more than one way.
    pub faulty: bool,
    /// What Upgrade names.
    pub upgrade: Option<Known<Protocol>>,
    /// Content-Type is one of a response that goes on.
    pub stream: bool,
    last: Field,
}

impl Head {
    /// Takes the next field line, without its end.
    pub fn field(&mut self, line: &[u8]) {
        let first = line.first().copied().unwrap_or_default();
        if matches!(first, b' ' | b'\t') {
            // obs-fold: servers must refuse or join it (RFC 9112 section 5.2); two readers of
            // one framing field may see two lengths.
            self.faulty |= self.last == Field::Framing;
            return;
        }
        self.last = Field::Other;
        if !matches!(first | 0x20, b'c' | b't' | b'u') {
            return;
        }
        let Some(colon) = line.iter().position(|b| *b == b':') else { return };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        // A space before the colon: receivers differ on whether that is the field.
        let bare = name.trim_ascii_end();
        if bare.eq_ignore_ascii_case(b"content-length") {
            self.last = Field::Framing;
            self.faulty |= bare.len() != name.len();
            self.content_length(value);
        } else if bare.eq_ignore_ascii_case(b"transfer-encoding") {
            self.last = Field::Framing;
            self.faulty |= bare.len() != name.len();
            self.transfer_encoding(value);
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.upgrade = Some(upgrade(value));
        } else if name.eq_ignore_ascii_case(b"content-type") {
            let kind = value.split(|b| *b == b';').next().unwrap_or_default().trim_ascii_end();
            self.stream = kind.eq_ignore_ascii_case(b"text/event-stream")
                || kind.eq_ignore_ascii_case(b"multipart/x-mixed-replace");
        }
    }

    fn content_length(&mut self, value: &[u8]) {
        // A list of equal values is one value (RFC 9110 section 8.6).
        for item in value.split(|b| *b == b',') {
            let item = item.trim_ascii();
            let digits = !item.is_empty() && item.iter().all(u8::is_ascii_digit);
            let n = item
                .iter()
                .try_fold(0u64, |n, d| n.checked_mul(10)?.checked_add(u64::from(d.wrapping_sub(b'0'))));
            match (digits, n) {
                (true, Some(n)) if self.length == Length::Absent || self.length == Length::Bytes(n) => {
                    self.length = Length::Bytes(n);
                }
                _ => self.faulty = true,
            }
        }
    }

    fn transfer_encoding(&mut self, value: &[u8]) {
        for item in value.split(|b| *b == b',') {
            let item = item.trim_ascii();
            if item.is_empty() {
                continue;
            }
            // Nothing may come after chunked (RFC 9112 section 6.1).
            self.faulty |= self.coding == Coding::Chunked;
            self.coding = if item.eq_ignore_ascii_case(b"chunked") { Coding::Chunked } else { Coding::Other };
        }
    }
}

fn upgrade(value: &[u8]) -> Known<Protocol> {
    let first = value.split(|b| *b == b',').next().unwrap_or_default().trim_ascii();
    let name = first.split(|b| *b == b'/').next().unwrap_or_default();
    if name.eq_ignore_ascii_case(b"websocket") {
        Known::Known(Protocol::WebSocket)
    } else if name.eq_ignore_ascii_case(b"h2c") {
        Known::Known(Protocol::Http2)
    } else if name.eq_ignore_ascii_case(b"tls") {
        Known::Known(Protocol::Tls)
    } else {
        Known::Unknown("upgraded to a protocol that is not known here")
    }
}
