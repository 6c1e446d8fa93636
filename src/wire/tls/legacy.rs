//! TLS 1.2 and below (RFC 5246): certificates and key exchange are in the clear until each side says
//! ChangeCipherSpec.

use super::certificate;
use super::chain::Chain;
use super::hello;
use super::message::{
    CERTIFICATE, CERTIFICATE_REQUEST, CERTIFICATE_VERIFY, CLIENT_KEY, Message, SERVER_KEY, TICKET,
};
use super::reader::Reader;
use crate::model::Certificate;
use crate::wire::Speaker;

/// What the client said first after its hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// A Certificate with something in it.
    Certificate,
    /// A Certificate with nothing in it.
    Empty,
    /// ClientKeyExchange: it was not asked for a certificate.
    KeyExchange,
    /// ChangeCipherSpec: the session is resumed.
    Abbreviated,
}

/// A handshake up to TLS 1.2.
#[derive(Debug, Default)]
pub(super) struct Legacy {
    pub first: Option<First>,
    /// The server asked for a certificate.
    pub asked: bool,
    /// The client said CertificateVerify: it has the key.
    pub verified: bool,
    /// ChangeCipherSpec of client and server.
    pub changed: [bool; 2],
    /// What the client and the server showed.
    pub certificates: [Option<Box<Certificate>>; 2],
    /// Certificates that they showed; 0 = none, or not known.
    pub chains: [u8; 2],
    pub group: Option<u16>,
    /// Hash of the ticket that was issued.
    pub ticket: Option<u64>,
    /// Encrypted handshake records of the client since its Finished, and whether that was there.
    after: Option<u8>,
    /// A later handshake was as long as one with a certificate; the server's part of it was over.
    pub renegotiated: Option<bool>,
    /// Encrypted handshake records of the client in a later handshake without a certificate.
    pub again: bool,
}

impl Legacy {
    /// A message in the clear.
    pub fn message(&mut self, from: Speaker, message: &Message) {
        match (from, message.kind) {
            (from, CERTIFICATE) => {
                if let Some(chain) = &message.chain {
                    self.chain(from, chain);
                }
            }
            (Speaker::Client, CLIENT_KEY) => self.begin(First::KeyExchange),
            (Speaker::Client, CERTIFICATE_VERIFY) => self.verified = true,
            (Speaker::Server, CERTIFICATE_REQUEST) => self.asked = true,
            (Speaker::Server, SERVER_KEY) => {
                // A named curve (RFC 8422 section 5.4); the parameters of other kinds begin otherwise.
                if let [_, _, _, _, 3, high, low, ..] = message.kept.as_slice() {
                    self.group = Some(u16::from_be_bytes([*high, *low]));
                }
            }
            (Speaker::Server, TICKET) => {
                let mut at = Reader(message.kept.get(8..).unwrap_or_default());
                let len = at.u16().map_or(0, usize::from);
                self.ticket = hello::ticket(at.0.get(..len).unwrap_or(at.0));
            }
            _ => {}
        }
    }

    fn chain(&mut self, from: Speaker, chain: &Chain) {
        if from == Speaker::Client {
            self.begin(if chain.count == 0 && !chain.torn { First::Empty } else { First::Certificate });
        }
        let count = if chain.torn { 0 } else { chain.count };
        if let Some(place) = self.chains.get_mut(from as usize) {
            *place = count;
        }
        let parsed = chain.whole.then(|| certificate::parse(&chain.leaf)).flatten();
        if let Some(place) = self.certificates.get_mut(from as usize) {
            *place = parsed.map(|c| Box::new(Certificate { chain: count, ..c }));
        }
    }

    fn begin(&mut self, first: First) {
        self.first.get_or_insert(first);
    }

    /// ChangeCipherSpec.
    pub fn change(&mut self, from: Speaker) {
        if from == Speaker::Client {
            self.begin(First::Abbreviated);
            if let Some(after) = self.after.take().filter(|_| self.done()) {
                match after {
                    // Certificate, CertificateVerify, and the two that are always there.
                    4.. => self.renegotiated = Some(false),
                    _ => self.again |= after > 0,
                }
            }
        } else if self.renegotiated == Some(false) {
            self.renegotiated = Some(true);
        }
        if let Some(place) = self.changed.get_mut(from as usize) {
            *place = true;
        }
    }

    /// A handshake record of the client behind its ChangeCipherSpec: the first is its Finished.
    pub fn encrypted(&mut self) {
        self.after = Some(self.after.map_or(0, |n| n.saturating_add(1)));
    }

    /// Both went on.
    pub fn done(&self) -> bool {
        self.changed == [true, true]
    }
}
