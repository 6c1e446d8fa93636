//! The Huffman code of RFC 7541, appendix B. It is canonical: codes follow from their lengths alone.

use super::Broken;

/// Length in bits of the code of each symbol; the last is EOS.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, //
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, //
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, //
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, //
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, //
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, //
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, //
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, //
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, //
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, //
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, //
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, //
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, //
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, //
    30,
];
const EOS: u16 = 256;
const LONGEST: usize = 30;
/// Codes of up to this many bits are found with one look: all that are common in header fields.
const FAST_BITS: u32 = 10;

struct Codes {
    /// By the next `FAST_BITS` bits: symbol and length of its code, 0 where it is longer.
    fast: [(u8, u8); 1 << FAST_BITS],
    /// Per length: the first value of the next `LONGEST` bits that is no code of this length or less.
    limit: [u32; LONGEST + 1],
    /// Per length: what to take from code to get its place in `sorted`.
    base: [i64; LONGEST + 1],
    /// The symbols in the order of their codes.
    sorted: [u16; 257],
}

static CODES: Codes = codes();

const fn codes() -> Codes {
    let mut c = Codes {
        fast: [(0, 0); 1 << FAST_BITS],
        limit: [0; LONGEST + 1],
        base: [0; LONGEST + 1],
        sorted: [0; 257],
    };
    let (mut code, mut place, mut length) = (0u32, 0usize, 1usize);
    while length <= LONGEST {
        code <<= 1;
        c.base[length] = code as i64 - place as i64;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == length {
                c.sorted[place] = symbol as u16;
                if length as u32 <= FAST_BITS {
                    let shift = FAST_BITS - length as u32;
                    let mut i = 0;
                    while i < 1 << shift {
                        c.fast[((code << shift) + i) as usize] = (symbol as u8, length as u8);
                        i += 1;
                    }
                }
                place += 1;
                code += 1;
            }
            symbol += 1;
        }
        c.limit[length] = code << (LONGEST - length);
        length += 1;
    }
    c
}

/// Decodes a string and appends at most `keep` bytes of it to `out`. Returns its full length.
///
/// Source: RFC 7541 section 5.2: the padding is less than 8 bits, all set; EOS is an error.
pub(super) fn decode(coded: &[u8], keep: usize, out: &mut Vec<u8>) -> Result<usize, Broken> {
    let mut coming = coded.iter();
    let (mut window, mut bits) = (0u64, 0u32);
    let mut length = 0;
    loop {
        while bits <= 56 {
            let Some(byte) = coming.next() else { break };
            window |= u64::from(*byte) << (56 - bits);
            bits += 8;
        }
        let (mut symbol, mut taken) = {
            let (symbol, taken) = CODES.fast[(window >> (64 - FAST_BITS)) as usize];
            (u16::from(symbol), u32::from(taken))
        };
        if taken == 0 {
            (symbol, taken) = long(window)?;
        }
        if taken > bits {
            let padded = bits < 8 && (bits == 0 || window >> (64 - bits) == (1 << bits) - 1);
            return if padded { Ok(length) } else { Err(Broken) };
        }
        if symbol == EOS {
            return Err(Broken);
        }
        if length < keep {
            out.push(symbol as u8);
        }
        length += 1;
        window <<= taken;
        bits -= taken;
    }
}

/// The symbol whose code of more than `FAST_BITS` bits begins the window, and its length.
fn long(window: u64) -> Result<(u16, u32), Broken> {
    let next = (window >> (64 - LONGEST)) as u32;
    for length in FAST_BITS as usize + 1..=LONGEST {
        if next < CODES.limit[length] {
            let place = i64::from(next >> (LONGEST - length)) - CODES.base[length];
            let symbol = usize::try_from(place).ok().and_then(|p| CODES.sorted.get(p)).ok_or(Broken)?;
            return Ok((*symbol, length as u32));
        }
    }
    // All ones: EOS, or padding that is too short for it.
    Ok((EOS, LONGEST as u32))
}
