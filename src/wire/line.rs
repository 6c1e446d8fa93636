//! Lines of text protocols (Redis, NATS, memcached), found in chunks that may cut them anywhere.

use std::collections::VecDeque;

/// A line in the making. Holds the beginning of a line that a chunk cut; never more than `N` bytes.
#[derive(Clone, Debug)]
pub struct Line<const N: usize> {
    buf: [u8; N],
    /// Bytes of the line so far, without its line feed; may be more than `N`.
    seen: usize,
    /// The line in `buf` was handed out: the next one begins.
    done: bool,
}

impl<const N: usize> Default for Line<N> {
    fn default() -> Self {
        Line { buf: [0; N], seen: 0, done: false }
    }
}

impl<const N: usize> Line<N> {
    /// Takes a line off the front of `data`: its first `N` bytes without CR LF or LF. `None` when
    /// `data` ends before the line does; all of it is taken then.
    #[inline]
    pub fn take<'s, 'd: 's>(&'s mut self, data: &mut &'d [u8]) -> Option<&'s [u8]> {
        if self.done {
            self.clear();
        }
        let end = place([b'\n'], data);
        let Some((line, rest)) = end.and_then(|end| data.split_at_checked(end)) else {
            self.keep(data);
            *data = &[];
            return None;
        };
        *data = rest.get(1..).unwrap_or_default();
        if self.seen == 0 {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            return Some(line.get(..N).unwrap_or(line));
        }
        self.keep(line);
        self.done = true;
        let kept = self.buf.get(..self.seen).unwrap_or(&self.buf);
        Some(if self.seen <= N { kept.strip_suffix(b"\r").unwrap_or(kept) } else { kept })
    }

    /// Forgets the beginning that it holds.
    pub fn clear(&mut self) {
        self.seen = 0;
        self.done = false;
    }

    /// The beginning of a line that is not complete yet.
    pub fn partial(&self) -> &[u8] {
        if self.done { &[] } else { self.buf.get(..self.seen).unwrap_or(&self.buf) }
    }

    fn keep(&mut self, more: &[u8]) {
        if let Some(room) = self.buf.get_mut(self.seen..) {
            let n = room.len().min(more.len());
            for (to, from) in room.iter_mut().zip(more.iter().take(n)) {
                *to = *from;
            }
        }
        self.seen = self.seen.saturating_add(more.len());
    }
}

/// Where the first byte is that is one of those `wanted`, looked for eight bytes at a time.
pub(super) fn place<const N: usize>(wanted: [u8; N], data: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let (words, tail) = data.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let marked = wanted.iter().fold(0, |marked, w| {
            // A zero byte where it is; the lowest marked byte is exact.
            let x = word ^ (ONES * u64::from(*w));
            marked | (x.wrapping_sub(ONES) & !x & HIGH)
        });
        if marked != 0 {
            return Some(i * 8 + (marked.trailing_zeros() / 8) as usize);
        }
    }
    tail.iter().position(|b| wanted.contains(b)).map(|n| words.len() * 8 + n)
}

/// A decimal number of digits only, as lengths are written in these protocols.
#[inline]
pub fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    digits.iter().try_fold(0u64, |n, b| b.is_ascii_digit().then(|| n * 10 + u64::from(b - b'0')))
}

/// Takes the first of a queue if it is wanted (`VecDeque::pop_front_if` is too new).
pub(super) fn pop_front_if<T>(queue: &mut VecDeque<T>, wanted: impl FnOnce(&T) -> bool) -> Option<T> {
    if wanted(queue.front()?) { queue.pop_front() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All lines of `text` when it comes in chunks of `size` bytes.
    fn lines(text: &[u8], size: usize) -> Vec<Vec<u8>> {
        let mut line = Line::<8>::default();
        let mut got = Vec::new();
        for mut chunk in text.chunks(size) {
            while !chunk.is_empty() {
                match line.take(&mut chunk) {
                    Some(l) => got.push(l.to_vec()),
                    None => break,
                }
            }
        }
        got
    }

    #[test]
    fn chunks_do_not_matter_and_long_lines_are_cut() {
        let text = b"a\r\n\nseven77\r\neight888\r\nnine99999\r\nvery long\rline\r\n1234567\r8\r\nend";
        let whole = lines(text, text.len());
        assert_eq!(whole[2], b"seven77");
        assert_eq!(whole[3], b"eight888");
        assert_eq!(whole[4], b"nine9999");
        assert_eq!(whole.len(), 7);
        for size in 1..text.len() {
            assert_eq!(lines(text, size), whole, "chunks of {size}");
        }
    }

    #[test]
    fn the_first_of_several_is_found_wherever_it_is() {
        for at in 0..40 {
            let mut data = [b'\n' ^ 0x80; 41];
            (data[at], data[40]) = (b'\n', b'\n');
            assert_eq!(place([b'\n'], &data), Some(at));
            assert_eq!(place([b'\n'], &data[..at]), None);
            data[40] = b' ';
            assert_eq!(place([b' ', b'\n'], &data), Some(at.min(40)));
            assert_eq!(place([b' ', b'\t'], &data), Some(40));
        }
    }

    #[test]
    fn numbers_are_digits_only() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"9999999999999999999"), Some(9_999_999_999_999_999_999));
        assert_eq!(number(b"99999999999999999999"), None);
        for bad in [&b""[..], b"-1", b"+1", b"1 ", b"0x1"] {
            assert_eq!(number(bad), None);
        }
    }
}
