//! What TLS numbers are called, and what the verdicts mean, in the words that are shown.

use crate::model::{BootNs, UtcOffset};
use crate::wire::tls::names;
use crate::world::NameTable;
use crate::world::security::{FailedWhy, Given, MTLS};

/// What mutual TLS means here.
pub fn mtls_means() -> String {
    format!("mtls: {MTLS}")
}

/// Edges that are named for a reason, owners for a certificate.
const NAMED: usize = 8;

/// A version of the protocol, by its number where it has no name.
pub fn version(number: u16) -> String {
    match names::version(number) {
        "unknown" => hexadecimal(number),
        name => name.to_owned(),
    }
}

/// A cipher suite.
pub fn cipher(number: u16) -> String {
    names::cipher(number).map_or_else(|| hexadecimal(number), str::to_owned)
}

/// A group of the key exchange.
pub fn group(number: u16) -> String {
    names::group(number).map_or_else(|| hexadecimal(number), str::to_owned)
}

fn hexadecimal(number: u16) -> String {
    format!("0x{number:04x}")
}

/// The alert that ended a handshake: what is encrypted cannot be told apart.
pub fn alert(number: Option<u8>) -> String {
    match number {
        None => "encrypted".to_owned(),
        Some(n) => names::alert(n).map_or_else(|| format!("0x{n:02x}"), str::to_owned),
    }
}

/// How a handshake failed: `failed: alert unknown_ca by the client`.
pub fn failure(why: FailedWhy) -> String {
    let how = why.handshake.as_str();
    if !why.has_alert() {
        return how.to_owned();
    }
    let by = if why.by_client { "client" } else { "server" };
    format!("{how}: alert {} by the {by}", alert(why.alert))
}

/// What a report needs, with lists of `limit` rows.
pub fn given(table: &NameTable, now: BootNs, utc: UtcOffset, limit: usize) -> Given<'_> {
    Given { names: table, now, utc, weaknesses: names::weakness_names, limit, named: NAMED, window: None }
}
