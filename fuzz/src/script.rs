//! The language of a fuzzer's input: who says what, when, and what is missing.
//!
//! Two bytes of header ([`Script::parse`]), then bytes that are said, with directions among them. A
//! direction is [`MARK`], a byte that says what, and an argument. So bytes may be put in or taken out
//! anywhere and what stands before and after keeps its meaning, which is what mutations need.

use crate::model::BootNs;
use crate::wire::Speaker;

/// Begins a direction.
pub const MARK: [u8; 2] = [0xf7, 0xfb];

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act<'a> {
    /// The speaker says this. `turn`: first, that a message begins, if the other one spoke last.
    /// `cut`: where a run is cut, it is cut after each so many bytes; 0 is not at all.
    Say { data: &'a [u8], turn: bool, cut: u8 },
    /// So many bytes of the speaker are missing.
    Gap(u64),
    /// A message of the speaker begins.
    Turn,
}

/// An act, by whom, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    pub from: Speaker,
    pub at: BootNs,
    pub act: Act<'a>,
}

/// A whole input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script<'a> {
    /// The connection is older than its first byte here.
    pub adopted: bool,
    /// A second way to begin, where a decoder has one.
    pub other: bool,
    /// Offset of the first byte of both sides.
    pub start: u64,
    /// Time never goes back.
    pub monotonic: bool,
    /// Nothing is missing.
    pub whole: bool,
    pub steps: Vec<Step<'a>>,
}

impl<'a> Script<'a> {
    /// Reads any bytes.
    ///
    /// Header: flags (bit 0 adopted, bit 1 the other way to begin, bits 2 and 3 where offsets start),
    /// and how runs are cut that do not say it themselves.
    pub fn parse(input: &'a [u8]) -> Script<'a> {
        let (flags, cut, mut rest) = match input {
            [flags, cut, rest @ ..] => (*flags, *cut, rest),
            _ => (0, 0, &[][..]),
        };
        let start = match flags >> 2 & 3 {
            0 => 0,
            1 => (1 << 32) - 100,
            2 => 1 << 63,
            _ => u64::MAX - (1 << 20),
        };
        let mut script = Script {
            adopted: flags & 1 != 0,
            other: flags & 2 != 0,
            start,
            monotonic: true,
            whole: true,
            steps: Vec::new(),
        };
        // Positions fit in 64 bits: what does not, is not said.
        let mut room = [u64::MAX - start; 2];
        let (mut from, mut turn, mut cut_now, mut at) = (Speaker::Client, true, cut, BootNs(1_000_000));
        loop {
            let marked = rest.windows(2).position(|w| w == MARK);
            let (said, mut after) = rest.split_at(marked.unwrap_or(rest.len()));
            script.say(&mut room, Step { from, at, act: Act::Say { data: said, turn, cut: cut_now } });
            let [_, _, op, arg, ..] = after else { return script };
            let (op, arg) = (*op, *arg);
            let before = at;
            at = match op >> 3 {
                0 => at,
                30 => BootNs(0),
                31 => BootNs(u64::MAX),
                n => BootNs(at.0.saturating_add(1000 << n)),
            };
            script.monotonic &= at >= before && at.0 != u64::MAX;
            let mut used = 4;
            match op & 7 {
                to @ 0..=3 => {
                    from = if to & 1 == 0 { Speaker::Client } else { Speaker::Server };
                    turn = to < 2;
                    cut_now = if arg == 0 { cut } else { arg };
                }
                side @ 4..=5 => {
                    let from = if side == 4 { Speaker::Client } else { Speaker::Server };
                    let low = after.get(4..6).map_or(0, |b| u64::from(b[0]) << 8 | u64::from(b[1]));
                    used = after.len().min(6);
                    let len =
                        if arg < 0xf0 { u64::from(arg) << 16 | low } else { low + (1 << (4 * (arg - 0xf0))) };
                    // So that the sum of all of them fits too.
                    let len = len.min(u64::MAX / 4);
                    script.say(&mut room, Step { from, at, act: Act::Gap(len) });
                }
                6 => {
                    let from = if arg & 1 == 0 { Speaker::Client } else { Speaker::Server };
                    script.steps.push(Step { from, at, act: Act::Turn });
                }
                _ => {
                    let act = Act::Say { data: &after[..2], turn: false, cut: cut_now };
                    script.say(&mut room, Step { from, at, act });
                }
            }
            after = &after[used..];
            rest = after;
        }
    }

    fn say(&mut self, room: &mut [u64; 2], mut step: Step<'a>) {
        let room = &mut room[step.from as usize];
        let len = match &mut step.act {
            Act::Say { data, .. } => {
                *data = &data[..data.len().min(usize::try_from(*room).unwrap_or(usize::MAX))];
                data.len() as u64
            }
            Act::Gap(len) => {
                *len = (*len).min(*room);
                self.whole &= *len == 0;
                *len
            }
            Act::Turn => 0,
        };
        *room -= len;
        if len > 0 {
            self.steps.push(step);
        }
    }

    /// All that is said, without what is missing.
    pub fn said(&self) -> u64 {
        let said = |s: &Step<'_>| if let Act::Say { data, .. } = s.act { data.len() as u64 } else { 0 };
        self.steps.iter().map(said).sum()
    }

    /// Everything, with what is missing.
    pub fn length(&self) -> u64 {
        let gap = |s: &Step<'_>| if let Act::Gap(len) = s.act { len } else { 0 };
        self.steps.iter().map(gap).fold(self.said(), u64::saturating_add)
    }

    /// The first bytes that each side says, up to its first gap.
    pub fn beginnings(&self) -> [Vec<u8>; 2] {
        let (mut out, mut torn) = ([Vec::new(), Vec::new()], [false; 2]);
        for step in &self.steps {
            match step.act {
                Act::Say { data, .. } if !torn[step.from as usize] => {
                    out[step.from as usize].extend_from_slice(data);
                }
                Act::Gap(_) => torn[step.from as usize] = true,
                _ => {}
            }
        }
        out
    }
}

/// Writes an input, for seeds.
#[derive(Debug)]
pub struct Writer {
    pub out: Vec<u8>,
    last: Option<(Speaker, BootNs)>,
}

impl Writer {
    pub fn new(adopted: bool) -> Self {
        Writer { out: vec![u8::from(adopted), 0], last: None }
    }

    /// A run of bytes; with one of the same speaker at the same time it becomes one.
    pub fn say(&mut self, from: Speaker, at: BootNs, data: &[u8]) {
        let op = (from == Speaker::Server) as u8;
        if self.last != Some((from, at)) {
            let since = self.last.map_or(0, |(_, before)| at.since(before) / 1000);
            let time = if since == 0 { 0 } else { since.ilog2().clamp(1, 29) as u8 };
            self.direct(op | time << 3, 0);
        }
        self.last = Some((from, at));
        let mut rest = data;
        while let Some(i) = rest.windows(2).position(|w| w == MARK) {
            self.out.extend_from_slice(&rest[..i]);
            self.direct(7, 0);
            rest = &rest[i + 2..];
        }
        self.out.extend_from_slice(rest);
    }

    /// Bytes that are missing.
    pub fn gap(&mut self, from: Speaker, len: u32) {
        let [_, high, low @ ..] = len.min(0xef_ffff).to_be_bytes();
        self.direct(4 | u8::from(from == Speaker::Server), high);
        self.out.extend_from_slice(&low);
        self.last = None;
    }

    fn direct(&mut self, op: u8, arg: u8) {
        self.out.extend_from_slice(&MARK);
        self.out.extend_from_slice(&[op, arg]);
    }
}
