//! The methods of AMQP 0-9-1 with RabbitMQ's extensions, and where in their arguments names stand
//! (<https://www.rabbitmq.com/resources/specs/amqp0-9-1.extended.xml>).

/// What a method does in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Asks for an answer: the method of its class with this id.
    Ask(u16),
    /// Answers, or is a step of the handshake that asks for nothing.
    Answer,
    /// Says something that is not answered.
    Say,
}

/// Which names a method is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    Nothing,
    /// Its first name: a queue or an exchange.
    Name,
    /// An exchange, and the routing key behind it.
    Route,
}

/// One method.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Method {
    pub class: u16,
    pub id: u16,
    pub name: &'static str,
    pub role: Role,
    pub about: About,
    /// Bytes before the first of the short strings that lead to the names.
    fixed: usize,
    /// Short strings before the octet of bits, and the bit of `no-wait`.
    no_wait: Option<(usize, u8)>,
}

pub(super) const CONNECTION: u16 = 10;
pub(super) const CHANNEL: u16 = 20;
pub(super) const BASIC: u16 = 60;
pub(super) const CONFIRM: u16 = 85;

pub(super) const CONNECTION_START_OK: u16 = 11;
pub(super) const CONNECTION_SECURE: u16 = 20;
pub(super) const CONNECTION_TUNE: u16 = 30;
pub(super) const CONNECTION_CLOSE: u16 = 50;
pub(super) const CHANNEL_OPEN: u16 = 10;
pub(super) const CHANNEL_CLOSE: u16 = 40;
pub(super) const CHANNEL_CLOSE_OK: u16 = 41;
pub(super) const PUBLISH: u16 = 40;
pub(super) const RETURN: u16 = 50;
pub(super) const DELIVER: u16 = 60;
pub(super) const GET: u16 = 70;
pub(super) const GET_OK: u16 = 71;
pub(super) const GET_EMPTY: u16 = 72;
pub(super) const ACK: u16 = 80;
pub(super) const NACK: u16 = 120;

const fn row(class: u16, id: u16, name: &'static str, role: Role) -> Method {
    Method { class, id, name, role, about: About::Nothing, fixed: 0, no_wait: None }
}

/// About the name behind a reserved short; `no_wait` is the bit behind so many short strings.
const fn named(class: u16, id: u16, name: &'static str, ok: u16, no_wait: Option<(usize, u8)>) -> Method {
    Method { class, id, name, role: Role::Ask(ok), about: About::Name, fixed: 2, no_wait }
}

use Role::{Answer, Ask, Say};

/// By class and id.
static METHODS: [Method; 66] = [
    row(10, 10, "connection.start", Answer),
    row(10, 11, "connection.start-ok", Ask(CONNECTION_TUNE)),
    row(10, 20, "connection.secure", Answer),
    row(10, 21, "connection.secure-ok", Ask(CONNECTION_TUNE)),
    row(10, 30, "connection.tune", Answer),
    row(10, 31, "connection.tune-ok", Answer),
    row(10, 40, "connection.open", Ask(41)),
    row(10, 41, "connection.open-ok", Answer),
    row(10, 50, "connection.close", Ask(51)),
    row(10, 51, "connection.close-ok", Answer),
    row(10, 60, "connection.blocked", Say),
    row(10, 61, "connection.unblocked", Say),
    row(10, 70, "connection.update-secret", Ask(71)),
    row(10, 71, "connection.update-secret-ok", Answer),
    row(20, 10, "channel.open", Ask(11)),
    row(20, 11, "channel.open-ok", Answer),
    row(20, 20, "channel.flow", Ask(21)),
    row(20, 21, "channel.flow-ok", Answer),
    row(20, 40, "channel.close", Ask(41)),
    row(20, 41, "channel.close-ok", Answer),
    row(30, 10, "access.request", Ask(11)),
    row(30, 11, "access.request-ok", Answer),
    named(40, 10, "exchange.declare", 11, Some((2, 4))),
    row(40, 11, "exchange.declare-ok", Answer),
    named(40, 20, "exchange.delete", 21, Some((1, 1))),
    row(40, 21, "exchange.delete-ok", Answer),
    named(40, 30, "exchange.bind", 31, Some((3, 0))),
    row(40, 31, "exchange.bind-ok", Answer),
    named(40, 40, "exchange.unbind", 51, Some((3, 0))),
    row(40, 51, "exchange.unbind-ok", Answer),
    named(50, 10, "queue.declare", 11, Some((1, 4))),
    row(50, 11, "queue.declare-ok", Answer),
    named(50, 20, "queue.bind", 21, Some((3, 0))),
    row(50, 21, "queue.bind-ok", Answer),
    named(50, 30, "queue.purge", 31, Some((1, 0))),
    row(50, 31, "queue.purge-ok", Answer),
    named(50, 40, "queue.delete", 41, Some((1, 2))),
    row(50, 41, "queue.delete-ok", Answer),
    named(50, 50, "queue.unbind", 51, None),
    row(50, 51, "queue.unbind-ok", Answer),
    row(60, 10, "basic.qos", Ask(11)),
    row(60, 11, "basic.qos-ok", Answer),
    named(60, 20, "basic.consume", 21, Some((2, 3))),
    row(60, 21, "basic.consume-ok", Answer),
    Method { no_wait: Some((1, 0)), ..row(60, 30, "basic.cancel", Ask(31)) },
    row(60, 31, "basic.cancel-ok", Answer),
    Method { about: About::Route, fixed: 2, ..row(60, PUBLISH, "basic.publish", Say) },
    Method { about: About::Route, fixed: 2, ..row(60, RETURN, "basic.return", Say) },
    Method { about: About::Route, ..row(60, DELIVER, "basic.deliver", Say) },
    named(60, GET, "basic.get", GET_OK, None),
    row(60, GET_OK, "basic.get-ok", Answer),
    row(60, GET_EMPTY, "basic.get-empty", Answer),
    row(60, ACK, "basic.ack", Say),
    row(60, 90, "basic.reject", Say),
    row(60, 100, "basic.recover-async", Say),
    row(60, 110, "basic.recover", Ask(111)),
    row(60, 111, "basic.recover-ok", Answer),
    row(60, NACK, "basic.nack", Say),
    Method { no_wait: Some((0, 0)), ..row(85, 10, "confirm.select", Ask(11)) },
    row(85, 11, "confirm.select-ok", Answer),
    row(90, 10, "tx.select", Ask(11)),
    row(90, 11, "tx.select-ok", Answer),
    row(90, 20, "tx.commit", Ask(21)),
    row(90, 21, "tx.commit-ok", Answer),
    row(90, 30, "tx.rollback", Ask(31)),
    row(90, 31, "tx.rollback-ok", Answer),
];

/// The method with these numbers.
pub(super) fn method(class: u16, id: u16) -> Option<&'static Method> {
    let at = METHODS.binary_search_by_key(&(class, id), |m| (m.class, m.id)).ok()?;
    METHODS.get(at)
}

/// What is left to read of a method's arguments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Args<'a>(pub &'a [u8]);

impl<'a> Args<'a> {
    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (now, later) = self.0.split_at_checked(n)?;
        self.0 = later;
        Some(now)
    }

    pub(super) fn octet(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(super) fn short(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    pub(super) fn longlong(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    /// A short string.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let len = self.octet()?;
        self.take(usize::from(len))
    }
}

impl Method {
    /// The names that it is about: queue, or exchange and routing key. `None` where they were not
    /// captured.
    pub(super) fn names<'a>(&self, args: Args<'a>) -> Option<(&'a [u8], Option<&'a [u8]>)> {
        let mut args = args;
        args.take(self.fixed)?;
        match (self.class, self.id) {
            // Consumer tag, delivery tag, redelivered.
            (BASIC, DELIVER) => {
                args.string()?;
                args.take(9)?;
            }
            // Reply text.
            (BASIC, RETURN) => {
                args.string()?;
            }
            _ => {}
        }
        let name = args.string()?;
        match self.about {
            About::Route => Some((name, Some(args.string()?))),
            _ => Some((name, None)),
        }
    }

    /// The client asks not to be answered.
    pub(super) fn says_no_wait(&self, args: Args<'_>) -> bool {
        let Some((strings, bit)) = self.no_wait else { return false };
        let mut args = args;
        let bits = args.take(self.fixed).and_then(|_| {
            for _ in 0..strings {
                args.string()?;
            }
            args.octet()
        });
        bits.is_some_and(|bits| bits >> bit & 1 == 1)
    }
}

/// The name of a reply code, behind its number.
pub(super) fn reply(code: u16) -> String {
    let name = match code {
        200 => "OK",
        311 => "CONTENT_TOO_LARGE",
        312 => "NO_ROUTE",
        313 => "NO_CONSUMERS",
        320 => "CONNECTION_FORCED",
        402 => "INVALID_PATH",
        403 => "ACCESS_REFUSED",
        404 => "NOT_FOUND",
        405 => "RESOURCE_LOCKED",
        406 => "PRECONDITION_FAILED",
        501 => "FRAME_ERROR",
        502 => "SYNTAX_ERROR",
        503 => "COMMAND_INVALID",
        504 => "CHANNEL_ERROR",
        505 => "UNEXPECTED_FRAME",
        506 => "RESOURCE_ERROR",
        530 => "NOT_ALLOWED",
        540 => "NOT_IMPLEMENTED",
        541 => "INTERNAL_ERROR",
        _ => return code.to_string(),
    };
    format!("{code} {name}")
}
