//! Captures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
use std::path::Path;
use webb::model::*;
#[test]
fn dump() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let mut names: Vec<_> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e.to_str().unwrap().starts_with("pcap")))
        .collect();
    names.sort();
    for n in names {
        let r = webb::replay::read(&n, 32768, |_| {}).unwrap();
        println!("== {} {:?}", n.file_name().unwrap().to_string_lossy(), r.counts);
        println!("   loss {:?} counts {:?}", r.store.status().loss, r.store.status().connections);
        let s = r.store.snapshot();
        for e in &s.totals.edges {
            let (_, c) = e.shown().unwrap();
            println!(
                "  edge {}:{} {:?} role {} opened {} undecoded {:?}",
                e.key.addr,
                e.key.port,
                e.key.transport,
                e.key.role_known,
                c.opened,
                c.asked.as_ref().map(|a| a.undecoded_bytes)
            );
            for p in c.asked.iter().flat_map(|a| &a.protocols) {
                println!(
                    "    {} {} err {} cli {} unk {} not timed {} missed {}",
                    p.protocol.as_str(),
                    p.tally.requests,
                    p.tally.errors,
                    p.tally.client_errors,
                    p.tally.unknown,
                    p.tally.not_timed,
                    p.missed
                );
            }
        }
        let (ev, missed) = r.store.events_after(EventClass::Requests, 0, 100000);
        let mut map = std::collections::BTreeMap::new();
        for e in &ev {
            let q = e.request.as_ref().unwrap();
            *map.entry(format!(
                "{} {} {:?} {}",
                q.protocol.as_str(),
                q.method,
                q.status
                    .as_ref()
                    .map(|s| s.to_string())
                    .or(q.status_unknown.as_ref().map(|s| format!("?{s}"))),
                q.verdict.as_str()
            ))
            .or_insert(0) += 1;
        }
        println!("   missed {missed} events {}", ev.len());
        for (k, v) in map {
            println!("      {v} x {k}");
        }
    }
}
