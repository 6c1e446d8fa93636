//! Conversion of what is known of a connection's security.

use super::invalid::{InvalidMessage, cut, invalid, number, text};
use super::pb;
use crate::model::{
    BootNs, Certificate, ClientCert, Confidence, EarlyData, Handshake, Inherits, Mesh, Resumption, Security,
    Tls, Tunnel,
};

/// Texts of a list at most, and certificates' names.
const LIST: usize = 64;

pub(super) fn tls_to_pb(t: &Tls) -> pb::Tls {
    let text = |s: &Option<Box<str>>| s.as_deref().map(cut);
    let list = |l: &[Box<str>]| l.iter().take(LIST).map(|s| cut(s)).collect();
    pb::Tls {
        status: t.status as u32,
        unknown: text(&t.unknown),
        confidence: t.confidence.map_or(0, |c| c as u32),
        inherits: t.inherits.map_or(0, |i| i as u32),
        inherits_ns: t.inherits_at.map(|at| at.0),
        client_cert: t.client_cert as u32,
        may_authenticate_later: t.may_authenticate_later,
        version: t.version.map(u32::from),
        cipher: t.cipher.map(u32::from),
        group: t.group.map(u32::from),
        sni: text(&t.sni),
        alpn_offered: list(&t.alpn_offered),
        alpn: text(&t.alpn),
        resumed: t.resumed.map_or(0, |r| r as u32),
        early_data: t.early_data.map_or(0, |e| e as u32),
        ech: t.ech,
        retried: t.retried,
        after: text(&t.after),
        mesh: t.mesh.map_or(0, |m| m as u32),
        client: t.client.as_deref().map(certificate_to_pb),
        server: t.server.as_deref().map(certificate_to_pb),
        handshake: t.handshake as u32,
        alert: t.alert.map(u32::from),
        alert_by_client: t.alert_by_client,
        evidence: list(&t.evidence),
        tunnel: t.tunnel.map_or(0, |t| t as u32),
        inside: t.inside.map_or(0, |i| i as u32),
    }
}

fn certificate_to_pb(c: &Certificate) -> pb::Certificate {
    pb::Certificate {
        subject: cut(&c.subject),
        issuer: cut(&c.issuer),
        sans: c.sans.iter().take(LIST).map(|s| cut(s)).collect(),
        spiffe: c.spiffe.as_deref().map(cut),
        not_before: c.not_before,
        not_after: c.not_after,
        key: cut(&c.key),
        key_bits: c.key_bits,
        chain: u32::from(c.chain),
        fingerprint: c.fingerprint,
    }
}

pub(super) fn tls_from_pb(t: pb::Tls) -> Result<Tls, InvalidMessage> {
    let word =
        |s: Option<String>, name: &str| s.map(|s| text(s, name)).transpose().map(|s| s.map(Into::into));
    let short = |n: Option<u32>, name: &str| n.map(|n| small(n, name)).transpose();
    Ok(Tls {
        status: number(t.status, "Tls.status", Security::from_number)?,
        unknown: word(t.unknown, "Tls.unknown")?,
        confidence: some(t.confidence, "Tls.confidence", Confidence::from_number)?,
        inherits: some(t.inherits, "Tls.inherits", Inherits::from_number)?,
        inherits_at: t.inherits_ns.map(BootNs),
        client_cert: number(t.client_cert, "Tls.client_cert", ClientCert::from_number)?,
        may_authenticate_later: t.may_authenticate_later,
        version: short(t.version, "Tls.version")?,
        cipher: short(t.cipher, "Tls.cipher")?,
        group: short(t.group, "Tls.group")?,
        sni: word(t.sni, "Tls.sni")?,
        alpn_offered: list(t.alpn_offered, "Tls.alpn_offered")?,
        alpn: word(t.alpn, "Tls.alpn")?,
        resumed: some(t.resumed, "Tls.resumed", Resumption::from_number)?,
        early_data: some(t.early_data, "Tls.early_data", EarlyData::from_number)?,
        ech: t.ech,
        retried: t.retried,
        after: word(t.after, "Tls.after")?,
        tunnel: some(t.tunnel, "Tls.tunnel", Tunnel::from_number)?,
        inside: some(t.inside, "Tls.inside", Security::from_number)?,
        mesh: some(t.mesh, "Tls.mesh", Mesh::from_number)?,
        client: t.client.map(certificate_from_pb).transpose()?.map(Box::new),
        server: t.server.map(certificate_from_pb).transpose()?.map(Box::new),
        handshake: number(t.handshake, "Tls.handshake", Handshake::from_number)?,
        alert: t.alert.map(|n| small(n, "Tls.alert")).transpose()?,
        alert_by_client: t.alert_by_client,
        evidence: list(t.evidence, "Tls.evidence")?,
    })
}

fn certificate_from_pb(c: pb::Certificate) -> Result<Certificate, InvalidMessage> {
    Ok(Certificate {
        subject: text(c.subject, "Certificate.subject")?.into(),
        issuer: text(c.issuer, "Certificate.issuer")?.into(),
        sans: list(c.sans, "Certificate.sans")?,
        spiffe: c.spiffe.map(|s| text(s, "Certificate.spiffe")).transpose()?.map(Into::into),
        not_before: c.not_before,
        not_after: c.not_after,
        key: text(c.key, "Certificate.key")?.into(),
        key_bits: c.key_bits,
        chain: small(c.chain, "Certificate.chain")?,
        fingerprint: c.fingerprint,
    })
}

fn list(texts: Vec<String>, name: &str) -> Result<Vec<Box<str>>, InvalidMessage> {
    if texts.len() > LIST {
        return invalid(format!("{name} has {} elements, {LIST} at most", texts.len()));
    }
    texts.into_iter().map(|s| Ok(text(s, name)?.into())).collect()
}

fn small<T: TryFrom<u32>>(n: u32, name: &str) -> Result<T, InvalidMessage> {
    T::try_from(n).or_else(|_| invalid(format!("{name} is {n}, which is too large")))
}

/// 0 stands for none.
fn some<T>(n: u32, name: &str, of: impl Fn(u8) -> Option<T>) -> Result<Option<T>, InvalidMessage> {
    if n == 0 { Ok(None) } else { number(n, name, of).map(Some) }
}
