//! How the made-up shop's connections are secured: handshakes of every kind, with what was observed.

use super::super::model::{
    BootNs, Certificate, ClientCert, Confidence, EarlyData, Handshake, Inherits, Mesh, Resumption, Security,
    Tls, Tunnel,
};

/// When the shop begins, seconds since 1970.
pub const BEGAN: i64 = 1_700_000_000;
const DAY: i64 = 86_400;

/// Kinds and how many of a hundred connections are of each.
pub type Mix = &'static [(Security, u64)];

/// Nobody looks.
pub fn unlooked(_: u64) -> Mix {
    &[]
}

/// Nothing is encrypted.
pub fn plaintext(_: u64) -> Mix {
    &[(Security::Plaintext, 100)]
}

/// Mutual but for a few.
pub fn nearly_mutual(_: u64) -> Mix {
    &[(Security::Mtls, 97), (Security::Plaintext, 3)]
}

/// Without client certificates.
pub fn one_sided(_: u64) -> Mix {
    &[(Security::Tls, 100)]
}

/// Sessions begin in full and are resumed.
pub fn resuming(_: u64) -> Mix {
    &[(Security::Tls, 30), (Security::Resumed, 70)]
}

/// One handshake of five fails.
pub fn failing(_: u64) -> Mix {
    &[(Security::Tls, 80), (Security::Failed, 20)]
}

/// Open since before webb.
pub fn older(_: u64) -> Mix {
    &[(Security::Unknown, 100)]
}

/// Under WireGuard.
pub fn tunnelled(_: u64) -> Mix {
    &[(Security::Tunnel, 100)]
}

/// Of a mesh.
pub fn meshed(_: u64) -> Mix {
    &[(Security::Implied, 100)]
}

/// Mutual, and plaintext from the 31st second on.
pub fn falling_back(t: u64) -> Mix {
    if t <= 30 { &[(Security::Mtls, 100)] } else { &[(Security::Plaintext, 100)] }
}

/// The kind of the `n`th connection.
pub fn pick(mix: Mix, n: u64) -> Option<Security> {
    let mut at = n.wrapping_mul(37) % 100;
    for (security, share) in mix {
        match at.checked_sub(*share) {
            Some(rest) => at = rest,
            None => return Some(*security),
        }
    }
    None
}

fn certificate(name: &str, days: i64, key: (&str, u32)) -> Box<Certificate> {
    Box::new(Certificate {
        subject: format!("CN={name},O=demo").into(),
        issuer: "CN=demo-ca".into(),
        sans: vec![format!("DNS:{name}").into(), format!("URI:spiffe://demo/ns/shop/sa/{name}").into()],
        spiffe: Some(format!("spiffe://demo/ns/shop/sa/{name}").into()),
        not_before: BEGAN - 80 * DAY,
        not_after: BEGAN + days * DAY + DAY / 2,
        key: key.0.into(),
        key_bits: key.1,
        chain: 2,
        fingerprint: name.bytes().fold(7, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b))),
    })
}

/// The handshake of a connection from `client` to `server`.
pub fn tls(status: Security, client: &str, server: &str, at: BootNs) -> Tls {
    let base = Tls { status, ..Tls::default() };
    let spoken = Tls {
        version: Some(0x0304),
        cipher: Some(0x1301),
        group: Some(0x11ec),
        sni: Some(format!("{server}.shop").into()),
        alpn_offered: vec!["h2".into(), "http/1.1".into()],
        handshake: Handshake::Established,
        client_cert: ClientCert::NotAsked,
        ..base.clone()
    };
    let said = |lines: &[&str]| lines.iter().map(|l| (*l).into()).collect();
    match status {
        Security::Plaintext => Tls { evidence: said(&["the client's first bytes are HTTP/1.1"]), ..base },
        Security::Unknown => Tls { unknown: Some("older than webb".into()), ..base },
        Security::Tunnel => Tls {
            tunnel: Some(Tunnel::Wireguard),
            inside: Some(Security::Plaintext),
            evidence: said(&[
                "the client's first bytes are HTTP/1.1",
                "the client's packets leave by a WireGuard device, by its socket's route",
            ]),
            ..base
        },
        Security::Implied => Tls {
            mesh: Some(Mesh::Linkerd),
            client_cert: ClientCert::Unknown,
            evidence: said(&["ALPN transport.l5d.io/v1 to port 4143, which asks for an identity"]),
            ..spoken
        },
        Security::Mtls => Tls {
            confidence: Some(Confidence::Confirmed),
            client_cert: ClientCert::Presented,
            client: Some(certificate(client, 400, ("P-256", 256))),
            server: Some(certificate(server, 6, ("P-256", 256))),
            evidence: said(&[
                "the server asked for a certificate",
                "the client's second flight has a record of 1,204 bytes: a Certificate",
                "a record of 96 bytes after it: CertificateVerify",
                "the server sent application data",
            ]),
            ..spoken
        },
        Security::Resumed => Tls {
            inherits: Some(Inherits::Tls),
            inherits_at: Some(BootNs(at.0.saturating_sub(20_000_000_000).max(1))),
            resumed: Some(Resumption::Psk),
            early_data: Some(EarlyData::Accepted),
            evidence: said(&["the server chose the pre-shared key that the client offered"]),
            ..spoken
        },
        Security::Failed => Tls {
            handshake: Handshake::Failed,
            alert: Some(48),
            alert_by_client: true,
            after: Some("SMTP".into()),
            server: Some(certificate(server, -2, ("RSA", 2048))),
            evidence: said(&["the client sent an alert after the server's Certificate"]),
            ..spoken
        },
        Security::Tls if server == "postgres" => Tls {
            version: Some(0x0301),
            cipher: Some(0x002f),
            group: None,
            alpn_offered: Vec::new(),
            after: Some("PostgreSQL".into()),
            server: Some(certificate(server, 25, ("RSA", 1024))),
            evidence: said(&["SSLRequest was answered with S", "the server sent a Certificate of 801 bytes"]),
            ..spoken
        },
        Security::Tls => {
            Tls { evidence: said(&["the client's second flight is a Finished alone: 58 bytes"]), ..spoken }
        }
    }
}
