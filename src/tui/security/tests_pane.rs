//! The Security pane: since when, why something is missing, what is cut.

use std::sync::Arc;

use ratatui::buffer::Buffer;

use super::tests::{SIZES, on_security, one, said, tell};
use crate::model::{BootNs, Certificate, EntityId, Hook, HookState, Security, Tls, Transport};
use crate::tui::feed::Feed;
use crate::tui::tests::shop::Shop;
use crate::tui::tests::{draw, fed, lines, press, text};
use crate::tui::theme::{Role, Theme};
use crate::world::security::{Between, MTLS, Report, Top, UnlookedRow};
use crate::world::{EdgeId, NameTable};

#[test]
fn plaintext_has_a_since_when_and_certificates_a_last_seen() {
    let (shop, mut state) = on_security();
    let mut over = one(&shop, Security::Mtls);
    let tls = Tls::clone(over.tls.as_deref().unwrap());
    let certificate = |fingerprint: u64, days: i64| Certificate {
        not_after: 1_700_000_000 - days * 86_400,
        subject: format!("CN=ended-{fingerprint}").into(),
        fingerprint,
        ..Certificate::default()
    };
    let two =
        Tls { client: Some(Box::new(certificate(1, 2))), server: Some(Box::new(certificate(2, 3))), ..tls };
    over.tls = Some(Arc::new(two.clone()));
    over.state = crate::model::ConnectionState::Closed;
    let seen = BootNs(over.opened().0 + 4_000_000_000);
    over.client.end.iter_mut().chain(&mut over.server.end).for_each(|end| end.closed = seen);
    let mut open = one(&shop, Security::Mtls);
    open.id = crate::model::ConnectionId(77);
    open.tls = Some(Arc::new(Tls { client: None, ..two }));
    open.state = crate::model::ConnectionState::Open;
    open.client.end.iter_mut().chain(&mut open.server.end).for_each(|end| end.closed = BootNs(0));
    tell(&mut state, over);
    tell(&mut state, open);
    state.size = ratatui::layout::Rect::new(0, 0, 200, 60);
    state.settle();
    let seen = state.shown.clock.time(seen);
    for (width, height) in SIZES {
        let screen = text(&mut state, width, height);
        let line =
            |what: &str| screen.lines().find(|l| l.contains(what)).unwrap_or_else(|| panic!("{screen}"));
        assert!(line("! plaintext").contains("req/s   since "), "{}", line("! plaintext"));
        assert!(line("× expired 2 d").contains(&format!("last seen {seen}")), "{screen}");
        assert!(line("× expired 3 d").contains("in use   CN=ended-2"), "{screen}");
    }
}

#[test]
fn what_nobody_looked_at_is_named_with_the_reason_and_bounded() {
    let (_, mut state) = on_security();
    let screen = text(&mut state, 120, 40);
    assert!(screen.contains("1 edge not looked at"), "{screen}");
    let line = screen.lines().find(|l| l.contains("? not looked at")).unwrap();
    assert!(line.contains("api → stock :9002") && line.contains("nothing was said: refused"), "{line}");
    let workload = NameTable::default().workload(EntityId(1));
    let row = |port| UnlookedRow {
        edge: Between {
            id: EdgeId {
                client: workload.id.clone(),
                server: workload.id.clone(),
                port,
                transport: Transport::Tcp,
                role_known: true,
            },
            client: workload.clone(),
            server: workload.clone(),
        },
        why: "nothing was said".into(),
    };
    let unlooked = Top { rows: (0..30).map(row).collect(), more: 0 };
    let lines = said(&Report { looked: 1, unlooked, ..Report::default() });
    assert_eq!(lines.len(), 10, "{lines:?}");
    assert_eq!(lines[8], "? not looked at and 22 more edges");
    assert_eq!(lines[9], "· certificates none: no TLS was seen");
}

/// Of handshakes in TLS 1.3 only; and of nothing but such, where the shop's certificates are away.
#[test]
fn an_empty_list_of_certificates_says_why() {
    let mut shop = Shop::demo();
    shop.flows.truncate(3);
    shop.flows.iter_mut().for_each(|f| f.secured = |_| &[(Security::Tls, 100)]);
    let mut state = fed(&mut shop, 45);
    let mut hidden = one(&shop, Security::Tls);
    let mut tls = Tls::clone(hidden.tls.as_deref().unwrap());
    (tls.client, tls.server, tls.resumed) = (None, None, None);
    assert_eq!(tls.version, Some(0x0304));
    for i in 0..9 {
        let mut c = shop.connection(i % 3, 1_000_000 + i as u64, false);
        c.tls = Some(Arc::new(tls.clone()));
        tell(&mut state, c);
    }
    hidden.tls = Some(Arc::new(tls));
    tell(&mut state, hidden);
    press(&mut state, "5");
    for (width, height) in SIZES {
        let screen = text(&mut state, width, height);
        assert!(
            screen.contains("· certificates  none: TLS 1.3 hides them on the wire; --tls-id"),
            "{screen}"
        );
    }
    let hook = |state| Hook {
        datum: Hook::IDENTITIES.into(),
        hook: "uprobe".into(),
        state,
        without: String::new(),
        advice: String::new(),
        essential: false,
    };
    let mut status = shop.status();
    status.hooks.push(hook(HookState::On));
    state.feed(Feed::Status(Box::new(status)));
    let screen = text(&mut state, 200, 40);
    assert!(screen.contains("· certificates  none yet: TLS 1.3 hides them"), "{screen}");
}

#[test]
fn what_mtls_means_stands_in_the_pane_whole() {
    let (_, mut state) = on_security();
    for (width, height) in SIZES {
        for theme in [Theme::Dark, Theme::Mono] {
            state.theme = theme;
            let buf = draw(&mut state, width, height);
            let screen = lines(&buf).join(" ");
            let screen = screen.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(screen.contains(&format!("mTLS: {MTLS}")), "{screen}");
        }
    }
    // A few rows belong to findings.
    assert!(!text(&mut state, 80, 12).contains("mTLS: the client"));
}

#[test]
fn what_is_cut_has_an_ellipsis() {
    let words = [("ab", Role::Text), ("", Role::Muted), ("cdef", Role::Bad), (" g", Role::Muted)];
    let words = words.map(|(t, r)| (t.to_owned(), r));
    for width in 1..12 {
        let area = ratatui::layout::Rect::new(0, 0, 12, 1);
        let mut buf = Buffer::empty(area);
        let mut pen = crate::tui::pen::Pen::new(&mut buf, Theme::Dark, area);
        super::say(&mut pen, (0, 0), width, &words);
        let line = lines(&buf).remove(0);
        assert!(line.chars().count() <= usize::from(width), "{width}: {line:?}");
        assert!(if width < 8 { line.ends_with('…') } else { line == "abcdef g" }, "{width}: {line:?}");
    }
}
