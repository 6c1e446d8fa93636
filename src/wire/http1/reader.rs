//! One direction of a connection: where messages begin and end in it.

use super::body::{Body, Went};
use super::head::{self, Head, RequestLine};
use crate::model::BootNs;
use crate::wire::Speaker;
use crate::wire::line::place;

/// Longest line that is looked at; the rest of a longer one is passed over.
pub const MAX_LINE: usize = 8192;
/// Largest buffer that is kept between lines.
const KEEP: usize = 1024;

/// Where in a message a direction is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum State {
    /// Before or in the start line.
    Start,
    /// In the fields.
    Fields,
    /// In a body whose framing is known.
    Body(Body),
    /// In a message whose end cannot be told.
    Rest,
    /// Nothing is known of what passes.
    Lost,
}

/// What bytes led to.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Nothing yet.
    More,
    /// A request line.
    Request(RequestLine),
    /// A status line.
    Status(u16),
    /// The end of the head: [`Reader::head`] is complete, and the framing is to be set.
    Head,
    /// The end of the message.
    End,
    /// This is no message.
    Invalid,
}

/// Reads one direction.
pub struct Reader {
    who: Speaker,
    pub state: State,
    /// The part of a line that came before, if data ended inside of it.
    line: Vec<u8>,
    /// The rest of a line too long is passed over.
    long: bool,
    /// The fields of the current head.
    pub head: Head,
    /// Where and when the current message began.
    pub began: (u64, BootNs),
    /// End of what passed so far.
    pub position: u64,
    /// That a message begins here is known, not hoped.
    pub sure: bool,
}

impl Reader {
    /// Bytes that it holds beside itself.
    pub fn held(&self) -> usize {
        self.line.capacity()
    }

    /// `sure`: the first byte is the first of a message.
    pub fn new(who: Speaker, sure: bool) -> Self {
        Reader {
            who,
            state: State::Start,
            line: Vec::new(),
            long: false,
            head: Head::default(),
            began: (0, BootNs(0)),
            position: 0,
            sure,
        }
    }

    /// At the boundary between two messages: no byte of the next one was seen.
    pub fn between(&self) -> bool {
        self.state == State::Start && self.line.is_empty()
    }

    /// Bytes of a start line that is not complete.
    pub fn partial(&self) -> u64 {
        if self.state == State::Start { self.line.len() as u64 } else { 0 }
    }

    /// Begins afresh at a message boundary.
    pub fn restart(&mut self, sure: bool) {
        self.leave(State::Start);
        self.sure = sure;
    }

    /// Goes on in another state, without what was buffered.
    pub fn leave(&mut self, state: State) {
        self.drop_line();
        self.long = false;
        self.state = state;
    }

    /// What is known of the request whose line is not complete, and will not be.
    pub fn cut_request(&mut self) -> Option<RequestLine> {
        (self.state == State::Start).then(|| head::cut_request_line(&self.line))?
    }

    /// The status if the status line is not complete, but the status is.
    pub fn cut_status(&self) -> Option<u16> {
        // The byte after the status must be there: `20` may be the beginning of `200`.
        (self.state == State::Start && self.line.len() > 12).then(|| head::status_line(&self.line))?
    }

    /// Reads until something is to be said, at most to the end of `data`, which is not empty.
    /// Returns how many bytes were read.
    pub fn read(&mut self, at: BootNs, offset: u64, data: &[u8]) -> (usize, Step) {
        let (n, step) = match &mut self.state {
            State::Start => self.start(at, offset, data),
            State::Fields => self.fields(data),
            State::Body(body) => match body.bytes(data) {
                Went::Inside => (data.len(), Step::More),
                Went::End(n) => {
                    self.restart(true);
                    (usize::try_from(n).unwrap_or(data.len()), Step::End)
                }
                Went::Lost => {
                    self.leave(State::Rest);
                    (data.len(), Step::More)
                }
            },
            State::Rest | State::Lost => (data.len(), Step::More),
        };
        self.position = offset.saturating_add(n as u64);
        (n, step)
    }

    fn start(&mut self, at: BootNs, offset: u64, data: &[u8]) -> (usize, Step) {
        if self.line.is_empty() {
            // Empty lines before a message are to be ignored (RFC 9112 section 2.2).
            let blank = data.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            if blank > 0 {
                return (blank, Step::More);
            }
            self.began = (offset, at);
            self.head = Head::default();
        }
        let (n, end) = self.window(data);
        let Some(seen) = data.get(..n) else { return (data.len(), Step::Invalid) };
        let buffered = !self.line.is_empty();
        if buffered || end == End::Open {
            self.line.extend_from_slice(seen);
        }
        let line = if buffered || end == End::Open { self.line.as_slice() } else { seen };
        let who = self.who;
        let step = match end {
            End::Open if plausible(who, line) => return (n, Step::More),
            End::Open => Step::Invalid,
            End::Long => match who {
                Speaker::Client => head::cut_request_line(line).map_or(Step::Invalid, Step::Request),
                Speaker::Server => head::status_line(line).map_or(Step::Invalid, Step::Status),
            },
            End::Line => match who {
                Speaker::Client => head::request_line(bare(line)).map_or(Step::Invalid, Step::Request),
                Speaker::Server => head::status_line(bare(line)).map_or(Step::Invalid, Step::Status),
            },
        };
        self.drop_line();
        self.long = end == End::Long;
        self.state = State::Fields;
        (n, step)
    }

    fn fields(&mut self, data: &[u8]) -> (usize, Step) {
        let mut read = 0;
        while let Some(rest) = data.get(read..).filter(|r| !r.is_empty()) {
            if self.long {
                let n = place([b'\n'], rest);
                self.long = n.is_none();
                read += n.map_or(rest.len(), |n| n + 1);
                continue;
            }
            let (n, end) = self.window(rest);
            read += n;
            let Some(seen) = rest.get(..n) else { break };
            let buffered = !self.line.is_empty();
            if buffered || end == End::Open {
                self.line.extend_from_slice(seen);
            }
            if end == End::Open {
                break;
            }
            let line = bare(if buffered { &self.line } else { seen });
            let empty = line.is_empty();
            if !empty {
                self.head.field(line);
            }
            if buffered {
                self.drop_line();
            }
            self.long = end == End::Long;
            if empty {
                return (read, Step::Head);
            }
        }
        (read, Step::More)
    }

    /// How much of `data` belongs to the current line.
    fn window(&self, data: &[u8]) -> (usize, End) {
        let room = MAX_LINE.saturating_sub(self.line.len());
        let seen = data.get(..room).unwrap_or(data);
        match place([b'\n'], seen) {
            Some(n) => (n + 1, End::Line),
            None if seen.len() == room => (room, End::Long),
            None => (seen.len(), End::Open),
        }
    }

    fn drop_line(&mut self) {
        self.line.clear();
        if self.line.capacity() > KEEP {
            self.line = Vec::new();
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    /// The line goes on in data to come.
    Open,
    /// The line is complete.
    Line,
    /// The line is longer than the bound.
    Long,
}

/// A line without its end; a bare LF ends one too (RFC 9112 section 2.2).
fn bare(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether a start line may begin so.
fn plausible(who: Speaker, line: &[u8]) -> bool {
    match who {
        Speaker::Server => head::begins_status_line(line),
        Speaker::Client => match line.iter().position(|b| *b == b' ') {
            Some(n) => n <= head::MAX_METHOD,
            None => line.len() <= head::MAX_METHOD && line.iter().all(|b| head::is_token(*b)),
        },
    }
}
