//! The error codes in an answer's head, by the layout of its API and version
//! (<https://kafka.apache.org/protocol#protocol_messages>).

use std::borrow::Cow;

use super::read::Reader;
use super::{api, errors};
use crate::model::{Known, Verdict};

/// What the head of an answer says of how it went. `head` begins behind the correlation id.
pub(super) fn outcome(
    key: i16,
    version: i16,
    newest: i16,
    flexible: bool,
    head: &[u8],
) -> (Known<Cow<'static, str>>, Verdict) {
    let unknown = |why| (Known::Unknown(why), Verdict::Unknown);
    let mut codes = Codes::default();
    // The broker answers in version 0 to a version of ApiVersions that it does not know, and never
    // with a flexible header (KIP-511): the code is at the same place in all versions.
    let versions = key == api::API_VERSIONS;
    if version > newest && !versions {
        return unknown("a newer version of this API");
    }
    let mut r = Reader::new(head, flexible && !versions);
    let read = r.tags().and_then(|()| walk(key, version, &mut r, &mut codes));
    match (codes.bad, read) {
        (Some(code), _) => (Known::Known(errors::name(code)), errors::verdict(key, code)),
        (None, Some(Layout::Read)) => (Known::Known(errors::name(0)), Verdict::Ok),
        (None, Some(Layout::NotKnown)) => unknown("answers of this API are not read"),
        (None, None) if codes.top => (Known::Known(errors::name(0)), Verdict::Ok),
        (None, None) => unknown("the answer goes on beyond what was captured"),
    }
}

/// The codes that were read so far.
#[derive(Default)]
struct Codes {
    /// The first that is not 0.
    bad: Option<i16>,
    /// A code for the answer as a whole was read.
    top: bool,
}

impl Codes {
    /// Reads a code; `None` where the head ends, or where reading on is of no use.
    fn read(&mut self, r: &mut Reader<'_>) -> Option<()> {
        match r.i16()? {
            0 => Some(()),
            code => {
                self.bad = Some(code);
                None
            }
        }
    }

    /// The same for the code of the answer as a whole.
    fn read_top(&mut self, r: &mut Reader<'_>) -> Option<()> {
        self.read(r)?;
        self.top = true;
        Some(())
    }
}

enum Layout {
    /// Every code was read.
    Read,
    /// Where the codes stand is not written down here.
    NotKnown,
}

/// Reads the elements of an array, each a struct that ends with its tags.
fn each<'a>(r: &mut Reader<'a>, mut one: impl FnMut(&mut Reader<'a>) -> Option<()>) -> Option<()> {
    for _ in 0..r.array()?.unwrap_or(0) {
        one(r)?;
        r.tags()?;
    }
    Some(())
}

/// An array of 32-bit numbers.
fn numbers(r: &mut Reader<'_>) -> Option<()> {
    let n = usize::try_from(r.array()?.unwrap_or(0)).ok()?;
    r.take(n.checked_mul(4)?).map(drop)
}

/// A topic's name, or its id.
fn topic(r: &mut Reader<'_>, by_id: bool) -> Option<()> {
    match by_id {
        true => r.take(16).map(drop),
        false => r.string().map(drop),
    }
}

/// Throttle time, from version `from` on.
fn throttle(r: &mut Reader<'_>, version: i16, from: i16) -> Option<()> {
    if version >= from {
        r.take(4)?;
    }
    Some(())
}

fn walk(key: i16, v: i16, r: &mut Reader<'_>, codes: &mut Codes) -> Option<Layout> {
    match key {
        api::PRODUCE => produce(v, r, codes)?,
        api::FETCH => fetch(v, r, codes)?,
        api::LIST_OFFSETS => {
            throttle(r, v, 2)?;
            each(r, |r| {
                r.string()?;
                each(r, |r| {
                    r.take(4)?;
                    codes.read(r)?;
                    match v {
                        0 => {
                            let n = usize::try_from(r.array()?.unwrap_or(0)).ok()?;
                            r.take(n.checked_mul(8)?)?
                        }
                        1..=3 => r.take(16)?,
                        _ => r.take(20)?,
                    };
                    Some(())
                })
            })?;
        }
        api::METADATA => metadata(v, r, codes)?,
        api::OFFSET_COMMIT => {
            throttle(r, v, 3)?;
            partitions(r, v >= 10, codes)?;
        }
        api::TXN_OFFSET_COMMIT => {
            throttle(r, v, 0)?;
            partitions(r, false, codes)?;
        }
        api::ADD_PARTITIONS_TO_TXN => {
            throttle(r, v, 0)?;
            if v >= 4 {
                codes.read_top(r)?;
                each(r, |r| {
                    r.string()?;
                    partitions(r, false, codes)
                })?;
            } else {
                partitions(r, false, codes)?;
            }
        }
        api::OFFSET_FETCH => offset_fetch(v, r, codes)?,
        api::FIND_COORDINATOR => {
            throttle(r, v, 1)?;
            if v <= 3 {
                codes.read_top(r)?;
            } else {
                each(r, |r| {
                    r.string()?;
                    r.take(4)?;
                    r.string()?;
                    r.take(4)?;
                    codes.read(r)?;
                    r.string().map(drop)
                })?;
            }
        }
        api::CREATE_TOPICS => create_topics(v, r, codes)?,
        api::DELETE_TOPICS => {
            throttle(r, v, 1)?;
            each(r, |r| {
                r.string()?;
                if v >= 6 {
                    r.take(16)?;
                }
                codes.read(r)?;
                if v >= 5 {
                    r.string()?;
                }
                Some(())
            })?;
        }
        api::CREATE_PARTITIONS => {
            throttle(r, v, 0)?;
            each(r, |r| {
                r.string()?;
                codes.read(r)?;
                r.string().map(drop)
            })?;
        }
        api::DELETE_GROUPS => {
            throttle(r, v, 0)?;
            each(r, |r| {
                r.string()?;
                codes.read(r)
            })?;
        }
        api::DESCRIBE_GROUPS => {
            throttle(r, v, 1)?;
            // The code comes first in a group; what follows it is long.
            let n = r.array()?.unwrap_or(0);
            if n > 0 {
                codes.read(r)?;
            }
            if n > 1 {
                return None;
            }
        }
        _ => {
            let Some(from) = throttled_from(key) else { return Some(Layout::NotKnown) };
            throttle(r, v, from)?;
            codes.read_top(r)?;
        }
    }
    Some(Layout::Read)
}

/// APIs whose answer begins with the throttle time, from this version on, and the code.
fn throttled_from(key: i16) -> Option<i16> {
    Some(match key {
        api::SASL_HANDSHAKE | api::SASL_AUTHENTICATE | api::API_VERSIONS => i16::MAX,
        api::JOIN_GROUP => 2,
        api::HEARTBEAT | api::LEAVE_GROUP | api::SYNC_GROUP | api::LIST_GROUPS => 1,
        api::INIT_PRODUCER_ID
        | api::ADD_OFFSETS_TO_TXN
        | api::END_TXN
        | api::DESCRIBE_CLUSTER
        | api::CONSUMER_GROUP_HEARTBEAT
        | api::GET_TELEMETRY_SUBSCRIPTIONS
        | api::PUSH_TELEMETRY
        | api::SHARE_GROUP_HEARTBEAT
        | api::SHARE_FETCH
        | api::SHARE_ACKNOWLEDGE
        | api::STREAMS_GROUP_HEARTBEAT => 0,
        _ => return None,
    })
}

fn produce(v: i16, r: &mut Reader<'_>, codes: &mut Codes) -> Option<()> {
    each(r, |r| {
        topic(r, v >= 13)?;
        each(r, |r| {
            r.take(4)?;
            codes.read(r)?;
            // Base offset, append time, log start offset.
            let numbers = [0, 2, 5].iter().filter(|from| v >= **from).count();
            r.take(8 * numbers)?;
            if v >= 8 {
                each(r, |r| {
                    r.take(4)?;
                    r.string().map(drop)
                })?;
                r.string()?;
            }
            Some(())
        })
    })
}

fn fetch(v: i16, r: &mut Reader<'_>, codes: &mut Codes) -> Option<()> {
    throttle(r, v, 1)?;
    if v >= 7 {
        codes.read_top(r)?;
        r.take(4)?;
    }
    each(r, |r| {
        topic(r, v >= 13)?;
        each(r, |r| {
            r.take(4)?;
            codes.read(r)?;
            // High watermark, last stable offset, log start offset.
            let numbers = [0, 4, 5].iter().filter(|from| v >= **from).count();
            r.take(8 * numbers)?;
            if v >= 4 {
                each(r, |r| r.take(16).map(drop))?;
            }
            if v >= 11 {
                r.take(4)?;
            }
            r.blob().map(drop)
        })
    })
}

/// Only the codes of topics: those of partitions tell which replicas are away, which is what the
/// client wanted to know.
fn metadata(v: i16, r: &mut Reader<'_>, codes: &mut Codes) -> Option<()> {
    throttle(r, v, 3)?;
    each(r, |r| {
        r.take(4)?;
        r.string()?;
        r.take(4)?;
        if v >= 1 {
            r.string()?;
        }
        Some(())
    })?;
    if v >= 2 {
        r.string()?;
    }
    if v >= 1 {
        r.take(4)?;
    }
    each(r, |r| {
        codes.read(r)?;
        r.string()?;
        if v >= 10 {
            r.take(16)?;
        }
        if v >= 1 {
            r.i8()?;
        }
        each(r, |r| {
            r.take(if v >= 7 { 14 } else { 10 })?;
            numbers(r)?;
            numbers(r)?;
            if v >= 5 {
                numbers(r)?;
            }
            Some(())
        })?;
        if v >= 8 {
            r.take(4)?;
        }
        Some(())
    })?;
    if v >= 13 {
        codes.read_top(r)?;
    }
    Some(())
}

/// Topics with partitions of number and code.
fn partitions(r: &mut Reader<'_>, by_id: bool, codes: &mut Codes) -> Option<()> {
    each(r, |r| {
        topic(r, by_id)?;
        each(r, |r| {
            r.take(4)?;
            codes.read(r)
        })
    })
}

fn offset_fetch(v: i16, r: &mut Reader<'_>, codes: &mut Codes) -> Option<()> {
    let topics = |r: &mut Reader<'_>, codes: &mut Codes| {
        each(r, |r| {
            topic(r, v >= 10)?;
            each(r, |r| {
                r.take(if v >= 5 { 16 } else { 12 })?;
                r.string()?;
                codes.read(r)
            })
        })
    };
    throttle(r, v, 3)?;
    if v >= 8 {
        return each(r, |r| {
            r.string()?;
            topics(r, codes)?;
            codes.read(r)
        });
    }
    topics(r, codes)?;
    if v >= 2 {
        codes.read_top(r)?;
    }
    Some(())
}

fn create_topics(v: i16, r: &mut Reader<'_>, codes: &mut Codes) -> Option<()> {
    throttle(r, v, 2)?;
    each(r, |r| {
        r.string()?;
        if v >= 7 {
            r.take(16)?;
        }
        codes.read(r)?;
        if v >= 1 {
            r.string()?;
        }
        if v >= 5 {
            r.take(6)?;
            each(r, |r| {
                r.string()?;
                r.string()?;
                r.take(3).map(drop)
            })?;
        }
        Some(())
    })
}
