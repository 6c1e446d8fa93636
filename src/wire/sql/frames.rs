//! Length-prefixed messages of one direction: their heads and as much of their bodies as is of
//! interest; the rest is skipped by its length, captured or not.

use crate::model::BootNs;
use crate::wire::Speaker;

/// What the head of a message says.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Type, or sequence number.
    pub kind: u8,
    /// Length of the body.
    pub len: u32,
    /// How much of the body's beginning is wanted; no more than `len`, and bounded by the caller.
    pub want: usize,
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Type, or sequence number.
    pub kind: u8,
    /// Offset of its first byte in what its sender said.
    pub offset: u64,
    /// When its first byte was seen.
    pub first: BootNs,
    /// Length on the wire, head included.
    pub size: u64,
    /// What was wanted of its body; less where `cut`.
    pub body: &'a [u8],
    /// The body's wanted part was not all captured.
    pub cut: bool,
}

/// Bytes on their way in.
#[derive(Debug)]
pub struct Input<'a> {
    /// When they were seen.
    pub at: BootNs,
    /// Offset of the first of them.
    pub offset: u64,
    /// What is left of them.
    pub data: &'a [u8],
}

impl<'a> Input<'a> {
    #[inline]
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (now, later) = self.data.split_at(n.min(self.data.len()));
        self.data = later;
        self.offset = self.offset.saturating_add(now.len() as u64);
        now
    }
}

/// Cuts one direction into messages. Holds at most one message's head and the wanted part of its
/// body, and only when those came in several runs.
#[derive(Debug)]
pub struct Frames {
    buffer: Vec<u8>,
    /// What the buffered message's head said, once it is complete.
    head: Option<(Head, usize)>,
    /// The buffer was handed out.
    spent: bool,
    first: BootNs,
    offset: u64,
    skip: u64,
    lost: bool,
    undecoded: u64,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            buffer: Vec::new(),
            head: None,
            spent: false,
            first: BootNs(0),
            offset: 0,
            skip: 0,
            lost: false,
            undecoded: 0,
        }
    }
}

impl Frames {
    /// Where the next message begins is not known.
    pub fn lost(&self) -> bool {
        self.lost
    }

    /// Inside of a message of which nothing more is wanted.
    pub fn skipping(&self) -> bool {
        self.skip > 0
    }

    /// Between two messages.
    pub fn between(&self) -> bool {
        !self.lost && self.skip == 0 && (self.spent || self.buffer.is_empty())
    }

    /// The next byte begins a message.
    pub fn resync(&mut self) {
        self.forget();
        self.skip = 0;
        self.lost = false;
    }

    /// The bytes from here on cannot be read.
    pub fn lose(&mut self) {
        self.forget();
        self.skip = 0;
        self.lost = true;
    }

    /// Bytes that were given while lost, since [`Frames::take_undecoded`].
    pub fn undecoded(&self) -> u64 {
        self.undecoded
    }

    /// Bytes that were given while lost, since the last call.
    pub fn take_undecoded(&mut self) -> u64 {
        std::mem::take(&mut self.undecoded)
    }

    fn forget(&mut self) {
        self.buffer.clear();
        self.head = None;
        self.spent = false;
    }

    /// The next message in `input`, which is consumed up to where the wanted part of its body ends.
    /// `None` when all is consumed. `read` gives the length of the head that begins with these bytes
    /// and, once that many are there, what it says; `Err` where no message begins so.
    #[inline]
    pub fn next<'a, 'b: 'a>(
        &'a mut self,
        input: &mut Input<'b>,
        read: impl Fn(&[u8]) -> Result<Option<(Head, usize)>, ()>,
    ) -> Option<Frame<'a>> {
        if self.spent {
            self.forget();
        }
        if self.skip > 0 {
            let n = usize::try_from(self.skip).unwrap_or(usize::MAX).min(input.data.len());
            input.take(n);
            self.skip -= n as u64;
        }
        if self.lost {
            self.undecoded = self.undecoded.saturating_add(input.data.len() as u64);
            input.take(input.data.len());
        }
        if input.data.is_empty() {
            return None;
        }
        if self.buffer.is_empty() {
            self.first = input.at;
            self.offset = input.offset;
            match read(input.data) {
                Err(()) => return self.refuse(input),
                Ok(Some((head, length))) if input.data.len() >= length.saturating_add(head.want) => {
                    let frame = input.take(length + head.want);
                    return Some(self.frame(head, length, frame.get(length..).unwrap_or_default()));
                }
                Ok(_) => {}
            }
        }
        self.gather(input, read)
    }

    /// The same for a message that comes in several runs.
    #[inline(never)]
    fn gather<'a>(
        &'a mut self,
        input: &mut Input<'_>,
        read: impl Fn(&[u8]) -> Result<Option<(Head, usize)>, ()>,
    ) -> Option<Frame<'a>> {
        // Byte by byte only until its head is complete.
        loop {
            let goal = match self.head {
                Some((head, length)) => length.saturating_add(head.want),
                None => self.buffer.len() + 1,
            };
            let missing = goal.saturating_sub(self.buffer.len());
            let run = input.take(missing);
            self.buffer.extend_from_slice(run);
            if run.len() < missing {
                return None;
            }
            match self.head {
                Some((head, length)) => {
                    self.spent = true;
                    let (first, offset) = (self.first, self.offset);
                    let size = length as u64 + u64::from(head.len);
                    self.skip = u64::from(head.len).saturating_sub(head.want as u64);
                    let body = self.buffer.get(length..).unwrap_or_default();
                    return Some(Frame { kind: head.kind, offset, first, size, body, cut: false });
                }
                None => match read(&self.buffer) {
                    Ok(found) => self.head = found,
                    Err(()) => return self.refuse(input),
                },
            }
        }
    }

    fn refuse<'a>(&mut self, input: &mut Input<'_>) -> Option<Frame<'a>> {
        self.undecoded =
            self.undecoded.saturating_add(input.data.len() as u64).saturating_add(self.buffer.len() as u64);
        input.take(input.data.len());
        self.lose();
        None
    }

    #[inline]
    fn frame<'a>(&mut self, head: Head, length: usize, body: &'a [u8]) -> Frame<'a> {
        self.skip = u64::from(head.len).saturating_sub(body.len() as u64);
        let size = length as u64 + u64::from(head.len);
        Frame { kind: head.kind, offset: self.offset, first: self.first, size, body, cut: false }
    }

    /// Bytes are missing: the message they cut, if its head was seen. To be followed by
    /// [`Frames::jump`].
    pub fn cut(&mut self) -> Option<Frame<'_>> {
        if self.spent {
            self.forget();
        }
        let (head, length) = self.head?;
        self.spent = true;
        let body = self.buffer.get(length..).unwrap_or_default();
        self.skip = u64::from(head.len).saturating_sub(body.len() as u64);
        let size = length as u64 + u64::from(head.len);
        Some(Frame { kind: head.kind, offset: self.offset, first: self.first, size, body, cut: true })
    }

    /// Passes `len` missing bytes. Says how many of them lie beyond the current message, with the bytes
    /// before them of a head that they cut; if any, the direction is lost. Whether they are undecoded is
    /// for the caller to say.
    pub fn jump(&mut self, len: u64) -> u64 {
        let inside = len.min(self.skip);
        self.skip -= inside;
        let beyond = len - inside;
        if beyond == 0 {
            return 0;
        }
        let head = if self.spent { 0 } else { self.buffer.len() as u64 };
        self.lose();
        beyond.saturating_add(head)
    }
}

/// Times that what is said may not fit the protocol, with nothing understood in between, before it is
/// taken for another.
const STRIKES: u32 = 4;

/// Both directions of a connection.
#[derive(Debug, Default)]
pub struct Sides {
    /// What the client says.
    pub client: Frames,
    /// What the server says.
    pub server: Frames,
    strikes: u32,
}

impl Sides {
    /// Where the next message of a side begins is not known.
    pub fn lost(&self, side: Speaker) -> bool {
        match side {
            Speaker::Client => self.client.lost(),
            Speaker::Server => self.server.lost(),
        }
    }

    /// Something did not fit; `understood`: since the last time something did. Whether that was once
    /// too often.
    pub fn strike(&mut self, understood: bool) -> bool {
        self.strikes = if understood { 1 } else { self.strikes + 1 };
        self.strikes >= STRIKES
    }
}
