//! What a Redis server says: replies and pushed messages, RESP 2 and 3.

use std::borrow::Cow;

use crate::model::BootNs;
use crate::wire::decoder::Span;
use crate::wire::line::{Line, number};

/// Longest beginning of a line that is looked at: an error's code, a short status.
const LINE: usize = 48;
/// How deep replies may nest; `COMMAND DOCS` needs 9 levels.
const DEPTH: usize = 32;
/// Longest first word of a list that is looked at: `punsubscribe` has 12 letters.
const WORD: usize = 16;
/// More elements or longer strings than this are no reply.
const MOST: u64 = 1 << 40;
/// Longest error code that is told.
const CODE: usize = 24;

/// A reply or a pushed message, as far as it was seen.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) span: Span,
    /// The type byte; 0 until it was seen.
    pub(super) kind: u8,
    /// The status in its own words: `OK`, an error's code.
    pub(super) status: Option<Cow<'static, str>>,
    /// The code of the first error among the elements of a list.
    pub(super) inner: Option<Cow<'static, str>>,
    /// Elements, if it is a list.
    pub(super) elements: u64,
    /// Its last element is the number 0.
    pub(super) zero: bool,
    word: [u8; WORD],
    word_len: usize,
}

impl Reply {
    fn new(at: BootNs) -> Self {
        Reply {
            span: Span { first: at, last: at, bytes: 0 },
            kind: 0,
            status: None,
            inner: None,
            elements: 0,
            zero: false,
            word: [0; WORD],
            word_len: 0,
        }
    }

    /// The first element of a list, if it is a short string.
    pub(super) fn word(&self) -> &[u8] {
        self.word.get(..self.word_len).unwrap_or_default()
    }

    /// It is an error.
    pub(super) fn is_error(&self) -> bool {
        matches!(self.kind, b'-' | b'!')
    }
}

/// What a step of reading found.
pub(super) enum Step {
    /// A reply is complete.
    Reply(Reply),
    /// This is not a reply; so many bytes of it were taken.
    Broken(u64),
}

enum Found {
    /// An element that holds no others, or a list's header.
    Element,
    /// The reply is complete.
    End,
    /// An empty line: sent to keep a replica waiting.
    Nothing,
    Broken,
}

/// Reader of what the server says. State: one line's beginning and a counter per level of nesting.
pub(super) struct Replies {
    line: Line<LINE>,
    current: Option<Reply>,
    /// Elements to come per level.
    left: [u64; DEPTH],
    depth: usize,
    /// Bit n: level n is of an attribute, which is no element of the level below.
    attributes: u32,
    /// Bytes to come of a string with its line end.
    bulk: u64,
    /// How many bytes of it belong into the reply's word.
    wanted: usize,
    /// Where the next reply begins is not known.
    pub(super) lost: bool,
    /// Because a gap began in the reply in hand.
    cut: bool,
}

impl Replies {
    pub(super) fn new() -> Self {
        Replies {
            line: Line::default(),
            current: None,
            left: [0; DEPTH],
            depth: 0,
            attributes: 0,
            bulk: 0,
            wanted: 0,
            lost: false,
            cut: false,
        }
    }

    /// The next byte begins a reply.
    pub(super) fn between(&self) -> bool {
        self.current.is_none()
    }

    /// Begins afresh: the next byte begins a reply. What was read of the one before.
    pub(super) fn restart(&mut self) -> Option<Reply> {
        self.line.clear();
        (self.depth, self.attributes, self.bulk) = (0, 0, 0);
        (self.lost, self.cut) = (false, false);
        self.current.take().filter(|r| r.kind != 0)
    }

    /// Reads on until a reply is complete or `data` is used up.
    pub(super) fn next(&mut self, at: BootNs, data: &mut &[u8]) -> Option<Step> {
        let mut start = data.len();
        while !data.is_empty() {
            self.current.get_or_insert_with(|| Reply::new(at));
            match self.step(data) {
                Found::Element => {}
                Found::End => {
                    let mut reply = self.current.take()?;
                    reply.span.bytes += (start - data.len()) as u64;
                    reply.span.last = at;
                    return Some(Step::Reply(reply));
                }
                Found::Nothing => {
                    self.current = None;
                    start = data.len();
                }
                Found::Broken => {
                    let taken = (start - data.len()) as u64;
                    let reply = self.current.as_mut()?;
                    reply.span.bytes += taken;
                    reply.span.last = at;
                    let bytes = reply.span.bytes;
                    // What broke inside of a list is still the reply that it began as.
                    if self.depth == 0 {
                        self.current = None;
                    }
                    return Some(Step::Broken(bytes));
                }
            }
        }
        if let Some(reply) = &mut self.current {
            reply.span.bytes += start as u64;
            reply.span.last = at;
        }
        None
    }

    /// `len` bytes are missing: those inside of a string are passed over; `len` becomes the rest,
    /// which is not understood. What is read of the current reply stays for [`Replies::restart`].
    pub(super) fn gap(&mut self, at: BootNs, len: &mut u64) -> Option<Step> {
        let n = self.bulk.min(*len);
        if n > 0 {
            *len -= n;
            self.bulk -= n;
            self.wanted = 0;
            if let Some(reply) = &mut self.current {
                reply.word_len = 0;
                reply.span.bytes += n;
                reply.span.last = at;
            }
            if self.bulk == 0 && self.element() {
                return self.current.take().map(Step::Reply);
            }
        }
        if *len > 0 {
            // The beginning of a line that was cut still says what kind of reply it is.
            let kind = self.line.partial().first().copied();
            if let (Some(reply), Some(kind)) = (&mut self.current, kind)
                && reply.kind == 0
            {
                reply.kind = kind;
                if kind == b'-' {
                    reply.status = cut_code(self.line.partial());
                }
            }
            (self.lost, self.cut) = (true, true);
        }
        None
    }

    /// When the reply began whose end is not known because of a gap.
    pub(super) fn cut_since(&self) -> Option<BootNs> {
        let reply = self.current.as_ref().filter(|r| self.cut && !matches!(r.kind, 0 | b'>'))?;
        Some(reply.span.first)
    }

    /// `len` more bytes belong to it.
    pub(super) fn goes_on(&mut self, at: BootNs, len: u64) {
        if let Some(reply) = &mut self.current {
            reply.span.bytes = reply.span.bytes.saturating_add(len);
            reply.span.last = at;
        }
    }

    /// One line, or one piece of a string.
    #[inline]
    fn step(&mut self, data: &mut &[u8]) -> Found {
        if self.bulk > 0 {
            let n = usize::try_from(self.bulk).unwrap_or(usize::MAX).min(data.len());
            let (now, later) = data.split_at_checked(n).unwrap_or((data, &[]));
            if self.wanted > 0
                && let Some(reply) = &mut self.current
            {
                let room = reply.word.get_mut(reply.word_len..self.wanted).unwrap_or_default();
                let n = room.len().min(now.len());
                for (to, from) in room.iter_mut().zip(now) {
                    *to = *from;
                }
                reply.word_len += n;
            }
            *data = later;
            self.bulk -= n as u64;
            return if self.bulk > 0 { Found::Element } else { self.string_over() };
        }
        let Some(line) = self.line.take(data) else { return Found::Element };
        let Some(reply) = &mut self.current else { return Found::Broken };
        let Some((&kind, rest)) = line.split_first() else {
            return if self.depth == 0 && reply.kind == 0 { Found::Nothing } else { Found::Broken };
        };
        if self.depth == 0 && kind != b'|' {
            reply.kind = kind;
        }
        let mut list = None;
        match kind {
            b'+' => {
                if self.depth == 0 {
                    reply.status = status(rest);
                }
            }
            b'-' => match self.depth {
                0 => reply.status = code(rest),
                1 if reply.inner.is_none() => reply.inner = code(rest),
                _ => {}
            },
            b':' => {
                if !rest.first().is_some_and(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+')) {
                    return Found::Broken;
                }
                if self.depth == 1 && self.left.first() == Some(&1) {
                    reply.zero = rest == b"0";
                }
            }
            b'$' | b'!' | b'=' => match number(rest).filter(|n| *n <= MOST) {
                Some(len) => {
                    self.bulk = len + 2;
                    let first =
                        self.depth == 1 && self.left.first() == Some(&reply.elements) && len <= WORD as u64;
                    let matters = first || (self.depth == 0 && kind == b'!');
                    self.wanted = if matters { usize::try_from(len).unwrap_or(WORD).min(WORD) } else { 0 };
                    return Found::Element;
                }
                None if rest == b"-1" && kind == b'$' => {
                    if self.depth == 0 {
                        reply.status = Some(Cow::Borrowed("nil"));
                    }
                }
                None => return Found::Broken,
            },
            b'*' | b'~' | b'>' | b'%' | b'|' => match number(rest).filter(|n| *n <= MOST) {
                Some(n) => list = Some(if matches!(kind, b'%' | b'|') { 2 * n } else { n }),
                None if rest == b"-1" && kind == b'*' => {
                    if self.depth == 0 {
                        reply.status = Some(Cow::Borrowed("nil"));
                    }
                }
                None => return Found::Broken,
            },
            b'_' => {
                if !rest.is_empty() {
                    return Found::Broken;
                }
                if self.depth == 0 {
                    reply.status = Some(Cow::Borrowed("nil"));
                }
            }
            b'#' => {
                if !matches!(rest, b"t" | b"f") {
                    return Found::Broken;
                }
            }
            b',' | b'(' => {}
            // Streamed strings and lists ($?, *?) are in the document, but no server sends them.
            _ => return Found::Broken,
        }
        if let Some(n) = list {
            if self.depth == 0 && kind != b'|' {
                reply.elements = n;
            }
            if n > 0 {
                let Some(level) = self.left.get_mut(self.depth) else { return Found::Broken };
                *level = n;
                if kind == b'|' {
                    self.attributes |= 1 << self.depth;
                }
                self.depth += 1;
                return Found::Element;
            }
            if kind == b'|' {
                return Found::Element;
            }
        }
        if self.element() { Found::End } else { Found::Element }
    }

    fn string_over(&mut self) -> Found {
        if self.depth == 0
            && let Some(reply) = &mut self.current
            && reply.kind == b'!'
        {
            reply.status = code(reply.word());
        }
        self.wanted = 0;
        if self.element() { Found::End } else { Found::Element }
    }

    /// An element is complete; whether the reply is.
    #[inline]
    fn element(&mut self) -> bool {
        loop {
            let Some(level) = self.depth.checked_sub(1) else { return true };
            let Some(left) = self.left.get_mut(level) else { return true };
            *left = left.saturating_sub(1);
            if *left > 0 {
                return false;
            }
            self.depth = level;
            if self.attributes & (1 << level) != 0 {
                self.attributes &= !(1 << level);
                return false;
            }
        }
    }
}

/// Status words of Redis itself; a script may return any other as a status, which is then a value.
fn status(word: &[u8]) -> Option<Cow<'static, str>> {
    const WORDS: [&str; 8] =
        ["OK", "QUEUED", "PONG", "RESET", "CONTINUE", "FULLRESYNC", "NOKEY", "BACKGROUND"];
    let word = word.split(|b| *b == b' ').next()?;
    let found = WORDS.iter().find(|w| word.eq_ignore_ascii_case(w.as_bytes()))?;
    Some(Cow::Borrowed(found))
}

/// The code of an error: its first word, if it is one of capitals as in all errors of Redis itself.
fn code(text: &[u8]) -> Option<Cow<'static, str>> {
    const CODES: [&str; 28] = [
        "ERR",
        "WRONGTYPE",
        "MOVED",
        "ASK",
        "NOAUTH",
        "WRONGPASS",
        "NOPERM",
        "NOSCRIPT",
        "BUSYGROUP",
        "LOADING",
        "MASTERDOWN",
        "READONLY",
        "OOM",
        "EXECABORT",
        "CLUSTERDOWN",
        "CROSSSLOT",
        "TRYAGAIN",
        "BUSY",
        "MISCONF",
        "NOREPLICAS",
        "NOGROUP",
        "BUSYKEY",
        "UNBLOCKED",
        "NOPROTO",
        "INPROG",
        "NOGOODSLAVE",
        "IOERR",
        "DENIED",
    ];
    let word = text.split(|b| *b == b' ').next()?;
    if let Some(found) = CODES.iter().find(|c| c.as_bytes() == word) {
        return Some(Cow::Borrowed(found));
    }
    let fits =
        word.len() <= CODE && word.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_');
    let word = std::str::from_utf8(word).ok().filter(|w| fits && !w.is_empty())?;
    Some(Cow::Owned(word.to_owned()))
}

/// The same of a line that was cut: only if the word's end was seen.
fn cut_code(line: &[u8]) -> Option<Cow<'static, str>> {
    let text = line.strip_prefix(b"-")?;
    text.contains(&b' ').then(|| code(text)).flatten()
}
