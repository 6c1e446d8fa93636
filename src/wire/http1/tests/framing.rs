//! Where messages end.

use super::*;

fn answered(head_and_body: &str, expected: &str) {
    // The second exchange shows that the end of the first was found.
    check(
        &[
            said(C, 1, "GET /a HTTP/1.1\r\n\r\n"),
            said(S, 2, head_and_body),
            said(C, 3, "GET /b HTTP/1.1\r\n\r\n"),
            said(S, 4, OK),
        ],
        &[expected, "GET /b 200 ok"],
    );
}

#[test]
fn responses() {
    answered("HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n", "GET /a 204 ok");
    answered("HTTP/1.1 304 Same\r\nContent-Length: 900\r\n\r\n", "GET /a 304 ok");
    answered("HTTP/1.1 200\r\ncontent-length:0\r\n\r\n", "GET /a 200 ok");
    answered("HTTP/1.1 200 OK\nCONTENT-LENGTH :\t 3\nContent-Length: 3\n\nabc", "GET /a 200 ok");
    answered("HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc", "GET /a 200 ok");
    answered("\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "GET /a 200 ok");
}

#[test]
fn chunks() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 4\r\n";
    for chunks in [
        "0\r\n\r\n",
        "3\r\nabc\r\n0\r\n\r\n",
        "0003;a=b;c=\"d;\"\r\nabc\r\n000;last\r\nTrailer: x\r\nOther: y\r\n\r\n",
        "A \r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n",
        "3\nabc\n0\n\n",
    ] {
        answered(&format!("{head}\r\n{chunks}"), "GET /a 200 ok");
    }
    // Broken framing: over at the next turn.
    for chunks in ["x\r\n", "3\r\nabcd\r\n", "\r\n", "ffffffffffffffff1\r\n", "-1\r\n"] {
        answered(&format!("{head}\r\n{chunks}"), "GET /a 200 ok");
    }
    // A field whose name begins like the one that is folded.
    answered(&format!("{head}X-A: b\r\n chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"), "GET /a 200 ok");
}

#[test]
fn contradictions_are_not_guessed() {
    for fields in [
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: 3, 4\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: 0x3\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length:\r\n 3\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
    ] {
        answered(&format!("HTTP/1.1 200 OK\r\n{fields}\r\nabcdefgh"), "GET /a 200 ok");
        // The same in a request: what follows in this turn is not read as one.
        let ask = format!("POST /a HTTP/1.1\r\n{fields}\r\nGET /smuggled HTTP/1.1\r\n\r\n");
        check(
            &[said(C, 1, ask), said(S, 2, OK), said(C, 3, "GET /b HTTP/1.1\r\n\r\n"), said(S, 4, OK)],
            &["POST /a 200 ok", "GET /b 200 ok"],
        );
    }
}

#[test]
fn until_close() {
    let told = check(
        &[
            said(C, 1, "GET /a HTTP/1.0\r\n\r\n"),
            said(S, 2, "HTTP/1.0 200 OK\r\n\r\nall"),
            said(S, 7, " the rest"),
        ],
        &["GET /a 200 ok"],
    );
    assert_eq!(
        told[0].response.unwrap(),
        Span { first: BootNs(2_000_000), last: BootNs(7_000_000), bytes: 31 }
    );
}

#[test]
fn broken_off() {
    check(
        &[said(C, 1, GET), said(S, 2, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello")],
        &["GET /orders/{id} 200 unknown"],
    );
    check(
        &[said(C, 1, GET), said(S, 2, "HTTP/1.1 500 No\r\nContent-Length: 50\r\n\r\nhello")],
        &["GET /orders/{id} 500 error"],
    );
    check(&[said(C, 1, GET)], &["GET /orders/{id} - unknown"]);
    check(&[said(C, 1, GET), said(S, 2, "HTTP/1.")], &["GET /orders/{id} ? unknown"]);
}

#[test]
fn lines_beyond_the_bound() {
    let long = "x".repeat(3 * reader::MAX_LINE);
    check(
        &[
            said(C, 1, format!("GET /a?{long} HTTP/1.1\r\nCookie: {long}\r\nContent-Length: 3\r\n\r\nabc")),
            said(S, 2, format!("HTTP/1.1 200 {long}\r\nX: {long}\r\nContent-Length: 1\r\n\r\n.")),
            said(C, 3, format!("GET /{long} HTTP/1.1\r\n\r\n")),
            said(S, 4, OK),
            said(C, 5, "GET /b HTTP/1.1\r\n\r\n"),
            said(S, 6, OK),
        ],
        &["GET /a 200 ok", "GET ? 200 ok", "GET /b 200 ok"],
    );
}

#[test]
fn pending_requests_are_bounded() {
    let n = 2 * MAX_PENDING;
    let (mut d, mut out) = (fresh(), Vec::new());
    let get = "GET /a HTTP/1.1\r\n\r\n";
    d.bytes(C, BootNs(1), 0, get.repeat(n).as_bytes(), &mut out);
    assert_eq!(d.pending.len(), MAX_PENDING);
    assert_eq!(d.take_undecoded(), (get.len() * MAX_PENDING) as u64);
    d.bytes(S, BootNs(2), 0, OK.repeat(n).as_bytes(), &mut out);
    assert_eq!(out.len(), MAX_PENDING);
    d.bytes(C, BootNs(3), (n * get.len()) as u64, GET.as_bytes(), &mut out);
    d.bytes(S, BootNs(3), (n * OK.len()) as u64, OK.as_bytes(), &mut out);
    assert_eq!(out.last().map(line).unwrap(), "GET /orders/{id} 200 ok");
    assert_eq!(d.take_undecoded(), 0);
}
