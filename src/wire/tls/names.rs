//! Names of what TLS numbers (the TLS registries of IANA), and what is to be said of them: which
//! choices are weak, and which mesh a hello gives away.

mod ciphers;
mod mesh;
#[cfg(test)]
mod tests;
mod weakness;

pub use mesh::{MeshSeen, mesh};
pub use weakness::{WEAKNESSES, Weakness, weakness_names, weaknesses};

/// Version of the protocol (RFC 8446, section 4.2.1; RFC 9147 for DTLS); `unknown` for others.
pub fn version(number: u16) -> &'static str {
    match number {
        0x0002 => "SSL 2.0",
        0x0300 => "SSL 3.0",
        0x0301 => "TLS 1.0",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        0x0304 => "TLS 1.3",
        0xfeff => "DTLS 1.0",
        0xfefd => "DTLS 1.2",
        0xfefc => "DTLS 1.3",
        _ => "unknown",
    }
}

/// Name of a cipher suite.
pub fn cipher(number: u16) -> Option<&'static str> {
    find(&ciphers::CIPHERS, number)
}

/// Name of a group of the key exchange (registry "TLS Supported Groups"), and of those that browsers
/// and Cloudflare used before the registry had one.
pub fn group(number: u16) -> Option<&'static str> {
    find(&GROUPS, number)
}

/// Whether recording the connection today gives nothing to a quantum computer of tomorrow.
pub fn is_post_quantum(group: u16) -> bool {
    // ML-KEM alone, ML-KEM or Kyber with a curve, CECPQ2 (NTRU with X25519).
    matches!(group, 0x0200..=0x0202 | 0x11eb..=0x11ee | 0x4138 | 0x6399 | 0x639a | 0xfe30 | 0xfe31)
}

/// Name of an alert (RFC 8446, section 6; RFC 5246, section 7.2; RFC 9846, section 6; registry "TLS
/// Alerts").
pub fn alert(number: u8) -> Option<&'static str> {
    find(&ALERTS, u16::from(number))
}

fn find(table: &[(u16, &'static str)], number: u16) -> Option<&'static str> {
    let at = table.binary_search_by_key(&number, |(n, _)| *n).ok()?;
    table.get(at).map(|(_, name)| *name)
}

/// In the order of the numbers.
const GROUPS: [(u16, &str); 60] = [
    (1, "sect163k1"),
    (2, "sect163r1"),
    (3, "sect163r2"),
    (4, "sect193r1"),
    (5, "sect193r2"),
    (6, "sect233k1"),
    (7, "sect233r1"),
    (8, "sect239k1"),
    (9, "sect283k1"),
    (10, "sect283r1"),
    (11, "sect409k1"),
    (12, "sect409r1"),
    (13, "sect571k1"),
    (14, "sect571r1"),
    (15, "secp160k1"),
    (16, "secp160r1"),
    (17, "secp160r2"),
    (18, "secp192k1"),
    (19, "secp192r1"),
    (20, "secp224k1"),
    (21, "secp224r1"),
    (22, "secp256k1"),
    (23, "secp256r1"),
    (24, "secp384r1"),
    (25, "secp521r1"),
    (26, "brainpoolP256r1"),
    (27, "brainpoolP384r1"),
    (28, "brainpoolP512r1"),
    (29, "x25519"),
    (30, "x448"),
    (31, "brainpoolP256r1tls13"),
    (32, "brainpoolP384r1tls13"),
    (33, "brainpoolP512r1tls13"),
    (34, "GC256A"),
    (35, "GC256B"),
    (36, "GC256C"),
    (37, "GC256D"),
    (38, "GC512A"),
    (39, "GC512B"),
    (40, "GC512C"),
    (41, "curveSM2"),
    (0x0100, "ffdhe2048"),
    (0x0101, "ffdhe3072"),
    (0x0102, "ffdhe4096"),
    (0x0103, "ffdhe6144"),
    (0x0104, "ffdhe8192"),
    (0x0200, "MLKEM512"),
    (0x0201, "MLKEM768"),
    (0x0202, "MLKEM1024"),
    (0x11eb, "SecP256r1MLKEM768"),
    (0x11ec, "X25519MLKEM768"),
    (0x11ed, "SecP384r1MLKEM1024"),
    (0x11ee, "curveSM2MLKEM768"),
    (0x4138, "CECPQ2"),
    (0x6399, "X25519Kyber768Draft00"),
    (0x639a, "SecP256r1Kyber768Draft00"),
    // Before they were in the registry.
    (0xfe30, "X25519Kyber512Draft00"),
    (0xfe31, "X25519Kyber768Draft00"),
    // RFC 8422, section 5.1.1: a curve that is spelt out.
    (0xff01, "arbitrary_explicit_prime_curves"),
    (0xff02, "arbitrary_explicit_char2_curves"),
];

/// In the order of the numbers.
const ALERTS: [(u16, &str); 37] = [
    (0, "close_notify"),
    (10, "unexpected_message"),
    (20, "bad_record_mac"),
    (21, "decryption_failed"),
    (22, "record_overflow"),
    (30, "decompression_failure"),
    (40, "handshake_failure"),
    (41, "no_certificate"),
    (42, "bad_certificate"),
    (43, "unsupported_certificate"),
    (44, "certificate_revoked"),
    (45, "certificate_expired"),
    (46, "certificate_unknown"),
    (47, "illegal_parameter"),
    (48, "unknown_ca"),
    (49, "access_denied"),
    (50, "decode_error"),
    (51, "decrypt_error"),
    (52, "too_many_cids_requested"),
    (60, "export_restriction"),
    (70, "protocol_version"),
    (71, "insufficient_security"),
    (80, "internal_error"),
    (86, "inappropriate_fallback"),
    (90, "user_canceled"),
    (100, "no_renegotiation"),
    (109, "missing_extension"),
    (110, "unsupported_extension"),
    (111, "certificate_unobtainable"),
    (112, "unrecognized_name"),
    (113, "bad_certificate_status_response"),
    (114, "bad_certificate_hash_value"),
    (115, "unknown_psk_identity"),
    (116, "certificate_required"),
    (117, "general_error"),
    (120, "no_application_protocol"),
    (121, "ech_required"),
];
