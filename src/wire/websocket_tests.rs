//! WebSockets by hand, from a capture, and cut in any place.

use proptest::prelude::*;

use super::*;
use crate::wire::testing::{Said, decode, decode_cut, said};

const C: Speaker = Speaker::Client;
const S: Speaker = Speaker::Server;

fn chat() -> WebSocket {
    WebSocket::new(Known::Known("/chat".into()), 100)
}

fn frame(from: Speaker, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mask = if from == C { 0x80 } else { 0 };
    let mut f = vec![0x80 | opcode];
    match payload.len() {
        n @ 0..126 => f.push(mask | n as u8),
        n @ 126..0x10000 => {
            f.push(mask | 126);
            f.extend_from_slice(&(n as u16).to_be_bytes());
        }
        n => {
            f.push(mask | 127);
            f.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
    if from == S {
        f.extend_from_slice(payload);
    } else {
        let key = [0xa5, 0x5a, 0x0f, 0xf0];
        f.extend_from_slice(&key);
        f.extend(payload.iter().zip(key.iter().cycle()).map(|(p, k)| p ^ k));
    }
    f
}

fn close(from: Speaker, code: u16) -> Vec<u8> {
    frame(from, 8, &[&code.to_be_bytes()[..], b"bye"].concat())
}

fn status(told: &[Told]) -> (Option<&str>, Verdict) {
    assert_eq!(told.len(), 1);
    (told[0].status.known().map(|s| &**s), told[0].verdict)
}

#[test]
fn one_stream() {
    let talk = [
        said(S, 5, frame(S, 1, b"hello")),
        said(C, 6, frame(C, 2, &[7; 70_000])),
        said(S, 7, frame(S, 9, b"")),
        said(C, 8, frame(C, 10, b"")),
        said(S, 9, frame(S, 2, &[8; 300])),
        said(C, 10, close(C, 1001)),
        said(S, 11, close(S, 1000)),
    ];
    let told = decode(chat(), &talk);
    assert_eq!(status(&told), (Some("1001"), Verdict::Ok));
    let t = &told[0];
    assert_eq!((t.protocol, t.shape, &*t.method), (Protocol::WebSocket, Shape::Stream, ""));
    assert_eq!((t.target.known().map(|t| &**t), t.key), (Some("/chat"), (100, 1)));
    let sent = |from| talk.iter().filter(|s| s.from == from).map(|s| s.data.len() as u64).sum();
    let ms = |n: u64| BootNs(n * 1_000_000);
    assert_eq!(t.request, Span { first: ms(6), last: ms(10), bytes: sent(C) });
    assert_eq!(t.response, Some(Span { first: ms(5), last: ms(11), bytes: sent(S) }));
}

#[test]
fn close_codes() {
    for (from, code, verdict) in [
        (C, 1000, Verdict::Ok),
        (S, 1011, Verdict::Error),
        (S, 1012, Verdict::Error),
        (S, 1009, Verdict::ClientError),
        (C, 1002, Verdict::Error),
        (C, 1010, Verdict::ClientError),
        (S, 4001, Verdict::Unknown),
    ] {
        let told = decode(chat(), &[said(from, 1, close(from, code))]);
        assert_eq!(status(&told), (Some(&*code.to_string()), verdict));
    }
    assert_eq!(status(&decode(chat(), &[said(S, 1, frame(S, 8, b""))])), (Some("1005"), Verdict::Ok));
    assert_eq!(status(&decode(chat(), &[said(S, 1, frame(S, 1, b"hi"))])), (None, Verdict::Unknown));
}

#[test]
fn gaps() {
    let mut out = Vec::new();
    let mut d = chat();
    let big = frame(S, 2, &[1; 1000]);
    d.bytes(S, BootNs(1), 0, &big[..40], &mut out);
    d.gap(S, BootNs(2), 40, big.len() as u64 - 40, &mut out);
    d.bytes(S, BootNs(3), big.len() as u64, &close(S, 1011), &mut out);
    d.end(BootNs(4), &mut out);
    assert_eq!(status(&out), (Some("1011"), Verdict::Error));
    assert_eq!(out[0].response.unwrap().bytes, (big.len() + 7) as u64);

    // Longer than the frame: lost, until the side begins to speak anew.
    for (turned, expected) in [(false, (None, Verdict::Unknown)), (true, (Some("1011"), Verdict::Error))] {
        let (mut d, mut out) = (chat(), Vec::new());
        d.bytes(S, BootNs(1), 0, &big[..40], &mut out);
        d.gap(S, BootNs(2), 40, 5000, &mut out);
        if turned {
            d.turn(S, &mut out);
        }
        d.bytes(S, BootNs(3), 5040, &close(S, 1011), &mut out);
        d.end(BootNs(4), &mut out);
        assert_eq!(status(&out), expected);
        assert!(turned || matches!(out[0].status, Known::Unknown(_)));
    }
}

#[test]
fn not_a_websocket() {
    for (from, data) in
        [(C, &b"\x81\x05hello"[..]), (S, b"HTTP/1.1 200"), (S, b"\xff\x00"), (S, b"\x89\x7e\x01\x00")]
    {
        let (mut d, mut out) = (chat(), Vec::new());
        d.bytes(from, BootNs(1), 0, data, &mut out);
        assert_eq!((d.over(), out.len()), (Some(Known::Unknown("not WebSocket")), 1));
        d.end(BootNs(2), &mut out);
        assert_eq!(out.len(), 1);
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        frames in proptest::collection::vec((any::<bool>(), 0u8..3, 0usize..300), 0..12),
        code in any::<u16>(),
        cuts in proptest::collection::vec(0usize..20, 1..20),
    ) {
        let mut talk: Vec<Said> = frames
            .into_iter()
            .zip(1..)
            .map(|((client, opcode, n), ms)| {
                let from = if client { C } else { S };
                said(from, ms, frame(from, opcode, &vec![0x88; n]))
            })
            .collect();
        talk.push(said(C, 50, close(C, code)));
        let told = decode(chat(), &talk);
        let code = code.to_string();
        prop_assert_eq!(status(&told).0, Some(&*code));
        prop_assert_eq!(&decode_cut(&mut chat(), &talk, &cuts), &told);
        prop_assert_eq!(&decode_cut(&mut chat(), &talk, &[1]), &told);
        // And if it goes wrong after that.
        let mut bad = talk.pop().unwrap();
        bad.data.extend_from_slice(b"\x70\x70");
        let told = decode(chat(), std::slice::from_ref(&bad));
        prop_assert_eq!(status(&told).0, Some(&*code));
        prop_assert_eq!(&decode_cut(&mut chat(), &[bad], &[1]), &told);
    }

    #[test]
    fn any_bytes_and_gaps(
        steps in proptest::collection::vec((any::<bool>(), 0u8..4, proptest::collection::vec(any::<u8>(), 0..40), any::<u64>()), 0..40),
    ) {
        let (mut d, mut out) = (chat(), Vec::new());
        for (client, kind, data, len) in steps {
            let from = if client { C } else { S };
            match kind {
                0 => d.turn(from, &mut out),
                1 => d.gap(from, BootNs(1), len, len, &mut out),
                2 => d.bytes(from, BootNs(1), len, &frame(from, 2, &data), &mut out),
                _ => d.bytes(from, BootNs(1), len, &data, &mut out),
            }
        }
        d.end(BootNs(1), &mut out);
        prop_assert_eq!(out.len(), 1);
    }
}
