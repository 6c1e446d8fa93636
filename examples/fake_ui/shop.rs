//! A made-up shop as slices, events and a status: for looking at the UI, and for its tests.

#[path = "asks.rs"]
pub mod asks;
#[path = "secures.rs"]
pub mod secures;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::model::{
    AgentInstance, BootNs, Cause, Connection, ConnectionCounts, ConnectionId, ConnectionState, Cost, EdgeKey,
    EdgeSlice, End, EndCounts, EndId, EndState, Endpoint, Entity, EntityId, EntityKind, Event, EventKind,
    Hook, HookState, Isns, LossKind, Name, NameKind, Outcome, Owner, OwnerEvidence, Process, ProcessKey,
    Role, RoleEvidence, Scope, Secured, Seen, Side, Slice, Status, Totals, Transport, UtcOffset, View,
};

use asks::Asks;

const SECOND: u64 = 1_000_000_000;

/// One kind of traffic between two services.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Client and server, by index.
    pub ends: (usize, usize),
    /// Server port.
    pub port: u16,
    /// Connections per second.
    pub rate: f64,
    /// Typical connect time, microseconds.
    pub connect_us: u64,
    /// How they fail, and how many of a thousand.
    pub fails: Option<(Outcome, u64)>,
    /// Open ones.
    pub open: u64,
    /// What is asked on them.
    pub asks: Option<Asks>,
    /// How its connections are secured, in a second.
    pub secured: fn(u64) -> secures::Mix,
    /// Active only while this holds for the second.
    pub when: fn(u64) -> bool,
}

/// A shop.
#[derive(Clone, Debug)]
pub struct Shop {
    /// Names.
    pub services: Vec<(String, NameKind)>,
    /// Traffic.
    pub flows: Vec<Flow>,
    sequence: u64,
    random: u64,
}

fn transport(port: u16) -> Transport {
    if port == 53 { Transport::Udp } else { Transport::Tcp }
}

/// Counts an edge's connections by their security.
fn secure(f: &Flow, t: u64, e: &mut EdgeSlice) {
    let mix = (f.secured)(t);
    for view in [View::Client, View::Server] {
        let c = e.view_mut(view);
        let mut secured = Secured::default();
        for (n, to) in [(c.open, &mut secured.open), (c.closed, &mut secured.closed)] {
            // As many as there are, whatever the shares: the first kind takes what rounding leaves.
            for (i, (security, share)) in mix.iter().enumerate().rev() {
                let part = n * share / 100 + u64::from((t * 29) % 100 < n * share % 100);
                let rest = n - to.iter().sum::<u64>();
                to[security.index()] = if i == 0 { rest } else { part.min(rest) };
            }
        }
        c.secured = (!mix.is_empty()).then(|| Box::new(secured));
    }
}

fn always(_: u64) -> bool {
    true
}

impl Shop {
    /// The demo's shape: services of which one refuses, one is slow now and then, one fails now and
    /// then, one is idle; requests of several protocols between them.
    pub fn demo() -> Shop {
        let names = ["web", "api", "orders", "stock", "postgres", "cron", "mail", "batch"];
        let mut services: Vec<_> = names.iter().map(|n| ((*n).to_owned(), NameKind::Script)).collect();
        services.push(("93.184.216.34".to_owned(), NameKind::Address));
        services.extend(["cache", "dns"].map(|n| (n.to_owned(), NameKind::Script)));
        let flow = |client, server, port, rate, connect_us| Flow {
            ends: (client, server),
            port,
            rate,
            connect_us,
            fails: None,
            open: 0,
            asks: None,
            secured: secures::unlooked,
            when: always,
        };
        let ask = |asks: Asks, rate: u64| Some(Asks { rate, ..asks });
        Shop {
            services,
            flows: vec![
                Flow {
                    open: 40,
                    fails: Some((Outcome::ResetByServer, 19)),
                    asks: Some(asks::HTTP),
                    secured: secures::plaintext,
                    ..flow(0, 1, 8080, 82.0, 120)
                },
                Flow {
                    open: 12,
                    asks: Some(asks::GRPC),
                    secured: secures::nearly_mutual,
                    ..flow(1, 2, 9001, 41.0, 90)
                },
                Flow {
                    fails: Some((Outcome::Refused, 1000)),
                    when: |t| t > 20,
                    ..flow(1, 3, 9002, 12.0, 80)
                },
                Flow { open: 8, asks: Some(asks::SQL), secured: secures::older, ..flow(1, 4, 5432, 0.0, 70) },
                Flow {
                    open: 3,
                    asks: ask(asks::SQL, 12),
                    secured: secures::one_sided,
                    ..flow(2, 4, 5432, 3.3, 70)
                },
                Flow { when: |t| t % 90 < 20, secured: secures::meshed, ..flow(5, 4, 5432, 0.5, 65) },
                Flow {
                    open: 2,
                    asks: Some(asks::TLS),
                    secured: secures::resuming,
                    ..flow(2, 8, 443, 1.2, 48_000)
                },
                Flow {
                    fails: Some((Outcome::TimedOut, 300)),
                    secured: secures::failing,
                    ..flow(2, 6, 25, 0.4, 30_000)
                },
                Flow { when: |t| t < 30, secured: secures::one_sided, ..flow(7, 2, 9001, 2.0, 95) },
                Flow { open: 1, secured: secures::falling_back, ..flow(6, 1, 8080, 0.2, 100) },
                Flow {
                    open: 6,
                    asks: Some(asks::REDIS),
                    secured: secures::tunnelled,
                    ..flow(1, 9, 6379, 0.0, 60)
                },
                Flow { asks: Some(asks::DNS), ..flow(1, 10, 53, 0.0, 60) },
            ],
            sequence: 0,
            random: 7,
        }
    }

    /// As many services and flows as asked for.
    pub fn large(services: usize, flows: usize) -> Shop {
        let mut shop = Shop { services: Vec::new(), flows: Vec::new(), sequence: 0, random: 99 };
        shop.services =
            (0..services).map(|i| (format!("ns{}/service-{i}", i % 7), NameKind::Container)).collect();
        for i in 0..flows {
            let (a, b) = (i % services, (i * 7 + i / services * 3 + 1) % services);
            shop.flows.push(Flow {
                ends: (a, b),
                port: 8000 + (i / services) as u16,
                rate: (i % 13) as f64,
                connect_us: 50 + (i as u64 * 37) % 5000,
                fails: (i % 17 == 0).then_some((Outcome::Refused, 400)),
                open: (i % 5) as u64,
                asks: Some(Asks { rate: 8, ..[asks::HTTP, asks::GRPC, asks::SQL][i % 3] }),
                secured: [secures::nearly_mutual, secures::plaintext, secures::one_sided][i % 3],
                when: always,
            });
        }
        shop
    }

    fn next(&mut self, below: u64) -> u64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below.max(1)
    }

    fn kind(&self, i: usize) -> EntityKind {
        match self.services[i].1 {
            NameKind::Address => EntityKind::far(IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34))),
            _ => EntityKind::Program {
                node: 1,
                cgroup: 100 + i as u64,
                comm: self.services[i].0.as_str().into(),
            },
        }
    }

    /// The entity of a service.
    pub fn entity(&self, i: usize) -> EntityId {
        self.kind(i).id()
    }

    fn names(&self) -> (Vec<Entity>, Vec<Name>) {
        let entities =
            (0..self.services.len()).map(|i| Entity { id: self.entity(i), kind: self.kind(i) }).collect();
        let names =
            self.services.iter().enumerate().filter(|(_, s)| s.1 != NameKind::Address).map(|(i, s)| Name {
                entity: self.entity(i),
                name: s.0.as_str().into(),
                kind: s.1,
                source: format!("/proc/{}/cmdline", 800 + i).into(),
                from: BootNs(SECOND),
            });
        (entities, names.collect())
    }

    /// The next second.
    pub fn slice(&mut self) -> Slice {
        self.sequence += 1;
        let t = self.sequence;
        let mut slice = Slice {
            agent: AgentInstance(1),
            sequence: t,
            start: BootNs(t * SECOND),
            length_ns: SECOND,
            utc: UtcOffset(1_700_000_000 * SECOND as i64),
            cpu_ns: 3_000_000,
            ..Slice::default()
        };
        if t == 1 {
            (slice.entities, slice.names) = self.names();
        }
        for i in 0..self.flows.len() {
            let f = self.flows[i].clone();
            if !(f.when)(t) {
                continue;
            }
            let key = EdgeKey {
                client: self.entity(f.ends.0),
                server: self.entity(f.ends.1),
                addr: IpAddr::V4(Ipv4Addr::new(10, 0, 0, f.ends.1 as u8)),
                port: f.port,
                transport: transport(f.port),
                role_known: true,
            };
            let thousandths = (f.rate * 1000.0) as u64;
            let n = thousandths / 1000 * (70 + self.next(60)) / 100
                + u64::from(self.next(1000) < thousandths % 1000);
            let mut e = EdgeSlice::new(key);
            for view in [View::Client, View::Server] {
                let c = e.view_mut(view);
                c.opened = n;
                c.open = f.open;
            }
            for _ in 0..n {
                let failed = f.fails.filter(|(_, of)| self.next(1000) < *of).map(|x| x.0);
                let outcome = failed.unwrap_or(Outcome::Clean);
                let us = f.connect_us * (80 + self.next(60)) / 100 * if self.next(50) == 0 { 9 } else { 1 };
                for view in [View::Client, View::Server] {
                    let c = e.view_mut(view);
                    c.outcomes[outcome.index()] += 1;
                    if matches!(outcome, Outcome::Refused | Outcome::TimedOut) {
                        continue;
                    }
                    c.established += 1;
                    c.closed += 1;
                    if view == View::Client {
                        c.connect_us.record(us);
                    }
                    c.srtt_us.record(us / 2);
                    c.bytes_to_server += 480;
                    c.bytes_to_client += 2_600;
                }
            }
            if f.open > 0 {
                let c = e.view_mut(View::Client);
                c.bytes_to_server += f.open * 1_500;
                c.bytes_to_client += f.open * 9_000;
                c.srtt_us.record(f.connect_us / 2);
            }
            if let Some(asks) = f.asks {
                let far = self.services[f.ends.1].1 == NameKind::Address;
                let views = if far { &[View::Client][..] } else { &[View::Client, View::Server] };
                self.ask_for_a_second(&asks, t, &mut e, views);
            }
            secure(&f, t, &mut e);
            slice.edges.push(e);
        }
        slice
    }

    fn end(&self, i: usize, role: Role, local: Endpoint, peer: Endpoint, at: BootNs) -> End {
        let process = Process {
            key: ProcessKey { pid: 800 + i as u32, start_ns: 5 },
            comm: self.services[i].0.clone(),
            exe: Some(format!("/usr/bin/{}", self.services[i].0)),
        };
        End {
            id: EndId { netns_cookie: 1, cookie: at.0 + i as u64, generation: 0 },
            local,
            peer,
            role,
            role_evidence: if role == Role::Client {
                RoleEvidence::SawConnect
            } else {
                RoleEvidence::ClonedFromListener
            },
            owner: Owner {
                process: Some(Arc::new(process)),
                evidence: OwnerEvidence::Opened,
                cgroup: 100 + i as u64,
                cgroup_path: Some(format!("/shop/{}", self.services[i].0).into()),
                netns: 4_026_531_840,
            },
            entity: self.entity(i),
            adopted: false,
            isns: Some(Isns { tx: 1, rx: 2 }),
            opened: at,
            established: BootNs(at.0 + 120_000),
            closed: BootNs(0),
            state: EndState::Established,
            outcome: None,
            seen: Seen {
                bytes_sent: 480,
                bytes_received: 2_600,
                srtt_us: Some(60),
                min_rtt_us: Some(41),
                retransmits: 0,
                packets: None,
            },
        }
    }

    /// A connection of one flow that began at this sequence of events.
    pub fn connection(&self, flow: usize, n: u64, over: bool) -> Connection {
        let f = &self.flows[flow % self.flows.len()];
        let at = BootNs(self.sequence.max(1) * SECOND + n % 1000 * 1_000_000);
        let client =
            Endpoint::new(Ipv4Addr::new(10, 0, 0, f.ends.0 as u8).into(), 40_000 + (n % 20_000) as u16);
        let server = Endpoint::new(Ipv4Addr::new(10, 0, 0, f.ends.1 as u8).into(), f.port);
        let failed = f.fails.filter(|x| x.1 == 1000).map(|x| x.0);
        let outcome = failed.or_else(|| over.then_some(Outcome::Clean));
        let state = match (failed, over) {
            (Some(_), _) => ConnectionState::Failed,
            (None, true) => ConnectionState::Closed,
            (None, false) => ConnectionState::Open,
        };
        let side = |i: usize, role, local, peer| {
            let mut end = self.end(i, role, local, peer, at);
            end.outcome = outcome;
            if state.is_over() {
                end.closed = BootNs(at.0 + 900_000_000);
            }
            let far = self.services[i].1 == NameKind::Address || (role == Role::Server && failed.is_some());
            Side { address: local, entity: self.entity(i), end: (!far).then_some(end) }
        };
        Connection {
            id: ConnectionId(n + 1),
            transport: transport(f.port),
            state,
            role_known: true,
            client: side(f.ends.0, Role::Client, client, server),
            server: side(f.ends.1, Role::Server, server, client),
            outcome,
            changed: at,
            tls: secures::pick((f.secured)(self.sequence), n).map(|status| {
                let name = |i: usize| self.services[i].0.as_str();
                Arc::new(secures::tls(status, name(f.ends.0), name(f.ends.1), at))
            }),
        }
    }

    /// An event of one flow.
    pub fn event(&self, n: u64) -> Event {
        let connection = Arc::new(self.connection(n as usize, n, !n.is_multiple_of(3)));
        let kind = match connection.state {
            ConnectionState::Failed => EventKind::Failed,
            ConnectionState::Closed => EventKind::Closed,
            _ => EventKind::Established,
        };
        Event { sequence: n + 1, at: connection.changed, kind, connection, request: None }
    }

    /// The agent's state.
    pub fn status(&self) -> Status {
        let hook = |datum: &str, hook: &str, off: Option<(&str, &str, &str)>, essential| Hook {
            datum: datum.into(),
            hook: hook.into(),
            state: off.map_or(HookState::On, |o| HookState::Off(o.0.into())),
            without: off.map_or(String::new(), |o| o.1.into()),
            advice: off.map_or(String::new(), |o| o.2.into()),
            essential,
        };
        let ends =
            EndCounts { opened: 20_480, established: 19_310, failed: 1_170, closed: 19_240, adopted: 4 };
        let mut status = Status {
            agent: AgentInstance(1),
            node: "node1".into(),
            version: "0.1.0".into(),
            source: "ebpf".into(),
            scope: Scope { cgroups: vec!["/sys/fs/cgroup/unified/shop".into()], label: "demo".into() },
            started: BootNs(SECOND),
            now: BootNs(self.sequence * SECOND),
            connections: ConnectionCounts {
                opened: 20_480,
                established: 19_310,
                failed: 1_170,
                closed: 19_240,
                adopted: 4,
                live: 66,
                evicted: 0,
            },
            ends: Totals {
                client: ends,
                server: EndCounts { failed: 0, ..ends },
                unknown: EndCounts::default(),
            },
            state_produced: 121_300,
            state_seen: 121_288,
            hooks: vec![
                hook("connections", "tp_btf/inet_sock_set_state", None, true),
                hook("live counters", "iter/bpf_sk_storage_map", None, true),
                hook("owners of open sockets", "iter/task_file", None, false),
                hook(
                    "connects without a route",
                    "fexit/tcp_v4_connect",
                    Some((
                        "the kernel has no fentry on this machine",
                        "failures before the first packet are not counted",
                        "a kernel with CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
                    )),
                    false,
                ),
            ],
            cost: Cost {
                pass_ns: 4_000_000,
                cpu_ns: 420_000_000,
                bpf_ns: Some(31_000_000),
                rss_bytes: 21_000_000,
                bpf_bytes: 9_400_000,
                walk_ns: 140_000,
                walk_sockets: 72,
            },
            ..Status::default()
        };
        status.loss.add(LossKind::State, Cause::RingFull, 12);
        status
    }
}
