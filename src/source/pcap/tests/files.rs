//! File formats, link layers, IP.

use proptest::prelude::*;

use super::build::*;
use super::*;

fn one(link: u32, bytes: Vec<u8>) -> (Vec<Told>, Counts) {
    let wire = bytes.len();
    read(&classic(link, &[Frame { at: 0, bytes, wire }]))
}

fn hello(cookie: u64) -> Told {
    Told::Datagram(cookie, true, 5, b"hello".to_vec())
}

fn packet4() -> Vec<u8> {
    v4(1, 2, 7, 0, 17, &udp((1000, 53), b"hello"))
}

fn packet6() -> Vec<u8> {
    v6(1, 2, 17, &udp((1000, 53), b"hello"))
}

fn ahead(head: &[u8], body: Vec<u8>) -> Vec<u8> {
    [head, &body].concat()
}

#[test]
fn link_layers() {
    let sll = |kind: u16| [&[0u8, 0, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0][..], &kind.to_be_bytes()].concat();
    let sll2 = |kind: u16| [&kind.to_be_bytes()[..], &[0; 18]].concat();
    for (link, bytes) in [
        (1, ethernet(0x0800, &packet4())),
        (1, ethernet(0x86dd, &packet6())),
        // Padded to the shortest frame.
        (1, [ethernet(0x0800, &packet4()), vec![0xee; 20]].concat()),
        (1, ethernet(0x8100, &ahead(&[0, 5, 0x08, 0], packet4()))),
        (1, ethernet(0x88a8, &ahead(&[0, 5, 0x81, 0, 0, 6, 0x86, 0xdd], packet6()))),
        (1, ethernet(0x8847, &ahead(&[0, 1, 0, 64, 0, 1, 1, 64], packet4()))),
        (113, ahead(&sll(0x0800), packet4())),
        (276, ahead(&sll2(0x86dd), packet6())),
        (101, packet4()),
        (12, packet6()),
        (14, packet4()),
        (228, packet4()),
        (229, packet6()),
        (0, ahead(&[2, 0, 0, 0], packet4())),
        (0, ahead(&[0, 0, 0, 30], packet6())),
        (108, ahead(&[0, 0, 0, 2], packet4())),
        // A frame check sequence is announced.
        (0x4400_0001, [ethernet(0x0800, &packet4()), vec![1, 2, 3, 4]].concat()),
    ] {
        let (told, counts) = one(link, bytes);
        assert_eq!((told, counts.skipped), (vec![hello(1)], Skipped::default()), "{link}");
    }
    let arp = one(1, ethernet(0x0806, &[0; 28])).1;
    assert_eq!(arp.skipped, Skipped { not_ip: 1, ..Skipped::default() });
    assert_eq!(one(105, packet4()).1.skipped.link, 1);
    assert_eq!(one(101, v4(1, 2, 1, 0, 1, b"icmp....")).1.skipped.not_tcp_udp, 1);
}

#[test]
fn ipv6_extension_headers_are_passed() {
    let u = udp((1000, 53), b"hello");
    let hop = |next: u8| vec![next, 0, 1, 4, 0, 0, 0, 0];
    for (next, body) in [
        (0, [hop(17), u.clone()].concat()),
        (0, [hop(43), hop(60), hop(17), u.clone()].concat()),
        // AH of 24 bytes.
        (51, [vec![17, 4], vec![0; 22], u.clone()].concat()),
        // A fragment that is the whole.
        (44, [vec![17, 0, 0, 0, 0, 0, 0, 9], u.clone()].concat()),
    ] {
        let (told, counts) = one(101, v6(1, 2, next, &body));
        assert_eq!((told, counts.skipped), (vec![hello(1)], Skipped::default()), "{next}");
    }
    let endless: Vec<u8> = (0..40).flat_map(|_| hop(60)).collect();
    assert_eq!(one(101, v6(1, 2, 60, &endless)).1.skipped.malformed, 1);
}

#[test]
fn who_spoke_first_is_the_local_side_of_a_conversation() {
    let packet = |src, dst, ports, data: &[u8]| v4(src, dst, 7, 0, 17, &udp(ports, data));
    let frames: Vec<_> = [
        packet(1, 2, (1000, 53), b"question"),
        packet(2, 1, (53, 1000), b"answer"),
        packet(1, 2, (1001, 53), b"another"),
        packet(1, 2, (1000, 53), b"again"),
    ]
    .into_iter()
    .map(|bytes| Frame { at: 0, wire: bytes.len(), bytes })
    .collect();
    let (told, counts) = read(&classic(101, &frames));
    let expected = [(1, true, "question"), (1, false, "answer"), (2, true, "another"), (1, true, "again")]
        .map(|(id, sent, text)| Told::Datagram(id, sent, text.len() as u32, text.into()));
    assert_eq!((told, counts.conversations), (expected.into(), 2));
}

#[test]
fn conversations_are_bounded() {
    let most = 1 << 16;
    let frames: Vec<_> = (0..most + 10)
        .map(|n: u32| {
            let bytes = v4(n as u8, 2, 7, 0, 17, &udp(((n >> 8) as u16, 53), b"x"));
            Frame { at: 0, wire: bytes.len(), bytes }
        })
        .collect();
    let counts = read(&classic(101, &frames)).1;
    assert_eq!((counts.conversations, counts.evicted), (u64::from(most) + 10, 10));
}

#[test]
fn fragments_are_put_together_in_any_order_and_lost_ones_counted() {
    let data: Vec<u8> = (0..100).collect();
    let whole = udp((1000, 53), &data);
    let part4 = |from: usize, to: usize| {
        let more = if to < whole.len() { 0x2000 } else { 0 };
        v4(1, 2, 7, more | (from / 8) as u16, 17, &whole[from..to])
    };
    let part6 = |from: usize, to: usize| {
        let place = from as u16 | u16::from(to < whole.len());
        let head = [&[17, 0][..], &place.to_be_bytes(), &[0, 0, 0, 9]].concat();
        v6(1, 2, 44, &[&head, &whole[from..to]].concat())
    };
    let file = |parts: &[Vec<u8>]| {
        let frames: Vec<_> = parts.iter().map(|b| Frame { at: 0, bytes: b.clone(), wire: b.len() }).collect();
        read(&classic(101, &frames))
    };
    let expected = vec![Told::Datagram(1, true, 100, data.clone())];
    for part in [&part4 as &dyn Fn(usize, usize) -> Vec<u8>, &part6] {
        let (a, b, c) = (part(0, 40), part(40, 80), part(80, whole.len()));
        for parts in [[&a, &b, &c], [&c, &b, &a], [&b, &a, &c], [&b, &c, &a]] {
            assert_eq!(file(&parts.map(Clone::clone)).0, expected);
        }
        // The same once more is no harm.
        assert_eq!(file(&[a.clone(), a.clone(), c.clone(), b.clone()]).0, expected);
        let (told, counts) = file(&[a.clone(), c.clone()]);
        assert_eq!((told.len(), counts.skipped.fragments_lost), (0, 1));
        // Overlapping ones are an attack; the rest of that datagram is not taken for another.
        let (told, counts) = file(&[a, part(32, 80), b, c]);
        assert_eq!((told.len(), counts.skipped.fragments_lost), (0, 1));
    }
}

#[test]
fn cut_packets_tell_their_length() {
    let packet = v4(1, 2, 7, 0, 6, &tcp((40000, 80), 1, 1, ACK, &[7; 1000]));
    let frame = Frame { at: 0, bytes: packet[..96].to_vec(), wire: packet.len() };
    let (told, _) = read(&classic(101, &[frame]));
    let Some(Told::Piece(_, _, _, len, data, ..)) = told.get(1) else { panic!("{told:?}") };
    assert_eq!((*len, data.len()), (1000, 56));
    let cut = Frame { at: 0, bytes: packet[..30].to_vec(), wire: packet.len() };
    assert_eq!(read(&classic(101, &[cut])).1.skipped.cut, 1);
    // Segmentation offload: no length in the header.
    let mut offloaded = packet.clone();
    offloaded[2..4].copy_from_slice(&[0, 0]);
    assert_eq!(pieces(&one(101, offloaded).0), [(false, 1000)].map(|(_, n)| (true, n)));
}

#[test]
fn classic_files_of_any_order_and_precision() {
    let packet = packet4();
    for (magic, big, unit) in [
        ([0xa1, 0xb2, 0xc3, 0xd4], true, 1000),
        ([0xd4, 0xc3, 0xb2, 0xa1], false, 1000),
        ([0xa1, 0xb2, 0x3c, 0x4d], true, 1),
        ([0x4d, 0x3c, 0xb2, 0xa1], false, 1),
    ] {
        let n32 = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
        let n16 = |n: u16| if big { n.to_be_bytes() } else { n.to_le_bytes() };
        let mut file = magic.to_vec();
        file.extend([n16(2), n16(4)].concat());
        for n in [0, 0, 65535, 101, 5, 7, packet.len() as u32, packet.len() as u32] {
            file.extend(n32(n));
        }
        file.extend(&packet);
        let (told, counts, last) = read_with(&file, 10).unwrap();
        assert_eq!((told, last), (vec![hello(1)], BootNs(5 * SECOND + 7 * unit)));
        assert_eq!((counts.bytes, counts.total), (file.len() as u64, Some(file.len() as u64)));
    }
}

/// A pcapng writer of either byte order.
struct Ng {
    big: bool,
    file: Vec<u8>,
}

impl Ng {
    fn n16(&self, n: u16) -> [u8; 2] {
        if self.big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    fn n32(&self, n: u32) -> [u8; 4] {
        if self.big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    fn block(mut self, kind: u32, body: &[u8]) -> Self {
        let pad = body.len().next_multiple_of(4) - body.len();
        let length = self.n32((12 + body.len() + pad) as u32);
        let kind = self.n32(kind);
        self.file.extend([&kind[..], &length, body, &vec![0; pad], &length].concat());
        self
    }

    fn section(mut self, big: bool) -> Self {
        self.big = big;
        let body = [&self.n32(0x1a2b_3c4d)[..], &self.n16(1), &self.n16(0), &[0xff; 8]].concat();
        self.block(0x0a0d_0d0a, &body)
    }

    fn interface(self, link: u16, snap: u32, options: &[(u16, Vec<u8>)]) -> Self {
        let mut body = [&self.n16(link)[..], &[0, 0], &self.n32(snap)].concat();
        for (code, value) in options {
            body.extend([self.n16(*code), self.n16(value.len() as u16)].concat());
            body.extend(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        self.block(1, &body)
    }

    fn enhanced(self, interface: u32, ticks: u64, bytes: &[u8]) -> Self {
        let mut body = Vec::new();
        for n in [interface, (ticks >> 32) as u32, ticks as u32, bytes.len() as u32, bytes.len() as u32] {
            body.extend(self.n32(n));
        }
        body.extend(bytes);
        self.block(6, &body)
    }

    fn old(self, interface: u16, ticks: u64, bytes: &[u8]) -> Self {
        let mut body = [self.n16(interface), self.n16(0)].concat();
        for n in [(ticks >> 32) as u32, ticks as u32, bytes.len() as u32, bytes.len() as u32] {
            body.extend(self.n32(n));
        }
        body.extend(bytes);
        self.block(2, &body)
    }

    fn simple(self, bytes: &[u8]) -> Self {
        let body = [&self.n32(bytes.len() as u32)[..], bytes].concat();
        self.block(3, &body)
    }
}

fn ng(big: bool) -> Ng {
    Ng { big, file: Vec::new() }.section(big)
}

#[test]
fn pcapng_blocks_sections_and_interfaces() {
    for big in [false, true] {
        let file = ng(big)
            .interface(101, 0, &[(9, vec![9])])
            .block(4, b"names of hosts")
            .block(10, b"secrets")
            .block(0x4000_0bad, b"?")
            .interface(1, 0, &[(2, b"eth0".to_vec()), (9, vec![0x80 | 10])])
            .enhanced(0, 3_000_000_001, &packet4())
            .enhanced(1, 4 << 10 | 512, &ethernet(0x86dd, &packet6()))
            .old(0, 5_000_000_000, &packet4())
            .simple(&packet4())
            .enhanced(7, 0, &packet4())
            .section(!big)
            .interface(
                228,
                0,
                &[(14, if big { 100i64.to_le_bytes() } else { 100i64.to_be_bytes() }.to_vec())],
            )
            .enhanced(0, 6_000_000, &packet4())
            .file;
        let mut capture = Capture::new(&file[..], None).unwrap();
        let (mut told, mut times) = (Vec::new(), Vec::new());
        while capture.next(&mut |f| told.push(own(f))).unwrap() {
            times.push(capture.last_time().0);
        }
        assert_eq!(told, [hello(1), hello(2), hello(1), hello(1), hello(1)]);
        let s = SECOND;
        assert_eq!(times, [3 * s + 1, 4 * s + s / 2, 5 * s, 5 * s, 106 * s]);
        let counts = capture.counts();
        assert_eq!((counts.packets, counts.skipped.link, counts.conversations), (6, 1, 2));
        assert_eq!((counts.truncated, counts.damaged_at, counts.bytes), (false, None, file.len() as u64));
    }
}

#[test]
fn damage_ends_the_capture_and_says_where() {
    let begin = ng(false).interface(101, 0, &[]).enhanced(0, 1, &packet4());
    let at = begin.file.len();
    for damage in [[6, 0, 0, 0, 5, 0, 0, 0], [6, 0, 0, 0, 33, 0, 0, 0]] {
        let mut file = begin.file.clone();
        file.extend(damage);
        file.extend([0; 92]);
        let (told, counts) = read(&file);
        assert_eq!(told, [hello(1)]);
        assert_eq!((counts.damaged_at, counts.unread), (Some(at as u64), Some(100)));
    }
    // The length behind a block is another one.
    let mut file = begin.enhanced(0, 1, &packet4()).enhanced(0, 1, &packet4()).file;
    let length = file.len() - at;
    file[at + length / 2 - 4] ^= 4;
    let (told, counts) = read(&file);
    assert_eq!((told.len(), counts.unread), (1, Some(length as u64)));
    // A record that cannot be one.
    let mut file = classic(101, &[Frame { at: 0, bytes: packet4(), wire: 33 }]);
    let at = file.len();
    file.extend([[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0xff], [0, 0, 0, 0xff]].concat());
    let (told, counts) = read(&file);
    assert_eq!((told.len(), counts.damaged_at, counts.unread), (1, Some(at as u64), Some(16)));
}

#[test]
fn too_long_packets_are_passed_over() {
    let long = vec![0x45; (256 << 10) + 1];
    let frames = [(0, packet4()), (1, long.clone()), (2, packet4())];
    let frames: Vec<_> = frames.map(|(at, bytes)| Frame { at, wire: bytes.len(), bytes }).into();
    let file = ng(true).interface(101, 0, &[]).enhanced(0, 1, &packet4()).enhanced(0, 1, &long);
    let longer = vec![0; 5 << 20];
    let file = file.enhanced(0, 1, &longer).block(5, &longer).enhanced(0, 1, &packet4()).file;
    for (file, skipped) in [(classic(101, &frames), 1), (file, 2)] {
        let (told, counts) = read(&file);
        assert_eq!(told, [hello(1), hello(1)]);
        assert_eq!((counts.skipped.too_long, counts.packets), (skipped, skipped + 2));
    }
}

#[test]
fn what_is_no_capture_says_so() {
    let error = |bytes: &[u8]| read_with(bytes, 1).unwrap_err().to_string();
    assert!(error(&[0x1f, 0x8b, 8, 0]).contains("gunzip"));
    assert!(error(b"").contains("empty"));
    assert!(error(b"GET / HTTP/1.1\r\nHost: localhost\r\n").contains("not a capture"));
    let mut old = classic(1, &[]);
    old[4] = 1;
    assert!(error(&old).contains("version 1"));
    let missing = Capture::open(Path::new("/nonexistent.pcap")).err().unwrap().to_string();
    assert!(missing.contains("/nonexistent.pcap"));
}

#[test]
fn any_way_of_reading_gives_the_same() {
    struct Dribble<'a>(&'a [u8], usize);
    impl Read for Dribble<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(3) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let n = (self.1 % 7).min(self.0.len()).min(to.len()).max(usize::from(!self.0.is_empty()));
            let (now, rest) = self.0.split_at(n);
            to[..n].copy_from_slice(now);
            self.0 = rest;
            Ok(n)
        }
    }
    let file = Talk::new().handshake().exchange().close().file();
    let mut told = Vec::new();
    let mut capture = Capture::new(Dribble(&file, 0), None).unwrap();
    while capture.next(&mut |f| told.push(own(f))).unwrap() {}
    assert_eq!(told, read(&file).0);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2000), head in 0usize..6) {
        let mut file = match head {
            0 => Vec::new(),
            1 => classic(1, &[]),
            2 => classic(101, &[]),
            3 => ng(false).interface(1, 0, &[]).file,
            4 => ng(true).file,
            _ => classic(113, &[]),
        };
        file.extend(bytes);
        let _ = read_with(&file, 3);
    }

    #[test]
    fn frames_of_any_bytes(frames in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..120), any::<u16>(), any::<u32>()), 0..20), link in 0usize..7) {
        let link = [0, 1, 101, 113, 276, 228, 108][link];
        let frames: Vec<_> = frames.into_iter().map(|(mut bytes, wire, at)| {
            // Mostly IP, so that more than the first check is reached.
            if link == 101 && !bytes.is_empty() {
                bytes[0] = if wire % 2 == 0 { 0x45 } else { 0x60 };
            }
            Frame { at: u64::from(at) * 1000, bytes, wire: usize::from(wire) }
        }).collect();
        let (_, counts) = read(&classic(link, &frames));
        prop_assert_eq!(counts.packets, frames.len() as u64);
    }

    #[test]
    fn segments_with_any_numbers(parts in proptest::collection::vec((any::<bool>(), 0u8..32, prop_oneof![0u32..20, any::<u32>()], prop_oneof![0u32..20, any::<u32>()], 0usize..9, 0u64..5_000), 0..60), begun: bool) {
        let mut frames = if begun { Talk::new().handshake().frames } else { Vec::new() };
        let mut at = 10 * MS;
        for (client, flags, seq, ack, len, wait) in parts {
            at += wait * MS;
            let (ports, mine, its, a, b) = if client { ((40000, 80), 1000u32, 9000u32, 1, 2) } else { ((80, 40000), 9000, 1000, 2, 1) };
            let bytes = v4(a, b, 1, 0, 6, &tcp(ports, mine.wrapping_add(seq), its.wrapping_add(ack), flags, &[1; 8][..len.min(8)]));
            frames.push(Frame { at, wire: bytes.len(), bytes });
        }
        let (told, _) = read(&classic(101, &frames));
        // Every end is met first, closes at most once, and its counters never go back.
        let mut state = std::collections::HashMap::new();
        for t in &told {
            let (id, seen, moment) = match t {
                Told::Fact(Fact::End(e)) => (e.id, e.seen, Some(e.moment)),
                Told::Fact(Fact::Sample(s)) => (s.id, s.seen, None),
                Told::Piece(id, ..) => {
                    prop_assert!(state.get(id).is_some_and(|s: &(u64, u64, bool)| !s.2));
                    continue;
                }
                _ => continue,
            };
            let known = state.get(&id).copied();
            prop_assert_eq!(known.is_none(), moment == Some(Moment::Met));
            let before = known.unwrap_or_default();
            prop_assert!(!before.2);
            prop_assert!(seen.bytes_sent >= before.0 && seen.bytes_received >= before.1, "{:?} {:?}", before, seen);
            let over = matches!(moment, Some(Moment::Closed(_) | Moment::Failed(_)));
            state.insert(id, (seen.bytes_sent, seen.bytes_received, over));
        }
    }

    #[test]
    fn a_damaged_capture_is_read_as_far_as_it_goes(flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8), cut: prop::sample::Index) {
        let mut file = Talk::new().handshake().exchange().close().file();
        for (at, value) in flips {
            let at = at.index(file.len());
            file[at] = value;
        }
        file.truncate(cut.index(file.len() + 1));
        if let Ok((told, counts, _)) = read_with(&file, 5) {
            prop_assert!(counts.bytes <= file.len() as u64);
            prop_assert!(told.len() < 60);
        }
    }
}
