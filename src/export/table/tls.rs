//! `webb list tls` as a table.

use super::{Table, arrow, place};
use crate::export::figures::{NONE, count};
use crate::export::{security, time};
use crate::model::{Connection, Inherits, Security, Tls, UtcOffset};
use crate::world::NameTable;
use crate::world::security::NOT_DECIDED;

/// A table of the connections whose security was looked at, in the order given, with names from
/// `names` and times by `utc`. Below it: how many were not looked at.
pub fn tls<'a>(
    list: impl IntoIterator<Item = &'a Connection>,
    names: &NameTable,
    utc: UtcOffset,
) -> String {
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
            c.server.address.port.to_string(),
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
        text.push_str(&format!("{} more connections were not looked at\n", count(unlooked)));
    }
    text
}

/// `M mtls`, `R resumed (tls)`.
fn verdict(tls: &Tls) -> String {
    let (letter, word) = (tls.status.letter(), tls.status.as_str());
    match tls.inherits.filter(|_| tls.status == Security::Resumed).map(Inherits::as_str) {
        Some(inherits) => format!("{letter} {word} ({inherits})"),
        None => format!("{letter} {word}"),
    }
}

fn client_cert(tls: &Tls) -> &'static str {
    match tls.status {
        Security::Plaintext | Security::Tunnel => NONE,
        _ => tls.client_cert.as_str(),
    }
}

/// The reason where nothing is known, and what was observed.
fn why(tls: &Tls) -> String {
    let unknown = tls.unknown.as_deref().unwrap_or(NOT_DECIDED);
    let unknown = (tls.status == Security::Unknown).then_some(unknown);
    let said: Vec<&str> = unknown.into_iter().chain(tls.evidence.iter().map(|e| &**e)).collect();
    if said.is_empty() { NONE.to_owned() } else { said.join("; ") }
}
