//! TLS 1.3 (RFC 8446): behind ServerHello only the lengths of records can be seen. What the client
//! says first can only be a Certificate, a Finished or an alert, and two of them have lengths that are
//! known to the byte.

use super::record::Head;
use crate::wire::Speaker;

/// Lengths of records of what the client may say, in a cipher suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// What encryption adds: the tag of the cipher, and the byte that says what it is.
    over: u16,
    /// Length of a hash.
    hash: u16,
}

impl Sizes {
    /// Of a suite (RFC 8446 section B.4).
    pub fn of(suite: u16) -> Self {
        Sizes {
            over: 1 + if suite == 0x1305 { 8 } else { 16 },
            // AES-256-GCM; SM4 and the other suites have 32.
            hash: if suite == 0x1302 { 48 } else { 32 },
        }
    }

    pub fn finished(self) -> u16 {
        4 + self.hash + self.over
    }

    /// A Certificate with nothing in it.
    pub fn empty(self) -> u16 {
        8 + self.over
    }

    /// The same with the Finished in one record.
    pub fn empty_finished(self) -> u16 {
        12 + self.hash + self.over
    }

    pub fn alert(self) -> u16 {
        2 + self.over
    }

    /// EndOfEarlyData.
    fn end_of_early(self) -> u16 {
        4 + self.over
    }

    /// A Certificate with nothing in it, with a context of 32 bytes: later authentication.
    fn empty_later(self) -> u16 {
        40 + self.over
    }

    /// Whether a CertificateVerify can have this length: that of a signature (RFC 8446 section 4.4.3).
    fn verify(self, len: u16) -> bool {
        matches!(len.checked_sub(8 + self.over),
            // Ed25519 and Ed448, ECDSA with P-256, P-384 and P-521,
            Some(64 | 114 | 68..=72 | 99..=104 | 133..=139
            // RSA of 1024 to 8192 bits, ML-DSA.
            | 128 | 256 | 384 | 512 | 1024 | 2420 | 3309 | 4627))
    }
}

/// SunJSSE appends so many zeros to every record.
const JAVA: u16 = 16;

/// The length, or that of Java.
pub(super) fn is(len: u16, known: u16) -> bool {
    len == known || len == known + JAVA
}

/// What the client's first encrypted records say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing yet.
    Nothing,
    /// Finished: it was not asked for a certificate.
    Finished,
    /// A Certificate with nothing in it.
    Empty,
    /// It refused the server.
    Alert,
    /// A Certificate: by its length, or because the two records behind it prove it.
    Certificate { proved: bool },
    /// A Certificate in pieces of one length.
    Pieces,
    /// Records are padded.
    Padded,
    /// They may be padded: it needs one more.
    MayBePadded,
    /// Too short for a certificate, and no other length that is known.
    Odd,
}

/// Records of one handshake of TLS 1.3, behind its ServerHello.
#[derive(Debug)]
pub(super) struct Modern {
    pub sizes: Sizes,
    /// A raw key may stand in the place of a certificate (RFC 7250): it is shorter.
    raw_key: bool,
    /// Where ServerHello ends: with early data, records that were sent before that was received are not
    /// of the handshake.
    floor: Option<u64>,
    /// EndOfEarlyData may come first.
    early: bool,
    /// The client's first records: lengths.
    pub client: [u16; 4],
    /// How many records the client said.
    pub count: u8,
    /// Where the first one begins.
    pub begins: u64,
    /// The two lengths before the last one, and how often the first one was repeated.
    window: [u16; 2],
    equal: u8,
    equal_run: bool,
    /// Lengths of CertificateVerify and Finished that were seen behind a Certificate.
    pub proof: Option<(u16, u16)>,
    /// The same later.
    pub later: Option<(u16, u16, u16)>,
    /// The server went on after that.
    pub later_heard: bool,
    /// Later, an empty Certificate and a Finished.
    pub later_empty: bool,
    /// The server's first records before the client's first one: lengths.
    pub server: [u16; 4],
    pub server_count: u8,
    /// Its records behind that, of other lengths than an alert has: those may be tickets.
    pub after: [u16; 4],
    pub after_count: u8,
    /// A record behind that which has the length of an alert.
    pub alert: Option<u16>,
}

impl Modern {
    /// `floor`: where ServerHello ends, if early data was announced.
    pub fn new(suite: u16, raw_key: bool, floor: Option<u64>, early: bool) -> Self {
        Modern {
            sizes: Sizes::of(suite),
            raw_key,
            floor,
            early,
            client: [0; 4],
            count: 0,
            begins: 0,
            window: [0; 2],
            equal: 0,
            equal_run: true,
            proof: None,
            later: None,
            later_heard: false,
            later_empty: false,
            server: [0; 4],
            server_count: 0,
            after: [0; 4],
            after_count: 0,
            alert: None,
        }
    }

    /// An encrypted record of the client.
    pub fn client(&mut self, head: &Head) {
        if self.count == 0 {
            if self.floor.is_some_and(|floor| head.acked < floor) {
                return;
            }
            if std::mem::take(&mut self.early) && is(head.len, self.sizes.end_of_early()) {
                return;
            }
            self.begins = head.offset;
        }
        if let Some(place) = self.client.get_mut(usize::from(self.count)) {
            *place = head.len;
        }
        self.equal_run &= head.len == self.client[0];
        self.equal += u8::from(self.equal_run && self.equal < 3);
        let [before, last] = self.window;
        self.window = [last, head.len];
        let proof = [0, JAVA].into_iter().find(|java| {
            let verify = last.checked_sub(*java).is_some_and(|len| self.sizes.verify(len));
            verify && before > 0 && head.len == self.sizes.finished() + java
        });
        if proof.is_some() {
            match self.certain() {
                // Not of the handshake: the client has finished it.
                Some(_) => {
                    if before >= 200 {
                        self.later = self.later.or(Some((before, last, head.len)));
                    }
                }
                None if self.proof.is_none() => self.proof = Some((last, head.len)),
                None => self.later = self.later.or(Some((before, last, head.len))).filter(|l| l.0 >= 200),
            }
        }
        if self.count > 0 && is(last, self.sizes.empty_later()) && is(head.len, self.sizes.finished()) {
            self.later_empty = true;
        }
        self.count = self.count.saturating_add(1);
    }

    /// An encrypted record of the server. The one that counts was said after the client's first.
    pub fn server(&mut self, head: &Head) {
        let heard = self.count > 0 && (head.acked == 0 || head.acked > self.begins);
        if !heard {
            if let Some(place) = self.server.get_mut(usize::from(self.server_count)) {
                *place = head.len;
            }
            self.server_count = self.server_count.saturating_add(1);
        } else if is(head.len, self.sizes.alert()) {
            self.alert = self.alert.or(Some(head.len));
        } else {
            self.later_heard |= self.later.is_some();
            if let Some(place) = self.after.get_mut(usize::from(self.after_count)) {
                *place = head.len;
            }
            self.after_count = self.after_count.saturating_add(1);
        }
    }

    /// The server went on after the client's first record.
    pub fn established(&self) -> bool {
        self.after_count > 0
    }

    /// What the first record says by itself.
    fn certain(&self) -> Option<Said> {
        let (first, sizes) = (self.client[0], self.sizes);
        if self.count == 0 {
            return Some(Said::Nothing);
        }
        if is(first, sizes.finished()) {
            return Some(Said::Finished);
        }
        if is(first, sizes.empty()) || is(first, sizes.empty_finished()) {
            return Some(Said::Empty);
        }
        is(first, sizes.alert()).then_some(Said::Alert)
    }

    /// What the client's records say.
    pub fn said(&self) -> Said {
        if let Some(certain) = self.certain() {
            return certain;
        }
        if self.proof.is_some() {
            return Said::Certificate { proved: true };
        }
        let seen = self.client.get(..usize::from(self.count)).unwrap_or(&self.client);
        let tag = self.sizes.over - 1;
        let mut with_server = [0; 5];
        let server = self.server.get(..usize::from(self.server_count)).unwrap_or(&self.server);
        let all = server.iter().chain(&self.client[..1]);
        let n = with_server.iter_mut().zip(all).map(|(to, len)| *to = *len).count();
        if padded(seen, tag) || padded(with_server.get(..n).unwrap_or_default(), tag) {
            return Said::Padded;
        }
        let least = if self.raw_key { 70 } else { 200 };
        if self.client[0] < least {
            return if self.equal >= 3 { Said::Pieces } else { Said::Odd };
        }
        if self.count == 1 && block(&self.client[..1], tag) >= 32 {
            return Said::MayBePadded;
        }
        Said::Certificate { proved: false }
    }

    /// The record in which a Certificate of `from` with a list of so many bytes came: by itself, or with
    /// what follows it, which has lengths that are known, too. Where the length of the list is `certain`,
    /// also in a longer one of the server, and of padded records in any that has room for it.
    pub fn carries(&self, from: Speaker, list: u16, certain: bool) -> Option<u16> {
        let message = list.checked_add(8)?;
        let alone = message.checked_add(self.sizes.over)?;
        if from == Speaker::Client {
            let first = self.client[0];
            let together = first.checked_sub(message).and_then(|rest| rest.checked_sub(4 + self.sizes.hash));
            let fits = match self.said() {
                Said::Certificate { .. } => {
                    is(first, alone) || together.is_some_and(|verify| self.sizes.verify(verify))
                }
                Said::Padded | Said::MayBePadded | Said::Odd => certain && first >= alone,
                Said::Nothing | Said::Finished | Said::Empty | Said::Alert | Said::Pieces => false,
            };
            return fits.then_some(first);
        }
        let seen = self.server.get(..usize::from(self.server_count)).unwrap_or(&self.server);
        // EncryptedExtensions, CertificateVerify and Finished stand in the same record, or none of them.
        let least = alone.saturating_add(6 + 8 + 64 + 4 + self.sizes.hash);
        let by_itself = seen.iter().find(|len| is(**len, alone));
        by_itself.or_else(|| seen.iter().find(|len| certain && **len >= least)).copied()
    }

    /// What was said will not change with more records.
    pub fn is_final(&self) -> bool {
        matches!(self.certain(), Some(said) if said != Said::Nothing)
            || self.proof.is_some()
            || self.count >= 4
    }
}

/// The largest power of two that all these lengths are multiples of, without the tag, or without the
/// tag and the byte that says what is in it.
fn block(lens: &[u16], tag: u16) -> u16 {
    [tag, tag + 1].map(|over| 1 << gcd(lens, over).trailing_zeros().min(14)).into_iter().max().unwrap_or(1)
}

fn gcd(lens: &[u16], over: u16) -> u16 {
    lens.iter().fold(0, |a, len| {
        let (mut a, mut b) = (a, len.saturating_sub(over));
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    })
}

/// All end on one block (RFC 8446 section 5.4): of any length if they are many, of a power of two if
/// they are two, since chance may do more with these.
fn padded(lens: &[u16], tag: u16) -> bool {
    match lens.len() {
        0 | 1 => false,
        2 => block(lens, tag) >= 32,
        _ => [tag, tag + 1].into_iter().any(|over| gcd(lens, over) >= 32),
    }
}
