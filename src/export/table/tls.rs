//! `webb list tls` as a table.

use super::{Table, arrow, place};
use crate::export::figures::{NONE, count};
use crate::export::{security, time};
use crate::model::{Connection, Inherits, Security, Tls, UtcOffset};
use crate::world::NameTable;
use crate::world::security::{FailedWhy, NOT_DECIDED};

/// A table of the connections whose security was looked at, in the order given, with names from
/// `names` and times by `utc`. Below it: how many were not looked at.
pub fn tls<'a>(list: impl IntoIterator<Item = &'a Connection>, names: &NameTable, utc: UtcOffset) -> String {
    let mut t = Table::new(&[
        "TIME (UTC)",
        "CLIENT",
        "",
        "SERVER",
        ">PORT",
        "SEC",
        "VERSION",
        "CIPHER",
        "SNI",
        "CLIENT-CERT",
        "WHY",
    ]);
    let mut unlooked: u64 = 0;
    for c in list {
        let Some(tls) = c.tls.as_deref() else {
            unlooked += 1;
            continue;
        };
        let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
        t.row([
            or_none(time::clock(utc, c.opened())),
            place(&names.workload(c.client.entity), c.client.address.port),
            arrow(c.role_known).to_owned(),
            names.workload(c.server.entity).id.bare().to_owned(),
            or_none((c.server.address.port != 0).then(|| c.server.address.port.to_string())),
            verdict(tls),
            or_none(tls.version.map(security::version)),
            or_none(tls.cipher.map(security::cipher)),
            or_none(tls.sni.as_deref().map(str::to_owned)),
            client_cert(tls).to_owned(),
            why(tls),
        ]);
    }
    let mut text = t.render();
    if unlooked > 0 {
        text.push_str(&format!("{} connections were not looked at\n", count(unlooked)));
    }
    text
}

/// `M mtls`, `R resumed (tls)`, `U tunnel (plaintext)`.
fn verdict(tls: &Tls) -> String {
    let (letter, word) = (tls.status.letter(), tls.status.as_str());
    let more = match tls.status {
        Security::Resumed => tls.inherits.map(Inherits::as_str),
        Security::Tunnel => tls.inside.map(Security::as_str),
        _ => None,
    };
    match more {
        Some(more) => format!("{letter} {word} ({more})"),
        None => format!("{letter} {word}"),
    }
}

fn client_cert(tls: &Tls) -> &'static str {
    match tls.status {
        Security::Plaintext | Security::Tunnel => NONE,
        _ => tls.client_cert.as_str(),
    }
}

/// The reason where nothing is known or it failed, and what was observed.
fn why(tls: &Tls) -> String {
    let reason = match tls.status {
        Security::Unknown => Some(tls.unknown.as_deref().unwrap_or(NOT_DECIDED).to_owned()),
        Security::Failed => Some(security::failure(FailedWhy::of(tls))),
        _ => None,
    };
    let said: Vec<&str> = reason.as_deref().into_iter().chain(tls.evidence.iter().map(|e| &**e)).collect();
    if said.is_empty() { NONE.to_owned() } else { said.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::samples;

    #[test]
    fn every_verdict_says_why() {
        let list = samples::secured_connections();
        assert_eq!(
            tls(&list, &samples::names(), samples::UTC),
            "\
TIME (UTC)    CLIENT                       SERVER                    PORT  SEC               VERSION  CIPHER                        SNI               CLIENT-CERT  WHY
12:34:57.000  shop/web:41234            →  api.service               8080  M mtls            TLS 1.2  TLS_RSA_WITH_AES_128_CBC_SHA  api.shop.example  presented    the client sent a Certificate; and a CertificateVerify
12:34:57.000  shop/web:41234            →  api.service               8080  R resumed (mtls)  0x7f1c   0xfafa                        -                 not-asked    the server chose a pre-shared key
12:34:57.000  shop/web:41234            →  api.service               8080  F failed          TLS 1.3  -                             -                 declined     failed: alert certificate_required by the server
12:34:57.000  shop/web:41234            →  api.service               8080  F failed          TLS 1.3  -                             -                 declined     failed: alert encrypted by the client
12:34:57.000  shop/web:41234            →  api.service               8080  F failed          TLS 1.3  -                             -                 declined     tls-to-plaintext
12:34:57.000  shop/web:41234            →  api.service               8080  P plaintext       -        -                             -                 -            neither side offered TLS
12:34:57.000  shop/web:41234            →  api.service               8080  ? unknown         -        -                             -                 unknown      it is older than webb
-             unknown 0000000000000001  ↔  unknown 0000000000000002     -  ? unknown         -        -                             -                 unknown      not decided yet
2 connections were not looked at
"
        );
    }
}
