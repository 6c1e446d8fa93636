//! Subjects as they are told: without what differs from message to message.

/// Longest subject that is told.
const LONGEST: usize = 128;

/// A subject with `{id}` for tokens that are numbers, UUIDs or random (NUIDs, hashes), and
/// `_INBOX` for all inboxes.
pub(super) fn template(subject: &[u8]) -> Box<str> {
    let mut out = String::with_capacity(subject.len().min(LONGEST));
    for (i, token) in subject.split(|b| *b == b'.').enumerate() {
        if i > 0 {
            out.push('.');
        }
        if out.len() + token.len() > LONGEST {
            out.push('…');
            break;
        }
        if is_id(token) {
            out.push_str("{id}");
        } else {
            out.extend(token.iter().map(|b| if b.is_ascii_graphic() { char::from(*b) } else { '?' }));
        }
        if i == 0 && token == b"_INBOX" {
            break;
        }
    }
    out.into_boxed_str()
}

/// A number, a UUID, a long hexadecimal number, or 20 and more letters and digits mixed.
fn is_id(token: &[u8]) -> bool {
    let digits = token.iter().filter(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return false;
    }
    let hex = || token.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-');
    let mixed = || token.iter().all(u8::is_ascii_alphanumeric);
    digits == token.len() || (token.len() >= 16 && hex()) || (token.len() >= 20 && mixed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_differ_become_id() {
        for (subject, want) in [
            ("orders.new", "orders.new"),
            ("orders.42.paid", "orders.{id}.paid"),
            ("user.6ba7b810-9dad-11d1-80b4-00c04fd430c8.seen", "user.{id}.seen"),
            ("_INBOX.LqXQ7gEMCPnjm4M4UF4SZq.1", "_INBOX"),
            ("x.LqXQ7gEMCPnjm4M4UF4SZq", "x.{id}"),
            ("v2.a1.b", "v2.a1.b"),
            ("$JS.ACK.ORDERS.c.1.5.5.1795375749194561000.0", "$JS.ACK.ORDERS.c.{id}.{id}.{id}.{id}.{id}"),
            ("internationalisation.of.things", "internationalisation.of.things"),
        ] {
            assert_eq!(&*template(subject.as_bytes()), want);
        }
        assert_eq!(&*template(b"a\x1b.\xff"), "a?.?");
        assert!(template(&b"abcdefgh.".repeat(100)).len() < LONGEST + 16);
    }
}
