//! The head of a request: header, topics, and what the client expects for an answer.

use super::api::{self, Api};
use super::read::Reader;
use crate::model::{Known, Shape};

/// What the head of a request says.
#[derive(Debug)]
pub(super) struct Request {
    pub key: i16,
    pub version: i16,
    pub correlation: i32,
    pub api: &'static Api,
    pub target: Known<Box<str>>,
    pub shape: Shape,
}

/// Size prefix, API key, version, correlation id: what every request header begins with.
pub(super) const FIXED: usize = 12;

/// Brokers refuse more (`socket.request.max.bytes` is 100 MiB by default); answers may be longer by a
/// little than the fetch limits, which are below that.
const LONGEST: u64 = 256 << 20;

/// Newer versions than are known here are believed so far.
const NEWER: i16 = 4;

const CUT: &str = "the request goes on beyond what was captured";

/// The length of a message from its size prefix.
pub(super) fn length(prefix: &[u8]) -> Option<u64> {
    let size = u64::try_from(i32::from_be_bytes(prefix.get(..4)?.try_into().ok()?)).ok()?;
    // The smallest message is an answer's correlation id.
    (4..=LONGEST).contains(&size).then_some(size + 4)
}

/// Reads the header (versions 0, 1, 2): what it says, what follows it, and whether it names a client.
/// An error is `true` where more bytes may help, `false` where this is no request.
pub(super) fn header(data: &[u8]) -> Result<(Request, Reader<'_>, bool), bool> {
    let total = length(data).ok_or(data.len() < 4)?;
    let mut r = Reader::new(data.get(4..).unwrap_or_default(), false);
    let key = r.i16().ok_or(true)?;
    let api = api::api(key).ok_or(false)?;
    let version = r.i16().ok_or(true)?;
    if version < 0 || version > api.newest.saturating_add(NEWER) {
        return Err(false);
    }
    let correlation = r.i32().ok_or(true)?;
    if correlation < 0 {
        return Err(false);
    }
    let mut named = false;
    if !(key == api::CONTROLLED_SHUTDOWN && version == 0) {
        let mut ahead = r;
        let len = ahead.i16().ok_or(true)?;
        if !(-1..=1024).contains(&len) || i64::from(len) + FIXED as i64 + 2 > total.cast_signed() {
            return Err(false);
        }
        let id = match r.string() {
            Some(id) => id.unwrap_or_default(),
            // Cut inside of the client id: what there is of it must be printable, too.
            None => ahead.take(data.len().saturating_sub(FIXED + 2)).unwrap_or_default(),
        };
        if !id.iter().all(|b| (0x20..0x7f).contains(b)) {
            return Err(false);
        }
        named = !id.is_empty();
        if id.len() < usize::try_from(len).unwrap_or(0) {
            // Nothing behind the client id can be read.
            r = Reader::new(&[], false);
        }
    }
    r.flexible = version >= api.flexible;
    let request = Request { key, version, correlation, api, target: Known::Absent, shape: Shape::Unary };
    Ok((request, r, named))
}

/// Reads a request's head; `None`: it is none.
pub(super) fn read(data: &[u8]) -> Option<Request> {
    let (mut request, mut r, _) = header(data).ok()?;
    if request.version > request.api.newest {
        request.target = Known::Unknown("a newer version of this API");
        request.shape = waits(request.key);
        return Some(request);
    }
    request.shape = waits(request.key);
    if r.tags().is_none() {
        request.target = if has_topics(request.key) { Known::Unknown(CUT) } else { Known::Absent };
        return Some(request);
    }
    if request.key == api::PRODUCE {
        let mut ahead = r;
        if request.version < 3 || ahead.string().is_some() {
            // acks = 0: the broker does not answer.
            if ahead.i16() == Some(0) {
                request.shape = Shape::OneWay;
            }
        }
    }
    request.target = topics(request.key, request.version, r);
    Some(request)
}

fn waits(key: i16) -> Shape {
    match key {
        api::FETCH | api::JOIN_GROUP | api::SYNC_GROUP | api::SHARE_FETCH => Shape::Wait,
        _ => Shape::Unary,
    }
}

pub(super) fn has_topics(key: i16) -> bool {
    matches!(
        key,
        api::PRODUCE
            | api::FETCH
            | api::LIST_OFFSETS
            | api::METADATA
            | api::OFFSET_COMMIT
            | api::OFFSET_FETCH
            | api::CREATE_TOPICS
            | api::DELETE_TOPICS
            | api::CREATE_PARTITIONS
    )
}

/// `topic`, or `topic +n` for n further ones.
fn topics(key: i16, version: i16, mut r: Reader<'_>) -> Known<Box<str>> {
    if !has_topics(key) {
        return Known::Absent;
    }
    match first_topic(key, version, &mut r) {
        Some(Found::Topic(name, more)) => match text(name) {
            Some(name) if more == 0 => Known::Known(name.into()),
            Some(name) => Known::Known(format!("{name} +{more}").into()),
            None => Known::Unknown("not a topic name"),
        },
        Some(Found::Id) => Known::Unknown("topic id"),
        Some(Found::None) => Known::Absent,
        None => Known::Unknown(CUT),
    }
}

enum Found<'a> {
    /// Name of the first topic, number of further ones.
    Topic(&'a [u8], u32),
    /// Topics are given by id.
    Id,
    /// None is named: all are meant, or none.
    None,
}

fn first_topic<'a>(key: i16, version: i16, r: &mut Reader<'a>) -> Option<Found<'a>> {
    let mut by_id = false;
    // Whether a topic's id stands before its name.
    let mut id_first = false;
    match key {
        api::PRODUCE => {
            if version >= 3 {
                r.string()?;
            }
            r.take(2 + 4)?;
            by_id = version >= 13;
        }
        api::FETCH => {
            // replica (gone from 15 on), max wait, min bytes, max bytes, isolation, session.
            let fixed =
                [(0..=14, 4), (0..=i16::MAX, 8), (3..=i16::MAX, 4), (4..=i16::MAX, 1), (7..=i16::MAX, 8)];
            r.take(fixed.iter().filter(|(versions, _)| versions.contains(&version)).map(|f| f.1).sum())?;
            by_id = version >= 13;
        }
        api::LIST_OFFSETS => {
            r.take(if version >= 2 { 5 } else { 4 })?;
        }
        api::METADATA => id_first = version >= 10,
        api::OFFSET_COMMIT => {
            r.string()?;
            if version >= 1 {
                r.take(4)?;
                r.string()?;
            }
            if version >= 7 {
                r.string()?;
            }
            if (2..=4).contains(&version) {
                r.take(8)?;
            }
            by_id = version >= 10;
        }
        api::OFFSET_FETCH => {
            if version >= 8 && r.array()?.unwrap_or(0) == 0 {
                return Some(Found::None);
            }
            r.string()?;
            if version >= 9 {
                r.string()?;
                r.take(4)?;
            }
            by_id = version >= 10;
        }
        // Create topics, delete topics, create partitions: the array comes first.
        _ => {}
    }
    let n = r.array()?.unwrap_or(0);
    if n == 0 {
        return Some(Found::None);
    }
    if by_id {
        return Some(Found::Id);
    }
    if id_first {
        r.take(16)?;
    }
    Some(match r.string()? {
        Some(name) => Found::Topic(name, n - 1),
        None => Found::Id,
    })
}

/// A topic's name, if it is a legal one: at most 249 of `[a-zA-Z0-9._-]`.
fn text(name: &[u8]) -> Option<&str> {
    let legal = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > 249 || !name.iter().all(legal) {
        return None;
    }
    std::str::from_utf8(name).ok()
}
