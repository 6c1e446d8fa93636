//! What is asked, on the screen: the list of requests, figures of edges, details.

use std::sync::Arc;

use ratatui::layout::Rect;

use super::feed::{Feed, UiOptions};
use super::requests::KEPT;
use super::state::{Detail, State};
use super::tests::shop::Shop;
use super::tests::shop::asks::Target;
use super::tests::{click, draw, edge_on, fed, find, lines, press, runs, text};
use super::theme::{Role, Theme};
use crate::model::{self, Event, Request, Shape, Timing, Verdict};

/// The body of the list of requests, without its titles and its foot.
fn rows(state: &mut State) -> Vec<String> {
    let all = lines(&draw(state, 120, 30));
    all[3..28].iter().filter(|l| !l.is_empty()).cloned().collect()
}

fn on_requests(seconds: usize) -> (Shop, State) {
    let mut shop = Shop::demo();
    let mut state = fed(&mut shop, seconds);
    press(&mut state, "4");
    (shop, state)
}

fn feed(state: &mut State, shop: &mut Shop, numbers: std::ops::Range<u64>) {
    for n in numbers {
        state.feed(Feed::Event(shop.request(n).unwrap()));
    }
}

/// One request as it is shown, in the roles that differ from plain text.
fn shown_as(state: &mut State, change: impl FnOnce(&mut Request)) -> (String, Vec<(String, Role)>) {
    let event = Shop::demo().request(0).unwrap();
    let mut request = (**event.request.as_ref().unwrap()).clone();
    change(&mut request);
    state.requests.forget();
    state.feed(Feed::Event(Event { request: Some(Arc::new(request)), ..event }));
    let buf = draw(state, 120, 30);
    (lines(&buf)[3].clone(), runs(&buf, 3, Theme::Dark))
}

#[test]
fn the_newest_is_at_the_bottom_until_one_is_selected() {
    let (mut shop, mut state) = on_requests(45);
    let before = rows(&mut state);
    feed(&mut state, &mut shop, 120..125);
    let after = rows(&mut state);
    assert_eq!(after[..20], before[5..]);
    press(&mut state, "↑↑");
    let selected = state.requests.selected().unwrap();
    assert_eq!(selected.sequence, 124);
    let before = rows(&mut state);
    // Far more than are kept: what is looked at stays.
    feed(&mut state, &mut shop, 125..125 + 2 * KEPT as u64);
    assert_eq!(rows(&mut state), before);
    assert_eq!(state.requests.selected(), Some(selected));
    let screen = text(&mut state, 120, 30);
    assert!(screen.contains("4000 newer wait (the last 2000 are kept)"), "{screen}");
    press(&mut state, "G");
    let screen = text(&mut state, 120, 30);
    assert!(screen.contains("following the newest") && screen.contains("2000 of at most 2000"), "{screen}");
    press(&mut state, "↑");
    assert_eq!(state.requests.selected().unwrap().sequence, 125 + 2 * KEPT as u64);
    // Below the newest it follows again.
    press(&mut state, "↓");
    assert_eq!(state.requests.selected(), None);
}

#[test]
fn while_paused_requests_wait() {
    let (mut shop, mut state) = on_requests(45);
    press(&mut state, " ");
    let before = rows(&mut state);
    feed(&mut state, &mut shop, 120..130);
    assert_eq!(rows(&mut state), before);
    assert!(text(&mut state, 120, 30).contains("10 newer wait · paused"));
    press(&mut state, "↑G");
    assert_eq!(rows(&mut state), before, "G does not end the pause");
    press(&mut state, " ");
    assert_eq!(rows(&mut state)[..15], before[10..]);
}

#[test]
fn a_stream_that_is_opened_again_tells_nothing_twice() {
    let (mut shop, mut state) = on_requests(45);
    state.requests.forget();
    feed(&mut state, &mut shop, 20..30);
    feed(&mut state, &mut shop, 10..40);
    rows(&mut state);
    let numbers: Vec<u64> = (0..30)
        .map(|_| {
            press(&mut state, "↑");
            state.requests.selected().unwrap().sequence
        })
        .collect();
    assert_eq!(numbers, (11..=40).rev().collect::<Vec<_>>());
    // Another run of the agent counts anew.
    let totals = model::Slice { agent: model::AgentInstance(2), ..model::Slice::default() };
    state.feed(Feed::Snapshot { node: "n".into(), scope: "s".into(), totals, history: vec![] });
    feed(&mut state, &mut shop, 0..3);
    assert_eq!(rows(&mut state).len(), 3);
}

#[test]
fn the_filter_narrows_requests() {
    let (_, mut state) = on_requests(45);
    for (filter, all) in [
        ("err", vec!["×"]),
        ("proto:redis", vec![" redis "]),
        ("from:orders", vec!["orders → "]),
        ("nxdomain", vec![" dns ", "! NXDOMAIN"]),
        ("/orders/{id}", vec![" http ", "GET /orders/{id}"]),
    ] {
        state.filter.set(filter);
        let rows = rows(&mut state);
        assert!(!rows.is_empty(), "{filter}");
        assert!(rows.iter().all(|r| all.iter().all(|part| r.contains(part))), "{filter}: {rows:#?}");
    }
    state.filter.set("!proto:http !proto:grpc !proto:postgres !proto:redis !proto:dns");
    let screen = text(&mut state, 120, 30);
    assert!(screen.contains("No requests match the filter"), "{screen}");
}

#[test]
fn errors_are_red_with_a_sign_and_what_is_no_answer_has_no_latency() {
    let (_, mut state) = on_requests(45);
    let has = |runs: &[(String, Role)], text: &str, role| runs.contains(&(text.to_owned(), role));
    let (line, styled) = shown_as(&mut state, |r| {
        (r.verdict, r.status) = (Verdict::Error, Some("503".into()));
    });
    assert!(has(&styled, "× 503", Role::Bad) && line.contains("ms c"), "{line} {styled:?}");
    let (_, styled) = shown_as(&mut state, |r| {
        (r.verdict, r.status) = (Verdict::ClientError, Some("404".into()));
    });
    assert!(has(&styled, "! 404", Role::Warn), "{styled:?}");
    let (line, _) = shown_as(&mut state, |r| r.by_client = None);
    assert!(line.contains(" s "), "the server's view is marked: {line}");
    for (shape, word) in [(Shape::Stream, "stream"), (Shape::Wait, "wait"), (Shape::OneWay, "one-way")] {
        let (line, _) = shown_as(&mut state, |r| r.shape = shape);
        assert!(line.contains(word) && !line.contains("ms c"), "{line}");
    }
    let (line, styled) = shown_as(&mut state, |r| {
        (r.verdict, r.status) = (Verdict::Error, Some("timeout".into()));
        for t in [&mut r.by_client, &mut r.by_server].into_iter().flatten() {
            (t.answered, t.answered_all) = Default::default();
        }
    });
    assert!(has(&styled, "no answer", Role::Bad), "{line} {styled:?}");
    let (line, _) = shown_as(&mut state, |r| {
        (r.target, r.target_unknown) = (None, Some("its head lay in a gap".into()));
        (r.status, r.status_unknown, r.verdict) = (None, Some("it was not seen".into()), Verdict::Unknown);
    });
    assert!(line.contains("GET ?") && line.contains("  ? "), "{line}");
}

#[test]
fn a_request_opens_with_both_views_and_their_difference() {
    let (_, mut state) = on_requests(45);
    let second = |ms: u64| model::BootNs(1_000_000_000 + ms * 1_000_000);
    let timing = |first: u64, last: u64| Timing {
        asked: second(0),
        asked_all: second(1),
        answered: second(1 + first),
        answered_all: second(1 + last),
    };
    shown_as(&mut state, |r| {
        (r.by_client, r.by_server) = (Some(timing(50, 80)), Some(timing(30, 40)));
        r.note = "said more".into();
        r.target_unknown = Some("because".into());
    });
    press(&mut state, "↑\n");
    assert!(matches!(state.detail, Some(Detail::Request(_))));
    for (width, height) in [(80, 40), (120, 40), (200, 60)] {
        let screen = text(&mut state, width, height);
        for part in
            ["latency                 50 ms         30 ms", "full answer             80 ms         40 ms"]
        {
            assert!(screen.contains(part), "{part}: {screen}");
        }
        for part in
            ["network                 20 ms  the difference", "said more", "because", "web → api:8080"]
        {
            assert!(screen.contains(part), "{part}: {screen}");
        }
    }
    shown_as(&mut state, |r| r.by_server = None);
    state.detail = None;
    press(&mut state, "↑\n");
    assert!(text(&mut state, 120, 40).contains("the server's own time is not known"));
    // It stays open when the list no longer has it.
    state.requests.forget();
    assert!(text(&mut state, 120, 40).contains("the server's own time is not known"));
}

#[test]
fn clicks_select_requests() {
    let (_, mut state) = on_requests(45);
    let buf = draw(&mut state, 120, 30);
    let (x, y) = find(&buf, "SERVFAIL").unwrap();
    click(&mut state, x, y);
    let selected = state.requests.selected().unwrap();
    assert_eq!(selected.request.as_ref().unwrap().status.as_deref(), Some("SERVFAIL"));
    draw(&mut state, 120, 30);
    click(&mut state, x, y);
    assert_eq!(state.detail, Some(Detail::Request(selected)));
    press(&mut state, "y");
    assert!(state.copy.take().unwrap().starts_with("api → dns:53  dns AAAA payments.example.com"));
}

#[test]
fn an_empty_list_says_why() {
    let mut state = State::new(&UiOptions::default());
    press(&mut state, "4");
    assert!(text(&mut state, 80, 24).contains("Connecting to the agent"));
    let mut state = fed(&mut Shop::demo(), 45);
    press(&mut state, "4");
    state.requests.forget();
    assert!(text(&mut state, 80, 24).contains("No request was answered since"));
    let mut quiet = Shop::demo();
    for flow in &mut quiet.flows {
        flow.asks = None;
        flow.secured = |_| &[];
    }
    let mut state = fed(&mut quiet, 5);
    state.requests.forget();
    press(&mut state, "4");
    assert!(text(&mut state, 80, 24).contains("No request was seen yet."));
    let mut status = quiet.status();
    status.hooks.push(model::Hook {
        datum: "requests".into(),
        hook: "cgroup_skb".into(),
        state: model::HookState::Off("--no-requests was given".into()),
        without: String::new(),
        advice: "leave it out".into(),
        essential: false,
    });
    state.feed(Feed::Status(Box::new(status.clone())));
    let screen = text(&mut state, 80, 24);
    assert!(
        screen.contains("Requests are not decoded: --no-requests was given.")
            && screen.contains("leave it out")
    );
    // Without the hook nothing is there to decode: that is said, whatever was asked for.
    status.hooks.push(model::Hook {
        datum: model::Hook::SAID[0].into(),
        hook: "cgroup_skb/ingress".into(),
        state: model::HookState::Off("refused by the verifier: the helper is not known to it".into()),
        without: "no turns, no requests".into(),
        advice: "this kernel lacks what the program reads".into(),
        essential: false,
    });
    state.feed(Feed::Status(Box::new(status)));
    for (pane, what) in
        [("4", "Requests cannot be seen here: refused by the"), ("5", "Nothing can be looked at here:")]
    {
        press(&mut state, pane);
        // Too wide for the screen: it goes on below.
        let screen = text(&mut state, 60, 24);
        assert!(screen.contains(what), "{screen}");
        assert!(
            screen.contains("helper is not known to it.") && screen.contains("this kernel lacks"),
            "{screen}"
        );
    }
    let mut encrypted = Shop::demo();
    encrypted.flows.retain(|f| f.asks.is_none() || f.port == 443);
    let mut state = fed(&mut encrypted, 20);
    state.requests.forget();
    press(&mut state, "4");
    assert!(text(&mut state, 80, 24).contains("No protocol that can be decoded was seen"));
}

#[test]
fn edges_say_what_is_asked_and_what_is_only_timed() {
    let mut state = fed(&mut Shop::demo(), 45);
    press(&mut state, "2");
    let screen = lines(&draw(&mut state, 120, 30));
    let row = |port: &str| screen.iter().find(|l| l.contains(port)).unwrap().clone();
    for (port, parts) in [
        (" 8080 http ", vec!["http", " 1.7 % ", " ms  ", "http errors"]),
        (" 443 tls ", vec![" ms t "]),
        (" 6379 redis ", vec!["~117 "]),
        (" 9002 ", vec!["100 %", "refused"]),
    ] {
        let row = row(port);
        assert!(parts.iter().all(|p| row.contains(p)), "{row}");
    }
    assert!(!row(" 8080 http ").contains(" t ") && !row(" 443 tls ").contains('~'));
    assert!(lines(&draw(&mut state, 120, 30))[0].contains("~811 req/s"), "{}", screen[0]);
}

#[test]
fn a_server_that_answers_only_errors_fails_though_it_takes_connections() {
    let mut shop = Shop::demo();
    let mut state = fed(&mut shop, 20);
    static BAD: [Target; 1] = [Target {
        method: "GET",
        target: "/",
        share: 1000,
        tenths: 10,
        errors: (1000, "500"),
        client_errors: (0, ""),
        shape: Shape::Unary,
    }];
    if let Some(asks) = &mut shop.flows[0].asks {
        asks.targets = &BAD;
    }
    (0..5).for_each(|_| state.feed(Feed::Slice(Arc::new(shop.slice()))));
    let id = edge_on(&state, 8080).unwrap();
    let edge = state.shown.edge(&id).unwrap();
    assert_eq!(edge.trouble, super::shown::Trouble::Failing);
    assert_eq!(edge.row.failing_since, Some(model::BootNs(21_000_000_000)));
    state.edges.selected = Some(id);
    press(&mut state, "2\n");
    let screen = text(&mut state, 120, 40);
    assert!(screen.contains("/s http errors since 22:13:41Z"), "{screen}");
    assert!(screen.contains("last success 22:13:40Z"), "{screen}");
}

#[test]
fn the_detail_of_an_edge_shows_where_the_time_goes() {
    let mut state = fed(&mut Shop::demo(), 45);
    press(&mut state, "2");
    let mut detail = |port: u16| {
        state.edges.selected = edge_on(&state, port);
        state.detail = None;
        press(&mut state, "\n");
        text(&mut state, 120, 110)
    };
    let http = detail(8080);
    for part in [
        "Latency over time   requests",
        "  10 ms ┤",
        "Where the time goes   mean",
        "network ",
        "Paths    ",
        "GET /orders/{id} ",
        "Slowest   of the last 20 requests",
        "Turns   client bytes",
        "streams: went on after a pause",
        "! 0.3 % 4xx, not counted in err",
    ] {
        assert!(http.contains(part), "{part}: {http}");
    }
    let tls = detail(443);
    for part in ["turns, not decoded", "server view          -  not on this host", "recognised; what is said"]
    {
        assert!(tls.contains(part), "{part}: {tls}");
    }
    assert!(!tls.contains("req/s ·"), "{tls}");
    let redis = detail(6379);
    for part in ["not decoded: the figures are a lower bound", "waits: answered after 10 s or more", "BLPOP"]
    {
        assert!(redis.contains(part), "{part}: {redis}");
    }
    let dns = detail(53);
    for part in [
        "NXDOMAIN           118    30 %",
        "errors              20   5.1 %",
        "× timeout 1",
        "Names asked",
        "A stock.shop",
        "Failed   of the last",
        "no answer",
    ] {
        assert!(dns.contains(part), "{part}: {dns}");
    }
    assert!(!dns.contains("round trip"), "{dns}");
}

#[test]
fn a_close_look_is_taken_once_per_slice_and_stands_still_while_paused() {
    let mut shop = Shop::demo();
    let mut state = fed(&mut shop, 45);
    press(&mut state, "2");
    state.edges.selected = edge_on(&state, 8080);
    press(&mut state, "\n ");
    let before = text(&mut state, 120, 60);
    (0..3).for_each(|_| state.feed(Feed::Slice(Arc::new(shop.slice()))));
    let frozen = text(&mut state, 120, 60);
    assert_eq!(frozen.lines().skip(1).collect::<Vec<_>>(), before.lines().skip(1).collect::<Vec<_>>());
    // Opened anew while paused it still speaks of the same window.
    press(&mut state, "\n\n");
    assert_eq!(text(&mut state, 120, 60), frozen);
    press(&mut state, " ");
    assert_ne!(text(&mut state, 120, 60), frozen);
}

#[test]
fn hostile_requests_do_no_harm() {
    let (_, mut state) = on_requests(10);
    for protocol in model::PROTOCOLS {
        shown_as(&mut state, |r| {
            r.protocol = protocol;
            r.method = "\x1b[2J".repeat(50).into();
            r.target = Some("\u{202e}é日本".repeat(500).into());
            r.status = Some("\0".into());
            (r.request_bytes, r.response_bytes) = (u64::MAX, u64::MAX);
            let odd = Timing {
                asked: model::BootNs(u64::MAX),
                asked_all: model::BootNs(u64::MAX),
                answered: model::BootNs(1),
                answered_all: model::BootNs(u64::MAX),
            };
            (r.by_client, r.by_server) =
                (Some(odd), Some(Timing { answered: model::BootNs(u64::MAX), ..odd }));
        });
        press(&mut state, "↑\n");
        for (w, h) in [(40, 10), (80, 24), (120, 40), (200, 60)] {
            let screen = text(&mut state, w, h);
            assert!(!screen.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'));
        }
        press(&mut state, "\x1b\x1b");
    }
}

#[test]
fn details_fit_into_any_size() {
    let (_, mut state) = on_requests(45);
    let sizes = |state: &mut State| {
        for width in [1, 2, 10, 39, 40, 41, 47, 60, 79, 100, 119, 120, 121, 179, 200] {
            for height in [1, 2, 9, 10, 11, 24, 40, 120] {
                draw(state, width, height);
            }
        }
    };
    sizes(&mut state);
    press(&mut state, "↑↑\n");
    sizes(&mut state);
    for port in [8080, 5432, 443, 6379, 53, 9002] {
        press(&mut state, "2");
        state.edges.selected = edge_on(&state, port);
        press(&mut state, "\n");
        assert!(matches!(state.detail, Some(Detail::Edge(_))));
        sizes(&mut state);
        press(&mut state, "1");
    }
}

/// `WEBB_DUMP=1 cargo test --lib tui::tests_asked::dump -- --nocapture` prints every pane, to be looked at.
#[test]
fn dump() {
    let sizes = [(80, 24), (120, 40), (200, 60)];
    let mut state = fed(&mut Shop::demo(), 45);
    let print = std::env::var("WEBB_DUMP").unwrap_or_default();
    let show = |state: &mut State, what: &str| {
        for (w, h) in sizes {
            let screen = text(state, w, h);
            state.ascii = true;
            assert!(text(state, w, h).is_ascii(), "{what}");
            state.ascii = false;
            if print == "1" || print == what {
                println!("=== {what} {w}x{h}\n{screen}");
            }
        }
    };
    for (keys, what) in [("1", "map"), ("2", "edges"), ("3", "connections"), ("4", "requests")] {
        press(&mut state, keys);
        show(&mut state, what);
    }
    press(&mut state, "↑↑\n");
    show(&mut state, "request");
    press(&mut state, "\x1b2");
    for port in [8080, 5432, 443, 6379, 53] {
        state.edges.selected = edge_on(&state, port);
        press(&mut state, "\n");
        show(&mut state, &format!("edge{port}"));
        state.size = Rect::new(0, 0, 120, 90);
        if print == format!("edge{port}") {
            println!("{}", text(&mut state, 120, 100));
        }
        press(&mut state, "\x1b");
    }
    press(&mut state, "1→\n");
    show(&mut state, "workload");
    press(&mut state, "\x1b?");
    show(&mut state, "help");
}
