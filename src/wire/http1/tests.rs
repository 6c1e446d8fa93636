//! HTTP/1 by hand, from captures, cut in any place, and with gaps.

use proptest::prelude::*;

use super::*;
use crate::model::Shape;
use crate::wire::testing::{Said, decode, decode_cut, said};
use crate::wire::{Sniff, Span};

mod captures;
mod framing;
mod gaps;
mod properties;

const C: Speaker = Speaker::Client;
const S: Speaker = Speaker::Server;

fn fresh() -> Http1 {
    Http1::new(false)
}

/// `GET /a 200 ok` and so on.
fn line(t: &Told) -> String {
    let target = match &t.target {
        Known::Known(t) => t.to_string(),
        Known::Unknown(_) => "?".into(),
        Known::Absent => "-".into(),
    };
    let status = match &t.status {
        Known::Known(s) => s.to_string(),
        Known::Unknown(_) => "?".into(),
        Known::Absent => "-".into(),
    };
    format!("{} {target} {status} {}", t.method, t.verdict.as_str())
}

fn lines(told: &[Told]) -> Vec<String> {
    told.iter().map(line).collect()
}

fn check(conversation: &[Said], expected: &[&str]) -> Vec<Told> {
    let told = decode(fresh(), conversation);
    assert_eq!(lines(&told), expected);
    told
}

const GET: &str = "GET /orders/42?x=1 HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn one_exchange_in_full() {
    let told = check(&[said(C, 1, GET), said(S, 3, OK)], &["GET /orders/{id} 200 ok"]);
    let t = &told[0];
    assert!(
        matches!(t.method, Cow::Borrowed("GET")) && matches!(t.status, Known::Known(Cow::Borrowed("200")))
    );
    assert_eq!((t.protocol, t.shape, t.key), (Protocol::Http1, Shape::Unary, (0, 0)));
    assert_eq!(
        t.request,
        Span { first: BootNs(1_000_000), last: BootNs(1_000_000), bytes: GET.len() as u64 }
    );
    assert_eq!(
        t.response,
        Some(Span { first: BootNs(3_000_000), last: BootNs(3_000_000), bytes: OK.len() as u64 })
    );
}

#[test]
fn verdicts() {
    for (status, verdict) in [
        ("204", "ok"),
        ("304", "ok"),
        ("302", "ok"),
        ("404", "client-error"),
        ("418", "client-error"),
        ("500", "error"),
        ("503", "error"),
        ("999", "error"),
    ] {
        let response = format!("HTTP/1.1 {status} Why\r\nContent-Length: 0\r\n\r\n");
        check(&[said(C, 1, GET), said(S, 2, response)], &[&format!("GET /orders/{{id}} {status} {verdict}")]);
    }
}

#[test]
fn keep_alive_and_pipelining() {
    let two =
        "GET /a HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyzHEAD /c HTTP/1.1\r\n\r\n";
    let answers = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n\
                   HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n";
    let told = check(
        &[said(C, 1, two), said(S, 2, answers), said(C, 3, "GET /d HTTP/1.1\r\n\r\n"), said(S, 4, OK)],
        &["GET /a 200 ok", "POST /b 500 error", "HEAD /c 200 ok", "GET /d 200 ok"],
    );
    let keys: Vec<_> = told.iter().map(|t| t.key).collect();
    assert_eq!(keys, [(0, 0), (19, 0), (61, 0), (81, 0)]);
    assert_eq!(told.iter().map(|t| t.request.bytes).sum::<u64>(), two.len() as u64 + 19);
    assert_eq!(
        told.iter().map(|t| t.response.unwrap().bytes).sum::<u64>(),
        (answers.len() + OK.len()) as u64
    );
}

#[test]
fn interim_responses() {
    let told = check(
        &[
            said(C, 1, "POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"),
            said(S, 2, "HTTP/1.1 100 Continue\r\n\r\n"),
            said(C, 5, "data"),
            said(S, 9, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
            said(S, 10, OK),
        ],
        &["POST /a 200 ok"],
    );
    // The answer's time is the final response's, its bytes are all of them.
    assert_eq!(told[0].request.last, BootNs(5_000_000));
    let response = told[0].response.unwrap();
    assert_eq!(response.first, BootNs(10_000_000));
    assert_eq!(response.bytes, (25 + 40 + OK.len()) as u64);
}

#[test]
fn early_response() {
    let told = check(
        &[
            said(C, 1, "POST /up HTTP/1.1\r\nContent-Length: 10\r\n\r\n123"),
            said(S, 2, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"),
            said(C, 3, "4567890"),
            said(C, 4, "GET /b HTTP/1.1\r\n\r\n"),
            said(S, 5, OK),
        ],
        &["POST /up 413 client-error", "GET /b 200 ok"],
    );
    assert_eq!(told[1].key, (51, 0));
}

#[test]
fn answered_before_the_head_is_complete() {
    check(
        &[
            said(C, 1, "GET /slow?a HTTP/1.1\r\nHost: a\r\nX"),
            said(S, 2, "HTTP/1.1 408 Slow\r\nContent-Length: 0\r\n\r\n"),
        ],
        &["GET /slow 408 client-error"],
    );
    check(
        &[said(C, 1, "GET /slow?a"), said(S, 2, "HTTP/1.1 408 Slow\r\nContent-Length: 0\r\n\r\n")],
        &["GET /slow 408 client-error"],
    );
    // Nobody asked.
    check(&[said(S, 2, "HTTP/1.1 408 Slow\r\nContent-Length: 0\r\n\r\n")], &[]);
}

type Over = (Vec<String>, Option<Known<Protocol>>, Option<(u64, u64)>);

fn over(request: &str, response: &str) -> Over {
    let (mut d, mut out) = (fresh(), Vec::new());
    d.bytes(C, BootNs(1), 0, request.as_bytes(), &mut out);
    d.bytes(S, BootNs(2), 0, response.as_bytes(), &mut out);
    (lines(&out), d.over(), d.over_at())
}

#[test]
fn upgrades_and_tunnels() {
    let ask = "GET /chat HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let yes = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n\r\n";
    let frames = format!("{yes}\u{1}\u{2}frames");
    assert_eq!(
        over(ask, &frames),
        (
            vec!["GET /chat 101 ok".into()],
            Some(Known::Known(Protocol::WebSocket)),
            Some((ask.len() as u64, yes.len() as u64))
        )
    );
    let (_, became, _) = over(&ask.replace("websocket", "h2c"), &yes.replace("WebSocket", "h2c"));
    assert_eq!(became, Some(Known::Known(Protocol::Http2)));
    let (_, became, _) = over(ask, "HTTP/1.1 101 Yes\r\n\r\n");
    assert_eq!(became, Some(Known::Known(Protocol::WebSocket)));
    let (_, became, _) = over(&ask.replace("websocket", "foo"), "HTTP/1.1 101 Yes\r\n\r\n");
    assert!(matches!(became, Some(Known::Unknown(_))));
    // Refused: it stays HTTP/1.
    let (told, became, _) = over(ask, "HTTP/1.1 426 No\r\nContent-Length: 0\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!((told, became), (vec!["GET /chat 426 client-error".into()], None));

    // A client that sends ahead of the answer.
    let connect = "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n";
    let (told, became, at) =
        over(&format!("{connect}\x16\x03\x01"), "HTTP/1.1 200 Go\r\nContent-Length: 9\r\n\r\n");
    assert_eq!(told, ["CONNECT example.com:443 200 ok"]);
    assert!(matches!(became, Some(Known::Unknown(_))));
    assert_eq!(at, Some((connect.len() as u64, 38)));
    check(
        &[
            said(C, 1, connect),
            said(S, 2, "HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n"),
            said(C, 3, connect),
            said(S, 4, "HTTP/1.0 200 Go\r\n\r\n"),
            said(C, 5, "\x16\x03\x01"),
        ],
        &["CONNECT example.com:443 407 client-error", "CONNECT example.com:443 200 ok"],
    );
}

#[test]
fn event_streams() {
    for kind in ["text/event-stream;charset=utf-8", "Multipart/X-Mixed-Replace; boundary=x"] {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"
        );
        let told = check(&[said(C, 1, GET), said(S, 2, head)], &["GET /orders/{id} 200 ok"]);
        assert_eq!(told[0].shape, Shape::Stream);
    }
}

#[test]
fn what_is_not_http_is_given_up() {
    for (from, text) in [
        (C, "get key\r\n"),
        (C, "\x16\x03\x01\x02\x00"),
        (C, "SELECT 1 FROM x\r\n"),
        (C, "GET / HTTP/2.0\r\n\r\n"),
        (C, "DESCRIBE rtsp://a/b RTSP/1.0\r\n"),
        (C, "GET /a b HTTP/1.1\r\n"),
        (S, "220 mail.example.org ESMTP\r\n"),
        (S, "HTTP/2.0 200\r\n"),
        (S, "HTTP/1.1 2000\r\n"),
    ] {
        let (mut d, mut out) = (fresh(), Vec::new());
        d.bytes(from, BootNs(1), 0, text.as_bytes(), &mut out);
        assert_eq!((d.over(), out), (Some(Known::Unknown("not HTTP/1")), vec![]), "{text}");
        assert!(d.take_undecoded() > 0 && d.take_undecoded() == 0);
    }
}

#[test]
fn sniffing() {
    let long = format!("GET /{}", "a".repeat(200));
    for (client, server, expected) in [
        ("", "", Sniff::Maybe),
        ("G", "", Sniff::Maybe),
        ("GET ", "", Sniff::Maybe),
        ("GET /a", "", Sniff::Maybe),
        ("GET /a HT", "", Sniff::Maybe),
        ("GET /a HTTP/1.1", "", Sniff::Yes),
        ("\r\nGET /a HTTP/1.1\r\nHo", "", Sniff::Yes),
        ("PURGEX /a HTTP/1.1\r\n", "", Sniff::Yes),
        (&long, "", Sniff::Yes),
        ("GET /a", "HTTP/1.1 200 OK\r\n", Sniff::Yes),
        ("GET /a HTTP/1.1\r\n", "garbage", Sniff::Yes),
        ("GET /a", "garbage", Sniff::No),
        ("", "HTTP/1.", Sniff::Maybe),
        ("", "HTTP/1.1 200 OK", Sniff::Yes),
        ("", "HTTP/1.0 404\r\n", Sniff::Yes),
        ("", "HTTP/1.1 2000", Sniff::No),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", Sniff::No),
        ("PRI", "", Sniff::No),
        (" GET /a HTTP/1.1\r\n", "", Sniff::No),
        ("get a b\r\n", "", Sniff::No),
        ("CONNECT {\"verbose\":true}\r\n", "", Sniff::No),
        ("CONNECT {\"verb", "", Sniff::No),
        ("OPTIONS sip:a SIP/2.0\r\n", "", Sniff::No),
        ("GET /a RT", "", Sniff::No),
        ("*1\r\n$4\r\nPING\r\n", "", Sniff::No),
        ("\x16\x03\x01", "HTTP/1.1 400 Bad Request\r\n", Sniff::No),
    ] {
        assert_eq!(sniff(client.as_bytes(), server.as_bytes()), expected, "{client} | {server}");
    }
}
