//! What is pending on a connection, and what was prepared.

use crate::wire::decoder::TEXT;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use super::super::sql::Source;
use super::super::sql::frames::Frame;
use super::super::sql::normalise::{Statement, verb};
use super::super::{Span, Told};
use super::message;
use super::prepared::Prepared;
use crate::model::{BootNs, Known, Protocol, Shape, Verdict};

/// Most exchanges that may wait for an answer; what is asked beyond is counted as undecoded.
pub const PENDING: usize = 1024;

/// So many missing bytes after a description of rows are rows: an error there, such as a time limit
/// that passed, is shorter.
const ROWS: u64 = 2048;

/// Where the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Phase {
    /// Nothing was said, or the encryption was declined.
    #[default]
    Start,
    /// SSLRequest or GSSENCRequest: a single byte is the answer.
    Encryption,
    /// Startup and authentication.
    Authentication,
    /// Requests.
    Ready,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Query,
    Execute,
    /// Parse or Bind without an Execute in the same round. With Flush instead of Sync, it is over
    /// with the answer of this class.
    Prepare(Option<Until>),
    Sync,
    Call,
}

/// The answer to the last message before a Flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    Parsed,
    Bound,
    Described,
    Closed,
}

#[derive(Debug)]
struct Pending {
    unit: Unit,
    source: Source,
    request: Span,
    key: u64,
    response: Option<Span>,
    error: Option<[u8; 5]>,
    failed: bool,
    /// Rows, copied data, or a completion was seen.
    went_well: bool,
    /// Bytes of the answer that could not be read.
    unread: u64,
    /// The description of rows was seen.
    described: bool,
    stream: bool,
    /// The Execute itself was not captured.
    presumed: bool,
    verb: Cow<'static, str>,
}

impl Pending {
    fn new(unit: Unit, source: Source, request: Span, key: u64) -> Self {
        Self {
            unit,
            source,
            request,
            key,
            response: None,
            error: None,
            failed: false,
            went_well: false,
            unread: 0,
            described: false,
            stream: false,
            presumed: false,
            verb: Cow::Borrowed(""),
        }
    }
}

/// Messages of the extended protocol since the last Execute or Sync.
#[derive(Debug, Default)]
struct Group {
    start: Option<(u64, BootNs)>,
    bytes: u64,
    source: Option<Source>,
    until: Option<Until>,
}

/// State of a connection.
#[derive(Debug, Default)]
pub struct Session {
    pub phase: Phase,
    pub over: Option<Known<Protocol>>,
    /// An answer fitted since this was last reset.
    pub understood: bool,
    connect: Option<(Span, u64)>,
    prepared: Prepared,
    group: Group,
    queue: VecDeque<Pending>,
    /// An error in the extended protocol: the server skips to the next Sync.
    skipping: bool,
    /// More was asked than is kept: how many answers that end with ReadyForQuery were dropped, and
    /// whether the last dropped request ends so.
    dropped: u64,
    dropping: bool,
    dropped_open: bool,
    /// Bytes of requests in a gap, while it is open whether they hide an exchange.
    doubt: u64,
    undecoded: u64,
    answered_while_lost: bool,
}

impl Session {
    /// Bytes that it holds beside itself.
    pub fn held(&self) -> usize {
        self.queue.capacity() * size_of::<Pending>() + self.queue.len() * TEXT + self.prepared.held()
    }

    pub fn take_undecoded(&mut self) -> u64 {
        std::mem::take(&mut self.undecoded)
    }

    /// Bytes of answers that could not be read belonged to exchanges that are told.
    pub fn take_answered_while_lost(&mut self) -> bool {
        std::mem::take(&mut self.answered_while_lost) || !self.queue.is_empty()
    }

    /// More of the request's last message.
    pub fn request_goes_on(&mut self, at: BootNs) {
        let last = self.queue.back_mut().filter(|p| matches!(p.unit, Unit::Query | Unit::Call));
        if let Some(p) = last.filter(|p| p.response.is_none()) {
            p.request.last = at;
        }
    }

    /// More of an answer that cannot be read.
    pub fn response_goes_on(&mut self, at: BootNs, bytes: u64) {
        if let Some(p) = self.queue.front_mut().filter(|p| p.unit != Unit::Sync) {
            if bytes > 0 || p.response.is_some() {
                let span = p.response.get_or_insert(Span { first: at, last: at, bytes: 0 });
                span.last = at;
                span.bytes = span.bytes.saturating_add(bytes);
                p.unread = p.unread.saturating_add(bytes);
                p.went_well |= p.described && p.unread >= ROWS;
            }
            self.answered_while_lost |= bytes > 0;
        }
    }

    /// A message of the client.
    pub fn client(&mut self, frame: &Frame<'_>, at: BootNs, out: &mut Vec<Told>) {
        if frame.kind == message::START {
            return self.startup(frame, at, out);
        }
        if frame.kind == b'p' {
            return;
        }
        if self.phase != Phase::Ready {
            self.phase = Phase::Ready;
            self.connect = None;
        }
        match frame.kind {
            b'Q' => {
                let (text, whole, _) = message::string(frame.body);
                let statement = self.prepared.statement(text, !whole);
                self.group = Group::default();
                let request = Span { first: frame.first, last: at, bytes: frame.size };
                let source = Source::Shared(statement);
                self.push(Pending::new(Unit::Query, source, request, frame.offset));
            }
            b'P' => {
                let (name, named, rest) = message::string(frame.body);
                let (text, whole, _) = message::string(rest);
                let statement = self.prepared.statement(text, !whole);
                if named {
                    self.prepared.parse(name, Arc::clone(&statement));
                }
                self.grow(frame, Some(Source::Shared(statement)), Some(Until::Parsed));
            }
            b'B' => {
                let (portal, whole, rest) = message::string(frame.body);
                let (name, named, _) = message::string(rest);
                let source = if whole && named {
                    self.prepared.bind(portal, name)
                } else {
                    Source::Unknown("which statement was executed was not captured")
                };
                self.grow(frame, Some(source), Some(Until::Bound));
            }
            b'D' => self.grow(frame, None, Some(Until::Described)),
            b'C' => {
                if let Some((b'S', name)) = frame.body.split_first() {
                    self.prepared.close(message::string(name).0);
                }
                self.grow(frame, None, Some(Until::Closed));
            }
            b'E' => {
                let source = self.prepared.portal(message::string(frame.body).0);
                self.grow(frame, None, None);
                self.execute(Some(source), at, false);
            }
            b'S' => self.sync(frame, at),
            b'H' => {
                self.grow(frame, None, None);
                if self.group.source.is_some() && self.group.until.is_some() {
                    let until = self.group.until;
                    self.prepare(until, at);
                }
            }
            b'F' => {
                let request = Span { first: frame.first, last: at, bytes: frame.size };
                let source = Source::Whole(Statement { verb: "FUNCTION".into(), text: "".into() });
                self.push(Pending::new(Unit::Call, source, request, frame.offset));
            }
            // Copied data and its end belong to the request that asked for it.
            b'd' | b'c' | b'f' => {
                if let Some(p) = self.queue.front_mut() {
                    p.request.bytes = p.request.bytes.saturating_add(frame.size);
                }
            }
            _ => {}
        }
    }

    fn startup(&mut self, frame: &Frame<'_>, at: BootNs, out: &mut Vec<Told>) {
        let request = Span { first: frame.first, last: at, bytes: frame.size };
        let code = frame.body.first_chunk::<4>().map(|b| u32::from_be_bytes(*b));
        match code {
            Some(message::SSL | message::GSS) => self.phase = Phase::Encryption,
            // Only these are so short.
            None if frame.size == 8 => self.phase = Phase::Encryption,
            Some(message::CANCEL) => {
                self.understood = true;
                out.push(Told {
                    protocol: Protocol::Postgres,
                    shape: Shape::OneWay,
                    method: "CANCEL".into(),
                    target: Known::Absent,
                    status: Known::Absent,
                    verdict: Verdict::Ok,
                    request,
                    response: None,
                    key: (frame.offset, 0),
                    dns: None,
                });
            }
            _ => {
                self.phase = Phase::Authentication;
                self.connect = Some((request, frame.offset));
                self.prepared.seen_whole();
            }
        }
    }

    fn grow(&mut self, frame: &Frame<'_>, source: Option<Source>, until: Option<Until>) {
        let group = &mut self.group;
        group.start.get_or_insert((frame.offset, frame.first));
        group.bytes = group.bytes.saturating_add(frame.size);
        if source.is_some() {
            group.source = source;
        }
        if until.is_some() {
            group.until = until;
        }
    }

    fn execute(&mut self, source: Option<Source>, at: BootNs, presumed: bool) {
        let group = std::mem::take(&mut self.group);
        let Some((key, first)) = group.start else { return };
        let source = source.or(group.source).unwrap_or(Source::Unknown("its start was not captured"));
        let request = Span { first, last: at, bytes: group.bytes };
        let mut p = Pending::new(Unit::Execute, source, request, key);
        p.presumed = presumed;
        self.push(p);
    }

    fn prepare(&mut self, until: Option<Until>, at: BootNs) {
        let group = std::mem::take(&mut self.group);
        if let (Some((key, first)), Some(source)) = (group.start, group.source) {
            let request = Span { first, last: at, bytes: group.bytes };
            self.push(Pending::new(Unit::Prepare(until), source, request, key));
        }
    }

    fn sync(&mut self, frame: &Frame<'_>, at: BootNs) {
        if self.group.source.is_some() {
            self.grow(frame, None, None);
            self.prepare(None, at);
        } else if let Some(p) = self.queue.back_mut()
            && p.unit == Unit::Execute
            && p.response.is_none()
            && self.group.start.is_none()
        {
            p.request.last = at;
            p.request.bytes = p.request.bytes.saturating_add(frame.size);
        }
        self.group = Group::default();
        let request = Span { first: frame.first, last: at, bytes: 0 };
        self.push(Pending::new(Unit::Sync, Source::Unknown(""), request, frame.offset));
    }

    fn push(&mut self, p: Pending) {
        if self.queue.len() >= PENDING || self.dropping {
            self.dropping = true;
            self.undecoded = self.undecoded.saturating_add(p.request.bytes);
            let ready = matches!(p.unit, Unit::Query | Unit::Sync | Unit::Call);
            self.dropped = self.dropped.saturating_add(u64::from(ready));
            self.dropped_open = !ready;
            return;
        }
        self.queue.push_back(p);
    }

    /// `len` bytes of the client are missing, beyond a message whose head was seen: most likely the
    /// rest of the round that began before them.
    pub fn requests_missing(&mut self, at: BootNs, len: u64) {
        // From here on an error may be the answer to something else.
        self.connect = None;
        if self.group.source.is_some() {
            self.group.bytes = self.group.bytes.saturating_add(len);
            self.execute(None, at, true);
        } else if self.queue.back().is_some_and(|p| p.unit == Unit::Query) {
            // Copied data.
            let p = self.queue.back_mut();
            if let Some(p) = p {
                p.request.bytes = p.request.bytes.saturating_add(len);
            }
            self.doubt = self.doubt.saturating_add(len);
            return;
        } else if self.queue.back().is_none_or(|p| p.unit != Unit::Execute) {
            self.undecoded = self.undecoded.saturating_add(len);
            return;
        }
        self.doubt = self.doubt.saturating_add(len);
        self.group = Group::default();
        let request = Span { first: at, last: at, bytes: 0 };
        self.push(Pending::new(Unit::Sync, Source::Unknown(""), request, 0));
    }

    /// After missing bytes the client's messages can be read again.
    pub fn requests_found(&mut self, out: &mut Vec<Told>) {
        self.doubt = 0;
        self.group = Group::default();
        if self.queue.iter().any(|p| p.presumed) {
            self.answers_over(out);
        }
    }

    /// The client speaks again: what was asked before is answered, though not all of it was seen.
    pub fn answers_over(&mut self, out: &mut Vec<Told>) {
        while let Some(p) = self.queue.pop_front() {
            tell(p, "the end of the answer was not captured", out);
        }
        self.skipping = false;
        self.dropping = false;
        self.dropped = 0;
    }

    /// The connection is over.
    pub fn end(&mut self, lost: bool, out: &mut Vec<Told>) {
        let why = if lost {
            "the end of the answer was not captured"
        } else {
            "the connection ended before the answer"
        };
        while let Some(p) = self.queue.pop_front() {
            tell(p, why, out);
        }
    }

    /// A message of the server.
    pub fn server(&mut self, frame: &Frame<'_>, at: BootNs, out: &mut Vec<Told>) {
        match self.phase {
            Phase::Encryption => return self.encryption(frame, at, out),
            Phase::Start | Phase::Authentication => return self.authentication(frame, at, out),
            Phase::Ready => {}
        }
        self.understood = true;
        if matches!(frame.kind, b'A' | b'N' | b'S') {
            return;
        }
        if frame.kind == b'Z' {
            return self.ready(frame, at, out);
        }
        let Some(p) = self.queue.front_mut().filter(|p| p.unit != Unit::Sync) else {
            // More answers than requests were seen: the gap hid some.
            if matches!(frame.kind, b'C' | b'I' | b's' | b'E') {
                self.undecoded = self.undecoded.saturating_add(std::mem::take(&mut self.doubt));
            }
            return;
        };
        let span = p.response.get_or_insert(Span { first: frame.first, last: at, bytes: 0 });
        span.last = at;
        span.bytes = span.bytes.saturating_add(frame.size);
        let done = match frame.kind {
            b'D' | b'd' | b'H' | b'G' | b'V' => {
                p.went_well = true;
                false
            }
            b'T' => {
                p.described = true;
                p.unit == Unit::Prepare(Some(Until::Described))
            }
            b'n' => p.unit == Unit::Prepare(Some(Until::Described)),
            b'1' => p.unit == Unit::Prepare(Some(Until::Parsed)),
            b'2' => p.unit == Unit::Prepare(Some(Until::Bound)),
            b'3' => p.unit == Unit::Prepare(Some(Until::Closed)),
            b'W' => {
                p.went_well = true;
                p.stream = true;
                false
            }
            b'C' | b'I' | b's' => {
                p.went_well = true;
                p.presumed = false;
                if p.verb.is_empty() && matches!(p.source, Source::Unknown(_)) && frame.kind == b'C' {
                    let tag = message::string(frame.body).0;
                    p.verb = verb(tag.split(|b| *b == b' ').next().unwrap_or_default());
                }
                p.unit == Unit::Execute
            }
            b'E' => {
                p.failed = true;
                p.error = p.error.or(message::sqlstate(frame.body));
                self.skipping = !matches!(p.unit, Unit::Query | Unit::Call);
                self.skipping
            }
            _ => false,
        };
        if done && let Some(p) = self.queue.pop_front() {
            tell_whole(p, out);
        }
    }

    /// ReadyForQuery: all up to the next Sync, or the query, is answered.
    fn ready(&mut self, frame: &Frame<'_>, at: BootNs, out: &mut Vec<Told>) {
        if self.queue.is_empty() {
            self.undecoded = self.undecoded.saturating_add(std::mem::take(&mut self.doubt));
        }
        let mut matched = false;
        let skipping = std::mem::take(&mut self.skipping);
        while let Some(mut p) = self.queue.pop_front() {
            if let Some(span) = &mut p.response {
                span.last = at;
                span.bytes = span.bytes.saturating_add(frame.size);
            }
            match p.unit {
                Unit::Sync => {
                    matched = true;
                    break;
                }
                Unit::Query | Unit::Call => {
                    matched = true;
                    tell_whole(p, out);
                    break;
                }
                Unit::Execute if p.presumed && p.response.is_some() => {
                    // Only prepared, as it turns out.
                    p.unit = Unit::Prepare(None);
                    tell_whole(p, out);
                }
                Unit::Prepare(_) if p.response.is_some() => tell_whole(p, out),
                Unit::Execute | Unit::Prepare(_) => {
                    let why = if skipping {
                        "not run: a statement before it in its pipeline failed"
                    } else {
                        "its answer was not captured"
                    };
                    tell(p, why, out);
                }
            }
        }
        if self.dropping && !matched {
            self.dropped = self.dropped.saturating_sub(1);
        }
        if self.queue.is_empty() && self.dropped == 0 && !self.dropped_open {
            self.dropping = false;
        }
    }

    fn encryption(&mut self, frame: &Frame<'_>, at: BootNs, out: &mut Vec<Told>) {
        match frame.kind {
            b'S' => self.over = Some(Known::Known(Protocol::Tls)),
            b'G' => self.over = Some(Known::Unknown("encrypted by GSSAPI")),
            b'N' => self.phase = Phase::Start,
            _ => {
                self.phase = Phase::Start;
                self.authentication(frame, at, out);
            }
        }
    }

    fn authentication(&mut self, frame: &Frame<'_>, at: BootNs, out: &mut Vec<Told>) {
        match frame.kind {
            b'E' => {
                if let Some((request, key)) = self.connect.take() {
                    self.understood = true;
                    let source = Source::Whole(Statement { verb: "CONNECT".into(), text: "".into() });
                    let mut p = Pending::new(Unit::Call, source, request, key);
                    p.response = Some(Span { first: frame.first, last: at, bytes: frame.size });
                    p.failed = true;
                    p.error = message::sqlstate(frame.body);
                    tell_whole(p, out);
                }
            }
            b'Z' => {
                self.understood = true;
                self.connect = None;
                self.phase = Phase::Ready;
            }
            _ => {}
        }
    }
}

/// Tells an exchange whose answer was seen to its end.
fn tell_whole(p: Pending, out: &mut Vec<Told>) {
    push(p, None, out);
}

/// Tells an exchange of whose answer something is missing.
fn tell(p: Pending, why: &'static str, out: &mut Vec<Told>) {
    if p.unit != Unit::Sync {
        push(p, Some(why), out);
    }
}

fn push(p: Pending, missing: Option<&'static str>, out: &mut Vec<Told>) {
    let (status, verdict) = match (p.failed, p.error, missing) {
        (true, Some(code), _) => {
            // query_canceled: the client gave up, or its statement_timeout passed.
            let verdict = if &code == b"57014" { Verdict::ClientError } else { Verdict::Error };
            (Known::Known(Cow::Owned(String::from_utf8_lossy(&code).into_owned())), verdict)
        }
        (true, None, _) => (Known::Unknown("the SQLSTATE was not captured"), Verdict::Error),
        (false, _, None) => (Known::Known("OK".into()), Verdict::Ok),
        (false, _, Some(why)) => {
            (Known::Unknown(why), if p.went_well { Verdict::Ok } else { Verdict::Unknown })
        }
    };
    let (method, target) = p.source.told(p.verb, matches!(p.unit, Unit::Prepare(_)));
    out.push(Told {
        protocol: Protocol::Postgres,
        shape: if p.stream { Shape::Stream } else { Shape::Unary },
        method,
        target,
        status,
        verdict,
        request: p.request,
        response: p.response,
        key: (p.key, 0),
        dns: None,
    });
}
