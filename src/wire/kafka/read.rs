//! Reading the primitive types of the Kafka protocol ("Protocol Primitive Types",
//! <https://kafka.apache.org/protocol#protocol_types>), in their fixed and compact encodings.

/// What is left to read of a captured head. Every read is `None` where the head ends.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    left: &'a [u8],
    /// Compact strings and arrays, tagged fields (KIP-482).
    pub flexible: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(left: &'a [u8], flexible: bool) -> Self {
        Reader { left, flexible }
    }

    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (now, later) = self.left.split_at_checked(n)?;
        self.left = later;
        Some(now)
    }

    pub(super) fn i8(&mut self) -> Option<i8> {
        self.take(1)?.first().map(|b| b.cast_signed())
    }

    pub(super) fn i16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// UNSIGNED_VARINT: at most five bytes.
    pub(super) fn uvarint(&mut self) -> Option<u32> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = *self.take(1)?.first()?;
            value |= u32::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// (COMPACT_)(NULLABLE_)STRING: the inner `None` is null.
    pub(super) fn string(&mut self) -> Option<Option<&'a [u8]>> {
        let len = match self.flexible {
            true => i64::from(self.uvarint()?) - 1,
            false => i64::from(self.i16()?),
        };
        self.counted(len)
    }

    /// (COMPACT_)(NULLABLE_)BYTES.
    pub(super) fn blob(&mut self) -> Option<Option<&'a [u8]>> {
        let len = match self.flexible {
            true => i64::from(self.uvarint()?) - 1,
            false => i64::from(self.i32()?),
        };
        self.counted(len)
    }

    fn counted(&mut self, len: i64) -> Option<Option<&'a [u8]>> {
        match len {
            -1 => Some(None),
            len => self.take(usize::try_from(len).ok()?).map(Some),
        }
    }

    /// Number of elements of an (COMPACT_)ARRAY: the inner `None` is null.
    pub(super) fn array(&mut self) -> Option<Option<u32>> {
        let n = match self.flexible {
            true => i64::from(self.uvarint()?) - 1,
            false => i64::from(self.i32()?),
        };
        match n {
            -1 => Some(None),
            n => u32::try_from(n).ok().map(Some),
        }
    }

    /// TAG_BUFFER, where the version has one.
    pub(super) fn tags(&mut self) -> Option<()> {
        if self.flexible {
            for _ in 0..self.uvarint()? {
                self.uvarint()?;
                let len = self.uvarint()?;
                self.take(usize::try_from(len).ok()?)?;
            }
        }
        Some(())
    }
}
