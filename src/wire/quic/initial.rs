//! The client's Initial packets of one conversation, put together to a ClientHello.

use super::crypto::Keys;
use super::header::{Cursor, Kind, header};
use crate::wire::tls::{Hello, hello};

/// Most bytes of the handshake that are put together.
const MAX_CRYPTO: usize = 16 * 1024;
/// Most pieces of it that wait for one before them: some clients send it in pieces and mixed up.
const MAX_PIECES: usize = 64;
/// Most packets that are opened, whether they can be or not.
const MAX_PACKETS: u8 = 32;

/// What a client asks for in its first packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// QUIC version.
    pub version: u32,
    /// Server name and application protocols.
    pub hello: Hello,
}

/// Reads the client's Initials of one conversation (own address, peer's address).
///
/// Datagrams of the server may be given too: they do not open with the client's keys.
///
/// Bounds: 16 KiB of handshake, 64 pieces of it, 32 packets; then it gives up.
#[derive(Default)]
pub struct Handshake {
    keys: Option<Box<Keys>>,
    version: u32,
    crypto: Crypto,
    packets: u8,
    over: bool,
}

/// The bytes of CRYPTO frames, by their offset.
#[derive(Default)]
struct Crypto {
    data: Vec<u8>,
    /// What of `data` is there: ranges in order that do not touch.
    have: Vec<(usize, usize)>,
}

impl Handshake {
    /// Nothing was seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next datagram, whole. Gives the ClientHello once, when all of it was read.
    pub fn initial(&mut self, datagram: &[u8]) -> Option<ClientHello> {
        let mut rest = datagram;
        while !self.over
            && let Some(header) = header(rest)
        {
            if header.kind == Kind::Initial {
                self.packets += 1;
                if let Some(frames) = self.open(rest, &header) {
                    let _ = self.crypto.frames(&frames);
                    if let Some(told) = self.so_far().filter(|told| told.hello.complete) {
                        self.finish();
                        self.crypto = Crypto::default();
                        return Some(told);
                    }
                }
                if self.packets >= MAX_PACKETS {
                    self.finish();
                }
            }
            // Packets may share a datagram (RFC 9000 section 12.2).
            rest = header.payload.and_then(|payload| rest.get(payload.end..)).unwrap_or_default();
        }
        None
    }

    /// What is known of a ClientHello that was not seen to its end; `None` before its beginning was.
    pub fn so_far(&self) -> Option<ClientHello> {
        let hello = hello(self.crypto.beginning()?).ok()?;
        Some(ClientHello { version: self.version, hello })
    }

    /// It was told, or there were more packets than are looked at: nothing more will come.
    pub fn over(&self) -> bool {
        self.over
    }

    fn open(&mut self, packet: &[u8], header: &super::Header<'_>) -> Option<Vec<u8>> {
        if let Some(frames) = self.keys.as_ref().and_then(|keys| keys.open(packet, header)) {
            return Some(frames);
        }
        // The first one, or after a Retry: the client begins again with another destination
        // (RFC 9001 section 5.2).
        let keys = Keys::client(header.version, header.destination)?;
        let frames = keys.open(packet, header)?;
        self.keys = Some(Box::new(keys));
        self.version = header.version;
        self.crypto = Crypto::default();
        Some(frames)
    }

    fn finish(&mut self) {
        self.over = true;
        self.keys = None;
    }
}

impl Crypto {
    /// Takes the CRYPTO frames out of a payload (RFC 9000 sections 12.4 and 19); `None` where a frame
    /// is damaged or not allowed in an Initial.
    fn frames(&mut self, payload: &[u8]) -> Option<()> {
        let mut at = Cursor { data: payload, at: 0 };
        while at.at < payload.len() {
            match at.varint()? {
                // PADDING, PING.
                0 | 1 => {}
                // ACK, with or without counts of marked packets.
                kind @ (2 | 3) => {
                    at.varint()?;
                    at.varint()?;
                    let ranges = at.varint()?;
                    at.varint()?;
                    for _ in 0..ranges {
                        at.varint()?;
                        at.varint()?;
                    }
                    if kind == 3 {
                        at.varint()?;
                        at.varint()?;
                        at.varint()?;
                    }
                }
                6 => {
                    let offset = usize::try_from(at.varint()?).ok()?;
                    let len = usize::try_from(at.varint()?).ok()?;
                    self.put(offset, at.take(len)?);
                }
                // CONNECTION_CLOSE, and what must not be here.
                _ => return None,
            }
        }
        Some(())
    }

    fn put(&mut self, start: usize, bytes: &[u8]) {
        let Some(end) = start.checked_add(bytes.len()).filter(|end| *end <= MAX_CRYPTO) else { return };
        if bytes.is_empty() || (self.have.len() >= MAX_PIECES && start > 0) {
            return;
        }
        if self.data.len() < end {
            self.data.resize(end, 0);
        }
        if let Some(place) = self.data.get_mut(start..end) {
            place.copy_from_slice(bytes);
        }
        let (mut low, mut high) = (start, end);
        self.have.retain(|&(a, b)| {
            let apart = b < low || a > high;
            if !apart {
                (low, high) = (low.min(a), high.max(b));
            }
            apart
        });
        let place = self.have.partition_point(|&(a, _)| a < low);
        self.have.insert(place, (low, high));
    }

    /// The bytes from the first one to the first that is missing.
    fn beginning(&self) -> Option<&[u8]> {
        let &(0, end) = self.have.first()? else { return None };
        self.data.get(..end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn crypto(offset: u16, data: &[u8]) -> Vec<u8> {
        let mut frame = vec![6];
        frame.extend((offset | 0x4000).to_be_bytes());
        frame.extend((data.len() as u16 | 0x4000).to_be_bytes());
        frame.extend(data);
        frame
    }

    #[test]
    fn frames_around_it_are_passed_over() {
        let ack = [2, 5, 0, 1, 0, 1, 1];
        let ecn = [3, 5, 0, 0, 0, 1, 2, 3];
        let frames = [&[0, 0, 1][..], &ack, &crypto(2, b"cd"), &ecn, &crypto(0, b"ab"), &[0; 9]].concat();
        let mut c = Crypto::default();
        assert_eq!(c.frames(&frames), Some(()));
        assert_eq!(c.beginning(), Some(&b"abcd"[..]));
        // STREAM is not allowed here; a frame that ends behind the packet.
        assert_eq!(c.frames(&[8, 0, 0]), None);
        assert_eq!(c.frames(&[6, 0, 5, 1]), None);
    }

    #[test]
    fn pieces_and_length_are_bounded() {
        let mut c = Crypto::default();
        for i in 0..1000 {
            c.put(2 + 2 * i, b"x");
        }
        assert_eq!(c.have.len(), MAX_PIECES);
        c.put(0, b"a");
        assert_eq!(c.beginning(), Some(&b"a"[..]));
        c.put(MAX_CRYPTO - 1, b"xy");
        c.put(usize::MAX, b"x");
        assert!(c.data.len() <= MAX_CRYPTO && c.have.len() <= MAX_PIECES + 1);
    }

    proptest! {
        #[test]
        fn pieces_in_any_order_give_the_whole(
            cuts in prop::collection::vec(1usize..200, 0..20), seed in any::<u64>(),
        ) {
            let whole: Vec<u8> = (0..200u8).collect();
            let mut places: Vec<usize> = cuts.into_iter().chain([0, 200]).collect();
            places.sort_unstable();
            let mut pieces: Vec<(usize, usize)> = places.windows(2).map(|w| (w[0], w[1])).collect();
            pieces.sort_by_key(|(a, _)| (*a as u64 + 1).wrapping_mul(seed | 1));
            let mut c = Crypto::default();
            for (a, b) in pieces {
                // Overlapping the one before it.
                let a = a.saturating_sub(3);
                c.put(a, &whole[a..b]);
            }
            prop_assert_eq!(c.beginning(), Some(&whole[..]));
            prop_assert_eq!(&c.have, &[(0, 200)]);
        }
    }
}
