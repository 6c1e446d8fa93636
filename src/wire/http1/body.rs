//! Bodies (RFC 9112 sections 6 and 7): how long they are, and passing over them.

use super::head::{Coding, Head, Length};

/// What follows a head.
pub enum Framing {
    Nothing,
    Body(Body),
    /// The fields do not say for sure.
    Faulty,
}

/// A body that is being passed over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Body {
    /// So many bytes are to come.
    Length(u64),
    /// Chunks.
    Chunked(Chunk),
    /// Until the connection is closed.
    UntilClose,
}

/// A place in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Chunk {
    /// In the size of a chunk, with the digits so far.
    Size { value: u64, digits: u8 },
    /// After the size: spaces, extensions, the end of the line.
    Extension { value: u64 },
    /// In the data, so many bytes to come.
    Data(u64),
    /// At the end of the line after the data.
    AfterData,
    /// In the trailer section; the length of this line so far, which matters only at 0.
    Trailer { empty: bool },
}

impl Chunk {
    /// Before the first chunk.
    pub const FIRST: Chunk = Chunk::Size { value: 0, digits: 0 };
}

/// How far bytes, or a gap, went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Went {
    /// All of it was inside of the body.
    Inside,
    /// The body ended after so many bytes.
    End(u64),
    /// The framing is lost.
    Lost,
}

impl Body {
    /// Passes over `data`.
    pub fn bytes(&mut self, data: &[u8]) -> Went {
        match self {
            Body::Length(left) => pass(left, data.len() as u64),
            Body::UntilClose => Went::Inside,
            Body::Chunked(chunk) => chunk.bytes(data),
        }
    }

    /// Passes over `len` bytes that were not seen.
    pub fn gap(&mut self, len: u64) -> Went {
        match self {
            Body::Length(left) => pass(left, len),
            Body::UntilClose => Went::Inside,
            Body::Chunked(Chunk::Data(left)) if *left >= len => {
                *left -= len;
                if *left == 0 {
                    *self = Body::Chunked(Chunk::AfterData);
                }
                Went::Inside
            }
            Body::Chunked(_) => Went::Lost,
        }
    }
}

fn pass(left: &mut u64, len: u64) -> Went {
    if len < *left {
        *left -= len;
        Went::Inside
    } else {
        Went::End(std::mem::take(left))
    }
}

impl Chunk {
    fn bytes(&mut self, data: &[u8]) -> Went {
        let mut rest = data;
        while let Some((&b, after)) = rest.split_first() {
            rest = after;
            match self {
                Chunk::Data(left) => {
                    // The whole run at once: `b` is the first byte of it.
                    let n = (*left).min(after.len() as u64 + 1);
                    *left -= n;
                    if *left == 0 {
                        *self = Chunk::AfterData;
                    }
                    rest = usize::try_from(n - 1).ok().and_then(|n| after.get(n..)).unwrap_or_default();
                }
                Chunk::Size { value, digits } => match ((b as char).to_digit(16), b) {
                    (Some(d), _) if *digits < 16 => {
                        *self = Chunk::Size { value: *value << 4 | u64::from(d), digits: *digits + 1 };
                    }
                    (None, b'\n') if *digits > 0 => *self = Chunk::after_size(*value),
                    (None, b';' | b' ' | b'\t' | b'\r') if *digits > 0 => {
                        *self = Chunk::Extension { value: *value };
                    }
                    _ => return Went::Lost,
                },
                Chunk::Extension { value } => {
                    if b == b'\n' {
                        *self = Chunk::after_size(*value);
                    }
                }
                Chunk::AfterData => match b {
                    b'\r' => {}
                    b'\n' => *self = Chunk::FIRST,
                    _ => return Went::Lost,
                },
                Chunk::Trailer { empty } => match (b, *empty) {
                    (b'\n', true) => return Went::End((data.len() - rest.len()) as u64),
                    (b'\n', false) => *empty = true,
                    (b'\r', _) => {}
                    _ => *empty = false,
                },
            }
        }
        Went::Inside
    }

    fn after_size(value: u64) -> Chunk {
        if value == 0 { Chunk::Trailer { empty: true } } else { Chunk::Data(value) }
    }
}

/// RFC 9112 section 6.3 for requests.
pub fn request_framing(head: &Head) -> Framing {
    match (head.coding, head.length) {
        _ if head.faulty => Framing::Faulty,
        (Coding::Chunked, _) => Framing::Body(Body::Chunked(Chunk::FIRST)),
        (Coding::Other, _) => Framing::Faulty,
        (Coding::Absent, Length::Bytes(n)) if n > 0 => Framing::Body(Body::Length(n)),
        (Coding::Absent, _) => Framing::Nothing,
    }
}

/// RFC 9112 section 6.3 for responses.
pub fn response_framing(head: &Head, method: &str, status: u16) -> Framing {
    if method == "HEAD" || matches!(status, 100..=199 | 204 | 304) {
        return Framing::Nothing;
    }
    match (head.coding, head.length) {
        _ if head.faulty => Framing::Faulty,
        (Coding::Chunked, _) => Framing::Body(Body::Chunked(Chunk::FIRST)),
        (Coding::Absent, Length::Bytes(0)) => Framing::Nothing,
        (Coding::Absent, Length::Bytes(n)) => Framing::Body(Body::Length(n)),
        (Coding::Other, Length::Bytes(_)) => Framing::Faulty,
        (Coding::Other | Coding::Absent, Length::Absent) => Framing::Body(Body::UntilClose),
    }
}
