//! What was not captured.

use super::*;

enum What<'a> {
    Turn(Speaker),
    Bytes(Speaker, &'a str),
    Gap(Speaker, u64),
}
use What::{Bytes, Gap, Turn};

fn play(mut d: Http1, what: &[What]) -> (Vec<Told>, u64) {
    let mut out = Vec::new();
    let mut offsets = [0u64; 2];
    let mut at = BootNs(0);
    for w in what {
        at.0 += 1;
        match *w {
            Turn(from) => d.turn(from, &mut out),
            Bytes(from, data) => {
                let o = &mut offsets[usize::from(from == S)];
                d.bytes(from, at, *o, data.as_bytes(), &mut out);
                *o += data.len() as u64;
            }
            Gap(from, len) => {
                let o = &mut offsets[usize::from(from == S)];
                d.gap(from, at, *o, len, &mut out);
                *o += len;
            }
        }
    }
    d.end(at, &mut out);
    (out, d.take_undecoded())
}

fn plays(d: Http1, what: &[What], expected: &[&str], undecoded: u64) -> Vec<Told> {
    let (told, missed) = play(d, what);
    assert_eq!(lines(&told), expected);
    assert_eq!(missed, undecoded);
    told
}

const B: &str = "GET /b HTTP/1.1\r\n\r\n";

#[test]
fn tails_of_known_length_are_harmless() {
    let post = "POST /a HTTP/1.1\r\nContent-Length: 1000\r\n\r\n";
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\nab";
    let told = plays(
        fresh(),
        &[
            Turn(C),
            Bytes(C, post),
            Gap(C, 1000),
            Turn(S),
            Bytes(S, ok),
            Gap(S, 2000),
            Gap(S, 1000),
            Turn(C),
            Bytes(C, B),
            Turn(S),
            Bytes(S, chunked),
            Gap(S, 998),
            Bytes(S, "\r\n0\r\n\r\n"),
            Turn(C),
            Bytes(C, B),
            Turn(S),
            Bytes(S, OK),
        ],
        &["POST /a 200 ok", "GET /b 200 ok", "GET /b 200 ok"],
        0,
    );
    assert_eq!((told[0].request.last, told[0].request.bytes), (BootNs(3), post.len() as u64 + 1000));
    let span = Span { first: BootNs(5), last: BootNs(7), bytes: ok.len() as u64 + 3000 };
    assert_eq!(told[0].response, Some(span));
}

#[test]
fn heads_longer_than_what_is_captured() {
    let told = plays(
        fresh(),
        &[
            Turn(C),
            Bytes(C, "PUT /a/17?k=v HTTP/1.1\r\nCookie: aaaa"),
            Gap(C, 5000),
            Turn(S),
            Bytes(S, "HTTP/1.1 404 Not Found\r\nContent-Type: text/ht"),
            Gap(S, 700),
            Turn(C),
            Bytes(C, "GET /search?q=secr"),
            Gap(C, 5000),
            Turn(S),
            Bytes(S, "HTTP/1.1 200 O"),
            Gap(S, 700),
            Turn(C),
            Bytes(C, "GET /very/long/pa"),
            Gap(C, 5000),
            Turn(S),
            Bytes(S, OK),
            Turn(C),
            Bytes(C, B),
            Turn(S),
            Bytes(S, OK),
        ],
        &["PUT /a/{id} 404 client-error", "GET /search 200 ok", "GET ? 200 ok", "GET /b 200 ok"],
        0,
    );
    assert_eq!((told[0].request.bytes, told[0].request.last), (36 + 5000, BootNs(3)));
    assert_eq!((told[0].response.unwrap().bytes, told[0].response.unwrap().last), (45 + 700, BootNs(6)));
}

#[test]
fn the_body_after_100_continue_is_no_request() {
    plays(
        fresh(),
        &[
            Turn(C),
            Bytes(C, "POST /a HTTP/1.1\r\nCookie: aaaa"),
            Gap(C, 5000),
            Turn(S),
            Bytes(S, "HTTP/1.1 100 Continue\r\n\r\n"),
            Turn(C),
            Bytes(C, "GET /not-me HTTP/1.1\r\n\r\n"),
            Turn(S),
            Bytes(S, OK),
            Turn(C),
            Bytes(C, B),
            Turn(S),
            Bytes(S, OK),
        ],
        &["POST /a 200 ok", "GET /b 200 ok"],
        0,
    );
}

#[test]
fn gaps_in_chunked_bodies() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab";
    let told = plays(
        fresh(),
        &[
            Turn(C),
            Bytes(C, B),
            Turn(S),
            Bytes(S, chunked),
            Gap(S, 900),
            Turn(C),
            Bytes(C, B),
            Turn(S),
            Bytes(S, OK),
        ],
        &["GET /b 200 ok", "GET /b 200 ok"],
        0,
    );
    assert_eq!(told[0].response.unwrap().bytes, chunked.len() as u64 + 900);
}

#[test]
fn an_upload_goes_on_while_the_answer_has_begun() {
    // Bytes of the request's body are not the beginning of a new request.
    plays(
        fresh(),
        &[
            Turn(C),
            Bytes(C, "POST /a HTTP/1.1\r\nContent-Length: 20\r\n\r\n12345"),
            Turn(S),
            Bytes(S, "HTTP/1.1 200 OK\r\nX: "),
            Gap(S, 300),
            Turn(C),
            Bytes(C, "6789012345"),
            Turn(S),
            Bytes(S, "more"),
            Turn(C),
            Bytes(C, "67890"),
            Turn(C),
            Bytes(C, B),
            Turn(S),
            Bytes(S, OK),
        ],
        &["POST /a 200 ok", "GET /b 200 ok"],
        0,
    );
}

#[test]
fn missed_messages() {
    // A request begins in a gap: it is counted, its response is told.
    let told = plays(
        fresh(),
        &[Gap(C, 300), Turn(S), Bytes(S, OK), Turn(C), Bytes(C, B), Turn(S), Bytes(S, OK)],
        &[" ? 200 ok", "GET /b 200 ok"],
        300,
    );
    assert_eq!((told[0].request.bytes, told[0].key, told[1].key), (0, (300, 1), (300, 0)));
    // A response begins in a gap: the request is told.
    let told = plays(
        fresh(),
        &[Turn(C), Bytes(C, B), Gap(S, 300), Turn(C), Bytes(C, B), Turn(S), Bytes(S, OK)],
        &["GET /b ? unknown", "GET /b 200 ok"],
        0,
    );
    assert_eq!(told[0].response, Some(Span { first: BootNs(3), last: BootNs(3), bytes: 300 }));
    // More than the body is missing.
    plays(
        fresh(),
        &[
            Turn(C),
            Bytes(C, "POST /a HTTP/1.1\r\nContent-Length: 10\r\n\r\n"),
            Gap(C, 60),
            Turn(S),
            Bytes(S, OK),
            Turn(C),
            Bytes(C, B),
            Turn(S),
            Bytes(S, OK),
        ],
        &["POST /a 200 ok", "GET /b 200 ok"],
        50,
    );
    // Pipelined, and the responses lie in a gap: none is guessed.
    plays(
        fresh(),
        &[
            Turn(C),
            Bytes(C, B),
            Bytes(C, B),
            Bytes(C, B),
            Turn(S),
            Bytes(S, "HTTP/1.1 200 OK\r\nX:"),
            Gap(S, 600),
            Turn(C),
            Bytes(C, GET),
            Turn(S),
            Bytes(S, OK),
        ],
        &["GET /b 200 ok", "GET /b ? unknown", "GET /b ? unknown", "GET /orders/{id} 200 ok"],
        0,
    );
}

#[test]
fn a_request_that_begins_in_a_gap_ends_a_vague_response() {
    // No turn of the client's is told, for its first bytes are missing.
    plays(
        fresh(),
        &[
            Turn(C),
            Bytes(C, B),
            Bytes(C, GET),
            Turn(S),
            Bytes(S, "HTTP/1.1 200 OK\r\nX:"),
            Gap(S, 600),
            Gap(C, 70),
            Turn(S),
            Bytes(S, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
            Turn(C),
            Bytes(C, B),
            Turn(S),
            Bytes(S, OK),
        ],
        &["GET /b 200 ok", "GET /orders/{id} ? unknown", " ? 500 error", "GET /b 200 ok"],
        70,
    );
}

#[test]
fn interim_responses_cut_short() {
    plays(
        fresh(),
        &[
            Turn(C),
            Bytes(C, "POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\n"),
            Turn(S),
            Bytes(S, "HTTP/1.1 100 Continue\r\nX: "),
            Gap(S, 10),
            Turn(C),
            Bytes(C, "abcd"),
            Turn(S),
            Bytes(S, OK),
        ],
        &["POST /a 200 ok"],
        0,
    );
}

#[test]
fn upgrades_cut_short() {
    let (mut d, mut out) = (fresh(), Vec::new());
    d.bytes(C, BootNs(1), 0, b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nCookie: ", &mut out);
    d.gap(C, BootNs(1), 46, 500, &mut out);
    d.bytes(S, BootNs(2), 0, b"HTTP/1.1 101 Switching Protocols\r\nX: ", &mut out);
    assert_eq!(d.over(), None);
    d.gap(S, BootNs(2), 37, 500, &mut out);
    assert_eq!(
        (lines(&out), d.over()),
        (vec!["GET /ws 101 ok".into()], Some(Known::Known(Protocol::WebSocket)))
    );
}

#[test]
fn adopted_connections() {
    // In the middle of a response body, then a turn.
    plays(
        Http1::new(true),
        &[Bytes(S, "<p>rest of a page</p>"), Turn(C), Bytes(C, B), Turn(S), Bytes(S, OK)],
        &["GET /b 200 ok"],
        21,
    );
    // Before the response: the request was not seen. It may have been HEAD.
    let told = plays(
        Http1::new(true),
        &[
            Turn(S),
            Bytes(S, "HTTP/1.1 503 Busy\r\nContent-Length: 900\r\n\r\n"),
            Turn(C),
            Bytes(C, B),
            Turn(S),
            Bytes(S, OK),
        ],
        &[" ? 503 error", "GET /b 200 ok"],
        0,
    );
    assert_eq!(told[0].request.bytes, 0);
    // In the middle of an upload that looks like nothing.
    plays(
        Http1::new(true),
        &[
            Turn(C),
            Bytes(C, "0123456789012345678901234567890\n"),
            Turn(S),
            Bytes(S, OK),
            Turn(C),
            Bytes(C, B),
        ],
        &[" ? 200 ok", "GET /b - unknown"],
        32,
    );
}

#[test]
fn turns_that_lead_nowhere_end_it() {
    let mut d = Http1::new(true);
    let mut out = Vec::new();
    for i in 0..u64::from(MAX_STRIKES) {
        assert_eq!(d.over(), None);
        d.turn(C, &mut out);
        d.bytes(C, BootNs(i), i * 8, b"garbage\n", &mut out);
    }
    assert_eq!(d.over(), Some(Known::Unknown("not HTTP/1")));
    assert_eq!((d.take_undecoded(), out.len()), (u64::from(MAX_STRIKES) * 8, 0));
}
