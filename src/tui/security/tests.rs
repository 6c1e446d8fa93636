//! Security on the screen: letters, the findings, why.

use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use super::findings::{Finding, findings};
use super::identities::Identities;
use crate::model::{
    BootNs, Certificate, Connection, EntityId, Event, EventKind, Hook, HookState, SECURITIES, Security,
    Slice, Tls, Transport, Tunnel, Validity,
};
use crate::tui::feed::Feed;
use crate::tui::shown::Shown;
use crate::tui::state::{Detail, Pane, State};
use crate::tui::tests::shop::Shop;
use crate::tui::tests::{click, draw, edge_on, fed, find, lines, press, runs, text};
use crate::tui::theme::{Role, Theme};
use crate::world::security::{
    Around, Between, CertificateRow, Holder, MTLS, MixedRow, Report, StatusTally, Tally, Top, UnexplainedRow,
};
use crate::world::{EdgeId, NameTable};

pub(super) const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

pub(super) fn on_security() -> (Shop, State) {
    let mut shop = Shop::demo();
    let mut state = fed(&mut shop, 45);
    press(&mut state, "5");
    (shop, state)
}

/// A connection of the shop with this verdict.
pub(super) fn one(shop: &Shop, status: Security) -> Connection {
    let all = (0..12u64).flat_map(|flow| (0..200u64).map(move |n| (flow as usize, n)));
    let of = |c: &Connection| c.tls.as_ref().is_some_and(|t| t.status == status);
    let mut all = all.map(|(flow, n)| shop.connection(flow, 5_000 + n, false));
    all.find(of).or_else(|| (0..200).map(|n| shop.connection(1, 9_000 + n, true)).find(of)).unwrap()
}

pub(super) fn tell(state: &mut State, connection: Connection) {
    let connection = Arc::new(connection);
    let at = connection.changed;
    state.feed(Feed::Event(Event {
        sequence: 9_000,
        at,
        kind: EventKind::Established,
        connection,
        request: None,
    }));
}

/// Row of a text, and the style of its first cell.
fn style_of(buf: &Buffer, what: &str) -> (Color, Modifier) {
    let (x, y) = find(buf, what).unwrap_or_else(|| panic!("{what} is missing:\n{}", lines(buf).join("\n")));
    (buf[(x, y)].fg, buf[(x, y)].modifier)
}

#[test]
fn findings_stand_with_trouble_first_at_every_size() {
    let (shop, mut state) = on_security();
    tell(&mut state, one(&shop, Security::Failed));
    tell(&mut state, one(&shop, Security::Mtls));
    for (width, height) in [(80, 40), (120, 40), (200, 60)] {
        let buf = draw(&mut state, width, height);
        let screen = lines(&buf);
        // The first line names kinds, too.
        let row = |what: &str| {
            let at = screen.iter().skip(4).position(|l| l.contains(what));
            at.unwrap_or_else(|| panic!("{what}\n{screen:#?}")) + 4
        };
        let order = [
            row("× failed"),
            row("× expired 1 d"),
            row("× fallback"),
            row("! expires 6 d"),
            row("! plaintext"),
            row("! mixed"),
            row("! weak"),
            row("! expires 25 d"),
            row("! strict ready?"),
            row("! would break"),
            row("? unknown"),
            row("? not looked at"),
            row("· strict ready?"),
        ];
        assert!(order.is_sorted(), "{screen:#?}");
        assert!(screen[row("! plaintext")].contains("web → api :8080"));
        assert!(screen[row("× fallback")].contains("was M until"), "{screen:#?}");
        assert!(screen[row("! mixed")].contains("M97 P3"), "{screen:#?}");
        assert!(screen[row("× failed")].contains("the client said unknown"), "{screen:#?}");
        let styled = |y: usize| runs(&buf, y as u16, Theme::Dark);
        assert_eq!(styled(row("× failed"))[0], ("×".to_owned(), Role::Bad));
        assert_eq!(styled(row("! plaintext"))[0], ("!".to_owned(), Role::Warn));
        let trouble = |label: &str| [("!".to_owned(), Role::Warn), (label.to_owned(), Role::Warn)];
        assert_eq!(styled(row("! strict ready?"))[..2], trouble("strict ready?"));
        assert_eq!(styled(row("! would break"))[..2], trouble("would break"));
        // The first line: every letter that is there, in its colour.
        for letter in ["P", "M", "T", "R", "?", "I", "U", "F"] {
            assert!(screen[2].contains(letter), "{letter}: {}", screen[2]);
        }
        assert_eq!(style_of(&buf, "P "), (Color::Yellow, Modifier::empty()));
        assert!(screen.iter().any(|l| l.contains("connections on 10 edges · last 60 s")), "{screen:#?}");
    }
}

#[test]
fn a_few_kinds_have_their_names_and_a_bar_each() {
    let mut shop = Shop::demo();
    shop.flows.truncate(2);
    let mut state = fed(&mut shop, 45);
    press(&mut state, "5");
    for (width, _) in SIZES {
        let first = lines(&draw(&mut state, width, 24))[2].clone();
        assert!(first.contains("P plaintext") && first.contains("M mTLS"), "{first}");
        assert_eq!(first.matches(" %").count(), 2, "{first}");
        let bars: Vec<usize> =
            first.split(" %").skip(1).map(|b| b.chars().filter(|c| *c == '█').count()).collect();
        assert!(bars[0] > bars[1] && bars[1] > 0, "{first}");
    }
}

#[test]
fn edges_have_letters_or_a_mix_in_their_colours() {
    let mut state = fed(&mut Shop::demo(), 45);
    press(&mut state, "2");
    for (width, mix) in [(80, "MP"), (120, "M97 P3"), (200, "M97 P3")] {
        let buf = draw(&mut state, width, 30);
        let (x, y) = find(&buf, mix).unwrap();
        assert_eq!(find(&buf, "SEC").unwrap().0, x, "under its title");
        assert_eq!((buf[(x, y)].fg, buf[(x, y)].modifier), (Color::Green, Modifier::BOLD));
        let p = x + if width == 80 { 1 } else { 4 };
        assert_eq!((buf[(p, y)].symbol(), buf[(p, y)].fg), ("P", Color::Yellow));
        // Nobody looked at what is refused.
        let stock = find(&buf, "stock").unwrap().1;
        assert_eq!(buf[(x, stock)].symbol(), "-");
    }
    // Where nobody looks at all there is no column for it.
    let mut shop = Shop::demo();
    shop.flows.iter_mut().for_each(|f| f.secured = |_| &[]);
    let mut state = fed(&mut shop, 45);
    press(&mut state, "2");
    assert!(!text(&mut state, 80, 24).contains("SEC"));
}

#[test]
fn connections_have_one_letter() {
    let mut state = fed(&mut Shop::demo(), 45);
    press(&mut state, "3");
    let buf = draw(&mut state, 80, 40);
    let at = find(&buf, "SEC").unwrap().0;
    for (what, letter) in [("cache:6379", "U"), ("stock:9002", "-"), ("web            api:8080", "P")] {
        let y = find(&buf, what).unwrap().1;
        assert_eq!(buf[(at, y)].symbol(), letter, "{what}");
        assert_eq!(buf[(at + 1, y)].symbol(), " ", "{what}");
    }
}

#[test]
fn lines_on_the_map_have_letters() {
    let mut state = fed(&mut Shop::demo(), 45);
    let buf = draw(&mut state, 120, 40);
    let (x, y) = find(&buf, "MP ──▶").unwrap();
    assert_eq!((buf[(x, y)].fg, buf[(x + 1, y)].fg), (Color::Green, Color::Yellow));
    let wide = text(&mut state, 200, 60);
    assert!(wide.contains("M97 P3 "), "{wide}");
    // With little room the letter stays where the rate goes.
    let narrow = text(&mut state, 80, 24);
    assert!(narrow.contains("─U──▶") && narrow.contains("─MP──▶"), "{narrow}");
}

#[test]
fn a_finding_opens_its_edge_and_the_selection_follows_it() {
    let (mut shop, mut state) = on_security();
    let buf = draw(&mut state, 120, 40);
    let (x, y) = find(&buf, "mixed").unwrap();
    click(&mut state, x, y);
    let selected = state.security.selected.clone().unwrap();
    // A finding above it comes: the selection stays with the thing.
    tell(&mut state, one(&shop, Security::Failed));
    state.feed(Feed::Slice(Arc::new(shop.slice())));
    let buf = draw(&mut state, 120, 40);
    assert!(find(&buf, "mixed").unwrap().1 > y);
    assert_eq!(state.security.selected.as_ref(), Some(&selected));
    assert!(buf[find(&buf, "mixed").unwrap()].modifier.contains(Modifier::REVERSED));
    press(&mut state, "\n");
    assert_eq!(state.detail, edge_on(&state, 9001).map(Detail::Edge));
    press(&mut state, "\x1b↓");
    assert_ne!(state.security.selected, Some(selected));
    assert_eq!((state.pane, &state.detail), (Pane::Security, &None));
    press(&mut state, "y");
    assert!(state.copy.as_ref().is_some_and(|c| c.starts_with("weak orders → postgres")), "{:?}", state.copy);
}

#[test]
fn the_filter_narrows_findings() {
    let (_, mut state) = on_security();
    state.filter.set("plaintext to:api");
    let screen = text(&mut state, 120, 40);
    assert!(screen.contains("! plaintext") && !screen.contains("! weak"), "{screen}");
    state.filter.set("no-such-thing");
    assert!(text(&mut state, 120, 40).contains("no finding matches"));
}

/// Lines of a detail as one text, without frame and wrapping.
fn told(state: &mut State, width: u16) -> String {
    let screen = lines(&draw(state, width, 120));
    let inside = |l: &String| {
        let parts: Vec<&str> = l.split('│').collect();
        parts.get(parts.len().saturating_sub(2)).map(|p| p.trim().to_owned()).unwrap_or_default()
    };
    screen.iter().map(inside).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_verdict_says_why() {
    let (shop, mut state) = on_security();
    for status in SECURITIES {
        let c = one(&shop, status);
        let id = c.id;
        tell(&mut state, c);
        state.detail = Some(Detail::Connection(id));
        for width in [80, 120, 200] {
            let told = told(&mut state, width);
            let parts: &[&str] = match status {
                Security::Mtls => &[
                    MTLS,
                    "confirmed: a second proof agrees",
                    "TLS 1.3",
                    "TLS_AES_128_GCM_SHA256",
                    "X25519MLKEM768 · post-quantum",
                    "orders.shop",
                    "offered h2, http/1.1; what was chosen is not visible",
                    "spiffe://demo/ns/shop/sa/api",
                    "CN=demo-ca",
                    "400 d left",
                    "6 d left",
                    "P-256, 256 bits · chain of 2",
                    "observed    the server asked for a certificate",
                    "the server sent application data",
                ],
                Security::Plaintext => &["P plaintext no encryption that can be seen", "HTTP/1.1"],
                Security::Unknown => &["not decided: older than webb"],
                Security::Tls => &["T TLS       encrypted; the server did not ask for a client certificate"],
                Security::Resumed => {
                    &["began without a client certificate", "inherits    tls, by", "20 s ago", "0"]
                }
                Security::Implied => &["inferred, not read off the records", "Linkerd"],
                Security::Tunnel => &[
                    "inside of a tunnel that encrypts",
                    "tunnel      WireGuard",
                    "inside      plaintext",
                    "by its socket's route",
                ],
                Security::Failed => &[
                    "the client said unknown_ca to the server",
                    "SMTP, in the clear",
                    "× expired 2023-11-13",
                ],
            };
            for part in parts {
                assert!(told.contains(part), "{status:?} at {width}: {part} is missing: {told}");
            }
        }
    }
}

#[test]
fn the_edge_says_why_of_each_kind_the_worst_first() {
    let (shop, mut state) = on_security();
    for n in 0..200 {
        tell(&mut state, shop.connection(1, 20_000 + n, true));
    }
    state.detail = edge_on(&state, 9001).map(Detail::Edge);
    let told = told(&mut state, 120);
    let at = |what: &str| told.find(what).unwrap_or_else(|| panic!("{what}: {told}"));
    assert!(at("P plaintext no encryption") < at("M mTLS      the client presented"));
    assert!(told.contains("M mTLS 97 %  P plaintext 3 %  of "), "{told}");
    assert!(at("M mTLS      the client presented") < at("As seen by"), "asked from the findings: first");
    // From elsewhere latency is what is looked for.
    press(&mut state, "2");
    state.detail = edge_on(&state, 9001).map(Detail::Edge);
    let told = self::told(&mut state, 120);
    let at = |what: &str| told.find(what).unwrap_or_else(|| panic!("{what}: {told}"));
    assert!(at("M mTLS      the client presented") > at("As seen by"));
}

#[test]
fn strict_readiness_names_who_would_not_get_in() {
    let (_, mut state) = on_security();
    let screen = lines(&draw(&mut state, 160, 60));
    let at = screen.iter().position(|l| l.contains("strict ready? orders :9001")).unwrap();
    assert!(screen[at].contains("1 would break · 0 of 2 clients always present a cert"), "{}", screen[at]);
    assert!(screen[at + 1].contains("api") && screen[at + 1].contains("P plaintext"));
    assert!(screen[at + 1].contains("last seen") && screen[at + 1].contains(" of 1,"), "{}", screen[at + 1]);
    assert!(screen[at + 2].contains("batch") && screen[at + 2].contains("T not asked"), "{}", screen[at + 2]);
    // What far servers may require is theirs to decide.
    assert!(!screen.iter().any(|l| l.contains("strict ready? 93.184")));
}

#[test]
fn nothing_looked_at_is_explained() {
    let mut shop = Shop::demo();
    shop.flows.iter_mut().for_each(|f| f.secured = |_| &[]);
    let mut state = fed(&mut shop, 45);
    press(&mut state, "5");
    let screen = text(&mut state, 80, 24);
    assert!(screen.contains("No connection has been looked at yet"), "{screen}");
    let mut status = shop.status();
    status.hooks.push(Hook {
        datum: "requests".into(),
        hook: "cgroup_skb".into(),
        state: HookState::Off("--no-decode".into()),
        without: String::new(),
        advice: String::new(),
        essential: false,
    });
    state.feed(Feed::Status(Box::new(status.clone())));
    let screen = text(&mut state, 80, 24);
    assert!(screen.contains("decoding is off: --no-decode") && screen.contains("6 shows"), "{screen}");
    status.source = "sock_diag".into();
    state.feed(Feed::Status(Box::new(status)));
    let screen = text(&mut state, 80, 24);
    assert!(screen.contains("sock_diag shows connections only"), "{screen}");
    let mut state = State::default();
    state.feed(Feed::Snapshot {
        node: "n".into(),
        scope: "s".into(),
        totals: Slice::default(),
        history: vec![],
    });
    press(&mut state, "5");
    assert!(text(&mut state, 80, 24).contains("No connection has been looked at yet"));
}

#[test]
fn what_peers_say_cannot_move_the_cursor_or_overflow() {
    let (shop, mut state) = on_security();
    let evil = "\x1b[2J\u{202e}evil\n".repeat(40);
    let certificate = Certificate {
        subject: evil.as_str().into(),
        issuer: evil.as_str().into(),
        sans: vec![evil.as_str().into(); 64],
        spiffe: Some(evil.as_str().into()),
        not_before: i64::MIN,
        not_after: i64::MAX,
        key: evil.as_str().into(),
        key_bits: u32::MAX,
        chain: 255,
        fingerprint: 1,
    };
    let mut c = one(&shop, Security::Mtls);
    let id = c.id;
    let tls = |not_after| Tls {
        status: Security::Failed,
        sni: Some(evil.as_str().into()),
        alpn: Some(evil.as_str().into()),
        alpn_offered: vec![evil.as_str().into()],
        unknown: Some(evil.as_str().into()),
        after: Some(evil.as_str().into()),
        cipher: Some(0xfafa),
        version: Some(0xfafa),
        group: Some(0xfafa),
        alert: Some(255),
        evidence: vec![evil.as_str().into(); 24],
        client: Some(Box::new(Certificate { not_after, ..certificate.clone() })),
        server: Some(Box::new(certificate.clone())),
        ..Tls::default()
    };
    for not_after in [i64::MIN, 0, i64::MAX] {
        c.tls = Some(Arc::new(tls(not_after)));
        tell(&mut state, c.clone());
        for detail in [None, Some(Detail::Connection(id)), edge_on(&state, 9001).map(Detail::Edge)] {
            state.detail = detail;
            for (width, height) in [(40, 10), (80, 24), (120, 40), (200, 60)] {
                let screen = text(&mut state, width, height);
                assert!(!screen.contains('\x1b') && !screen.contains('\u{202e}'), "{screen}");
            }
        }
    }
    state.detail = None;
    assert!(text(&mut state, 200, 60).contains("\\x1b[2J\\u{202e}evil"));
}

/// The words of a report, line by line.
pub(super) fn said(report: &Report) -> Vec<String> {
    let line = |f: &Finding| {
        let words: String = f.words.iter().map(|w| w.0.as_str()).collect();
        format!("{} {} {words}", f.sign.0, f.label)
    };
    findings(report, &Shown::default(), &Identities::NotAsked).iter().map(line).collect()
}

#[test]
fn the_last_day_and_the_only_connection_read_as_such() {
    let workload = NameTable::default().workload(EntityId(1));
    let id = EdgeId {
        client: workload.id.clone(),
        server: workload.id.clone(),
        port: 443,
        transport: Transport::Tcp,
        role_known: true,
    };
    let edge = Between { id: id.clone(), client: workload.clone(), server: workload.clone() };
    let certificate = |validity| CertificateRow {
        certificate: Certificate::default(),
        validity,
        clients: Top::default(),
        servers: Top {
            rows: vec![Holder { workload: workload.clone(), edge: id.clone(), edges: 1 }],
            more: 0,
        },
        tally: Tally::default(),
    };
    let unexplained = |status, count| UnexplainedRow { edge: edge.clone(), status, count };
    let status = |status: Security, count, seen| {
        let around = Around {
            tunnel: Some(Tunnel::Wireguard),
            inside: Some(Security::Plaintext),
            ..Around::default()
        };
        let around = if status == Security::Tunnel { around } else { Around::default() };
        StatusTally { status, tally: Tally { count, seen, ..Tally::default() }, around }
    };
    let mut report = Report {
        certificates: Top {
            rows: vec![certificate(Validity::Expired(0)), certificate(Validity::Valid(0))],
            more: 0,
        },
        unexplained: Top {
            rows: vec![unexplained(Security::Failed, 2), unexplained(Security::Unknown, 1)],
            more: 0,
        },
        mixed: Top {
            rows: vec![MixedRow {
                edge: edge.clone(),
                statuses: vec![
                    status(Security::Plaintext, 1, BootNs(3_000_000_000)),
                    status(Security::Mtls, 2, BootNs(0)),
                    status(Security::Tunnel, 1, BootNs(0)),
                ],
                fallback: None,
                was: Security::Mtls,
                protected_until: BootNs(0),
            }],
            more: 0,
        },
        ..Report::default()
    };
    let lines = said(&report);
    assert!(lines[0].starts_with("× failed 2 in the window   none of them is at hand"), "{lines:?}");
    assert!(lines[1].starts_with("× expired today"), "{lines:?}");
    assert!(lines[2].starts_with("! expires today"), "{lines:?}");
    assert!(
        lines[3].starts_with("! mixed M50 P25 U25   U wireguard, plaintext inside   P last seen "),
        "{lines:?}"
    );
    assert!(lines[3].ends_with("   of 4 connections"), "{lines:?}");
    assert_eq!(lines[4], "? unknown 1 connection");
    report.mixed.rows[0].statuses[0].tally.open = true;
    assert!(said(&report)[3].contains("P open now   of 4"), "{lines:?}");
}
