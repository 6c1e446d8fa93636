//! The pcapng file format: blocks in sections, each section with its own byte order and interfaces
//! (draft-ietf-opsawg-pcapng).

use super::bytes::{Order, array};

/// Section Header Block; its type reads the same in both byte orders.
pub(super) const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Type, length, and what is needed of a section's header.
pub(super) const BLOCK_HEAD: usize = 12;

/// Interfaces of a section at most; those beyond are not remembered.
const MAX_INTERFACES: usize = 1 << 16;

/// Link type of an interface whose description could not be read.
const UNKNOWN_LINK: u16 = u16::MAX;

/// What a section has said so far.
#[derive(Debug)]
pub(super) struct Section {
    order: Order,
    interfaces: Vec<Interface>,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: u16,
    snap_length: u32,
    resolution: Resolution,
    /// Seconds to add to every time.
    offset: i64,
}

/// Length of a tick, as a negative power.
#[derive(Clone, Copy, Debug)]
enum Resolution {
    Ten(u32),
    Two(u32),
}

/// A block's type and length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// Type.
    pub kind: u32,
    /// Length with everything; at least [`BLOCK_HEAD`] and a multiple of 4.
    pub length: u32,
}

/// A packet in a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    /// Nanoseconds since the epoch, where the block tells.
    pub time: Option<u64>,
    /// Link type; `None` when the interface was not described.
    pub link: Option<u16>,
    /// Where in the block its bytes begin.
    pub start: usize,
    /// Bytes that were captured; they are all in the block.
    pub captured: usize,
    /// Bytes that the packet had.
    pub original: u32,
}

impl Head {
    /// Whether blocks of this type are packets.
    pub(super) fn is_packet(self) -> bool {
        matches!(self.kind, OLD_PACKET | SIMPLE_PACKET | ENHANCED_PACKET)
    }

    /// Whether it describes an interface.
    pub(super) fn is_interface(self) -> bool {
        self.kind == INTERFACE
    }
}

impl Section {
    /// By the head of a section header block.
    pub(super) fn begin(head: &[u8]) -> Option<Section> {
        let order = match array(head, 8)? {
            [0x1a, 0x2b, 0x3c, 0x4d] => Order::Big,
            [0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
            _ => return None,
        };
        (order.u32(head, 0)? == SECTION).then_some(Section { order, interfaces: Vec::new() })
    }

    /// Type and length of a block; `None` when the length cannot be one.
    pub(super) fn head(&self, head: &[u8]) -> Option<Head> {
        let (kind, length) = (self.order.u32(head, 0)?, self.order.u32(head, 4)?);
        (length >= BLOCK_HEAD as u32 && length.is_multiple_of(4)).then_some(Head { kind, length })
    }

    /// Whether the length that ends a block is the one that began it.
    pub(super) fn ends_with(&self, trailer: &[u8], length: u32) -> bool {
        self.order.u32(trailer, 0) == Some(length)
    }

    /// Takes in the description of an interface. They are numbered in order, so one that cannot be
    /// read still takes its place.
    pub(super) fn interface(&mut self, block: &[u8]) {
        let interface = self.read_interface(block).unwrap_or(Interface {
            link: UNKNOWN_LINK,
            snap_length: 0,
            resolution: Resolution::Ten(6),
            offset: 0,
        });
        if self.interfaces.len() < MAX_INTERFACES {
            self.interfaces.push(interface);
        }
    }

    fn read_interface(&self, block: &[u8]) -> Option<Interface> {
        let mut found = Interface {
            link: self.order.u16(block, 8)?,
            snap_length: self.order.u32(block, 12)?,
            resolution: Resolution::Ten(6),
            offset: 0,
        };
        let mut options = block.get(16..block.len().checked_sub(4)?)?;
        while let (Some(code), Some(length)) = (self.order.u16(options, 0), self.order.u16(options, 2)) {
            let length = usize::from(length);
            let value = options.get(4..4 + length).unwrap_or_default();
            match code {
                0 => break,
                9 => {
                    if let Some(&v) = value.first() {
                        let power = u32::from(v & 0x7f);
                        found.resolution =
                            if v & 0x80 == 0 { Resolution::Ten(power) } else { Resolution::Two(power) };
                    }
                }
                14 => found.offset = self.order.i64(value, 0).unwrap_or(0),
                _ => {}
            }
            options = options.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
        }
        Some(found)
    }

    /// The packet in a block; `None` when the block is too short for what it says.
    pub(super) fn packet(&self, kind: u32, block: &[u8]) -> Option<Packet> {
        let (number, ticks_at, lengths_at, start) = match kind {
            ENHANCED_PACKET => (self.order.u32(block, 8)?, 12, 20, 28),
            OLD_PACKET => (u32::from(self.order.u16(block, 8)?), 12, 20, 28),
            _ => return self.simple_packet(block),
        };
        let interface = usize::try_from(number).ok().and_then(|n| self.interfaces.get(n));
        let ticks = (u64::from(self.order.u32(block, ticks_at)?) << 32)
            | u64::from(self.order.u32(block, ticks_at + 4)?);
        let captured = usize::try_from(self.order.u32(block, lengths_at)?).ok()?;
        let original = self.order.u32(block, lengths_at + 4)?;
        if captured > block.len().checked_sub(start + 4)? {
            return None;
        }
        Some(Packet {
            time: interface.map(|i| i.nanoseconds(ticks)),
            link: interface.map(|i| i.link),
            start,
            captured,
            original,
        })
    }

    /// A packet without interface and time: it is of the first interface, and as long as that cuts.
    fn simple_packet(&self, block: &[u8]) -> Option<Packet> {
        let start = 12;
        let original = self.order.u32(block, 8)?;
        let room = block.len().checked_sub(start + 4)?;
        let interface = self.interfaces.first();
        let cut = interface.map(|i| i.snap_length).filter(|n| *n != 0).unwrap_or(u32::MAX);
        let captured = usize::try_from(original.min(cut)).ok()?.min(room);
        Some(Packet { time: None, link: interface.map(|i| i.link), start, captured, original })
    }
}

impl Interface {
    /// Ticks as nanoseconds since the epoch; times before it, and beyond what fits, are cut off.
    fn nanoseconds(self, ticks: u64) -> u64 {
        let ticks = u128::from(ticks);
        let since = match self.resolution {
            Resolution::Ten(n @ 0..=9) => ticks * 10u128.pow(9 - n),
            Resolution::Ten(n) => 10u128.checked_pow(n - 9).map_or(0, |d| ticks / d),
            Resolution::Two(n) => (ticks * 1_000_000_000) >> n,
        };
        let offset = i128::from(self.offset) * 1_000_000_000;
        let sum = i128::try_from(since).unwrap_or(i128::MAX).saturating_add(offset);
        sum.clamp(0, i128::from(i64::MAX)) as u64
    }
}
