//! The records of what is said and of turns (`bpf/said.bpf.c`, `bpf/turn.bpf.c`), read in place.

use crate::model::{BootNs, EndId, Endpoint, OwnerEvidence, ProcessKey};
use crate::track::{
    Comm, Datagram, Early, Fact, HandedAt, Observation, OwnerFact, Piece, Progress, TurnsFact,
};
use crate::wire::tls::Handed;

const TURNS: u8 = 10;
const SAID: u8 = 11;
const EARLY: u8 = 12;
const DATAGRAM: u8 = 13;
const CERT: u8 = 15;

/// `struct webb_turns` before its codes.
const TURNS_HEAD: usize = 40;
/// `struct webb_said`.
const SAID_HEAD: usize = 48;
/// `struct webb_piece`.
const PIECE: usize = 32;
/// Its member `flags`.
const PIECE_FLAGS: usize = 30;
/// `struct webb_said_at`.
const AT_HEAD: usize = 104;

const SENT: u8 = 1;
const IN_ORDER: u8 = 2;
const COUNTED: u8 = 4;

/// A record read from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

/// Gives what one record says; `None` when it breaks its own layout.
pub(super) fn parse<'a>(bytes: &'a [u8], each: &mut impl FnMut(Observation<'a>)) -> Option<()> {
    match *bytes.first()? {
        TURNS => each(Observation::Fact(turns(bytes)?)),
        SAID => said(bytes, each)?,
        CERT => each(Observation::Handed(certificate(bytes)?)),
        kind @ (EARLY | DATAGRAM) => said_at(kind, bytes, each)?,
        _ => return None,
    }
    Some(())
}

fn turns(bytes: &[u8]) -> Option<Fact> {
    let mut r = Reader(bytes.get(1..)?);
    let count = usize::from(r.u8()?);
    r.u16()?;
    let generation = r.u32()?;
    let id = EndId { generation, cookie: r.u64()?, netns_cookie: r.u64()? };
    let at = BootNs(r.u64()?);
    let from = r.u32()?;
    let mut codes = Reader(bytes.get(TURNS_HEAD..)?);
    let mut fact = TurnsFact { id, at, from, count: count.min(16) as u8, codes: [0; 16] };
    for code in fact.codes.iter_mut().take(count) {
        *code = codes.u32()?;
    }
    Some(Fact::Turns(fact))
}

fn certificate(bytes: &[u8]) -> Option<HandedAt<'_>> {
    let mut r = Reader(bytes.get(1..)?);
    let framed = r.u8()? != 0;
    let cap = usize::from(r.u16()?);
    let generation = r.u32()?;
    let id = EndId { generation, cookie: r.u64()?, netns_cookie: r.u64()? };
    let at = BootNs(r.u64()?);
    let len = r.u32()?;
    r.u32()?;
    let before = r.array()?;
    Some(HandedAt { id, at, handed: Handed { before: framed.then_some(before), len, der: r.take(cap)? } })
}

fn said<'a>(bytes: &'a [u8], each: &mut impl FnMut(Observation<'a>)) -> Option<()> {
    let mut r = Reader(bytes.get(2..)?);
    let length = usize::from(r.u16()?);
    let generation = r.u32()?;
    let id = EndId { generation, cookie: r.u64()?, netns_cookie: r.u64()? };
    let (sent_last, received_last) = (r.u64()?, r.u64()?);
    let (sent_end, received_end) = (r.u32()?, r.u32()?);
    let mut pieces = Reader(bytes.get(SAID_HEAD..)?.get(..length)?);
    while pieces.0.len() >= PIECE {
        each(Observation::Piece(piece(id, &mut pieces)?));
    }
    let end = |end, last| (last != 0).then_some((end, BootNs(last)));
    each(Observation::Progress(Progress {
        id,
        sent: end(sent_end, sent_last),
        received: end(received_end, received_last),
    }));
    Some(())
}

fn piece<'a>(id: EndId, r: &mut Reader<'a>) -> Option<Piece<'a>> {
    let (at, turned) = (BootNs(r.u64()?), r.u64()?);
    let (seq, ack, len) = (r.u32()?, r.u32()?, r.u32()?);
    let cap = usize::from(r.u16()?);
    let flags = r.u8()?;
    r.u8()?;
    let data = r.take(cap)?;
    // Filled up to a multiple of 8, but for the last one of a record made for it alone.
    let _ = r.take((8 - cap % 8) % 8);
    Some(Piece {
        id,
        at,
        sent: flags & SENT != 0,
        seq,
        ack,
        len,
        data: data.get(..data.len().min(len as usize))?,
        turned: (turned != 0).then_some(BootNs(turned)),
        in_order: flags & IN_ORDER != 0,
    })
}

fn said_at<'a>(kind: u8, bytes: &'a [u8], each: &mut impl FnMut(Observation<'a>)) -> Option<()> {
    let mut r = Reader(bytes.get(4..)?);
    let netns = r.u32()?;
    let (cookie, netns_cookie) = (r.u64()?, r.u64()?);
    let (local, peer) = (r.array::<16>()?, r.array::<16>()?);
    let (local, peer) = (Endpoint::from_bytes(local, r.u16()?), Endpoint::from_bytes(peer, r.u16()?));
    let id = EndId { netns_cookie, cookie, generation: r.u32()? };
    let (start, cgroup) = (r.u64()?, r.u64()?);
    let (pid, evidence) = (r.u32()?, r.u32()?);
    let comm = Comm(r.array()?);
    let flags = *bytes.get(AT_HEAD + PIECE_FLAGS)?;
    let piece = piece(id, &mut Reader(bytes.get(AT_HEAD..)?))?;
    if kind == EARLY {
        each(Observation::Early(Early { netns, local, peer, piece }));
        return Some(());
    }
    let owner = OwnerFact {
        process: (pid != 0).then_some((ProcessKey { pid, start_ns: start }, comm)),
        evidence: OwnerEvidence::from_number(evidence as u8),
        cgroup,
        netns,
    };
    each(Observation::Datagram(Datagram {
        id,
        at: piece.at,
        sent: piece.sent,
        local,
        peer,
        owner,
        len: piece.len,
        data: piece.data,
        counted: flags & COUNTED != 0,
    }));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn put_piece(out: &mut Vec<u8>, at: u64, flags: u8, data: &[u8]) {
        out.extend(at.to_le_bytes());
        out.extend(7u64.to_le_bytes());
        [100u32, 200, 1000].iter().for_each(|n| out.extend(n.to_le_bytes()));
        out.extend((data.len() as u16).to_le_bytes());
        out.extend([flags, 0]);
        out.extend(data);
        out.resize(out.len().next_multiple_of(8), 0);
    }

    #[test]
    fn a_batch_is_read_piece_by_piece() {
        let mut pieces = Vec::new();
        put_piece(&mut pieces, 5, SENT, b"hello");
        put_piece(&mut pieces, 6, IN_ORDER, b"12345678");
        let mut record = vec![SAID, 0];
        record.extend((pieces.len() as u16).to_le_bytes());
        record.extend(3u32.to_le_bytes());
        [1u64, 2, 9, 0].iter().for_each(|n| record.extend(n.to_le_bytes()));
        [300u32, 0].iter().for_each(|n| record.extend(n.to_le_bytes()));
        assert_eq!(record.len(), SAID_HEAD);
        record.extend(pieces);
        let mut seen = Vec::new();
        parse(&record, &mut |o| seen.push(format!("{o:?}"))).unwrap();
        assert_eq!(seen.len(), 3);
        assert!(
            seen[0].contains("sent: true") && seen[0].contains("[104, 101, 108, 108, 111]"),
            "{}",
            seen[0]
        );
        assert!(seen[1].contains("in_order: true") && seen[1].contains("BootNs(7)"), "{}", seen[1]);
        assert!(seen[2].contains("sent: Some((300, BootNs(9))), received: None"), "{}", seen[2]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(kind in 10u8..16, bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut record = vec![kind];
            record.extend(bytes);
            let _ = parse(&record, &mut |_| ());
        }
    }
}
