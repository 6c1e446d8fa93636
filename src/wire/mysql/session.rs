//! What is pending on a connection, and what was prepared.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::super::hash::Keyed;
use super::super::sql::frames::Frame;
use super::super::sql::{Dialect, Recent, Source, Statement};
use super::super::{Span, Told};
use super::packet::{self, command};
use crate::model::{BootNs, Known, Protocol, Shape, Verdict};

/// Most commands that may wait for an answer; what is asked beyond is counted as undecoded.
pub const PENDING: usize = 1024;
/// Most prepared statements that are known; the oldest goes first.
pub const STATEMENTS: usize = 512;
/// Packets with unexpected sequence numbers between two answers before their place is doubted.
const STRAYS: u8 = 8;

/// Longest ERR packet: its message has up to 512 bytes. More missing bytes than that, where rows are
/// expected, are rows.
const ERROR: u64 = 600;
/// Length of most definitions of a column, generously.
const DEFINITION: u64 = 128;

/// Where the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Phase {
    /// The server greets.
    #[default]
    Greeting,
    /// The client answers the greeting.
    Hello,
    /// Authentication.
    Authentication,
    /// Commands.
    Command,
}

/// What comes next of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Its first packet, or that of another result.
    First,
    /// So many definitions of columns.
    Definitions(u64),
    /// Rows; `ended`: the EOF that may come before them did, or cannot come.
    Rows { ended: bool },
    /// Definitions of a prepared statement's parameters, then of its columns.
    Prepared { parameters: u16, columns: u16 },
    /// The client's file.
    File,
}

#[derive(Debug)]
pub(super) struct Pending {
    command: u8,
    source: Source,
    request: Span,
    key: u64,
    /// Sequence number of its last packet, if that was captured.
    sequence: Option<u8>,
    state: State,
    response: Option<Span>,
    error: Option<(u16, Option<[u8; 5]>)>,
    failed: bool,
    /// Rows or OK were seen.
    went_well: bool,
    /// Bytes of the answer that could not be read.
    unread: u64,
}

/// State of a connection.
#[derive(Debug, Default)]
pub struct Session {
    pub phase: Phase,
    pub over: Option<Known<Protocol>>,
    /// An answer fitted since this was last reset.
    pub understood: bool,
    connect: Option<(Span, u64)>,
    offered: Option<u32>,
    capabilities: Option<u32>,
    no_escapes: bool,
    pub(super) queue: VecDeque<Pending>,
    statements: HashMap<u32, Arc<Statement>, Keyed>,
    pub(super) order: VecDeque<u32>,
    recent: Recent,
    forgot: bool,
    last: Option<Arc<Statement>>,
    /// The next packet of the side continues the last one.
    client_full: bool,
    server_full: bool,
    /// Sequence number that the answer's next packet has.
    expected: Option<u8>,
    strays: u8,
    /// Commands that were dropped because too many are pending.
    dropped: bool,
    undecoded: u64,
    answered_while_lost: bool,
}

impl Session {
    pub fn take_undecoded(&mut self) -> u64 {
        std::mem::take(&mut self.undecoded)
    }

    /// Bytes of answers that could not be read belonged to exchanges that are told.
    pub fn take_answered_while_lost(&mut self) -> bool {
        std::mem::take(&mut self.answered_while_lost) || !self.queue.is_empty()
    }

    /// More of the last request's packet.
    pub fn request_goes_on(&mut self, at: BootNs) {
        if let Some(p) = self.queue.back_mut().filter(|p| p.response.is_none()) {
            p.request.last = at;
        }
    }

    /// More of an answer that cannot be read.
    pub fn response_goes_on(&mut self, at: BootNs, bytes: u64) {
        if let Some(p) = self.queue.front_mut() {
            if bytes > 0 || p.response.is_some() {
                let span = p.response.get_or_insert(Span { first: at, last: at, bytes: 0 });
                span.last = at;
                span.bytes = span.bytes.saturating_add(bytes);
                p.unread = p.unread.saturating_add(bytes);
                p.went_well |= match p.state {
                    State::Definitions(left) => {
                        p.unread >= DEFINITION.saturating_mul(left).saturating_add(ERROR)
                    }
                    State::Rows { .. } => p.unread >= ERROR,
                    _ => false,
                };
            }
            self.answered_while_lost |= bytes > 0;
        }
    }

    /// A packet of the client; whether it fits.
    pub fn client(&mut self, frame: &Frame<'_>, at: BootNs) -> bool {
        let continued = std::mem::replace(&mut self.client_full, frame.size == packet::FULL + 4);
        match self.phase {
            Phase::Greeting if frame.kind == 0 => self.phase = Phase::Command,
            Phase::Hello => return self.hello(frame, at),
            Phase::Greeting => return false,
            Phase::Authentication => return true,
            Phase::Command => {}
        }
        if frame.kind != 0 || continued {
            // More of a request, a file, or authentication as another user.
            let data = self.data_follows();
            let p = if data { self.queue.front_mut() } else { self.queue.back_mut().filter(|_| continued) };
            let Some(p) = p else { return false };
            p.request.bytes = p.request.bytes.saturating_add(frame.size);
            if data {
                self.expected = None;
            } else {
                p.request.last = at;
                p.sequence = Some(frame.kind);
            }
            return true;
        }
        let Some((command, rest)) = frame.body.split_first() else { return frame.cut };
        let Some(name) = packet::name(*command) else { return false };
        self.command(*command, name, rest, frame, at);
        true
    }

    /// The client answers the server before a command is over: with a file, or to authenticate.
    fn data_follows(&self) -> bool {
        self.queue.front().is_some_and(|p| {
            p.state == State::File || (p.command == command::CHANGE_USER && p.response.is_some())
        })
    }

    /// The client's next packet is a command, or nothing that fits.
    pub fn command_begins(&self) -> bool {
        let phase = matches!(self.phase, Phase::Greeting | Phase::Command);
        phase && !self.client_full && !self.data_follows()
    }

    fn command(&mut self, command: u8, name: &'static str, rest: &[u8], frame: &Frame<'_>, at: BootNs) {
        let named = || Statement { verb: name.into(), text: "".into() };
        let id = rest.first_chunk::<4>().map(|b| u32::from_le_bytes(*b));
        let source = match command {
            command::QUIT | command::LONG_DATA => return,
            command::CLOSE => {
                if let Some(id) = id {
                    self.statements.remove(&id);
                }
                return;
            }
            command::QUERY => match statement(rest) {
                Some(sql) => {
                    let cut = (sql.len() as u64) < frame.size.saturating_sub(7);
                    Source::Shared(self.recent.normalise(sql, self.dialect(), cut))
                }
                None => Source::Unknown("sent with query attributes"),
            },
            command::PREPARE => {
                let cut = (rest.len() as u64) < frame.size.saturating_sub(5);
                let statement = self.recent.normalise(rest, self.dialect(), cut);
                self.last = Some(Arc::clone(&statement));
                Source::Shared(statement)
            }
            command::EXECUTE | command::BULK_EXECUTE | command::FETCH | command::RESET => {
                let found = match id {
                    Some(u32::MAX) => self.last.as_ref(),
                    Some(id) => self.statements.get(&id),
                    None => None,
                };
                match found {
                    Some(s) if matches!(command, command::FETCH | command::RESET) => {
                        Source::Whole(Statement { verb: name.into(), text: s.text.clone() })
                    }
                    Some(s) => Source::Shared(Arc::clone(s)),
                    None if matches!(command, command::FETCH | command::RESET) => Source::Whole(named()),
                    None if self.forgot => Source::Unknown("too many statements are prepared"),
                    None if self.capabilities.is_some() => {
                        Source::Unknown("its preparation was not captured")
                    }
                    None => Source::Unknown("prepared before webb watched"),
                }
            }
            _ => Source::Whole(named()),
        };
        if self.dropped || self.queue.len() >= PENDING {
            self.dropped = true;
            self.undecoded = self.undecoded.saturating_add(frame.size);
            return;
        }
        let rows = matches!(command, command::FETCH | command::FIELD_LIST);
        self.queue.push_back(Pending {
            command,
            source,
            request: Span { first: frame.first, last: at, bytes: frame.size },
            key: frame.offset,
            sequence: Some(frame.kind),
            state: if rows { State::Rows { ended: true } } else { State::First },
            response: None,
            error: None,
            failed: false,
            went_well: false,
            unread: 0,
        });
    }

    fn dialect(&self) -> Dialect {
        Dialect::Mysql { escapes: !self.no_escapes }
    }

    fn hello(&mut self, frame: &Frame<'_>, at: BootNs) -> bool {
        let Some(flags) = frame.body.first_chunk::<4>().map(|b| u32::from_le_bytes(*b)) else { return true };
        if flags & packet::SSL != 0 && frame.size == 36 {
            self.over = Some(Known::Known(Protocol::Tls));
            return true;
        }
        self.capabilities = Some(flags & self.offered.unwrap_or(u32::MAX));
        self.connect = Some((Span { first: frame.first, last: at, bytes: frame.size }, frame.offset));
        self.phase = Phase::Authentication;
        true
    }

    /// `len` bytes of the client are missing, beyond a packet whose head was seen.
    pub fn requests_missing(&mut self, _at: BootNs, len: u64) {
        let file = self.queue.front().is_some_and(|p| p.state == State::File);
        if file || std::mem::take(&mut self.client_full) {
            if let Some(p) = self.queue.back_mut() {
                p.request.bytes = p.request.bytes.saturating_add(len);
                p.sequence = None;
            }
            self.expected = None;
        } else if self.phase == Phase::Command {
            self.undecoded = self.undecoded.saturating_add(len);
        }
    }

    /// After missing bytes the client's packets can be read again.
    pub fn requests_found(&mut self) {
        self.client_full = false;
        if matches!(self.phase, Phase::Authentication | Phase::Hello) {
            return;
        }
        self.phase = Phase::Command;
    }

    /// After missing bytes the server's packets can be read again.
    pub fn answers_found(&mut self) {
        self.server_full = false;
        self.expected = None;
    }

    /// The client speaks again: what was asked before is answered, though not all of it was seen.
    pub fn answers_over(&mut self, out: &mut Vec<Told>) {
        if self.phase == Phase::Greeting || self.phase == Phase::Hello {
            return;
        }
        self.phase = Phase::Command;
        self.dropped = false;
        while let Some(p) = self.queue.pop_front() {
            push(p, Some("the end of the answer was not captured"), out);
        }
    }

    /// The connection is over.
    pub fn end(&mut self, lost: bool, out: &mut Vec<Told>) {
        let why = if lost {
            "the end of the answer was not captured"
        } else {
            "the connection ended before the answer"
        };
        while let Some(p) = self.queue.pop_front() {
            push(p, Some(why), out);
        }
    }

    /// A packet of the server; whether it fits.
    pub fn server(&mut self, frame: &Frame<'_>, at: BootNs, out: &mut Vec<Told>) -> bool {
        let continued = std::mem::replace(&mut self.server_full, frame.size == packet::FULL + 4);
        let first = frame.body.first().copied();
        match (self.phase, first) {
            (Phase::Greeting, Some(10)) if frame.kind == 0 => {
                if let Some((capabilities, status)) = packet::offered(frame.body) {
                    self.offered = Some(capabilities);
                    self.status(status);
                }
                self.phase = Phase::Hello;
                return true;
            }
            (Phase::Greeting | Phase::Authentication, Some(0xff)) if self.queue.is_empty() => {
                self.refused(frame, at, out);
                return true;
            }
            (Phase::Greeting, _) if frame.kind != 1 => return false,
            (Phase::Greeting, _) => self.phase = Phase::Command,
            (Phase::Authentication, Some(0)) => {
                self.understood = true;
                self.phase = Phase::Command;
                self.connect = None;
                if self.capabilities.unwrap_or(0) & (packet::COMPRESS | packet::ZSTD) != 0 {
                    self.over = Some(Known::Unknown("compressed"));
                }
                if let Some(status) = packet::ok_status(frame.body) {
                    self.status(status);
                }
                return true;
            }
            (Phase::Hello | Phase::Authentication, _) => return true,
            (Phase::Command, _) => {}
        }
        let Some(p) = self.queue.front_mut() else {
            // Of a command from before, or the end of the connection is announced.
            self.dropped = false;
            return true;
        };
        let fresh = p.response.is_none();
        let expected = if fresh { p.sequence.map(|s| s.wrapping_add(1)) } else { self.expected };
        if expected.is_some_and(|e| e != frame.kind) {
            // A late end of the answer before, of which it could not be known that it comes.
            self.strays = self.strays.saturating_add(1);
            return fresh && self.strays < STRAYS;
        }
        self.strays = 0;
        self.expected = Some(frame.kind.wrapping_add(1));
        let span = p.response.get_or_insert(Span { first: frame.first, last: at, bytes: 0 });
        span.last = at;
        span.bytes = span.bytes.saturating_add(frame.size);
        if continued {
            return true;
        }
        let prepared = match (&p.source, frame.body) {
            (Source::Shared(s), [0, a, b, c, d, ..]) if fresh && p.command == command::PREPARE => {
                Some((u32::from_le_bytes([*a, *b, *c, *d]), Arc::clone(s)))
            }
            _ => None,
        };
        let (done, status) = p.answer(frame, self.capabilities);
        if let Some((id, statement)) = prepared {
            self.remember(id, statement);
        }
        if let Some(status) = status {
            self.status(status);
        }
        if done {
            self.understood = true;
            self.expected = None;
            if let Some(p) = self.queue.pop_front() {
                push(p, None, out);
            }
        }
        true
    }

    fn status(&mut self, status: u16) {
        self.no_escapes = status & packet::NO_ESCAPES != 0;
    }

    fn remember(&mut self, id: u32, statement: Arc<Statement>) {
        if self.statements.insert(id, statement).is_some() {
            return;
        }
        // The order may hold statements that were closed: they go with the oldest.
        while self.order.len() >= STATEMENTS {
            if let Some(old) = self.order.pop_front() {
                self.forgot |= self.statements.remove(&old).is_some();
            }
        }
        self.order.push_back(id);
    }

    fn refused(&mut self, frame: &Frame<'_>, at: BootNs, out: &mut Vec<Told>) {
        self.understood = true;
        let unasked = Span { first: frame.first, last: frame.first, bytes: 0 };
        let (request, key) = self.connect.take().unwrap_or((unasked, 0));
        let p = Pending {
            command: 0,
            source: Source::Whole(Statement { verb: "CONNECT".into(), text: "".into() }),
            request,
            key,
            sequence: None,
            state: State::First,
            response: Some(Span { first: frame.first, last: at, bytes: frame.size }),
            error: packet::error(frame.body),
            failed: true,
            went_well: false,
            unread: 0,
        };
        push(p, None, out);
    }
}

/// The SQL of a query. MySQL 8 may put attributes before it: none are passed over, where there are
/// some it cannot be told what is SQL.
fn statement(body: &[u8]) -> Option<&[u8]> {
    match body {
        [0, 1, sql @ ..] => Some(sql),
        [0..=8, ..] => None,
        sql => Some(sql),
    }
}

impl Pending {
    /// A packet of its answer: whether it is the last one, and the server's status, where it says.
    fn answer(&mut self, frame: &Frame<'_>, capabilities: Option<u32>) -> (bool, Option<u16>) {
        let body = frame.body;
        let len = frame.size.saturating_sub(4);
        let Some(first) = body.first().copied() else { return (false, None) };
        if first == 0xff && self.state != State::File && self.command != command::STATISTICS {
            let error = packet::error(body);
            // MariaDB reports progress so.
            if error.is_some_and(|(code, _)| code == u16::MAX) {
                return (false, None);
            }
            self.failed = true;
            self.error = error;
            return (true, None);
        }
        match self.state {
            State::File | State::First => self.first(first, body, len),
            State::Definitions(left) if definition(body, frame.cut) => {
                self.state = match left.saturating_sub(1) {
                    0 => State::Rows { ended: false },
                    left => State::Definitions(left),
                };
                (false, None)
            }
            State::Definitions(_) => {
                // None are sent where the client has them already.
                self.state = State::Rows { ended: true };
                self.row(first, body, len)
            }
            State::Rows { .. } => self.row(first, body, len),
            State::Prepared { parameters, columns } => {
                let end = first == 0xfe && len == 5;
                let (parameters, columns) = match (end, parameters, columns) {
                    // The EOF after the parameters.
                    (true, 0, 1..) => (0, columns),
                    (true, _, _) => return (true, packet::eof_status(body)),
                    (false, 0, _) => (0, columns.saturating_sub(1)),
                    (false, _, _) => (parameters.saturating_sub(1), columns),
                };
                self.state = State::Prepared { parameters, columns };
                let without_end = capabilities.is_none_or(|c| c & packet::DEPRECATE_EOF != 0);
                (parameters == 0 && columns == 0 && without_end, None)
            }
        }
    }

    /// The first packet of an answer or of another result.
    fn first(&mut self, first: u8, body: &[u8], len: u64) -> (bool, Option<u16>) {
        match (self.command, first) {
            (command::STATISTICS, _) => {
                self.went_well = true;
                (true, None)
            }
            (command::PREPARE, 0) => {
                self.went_well = true;
                let count = |i: usize| {
                    body.get(i..).and_then(|b| b.first_chunk::<2>()).map_or(0, |b| u16::from_le_bytes(*b))
                };
                let (columns, parameters) = (count(5), count(7));
                self.state = State::Prepared { parameters, columns };
                (parameters == 0 && columns == 0, None)
            }
            // Another way to authenticate, or more of this one.
            (command::CHANGE_USER, 1..=0xfe) => (false, None),
            (command::BINLOG_DUMP | command::BINLOG_DUMP_GTID, first) => {
                self.went_well = true;
                (first == 0xfe && len < 9, None)
            }
            (_, 0) => {
                self.went_well = true;
                let status = packet::ok_status(body);
                self.state = State::First;
                (status.is_none_or(|s| s & packet::MORE_RESULTS == 0), status)
            }
            (_, 0xfe) if len < 9 => {
                self.went_well = true;
                (true, packet::eof_status(body))
            }
            (command::QUERY, 0xfb) => {
                self.state = State::File;
                (false, None)
            }
            (command::QUERY | command::EXECUTE | command::BULK_EXECUTE | 0x0a, _) => {
                match packet::integer(body) {
                    Some((columns, _)) if columns > 0 => self.state = State::Definitions(columns),
                    _ => self.state = State::Rows { ended: true },
                }
                (false, None)
            }
            _ => {
                self.went_well = true;
                (true, None)
            }
        }
    }

    /// A row, or what ends the rows: EOF of 5 bytes, or OK, which is longer.
    fn row(&mut self, first: u8, body: &[u8], len: u64) -> (bool, Option<u16>) {
        let State::Rows { ended } = self.state else { return (false, None) };
        if first != 0xfe || len >= packet::FULL || len == 6 || len < 5 {
            // After a row there is no EOF but the last.
            self.went_well = true;
            self.state = State::Rows { ended: true };
            return (false, None);
        }
        let status = if len == 5 { packet::eof_status(body) } else { packet::ok_status(body) };
        let flags = status.unwrap_or(0);
        if len == 5 && !ended && flags & packet::CURSOR == 0 {
            self.state = State::Rows { ended: true };
            return (false, None);
        }
        self.went_well = true;
        self.state = State::First;
        (flags & packet::MORE_RESULTS == 0, status)
    }
}

/// A column's definition: its first field is the catalog, `def`.
fn definition(body: &[u8], cut: bool) -> bool {
    body.starts_with(b"\x03def") || (cut && b"\x03def".starts_with(body))
}

fn push(p: Pending, missing: Option<&'static str>, out: &mut Vec<Told>) {
    let (status, verdict) = match (p.failed, p.error, missing) {
        (true, Some((code, state)), _) => {
            // Killed, or its time limit passed (MariaDB 1969, MySQL 3024).
            let verdict =
                if matches!(code, 1317 | 1969 | 3024) { Verdict::ClientError } else { Verdict::Error };
            // HY000 says nothing: all that has no state of its own.
            let status = match state.filter(|s| s != b"HY000") {
                Some(state) => String::from_utf8_lossy(&state).into_owned(),
                None => code.to_string(),
            };
            (Known::Known(Cow::Owned(status)), verdict)
        }
        (true, None, _) => (Known::Unknown("the error's code was not captured"), Verdict::Error),
        (false, _, None) => (Known::Known("OK".into()), Verdict::Ok),
        (false, _, Some(why)) => {
            (Known::Unknown(why), if p.went_well { Verdict::Ok } else { Verdict::Unknown })
        }
    };
    let stream = matches!(p.command, command::BINLOG_DUMP | command::BINLOG_DUMP_GTID);
    let (method, target) = p.source.told(Cow::Borrowed(""), p.command == command::PREPARE);
    out.push(Told {
        protocol: Protocol::Mysql,
        shape: if stream { Shape::Stream } else { Shape::Unary },
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
