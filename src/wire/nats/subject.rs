//! Subjects as they are told: without what differs from message to message.

use crate::wire::line::place;

/// Longest subject that is told.
const LONGEST: usize = 128;
const ID: &[u8] = b"{id}";
const MORE: &[u8] = "…".as_bytes();

const DIGIT: u8 = 1;
/// Hexadecimal digit or dash.
const HEX: u8 = 2;
const ALPHANUMERIC: u8 = 4;
const GRAPHIC: u8 = 8;

/// What each byte is.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        classes[i] = (if b.is_ascii_digit() { DIGIT } else { 0 })
            | (if b.is_ascii_hexdigit() || b == b'-' { HEX } else { 0 })
            | (if b.is_ascii_alphanumeric() { ALPHANUMERIC } else { 0 })
            | (if b.is_ascii_graphic() { GRAPHIC } else { 0 });
        i += 1;
    }
    classes
};

/// A subject with `{id}` for tokens that are numbers, UUIDs or random (NUIDs, hashes), and
/// `_INBOX` for all inboxes.
pub(super) fn template(subject: &[u8]) -> Box<str> {
    let mut out = Text { bytes: [0; LONGEST + 16], len: 0 };
    let mut rest = subject;
    loop {
        let end = place([b'.'], rest);
        let token = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
        if out.len + token.len() > LONGEST {
            out.push(MORE);
            break;
        }
        out.token(token);
        let inbox = rest.len() == subject.len() && token == b"_INBOX";
        let Some(end) = end.filter(|_| !inbox) else { break };
        out.push(b".");
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    out.boxed()
}

/// Text of bounded length, built without allocating.
struct Text {
    bytes: [u8; LONGEST + 16],
    len: usize,
}

impl Text {
    #[inline]
    fn push(&mut self, more: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.len..self.len + more.len()) {
            room.copy_from_slice(more);
            self.len += more.len();
        }
    }

    /// `{id}` for a number, a UUID, a long hexadecimal number, or 20 and more letters and digits mixed.
    #[inline]
    fn token(&mut self, token: &[u8]) {
        let Some(room) = self.bytes.get_mut(self.len..self.len + token.len()) else { return };
        let (mut all, mut any) = (u8::MAX, 0);
        for (to, from) in room.iter_mut().zip(token) {
            let class = CLASSES.get(usize::from(*from)).copied().unwrap_or_default();
            all &= class;
            any |= class;
            *to = if class & GRAPHIC == 0 { b'?' } else { *from };
        }
        let long = (token.len() >= 16 && all & HEX != 0) || (token.len() >= 20 && all & ALPHANUMERIC != 0);
        if any & DIGIT != 0 && (all & DIGIT != 0 || long) {
            self.push(ID);
        } else {
            self.len += token.len();
        }
    }

    fn boxed(&self) -> Box<str> {
        let text = self.bytes.get(..self.len).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default().into()
    }
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
