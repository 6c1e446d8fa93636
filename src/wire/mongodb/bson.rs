//! BSON, as far as it is needed to read a command: the elements of one document, in order
//! (<https://bsonspec.org/spec.html>). Nested documents are skipped by their length.

/// A value, as far as commands and replies need it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Double(f64),
    Text(&'a [u8]),
    /// A document or an array; cut where the captured head ends.
    Document(&'a [u8]),
    Bool(bool),
    Int(i64),
    /// Anything else.
    Other,
}

impl Value<'_> {
    /// A whole number, as commands and replies write it: `1`, `NumberLong(1)` or `1.0`.
    pub(super) fn number(self) -> Option<i64> {
        match self {
            Value::Int(n) => Some(n),
            // Saturates; no number that matters here is that large.
            Value::Double(n) => Some(n as i64),
            Value::Bool(b) => Some(i64::from(b)),
            _ => None,
        }
    }
}

/// The elements of a document of which perhaps only the beginning was captured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elements<'a> {
    left: &'a [u8],
    /// The end of the document was seen.
    ended: bool,
}

impl<'a> Elements<'a> {
    /// A document from its length on; `None`: it is none.
    pub(super) fn new(document: &'a [u8]) -> Option<Self> {
        let len = length(document)?;
        let left = document.get(4..).unwrap_or_default();
        Some(Elements { left: left.get(..len - 4).unwrap_or(left), ended: false })
    }

    /// Whether all elements were seen.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (now, later) = self.left.split_at_checked(n)?;
        self.left = later;
        Some(now)
    }

    fn cstring(&mut self) -> Option<&'a [u8]> {
        let end = self.left.iter().position(|b| *b == 0)?;
        let now = self.take(end)?;
        self.take(1)?;
        Some(now)
    }

    fn i32(&mut self) -> Option<i32> {
        Some(i32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.i32()?).ok()?;
        self.take(len)?.split_last().map(|(_, text)| text)
    }

    fn value(&mut self, kind: u8) -> Option<Value<'a>> {
        Some(match kind {
            0x01 => Value::Double(f64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            0x02 => Value::Text(self.string()?),
            0x03 | 0x04 => {
                let len = length(self.left)?;
                let now = self.left.get(..len).unwrap_or(self.left);
                self.left = self.left.get(len..).unwrap_or_default();
                Value::Document(now)
            }
            0x05 => {
                let len = usize::try_from(self.i32()?).ok()?;
                self.take(len.checked_add(1)?)?;
                Value::Other
            }
            0x06 | 0x0a | 0x7f | 0xff => Value::Other,
            0x07 => self.other(12)?,
            0x08 => Value::Bool(*self.take(1)?.first()? != 0),
            0x09 | 0x11 => self.other(8)?,
            0x0b => {
                self.cstring()?;
                self.cstring()?;
                Value::Other
            }
            0x0c => {
                self.string()?;
                self.other(12)?
            }
            0x0d | 0x0e => {
                self.string()?;
                Value::Other
            }
            0x0f => {
                let len = usize::try_from(self.i32()?).ok()?;
                self.other(len.checked_sub(4)?)?
            }
            0x10 => Value::Int(i64::from(self.i32()?)),
            0x12 => Value::Int(i64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            0x13 => self.other(16)?,
            _ => return None,
        })
    }

    fn other(&mut self, n: usize) -> Option<Value<'a>> {
        self.take(n).map(|_| Value::Other)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let kind = *self.take(1)?.first()?;
        if kind == 0 {
            self.ended = self.left.is_empty();
            self.left = &[];
            return None;
        }
        let item = self.cstring().and_then(|key| Some((key, self.value(kind)?)));
        if item.is_none() {
            self.left = &[];
        }
        item
    }
}

/// Length of a document, by its first bytes: at least that of an empty one.
pub(super) fn length(document: &[u8]) -> Option<usize> {
    let len = i32::from_le_bytes(document.get(..4)?.try_into().ok()?);
    usize::try_from(len).ok().filter(|len| *len >= 5)
}
