//! The evidence in words.

use std::fmt::Write;

use super::{Judgement, Looking, name};
use crate::model::{Handshake, Tls};
use crate::wire::Speaker;
use crate::wire::tls::legacy::First;
use crate::wire::tls::modern::{Modern, Said};
use crate::wire::tls::names;
use crate::wire::tls::walk::{LATER, Walk};

type Lines = Vec<Box<str>>;

fn who(from: Speaker) -> &'static str {
    if from == Speaker::Client { "client" } else { "server" }
}

/// Where no TLS was seen.
pub(super) fn of_looking(looking: &Looking, j: &Judgement, out: &mut Lines) {
    if looking.plain {
        out.push("client's first bytes: no TLS, and nothing that leads to it".into());
    }
    if let Some(protocol) = looking.start.after {
        out.push(format!("client speaks {protocol} in the clear").into());
    }
    if let Some(code) = j.alert {
        out.push(format!("server answers with a TLS alert: {}", alert(code)).into());
    }
}

/// Of a handshake.
pub(super) fn of_walk(walk: &Walk, j: &Judgement, tls: &mut Tls) {
    let mut out = Lines::new();
    if let Some(after) = &tls.after {
        out.push(format!("TLS begins after {after} in the clear").into());
    }
    if let Some(hello) = &walk.hello {
        let mut line = String::from("client: ClientHello");
        if let Some(name) = name(&hello.server_name) {
            let _ = write!(line, " for {name}");
        }
        for (is, what) in [
            (hello.identity.is_some(), "a pre-shared key"),
            (hello.ticket.is_some(), "a session ticket"),
            (hello.early_data, "early data"),
            (hello.post_handshake_auth, "to authenticate later"),
            (hello.encrypted, "an encrypted hello"),
        ] {
            if is {
                let _ = write!(line, ", offers {what}");
            }
        }
        out.push(line.into());
    }
    if walk.retried {
        out.push("server: asked for another ClientHello".into());
    }
    if let Some(answer) = &walk.answer {
        let mut line = format!("server: ServerHello, {}", names::version(answer.version));
        match names::cipher(answer.cipher) {
            Some(cipher) => _ = write!(line, ", {cipher}"),
            None => _ = write!(line, ", cipher suite {:#06x}", answer.cipher),
        }
        if answer.psk {
            line.push_str(", uses the pre-shared key: no certificates");
        }
        out.push(line.into());
    }
    match &walk.modern {
        Some(modern) => of_modern(walk, modern, &mut out),
        None => of_legacy(walk, &mut out),
    }
    let how = if j.by_client { "client" } else { "server" };
    match (j.handshake, j.alert) {
        (Handshake::Failed, Some(code)) => out.push(format!("{how}: alert {}", alert(code)).into()),
        (Handshake::Failed, None) => out.push(format!("{how}: an encrypted alert ended it").into()),
        (Handshake::Aborted, _) => out.push("the connection ended before the handshake did".into()),
        (Handshake::TlsToPlaintext, _) => out.push("server: its answer is no TLS".into()),
        _ => {}
    }
    for from in [Speaker::Client, Speaker::Server] {
        if let Some(why) = walk.lost.get(from as usize).copied().flatten() {
            out.push(format!("{} not followed to the end: {why}", who(from)).into());
        }
    }
    tls.evidence = out;
}

fn alert(code: u8) -> String {
    names::alert(code).map_or_else(|| code.to_string(), str::to_owned)
}

fn of_legacy(walk: &Walk, out: &mut Lines) {
    let legacy = &walk.legacy;
    let plural = |n: u8| if n == 1 { "" } else { "s" };
    if legacy.asked {
        out.push("server: asked for a certificate".into());
    }
    match legacy.first {
        None => {}
        Some(First::Certificate) => {
            let n = legacy.chains[0];
            out.push(match n {
                0 => "client: Certificate, not empty".into(),
                n => format!("client: Certificate, {n} certificate{}", plural(n)).into(),
            });
            if let Some(read) = &legacy.certificates[0] {
                out.push(format!("client's certificate was in the clear: {}", read.name()).into());
            }
        }
        Some(First::Empty) => out.push("client: Certificate, empty".into()),
        Some(First::KeyExchange) => {
            out.push("client: ClientKeyExchange first: it was not asked for a certificate".into());
        }
        Some(First::Abbreviated) => {
            out.push("client: ChangeCipherSpec first: the session is resumed".into());
        }
    }
    if legacy.verified {
        out.push("client: CertificateVerify: it has the key".into());
    }
    if legacy.done() {
        out.push("both: ChangeCipherSpec".into());
    }
    if legacy.renegotiated == Some(true) {
        out.push("client: four or more handshake records in a renegotiation: a certificate".into());
    }
    if legacy.again {
        out.push("client: renegotiated without a certificate".into());
    }
}

fn of_modern(walk: &Walk, modern: &Modern, out: &mut Lines) {
    let (sizes, first) = (modern.sizes, modern.client[0]);
    if modern.count > 0 {
        let mut line = format!("client's first encrypted record: {first} bytes; ");
        let _ = match modern.said() {
            Said::Finished => write!(line, "a Finished has {}", like(first, sizes.finished())),
            Said::Empty if first == sizes.empty_finished() || first == sizes.empty_finished() + 16 => {
                write!(
                    line,
                    "an empty Certificate with a Finished has {}",
                    like(first, sizes.empty_finished())
                )
            }
            Said::Empty => write!(line, "an empty Certificate has {}", like(first, sizes.empty())),
            Said::Alert => write!(line, "an alert has {}", like(first, sizes.alert())),
            _ => write!(
                line,
                "a Finished would be {}, an empty Certificate {} or {}, an alert {}",
                sizes.finished(),
                sizes.empty(),
                sizes.empty_finished(),
                sizes.alert()
            ),
        };
        out.push(line.into());
    }
    match modern.said() {
        Said::Padded => out.push(records("all on one block", &modern.client, modern.count)),
        Said::Pieces => out.push(records("a Certificate in pieces", &modern.client, modern.count)),
        _ => {}
    }
    if let Some((verify, finished)) = modern.proof {
        out.push(format!("then {verify} and {finished} bytes: a CertificateVerify and a Finished").into());
    }
    if modern.established() {
        out.push(format!("server went on: a record of {} bytes", modern.after[0]).into());
    }
    if let Some(len) = modern.alert.filter(|_| !modern.established()) {
        out.push(
            format!("server answered with a record of {len} bytes: an alert has {}", sizes.alert()).into(),
        );
    }
    if let Some((certificate, verify, finished)) = modern.later {
        out.push(
            format!("client later: {certificate}, {verify} and {finished} bytes: it authenticated later")
                .into(),
        );
    } else if modern.later_empty {
        out.push("client later: an empty Certificate and a Finished".into());
    }
    if walk.later >= LATER {
        out.push(format!("{LATER} records after the handshake were looked at").into());
    }
}

fn like(len: u16, known: u16) -> String {
    if len == known { known.to_string() } else { format!("{known}, and Java adds 16") }
}

fn records(what: &str, lens: &[u16; 4], count: u8) -> Box<str> {
    let seen: Vec<String> = lens.iter().take(usize::from(count)).map(u16::to_string).collect();
    format!("client's records: {} bytes: {what}", seen.join(", ")).into()
}
