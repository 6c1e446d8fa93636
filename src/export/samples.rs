//! Objects for tests: rich ones in which everything is known, minimal ones in which nothing is.
//!
//! Shared by the unit tests of this room and by `tests/json_schema.rs`.
#![allow(dead_code, reason = "each of the two uses a part")]

use std::sync::Arc;

use proptest::strategy::Strategy;

use super::model::*;
use super::world::{EdgeId, EdgeRow, NameTable, Workload, WorkloadId, WorkloadRow};

#[path = "samples/secured.rs"]
mod secured;
pub use secured::*;

/// Boot time 0 is 2024-02-29 12:34:56.
pub const UTC: UtcOffset = UtcOffset(1_709_210_096_000_000_000);

const S: u64 = 1_000_000_000;
const WEB: EntityId = EntityId(0xa1);
const API: EntityId = EntityId(0xa2);
const FAR: EntityId = EntityId(0xa3);

/// Names of two workloads and a far address.
pub fn names() -> NameTable {
    let mut names = NameTable::default();
    for (entity, name, kind, source) in [
        (WEB, "shop/web", NameKind::Container, "cgroup path"),
        (API, "api.service", NameKind::Unit, "cgroup path"),
        (FAR, "192.0.2.7", NameKind::Address, "address"),
    ] {
        names.learn(&Name { entity, name: name.into(), kind, source: source.into(), from: BootNs(1) });
    }
    names
}

fn endpoint(addr: &str, port: u16) -> Endpoint {
    Endpoint::new(addr.parse().unwrap(), port)
}

fn end(role: Role, role_evidence: RoleEvidence) -> End {
    End {
        id: EndId { netns_cookie: 1, cookie: 7, generation: 0 },
        local: endpoint("10.0.0.1", 41234),
        peer: endpoint("10.0.0.2", 8080),
        role,
        role_evidence,
        owner: Owner {
            process: Some(Arc::new(Process {
                key: ProcessKey { pid: 812, start_ns: S },
                comm: "web".to_owned(),
                exe: Some("/usr/bin/web".to_owned()),
            })),
            evidence: OwnerEvidence::Opened,
            cgroup: 4711,
            cgroup_path: Some("/system.slice/web.service".into()),
            netns: 4_026_531_840,
        },
        entity: WEB,
        adopted: false,
        isns: None,
        opened: BootNs(S),
        established: BootNs(S + 1_200_000),
        closed: BootNs(5 * S + 123_456_789),
        state: EndState::Closed,
        outcome: Some(Outcome::Clean),
        seen: Seen {
            bytes_sent: 3400,
            bytes_received: 12_000,
            srtt_us: Some(95),
            min_rtt_us: Some(40),
            retransmits: 3,
            packets: Some((7, 9)),
        },
    }
}

/// Closed, both ends seen.
pub fn rich_connection() -> Connection {
    let mut server = end(Role::Server, RoleEvidence::ClonedFromListener);
    server.seen = Seen { bytes_sent: 12_000, bytes_received: 3400, ..server.seen };
    server.entity = API;
    server.owner.evidence = OwnerEvidence::Inherited;
    Connection {
        id: ConnectionId(0x630130fa3b7adb5f),
        transport: Transport::Tcp,
        state: ConnectionState::Closed,
        role_known: true,
        client: Side {
            address: endpoint("10.0.0.1", 41234),
            entity: WEB,
            end: Some(end(Role::Client, RoleEvidence::SawConnect)),
        },
        server: Side { address: endpoint("10.0.0.2", 8080), entity: API, end: Some(server) },
        outcome: Some(Outcome::Clean),
        changed: BootNs(5 * S),
        tls: None,
    }
}

/// Open and adopted: only the server's end was seen, its owner and its role are not known.
pub fn server_only() -> Connection {
    let mut c = rich_connection();
    c.client = Side { address: endpoint("192.0.2.7", 55_000), entity: FAR, end: None };
    c.server.end = Some(End {
        adopted: true,
        role: Role::Unknown,
        role_evidence: RoleEvidence::Unknown,
        state: EndState::Established,
        established: BootNs(0),
        closed: BootNs(0),
        outcome: None,
        owner: Owner { cgroup: 4711, ..Owner::default() },
        seen: Seen { bytes_sent: 5, ..Seen::default() },
        ..end(Role::Unknown, RoleEvidence::Unknown)
    });
    c.state = ConnectionState::Open;
    c.role_known = false;
    c.outcome = None;
    c
}

/// A process without a path, in a cgroup that is not known.
pub fn bare_owner() -> Connection {
    let mut c = rich_connection();
    if let Some(end) = &mut c.client.end {
        let key = ProcessKey { pid: 5, start_ns: 1 };
        end.owner.process = Some(Arc::new(Process { key, comm: "x".to_owned(), exe: None }));
        (end.owner.cgroup, end.owner.cgroup_path, end.owner.netns) = (0, None, 0);
    }
    c
}

/// Neither end, no time, no port.
pub fn minimal_connection() -> Connection {
    let side = |entity| Side { address: endpoint("::1", 0), entity, end: None };
    Connection {
        id: ConnectionId(1),
        transport: Transport::Tcp,
        state: ConnectionState::Opening,
        role_known: false,
        client: side(EntityId(1)),
        server: side(EntityId(2)),
        outcome: None,
        changed: BootNs(0),
        tls: None,
    }
}

/// The close of the rich connection.
pub fn event() -> Event {
    let connection = Arc::new(rich_connection());
    Event {
        sequence: 42,
        at: BootNs(5 * S + 123_456_789),
        kind: EventKind::Closed,
        connection,
        request: None,
    }
}

/// An answered request, seen at both ends.
pub fn rich_request() -> Event {
    let at = |us: u64| BootNs(4 * S + us * 1000);
    let by = |from: u64, latency: u64| {
        Some(Timing {
            asked: at(from),
            asked_all: at(from + 100),
            answered: at(from + 100 + latency),
            answered_all: at(from + 300 + latency),
        })
    };
    request_event(
        rich_connection(),
        Request {
            protocol: Protocol::Http1,
            shape: Shape::Unary,
            method: "GET".into(),
            target: Some("/orders/{id}".into()),
            target_unknown: None,
            status: Some("503".into()),
            status_unknown: None,
            verdict: Verdict::Error,
            by_client: by(0, 8200),
            by_server: by(40, 8000),
            request_bytes: 120,
            response_bytes: 3400,
            note: "retry-after".into(),
            evidence: "request line and status line".into(),
        },
    )
}

/// Of which nothing could be told but that there was one.
pub fn unknown_request() -> Event {
    let why = || Some("an earlier header block was missed".into());
    let mut e = rich_request();
    if let Some(r) = e.request.as_deref() {
        e.request = Some(Arc::new(Request {
            protocol: Protocol::Http2,
            target: None,
            target_unknown: why(),
            status: None,
            status_unknown: why(),
            verdict: Verdict::Unknown,
            by_client: Some(Timing { asked: BootNs(4 * S), ..Timing::default() }),
            by_server: None,
            ..r.clone()
        }));
    }
    e
}

/// A query that nobody answered.
pub fn unanswered_request() -> Event {
    let mut c = server_only();
    c.transport = Transport::Udp;
    let asked = BootNs(4 * S);
    request_event(
        c,
        Request {
            protocol: Protocol::Dns,
            shape: Shape::Unary,
            method: "A".into(),
            target: Some("api.shop.example".into()),
            target_unknown: None,
            status: Some("time-out".into()),
            status_unknown: None,
            verdict: Verdict::Error,
            by_client: None,
            by_server: Some(Timing { asked, asked_all: asked, ..Timing::default() }),
            request_bytes: 40,
            response_bytes: 0,
            note: "".into(),
            evidence: "DNS header".into(),
        },
    )
}

/// A message without anything, told by no end that is known.
pub fn minimal_request() -> Event {
    let mut e = request_event(
        minimal_connection(),
        Request {
            protocol: Protocol::Nats,
            shape: Shape::OneWay,
            method: "".into(),
            target: None,
            target_unknown: None,
            status: None,
            status_unknown: None,
            verdict: Verdict::Ok,
            by_client: None,
            by_server: None,
            request_bytes: 0,
            response_bytes: 0,
            note: "".into(),
            evidence: "PUB".into(),
        },
    );
    e.at = BootNs(0);
    e
}

fn request_event(c: Connection, r: Request) -> Event {
    Event {
        sequence: 7,
        at: BootNs(4 * S + 9_000_000),
        kind: EventKind::Request,
        connection: Arc::new(c),
        request: Some(Arc::new(r)),
    }
}

/// Requests in two protocols, one of them only recognised, and what was not decoded.
pub fn rich_asked() -> Asked {
    let mut a = Asked::default();
    let path = |n| -> Arc<str> { format!("/{n}").into() };
    let get: Arc<str> = "GET".into();
    for n in 0..TARGETS as u64 + 2 {
        let verdict = if n % 10 == 0 { Verdict::Error } else { Verdict::Ok };
        let latency = Some(1000 * (n + 1));
        a.protocol_mut(Protocol::Http1).tally.count(Shape::Unary, verdict, latency);
        a.protocol_mut(Protocol::Http1).full_us.record(1000 * (n + 1) + 500);
        a.target_mut(Protocol::Http1, &get, &path(n)).count(Shape::Unary, verdict, latency);
        a.turns.first_us.record(1000 * (n + 1));
        a.turns.full_us.record(1000 * (n + 1) + 500);
    }
    let publish: Arc<str> = "PUB".into();
    a.protocol_mut(Protocol::Nats).tally.count(Shape::OneWay, Verdict::Ok, None);
    a.targets.push(TargetCounts {
        protocol: Protocol::Nats,
        method: publish,
        target: "".into(),
        tally: a.protocols[1].tally.clone(),
    });
    a.protocol_mut(Protocol::Tls);
    a.undecoded_bytes = 900;
    a
}

/// Answers that nobody decoded.
pub fn turns_only() -> Asked {
    let mut a = Asked::default();
    a.turns.first_us.record(8200);
    a.turns.pushes = 2;
    a
}

fn workload(name: &str, kind: NameKind) -> Workload {
    Workload { id: WorkloadId { name: name.into(), kind }, source: "cgroup path".into() }
}

fn row(client: Workload, server: Workload) -> EdgeRow {
    let id = EdgeId {
        client: client.id.clone(),
        server: server.id.clone(),
        port: 8080,
        transport: Transport::Tcp,
        role_known: true,
    };
    EdgeRow {
        id,
        client,
        server,
        addr: None,
        keys: Vec::new(),
        by_client: None,
        by_server: None,
        trend: Vec::new(),
        failing_since: None,
        last_success: None,
    }
}

/// Both views, every outcome in the client's.
pub fn rich_edge() -> EdgeRow {
    let mut c = Counters {
        opened: 740,
        established: 662,
        closed: 650,
        adopted: 2,
        bytes_to_server: 3_400_000,
        bytes_to_client: 12_000_000,
        retransmits: 9,
        open: 14,
        ..Counters::default()
    };
    for (n, count) in c.outcomes.iter_mut().enumerate() {
        *count = n as u64 + 1;
    }
    for us in [900, 1200, 40_000] {
        c.connect_us.record(us);
        c.srtt_us.record(us / 10);
    }
    c.asked = Some(Box::new(rich_asked()));
    let mut secured = Secured::default();
    (secured.open[Security::Mtls.index()], secured.closed[Security::Mtls.index()]) = (14, 83);
    secured.closed[Security::Plaintext.index()] = 3;
    c.secured = Some(Box::new(secured));
    let addr = "10.0.0.2".parse().unwrap();
    let key = |client| EdgeKey {
        client,
        server: API,
        addr,
        port: 8080,
        transport: Transport::Tcp,
        role_known: true,
    };
    EdgeRow {
        addr: Some(addr),
        keys: vec![key(FAR), key(WEB), key(FAR)],
        by_server: Some(Counters { opened: 662, asked: Some(Box::new(turns_only())), ..Counters::default() }),
        by_client: Some(c),
        failing_since: Some(BootNs(3 * S)),
        last_success: Some(BootNs(2 * S)),
        ..row(workload("shop/web", NameKind::Container), workload("api.service", NameKind::Unit))
    }
}

/// Nothing counted, roles not known.
pub fn minimal_edge() -> EdgeRow {
    let mut row = row(workload("192.0.2.7", NameKind::Address), workload("api.service", NameKind::Unit));
    row.id.role_known = false;
    row.by_server = Some(Counters::default());
    row
}

/// An edge whose server has this name.
pub fn edge_of(name: &str) -> EdgeRow {
    row(workload("web", NameKind::Unit), workload(name, NameKind::Container))
}

/// Names that a hostile process, peer or path could give itself.
pub fn hostile() -> impl Strategy<Value = String> {
    use proptest::prelude::*;
    prop_oneof![
        "\\PC{1,12}",
        "[\\x00-\\x7f\u{9b}\u{202e}\u{200b}\u{2028}\u{e0041}]{1,12}",
        "([\"'`\\\\&#;:%{}<>|\\[\\]()\n-]|amp|quot|34|style|end|init|\\\\N|\u{fb02}\u{b0}|\u{b6}\u{df}){1,12}",
    ]
    // The client's name would stand for it, and a bare "web" is no test.
    .prop_filter("not the other node, not blank", |s| s != "web" && !s.trim().is_empty())
}

/// Serves and asks.
pub fn rich_workload() -> WorkloadRow {
    WorkloadRow {
        workload: workload("shop/web", NameKind::Container),
        entities: vec![WEB],
        opened: 12_345,
        served: 40,
        failures: 3,
        bytes: (3_400_000, 999),
        ports: vec![8443, 8080],
    }
}

/// Nothing counted.
pub fn minimal_workload() -> WorkloadRow {
    let workload = workload("192.0.2.7", NameKind::Address);
    WorkloadRow {
        workload,
        entities: Vec::new(),
        opened: 0,
        served: 0,
        failures: 0,
        bytes: (0, 0),
        ports: Vec::new(),
    }
}

/// Every kind of loss in every place, hooks on and off.
pub fn rich_status() -> Status {
    let mut loss = Loss::default();
    for kind in (0..=u8::MAX).filter_map(LossKind::from_number) {
        for cause in (0..=u8::MAX).filter_map(Cause::from_number) {
            loss.add(kind, cause, 1);
        }
    }
    let ends = EndCounts { opened: 100, established: 90, failed: 10, closed: 80, adopted: 5 };
    Status {
        agent: AgentInstance(0xbeef),
        node: "node-1".to_owned(),
        version: "0.1.0".to_owned(),
        source: "ebpf".to_owned(),
        scope: Scope { cgroups: vec!["/demo".to_owned()], label: "demo".to_owned() },
        started: BootNs(S),
        now: BootNs(304 * S),
        utc: UTC,
        connections: ConnectionCounts {
            opened: 100,
            established: 90,
            failed: 10,
            closed: 80,
            adopted: 5,
            live: 15,
            evicted: 1,
        },
        ends: Totals { client: ends, server: ends, unknown: EndCounts::default() },
        state_produced: 400,
        state_seen: 385,
        pieces_produced: 1000,
        pieces_seen: 990,
        loss,
        hooks: vec![
            Hook {
                datum: "connections".to_owned(),
                hook: "tp_btf/inet_sock_set_state".to_owned(),
                state: HookState::On,
                without: String::new(),
                advice: String::new(),
                essential: true,
            },
            Hook {
                datum: "no-route".to_owned(),
                hook: "fexit/tcp_v4_connect".to_owned(),
                state: HookState::Off("the kernel has no fentry".to_owned()),
                without: "connects that found no route".to_owned(),
                advice: "a kernel with CONFIG_FUNCTION_TRACER".to_owned(),
                essential: false,
            },
        ],
        cost: Cost {
            cpu_ns: 1_250_000_000,
            bpf_ns: Some(12_000_000),
            rss_bytes: 20_000_000,
            bpf_bytes: 9_000_000,
            walk_ns: 812_000,
            pass_ns: 0,
            walk_sockets: 120,
        },
    }
}
