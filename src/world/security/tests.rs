//! Reports of connections that are made up here.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::{
    Certificate, ClientCert, ConnectionId, End, EndId, EndState, Endpoint, Handshake, Name, NameKind, Owner,
    Role, RoleEvidence, SECURITIES, Seen, Side, Tunnel, Validity,
};

pub(super) const S: u64 = 1_000_000_000;
pub(super) const NOW: BootNs = BootNs(1000 * S);
const DAY: i64 = 86_400;

/// Entities n and n + 100 have one name, known in two ways; from 200 on there are addresses only.
pub(super) fn names() -> NameTable {
    let mut names = NameTable::default();
    for n in 0..200u64 {
        let name = format!("w{}", n % 100).into();
        let source = format!("source {}", n / 100).into();
        names.learn(&Name { entity: EntityId(n), name, kind: NameKind::Unit, source, from: BootNs(1) });
    }
    for n in 200..210u64 {
        let (name, source) = (format!("192.0.2.{n}").into(), "address".into());
        names.learn(&Name { entity: EntityId(n), name, kind: NameKind::Address, source, from: BootNs(1) });
    }
    names
}

/// From `client` to `server`, begun at the second `opened`, closed a second later unless 0.
pub(super) fn connection(client: u64, server: u64, opened: u64, closed: u64, tls: Option<Tls>) -> Connection {
    let address = |n| Endpoint::new(IpAddr::V4(Ipv4Addr::LOCALHOST), n);
    let end = End {
        id: EndId { netns_cookie: 1, cookie: 1, generation: 0 },
        local: address(40_000),
        peer: address(443),
        role: Role::Client,
        role_evidence: RoleEvidence::SawConnect,
        owner: Owner::default(),
        entity: EntityId(client),
        adopted: false,
        isns: None,
        opened: BootNs(opened * S),
        established: BootNs(opened * S),
        closed: BootNs(closed * S),
        state: EndState::Closed,
        outcome: None,
        seen: Seen { bytes_sent: 1, ..Seen::default() },
    };
    Connection {
        id: ConnectionId(1),
        transport: Transport::Tcp,
        state: if closed == 0 { ConnectionState::Open } else { ConnectionState::Closed },
        role_known: true,
        client: Side { address: address(40_000), entity: EntityId(client), end: Some(end) },
        server: Side { address: address(443), entity: EntityId(server), end: None },
        outcome: None,
        changed: BootNs(opened * S),
        tls: tls.map(Arc::new),
    }
}

pub(super) fn tls(status: Security, client_cert: ClientCert) -> Option<Tls> {
    Some(Tls { status, client_cert, ..Tls::default() })
}

pub(super) fn plaintext() -> Option<Tls> {
    tls(Security::Plaintext, ClientCert::Unknown)
}

pub(super) fn mtls() -> Option<Tls> {
    tls(Security::Mtls, ClientCert::Presented)
}

pub(super) fn old_is_weak(tls: &Tls) -> Vec<&'static str> {
    if tls.version.is_some_and(|v| v < 0x0303) { vec!["old-version"] } else { Vec::new() }
}

fn report(connections: &[Connection], limit: usize) -> Report {
    let names = names();
    let given = Given {
        names: &names,
        now: NOW,
        utc: UtcOffset(0),
        weaknesses: old_is_weak,
        limit,
        named: 8,
        window: None,
    };
    Report::new(connections, &given)
}

#[test]
fn a_fallback_is_plaintext_after_protection() {
    let row = |connections: &[Connection]| report(connections, 9).mixed.rows.pop();
    let back = row(&[connection(1, 2, 20, 21, plaintext()), connection(101, 2, 10, 15, mtls())]).unwrap();
    assert_eq!((back.fallback, back.protected_until), (Some(Security::Plaintext), BootNs(15 * S)));
    assert_eq!(back.was, Security::Mtls);
    let counts: Vec<_> = back.statuses.iter().map(|s| (s.status, s.tally.count)).collect();
    assert_eq!(counts, [(Security::Plaintext, 1), (Security::Mtls, 1)]);
    let better = [connection(1, 2, 10, 11, plaintext()), connection(1, 2, 20, 25, mtls())];
    assert_eq!(row(&better).unwrap().fallback, None);
    // A resumed session is what it comes from; a failed or unknown one is nothing.
    let resumed =
        Tls { inherits: Some(Inherits::Mtls), ..tls(Security::Resumed, ClientCert::NotAsked).unwrap() };
    let alike = [
        connection(1, 2, 10, 11, mtls()),
        connection(1, 2, 20, 0, Some(resumed)),
        connection(1, 2, 21, 22, tls(Security::Failed, ClientCert::Unknown)),
        connection(1, 2, 23, 24, tls(Security::Unknown, ClientCert::Unknown)),
    ];
    assert_eq!(row(&alike), None);
}

#[test]
fn plaintext_inside_of_a_tunnel_is_not_plaintext() {
    let inside = |inside, tunnel| {
        let (inside, tunnel) = (Some(inside), Some(tunnel));
        Some(Tls { inside, tunnel, ..tls(Security::Tunnel, ClientCert::Unknown).unwrap() })
    };
    let r = report(
        &[
            connection(1, 9, 1, 2, mtls()),
            connection(2, 9, 1, 2, inside(Security::Plaintext, Tunnel::Ipsec)),
            connection(3, 9, 1, 2, inside(Security::Unknown, Tunnel::Wireguard)),
            connection(4, 9, 1, 2, inside(Security::Unknown, Tunnel::Hbone)),
        ],
        9,
    );
    assert_eq!((r.share(Security::Plaintext), r.share(Security::Tunnel)), (0, 3));
    assert_eq!((r.plaintext.rows.len(), r.unknown.rows.len()), (0, 0));
    // But to require certificates of it would break it.
    let clients = &r.readiness.rows[0].clients.rows;
    let who: Vec<_> = clients.iter().map(|c| (c.plaintext.count, c.unknown.count)).collect();
    assert_eq!((who.len(), r.readiness.rows[0].breaks), (3, 1));
    assert!(who.contains(&(1, 0)) && who.contains(&(0, 1)), "{who:?}");
}

#[test]
fn what_is_open_was_seen_now() {
    let r = report(&[connection(1, 2, 10, 0, plaintext()), connection(1, 2, 20, 30, plaintext())], 9);
    assert_eq!(
        r.plaintext.rows[0].tally,
        Tally {
            count: 2,
            first: BootNs(10 * S),
            before: false,
            open: true,
            opened: BootNs(20 * S),
            seen: NOW
        }
    );
}

#[test]
fn requiring_certificates_breaks_those_without() {
    let resumed = |inherits| {
        Some(Tls { inherits: Some(inherits), ..tls(Security::Resumed, ClientCert::NotAsked).unwrap() })
    };
    let r = report(
        &[
            connection(1, 9, 1, 2, mtls()),
            connection(1, 9, 3, 4, resumed(Inherits::Mtls)),
            connection(2, 9, 1, 2, mtls()),
            connection(2, 9, 5, 6, tls(Security::Tls, ClientCert::Declined)),
            connection(3, 9, 7, 8, plaintext()),
            connection(4, 9, 7, 8, tls(Security::Tls, ClientCert::NotAsked)),
            connection(5, 9, 7, 8, resumed(Inherits::Unknown)),
            // It required one already.
            connection(6, 9, 7, 8, tls(Security::Failed, ClientCert::Declined)),
            // A certificate that was refused.
            connection(7, 9, 7, 8, tls(Security::Failed, ClientCert::Presented)),
            // No server of TLS.
            connection(1, 8, 1, 2, plaintext()),
        ],
        9,
    );
    assert_eq!(r.readiness.total(), 1);
    let server = &r.readiness.rows[0];
    assert_eq!((&*server.server.id.name, server.port), ("w9", 443));
    assert_eq!((server.breaks, server.not_asked, server.ready), (3, 1, 1));
    let clients: Vec<_> = server.clients.rows.iter().map(|c| (&*c.client.id.name, c.ready)).collect();
    let want = [
        ("w2", Ready::Breaks),
        ("w3", Ready::Breaks),
        ("w6", Ready::Breaks),
        ("w4", Ready::NotAsked),
        ("w5", Ready::Unknown),
        ("w1", Ready::Ready),
    ];
    assert_eq!(clients, want);
    assert_eq!(server.clients.rows[0].without().seen, BootNs(6 * S));
    assert_eq!((server.clients.rows[5].presented.count, server.clients.rows[5].without().count), (2, 0));
}

/// What a far server requires is not for this side to decide; in a capture nobody is near.
#[test]
fn far_servers_are_not_judged_but_where_all_is_far() {
    let of = |pairs: &[(u64, u64)]| {
        let one = |(c, s): &(u64, u64)| connection(*c, *s, 1, 2, tls(Security::Tls, ClientCert::NotAsked));
        report(&pairs.iter().map(one).collect::<Vec<_>>(), 9).readiness
    };
    assert!(of(&[(1, 201)]).is_empty(), "a far server of a client here");
    assert!(of(&[(1, 201), (202, 201)]).is_empty());
    assert_eq!(of(&[(202, 1)]).total(), 1, "a server here of a far client");
    assert_eq!(of(&[(202, 201)]).total(), 1, "a capture");
}

#[test]
fn handshakes_that_hide_their_certificates_are_counted() {
    let with = |version, change: fn(&mut Tls)| {
        let mut tls = Tls { version: Some(version), ..mtls().unwrap() };
        change(&mut tls);
        connection(1, 9, 1, 2, Some(tls))
    };
    let r = report(
        &[
            with(0x0304, |_| {}),
            with(0x0304, |t| t.client = Some(Box::default())),
            with(0x0304, |t| t.resumed = Some(crate::model::Resumption::Psk)),
            with(0x0304, |t| t.status = Security::Failed),
            with(0x0303, |_| {}),
        ],
        9,
    );
    assert_eq!((r.hidden, r.certificates.total()), (1, 1));
}

#[test]
fn what_is_around_the_newest_is_told() {
    let tunnel = |opened, tunnel, inside| {
        let tls = tls(Security::Tunnel, ClientCert::Unknown).unwrap();
        let tls = Tls { tunnel: Some(tunnel), inside: Some(inside), ..tls };
        connection(1, 9, opened, opened + 1, Some(tls))
    };
    let smtp = Tls { after: Some("SMTP".into()), ..plaintext().unwrap() };
    let all = [
        tunnel(1, Tunnel::Ipsec, Security::Unknown),
        tunnel(5, Tunnel::Wireguard, Security::Plaintext),
        connection(1, 9, 3, 4, Some(smtp)),
    ];
    let r = report(&all, 9);
    let said: Vec<_> = r.mixed.rows[0].statuses.iter().map(|s| (s.status, s.around.to_string())).collect();
    let want = [
        (Security::Plaintext, "after SMTP".to_owned()),
        (Security::Tunnel, "wireguard, plaintext inside".to_owned()),
    ];
    assert_eq!(said, want);
    assert_eq!(r.plaintext.rows[0].around.to_string(), "after SMTP");
}

#[test]
fn certificates_that_are_not_valid_come_first() {
    let now = 1000;
    let with = |fingerprint, not_before, not_after| {
        let certificate = Certificate { fingerprint, not_before, not_after, ..Certificate::default() };
        let client = Some(Box::new(certificate));
        connection(fingerprint, 9, 1, 2, Some(Tls { client, ..mtls().unwrap() }))
    };
    let r = report(
        &[
            with(1, 0, now + 40 * DAY),
            with(2, 0, now),
            with(3, 0, now - 1),
            with(4, now + 1, now + 90 * DAY),
            with(5, 0, now - 3 * DAY),
            with(105, 0, i64::MIN),
        ],
        9,
    );
    let rows: Vec<_> = r.certificates.rows.iter().map(|c| (c.certificate.fingerprint, c.validity)).collect();
    let over = u64::try_from((i128::from(now) - i128::from(i64::MIN)).min(i64::MAX.into()) / i128::from(DAY))
        .unwrap();
    let want = [
        (105, Validity::Expired(over)),
        (5, Validity::Expired(3)),
        (3, Validity::Expired(0)),
        (4, Validity::NotYet),
        (2, Validity::Valid(0)),
        (1, Validity::Valid(40)),
    ];
    assert_eq!(rows, want);
    assert_eq!(&*r.certificates.rows[1].clients.rows[0].workload.id.name, "w5");
}

#[test]
fn nobody_looked_is_unknown_and_silence_is_nothing() {
    let mut silent = connection(1, 2, 1, 2, None);
    silent.client.end.iter_mut().for_each(|end| end.seen.bytes_sent = 0);
    let mut datagrams = connection(1, 2, 1, 2, None);
    datagrams.transport = Transport::Udp;
    let mut refused = connection(1, 2, 1, 2, None);
    refused.state = ConnectionState::Failed;
    let r = report(&[silent, datagrams, refused, connection(1, 2, 1, 2, None)], 9);
    assert_eq!((r.silent, r.connections(), r.share(Security::Unknown)), (3, 1, 1));
    assert_eq!(&*r.unknown.rows[0].reason, NOBODY_LOOKED);
}

#[test]
fn what_is_left_out_is_counted() {
    let many: Vec<Connection> = (0..50)
        .map(|n| connection(n, 99, n + 1, n + 2, plaintext()))
        .chain([connection(7, 99, 1, 2, plaintext())])
        .collect();
    let r = report(&many, 10);
    assert_eq!((r.plaintext.rows.len(), r.plaintext.more, r.plaintext.total()), (10, 40, 50));
    assert_eq!(&*r.plaintext.rows[0].edge.client.id.name, "w7", "the one with two");
}

fn any_connection() -> impl Strategy<Value = Connection> {
    let inherits = prop_oneof![Just(None), Just(Some(Inherits::Tls)), Just(Some(Inherits::Mtls))];
    let verdict = (0..8usize, 1..5u8, inherits, 0..3u8, 0..3u64, any::<bool>());
    let said = (verdict, prop_oneof![Just(0x0301u16), Just(0x0303)], 0..3usize);
    (0..4u64, 0..3u64, 0..2u64, 1..9u64, 0..3u64, said, 0..12u8).prop_map(
        |(
            client,
            server,
            twin,
            opened,
            lasted,
            ((status, cert, inherits, alert, print, by), version, text),
            looked,
        )| {
            let text = ["", "older than webb", "padding"][text];
            let certificate =
                Certificate { fingerprint: print, not_after: 900 + print as i64, ..Certificate::default() };
            let tls = Tls {
                status: SECURITIES[status],
                client_cert: ClientCert::from_number(cert).unwrap(),
                inherits,
                unknown: (!text.is_empty()).then(|| text.into()),
                version: Some(version),
                cipher: Some(u16::from(alert)),
                handshake: Handshake::from_number(alert + 2).unwrap(),
                alert: (alert > 0).then_some(alert),
                alert_by_client: by,
                evidence: vec![text.into()],
                client: (print > 0).then(|| Box::new(certificate.clone())),
                server: (print > 1).then(|| Box::new(Certificate { chain: alert, ..certificate })),
                ..Tls::default()
            };
            let closed = if lasted == 0 { 0 } else { opened + lasted };
            connection(client + 100 * twin, server + 10, opened, closed, (looked > 0).then_some(tls))
        },
    )
}

proptest! {
    /// Any order of the connections, the same report; and it counts each of them once.
    #[test]
    fn order_makes_no_difference(
        (one, other) in proptest::collection::vec(any_connection(), 0..40)
            .prop_flat_map(|list| (Just(list.clone()), Just(list).prop_shuffle())),
        limit in 1..6usize,
    ) {
        let r = report(&one, limit);
        prop_assert_eq!(&r, &report(&other, limit));
        prop_assert_eq!(r.connections() + r.silent, one.len() as u64);
        let whole = report(&one, usize::MAX);
        prop_assert_eq!(whole.plaintext.total(), r.plaintext.total());
        let plaintext: u64 = whole.plaintext.rows.iter().map(|p| p.tally.count).sum();
        prop_assert_eq!(plaintext, r.share(Security::Plaintext));
        let failed: u64 = whole.failed.rows.iter().map(|p| p.tally.count).sum();
        prop_assert_eq!(failed, r.share(Security::Failed));
        let unknown: u64 = whole.unknown.rows.iter().map(|p| p.tally.count).sum();
        prop_assert_eq!(unknown, r.share(Security::Unknown));
        let more = Top::new(whole.certificates.rows.clone(), limit);
        prop_assert_eq!(&more.rows, &r.certificates.rows);
    }
}
