//! What a certificate says (X.509, RFC 5280), as text that can be shown. Nothing is verified: whether
//! a certificate is trusted is the business of whoever received it.
//!
//! A certificate is written by anybody. Work and what comes out are bounded: [`MAX_DER`] bytes are
//! read, names are cut at [`MAX_NAME`] bytes, alternative names at [`MAX_SAN`] bytes and [`MAX_SANS`]
//! of them; what is cut ends in `…`. No character that moves the cursor or reorders text comes through.

mod key;
mod name;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer as _;

use crate::model::Certificate;
use name::Bounded;

/// Longest certificate that is read, in bytes.
pub const MAX_DER: usize = 64 * 1024;
/// Longest text of a subject or issuer, in bytes.
pub const MAX_NAME: usize = 512;
/// Longest text of a subject alternative name, in bytes, its kind included.
pub const MAX_SAN: usize = 256;
/// Subject alternative names that are told.
pub const MAX_SANS: usize = 64;
/// Longest SPIFFE id (SPIFFE-ID, section 2.3), in bytes.
const MAX_SPIFFE: usize = 2048;

/// Reads one certificate. Bytes behind it are ignored, so that it may stand in a longer buffer.
///
/// `None`: not a certificate, damaged, or longer than [`MAX_DER`]. Names of kinds that
/// [`Certificate::sans`] does not know are left out. `chain` is 0: one certificate does not know it.
pub fn parse(der: &[u8]) -> Option<Certificate> {
    if der.len() > MAX_DER {
        return None;
    }
    let (_, read) = X509Certificate::from_der(der).ok()?;
    let (key, key_bits) = key::kind(read.public_key());
    let names = AlternativeNames::of(&read);
    Some(Certificate {
        subject: name::text(read.subject()),
        issuer: name::text(read.issuer()),
        sans: names.told,
        spiffe: names.spiffe,
        not_before: read.validity().not_before.timestamp(),
        not_after: read.validity().not_after.timestamp(),
        key,
        key_bits,
        chain: 0,
        fingerprint: fingerprint(read.as_raw()),
    })
}

fn fingerprint(der: &[u8]) -> u64 {
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    digest.as_ref().iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

/// RFC 5280, section 4.2.1.6.
#[derive(Default)]
struct AlternativeNames {
    told: Vec<Box<str>>,
    spiffe: Option<Box<str>>,
}

impl AlternativeNames {
    fn of(read: &X509Certificate<'_>) -> Self {
        let mut names = AlternativeNames::default();
        let mut spiffe_ids = 0;
        for extension in read.extensions() {
            let ParsedExtension::SubjectAlternativeName(list) = extension.parsed_extension() else {
                continue;
            };
            for name in &list.general_names {
                if let GeneralName::URI(uri) = name
                    && uri.starts_with("spiffe://")
                {
                    spiffe_ids += 1;
                    // A cut id would be another's: it is told whole, or not at all.
                    if uri.len() <= MAX_SPIFFE {
                        names.spiffe = Some(crate::model::escape(uri).into());
                    }
                }
                if names.told.len() < MAX_SANS
                    && let Some(text) = told(name)
                {
                    names.told.push(text);
                }
            }
        }
        // X509-SVID, section 2: exactly one, else it is nobody's.
        if spiffe_ids != 1 {
            names.spiffe = None;
        }
        names
    }
}

/// An alternative name with its kind; `None` for kinds that are not told.
fn told(name: &GeneralName<'_>) -> Option<Box<str>> {
    let (kind, text): (&str, Cow<'_, str>) = match name {
        GeneralName::DNSName(text) => ("DNS:", (*text).into()),
        GeneralName::URI(text) => ("URI:", (*text).into()),
        GeneralName::RFC822Name(text) => ("email:", (*text).into()),
        GeneralName::IPAddress(bytes) => ("IP:", address(bytes)?.into()),
        // Not UTF-8, nor ASCII as it must be: what can be read of it.
        GeneralName::Invalid(tag, bytes) => match tag.0 {
            1 => ("email:", String::from_utf8_lossy(bytes)),
            2 => ("DNS:", String::from_utf8_lossy(bytes)),
            6 => ("URI:", String::from_utf8_lossy(bytes)),
            _ => return None,
        },
        _ => return None,
    };
    let mut out = Bounded::new(MAX_SAN);
    out.push(kind);
    out.push_shown(&text);
    Some(out.finish())
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).to_string());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|sixteen| Ipv6Addr::from(sixteen).to_string())
}
