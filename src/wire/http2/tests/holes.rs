//! Missing bytes: nothing that is told becomes wrong.

use std::ops::Range;

use proptest::prelude::*;

use super::crafted::frame;
use super::*;
use crate::wire::decoder::Span;
use crate::wire::testing::{decode, decode_cut, said, steps, survive, survive_sniffing};

const CAPTURES: [&str; 4] = ["grpc-python.pcap", "http2-nginx.pcap", "http2-h2load.pcap", "http2-push.pcap"];

fn all() -> Vec<Vec<Said>> {
    CAPTURES.iter().flat_map(|name| capture(name)).collect()
}

/// Decodes with holes: ranges of offsets of the client and of the server.
fn decode_holes(decoder: &mut Http2, conversation: &[Said], holes: &[Vec<Range<u64>>; 2]) -> Vec<Told> {
    let mut out = Vec::new();
    let mut offsets = [0u64; 2];
    let mut last = None;
    let mut at = BootNs(0);
    for s in conversation {
        let side = usize::from(s.from == Speaker::Server);
        if last != Some(s.from) && !holes[side].iter().any(|h| h.contains(&offsets[side])) {
            decoder.turn(s.from, &mut out);
        }
        last = Some(s.from);
        at = s.at;
        let mut i = 0;
        while i < s.data.len() {
            let here = offsets[side] + i as u64;
            let left = (s.data.len() - i) as u64;
            let n = match holes[side].iter().filter(|h| h.contains(&here)).map(|h| h.end).max() {
                Some(end) => {
                    let n = (end - here).min(left);
                    decoder.gap(s.from, s.at, here, n, &mut out);
                    n
                }
                None => {
                    let next = holes[side].iter().map(|h| h.start).filter(|s| *s > here).min();
                    let n = next.map_or(left, |next| (next - here).min(left));
                    decoder.bytes(s.from, s.at, here, &s.data[i..i + n as usize], &mut out);
                    n
                }
            };
            i += n as usize;
        }
        offsets[side] += s.data.len() as u64;
    }
    decoder.end(at, &mut out);
    out
}

/// Nothing that is known may differ from what is known without holes.
fn never_wrong(whole: &[Told], holed: &[Told]) {
    for t in holed {
        let Some(full) = whole.iter().find(|f| f.key.1 == t.key.1) else {
            panic!("told of stream {}, which was not there", t.key.1)
        };
        assert!(t.method.is_empty() || t.method == full.method, "{t:?} is not {full:?}");
        assert!(t.target.known().is_none() || t.target == full.target, "{t:?} is not {full:?}");
        // Where it is not known to be gRPC, `cancelled` is what HTTP/2 says.
        let same = status(t).eq_ignore_ascii_case(status(full));
        assert!(t.status.known().is_none() || same, "{t:?} is not {full:?}");
        let sure = matches!(t.verdict, Verdict::Ok | Verdict::Error | Verdict::ClientError);
        assert!(!sure || t.verdict == full.verdict, "{t:?} is not {full:?}");
    }
    for (i, t) in holed.iter().enumerate() {
        assert!(holed[..i].iter().all(|o| o.key.1 != t.key.1), "told twice: {t:?}");
    }
}

/// Where the content of DATA frames is.
fn contents(conversation: &[Said], from: Speaker) -> Vec<Range<u64>> {
    let data: Vec<u8> = conversation.iter().filter(|s| s.from == from).flat_map(|s| s.data.clone()).collect();
    let mut ranges = Vec::new();
    let mut at = if from == Speaker::Client { PREFACE.len() } else { 0 };
    while let Some(f) = data.get(at..).and_then(frame::Frame::parse) {
        let end = at + 9 + f.len as usize;
        if f.kind == frame::DATA && f.len > 0 {
            ranges.push(at as u64 + 9..end as u64);
        }
        at = end;
    }
    ranges
}

#[test]
fn content_of_data_frames_is_not_needed() {
    for conversation in all() {
        let holes = [Speaker::Client, Speaker::Server].map(|from| contents(&conversation, from));
        let mut decoder = Http2::new(false);
        let mut holed = decode_holes(&mut decoder, &conversation, &holes);
        let mut whole = decode(Http2::new(false), &conversation);
        for t in holed.iter_mut().chain(&mut whole) {
            // Two messages of a client at once cannot be told from one.
            t.shape = Shape::Unary;
        }
        assert_eq!(holed, whole);
        assert_eq!((decoder.take_undecoded(), decoder.take_missed()), (0, 0));
    }
}

#[test]
fn heads_that_are_cut_say_what_was_seen() {
    // 256 bytes of each message, as the kernel captures it, are enough for all but the long one.
    let grpc = &capture("grpc-python.pcap")[0];
    let whole = decode(Http2::new(false), grpc);
    let mut offsets = [0u64; 2];
    let mut holes = [Vec::new(), Vec::new()];
    for s in grpc {
        let side = usize::from(s.from == Speaker::Server);
        let end = offsets[side] + s.data.len() as u64;
        if s.data.len() > 256 {
            holes[side].push(offsets[side] + 256..end);
        }
        offsets[side] = end;
    }
    let mut decoder = Http2::new(false);
    let holed = decode_holes(&mut decoder, grpc, &holes);
    never_wrong(&whole, &holed);
    assert_eq!(holed.len() as u64 + decoder.take_missed(), whole.len() as u64);
    let same = holed.iter().filter(|t| whole.iter().any(|w| w.status == t.status && w.key == t.key)).count();
    assert!(same >= 10, "{:?}", lines(&holed));
}

#[test]
fn requests_in_a_hole_are_told_by_their_answers_or_counted() {
    let get = |id| frame(1, 5, id, &[0x82, 0x84]);
    let ok = |id| frame(1, 5, id, &[0x88]);
    let mut http2 = Http2::new(false);
    let mut out = Vec::new();
    let first = [&PREFACE[..], &get(1)].concat();
    http2.bytes(Speaker::Client, BootNs(1), 0, &first, &mut out);
    // 3, 5, 7 and 9 are missed; 9 is answered before 11 is seen, 5 after it, 3 and 7 never.
    http2.gap(Speaker::Client, BootNs(2), first.len() as u64, 44, &mut out);
    http2.bytes(Speaker::Server, BootNs(3), 0, &[ok(1), ok(9)].concat(), &mut out);
    http2.bytes(Speaker::Client, BootNs(4), first.len() as u64 + 44, &[get(11), get(13)].concat(), &mut out);
    http2.bytes(Speaker::Server, BootNs(5), 20, &[ok(5), ok(11), ok(13)].concat(), &mut out);
    http2.end(BootNs(6), &mut out);
    let got: Vec<(u32, String)> = out.iter().map(|t| t.key.1).zip(lines(&out)).collect();
    let expected = [(1, "GET / 200"), (9, " ? 200"), (5, " ? 200"), (11, "GET / 200"), (13, "GET / 200")];
    assert_eq!(got, expected.map(|(id, l)| (id, l.to_owned())));
    assert_eq!((http2.take_missed(), http2.take_undecoded()), (2, 44));
    // There is no time from which to measure.
    assert_eq!((out[1].request, out[2].request), (Span::default(), Span::default()));
    assert_eq!(out[2].response.map(|r| r.first), Some(BootNs(5)));
}

#[test]
fn streams_that_ended_in_a_hole_do_not_stay_for_ever() {
    let mut http2 = Http2::new(false);
    let mut out = Vec::new();
    let second = 1_000_000_000;
    let get = |id| frame(1, 5, id, &[0x82, 0x84]);
    http2.bytes(Speaker::Client, BootNs(1), 0, &[&PREFACE[..], &get(1)].concat(), &mut out);
    http2.gap(Speaker::Server, BootNs(second), 0, 100, &mut out);
    http2.bytes(Speaker::Client, BootNs(20 * second), 35, &get(3), &mut out);
    assert_eq!(out.len(), 0);
    http2.bytes(Speaker::Client, BootNs(40 * second), 46, &get(5), &mut out);
    assert_eq!(lines(&out), ["GET / ?"]);
    assert_eq!(out[0].verdict, Verdict::Unknown);
}

#[test]
fn streams_that_ended_in_a_hole_make_room() {
    let mut http2 = Http2::new(false);
    let mut out = Vec::new();
    let get = |id| frame(1, 5, id, &[0x82, 0x84]);
    let many: Vec<u8> = (0..1024).flat_map(|i| get(2 * i + 1)).collect();
    let first = [&PREFACE[..], &many].concat();
    http2.bytes(Speaker::Client, BootNs(1), 0, &first, &mut out);
    http2.gap(Speaker::Server, BootNs(2), 0, 20_000, &mut out);
    http2.bytes(Speaker::Client, BootNs(3), first.len() as u64, &get(2049), &mut out);
    assert_eq!((out.len(), http2.take_missed()), (0, 1));
    http2.bytes(Speaker::Client, BootNs(2_000_000_000), first.len() as u64 + 11, &get(2051), &mut out);
    assert_eq!((out.len(), http2.take_missed()), (1024, 0));
}

#[test]
fn an_invalid_frame_leads_to_a_search() {
    let get = |id| frame(1, 5, id, &[0x82, 0x84]);
    let junk = said(Speaker::Client, 3, [7; 300]);
    let told = decode(
        Http2::new(false),
        &[
            said(Speaker::Client, 1, [&PREFACE[..], &get(1)].concat()),
            junk,
            said(Speaker::Client, 4, get(3)),
            said(Speaker::Server, 5, [frame(1, 5, 1, &[0x88]), frame(1, 5, 3, &[0x88])].concat()),
        ],
    );
    assert_eq!(lines(&told), ["GET / 200", "GET / 200"]);
}

#[test]
fn frames_of_known_streams_are_found_inside_of_what_follows_a_hole() {
    let get = |id| frame(1, 5, id, &[0x82, 0x84]);
    let mut http2 = Http2::new(false);
    let mut out = Vec::new();
    http2.bytes(Speaker::Client, BootNs(1), 0, &[&PREFACE[..], &get(1), &get(3)].concat(), &mut out);
    http2.bytes(Speaker::Server, BootNs(2), 0, &frame(1, 4, 1, &[0x88]), &mut out);
    http2.gap(Speaker::Server, BootNs(3), 10, 20, &mut out);
    // The end of some content, and the end of stream 1; the answer of 3.
    let tail = [&[b'x'; 30][..], &frame(0, 1, 1, b"end"), &frame(1, 5, 3, &[0x8d])].concat();
    http2.bytes(Speaker::Server, BootNs(4), 30, &tail, &mut out);
    assert_eq!(lines(&out), ["GET / 200", "GET / 404"]);
    assert_eq!(http2.take_undecoded(), 50);
}

#[test]
fn what_ended_in_a_hole_has_the_verdict_of_its_head_unless_it_was_reset() {
    let get = |id| frame(1, 5, id, &[0x82, 0x84]);
    let mut http2 = Http2::new(false);
    let mut out = Vec::new();
    let first = [&PREFACE[..], &get(1), &get(3), &get(5)].concat();
    http2.bytes(Speaker::Client, BootNs(1), 0, &first, &mut out);
    let heads = [frame(1, 4, 1, &[0x88]), frame(1, 4, 3, &[0x88])].concat();
    http2.bytes(Speaker::Server, BootNs(2), 0, &heads, &mut out);
    http2.gap(Speaker::Server, BootNs(3), 20, 20, &mut out);
    let reset = frame(3, 0, 3, &8u32.to_be_bytes());
    http2.bytes(Speaker::Client, BootNs(4), first.len() as u64, &reset, &mut out);
    http2.end(BootNs(5), &mut out);
    let got: Vec<(u32, &str, Verdict)> = out.iter().map(|t| (t.key.1, status(t), t.verdict)).collect();
    use Verdict::{Ok, Unknown};
    assert_eq!(got, [(3, "?", Unknown), (1, "200", Ok), (5, "?", Unknown)]);
}

type Holes = Vec<(bool, u16, u16)>;

fn ranges(conversation: &[Said], holes: &Holes) -> [Vec<Range<u64>>; 2] {
    [Speaker::Client, Speaker::Server].map(|from| {
        let len: usize = conversation.iter().filter(|s| s.from == from).map(|s| s.data.len()).sum();
        holes
            .iter()
            .filter(|(server, ..)| *server == (from == Speaker::Server))
            .map(|(_, at, n)| {
                let start = u64::from(*at) * len as u64 / 65536;
                start..start + 1 + u64::from(*n)
            })
            .collect()
    })
}

fn holes() -> impl Strategy<Value = Holes> {
    let length = prop_oneof![0u16..20, 0u16..300, 0u16..5000];
    prop::collection::vec((any::<bool>(), any::<u16>(), length), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_split_gives_the_same(cuts in prop::collection::vec(1usize..400, 1..12)) {
        for conversation in all() {
            let whole = decode(Http2::new(false), &conversation);
            prop_assert_eq!(&decode_cut(&mut Http2::new(false), &conversation, &cuts), &whole);
        }
    }

    #[test]
    fn holes_never_make_it_wrong(which in any::<prop::sample::Index>(), holes in holes(), cut in 0usize..3) {
        let all = all();
        let conversation = which.get(&all);
        let whole = decode(Http2::new(false), conversation);
        let ranges = ranges(conversation, &holes);
        let mut decoder = Http2::new(false);
        let holed = decode_holes(&mut decoder, conversation, &ranges);
        never_wrong(&whole, &holed);
        prop_assert!(holed.len() as u64 + decoder.take_missed() <= whole.len() as u64);
        // The same on a connection that is older than the decoder.
        let cut = conversation.len() * cut / 4;
        let late = decode_holes(&mut Http2::new(true), &conversation[cut..], &ranges);
        never_wrong(&whole, &late);
    }

    #[test]
    fn anything_is_survived(
        steps in steps(prop::collection::vec(any::<u8>(), 0..80)), adopted in any::<bool>(),
    ) {
        survive(&mut Http2::new(adopted), &steps, |_| ());
        survive_sniffing(sniff, &steps);
    }

    #[test]
    fn any_frames_are_survived_however_cut(
        frames in prop::collection::vec(
            (any::<bool>(), 0u8..11, any::<u8>(), 0u32..12, prop::collection::vec(any::<u8>(), 0..40)), 0..60),
        cut in 1usize..30,
    ) {
        let mut conversation = vec![said(Speaker::Client, 0, PREFACE)];
        for (server, kind, flags, id, payload) in &frames {
            let from = if *server { Speaker::Server } else { Speaker::Client };
            conversation.push(said(from, 1, frame(*kind, *flags, *id, payload)));
        }
        let told = decode_cut(&mut Http2::new(false), &conversation, &[cut]);
        prop_assert!(told.len() <= frames.len());
    }
}
