//! Kind and size of a public key (RFC 3279, RFC 5480, RFC 8410, RFC 9881).

use x509_parser::asn1_rs::{Any, FromDer as _, Oid, Tag};
use x509_parser::public_key::{ECPoint, RSAPublicKey};
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

/// Longest object identifier that is spelt out, in bytes: its decimal text is costly for long ones.
const MAX_OID: usize = 32;

const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
const RSA_PSS: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";
const DSA: &[u8] = b"\x2a\x86\x48\xce\x38\x04\x01";
const EC: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";

/// Keys whose algorithm says everything. ML-DSA has no size that could be compared with others.
const PLAIN: [(&[u8], &str, u32); 5] = [
    (b"\x2b\x65\x70", "Ed25519", 256),
    (b"\x2b\x65\x71", "Ed448", 456),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x11", "ML-DSA-44", 0),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x12", "ML-DSA-65", 0),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x13", "ML-DSA-87", 0),
];

/// Named curves (RFC 5480, section 2.1.1.1; RFC 5639; SEC 2; GB/T 32918).
const CURVES: [(&[u8], &str, u32); 10] = [
    (b"\x2a\x86\x48\xce\x3d\x03\x01\x01", "P-192", 192),
    (b"\x2a\x86\x48\xce\x3d\x03\x01\x07", "P-256", 256),
    (b"\x2b\x81\x04\x00\x21", "P-224", 224),
    (b"\x2b\x81\x04\x00\x22", "P-384", 384),
    (b"\x2b\x81\x04\x00\x23", "P-521", 521),
    (b"\x2b\x81\x04\x00\x0a", "secp256k1", 256),
    (b"\x2b\x24\x03\x03\x02\x08\x01\x01\x07", "brainpoolP256r1", 256),
    (b"\x2b\x24\x03\x03\x02\x08\x01\x01\x0b", "brainpoolP384r1", 384),
    (b"\x2b\x24\x03\x03\x02\x08\x01\x01\x0d", "brainpoolP512r1", 512),
    (b"\x2a\x81\x1c\xcf\x55\x01\x82\x2d", "SM2", 256),
];

/// Kind of the key, and its size in bits; 0 where it is not known. A kind without a name is told as
/// its object identifier.
pub(super) fn kind(key: &SubjectPublicKeyInfo<'_>) -> (Box<str>, u32) {
    let algorithm = &key.algorithm;
    let bytes: &[u8] = &key.subject_public_key.data;
    match algorithm.algorithm.as_bytes() {
        RSA => ("RSA".into(), modulus_bits(bytes)),
        RSA_PSS => ("RSA-PSS".into(), modulus_bits(bytes)),
        DSA => ("DSA".into(), prime_bits(algorithm)),
        EC => curve(algorithm, bytes),
        other => match named(&PLAIN, other) {
            Some((name, bits)) => (name.into(), bits),
            None => (oid(&algorithm.algorithm), 0),
        },
    }
}

/// An object identifier in decimal; a very long one as `OID`.
pub(super) fn oid(oid: &Oid<'_>) -> Box<str> {
    if oid.as_bytes().len() > MAX_OID { "OID".into() } else { oid.to_id_string().into() }
}

fn named(table: &[(&[u8], &'static str, u32)], oid: &[u8]) -> Option<(&'static str, u32)> {
    table.iter().find(|(bytes, ..)| *bytes == oid).map(|(_, name, bits)| (*name, *bits))
}

fn curve(algorithm: &AlgorithmIdentifier<'_>, point: &[u8]) -> (Box<str>, u32) {
    let by_point = u32::try_from(ECPoint::from(point).key_size()).unwrap_or(0);
    let named_by = algorithm.parameters.as_ref().filter(|any| any.tag() == Tag::Oid);
    let curve = named_by.and_then(|any| any.as_oid().ok());
    match curve {
        Some(curve) => match named(&CURVES, curve.as_bytes()) {
            Some((name, bits)) => (name.into(), bits),
            None => (oid(&curve), by_point),
        },
        // The curve is spelt out (RFC 3279, section 2.3.5).
        None => ("EC".into(), by_point),
    }
}

fn modulus_bits(key: &[u8]) -> u32 {
    RSAPublicKey::from_der(key).map_or(0, |(_, key)| bits(key.modulus))
}

/// The prime is the first of the parameters (RFC 3279, section 2.3.2).
fn prime_bits(algorithm: &AlgorithmIdentifier<'_>) -> u32 {
    let prime = algorithm.parameters.as_ref().and_then(|any| Any::from_der(any.data).ok());
    prime.filter(|(_, any)| any.tag() == Tag::Integer).map_or(0, |(_, any)| bits(any.data))
}

/// Bits of a big-endian number, leading zeros not counted.
fn bits(number: &[u8]) -> u32 {
    let Some(first) = number.iter().position(|byte| *byte != 0) else {
        return 0;
    };
    let bytes = u32::try_from(number.len() - first).unwrap_or(0);
    let leading = number.get(first).map_or(0, |byte| byte.leading_zeros());
    bytes.saturating_mul(8).saturating_sub(leading)
}
