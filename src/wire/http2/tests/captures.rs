//! Captures of real clients and servers, against what they were asked to do.

use super::*;
use crate::wire::testing::{decode, said};

#[test]
fn nginx_with_prior_knowledge() {
    let all: Vec<Vec<Told>> =
        capture("http2-nginx.pcap").iter().map(|c| decode(Http2::new(false), c)).collect();
    assert_eq!(
        lines(&all[0]),
        [
            "GET /orders/42 200",
            "GET /missing 404",
            "GET /secret 403",
            "GET /broken 500",
            "GET /moved 302",
            "GET /big.txt 200",
            "GET /orders/42 200",
        ]
        .map(|l| l.replace("/orders/42", &crate::wire::template::path(b"/orders/42")))
    );
    let verdicts: Vec<Verdict> = all[0].iter().map(|t| t.verdict).collect();
    use Verdict::{ClientError, Error, Ok};
    assert_eq!(verdicts, [Ok, ClientError, ClientError, Error, Ok, Ok, Ok]);
    assert!(all[0].iter().all(|t| t.protocol == Protocol::Http2 && t.shape == Shape::Unary));
    let big = all[0][5].response.unwrap();
    assert!((40_000..40_300).contains(&big.bytes), "{big:?}");
    assert!(big.first < big.last);
    assert!(all[0].iter().all(|t| t.request.last < t.response.unwrap().first));

    assert_eq!(lines(&all[1]), ["POST /upload 204"]);
    assert_eq!(all[1][0].shape, Shape::Stream, "it was answered before its body was complete");
    assert_eq!(all[3].len(), 8, "then GOAWAY");
}

#[test]
fn fifty_streams_at_a_time() {
    let told = decode(Http2::new(false), &capture("http2-h2load.pcap")[0]);
    let count = |line: &str| lines(&told).iter().filter(|l| *l == line).count();
    assert_eq!((count("GET /page.html 200"), count("GET /none.html 404"), told.len()), (75, 75, 150));
    assert!(told.iter().all(|t| t.shape == Shape::Unary && t.request.bytes > 0));
}

#[test]
fn pushes_are_no_answers_and_heads_may_be_padded_and_continued() {
    let all: Vec<Vec<String>> =
        capture("http2-push.pcap").iter().map(|c| lines(&decode(Http2::new(false), c))).collect();
    let expected =
        [["GET /index.html 200"], ["GET /page.html 200"], ["POST /index.html 200"], ["POST /style.css 200"]];
    assert_eq!(all, expected);
}

#[test]
fn grpc_calls() {
    let told = decode(Http2::new(false), &capture("grpc-python.pcap")[0]);
    let got: Vec<(String, Shape, Verdict)> =
        lines(&told).into_iter().zip(&told).map(|(l, t)| (l, t.shape, t.verdict)).collect();
    let call = |method: &str, status, shape, verdict| {
        (format!("POST /shop.Orders/{method} {status}"), shape, verdict)
    };
    use Shape::{Stream, Unary};
    use Verdict::{ClientError, Error, Ok};
    assert_eq!(
        got,
        [
            call("Get", "OK", Unary, Ok),
            call("Get", "OK", Unary, Ok),
            call("Get", "OK", Unary, Ok),
            call("Get", "NOT_FOUND", Unary, Error),
            call("Nope", "UNIMPLEMENTED", Unary, Error),
            call("Watch", "OK", Stream, Ok),
            call("Upload", "OK", Stream, Ok),
            call("Chat", "OK", Stream, Ok),
            call("Slow", "CANCELLED", Unary, ClientError),
            call("Slow", "DEADLINE_EXCEEDED", Unary, Error),
            call("Get", "OK", Unary, Ok),
            call("Get", "OK", Unary, Ok),
        ]
    );
    assert!(told.iter().all(|t| t.protocol == Protocol::Grpc));
    let latency = |t: &Told| (t.response.unwrap().first.0 - t.request.last.0) / 1_000_000;
    assert_eq!(latency(&told[9]), 102);
    assert!(told[10].request.bytes > 50_000 && told[10].response.unwrap().bytes > 50_000);
}

/// Cuts off the HTTP/1.1 exchange that asked for the upgrade: where it ends in both directions.
fn after_upgrade(conversation: &[Said]) -> (Told, Vec<Said>) {
    let mut heads = [false; 2];
    let mut rest = Vec::new();
    for s in conversation {
        let head = &mut heads[usize::from(s.from == Speaker::Server)];
        let skip = match *head {
            true => 0,
            false => s.data.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4,
        };
        *head = true;
        rest.push(Said { data: s.data[skip..].to_vec(), ..s.clone() });
    }
    let at = conversation[0].at;
    let asked = Told {
        protocol: Protocol::Http1,
        shape: Shape::Unary,
        method: "GET".into(),
        target: Known::Known("/page.html".into()),
        status: Known::Known("101".into()),
        verdict: Verdict::Ok,
        request: crate::wire::Span { first: at, last: at, bytes: 170 },
        response: None,
        key: (0, 0),
        dns: None,
    };
    (asked, rest)
}

#[test]
fn an_upgrade_is_answered_on_stream_1() {
    let all = capture("http2-upgrade.pcap");
    let (asked, rest) = after_upgrade(&all[0]);
    let told = decode(Http2::upgraded(&asked), &rest);
    assert_eq!(lines(&told), ["GET /page.html 200", "GET /none 404"]);
    assert_eq!((told[0].protocol, told[0].key, told[0].request), (Protocol::Http2, (0, 1), asked.request));
    assert_eq!(lines(&decode(Http2::upgraded(&asked), &after_upgrade(&all[1]).1)), ["GET /page.html 200"]);
}

/// What each side says of a conversation, from the turn of the client after `skip` runs on.
fn later(conversation: &[Said], skip: usize) -> &[Said] {
    let at = conversation[skip..].iter().position(|s| s.from == Speaker::Client).unwrap();
    &conversation[skip + at..]
}

#[test]
fn adopted_connections_say_what_is_known_and_why_the_rest_is_not() {
    let whole = &capture("grpc-python.pcap")[0];
    let told = decode(Http2::new(false), whole);
    // From the second call on: the fields of the first are only referred to.
    let cut = later(whole, 8);
    let late = decode(Http2::new(true), cut);
    assert!(late.len() >= 10, "{:?}", lines(&late));
    for t in &late {
        let full = told.iter().find(|f| f.key.1 == t.key.1).unwrap();
        assert!(t.target.known().is_none() || t.target == full.target, "{t:?}");
        assert!(t.status.known().is_none() || t.status == full.status, "{t:?}");
    }
    // The path, and `grpc-status: 0` of the first call's trailers, are never spelled again.
    let last = late.last().unwrap();
    assert_eq!(last.protocol, Protocol::Grpc);
    assert_eq!(last.target, Known::Unknown(head::OLDER));
    assert_eq!((&last.status, last.verdict), (&Known::Unknown(head::OLDER), Verdict::Unknown));
    // These were: their path and status came first after the cut.
    let nope = late.iter().find(|t| target(t) == "/shop.Orders/Nope").unwrap();
    assert_eq!((status(nope), nope.verdict), ("UNIMPLEMENTED", Verdict::Error));
}

#[test]
fn sniffing() {
    assert_eq!(sniff(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b""), Sniff::Yes);
    assert_eq!(sniff(b"PRI * HT", b""), Sniff::Maybe);
    assert_eq!(sniff(b"", b""), Sniff::Maybe);
    let no: [&[u8]; 9] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/1.1\r\n\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"\0\0\0\x08\x04\xd2\x16\x2f\0\0\0\0\0\0\0\0\0\0",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\0\0",
        b"\x4a\0\0\0\x0a8.0.36\0\0\0\0\0\0",
        &[0; 64],
        b"INFO {\"server_id\":\"\"}",
        &[255; 64],
    ];
    for first in no {
        assert_eq!(sniff(first, b""), Sniff::No, "{first:?}");
        assert_eq!(sniff(b"", first), Sniff::No, "{first:?}");
    }
    // In the middle of a connection: one frame is not enough, two are.
    let two = b"\0\0\x04\x08\0\0\0\0\0\0\0\x10\0\0\0\x08\x06\0\0\0\0\0........";
    assert_eq!(sniff(&two[..20], b""), Sniff::Maybe);
    assert_eq!(sniff(two, b""), Sniff::Yes);
    assert_eq!(sniff(b"", two), Sniff::Yes);
    assert_eq!(sniff(two, b"HTTP/1.1 200 OK\r\n"), Sniff::No);
    // Every connection of the captures, from every turn of the client on.
    for name in ["http2-nginx.pcap", "http2-h2load.pcap", "http2-push.pcap", "grpc-python.pcap"] {
        for conversation in capture(name) {
            let first = conversation.iter().position(|s| s.from == Speaker::Client).unwrap();
            assert_eq!(sniff(&conversation[first].data, b""), Sniff::Yes);
            for skip in first + 1..conversation.len() {
                let mut first = [Vec::new(), Vec::new()];
                for s in &conversation[skip..] {
                    first[usize::from(s.from == Speaker::Server)].extend_from_slice(&s.data);
                }
                let at_frame = [Speaker::Client, Speaker::Server]
                    .into_iter()
                    .zip(&first)
                    .all(|(from, data)| data.len() < 9 || half::frames(from, data).is_some());
                let seen = sniff(&first[0], &first[1]);
                assert_eq!(seen == Sniff::No, !at_frame, "{name} from run {skip}");
            }
        }
    }
}

#[test]
fn what_does_not_begin_with_the_preface_is_something_else() {
    let mut http2 = Http2::new(false);
    let mut out = Vec::new();
    let s = said(Speaker::Client, 1, b"GET / HTTP/1.1\r\n\r\n");
    http2.bytes(s.from, s.at, 0, &s.data, &mut out);
    assert!(matches!(http2.over(), Some(Known::Unknown(_))));
    assert_eq!(http2.take_undecoded(), s.data.len() as u64);
}
