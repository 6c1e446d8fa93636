//! A byte stream with one buffer of fixed size, from which records are read in place.

use std::io::{self, ErrorKind, Read};
use std::ops::Range;

/// Size of the buffer: several of the longest records that are read.
const CAPACITY: usize = 1 << 20;

/// The stream and what of it is buffered.
#[derive(Debug)]
pub(super) struct Input<R> {
    inner: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Position in the stream of `buffer[start]`.
    position: u64,
    over: bool,
}

impl<R: Read> Input<R> {
    pub(super) fn new(inner: R) -> Self {
        let buffer = vec![0; CAPACITY].into_boxed_slice();
        Input { inner, buffer, start: 0, end: 0, position: 0, over: false }
    }

    /// How far the stream was taken.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// What is buffered and not taken.
    pub(super) fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Makes the next `n` bytes be in [`Input::rest`]; false when the stream ends before, or when
    /// they are more than the buffer holds.
    pub(super) fn fill(&mut self, n: usize) -> io::Result<bool> {
        while self.end - self.start < n {
            if self.over || n > self.buffer.len() {
                return Ok(false);
            }
            if self.buffer.len() - self.start < n || self.start == self.end {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            match self.inner.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(0) => self.over = true,
                // A reader that claims more than it was given room for is not believed.
                Ok(read) => self.end = (self.end + read).min(self.buffer.len()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    /// Takes `n` bytes that [`Input::fill`] has provided, and says where they are until the next
    /// `fill`.
    pub(super) fn take(&mut self, n: usize) -> Range<usize> {
        let n = n.min(self.end - self.start);
        let range = self.start..self.start + n;
        self.start += n;
        self.position += n as u64;
        range
    }

    /// Bytes that were taken.
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.buffer.get(range).unwrap_or_default()
    }

    /// Passes over `n` bytes; false when the stream ends before.
    pub(super) fn skip(&mut self, mut n: u64) -> io::Result<bool> {
        while n > 0 {
            if self.start == self.end && !self.fill(1)? {
                return Ok(false);
            }
            let step = usize::try_from(n).unwrap_or(usize::MAX).min(self.end - self.start);
            self.take(step);
            n -= step as u64;
        }
        Ok(true)
    }
}
