//! Packets out of a file of either format.

use std::io::Read;
use std::ops::Range;

use super::classic::{Classic, FILE_HEADER, RECORD_HEADER};
use super::counts::{CaptureError, Counts, Skip};
use super::input::Input;
use super::ng::{BLOCK_HEAD, Head, SECTION, Section};

/// The longest packet that is read, and what `tcpdump` captures at most.
const MAX_PACKET: u32 = 256 << 10;
/// The longest block that is read: a packet, and comments on it.
const MAX_BLOCK: u32 = MAX_PACKET + (64 << 10);
/// A classic record longer than this is taken for damage, because reading on behind it cannot find
/// the next one.
const MAX_RECORD: u32 = 64 << 20;

/// A packet as it stands in the file.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    /// Nanoseconds since the epoch, where the file tells.
    pub time: Option<u64>,
    /// Link type (`LINKTYPE_…`).
    pub link: u16,
    /// Length of the packet on the wire.
    pub original: u32,
    bytes: Range<usize>,
}

#[derive(Debug)]
enum Format {
    Classic(Classic),
    Ng(Section),
}

/// An open capture file.
#[derive(Debug)]
pub(super) struct File<R> {
    input: Input<R>,
    format: Format,
    over: bool,
}

/// How one record or block was passed.
enum Step {
    Packet(Raw),
    Other,
    Truncated,
    Damaged,
    End,
}

impl<R: Read> File<R> {
    /// Reads the beginning of a file, which tells its format.
    pub(super) fn open(inner: R) -> Result<Self, CaptureError> {
        let mut input = Input::new(inner);
        if !input.fill(FILE_HEADER)? && input.rest().is_empty() {
            return Err(CaptureError::Empty);
        }
        let begin = input.rest();
        let format = if let Some(classic) = Classic::recognise(begin) {
            if classic.version != 2 {
                return Err(CaptureError::Version(classic.version));
            }
            input.take(FILE_HEADER);
            Format::Classic(classic)
        } else if let Some(section) = Section::begin(begin) {
            Format::Ng(section)
        } else {
            return Err(other_format(begin));
        };
        Ok(File { input, format, over: false })
    }

    /// How far the file was read.
    pub(super) fn position(&self) -> u64 {
        self.input.position()
    }

    /// The bytes of a packet, until the next call of [`File::next`].
    pub(super) fn bytes(&self, packet: &Raw) -> &[u8] {
        self.input.bytes(packet.bytes.clone())
    }

    /// The next packet; `None` at the end, or where nothing can be read any more.
    pub(super) fn next(&mut self, counts: &mut Counts) -> Result<Option<Raw>, CaptureError> {
        while !self.over {
            let begin = self.input.position();
            let step = match &mut self.format {
                Format::Classic(classic) => record(&mut self.input, classic, counts)?,
                Format::Ng(section) => block(&mut self.input, section, counts)?,
            };
            match step {
                Step::Packet(packet) => return Ok(Some(packet)),
                Step::Other => continue,
                Step::End => {}
                Step::Truncated => {
                    counts.truncated = true;
                    let rest = self.input.rest().len();
                    self.input.take(rest);
                }
                Step::Damaged => {
                    counts.damaged_at = Some(begin);
                    counts.unread = counts.total.map(|total| total.saturating_sub(begin));
                }
            }
            self.over = true;
        }
        Ok(None)
    }
}

fn other_format(begin: &[u8]) -> CaptureError {
    let compressed = |with, command| CaptureError::Compressed { with, command };
    match begin {
        [0x1f, 0x8b, ..] => compressed("gzip", "gunzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => compressed("zstd", "unzstd"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => compressed("xz", "unxz"),
        [b'B', b'Z', b'h', ..] => compressed("bzip2", "bunzip2"),
        _ => CaptureError::NotACapture,
    }
}

/// One record of a classic file.
fn record<R: Read>(
    input: &mut Input<R>,
    classic: &Classic,
    counts: &mut Counts,
) -> Result<Step, CaptureError> {
    if !input.fill(RECORD_HEADER)? {
        return Ok(if input.rest().is_empty() { Step::End } else { Step::Truncated });
    }
    let Some(record) = classic.record(input.rest()) else { return Ok(Step::Truncated) };
    if record.captured > MAX_RECORD {
        return Ok(Step::Damaged);
    }
    input.take(RECORD_HEADER);
    let length = record.captured as usize;
    if record.captured > MAX_PACKET {
        counts.packets += 1;
        counts.skip(Skip::TooLong);
        return Ok(if input.skip(length as u64)? { Step::Other } else { Step::Truncated });
    }
    if !input.fill(length)? {
        return Ok(Step::Truncated);
    }
    let original = record.original.max(record.captured);
    Ok(Step::Packet(Raw { time: Some(record.time), link: classic.link, original, bytes: input.take(length) }))
}

/// One block of a pcapng file.
fn block<R: Read>(
    input: &mut Input<R>,
    section: &mut Section,
    counts: &mut Counts,
) -> Result<Step, CaptureError> {
    if !input.fill(BLOCK_HEAD)? {
        return Ok(if input.rest().is_empty() { Step::End } else { Step::Truncated });
    }
    if input.rest().starts_with(&SECTION.to_be_bytes()) {
        match Section::begin(input.rest()) {
            Some(new) => *section = new,
            None => return Ok(Step::Damaged),
        }
    }
    let Some(head) = section.head(input.rest()) else { return Ok(Step::Damaged) };
    let wanted = head.is_packet() || head.is_interface();
    if !wanted || head.length > MAX_BLOCK {
        return pass(input, section, head, counts);
    }
    let length = head.length as usize;
    if !input.fill(length)? {
        return Ok(Step::Truncated);
    }
    let whole = input.rest().get(..length).unwrap_or_default();
    if !section.ends_with(whole.get(length - 4..).unwrap_or_default(), head.length) {
        return Ok(Step::Damaged);
    }
    if head.is_interface() {
        section.interface(whole);
        input.take(length);
        return Ok(Step::Other);
    }
    let packet = section.packet(head.kind, whole);
    let at = input.take(length).start;
    let skipped = match packet {
        None => Skip::Malformed,
        Some(p) if p.captured > MAX_PACKET as usize => Skip::TooLong,
        Some(super::ng::Packet { link: None, .. }) => Skip::Link,
        Some(super::ng::Packet { time, link: Some(link), start, captured, original }) => {
            let bytes = at + start..at + start + captured;
            let original = original.max(captured as u32);
            return Ok(Step::Packet(Raw { time, link, original, bytes }));
        }
    };
    counts.packets += 1;
    counts.skip(skipped);
    Ok(Step::Other)
}

/// Passes over a block that is of no interest, or too long.
fn pass<R: Read>(
    input: &mut Input<R>,
    section: &mut Section,
    head: Head,
    counts: &mut Counts,
) -> Result<Step, CaptureError> {
    if head.is_packet() {
        counts.packets += 1;
        counts.skip(Skip::TooLong);
    } else if head.is_interface() {
        section.interface(&[]);
    }
    if !input.skip(u64::from(head.length) - 4)? || !input.fill(4)? {
        return Ok(Step::Truncated);
    }
    if !section.ends_with(input.rest(), head.length) {
        return Ok(Step::Damaged);
    }
    input.take(4);
    Ok(Step::Other)
}
