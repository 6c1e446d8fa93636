//! Parameters that are weak by today's recommendations (RFC 9325, RFC 8996).

use super::cipher;
use crate::model::{Certificate, Tls};

/// What is weak about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weakness {
    /// Before TLS 1.2.
    OldVersion,
    /// Nobody proves who they are.
    Anonymous,
    /// Nothing is encrypted.
    Null,
    /// A key that was made short for export.
    Export,
    /// RC4.
    Rc4,
    /// DES.
    Des,
    /// 3DES.
    TripleDes,
    /// Encryption and integrity apart.
    NotAead,
    /// RSA or another key exchange with a key that stays the same.
    NoForwardSecrecy,
    /// The group of the key exchange is small.
    SmallGroup,
    /// The key of the server's certificate is small.
    SmallServerKey,
    /// The key of the client's certificate is small.
    SmallClientKey,
}

/// All of them, in their order.
pub const WEAKNESSES: [Weakness; 12] = [
    Weakness::OldVersion,
    Weakness::Anonymous,
    Weakness::Null,
    Weakness::Export,
    Weakness::Rc4,
    Weakness::Des,
    Weakness::TripleDes,
    Weakness::NotAead,
    Weakness::NoForwardSecrecy,
    Weakness::SmallGroup,
    Weakness::SmallServerKey,
    Weakness::SmallClientKey,
];

impl Weakness {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Weakness::OldVersion => "old-version",
            Weakness::Anonymous => "anonymous",
            Weakness::Null => "null-cipher",
            Weakness::Export => "export-cipher",
            Weakness::Rc4 => "rc4",
            Weakness::Des => "des",
            Weakness::TripleDes => "3des",
            Weakness::NotAead => "not-aead",
            Weakness::NoForwardSecrecy => "no-forward-secrecy",
            Weakness::SmallGroup => "small-group",
            Weakness::SmallServerKey => "small-server-key",
            Weakness::SmallClientKey => "small-client-key",
        }
    }

    /// One sentence for a person.
    pub fn explain(self) -> &'static str {
        match self {
            Weakness::OldVersion => "older than TLS 1.2, which RFC 8996 says must not be used",
            Weakness::Anonymous => "no side shows a certificate: anybody in between can read and change it",
            Weakness::Null => "the cipher suite does not encrypt: anybody on the path can read it",
            Weakness::Export => "a key of 40 or 56 bits, broken in minutes",
            Weakness::Rc4 => "RC4, which RFC 7465 says must not be used",
            Weakness::Des => "DES, a key of 56 bits or less, broken in hours",
            Weakness::TripleDes => "3DES, blocks of 64 bits: much data under one key leaks (CVE-2016-2183)",
            Weakness::NotAead => "not an AEAD cipher: RFC 9325 recommends AES-GCM or ChaCha20-Poly1305",
            Weakness::NoForwardSecrecy => {
                "no forward secrecy: whoever gets the key later can read what was recorded before"
            }
            Weakness::SmallGroup => "the group of the key exchange has less than 256 bits",
            Weakness::SmallServerKey => "the server's key is small: RSA below 2048 bits or a curve below 256",
            Weakness::SmallClientKey => "the client's key is small: RSA below 2048 bits or a curve below 256",
        }
    }
}

/// What is weak, by what is known; each at most once, in the order of [`Weakness`]. Of a suite without
/// a known name nothing is said.
pub fn weaknesses(tls: &Tls) -> Vec<Weakness> {
    let mut found = Vec::new();
    // SSL 2.0 is 0x0002, DTLS counts downwards.
    if tls.version.is_some_and(|version| version < 0x0303 || version == 0xfeff) {
        found.push(Weakness::OldVersion);
    }
    if let Some(suite) = tls.cipher.and_then(cipher) {
        if suite.contains("_anon_") {
            found.push(Weakness::Anonymous);
        }
        found.extend(encryption(suite));
        if !is_forward_secret(suite) {
            found.push(Weakness::NoForwardSecrecy);
        }
    }
    if tls.group.is_some_and(|group| matches!(group, 1..=8 | 15..=21)) {
        found.push(Weakness::SmallGroup);
    }
    if tls.server.as_deref().is_some_and(is_small) {
        found.push(Weakness::SmallServerKey);
    }
    if tls.client.as_deref().is_some_and(is_small) {
        found.push(Weakness::SmallClientKey);
    }
    found.sort_unstable();
    found
}

/// The same by their documented names.
pub fn weakness_names(tls: &Tls) -> Vec<&'static str> {
    weaknesses(tls).into_iter().map(Weakness::as_str).collect()
}

/// What is weak about the cipher: whether it is for export, and the worst of the rest.
fn encryption(suite: &str) -> impl Iterator<Item = Weakness> {
    let export = suite.contains("_EXPORT").then_some(Weakness::Export);
    // RFC 9150: integrity only, named after their hash alone.
    let is_null = suite.contains("_WITH_NULL_") || suite.starts_with("TLS_SHA");
    let is_aead = ["_GCM_", "_CCM", "_POLY1305"].iter().any(|mode| suite.contains(mode));
    let worst = if is_null {
        Some(Weakness::Null)
    } else if suite.contains("_RC4_") {
        Some(Weakness::Rc4)
    } else if suite.contains("_3DES_") {
        Some(Weakness::TripleDes)
    } else if suite.contains("_DES_") || suite.contains("_DES40_") {
        Some(Weakness::Des)
    } else {
        (!is_aead).then_some(Weakness::NotAead)
    };
    export.into_iter().chain(worst)
}

/// Suites of TLS 1.3 say nothing of the key exchange: it is apart, and ephemeral.
fn is_forward_secret(suite: &str) -> bool {
    const EPHEMERAL: [&str; 5] = ["TLS_DHE_", "TLS_ECDHE_", "TLS_DH_anon_", "TLS_ECDH_anon_", "TLS_SRP_"];
    !suite.contains("_WITH_") || EPHEMERAL.iter().any(|start| suite.starts_with(start))
}

/// RFC 9325, section 4.5. A size that is not known is not small.
fn is_small(certificate: &Certificate) -> bool {
    let least = if matches!(&*certificate.key, "RSA" | "RSA-PSS" | "DSA") { 2048 } else { 256 };
    (1..least).contains(&certificate.key_bits)
}
