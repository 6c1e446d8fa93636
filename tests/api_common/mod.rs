//! What the tests of the API share: a store to fill, and a line to a server that can be cut.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};
use webb::model::{
    AgentInstance, BootNs, Connection, ConnectionId, ConnectionState, Counters, EdgeKey, EdgeSlice, Endpoint,
    Entity, EntityId, EntityKind, Name, NameKind, Outcome, Side, Slice, Transport,
};
use webb::store::{Store, StoreConfig};

pub const ME: AgentInstance = AgentInstance(7);

/// No test takes nearly as long; one that does hangs.
pub const LONG: Duration = Duration::from_secs(60);

pub fn store(change: impl FnOnce(&mut StoreConfig)) -> Store {
    let mut config = StoreConfig::new(ME, "node", "host");
    change(&mut config);
    Store::new(config)
}

pub fn far(n: u32) -> Entity {
    let kind = EntityKind::far(Ipv4Addr::from(n).into());
    Entity { id: kind.id(), kind }
}

pub fn name(of: &Entity) -> Name {
    Name {
        entity: of.id,
        name: "far".into(),
        kind: NameKind::Address,
        source: "test".into(),
        from: BootNs(1),
    }
}

/// Slice `n`: every edge opened `n` connections.
pub fn slice(n: u64, edges: u32) -> Slice {
    let edge = |i: u32| {
        let key = EdgeKey {
            client: far(i).id,
            server: EntityId(1),
            addr: Ipv4Addr::LOCALHOST.into(),
            port: 80,
            transport: Transport::Tcp,
            role_known: true,
        };
        let mut c = Counters { opened: n, bytes_to_server: n * 1000, open: 1, ..Counters::default() };
        (1..50).for_each(|us| c.connect_us.record(us * u64::from(i + 1)));
        EdgeSlice { key, by_client: Some(c), by_server: None }
    };
    Slice {
        agent: ME,
        sequence: n,
        start: BootNs(n * 1_000_000_000),
        length_ns: 1_000_000_000,
        edges: (0..edges).map(edge).collect(),
        entities: (0..edges).map(far).collect(),
        names: (0..edges).map(|i| name(&far(i))).collect(),
        ..Slice::default()
    }
}

/// (opened, bytes) of all edges.
pub fn counted(s: &Slice) -> (u64, u64) {
    let c = || s.edges.iter().filter_map(|e| e.by_client.as_ref());
    (c().map(|c| c.opened).sum(), c().map(|c| c.bytes_to_server).sum())
}

pub fn connection(id: u64, state: ConnectionState) -> Arc<Connection> {
    let side = |n: u32, port| Side {
        address: Endpoint::new(Ipv4Addr::from(n).into(), port),
        entity: far(n).id,
        end: None,
    };
    Arc::new(Connection {
        id: ConnectionId(id),
        transport: Transport::Tcp,
        state,
        role_known: true,
        client: side(1, 1000),
        server: side(2, 80),
        outcome: state.is_over().then_some(Outcome::Clean),
        changed: BootNs(id),
        tls: None,
    })
}

/// Passes in-process connections on to a server, until the line is cut.
pub struct Line {
    /// For viewers.
    pub connect: mpsc::Sender<DuplexStream>,
    /// Counts cuts; odd = the line is dead and connections break at once.
    cuts: watch::Sender<u64>,
}

impl Line {
    pub fn to(server: mpsc::Sender<DuplexStream>) -> Line {
        let (connect, mut incoming) = mpsc::channel::<DuplexStream>(1);
        let (cuts, cut) = watch::channel(0);
        tokio::spawn(async move {
            while let Some(mut viewer) = incoming.recv().await {
                let mut cut = cut.clone();
                if *cut.borrow_and_update() % 2 == 1 {
                    continue;
                }
                let (mut ours, theirs) = tokio::io::duplex(1 << 16);
                server.send(theirs).await.unwrap();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut viewer, &mut ours) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Line { connect, cuts }
    }

    /// Breaks all connections; new ones work.
    pub fn cut(&self) {
        self.cuts.send_modify(|n| *n += 2);
    }

    /// Breaks all connections; new ones work when `up`.
    pub fn set(&self, up: bool) {
        self.cuts.send_modify(|n| *n += 2 - (*n + u64::from(up) + 1) % 2);
    }
}
