//! Handshake messages in the clear (RFC 8446 section 4, RFC 5246 section 7.4), put together of the
//! bodies of records: the beginning of each is kept as far as it is needed, the rest is passed over.

use super::chain::Chain;

/// client_hello.
pub(super) const CLIENT_HELLO: u8 = 1;
/// server_hello.
pub(super) const SERVER_HELLO: u8 = 2;
/// new_session_ticket.
pub(super) const TICKET: u8 = 4;
/// certificate.
pub(super) const CERTIFICATE: u8 = 11;
/// server_key_exchange.
pub(super) const SERVER_KEY: u8 = 12;
/// certificate_request.
pub(super) const CERTIFICATE_REQUEST: u8 = 13;
/// certificate_verify.
pub(super) const CERTIFICATE_VERIFY: u8 = 15;
/// client_key_exchange.
pub(super) const CLIENT_KEY: u8 = 16;

/// Most that is kept of a hello.
pub(super) const HELLO: usize = 8 * 1024;
/// Most that is kept of a ticket: enough to tell it from any other.
const TICKET_KEPT: usize = 6 + super::hello::TICKET_HASHED;

/// A message, at its end.
#[derive(Debug)]
pub(super) struct Message {
    /// Which.
    pub kind: u8,
    /// With its header of four bytes, as far as it was kept.
    pub kept: Vec<u8>,
    /// All of it was kept.
    pub whole: bool,
    /// Of a Certificate.
    pub chain: Option<Box<Chain>>,
}

/// One side's messages.
#[derive(Debug, Default)]
pub(super) struct Messages {
    header: [u8; 4],
    have: u8,
    left: usize,
    now: Option<Message>,
}

/// Bytes of each message that are looked at.
fn kept(kind: u8) -> usize {
    match kind {
        CLIENT_HELLO | SERVER_HELLO => HELLO,
        TICKET => TICKET_KEPT,
        SERVER_KEY => 4,
        _ => 0,
    }
}

impl Messages {
    /// Bytes that are kept now.
    pub fn size(&self) -> usize {
        self.now.as_ref().map_or(0, |m| m.kept.capacity() + m.chain.as_ref().map_or(0, |c| c.size()))
    }

    /// Takes bytes off `data` until a message ends. `most`: so many bytes may be kept.
    pub fn next(&mut self, data: &mut &[u8], most: usize) -> Option<Message> {
        loop {
            if let Some(now) = &mut self.now {
                let (body, rest) = data.split_at(self.left.min(data.len()));
                let most_kept = 4 + kept(now.kind).min(most);
                let room = most_kept.saturating_sub(now.kept.len());
                if now.whole {
                    keep(&mut now.kept, body.get(..room).unwrap_or(body), most_kept);
                    now.whole = body.len() <= room;
                }
                if let Some(chain) = &mut now.chain {
                    chain.bytes(body, most);
                }
                self.left -= body.len();
                *data = rest;
                if self.left > 0 {
                    return None;
                }
                return self.now.take();
            }
            let (byte, rest) = data.split_first()?;
            *data = rest;
            if let Some(place) = self.header.get_mut(usize::from(self.have)) {
                *place = *byte;
            }
            self.have += 1;
            if self.have == 4 {
                self.have = 0;
                let [kind, a, b, c] = self.header;
                self.left = u32::from_be_bytes([0, a, b, c]) as usize;
                let chain = (kind == CERTIFICATE).then(|| Box::new(Chain::default()));
                self.now = Some(Message { kind, kept: self.header.to_vec(), whole: true, chain });
            }
        }
    }

    /// `len` bytes are missing: the message that ends with them, if one does. `Err` where the header
    /// of one is among them.
    pub fn gap(&mut self, len: usize) -> Result<Option<Message>, Lost> {
        let Some(now) = self.now.as_mut().filter(|_| len <= self.left) else {
            return if len == 0 { Ok(None) } else { Err(Lost) };
        };
        self.left -= len;
        now.whole &= len == 0;
        if let Some(chain) = &mut now.chain {
            chain.gap(len);
        }
        Ok(if self.left == 0 { self.now.take() } else { None })
    }
}

/// Where the next message begins is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost;

/// Appends without ever taking more room than `most`.
pub(super) fn keep(to: &mut Vec<u8>, bytes: &[u8], most: usize) {
    let need = to.len() + bytes.len();
    if need > to.capacity() {
        let room = need.max(2 * to.capacity()).min(most.max(need));
        to.reserve_exact(room - to.len());
    }
    to.extend_from_slice(bytes);
}
