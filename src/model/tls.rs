//! Whether a connection is secured, and how that is known: the verdict, its evidence, and what the
//! handshake said (RFC 8446, RFC 5246).
//!
//! What `mtls` means: the client presented a certificate and the server continued. Whether the server
//! trusts it is the server's decision and cannot be seen from outside.

use super::{BootNs, Certificate};

/// The verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Security {
    /// Not decided, or not decidable: the reason stands beside it.
    #[default]
    Unknown = 1,
    /// No encryption that can be seen.
    Plaintext = 2,
    /// TLS, and the client presented no certificate.
    Tls = 3,
    /// TLS, and the client presented a certificate.
    Mtls = 4,
    /// A TLS session that was resumed: no certificates are shown; see [`Inherits`].
    Resumed = 5,
    /// A mesh protocol that cannot be otherwise than mutual.
    Implied = 6,
    /// Inside of a tunnel that encrypts, and not itself encrypted as far as can be seen: see
    /// [`Tunnel`].
    Tunnel = 7,
    /// A handshake that did not succeed.
    Failed = 8,
}

/// All verdicts, in the order of their numbers.
pub const SECURITIES: [Security; 8] = [
    Security::Unknown,
    Security::Plaintext,
    Security::Tls,
    Security::Mtls,
    Security::Resumed,
    Security::Implied,
    Security::Tunnel,
    Security::Failed,
];

impl Security {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Security::Unknown => "unknown",
            Security::Plaintext => "plaintext",
            Security::Tls => "tls",
            Security::Mtls => "mtls",
            Security::Resumed => "resumed",
            Security::Implied => "implied",
            Security::Tunnel => "tunnel",
            Security::Failed => "failed",
        }
    }

    /// The letter that stands for it on the screen.
    pub fn letter(self) -> char {
        match self {
            Security::Unknown => '?',
            Security::Plaintext => 'P',
            Security::Tls => 'T',
            Security::Mtls => 'M',
            Security::Resumed => 'R',
            Security::Implied => 'I',
            Security::Tunnel => 'U',
            Security::Failed => 'F',
        }
    }

    /// The verdict of a wire number.
    pub fn from_number(n: u8) -> Option<Self> {
        SECURITIES.into_iter().find(|s| *s as u8 == n)
    }

    /// Position in arrays by verdict.
    pub fn index(self) -> usize {
        self as usize - 1
    }
}

/// How sure [`Security::Mtls`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Confidence {
    /// By the size of the client's first encrypted record, or, before TLS 1.3, by its Certificate.
    Seen = 1,
    /// By a second proof: CertificateVerify and Finished by their sizes, or in the clear.
    Confirmed = 2,
    /// The certificate itself was read.
    IdentityRead = 3,
}

impl Confidence {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Confidence::Seen => "seen",
            Confidence::Confirmed => "confirmed",
            Confidence::IdentityRead => "identity-read",
        }
    }

    /// The one of a wire number.
    pub fn from_number(n: u8) -> Option<Self> {
        use Confidence::{Confirmed, IdentityRead, Seen};
        [Seen, Confirmed, IdentityRead].into_iter().find(|s| *s as u8 == n)
    }
}

/// What a resumed session inherits from the full handshake that began it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Inherits {
    /// That handshake was not seen.
    Unknown = 1,
    /// The client had presented no certificate.
    Tls = 2,
    /// The client had presented a certificate.
    Mtls = 3,
}

impl Inherits {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Inherits::Unknown => "unknown",
            Inherits::Tls => "tls",
            Inherits::Mtls => "mtls",
        }
    }

    /// The one of a wire number.
    pub fn from_number(n: u8) -> Option<Self> {
        use Inherits::{Mtls, Tls, Unknown};
        [Unknown, Tls, Mtls].into_iter().find(|s| *s as u8 == n)
    }
}

/// What is known of the client's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ClientCert {
    /// Not known.
    #[default]
    Unknown = 1,
    /// The server did not ask for one (or cannot, when a session is resumed).
    NotAsked = 2,
    /// The server asked, and the client sent none.
    Declined = 3,
    /// Sent.
    Presented = 4,
}

impl ClientCert {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            ClientCert::Unknown => "unknown",
            ClientCert::NotAsked => "not-asked",
            ClientCert::Declined => "declined",
            ClientCert::Presented => "presented",
        }
    }

    /// The one of a wire number.
    pub fn from_number(n: u8) -> Option<Self> {
        use ClientCert::{Declined, NotAsked, Presented, Unknown};
        [Unknown, NotAsked, Declined, Presented].into_iter().find(|s| *s as u8 == n)
    }
}

/// How a session was resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Resumption {
    /// By its session id (RFC 5246, section 7.4.1.2).
    SessionId = 1,
    /// By a ticket (RFC 5077).
    Ticket = 2,
    /// By a pre-shared key of TLS 1.3 (RFC 8446, section 2.2): a session, or an external key.
    Psk = 3,
}

impl Resumption {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Resumption::SessionId => "session-id",
            Resumption::Ticket => "ticket",
            Resumption::Psk => "psk",
        }
    }

    /// The one of a wire number.
    pub fn from_number(n: u8) -> Option<Self> {
        use Resumption::{Psk, SessionId, Ticket};
        [SessionId, Ticket, Psk].into_iter().find(|s| *s as u8 == n)
    }
}

/// What became of data sent before the handshake was done (RFC 8446, section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EarlyData {
    /// Offered, and accepted.
    Accepted = 1,
    /// Offered, and the session was not resumed.
    Rejected = 2,
}

impl EarlyData {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            EarlyData::Accepted => "accepted",
            EarlyData::Rejected => "rejected",
        }
    }

    /// The one of a wire number.
    pub fn from_number(n: u8) -> Option<Self> {
        use EarlyData::{Accepted, Rejected};
        [Accepted, Rejected].into_iter().find(|s| *s as u8 == n)
    }
}

/// How the handshake went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Handshake {
    /// Going on, or what decides it was not seen.
    #[default]
    Open = 1,
    /// Done: both sides went on.
    Established = 2,
    /// Ended by an alert.
    Failed = 3,
    /// Given up without one.
    Aborted = 4,
    /// The client spoke plaintext and the server answered with a TLS alert.
    PlaintextToTls = 5,
    /// The client spoke TLS and the server answered with something else.
    TlsToPlaintext = 6,
}

impl Handshake {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Handshake::Open => "open",
            Handshake::Established => "established",
            Handshake::Failed => "failed",
            Handshake::Aborted => "aborted",
            Handshake::PlaintextToTls => "plaintext-to-tls",
            Handshake::TlsToPlaintext => "tls-to-plaintext",
        }
    }

    /// The one of a wire number.
    pub fn from_number(n: u8) -> Option<Self> {
        use Handshake::{Aborted, Established, Failed, Open, PlaintextToTls, TlsToPlaintext};
        [Open, Established, Failed, Aborted, PlaintextToTls, TlsToPlaintext]
            .into_iter()
            .find(|s| *s as u8 == n)
    }
}

/// What encrypts around a connection. It is between machines, or between a mesh's proxies: of the
/// workloads' own identities it shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Tunnel {
    /// Packets leave by a device of WireGuard.
    Wireguard = 1,
    /// Packets leave by an ESP transform that encrypts (RFC 4303).
    Ipsec = 2,
    /// The connection is the tunnel: HTTP/2 CONNECT in mutual TLS, as in Istio's ambient mode.
    Hbone = 3,
}

impl Tunnel {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Tunnel::Wireguard => "wireguard",
            Tunnel::Ipsec => "ipsec",
            Tunnel::Hbone => "hbone",
        }
    }

    /// The one of a wire number.
    pub fn from_number(n: u8) -> Option<Self> {
        use Tunnel::{Hbone, Ipsec, Wireguard};
        [Wireguard, Ipsec, Hbone].into_iter().find(|s| *s as u8 == n)
    }
}

/// A mesh that a connection is of, by what the wire shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Mesh {
    /// Linkerd: server name of an identity, ALPN of its transport.
    Linkerd = 1,
    /// Istio with sidecars: its ALPN, its form of server name.
    Istio = 2,
    /// Istio ambient: HBONE.
    IstioAmbient = 3,
    /// Consul: its form of server name.
    Consul = 4,
    /// Kuma: its form of server name.
    Kuma = 5,
    /// Cilium: WireGuard or IPsec under it.
    Cilium = 6,
}

impl Mesh {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Mesh::Linkerd => "linkerd",
            Mesh::Istio => "istio",
            Mesh::IstioAmbient => "istio-ambient",
            Mesh::Consul => "consul",
            Mesh::Kuma => "kuma",
            Mesh::Cilium => "cilium",
        }
    }

    /// The one of a wire number.
    pub fn from_number(n: u8) -> Option<Self> {
        use Mesh::{Cilium, Consul, Istio, IstioAmbient, Kuma, Linkerd};
        [Linkerd, Istio, IstioAmbient, Consul, Kuma, Cilium].into_iter().find(|s| *s as u8 == n)
    }
}

/// What is known of a connection's security. Absent fields were not said, or are hidden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The verdict.
    pub status: Security,
    /// Why it is [`Security::Unknown`], or what is inside of the tunnel.
    pub unknown: Option<Box<str>>,
    /// Of [`Security::Mtls`].
    pub confidence: Option<Confidence>,
    /// Of [`Security::Resumed`].
    pub inherits: Option<Inherits>,
    /// When the handshake was that it inherits from.
    pub inherits_at: Option<BootNs>,
    /// The client's certificate.
    pub client_cert: ClientCert,
    /// The client may still authenticate later (RFC 8446, section 4.6.2).
    pub may_authenticate_later: bool,
    /// Version number on the wire: 0x0304 is TLS 1.3.
    pub version: Option<u16>,
    /// Cipher suite.
    pub cipher: Option<u16>,
    /// Group of the key exchange.
    pub group: Option<u16>,
    /// Server name that the client asked for; with `ech` the outer one.
    pub sni: Option<Box<str>>,
    /// Application protocols that the client offered.
    pub alpn_offered: Vec<Box<str>>,
    /// The one that the server chose; hidden in TLS 1.3.
    pub alpn: Option<Box<str>>,
    /// How it was resumed.
    pub resumed: Option<Resumption>,
    /// Data before the handshake was done.
    pub early_data: Option<EarlyData>,
    /// The client offered an encrypted hello (RFC 9849).
    pub ech: bool,
    /// The server asked for another hello (RFC 8446, section 4.1.4).
    pub retried: bool,
    /// What was said in the clear before: `SMTP`, `PostgreSQL`, `HTTP CONNECT`, `PROXY`.
    pub after: Option<Box<str>>,
    /// What encrypts around it, also where the verdict is another one.
    pub tunnel: Option<Tunnel>,
    /// Of [`Security::Tunnel`]: what the verdict would be without the tunnel.
    pub inside: Option<Security>,
    /// Mesh.
    pub mesh: Option<Mesh>,
    /// The client's certificate, where it was in the clear, or where the server's process handed it over.
    pub client: Option<Box<Certificate>>,
    /// The server's.
    pub server: Option<Box<Certificate>>,
    /// How the handshake went.
    pub handshake: Handshake,
    /// Alert that ended it (RFC 8446, section 6): its number, `None` where it was encrypted.
    pub alert: Option<u8>,
    /// The client sent it; else the server.
    pub alert_by_client: bool,
    /// What was observed, in words, in the order in which it was; 24 at most.
    pub evidence: Vec<Box<str>>,
}
