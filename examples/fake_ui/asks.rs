//! What is asked in the made-up shop: requests and turns as counters and as single events.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::model::{
    BootNs, Counters, EdgeSlice, Event, EventKind, Protocol, Request, Shape, TargetCounts, Timing, Verdict,
    View,
};
use super::Shop;

/// One thing that is asked.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Method.
    pub method: &'static str,
    /// What about.
    pub target: &'static str,
    /// How many of a thousand requests.
    pub share: u64,
    /// Its time as a multiple of the usual one, in tenths.
    pub tenths: u64,
    /// How many of a thousand end in an error, and with which status.
    pub errors: (u64, &'static str),
    /// How many of a thousand end in the client's error, and with which status.
    pub client_errors: (u64, &'static str),
    /// Whether its time counts.
    pub shape: Shape,
}

const fn target(method: &'static str, target: &'static str, share: u64, tenths: u64) -> Target {
    let none = (0, "");
    Target { method, target, share, tenths, errors: none, client_errors: none, shape: Shape::Unary }
}

/// What is asked on the connections of a flow.
#[derive(Clone, Copy, Debug)]
pub struct Asks {
    /// In which protocol; TLS is only timed.
    pub protocol: Protocol,
    /// Requests per second.
    pub rate: u64,
    /// Usual time at the server, microseconds.
    pub us: u64,
    /// How many times slower it is in a second.
    pub slow: fn(u64) -> u64,
    /// Bytes that are not decoded, each second.
    pub undecoded: u64,
    /// About what.
    pub targets: &'static [Target],
    /// Status of what goes well.
    pub ok: &'static str,
}

fn steady(_: u64) -> u64 {
    1
}

/// HTTP of the front.
pub const HTTP: Asks = Asks {
    protocol: Protocol::Http1,
    rate: 410,
    us: 7_900,
    slow: |t| if (t % 60).abs_diff(34) < 4 { 6 } else { 1 },
    undecoded: 0,
    targets: &[
        Target { client_errors: (4, "404"), errors: (2, "500"), ..target("GET", "/orders/{id}", 720, 9) },
        Target { errors: (68, "503"), ..target("POST", "/orders", 240, 15) },
        target("GET", "/health", 30, 1),
        Target { shape: Shape::Stream, ..target("GET", "/events", 10, 9_000) },
    ],
    ok: "200",
};
/// gRPC behind it.
pub const GRPC: Asks = Asks {
    protocol: Protocol::Grpc,
    rate: 205,
    us: 2_100,
    slow: steady,
    undecoded: 0,
    targets: &[
        target("POST", "/orders.Orders/Get", 800, 10),
        Target { client_errors: (30, "CANCELLED"), ..target("POST", "/orders.Orders/Place", 200, 20) },
    ],
    ok: "OK",
};
/// SQL.
pub const SQL: Asks = Asks {
    protocol: Protocol::Postgres,
    rate: 60,
    us: 1_400,
    slow: |t| 1 + t % 3 / 2,
    undecoded: 0,
    targets: &[
        target("SELECT", "SELECT * FROM orders WHERE id = $1", 700, 8),
        Target { errors: (10, "40P01"), ..target("INSERT", "INSERT INTO orders VALUES ($1, $2)", 200, 30) },
        target("COMMIT", "COMMIT", 100, 12),
    ],
    ok: "ok",
};
/// A cache: pipelines that are too deep to be decoded whole, and lists that are waited for.
pub const REDIS: Asks = Asks {
    protocol: Protocol::Redis,
    rate: 120,
    us: 90,
    slow: steady,
    undecoded: 5_200,
    targets: &[
        target("GET", "", 800, 10),
        target("SET", "", 150, 12),
        Target { shape: Shape::Wait, ..target("BLPOP", "", 50, 40_000) },
    ],
    ok: "ok",
};
/// Names.
pub const DNS: Asks = Asks {
    protocol: Protocol::Dns,
    rate: 9,
    us: 400,
    slow: steady,
    undecoded: 0,
    targets: &[
        Target { errors: (40, "timeout"), ..target("A", "stock.shop.svc.cluster.local", 400, 10) },
        Target {
            client_errors: (1000, "NXDOMAIN"),
            ..target("A", "stock.shop.svc.cluster.local.example", 300, 6)
        },
        Target { errors: (100, "SERVFAIL"), ..target("AAAA", "payments.example.com", 300, 40) },
    ],
    ok: "NOERROR",
};
/// Encrypted: only timed.
pub const TLS: Asks =
    Asks { protocol: Protocol::Tls, rate: 3, us: 62_000, slow: steady, undecoded: 0, targets: &[], ok: "" };

/// One request as it went.
struct Went {
    target: Option<Target>,
    verdict: Verdict,
    status: &'static str,
    server_us: u64,
    client_us: u64,
}

impl Shop {
    fn ask(&mut self, asks: &Asks, t: u64) -> Went {
        let mut at = self.next(1000);
        let target = asks.targets.iter().find(|x| match at.checked_sub(x.share) {
            Some(rest) => {
                at = rest;
                false
            }
            None => true,
        });
        let tail = if self.next(40) == 0 { 3 + self.next(5) } else { 1 };
        let server_us = asks.us * target.map_or(10, |x| x.tenths) / 10 * (60 + self.next(80)) / 100
            * tail
            * if tail > 1 || self.next(3) == 0 { (asks.slow)(t) } else { 1 };
        let network = 180 + self.next(240);
        let (verdict, status) = match target {
            Some(x) if self.next(1000) < x.errors.0 => (Verdict::Error, x.errors.1),
            Some(x) if self.next(1000) < x.client_errors.0 => (Verdict::ClientError, x.client_errors.1),
            _ => (Verdict::Ok, asks.ok),
        };
        Went { target: target.copied(), verdict, status, server_us, client_us: server_us + network }
    }

    /// Counts what is asked in one second on an edge.
    pub fn ask_for_a_second(&mut self, asks: &Asks, t: u64, e: &mut EdgeSlice, views: &[View]) {
        let n = asks.rate * (70 + self.next(60)) / 100;
        for _ in 0..n {
            let went = self.ask(asks, t);
            for view in views {
                count_one(e.view_mut(*view), asks, &went, *view);
            }
        }
        for view in views {
            e.view_mut(*view).asked_mut().undecoded_bytes += asks.undecoded;
        }
    }

    /// A request of one flow, as an event.
    pub fn request(&mut self, n: u64) -> Option<Event> {
        let asking: Vec<usize> = (0..self.flows.len())
            .filter(|i| self.flows[*i].asks.is_some_and(|a| !a.targets.is_empty()))
            .collect();
        let flow = *asking.get(n as usize * 7 % asking.len().max(1))?;
        let asks = self.flows[flow].asks?;
        let went = self.ask(&asks, self.sequence);
        let target = went.target?;
        let connection = Arc::new(self.connection(flow, n % 40, false));
        let at = BootNs(connection.changed.0 / 1_000_000_000 * 1_000_000_000 + n * 7 % 1000 * 1_000_000);
        let timing = |us: u64, early: u64| {
            let after = |us: u64| BootNs(at.0 + us * 1000);
            Timing {
                asked: after(early),
                asked_all: after(early + 12),
                answered: if went.status == "timeout" { BootNs(0) } else { after(early + 12 + us) },
                answered_all: if went.status == "timeout" {
                    BootNs(0)
                } else {
                    after(early + 40 + us * 11 / 10)
                },
            }
        };
        let request = Request {
            protocol: asks.protocol,
            shape: target.shape,
            method: Cow::Borrowed(target.method),
            target: (!target.target.is_empty()).then(|| Arc::from(target.target)),
            target_unknown: None,
            status: Some(Cow::Borrowed(went.status)),
            status_unknown: None,
            verdict: went.verdict,
            by_client: connection.client.end.is_some().then(|| timing(went.client_us, 0)),
            by_server: connection.server.end.is_some().then(|| timing(went.server_us, 140)),
            request_bytes: 120 + self.next(400),
            response_bytes: if went.verdict == Verdict::Ok { 600 + self.next(4_000) } else { 90 },
            note: if asks.protocol == Protocol::Dns && went.verdict == Verdict::Ok {
                "10.0.0.3".into()
            } else {
                "".into()
            },
            evidence: "its first bytes are a request line and a status line".into(),
        };
        let event = Event {
            sequence: n + 1,
            at,
            kind: EventKind::Request,
            connection,
            request: Some(Arc::new(request)),
        };
        Some(event)
    }
}

/// Counts one request at one end.
fn count_one(c: &mut Counters, asks: &Asks, went: &Went, view: View) {
    let us = if view == View::Client { went.client_us } else { went.server_us };
    let asked = c.asked_mut();
    let Some(target) = went.target else {
        asked.turns.first_us.record(us);
        asked.turns.full_us.record(us * 5 / 4);
        asked.protocol_mut(asks.protocol);
        return;
    };
    let timed = (target.shape == Shape::Unary && went.status != "timeout").then_some(us);
    match (target.shape, timed) {
        (Shape::Unary, Some(us)) => {
            asked.turns.first_us.record(us);
            asked.turns.full_us.record(us * 11 / 10);
        }
        (Shape::Wait, _) => asked.turns.waits += 1,
        (Shape::Stream, _) => asked.turns.streams += 1,
        _ => {}
    }
    let p = asked.protocol_mut(asks.protocol);
    p.tally.count(target.shape, went.verdict, timed);
    if let Some(us) = timed {
        p.full_us.record(us * 11 / 10);
    }
    let (method, name) = (Arc::from(target.method), Arc::from(target.target));
    let found = asked
        .targets
        .iter()
        .position(|t: &TargetCounts| *t.method == *target.method && *t.target == *target.target);
    let tally = match found {
        Some(i) => &mut asked.targets[i].tally,
        None => asked.target_mut(asks.protocol, &method, &name),
    };
    tally.count(target.shape, went.verdict, timed);
}
