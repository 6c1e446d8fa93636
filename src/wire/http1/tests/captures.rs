//! Captures of real clients and servers; what was asked is in `tests/captures/README.md`.

use super::*;
use crate::wire::testing::conversations;
use crate::wire::websocket::WebSocket;

fn capture(name: &str) -> Vec<Vec<Said>> {
    let path = format!("{}/tests/captures/{name}.pcap", env!("CARGO_MANIFEST_DIR"));
    conversations(path).into_iter().map(|(_, said)| said).collect()
}

/// Every conversation of a capture: as it is, in small pieces, and with only the first bytes of
/// each message captured.
fn holds(name: &str, expected: &[&[&str]]) -> Vec<Told> {
    let all = capture(name);
    assert_eq!(all.len(), expected.len());
    let mut out = Vec::new();
    for (conversation, expected) in all.iter().zip(expected) {
        let told = decode(fresh(), conversation);
        assert_eq!(lines(&told), *expected);
        for cuts in [&[1][..], &[7, 1, 300]] {
            let mut d = fresh();
            assert_eq!(decode_cut(&mut d, conversation, cuts), told);
            assert_eq!(d.take_undecoded(), 0);
        }
        assert_eq!(lines(&first_bytes(conversation, 400)), *expected);
        out.extend(told);
    }
    out
}

/// As the kernel captures: `max` bytes of each message, the rest by its length.
fn first_bytes(conversation: &[Said], max: usize) -> Vec<Told> {
    let (mut d, mut out, mut offsets) = (fresh(), Vec::new(), [0u64; 2]);
    let mut last = None;
    let mut room = max;
    for s in conversation {
        if last != Some(s.from) {
            last = Some(s.from);
            room = max;
            d.turn(s.from, &mut out);
        }
        let n = room.min(s.data.len());
        room -= n;
        let o = &mut offsets[usize::from(s.from == S)];
        d.bytes(s.from, s.at, *o, &s.data[..n], &mut out);
        d.gap(s.from, s.at, *o + n as u64, (s.data.len() - n) as u64, &mut out);
        *o += s.data.len() as u64;
    }
    d.end(conversation.last().unwrap().at, &mut out);
    out
}

#[test]
fn nginx_keep_alive() {
    let told = holds(
        "http1-nginx",
        &[
            &[
                "GET /page.txt 200 ok",
                "GET /small.txt 200 ok",
                "GET /fail 500 error",
                "GET /orders/{id} 404 client-error",
                "GET /gz/page.txt 200 ok",
            ],
            &["HEAD /page.txt 200 ok", "HEAD /small.txt 200 ok"],
            &["GET /page.txt 304 ok"],
            &["POST /small.txt 413 client-error"],
            &["OPTIONS * 400 client-error"],
        ],
    );
    // Lengths and times, against what passed.
    let first = &capture("http1-nginx")[0];
    let sum = |from| first.iter().filter(|s| s.from == from).map(|s| s.data.len() as u64).sum::<u64>();
    assert_eq!(told[..5].iter().map(|t| t.request.bytes).sum::<u64>(), sum(C));
    assert_eq!(told[..5].iter().map(|t| t.response.unwrap().bytes).sum::<u64>(), sum(S));
    for t in &told {
        assert!(t.request.last <= t.response.unwrap().first);
    }
}

#[test]
fn pipelined_and_until_close() {
    // The tail of a pipelined message cannot be left out, so `first_bytes` sees all of it.
    holds("http1-until-close", &[&["GET /old 200 ok"]]);
    let all = capture("http1-pipelined");
    let expected = [
        "GET /small.txt 200 ok",
        "HEAD /page.txt 200 ok",
        "GET /nothing/{id} 404 client-error",
        "GET /small.txt 200 ok",
    ];
    assert_eq!(lines(&decode(fresh(), &all[0])), expected);
    assert_eq!(lines(&decode_cut(&mut fresh(), &all[0], &[1])), expected);
}

#[test]
fn posts() {
    let told = holds(
        "http1-post",
        &[
            &["POST /echo/{id} 201 ok", "POST /echo/{id} 201 ok"],
            &["POST /echo 201 ok"],
            &["GET /echo/events 200 ok"],
        ],
    );
    // 4800 bytes each, after `100 Continue`, which is not the answer.
    assert!(told[0].request.bytes > 4800 && told[1].request.bytes > 4800);
    assert!(told[0].request.last <= told[0].response.unwrap().first);
    assert_eq!(told[3].shape, Shape::Stream);
}

#[test]
fn proxies_and_tunnels() {
    holds(
        "http1-connect",
        &[
            &["CONNECT 127.0.0.1:8080 200 ok"],
            &["CONNECT 127.0.0.1:9 403 client-error"],
            &["GET /small.txt 200 ok"],
        ],
    );
    // What is inside of the tunnel is found at the place that is told.
    let tunnel = &capture("http1-connect")[0];
    let (_, inside) = follow(tunnel, |_, _| Http1::new(false));
    assert_eq!(lines(&inside), ["GET /small.txt 200 ok"]);
}

#[test]
fn websockets() {
    let told: Vec<Vec<Told>> = capture("websocket-python")
        .iter()
        .map(|c| follow(c, |told, at| WebSocket::new(told.target.clone(), at)).1)
        .collect();
    let shown: Vec<Vec<String>> = told.iter().map(|t| lines(t)).collect();
    assert_eq!(shown, [[" /rooms/{id} 1000 ok"], [" /rooms/{id} 1011 error"]]);
    // Three messages there and back, compressed, and the close frames.
    assert!(told[0][0].request.bytes > 20 && told[0][0].response.unwrap().bytes > 20);
}

/// Decodes until it becomes something else, then with what `next` makes of that.
fn follow<D: Decoder>(
    conversation: &[Said],
    next: impl FnOnce(&Told, u64) -> D,
) -> (Option<Known<Protocol>>, Vec<Told>) {
    let (mut d, mut out, mut offsets) = (fresh(), Vec::new(), [0u64; 2]);
    let mut place = 0;
    for s in conversation {
        let o = &mut offsets[usize::from(s.from == S)];
        d.bytes(s.from, s.at, *o, &s.data, &mut out);
        *o += s.data.len() as u64;
        place += 1;
        if d.over().is_some() {
            break;
        }
    }
    let over = d.over();
    let (client, server) = d.over_at().unwrap();
    let mut d = next(&out[0], client);
    let mut after = Vec::new();
    let mut at = [0u64; 2];
    for (i, s) in conversation.iter().enumerate() {
        let (o, from) = if s.from == C { (&mut at[0], client) } else { (&mut at[1], server) };
        let skip = usize::try_from(from.saturating_sub(*o)).unwrap().min(s.data.len());
        d.bytes(s.from, s.at, *o + skip as u64, &s.data[skip..], &mut after);
        *o += s.data.len() as u64;
        assert!(i < place || skip == 0);
    }
    d.end(BootNs(0), &mut after);
    (over, after)
}
