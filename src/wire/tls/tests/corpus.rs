//! Every field of every handshake.

use std::collections::HashMap;

use super::pcap::{Connection, read};
use super::truth::{Row, rows};
use crate::model::{BootNs, ClientCert, Handshake, Resumption, Security, Tls};
use crate::wire::tls::{Sessions, Watch, names};

/// All of a connection, and its end.
pub fn watch(connection: &Connection) -> Watch {
    let mut watch = Watch::new(connection.adopted);
    let mut last = None;
    for said in &connection.said {
        if last.replace(said.from) != Some(said.from) {
            watch.turn(said.from);
        }
        watch.bytes(said.from, said.at, said.offset, said.acked, &said.data);
    }
    watch.end(BootNs(u64::MAX));
    watch
}

/// What disagrees.
#[derive(Default)]
struct Report {
    lines: Vec<String>,
}

impl Report {
    fn check<T: PartialEq + std::fmt::Debug>(&mut self, row: &Row, field: &str, found: T, truth: T) {
        if found != truth {
            self.lines.push(format!("{:<60} {field:<14} found {found:?}, truth {truth:?}", row.file()));
        }
    }
}

/// A group by the names that the corpus has for it.
fn group(truth: &str) -> Option<u16> {
    let name = truth.split([' ', ',']).find(|w| *w != "ECDH" && !w.is_empty())?;
    Some(match name.to_ascii_lowercase().as_str() {
        "x25519" => 29,
        "secp256r1" | "curvep256" => 23,
        "secp384r1" | "curvep384" => 24,
        "secp521r1" | "curvep521" => 25,
        "x25519mlkem768" => 4588,
        _ => return None,
    })
}

/// Seconds since 1970 of `2027-11-22T14:13:29Z`.
fn seconds(text: &str) -> i64 {
    let n: Vec<i64> = text.split(['-', 'T', ':', 'Z']).filter_map(|p| p.parse().ok()).collect();
    let (y, m, d) = (if n[1] <= 2 { n[0] - 1 } else { n[0] }, (n[1] + 9) % 12, n[2]);
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + d - 719_469;
    days * 86_400 + n[3] * 3600 + n[4] * 60 + n[5]
}

fn compare(row: &Row, tls: &Tls, report: &mut Report) {
    let text = |field: &str| row.get(field).text();
    let bool = |field: &str| row.get(field).bool();
    let is_tls = !matches!(tls.status, Security::Plaintext) && tls.version.is_some() || tls.sni.is_some();
    let midstream = bool("midstream") == Some(true);
    if midstream {
        report.check(row, "status", tls.status, Security::Unknown);
        return;
    }
    if text("outcome") == Some("empty") {
        report.check(row, "status", tls.status, Security::Unknown);
        return;
    }
    if bool("tls") == Some(false) {
        report.check(row, "status", tls.status, Security::Plaintext);
        let to_tls = row.file().contains("plaintext-to-tls");
        report.check(row, "handshake", tls.handshake == Handshake::PlaintextToTls, to_tls);
        return;
    }
    report.check(row, "tls", is_tls || tls.status == Security::Failed, true);
    if let Some(version) = text("tls_version") {
        let version = match version {
            "1.3" => 0x0304,
            "1.2" => 0x0303,
            _ => 0x0302,
        };
        report.check(row, "version", tls.version, Some(version));
    }
    if let Some(cipher) = text("cipher").filter(|c| c.starts_with("TLS")) {
        report.check(row, "cipher", tls.cipher.and_then(names::cipher), Some(cipher));
    }
    if let Some(group) = text("group_kex").and_then(group) {
        // A resumed session up to TLS 1.2 has no key exchange.
        let old = matches!(tls.resumed, Some(Resumption::Ticket | Resumption::SessionId));
        report.check(row, "group", tls.group, (!old).then_some(group));
    }
    if let Some(name) = text("sni") {
        report.check(row, "sni", tls.sni.as_deref(), Some(name));
    }
    report.check(row, "ech", tls.ech, bool("ech") == Some(true));
    if let Some(offered) = row.get("alpn_offered").texts() {
        let found: Vec<&str> = tls.alpn_offered.iter().map(|a| &**a).collect();
        report.check(row, "alpn_offered", found, offered);
    }
    let is_13 = tls.version == Some(0x0304);
    report.check(row, "alpn", tls.alpn.as_deref(), text("alpn_chosen").filter(|_| !is_13));
    let resumed = bool("resumed") == Some(true);
    report.check(row, "resumed", tls.resumed.is_some(), resumed);
    report.check(row, "early data", tls.early_data.is_some(), text("early_data") != Some("none"));
    if let Some(hrr) = bool("hrr").filter(|_| is_13) {
        report.check(row, "hrr", tls.retried, hrr);
    }
    let after = text("starttls").map(|s| match s {
        "postgres" => "PostgreSQL",
        "imap" => "IMAP",
        "pop3" => "POP3",
        "mysql" => "MySQL",
        "smtp" => "SMTP",
        "http-connect" => "HTTP CONNECT",
        "proxy2" => "PROXY",
        other => other,
    });
    report.check(row, "after", tls.after.as_deref(), after);
    client_certificate(row, tls, report);
    outcome(row, tls, report);
    if !is_13 && !resumed && tls.handshake == Handshake::Established {
        certificates(row, tls, report);
    }
}

fn client_certificate(row: &Row, tls: &Tls, report: &mut Report) {
    let bool = |field: &str| row.get(field).bool();
    let later = bool("reneg_client_cert") == Some(true);
    let presented = bool("client_cert_presented") == Some(true) || later;
    let asked = bool("client_cert_requested") == Some(true) || later;
    let truth = match (presented, asked) {
        (true, _) => ClientCert::Presented,
        (_, true) => ClientCert::Declined,
        (_, false) => ClientCert::NotAsked,
    };
    let failed = row.get("outcome").text().is_some_and(|o| o.starts_with("fail") || o == "aborted");
    // What one was asked for who gave up before it answered is not known.
    if !(failed && tls.client_cert == ClientCert::Unknown) {
        report.check(row, "client cert", tls.client_cert, truth);
    }
    let status = match (bool("resumed"), truth) {
        _ if failed => Security::Failed,
        (Some(true), _) => Security::Resumed,
        (_, ClientCert::Presented) => Security::Mtls,
        _ => Security::Tls,
    };
    report.check(row, "status", tls.status, status);
}

fn outcome(row: &Row, tls: &Tls, report: &mut Report) {
    let outcome = row.get("outcome").text().unwrap_or("");
    let failed = outcome.starts_with("fail") || outcome == "aborted";
    report.check(row, "established", tls.handshake == Handshake::Established, !failed);
    if let (Some(code), Some(name)) = (tls.alert, outcome.strip_prefix("fail:")) {
        report.check(row, "alert", names::alert(code), Some(name));
    }
}

fn certificates(row: &Row, tls: &Tls, report: &mut Report) {
    let sans = |field: &str| {
        let all = row.get(field).texts().unwrap_or_default();
        all.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let found = |cert: &Option<Box<crate::model::Certificate>>| {
        let mut all: Vec<String> = cert.iter().flat_map(|c| &c.sans).map(|s| s.to_string()).collect();
        all.sort();
        all
    };
    report.check(row, "server sans", found(&tls.server), sans("server_sans"));
    report.check(row, "client sans", found(&tls.client), sans("client_sans"));
    let date = |field: &str| row.get(field).text().map(seconds);
    report.check(row, "server date", tls.server.as_ref().map(|c| c.not_after), date("not_after"));
    let client = date("client_not_after").filter(|_| tls.client_cert == ClientCert::Presented);
    report.check(row, "client date", tls.client.as_ref().map(|c| c.not_after), client);
    let subject = row.get("server_subject").text();
    report.check(row, "subject", tls.server.as_ref().map(|c| &*c.subject), subject);
}

/// Where the wire and `truth.json` differ, and why that must be so.
const KNOWN: [(&str, &str); 9] = [
    // Its certificate is longer than what is kept.
    ("0774", "client sans"),
    ("0774", "client date"),
    // A browser says something that looks like an encrypted hello; nobody can tell (RFC 9849 section 6.2).
    ("0817", "ech"),
    // The name inside of the encrypted hello.
    ("0819", "sni"),
    // Records are padded.
    ("0840", "client cert"),
    ("0840", "status"),
    ("0848", "client cert"),
    ("0848", "status"),
    // The certificate of a renegotiation is encrypted.
    ("0985", "client sans"),
];

#[test]
fn every_field_of_every_handshake() {
    let (mut report, mut sessions): (Report, HashMap<String, Sessions>) = Default::default();
    let mut confusion: HashMap<(String, Security), usize> = HashMap::new();
    let rows = rows();
    assert_eq!(rows.len(), 181);
    for row in &rows {
        let watch = watch(&read(&row.path(), row.port()));
        let tls = watch.verdict();
        assert!(tls.evidence.len() <= 24);
        if std::env::var("SHOW").is_ok_and(|s| row.file().contains(&s)) {
            println!("{} {tls:#?} {:?}", row.file(), watch.resumption());
        }
        compare(row, &tls, &mut report);
        let truth = match (row.get("tls").bool(), row.get("client_cert_presented").bool()) {
            (Some(false), _) => "no TLS",
            (_, Some(true)) => "certificate sent",
            _ => "certificate not sent",
        };
        *confusion.entry((truth.to_owned(), tls.status)).or_default() += 1;
        if let Some(found) = watch.resumption() {
            sessions.insert(row.file().to_owned(), found);
        }
    }
    let mut linked = 0;
    for row in &rows {
        let Some(from) = row.get("resumed_from").text().map(|f| f.trim_start_matches("pcaps/")) else {
            continue;
        };
        let (Some(first), Some(now)) = (sessions.get(from), sessions.get(row.file())) else { continue };
        if now.identity.is_none() {
            let found = now.used.is_some_and(|used| first.issued.contains(&used));
            report.check(row, "linked", found, true);
            linked += 1;
        }
    }
    let mut table: Vec<_> = confusion.into_iter().collect();
    table.sort();
    for ((truth, status), n) in table {
        println!("{truth:<22} {:<10} {n}", status.as_str());
    }
    println!("resumed sessions up to TLS 1.2 with their first one here, linked: {linked}");
    println!("{}", report.lines.join("\n"));
    assert_eq!(linked, 2);
    let known = |l: &String| KNOWN.iter().position(|(file, field)| l.starts_with(file) && l.contains(field));
    let (explained, wrong): (Vec<_>, Vec<_>) = report.lines.iter().partition(|l| known(l).is_some());
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Each of them is still so.
    assert_eq!(explained.len(), KNOWN.len(), "{explained:#?}");
}
