//! Certificates that a process had from its peer, beside the same handshakes.

use proptest::prelude::*;

use super::corpus::watch;
use super::pcap::read;
use super::truth::rows;
use crate::model::{ClientCert, Confidence, Security, Tls};
use crate::wire::Speaker;
use crate::wire::tls::handed::Leaves;
use crate::wire::tls::modern::Modern;
use crate::wire::tls::record::Head;
use crate::wire::tls::{Handed, Stage, Watch};

const DER: &[u8] = include_bytes!("../../../../tests/tls/certificates/ed448.der");

fn hand(watch: &mut Watch, from: Speaker, list: u16) -> Tls {
    let ([a, b], [d, e]) = (list.to_be_bytes(), (DER.len() as u16).to_be_bytes());
    let before = [0x33, 0, 0, a, b, 0, d, e];
    watch.handed(from, &Handed { before: Some(before), len: DER.len() as u32, der: DER });
    watch.verdict()
}

/// What a library had copied counts only where it is all of the list.
#[test]
fn without_its_message_a_certificate_fits_exactly_or_not() {
    let proof = |before, record: u16| {
        let mut leaves = Leaves::default();
        leaves.take(Speaker::Client, &Handed { before, len: DER.len() as u32, der: DER });
        let mut modern = Modern::new(0x1301, false, None, false);
        let head = |len| Head { kind: 23, len, offset: 0, acked: 0 };
        [record, 8 + 71 + 17, 53].into_iter().for_each(|len| modern.client(&head(len)));
        leaves.proved(Speaker::Client, &modern).is_some()
    };
    let entry = DER.len() as u16 + 5;
    let ([a, b], [d, e]) = (entry.to_be_bytes(), (DER.len() as u16).to_be_bytes());
    let framed = Some([0x33, 0, 0, a, b, 0, d, e]);
    let (alone, together) = (entry + 8 + 17, entry + 8 + (8 + 71) + (4 + 32) + 17);
    assert!(proof(None, alone) && proof(framed, alone));
    assert!(proof(None, together) && proof(framed, together));
    assert!(!proof(None, alone + 400) && !proof(framed, alone + 400));
}

/// Lengths of the client's first encrypted record and of the server's first ones, without what encryption
/// adds and without the head of the message.
fn lists(watch: &Watch) -> Option<(u16, Vec<u16>)> {
    let Stage::Tls { walk, .. } = &watch.stage else { return None };
    let modern = walk.modern.as_ref()?;
    let list = |len: u16| len.saturating_sub(8 + 17);
    Some((list(modern.client[0]), modern.server.iter().map(|len| list(*len)).collect()))
}

#[test]
fn a_certificate_that_fits_its_record_is_the_clients() {
    let mut raised = 0;
    for row in rows().iter().filter(|r| r.get("tls_version").text() == Some("1.3")) {
        let connection = read(&row.path(), row.port());
        let mut watch = watch(&connection);
        let before = watch.verdict();
        let Some((list, _)) = lists(&watch).filter(|(list, _)| usize::from(*list) > DER.len() + 5) else {
            continue;
        };
        // Of another handshake: its list is shorter or longer by a byte.
        for other in [list - 1, list + 1] {
            let tls = hand(&mut watch, Speaker::Client, other);
            if before.unknown.is_none() {
                assert_eq!(tls.confidence, before.confidence, "{}", row.file());
                assert_eq!(tls.client, None, "{}", row.file());
            }
        }
        let tls = hand(&mut watch, Speaker::Client, list);
        let presented = row.get("client_cert_presented").bool() == Some(true);
        if before.status == Security::Mtls {
            raised += usize::from(tls.confidence == Some(Confidence::IdentityRead));
        }
        if tls.confidence == Some(Confidence::IdentityRead) {
            assert_eq!((tls.status, tls.client_cert), (Security::Mtls, ClientCert::Presented));
            assert!(tls.client.is_some() && tls.evidence.last().unwrap().contains("process had it"));
            // Only where a certificate may have been there; padding hides whether it was.
            assert!(presented || before.unknown.is_some_and(|why| why.contains("padded")), "{}", row.file());
        }
    }
    // Those whose client says all in one record need the length of the signature to fit, too.
    assert!(raised > 20, "{raised}");
}

#[test]
fn a_certificate_that_fits_is_the_servers_and_says_nothing_of_the_client() {
    let mut read_of = 0;
    for row in rows().iter().filter(|r| r.get("tls_version").text() == Some("1.3")) {
        let mut watch = watch(&read(&row.path(), row.port()));
        let before = watch.verdict();
        let Some((_, lists)) = lists(&watch) else { continue };
        for list in lists.into_iter().filter(|list| usize::from(*list) > DER.len() + 5) {
            let tls = hand(&mut watch, Speaker::Server, list);
            assert_eq!(
                (tls.status, tls.confidence, tls.client_cert),
                (before.status, before.confidence, before.client_cert)
            );
            read_of += usize::from(tls.server.is_some());
        }
    }
    assert!(read_of > 50, "{read_of}");
}

/// A session that is resumed, and TLS 1.2, show no certificate of their own that way.
#[test]
fn where_no_certificate_is_encrypted_none_is_believed() {
    for row in rows() {
        let mut watch = watch(&read(&row.path(), row.port()));
        let before = watch.verdict();
        if before.version == Some(0x0304) && before.resumed.is_none() {
            continue;
        }
        for list in [600, 1000, 1500] {
            assert_eq!(hand(&mut watch, Speaker::Client, list), before, "{}", row.file());
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_may_be_handed_over(before: Option<[u8; 8]>, len: u32, der in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut watch = Watch::new(false);
        watch.handed(Speaker::Client, &Handed { before, len, der: &der });
        prop_assert_eq!(watch.verdict(), Watch::new(false).verdict());
    }
}
