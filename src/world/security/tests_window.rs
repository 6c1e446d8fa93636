//! Reports of a window: more was counted than is at hand.

use super::tests::{NOW, S, connection, mtls, names, old_is_weak, plaintext, tls};
use super::*;
use crate::model::{ClientCert, Counters, Secured};
use crate::world::Point;

/// The edge of `client` to `server` with these counts, and these verdicts second by second.
fn edge(client: u64, server: u64, counts: &[(Security, u64)], trend: &[&[Security]]) -> EdgeRow {
    let names = names();
    let (client, server) = (names.workload(EntityId(client)), names.workload(EntityId(server)));
    let mut secured = Secured::default();
    counts.iter().for_each(|(s, n)| secured.closed[s.index()] = *n);
    let bits = |second: &&[Security]| second.iter().fold(0, |bits, s| bits | 1 << s.index());
    EdgeRow {
        id: EdgeId {
            client: client.id.clone(),
            server: server.id.clone(),
            port: 443,
            transport: Transport::Tcp,
            role_known: true,
        },
        client,
        server,
        addr: None,
        keys: Vec::new(),
        by_client: Some(Counters { secured: Some(Box::new(secured)), ..Counters::default() }),
        by_server: None,
        trend: trend.iter().map(|s| Point { opened: 1, secured: bits(s), ..Point::default() }).collect(),
        failing_since: None,
        last_success: None,
    }
}

fn report(window: &[EdgeRow], connections: &[Connection]) -> Report {
    let (names, window): (_, Vec<&EdgeRow>) = (names(), window.iter().collect());
    let given = Given {
        names: &names,
        now: NOW,
        utc: UtcOffset(0),
        weaknesses: old_is_weak,
        limit: 9,
        named: 9,
        window: Some(&window),
    };
    Report::new(connections, &given)
}

#[test]
fn the_window_counts_and_what_is_at_hand_explains() {
    use Security::{Failed, Mtls, Plaintext, Unknown};
    let window = [
        edge(1, 9, &[(Plaintext, 40), (Mtls, 60)], &[]),
        edge(2, 9, &[(Failed, 3), (Unknown, 2)], &[]),
        edge(3, 9, &[], &[&[]]),
    ];
    let at_hand = [
        connection(1, 9, 1, 2, plaintext()),
        connection(1, 9, 3, 4, None),
        // An edge that is not in the window, and failures that are not counted in it any more.
        connection(4, 9, 1, 2, plaintext()),
        connection(3, 9, 1, 2, tls(Failed, ClientCert::Unknown)),
    ];
    let r = report(&window, &at_hand);
    assert_eq!((r.looked, r.unlooked.total(), r.connections(), r.silent), (2, 1, 105, 0));
    assert_eq!((r.share(Plaintext), r.share(Mtls)), (40, 60));
    let row = &r.plaintext.rows[0];
    assert_eq!((r.plaintext.total(), row.tally.count, row.tally.seen), (1, 40, BootNs(2 * S)));
    let statuses: Vec<_> = r.mixed.rows[0].statuses.iter().map(|s| (s.status, s.tally.count)).collect();
    assert_eq!(statuses, [(Plaintext, 40), (Mtls, 60)]);
    assert_eq!((r.mixed.rows[0].fallback, r.mixed.rows[0].was), (None, Mtls));
    let unexplained: Vec<_> = r.unexplained.rows.iter().map(|u| (u.status, u.count)).collect();
    assert_eq!(unexplained, [(Failed, 3), (Unknown, 2)]);
    assert_eq!((r.failed.total(), r.failed.rows[0].current), (1, false));
    let at_hand = [connection(2, 9, 1, 2, tls(Failed, ClientCert::Unknown))];
    let r = report(&window, &at_hand);
    assert_eq!((r.failed.rows[0].tally.count, r.failed.rows[0].current), (1, true));
    assert!(r.unexplained.rows.iter().all(|u| u.status == Unknown), "{:?}", r.unexplained);
}

#[test]
fn edges_that_nobody_looked_at_are_named_with_the_reason() {
    let mut said = edge(1, 9, &[], &[&[]]);
    said.by_client.as_mut().unwrap().bytes_to_server = 7;
    let mut refused = edge(2, 9, &[], &[&[]]);
    refused.by_client.as_mut().unwrap().outcomes[crate::model::Outcome::Refused.index()] = 3;
    let mut datagrams = edge(4, 9, &[], &[&[]]);
    datagrams.id.transport = Transport::Udp;
    let window = [said, refused, edge(3, 9, &[], &[&[]]), datagrams, edge(5, 9, &[], &[])];
    let r = report(&window, &[]);
    let told: Vec<_> = r.unlooked.rows.iter().map(|u| (&*u.edge.client.id.name, &*u.why)).collect();
    let want = [("w1", NOBODY_LOOKED), ("w2", "nothing was said: refused"), ("w3", "nothing was said")];
    assert_eq!(told, want);
}

/// From the seconds of the window, and from what is at hand; and it does not move when that goes.
#[test]
fn plaintext_is_since_its_first_connection_or_second() {
    let (p, m): (&[_], &[_]) = (&[Security::Plaintext], &[Security::Mtls]);
    let of = |trend: &[&[Security]], at_hand: &[Connection]| {
        let counts = [(Security::Plaintext, 3), (Security::Mtls, 3)];
        report(&[edge(1, 9, &counts, trend)], at_hand)
    };
    let tally = |r: &Report| r.plaintext.rows[0].tally;
    let ago = |seconds: u64| BootNs(NOW.0 - seconds * S);
    let r = of(&[m, p, p, m], &[]);
    assert_eq!((tally(&r).first, tally(&r).before, tally(&r).seen), (ago(3), false, ago(1)));
    let r = of(&[p, p, m, m], &[]);
    assert_eq!((tally(&r).first, tally(&r).before, tally(&r).seen), (ago(4), true, ago(2)));
    let mut at_hand = [connection(1, 9, 100, 101, plaintext())];
    let r = of(&[p, p, m, m], &at_hand);
    assert_eq!((tally(&r).first, tally(&r).before), (BootNs(100 * S), false));
    let mut later = of(&[m, p, m, m], &[]);
    later.keep_beginnings(&r);
    assert_eq!((tally(&later).first, tally(&later).before), (BootNs(100 * S), false));
    at_hand[0].client.end.as_mut().unwrap().adopted = true;
    assert!(tally(&of(&[m, p], &at_hand)).before, "it is older than webb");
}

#[test]
fn a_fallback_is_less_for_some_seconds() {
    use Security::{Implied, Mtls, Plaintext, Resumed, Tls, Tunnel};
    let told = |trend: &[&[Security]]| {
        let counts: Vec<_> = trend.iter().flat_map(|s| s.iter()).map(|s| (*s, 1)).collect();
        let r = report(&[edge(1, 9, &counts, trend)], &[]);
        r.mixed.rows.first().and_then(|m| Some((m.was, m.protected_until, m.fallback?)))
    };
    let (m, p, t): (&[_], &[_], &[_]) = (&[Mtls], &[Plaintext], &[Tls]);
    // Seconds without a word count for nothing.
    let back: &[&[_]] = &[&[Mtls, Implied], p, p, &[], p, p, p];
    assert_eq!(told(back), Some((Mtls, BootNs(NOW.0 - 6 * S), Plaintext)));
    assert_eq!(told(&[m, p, p, p, p]), None, "may be chance");
    assert_eq!(told(&[m, t, t, t, p, t]), Some((Mtls, BootNs(NOW.0 - 5 * S), Tls)));
    assert_eq!(told(&[p, p, p, p, p, m]), None, "it became better");
    assert_eq!(told(&[m, p, p, p, p, p, &[Resumed]]), None, "what it inherits is not known");
    let implied: &[&[_]] = &[&[Implied], p, p, p, p, p];
    assert_eq!(told(implied).map(|f| f.0), Some(Implied), "not more than was said");
    let tunnel: &[&[_]] = &[&[Tunnel], p, p, p, p, p];
    assert_eq!(told(tunnel).map(|f| f.0), Some(Tunnel));
}

#[test]
fn a_verdict_of_the_window_is_what_its_newest_connection_is() {
    use Security::{Mtls, Resumed, Tls};
    let resumed = |inherits| {
        Some(crate::model::Tls {
            inherits: Some(inherits),
            ..tls(Resumed, ClientCert::NotAsked).unwrap_or_default()
        })
    };
    let window = [
        edge(1, 9, &[(Mtls, 5), (Resumed, 7)], &[]),
        edge(2, 9, &[(Tls, 40)], &[]),
        edge(3, 9, &[(Tls, 30)], &[]),
        edge(4, 9, &[(Resumed, 2)], &[]),
        // Silent now, and last seen without.
        edge(5, 9, &[], &[]),
    ];
    let at_hand = [
        connection(1, 9, 1, 2, resumed(Inherits::Mtls)),
        connection(2, 9, 1, 0, tls(Tls, ClientCert::NotAsked)),
        connection(2, 9, 3, 4, tls(Tls, ClientCert::Declined)),
        connection(5, 9, 6, 7, tls(Tls, ClientCert::NotAsked)),
        // Not what the window has of it any more.
        connection(1, 9, 1, 2, plaintext()),
    ];
    let r = report(&window, &at_hand);
    let server = &r.readiness.rows[0];
    assert_eq!((server.breaks, server.not_asked, server.ready), (1, 2, 1));
    let of = |name: &str| server.clients.rows.iter().find(|c| &*c.client.id.name == name).unwrap();
    assert_eq!((of("w1").ready, of("w1").presented.count), (Ready::Ready, 12));
    assert_eq!((of("w2").ready, of("w2").declined.count, of("w2").without().open), (Ready::Breaks, 40, true));
    // Without a certificate, and nothing at hand says whether it was asked.
    assert_eq!((of("w3").ready, of("w3").not_asked.count), (Ready::NotAsked, 30));
    assert_eq!(of("w3").not_asked.seen.known(), None);
    assert_eq!((of("w4").ready, of("w4").unknown.count), (Ready::Unknown, 2));
    assert_eq!((of("w5").not_asked.count, of("w5").without().seen), (1, BootNs(7 * S)));
    // Whoever is not at hand has an edge all the same.
    assert_eq!(&*of("w3").edge.client.name, "w3");
}

#[test]
fn a_certificate_names_the_edges_of_its_holders() {
    let certificate = |fingerprint| {
        let server = crate::model::Certificate { fingerprint, ..Default::default() };
        Some(crate::model::Tls { server: Some(Box::new(server)), ..mtls().unwrap_or_default() })
    };
    let window = [edge(1, 9, &[(Security::Mtls, 1)], &[]), edge(2, 9, &[(Security::Mtls, 1)], &[])];
    let at_hand = [connection(2, 9, 1, 2, certificate(7)), connection(1, 9, 1, 2, certificate(7))];
    let r = report(&window, &at_hand);
    let holders = &r.certificates.rows[0].servers.rows;
    assert_eq!((holders.len(), holders[0].edges, &*holders[0].edge.client.name), (1, 2, "w1"));
}
