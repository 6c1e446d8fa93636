//! The classic file format: a header of 24 bytes, then records with a header of 16
//! (draft-ietf-opsawg-pcap).

use super::bytes::Order;

/// Length of the file's header.
pub(super) const FILE_HEADER: usize = 24;
/// Length of a record's header.
pub(super) const RECORD_HEADER: usize = 16;

/// What the file's header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Classic {
    order: Order,
    /// Nanoseconds in one unit of a time's fraction.
    unit: u64,
    /// Link type of all packets.
    pub link: u16,
    /// Major version; only 2 was ever defined.
    pub version: u16,
}

/// What a record's header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Nanoseconds since the epoch.
    pub time: u64,
    /// Bytes that follow.
    pub captured: u32,
    /// Bytes that the packet had.
    pub original: u32,
}

impl Classic {
    /// By the first bytes of a file; `None` when it is not of this format.
    pub(super) fn recognise(header: &[u8]) -> Option<Classic> {
        let (order, unit) = match header.first_chunk()? {
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, 1000),
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, 1000),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, 1),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, 1),
            _ => return None,
        };
        let version = order.u16(header, 4)?;
        // The upper half tells of frame check sequences, which the length of the IP packet cuts off.
        let link = (order.u32(header, 20)? & 0xffff) as u16;
        Some(Classic { order, unit, link, version })
    }

    /// A record's header.
    pub(super) fn record(&self, header: &[u8]) -> Option<Record> {
        let seconds = u64::from(self.order.u32(header, 0)?);
        let fraction = u64::from(self.order.u32(header, 4)?);
        Some(Record {
            time: seconds * 1_000_000_000 + fraction * self.unit,
            captured: self.order.u32(header, 8)?,
            original: self.order.u32(header, 12)?,
        })
    }
}
