//! The messages of MongoDB's wire protocol: header, kinds, and the document that says what is asked or
//! answered (<https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/>).

use super::bson;

/// The header's length.
pub(super) const HEADER: usize = 16;

/// Servers refuse messages above 48,000,000 bytes.
const LONGEST: i32 = 64 << 20;

/// OP_MSG: a checksum follows the sections.
const CHECKSUM: u32 = 1;
/// OP_MSG: another message follows without being asked for; in a request: no answer is wanted.
const MORE_TO_COME: u32 = 1 << 1;
/// OP_MSG: the client takes several answers.
const EXHAUST_ALLOWED: u32 = 1 << 16;

/// `opCode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// OP_REPLY, to OP_QUERY and OP_GET_MORE.
    Reply,
    /// OP_UPDATE, OP_INSERT, OP_DELETE, OP_KILL_CURSORS: never answered. With the name shown.
    Unanswered(&'static str),
    Query,
    GetMore,
    Compressed,
    Msg,
}

/// The first 16 bytes of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub id: i32,
    pub response_to: i32,
    pub op: Op,
}

fn i32_at(data: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_le_bytes(data.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Length of a message, by its header; `None`: it is none.
pub(super) fn length(head: &[u8]) -> Option<u64> {
    header(head)?;
    let len = i32_at(head, 0).filter(|len| (16..=LONGEST).contains(len))?;
    u64::try_from(len).ok()
}

/// Reads a header.
pub(super) fn header(head: &[u8]) -> Option<Header> {
    let op = match i32_at(head, 12)? {
        1 => Op::Reply,
        2001 => Op::Unanswered("update"),
        2002 => Op::Unanswered("insert"),
        2004 => Op::Query,
        2005 => Op::GetMore,
        2006 => Op::Unanswered("delete"),
        2007 => Op::Unanswered("killCursors"),
        2012 => Op::Compressed,
        2013 => Op::Msg,
        _ => return None,
    };
    Some(Header { id: i32_at(head, 4)?, response_to: i32_at(head, 8)?, op })
}

/// What OP_MSG holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Msg<'a> {
    pub more_to_come: bool,
    pub exhaust_allowed: bool,
    /// The section of kind 0: the command, or the answer; as far as it was captured. Empty where a
    /// sequence before it is longer than what was captured.
    pub body: &'a [u8],
}

/// Reads OP_MSG; `None`: it is none, or ends before its first section.
pub(super) fn msg(head: &[u8]) -> Option<Msg<'_>> {
    let flags = i32_at(head, HEADER)?.cast_unsigned();
    // Bits 0 to 15 are required: who does not know one must refuse the message.
    if flags & 0xffff & !(CHECKSUM | MORE_TO_COME) != 0 {
        return None;
    }
    let mut rest = head.get(HEADER + 4..)?;
    let body = loop {
        match rest.split_first() {
            Some((0, body)) => break body,
            Some((1, sequence)) => {
                let len = usize::try_from(i32_at(sequence, 0)?).ok().filter(|len| *len >= 5)?;
                rest = sequence.get(len..).unwrap_or_default();
            }
            Some(_) => return None,
            None if head.len() > HEADER + 4 => break rest,
            None => return None,
        }
    };
    if body.len() >= 4 {
        bson::length(body)?;
    }
    Some(Msg { more_to_come: flags & MORE_TO_COME != 0, exhaust_allowed: flags & EXHAUST_ALLOWED != 0, body })
}

/// What the old messages hold: their namespace (`db.collection`) and, in OP_QUERY, the document.
pub(super) fn old(op: Op, head: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = head.get(HEADER + 4..)?;
    if op == Op::Unanswered("killCursors") {
        return Some((&[], &[]));
    }
    let end = rest.iter().position(|b| *b == 0)?;
    let (namespace, rest) = rest.split_at_checked(end)?;
    // Its end, the numbers of documents to skip and to return.
    Some((namespace, rest.get(1 + 8..).unwrap_or_default()))
}

/// OP_REPLY: its flags and its first document, which is empty where there is none.
pub(super) fn reply(head: &[u8]) -> Option<(u32, &[u8])> {
    let flags = i32_at(head, HEADER)?.cast_unsigned();
    // Cursor id, starting from, number returned.
    Some((flags, head.get(HEADER + 4 + 16..).unwrap_or_default()))
}
