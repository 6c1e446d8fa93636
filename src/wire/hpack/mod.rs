//! HPACK, header compression for HTTP/2 (RFC 7541), for one who may have come late or missed some.
//!
//! A field is *known*, *unknown* (it refers to an entry of the dynamic table that was not seen) or
//! absent; never wrong. That is possible because indices count from the newest entry: an entry that
//! was seen to be inserted has the same place whatever lies behind it, and an encoder never refers
//! to what is evicted. So entries may be dropped from the old end at any time, here only to bound
//! memory; what is referred to beyond them is unknown. After bytes of a header block were missed
//! the number of insertions is not known, and everything is forgotten.
//!
//! `SETTINGS_HEADER_TABLE_SIZE` is not needed: an encoder that changes the size of its table says
//! so in the next block (section 4.2).
//!
//! Bounds: a dynamic table of at most [`MAX_TABLE`] bytes as RFC 7541 counts them, a field of at
//! most [`MAX_FIELD`] bytes that is cut into pieces, values of at most [`MAX_VALUE`] bytes. Values
//! of fields that nobody needs (cookies, credentials) are not kept at all.

mod huffman;
mod statics;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use statics::STATIC;

/// Bound of the dynamic table, in the bytes of RFC 7541 section 4.1.
pub const MAX_TABLE: usize = 64 << 10;
/// Bound of an encoded field that comes in pieces.
pub const MAX_FIELD: usize = 32 << 10;
/// Values are cut after this many bytes.
pub const MAX_VALUE: usize = 256;
/// Size of the table before an encoder says another one. Source: RFC 9113 section 6.5.2.
const FIRST_TABLE: usize = 4096;
/// What an entry counts beyond its name and value. Source: RFC 7541 section 4.1.
const OVERHEAD: usize = 32;
/// Longest name in [`Name`], and one more.
const MAX_NAME: usize = 16;

/// The header block does not follow RFC 7541.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("header block does not follow RFC 7541")]
pub struct Broken;

/// Name of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// `:method`
    Method,
    /// `:path`
    Path,
    /// `:scheme`
    Scheme,
    /// `:status`
    Status,
    /// `:protocol` (RFC 8441)
    Protocol,
    /// `content-type`
    ContentType,
    /// `grpc-status`
    GrpcStatus,
    /// Some other name; the value is not decoded.
    Other,
    /// It refers to an entry that was not seen; so is the value.
    Unknown,
}

impl Name {
    const fn of(name: &[u8]) -> Self {
        match name {
            b":method" => Name::Method,
            b":path" => Name::Path,
            b":scheme" => Name::Scheme,
            b":status" => Name::Status,
            b":protocol" => Name::Protocol,
            b"content-type" => Name::ContentType,
            b"grpc-status" => Name::GrpcStatus,
            _ => Name::Other,
        }
    }

    fn kept(self) -> bool {
        !matches!(self, Name::Other | Name::Unknown)
    }
}

struct Entry {
    name: Name,
    /// Empty where not kept.
    value: Box<[u8]>,
    /// Length of the name; 0 where unknown.
    name_len: usize,
    /// By RFC 7541 section 4.1, or less where the name is unknown.
    size: usize,
}

/// The names of the static table.
static STATIC_NAMES: [Name; STATIC.len()] = {
    let mut names = [Name::Other; STATIC.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = Name::of(STATIC[i].0);
        i += 1;
    }
    names
};

/// Decoder of the header blocks of one direction.
pub struct Decoder {
    /// Newest first: all that were inserted since the last [`Decoder::forget`], without the oldest.
    entries: VecDeque<Entry>,
    size: usize,
    max: usize,
    why: &'static str,
    /// The beginning of a field that is cut.
    rest: Vec<u8>,
    /// No field of this block came yet: only here the size of the table may change.
    fresh: bool,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    /// Bytes that it holds beside itself.
    pub fn held(&self) -> usize {
        // Values are kept at most as long as they count.
        self.entries.capacity() * size_of::<Entry>()
            + self.size
            + self.rest.capacity()
            + self.name.capacity()
            + self.value.capacity()
    }

    /// A decoder with an empty table. `why` is why something may be unknown.
    pub fn new(why: &'static str) -> Self {
        Decoder {
            entries: VecDeque::new(),
            size: 0,
            max: FIRST_TABLE,
            why,
            rest: Vec::new(),
            fresh: true,
            name: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Forgets the table and what is left of a block: bytes were missed.
    pub fn forget(&mut self, why: &'static str) {
        self.entries.clear();
        self.size = 0;
        self.rest = Vec::new();
        self.why = why;
    }

    /// Why what is unknown is unknown.
    pub fn why(&self) -> &'static str {
        self.why
    }

    /// A header block begins.
    pub fn begin(&mut self) {
        self.rest.clear();
        self.fresh = true;
    }

    /// The next bytes of a header block, cut anywhere. `each` is given name and value (at most
    /// [`MAX_VALUE`] bytes; empty where [`Name::Other`] or [`Name::Unknown`]) of every field.
    ///
    /// # Errors
    /// The bytes are no header block: the table is not to be trusted, [`Decoder::forget`] it.
    pub fn bytes(&mut self, data: &[u8], mut each: impl FnMut(Name, &[u8])) -> Result<(), Broken> {
        if self.rest.is_empty() {
            let used = self.fields(data, &mut each)?;
            let left = data.get(used..).unwrap_or_default();
            if !left.is_empty() {
                self.keep(left)?;
            }
            return Ok(());
        }
        self.keep(data)?;
        let mut rest = std::mem::take(&mut self.rest);
        let used = self.fields(&rest, &mut each)?;
        rest.drain(..used);
        self.rest = rest;
        Ok(())
    }

    /// The header block is complete.
    ///
    /// # Errors
    /// A field is incomplete.
    pub fn end(&mut self) -> Result<(), Broken> {
        if self.rest.is_empty() { Ok(()) } else { Err(Broken) }
    }

    /// Entries and their size by RFC 7541 section 4.1.
    #[cfg(test)]
    fn table(&self) -> (usize, usize) {
        (self.entries.len(), self.size)
    }

    fn keep(&mut self, data: &[u8]) -> Result<(), Broken> {
        if self.rest.len() + data.len() > MAX_FIELD {
            return Err(Broken);
        }
        self.rest.extend_from_slice(data);
        Ok(())
    }

    /// Decodes all complete fields. Returns how many bytes they are.
    fn fields(&mut self, data: &[u8], each: &mut impl FnMut(Name, &[u8])) -> Result<usize, Broken> {
        let mut used = 0;
        while let Some(rest @ [first, ..]) = data.get(used..) {
            // Source: RFC 7541 section 6.
            let took = if first & 0x80 != 0 {
                self.indexed(rest, each)?
            } else if first & 0x40 != 0 {
                self.literal(rest, 6, true, each)?
            } else if first & 0x20 != 0 {
                self.resize(rest)?
            } else {
                self.literal(rest, 4, false, each)?
            };
            let Some(took) = took else { break };
            used += took;
        }
        Ok(used)
    }

    fn indexed(&mut self, data: &[u8], each: &mut impl FnMut(Name, &[u8])) -> Result<Option<usize>, Broken> {
        let Some((index, took)) = integer(data, 7)? else { return Ok(None) };
        self.fresh = false;
        if index == 0 {
            return Err(Broken);
        }
        if let (Some((_, value)), Some(name)) = (STATIC.get(index - 1), STATIC_NAMES.get(index - 1)) {
            each(*name, value);
        } else if let Some(entry) = self.entries.get(index - 1 - STATIC.len()) {
            each(entry.name, &entry.value);
        } else {
            each(Name::Unknown, b"");
        }
        Ok(Some(took))
    }

    fn literal(
        &mut self,
        data: &[u8],
        prefix: u32,
        insert: bool,
        each: &mut impl FnMut(Name, &[u8]),
    ) -> Result<Option<usize>, Broken> {
        // Nothing is decoded before all of the field is here: many small pieces cost no more.
        let Some((index, mut took)) = integer(data, prefix)? else { return Ok(None) };
        let mut spelled = None;
        if index == 0 {
            let Some((text, n)) = string(data.get(took..).unwrap_or_default())? else { return Ok(None) };
            took += n;
            spelled = Some(text);
        }
        let Some((text, n)) = string(data.get(took..).unwrap_or_default())? else { return Ok(None) };
        took += n;
        self.fresh = false;

        let (name, name_len) = match spelled {
            Some(spelled) => {
                self.name.clear();
                let length = spelled.decode(MAX_NAME, &mut self.name)?;
                (Name::of(&self.name), length)
            }
            None => match (STATIC.get(index - 1), STATIC_NAMES.get(index - 1)) {
                (Some((text, _)), Some(name)) => (*name, text.len()),
                _ => self
                    .entries
                    .get(index - 1 - STATIC.len())
                    .map_or((Name::Unknown, 0), |e| (e.name, e.name_len)),
            },
        };
        self.value.clear();
        if name.kept() || insert {
            let keep = if name.kept() { MAX_VALUE } else { 0 };
            let value_len = text.decode(keep, &mut self.value)?;
            if insert {
                self.insert(name, name_len, name_len + value_len + OVERHEAD);
            }
        }
        each(name, &self.value);
        Ok(Some(took))
    }

    fn resize(&mut self, data: &[u8]) -> Result<Option<usize>, Broken> {
        let Some((max, took)) = integer(data, 5)? else { return Ok(None) };
        if !self.fresh {
            return Err(Broken);
        }
        self.max = max.min(MAX_TABLE);
        self.evict(self.max);
        Ok(Some(took))
    }

    fn insert(&mut self, name: Name, name_len: usize, size: usize) {
        // Source: RFC 7541 section 4.4: one that does not fit empties the table.
        let Some(room) = self.max.checked_sub(size) else {
            self.evict(0);
            return;
        };
        self.evict(room);
        self.size += size;
        self.entries.push_front(Entry { name, value: self.value.as_slice().into(), name_len, size });
    }

    fn evict(&mut self, room: usize) {
        while self.size > room {
            let Some(oldest) = self.entries.pop_back() else { break };
            self.size -= oldest.size;
        }
    }
}

struct Text<'a> {
    huffman: bool,
    coded: &'a [u8],
}

impl Text<'_> {
    fn decode(&self, keep: usize, out: &mut Vec<u8>) -> Result<usize, Broken> {
        if self.huffman {
            return huffman::decode(self.coded, keep, out);
        }
        out.extend_from_slice(self.coded.get(..keep).unwrap_or(self.coded));
        Ok(self.coded.len())
    }
}

/// An integer with a prefix of so many bits, and the bytes it takes; `None` where it is cut.
/// Source: RFC 7541 section 5.1. Beyond 28 bits and the prefix it is refused.
fn integer(data: &[u8], prefix: u32) -> Result<Option<(usize, usize)>, Broken> {
    let Some((first, more)) = data.split_first() else { return Ok(None) };
    let full = (1usize << prefix) - 1;
    let value = usize::from(*first) & full;
    if value < full {
        return Ok(Some((value, 1)));
    }
    let mut value = value;
    for (i, byte) in more.iter().enumerate().take(4) {
        value += usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Ok(Some((value, i + 2)));
        }
    }
    if more.len() < 4 { Ok(None) } else { Err(Broken) }
}

/// A string literal and the bytes it takes; `None` where it is cut. Source: RFC 7541 section 5.2.
fn string(data: &[u8]) -> Result<Option<(Text<'_>, usize)>, Broken> {
    let Some((length, took)) = integer(data, 7)? else { return Ok(None) };
    let huffman = data.first().is_some_and(|b| b & 0x80 != 0);
    Ok(data.get(took..took + length).map(|coded| (Text { huffman, coded }, took + length)))
}
