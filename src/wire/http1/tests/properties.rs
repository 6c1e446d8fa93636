//! What holds for any input.

use super::*;

fn message() -> impl Strategy<Value = (String, String, bool)> {
    let path = "(/[a-z]{1,6}|/[0-9]{1,6}){1,3}(\\?[a-z=&]{0,9})?";
    let method = prop_oneof!["GET", "POST", "HEAD", "DELETE", "M-SEARCH"];
    let body = prop_oneof![
        Just(String::new()),
        "[a-z]{1,40}".prop_map(|b| format!("Content-Length: {}\r\n\r\n{b}", b.len())),
        proptest::collection::vec("[a-z\r\n]{1,30}", 0..4).prop_map(|chunks| {
            let mut s = String::from("Transfer-Encoding: chunked\r\n\r\n");
            for c in chunks {
                s += &format!("{:x};x=y\r\n{c}\r\n", c.len());
            }
            s + "0\r\nT: u\r\n\r\n"
        }),
    ];
    let status = prop_oneof![Just(200u16), Just(204), Just(304), Just(404), Just(500), 201u16..600];
    (method, path, "([A-Z][a-z]{1,9}: [a-z;=]{0,40}\r\n){0,4}", body.clone(), body, status, any::<bool>())
        .prop_map(|(method, path, fields, ask, answer, status, pipelined)| {
            let ask = if ask.is_empty() { "\r\n".to_owned() } else { ask };
            let empty = method == "HEAD" || matches!(status, 204 | 304);
            let answer = match answer.as_str() {
                "" => "Content-Length: 0\r\n\r\n".to_owned(),
                a if empty => a.split_inclusive("\r\n\r\n").next().unwrap_or_default().to_owned(),
                a => a.to_owned(),
            };
            (
                format!("{method} {path} HTTP/1.1\r\n{fields}{ask}"),
                format!("HTTP/1.1 {status} Why\r\n{fields}{answer}"),
                pipelined,
            )
        })
}

fn conversation() -> impl Strategy<Value = (Vec<Said>, usize)> {
    proptest::collection::vec(message(), 1..6).prop_map(|messages| {
        let (mut out, mut answers, mut ms) = (Vec::new(), String::new(), 1);
        let n = messages.len();
        for (ask, answer, pipelined) in messages {
            out.push(said(C, ms, ask));
            answers += &answer;
            ms += 1;
            if !pipelined {
                out.push(said(S, ms, std::mem::take(&mut answers)));
                ms += 1;
            }
        }
        if !answers.is_empty() {
            out.push(said(S, ms, answers));
        }
        (out, n)
    })
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        (conversation, n) in conversation(),
        cuts in proptest::collection::vec(0usize..50, 1..20),
    ) {
        let whole = decode(fresh(), &conversation);
        prop_assert_eq!(whole.len(), n);
        for t in &whole {
            prop_assert!(matches!(t.status, Known::Known(_)) && t.response.is_some());
        }
        let sum: u64 = whole.iter().map(|t| t.request.bytes + t.response.unwrap().bytes).sum();
        prop_assert_eq!(sum, conversation.iter().map(|s| s.data.len() as u64).sum::<u64>());
        let mut d = fresh();
        prop_assert_eq!(&decode_cut(&mut d, &conversation, &cuts), &whole);
        prop_assert_eq!(d.take_undecoded(), 0);
        prop_assert_eq!(&decode_cut(&mut fresh(), &conversation, &[1]), &whole);
    }

    #[test]
    fn every_message_cut_after_its_head_is_told_right(
        messages in proptest::collection::vec(message(), 1..6),
    ) {
        // As the kernel captures: the head, the rest by its length.
        let whole: Vec<Said> =
            messages.iter().flat_map(|(ask, answer, _)| [said(C, 1, ask), said(S, 2, answer)]).collect();
        let expected = lines(&decode(fresh(), &whole));
        let (mut d, mut out, mut offsets) = (fresh(), Vec::new(), [0u64; 2]);
        for s in &whole {
            let head = s.data.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
            let o = &mut offsets[usize::from(s.from == S)];
            d.turn(s.from, &mut out);
            d.bytes(s.from, s.at, *o, &s.data[..head], &mut out);
            d.gap(s.from, s.at, *o + head as u64, (s.data.len() - head) as u64, &mut out);
            *o += s.data.len() as u64;
        }
        d.end(BootNs(3), &mut out);
        prop_assert_eq!(lines(&out), expected);
        prop_assert_eq!(d.take_undecoded(), 0);
    }

    #[test]
    fn any_bytes_gaps_and_turns(
        steps in proptest::collection::vec(
            (any::<bool>(), 0u8..8, proptest::collection::vec(any::<u8>(), 0..60), any::<u16>(), 0usize..12),
            0..60,
        ),
        adopted in any::<bool>(),
        huge in any::<u64>(),
    ) {
        const PARTS: [&str; 12] = [
            "GET /a HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\n", "\r\n", "Content-Length: 18446744073709551615\r\n",
            "Transfer-Encoding: chunked\r\n", "ffffffffffffffff\r\n", "HTTP/1.1 100 C\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\n\r\n", "HTTP/1.1 204 N\r\n\r\n", "GET /b HTTP/1.1\r\n\r\n", "5\r\nhello\r\n", "0\r\n\r\n",
        ];
        let (mut d, mut out) = (Http1::new(adopted), Vec::new());
        let mut offsets = [huge; 2];
        for (client, kind, data, len, part) in steps {
            let from = if client { C } else { S };
            let o = &mut offsets[usize::from(!client)];
            let n = match kind {
                0 => { d.turn(from, &mut out); 0 }
                1 => { d.gap(from, BootNs(1), *o, u64::from(len), &mut out); u64::from(len) }
                2 => { d.gap(from, BootNs(1), *o, u64::from(len) << 47, &mut out); u64::from(len) << 47 }
                3 => { d.bytes(from, BootNs(1), *o, &data, &mut out); data.len() as u64 }
                _ => { let p = PARTS[part].as_bytes(); d.bytes(from, BootNs(1), *o, p, &mut out); p.len() as u64 }
            };
            *o = o.saturating_add(n);
        }
        d.end(BootNs(2), &mut out);
        let told = out.len();
        d.end(BootNs(2), &mut out);
        prop_assert_eq!(out.len(), told);
        prop_assert!(d.pending.is_empty() && d.client.partial() <= reader::MAX_LINE as u64);
    }
}
