//! Connections: openings, closings, bytes, losses.

use super::build::*;
use super::*;
use crate::model::{Isns, Role, RoleEvidence};
use crate::track::Ending;

fn talk() -> Talk {
    Talk::new()
}

#[test]
fn a_whole_connection_is_told_as_its_client_knows_it() {
    let (told, counts) = read(&talk().handshake().exchange().close().file());
    let clean = Moment::Closed(Ending::Clean);
    assert_eq!(moments(&told), [(1, Moment::Met), (1, Moment::Established), (1, clean)]);
    let all = ends(&told);
    let [met, established, closed] = all[..] else { panic!() };
    assert_eq!((met.role, met.role_evidence, met.adopted), (Role::Client, RoleEvidence::SawConnect, false));
    assert_eq!(
        (met.local.to_string(), met.peer.to_string()),
        ("10.0.0.1:40000".into(), "10.0.0.2:80".into())
    );
    assert_eq!((met.opened, met.isns), (BootNs(EPOCH + MS), None));
    assert_eq!(established.isns, Some(Isns { tx: 1000, rx: 9001 }));
    assert_eq!((established.established, established.at), (BootNs(EPOCH + 2 * MS), BootNs(EPOCH + 3 * MS)));
    assert_eq!((closed.seen.bytes_sent, closed.seen.bytes_received), (4, 5));
    assert_eq!((closed.seen.srtt_us, closed.seen.retransmits), (Some(1000), 0));
    let id = met.id;
    let pieces: Vec<_> = told.iter().filter(|t| matches!(t, Told::Piece(..))).cloned().collect();
    let at = |ms: u64| EPOCH + ms * MS;
    assert_eq!(
        pieces,
        [
            Told::Piece(id, true, 1001, 4, b"ping".to_vec(), None, at(4)),
            Told::Piece(id, false, 9001, 5, b"pong!".to_vec(), Some(at(4)), at(5)),
        ]
    );
    assert_eq!((counts.packets, counts.connections), (9, 1));
    assert_eq!(counts.skipped, Skipped::default());
}

#[test]
fn near_the_server_the_clients_wait_is_told_by_its_acknowledgement() {
    let t = talk().client(SYN, 0, 0, b"").server(SYN | ACK, 0, 1, b"").wait(40 * MS).client(ACK, 1, 1, b"");
    let (told, _) = read(&t.file());
    let e = ends(&told)[1];
    assert_eq!(e.established.since(e.opened), 42 * MS);
    // With payload the client may have waited for something to say.
    let t = talk().client(SYN, 0, 0, b"").server(SYN | ACK, 0, 1, b"").wait(40 * MS).client(ACK, 1, 1, b"x");
    let (told, _) = read(&t.file());
    let e = ends(&told)[1];
    assert_eq!(e.established.since(e.opened), MS);
}

#[test]
fn connects_that_come_to_nothing() {
    let refused = talk().client(SYN, 0, 0, b"").server(RST | ACK, 0, 1, b"");
    assert_eq!(outcome(&read(&refused.file()).0), Some(Outcome::Refused));
    let wrong = talk().client(SYN, 0, 0, b"").server(RST | ACK, 0, 700_000, b"");
    let (told, counts) = read(&wrong.file());
    assert_eq!((outcome(&told), counts.skipped.out_of_window), (None, 1));
    let given_up = talk().client(SYN, 0, 0, b"").server(SYN | ACK, 0, 1, b"").client(RST, 1, 0, b"");
    assert_eq!(outcome(&read(&given_up.file()).0), Some(Outcome::GivenUp));
    let once = talk().client(SYN, 0, 0, b"");
    assert_eq!(outcome(&read(&once.file()).0), None);
    let twice = once.clone().wait(SECOND).client(SYN, 0, 0, b"");
    let (told, _) = read(&twice.file());
    assert_eq!((outcome(&told), ends(&told)[1].seen.retransmits), (Some(Outcome::TimedOut), 1));
    // Something else passes much later.
    let mut later = once.wait(200 * SECOND);
    later.frames.push(Frame { at: later.now, bytes: v4(7, 8, 1, 0, 17, &udp((1, 2), b"x")), wire: 29 });
    let (told, _) = read(&later.file());
    assert_eq!(outcome(&told), Some(Outcome::Unknown));
    assert_eq!(ends(&told)[1].at, BootNs(EPOCH + MS + 130 * SECOND));
}

#[test]
fn endings() {
    let open = talk().handshake().exchange();
    for (t, expected) in [
        (open.clone().client(RST, 5, 0, b""), Some(Outcome::AbortedByClient)),
        (open.clone().server(RST | ACK, 6, 5, b""), Some(Outcome::ResetByServer)),
        // Not of this connection.
        (open.clone().server(RST, 0x6000_0000, 0, b""), None),
        // Half closed only, by either.
        (open.clone().client(FIN | ACK, 5, 6, b"").server(ACK, 6, 6, b""), None),
        (open.clone().server(FIN | ACK, 6, 5, b"").client(ACK, 5, 7, b""), None),
        // The client answers late data with a reset, as it has closed.
        (
            open.clone().client(FIN | ACK, 5, 6, b"").server(ACK, 6, 6, b"late").client(RST, 6, 0, b""),
            Some(Outcome::AbortedByClient),
        ),
        // Closed by both at once.
        (
            open.clone()
                .client(FIN | ACK, 5, 6, b"")
                .server(FIN | ACK, 6, 5, b"")
                .server(ACK, 7, 6, b"")
                .client(ACK, 6, 7, b""),
            Some(Outcome::Clean),
        ),
        // Closed by the server, data with the FIN.
        (
            open.clone()
                .server(FIN | ACK, 6, 5, b"bye")
                .client(FIN | ACK, 5, 10, b"")
                .server(ACK, 10, 6, b""),
            Some(Outcome::Clean),
        ),
        (open.clone().close().client(RST, 6, 0, b""), Some(Outcome::Clean)),
    ] {
        assert_eq!(outcome(&read(&t.file()).0), expected, "{t:?}");
    }
}

#[test]
fn what_comes_late_makes_no_connection_and_a_new_syn_does() {
    let t = talk().handshake().exchange().close();
    let late = t.clone().server(FIN | ACK, 6, 6, b"").client(ACK, 6, 7, b"").server(ACK, 1, 5, b"pong!");
    let (told, counts) = read(&late.file());
    assert_eq!((counts.connections, counts.skipped.stray), (1, 1));
    assert_eq!(ends(&told).len(), 3);
    let again =
        t.client(SYN, 50_000, 0, b"").server(SYN | ACK, 70_000, 50_001, b"").client(ACK, 50_001, 70_001, b"");
    let (told, counts) = read(&again.file());
    assert_eq!(counts.connections, 2);
    assert_eq!(moments(&told)[3..], [(2, Moment::Met), (2, Moment::Established)]);
    assert_eq!(ends(&told)[4].isns, Some(Isns { tx: 51_000, rx: 79_001 }));
}

#[test]
fn retransmissions_are_counted_and_copies_are_not() {
    let t = talk()
        .handshake()
        .client(ACK, 1, 1, b"ping")
        .copy()
        .wait(200 * MS)
        .client(ACK, 1, 1, b"ping")
        .server(ACK, 1, 5, b"pong!")
        .copy()
        .wait(200 * MS)
        .server(ACK, 1, 5, b"pong!")
        .client(RST, 5, 0, b"");
    let (told, counts) = read(&t.file());
    let last = ends(&told)[2];
    assert_eq!((last.seen.bytes_sent, last.seen.bytes_received, last.seen.retransmits), (4, 5, 1));
    assert_eq!(counts.skipped.copies, 2);
    assert_eq!(pieces(&told), [(true, 4), (true, 4), (false, 5), (false, 5)]);
    // Only new bytes turn the conversation.
    let turned: Vec<_> = told
        .iter()
        .filter_map(|t| if let Told::Piece(.., turned, _) = t { Some(turned.is_some()) } else { None })
        .collect();
    assert_eq!(turned, [false, false, true, false]);
}

#[test]
fn keep_alives_and_window_probes_are_no_payload() {
    let t = talk()
        .handshake()
        .exchange()
        .client(ACK, 4, 6, b"")
        .server(ACK, 6, 5, b"")
        .client(ACK, 4, 6, b"\0")
        .server(ACK, 6, 5, b"")
        .server(ACK, 5, 5, b"\0")
        .client(RST, 5, 0, b"");
    let (told, _) = read(&t.file());
    let last = ends(&told)[2];
    assert_eq!((last.seen.bytes_sent, last.seen.bytes_received, last.seen.retransmits), (4, 5, 0));
    assert_eq!(pieces(&told).len(), 2);
}

#[test]
fn what_the_capture_has_lost_is_told_once_it_is_certain() {
    // The request of 100 bytes is not in the capture.
    let t = talk().handshake().server(ACK, 1, 101, b"pong!").wait(2 * MS).client(ACK, 101, 6, b"");
    let (told, _) = read(&t.file());
    assert!(told.contains(&Told::Progress(Some(1101), None)), "{told:?}");
    assert_eq!(samples(&told).last().unwrap().seen.bytes_sent, 100);
    // The acknowledgement stands before what it acknowledges.
    let mut t = talk().handshake().server(ACK, 1, 5, b"").client(ACK, 1, 1, b"ping");
    let n = t.frames.len();
    t.frames[n - 1].at = t.frames[n - 2].at + 1000;
    let (told, _) = read(&t.wait(SECOND).client(ACK, 5, 1, b"").file());
    assert!(!told.iter().any(|t| matches!(t, Told::Progress(..))), "{told:?}");
    assert_eq!(samples(&told).last().unwrap().seen.bytes_sent, 4);
    // A hole that is filled out of order.
    let t =
        talk().handshake().server(ACK, 6, 1, b"world").server(ACK, 1, 1, b"hello").client(ACK, 1, 11, b"");
    let (told, _) = read(&t.wait(10 * MS).client(RST, 1, 0, b"").file());
    assert!(!told.iter().any(|t| matches!(t, Told::Progress(..))), "{told:?}");
    // One that is not.
    let t = talk().handshake().server(ACK, 6, 1, b"world").client(ACK, 1, 11, b"").client(RST, 1, 0, b"");
    let (told, _) = read(&t.file());
    assert!(told.contains(&Told::Progress(None, Some(9011))), "{told:?}");
}

#[test]
fn found_open() {
    let (told, counts) = read(&talk().exchange().close().file());
    assert_eq!(moments(&told), [(1, Moment::Met), (1, Moment::Closed(Ending::Clean))]);
    let met = ends(&told)[0];
    assert!(met.adopted);
    assert_eq!((met.role, met.role_evidence), (Role::Unknown, RoleEvidence::Unknown));
    assert_eq!((met.isns, met.local.port), (Some(Isns { tx: 1000, rx: 9001 }), 40000));
    assert_eq!((ends(&told)[1].seen.bytes_sent, ends(&told)[1].seen.bytes_received), (4, 5));
    assert_eq!(counts.connections, 1);
    // From the server's word on.
    let (told, _) = read(&talk().server(ACK, 1, 5, b"pong!").client(ACK, 5, 6, b"more").file());
    assert_eq!(ends(&told)[0].local.port, 40000);
    assert_eq!(pieces(&told), [(false, 5), (true, 4)]);
    // Nothing but an acknowledgement or a reset is no connection.
    let (told, counts) = read(&talk().client(ACK, 5, 6, b"").client(RST, 5, 6, b"").file());
    assert_eq!((told.len(), counts.skipped.stray), (0, 2));
}

#[test]
fn without_the_syn_the_roles_are_known_still() {
    let t = talk().server(SYN | ACK, 0, 1, b"").client(ACK, 1, 1, b"").exchange();
    let (told, _) = read(&t.file());
    let e = ends(&told)[1];
    assert_eq!((e.role, e.local.port, e.opened), (Role::Client, 40000, BootNs(0)));
    assert_eq!((e.isns, e.moment), (Some(Isns { tx: 1000, rx: 9001 }), Moment::Established));
    // Without the SYN-ACK, too.
    let t = talk().client(SYN, 0, 0, b"").client(ACK, 1, 1, b"").exchange();
    let (told, _) = read(&t.file());
    assert_eq!((ends(&told)[1].isns, pieces(&told).len()), (Some(Isns { tx: 1000, rx: 9001 }), 2));
    // And with the server's half only.
    let t = talk().client(SYN, 0, 0, b"").server(ACK, 1, 5, b"pong!");
    let (told, _) = read(&t.file());
    assert_eq!((ends(&told)[1].isns, pieces(&told).len()), (Some(Isns { tx: 1000, rx: 9001 }), 1));
}

#[test]
fn payload_of_a_syn_is_told_when_the_handshake_is_done() {
    let t = talk()
        .client(SYN, 0, 0, b"") // its payload begins where the SYN's number ends
        .server(SYN | ACK, 0, 5, b"");
    let mut t = t.client(ACK, 5, 1, b"").server(ACK, 1, 5, b"pong!");
    let syn = tcp((40000, 80), 1000, 0, SYN, b"ping");
    t.frames[0].bytes = v4(1, 2, 1, 0, 6, &syn);
    t.frames[0].wire = t.frames[0].bytes.len();
    let (told, _) = read(&t.file());
    let id = ends(&told)[1].id;
    assert_eq!(
        told[3..5],
        [
            Told::Piece(id, true, 1001, 4, b"ping".to_vec(), None, EPOCH + MS),
            Told::Piece(id, false, 9001, 5, b"pong!".to_vec(), Some(EPOCH + MS), EPOCH + 4 * MS),
        ]
    );
}

#[test]
fn both_may_connect_at_once() {
    let t = talk()
        .client(SYN, 0, 0, b"")
        .server(SYN, 0, 0, b"")
        .client(SYN | ACK, 0, 1, b"")
        .server(SYN | ACK, 0, 1, b"")
        .exchange()
        .close();
    let (told, counts) = read(&t.file());
    assert_eq!((counts.connections, outcome(&told)), (1, Some(Outcome::Clean)));
    assert_eq!(ends(&told)[1].isns, Some(Isns { tx: 1000, rx: 9001 }));
    assert_eq!(pieces(&told), [(true, 4), (false, 5)]);
}

#[test]
fn counters_are_told_once_per_second_as_of_the_last_segment() {
    let mut t = talk().handshake();
    for n in 0..10 {
        t = t.client(ACK, 1 + n * 4, 1, b"ping").server(ACK, 1, 5 + n * 4, b"").wait(300 * MS);
    }
    let (told, _) = read(&t.file());
    let told = samples(&told);
    let seconds: Vec<_> = told.iter().map(|s| (s.at.0 - EPOCH) / SECOND).collect();
    assert_eq!(seconds, [0, 1, 2]);
    assert_eq!(told.last().unwrap().seen.bytes_sent, 40);
    assert_eq!(told[0].seen.bytes_sent, 16);
}

#[test]
fn bytes_are_exact_beyond_the_turn_of_sequence_numbers() {
    // 5 steps of 1 GiB, of which all but one byte are cut off.
    let step = 1u32 << 30;
    let mut frames = talk().handshake().frames;
    for n in 0..5u32 {
        let seq = 1001u32.wrapping_add(n.wrapping_mul(step - 1));
        let bytes = v4(1, 2, 9 + n as u16, 0, 6, &tcp((40000, 80), seq, 9001, ACK, b"x"));
        let mut bytes = bytes;
        bytes[2..4].copy_from_slice(&[0, 0]);
        frames.push(Frame { at: (10 + u64::from(n)) * MS, bytes, wire: 40 + step as usize - 1 });
    }
    let (told, _) = read(&classic(101, &frames));
    assert_eq!(samples(&told).last().unwrap().seen.bytes_sent, 5 * (u64::from(step) - 1));
}

#[test]
fn a_full_table_gives_up_the_longest_silent() {
    let mut frames = Vec::new();
    for n in 0..100u16 {
        for (flags, seq, ack) in [(SYN, 0, 0), (ACK, 1, 77)] {
            let bytes = v4(1, 2, n, 0, 6, &tcp((1000 + n, 80), seq, ack, flags, b""));
            frames.push(Frame { at: frames.len() as u64 * MS, wire: bytes.len(), bytes });
        }
    }
    let (told, counts, _) = read_with(&classic(101, &frames), 10).unwrap();
    assert_eq!((counts.connections, counts.evicted), (100, 90));
    let closed: Vec<_> =
        moments(&told).into_iter().filter(|m| m.1 == Moment::Closed(Ending::Unknown)).map(|m| m.0).collect();
    assert_eq!(closed, (1..=90).collect::<Vec<u64>>());
}

#[test]
fn a_flood_of_syns_does_not_displace_what_is_open() {
    let mut frames = talk().handshake().frames;
    for n in 0..100u16 {
        let bytes = v4(3, 2, n, 0, 6, &tcp((1000 + n, 80), 0, 0, SYN, b""));
        frames.push(Frame { at: (10 + u64::from(n)) * MS, wire: bytes.len(), bytes });
    }
    let (told, _, _) = read_with(&classic(101, &frames), 10).unwrap();
    assert!(!moments(&told).contains(&(1, Moment::Closed(Ending::Unknown))));
}

#[test]
fn the_network_says_that_nobody_is_there() {
    let syn = talk().client(SYN, 0, 0, b"");
    let quoted = syn.frames[0].bytes[..28].to_vec();
    let with = |kind: u8, code: u8, quoted: &[u8]| {
        let mut t = syn.clone();
        let bytes = v4(9, 1, 1, 0, 1, &[&[kind, code, 0, 0, 0, 0, 0, 0], quoted].concat());
        t.frames.push(Frame { at: 5 * MS, wire: bytes.len(), bytes });
        let (told, counts) = read(&t.file());
        (outcome(&told), counts.skipped.not_tcp_udp)
    };
    assert_eq!(with(3, 1, &quoted), (Some(Outcome::Unreachable), 0));
    assert_eq!(with(3, 3, &quoted), (Some(Outcome::Refused), 0));
    assert_eq!(with(11, 0, &quoted), (Some(Outcome::Unreachable), 0));
    assert_eq!(with(3, 4, &quoted), (None, 1));
    assert_eq!(with(8, 0, &quoted), (None, 1));
    assert_eq!(with(3, 1, &quoted[..20]), (None, 1));
    let mut other = quoted;
    other[27] ^= 1;
    assert_eq!(with(3, 1, &other), (None, 1));
}

#[test]
fn time_never_goes_backwards_within_a_connection() {
    let mut t = talk().handshake().exchange().close();
    for (n, frame) in t.frames.iter_mut().enumerate() {
        frame.at = if n % 2 == 0 { 10 * SECOND } else { n as u64 };
    }
    let (told, counts) = read(&t.file());
    assert_eq!((counts.connections, outcome(&told)), (1, Some(Outcome::Clean)));
    let of_it = told.iter().filter(|t| !matches!(t, Told::Fact(Fact::Listen(_))));
    let times = of_it.map(|t| match t {
        Told::Fact(Fact::End(e)) => e.at.0,
        Told::Fact(Fact::Sample(s)) => s.at.0,
        Told::Piece(.., at) => *at,
        _ => panic!(),
    });
    assert!(times.is_sorted());
}

#[test]
fn one_that_is_connected_to_itself_is_one_connection() {
    let mut t = talk();
    for (flags, seq, ack, data) in
        [(SYN, 0, 0, &b""[..]), (SYN | ACK, 0, 1, b""), (ACK, 1, 1, b"echo"), (FIN | ACK, 5, 5, b"")]
    {
        let bytes = v4(1, 1, 1, 0, 6, &tcp((5000, 5000), seq, ack, flags, data));
        t.frames.push(Frame { at: t.frames.len() as u64 * MS, wire: bytes.len(), bytes });
    }
    let (told, counts) = read(&t.file());
    assert_eq!((counts.connections, pieces(&told)), (1, vec![(true, 4)]));
}

#[test]
fn payload_of_syns_is_kept_within_bounds() {
    let frames: Vec<_> = (0..1000u16)
        .map(|n| {
            let bytes = v4(1, 2, n, 0, 6, &tcp((n, 80), 0, 0, SYN, &[7; 1400]));
            Frame { at: u64::from(n), wire: bytes.len(), bytes }
        })
        .collect();
    let (_, counts) = read(&classic(101, &frames));
    let kept = 1000 * 1400 - counts.early_lost;
    assert!((1 << 19..=1 << 20).contains(&kept), "{kept}");
}

#[test]
fn a_hole_that_is_filled_at_once_was_only_out_of_order() {
    for (wait, retransmits) in [(0, 0), (20 * MS, 1)] {
        // The handshake takes 40 ms.
        let mut t =
            talk().client(SYN, 0, 0, b"").wait(40 * MS).server(SYN | ACK, 0, 1, b"").client(ACK, 1, 1, b"");
        t = t.client(ACK, 1, 1, b"ping").client(ACK, 9, 1, b"ping").wait(wait).client(ACK, 5, 1, b"ping");
        let (told, _) = read(&t.client(RST, 13, 0, b"").file());
        let last = ends(&told)[2];
        assert_eq!((last.seen.bytes_sent, last.seen.retransmits), (12, retransmits));
    }
}
