//! Peers that mean harm, or are broken: the server goes on serving, the client says what is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod api_common;

use std::pin::Pin;
use std::time::Duration;

use api_common::{LONG, slice, store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};
use webb::api::pb::{self, watch_slices_response::Message};
use webb::client::{Backoff, Client, ClientError, Follow, Target, Update};
use webb::model::{EntityId, Filter};
use webb::server::{Limits, serve_duplex};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

async fn raw(server: &mpsc::Sender<DuplexStream>) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    server.send(theirs).await.unwrap();
    ours
}

async fn works(server: &mpsc::Sender<DuplexStream>) {
    let mut client = Client::connect(&Target::InProcess(server.clone())).await.unwrap();
    timeout(LONG, client.status()).await.unwrap().unwrap();
}

/// Until the server closes; what it sends meanwhile is read.
async fn closed(mut peer: DuplexStream) {
    let mut all = Vec::new();
    let _ = timeout(LONG, peer.read_to_end(&mut all)).await.expect("the server closes");
}

#[tokio::test]
async fn the_server_survives_garbage() {
    let server = serve_duplex(store(|_| {}), Limits::default());
    let random: Vec<u8> = (0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let huge_frame = [PREFACE, SETTINGS, &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]].concat();
    let bad_padding = [PREFACE, SETTINGS, &[0, 0, 1, 1, 0x0c, 0, 0, 0, 1, 0xff]].concat();
    let bad_hpack = [PREFACE, SETTINGS, &[0, 0, 4, 1, 4, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]].concat();
    for bytes in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &random, &huge_frame, &bad_padding, &bad_hpack] {
        let mut peer = raw(&server).await;
        peer.write_all(bytes).await.unwrap();
        closed(peer).await;
        works(&server).await;
    }
}

#[tokio::test]
async fn endless_headers_end_the_connection() {
    let server = serve_duplex(store(|_| {}), Limits::default());
    let peer = raw(&server).await;
    let (mut from, mut to) = tokio::io::split(peer);
    let reading = tokio::spawn(async move {
        let mut all = Vec::new();
        let _ = from.read_to_end(&mut all).await;
    });
    // HEADERS without END_HEADERS, then CONTINUATION for ever, each 16 KiB of one long literal.
    to.write_all(&[PREFACE, SETTINGS, &[0, 0, 0, 1, 0, 0, 0, 0, 1]].concat()).await.unwrap();
    let mut frame = vec![0, 0x40, 0, 9, 0, 0, 0, 0, 1];
    frame.resize(9 + 0x4000, 0);
    let flood = async {
        let mut sent = 0u64;
        while to.write_all(&frame).await.is_ok() {
            sent += 1;
        }
        sent
    };
    let sent = timeout(LONG, flood).await.expect("the server ends it");
    assert!(sent < 1000, "{sent} frames were taken");
    reading.await.unwrap();
    works(&server).await;
}

#[tokio::test]
async fn who_never_begins_is_closed() {
    let limits = Limits { handshake: Duration::from_millis(10), ..Limits::default() };
    let store = store(|_| {});
    let server = serve_duplex(store.clone(), limits);
    let watch = async || Client::connect(&Target::InProcess(server.clone())).await?.watch_slices(None).await;
    let mut good = loop {
        // On a busy machine even this one may not begin in time.
        if let Ok(stream) = watch().await {
            break stream;
        }
    };
    good.next().await.unwrap().unwrap();
    for start in [&[][..], &PREFACE[..10], &[PREFACE, SETTINGS].concat()] {
        let mut slow = raw(&server).await;
        slow.write_all(start).await.unwrap();
        closed(slow).await;
    }
    // Whoever has begun stays: by now its time, too, would be over.
    store.seal(slice(1, 1)).unwrap();
    good.next().await.unwrap().unwrap();
}

#[tokio::test]
async fn one_connection_too_many_is_closed() {
    let server = serve_duplex(store(|_| {}), Limits { connections: 2, ..Limits::default() });
    let two = [raw(&server).await, raw(&server).await];
    let mut third = raw(&server).await;
    let _ = third.write_all(PREFACE).await;
    closed(third).await;
    drop(two);
    // Their room is free once the server has noticed.
    let again = async || Client::connect(&Target::InProcess(server.clone())).await?.status().await;
    while timeout(LONG, again()).await.expect("no hang").is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn requests_are_bounded_and_checked() {
    let server = serve_duplex(store(|_| {}), Limits::default());
    let mut client = Client::connect(&Target::InProcess(server.clone())).await.unwrap();
    for (entities, why) in [(1025, "more than 1024"), (20_000, "too large")] {
        let filter = Filter { entities: vec![EntityId(1); entities], ..Filter::default() };
        let error = client.watch_events(&filter, 0, true).await.err().expect("is refused").to_string();
        assert!(error.contains(why), "{error}");
    }
    // A peer that does not check what it sends.
    let filter = Some(pb::Filter { entities: vec![1; 20_000], ..pb::Filter::default() });
    let connect = server.clone();
    let channel = tonic::transport::Endpoint::from_static("http://x")
        .connect_with_connector(tower::service_fn(move |_| {
            let connect = connect.clone();
            async move {
                let (ours, theirs) = tokio::io::duplex(1 << 16);
                connect.send(theirs).await.map_err(std::io::Error::other)?;
                Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(ours))
            }
        }))
        .await
        .unwrap();
    let mut rpc = pb::webb_client::WebbClient::new(channel);
    let request = pb::ListConnectionsRequest { filter, all: true, limit: 0 };
    let code = rpc.list_connections(request).await.expect_err("is refused").code();
    assert_eq!(code, tonic::Code::OutOfRange);
    works(&server).await;
}

#[tokio::test]
async fn a_viewer_that_never_reads_holds_up_nobody() {
    let store = store(|c| c.history.bytes = 1 << 30);
    store.seal(slice(1, 5000)).unwrap();
    let server = serve_duplex(store.clone(), Limits::default());
    let mut client = Client::connect(&Target::InProcess(server.clone())).await.unwrap();
    let stalled: Vec<_> = {
        let mut all = Vec::new();
        for _ in 0..4 {
            all.push(client.watch_slices(None).await.unwrap());
        }
        all
    };
    for n in 2..=20 {
        store.seal(slice(n, 5)).unwrap();
        works(&server).await;
    }
    drop(stalled);
}

/// A server that sends these bytes to whoever connects, then reads.
fn bytes_server(bytes: Vec<u8>, stay: bool) -> Target {
    let (connect, mut incoming) = mpsc::channel::<DuplexStream>(1);
    tokio::spawn(async move {
        while let Some(mut viewer) = incoming.recv().await {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                let _ = viewer.write_all(&bytes).await;
                let mut sink = Vec::new();
                if stay {
                    let _ = viewer.read_to_end(&mut sink).await;
                }
            });
        }
    });
    Target::InProcess(connect)
}

#[tokio::test]
async fn the_client_says_what_is_wrong_with_a_server() {
    let huge_frame = [SETTINGS, &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]].concat();
    let random: Vec<u8> = (0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for (bytes, stay) in [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), true),
        (random, true),
        (huge_frame, true),
        (Vec::new(), false),
        (SETTINGS.to_vec(), false),
    ] {
        let target = bytes_server(bytes, stay);
        let answer = async { Client::connect(&target).await?.status().await };
        let error = timeout(LONG, answer).await.expect("no hang").expect_err("no answer");
        assert!(matches!(error, ClientError::Broken(_) | ClientError::Connect { .. }), "{error} ({error:?})");
        let mut follow = Follow::start(target, Backoff::default());
        loop {
            let update = timeout(LONG, follow.next()).await.expect("no hang").expect("never ends");
            if let Update::Disconnected { why, .. } = update {
                assert!(!why.is_empty() && why.lines().count() == 1);
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let target = bytes_server(SETTINGS.to_vec(), true);
    let client = Client::connect(&target).await.unwrap();
    let error = client.patience(Duration::from_millis(10)).status().await.expect_err("no answer");
    assert!(matches!(error, ClientError::Silent(_)), "{error}");
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

type Lie = fn() -> Answers<pb::WatchSlicesResponse>;

/// Speaks gRPC, and lies.
struct Liar(Lie);

#[tonic::async_trait]
impl pb::webb_server::Webb for Liar {
    type WatchSlicesStream = Answers<pb::WatchSlicesResponse>;
    type WatchEventsStream = Answers<pb::WatchEventsResponse>;
    type ListConnectionsStream = Answers<pb::ListConnectionsResponse>;

    async fn watch_slices(
        &self,
        _: Request<pb::WatchSlicesRequest>,
    ) -> Result<Response<Self::WatchSlicesStream>, Status> {
        Ok(Response::new(self.0()))
    }

    async fn watch_events(
        &self,
        _: Request<pb::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(pb::WatchEventsResponse::default())))))
    }

    async fn list_connections(
        &self,
        _: Request<pb::ListConnectionsRequest>,
    ) -> Result<Response<Self::ListConnectionsStream>, Status> {
        let page = pb::ListConnectionsResponse {
            connections: vec![pb::Connection::default(); 300],
            ..pb::ListConnectionsResponse::default()
        };
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(page)))))
    }

    async fn get_status(
        &self,
        _: Request<pb::GetStatusRequest>,
    ) -> Result<Response<pb::GetStatusResponse>, Status> {
        Err(Status::internal("\x1b[2J".repeat(300)))
    }
}

fn liar(answers: Lie) -> Target {
    let (connect, incoming) = mpsc::channel::<DuplexStream>(1);
    let incoming = tokio_stream::wrappers::ReceiverStream::new(incoming).map(Ok::<_, std::io::Error>);
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(pb::webb_server::WebbServer::new(Liar(answers)))
            .serve_with_incoming(incoming),
    );
    Target::InProcess(connect)
}

fn message(message: Message) -> Result<pb::WatchSlicesResponse, Status> {
    Ok(pb::WatchSlicesResponse { message: Some(message) })
}

fn in_snapshot(s: pb::Slice) -> Answers<pb::WatchSlicesResponse> {
    let messages = vec![message(Message::Snapshot(pb::Snapshot::default())), message(Message::Totals(s))];
    Box::pin(tokio_stream::iter(messages))
}

#[tokio::test]
async fn lies_in_a_stream_of_slices_are_errors() {
    let lies: [(Lie, &str); 6] = [
        (|| Box::pin(tokio_stream::once(Ok(pb::WatchSlicesResponse::default()))), "is empty"),
        (|| Box::pin(tokio_stream::once(message(Message::Slice(pb::Slice::default())))), "follow on"),
        (
            || {
                let edge = pb::Edge { server_addr: vec![0; 7], ..pb::Edge::default() };
                in_snapshot(pb::Slice { edges: vec![edge], ..pb::Slice::default() })
            },
            "has 7 bytes",
        ),
        (
            || {
                let name = pb::Name { kind: 99, ..pb::Name::default() };
                in_snapshot(pb::Slice { names: vec![name], ..pb::Slice::default() })
            },
            "unknown number 99",
        ),
        (
            || {
                let name = pb::Name { kind: 1, name: "x".repeat(2 << 20), ..pb::Name::default() };
                in_snapshot(pb::Slice { names: vec![name], ..pb::Slice::default() })
            },
            "too large",
        ),
        (
            || {
                let piece = || message(Message::Totals(pb::Slice { more: true, ..pb::Slice::default() }));
                let begin = message(Message::Snapshot(pb::Snapshot::default()));
                let other = message(Message::History(pb::Slice::default()));
                Box::pin(tokio_stream::iter(vec![begin, piece(), piece(), other]))
            },
            "broken off",
        ),
    ];
    for (answers, why) in lies {
        let mut client = Client::connect(&liar(answers)).await.unwrap();
        let mut stream = client.watch_slices(None).await.unwrap();
        let error = loop {
            match timeout(LONG, stream.next()).await.expect("no hang").expect("not before the error") {
                Ok(_) => {}
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains(why), "{error}");
        assert!(stream.next().await.is_none());
    }
}

#[tokio::test]
async fn other_lies_are_errors_and_their_text_is_harmless() {
    let mut client = Client::connect(&liar(|| Box::pin(tokio_stream::empty()))).await.unwrap();
    let mut events = client.watch_events(&Filter::default(), 0, true).await.unwrap();
    assert!(matches!(events.next().await, Some(Err(ClientError::Invalid(_)))));
    let mut pages = client.list_connections(&Filter::default(), true, None).await.unwrap();
    assert!(matches!(pages.next().await, Some(Err(ClientError::Invalid(_)))));
    let error = client.status().await.expect_err("is an error").to_string();
    assert!(error.len() < 1000 && !error.contains('\x1b'), "{error}");
    // A stream that ends at once is tried again, not taken for the truth.
    let mut follow = Follow::start(liar(|| Box::pin(tokio_stream::empty())), Backoff::default());
    loop {
        if let Some(Update::Disconnected { why, .. }) = timeout(LONG, follow.next()).await.expect("no hang") {
            assert_eq!(why, "the server ended the stream");
            break;
        }
    }
}
