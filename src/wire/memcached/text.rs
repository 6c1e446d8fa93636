//! The text protocol with its meta commands: lines, some followed by a block of data
//! (<https://github.com/memcached/memcached/blob/master/doc/protocol.txt>).

use std::borrow::Cow;

use super::queue::Asked;
use crate::model::Verdict;
use crate::wire::line::number;

/// Largest block of data that is believed: `-I` of a server is at most 1 GiB.
const MOST: u64 = 1 << 30;

/// A command's line.
pub(super) struct Ask {
    pub(super) method: &'static str,
    pub(super) id: u64,
    pub(super) quiet: bool,
    /// No reply will come.
    pub(super) one_way: bool,
    /// Length of the block that follows.
    pub(super) block: Option<u64>,
}

const COMMANDS: [&str; 33] = [
    "get",
    "gets",
    "gat",
    "gats",
    "set",
    "add",
    "replace",
    "append",
    "prepend",
    "cas",
    "delete",
    "incr",
    "decr",
    "touch",
    "mg",
    "ms",
    "md",
    "ma",
    "mn",
    "me",
    "stats",
    "version",
    "flush_all",
    "verbosity",
    "quit",
    "watch",
    "slabs",
    "lru",
    "lru_crawler",
    "cache_memlimit",
    "shutdown",
    "debugitem",
    "refresh_certs",
];

/// Whether a line begins with a command, and which.
pub(super) fn command(line: &[u8]) -> Option<&'static str> {
    let word = line.split(|b| *b == b' ').next()?;
    COMMANDS.iter().find(|c| c.as_bytes() == word).copied()
}

/// Whether a line is of words: a command, known or not.
pub(super) fn is_text(line: &[u8]) -> bool {
    line.iter().all(|b| b.is_ascii_graphic() || *b == b' ')
}

/// Reads a line of the client. `None` if it begins with no command.
pub(super) fn ask(line: &[u8]) -> Option<Ask> {
    let method = command(line)?;
    let mut words = line.split(|b| *b == b' ').filter(|w| !w.is_empty());
    words.next();
    let size =
        |n: &mut dyn Iterator<Item = &[u8]>, at: usize| n.nth(at).and_then(number).filter(|n| *n <= MOST);
    let mut ask = Ask { method, id: 0, quiet: false, one_way: method == "quit", block: None };
    match method {
        "set" | "add" | "replace" | "append" | "prepend" | "cas" => {
            // Without a length that can be read there is an error and no block.
            ask.block = size(&mut words.clone(), 3);
            ask.one_way = words.next_back() == Some(b"noreply");
        }
        "incr" | "decr" | "touch" | "delete" | "flush_all" | "verbosity" | "cache_memlimit" => {
            ask.one_way = words.next_back() == Some(b"noreply");
        }
        "mg" | "ms" | "md" | "ma" => {
            let key = words.next().unwrap_or_default();
            if method == "ms" {
                ask.block = size(&mut words, 0);
            }
            for flag in words {
                match flag.split_first() {
                    Some((b'q', [])) => ask.quiet = true,
                    Some((b'O', _)) => ask.id = hash(b'O', flag),
                    Some((b'k', [])) if ask.id == 0 => ask.id = hash(b'k', key),
                    _ => {}
                }
            }
        }
        _ => {}
    }
    Some(ask)
}

/// A line of the server.
pub(super) struct Answer {
    pub(super) code: Code,
    pub(super) id: u64,
    /// Length of the block that follows.
    pub(super) block: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// A value, a statistic: more lines follow.
    Part,
    /// `END`.
    End,
    /// A meta command's, of two letters.
    Meta(&'static str),
    /// An error.
    Error(&'static str),
    /// Another word that says how it went.
    Word(&'static str),
    /// A number, a version: no words that matter.
    Value,
}

/// Reads a line of the server. `None` if it is none.
pub(super) fn answer(line: &[u8]) -> Option<Answer> {
    const ERRORS: [&str; 3] = ["ERROR", "CLIENT_ERROR", "SERVER_ERROR"];
    const METAS: [&str; 8] = ["HD", "VA", "EN", "NF", "NS", "EX", "MN", "ME"];
    const WORDS: [&str; 13] = [
        "STORED",
        "NOT_STORED",
        "EXISTS",
        "NOT_FOUND",
        "DELETED",
        "TOUCHED",
        "OK",
        "RESET",
        "BUSY",
        "BADCLASS",
        "NOSPARE",
        "NOTFULL",
        "UNSAFE",
    ];
    let mut words = line.split(|b| *b == b' ').filter(|w| !w.is_empty());
    let word = words.next()?;
    let of = |list: &[&'static str]| list.iter().find(|w| w.as_bytes() == word).copied();
    let mut answer = Answer { code: Code::Value, id: 0, block: None };
    if word == b"VALUE" {
        answer.code = Code::Part;
        answer.block = Some(words.nth(2).and_then(number).filter(|n| *n <= MOST)?);
    } else if let Some(meta) = of(&METAS) {
        answer.code = Code::Meta(meta);
        if meta == "VA" {
            answer.block = Some(words.next().and_then(number).filter(|n| *n <= MOST)?);
        }
        for flag in words {
            match flag.split_first() {
                Some((b'O', _)) => answer.id = hash(b'O', flag),
                Some((b'k', key)) if answer.id == 0 => answer.id = hash(b'k', key),
                _ => {}
            }
        }
    } else if word == b"END" {
        answer.code = Code::End;
    } else if matches!(word, b"STAT" | b"ITEM") || word.starts_with(b"key=") {
        answer.code = Code::Part;
    } else if let Some(word) = of(&WORDS) {
        answer.code = Code::Word(word);
    } else if let Some(error) = of(&ERRORS) {
        answer.code = Code::Error(error);
    } else if word != b"VERSION" && number(word).is_none() {
        return None;
    }
    Some(answer)
}

impl Answer {
    /// `END`.
    pub(super) const END: Answer = Answer { code: Code::End, id: 0, block: None };

    /// It may be the reply to this command.
    pub(super) fn is_for(&self, asked: &Asked) -> bool {
        if self.id != 0 && asked.id != 0 {
            return self.id == asked.id;
        }
        match self.code {
            code if asked.doubted => code == Code::Error("ERROR"),
            Code::Meta(code) => match asked.method {
                "mg" => matches!(code, "VA" | "HD") || (code == "EN" && !asked.quiet),
                // A quiet `ms` stores whether there was one or not, unless its mode says otherwise.
                "ms" => matches!(code, "NS" | "EX") || (matches!(code, "HD" | "NF") && !asked.quiet),
                "md" => matches!(code, "NF" | "EX") || (code == "HD" && !asked.quiet),
                "ma" => matches!(code, "VA" | "NF" | "NS" | "EX") || (code == "HD" && !asked.quiet),
                "mn" => code == "MN",
                "me" => matches!(code, "ME" | "EN"),
                _ => false,
            },
            Code::Error(_) => true,
            _ => !matches!(asked.method, "mg" | "ms" | "md" | "ma" | "mn" | "me"),
        }
    }

    /// Status and verdict of a reply that ends with this line; `values` came before it.
    pub(super) fn outcome(&self, asked: &Asked, values: u64) -> (Option<Cow<'static, str>>, Verdict) {
        let method = asked.method;
        let retrieval = matches!(method, "get" | "gets" | "gat" | "gats");
        let (status, verdict) = match self.code {
            // There is no such command.
            Code::Error(error) if asked.doubted => (Some(error), Verdict::ClientError),
            Code::Error(error) => (Some(error), Verdict::Error),
            Code::End if retrieval => (Some(if values > 0 { "hit" } else { "miss" }), Verdict::Ok),
            Code::Meta("VA" | "HD") if method == "mg" => (Some("hit"), Verdict::Ok),
            Code::Meta("EN") => (Some("miss"), Verdict::Ok),
            Code::Meta(word) | Code::Word(word) => (Some(word), Verdict::Ok),
            Code::Part | Code::End | Code::Value => (None, Verdict::Ok),
        };
        (status.map(Cow::Borrowed), verdict)
    }
}

/// FNV-1a; never 0.
fn hash(kind: u8, word: &[u8]) -> u64 {
    let start = (0xcbf2_9ce4_8422_2325 ^ u64::from(kind)).wrapping_mul(0x0100_0000_01b3);
    word.iter().fold(start, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)) | 1
}
