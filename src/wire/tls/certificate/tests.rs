//! Certificates that OpenSSL made (`tests/tls/certificates`), damaged ones, and noise.

use proptest::prelude::*;

use super::*;

macro_rules! der {
    ($name:literal) => {
        include_bytes!(concat!("../../../../tests/tls/certificates/", $name, ".der")).as_slice()
    };
}

const ALL: [&[u8]; 11] = [
    der!("rsa2048"),
    der!("rsa1024"),
    der!("rsa-pss"),
    der!("p256-spiffe"),
    der!("p521-two-spiffe"),
    der!("p224"),
    der!("secp256k1-explicit"),
    der!("ed25519-many"),
    der!("ed448"),
    der!("odd-subject"),
    der!("bmp"),
];

fn read(der: &[u8]) -> Certificate {
    parse(der).expect("a certificate of OpenSSL")
}

#[test]
fn says_what_openssl_says() {
    let all = [
        (
            r#"CN=rsa.example.com,OU=Ops\, Night,O=Example GmbH,C=DE"#,
            1795390003,
            1866670003,
            "RSA",
            2048,
            0x8561_50aa_3eae_f055_u64,
        ),
        ("CN=small", 1795390003, 1795476403, "RSA", 1024, 0xf2cb_d384_4746_c960_u64),
        ("CN=pss", 1795390003, 1803166003, "RSA-PSS", 2048, 0x18c3_17fb_a944_1409_u64),
        ("", 1795390003, 1795476403, "P-256", 256, 0xb50a_b5d2_e1ac_fe60_u64),
        ("CN=two", 1795390003, 3523390003, "P-521", 521, 0x4e08_3320_eda9_2b2f_u64),
        ("CN=p224,UID=u1,DC=example,DC=org", 1795390003, 1803166003, "P-224", 224, 0x46a3_494f_6914_b65a_u64),
        ("CN=explicit", 1795390003, 1803166003, "EC", 256, 0xfb1c_3380_394d_112e_u64),
        ("CN=many", 1795390004, 1803166004, "Ed25519", 256, 0x00a7_b275_a11a_3da2_u64),
        ("CN=ed448", 1795390004, 1803166004, "Ed448", 456, 0x5e0d_106a_752e_e1ad_u64),
        (
            r#"CN=multi+serialNumber=7,1.2.3.4=#0C06736563726574,ST=\E2\80\AEevil,L=\ x\1B[2J\07,OU=\#a\+b\,\"c\"\;\<d\>\\\ ,O=Zoë 日本"#,
            1795390256,
            1803166256,
            "P-384",
            384,
            0x3462_f959_079c_ad76_u64,
        ),
        ("CN=bmp,O=Пример", 1795390004, 1803166004, "Ed25519", 256, 0x74c3_0c3d_4ff7_55fa_u64),
    ];
    for (der, (subject, not_before, not_after, key, bits, fingerprint)) in ALL.into_iter().zip(all) {
        let read = read(der);
        assert_eq!(&*read.subject, subject);
        assert_eq!(read.issuer, read.subject, "signed by itself");
        assert_eq!((read.not_before, read.not_after), (not_before, not_after), "{subject}");
        assert_eq!((&*read.key, read.key_bits), (key, bits), "{subject}");
        assert_eq!(read.fingerprint, fingerprint, "{subject}");
        assert_eq!(read.chain, 0);
    }
}

#[test]
fn alternative_names_have_their_kind() {
    let sans = read(der!("rsa2048")).sans;
    let expected = [
        "DNS:rsa.example.com",
        "DNS:*.example.com",
        "IP:192.0.2.7",
        "IP:2001:db8::7",
        "email:ops@example.com",
        "URI:https://example.com/a",
    ];
    assert_eq!(sans.iter().map(|san| &**san).collect::<Vec<_>>(), expected);
    assert!(read(der!("rsa1024")).sans.is_empty());
}

#[test]
fn alternative_names_are_bounded() {
    let sans = read(der!("ed25519-many")).sans;
    assert_eq!(sans.len(), MAX_SANS);
    assert_eq!(sans.last().map(|san| &**san), Some("DNS:n63.example.com"));
}

#[test]
fn a_spiffe_id_is_the_only_one_or_none() {
    assert_eq!(read(der!("p256-spiffe")).spiffe.as_deref(), Some("spiffe://cluster.local/ns/shop/sa/cart"));
    let two = read(der!("p521-two-spiffe"));
    assert_eq!(two.spiffe, None);
    assert_eq!(two.sans.len(), 2);
    assert_eq!(read(der!("rsa2048")).spiffe, None);
}

#[test]
fn bytes_behind_are_ignored_and_missing_ones_are_not() {
    for der in ALL {
        let mut longer = der.to_vec();
        longer.extend([0x17; 40]);
        assert_eq!(parse(&longer), parse(der));
        for end in 0..der.len() {
            assert_eq!(parse(&der[..end]), None);
        }
    }
    let mut huge = der!("rsa2048").to_vec();
    huge.resize(MAX_DER + 1, 0);
    assert_eq!(parse(&huge), None);
}

#[test]
fn a_long_name_is_cut_between_characters() {
    let mut out = Bounded::new(12);
    out.push("URI:");
    out.push_shown("é\x1bé\u{202e}");
    // 4 + 2 bytes, then an escape of 4 that would leave no room for the mark.
    assert_eq!(&*out.finish(), "URI:é…");
    let mut out = Bounded::new(8);
    out.push_shown("12345");
    assert_eq!(&*out.finish(), "12345");
}

#[test]
fn a_spiffe_id_is_never_cut() {
    // The same certificate with a longer path: every length on the way to it is patched.
    for length in [300usize, 3000] {
        let der = with_uri(&format!("spiffe://cluster.local/{}", "x".repeat(length)));
        let read = read(&der);
        let san = read.sans.first().expect("one");
        assert!(san.ends_with('…') && san.len() <= MAX_SAN, "{san}");
        assert_eq!(read.spiffe.map(|id| id.len()), (length == 300).then_some(23 + length));
    }
}

#[test]
fn control_characters_of_alternative_names_are_escaped() {
    let read = read(&with_uri("spiffe://a/\x1b[2J\u{202e}\0"));
    assert_eq!(&*read.sans[0], "URI:spiffe://a/\\x1b[2J\\u{202e}\\x00");
    assert_eq!(read.spiffe.as_deref(), Some("spiffe://a/\\x1b[2J\\u{202e}\\x00"));
}

/// As long as a certificate may be, and full of what takes work: it stays a matter of milliseconds.
#[test]
fn the_longest_certificate_is_read_in_bounded_time() {
    // One identifier of 60 kB as the type of an attribute, and as many attributes as fit.
    let der = der!("rsa-pss");
    let at = der.windows(3).rposition(|w| w == b"\x55\x04\x03").expect("its subject");
    let mut oid = vec![0xff; 60_000];
    oid.push(0x7f);
    let one = rebuilt(der, at, &oid);
    let attribute = b"\x31\x08\x30\x06\x06\x01\x00\x0c\x01x".repeat(6_000);
    let set = der.windows(3).rposition(|w| w == b"pss").expect("its subject") - 11;
    let many = rebuilt(der, set, &attribute);
    for der in [one, many] {
        assert!(der.len() > 50_000 && der.len() <= MAX_DER);
        let begun = std::time::Instant::now();
        is_fit_to_show(&read(&der));
        assert!(begun.elapsed().as_millis() < 500, "{:?}", begun.elapsed());
    }
}

/// The certificate `p256-spiffe` with another URI; its signature does not fit any more.
fn with_uri(uri: &str) -> Vec<u8> {
    let der = der!("p256-spiffe");
    let old = b"spiffe://cluster.local/ns/shop/sa/cart";
    let at = der.windows(old.len()).position(|w| w == old).expect("its URI");
    rebuilt(der, at, uri.as_bytes())
}

/// `der` with the primitive value at offset `at` replaced.
fn rebuilt(der: &[u8], at: usize, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = der;
    let mut offset = 0;
    while let Some((tag, after)) = rest.split_first() {
        let (head, len) = match after[0] {
            n @ 0..=0x7f => (2, usize::from(n)),
            0x81 => (3, usize::from(after[1])),
            _ => (4, usize::from(after[1]) << 8 | usize::from(after[2])),
        };
        let (start, end) = (offset + head, offset + head + len);
        let content = &rest[head..head + len];
        let content = if start == at {
            value.to_vec()
        } else if (start..end).contains(&at) {
            rebuilt(content, at - start, value)
        } else {
            content.to_vec()
        };
        out.push(*tag);
        match content.len() {
            n @ 0..=0x7f => out.push(n as u8),
            n => out.extend([0x82, (n >> 8) as u8, n as u8]),
        }
        out.extend(content);
        rest = &rest[head + len..];
        offset = end;
    }
    out
}

/// Nothing in it moves the cursor, and nothing is longer than documented.
fn is_fit_to_show(read: &Certificate) {
    let texts = [&read.subject, &read.issuer, &read.key];
    for text in texts.into_iter().chain(&read.sans).chain(&read.spiffe) {
        assert_eq!(crate::model::escape(text), **text);
    }
    assert!(read.subject.len() <= MAX_NAME && read.issuer.len() <= MAX_NAME);
    assert!(read.sans.len() <= MAX_SANS && read.sans.iter().all(|san| san.len() <= MAX_SAN));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn noise_is_no_certificate(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert_eq!(parse(&bytes), None);
    }

    #[test]
    fn damage_is_harmless(
        which in 0..ALL.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut der = ALL[which].to_vec();
        for (at, byte) in changes {
            let at = at.index(der.len());
            der[at] = byte;
        }
        if let Some(cut) = cut {
            der.remove(cut.index(der.len()));
        }
        if let Some(read) = parse(&der) {
            is_fit_to_show(&read);
        }
    }

    /// Damage that keeps the shape: any bytes as the URI.
    #[test]
    fn any_uri_is_fit_to_show(uri in prop::collection::vec(any::<u8>(), 0..700)) {
        let der = der!("p256-spiffe");
        let at = der.windows(9).position(|w| w == b"spiffe://").expect("its URI");
        is_fit_to_show(&read(&rebuilt(der, at, &uri)));
    }

    /// The same for an attribute of the subject.
    #[test]
    fn any_subject_is_fit_to_show(value in prop::collection::vec(any::<u8>(), 0..700), tag in 0u8..31) {
        let der = der!("rsa-pss");
        let at = der.windows(3).rposition(|w| w == b"pss").expect("its subject");
        let mut der = rebuilt(der, at, &value);
        let text = der.windows(3).rposition(|w| w == b"\x55\x04\x03").expect("CN") + 3;
        der[text] = tag;
        if let Some(read) = parse(&der) {
            is_fit_to_show(&read);
        }
    }
}
