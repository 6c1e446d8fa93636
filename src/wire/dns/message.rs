//! One DNS message (RFC 1035 section 4, RFC 3596, RFC 6891).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::codes;
use super::name::{self, Scratch, Stop};
use crate::wire::{Answer, Record};

/// Length of the header (RFC 1035 section 4.1.1).
pub(super) const HEADER: usize = 12;
/// Most answers that are kept of a message.
const MAX_ANSWERS: usize = 64;
/// Most records that are looked at on the way to the EDNS record, which comes last.
const MAX_RECORDS: usize = 1024;

/// Why bytes are no DNS message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Shorter than a header.
    #[error("shorter than a DNS header")]
    Short,
    /// The question's name is too long, turns in a circle, or has an unknown kind of label.
    #[error("the question has no valid name")]
    Name,
}

/// What a message says, as far as webb cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Identifier that joins query and response.
    pub id: u16,
    /// A response (QR bit), else a query.
    pub response: bool,
    /// Kind of query: 0 = standard, 4 = NOTIFY, 5 = UPDATE.
    pub opcode: u8,
    /// Truncated by the server (TC bit): the client is to ask again over TCP.
    pub truncated: bool,
    /// Response code, with the upper bits of the EDNS record if there is one (RFC 6891 section 6.1.3).
    pub rcode: u16,
    /// How many questions the header announces; more than one is not in use (RFC 9619).
    pub questions: u16,
    /// The first question; `None` where there is none, or the bytes end inside of it.
    pub question: Option<Question>,
    /// A, AAAA and CNAME records of class IN in a response's answer section, at most 64, in order.
    pub answers: Vec<Answer>,
    /// SOA records in the answer section: a zone transfer begins and ends with one.
    pub(super) soas: u16,
    /// Not everything was read: the bytes end early, or a record behind the question is damaged.
    pub partial: bool,
}

/// A question (RFC 1035 section 4.1.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// Name that is asked for: lower case, no final dot, `.` for the root, odd bytes as `\DDD`.
    pub name: Box<str>,
    /// Type number.
    pub kind: u16,
    /// Class number, 1 = Internet; over multicast the top bit has a meaning of its own.
    pub class: u16,
}

impl Question {
    /// The same but for the top bit of the class, which has another meaning in each direction.
    pub(super) fn same(&self, other: &Question) -> bool {
        self.kind == other.kind && (self.class ^ other.class) & 0x7fff == 0 && self.name == other.name
    }
}

/// Reads one message, without the length that goes before it over TCP.
///
/// Of a message whose end is missing, or damaged behind the question, what can be known is given,
/// and [`Message::partial`] says so.
///
/// # Errors
/// Where not even a header and a question (or the beginning of one) are there.
pub fn parse(bytes: &[u8]) -> Result<Message, Malformed> {
    let header: &[u8; HEADER] = bytes.first_chunk().ok_or(Malformed::Short)?;
    let half = |i: usize| u16::from_be_bytes([header[i], header[i + 1]]);
    let mut message = Message {
        id: half(0),
        response: header[2] & 0x80 != 0,
        opcode: header[2] >> 3 & 15,
        truncated: header[2] & 2 != 0,
        rcode: u16::from(header[3] & 15),
        questions: half(4),
        question: None,
        answers: Vec::new(),
        soas: 0,
        partial: false,
    };
    let mut scratch = Scratch::new();
    let mut at = HEADER;
    for n in 0..message.questions {
        match question(bytes, at, (n == 0).then_some(&mut scratch)) {
            Ok((question, behind)) => {
                message.question = message.question.or(question);
                at = behind;
            }
            Err(Stop::Bad) if n == 0 => return Err(Malformed::Name),
            Err(_) => {
                message.partial = true;
                return Ok(message);
            }
        }
    }
    let sections = [half(6), half(8), half(10)];
    message.partial = records(bytes, at, sections, &mut scratch, &mut message).is_err();
    Ok(message)
}

/// Only the first question; `None` where the bytes end before it does.
pub(super) fn first_question(bytes: &[u8]) -> Result<Option<Question>, Malformed> {
    match question(bytes, HEADER, Some(&mut Scratch::new())) {
        Ok((question, _)) => Ok(question),
        Err(Stop::Cut) => Ok(None),
        Err(Stop::Bad) => Err(Malformed::Name),
    }
}

/// A question, its name read where there is room for it, and the position behind it.
fn question(
    bytes: &[u8],
    at: usize,
    scratch: Option<&mut Scratch>,
) -> Result<(Option<Question>, usize), Stop> {
    let (name, at) = match scratch {
        Some(scratch) => {
            let (name, at) = scratch.read(bytes, at)?;
            (Some(name), at)
        }
        None => (None, name::skip(bytes, at)?),
    };
    let &[k0, k1, c0, c1] = bytes.get(at..).and_then(|b| b.first_chunk()).ok_or(Stop::Cut)?;
    let question = name.map(|name| Question {
        name: name.into(),
        kind: u16::from_be_bytes([k0, k1]),
        class: u16::from_be_bytes([c0, c1]),
    });
    Ok((question, at + 4))
}

fn records(
    bytes: &[u8],
    mut at: usize,
    [answers, authority, additional]: [u16; 3],
    scratch: &mut Scratch,
    message: &mut Message,
) -> Result<(), Stop> {
    let answers = usize::from(answers);
    let all = answers + usize::from(authority) + usize::from(additional);
    if message.response && answers > 0 {
        // A record takes at least 11 bytes: a count alone reserves nothing.
        message.answers.reserve_exact(answers.min(MAX_ANSWERS).min(bytes.len() / 11));
    }
    for n in 0..all.min(MAX_RECORDS) {
        let owner = at;
        at = name::skip(bytes, at)?;
        let fixed: &[u8; 10] = bytes.get(at..).and_then(|b| b.first_chunk()).ok_or(Stop::Cut)?;
        let [k0, k1, c0, c1, t0, t1, t2, t3, l0, l1] = *fixed;
        let kind = u16::from_be_bytes([k0, k1]);
        let data = at + 10;
        at = data + usize::from(u16::from_be_bytes([l0, l1]));
        if kind == codes::OPT && n >= answers {
            message.rcode |= u16::from(t0) << 4;
        }
        if n >= answers || !message.response {
            continue;
        }
        if kind == codes::SOA {
            message.soas = message.soas.saturating_add(1);
        }
        // Over multicast the top bit of the class says that older records are to be forgotten.
        if u16::from_be_bytes([c0, c1]) & 0x7fff != 1 || message.answers.len() >= MAX_ANSWERS {
            continue;
        }
        let record = match kind {
            codes::A if at == data + 4 => Record::Address(IpAddr::V4(Ipv4Addr::from(array(bytes, data)?))),
            codes::AAAA if at == data + 16 => {
                Record::Address(IpAddr::V6(Ipv6Addr::from(array(bytes, data)?)))
            }
            codes::CNAME => Record::Alias(scratch.read(bytes, data)?.0.into()),
            _ => continue,
        };
        let ttl = u32::from_be_bytes([t0, t1, t2, t3]);
        // With the top bit set it counts as zero (RFC 2181 section 8).
        let ttl = if ttl >> 31 == 0 { ttl } else { 0 };
        message.answers.push(Answer {
            name: owned(bytes, owner, scratch, message.question.as_ref())?,
            record,
            ttl,
        });
    }
    if at > bytes.len() || all > MAX_RECORDS { Err(Stop::Cut) } else { Ok(()) }
}

/// The name at `at`; most answers point at the question's, which was read already.
fn owned(
    bytes: &[u8],
    at: usize,
    scratch: &mut Scratch,
    question: Option<&Question>,
) -> Result<Box<str>, Stop> {
    match (bytes.get(at..at + 2), question) {
        (Some([0xc0, 12]), Some(question)) => Ok(question.name.clone()),
        _ => Ok(scratch.read(bytes, at)?.0.into()),
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Stop> {
    bytes.get(at..).and_then(|b| b.first_chunk()).copied().ok_or(Stop::Cut)
}
