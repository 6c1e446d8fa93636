//! Ground truth: what the workload did against what webb says, for equality.
#![cfg(all(target_os = "linux", feature = "agent"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{Cgroup, Workload, connections, lost, needs_root, settled, traffic, until, watch, watch_with};
use webb::model::{ConnectionState, Outcome, View};

#[test]
fn twenty_thousand_connections_to_the_byte() {
    needs_root();
    let cgroup = Cgroup::new("churn");
    let agent = watch(&[&cgroup]);
    let args = ["run", "--connections", "20000", "--bytes-to-server", "321", "--bytes-to-client", "1234"];
    let truth = Workload::spawn(cgroup.command(traffic()).args(args)).finish();
    assert_eq!(truth["connections"], 20_000);
    let status = settled(&agent);

    for ends in [status.ends.client, status.ends.server] {
        assert_eq!((ends.opened, ends.established, ends.closed, ends.failed), (20_000, 20_000, 20_000, 0));
    }
    let n = status.connections;
    assert_eq!((n.opened, n.established, n.closed, n.failed, n.live), (20_000, 20_000, 20_000, 0, 0));
    assert_eq!(lost(&status), []);
    assert_eq!(status.state_produced, status.state_seen);

    let list = connections(&agent);
    assert_eq!(list.len(), 20_000);
    for c in &list {
        let (client, server) = (c.client.end.as_ref().unwrap(), c.server.end.as_ref().unwrap());
        assert_eq!((client.seen.bytes_sent, client.seen.bytes_received), (321, 1234));
        assert_eq!((server.seen.bytes_sent, server.seen.bytes_received), (1234, 321));
        assert_eq!(c.outcome, Some(Outcome::Clean));
        assert_eq!(c.state, ConnectionState::Closed);
    }
    // The edges say the same, each view for itself, when the last of it is sealed.
    until("every closing is sealed", || {
        let totals = &agent.store().snapshot().totals;
        let closed = |view: fn(&webb::model::EdgeSlice) -> &Option<webb::model::Counters>| {
            totals.edges.iter().filter_map(|e| view(e).as_ref()).map(|c| c.closed).sum::<u64>()
        };
        (closed(|e| &e.by_client) >= 20_000 && closed(|e| &e.by_server) >= 20_000).then_some(())
    });
    let totals = &agent.store().snapshot().totals;
    for view in [View::Client, View::Server] {
        let of = |e: &webb::model::EdgeSlice| match view {
            View::Client => e.by_client.clone().unwrap_or_default(),
            View::Server => e.by_server.clone().unwrap_or_default(),
        };
        let sum =
            |f: &dyn Fn(&webb::model::Counters) -> u64| totals.edges.iter().map(|e| f(&of(e))).sum::<u64>();
        assert_eq!(sum(&|c| c.opened), 20_000);
        assert_eq!(sum(&|c| c.closed), 20_000);
        assert_eq!(sum(&|c| c.bytes_to_server), 20_000 * 321);
        assert_eq!(sum(&|c| c.bytes_to_client), 20_000 * 1234);
    }
}

#[test]
fn with_tiny_rings_seen_and_lost_are_what_was_produced() {
    needs_root();
    let cgroup = Cgroup::new("tiny");
    let agent = watch_with(&[&cgroup], Some(4096));
    let args = ["run", "--connections", "5000", "--concurrency", "16"];
    Workload::spawn(cgroup.command(traffic()).args(args)).finish();
    let status = settled(&agent);
    let lost: u64 =
        status.loss.0.iter().filter(|r| r.kind == webb::model::LossKind::State).map(|r| r.count).sum();
    assert!(lost > 0, "the ring was not small enough to lose anything");
    assert_eq!(status.state_seen + lost, status.state_produced);
    for ends in [status.ends.client, status.ends.server] {
        assert_eq!((ends.opened, ends.established, ends.closed), (5000, 5000, 5000));
    }
    // What was seen to open and not to close is gone when two walks did not meet it.
    until("all are reconciled", || (agent.store().status().connections.live == 0).then_some(()));
}
