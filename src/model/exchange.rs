//! An exchange: one request and its response in an application protocol.

/// Application protocol of a connection or an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// HTTP/1.0 and 1.1 (RFC 9112).
    Http1 = 1,
    /// HTTP/2 (RFC 9113) that is not gRPC.
    Http2 = 2,
    /// gRPC over HTTP/2.
    Grpc = 3,
    /// WebSocket (RFC 6455), after an upgrade.
    WebSocket = 4,
    /// DNS (RFC 1035).
    Dns = 5,
    /// Redis serialization protocol 2 and 3.
    Redis = 6,
    /// PostgreSQL frontend/backend protocol 3.
    Postgres = 7,
    /// MySQL and MariaDB client/server protocol.
    Mysql = 8,
    /// Kafka.
    Kafka = 9,
    /// NATS client protocol.
    Nats = 10,
    /// MongoDB wire protocol.
    Mongodb = 11,
    /// AMQP 0-9-1.
    Amqp = 12,
    /// memcached, text and meta commands, binary.
    Memcached = 13,
    /// TLS: recognised, its content not decoded.
    Tls = 14,
    /// QUIC: recognised, its content not decoded.
    Quic = 15,
}

/// All protocols, in the order of their numbers.
pub const PROTOCOLS: [Protocol; 15] = [
    Protocol::Http1,
    Protocol::Http2,
    Protocol::Grpc,
    Protocol::WebSocket,
    Protocol::Dns,
    Protocol::Redis,
    Protocol::Postgres,
    Protocol::Mysql,
    Protocol::Kafka,
    Protocol::Nats,
    Protocol::Mongodb,
    Protocol::Amqp,
    Protocol::Memcached,
    Protocol::Tls,
    Protocol::Quic,
];

impl Protocol {
    /// The documented name, as in JSON and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Http1 => "http",
            Protocol::Http2 => "http2",
            Protocol::Grpc => "grpc",
            Protocol::WebSocket => "websocket",
            Protocol::Dns => "dns",
            Protocol::Redis => "redis",
            Protocol::Postgres => "postgres",
            Protocol::Mysql => "mysql",
            Protocol::Kafka => "kafka",
            Protocol::Nats => "nats",
            Protocol::Mongodb => "mongodb",
            Protocol::Amqp => "amqp",
            Protocol::Memcached => "memcached",
            Protocol::Tls => "tls",
            Protocol::Quic => "quic",
        }
    }

    /// What of the bytes it is known by: no protocol is concluded from a port alone.
    pub fn evidence(self) -> &'static str {
        match self {
            Protocol::Http1 => "request and status lines",
            Protocol::Http2 => "HTTP/2 preface or frames",
            Protocol::Grpc => "content-type application/grpc, or gRPC messages and trailers",
            Protocol::WebSocket => "101 answer to an upgrade",
            Protocol::Dns => "DNS messages on a DNS port, or framed over TCP",
            Protocol::Redis => "RESP commands and replies",
            Protocol::Postgres => "start-up or typed messages of protocol 3",
            Protocol::Mysql => "greeting, or numbered packets with commands",
            Protocol::Kafka => "request heads of known APIs",
            Protocol::Nats => "INFO, CONNECT and operations",
            Protocol::Mongodb => "message heads with known operations",
            Protocol::Amqp => "protocol header or frames with their end octet",
            Protocol::Memcached => "commands and replies",
            Protocol::Tls => "handshake record",
            Protocol::Quic => "long header, and an Initial that its keys open",
        }
    }

    /// The protocol of a wire number.
    pub fn from_number(n: u8) -> Option<Self> {
        PROTOCOLS.into_iter().find(|p| *p as u8 == n)
    }

    /// The protocol of a documented name.
    pub fn from_name(name: &str) -> Option<Self> {
        PROTOCOLS.into_iter().find(|p| p.as_str() == name)
    }
}

/// What the answer says of how it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Verdict {
    /// It went well.
    Ok = 1,
    /// The one who asked is at fault or gave up: HTTP 4xx, DNS NXDOMAIN, gRPC CANCELLED. Counted
    /// apart from errors.
    ClientError = 2,
    /// An error: HTTP 5xx, gRPC not OK, DNS SERVFAIL, REFUSED or no answer, an SQL error.
    Error = 3,
    /// The answer was not seen, or not enough of it.
    Unknown = 4,
}

impl Verdict {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::ClientError => "client-error",
            Verdict::Error => "error",
            Verdict::Unknown => "unknown",
        }
    }

    /// The verdict of a wire number.
    pub fn from_number(n: u8) -> Option<Self> {
        [Verdict::Ok, Verdict::ClientError, Verdict::Error, Verdict::Unknown]
            .into_iter()
            .find(|v| *v as u8 == n)
    }
}

/// Whether the time to the answer says how fast the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Shape {
    /// One request, one answer: its latency counts.
    Unary = 1,
    /// A stream of messages, such as a streaming call or a WebSocket.
    Stream = 2,
    /// The client asked to wait for something to happen: a long poll, BLPOP, a Kafka fetch.
    Wait = 3,
    /// No answer is expected.
    OneWay = 4,
}

impl Shape {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Shape::Unary => "unary",
            Shape::Stream => "stream",
            Shape::Wait => "wait",
            Shape::OneWay => "one-way",
        }
    }

    /// The shape of a wire number.
    pub fn from_number(n: u8) -> Option<Self> {
        [Shape::Unary, Shape::Stream, Shape::Wait, Shape::OneWay].into_iter().find(|s| *s as u8 == n)
    }
}

/// Something that was read, that is not there, or that cannot be told, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Known<T> {
    /// It was read.
    Known(T),
    /// It exists, but cannot be told; the reason in a few plain words.
    Unknown(&'static str),
    /// There is none.
    Absent,
}

impl<T> Known<T> {
    /// The value, if it was read.
    pub fn known(&self) -> Option<&T> {
        match self {
            Known::Known(t) => Some(t),
            Known::Unknown(_) | Known::Absent => None,
        }
    }
}
