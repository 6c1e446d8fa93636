//! Which mesh a ClientHello gives away: by its server name (RFC 6066), the application protocols that
//! it offers (RFC 7301), and the port. Only forms that a mesh writes itself count, no part of a name
//! that somebody might use for their own.
//!
//! Forms are those of the meshes' own sources: Linkerd's identities (`linkerd2/pkg/identity`), Istio's
//! `BuildDNSSrvSubsetKey`, Consul's `agent/connect/sni.go`, Kuma's `pkg/xds/envoy/tls/sni.go`.

use crate::model::Mesh;

/// What a hello says of its mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshSeen {
    /// Which one.
    pub mesh: Mesh,
    /// A handshake that was established after this hello cannot but be mutual, by how the mesh
    /// configures its proxies. It is an inference: what the records say goes before it, and a
    /// handshake that was not established implies nothing.
    pub implied_mutual: bool,
    /// What gave it away, in words.
    pub why: &'static str,
    /// Identity that the server has to prove.
    pub server_identity: Option<String>,
    /// The service that the client meant, with its port where that is said.
    pub intended: Option<String>,
}

impl MeshSeen {
    fn new(mesh: Mesh, why: &'static str) -> Self {
        MeshSeen { mesh, implied_mutual: false, why, server_identity: None, intended: None }
    }
}

/// Recognises a mesh; `None` for everything that does not name one beyond doubt.
///
/// `server_port` is the port that the client dialled. Behind a redirect (`iptables` of a sidecar) the
/// server's socket has the proxy's port whatever was dialled: do not pass that one.
pub fn mesh(sni: Option<&str>, alpn_offered: &[Box<str>], server_port: u16) -> Option<MeshSeen> {
    let sni = sni.filter(|name| is_plain(name));
    linkerd(sni, alpn_offered, server_port)
        .or_else(|| istio(sni, alpn_offered))
        .or_else(|| kuma(sni, alpn_offered))
        .or_else(|| consul(sni?))
        .or_else(|| hbone(sni, alpn_offered, server_port))
}

/// What meshes write into server names; everything else never gets into what is told.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_*|{}=,/:".contains(&b))
}

fn offers(alpn_offered: &[Box<str>], one_of: &[&str]) -> bool {
    alpn_offered.iter().any(|offered| one_of.contains(&&**offered))
}

/// A DNS label, or what Kubernetes and Consul allow as one.
fn is_label(label: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=63).contains(&label.len()) && label.bytes().all(allowed)
}

fn is_host(name: &str) -> bool {
    name.split('.').all(is_label)
}

/// Identities are `<service account>.<namespace>.serviceaccount.identity.<namespace of the control
/// plane>.<trust domain>`. Its proxies answer on 4143 to what carries a transport header, and refuse it
/// without a client's identity ("direct connections must be mutually authenticated").
fn linkerd(sni: Option<&str>, alpn_offered: &[Box<str>], server_port: u16) -> Option<MeshSeen> {
    let identity = sni.filter(|name| is_linkerd_identity(name));
    let transport = offers(alpn_offered, &["transport.l5d.io/v1"]);
    let why = match (identity, transport) {
        (_, true) if server_port == 4143 => {
            "ALPN transport.l5d.io/v1 to port 4143, which asks for an identity"
        }
        (_, true) => "ALPN transport.l5d.io/v1",
        (Some(_), false) => "the server name is an identity of Linkerd",
        (None, false) => return None,
    };
    Some(MeshSeen {
        implied_mutual: transport && server_port == 4143,
        server_identity: identity.map(str::to_owned),
        ..MeshSeen::new(Mesh::Linkerd, why)
    })
}

fn is_linkerd_identity(name: &str) -> bool {
    let Some((workload, control)) = name.split_once(".serviceaccount.identity.") else {
        return false;
    };
    // A service account may have dots in its name.
    [workload, control].iter().all(|part| part.contains('.') && is_host(part))
}

/// Sidecars offer protocols of their own (`istio-…`) to each other; an inbound proxy chooses by them
/// the filter chain that requires a client certificate.
fn istio(sni: Option<&str>, alpn_offered: &[Box<str>]) -> Option<MeshSeen> {
    const OWN: [&str; 5] = ["istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"];
    let intended = sni.and_then(istio_service);
    let own = offers(alpn_offered, &OWN);
    let why = match (own, &intended) {
        (true, _) => "ALPN of Istio's sidecars, for which they require a client certificate",
        (false, Some(_)) => "the server name has Istio's form, but its ALPN is not offered",
        (false, None) => return None,
    };
    Some(MeshSeen { implied_mutual: own, intended, ..MeshSeen::new(Mesh::Istio, why) })
}

/// `outbound_.<port>_.<subset>_.<host>`, or the older `outbound|<port>|<subset>|<host>`.
fn istio_service(name: &str) -> Option<String> {
    let (rest, between) = match name.strip_prefix("outbound_.") {
        Some(rest) => (rest, "_."),
        None => (name.strip_prefix("outbound|")?, "|"),
    };
    let (port, rest) = rest.split_once(between)?;
    let (subset, host) = rest.split_once(between)?;
    let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
    let fits = (subset.is_empty() || is_host(subset)) && is_host(host);
    fits.then(|| format!("{host}:{port}"))
}

/// HBONE: HTTP/2 CONNECT in mutual TLS to port 15008, without a server name (ztunnel and waypoints
/// set none). Cilium's ztunnel speaks the same.
fn hbone(sni: Option<&str>, alpn_offered: &[Box<str>], server_port: u16) -> Option<MeshSeen> {
    let only_h2 = matches!(alpn_offered, [only] if &**only == "h2");
    (server_port == 15008 && only_h2 && sni.is_none()).then(|| MeshSeen {
        implied_mutual: true,
        ..MeshSeen::new(Mesh::IstioAmbient, "HBONE: port 15008, ALPN h2 alone, no server name")
    })
}

/// The domain of trust is `<uuid of the cluster>.consul`; before it stand
/// `[<subset>.]<service>.<namespace>.<datacenter>.internal`, the same with a partition and
/// `internal-v1`, `<service>.default.<datacenter>.query`, or `<datacenter>.internal`.
fn consul(name: &str) -> Option<MeshSeen> {
    let (rest, uuid) = name.strip_suffix(".consul")?.rsplit_once('.')?;
    let (target, kind) = rest.rsplit_once('.')?;
    let labels = target.split('.').count();
    let fits = match kind {
        "internal" => matches!(labels, 1 | 3 | 4),
        "internal-v1" => matches!(labels, 4 | 5),
        "query" => labels == 3 && target.split('.').nth(1) == Some("default"),
        _ => false,
    };
    if !fits || !is_uuid(uuid) || !is_host(target) {
        return None;
    }
    let intended = (labels > 1).then(|| target.to_owned());
    Some(MeshSeen { intended, ..MeshSeen::new(Mesh::Consul, "the server name has Consul's form") })
}

fn is_uuid(text: &str) -> bool {
    let groups = text.split('-');
    groups.clone().map(str::len).eq([8, 4, 4, 4, 12])
        && groups.flat_map(str::bytes).all(|b| b.is_ascii_hexdigit())
}

/// Kuma offers `kuma` "to show that mTLS is created by mesh", and an inbound proxy requires a client
/// certificate for it. Server names: `sni.<kind>.<mesh>[.<zone>[.<namespace>]].<name>.<section>`,
/// before that `a<hash>.<name>.<port>.<mesh>.<kind>`, before that `<service>{<tags>}`.
fn kuma(sni: Option<&str>, alpn_offered: &[Box<str>]) -> Option<MeshSeen> {
    let own = offers(alpn_offered, &["kuma"]);
    let hashed = sni.and_then(kuma_hashed);
    let why = match (own, &hashed) {
        (true, _) => "ALPN kuma, for which its proxies require a client certificate",
        (false, Some(_)) => "the server name has Kuma's form, but its ALPN is not offered",
        // The other forms could be anybody's.
        (false, None) => return None,
    };
    let intended = hashed.or_else(|| sni.and_then(|name| kuma_resource(name).or_else(|| kuma_tagged(name))));
    Some(MeshSeen { implied_mutual: own, intended, ..MeshSeen::new(Mesh::Kuma, why) })
}

/// As `<name>.<mesh>:<port>`.
fn kuma_hashed(name: &str) -> Option<String> {
    let (hash, rest) = name.strip_prefix('a')?.split_once('.')?;
    let (rest, kind) = rest.rsplit_once('.')?;
    let (rest, mesh) = rest.rsplit_once('.')?;
    let (service, port) = rest.rsplit_once('.')?;
    let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
    let fits = hash.len() == 16
        && hash.bytes().all(|b| b.is_ascii_hexdigit())
        && matches!(kind, "ms" | "mes" | "mzms")
        && is_label(mesh)
        && is_host(service);
    fits.then(|| format!("{service}.{mesh}:{port}"))
}

/// As `<name>[.<namespace>][.<zone>].<mesh>:<section>`: the section is a port or its name.
fn kuma_resource(name: &str) -> Option<String> {
    let mut parts = name.strip_prefix("sni.")?.split('.');
    let kind = parts.next()?;
    let mut rest: Vec<&str> = parts.collect();
    let fits = matches!(kind, "msvc" | "extsvc" | "mzsvc")
        && (3..=5).contains(&rest.len())
        && rest.iter().all(|label| is_label(label));
    if !fits {
        return None;
    }
    let section = rest.pop()?;
    rest.reverse();
    Some(format!("{}:{section}", rest.join(".")))
}

/// The service alone; its tags say how it is chosen.
fn kuma_tagged(name: &str) -> Option<String> {
    let (service, tags) = name.strip_suffix('}')?.split_once('{')?;
    (is_host(service) && tags.contains('=')).then(|| service.to_owned())
}
