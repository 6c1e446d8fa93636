//! The published vectors, real conversations (tests/captures), and what hostile peers might send.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::model::Known;
use crate::wire::Sniff;

/// RFC 9001 appendix A.2: the client's Initial, protected.
const A2_V1: &str = "\
c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9bd8bab936b47d92ec356c0bab\
7df5976d27cd449f63300099f3991c260ec4c60d17b31f8429157bb35a1282a643a8d2262cad67500cadb8e7378c8eb7539e\
c4d4905fed1bee1fc8aafba17c750e2c7ace01e6005f80fcb7df621230c83711b39343fa028cea7f7fb5ff89eac2308249a0\
2252155e2347b63d58c5457afd84d05dfffdb20392844ae812154682e9cf012f9021a6f0be17ddd0c2084dce25ff9b06cde5\
35d0f920a2db1bf362c23e596d11a4f5a6cf3948838a3aec4e15daf8500a6ef69ec4e3feb6b1d98e610ac8b7ec3faf6ad760\
b7bad1db4ba3485e8a94dc250ae3fdb41ed15fb6a8e5eba0fc3dd60bc8e30c5c4287e53805db059ae0648db2f64264ed5e39\
be2e20d82df566da8dd5998ccabdae053060ae6c7b4378e846d29f37ed7b4ea9ec5d82e7961b7f25a9323851f681d582363a\
a5f89937f5a67258bf63ad6f1a0b1d96dbd4faddfcefc5266ba6611722395c906556be52afe3f565636ad1b17d508b73d874\
3eeb524be22b3dcbc2c7468d54119c7468449a13d8e3b95811a198f3491de3e7fe942b330407abf82a4ed7c1b311663ac698\
90f4157015853d91e923037c227a33cdd5ec281ca3f79c44546b9d90ca00f064c99e3dd97911d39fe9c5d0b23a229a234cb3\
6186c4819e8b9c5927726632291d6a418211cc2962e20fe47feb3edf330f2c603a9d48c0fcb5699dbfe5896425c5bac4aee8\
2e57a85aaf4e2513e4f05796b07ba2ee47d80506f8d2c25e50fd14de71e6c418559302f939b0e1abd576f279c4b2e0feb85c\
1f28ff18f58891ffef132eef2fa09346aee33c28eb130ff28f5b766953334113211996d20011a198e3fc433f9f2541010ae1\
7c1bf202580f6047472fb36857fe843b19f5984009ddc324044e847a4f4a0ab34f719595de37252d6235365e9b84392b0610\
85349d73203a4a13e96f5432ec0fd4a1ee65accdd5e3904df54c1da510b0ff20dcc0c77fcb2c0e0eb605cb0504db87632cf3\
d8b4dae6e705769d1de354270123cb11450efc60ac47683d7b8d0f811365565fd98c4c8eb936bcab8d069fc33bd801b03ade\
a2e1fbc5aa463d08ca19896d2bf59a071b851e6c239052172f296bfb5e72404790a2181014f3b94a4e97d117b438130368cc\
39dbb2d198065ae3986547926cd2162f40a29f0c3c8745c0f50fba3852e566d44575c29d39a03f0cda721984b6f440591f35\
5e12d439ff150aab7613499dbd49adabc8676eef023b15b65bfc5ca06948109f23f350db82123535eb8a7433bdabcb909271\
a6ecbcb58b936a88cd4e8f2e6ff5800175f113253d8fa9ca8885c2f552e657dc603f252e1a8e308f76f0be79e2fb8f5d5fbb\
e2e30ecadd220723c8c0aea8078cdfcb3868263ff8f0940054da48781893a7e49ad5aff4af300cd804a6b6279ab3ff3afb64\
491c85194aab760d58a606654f9f4400e8b38591356fbf6425aca26dc85244259ff2b19c41b9f96f3ca9ec1dde434da7d2d3\
92b905ddf3d1f9af93d1af5950bd493f5aa731b4056df31bd267b6b90a079831aaf579be0a39013137aac6d404f518cfd468\
40647e78bfe706ca4cf5e9c5453e9f7cfd2b8b4c8d169a44e55c88d4a9a7f9474241e221af44860018ab0856972e194cd934";

/// RFC 9369 appendix A.2: the same in version 2.
const A2_V2: &str = "\
d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485dd04de806071bf03dceebfa162e75d6c9605\
8bdbfb127cdfcbf903388e99ad049f9a3dd4425ae4d0992cfff18ecf0fdb5a842d09747052f17ac2053d21f57c5d250f2c4f\
0e0202b70785b7946e992e58a59ac52dea6774d4f03b55545243cf1a12834e3f249a78d395e0d18f4d766004f1a2674802a7\
47eaa901c3f10cda5500cb9122faa9f1df66c392079a1b40f0de1c6054196a11cbea40afb6ef5253cd6818f6625efce3b6de\
f6ba7e4b37a40f7732e093daa7d52190935b8da58976ff3312ae50b187c1433c0f028edcc4c2838b6a9bfc226ca4b4530e7a\
4ccee1bfa2a3d396ae5a3fb512384b2fdd851f784a65e03f2c4fbe11a53c7777c023462239dd6f7521a3f6c7d5dd3ec9b3f2\
33773d4b46d23cc375eb198c63301c21801f6520bcfb7966fc49b393f0061d974a2706df8c4a9449f11d7f3d2dcbb90c6b87\
7045636e7c0c0fe4eb0f697545460c806910d2c355f1d253bc9d2452aaa549e27a1fac7cf4ed77f322e8fa894b6a83810a34\
b361901751a6f5eb65a0326e07de7c1216ccce2d0193f958bb3850a833f7ae432b65bc5a53975c155aa4bcb4f7b2c4e54df1\
6efaf6ddea94e2c50b4cd1dfe06017e0e9d02900cffe1935e0491d77ffb4fdf85290fdd893d577b1131a610ef6a5c32b2ee0\
293617a37cbb08b847741c3b8017c25ca9052ca1079d8b78aebd47876d330a30f6a8c6d61dd1ab5589329de714d19d61370f\
8149748c72f132f0fc99f34d766c6938597040d8f9e2bb522ff99c63a344d6a2ae8aa8e51b7b90a4a806105fcbca31506c44\
6151adfeceb51b91abfe43960977c87471cf9ad4074d30e10d6a7f03c63bd5d4317f68ff325ba3bd80bf4dc8b52a0ba03175\
8022eb025cdd770b44d6d6cf0670f4e990b22347a7db848265e3e5eb72dfe8299ad7481a408322cac55786e52f633b2fb6b6\
14eaed18d703dd84045a274ae8bfa73379661388d6991fe39b0d93debb41700b41f90a15c4d526250235ddcd6776fc77bc97\
e7a417ebcb31600d01e57f32162a8560cacc7e27a096d37a1a86952ec71bd89a3e9a30a2a26162984d7740f81193e8238e61\
f6b5b984d4d3dfa033c1bb7e4f0037febf406d91c0dccf32acf423cfa1e7071010d3f270121b493ce85054ef58bada423101\
38fe081adb04e2bd901f2f13458b3d6758158197107c14ebb193230cd1157380aa79cae1374a7c1e5bbcb80ee23e06ebfde2\
06bfb0fcbc0edc4ebec309661bdd908d532eb0c6adc38b7ca7331dce8dfce39ab71e7c32d318d136b6100671a1ae6a6600e3\
899f31f0eed19e3417d134b90c9058f8632c798d4490da4987307cba922d61c39805d072b589bd52fdf1e86215c2d54e6670\
e07383a27bbffb5addf47d66aa85a0c6f9f32e59d85a44dd5d3b22dc2be80919b490437ae4f36a0ae55edf1d0b5cb4e9a3ec\
abee93dfc6e38d209d0fa6536d27a5d6fbb17641cde27525d61093f1b28072d111b2b4ae5f89d5974ee12e5cf7d5da4d6a31\
123041f33e61407e76cffcdcfd7e19ba58cf4b536f4c4938ae79324dc402894b44faf8afbab35282ab659d13c93f70412e85\
cb199a37ddec600545473cfb5a05e08d0b209973b2172b4d21fb69745a262ccde96ba18b2faa745b6fe189cf772a9f84cbfc";

fn unhex(text: &str) -> Vec<u8> {
    let digits = |i: usize| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

fn capture(name: &str) -> PathBuf {
    let below = format!("tests/captures/{name}");
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|dir| dir.join(&below))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{below} is missing"))
}

/// The datagrams of the capture: (port of the server, sent by the client, payload).
fn datagrams() -> Vec<(u16, bool, Vec<u8>)> {
    let raw = std::fs::read(capture("quic-initials.pcap")).unwrap();
    let mut out = Vec::new();
    let mut at = 24;
    while at + 16 <= raw.len() {
        let len = u32::from_le_bytes(raw[at + 8..at + 12].try_into().unwrap()) as usize;
        // Behind the Ethernet header, IPv4 without options.
        let udp = &raw[at + 16 + 14 + 20..at + 16 + len];
        at += 16 + len;
        let port = |i: usize| u16::from_be_bytes([udp[i], udp[i + 1]]);
        let to_server = (4433..4440).contains(&port(2));
        out.push((
            if to_server { port(2) } else { port(0) },
            to_server,
            udp[8..usize::from(port(4))].to_vec(),
        ));
    }
    out
}

fn names(hello: &Hello) -> (&str, Vec<&str>) {
    let protocols = hello.protocols.known().unwrap();
    (hello.server_name.known().unwrap(), protocols.iter().map(|p| &**p).collect())
}

#[test]
fn the_published_packets_open() {
    for (packet, version) in [(A2_V1, V1), (A2_V2, V2)] {
        let packet = unhex(packet);
        let head = header(&packet).unwrap();
        assert_eq!((head.version, head.kind), (version, Kind::Initial));
        assert_eq!(head.destination, unhex("8394c8f03e515708"));
        assert_eq!((head.source.len(), head.payload), (0, Some(18..1200)));
        assert_eq!(sniff(&packet, 1200), Sniff::Yes);
        let mut handshake = Handshake::new();
        let told = handshake.initial(&packet).unwrap();
        assert_eq!(told.version, version);
        assert_eq!(names(&told.hello), ("example.com", vec!["alpn"]));
        assert!(handshake.over() && handshake.initial(&packet).is_none(), "told once");
    }
}

#[test]
fn what_was_altered_does_not_open() {
    let packet = unhex(A2_V1);
    for i in [0, 4, 6, 13, 17, 18, 22, 30, 600, 1199] {
        let mut altered = packet.clone();
        altered[i] ^= 1;
        let mut handshake = Handshake::new();
        assert_eq!(handshake.initial(&altered), None, "byte {i}");
        assert_eq!(handshake.so_far(), None, "byte {i}");
    }
    assert_eq!(Handshake::new().initial(&packet[..1199]), None, "not captured to its end");
}

#[test]
fn real_conversations() {
    let all = datagrams();
    for (port, version, packets, protocols) in
        [(4433, V1, 1, 2), (4434, V2, 1, 2), (4435, V1, 2, 2), (4436, V1, 2, 16)]
    {
        let mut handshake = Handshake::new();
        let mut told = Vec::new();
        let mut first = None;
        let datagrams: Vec<_> = all.iter().filter(|d| d.0 == port).collect();
        for (n, (_, client, data)) in datagrams.iter().filter(|d| d.1 || port != 4436).enumerate() {
            // A Retry is passed over: after it the client begins again.
            if port == 4435 && n == 0 {
                assert_eq!(Handshake::new().initial(data).unwrap().version, V1);
                assert!(header(&datagrams[1].2).is_some_and(|h| h.kind == Kind::Retry));
                continue;
            }
            if let Some(hello) = handshake.initial(data) {
                assert!(*client);
                first.get_or_insert(n + 1);
                told.push(hello);
            }
        }
        assert_eq!((told.len(), first), (1, Some(if port == 4435 { 3 } else { packets })), "port {port}");
        assert_eq!(told[0].version, version);
        let (name, offered) = names(&told[0].hello);
        assert_eq!((name, offered.len()), ("quic.shop.test", protocols));
        assert_eq!(offered[0], if port == 4436 { "doq" } else { "h3" });
    }
}

/// Also when the first client Initial was read with other keys before (a Retry in between).
#[test]
fn after_a_retry_the_client_begins_again() {
    let all = datagrams();
    let client: Vec<_> = all.iter().filter(|d| d.0 == 4436 && d.1).collect();
    let retried: Vec<_> = all.iter().filter(|d| d.0 == 4435 && d.1).collect();
    let mut handshake = Handshake::new();
    assert_eq!(handshake.initial(&client[0].2), None);
    let told = handshake.initial(&retried[1].2).unwrap();
    assert_eq!(names(&told.hello), ("quic.shop.test", vec!["h3", "hq-interop"]));
}

#[test]
fn a_hello_over_two_initials_in_any_order() {
    let all = datagrams();
    let client: Vec<_> = all.iter().filter(|d| d.0 == 4436 && d.1).collect();
    let mut handshake = Handshake::new();
    assert_eq!(handshake.initial(&client[0].2), None);
    // What the first one says is known before the second.
    let part = handshake.so_far().unwrap().hello;
    assert!(!part.complete);
    let whole = handshake.initial(&client[1].2).unwrap().hello;

    // The keys follow from the same destination, whichever comes first.
    let mut handshake = Handshake::new();
    assert_eq!(handshake.initial(&client[1].2), None);
    assert_eq!(handshake.so_far(), None);
    assert_eq!(handshake.initial(&client[1].2), None, "again");
    assert_eq!(handshake.initial(&client[0].2).unwrap().hello, whole);
}

#[test]
fn recognised_by_version_and_lengths() {
    for (port, client, data) in datagrams() {
        let found = sniff(&data, data.len() as u32);
        // Short headers say nothing; a server's first answer may be smaller than an Initial may be.
        let expected = if data[0] & 0x80 == 0 {
            Sniff::No
        } else if data.len() >= 1200 || header(&data).unwrap().kind != Kind::Initial {
            Sniff::Yes
        } else {
            Sniff::Maybe
        };
        assert_eq!(found, expected, "{port} {client} {}", data.len());
    }
    let packet = unhex(A2_V1);
    assert_eq!(sniff(&packet[..64], 1200), Sniff::Yes, "the beginning is enough");
    assert_eq!(sniff(&packet[..10], 1200), Sniff::Maybe);
    assert_eq!(sniff(&packet[..10], 10), Sniff::No);
    assert_eq!(sniff(&packet, 1199), Sniff::No);
    // Version negotiation, and a version of tomorrow.
    assert_eq!(sniff(b"\x80\0\0\0\0\x01a\x01b\0\0\0\x01", 13), Sniff::Maybe);
    assert_eq!(header(b"\xc0\x0a\x0a\x0a\x0a\x01a\x01b").unwrap().kind, Kind::Unknown);
    assert_eq!(version_name(0x0a0a_0a0a), "0x0a0a0a0a");
    for other in [
        b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01".as_slice(),
        b"\x80\x60\x00\x01\x00\x00\x00\xa0\x12\x34\x56\x78",
        b"\x16\xfe\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\xb0\x01",
        b"<34>1 2026-01-01T00:00:00Z host app",
    ] {
        assert_ne!(sniff(other, other.len() as u32), Sniff::Yes, "{other:02x?}");
    }
}

#[test]
fn a_hello_in_all_its_lengths() {
    // The frame of RFC 9001 A.2, without its frame header.
    let packet = unhex(A2_V1);
    let keys = crypto::Keys::client(V1, &unhex("8394c8f03e515708")).unwrap();
    let frames = keys.open(&packet, &header(&packet).unwrap()).unwrap();
    let whole = &frames[4..245];
    let mut seen = Vec::new();
    for len in 0..=whole.len() {
        let hello = hello(&whole[..len]).unwrap();
        assert_eq!(hello.complete, len == whole.len(), "{len}");
        seen.push((hello.server_name.known().is_some(), hello.protocols.known().is_some()));
    }
    seen.dedup();
    assert_eq!(seen, [(false, false), (true, false), (true, true)]);
    // Without extensions both are absent, which is not the same as not seen.
    let bare = [&[1, 0, 0, 41, 3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat();
    let hello = super::hello(&bare).unwrap();
    assert_eq!((hello.server_name, hello.protocols), (Known::Absent, Known::Absent));
    assert_eq!(super::hello(&[2, 0, 0, 0]), Err(NoHello));
    assert_eq!(super::hello(&[1, 0, 0, 2, 3, 3]), Err(NoHello));
    // Nothing in a name can reach a terminal as it is.
    let mut odd = whole.to_vec();
    let at = odd.windows(11).position(|w| w == b"example.com").unwrap();
    odd[at..at + 3].copy_from_slice(b"\x1b\\E");
    let hello = super::hello(&odd).unwrap();
    assert_eq!(&**hello.server_name.known().unwrap(), "\\027\\092emple.com");
}

#[test]
fn it_gives_up_after_32_packets() {
    let mut altered = unhex(A2_V1);
    altered[600] ^= 1;
    let mut handshake = Handshake::new();
    for _ in 0..31 {
        handshake.initial(&altered);
    }
    assert!(!handshake.over());
    handshake.initial(&altered);
    assert!(handshake.over());
    assert_eq!(handshake.initial(&unhex(A2_V1)), None);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(data in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (header(&data), sniff(&data, data.len() as u32), hello(&data));
        let _ = Handshake::new().initial(&data);
        let mut long = vec![0xc3, 0, 0, 0, 1];
        long.extend(&data);
        let _ = Handshake::new().initial(&long);
        let _ = hello(&[&[1, 0, 1, 0], &data[..]].concat());
    }

    #[test]
    fn damaged_datagrams_stay_within_bounds(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut handshake = Handshake::new();
        for (_, _, mut data) in datagrams() {
            for (index, byte) in &flips {
                let i = index.index(data.len());
                data[i] = *byte;
            }
            data.truncate(cut.index(data.len()) + 1);
            let _ = sniff(&data, 1200);
            let _ = handshake.initial(&data);
        }
    }
}
