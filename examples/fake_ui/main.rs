//! The UI over made-up data, for looking at it without privilege:
//! `cargo run --example fake_ui [large]`.

mod shop;

use std::sync::Arc;
use std::time::Duration;

use shop::Shop;
use tokio::sync::mpsc;
use webb::model;
use webb::tui::{Feed, UiOptions, Want, run};

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let mut shop = if arguments.iter().any(|a| a == "large") { Shop::large(60, 300) } else { Shop::demo() };
    let (feed, feed_out) = mpsc::channel(64);
    let (wants_in, mut wants) = mpsc::channel(8);
    let options = UiOptions { scope: "demo".into(), ..UiOptions::default() }
        .with_environment(|n| std::env::var(n).ok());
    tokio::spawn(async move {
        let history: Vec<Arc<_>> = (0..45).map(|_| Arc::new(shop.slice())).collect();
        let mut totals = model::Slice::default();
        history.iter().for_each(|s| webb::world::merge_adjacent(&mut totals, s));
        let (mut events, mut status, mut n) = (false, false, 0);
        let (mut requests, mut answered) = (false, 0);
        let _ =
            feed.send(Feed::Snapshot { node: "node1".into(), scope: "demo".into(), totals, history }).await;
        let mut fifth = tokio::time::interval(Duration::from_millis(200));
        let mut second = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                _ = second.tick() => {
                    if feed.send(Feed::Slice(Arc::new(shop.slice()))).await.is_err() { return }
                    if status {
                        let _ = feed.send(Feed::Status(Box::new(shop.status()))).await;
                    }
                    for _ in 0..if events { 7 } else { 0 } {
                        let _ = feed.send(Feed::Event(shop.event(n))).await;
                        n += 1;
                    }
                }
                _ = fifth.tick(), if requests => {
                    for _ in 0..5 {
                        if let Some(event) = shop.request(answered) {
                            let _ = feed.send(Feed::Event(event)).await;
                        }
                        answered += 1;
                    }
                }
                want = wants.recv() => match want {
                    Some(Want::Events { on }) => events = on,
                    Some(Want::Requests { on, .. }) => requests = on,
                    Some(Want::Status { on }) => {
                        status = on;
                        if on {
                            let _ = feed.send(Feed::Status(Box::new(shop.status()))).await;
                        }
                    }
                    Some(Want::Connections { on: true }) => {
                        let list = (0..9).map(|i| Arc::new(shop.connection(i, 1_000_000 + i as u64, false))).collect();
                        let _ = feed.send(Feed::Connections { names: vec![], entities: vec![], list }).await;
                    }
                    Some(Want::Connections { on: false }) => {}
                    None => return,
                },
            }
        }
    });
    if let Err(error) = run(options, feed_out, wants_in).await {
        eprintln!("webb: {error}");
        std::process::exit(1);
    }
    std::process::exit(0);
}
