//! Real handshakes of 17 TLS code bases (`tests/tls/`), read as `webb --file` reads them: what
//! becomes of the walker's verdicts on their way through `track` and `store`. Each field of the
//! handshakes themselves is compared beside the walker (`src/wire/tls/tests/corpus.rs`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use webb::model::{ClientCert, Filter, Security, View};
use webb::replay;
use webb::world::World;

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls")
}

#[test]
fn no_verdict_on_a_real_handshake_is_wrong() {
    let truth: Vec<Value> =
        serde_json::from_slice(&std::fs::read(dir().join("truth.json")).unwrap()).unwrap();
    assert_eq!(truth.len(), 181);
    let (mut wrong, mut unknown, mut decided) = (Vec::new(), Vec::new(), 0);
    for t in &truth {
        let file = t["file"].as_str().unwrap();
        let replayed = replay::read(&dir().join(file), 32_768, |_| {}).unwrap();
        let rows = replayed.store.connections(true, &Filter::default(), None);
        assert_eq!(rows.len(), 1, "{file}");
        let tls = rows[0].tls.as_deref().unwrap_or_else(|| panic!("{file}: nobody looked"));
        let is_tls = t["tls"] == true;
        // In the handshake, or later, in one that was encrypted.
        let later = t["reneg_client_cert"] == true || t["pha"] == true;
        let presented = if later { Some(true) } else { t["client_cert_presented"].as_bool() };
        let said = tls.client_cert == ClientCert::Presented;
        let resumed = t["resumed"] == true;
        let fits = match tls.status {
            Security::Unknown => {
                unknown.push(format!("{file}: {}", tls.unknown.as_deref().unwrap_or("")));
                true
            }
            Security::Plaintext => !is_tls,
            Security::Mtls => is_tls && presented == Some(true),
            Security::Tls => is_tls && !resumed && presented != Some(true),
            Security::Resumed => is_tls && (resumed || t["group"].as_str().unwrap().contains("psk")),
            Security::Failed => t["outcome"] != "ok",
            Security::Implied | Security::Tunnel => false,
        };
        // What was seen of a certificate holds whatever became of the handshake.
        if !fits || (said && presented == Some(false)) {
            wrong.push(format!("{file}: {:?} {:?}, truth {t}", tls.status, tls.client_cert));
        }
        decided += usize::from(tls.status != Security::Unknown);
        // The edge counts the connection once, under its verdict.
        let s = replayed.store.snapshot();
        let mut world = World::default();
        world.reset(s.node.clone(), s.scope.clone(), s.totals.clone(), s.history.clone());
        let edges = world.edges_in_full(1 << 30);
        let (view, shown) = edges[0].shown();
        assert_eq!(view, View::Client);
        let secured = shown.secured.as_ref().unwrap_or_else(|| panic!("{file}: no counts"));
        assert_eq!(secured.of(tls.status), 1, "{file}: {secured:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{decided} decided, {} unknown:\n{}", unknown.len(), unknown.join("\n"));
    assert!(unknown.len() <= 12, "{}", unknown.join("\n"));
}

/// QUIC is TLS 1.3 that hides all but the hello: what it shows is told, and that the rest is not known.
#[test]
fn quic_shows_its_hello_and_hides_the_rest() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures/quic-initials.pcap");
    let replayed = replay::read(&file, 32_768, |_| {}).unwrap();
    let rows = replayed.store.connections(true, &Filter::default(), None);
    assert_eq!(rows.len(), 4);
    for row in rows {
        let tls = row.tls.as_deref().unwrap();
        assert_eq!(
            (tls.status, tls.version, tls.client_cert),
            (Security::Unknown, Some(0x0304), ClientCert::Unknown)
        );
        assert!(tls.unknown.as_deref().unwrap().contains("QUIC"), "{tls:?}");
        assert!(tls.sni.is_some() && !tls.alpn_offered.is_empty(), "{tls:?}");
    }
}
