//! What a Redis client says: commands as arrays of bulk strings, or inline (a line of words).

use std::borrow::Cow;

use super::names::{self, Class};
use crate::model::BootNs;
use crate::wire::decoder::Span;
use crate::wire::line::{Line, number};

/// Longest beginning of an inline command that is looked at.
const INLINE: usize = 256;
/// Longest beginning of an argument that is looked at; the longest names are shorter.
const WORD: usize = 32;
/// The server's own limit is 1,048,576 arguments and 512 MiB each; configurable, so some more.
const MOST: u64 = 1 << 32;

/// What `CLIENT REPLY` asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Switch {
    On,
    Off,
    Skip,
}

/// A command, as far as it was seen.
#[derive(Clone, Debug)]
pub(super) struct Command {
    /// Name, with the subcommand of a container; empty until it was read.
    pub(super) name: Cow<'static, str>,
    pub(super) class: Class,
    /// Arguments after the name.
    pub(super) args: u64,
    /// It asked to wait for something to happen.
    pub(super) waits: bool,
    /// It is `CLIENT REPLY`.
    pub(super) switch: Option<Switch>,
    pub(super) span: Span,
    /// Where its first byte is in all that the client said.
    pub(super) offset: u64,
}

/// What a step of reading found.
pub(super) enum Step {
    /// A command is complete, or as complete as it will be.
    Command(Command),
    /// This is not a command; so many bytes of it were taken.
    Broken(u64),
}

/// Reader of what the client says. State: one argument's beginning, one line's beginning.
pub(super) struct Requests {
    line: Line<INLINE>,
    current: Option<Command>,
    /// Arguments to come in the current command, and how many came.
    left: u64,
    index: u64,
    /// Bytes to come of the current argument with its line end.
    bulk: u64,
    /// Beginning of the current argument, where it matters.
    word: [u8; WORD],
    word_len: usize,
    /// How many bytes of the argument belong into `word`.
    wanted: usize,
    /// Arguments that may be the option `BLOCK` are over.
    options_over: bool,
    /// Where the next command begins is not known.
    pub(super) lost: bool,
}

impl Requests {
    pub(super) fn new() -> Self {
        Requests {
            line: Line::default(),
            current: None,
            left: 0,
            index: 0,
            bulk: 0,
            word: [0; WORD],
            word_len: 0,
            wanted: 0,
            options_over: false,
            lost: false,
        }
    }

    /// Begins afresh: the next byte begins a command.
    pub(super) fn restart(&mut self) {
        self.line.clear();
        self.current = None;
        (self.left, self.bulk) = (0, 0);
        self.lost = false;
    }

    /// Reads on until a command is complete or `data` is used up; `offset` moves with `data`.
    pub(super) fn next(&mut self, at: BootNs, offset: &mut u64, data: &mut &[u8]) -> Option<Step> {
        let before = data.len();
        let start = *offset;
        let mut had = before;
        let mut step = None;
        while !data.is_empty() && step.is_none() {
            if self.current.is_none() {
                had = data.len();
                self.begin(at, start.saturating_add((before - had) as u64));
            }
            step = self.step(data);
            if let Some(Found::Nothing) = step {
                self.current = None;
                step = None;
            }
        }
        if let Some(c) = &mut self.current {
            c.span.bytes += (had - data.len()) as u64;
            c.span.last = at;
        }
        *offset = start.saturating_add((before - data.len()) as u64);
        match step? {
            Found::Command => self.finish(),
            Found::Nothing => None,
            Found::Broken => self.current.take().map(|c| Step::Broken(c.span.bytes)),
        }
    }

    /// `len` bytes are missing: those inside of an argument are passed over; `len` becomes the rest,
    /// which is not understood. A command that was cut by it is given with what is known of it.
    pub(super) fn gap(&mut self, at: BootNs, offset: &mut u64, len: &mut u64) -> Option<Step> {
        let n = self.bulk.min(*len);
        if n > 0 {
            *len -= n;
            *offset = offset.saturating_add(n);
            // The end of a word that was cut is not known: then neither is the word.
            if self.word_len < self.wanted {
                (self.word_len, self.wanted) = (0, 0);
            }
            if let Some(c) = &mut self.current {
                c.span.bytes += n;
                c.span.last = at;
            }
            self.bulk -= n;
            if self.bulk == 0 && self.argument() {
                return self.finish();
            }
        }
        if *len == 0 {
            return None;
        }
        self.lost = true;
        let cut = self.current.take();
        let inline = self.left == 0;
        self.line.clear();
        (self.left, self.bulk) = (0, 0);
        let mut cut = cut.filter(|c| !inline && !c.name.is_empty())?;
        cut.span.last = at;
        Some(Step::Command(cut))
    }

    fn begin(&mut self, at: BootNs, offset: u64) {
        self.index = 0;
        self.options_over = false;
        self.current = Some(Command {
            name: Cow::Borrowed(""),
            class: Class::Plain,
            args: 0,
            waits: false,
            switch: None,
            span: Span { first: at, last: at, bytes: 0 },
            offset,
        });
    }

    fn finish(&mut self) -> Option<Step> {
        let command = self.current.take()?;
        Some(if command.name.is_empty() { Step::Broken(command.span.bytes) } else { Step::Command(command) })
    }

    /// One line, or one piece of an argument.
    #[inline]
    fn step(&mut self, data: &mut &[u8]) -> Option<Found> {
        if self.bulk > 0 {
            let n = usize::try_from(self.bulk).unwrap_or(usize::MAX).min(data.len());
            let (now, later) = data.split_at_checked(n)?;
            if self.word_len < self.wanted {
                let room = self.word.get_mut(self.word_len..self.wanted).unwrap_or_default();
                let n = room.len().min(now.len());
                if let (Some(to), Some(from)) = (room.get_mut(..n), now.get(..n)) {
                    to.copy_from_slice(from);
                }
                self.word_len += n;
            }
            *data = later;
            self.bulk -= n as u64;
            return (self.bulk == 0 && self.argument()).then_some(Found::Command);
        }
        let line = self.line.take(data)?;
        if self.left > 0 {
            let Some(len) = line.strip_prefix(b"$").and_then(number).filter(|n| *n <= MOST) else {
                return Some(Found::Broken);
            };
            self.bulk = len + 2;
            self.word_len = 0;
            let class = self.current.as_ref().map_or(Class::Plain, |c| c.class);
            let matters = match class {
                _ if self.index == 0 => true,
                Class::Container => self.index == 1,
                Class::Client => self.index <= 2,
                Class::Blockable => !self.options_over,
                _ => false,
            };
            self.wanted = if matters { usize::try_from(len).unwrap_or(WORD).min(WORD) } else { 0 };
            // Most arguments are whole and do not matter.
            if self.wanted == 0
                && let Some((_, rest)) =
                    usize::try_from(self.bulk).ok().and_then(|n| data.split_at_checked(n))
            {
                *data = rest;
                self.bulk = 0;
                return self.argument().then_some(Found::Command);
            }
            return None;
        }
        if let Some(count) = line.strip_prefix(b"*") {
            return match number(count) {
                Some(0) => Some(Found::Nothing),
                Some(n) if n <= MOST => {
                    self.left = n;
                    None
                }
                None if count == b"-1" => Some(Found::Nothing),
                _ => Some(Found::Broken),
            };
        }
        let Some(command) = &mut self.current else { return Some(Found::Nothing) };
        let words = line.split(|b| matches!(b, b' ' | b'\t')).filter(|w| !w.is_empty());
        let mut index = 0;
        for word in words {
            if index == 0 && names::known(word).is_none() {
                return Some(Found::Broken);
            }
            take_word(command, index, word, &mut self.options_over);
            index += 1;
        }
        command.args = index.saturating_sub(1);
        Some(if index == 0 { Found::Nothing } else { Found::Command })
    }

    /// An argument is complete; whether it was the command's last.
    fn argument(&mut self) -> bool {
        if let Some(command) = &mut self.current {
            let word = self.word.get(..self.word_len).unwrap_or_default();
            if self.index == 0 || self.wanted > 0 {
                take_word(command, self.index, word, &mut self.options_over);
            }
            command.args = self.index;
        }
        self.index += 1;
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }
}

/// What a line or the end of an argument was.
enum Found {
    Command,
    /// An empty line or an empty array: the server passes over those as well.
    Nothing,
    Broken,
}

/// Learns from the argument number `index` (0 is the name).
fn take_word(command: &mut Command, index: u64, word: &[u8], options_over: &mut bool) {
    if index == 0 {
        if let Some((name, class)) = names::command(word) {
            command.name = name;
            command.class = class;
            command.waits = class == Class::Wait;
        }
        return;
    }
    match command.class {
        Class::Container | Class::Client if index == 1 => {
            if let Some(full) = names::subcommand(&command.name, word) {
                command.name = Cow::Borrowed(full);
            }
        }
        Class::Client if index == 2 && command.name == "CLIENT REPLY" => {
            let switches = [("ON", Switch::On), ("OFF", Switch::Off), ("SKIP", Switch::Skip)];
            let found = switches.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
            command.switch = found.map(|(_, s)| s);
        }
        // XREAD [COUNT n] [BLOCK ms] STREAMS …, XREADGROUP GROUP group consumer …: what stands for
        // the group and the consumer may be any word.
        Class::Blockable if !*options_over && (command.name == "XREAD" || !matches!(index, 2 | 3)) => {
            command.waits |= word.eq_ignore_ascii_case(b"BLOCK");
            *options_over = word.eq_ignore_ascii_case(b"STREAMS");
        }
        _ => {}
    }
}
