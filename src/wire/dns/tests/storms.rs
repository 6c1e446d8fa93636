//! Search-list storms.

use super::*;
use crate::model::Verdict;
use crate::wire::Dns;
use crate::wire::dns::{Queries, Storm, Storms};

fn storms(steps: &[(&str, Verdict)]) -> Vec<(String, u16)> {
    let mut storms = Storms::default();
    let observed = steps.iter().enumerate().filter_map(|(i, (name, verdict))| {
        let dns = Dns { name: (*name).into(), kind: 1, ..Dns::default() };
        storms.observe(1u8, &dns, *verdict, ms(i as u64))
    });
    observed.map(|Storm { name, tries }| (name.into(), tries)).collect()
}

const NX: Verdict = Verdict::ClientError;
const OK: Verdict = Verdict::Ok;

/// What glibc asked with a search list of three domains (tests/captures/README.md).
#[test]
fn getent_with_ndots_5() {
    let mut queries = Queries::default();
    let mut out = Vec::new();
    let mut storms = Storms::default();
    let mut found = Vec::new();
    for (at, from, to, data) in datagrams("dns-udp-tcp.pcap") {
        let (key, from) = if to.1 == 53 { ((from.1, to.0), C) } else { ((to.1, from.0), S) };
        queries.datagram(key, from, at, &data, data.len() as u32, &mut out);
        for (_, told) in out.drain(..) {
            found.extend(storms.observe((), told.dns.as_ref().unwrap(), told.verdict, at));
        }
    }
    let found: Vec<_> = found.iter().map(|s| (&*s.name, s.tries)).collect();
    assert_eq!(found, [("api.svc", 2), ("edge", 2), ("nosuch.name", 3)]);
}

#[test]
fn the_bare_name_comes_last() {
    let tries = ["db.prod.a.b.c", "db.prod.b.c", "db.prod.c"].map(|name| (name, NX));
    for last in [OK, NX, Verdict::Error] {
        let steps = [&tries[..], &[("db.prod", last)]].concat();
        assert_eq!(storms(&steps), [("db.prod".into(), 3)]);
    }
    // Both address families, and another lookup in between.
    let steps =
        [("x.a.b", NX), ("x.a.b", NX), ("y.a.b", NX), ("x.b", NX), ("y.b", OK), ("x.b", NX), ("x", OK)];
    assert_eq!(storms(&steps), [("x".into(), 2)]);
}

#[test]
fn names_that_only_look_alike_are_none() {
    // One miss; siblings; a shorter one before a longer one; labels that only begin alike.
    assert_eq!(storms(&[("x.a.b", NX), ("x.b", OK)]), []);
    assert_eq!(storms(&[("x.a.test", NX), ("x.b.test", NX), ("x.c.test", OK)]), []);
    assert_eq!(storms(&[("a.test", NX), ("b.test", NX), ("c.test", NX), ("test", OK)]), []);
    assert_eq!(storms(&[("db1.a.b", NX), ("db.b", NX), ("d", OK)]), []);
    assert_eq!(storms(&[("x", NX), ("x", NX), ("x", NX)]), []);
}

#[test]
fn an_old_search_is_over_and_owners_are_bounded() {
    let mut storms = Storms::default();
    let dns = |name: &str| Dns { name: name.into(), ..Dns::default() };
    storms.observe(0, &dns("x.a.b"), NX, ms(0));
    storms.observe(0, &dns("x.b"), NX, ms(1));
    assert_eq!(storms.observe(0, &dns("x"), OK, ms(11_000)), None);

    for owner in 0..1025 {
        storms.observe(owner, &dns("x.a.b"), NX, ms(20_000 + owner));
        storms.observe(owner, &dns("x.b"), NX, ms(20_000 + owner));
    }
    assert_eq!(storms.observe(0, &dns("x"), OK, ms(21_100)), None, "forgotten");
    assert_eq!(storms.observe(1024, &dns("x"), OK, ms(21_100)), Some(Storm { name: "x".into(), tries: 2 }));
    for i in 0..9 {
        storms.observe(7, &dns(&format!("n{i}.a.b")), NX, ms(21_200));
        storms.observe(7, &dns(&format!("n{i}.b")), NX, ms(21_200));
    }
    assert_eq!(storms.observe(7, &dns("n0"), OK, ms(21_201)), None);
    assert_eq!(storms.observe(7, &dns("n8"), OK, ms(21_201)).unwrap().tries, 2);
}
