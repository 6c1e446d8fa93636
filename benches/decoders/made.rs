//! The shapes of conversations: small messages as real clients and servers say them, a few megabytes.

use webb::wire::decoder::Speaker::{self, Client as C, Server as S};
use webb::wire::{amqp, dns, http1, http2, memcached, mysql, nats, postgres, redis};

use crate::Make;
use crate::testing::{Said, said};

/// Exchanges of a conversation: some megabytes, which no cache near the core holds.
const EXCHANGES: usize = 20_000;

/// Name, decoder, conversation.
type Shape = (&'static str, Make, fn() -> Vec<Said>);

/// All shapes.
pub fn all() -> Vec<Shape> {
    vec![
        ("http/1 get, nginx hello", || Box::new(http1::Http1::new(false)), || http1_get()),
        ("http/1 pipelined by 16", || Box::new(http1::Http1::new(false)), || pipelined(&http1_get(), 16)),
        ("grpc unary, indexed heads", || Box::new(http2::Http2::new(false)), || grpc(0, 1, false)),
        ("grpc unary, 80 bytes each way", || Box::new(http2::Http2::new(false)), || grpc(80, 1, false)),
        ("grpc unary, new trace id each", || Box::new(http2::Http2::new(false)), || grpc(20, 1, true)),
        ("grpc unary, 50 streams", || Box::new(http2::Http2::new(false)), || grpc(0, 50, false)),
        ("redis get", || Box::new(redis::Redis::new()), || redis_get(3)),
        ("redis get and set by 16", || Box::new(redis::Redis::new()), || pipelined(&redis_get(3), 16)),
        ("redis get of 100 bytes by 16", || Box::new(redis::Redis::new()), || pipelined(&redis_get(100), 16)),
        ("nats pub 16 by 16", || Box::new(nats::Nats::new()), || nats_pub()),
        ("nats request", || Box::new(nats::Nats::new()), || nats_request()),
        ("memcached get", || Box::new(memcached::Memcached::new()), || memcached_get()),
        ("postgres select, simple", || Box::new(postgres::Postgres::new()), || postgres_simple()),
        ("postgres select, new text each", || Box::new(postgres::Postgres::new()), || postgres_text()),
        ("postgres select, extended", || Box::new(postgres::Postgres::new()), || postgres_extended()),
        ("postgres select, prepared", || Box::new(postgres::Postgres::new()), || postgres_prepared()),
        ("mysql select", || Box::new(mysql::Mysql::new()), || mysql_query()),
        ("mysql prepared", || Box::new(mysql::Mysql::new()), || mysql_prepared()),
        ("amqp publish 100, confirms", || Box::new(amqp::Amqp::new()), || amqp_publish()),
        ("dns over tcp", || Box::new(dns::Stream::new()), || dns_stream()),
    ]
}

/// Requests and responses in turn, each asked a millisecond after the last.
fn exchanges(each: impl Fn(usize) -> (Vec<u8>, Vec<u8>)) -> Vec<Said> {
    let of = |i: usize| {
        let (request, response) = each(i);
        [said(C, i as u64, request), said(S, i as u64 + 1, response)]
    };
    (0..EXCHANGES).flat_map(of).collect()
}

/// The same with so many requests in one run, then their responses in one run.
fn pipelined(conversation: &[Said], by: usize) -> Vec<Said> {
    let join = |chunk: &[Said], from: Speaker| {
        let data: Vec<&[u8]> = chunk.iter().filter(|s| s.from == from).map(|s| &*s.data).collect();
        Said { from, at: chunk.last().unwrap().at, data: data.concat() }
    };
    conversation.chunks(2 * by).flat_map(|chunk| [join(chunk, C), join(chunk, S)]).collect()
}

fn http1_get() -> Vec<Said> {
    let head = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sun, 22 Nov 2026 20:00:00 GMT\r\n\
                Content-Type: text/plain\r\nContent-Length: 6\r\nConnection: keep-alive\r\n\r\nhello\n";
    exchanges(|i| (format!("GET /orders/{i} HTTP/1.1\r\nHost: 127.0.0.1:18099\r\n\r\n").into(), head.into()))
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    [&[a, b, c, kind, flags][..], &stream.to_be_bytes(), payload].concat()
}

/// Unary calls as grpcio says them once the tables are filled: all fields indexed, or one that
/// differs each time and is inserted.
fn grpc(message: usize, streams: usize, traced: bool) -> Vec<Said> {
    let literal = |name: &str, value: &str| {
        [&[0x40, name.len() as u8][..], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
    };
    let asked: Vec<u8> = [
        vec![0x83, 0x86],
        literal(":path", "/shop.Orders/Get"),
        literal(":authority", "orders:50051"),
        literal("content-type", "application/grpc"),
        literal("te", "trailers"),
        literal("user-agent", "grpc-python/1.85.1 grpc-c/54.0.0 (linux; chttp2)"),
    ]
    .concat();
    // The newest entry is 62: user-agent, te, content-type, authority, path.
    let again = [0x83, 0x86, 0xc2, 0xc1, 0xc0, 0xbf, 0xbe];
    let head: Vec<u8> = [vec![0x88], literal("content-type", "application/grpc")].concat();
    let trailers = [literal("grpc-status", "0"), literal("grpc-message", "")].concat();
    let body = |n: usize| [&[0][..], &(n as u32).to_be_bytes(), &vec![b'x'; n]].concat();
    let mut all = vec![
        said(C, 0, [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, b"")].concat()),
        said(S, 0, frame(4, 0, 0, b"")),
    ];
    let call = |i: usize| {
        let stream = 2 * i as u32 + 1;
        // 5 entries with the fields of the first call; a trace id moves them along.
        let block = match (i, traced) {
            (0, _) => asked.clone(),
            (_, false) => again.to_vec(),
            (i, true) => {
                let moved = again.iter().map(|b| if *b > 0xbd { b + (i as u8 - 1).min(20) } else { *b });
                let trace = format!("00-{i:032x}-{i:016x}-01");
                let mut block: Vec<u8> = if i <= 20 { moved.collect() } else { asked.clone() };
                block.extend(literal("traceparent", &trace));
                block
            }
        };
        let request = [frame(1, 4, stream, &block), frame(0, 1, stream, &body(message))].concat();
        // grpc-message, grpc-status, content-type are 62, 63, 64.
        let (h, t) =
            if i == 0 { (head.clone(), trailers.clone()) } else { (vec![0x88, 0xc0], vec![0xbf, 0xbe]) };
        let response =
            [frame(1, 4, stream, &h), frame(0, 0, stream, &body(message)), frame(1, 5, stream, &t)].concat();
        (request, response)
    };
    all.extend(pipelined(&exchanges(call), streams));
    all
}

fn redis_get(value: usize) -> Vec<Said> {
    let value = format!("${value}\r\n{}\r\n", "x".repeat(value)).into_bytes();
    exchanges(|i| match i % 2 {
        0 => (b"*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000042\r\n".to_vec(), value.clone()),
        _ => (b"*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000042\r\n$3\r\nxxx\r\n".to_vec(), b"+OK\r\n".to_vec()),
    })
}

fn nats_pub() -> Vec<Said> {
    let run = |i: usize| -> String {
        (0..16).map(|j| format!("PUB orders.{}.new 16\r\n0123456789abcdef\r\n", i * 16 + j)).collect()
    };
    (0..EXCHANGES / 16).map(|i| said(C, i as u64, run(i))).collect()
}

fn nats_request() -> Vec<Said> {
    exchanges(|i| {
        let inbox = format!("_INBOX.LqXQ7gEMCPnjm4M4UF4SZq.{i:08}");
        let request = format!("PUB orders.get {inbox} 16\r\n0123456789abcdef\r\n");
        (request.into(), format!("MSG {inbox} 1 16\r\n0123456789abcdef\r\n").into())
    })
}

fn memcached_get() -> Vec<Said> {
    exchanges(|i| (format!("get key:{i:08}\r\n").into(), b"VALUE key 0 10\r\n0123456789\r\nEND\r\n".to_vec()))
}

fn typed(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

const SELECT: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = ";

fn postgres_answer() -> Vec<u8> {
    [
        typed(b'T', b"\0\x01abalance\0\0\0\x40\x08\0\x03\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0"),
        typed(b'D', b"\0\x01\0\0\0\x010"),
        typed(b'C', b"SELECT 1\0"),
        typed(b'Z', b"I"),
    ]
    .concat()
}

/// What comes before the first request.
fn postgres(mut requests: Vec<Said>) -> Vec<Said> {
    let start = [&[0, 0, 0, 17, 0, 3, 0, 0][..], b"user\0me\0\0"].concat();
    let ready = [typed(b'R', &[0; 4]), typed(b'Z', b"I")].concat();
    requests.splice(0..0, [said(C, 0, start), said(S, 0, ready)]);
    requests
}

fn postgres_simple() -> Vec<Said> {
    let answer = postgres_answer();
    postgres(exchanges(|i| (typed(b'Q', format!("{SELECT}{i};\0").as_bytes()), answer.clone())))
}

/// No statement is the same as another but for its literals, and these are strings.
fn postgres_text() -> Vec<Said> {
    let answer = postgres_answer();
    postgres(exchanges(|i| (typed(b'Q', format!("{SELECT}'{i}';\0").as_bytes()), answer.clone())))
}

fn bind(name: &str, i: usize) -> Vec<u8> {
    let value = i.to_string();
    let body =
        [b"\0", name.as_bytes(), b"\0\0\0\0\x01", &(value.len() as u32).to_be_bytes(), value.as_bytes()];
    [
        typed(b'B', &[body.concat(), b"\0\0".to_vec()].concat()),
        typed(b'D', b"P\0"),
        typed(b'E', b"\0\0\0\0\0"),
        typed(b'S', b""),
    ]
    .concat()
}

fn postgres_extended() -> Vec<Said> {
    let parse = typed(b'P', format!("\0{SELECT}$1;\0\0\0").as_bytes());
    let answer = [typed(b'1', b""), typed(b'2', b""), postgres_answer()].concat();
    postgres(exchanges(|i| ([parse.clone(), bind("", i)].concat(), answer.clone())))
}

fn postgres_prepared() -> Vec<Said> {
    let parse = [typed(b'P', format!("P_0\0{SELECT}$1;\0\0\0").as_bytes()), typed(b'S', b"")].concat();
    let answer = [typed(b'2', b""), postgres_answer()].concat();
    let mut requests = exchanges(|i| (bind("P_0", i), answer.clone()));
    let parsed = [typed(b'1', b""), typed(b'Z', b"I")].concat();
    requests.splice(0..0, [said(C, 0, parse), said(S, 0, parsed)]);
    postgres(requests)
}

fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
    let [a, b, c, _] = (body.len() as u32).to_le_bytes();
    [&[a, b, c, sequence][..], body].concat()
}

/// One row of one column, with EOF.
fn mysql_answer(row: &[u8]) -> Vec<u8> {
    let column = b"\x03def\x04shop\x01o\x06orders\x02id\x02id\x0c\x3f\0\x0b\0\0\0\x03\x03\x42\0\0\0";
    [
        packet(1, b"\x01"),
        packet(2, column),
        packet(3, b"\xfe\0\0\x22\0"),
        packet(4, row),
        packet(5, b"\xfe\0\0\x22\0"),
    ]
    .concat()
}

fn mysql_query() -> Vec<Said> {
    let answer = mysql_answer(b"\x0242");
    exchanges(|i| {
        let sql = format!("\x03SELECT id FROM orders WHERE id = {i}");
        (packet(0, sql.as_bytes()), answer.clone())
    })
}

fn mysql_prepared() -> Vec<Said> {
    let prepared = packet(1, b"\0\x01\0\0\0\0\0\0\0\0\0\0");
    let answer = mysql_answer(b"\0\0\x2a\0\0\0");
    let mut all =
        vec![said(C, 0, packet(0, b"\x16SELECT id FROM orders WHERE id = 42")), said(S, 0, prepared)];
    all.extend(exchanges(|_| (packet(0, b"\x17\x01\0\0\0\0\x01\0\0\0"), answer.clone())));
    all
}

fn amqp_publish() -> Vec<Said> {
    let frame = |kind: u8, payload: &[u8]| {
        [&[kind, 0, 1][..], &(payload.len() as u32).to_be_bytes(), payload, &[0xce]].concat()
    };
    let publish = frame(1, b"\0\x3c\0\x28\0\0\x0bshop.events\x0aorders.new\0");
    let header = frame(2, b"\0\x3c\0\0\0\0\0\0\0\0\0\x64\x10\0\x02");
    let message = [publish, header, frame(3, &[b'x'; 100])].concat();
    let ack = |tag: u64| frame(1, &[b"\0\x3c\0\x50", &tag.to_be_bytes()[..], b"\0"].concat());
    let mut all = vec![said(C, 0, frame(1, b"\0\x55\0\x0a\0")), said(S, 0, frame(1, b"\0\x55\0\x0b"))];
    all.extend(exchanges(|i| (message.clone(), ack(i as u64 + 1))));
    all
}

/// A query and its answer of one address, both with EDNS.
fn lookup(i: usize) -> (Vec<u8>, Vec<u8>) {
    let id = (i as u16).to_be_bytes();
    let service = format!("orders-{:04}", i % 1000);
    let mut name = Vec::new();
    for label in [&*service, "shop", "svc", "cluster", "local"] {
        name.push(label.len() as u8);
        name.extend(label.as_bytes());
    }
    let name = [&name[..], b"\0\0\x01\0\x01"].concat();
    let edns = b"\0\0\x29\x04\xd0\0\0\0\0\0\0";
    let query = [&id[..], b"\x01\0\0\x01\0\0\0\0\0\x01", &name, edns].concat();
    let answer = b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x0a\0\0\x2a";
    let response = [&id[..], b"\x81\x80\0\x01\0\x01\0\0\0\x01", &name, answer, edns].concat();
    (query, response)
}

/// Lookups over UDP.
pub fn lookups() -> Vec<Said> {
    exchanges(lookup)
}

fn dns_stream() -> Vec<Said> {
    let framed = |data: Vec<u8>| [&(data.len() as u16).to_be_bytes()[..], &data].concat();
    exchanges(|i| {
        let (query, response) = lookup(i);
        (framed(query), framed(response))
    })
}
