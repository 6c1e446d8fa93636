//! RFC 7541, appendix C, and tables that are not known from their beginning.

use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
}

type Fields = Vec<(Name, String)>;

fn block(decoder: &mut Decoder, bytes: &[u8]) -> Result<Fields, Broken> {
    let mut fields = Vec::new();
    decoder.begin();
    decoder.bytes(bytes, |n, v| fields.push((n, String::from_utf8_lossy(v).into_owned())))?;
    decoder.end()?;
    Ok(fields)
}

fn fields(list: &[(Name, &str)]) -> Fields {
    list.iter().map(|(n, v)| (*n, (*v).to_owned())).collect()
}

fn check(decoder: &mut Decoder, bytes: &str, expected: &[(Name, &str)], table: (usize, usize)) {
    assert_eq!(block(decoder, &hex(bytes)).unwrap(), fields(expected));
    assert_eq!(decoder.table(), table);
}

use Name::{ContentType, GrpcStatus, Method, Other, Path, Scheme, Status, Unknown};

#[test]
fn integers_of_c_1() {
    assert_eq!(integer(&hex("0a"), 5), Ok(Some((10, 1))));
    assert_eq!(integer(&hex("1f9a0a"), 5), Ok(Some((1337, 3))));
    assert_eq!(integer(&hex("2a"), 8), Ok(Some((42, 1))));
    assert_eq!(integer(&hex("1f9a"), 5), Ok(None));
    assert_eq!(integer(&hex("1fffffffffff01"), 5), Err(Broken));
}

#[test]
fn representations_of_c_2() {
    let one = |bytes: &str| {
        let mut d = Decoder::new("");
        (block(&mut d, &hex(bytes)).unwrap(), d.table())
    };
    let custom = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
    assert_eq!(one(custom), (fields(&[(Other, "")]), (1, 55)));
    assert_eq!(one("040c 2f73 616d 706c 652f 7061 7468"), (fields(&[(Path, "/sample/path")]), (0, 0)));
    assert_eq!(one("1008 7061 7373 776f 7264 0673 6563 7265 74"), (fields(&[(Other, "")]), (0, 0)));
    assert_eq!(one("82"), (fields(&[(Method, "GET")]), (0, 0)));
}

#[test]
fn requests_of_c_3_and_c_4() {
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let huffman = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    for [first, second, third] in [plain, huffman] {
        let mut d = Decoder::new("");
        let get = (Method, "GET");
        check(&mut d, first, &[get, (Scheme, "http"), (Path, "/"), (Other, "")], (1, 57));
        check(&mut d, second, &[get, (Scheme, "http"), (Path, "/"), (Other, ""), (Other, "")], (2, 110));
        let last = [get, (Scheme, "https"), (Path, "/index.html"), (Other, ""), (Other, "")];
        check(&mut d, third, &last, (3, 164));
    }
}

#[test]
fn responses_of_c_5_and_c_6_with_eviction() {
    let plain = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 \
         3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 \
         7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 \
         6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
    ];
    let huffman = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad \
         1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 \
         e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    let other = (Other, "");
    for [first, second, third] in [plain, huffman] {
        let mut d = Decoder::new("");
        d.max = 256;
        check(&mut d, first, &[(Status, "302"), other, other, other], (4, 222));
        check(&mut d, second, &[(Status, "307"), other, other, other], (4, 222));
        check(&mut d, third, &[(Status, "200"), other, other, other, other, other], (3, 215));
    }
}

#[test]
fn huffman_strings_of_appendix_c() {
    let decode = |coded: &str, keep| {
        let mut out = Vec::new();
        huffman::decode(&hex(coded), keep, &mut out).map(|n| (n, String::from_utf8(out).unwrap()))
    };
    assert_eq!(decode("f1e3 c2e5 f23a 6ba0 ab90 f4ff", 99), Ok((15, "www.example.com".into())));
    assert_eq!(
        decode(
            "94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed \
             4ee5 b106 3d50 07",
            99
        ),
        Ok((56, "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1".into()))
    );
    assert_eq!(decode("f1e3 c2e5 f23a 6ba0 ab90 f4ff", 3), Ok((15, "www".into())), "cut, but consumed");
    assert_eq!(decode("", 9), Ok((0, String::new())));
    assert_eq!(decode("ff", 9), Err(Broken), "eight bits of padding");
    assert_eq!(decode("ffff ffff", 9), Err(Broken), "EOS");
    assert_eq!(decode("18", 9), Err(Broken), "padding of zeros");
}

#[test]
fn every_symbol_of_the_huffman_code() {
    // Long codes: \ is 19 bits, 0x01 is 23, 0xff is 26, LF is 30.
    let cases = [("fffe 1f", b'\\', 19), ("ffff b1", 1, 23), ("ffff fbbf", 255, 26), ("ffff fff3", 10, 30)];
    for (coded, symbol, bits) in cases {
        let mut out = Vec::new();
        assert_eq!(huffman::decode(&hex(coded), 9, &mut out), Ok(1), "{bits} bits");
        assert_eq!(out, [symbol]);
    }
}

#[test]
fn what_was_not_seen_is_unknown_and_what_came_since_is_right() {
    let mut d = Decoder::new("");
    // 62 and 63 are older. Then grpc-status: 5 is inserted with its name spelled.
    let insert = "be bf 40 0b 67 72 70 63 2d 73 74 61 74 75 73 01 35 be bf";
    check(
        &mut d,
        insert,
        &[(Unknown, ""), (Unknown, ""), (GrpcStatus, "5"), (GrpcStatus, "5"), (Unknown, "")],
        (1, 44),
    );
    // A literal whose name is an unknown entry: unknown, but it has its place.
    check(&mut d, "7f 00 01 31", &[(Unknown, "")], (2, 77));
    check(&mut d, "be bf", &[(Unknown, ""), (GrpcStatus, "5")], (2, 77));
    d.forget("missed");
    check(&mut d, "be bf 88", &[(Unknown, ""), (Unknown, ""), (Status, "200")], (0, 0));
    assert_eq!(d.why(), "missed");
}

#[test]
fn sizes_change_only_where_a_block_begins() {
    let mut d = Decoder::new("");
    check(&mut d, "5f 04 67 72 70 63", &[(ContentType, "grpc")], (1, 48));
    check(&mut d, "20 be", &[(Unknown, "")], (0, 0));
    check(&mut d, "5f 04 67 72 70 63", &[(ContentType, "grpc")], (0, 0));
    check(&mut d, "3f e1 1f 5f 04 67 72 70 63 be", &[(ContentType, "grpc"), (ContentType, "grpc")], (1, 48));
    assert_eq!(block(&mut d, &hex("be 20")), Err(Broken));
    assert_eq!(block(&mut d, &hex("80")), Err(Broken), "index 0");
    assert_eq!(block(&mut d, &hex("04 0c 2f")), Err(Broken), "cut");
}

#[test]
fn values_are_cut_and_fields_are_bounded() {
    let mut d = Decoder::new("");
    let mut long = hex("44 7f d1 02"); // :path, 464 bytes
    long.extend_from_slice(&[b'a'; 464]);
    assert_eq!(block(&mut d, &long).unwrap(), fields(&[(Path, &"a".repeat(MAX_VALUE))]));
    assert_eq!(d.table(), (1, 5 + 464 + 32));
    d.begin();
    let mut result = d.bytes(&hex("44 7f 81 ff 7f"), |_, _| ());
    for _ in 0..=MAX_FIELD / 64 {
        result = result.and_then(|()| d.bytes(&[0; 64], |_, _| ()));
    }
    assert_eq!(result, Err(Broken));
}

proptest! {
    #[test]
    fn any_split_gives_the_same_fields(
        blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 1..6),
        cut in 1usize..9,
    ) {
        let (mut whole, mut cuts) = (Decoder::new(""), Decoder::new(""));
        for bytes in blocks {
            let expected = block(&mut whole, &bytes);
            let mut got = Vec::new();
            cuts.begin();
            let mut result = Ok(());
            for piece in bytes.chunks(cut) {
                result = result.and_then(|()| {
                    cuts.bytes(piece, |n, v| got.push((n, String::from_utf8_lossy(v).into_owned())))
                });
            }
            result = result.and_then(|()| cuts.end());
            prop_assert_eq!(expected, result.map(|()| got));
            prop_assert_eq!(whole.table(), cuts.table());
            prop_assert!(whole.size <= MAX_TABLE);
        }
    }
}
