//! TLS on TCP (RFC 8446, RFC 5246): whether a connection is secured, and whether it is mutual.
//!
//! The hellos are read, and up to TLS 1.2 the certificates; of everything else only the headers of
//! records. In TLS 1.3, where certificates are encrypted, the lengths of the client's first records
//! tell: a Finished, an empty Certificate and an alert have lengths that are known to the byte, and
//! nothing else but a Certificate can stand there ([`modern`]).
//!
//! - [`preamble`]: where TLS begins. [`record`], [`message`]: framing. [`hello`], [`answer`]: the hellos.
//! - [`legacy`], [`modern`]: the rest of the handshake. [`walk`]: both sides of it.
//! - [`verdict`]: what is known → [`Tls`].

mod answer;
pub mod certificate;
mod chain;
mod handed;
mod hello;
mod legacy;
mod message;
mod modern;
pub mod names;
mod preamble;
mod reader;
mod record;
mod verdict;
mod walk;

#[cfg(test)]
mod tests;

pub use handed::Handed;
pub use hello::{Hello, NoHello, hello};

use crate::model::{BootNs, Tls};
use crate::wire::Speaker;
use handed::Leaves;
use preamble::{Found, Start};
use record::{Part, Records};
use verdict::Judgement;
use walk::Walk;

/// Watches one connection.
///
/// Bounds: up to 4 KiB of what is said before TLS begins, then 21 KiB of messages of both sides
/// together (a hello up to 8 KiB, a certificate up to 16 KiB, of a ticket 1 KiB), whatever is said.
/// When it [is settled](Watch::is_settled) less than 1 KiB remains, beside the names that the verdict
/// tells: server name, at most 16 protocols of 255 bytes each, and a [`crate::model::Certificate`] of
/// each side (with identities up to four of each, until the connection is over).
pub struct Watch {
    adopted: bool,
    stage: Stage,
    /// The next byte of each side.
    next: [Option<u64>; 2],
    /// What was given so far fits records from the first byte on; how many.
    records: [Option<(Records, u8)>; 2],
    /// The connection is over.
    ended: bool,
    /// Certificates that processes handed over; few have any.
    leaves: Option<Box<Leaves>>,
    told: Judgement,
}

enum Stage {
    /// Looking for a ClientHello.
    Looking(Box<Looking>),
    Tls {
        walk: Box<Walk>,
        after: Option<&'static str>,
    },
}

#[derive(Default)]
struct Looking {
    start: Start,
    /// The client said something that is no TLS.
    plain: bool,
    /// Nothing is looked at until a message begins.
    waits: bool,
    /// Something is missing.
    torn: bool,
}

/// What links a handshake to others: hashes and lengths of what resumes sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    /// Up to TLS 1.2, hashes of the session id and the ticket that this handshake issued.
    pub issued: Vec<u64>,
    /// Up to TLS 1.2, hash of the one that it used.
    pub used: Option<u64>,
    /// In TLS 1.3, lengths of the server's records that may be NewSessionTicket: the last ones of its
    /// first records, and the first ones after the client's Finished; 8 at most.
    pub tickets: Vec<u16>,
    /// In TLS 1.3, length of the identity of the pre-shared key that was used.
    pub identity: Option<u16>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("settled", &self.is_settled()).finish_non_exhaustive()
    }
}

impl Watch {
    /// A connection from its first byte on, or, `adopted`, from somewhere in the middle.
    pub fn new(adopted: bool) -> Self {
        let records = if adopted { [(); 2].map(|()| Some((Records::default(), 0))) } else { [None, None] };
        let looking = Box::<Looking>::default();
        let mut watch = Watch {
            adopted,
            stage: Stage::Looking(looking),
            next: [None, None],
            records,
            ended: false,
            leaves: None,
            told: Judgement::default(),
        };
        watch.told = watch.judge();
        watch
    }

    /// The next bytes of `from`. `offset`: position of the first of them in all that `from` said.
    /// `acked`: position in what the other side said up to which `from` had acknowledged it, with the
    /// segment that carried the first of these bytes; 0 = not known.
    pub fn bytes(&mut self, from: Speaker, at: BootNs, offset: u64, acked: u64, data: &[u8]) {
        let (mut offset, mut data) = (offset, data);
        let side = from as usize;
        match self.next.get(side).copied().flatten() {
            Some(next) if offset > next => self.gap(from, at, next, offset - next),
            Some(next) if offset < next => {
                let known = usize::try_from(next - offset).unwrap_or(usize::MAX);
                data = data.get(known..).unwrap_or_default();
                offset = next;
            }
            _ => {}
        }
        let settled = self.is_settled();
        self.advance(from, offset.saturating_add(data.len() as u64));
        if let Stage::Looking(looking) = &mut self.stage
            && from == Speaker::Server
        {
            looking.start.greet(data);
        }
        if data.is_empty() || settled {
            return;
        }
        if self.are_records().is_none() {
            self.chain(from, data);
        }
        let looking = match &mut self.stage {
            Stage::Tls { walk, .. } => return walk.bytes(from, offset, acked, data),
            Stage::Looking(looking) => looking,
        };
        if from == Speaker::Server || looking.waits {
            return;
        }
        if looking.start.client.is_empty() {
            looking.start.offset = offset;
        }
        let kept = looking.start.say(data);
        match looking.start.look() {
            Found::More if looking.start.client.len() < preamble::KEPT => {}
            Found::Speaking => looking.plain = true,
            Found::Tls(begins) => {
                let start = std::mem::take(&mut looking.start);
                // The server says no more in the clear once the client has begun.
                let said = self.next.get(1).copied().flatten().unwrap_or(0);
                let mut walk = Box::new(Walk::new(if acked > 0 { acked } else { said }));
                let rest = start.client.get(begins..).unwrap_or_default();
                walk.bytes(from, start.offset.saturating_add(begins as u64), acked, rest);
                let later = data.get(kept..).unwrap_or_default();
                walk.bytes(from, offset.saturating_add(kept as u64), acked, later);
                self.stage = Stage::Tls { walk, after: start.after };
                self.records = [None, None];
            }
            Found::Plain | Found::More => {
                looking.plain = true;
                looking.waits = true;
                looking.start.client = Vec::new();
            }
        }
    }

    /// `len` bytes of `from` from `offset` on were not captured. In the body of a record that does no
    /// harm; elsewhere this side cannot be followed any longer.
    pub fn gap(&mut self, from: Speaker, _at: BootNs, offset: u64, len: u64) {
        let next = self.next.get(from as usize).copied().flatten().unwrap_or(offset);
        let end = offset.saturating_add(len);
        let Some(len) = end.checked_sub(next).filter(|len| *len > 0) else { return };
        let settled = self.is_settled();
        self.advance(from, end);
        if settled {
            return;
        }
        if self.are_records().is_none()
            && let Some(records) = self.records.get_mut(from as usize)
            && records.as_mut().is_some_and(|(r, _)| r.gap(len).is_none())
        {
            *records = None;
        }
        match &mut self.stage {
            Stage::Tls { walk, .. } => walk.gap(from, len),
            Stage::Looking(looking) if from == Speaker::Client => {
                looking.torn |= !looking.plain;
                looking.waits = true;
                looking.start.client = Vec::new();
            }
            Stage::Looking(_) => {}
        }
    }

    /// What `from` says next begins a message: TLS may begin with it.
    pub fn turn(&mut self, from: Speaker) {
        if let Stage::Looking(looking) = &mut self.stage
            && from == Speaker::Client
            && looking.waits
        {
            looking.start.again();
            looking.waits = false;
        }
    }

    /// A certificate that `from` sent, as the process of the other side had it.
    pub fn handed(&mut self, from: Speaker, handed: &Handed<'_>) {
        self.leaves.get_or_insert_default().take(from, handed);
    }

    /// The connection is over.
    pub fn end(&mut self, _at: BootNs) {
        self.ended = true;
    }

    /// What is known now.
    pub fn verdict(&self) -> Tls {
        verdict::tls(self)
    }

    /// Whether the verdict is another one than when this was last asked.
    pub fn take_changed(&mut self) -> bool {
        let now = self.judge();
        std::mem::replace(&mut self.told, now) != now
    }

    /// Nothing more can be learnt from its bytes. Of TLS 1.2 and below, and of clients that offer to
    /// authenticate later, that is so when 64 more records of the client were seen.
    pub fn is_settled(&self) -> bool {
        if self.ended {
            return true;
        }
        match &self.stage {
            Stage::Looking(looking) if self.adopted => looking.waits && self.are_records().is_some(),
            Stage::Looking(looking) => {
                looking.plain && looking.waits && !looking.torn && looking.start.alert().is_some()
            }
            Stage::Tls { walk, .. } => walk.is_settled(),
        }
    }

    /// What links this handshake to others, once there is a ServerHello.
    pub fn resumption(&self) -> Option<Sessions> {
        let Stage::Tls { walk, .. } = &self.stage else { return None };
        verdict::sessions(walk)
    }

    /// Bytes of memory that are in use for what is not decided yet.
    pub fn held(&self) -> usize {
        match &self.stage {
            Stage::Looking(l) => {
                size_of::<Looking>() + l.start.client.capacity() + l.start.greeting.capacity()
            }
            Stage::Tls { walk, .. } => size_of::<Walk>() + walk.size(),
        }
    }

    /// The same for what both sides said of themselves, without names and certificates.
    #[cfg(test)]
    fn hellos(&self) -> usize {
        size_of::<Hello>() + size_of::<answer::Answer>() + size_of::<modern::Modern>()
    }

    /// Gives up what is not decided yet: it stays undecided.
    pub fn shed(&mut self) {
        if !self.is_settled() {
            self.ended = true;
        }
    }

    fn advance(&mut self, from: Speaker, to: u64) {
        if let Some(next) = self.next.get_mut(from as usize) {
            *next = Some(to);
        }
    }

    fn judge(&self) -> Judgement {
        Judgement::of(self)
    }

    /// Whether what an adopted connection says are records: more than one, and nothing else.
    fn are_records(&self) -> Option<bool> {
        if self.records.iter().zip(self.next).any(|(records, next)| records.is_none() && next.is_some()) {
            return Some(false);
        }
        let count: u8 = self.records.iter().flatten().fold(0, |n, (_, count)| n.saturating_add(*count));
        (count > 1).then_some(true)
    }

    /// Looks whether the bytes of an adopted connection are records.
    fn chain(&mut self, from: Speaker, mut data: &[u8]) {
        let other =
            self.records.get(1 - from as usize).and_then(Option::as_ref).map_or(0, |(_, count)| *count);
        let Some(place) = self.records.get_mut(from as usize) else { return };
        let Some((records, count)) = place else { return };
        let mut offset = 0;
        while let Some(part) = records.next(&mut data, &mut offset, 0) {
            match part {
                Part::Head(_) => {
                    *count += 1;
                    if *count + other > 1 {
                        return;
                    }
                }
                Part::Body(..) => {}
                Part::Alien => {
                    *place = None;
                    return;
                }
            }
        }
    }
}
