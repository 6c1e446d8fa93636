//! Why a connection is called as secure as it is: the verdict in words, what the handshake said, and
//! what was observed, line by line.
//!
//! ```text
//! M mTLS     the client presented a certificate and the server continued; trust is the
//!            server's decision and not visible
//! sure       confirmed: a second proof agrees
//! version    TLS 1.3 · TLS_AES_128_GCM_SHA256
//! group      X25519MLKEM768 · post-quantum
//! observed   record 2 of the client has 1,204 bytes: a certificate
//! ```

use super::mix;
use crate::model::{
    BootNs, Certificate, ClientCert, Confidence, EarlyData, Handshake, Inherits, Mesh, Resumption, Security,
    Tls, Tunnel, Validity,
};
use crate::tui::detail::{Line, muted};
use crate::tui::figures::{self, Clock};
use crate::tui::pen::{clean, wrapped};
use crate::tui::theme::Role;
use crate::wire::tls::names;
use crate::world::security::{FailedWhy, MTLS};

/// Columns of labels.
const LABEL: u16 = 11;

/// A certificate is about to expire below so many days, and soon below so many.
pub const DAYS: (u64, u64) = (7, 30);

/// What the verdict means.
pub fn verdict(tls: &Tls) -> String {
    match tls.status {
        Security::Mtls => MTLS.to_owned(),
        Security::Plaintext => "no encryption that can be seen".to_owned(),
        Security::Tls => match tls.client_cert {
            ClientCert::NotAsked => "encrypted; the server did not ask for a client certificate",
            ClientCert::Declined => "encrypted; the server asked for a client certificate, and none was sent",
            ClientCert::Unknown | ClientCert::Presented => "encrypted; no client certificate is known of",
        }
        .to_owned(),
        Security::Resumed => match tls.inherits {
            Some(Inherits::Mtls) => {
                "resumed: no certificate is shown again; the session began with a client certificate"
            }
            Some(Inherits::Tls) => {
                "resumed: no certificate is shown again; the session began without a client certificate"
            }
            Some(Inherits::Unknown) | None => {
                "resumed: no certificate is shown again; how the session began was not seen"
            }
        }
        .to_owned(),
        Security::Implied => {
            "a mesh protocol that cannot be otherwise than mutual; inferred, not read off the records"
                .to_owned()
        }
        Security::Tunnel => match tls.tunnel {
            Some(Tunnel::Hbone) => "a tunnel that encrypts connections of applications: HBONE",
            Some(Tunnel::Wireguard | Tunnel::Ipsec) | None => {
                "inside of a tunnel that encrypts: between machines, and no proof of who the workloads are"
            }
        }
        .to_owned(),
        Security::Failed => format!("the handshake did not succeed: {}", failure(FailedWhy::of(tls))),
        Security::Unknown => {
            format!("not decided: {}", tls.unknown.as_deref().unwrap_or("what decides it was not seen yet"))
        }
    }
}

/// How a handshake failed: `the server said unknown_ca (alert 48)`.
pub fn failure(why: FailedWhy) -> String {
    let (side, other) = if why.by_client { ("client", "server") } else { ("server", "client") };
    match (why.handshake, why.alert) {
        (Handshake::PlaintextToTls, _) => "the client spoke plaintext to a TLS port".to_owned(),
        (Handshake::TlsToPlaintext, _) => "the client spoke TLS to a plaintext port".to_owned(),
        (_, Some(n)) => match names::alert(n) {
            Some(name) => format!("the {side} said {name} to the {other}"),
            None => format!("the {side} said alert {n} to the {other}"),
        },
        (Handshake::Aborted, None) => "given up without an alert".to_owned(),
        (Handshake::Failed, None) => format!("the {side} ended it with an encrypted alert"),
        (Handshake::Open | Handshake::Established, None) => "the reason was not seen".to_owned(),
    }
}

/// All that is known, for a width. `began` is when the connection did.
pub fn lines(tls: &Tls, clock: &Clock, now: BootNs, width: u16) -> Vec<Line> {
    let mut out = Block { lines: Vec::new(), width };
    let status = tls.status;
    out.fact(
        &format!("{} {}", status.letter(), mix::name(status)),
        Role::Secured(status),
        &verdict(tls),
        Role::Text,
    );
    match tls.confidence {
        Some(Confidence::Seen) => out.say("sure", "seen: by what the client sent first after the hellos"),
        Some(Confidence::Confirmed) => out.say("sure", "confirmed: a second proof agrees"),
        Some(Confidence::IdentityRead) => out.say("sure", "identity-read: the certificate itself was read"),
        None => {}
    }
    if let Some(inherits) = tls.inherits {
        let at = tls.inherits_at.filter(|at| at.known().is_some()).map(|at| {
            format!(", by the handshake of {}, {} ago", clock.time(at), figures::age(now.since(at)))
        });
        let words = match inherits {
            Inherits::Unknown => "unknown: the full handshake was not seen".to_owned(),
            known => format!("{}{}", known.as_str(), at.unwrap_or_default()),
        };
        out.say("inherits", &words);
    }
    tunnel(tls, &mut out);
    parameters(tls, &mut out);
    outcome(tls, &mut out);
    let certificate = match tls.client_cert {
        ClientCert::Unknown => "whether there was one is not known",
        ClientCert::NotAsked => "the server did not ask for one",
        ClientCert::Declined => "the server asked, the client sent none",
        ClientCert::Presented => "presented",
    };
    if matches!(status, Security::Mtls | Security::Tls | Security::Resumed | Security::Failed) {
        let later = if tls.may_authenticate_later { "; the client may authenticate later" } else { "" };
        out.say("client cert", &format!("{certificate}{later}"));
    }
    for (who, certificate) in [("client's", &tls.client), ("server's", &tls.server)] {
        if let Some(certificate) = certificate {
            out.certificate(who, certificate, clock.unix(now));
        }
    }
    for (i, seen) in tls.evidence.iter().enumerate() {
        out.fact(if i == 0 { "observed" } else { "" }, Role::Muted, seen, Role::Text);
    }
    if tls.evidence.is_empty() {
        out.fact("observed", Role::Muted, "nothing that could be told", Role::Muted);
    }
    out.lines
}

/// What encrypts around it, and what is inside.
fn tunnel(tls: &Tls, out: &mut Block) {
    match tls.tunnel {
        Some(Tunnel::Wireguard) => out.say("tunnel", "WireGuard"),
        Some(Tunnel::Ipsec) => out.say("tunnel", "IPsec (ESP)"),
        Some(Tunnel::Hbone) => out.say("tunnel", "HBONE"),
        None => {}
    }
    let Some(inside) = tls.inside else { return };
    let why = tls.unknown.as_deref().filter(|_| inside == Security::Unknown);
    out.say("inside", &why.map_or_else(|| mix::name(inside).to_owned(), |why| format!("unknown: {why}")));
}

/// What both sides agreed on.
fn parameters(tls: &Tls, out: &mut Block) {
    let number = |name: Option<&str>, n: u16| name.map_or_else(|| format!("0x{n:04x}"), str::to_owned);
    if let Some(after) = &tls.after {
        out.say("after", &format!("{after}, in the clear"));
    }
    if let Some(version) = tls.version {
        let name = Some(names::version(version)).filter(|n| *n != "unknown");
        out.say("version", &number(name, version));
    }
    if let Some(cipher) = tls.cipher {
        out.say("cipher", &number(names::cipher(cipher), cipher));
    }
    if let Some(group) = tls.group {
        let quantum = if names::is_post_quantum(group) { "post-quantum" } else { "not post-quantum" };
        let again = if tls.retried { " · the server asked for a second hello" } else { "" };
        out.say("group", &format!("{} · {quantum}{again}", number(names::group(group), group)));
    }
    if let Some(sni) = &tls.sni {
        out.say("server name", &format!("{sni}{}", if tls.ech { " (the outer one)" } else { "" }));
    }
    if tls.ech {
        out.say("ECH", "the client offered an encrypted hello");
    }
    if !tls.alpn_offered.is_empty() || tls.alpn.is_some() {
        let offered = tls.alpn_offered.iter().map(|p| &**p).collect::<Vec<_>>().join(", ");
        let chosen = match &tls.alpn {
            Some(chosen) => format!("{chosen} of {offered}"),
            None => format!("offered {offered}; what was chosen is not visible"),
        };
        out.say("ALPN", &chosen);
    }
    match tls.resumed {
        Some(Resumption::SessionId) => out.say("resumed", "by session id"),
        Some(Resumption::Ticket) => out.say("resumed", "by ticket"),
        Some(Resumption::Psk) => out.say("resumed", "by pre-shared key: a session, or an external key"),
        None => {}
    }
    match tls.early_data {
        Some(EarlyData::Accepted) => out.say("early data", "accepted: it can be replayed"),
        Some(EarlyData::Rejected) => out.say("early data", "offered and rejected"),
        None => {}
    }
    if let Some(mesh) = tls.mesh {
        let name = match mesh {
            Mesh::Linkerd => "Linkerd",
            Mesh::Istio => "Istio, sidecar",
            Mesh::IstioAmbient => "Istio, ambient",
            Mesh::Consul => "Consul",
            Mesh::Kuma => "Kuma",
            Mesh::Cilium => "Cilium",
        };
        out.say("mesh", name);
    }
    for (i, weak) in names::weaknesses(tls).into_iter().enumerate() {
        let label = if i == 0 { "weak" } else { "" };
        out.fact(label, Role::Muted, &format!("{}: {}", weak.as_str(), weak.explain()), Role::Warn);
    }
}

fn outcome(tls: &Tls, out: &mut Block) {
    let (words, role) = match tls.handshake {
        Handshake::Open if matches!(tls.status, Security::Plaintext | Security::Tunnel) => return,
        Handshake::Open => ("not finished, or its end was not seen".to_owned(), Role::Muted),
        Handshake::Established => ("established".to_owned(), Role::Text),
        failed => (format!("{}: {}", failed.as_str(), failure(FailedWhy::of(tls))), Role::Bad),
    };
    out.fact("handshake", Role::Muted, &words, role);
}

/// `valid until 2026-12-01 (8 d left)`, and how that is meant.
pub fn dates(certificate: &Certificate, now_unix: i64) -> (String, Role) {
    let until = figures::date(certificate.not_after);
    match certificate.validity(now_unix) {
        Validity::Expired(0) => (format!("× expired {until}, today"), Role::Bad),
        Validity::Expired(days) => (format!("× expired {until}, {days} d ago"), Role::Bad),
        Validity::NotYet => {
            (format!("× not valid before {}", figures::date(certificate.not_before)), Role::Bad)
        }
        Validity::Valid(left) => {
            let role = match left {
                d if d < DAYS.0 => Role::Bad,
                d if d < DAYS.1 => Role::Warn,
                _ => Role::Text,
            };
            let from = figures::date(certificate.not_before);
            let left = if left == 0 { "the last day".to_owned() } else { format!("{left} d left") };
            (format!("{from} to {until}, {left}"), role)
        }
    }
}

/// Lines of facts; what is too wide goes on below.
struct Block {
    lines: Vec<Line>,
    width: u16,
}

impl Block {
    fn say(&mut self, label: &str, words: &str) {
        self.fact(label, Role::Muted, words, Role::Text);
    }

    fn certificate(&mut self, who: &str, c: &Certificate, now_unix: i64) {
        let bits = if c.key_bits > 0 { format!(", {} bits", c.key_bits) } else { String::new() };
        self.fact(who, Role::Muted, &c.subject, Role::Strong);
        if let Some(spiffe) = &c.spiffe {
            self.say("  SPIFFE", spiffe);
        }
        if !c.sans.is_empty() {
            self.say("  names", &c.sans.iter().map(|s| &**s).collect::<Vec<_>>().join(" "));
        }
        self.say("  issuer", &c.issuer);
        let (words, role) = dates(c, now_unix);
        self.fact("  valid", Role::Muted, &words, role);
        let chain = match c.chain {
            0 => String::new(),
            1 => " · sent alone".to_owned(),
            n => format!(" · chain of {n}"),
        };
        self.say("  key", &format!("{}{bits}{chain}", c.key));
    }

    fn fact(&mut self, label: &str, label_role: Role, words: &str, role: Role) {
        let room = self.width.saturating_sub(LABEL + 1).max(16);
        let label = format!("{label:<0$} ", usize::from(LABEL));
        let indent = " ".repeat(usize::from(LABEL) + 1);
        for (i, part) in wrapped(&clean(words), room).into_iter().enumerate() {
            let head = if i == 0 { (label.clone().into(), label_role) } else { muted(indent.clone()) };
            self.lines.push(vec![head, (part.into(), role)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mtls_means_is_said_in_these_words() {
        let tls = Tls { status: Security::Mtls, ..Tls::default() };
        assert_eq!(
            verdict(&tls),
            "the client presented a certificate and the server continued; trust is the server's decision and \
             not visible"
        );
    }

    #[test]
    fn failures_name_the_side_and_the_alert() {
        let failed = |alert, by_client| failure(FailedWhy { handshake: Handshake::Failed, alert, by_client });
        assert_eq!(failed(Some(48), true), "the client said unknown_ca to the server");
        assert_eq!(failed(Some(116), false), "the server said certificate_required to the client");
        assert_eq!(failed(Some(200), false), "the server said alert 200 to the client");
        assert_eq!(failed(None, true), "the client ended it with an encrypted alert");
    }
}
