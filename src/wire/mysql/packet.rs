//! Packets and what is in them (MySQL internals manual, "Client/Server Protocol"; MariaDB knowledge
//! base, "Clients & Utilities: Client/Server Protocol").

use super::super::sql::frames::Head;

/// Most bytes that are read of a request.
pub const TEXT: usize = 2048;
/// Most bytes that are read of an answer's packet; the greeting's capabilities lie within.
const ANSWER: usize = 40;
const GREETING: usize = 256;
/// A packet of this length is continued in the next one.
pub const FULL: u64 = 0xff_ffff;

type Read = Result<Option<(Head, usize)>, ()>;

#[inline]
fn packet(bytes: &[u8], text: usize) -> Read {
    let Some([a, b, c, seq]) = bytes.first_chunk::<4>().copied() else { return Ok(None) };
    let len = u32::from_le_bytes([a, b, c, 0]);
    let want = usize::try_from(len).unwrap_or(usize::MAX).min(text);
    Ok(Some((Head { kind: seq, len, want }, 4)))
}

/// Head of a client's packet; `begins`: it can only be a command, whose number is 0.
#[inline]
pub fn request(bytes: &[u8], begins: bool) -> Read {
    packet(bytes, TEXT).and_then(|found| match found {
        Some((head, _)) if begins && head.kind != 0 => Err(()),
        found => Ok(found),
    })
}

/// Head of an answer's packet.
#[inline]
pub fn answer(bytes: &[u8]) -> Read {
    packet(bytes, ANSWER)
}

/// Head of the first packet of a server: it greets, or answers a command from before.
pub fn greeting(bytes: &[u8]) -> Read {
    packet(bytes, GREETING).and_then(|found| match found {
        Some((head, _)) if head.kind > 1 => Err(()),
        found => Ok(found),
    })
}

/// Capability: compressed packets after authentication.
pub const COMPRESS: u32 = 1 << 5;
/// Capability: TLS.
pub const SSL: u32 = 1 << 11;
/// Capability: OK instead of EOF.
pub const DEPRECATE_EOF: u32 = 1 << 24;
/// Capability: compressed packets by zstd.
pub const ZSTD: u32 = 1 << 26;

/// Status: another result follows.
pub const MORE_RESULTS: u16 = 0x0008;
/// Status: rows are to be fetched by a cursor.
pub const CURSOR: u16 = 0x0040;
/// Status: SQL mode NO_BACKSLASH_ESCAPES.
pub const NO_ESCAPES: u16 = 0x0200;

/// Capabilities and status that a server's greeting offers, version 10.
pub fn offered(body: &[u8]) -> Option<(u32, u16)> {
    let end = body.iter().position(|b| *b == 0)?;
    // Connection id, 8 bytes of challenge, a filler.
    let rest = body.get(end + 1 + 13..)?;
    let [a, b, _charset, s, t, c, d] = rest.first_chunk::<7>().copied()?;
    Some((u32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([s, t])))
}

/// A length-encoded integer and what follows it.
pub fn integer(body: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = body.split_first()?;
    let n = match first {
        0..=0xfa => return Some((u64::from(*first), rest)),
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        0xfb | 0xff => return None,
    };
    let mut bytes = [0u8; 8];
    bytes.get_mut(..n)?.copy_from_slice(rest.get(..n)?);
    Some((u64::from_le_bytes(bytes), rest.get(n..)?))
}

/// Status flags of an OK packet.
pub fn ok_status(body: &[u8]) -> Option<u16> {
    let (_affected, rest) = integer(body.get(1..)?)?;
    let (_id, rest) = integer(rest)?;
    rest.first_chunk::<2>().map(|b| u16::from_le_bytes(*b))
}

/// Status flags of an EOF packet.
pub fn eof_status(body: &[u8]) -> Option<u16> {
    body.get(3..)?.first_chunk::<2>().map(|b| u16::from_le_bytes(*b))
}

/// An ERR packet: code, and SQLSTATE if it has one.
pub fn error(body: &[u8]) -> Option<(u16, Option<[u8; 5]>)> {
    let rest = body.strip_prefix(&[0xff])?;
    let (code, rest) = rest.split_first_chunk::<2>()?;
    let state = rest.strip_prefix(b"#").and_then(|r| r.first_chunk::<5>()).copied();
    Some((u16::from_le_bytes(*code), state.filter(|s| s.iter().all(u8::is_ascii_alphanumeric))))
}

/// Requests by their first byte.
pub mod command {
    #![allow(missing_docs)]
    pub const QUIT: u8 = 0x01;
    pub const INIT_DB: u8 = 0x02;
    pub const QUERY: u8 = 0x03;
    pub const FIELD_LIST: u8 = 0x04;
    pub const STATISTICS: u8 = 0x09;
    pub const PING: u8 = 0x0e;
    pub const CHANGE_USER: u8 = 0x11;
    pub const BINLOG_DUMP: u8 = 0x12;
    pub const PREPARE: u8 = 0x16;
    pub const EXECUTE: u8 = 0x17;
    pub const LONG_DATA: u8 = 0x18;
    pub const CLOSE: u8 = 0x19;
    pub const RESET: u8 = 0x1a;
    pub const FETCH: u8 = 0x1c;
    pub const BINLOG_DUMP_GTID: u8 = 0x1e;
    pub const BULK_EXECUTE: u8 = 0xfa;
}

/// Name of a request; `None` if there is none such.
pub fn name(command: u8) -> Option<&'static str> {
    Some(match command {
        command::QUIT => "QUIT",
        command::INIT_DB => "INIT_DB",
        command::QUERY => "QUERY",
        command::FIELD_LIST => "FIELD_LIST",
        0x05 => "CREATE_DB",
        0x06 => "DROP_DB",
        0x07 => "REFRESH",
        0x08 => "SHUTDOWN",
        command::STATISTICS => "STATISTICS",
        0x0a => "PROCESS_INFO",
        0x0c => "PROCESS_KILL",
        0x0d => "DEBUG",
        command::PING => "PING",
        command::CHANGE_USER => "CHANGE_USER",
        command::BINLOG_DUMP => "BINLOG_DUMP",
        0x13 => "TABLE_DUMP",
        0x15 => "REGISTER_SLAVE",
        command::PREPARE => "PREPARE",
        command::EXECUTE => "EXECUTE",
        command::LONG_DATA => "SEND_LONG_DATA",
        command::CLOSE => "STMT_CLOSE",
        command::RESET => "STMT_RESET",
        0x1b => "SET_OPTION",
        command::FETCH => "STMT_FETCH",
        command::BINLOG_DUMP_GTID => "BINLOG_DUMP_GTID",
        0x1f => "RESET_CONNECTION",
        command::BULK_EXECUTE => "BULK_EXECUTE",
        _ => return None,
    })
}
