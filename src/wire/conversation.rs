//! One connection's conversation: finds out by its bytes which protocol it is, and decodes it.
//!
//! Nothing is concluded from ports. While no decoder has evidence the first bytes of each message are
//! kept (at most [`KEPT`] of a side) and looked at; after [`TRIES`] messages in vain the conversation
//! is given up. What is longer than that, or has a hole, is a gap to the decoder that is found. A
//! decoder that says that its protocol is over (STARTTLS, an upgrade) is replaced.

#[cfg(test)]
mod tests;

use super::candidates::{self, Found};
use super::decoder::{Decoder, Speaker, Told};
use crate::model::{BootNs, Protocol};

/// Bytes of each side that are kept for finding out.
const KEPT: usize = 2048;
/// Runs of bytes that are remembered meanwhile.
const RUNS: usize = 256;
/// Messages of the client that are looked at before it is given up.
const TRIES: u8 = 12;

/// A conversation that is being followed.
pub struct Conversation {
    stage: Stage,
    /// Open before we watched: its beginning was not seen.
    adopted: bool,
    undecoded: u64,
}

enum Stage {
    Looking(Looking),
    Decoding(Protocol, Box<dyn Decoder>),
    /// Not to be decoded: recognised, or given up.
    Opaque(Option<Protocol>),
}

#[derive(Default)]
struct Looking {
    /// The beginning of what each side said, without a hole.
    kept: [Vec<u8>; 2],
    /// In the order in which they came.
    runs: Vec<Run>,
    /// There is more of a side than is kept.
    holed: [bool; 2],
    tries: u8,
    /// What was kept cannot be any of them, or is torn: until the client's next message.
    skip: bool,
}

/// Bytes of one side that came together.
struct Run {
    from: Speaker,
    at: BootNs,
    offset: u64,
    len: u64,
    /// So many of them are kept; the rest is a gap.
    kept: usize,
}

impl Conversation {
    /// A conversation from its first byte on, or, `adopted`, from somewhere in the middle.
    pub fn new(adopted: bool) -> Self {
        let looking = Looking { skip: adopted, ..Looking::default() };
        Conversation { stage: Stage::Looking(looking), adopted, undecoded: 0 }
    }

    /// One that is older than we, from the beginning of one of the client's messages on.
    pub fn from_message() -> Self {
        Conversation { stage: Stage::Looking(Looking::default()), adopted: true, undecoded: 0 }
    }

    /// The protocol, once there is evidence.
    pub fn protocol(&self) -> Option<Protocol> {
        match &self.stage {
            Stage::Decoding(protocol, _) => Some(*protocol),
            Stage::Opaque(protocol) => *protocol,
            Stage::Looking(_) => None,
        }
    }

    /// Nothing more can be learnt from its bytes.
    pub fn is_opaque(&self) -> bool {
        matches!(self.stage, Stage::Opaque(_))
    }

    /// Bytes in which requests of a known protocol may have been missed, since the last call.
    pub fn take_undecoded(&mut self) -> u64 {
        let mut n = std::mem::take(&mut self.undecoded);
        if let Stage::Decoding(_, decoder) = &mut self.stage {
            n += decoder.take_undecoded();
        }
        n
    }

    /// See [`Decoder::held`].
    pub fn held(&self) -> usize {
        match &self.stage {
            Stage::Decoding(_, decoder) => decoder.held(),
            Stage::Looking(l) => {
                l.kept[0].capacity() + l.kept[1].capacity() + l.runs.capacity() * size_of::<Run>()
            }
            Stage::Opaque(_) => 0,
        }
    }

    /// See [`Decoder::take_missed`].
    pub fn take_missed(&mut self) -> u64 {
        match &mut self.stage {
            Stage::Decoding(_, decoder) => decoder.take_missed(),
            Stage::Looking(_) | Stage::Opaque(_) => 0,
        }
    }

    /// See [`Decoder::bytes`].
    pub fn bytes(&mut self, from: Speaker, at: BootNs, offset: u64, data: &[u8], out: &mut Vec<Told>) {
        match &mut self.stage {
            Stage::Opaque(_) => return,
            Stage::Decoding(_, decoder) => {
                decoder.bytes(from, at, offset, data, out);
                let Some(next) = self.follow(out) else { return };
                // What follows an upgrade may stand in the same bytes.
                let begins = if from == Speaker::Client { next.0 } else { next.1 };
                let known = begins.checked_sub(offset).and_then(|n| usize::try_from(n).ok());
                if let Some(rest) = known.and_then(|n| data.get(n..)).filter(|rest| !rest.is_empty()) {
                    return self.bytes(from, at, begins, rest, out);
                }
                return;
            }
            Stage::Looking(looking) => {
                if !looking.keep(from, at, offset, data) {
                    return;
                }
                self.look(out);
            }
        }
        self.follow(out);
    }

    /// See [`Decoder::gap`].
    pub fn gap(&mut self, from: Speaker, at: BootNs, offset: u64, len: u64, out: &mut Vec<Told>) {
        match &mut self.stage {
            Stage::Opaque(_) => return,
            Stage::Decoding(_, decoder) => decoder.gap(from, at, offset, len, out),
            Stage::Looking(looking) => looking.gap(from, at, offset, len),
        }
        self.follow(out);
    }

    /// See [`Decoder::turn`].
    pub fn turn(&mut self, from: Speaker, out: &mut Vec<Told>) {
        match &mut self.stage {
            Stage::Opaque(_) => {}
            Stage::Decoding(_, decoder) => decoder.turn(from, out),
            Stage::Looking(looking) => {
                // One who is greeted by the server has not asked anything yet.
                let answered = !looking.kept[0].is_empty() && !looking.kept[1].is_empty();
                if from == Speaker::Client && (looking.skip || answered) {
                    looking.tries += 1;
                    looking.clear();
                    if looking.tries >= TRIES {
                        self.stage = Stage::Opaque(None);
                    }
                }
            }
        }
    }

    /// See [`Decoder::end`].
    pub fn end(&mut self, at: BootNs, out: &mut Vec<Told>) {
        if let Stage::Decoding(_, decoder) = &mut self.stage {
            decoder.end(at, out);
        }
    }

    fn look(&mut self, out: &mut Vec<Told>) {
        let Stage::Looking(looking) = &mut self.stage else { return };
        let [client, server] = [0, 1].map(|i| looking.kept[i].get(..KEPT).unwrap_or(&looking.kept[i]));
        match candidates::find(client, server, self.adopted) {
            Found::Decoder(protocol, mut decoder) => {
                looking.replay(decoder.as_mut(), out);
                self.stage = Stage::Decoding(protocol, decoder);
            }
            Found::Opaque(protocol) => self.stage = Stage::Opaque(Some(protocol)),
            Found::NotYet => looking.shrink(),
            Found::Nothing => looking.tear(),
        }
    }

    /// Goes on with what the protocol turned into; says from which offset on, of client and server.
    fn follow(&mut self, out: &mut [Told]) -> Option<(u64, u64)> {
        let Stage::Decoding(_, decoder) = &mut self.stage else { return None };
        let next = decoder.over()?;
        let begins = decoder.over_at();
        self.undecoded += decoder.take_undecoded();
        self.adopted = false;
        self.stage = match candidates::after(next, out.last(), begins.map_or(0, |b| b.0)) {
            Found::Decoder(protocol, decoder) => Stage::Decoding(protocol, decoder),
            Found::Opaque(protocol) => Stage::Opaque(Some(protocol)),
            Found::NotYet | Found::Nothing => Stage::Looking(Looking::default()),
        };
        begins
    }
}

impl Looking {
    /// Keeps bytes for looking at; whether there is something new to look at. All of them at first:
    /// what is found now gets all of them.
    fn keep(&mut self, from: Speaker, at: BootNs, offset: u64, data: &[u8]) -> bool {
        let holed = self.holed[from as usize];
        let kept = if holed { 0 } else { data.len() };
        if !self.run(Run { from, at, offset, len: data.len() as u64, kept }) || holed {
            return false;
        }
        self.kept[from as usize].extend_from_slice(data);
        true
    }

    /// Bytes are missing. Where a message begins they cannot be looked at.
    fn gap(&mut self, from: Speaker, at: BootNs, offset: u64, len: u64) {
        if self.kept[from as usize].is_empty() {
            self.tear();
        } else if self.run(Run { from, at, offset, len, kept: 0 }) {
            self.holed[from as usize] = true;
        }
    }

    fn run(&mut self, run: Run) -> bool {
        if self.skip {
            return false;
        }
        if self.runs.len() >= RUNS {
            // Enough for all of them was seen.
            self.tear();
            return false;
        }
        self.runs.push(run);
        true
    }

    /// Nobody knows it yet: no more is kept than there is room for.
    fn shrink(&mut self) {
        let Some(run) = self.runs.last_mut() else { return };
        let kept = &mut self.kept[run.from as usize];
        if kept.len() > KEPT {
            run.kept = run.kept.saturating_sub(kept.len() - KEPT);
            kept.truncate(KEPT);
            kept.shrink_to_fit();
            self.holed[run.from as usize] = true;
        }
    }

    fn tear(&mut self) {
        let tries = self.tries;
        *self = Looking { tries, skip: true, ..Looking::default() };
    }

    fn clear(&mut self) {
        let tries = self.tries;
        *self = Looking { tries, ..Looking::default() };
    }

    /// Gives what was kept to the decoder that was found.
    fn replay(&self, decoder: &mut dyn Decoder, out: &mut Vec<Told>) {
        let mut used = [0; 2];
        let mut last = None;
        for run in &self.runs {
            if last.replace(run.from) != Some(run.from) {
                decoder.turn(run.from, out);
            }
            let used = &mut used[run.from as usize];
            let data = self.kept[run.from as usize].get(*used..*used + run.kept).unwrap_or_default();
            *used += data.len();
            let known = data.len() as u64;
            if known > 0 {
                decoder.bytes(run.from, run.at, run.offset, data, out);
            }
            if run.len > known {
                decoder.gap(run.from, run.at, run.offset + known, run.len - known, out);
            }
        }
    }
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversation").field("protocol", &self.protocol()).finish_non_exhaustive()
    }
}
