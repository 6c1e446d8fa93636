//! QUIC headers, the client's Initials, and the ClientHello in them. What stands in an Initial is
//! behind a cipher that no mutation gets through: the client's runs are taken for frames, and put into
//! packets as a client does (RFC 9001 section 5); the server's are datagrams as they are.

use std::sync::LazyLock;

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey, quic};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

use crate::meter;
use crate::script::{Act, Script};
use crate::wire::Speaker;
use crate::wire::quic::{Handshake, header, hello, sniff};

/// RFC 9001 section 5.2.
const SALT: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc,
    0xbb, 0x7f, 0x0a,
];
const DESTINATION: &[u8; 8] = b"webbfuzz";

struct Keys {
    packet: LessSafeKey,
    iv: [u8; 12],
    header: quic::HeaderProtectionKey,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let initial = Salt::new(HKDF_SHA256, &SALT).extract(DESTINATION);
    let client = Prk::new_less_safe(HKDF_SHA256, &expand::<32>(&initial, b"client in"));
    Keys {
        packet: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &expand::<16>(&client, b"quic key")).unwrap()),
        iv: expand(&client, b"quic iv"),
        header: quic::HeaderProtectionKey::new(&quic::AES_128, &expand::<16>(&client, b"quic hp")).unwrap(),
    }
});

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand<const N: usize>(secret: &Prk, label: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    let info: [&[u8]; 5] = [&[0, N as u8], &[6 + label.len() as u8], b"tls13 ", label, &[0]];
    secret.expand(&info, Length(N)).unwrap().fill(&mut out).unwrap();
    out
}

/// An Initial with these frames; `number` is its packet number.
fn initial(frames: &[u8], number: u32) -> Vec<u8> {
    let mut packet = vec![0xc3, 0, 0, 0, 1, DESTINATION.len() as u8];
    packet.extend_from_slice(DESTINATION);
    packet.extend_from_slice(&[0, 0]);
    packet.extend_from_slice(&(0x8000_0000 | (4 + frames.len() as u32 + 16)).to_be_bytes());
    let at = packet.len();
    packet.extend_from_slice(&number.to_be_bytes());
    let mut nonce = KEYS.iv;
    for (to, byte) in nonce[8..].iter_mut().zip(number.to_be_bytes()) {
        *to ^= byte;
    }
    let mut sealed = frames.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    KEYS.packet.seal_in_place_append_tag(nonce, Aad::from(&packet), &mut sealed).unwrap();
    packet.extend_from_slice(&sealed);
    let mask = KEYS.header.new_mask(&packet[at + 4..at + 20]).unwrap();
    packet[0] ^= mask[0] & 0x0f;
    for (byte, mask) in packet[at..at + 4].iter_mut().zip(&mask[1..]) {
        *byte ^= mask;
    }
    packet
}

/// Any frames and datagrams.
pub fn run(data: &[u8]) {
    let script = Script::parse(data);
    let _ = hello(data.get(2..).unwrap_or_default());
    meter::within((1 << 20) + data.len() * 64, || {
        let (mut handshake, mut told) = (Handshake::new(), 0);
        for (number, step) in script.steps.iter().enumerate() {
            let Act::Say { data, .. } = step.act else { continue };
            let datagram = match step.from {
                Speaker::Client => initial(data, number as u32),
                Speaker::Server => data.to_vec(),
            };
            if let Some(header) = header(&datagram) {
                assert!(header.destination.len() <= 255 && header.source.len() <= 255);
                assert!(header.payload.is_none_or(|p| p.start <= p.end && p.start <= datagram.len()));
            }
            for len in [datagram.len(), 1200, 65_507] {
                sniff(&datagram, len as u32);
            }
            let was_over = handshake.over();
            let hello = handshake.initial(&datagram);
            assert!(hello.is_none() || !was_over, "told once");
            told += usize::from(hello.is_some());
            for hello in [hello, handshake.so_far()].into_iter().flatten() {
                if let Some(name) = hello.hello.server_name.known() {
                    assert!(!name.chars().any(char::is_control), "{name:?}");
                }
            }
        }
        assert!(told <= 1);
    });
}
