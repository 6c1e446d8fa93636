//! Keys of the client's Initial packets, and taking their protection off (RFC 9001 sections 5.2 to
//! 5.4, RFC 9369 section 3.3).

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey, quic};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

use super::header::{Header, V1, V2};

/// RFC 9001 section 5.2.
const SALT_V1: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc,
    0xbb, 0x7f, 0x0a,
];
/// RFC 9369 section 3.3.1.
const SALT_V2: [u8; 20] = [
    0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9,
    0xbd, 0x2e, 0xd9,
];

/// What opens the client's Initials.
pub(super) struct Keys {
    version: u32,
    packet: LessSafeKey,
    iv: [u8; 12],
    header: quic::HeaderProtectionKey,
}

impl Keys {
    /// The keys that follow from the destination of the client's first Initial.
    pub(super) fn client(version: u32, destination: &[u8]) -> Option<Keys> {
        let (salt, key, iv, hp) = match version {
            V1 => (SALT_V1, "quic key", "quic iv", "quic hp"),
            V2 => (SALT_V2, "quicv2 key", "quicv2 iv", "quicv2 hp"),
            _ => return None,
        };
        let initial = Salt::new(HKDF_SHA256, &salt).extract(destination);
        let client = Prk::new_less_safe(HKDF_SHA256, &expand::<32>(&initial, "client in")?);
        let packet = UnboundKey::new(&AES_128_GCM, &expand::<16>(&client, key)?).ok()?;
        Some(Keys {
            version,
            packet: LessSafeKey::new(packet),
            iv: expand(&client, iv)?,
            header: quic::HeaderProtectionKey::new(&quic::AES_128, &expand::<16>(&client, hp)?).ok()?,
        })
    }

    /// The frames in a packet, if it is whole and protected with these keys.
    pub(super) fn open(&self, packet: &[u8], header: &Header<'_>) -> Option<Vec<u8>> {
        let payload = header.payload.clone()?;
        if header.version != self.version {
            return None;
        }
        let mut packet = packet.get(..payload.end)?.to_vec();
        let number = payload.start;
        // Taken as if the packet number had its full four bytes.
        let mask = self.header.new_mask(packet.get(number + 4..number + 20)?).ok()?;
        let first = packet.first_mut()?;
        *first ^= mask[0] & 0x0f;
        let len = usize::from(*first & 3) + 1;
        let mut nonce = self.iv;
        for (i, byte) in packet.get_mut(number..number + len)?.iter_mut().enumerate() {
            *byte ^= mask.get(1 + i)?;
            // The number of an Initial is small: what is left out of it are zeros.
            *nonce.get_mut(12 - len + i)? ^= *byte;
        }
        let (head, sealed) = packet.split_at_mut_checked(number + len)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let frames = self.packet.open_in_place(nonce, Aad::from(&*head), sealed).ok()?;
        Some(frames.to_vec())
    }
}

/// HKDF-Expand-Label of TLS 1.3 without context (RFC 8446 section 7.1).
fn expand<const N: usize>(secret: &Prk, label: &str) -> Option<[u8; N]> {
    struct Bytes(usize);
    impl KeyType for Bytes {
        fn len(&self) -> usize {
            self.0
        }
    }
    let len = u16::try_from(N).ok()?.to_be_bytes();
    let label_len = u8::try_from("tls13 ".len() + label.len()).ok()?;
    let info: [&[u8]; 5] = [&len, &[label_len], b"tls13 ", label.as_bytes(), &[0]];
    let mut out = [0; N];
    secret.expand(&info, Bytes(N)).ok()?.fill(&mut out).ok()?;
    Some(out)
}
