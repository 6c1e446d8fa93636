//! What is known of a connection's security as JSON.

use serde::Serialize;

use crate::export::{security, time};
use crate::model::{
    Certificate, Confidence, Connection, EarlyData, Handshake, Inherits, Mesh, Resumption, Security, Tls,
    Tunnel,
};
use crate::wire::tls::names as registry;
use crate::world::security::NOT_DECIDED;

/// The verdict with its evidence, and what the handshake said.
#[derive(Debug, Serialize)]
pub(super) struct TlsJson {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_unknown: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inherits: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inherits_age_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_cert: Option<&'static str>,
    #[serde(skip_serializing_if = "is_false")]
    may_authenticate_later: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cipher: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    post_quantum: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sni: Option<String>,
    alpn_offered: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alpn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resumed: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    early_data: Option<&'static str>,
    #[serde(skip_serializing_if = "is_false")]
    ech: bool,
    #[serde(skip_serializing_if = "is_false")]
    retried: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tunnel: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inside: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inside_unknown: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mesh: Option<&'static str>,
    #[serde(flatten)]
    client: Option<ClientJson>,
    #[serde(flatten)]
    server: Option<ServerJson>,
    weak: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert_by: Option<&'static str>,
    evidence: Vec<String>,
}

/// The client's certificate.
#[derive(Debug, Serialize)]
struct ClientJson {
    client_subject: String,
    client_issuer: String,
    client_sans: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_spiffe: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_not_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_not_after: Option<String>,
    client_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_key_bits: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_chain: Option<u8>,
    client_fingerprint: String,
}

/// The server's certificate.
#[derive(Debug, Serialize)]
struct ServerJson {
    server_subject: String,
    server_issuer: String,
    server_sans: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_spiffe: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_not_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_not_after: Option<String>,
    server_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_key_bits: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_chain: Option<u8>,
    server_fingerprint: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// `None` where nobody looked.
pub(super) fn tls(c: &Connection) -> Option<TlsJson> {
    let t = c.tls.as_deref()?;
    let unknown = t.unknown.as_deref().unwrap_or(NOT_DECIDED);
    // What is not TLS has neither certificates nor a handshake.
    let spoken =
        !matches!(t.status, Security::Plaintext | Security::Tunnel) || t.handshake != Handshake::Open;
    let inside = t.inside.filter(|_| t.status == Security::Tunnel);
    let ended = t.handshake == Handshake::Failed || t.alert.is_some();
    Some(TlsJson {
        status: t.status.as_str(),
        status_unknown: (t.status == Security::Unknown).then(|| unknown.to_owned()),
        confidence: t.confidence.filter(|_| t.status == Security::Mtls).map(Confidence::as_str),
        inherits: t.inherits.filter(|_| t.status == Security::Resumed).map(Inherits::as_str),
        inherits_age_s: inherits_age_s(c, t),
        client_cert: spoken.then(|| t.client_cert.as_str()),
        may_authenticate_later: t.may_authenticate_later,
        version: t.version.map(security::version),
        cipher: t.cipher.map(security::cipher),
        group: t.group.map(security::group),
        post_quantum: t.group.map(registry::is_post_quantum),
        sni: text(t.sni.as_deref()),
        alpn_offered: t.alpn_offered.iter().map(|a| a.to_string()).collect(),
        alpn: text(t.alpn.as_deref()),
        resumed: t.resumed.map(Resumption::as_str),
        early_data: t.early_data.map(EarlyData::as_str),
        ech: t.ech,
        retried: t.retried,
        after: text(t.after.as_deref()),
        tunnel: t.tunnel.map(Tunnel::as_str),
        inside: inside.map(Security::as_str),
        inside_unknown: (inside == Some(Security::Unknown)).then(|| unknown.to_owned()),
        mesh: t.mesh.map(Mesh::as_str),
        client: t.client.as_deref().map(|c| {
            let c = CertificateJson::new(c);
            ClientJson {
                client_subject: c.subject,
                client_issuer: c.issuer,
                client_sans: c.sans,
                client_spiffe: c.spiffe,
                client_not_before: c.not_before,
                client_not_after: c.not_after,
                client_key: c.key,
                client_key_bits: c.key_bits,
                client_chain: c.chain,
                client_fingerprint: c.fingerprint,
            }
        }),
        server: t.server.as_deref().map(|c| {
            let c = CertificateJson::new(c);
            ServerJson {
                server_subject: c.subject,
                server_issuer: c.issuer,
                server_sans: c.sans,
                server_spiffe: c.spiffe,
                server_not_before: c.not_before,
                server_not_after: c.not_after,
                server_key: c.key,
                server_key_bits: c.key_bits,
                server_chain: c.chain,
                server_fingerprint: c.fingerprint,
            }
        }),
        weak: registry::weakness_names(t),
        outcome: spoken.then(|| t.handshake.as_str()),
        alert: ended.then(|| security::alert(t.alert)),
        alert_by: ended.then_some(if t.alert_by_client { "client" } else { "server" }),
        evidence: t.evidence.iter().map(|e| e.to_string()).collect(),
    })
}

fn text(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

/// From the handshake that it inherits from to its own beginning.
fn inherits_age_s(c: &Connection, t: &Tls) -> Option<u64> {
    let from = t.inherits_at.filter(|_| t.status == Security::Resumed)?.known()?;
    Some(c.opened().known()?.since(from) / 1_000_000_000)
}

/// A certificate, on its own in an audit.
#[derive(Debug, Serialize)]
pub(super) struct CertificateJson {
    subject: String,
    issuer: String,
    sans: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spiffe: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<String>,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_bits: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<u8>,
    fingerprint: String,
}

impl CertificateJson {
    pub(super) fn new(c: &Certificate) -> Self {
        CertificateJson {
            subject: c.subject.to_string(),
            issuer: c.issuer.to_string(),
            sans: c.sans.iter().map(|s| s.to_string()).collect(),
            spiffe: text(c.spiffe.as_deref()),
            not_before: time::rfc3339_unix(c.not_before),
            not_after: time::rfc3339_unix(c.not_after),
            key: c.key.to_string(),
            key_bits: (c.key_bits > 0).then_some(c.key_bits),
            chain: (c.chain > 0).then_some(c.chain),
            fingerprint: format!("{:016x}", c.fingerprint),
        }
    }
}
