//! Histograms on the wire: HdrHistogram's V2 encoding, not compressed.
//!
//! Written and read straight from the sparse form. The layout is that of HdrHistogram's
//! `V2CompressedHistogram` payload before compression: a header of 40 bytes (big-endian), then for
//! each bucket up to the last one that is used a zig-zag LEB128-64b9B number: a count, or minus the
//! length of a run of empty buckets.

use super::invalid::{InvalidMessage, invalid};
use super::pb;
use crate::model::{Hist, MAX_US, bucket_index};

const COOKIE: u32 = 0x1c84_9313;
const HEADER: usize = 40;
const DIGITS: u32 = 2;
const BUCKETS: usize = 2560;
/// Every bucket with the longest number.
const LONGEST: usize = HEADER + BUCKETS * 9;

/// `None` for an empty histogram.
pub(super) fn to_pb(hist: &Hist) -> Option<Box<pb::Histogram>> {
    (!hist.is_empty())
        .then(|| Box::new(pb::Histogram { hdr_v2: encode(hist.buckets()), sum: hist.sum(), max: hist.max() }))
}

fn encode(buckets: &[(u16, u32)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + buckets.len() * 4);
    out.extend_from_slice(&COOKIE.to_be_bytes());
    out.extend_from_slice(&[0; 8]); // payload length, set below; normalising offset
    out.extend_from_slice(&DIGITS.to_be_bytes());
    out.extend_from_slice(&1u64.to_be_bytes());
    out.extend_from_slice(&MAX_US.to_be_bytes());
    out.extend_from_slice(&1f64.to_be_bytes());
    let mut next = 0;
    for &(index, count) in buckets {
        match i64::from(index) - next {
            0 => {}
            1 => put(&mut out, 0),
            empty => put(&mut out, -empty),
        }
        put(&mut out, i64::from(count));
        next = i64::from(index) + 1;
    }
    let payload = (out.len() - HEADER) as u32; // at most LONGEST
    out[4..8].copy_from_slice(&payload.to_be_bytes());
    out
}

/// Zig-zag, then 7 bits a byte. Counts have 32 bits, so the ninth-byte rule never applies here.
fn put(out: &mut Vec<u8>, n: i64) {
    let mut z = ((n << 1) ^ (n >> 63)) as u64;
    while z >= 0x80 {
        out.push(z as u8 | 0x80);
        z >>= 7;
    }
    out.push(z as u8);
}

pub(super) fn from_pb(h: Option<Box<pb::Histogram>>, name: &str) -> Result<Hist, InvalidMessage> {
    let Some(h) = h else { return Ok(Hist::default()) };
    let buckets = match decode(&h.hdr_v2) {
        Ok(buckets) => buckets,
        Err(what) => return invalid(format!("{name}: {what}")),
    };
    match buckets.last() {
        None if h.sum == 0 && h.max == 0 => {}
        Some(&(last, _)) if bucket_index(h.max) == last => {}
        _ => return invalid(format!("{name}: its maximum is not in its last bucket")),
    }
    Ok(Hist::from_parts(buckets, h.sum, h.max))
}

fn decode(bytes: &[u8]) -> Result<Vec<(u16, u32)>, &'static str> {
    if bytes.len() > LONGEST {
        return Err("longer than its buckets can be");
    }
    let (Some(header), Some(payload)) = (bytes.get(..HEADER), bytes.get(HEADER..)) else {
        return Err("shorter than its header");
    };
    let mut expected = encode(&[]);
    expected[4..8].copy_from_slice(&(payload.len() as u32).to_be_bytes());
    if header != expected {
        return Err("not HdrHistogram V2 with 2 digits from 1 to 67108863, or cut short");
    }
    let mut buckets = Vec::new();
    let (mut at, mut index) = (0, 0usize);
    while at < payload.len() {
        let n = take(payload, &mut at).ok_or("cut short")?;
        if n < 0 {
            index = index.saturating_add(usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX));
        } else {
            let count = u32::try_from(n).map_err(|_| "a count needs more than 32 bits")?;
            if index >= BUCKETS {
                return Err("more buckets than it can have");
            }
            if count > 0 {
                buckets.push((index as u16, count));
            }
            index += 1;
        }
    }
    Ok(buckets)
}

fn take(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let mut z = 0u64;
    for i in 0..9 {
        let b = *bytes.get(*at)?;
        *at += 1;
        if i == 8 {
            z |= u64::from(b) << 56; // the ninth byte is whole
            break;
        }
        z |= u64::from(b & 0x7f) << (7 * i);
        if b & 0x80 == 0 {
            break;
        }
    }
    Some((z >> 1) as i64 ^ -((z & 1) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_what_hdr_histogram_writes_and_reads(vs in proptest::collection::vec(1u64..=MAX_US, 1..200)) {
            let mut reference = hdrhistogram::Histogram::<u64>::new_with_bounds(1, MAX_US, 2).unwrap();
            let mut ours = Hist::default();
            for &v in &vs {
                reference.record(v).unwrap();
                ours.record(v);
            }
            let mut theirs = Vec::new();
            V2Serializer::new().serialize(&reference, &mut theirs).unwrap();
            let bytes = encode(ours.buckets());
            prop_assert_eq!(&bytes, &theirs);
            let back: hdrhistogram::Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
            prop_assert_eq!(back, reference);
            let decoded = decode(&bytes).unwrap();
            prop_assert_eq!(&decoded[..], ours.buckets());
        }

        #[test]
        fn no_bytes_panic(payload in proptest::collection::vec(any::<u8>(), 0..300), raw: bool) {
            let mut bytes = if raw { Vec::new() } else { encode(&[]) };
            bytes.extend_from_slice(&payload);
            if !raw {
                bytes[4..8].copy_from_slice(&(payload.len() as u32).to_be_bytes());
            }
            if let Ok(buckets) = decode(&bytes) {
                prop_assert!(buckets.len() <= BUCKETS);
                prop_assert!(buckets.windows(2).all(|w| w[0].0 < w[1].0));
            }
        }
    }

    fn with_payload(numbers: &[i64]) -> Vec<u8> {
        let mut bytes = encode(&[]);
        for &n in numbers {
            put(&mut bytes, n);
        }
        let len = (bytes.len() - HEADER) as u32;
        bytes[4..8].copy_from_slice(&len.to_be_bytes());
        bytes
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(decode(&with_payload(&[-2559, 7])), Ok(vec![(2559, 7)]));
        assert_eq!(decode(&with_payload(&[-2560, 7])), Err("more buckets than it can have"));
        assert_eq!(decode(&with_payload(&[i64::MIN, i64::MIN, 7])), Err("more buckets than it can have"));
        assert_eq!(decode(&with_payload(&[1 << 32])), Err("a count needs more than 32 bits"));
        assert_eq!(decode(&[0; 39]), Err("shorter than its header"));
        assert_eq!(decode(&vec![0; LONGEST + 1]), Err("longer than its buckets can be"));
        let mut other_scheme = with_payload(&[1]);
        other_scheme[15] = 3;
        assert!(decode(&other_scheme).is_err());
        let mut claims_more = with_payload(&[1]);
        claims_more[4] = 0xff;
        assert!(decode(&claims_more).is_err());
    }

    #[test]
    fn the_maximum_belongs_to_the_last_bucket() {
        let mut h = Hist::default();
        h.record(5);
        h.record(70_000_000);
        let good = to_pb(&h);
        assert_eq!(from_pb(good.clone(), "x"), Ok(h));
        let mut bad = good.unwrap();
        bad.max = 4;
        assert!(from_pb(Some(bad), "x").is_err());
        assert_eq!(to_pb(&Hist::default()), None);
    }
}
