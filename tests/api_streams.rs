//! The API between a client and a server in one process: snapshot, resume, loss, listings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod api_common;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use api_common::{LONG, Line, ME, connection, counted, far, name, slice, store};
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use webb::client::{Backoff, Client, Follow, Target, Update};
use webb::model::{
    AgentInstance, BootNs, ConnectionState, EventKind, EventMessage, Filter, Protocol, Request, Shape,
    SliceMessage, Status, Verdict,
};
use webb::server::{Limits, serve_duplex};
use webb::store::{HistoryLimits, Store};

const QUICK: Backoff = Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(5) };

async fn client(store: &Store) -> Client {
    Client::connect(&Target::InProcess(serve_duplex(store.clone(), Limits::default()))).await.unwrap()
}

/// What a viewer knows from its updates.
#[derive(Default)]
struct Seen {
    totals: (u64, u64),
    last: u64,
    snapshots: u32,
    gaps: Vec<String>,
    disconnects: u32,
}

impl Seen {
    fn take(&mut self, update: Update) {
        match update {
            Update::Snapshot(s) => {
                self.snapshots += 1;
                self.totals = counted(&s.totals);
                self.last = s.totals.sequence;
            }
            Update::Slice(s) => {
                assert_eq!(s.sequence, self.last + 1);
                let (opened, bytes) = counted(&s);
                self.totals = (self.totals.0 + opened, self.totals.1 + bytes);
                self.last = s.sequence;
            }
            Update::Gap(why) => self.gaps.push(why),
            Update::Disconnected { .. } => self.disconnects += 1,
            Update::Connecting | Update::Connected(_) => {}
        }
    }

    async fn until(&mut self, follow: &mut Follow, done: impl Fn(&Seen) -> bool) {
        while !done(self) {
            let update = timeout(LONG, follow.next()).await.expect("in time").expect("never ends");
            self.take(update);
        }
    }
}

#[tokio::test]
async fn a_resume_counts_everything_once() {
    let store = store(|_| {});
    (1..=5).for_each(|n| store.seal(slice(n, 50)).unwrap());
    let line = Line::to(serve_duplex(store.clone(), Limits::default()));
    let mut follow = Follow::start(Target::InProcess(line.connect.clone()), QUICK);
    let mut seen = Seen::default();
    seen.until(&mut follow, |s| s.snapshots == 1).await;
    for n in 6..=60 {
        store.seal(slice(n, 50)).unwrap();
        if n % 7 == 0 {
            // Mid stream: some slices were received, others are on their way.
            line.cut();
        }
        if n % 5 == 0 {
            seen.until(&mut follow, |s| s.last == n).await;
        }
    }
    seen.until(&mut follow, |s| s.last == 60).await;
    assert_eq!(seen.totals, counted(&store.snapshot().totals));
    assert_eq!(seen.totals.0, 50 * (60 * 61 / 2));
    // Each cut was one, and nothing else broke the stream.
    assert_eq!((seen.snapshots, seen.gaps, seen.disconnects), (1, vec![], 8));
}

#[tokio::test]
async fn too_long_away_is_a_gap_and_a_snapshot() {
    let store = store(|c| c.history = HistoryLimits { fine: 5, coarse: 2, ..HistoryLimits::default() });
    store.seal(slice(1, 3)).unwrap();
    let line = Line::to(serve_duplex(store.clone(), Limits::default()));
    let mut follow = Follow::start(Target::InProcess(line.connect.clone()), QUICK);
    let mut seen = Seen::default();
    seen.until(&mut follow, |s| s.snapshots == 1).await;
    line.set(false);
    seen.until(&mut follow, |s| s.disconnects >= 2).await;
    (2..=100).for_each(|n| store.seal(slice(n, 3)).unwrap());
    line.set(true);
    seen.until(&mut follow, |s| s.snapshots == 2).await;
    store.seal(slice(101, 3)).unwrap();
    seen.until(&mut follow, |s| s.last == 101).await;
    assert_eq!(seen.gaps, ["the history no longer reaches back to what was last received"]);
    assert_eq!(seen.totals, counted(&store.snapshot().totals));
}

#[tokio::test]
async fn another_instance_is_a_gap() {
    let store = store(|_| {});
    store.seal(slice(1, 1)).unwrap();
    let mut client = client(&store).await;
    let resume = Some((AgentInstance(8), 1));
    let mut stream = client.watch_slices(resume).await.unwrap();
    let SliceMessage::Gap(why) = stream.next().await.unwrap().unwrap() else { panic!("no gap") };
    assert_eq!(why, "the agent was restarted");
    assert!(matches!(stream.next().await, Some(Ok(SliceMessage::Snapshot(_)))));
    // The same again, but there is nothing to resume in a new store.
    let mut stream = client.watch_slices(Some((ME, 2))).await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(SliceMessage::Gap(_)))));
}

#[tokio::test]
async fn a_large_snapshot_arrives_whole() {
    let store = store(|c| c.history.bytes = 1 << 30);
    (1..=3).for_each(|n| store.seal(slice(n, 8000)).unwrap());
    let mut stream = client(&store).await.watch_slices(None).await.unwrap();
    let Some(Ok(SliceMessage::Snapshot(got))) = timeout(LONG, stream.next()).await.unwrap() else {
        panic!("no snapshot")
    };
    let sent = store.snapshot();
    assert_eq!(got.totals, sent.totals);
    assert_eq!(got.history.len(), 3);
    for (got, sent) in got.history.iter().zip(&sent.history) {
        assert_eq!(got.edges, sent.edges);
        assert!(got.entities.is_empty() && got.names.is_empty());
    }
    store.seal(slice(4, 8000)).unwrap();
    let Some(Ok(SliceMessage::Slice(got))) = timeout(LONG, stream.next()).await.unwrap() else {
        panic!("no slice")
    };
    assert_eq!(*got, slice(4, 8000));
}

#[tokio::test]
async fn a_slow_watcher_is_told_exactly_what_it_missed() {
    const ALL: u64 = 20_000;
    let store = store(|c| c.event_history = 100);
    let mut stream = client(&store).await.watch_events(&Filter::default(), 0, true).await.unwrap();
    // One thread: nothing is read before all of this was published.
    for n in 1..=ALL {
        store.publish(vec![(BootNs(n), EventKind::Opened, connection(n, ConnectionState::Open))], &[], &[]);
    }
    let (mut received, mut missed, mut last) = (0, 0, 0);
    while last < ALL {
        match timeout(LONG, stream.next()).await.unwrap().unwrap().unwrap() {
            EventMessage::Event(e) => {
                received += 1;
                last = e.sequence;
                assert_eq!(received + missed, last);
            }
            EventMessage::Missed(n) => missed += n,
            EventMessage::Names(_) => {}
        }
    }
    assert_eq!(missed, ALL - 100);
    assert_eq!(received + missed, ALL);
}

#[tokio::test]
async fn events_are_filtered_named_and_counted_back() {
    let store = store(|_| {});
    store.learn(&[far(1), far(2)], &[name(&far(1))]);
    for n in 1..=10 {
        let (kind, state) = if n % 2 == 0 {
            (EventKind::Failed, ConnectionState::Failed)
        } else {
            (EventKind::Opened, ConnectionState::Open)
        };
        store.publish(vec![(BootNs(n), kind, connection(n, state))], &[], &[]);
    }
    let mut client = client(&store).await;
    let filter = Filter { failures_only: true, server_port: Some(80), ..Filter::default() };
    let got: Vec<_> = client
        .watch_events(&filter, 3, false)
        .await
        .unwrap()
        .map(|m| match m.unwrap() {
            EventMessage::Event(e) => e.sequence,
            EventMessage::Names(n) => 1000 + (n.entities.len() * 10 + n.names.len()) as u64,
            EventMessage::Missed(_) => 0,
        })
        .collect()
        .await;
    assert_eq!(got, [1021, 6, 8, 10]);
    let none = Filter { server_port: Some(81), ..Filter::default() };
    assert!(client.watch_events(&none, 3, false).await.unwrap().next().await.is_none());
}

/// What happened to connections and requests comes in the order of time, however much there is of each.
#[tokio::test]
async fn the_two_classes_of_events_are_sent_in_the_order_of_time() {
    let store = store(|_| {});
    store.learn(&[far(1), far(2)], &[name(&far(1))]);
    let request = Arc::new(request());
    for n in 0..2000u64 {
        // Runs of one class, longer than what is read at once.
        let c = connection(n, ConnectionState::Open);
        if n / 150 % 2 == 0 {
            store.publish(vec![(BootNs(n + 1), EventKind::Opened, c)], &[], &[]);
        } else {
            store.publish_requests(vec![(BootNs(n + 1), c, request.clone())], 0);
        }
    }
    let mut client = client(&store).await;
    for follow in [false, true] {
        let messages = client.watch_events(&Filter::default(), 5000, follow).await.unwrap();
        let times = messages.filter_map(|m| match m.unwrap() {
            EventMessage::Event(e) => Some(e.at.0),
            EventMessage::Names(_) => None,
            EventMessage::Missed(n) => panic!("{n} missed"),
        });
        let times: Vec<u64> = times.take(2000).collect().await;
        assert_eq!(times, (1..=2000).collect::<Vec<_>>());
    }
}

fn request() -> Request {
    Request {
        protocol: Protocol::Http1,
        shape: Shape::Unary,
        method: "GET".into(),
        target: None,
        target_unknown: None,
        status: None,
        status_unknown: None,
        verdict: Verdict::Ok,
        by_client: None,
        by_server: None,
        request_bytes: 1,
        response_bytes: 1,
        note: "".into(),
        evidence: "test".into(),
    }
}

#[tokio::test]
async fn connections_come_in_pages_with_names() {
    let store = store(|_| {});
    store.learn(&[far(1), far(2)], &[name(&far(1)), name(&far(2))]);
    let state = |n| if n % 4 == 0 { ConnectionState::Open } else { ConnectionState::Closed };
    (1..=1000).for_each(|n| store.publish(vec![], &[connection(n, state(n))], &[]));
    let mut client = client(&store).await;
    for (all, limit, expect) in [(true, None, 1..=1000), (true, Some(300), 701..=1000)] {
        let mut pages = client.list_connections(&Filter::default(), all, limit).await.unwrap();
        let (mut ids, mut names) = (Vec::new(), HashMap::new());
        while let Some(page) = pages.next().await {
            let page = page.unwrap();
            assert!(page.connections.len() <= 256);
            names.extend(page.names.names.into_iter().map(|n| (n.entity, n.name)));
            ids.extend(page.connections.iter().map(|c| {
                assert!(names.contains_key(&c.client.entity), "named before or with its first use");
                assert_eq!(**c, *connection(c.id.0, state(c.id.0)));
                c.id.0
            }));
        }
        assert_eq!(ids, expect.collect::<Vec<_>>());
        assert_eq!(names.len(), 2);
    }
    let open = client.list_connections(&Filter::default(), false, None).await.unwrap();
    let open: usize = open.map(|p| p.unwrap().connections.len()).fold(0, |a, b| a + b).await;
    assert_eq!(open, 250);
}

#[tokio::test]
async fn status_health_and_reflection_answer() {
    let store = store(|_| {});
    let status = Status { agent: ME, node: "n".into(), state_seen: 9, ..Status::default() };
    store.set_status(status.clone());
    let connect = serve_duplex(store.clone(), Limits::default());
    let mut client = Client::connect(&Target::InProcess(connect.clone())).await.unwrap();
    assert_eq!(client.status().await.unwrap(), status);

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
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel.clone());
    for service in ["", "webb.v1.Webb"] {
        let request = tonic_health::pb::HealthCheckRequest { service: service.into() };
        assert_eq!(health.check(request).await.unwrap().into_inner().status, 1, "{service}");
    }
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol("webb.v1.Webb".into())),
    };
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    assert!(
        matches!(answer, MessageResponse::FileDescriptorResponse(f) if f.file_descriptor_proto.len() == 1)
    );
}

#[tokio::test]
async fn streams_are_bounded_and_refused_with_a_reason() {
    let store = store(|_| {});
    let limits = Limits { streams: 2, held: 1, ..Limits::default() };
    let mut client = Client::connect(&Target::InProcess(serve_duplex(store.clone(), limits))).await.unwrap();
    let first = client.watch_events(&Filter::default(), 0, true).await.unwrap();
    let second = client.watch_events(&Filter::default(), 0, true).await.unwrap();
    let why = client.watch_slices(None).await.err().expect("no room").to_string();
    assert_eq!(why, "the server said: this server has no room for more streams; close other viewers");
    drop(second);
    // The server learns of it when the reset arrives.
    while client.watch_slices(None).await.is_err() {
        tokio::task::yield_now().await;
    }
    drop(first);
}
