//! The binary protocol: headers of 24 bytes and bodies
//! (<https://github.com/memcached/memcached/wiki/BinaryProtocolRevamped>).

use std::borrow::Cow;

use crate::model::Verdict;

/// Length of a header.
pub(super) const HEADER: usize = 24;
/// First byte of a request's header.
pub(super) const REQUEST: u8 = 0x80;
/// First byte of a response's header.
pub(super) const RESPONSE: u8 = 0x81;

/// A header.
#[derive(Clone, Copy)]
pub(super) struct Header {
    pub(super) opcode: u8,
    pub(super) key_len: u16,
    /// Status of a response; a request has its virtual bucket there.
    pub(super) status: u16,
    pub(super) body: u32,
    pub(super) opaque: u32,
}

impl Header {
    /// Reads a header that begins with `magic` and is consistent.
    pub(super) fn read(magic: u8, bytes: &[u8]) -> Option<Header> {
        let [m, opcode, k0, k1, extras, kind, s0, s1, b0, b1, b2, b3, o0, o1, o2, o3, ..] = *bytes else {
            return None;
        };
        let header = Header {
            opcode,
            key_len: u16::from_be_bytes([k0, k1]),
            status: u16::from_be_bytes([s0, s1]),
            body: u32::from_be_bytes([b0, b1, b2, b3]),
            opaque: u32::from_be_bytes([o0, o1, o2, o3]),
        };
        let fits = u32::from(header.key_len) + u32::from(extras) <= header.body && header.body <= 1 << 30;
        (m == magic && kind == 0 && fits).then_some(header)
    }

    /// The command's name, and whether its usual outcome is not replied.
    pub(super) fn command(&self) -> (&'static str, bool) {
        match self.opcode {
            0x00 => ("get", false),
            0x01 => ("set", false),
            0x02 => ("add", false),
            0x03 => ("replace", false),
            0x04 => ("delete", false),
            0x05 => ("incr", false),
            0x06 => ("decr", false),
            0x07 => ("quit", false),
            0x08 => ("flush_all", false),
            0x09 => ("get", true),
            0x0a => ("noop", false),
            0x0b => ("version", false),
            0x0c => ("get", false),
            0x0d => ("get", true),
            0x0e => ("append", false),
            0x0f => ("prepend", false),
            0x10 => ("stats", false),
            0x11 => ("set", true),
            0x12 => ("add", true),
            0x13 => ("replace", true),
            0x14 => ("delete", true),
            0x15 => ("incr", true),
            0x16 => ("decr", true),
            0x17 => ("quit", true),
            0x18 => ("flush_all", true),
            0x19 => ("append", true),
            0x1a => ("prepend", true),
            0x1b => ("verbosity", false),
            0x1c => ("touch", false),
            0x1d | 0x23 => ("gat", false),
            0x1e | 0x24 => ("gat", true),
            0x20 => ("sasl_list", false),
            0x21 => ("sasl_auth", false),
            0x22 => ("sasl_step", false),
            _ => ("unknown", false),
        }
    }

    /// Status and verdict of a response to the command.
    pub(super) fn outcome(&self, method: &str) -> (Option<Cow<'static, str>>, Verdict) {
        let retrieval = matches!(method, "get" | "gat");
        let (status, verdict) = match self.status {
            0x00 if retrieval => ("hit", Verdict::Ok),
            0x00 => ("OK", Verdict::Ok),
            0x01 if retrieval => ("miss", Verdict::Ok),
            0x01 => ("NOT_FOUND", Verdict::Ok),
            0x02 => ("EXISTS", Verdict::Ok),
            0x03 => ("TOO_LARGE", Verdict::Error),
            0x04 => ("INVALID", Verdict::Error),
            0x05 => ("NOT_STORED", Verdict::Ok),
            0x06 => ("NON_NUMERIC", Verdict::Error),
            0x07 => ("WRONG_VBUCKET", Verdict::Error),
            0x08 | 0x20 => ("AUTH_ERROR", Verdict::Error),
            0x09 | 0x21 => ("AUTH_CONTINUE", Verdict::Ok),
            0x81 => ("UNKNOWN_COMMAND", Verdict::Error),
            0x82 => ("OUT_OF_MEMORY", Verdict::Error),
            0x83 => ("NOT_SUPPORTED", Verdict::Error),
            0x84 => ("INTERNAL_ERROR", Verdict::Error),
            0x85 => ("BUSY", Verdict::Error),
            0x86 => ("TEMPORARY_FAILURE", Verdict::Error),
            other => return (Some(Cow::Owned(format!("{other:#06x}"))), Verdict::Error),
        };
        (Some(Cow::Borrowed(status)), verdict)
    }

    /// What matches a response to its request.
    pub(super) fn id(&self) -> u64 {
        u64::from(self.opcode) << 32 | u64::from(self.opaque)
    }

    /// One of the many responses to `stats`; the last has no key.
    pub(super) fn is_part(&self) -> bool {
        self.opcode == 0x10 && self.key_len > 0 && self.status == 0
    }
}
