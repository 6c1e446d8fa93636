//! Verdicts, certificates, and connections that have them.

use super::super::world::security::{Given, Report};
use super::*;

/// A certificate of which everything is known.
pub fn rich_certificate() -> Certificate {
    Certificate {
        subject: "CN=api,O=shop".into(),
        issuer: "CN=demo-ca".into(),
        sans: vec!["DNS:api.shop.example".into(), "URI:spiffe://demo/ns/shop/sa/api".into()],
        spiffe: Some("spiffe://demo/ns/shop/sa/api".into()),
        not_before: 1_709_000_000,
        not_after: 1_709_210_096 + 6 * 86_400 - 3600,
        key: "RSA".into(),
        key_bits: 1024,
        chain: 2,
        fingerprint: 0xfeed,
    }
}

/// One that says nothing, and never ends.
pub fn bare_certificate() -> Certificate {
    Certificate { not_before: i64::MIN, not_after: i64::MAX, fingerprint: 0xbaa, ..Certificate::default() }
}

/// The rich connection, secured like this.
pub fn secured(tls: Tls) -> Connection {
    Connection { tls: Some(Arc::new(tls)), ..rich_connection() }
}

/// Of TLS 1.2, with all that can be read there.
pub fn rich_mtls() -> Tls {
    Tls {
        status: Security::Mtls,
        confidence: Some(Confidence::Confirmed),
        client_cert: ClientCert::Presented,
        may_authenticate_later: true,
        version: Some(0x0303),
        cipher: Some(0x002f),
        group: Some(29),
        sni: Some("api.shop.example".into()),
        alpn_offered: vec!["h2".into(), "http/1.1".into()],
        alpn: Some("h2".into()),
        ech: true,
        retried: true,
        after: Some("PROXY".into()),
        mesh: Some(Mesh::Istio),
        client: Some(Box::new(Certificate {
            subject: "CN=web".into(),
            key: "P-256".into(),
            key_bits: 256,
            fingerprint: 0xcafe,
            ..rich_certificate()
        })),
        server: Some(Box::new(rich_certificate())),
        handshake: Handshake::Established,
        evidence: vec!["the client sent a Certificate".into(), "and a CertificateVerify".into()],
        ..Tls::default()
    }
}

/// A resumed session of TLS 1.3 with numbers that have no name.
pub fn resumed() -> Tls {
    Tls {
        status: Security::Resumed,
        inherits: Some(Inherits::Mtls),
        inherits_at: Some(BootNs(1)),
        client_cert: ClientCert::NotAsked,
        version: Some(0x7f1c),
        cipher: Some(0xfafa),
        group: Some(0x11ec),
        resumed: Some(Resumption::Psk),
        early_data: Some(EarlyData::Accepted),
        handshake: Handshake::Established,
        evidence: vec!["the server chose a pre-shared key".into()],
        ..Tls::default()
    }
}

/// A handshake that the server ended.
pub fn failed_handshake() -> Tls {
    Tls {
        status: Security::Failed,
        client_cert: ClientCert::Declined,
        version: Some(0x0304),
        client: Some(Box::new(bare_certificate())),
        server: Some(Box::new(bare_certificate())),
        handshake: Handshake::Failed,
        alert: Some(116),
        ..Tls::default()
    }
}

/// Without TLS.
pub fn plaintext() -> Tls {
    Tls { status: Security::Plaintext, evidence: vec!["neither side offered TLS".into()], ..Tls::default() }
}

/// Without TLS, in a tunnel of Cilium's.
pub fn tunnelled() -> Tls {
    Tls {
        status: Security::Tunnel,
        tunnel: Some(Tunnel::Wireguard),
        inside: Some(Security::Plaintext),
        mesh: Some(Mesh::Cilium),
        evidence: vec!["the client's packets leave by a WireGuard device, by its socket's route".into()],
        ..Tls::default()
    }
}

/// Of which nothing is known, for this reason.
pub fn undecided(why: Option<&str>) -> Tls {
    Tls { unknown: why.map(Into::into), ..Tls::default() }
}

/// One connection of each.
pub fn secured_connections() -> Vec<Connection> {
    let encrypted_alert = Tls { alert: None, alert_by_client: true, ..failed_handshake() };
    let mut later = secured(plaintext());
    later.client.end.iter_mut().for_each(|end| end.opened = BootNs(3 * S));
    vec![
        secured(rich_mtls()),
        secured(resumed()),
        secured(failed_handshake()),
        secured(encrypted_alert),
        secured(Tls { handshake: Handshake::TlsToPlaintext, alert: None, ..failed_handshake() }),
        later,
        secured(undecided(Some("it is older than webb"))),
        Connection { tls: Some(Arc::new(undecided(None))), ..minimal_connection() },
        server_only(),
        minimal_connection(),
    ]
}

/// What [`secured_connections`] say, with this judgement of weakness, 304 s after the start.
pub fn report(weaknesses: fn(&Tls) -> Vec<&'static str>, limit: usize) -> Report {
    connections_report(weaknesses, limit, 304)
}

/// The same at another time.
pub fn connections_report(weaknesses: fn(&Tls) -> Vec<&'static str>, limit: usize, seconds: u64) -> Report {
    let names = names();
    let given = Given {
        names: &names,
        now: BootNs(seconds * S),
        utc: UTC,
        weaknesses,
        limit,
        named: 8,
        window: None,
    };
    Report::new(&secured_connections(), &given)
}
