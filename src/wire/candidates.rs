//! The decoders that there are, in the order in which they are asked: those with the plainest
//! evidence first.

use super::decoder::{Decoder, Sniff, Told};
use super::http1::{self, Http1};
use super::http2::{self, Http2};
use super::websocket::WebSocket;
use super::{amqp, dns, kafka, memcached, mongodb, mysql, nats, postgres, redis};
use crate::model::{Known, Protocol};

/// What the first bytes of a conversation are.
pub(super) enum Found {
    /// This protocol: its decoder.
    Decoder(Protocol, Box<dyn Decoder>),
    /// This protocol, which is not decoded.
    Opaque(Protocol),
    /// More bytes are needed.
    NotYet,
    /// None of them.
    Nothing,
}

/// Which of two sides asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// The first one.
    One,
    /// The second one.
    Other,
}

struct Candidate {
    protocol: Protocol,
    sniff: fn(&[u8], &[u8]) -> Sniff,
    /// Argument: whether the connection is older than we.
    make: fn(bool) -> Box<dyn Decoder>,
}

const CANDIDATES: [Candidate; 11] = [
    Candidate {
        protocol: Protocol::Http2,
        sniff: http2::sniff,
        make: |adopted| Box::new(Http2::new(adopted)),
    },
    Candidate {
        protocol: Protocol::Http1,
        sniff: http1::sniff,
        make: |adopted| Box::new(Http1::new(adopted)),
    },
    Candidate { protocol: Protocol::Nats, sniff: nats::sniff, make: |_| Box::new(nats::Nats::new()) },
    Candidate {
        protocol: Protocol::Postgres,
        sniff: postgres::sniff,
        make: |_| Box::new(postgres::Postgres::new()),
    },
    Candidate { protocol: Protocol::Mysql, sniff: mysql::sniff, make: |_| Box::new(mysql::Mysql::new()) },
    Candidate { protocol: Protocol::Amqp, sniff: amqp::sniff, make: |_| Box::new(amqp::Amqp::new()) },
    Candidate { protocol: Protocol::Redis, sniff: redis::sniff, make: |_| Box::new(redis::Redis::new()) },
    Candidate {
        protocol: Protocol::Memcached,
        sniff: memcached::sniff,
        make: |_| Box::new(memcached::Memcached::new()),
    },
    Candidate {
        protocol: Protocol::Mongodb,
        sniff: mongodb::sniff,
        make: |_| Box::new(mongodb::Mongodb::new()),
    },
    Candidate { protocol: Protocol::Kafka, sniff: kafka::sniff, make: |_| Box::new(kafka::Kafka::new()) },
    Candidate { protocol: Protocol::Dns, sniff: dns::sniff, make: |_| Box::new(dns::Stream::new()) },
];

/// By the first bytes of each side, from the beginning of a message on.
pub(super) fn find(client: &[u8], server: &[u8], adopted: bool) -> Found {
    if is_tls(client) || is_tls(server) {
        return Found::Opaque(Protocol::Tls);
    }
    let mut found = Found::Nothing;
    for c in &CANDIDATES {
        match (c.sniff)(client, server) {
            Sniff::Yes => return Found::Decoder(c.protocol, (c.make)(adopted)),
            Sniff::Maybe => found = Found::NotYet,
            Sniff::No => {}
        }
    }
    found
}

/// Which of two sides asks, by what each said from the beginning of a message on: where a protocol
/// recognises them this way round, and none does the other way. One side alone says too little.
pub(super) fn asks(one: &[u8], other: &[u8]) -> Option<Asks> {
    if one.is_empty() || other.is_empty() {
        return None;
    }
    let mut found = None;
    for c in &CANDIDATES {
        let asks = match ((c.sniff)(one, other), (c.sniff)(other, one)) {
            (Sniff::Yes, Sniff::No) => Asks::One,
            (Sniff::No, Sniff::Yes) => Asks::Other,
            // It fits both ways, or might with more bytes.
            (Sniff::Yes, _) | (_, Sniff::Yes) => return None,
            _ => continue,
        };
        if found.replace(asks).is_some_and(|before| before != asks) {
            return None;
        }
    }
    found
}

/// What a protocol turned into, by its own account; `told` is the exchange that did it, `from` the
/// offset of the client's first byte after it.
pub(super) fn after(next: Known<Protocol>, told: Option<&Told>, from: u64) -> Found {
    match (next, told) {
        (Known::Known(protocol @ Protocol::Tls), _) => Found::Opaque(protocol),
        (Known::Known(protocol @ Protocol::WebSocket), Some(told)) => {
            Found::Decoder(protocol, Box::new(WebSocket::new(told.target.clone(), from)))
        }
        (Known::Known(protocol @ Protocol::Http2), Some(told)) => {
            Found::Decoder(protocol, Box::new(Http2::upgraded(told)))
        }
        _ => Found::Nothing,
    }
}

/// A handshake record of SSL 3.0 to TLS 1.3 (RFC 8446, section 5.1).
fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x16, 3, 0..=4, high, low, ..] if (*high, *low) != (0, 0) && *high <= 0x41)
}
