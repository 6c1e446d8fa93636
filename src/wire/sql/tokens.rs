//! The tokens of an SQL text, as far as they matter for telling literals from the rest. Where two
//! settings of a server would read a text differently, it ends there: guessing wrong would show the
//! inside of a string as if it were a statement.

use super::normalise::Dialect;

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A comment.
    Space,
    /// Keyword or identifier.
    Word(&'a [u8]),
    /// Identifier in quotes, with them.
    Quoted(&'a [u8]),
    /// Number.
    Number,
    /// String, parameter.
    Value,
    Open,
    Close,
    Comma,
    Semicolon,
    /// One character of an operator, or `::`.
    Operator(&'a [u8]),
}

/// Reads tokens.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    sql: &'a [u8],
    at: usize,
    /// Where the last token begins.
    from: usize,
    dialect: Dialect,
    /// The text goes on, but cannot be read: an open string, or one that may end in two places.
    pub(super) broken: bool,
    /// White space came before the token.
    pub(super) space: bool,
    /// Inside of a comment that servers execute.
    pub(super) conditional: bool,
}

const BLANK: u8 = 1;
const WORD_START: u8 = 2;
const WORD_PART: u8 = 4;

/// What each byte may be: white space, the beginning or the rest of an identifier.
const CLASSES: [u8; 256] = {
    let mut classes = [0u8; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        classes[i] = if b <= b' ' || b == 0x7f {
            BLANK
        } else if b.is_ascii_alphabetic() || b == b'_' || b >= 0x80 {
            WORD_START | WORD_PART
        } else if b.is_ascii_digit() || b == b'$' {
            WORD_PART
        } else {
            0
        };
        i += 1;
    }
    classes
};

fn is(b: u8, class: u8) -> bool {
    CLASSES.get(usize::from(b)).is_some_and(|c| c & class != 0)
}

fn word_start(b: u8) -> bool {
    is(b, WORD_START)
}

fn word_part(b: u8) -> bool {
    is(b, WORD_PART)
}

fn blank(b: u8) -> bool {
    is(b, BLANK)
}

impl<'a> Lexer<'a> {
    pub(super) fn new(sql: &'a [u8], dialect: Dialect) -> Self {
        Self { sql, at: 0, from: 0, dialect, broken: false, space: false, conditional: false }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.sql.get(self.at.saturating_add(ahead)).copied()
    }

    fn run(&mut self, from: usize, part: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.sql.get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|b| !part(*b)).unwrap_or(rest.len());
        self.sql.get(from..self.at).unwrap_or_default()
    }

    fn one(&mut self, token: Token<'a>) -> Option<Token<'a>> {
        self.at += 1;
        Some(token)
    }

    fn give_up(&mut self) -> Option<Token<'a>> {
        self.broken = true;
        self.at = self.sql.len();
        None
    }

    /// The next token; `None` at the end or where nothing more can be read.
    pub(super) fn next(&mut self) -> Option<Token<'a>> {
        let mysql = self.dialect != Dialect::Postgres;
        let escapes = self.dialect == Dialect::Mysql { escapes: true };
        let mut b = self.peek(0)?;
        while blank(b) {
            self.space = true;
            self.at += 1;
            b = self.peek(0)?;
        }
        let from = self.at;
        self.from = from;
        match b {
            _ if word_start(b) || (mysql && b == b'$') => self.word(from),
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_some_and(|b| b.is_ascii_digit()) => {
                self.at += 1;
                self.number()
            }
            b'\'' => self.string(b'\'', escapes),
            b'"' if mysql => self.string(b'"', escapes),
            b'"' => self.quoted(from, b'"'),
            b'`' if mysql => self.quoted(from, b'`'),
            b'-' if self.peek(1) == Some(b'-') && self.dashes() => self.line_comment(),
            b'#' if mysql => self.line_comment(),
            b'/' if self.peek(1) == Some(b'*') => self.comment(),
            b'$' => self.dollar(),
            b':' if self.peek(1) == Some(b':') => {
                self.at += 2;
                Some(Token::Operator(b"::"))
            }
            b':' if self.peek(1).is_some_and(word_start) => {
                self.at += 1;
                self.run(from, word_part);
                Some(Token::Value)
            }
            b'?' if mysql => self.one(Token::Value),
            b'(' => self.one(Token::Open),
            b')' => self.one(Token::Close),
            b',' => self.one(Token::Comma),
            b';' => self.one(Token::Semicolon),
            _ => {
                let operator = self.sql.get(from..=from).unwrap_or_default();
                self.one(Token::Operator(operator))
            }
        }
    }

    /// Where the last token begins and ends, if it is digits only.
    pub(super) fn digits(&self) -> Option<(usize, usize)> {
        let token = self.sql.get(self.from..self.at)?;
        token.iter().all(u8::is_ascii_digit).then_some((self.from, self.at))
    }

    /// In MySQL two dashes begin a comment only before white space.
    fn dashes(&self) -> bool {
        self.dialect == Dialect::Postgres || self.peek(2).is_none_or(blank)
    }

    fn word(&mut self, from: usize) -> Option<Token<'a>> {
        let word = self.run(from, word_part);
        match (self.peek(0), word) {
            (Some(b'\''), [b'e' | b'E']) if self.dialect == Dialect::Postgres => self.string(b'\'', true),
            (Some(b'\''), [b'b' | b'B' | b'x' | b'X' | b'n' | b'N']) | (Some(b'\''), [b'_', ..]) => {
                self.string(b'\'', self.dialect == Dialect::Mysql { escapes: true })
            }
            (Some(b'&'), [b'u' | b'U']) if self.dialect == Dialect::Postgres => match self.peek(1) {
                Some(b'\'') => {
                    self.at += 1;
                    self.string(b'\'', false)
                }
                Some(b'"') => {
                    self.at += 1;
                    self.quoted(from, b'"')
                }
                _ => Some(Token::Word(word)),
            },
            _ => Some(Token::Word(word)),
        }
    }

    /// Digits, hexadecimal, decimals, exponents; and what sticks to them.
    fn number(&mut self) -> Option<Token<'a>> {
        let from = self.at;
        loop {
            let run = self.run(from, |b| word_part(b) || b == b'.');
            let exponent = matches!(run, [.., b'e' | b'E']) && !matches!(run, [b'0', b'x' | b'X', ..]);
            let signed = matches!(self.peek(0), Some(b'+' | b'-'));
            if !(exponent && signed && self.peek(1).is_some_and(|b| b.is_ascii_digit())) {
                return Some(Token::Number);
            }
            self.at += 1;
        }
    }

    /// A string from its opening quote on. With `escapes`, a backslash escapes.
    fn string(&mut self, quote: u8, escapes: bool) -> Option<Token<'a>> {
        self.at += 1;
        let start = self.at;
        loop {
            let rest = self.sql.get(self.at..).unwrap_or_default();
            let Some(n) = rest.iter().position(|b| *b == quote || (escapes && *b == b'\\')) else {
                self.at = self.sql.len();
                self.broken = true;
                return Some(Token::Value);
            };
            self.at += n;
            if self.peek(0) == Some(b'\\') {
                if self.peek(1) == Some(quote) && self.doubtful(start, self.at + 1, quote, escapes) {
                    return self.end_in_doubt();
                }
                self.at += 2;
                continue;
            }
            if self.doubtful(start, self.at, quote, escapes) {
                return self.end_in_doubt();
            }
            if self.peek(1) == Some(quote) {
                self.at += 2;
                continue;
            }
            self.at += 1;
            return Some(Token::Value);
        }
    }

    fn end_in_doubt(&mut self) -> Option<Token<'a>> {
        self.give_up();
        Some(Token::Value)
    }

    /// Whether a server with other settings might see the quote at `at` otherwise:
    /// `standard_conforming_strings` off; ANSI_QUOTES; a character set in which the backslash is the
    /// second byte of a character.
    fn doubtful(&self, start: usize, at: usize, quote: u8, escapes: bool) -> bool {
        let before = self.sql.get(start..at).unwrap_or_default();
        let slashes = before.iter().rev().take_while(|b| **b == b'\\').count();
        if slashes == 0 {
            return false;
        }
        let high = before.iter().rev().nth(slashes).is_some_and(|b| *b >= 0x80);
        high || (slashes % 2 == 1 && (!escapes || quote == b'"'))
    }

    /// An identifier in quotes, from `from` on; the opening quote is next.
    fn quoted(&mut self, from: usize, quote: u8) -> Option<Token<'a>> {
        self.at += 1;
        loop {
            let rest = self.sql.get(self.at..).unwrap_or_default();
            let Some(n) = rest.iter().position(|b| *b == quote) else { return self.give_up() };
            self.at += n + 1;
            if self.peek(0) != Some(quote) {
                return Some(Token::Quoted(self.sql.get(from..self.at).unwrap_or_default()));
            }
            self.at += 1;
        }
    }

    fn line_comment(&mut self) -> Option<Token<'a>> {
        self.run(self.at, |b| b != b'\n' && b != b'\r');
        Some(Token::Space)
    }

    /// A comment; they nest in PostgreSQL. MySQL executes what is in `/*!`, depending on versions:
    /// of that only the first word can be told.
    fn comment(&mut self) -> Option<Token<'a>> {
        self.at += 2;
        if self.dialect != Dialect::Postgres {
            let mark = usize::from(self.peek(0) == Some(b'M'));
            if self.peek(mark) == Some(b'!') {
                self.at += mark + 1;
                self.run(self.at, |b| b.is_ascii_digit());
                self.conditional = true;
                return Some(Token::Space);
            }
        }
        let mut depth = 1usize;
        while depth > 0 {
            let rest = self.sql.get(self.at..).unwrap_or_default();
            let Some(n) = rest.windows(2).position(|w| w == b"*/" || w == b"/*") else {
                return self.give_up();
            };
            self.at += n + 2;
            if rest.get(n) == Some(&b'*') {
                depth -= 1;
            } else if self.dialect == Dialect::Postgres {
                depth += 1;
            } else {
                // `/*/` is the beginning of a comment's end here.
                self.at -= 1;
            }
        }
        Some(Token::Space)
    }

    /// `$1`, or `$tag$ … $tag$`.
    fn dollar(&mut self) -> Option<Token<'a>> {
        let from = self.at;
        self.at += 1;
        if self.peek(0).is_some_and(|b| b.is_ascii_digit()) {
            self.run(from, word_part);
            return Some(Token::Value);
        }
        self.run(from, |b| word_start(b) || b.is_ascii_digit());
        if self.peek(0) != Some(b'$') {
            // Cut within the tag, or no SQL.
            return self.give_up();
        }
        self.at += 1;
        let tag = self.sql.get(from..self.at).unwrap_or_default();
        loop {
            let rest = self.sql.get(self.at..).unwrap_or_default();
            let Some(n) = rest.iter().position(|b| *b == b'$') else {
                self.give_up();
                return Some(Token::Value);
            };
            self.at += n;
            if self.sql.get(self.at..).unwrap_or_default().starts_with(tag) {
                self.at += tag.len();
                return Some(Token::Value);
            }
            self.at += 1;
        }
    }
}
