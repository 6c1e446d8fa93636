//! The UI over a made-up shop: whole screens, keys, mouse, every size.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::feed::{Feed, UiOptions, Want};
use super::state::{Detail, Pane, State};
use super::theme::{Role, Theme};
use super::view;
use crate::model;
use crate::world::merge_adjacent;
#[path = "../../examples/fake_ui/shop.rs"]
#[allow(dead_code, reason = "the example uses all of it")]
pub(super) mod shop;
use shop::Shop;

pub(super) fn fed(shop: &mut Shop, seconds: usize) -> State {
    let mut state = State::new(&UiOptions { scope: "demo".into(), ..UiOptions::default() });
    let history: Vec<Arc<model::Slice>> = (0..seconds).map(|_| Arc::new(shop.slice())).collect();
    let mut totals = model::Slice::default();
    history.iter().for_each(|s| merge_adjacent(&mut totals, s));
    state.feed(Feed::Snapshot { node: "node1".into(), scope: "demo".into(), totals, history });
    state.feed(Feed::Status(Box::new(shop.status())));
    let list = (0..9).map(|i| Arc::new(shop.connection(i, 1_000_000 + i as u64, false))).collect();
    state.feed(Feed::Connections { names: vec![], entities: vec![], list });
    (0..40).for_each(|n| state.feed(Feed::Event(shop.event(n))));
    for event in (0..120).filter_map(|n| shop.request(n)) {
        state.feed(Feed::Event(event));
    }
    state
}

pub(super) fn draw(state: &mut State, width: u16, height: u16) -> Buffer {
    state.size = Rect::new(0, 0, width, height);
    state.settle();
    let mut buf = Buffer::empty(state.size);
    state.hits = view::draw(state, &mut buf);
    buf
}

pub(super) fn lines(buf: &Buffer) -> Vec<String> {
    buf.content
        .chunks(buf.area.width.max(1).into())
        .map(|row| row.iter().map(|c| c.symbol()).collect::<String>().trim_end().to_owned())
        .collect()
}

pub(super) fn text(state: &mut State, width: u16, height: u16) -> String {
    lines(&draw(state, width, height)).join("\n")
}

pub(super) fn press(state: &mut State, keys: &str) {
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\x1b' => KeyCode::Esc,
            '\t' => KeyCode::Tab,
            '↑' => KeyCode::Up,
            '↓' => KeyCode::Down,
            '→' => KeyCode::Right,
            '←' => KeyCode::Left,
            c => KeyCode::Char(c),
        };
        state.key(&KeyEvent::new(code, KeyModifiers::NONE));
        draw(state, 120, 40);
    }
}

pub(super) fn click(state: &mut State, x: u16, y: u16) {
    let kind = MouseEventKind::Down(MouseButton::Left);
    state.mouse(&MouseEvent { kind, column: x, row: y, modifiers: KeyModifiers::NONE });
}

/// Column and row of a text on the screen.
pub(super) fn find(buf: &Buffer, what: &str) -> Option<(u16, u16)> {
    lines(buf).iter().enumerate().find_map(|(y, l)| {
        let at = l.find(what)?;
        Some((l[..at].chars().count() as u16, y as u16))
    })
}

/// Runs of one style in a row: (text, role), for roles that differ from plain text.
pub(super) fn runs(buf: &Buffer, y: u16, theme: Theme) -> Vec<(String, Role)> {
    let roles = [Role::Bad, Role::Warn, Role::Ok, Role::Accent, Role::Selected, Role::Strong, Role::Muted];
    let mut out: Vec<(String, Role)> = Vec::new();
    let mut last = None;
    for x in 0..buf.area.width {
        let cell = &buf[(x, y)];
        let role = roles.into_iter().find(|r| {
            let s = theme.style(*r);
            s.fg.unwrap_or_default() == cell.fg && s.add_modifier == cell.modifier
        });
        match (role, out.last_mut()) {
            (Some(r), Some((text, _))) if last == Some(r) => text.push_str(cell.symbol()),
            (Some(r), _) => out.push((cell.symbol().to_owned(), r)),
            (None, _) => {}
        }
        last = role;
    }
    out.into_iter().map(|(t, r)| (t.trim().to_owned(), r)).filter(|(t, _)| !t.is_empty()).collect()
}

#[test]
fn the_map_shows_what_is_wrong_where_and_since_when() {
    let mut state = fed(&mut Shop::demo(), 45);
    let buf = draw(&mut state, 120, 40);
    let screen = lines(&buf).join("\n");
    for part in [
        "api :8080",
        "orders :9001",
        "stock :9002",
        "refused",
        "/s U ──▶",
        "× api → stock :9002",
        "since 22:13:41Z",
    ] {
        assert!(screen.contains(part), "{part} is missing:\n{screen}");
    }
    // The failing line and its box are bad, idle and normal lines are not.
    let (_, y) = find(&buf, "refused 6").unwrap();
    assert!(runs(&buf, y, Theme::Dark).iter().any(|(t, r)| t.starts_with("refused 6") && *r == Role::Bad));
    let bottom = runs(&buf, 38, Theme::Dark);
    assert_eq!(bottom[0], ("×".to_owned(), Role::Bad));
}

#[test]
fn on_a_small_screen_what_fails_comes_into_view_until_the_person_moves() {
    for (width, height) in [(60, 20), (70, 24), (80, 24)] {
        let mut state = fed(&mut Shop::demo(), 45);
        let screen = text(&mut state, width, height);
        assert!(screen.contains("┌ stock ") && screen.contains("× api → stock"), "{screen}");
        assert!(screen.contains("? help") && screen.contains("q quit"), "{screen}");
    }
    let mut state = fed(&mut Shop::demo(), 45);
    let first = text(&mut state, 60, 20);
    state.map.scroll_by(100, 100);
    let moved = text(&mut state, 60, 20);
    assert_ne!(first, moved);
    state.show();
    assert_eq!(text(&mut state, 60, 20), moved);
}

#[test]
fn all_rows_have_the_same_seconds_and_reasons_stand_in_one_column() {
    let mut shop = Shop::demo();
    let mut state = fed(&mut shop, 45);
    press(&mut state, "2");
    for width in [80, 200] {
        let buf = draw(&mut state, width, 30);
        let at = find(&buf, "http errors").unwrap().0;
        assert_eq!(find(&buf, "refused").unwrap().0, at);
        let trend = find(&buf, "TREND").unwrap().0;
        for y in 3..13 {
            assert!((trend..at - 1).all(|x| buf[(x, y)].symbol() != " "), "{}", lines(&buf)[usize::from(y)]);
        }
    }
}

#[test]
fn the_header_says_scope_window_rate_loss_and_life() {
    let mut state = fed(&mut Shop::demo(), 45);
    let wide = lines(&draw(&mut state, 140, 30))[0].clone();
    for part in ["demo", "11 workloads", "12 edges", "last 60 s", "conn/s", "err", "loss 0", "● live"] {
        assert!(wide.contains(part), "{part}: {wide}");
    }
    let narrow = lines(&draw(&mut state, 80, 24))[0].clone();
    for part in ["demo", "last 60 s", "req/s", "err 1.7 %", "p99 ", "loss 0", "● live"] {
        assert!(narrow.contains(part), "{part}: {narrow}");
    }
    state.feed(Feed::Disconnected { why: "refused".into(), retry_in: Duration::from_secs(2) });
    let screen = text(&mut state, 80, 24);
    assert!(screen.contains("again in 2 s") && screen.contains("connection lost: refused"), "{screen}");
}

#[test]
fn trouble_stands_first_and_rows_do_not_jump() {
    let mut shop = Shop::demo();
    let mut state = fed(&mut shop, 45);
    press(&mut state, "2");
    let rows = |state: &mut State| -> Vec<String> {
        lines(&draw(state, 120, 30))[3..13].iter().map(|l| l.chars().take(32).collect()).collect()
    };
    let before = rows(&mut state);
    assert!(before[0].contains("api") && before[0].contains("stock"), "{before:?}");
    // While the person is busy rows stay, however traffic changes.
    shop.flows[0].fails = Some((model::Outcome::Refused, 1000));
    shop.flows[3].rate = 5_000.0;
    for s in 1..20 {
        state.tick(s * 1000);
        state.touched_ms = s * 1000;
        state.feed(Feed::Slice(Arc::new(shop.slice())));
        assert_eq!(rows(&mut state), before);
    }
    // Five quiet seconds later they are sorted.
    state.tick(26_000);
    assert_ne!(rows(&mut state), before);
}

#[test]
fn the_selection_follows_the_edge() {
    let mut state = fed(&mut Shop::demo(), 45);
    press(&mut state, "2↓↓");
    let selected = state.edges.selected.clone().unwrap();
    let marked = |state: &mut State| {
        let buf = draw(state, 120, 30);
        let row = (0..30).find(|y| buf[(1, *y)].modifier.contains(Modifier::REVERSED)).unwrap();
        lines(&buf)[usize::from(row)].clone()
    };
    assert!(marked(&mut state).contains(&*selected.server.name));
    press(&mut state, "sS");
    assert_eq!(state.edges.selected.as_ref(), Some(&selected));
    assert!(marked(&mut state).contains(&*selected.server.name));
}

#[test]
fn keys_may_come_faster_than_frames() {
    for first in ['1', '2', '3', '4', '5', '6'] {
        let mut state = fed(&mut Shop::demo(), 45);
        let keys = [KeyCode::Char(first), KeyCode::Down, KeyCode::PageDown, KeyCode::Enter, KeyCode::Up];
        for code in keys {
            state.key(&KeyEvent::new(code, KeyModifiers::NONE));
        }
        // Below the newest connection or request the list follows again: nothing is selected.
        assert_eq!(state.detail.is_some(), matches!(first, '1' | '2' | '5'), "pane {first}");
        assert!(!text(&mut state, 80, 24).is_empty());
    }
}

#[test]
fn sorting_by_a_column_and_around() {
    let mut state = fed(&mut Shop::demo(), 45);
    press(&mut state, "2");
    let buf = draw(&mut state, 120, 30);
    let (x, y) = find(&buf, "PORT").unwrap();
    click(&mut state, x, y);
    let ports = |state: &mut State| -> Vec<u16> {
        lines(&draw(state, 120, 30))[3..13]
            .iter()
            .map(|l| l.split_whitespace().nth(2).unwrap().parse().unwrap())
            .collect()
    };
    let rising = ports(&mut state);
    assert!(rising.is_sorted(), "{rising:?}");
    press(&mut state, "S");
    let falling = ports(&mut state);
    assert!(falling.iter().rev().is_sorted(), "{falling:?}");
}

/// The edge to a port on which the most is asked.
pub(super) fn edge_on(state: &State, port: u16) -> Option<crate::world::EdgeId> {
    let edges = state.shown.edges.iter().filter(|e| e.id().port == port);
    edges.max_by_key(|e| e.latency.map(|l| l.n)).map(|e| e.id().clone())
}

#[test]
fn keys_lead_through_the_views() {
    let mut state = fed(&mut Shop::demo(), 45);
    let wants = |connections, requests, port, status| {
        [
            Want::Connections { on: connections },
            Want::Events { on: connections },
            Want::Requests { on: requests, port },
            Want::Status { on: status },
        ]
    };
    assert_eq!(state.wants(), wants(false, false, None, false));
    press(&mut state, "3");
    assert_eq!((state.pane, state.wants()), (Pane::Connections, wants(true, false, None, false)));
    press(&mut state, "\t");
    assert_eq!((state.pane, state.wants()), (Pane::Requests, wants(false, true, None, false)));
    press(&mut state, "\t");
    assert_eq!((state.pane, state.wants()), (Pane::Security, wants(true, false, None, false)));
    press(&mut state, "\t");
    assert_eq!((state.pane, state.wants()), (Pane::Agent, wants(false, false, None, true)));
    press(&mut state, "\t");
    assert_eq!(state.pane, Pane::Map);
    // The detail of an edge shows some of what is asked on it, and of connections why they are secure.
    press(&mut state, "2");
    state.edges.selected = edge_on(&state, 8080);
    press(&mut state, "\n");
    assert_eq!(state.wants(), wants(true, true, Some(8080), false));
    press(&mut state, "1?");
    assert!(text(&mut state, 120, 40).contains("opens and closes this help"));
    press(&mut state, "\x1b");
    assert!(!state.help && !state.quit);
    press(&mut state, "q");
    assert!(state.quit);
}

#[test]
fn details_open_beside_or_over() {
    let mut state = fed(&mut Shop::demo(), 45);
    press(&mut state, "→e\n");
    assert!(matches!(state.detail, Some(Detail::Edge(_))));
    let wide = text(&mut state, 120, 40);
    // The part of the map that is left shows both ends of the edge.
    assert!(wide.contains("As seen by") && wide.contains("┌ api ") && wide.contains("┌ stock "), "{wide}");
    let narrow = text(&mut state, 100, 40);
    assert!(narrow.contains("Evidence") && !narrow.contains("┌ api "), "{narrow}");
    press(&mut state, "\x1b");
    assert_eq!(state.detail, None);
    press(&mut state, "3↑\n");
    let screen = text(&mut state, 100, 40);
    for part in ["Client", "Server", "saw-connect", "/usr/bin/", "outcome"] {
        assert!(screen.contains(part), "{part}: {screen}");
    }
    press(&mut state, "1\x1b→\n");
    assert!(matches!(state.detail, Some(Detail::Workload(_))));
    assert!(text(&mut state, 120, 40).contains("Called by"));
}

#[test]
fn the_filter_narrows_and_says_what_is_wrong() {
    let mut state = fed(&mut Shop::demo(), 45);
    press(&mut state, "2/to:stock");
    let screen = text(&mut state, 120, 30);
    assert!(screen.contains("stock") && !screen.contains("postgres"), "{screen}");
    press(&mut state, " prot:80");
    let screen = text(&mut state, 120, 30);
    assert!(screen.contains("no such key \"prot:\"") && screen.contains("stock"), "{screen}");
    press(&mut state, "\x1b/nobody\n");
    let screen = text(&mut state, 120, 30);
    assert!(screen.contains("No edges match the filter nobody") && screen.contains("Esc clears"), "{screen}");
    press(&mut state, "q");
    assert!(state.quit, "after Enter keys act again");
}

#[test]
fn pausing_freezes_and_keeps() {
    let mut shop = Shop::demo();
    let mut state = fed(&mut shop, 45);
    press(&mut state, "2 ");
    let body = |state: &mut State| lines(&draw(state, 120, 30))[2..29].to_vec();
    let before = body(&mut state);
    for s in 1..8 {
        state.tick(s * 1000);
        state.feed(Feed::Slice(Arc::new(shop.slice())));
    }
    assert_eq!(body(&mut state), before);
    assert!(text(&mut state, 120, 30).contains("paused · 7 s behind"));
    let totals = state.world.totals().sequence;
    assert_eq!(totals, 52, "nothing is lost meanwhile");
    press(&mut state, " ");
    assert_ne!(body(&mut state), before);
}

#[test]
fn clicks_select_and_open() {
    let mut state = fed(&mut Shop::demo(), 45);
    let buf = draw(&mut state, 120, 40);
    let (x, y) = find(&buf, "orders :9001").unwrap();
    click(&mut state, x, y);
    assert_eq!(state.map.selected_node().map(|id| id.name.to_string()), Some("orders".into()));
    // The arrow into its first row.
    let (x, y) = (x - 3, y + 1);
    assert_eq!(buf[(x, y)].symbol(), "▶");
    click(&mut state, x, y);
    assert_eq!(state.map.selected_edge().map(|id| id.server.name.to_string()), Some("orders".into()));
    draw(&mut state, 120, 40);
    click(&mut state, x, y);
    assert!(matches!(state.detail, Some(Detail::Edge(_))));
    let buf = draw(&mut state, 120, 40);
    let (x, y) = find(&buf, "Edges").unwrap();
    click(&mut state, x, y);
    assert_eq!((state.pane, &state.detail), (Pane::Edges, &None));
}

#[test]
fn copying_takes_name_and_address_and_escapes() {
    let mut shop = Shop::demo();
    shop.services[3].0 = "st\x1b]52;c;evil\x07ock".into();
    let mut state = fed(&mut shop, 45);
    press(&mut state, "2↓y");
    let copied = state.copy.take().unwrap();
    assert_eq!(copied, "api → st\\x1b]52;c;evil\\x07ock :9002 (10.0.0.3:9002)");
}

#[test]
fn empty_views_explain_themselves() {
    let mut state = State::new(&UiOptions::default());
    assert!(text(&mut state, 80, 24).contains("Connecting to the agent"));
    state.feed(Feed::Snapshot {
        node: "n".into(),
        scope: "shop".into(),
        totals: model::Slice::default(),
        history: vec![],
    });
    let screen = text(&mut state, 80, 24);
    assert!(
        screen.contains("No connections in the last 60 s in scope shop.") && screen.contains("w widens"),
        "{screen}"
    );
    press(&mut state, "6");
    assert!(text(&mut state, 80, 24).contains("Asking the agent"));
    assert_eq!(text(&mut state, 30, 5).trim(), "webb needs 40x10, this is 30x5");
}

#[test]
fn a_silent_stream_is_not_called_live() {
    let mut state = fed(&mut Shop::demo(), 10);
    state.tick(9_000);
    assert!(text(&mut state, 80, 24).contains("silent for 9 s"));
}

#[test]
fn ascii_has_no_other_glyph() {
    let mut state = fed(&mut Shop::demo(), 45);
    state.ascii = true;
    for keys in ["1", "2", "3", "4", "\n", "5", "↓\n", "6", "?", "\x1b1→\n", "e"] {
        press(&mut state, keys);
        assert!(text(&mut state, 130, 40).is_ascii());
    }
}

#[test]
fn mono_has_no_colour_on_any_screen() {
    let mut state = fed(&mut Shop::demo(), 45);
    state.theme = Theme::Mono;
    for keys in ["1", "2", "↓↓\n", "3", "4", "↑\n", "5", "↓\n", "6", "?"] {
        press(&mut state, keys);
        let buf = draw(&mut state, 120, 40);
        assert!(
            buf.content
                .iter()
                .all(|c| c.fg == ratatui::style::Color::Reset && c.bg == ratatui::style::Color::Reset)
        );
    }
}

#[test]
fn boxes_stay_when_services_come() {
    let mut shop = Shop::demo();
    let mut state = fed(&mut shop, 45);
    state.tick(10_000);
    let before = draw(&mut state, 160, 50);
    let names = ["web", "api", "orders", "stock", "postgres", "cron", "mail", "batch"];
    let place = |buf: &Buffer, name: &str| find(buf, &format!("┌ {name} ")).unwrap();
    let old: Vec<_> = names.iter().map(|n| place(&before, n)).collect();
    for i in 0..6 {
        let new = shop.services.len();
        shop.services.push((format!("new{i}"), model::NameKind::Script));
        let mut flow = shop.flows[0].clone();
        flow.ends = (i % 8, new);
        flow.port = 7000;
        shop.flows.push(flow);
        let mut slice = shop.slice();
        slice.names.push(model::Name {
            entity: shop.entity(new),
            name: format!("new{i}").into(),
            kind: model::NameKind::Script,
            source: "test".into(),
            from: model::BootNs(1),
        });
        state.feed(Feed::Slice(Arc::new(slice)));
        state.tick(11_000 + i as u64);
        let buf = draw(&mut state, 160, 50);
        let now: Vec<_> = names.iter().map(|n| place(&buf, n)).collect();
        assert_eq!(now, old, "after new{i}");
    }
    assert!(text(&mut state, 160, 90).contains("new0"));
}

#[test]
fn a_large_world_is_folded_and_says_so() {
    let mut state = fed(&mut Shop::large(60, 300), 20);
    let screen = text(&mut state, 200, 60);
    assert!(screen.contains("folded"), "{screen}");
    assert!(screen.matches('┌').count() > 10);
}

/// A frame of 300 edges at 200x60. The bound here is for unoptimised builds on a busy machine; the
/// release figure is printed by `cargo test --release a_frame -- --nocapture`.
#[test]
fn a_frame_of_300_edges_is_quick() {
    let mut shop = Shop::large(60, 300);
    let mut state = fed(&mut shop, 120);
    assert_eq!(state.shown.edges.len(), 300);
    for (keys, what) in [("1", "map"), ("2", "edges"), ("5", "security")] {
        press(&mut state, keys);
        draw(&mut state, 200, 60);
        let mut least = [Duration::MAX; 2];
        for _ in 0..5 {
            let slice = Arc::new(shop.slice());
            let t = Instant::now();
            state.feed(Feed::Slice(slice));
            least[0] = least[0].min(t.elapsed());
            let t = Instant::now();
            draw(&mut state, 200, 60);
            least[1] = least[1].min(t.elapsed());
        }
        println!("{what}: slice {:?}, frame {:?}", least[0], least[1]);
        let t = Instant::now();
        let n = state.world.edges(60).len();
        println!("edges of {n}: {:?}", t.elapsed());
        assert!(least[1] < Duration::from_millis(400), "{what} {least:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]
    #[test]
    fn no_size_and_no_keys_do_harm(
        width in 1u16..=130, height in 1u16..=60,
        keys in "[1-6?/qwertsSyeE \n\x1b\t↑↓←→gGhjkl]{0,12}",
        clicks in proptest::collection::vec((0u16..130, 0u16..60), 0..4),
        large in any::<bool>(), ascii in any::<bool>(),
    ) {
        thread_local! {
            static SHOPS: [(Arc<Vec<Arc<model::Slice>>>, bool); 2] = [false, true].map(|large| {
                let mut shop = if large { Shop::large(40, 80) } else { Shop::demo() };
                (Arc::new((0..30).map(|_| Arc::new(shop.slice())).collect::<Vec<_>>()), large)
            });
        }
        let history = SHOPS.with(|s| s[usize::from(large)].0.clone());
        let mut shop = if large { Shop::large(40, 80) } else { Shop::demo() };
        let mut state = fed(&mut shop, 0);
        state.ascii = ascii;
        let mut totals = model::Slice::default();
        history.iter().for_each(|s| merge_adjacent(&mut totals, s));
        state.feed(Feed::Snapshot { node: "n".into(), scope: "s".into(), totals, history: history.to_vec() });
        draw(&mut state, width, height);
        for c in keys.chars() {
            press_at(&mut state, c);
            draw(&mut state, width, height);
        }
        for (x, y) in clicks {
            click(&mut state, x, y);
            let buf = draw(&mut state, width, height);
            prop_assert_eq!(buf.area, Rect::new(0, 0, width, height));
        }
        state.feed(Feed::Slice(Arc::new(shop.slice())));
        draw(&mut state, height, width);
    }
}

fn press_at(state: &mut State, c: char) {
    let size = state.size;
    let code = match c {
        '\n' => KeyCode::Enter,
        '\x1b' => KeyCode::Esc,
        '\t' => KeyCode::Tab,
        '↑' => KeyCode::Up,
        '↓' => KeyCode::Down,
        '→' => KeyCode::Right,
        '←' => KeyCode::Left,
        c => KeyCode::Char(c),
    };
    state.key(&KeyEvent::new(code, KeyModifiers::NONE));
    state.size = size;
}
