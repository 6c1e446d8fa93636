//! Whether bytes are DNS, judged by the header and the first question.

use super::message::{self, HEADER};
use crate::wire::{Sniff, Speaker};

/// Whether a TCP conversation is DNS, by what each side said from a message boundary on.
///
/// Each message has its length before it (RFC 1035 section 4.2.2). Evidence is a header without
/// contradictions and a whole question of a known class inside of the announced length.
pub fn sniff(client: &[u8], server: &[u8]) -> Sniff {
    match (framed(client, false), framed(server, true)) {
        (Sniff::No, _) | (_, Sniff::No) => Sniff::No,
        (Sniff::Yes, _) | (_, Sniff::Yes) => Sniff::Yes,
        _ => Sniff::Maybe,
    }
}

/// Whether a datagram is DNS; `Maybe` where too little of it was captured to tell.
pub fn sniff_datagram(data: &[u8]) -> Sniff {
    speaker(data).map_or(Sniff::Maybe, |who| message(data, usize::MAX, who == Speaker::Server))
}

/// Who sends this datagram, by its QR bit: the one who asks, or the one who answers.
pub fn speaker(data: &[u8]) -> Option<Speaker> {
    data.get(2).map(|flags| if flags & 0x80 == 0 { Speaker::Client } else { Speaker::Server })
}

fn framed(said: &[u8], response: bool) -> Sniff {
    let Some((prefix, rest)) = said.split_first_chunk::<2>() else { return Sniff::Maybe };
    let len = usize::from(u16::from_be_bytes(*prefix));
    if len < HEADER {
        return Sniff::No;
    }
    message(rest.get(..len).unwrap_or(rest), len, response)
}

fn message(data: &[u8], len: usize, response: bool) -> Sniff {
    // Header fields as far as they are there; the checks of absent ones pass.
    let field = |i: usize| data.get(i..i + 2).map(|b| u16::from_be_bytes([b[0], b[1]]));
    let plausible =
        data.get(2).is_none_or(|flags| {
            // Operations 3 and 7 upwards are not assigned; only an answer may be truncated or authoritative.
            let opcode = flags >> 3 & 15;
            (flags & 0x80 != 0) == response && opcode <= 6 && opcode != 3 && (response || flags & 6 == 0)
        }) && data.get(3).is_none_or(|flags| flags & 0x40 == 0 && (response || flags & 0x8f == 0))
            && field(4).is_none_or(|questions| questions == 1)
            && field(6).is_none_or(|answers| response || answers <= 64)
            && field(8).is_none_or(|authority| response || authority <= 64)
            && field(10).is_none_or(|additional| response || additional <= 8);
    if !plausible {
        return Sniff::No;
    }
    if data.len() <= HEADER {
        return Sniff::Maybe;
    }
    match message::first_question(data) {
        Err(_) => Sniff::No,
        Ok(None) if data.len() >= len => Sniff::No,
        Ok(None) => Sniff::Maybe,
        // Internet, Chaos, Hesiod, none, any; over multicast the top bit is no part of it.
        Ok(Some(question))
            if question.kind != 0 && matches!(question.class & 0x7fff, 1 | 3 | 4 | 254 | 255) =>
        {
            Sniff::Yes
        }
        Ok(Some(_)) => Sniff::No,
    }
}
