//! Who is in the demo shop, whom each service calls, and how each one misbehaves: data, not code.
//!
//! ```text
//! load ──▶ web ──▶ api ══▶ orders ◀══ batch      ══ mutual TLS
//!           │       ├────▶ ledger ◀─── orders
//!           ▼       ├──×─▶ stock  (refuses most of the time)
//!         cart      ▲
//!           ║      cron (idle most of the time)
//!           ▼
//!        prices (slow at times)
//! ```

/// One service of the shop.
#[derive(Debug)]
pub struct Spec {
    /// Its name: of the process (`comm`), of its cgroup, in its certificate. At most 15 bytes.
    pub name: &'static str,
    /// How it listens; `None`: it is a client only.
    pub listens: Option<Listens>,
    /// What it calls by its own clock.
    pub rhythm: Option<Rhythm>,
    /// Whom it calls: for each request it serves, or, with a rhythm, at each beat.
    pub calls: &'static [Call],
    /// Its own work for one request, in milliseconds: at least, at most.
    pub work_ms: (u32, u32),
    /// How it misbehaves.
    pub flaw: Flaw,
}

/// What a service speaks on its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listens {
    /// HTTP/1.1 in the clear.
    Plain,
    /// HTTP/1.1 over TLS 1.2, client certificate required: certificates can be read on the wire.
    MutualTls12,
    /// HTTP/1.1 over TLS 1.3, client certificate required: certificates travel encrypted.
    MutualTls13,
}

impl Listens {
    /// Whether a certificate is needed, to listen here or to call it.
    pub fn is_tls(self) -> bool {
        !matches!(self, Listens::Plain)
    }
}

/// When a service acts by itself.
#[derive(Debug, Clone, Copy)]
pub struct Rhythm {
    /// Milliseconds between two beats.
    pub every_ms: u32,
    /// Requests in one beat, one after the other.
    pub burst: u32,
    /// Whether the pace swings between half and one and a half of this, over a minute.
    pub sways: bool,
}

/// A call of one service to another.
#[derive(Debug)]
pub struct Call {
    /// The service called.
    pub to: &'static str,
    /// Method and path; `{id}` becomes a number.
    pub method: &'static str,
    /// See `method`.
    pub path: &'static str,
    /// Made once in so many occasions, at random.
    pub one_in: u32,
    /// What the connections are like.
    pub connections: Connections,
    /// Whether the caller's own answer fails (502) when this call does.
    pub needed: bool,
}

/// How a client treats its connections.
#[derive(Debug, Clone, Copy)]
pub enum Connections {
    /// A new one for each request.
    Fresh,
    /// Kept open and used for so many requests each.
    Kept {
        /// Requests until it is closed and a new one takes its place.
        requests: u32,
    },
}

/// What is wrong with a service.
#[derive(Debug, Clone, Copy)]
pub enum Flaw {
    /// Nothing.
    None,
    /// Answers 500 once in so many requests, at random.
    Fails {
        /// How rare.
        one_in: u32,
    },
    /// Now and then takes far longer than its work.
    Slow {
        /// How rare.
        one_in: u32,
        /// Milliseconds: at least, at most.
        ms: (u32, u32),
    },
    /// Listens for a while, then closes its port for a while.
    Refuses {
        /// Seconds it listens; the shop opens with this.
        open_s: u32,
        /// Seconds it refuses.
        closed_s: u32,
    },
}

const fn kept(to: &'static str, method: &'static str, path: &'static str, requests: u32) -> Call {
    Call { to, method, path, one_in: 1, connections: Connections::Kept { requests }, needed: true }
}

const fn fresh(to: &'static str, method: &'static str, path: &'static str) -> Call {
    Call { to, method, path, one_in: 1, connections: Connections::Fresh, needed: true }
}

/// All services of the shop.
pub const SERVICES: &[Spec] = &[
    Spec {
        name: "load",
        listens: None,
        rhythm: Some(Rhythm { every_ms: 33, burst: 1, sways: true }),
        calls: &[fresh("web", "GET", "/shop/{id}")],
        work_ms: (0, 0),
        flaw: Flaw::None,
    },
    Spec {
        name: "web",
        listens: Some(Listens::Plain),
        rhythm: None,
        calls: &[
            kept("api", "GET", "/orders/{id}", 100),
            Call { one_in: 3, needed: false, ..kept("cart", "GET", "/cart/{id}", 200) },
        ],
        work_ms: (0, 2),
        flaw: Flaw::None,
    },
    Spec {
        name: "api",
        listens: Some(Listens::Plain),
        rhythm: None,
        calls: &[
            kept("orders", "GET", "/orders/{id}", 150),
            Call { one_in: 2, ..kept("ledger", "GET", "/accounts/{id}", 500) },
            Call { one_in: 3, needed: false, ..fresh("stock", "GET", "/stock/{id}") },
        ],
        work_ms: (1, 6),
        flaw: Flaw::Fails { one_in: 40 },
    },
    Spec {
        name: "orders",
        listens: Some(Listens::MutualTls13),
        rhythm: None,
        calls: &[Call { one_in: 4, ..kept("ledger", "POST", "/entries", 500) }],
        work_ms: (1, 4),
        flaw: Flaw::None,
    },
    Spec {
        name: "stock",
        listens: Some(Listens::Plain),
        rhythm: None,
        calls: &[],
        work_ms: (0, 2),
        flaw: Flaw::Refuses { open_s: 8, closed_s: 20 },
    },
    Spec {
        name: "ledger",
        listens: Some(Listens::Plain),
        rhythm: None,
        calls: &[],
        work_ms: (0, 2),
        flaw: Flaw::None,
    },
    Spec {
        name: "cart",
        listens: Some(Listens::Plain),
        rhythm: None,
        calls: &[kept("prices", "GET", "/prices/{id}", 40)],
        work_ms: (0, 3),
        flaw: Flaw::None,
    },
    Spec {
        name: "prices",
        listens: Some(Listens::MutualTls12),
        rhythm: None,
        calls: &[],
        work_ms: (2, 6),
        flaw: Flaw::Slow { one_in: 6, ms: (40, 300) },
    },
    Spec {
        name: "cron",
        listens: None,
        rhythm: Some(Rhythm { every_ms: 45_000, burst: 5, sways: false }),
        calls: &[fresh("api", "POST", "/reports")],
        work_ms: (0, 0),
        flaw: Flaw::None,
    },
    Spec {
        name: "batch",
        listens: None,
        rhythm: Some(Rhythm { every_ms: 2_000, burst: 1, sways: false }),
        calls: &[fresh("orders", "POST", "/orders/settle")],
        work_ms: (0, 0),
        flaw: Flaw::None,
    },
];

/// The names of [`SERVICES`], in the same order.
pub const NAMES: &[&str] = &{
    let mut names = [""; SERVICES.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = SERVICES[i].name;
        i += 1;
    }
    names
};

/// The service of that name.
pub fn find(name: &str) -> Option<&'static Spec> {
    SERVICES.iter().find(|spec| spec.name == name)
}

/// Whether a service needs a certificate: because it listens with one, or calls one that does.
pub fn needs_certificate(spec: &Spec) -> bool {
    spec.listens.is_some_and(Listens::is_tls)
        || spec.calls.iter().any(|call| find(call.to).and_then(|to| to.listens).is_some_and(Listens::is_tls))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_called_service_exists_and_listens() {
        for spec in SERVICES {
            for call in spec.calls {
                let to = find(call.to).unwrap_or_else(|| panic!("{} calls {}", spec.name, call.to));
                assert!(to.listens.is_some(), "{} calls {}, which does not listen", spec.name, to.name);
                assert!(call.one_in > 0 && call.path.starts_with('/'));
            }
        }
    }

    #[test]
    fn names_are_unique_and_fit_a_process_name() {
        for (i, spec) in SERVICES.iter().enumerate() {
            assert!(spec.name.len() <= 15 && spec.name.bytes().all(|b| b.is_ascii_lowercase()));
            assert!(SERVICES[..i].iter().all(|other| other.name != spec.name));
        }
    }

    #[test]
    fn every_service_acts_or_is_called_and_calls_end() {
        fn depth(spec: &Spec) -> usize {
            assert!(SERVICES.len() < 64);
            1 + spec.calls.iter().map(|call| depth(find(call.to).unwrap())).max().unwrap_or(0)
        }
        for spec in SERVICES {
            let called = SERVICES.iter().flat_map(|s| s.calls).any(|call| call.to == spec.name);
            assert!(called || spec.rhythm.is_some(), "{} never does anything", spec.name);
            // A cycle of calls would overflow the stack here.
            assert!(depth(spec) <= SERVICES.len());
        }
    }

    #[test]
    fn the_shop_is_what_the_demo_promises() {
        let count = |f: fn(&Spec) -> bool| SERVICES.iter().filter(|s| f(s)).count();
        assert!(SERVICES.len() >= 6);
        assert_eq!(count(|s| matches!(s.flaw, Flaw::Fails { .. })), 1);
        assert_eq!(count(|s| matches!(s.flaw, Flaw::Slow { .. })), 1);
        assert_eq!(count(|s| matches!(s.flaw, Flaw::Refuses { .. })), 1);
        let mutual = SERVICES
            .iter()
            .flat_map(|s| s.calls)
            .filter(|call| find(call.to).unwrap().listens.unwrap().is_tls())
            .count();
        assert_eq!(mutual, 3);
    }
}
