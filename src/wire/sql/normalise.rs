//! Statements without literals: what they do, not with which values. PostgreSQL documentation,
//! chapter 4 (SQL syntax); MySQL reference manual, chapter 11 (language structure).

use std::borrow::Cow;

use super::tokens::{Lexer, Token};

/// Whose SQL it is: what quotes, comments and dollars mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL: `"…"` is an identifier, `$tag$…$tag$` a string, comments nest.
    Postgres,
    /// MySQL and MariaDB: `"…"` is taken for a string, `` `…` `` is an identifier, backslash escapes,
    /// `#` begins a comment.
    Mysql {
        /// The backslash escapes in strings: not with the SQL mode NO_BACKSLASH_ESCAPES.
        escapes: bool,
    },
}

/// A statement without literals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What it does, upper case: its first keyword; of a WITH the main one, where it was seen.
    /// Empty where there is none.
    pub verb: Cow<'static, str>,
    /// The text, at most [`LIMIT`] bytes and a `…` where it was cut; empty where there is nothing
    /// but comments.
    pub text: Box<str>,
}

/// Longest text of a statement, in bytes.
pub const LIMIT: usize = 160;
/// Longest verb that is not in the list of known ones.
const VERB_LIMIT: usize = 24;
/// Parentheses within lists that are followed; deeper ones are shown as they are.
const LISTS: usize = 8;

const VERBS: [&str; 60] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SET",
    "SHOW",
    "WITH",
    "END",
    "EXECUTE",
    "PREPARE",
    "DEALLOCATE",
    "START",
    "SAVEPOINT",
    "RELEASE",
    "COPY",
    "CREATE",
    "DROP",
    "ALTER",
    "TRUNCATE",
    "REPLACE",
    "MERGE",
    "CALL",
    "DO",
    "EXPLAIN",
    "ANALYZE",
    "VACUUM",
    "USE",
    "DESCRIBE",
    "DESC",
    "GRANT",
    "REVOKE",
    "LOCK",
    "UNLOCK",
    "DECLARE",
    "FETCH",
    "MOVE",
    "CLOSE",
    "LISTEN",
    "NOTIFY",
    "UNLISTEN",
    "VALUES",
    "TABLE",
    "REINDEX",
    "REFRESH",
    "COMMENT",
    "DISCARD",
    "RESET",
    "ABORT",
    "CLUSTER",
    "CHECKPOINT",
    "LOAD",
    "KILL",
    "FLUSH",
    "HANDLER",
    "OPTIMIZE",
    "XA",
    "REINDEX",
];
/// What can follow the named queries of a WITH.
const MAIN: [&str; 8] = ["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "VALUES", "TABLE"];

/// The verb of a keyword, without allocation where it is a known one. Empty if it is none.
pub fn verb(word: &[u8]) -> Cow<'static, str> {
    if let Some(known) = VERBS.iter().find(|v| v.as_bytes().eq_ignore_ascii_case(word)) {
        return Cow::Borrowed(known);
    }
    if word.len() > VERB_LIMIT || !word.iter().all(|b| b.is_ascii_alphabetic() || *b == b'_') {
        return Cow::Borrowed("");
    }
    Cow::Owned(String::from_utf8_lossy(word).to_ascii_uppercase())
}

/// Whether a text begins with a keyword that begins statements; for telling SQL from other bytes.
pub fn begins_statement(sql: &[u8], dialect: Dialect) -> bool {
    let mut tokens = Lexer::new(sql, dialect);
    while let Some(token) = tokens.next() {
        match token {
            Token::Word(word) => return VERBS.iter().any(|v| v.as_bytes().eq_ignore_ascii_case(word)),
            Token::Space | Token::Open => {}
            _ => return false,
        }
    }
    false
}

/// The statement without literals: they and parameters become `?`, lists of them in IN and VALUES
/// `?+`, further rows of VALUES are left out, comments too, white space is collapsed. Keywords are
/// kept as written. `cut`: the text goes on, but was not captured. Where it cannot be told what is
/// literal and what is not, the text is cut.
pub fn normalise(sql: &[u8], dialect: Dialect, cut: bool) -> Statement {
    normalise_noting(sql, dialect, cut, |_, _| {})
}

/// The same, and tells where numbers that are digits only begin and end.
pub(super) fn normalise_noting(
    sql: &[u8],
    dialect: Dialect,
    cut: bool,
    mut number: impl FnMut(usize, usize),
) -> Statement {
    let mut tokens = Lexer::new(sql, dialect);
    let mut writer = Writer::default();
    while let Some(token) = tokens.next() {
        writer.space |= std::mem::take(&mut tokens.space);
        if token == Token::Number
            && let Some((from, to)) = tokens.digits()
        {
            number(from, to);
        }
        writer.token(token);
        if writer.done || (tokens.conditional && matches!(token, Token::Word(_))) {
            break;
        }
    }
    if cut || tokens.broken || tokens.conditional {
        writer.cut = true;
    }
    writer.finish()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Kind {
    #[default]
    Start,
    Operand,
    Operator,
    /// IN or VALUES: a list may follow.
    Lister,
    Open,
    Comma,
}

/// A parenthesis whose elements are collapsed.
#[derive(Clone, Copy, Debug, Default)]
struct List {
    /// At this depth of parentheses its elements lie.
    depth: usize,
    /// Where in the text the current element begins.
    element: usize,
    /// Where the last finished element ended, if it was nothing but values.
    run: Option<usize>,
}

#[derive(Debug)]
struct Writer {
    text: [u8; LIMIT],
    len: usize,
    verb: Cow<'static, str>,
    kind: Kind,
    /// Kind of the token before the last.
    before: Kind,
    /// Where the last token's text begins.
    last: usize,
    space: bool,
    depth: usize,
    lists: [List; LISTS],
    open: usize,
    /// A row of a list just ended at this depth: further rows are left out.
    rows: Option<usize>,
    comma: bool,
    /// Depth above which nothing is written: within a further row.
    mute: Option<usize>,
    /// A parenthesis was closed at depth 0: the named queries of a WITH may be over.
    closed: bool,
    semicolon: bool,
    secret: bool,
    full: bool,
    cut: bool,
    done: bool,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            text: [0; LIMIT],
            len: 0,
            verb: Cow::Borrowed(""),
            kind: Kind::Start,
            before: Kind::Start,
            last: 0,
            space: false,
            depth: 0,
            lists: [List::default(); LISTS],
            open: 0,
            rows: None,
            comma: false,
            mute: None,
            closed: false,
            semicolon: false,
            secret: false,
            full: false,
            cut: false,
            done: false,
        }
    }
}

impl Writer {
    fn token(&mut self, token: Token<'_>) {
        if token == Token::Space {
            self.space = true;
            return;
        }
        if let Some(depth) = self.mute {
            match token {
                Token::Open => self.depth += 1,
                Token::Close => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == depth {
                        self.mute = None;
                        self.rows = Some(depth);
                    }
                }
                _ => {}
            }
            return;
        }
        if self.rows == Some(self.depth) {
            match token {
                Token::Comma => {
                    self.comma = true;
                    return;
                }
                Token::Open if self.comma => {
                    self.comma = false;
                    self.mute = Some(self.depth);
                    self.depth += 1;
                    return;
                }
                _ => {}
            }
            self.rows = None;
            if std::mem::take(&mut self.comma) {
                self.comma();
            }
        }
        match token {
            Token::Space => {}
            Token::Word(word) => self.word(word),
            Token::Quoted(name) => self.write(name, Kind::Operand),
            Token::Number => {
                // A sign belongs to the number where no operand comes before it.
                let sign = self.kind == Kind::Operator
                    && self.before != Kind::Operand
                    && matches!(self.text.get(self.last..self.len), Some([b'-' | b'+']));
                if sign {
                    self.len = self.last;
                    self.space = false;
                }
                self.write(b"?", Kind::Operand);
            }
            Token::Value => self.write(b"?", Kind::Operand),
            Token::Operator(op) => self.write(op, Kind::Operator),
            Token::Comma => self.comma(),
            Token::Semicolon => self.semicolon = true,
            Token::Open => self.open(),
            Token::Close => self.close(),
        }
        if self.full && self.verb != "WITH" {
            self.done = true;
        }
    }

    fn word(&mut self, word: &[u8]) {
        if self.kind == Kind::Start || (self.verb.is_empty() && self.kind == Kind::Open) {
            self.verb = verb(word);
        } else if self.depth == 0
            && self.closed
            && self.verb == "WITH"
            && let Some(main) = MAIN.iter().find(|v| v.as_bytes().eq_ignore_ascii_case(word))
        {
            self.verb = Cow::Borrowed(main);
        }
        let lister = word.eq_ignore_ascii_case(b"in") || word.eq_ignore_ascii_case(b"values");
        self.write(word, if lister { Kind::Lister } else { Kind::Operand });
        // What follows these may be a secret in whatever form.
        let secret = word.eq_ignore_ascii_case(b"password") || word.eq_ignore_ascii_case(b"identified");
        if secret && matches!(&*self.verb, "ALTER" | "CREATE" | "SET" | "GRANT") {
            self.cut = true;
            self.secret = true;
            self.done = true;
        }
    }

    fn open(&mut self) {
        let parent = self.list().is_some_and(|l| l.element == self.len && l.depth == self.depth);
        let list = self.kind == Kind::Lister || (parent && matches!(self.kind, Kind::Open | Kind::Comma));
        if self.kind == Kind::Lister {
            self.space = true;
        }
        self.write(b"(", Kind::Open);
        self.depth += 1;
        if list
            && !self.full
            && let Some(slot) = self.lists.get_mut(self.open)
        {
            *slot = List { depth: self.depth, element: self.len, run: None };
            self.open += 1;
        }
    }

    fn close(&mut self) {
        self.element();
        let list = self.list().is_some_and(|l| l.depth == self.depth);
        if list {
            self.open -= 1;
        }
        self.depth = self.depth.saturating_sub(1);
        self.space = false;
        self.write(b")", Kind::Operand);
        if list {
            self.rows = Some(self.depth);
        }
        self.closed |= self.depth == 0;
    }

    fn comma(&mut self) {
        self.element();
        self.space = false;
        self.write(b",", Kind::Comma);
        self.space = true;
        let (len, depth, open) = (self.len, self.depth, self.open);
        if let Some(list) = self.lists.get_mut(..open).and_then(|l| l.last_mut()).filter(|l| l.depth == depth)
        {
            list.element = len;
        }
    }

    fn list(&self) -> Option<&List> {
        self.lists.get(..self.open).and_then(|l| l.last())
    }

    /// An element of a list is over: values that follow each other become one.
    fn element(&mut self) {
        let Some(list) = self.list().copied().filter(|l| l.depth == self.depth && !self.full) else { return };
        let written = self.text.get(list.element..self.len).unwrap_or_default();
        let run = match (written.trim_ascii() == b"?", list.run) {
            (false, _) => None,
            (true, Some(end)) => {
                self.len = end;
                Some(end)
            }
            (true, None) => {
                self.put(b"+");
                Some(self.len)
            }
        };
        if let Some(slot) = self.open.checked_sub(1).and_then(|i| self.lists.get_mut(i)) {
            slot.run = run;
        }
    }

    #[inline]
    fn write(&mut self, text: &[u8], kind: Kind) {
        if std::mem::take(&mut self.semicolon) {
            self.put(b"; ");
            self.space = false;
        }
        if std::mem::take(&mut self.space) && self.len > 0 && self.kind != Kind::Open {
            self.put(b" ");
        }
        self.last = self.len;
        self.put(text);
        self.before = self.kind;
        self.kind = kind;
    }

    #[inline]
    fn put(&mut self, text: &[u8]) {
        if self.full {
            return;
        }
        let room = LIMIT - self.len.min(LIMIT);
        let n = text.len().min(room);
        if let (Some(to), Some(from)) = (self.text.get_mut(self.len..self.len + n), text.get(..n)) {
            // Words are short: a loop is faster than a call.
            for (to, from) in to.iter_mut().zip(from) {
                *to = *from;
            }
            self.len += n;
        }
        if n < text.len() {
            self.full = true;
            self.cut = true;
        }
    }

    fn finish(mut self) -> Statement {
        if self.cut {
            self.element();
        }
        // The semicolon at the very end is no part of the statement.
        if self.cut && self.semicolon {
            self.put(b";");
        }
        let text = self.text.get_mut(..self.len).unwrap_or_default();
        // Hardly ever there, and seen at once where nothing is written.
        if text.iter().fold(false, |any, b| any | b.is_ascii_control()) {
            for b in text.iter_mut().filter(|b| b.is_ascii_control()) {
                *b = b' ';
            }
        }
        // Nor the control characters U+0080 to U+009F, which some terminals obey.
        if !text.is_ascii() {
            for i in 1..text.len() {
                if let Some([first @ 0xc2, last @ 0x80..=0x9f]) = text.get_mut(i - 1..=i) {
                    (*first, *last) = (b' ', b' ');
                }
            }
        }
        let mut text: &[u8] = text;
        if self.full {
            // Not half a character.
            while let [rest @ .., b] = text {
                if *b < 0x80 {
                    break;
                }
                text = rest;
                if *b >= 0xc0 {
                    break;
                }
            }
        }
        let shown = match std::str::from_utf8(text) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => {
                // What stands for a byte that is no text is longer than the byte.
                let mut shown = String::from_utf8_lossy(text).into_owned();
                if shown.len() > LIMIT {
                    let end = (0..=LIMIT).rev().find(|i| shown.is_char_boundary(*i)).unwrap_or(0);
                    shown.truncate(end);
                    self.cut = true;
                }
                Cow::Owned(shown)
            }
        };
        let text = match (self.cut, self.secret) {
            (false, _) => shown.into(),
            (true, false) => format!("{shown}…").into(),
            (true, true) => format!("{shown} …").into(),
        };
        Statement { verb: self.verb, text }
    }
}
