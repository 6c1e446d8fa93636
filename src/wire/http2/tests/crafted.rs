//! Frames made by hand: what no server at hand sends.

use super::*;
use crate::wire::decoder::Speaker::{Client, Server};
use crate::wire::testing::{decode, said};

/// A frame.
pub(super) fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let mut f = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    f.extend_from_slice(&[kind, flags]);
    f.extend_from_slice(&id.to_be_bytes());
    f.extend_from_slice(payload);
    f
}

/// `GET /` and the end of the stream.
fn get(id: u32) -> Vec<u8> {
    frame(frame::HEADERS, 5, id, &[0x82, 0x84])
}

/// `:status: 200` and the end of the stream.
fn ok(id: u32) -> Vec<u8> {
    frame(frame::HEADERS, 5, id, &[0x88])
}

fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
}

fn opening() -> Said {
    said(Client, 1, [&PREFACE[..], &frame(frame::SETTINGS, 0, 0, &[])].concat())
}

fn told(conversation: &[Said]) -> Vec<Told> {
    decode(Http2::new(false), &[&[opening()], conversation].concat())
}

fn outcome(conversation: &[Said]) -> (String, Verdict) {
    let told = told(conversation);
    assert_eq!(told.len(), 1, "{told:?}");
    (status(&told[0]).to_owned(), told[0].verdict)
}

#[test]
fn resets_are_outcomes() {
    let cases = [
        (Client, 8u32, "cancelled", Verdict::ClientError),
        (Client, 1, "PROTOCOL_ERROR", Verdict::Error),
        (Server, 7, "REFUSED_STREAM", Verdict::Error),
        (Server, 2, "INTERNAL_ERROR", Verdict::Error),
    ];
    for (from, code, status, verdict) in cases {
        let reset = said(from, 3, frame(frame::RST_STREAM, 0, 1, &code.to_be_bytes()));
        assert_eq!(outcome(&[said(Client, 2, get(1)), reset]), (status.to_owned(), verdict));
    }
}

#[test]
fn goaway_refuses_the_streams_above_it() {
    let away = frame(frame::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]);
    let told = told(&[
        said(Client, 2, [get(1), get(3), get(5)].concat()),
        said(Server, 3, [away, ok(1)].concat()),
        said(Client, 4, get(7)),
    ]);
    let got: Vec<(u32, &str, Verdict)> = told.iter().map(|t| (t.key.1, status(t), t.verdict)).collect();
    use Verdict::{Error, Ok};
    assert_eq!(got, [(3, "GOAWAY", Error), (5, "GOAWAY", Error), (1, "200", Ok), (7, "GOAWAY", Error)]);
    assert!(told.iter().all(|t| t.response.is_some() == (t.key.1 == 1)));
}

#[test]
fn the_end_of_the_connection_leaves_no_doubt_unsaid() {
    assert_eq!(outcome(&[said(Client, 2, get(1))]), ("-".into(), Verdict::Unknown));
    let head = frame(frame::HEADERS, 4, 1, &[0x88]);
    assert_eq!(outcome(&[said(Client, 2, get(1)), said(Server, 3, head)]), ("200".into(), Verdict::Unknown));
    let failed = frame(frame::HEADERS, 4, 1, &[0x8e]);
    assert_eq!(outcome(&[said(Client, 2, get(1)), said(Server, 3, failed)]), ("500".into(), Verdict::Error));
}

#[test]
fn interim_responses_do_not_answer() {
    let early = frame(frame::HEADERS, 4, 1, &literal(":status", "103"));
    let all = told(&[said(Client, 2, get(1)), said(Server, 3, early), said(Server, 9, ok(1))]);
    assert_eq!(lines(&all), ["GET / 200"]);
    assert_eq!(all[0].response.unwrap().first, BootNs(9_000_000));
}

#[test]
fn padding_priority_continuation_and_unknown_frames() {
    // Padded, with priority, 2 of 3 bytes of the block, then CONTINUATION; a frame of unknown type.
    let head = frame(frame::HEADERS, 1 | 8 | 0x20, 1, &[3, 0, 0, 0, 0, 16, 0x82, 0x84, 0, 0, 0]);
    let more = frame(frame::CONTINUATION, 4, 1, &[0x86]);
    let body = frame(frame::DATA, 8 | 1, 1, &[200; 201]);
    let answer = frame(frame::HEADERS, 4, 1, &[0x88]);
    let all = told(&[
        said(Client, 2, [head, more, frame(0xbe, 0xff, 1, b"grease")].concat()),
        said(Server, 3, [answer, frame(0x0c, 0, 0, b"origin"), body].concat()),
    ]);
    assert_eq!(lines(&all), ["GET / 200"]);
    assert_eq!((all[0].request.bytes, all[0].response.unwrap().bytes), (12, 202));
}

#[test]
fn proxies_answer_grpc_with_http() {
    let ask = [vec![0x83, 0x84], literal("content-type", "application/grpc+proto")].concat();
    let ask = said(Client, 2, frame(frame::HEADERS, 5, 1, &ask));
    let bad = frame(frame::HEADERS, 5, 1, &literal(":status", "503"));
    assert_eq!(outcome(&[ask.clone(), said(Server, 3, bad)]), ("503".into(), Verdict::Error));
    let none = frame(frame::HEADERS, 5, 1, &[0x88]);
    assert_eq!(outcome(&[ask.clone(), said(Server, 3, none)]), ("-".into(), Verdict::Error));
    let new = frame(frame::HEADERS, 5, 1, &[vec![0x88], literal("grpc-status", "42")].concat());
    assert_eq!(outcome(&[ask, said(Server, 3, new)]), ("42".into(), Verdict::Error));
}

#[test]
fn events_tunnels_and_websockets_are_streams() {
    let events = [vec![0x88], literal("content-type", "text/event-stream")].concat();
    let all = told(&[said(Client, 2, get(1)), said(Server, 3, frame(frame::HEADERS, 5, 1, &events))]);
    assert_eq!((all[0].shape, all[0].protocol), (Shape::Stream, Protocol::Http2));
    let connect = [literal(":method", "CONNECT"), literal(":protocol", "websocket")].concat();
    let connect = said(Client, 2, frame(frame::HEADERS, 4, 1, &connect));
    let all = told(&[connect, said(Server, 3, frame(frame::HEADERS, 4, 1, &[0x88]))]);
    assert_eq!((all[0].shape, all[0].protocol), (Shape::Stream, Protocol::WebSocket));
}

#[test]
fn queries_are_not_told_and_long_paths_are_cut() {
    let path = |path: &str| {
        let block = [
            &[0x82, 0x04, 0x7f, (path.len() - 127) as u8 | 0x80, ((path.len() - 127) >> 7) as u8],
            path.as_bytes(),
        ];
        target(&told(&[said(Client, 2, frame(frame::HEADERS, 5, 1, &block.concat()))])[0]).to_owned()
    };
    assert_eq!(path(&format!("/find?secret={}", "s".repeat(400))), "/find");
    let long = path(&format!("/{}", "a-b_".repeat(200)));
    assert!(long.ends_with('…') && long.len() < 300, "{long}");
}

#[test]
fn grpc_paths_that_name_no_method_are_templates() {
    let path = |path: &str| {
        let block = [&[0x83][..], &literal(":path", path), &literal("content-type", "application/grpc")];
        target(&told(&[said(Client, 2, frame(frame::HEADERS, 5, 1, &block.concat()))])[0]).to_owned()
    };
    assert_eq!(path("/shop.v1.Orders/Get_2"), "/shop.v1.Orders/Get_2");
    assert_eq!(path("/shop.Orders/Get?token=secret"), "/shop.Orders/Get");
    assert_eq!(path("/shop.Orders/\u{1b}[2J"), "/shop.Orders/{id}");
}

#[test]
fn streams_are_bounded_and_what_does_not_fit_is_counted() {
    let mut http2 = Http2::new(false);
    let mut out = Vec::new();
    let asked: Vec<u8> = (0..1500).flat_map(|i| get(2 * i + 1)).collect();
    let all = [opening().data, asked].concat();
    http2.bytes(Client, BootNs(1), 0, &all, &mut out);
    assert_eq!((out.len(), http2.take_missed(), http2.take_undecoded()), (0, 476, 476 * 2));
    http2.end(BootNs(2), &mut out);
    assert_eq!(out.len(), 1024);
}

#[test]
fn messages_that_are_not_visible_are_told_apart_by_time() {
    let ask = [vec![0x83, 0x84], literal("content-type", "application/grpc")].concat();
    let trailers = frame(frame::HEADERS, 5, 1, &literal("grpc-status", "0"));
    let shape = |len: usize, apart: u64| {
        let mut http2 = Http2::new(false);
        let (mut out, mut offset) = (Vec::new(), 9);
        let first = [opening().data, frame(frame::HEADERS, 5, 1, &ask)].concat();
        http2.bytes(Client, BootNs(1), 0, &first, &mut out);
        http2.bytes(Server, BootNs(2), 0, &frame(frame::HEADERS, 4, 1, &[0x88]), &mut out);
        for i in 0..3 {
            let data = frame(frame::DATA, 0, 1, &vec![0; len]);
            http2.bytes(Server, BootNs(i * apart), offset, &data[..9], &mut out);
            http2.gap(Server, BootNs(i * apart), offset + 9, len as u64, &mut out);
            offset += 9 + len as u64;
        }
        http2.bytes(Server, BootNs(4 * apart), offset, &trailers, &mut out);
        assert_eq!((out.len(), status(&out[0])), (1, "OK"));
        out[0].shape
    };
    assert_eq!(shape(16384, 20_000_000), Shape::Unary, "one message in full frames");
    assert_eq!(shape(300, 1_000), Shape::Unary, "one message in quick frames");
    assert_eq!(shape(300, 20_000_000), Shape::Stream);
}
