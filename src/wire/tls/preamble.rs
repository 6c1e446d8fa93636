//! Where TLS begins: with the first byte, or after what is said in the clear before it. SMTP
//! (RFC 3207), IMAP and POP3 (RFC 2595), FTP (RFC 4217), XMPP (RFC 6120), LDAP (RFC 4511 section
//! 4.14), PostgreSQL (SSLRequest), MySQL (SSL capability), HTTP CONNECT (RFC 9110 section 9.3.6), the
//! PROXY protocol 1 and 2, NATS.

use super::reader::Reader;
use super::record::{ALERT, HANDSHAKE, fits};

/// Most of what the client says that is looked at.
pub(super) const KEPT: usize = 4096;
/// What the server says first, so much of it.
const GREETING: usize = 64;

/// What the client's bytes are from some place on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    Hello,
    /// A TLS alert, in the clear.
    Alert,
    /// Too few bytes to say.
    More,
    Other,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// TLS begins at this place of the client's bytes.
    Tls(usize),
    /// More of the client's bytes are needed; they may be a preamble.
    More,
    /// It is something else.
    Plain,
    /// It is something else, and TLS may still follow.
    Speaking,
}

/// Looks at what both say until it is clear.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// What the client says, from `offset` on.
    pub client: Vec<u8>,
    pub offset: u64,
    /// The beginning of what the server says.
    pub greeting: Vec<u8>,
    /// Everything before is a preamble or was looked at.
    at: usize,
    /// A text protocol: TLS may begin anywhere in it.
    speaking: bool,
    /// What was said before.
    pub after: Option<&'static str>,
}

impl Start {
    /// Looks at the client's next bytes afresh.
    pub fn again(&mut self) {
        *self = Start { greeting: std::mem::take(&mut self.greeting), ..Start::default() };
    }

    /// The server's next bytes, from its first on.
    pub fn greet(&mut self, data: &[u8]) {
        let room = GREETING.saturating_sub(self.greeting.len());
        self.greeting.extend_from_slice(data.get(..room).unwrap_or(data));
    }

    /// The client's next bytes; how many of them were kept.
    pub fn say(&mut self, data: &[u8]) -> usize {
        let n = (KEPT - self.client.len().min(KEPT)).min(data.len());
        super::message::keep(&mut self.client, data.get(..n).unwrap_or_default(), KEPT);
        n
    }

    /// Looks.
    pub fn look(&mut self) -> Found {
        if self.speaking {
            return self.listen();
        }
        loop {
            let rest = self.client.get(self.at..).unwrap_or_default();
            match begins(rest) {
                Begins::Hello | Begins::Alert => {
                    if self.after.is_none() && self.greeting.starts_with(b"INFO {") {
                        self.after = Some("NATS");
                    }
                    return Found::Tls(self.at);
                }
                Begins::More => return Found::More,
                Begins::Other => {}
            }
            match self.preamble(rest) {
                Preamble::Ends(len, name) => {
                    self.at += len;
                    self.after = Some(name);
                }
                Preamble::More if self.client.len() < KEPT => return Found::More,
                Preamble::Speaks(name) => {
                    (self.speaking, self.after) = (true, Some(name));
                    return self.listen();
                }
                Preamble::More | Preamble::None => return Found::Plain,
            }
        }
    }

    /// TLS begins where a ClientHello does; nothing of these protocols looks like one.
    fn listen(&mut self) -> Found {
        while let Some(n) =
            self.client.get(self.at..).unwrap_or_default().iter().position(|b| *b == HANDSHAKE)
        {
            match begins(self.client.get(self.at + n..).unwrap_or_default()) {
                Begins::Hello => {
                    if self.after == Some("SMTP") && self.has(b"AUTH ") {
                        self.after = Some("FTP");
                    }
                    return Found::Tls(self.at + n);
                }
                Begins::More if self.client.len() < KEPT => {
                    self.at += n;
                    return Found::Speaking;
                }
                _ => self.at += n + 1,
            }
        }
        self.at = self.client.len();
        if self.client.len() < KEPT { Found::Speaking } else { Found::Plain }
    }

    /// The client says it, in letters of any case.
    fn has(&self, word: &[u8]) -> bool {
        self.client.windows(word.len()).any(|w| w.eq_ignore_ascii_case(word))
    }

    fn preamble(&self, rest: &[u8]) -> Preamble {
        let greets = |with: &[u8]| self.greeting.starts_with(with);
        let of = |all: &[Option<Preamble>]| all.iter().flatten().next().copied().unwrap_or(Preamble::None);
        let speaks = |is: bool, name| is.then_some(Preamble::Speaks(name));
        of(&[
            proxy1(rest),
            proxy2(rest),
            head(rest),
            postgres(rest),
            mysql(rest, &self.greeting),
            speaks(greets(b"220"), "SMTP"),
            speaks(greets(b"* OK") || greets(b"* PREAUTH"), "IMAP"),
            speaks(greets(b"+OK"), "POP3"),
            literal(rest, b"<?xml", "XMPP"),
            literal(rest, b"<stream", "XMPP"),
            ldap(rest),
        ])
    }
}

/// What stands before TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preamble {
    /// So many bytes of this; what comes then is looked at afresh.
    Ends(usize, &'static str),
    /// Perhaps, more bytes are needed.
    More,
    /// One of the protocols that switch by a command.
    Speaks(&'static str),
    None,
}

/// Whether a ClientHello begins here, over records of any size (RFC 8446 section 5.1), or an alert.
fn begins(bytes: &[u8]) -> Begins {
    match bytes {
        [] => return Begins::More,
        [ALERT, rest @ ..] => {
            let like = fits(bytes) && rest.iter().skip(2).zip([0u8, 2]).all(|(a, b)| *a == b);
            return match rest.get(4) {
                _ if !like => Begins::Other,
                None => Begins::More,
                Some(1 | 2) => Begins::Alert,
                Some(_) => Begins::Other,
            };
        }
        _ => {}
    }
    let (mut rest, mut message, mut have) = (bytes, [0u8; 6], 0);
    while have < message.len() {
        if rest.is_empty() {
            return Begins::More;
        }
        let header = rest.get(..5).unwrap_or(rest);
        if rest.first() != Some(&HANDSHAKE) || !fits(header) {
            return Begins::Other;
        }
        let Some(len) = Reader(rest.get(3..).unwrap_or_default()).u16().map(usize::from) else {
            return Begins::More;
        };
        let body = rest.get(5..).unwrap_or_default();
        let body = body.get(..len).unwrap_or(body);
        if len == 0 {
            return Begins::Other;
        }
        for (to, from) in message.iter_mut().skip(have).zip(body) {
            *to = *from;
            have += 1;
        }
        let has = |n: usize| have >= n;
        let length = u32::from_be_bytes([0, message[1], message[2], message[3]]);
        if (has(1) && message[0] != 1) || (has(2) && message[1] > 1) || (has(5) && message[4] != 3) {
            return Begins::Other;
        }
        if has(4) && !(38..=65536).contains(&length) {
            return Begins::Other;
        }
        rest = rest.get(5 + len..).unwrap_or_default();
    }
    Begins::Hello
}

/// A literal at the front: `None` where it is not, `Some(false)` where it may become.
fn opens(bytes: &[u8], with: &[u8]) -> Option<bool> {
    let n = bytes.len().min(with.len());
    (bytes.get(..n) == with.get(..n)).then_some(n == with.len())
}

/// A text protocol that the client begins with these words.
fn literal(bytes: &[u8], with: &[u8], name: &'static str) -> Option<Preamble> {
    opens(bytes, with).map(|whole| if whole { Preamble::Speaks(name) } else { Preamble::More })
}

/// LDAPMessage: a short sequence, of which a number of one or two bytes is the first.
fn ldap(bytes: &[u8]) -> Option<Preamble> {
    match bytes {
        [0x30, 0..=127, 2, 1 | 2, ..] => Some(Preamble::Speaks("LDAP")),
        [0x30] | [0x30, 0..=127] | [0x30, 0..=127, 2] => Some(Preamble::More),
        _ => None,
    }
}

/// `PROXY TCP4 … \r\n`, at most 107 bytes.
fn proxy1(bytes: &[u8]) -> Option<Preamble> {
    if !opens(bytes, b"PROXY ")? {
        return Some(Preamble::More);
    }
    match bytes.iter().take(107).position(|b| *b == b'\n') {
        Some(end) => Some(Preamble::Ends(end + 1, "PROXY")),
        None if bytes.len() < 107 => Some(Preamble::More),
        None => None,
    }
}

/// Its binary form: signature, version and command, family, length.
fn proxy2(bytes: &[u8]) -> Option<Preamble> {
    if !opens(bytes, b"\r\n\r\n\0\r\nQUIT\n")? {
        return Some(Preamble::More);
    }
    let Some(len) = Reader(bytes.get(14..).unwrap_or_default()).u16() else { return Some(Preamble::More) };
    let len = 16 + usize::from(len);
    Some(if bytes.len() < len { Preamble::More } else { Preamble::Ends(len, "PROXY") })
}

/// `CONNECT host:port HTTP/1.1`, to the end of its head.
fn head(bytes: &[u8]) -> Option<Preamble> {
    if !opens(bytes, b"CONNECT ")? {
        return Some(Preamble::More);
    }
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n");
    Some(end.map_or(Preamble::More, |end| Preamble::Ends(end + 4, "HTTP CONNECT")))
}

/// SSLRequest, or the request for GSSAPI encryption that may come before it.
fn postgres(bytes: &[u8]) -> Option<Preamble> {
    let asks = [b"\0\0\0\x08\x04\xd2\x16\x2f", b"\0\0\0\x08\x04\xd2\x16\x30"];
    let whole = asks.iter().find_map(|ask| opens(bytes, *ask))?;
    Some(if whole { Preamble::Ends(8, "PostgreSQL") } else { Preamble::More })
}

/// The client's first packet, of 32 bytes, with the capability CLIENT_SSL.
fn mysql(bytes: &[u8], greeting: &[u8]) -> Option<Preamble> {
    matches!(greeting, [_, _, 0, 0, 10, ..]).then_some(())?;
    if !opens(bytes, &[32, 0, 0])? || bytes.len() < 36 {
        return Some(Preamble::More);
    }
    (bytes.get(5)? & 8 != 0).then_some(Preamble::Ends(36, "MySQL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &[u8] = &[22, 3, 1, 0, 100, 1, 0, 0, 96, 3, 3];

    #[test]
    fn a_hello_is_known_by_its_first_bytes_however_it_is_cut() {
        for n in 0..HELLO.len() {
            assert_eq!(begins(&HELLO[..n]), Begins::More, "{n}");
        }
        assert_eq!(begins(HELLO), Begins::Hello);
        let tiny: Vec<u8> = HELLO[5..].iter().flat_map(|b| [22, 3, 1, 0, 1, *b]).collect();
        assert_eq!(begins(&tiny), Begins::Hello);
        assert_eq!(begins(&tiny[..30]), Begins::More);
        for (at, byte) in [(0, 23), (1, 2), (2, 5), (3, 0xff), (5, 2), (6, 2), (9, 4)] {
            let mut other = HELLO.to_vec();
            other[at] = byte;
            assert_eq!(begins(&other), Begins::Other, "{at}");
        }
        assert_eq!(begins(&[21, 3, 3, 0, 2, 1, 0]), Begins::Alert);
        assert_eq!(begins(&[21, 3, 3, 0, 2]), Begins::More);
        assert_eq!(begins(&[21, 3, 3, 0, 3]), Begins::Other);
    }

    fn look(greeting: &[u8], client: &[u8]) -> (Found, Option<&'static str>) {
        let whole = {
            let mut start = Start::default();
            start.greet(greeting);
            start.say(client);
            (start.look(), start.after)
        };
        // The same in single bytes.
        let mut start = Start::default();
        start.greet(greeting);
        let mut found = Found::More;
        for byte in client {
            start.say(&[*byte]);
            found = start.look();
            if found == Found::Plain {
                break;
            }
        }
        assert_eq!((found, start.after), whole);
        whole
    }

    #[test]
    fn what_stands_before_it() {
        let mysql = [&[32, 0, 0, 1, 0x85, 0xae, 0xff, 0x19][..], &[0; 28]].concat();
        let proxy2 = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &[1; 12]].concat();
        let cases: [(&[u8], &[u8], &str); 12] = [
            (b"220 mail ready\r\n", b"EHLO me\r\nSTARTTLS\r\n", "SMTP"),
            (b"220 ftp\r\n", b"auth tls\r\n", "FTP"),
            (b"* OK ready\r\n", b"a STARTTLS\r\n", "IMAP"),
            (b"+OK ready\r\n", b"STLS\r\n", "POP3"),
            (b"", b"<?xml version='1.0'?><stream:stream><starttls/>", "XMPP"),
            (b"", b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037", "LDAP"),
            (b"", b"\0\0\0\x08\x04\xd2\x16\x2f", "PostgreSQL"),
            (b"", b"\0\0\0\x08\x04\xd2\x16\x30\0\0\0\x08\x04\xd2\x16\x2f", "PostgreSQL"),
            (b"\x4a\0\0\0\x0a8.0.36\0", &mysql, "MySQL"),
            (b"", b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP CONNECT"),
            (b"", b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", "PROXY"),
            (b"", &proxy2, "PROXY"),
        ];
        for (greeting, before, name) in cases {
            let whole = [before, HELLO].concat();
            assert_eq!(look(greeting, &whole), (Found::Tls(before.len()), Some(name)));
        }
        assert_eq!(look(b"INFO {}\r\n", HELLO), (Found::Tls(0), Some("NATS")));
        assert_eq!(look(b"", b"GET / HTTP/1.1\r\n"), (Found::Plain, None));
        assert_eq!(look(b"220 x\r\n", b"EHLO me\r\nMAIL FROM:<a>\r\n"), (Found::Speaking, Some("SMTP")));
        assert_eq!(look(b"220 x\r\n", &[b'a'; 5000]).0, Found::Plain);
    }
}
