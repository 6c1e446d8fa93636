//! Whether it is PostgreSQL.

use super::super::Sniff;
use super::super::sql::normalise::{Dialect, begins_statement};
use super::message;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Strong,
    Fits,
    No,
}

/// Whether the two sides speak PostgreSQL, from the start of a connection or from any turn on.
///
/// Evidence is a startup packet (length and version or request code), a Query or Parse with SQL in
/// it, or at least two messages of known types whose lengths lead from one to the next, one of them
/// of a fixed length that chance does not make (ReadyForQuery, Sync, BindComplete …).
pub fn sniff(client: &[u8], server: &[u8]) -> Sniff {
    match (asks(client), answers(server)) {
        (Look::No, _) | (_, Look::No) => Sniff::No,
        (Look::Strong, _) | (_, Look::Strong) => Sniff::Yes,
        (Look::Fits, Look::Fits) => Sniff::Maybe,
    }
}

fn asks(bytes: &[u8]) -> Look {
    match bytes.first() {
        None => return Look::Fits,
        Some(0) => return startup(bytes),
        Some(_) => {}
    }
    chain(bytes, message::client, |kind, body, whole| match kind {
        b'Q' => statement(body, whole),
        b'P' => statement(message::string(body).2.get(..).unwrap_or_default(), false),
        b'S' => Look::Strong,
        _ => Look::Fits,
    })
}

/// SQL, and where the message's end is there, a NUL at it.
fn statement(body: &[u8], whole: bool) -> Look {
    let (text, ended, rest) = message::string(body);
    if whole && (!ended || !rest.is_empty()) {
        return Look::No;
    }
    if text.len() >= 3 && begins_statement(text, Dialect::Postgres) { Look::Strong } else { Look::Fits }
}

fn startup(bytes: &[u8]) -> Look {
    let Some((len, rest)) = bytes.split_first_chunk::<4>() else { return Look::Fits };
    let len = u32::from_be_bytes(*len);
    let Some((code, rest)) = rest.split_first_chunk::<4>() else {
        return if (8..=10_000).contains(&len) { Look::Fits } else { Look::No };
    };
    let fits = match u32::from_be_bytes(*code) {
        message::SSL | message::GSS => len == 8,
        message::CANCEL => (16..=300).contains(&len),
        // Without a parameter it is over at once; else it may be a Metadata request of Kafka.
        0x0003_0000..=0x0003_ffff => {
            (9..=10_000).contains(&len)
                && rest.first().is_none_or(|b| match b {
                    0 => len == 9,
                    b => b.is_ascii_alphabetic() || *b == b'_',
                })
        }
        _ => false,
    };
    if fits { Look::Strong } else { Look::No }
}

fn answers(bytes: &[u8]) -> Look {
    if let [b'S' | b'N' | b'G'] = bytes {
        return Look::Fits;
    }
    chain(bytes, message::server, |kind, body, _| match kind {
        b'Z' if matches!(body, [b'I' | b'T' | b'E']) => Look::Strong,
        b'Z' => Look::No,
        b'1' | b'2' | b'3' | b'n' | b'I' => Look::Strong,
        b'C' if !body.first().is_some_and(u8::is_ascii_uppercase) => Look::No,
        b'R' if !matches!(body, [0, 0, 0, 0..=12]) => Look::No,
        b'E' if message::sqlstate(body).is_some() => Look::Strong,
        _ => Look::Fits,
    })
}

/// Follows messages by their lengths. Strong with one strong message that is not the last partial
/// one, and either SQL in it or another message that fits.
fn chain(
    bytes: &[u8],
    read: impl Fn(&[u8]) -> Result<Option<(super::super::sql::frames::Head, usize)>, ()>,
    look: impl Fn(u8, &[u8], bool) -> Look,
) -> Look {
    let mut rest = bytes;
    let (mut seen, mut strong) = (0u32, false);
    while !rest.is_empty() && seen < 16 {
        let (head, length) = match read(rest) {
            Err(()) => return Look::No,
            Ok(None) => break,
            Ok(Some(found)) => found,
        };
        let body = rest.get(length..).unwrap_or_default();
        let size = usize::try_from(head.len).unwrap_or(usize::MAX);
        let whole = body.len() >= size;
        let text = body.get(..head.want.min(body.len())).unwrap_or_default();
        match look(head.kind, text, whole && head.want == size) {
            Look::No if whole || head.want == 0 => return Look::No,
            Look::Strong if matches!(head.kind, b'Q' | b'P') => return Look::Strong,
            Look::Strong => strong = true,
            Look::No | Look::Fits => {}
        }
        seen += 1;
        if !whole {
            break;
        }
        rest = body.get(size..).unwrap_or_default();
    }
    if strong && seen >= 2 { Look::Strong } else { Look::Fits }
}
