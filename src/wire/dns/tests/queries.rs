//! DNS over UDP.

use proptest::prelude::*;

use super::*;
use crate::model::{Shape, Verdict};
use crate::wire::dns::{Queries, TIMEOUT_NS, speaker};

type Key = (u64, u64);

/// One socket and one peer.
const K: Key = (1, 1);

struct Watch {
    queries: Queries<Key>,
    out: Vec<(Key, Told)>,
}

impl Watch {
    fn new() -> Self {
        Watch { queries: Queries::default(), out: Vec::new() }
    }

    fn at(&mut self, key: Key, at: u64, data: &[u8]) -> &mut Self {
        let from = speaker(data).unwrap();
        self.queries.datagram(key, from, ms(at), data, data.len() as u32, &mut self.out);
        self
    }

    fn lines(&self) -> Vec<String> {
        self.out.iter().map(|(_, told)| line(told)).collect()
    }
}

/// Everything that the capture's clients asked, from the client's sockets.
fn capture_lines() -> (Vec<String>, Queries<(u64, u64)>) {
    let mut w = Watch::new();
    let packets = datagrams("dns-udp-tcp.pcap");
    for (at, from, to, data) in &packets {
        let asked = to.1 == 53;
        let (socket, peer) = if asked { (from, to) } else { (to, from) };
        let key = (u64::from(socket.1), u64::from(u32::from_be_bytes(peer.0)));
        let from = if asked { C } else { S };
        w.queries.datagram(key, from, *at, data, data.len() as u32, &mut w.out);
    }
    let last = packets.last().unwrap().0;
    w.queries.expire(BootNs(last.0 + TIMEOUT_NS), &mut w.out);
    for (_, told) in w.out.iter().filter(|(_, told)| told.response.is_some()) {
        let latency = told.response.unwrap().first.since(told.request.last);
        assert!((1..1_000_000).contains(&latency), "{told:?}");
    }
    (w.lines(), w.queries)
}

#[test]
fn dig_and_getent_over_udp() {
    let (lines, mut queries) = capture_lines();
    let expected = "\
A api.svc.cluster.test NOERROR 10.0.0.7
AAAA api.svc.cluster.test NOERROR fd00::7
A www.cluster.test NOERROR =front.cluster.test =edge.cluster.test 10.0.0.9 10.0.0.8
A missing.cluster.test NXDOMAIN
A x.broken.test SERVFAIL
A elsewhere.test REFUSED
SRV _http._tcp.cluster.test NOERROR
MX mail.cluster.test NOERROR
A odd\\046label\\032x.cluster.test NOERROR 10.0.0.10
A edge.cluster.test NOERROR 10.0.0.9 10.0.0.8
A edge.cluster.test BADVERS
TXT big.cluster.test NOERROR
A api.svc.shop.svc.cluster.test NXDOMAIN
AAAA api.svc.shop.svc.cluster.test NXDOMAIN
A api.svc.svc.cluster.test NXDOMAIN
AAAA api.svc.svc.cluster.test NXDOMAIN
A api.svc.cluster.test NOERROR 10.0.0.7
AAAA api.svc.cluster.test NOERROR fd00::7
A edge.shop.svc.cluster.test NXDOMAIN
AAAA edge.shop.svc.cluster.test NXDOMAIN
A edge.svc.cluster.test NXDOMAIN
AAAA edge.svc.cluster.test NXDOMAIN
A edge.cluster.test NOERROR 10.0.0.8 10.0.0.9
AAAA edge.cluster.test NOERROR
A nosuch.name.shop.svc.cluster.test NXDOMAIN
AAAA nosuch.name.shop.svc.cluster.test NXDOMAIN
A nosuch.name.svc.cluster.test NXDOMAIN
AAAA nosuch.name.svc.cluster.test NXDOMAIN
A nosuch.name.cluster.test NXDOMAIN
AAAA nosuch.name.cluster.test NXDOMAIN
A nosuch.name REFUSED
AAAA nosuch.name REFUSED
A nosuch.name REFUSED
AAAA nosuch.name REFUSED
A primary.corp.test NOERROR =db.corp.test 10.1.0.5
AAAA primary.corp.test NOERROR =db.corp.test fd00::5
A none.corp.test NXDOMAIN
A elsewhere.test REFUSED
TXT long.corp.test NOERROR
A void.test timeout
A void.test timeout
AAAA void.test timeout";
    assert_eq!(lines, expected.lines().collect::<Vec<_>>());
    assert_eq!(queries.take_undecoded(), 0);
}

#[test]
fn no_answer_is_an_error_after_five_seconds_and_a_late_one_is_not_told_again() {
    let mut w = Watch::new();
    w.at(K, 1000, &query(7, "a.test", 28));
    w.queries.expire(BootNs(5_999_999_999), &mut w.out);
    assert!(w.out.is_empty());
    w.queries.expire(BootNs(6_000_000_000), &mut w.out);
    assert_eq!(w.lines(), ["AAAA a.test timeout"]);
    let told = &w.out[0].1;
    assert_eq!((told.verdict, told.shape, told.response), (Verdict::Error, Shape::Unary, None));
    w.at(K, 7000, &failure(7, "a.test", 28, 2));
    assert_eq!(w.out.len(), 1);
    // Only once: the next is one that nobody asked for.
    w.at(K, 7001, &failure(7, "a.test", 28, 2));
    assert_eq!(w.out.len(), 2);
}

#[test]
fn time_passes_with_the_datagrams_too() {
    let mut w = Watch::new();
    w.at(K, 0, &query(1, "a.test", 1)).at((2, 2), 6000, &query(1, "b.test", 1));
    assert_eq!(w.lines(), ["A a.test timeout"]);
    assert_eq!(w.out[0].0, K);
}

#[test]
fn asked_again_is_one_exchange() {
    let mut w = Watch::new();
    let first = query(7, "a.test", 1);
    w.at(K, 100, &first).at(K, 1100, &first).at(K, 2100, &query(8, "A.test", 1)).at(
        K,
        2200,
        &answer(8, "a.test"),
    );
    assert_eq!(w.lines(), ["A a.test NOERROR 10.0.0.1"]);
    let told = w.out[0].1.clone();
    assert_eq!(told.dns.unwrap().retries, 2);
    assert_eq!(
        (told.request.first, told.request.last),
        (ms(100), ms(100)),
        "the asker waited from the start"
    );
    assert_eq!(told.request.bytes, 3 * first.len() as u64);
    // The first one's answer came after all, and that of the second.
    w.at(K, 2300, &answer(7, "a.test"));
    assert_eq!(w.out.len(), 1);
    // And nothing waits any more.
    w.queries.end(&mut w.out);
    assert_eq!(w.out.len(), 1);
}

#[test]
fn a_retry_that_times_out_is_told_once_five_seconds_after_the_first() {
    let mut w = Watch::new();
    w.at(K, 0, &query(7, "a.test", 1)).at(K, 4000, &query(8, "a.test", 1));
    w.queries.expire(ms(5000), &mut w.out);
    assert_eq!(w.out.len(), 1);
    assert_eq!(w.out[0].1.dns.as_ref().unwrap().retries, 1);
    w.queries.expire(ms(60_000), &mut w.out);
    w.at(K, 60_001, &answer(8, "a.test"));
    assert_eq!(w.out.len(), 1);
}

/// glibc sends again after five seconds, give or take what a clock takes to be read.
#[test]
fn a_retry_at_the_last_moment_has_its_chance() {
    let q = query(7, "a.test", 1);
    let mut w = Watch::new();
    w.at(K, 0, &q).at(K, 4999, &q).at(K, 5001, &answer(7, "a.test"));
    assert_eq!(w.lines(), ["A a.test NOERROR 10.0.0.1"]);
    assert_eq!(w.out[0].1.dns.as_ref().unwrap().retries, 1);
    // A second more at most, however often it is sent.
    let mut w = Watch::new();
    for at in (0..60).map(|i| i * 100) {
        w.at(K, at, &q);
    }
    w.queries.expire(BootNs(5_999_999_999), &mut w.out);
    assert!(w.out.is_empty());
    w.queries.expire(ms(6000), &mut w.out);
    assert_eq!(w.lines(), ["A a.test timeout"]);
    assert_eq!(w.out[0].1.dns.as_ref().unwrap().retries, 59);
}

#[test]
fn in_parallel_on_one_socket() {
    let mut w = Watch::new();
    // Two types; the same question twice at once; another name with an id of its own.
    w.at(K, 1, &query(1, "a.test", 1)).at(K, 1, &query(2, "a.test", 28)).at(K, 2, &query(3, "a.test", 1));
    w.at(K, 5, &failure(2, "a.test", 28, 0)).at(K, 6, &answer(3, "a.test")).at(K, 7, &answer(1, "a.test"));
    assert_eq!(w.lines(), ["AAAA a.test NOERROR", "A a.test NOERROR 10.0.0.1", "A a.test NOERROR 10.0.0.1"]);
    assert!(w.out.iter().all(|(_, t)| t.dns.as_ref().unwrap().retries == 0 && t.request.bytes > 0));
    let keys: std::collections::HashSet<_> = w.out.iter().map(|(_, t)| t.key).collect();
    assert_eq!(keys.len(), 3);
}

#[test]
fn sockets_and_peers_are_apart() {
    let mut w = Watch::new();
    w.at((1, 1), 1, &query(1, "a.test", 1)).at((1, 2), 1, &query(1, "a.test", 1)).at(
        (2, 1),
        1,
        &query(1, "b.test", 1),
    );
    w.at((1, 2), 2, &answer(1, "a.test")).at((2, 1), 3, &answer(1, "b.test"));
    assert_eq!(w.out.iter().map(|(k, _)| *k).collect::<Vec<_>>(), [(1, 2), (2, 1)]);
    w.queries.end(&mut w.out);
    assert_eq!((w.out[2].0, w.out[2].1.verdict), ((1, 1), Verdict::Unknown));
}

/// Two resolvers that ask each other from port 53: each side has its own identifiers.
#[test]
fn both_sides_of_a_conversation_may_ask() {
    let mut w = Watch::new();
    let len = query(1, "a.test", 1).len() as u32;
    w.queries.datagram(K, C, ms(1), &query(1, "a.test", 1), len, &mut w.out);
    w.queries.datagram(K, S, ms(2), &query(1, "b.test", 1), len, &mut w.out);
    w.queries.datagram(K, S, ms(3), &failure(1, "a.test", 1, 2), len, &mut w.out);
    w.queries.datagram(K, C, ms(4), &failure(1, "b.test", 1, 5), len, &mut w.out);
    assert_eq!(w.lines(), ["A a.test SERVFAIL", "A b.test REFUSED"]);
    assert!(w.out.iter().all(|(_, t)| t.request.bytes == u64::from(len)));
}

#[test]
fn an_answer_without_its_query() {
    let mut w = Watch::new();
    w.at(K, 5, &answer(1, "a.test"));
    let told = &w.out[0].1;
    assert_eq!((told.request.bytes, told.request.last.known()), (0, None));
    assert_eq!((told.verdict, told.method.as_ref()), (Verdict::Ok, "A"));
    // An answer to another question than the one that waits under this id is such a one, too.
    w.at(K, 6, &query(2, "b.test", 1)).at(K, 7, &answer(2, "other.test")).at(K, 8, &answer(2, "b.test"));
    assert_eq!(w.lines()[1..], ["A other.test NOERROR 10.0.0.1", "A b.test NOERROR 10.0.0.1"]);
    assert_eq!((w.out[1].1.request.bytes, w.out[2].1.request.last), (0, ms(6)));
    // One without a question (FORMERR) is matched by its id.
    let formerr = [0, 3, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    w.at(K, 9, &query(3, "c.test", 1)).at(K, 10, &formerr);
    assert_eq!(w.lines()[3..], ["A c.test FORMERR"]);
}

#[test]
fn cut_captures_still_match() {
    let mut w = Watch::new();
    let (q, a) = (query(1, "a.test", 1), answer(1, "a.test"));
    w.queries.datagram(K, C, ms(1), &q[..14], q.len() as u32, &mut w.out);
    w.queries.datagram(K, S, ms(2), &a[..30], a.len() as u32, &mut w.out);
    assert_eq!(w.lines(), ["A a.test NOERROR"]);
    assert_eq!(w.out[0].1.response.unwrap().bytes, a.len() as u64);
    w.queries.datagram(K, C, ms(3), &q[..7], q.len() as u32, &mut w.out);
    assert_eq!(w.queries.take_undecoded(), q.len() as u64);
}

#[test]
fn an_id_that_is_used_again() {
    let mut w = Watch::new();
    w.at(K, 1, &query(1, "a.test", 1)).at(K, 2, &query(1, "b.test", 1)).at(K, 3, &answer(1, "b.test"));
    assert_eq!(
        w.lines(),
        ["A a.test its id was used again before an answer came", "A b.test NOERROR 10.0.0.1"]
    );
    assert_eq!(w.out[0].1.verdict, Verdict::Unknown);
}

#[test]
fn multicast_waits_for_nothing() {
    let mut w = Watch::new();
    let q = query(0, "printer.local", 1);
    w.queries.multicast(K, ms(1), &q, q.len() as u32, &mut w.out);
    w.queries.multicast(K, ms(2), &answer(0, "printer.local"), 40, &mut w.out);
    w.queries.expire(ms(100_000), &mut w.out);
    assert_eq!(w.lines(), ["A printer.local -", "A printer.local NOERROR 10.0.0.1"]);
    assert!(w.out.iter().all(|(_, t)| t.shape == Shape::OneWay));
    assert_eq!((w.out[0].1.response, w.out[1].1.request.bytes), (None, 0));
}

#[test]
fn other_operations_are_named() {
    let mut w = Watch::new();
    let notify = |flags| message(1, flags, [0; 3], "zone.test", 6, &[]);
    w.at(K, 1, &notify(0x2000)).at(K, 2, &notify(0xa000));
    assert_eq!(w.lines(), ["NOTIFY zone.test NOERROR"]);
}

#[test]
fn beyond_the_bound_the_oldest_is_told_as_unknown() {
    let mut queries = Queries::new(TIMEOUT_NS, 10);
    let mut out = Vec::new();
    let q: Vec<Vec<u8>> = (0..25).map(|i| query(i, &format!("n{i}.test"), 1)).collect();
    for (i, q) in q.iter().enumerate() {
        queries.datagram(K, C, ms(i as u64), q, 30, &mut out);
    }
    assert_eq!(out.len(), 15);
    assert!(out.iter().all(|(_, t)| t.verdict == Verdict::Unknown && t.response.is_none()));
    assert_eq!(line(&out[0].1), "A n0.test too many queries at once");
    // The answer to one of them, among the last ten, is late; those before are forgotten.
    queries.datagram(K, S, ms(30), &answer(14, "n14.test"), 46, &mut out);
    assert_eq!(out.len(), 15);
    queries.datagram(K, S, ms(31), &answer(0, "n0.test"), 46, &mut out);
    assert_eq!(out.len(), 16);
}

proptest! {
    /// Whatever comes in whatever order: every query is told exactly once, or was a retry; every
    /// answer is told, unless its query was before.
    #[test]
    fn nothing_is_told_twice_or_lost(
        steps in prop::collection::vec(
            (0u64..3, 0u16..4, 0usize..3, any::<bool>(), 0u64..2000, any::<bool>()), 0..120),
        capacity in 1usize..8,
    ) {
        let mut queries = Queries::new(TIMEOUT_NS, capacity);
        let mut out = Vec::new();
        let (mut asked, mut answered, mut now) = (0u64, 0u64, 0);
        for (key, id, name, is_answer, wait, back) in steps {
            // Clocks of two processors may be a little apart.
            now = if back { now - wait.min(now) / 100 } else { now + wait };
            let name = ["a.test", "b.test", "c.test"][name];
            let data = if is_answer { answer(id, name) } else { query(id, name, 1) };
            *(if is_answer { &mut answered } else { &mut asked }) += 1;
            queries.datagram((key, 0), speaker(&data).unwrap(), ms(now), &data, data.len() as u32, &mut out);
        }
        queries.end(&mut out);
        let told_asked: u64 = out.iter().filter(|(_, t)| t.request.bytes > 0)
            .map(|(_, t)| 1 + u64::from(t.dns.as_ref().unwrap().retries)).sum();
        let told_answered = out.iter().filter(|(_, t)| t.response.is_some()).count() as u64;
        prop_assert_eq!(told_asked, asked);
        // What is left came after its query was told: once for each time that it was asked.
        prop_assert!(told_answered <= answered && answered - told_answered <= asked);
        let before = out.len();
        queries.end(&mut out);
        queries.expire(BootNs(u64::MAX), &mut out);
        prop_assert_eq!(out.len(), before);
    }

    #[test]
    fn random_datagrams(data in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..50)) {
        let mut queries = Queries::new(TIMEOUT_NS, 4);
        let mut out = Vec::new();
        for (i, data) in data.iter().enumerate() {
            queries.datagram(K, C, BootNs(i as u64 * 1_000_000_000), data, data.len() as u32, &mut out);
            queries.multicast(K, BootNs(i as u64), data, data.len() as u32, &mut out);
        }
        queries.end(&mut out);
        prop_assert!(out.len() <= 2 * data.len());
    }
}
