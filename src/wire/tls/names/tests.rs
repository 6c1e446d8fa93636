//! Tables are in order and say what the registries say; weak and strong suites; hellos of meshes and
//! hellos that only look like them.

use super::*;
use crate::model::{Certificate, Mesh, Tls};

#[test]
fn tables_are_in_order() {
    for table in [&ciphers::CIPHERS[..], &GROUPS, &ALERTS] {
        assert!(table.is_sorted_by(|a, b| a.0 < b.0));
    }
}

#[test]
fn numbers_have_names() {
    assert_eq!(version(0x0304), "TLS 1.3");
    assert_eq!(version(0x0300), "SSL 3.0");
    assert_eq!(version(0x0a0a), "unknown");
    assert_eq!(cipher(0x1301), Some("TLS_AES_128_GCM_SHA256"));
    assert_eq!(cipher(0xc02f), Some("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"));
    assert_eq!(cipher(0x000a), Some("TLS_RSA_WITH_3DES_EDE_CBC_SHA"));
    assert_eq!(cipher(0xcca9), Some("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"));
    assert_eq!(cipher(0x0a0a), None);
    assert_eq!(group(29), Some("x25519"));
    assert_eq!(group(0x11ec), Some("X25519MLKEM768"));
    assert_eq!(group(0x0a0a), None);
    assert_eq!(alert(116), Some("certificate_required"));
    assert_eq!(alert(48), Some("unknown_ca"));
    assert_eq!(alert(255), None);
}

#[test]
fn post_quantum_groups_are_those_with_a_kem() {
    for (number, name) in GROUPS {
        let kem = ["MLKEM", "Kyber", "CECPQ"].iter().any(|kem| name.contains(kem));
        assert_eq!(is_post_quantum(number), kem, "{name}");
    }
}

fn of(version: u16, suite: &str) -> Vec<Weakness> {
    let number = ciphers::CIPHERS.iter().find(|(_, name)| *name == suite).expect(suite).0;
    weaknesses(&Tls { version: Some(version), cipher: Some(number), ..Tls::default() })
}

#[test]
fn weak_suites_are_named() {
    use Weakness::*;
    assert_eq!(of(0x0304, "TLS_AES_128_CCM_8_SHA256"), []);
    assert_eq!(of(0x0304, "TLS_SHA256_SHA256"), [Null]);
    assert_eq!(of(0x0303, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"), []);
    assert_eq!(of(0x0303, "TLS_DHE_PSK_WITH_AES_256_CCM"), []);
    assert_eq!(of(0x0303, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"), [NotAead]);
    assert_eq!(of(0x0303, "TLS_RSA_WITH_AES_128_GCM_SHA256"), [NoForwardSecrecy]);
    assert_eq!(of(0x0303, "TLS_PSK_WITH_AES_128_GCM_SHA256"), [NoForwardSecrecy]);
    assert_eq!(of(0x0303, "TLS_ECDH_RSA_WITH_AES_128_GCM_SHA256"), [NoForwardSecrecy]);
    assert_eq!(of(0x0302, "TLS_RSA_WITH_RC4_128_MD5"), [OldVersion, Rc4, NoForwardSecrecy]);
    assert_eq!(of(0x0301, "TLS_RSA_WITH_3DES_EDE_CBC_SHA"), [OldVersion, TripleDes, NoForwardSecrecy]);
    assert_eq!(of(0x0303, "TLS_DHE_RSA_WITH_DES_CBC_SHA"), [Des]);
    assert_eq!(of(0x0300, "TLS_DH_anon_EXPORT_WITH_DES40_CBC_SHA"), [OldVersion, Anonymous, Export, Des]);
    assert_eq!(of(0x0303, "TLS_ECDHE_ECDSA_WITH_NULL_SHA"), [Null]);
}

#[test]
fn nothing_known_is_nothing_weak() {
    assert_eq!(weaknesses(&Tls::default()), []);
    assert_eq!(weaknesses(&Tls { cipher: Some(0xfafa), version: Some(0x0304), ..Tls::default() }), []);
}

#[test]
fn small_keys_and_groups_are_weak() {
    let key =
        |key: &str, key_bits| Some(Box::new(Certificate { key: key.into(), key_bits, ..Default::default() }));
    let of = |server, client| weaknesses(&Tls { server, client, ..Tls::default() });
    assert_eq!(
        of(key("RSA", 2047), key("RSA-PSS", 1024)),
        [Weakness::SmallServerKey, Weakness::SmallClientKey]
    );
    assert_eq!(of(key("RSA", 2048), key("P-224", 224)), [Weakness::SmallClientKey]);
    assert_eq!(of(key("Ed25519", 256), key("ML-DSA-65", 0)), []);
    let group = |group| weaknesses(&Tls { group: Some(group), ..Tls::default() });
    assert_eq!(group(19), [Weakness::SmallGroup]);
    assert_eq!(group(23), []);
    assert_eq!(group(29), []);
}

fn seen(sni: &str, alpn: &[&str], port: u16) -> Option<MeshSeen> {
    let alpn: Vec<Box<str>> = alpn.iter().map(|one| (*one).into()).collect();
    mesh(Some(sni).filter(|sni| !sni.is_empty()), &alpn, port)
}

/// Mesh, implied mutual, identity of the server, intended service.
fn told(sni: &str, alpn: &[&str], port: u16) -> Option<(Mesh, bool, Option<String>, Option<String>)> {
    seen(sni, alpn, port).map(|seen| (seen.mesh, seen.implied_mutual, seen.server_identity, seen.intended))
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn linkerd_is_seen_by_identity_and_transport() {
    let id = "web.emojivoto.serviceaccount.identity.linkerd.cluster.local";
    let transport = "transport.l5d.io/v1";
    assert_eq!(told(id, &[], 8080), Some((Mesh::Linkerd, false, some(id), None)));
    assert_eq!(told(id, &[transport], 4143), Some((Mesh::Linkerd, true, some(id), None)));
    // The port after a redirect, or another service: no claim without the transport header.
    assert_eq!(told(id, &[], 4143), Some((Mesh::Linkerd, false, some(id), None)));
    assert_eq!(told(id, &[transport], 8080), Some((Mesh::Linkerd, false, some(id), None)));
    let dotted = "web.v1.shop.serviceaccount.identity.linkerd.cluster.local";
    assert_eq!(told(dotted, &[], 80), Some((Mesh::Linkerd, false, some(dotted), None)));
}

#[test]
fn looks_like_linkerd() {
    for sni in [
        "shop.serviceaccount.identity.linkerd.cluster.local",
        "web.emojivoto.serviceaccount.identity.linkerd",
        "web.emojivoto.serviceaccount.identity",
        "serviceaccount.identity.linkerd.cluster.local",
        "web..serviceaccount.identity.linkerd.cluster.local",
        "linkerd.io",
        "",
    ] {
        assert_eq!(seen(sni, &["h2"], 4143), None, "{sni}");
    }
    assert_eq!(seen("example.com", &["transport.l5d.io/v2"], 4143), None);
}

#[test]
fn istio_is_seen_by_its_protocols_and_says_what_was_meant() {
    let name = "outbound_.8080_._.reviews.shop.svc.cluster.local";
    let meant = some("reviews.shop.svc.cluster.local:8080");
    let http = ["istio-http/1.1", "istio", "http/1.1"];
    assert_eq!(told(name, &http, 9080), Some((Mesh::Istio, true, None, meant.clone())));
    assert_eq!(
        told(name, &["istio-peer-exchange", "istio"], 9080),
        Some((Mesh::Istio, true, None, meant.clone()))
    );
    assert_eq!(told(name, &["h2"], 9080), Some((Mesh::Istio, false, None, meant.clone())));
    let subset = "outbound_.8080_.v1_.reviews.shop.svc.cluster.local";
    assert_eq!(told(subset, &["istio-h2", "istio", "h2"], 1), Some((Mesh::Istio, true, None, meant.clone())));
    let older = "outbound|8080||reviews.shop.svc.cluster.local";
    assert_eq!(told(older, &[], 9080), Some((Mesh::Istio, false, None, meant)));
    assert_eq!(told("", &["istio"], 9080), Some((Mesh::Istio, true, None, None)));
}

#[test]
fn looks_like_istio() {
    for sni in [
        "outbound.example.com",
        "outbound_.example.com",
        "outbound_.0_._.example.com",
        "outbound_.70000_._.example.com",
        "outbound_.80_._.",
        "outbound_.80_._.a\u{1b}[2J.com",
        "inbound_.80_._.example.com",
        "istio.io",
    ] {
        assert_eq!(seen(sni, &["h2", "http/1.1"], 15006), None, "{sni}");
    }
    assert_eq!(seen("example.com", &["istiocorp", "xistio", "Istio"], 443), None);
}

#[test]
fn ambient_is_seen_by_hbone() {
    assert_eq!(told("", &["h2"], 15008), Some((Mesh::IstioAmbient, true, None, None)));
}

#[test]
fn looks_like_hbone() {
    assert_eq!(seen("", &["h2"], 15009), None);
    assert_eq!(seen("", &[], 15008), None);
    assert_eq!(seen("", &["h2", "http/1.1"], 15008), None);
    assert_eq!(seen("grpc.example.com", &["h2"], 15008), None);
}

#[test]
fn consul_is_seen_by_its_server_name() {
    let td = "11111111-2222-3333-4444-555555555555.consul";
    let of = |target: &str| told(&format!("{target}.{td}"), &[], 20000);
    let seen = |intended: &str| Some((Mesh::Consul, false, None, some(intended)));
    assert_eq!(of("db.default.dc1.internal"), seen("db.default.dc1"));
    assert_eq!(of("v2.db.default.dc1.internal"), seen("v2.db.default.dc1"));
    assert_eq!(of("db.default.ap1.dc1.internal-v1"), seen("db.default.ap1.dc1"));
    assert_eq!(of("geo-cache.default.dc1.query"), seen("geo-cache.default.dc1"));
    assert_eq!(of("dc2.internal"), Some((Mesh::Consul, false, None, None)));
}

#[test]
fn looks_like_consul() {
    for sni in [
        "db.service.dc1.consul",
        "server.dc1.consul",
        "db.default.dc1.internal.example.consul",
        "db.default.dc1.internal.11111111-2222-3333-4444-55555555555.consul",
        "db.default.dc1.internal.11111111-2222-3333-4444-55555555555g.consul",
        "db.default.dc1.internal.11111111-2222-3333-4444-555555555555.example",
        "db.other.dc1.query.11111111-2222-3333-4444-555555555555.consul",
        "db..dc1.internal.11111111-2222-3333-4444-555555555555.consul",
        "internal.11111111-2222-3333-4444-555555555555.consul",
        "11111111-2222-3333-4444-555555555555.consul",
        ".consul",
    ] {
        assert_eq!(seen(sni, &[], 20000), None, "{sni}");
    }
}

#[test]
fn kuma_is_seen_by_its_protocol() {
    let of = |sni: &str| told(sni, &["kuma"], 8080);
    let seen = |intended: &str| Some((Mesh::Kuma, true, None, some(intended)));
    assert_eq!(of(""), Some((Mesh::Kuma, true, None, None)));
    assert_eq!(of("backend_shop_svc_80{mesh=default}"), seen("backend_shop_svc_80"));
    assert_eq!(of("sni.msvc.default.backend.80"), seen("backend.default:80"));
    assert_eq!(
        of("sni.msvc.default.east.shop.backend.main-port"),
        seen("backend.shop.east.default:main-port")
    );
    let hashed = "a0123456789abcdef.backend.8080.default.ms";
    assert_eq!(of(hashed), seen("backend.default:8080"));
    assert_eq!(told(hashed, &[], 8080), Some((Mesh::Kuma, false, None, some("backend.default:8080"))));
}

#[test]
fn looks_like_kuma() {
    for sni in [
        "kuma.io",
        "sni.msvc.default.backend.80",
        "backend{mesh=default}",
        "a0123456789abcdef.backend.http.default.ms",
        "a0123456789abcde.backend.80.default.ms",
        "a0123456789abcdef.backend.80.default.com",
    ] {
        assert_eq!(seen(sni, &["h2", "kuma2"], 8080), None, "{sni}");
    }
    // The protocol alone counts; a name of another form says nothing of what was meant.
    for sni in ["example.com", "sni.svc.a.b.c", "sni.msvc.a.b", "a{b}", "{mesh=default}"] {
        assert_eq!(told(sni, &["kuma"], 8080), Some((Mesh::Kuma, true, None, None)), "{sni}");
    }
}
