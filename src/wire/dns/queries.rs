//! DNS over UDP: which answer belongs to which query, what was asked again, what was never answered.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::Hash;

use super::{Asked, Message, Outcome, parse};
use crate::model::{BootNs, Known, Shape, Verdict};
use crate::wire::hash::{Keyed, fixed};
use crate::wire::{Span, Speaker, Told};

/// How long an answer is waited for, unless told otherwise: as resolvers do (resolv.conf(5)).
pub const TIMEOUT_NS: u64 = 5_000_000_000;
/// Most queries that wait, unless told otherwise.
const CAPACITY: usize = 4096;
/// The same question with a new id sooner than this is not the same query sent again: no resolver
/// gives up that fast, but one that asks for many clients asks the same thing twice at once.
const RETRY_NS: u64 = 50_000_000;
/// A query that is sent again shortly before the time is over is waited for this much longer, once:
/// resolvers send again after just the time that is waited here, a little more or less.
const GRACE_NS: u64 = 1_000_000_000;
/// Most ids of one query: the first, and those with which it was sent again.
const MAX_IDS: usize = 16;

/// A query on the wire: conversation, who asks, identifier.
type Id<K> = (K, bool, u16);

/// The queries that wait for an answer, of many sockets.
///
/// A query that is sent again before its answer (same id; or a new id, at least 50 ms later) is one
/// exchange, with `dns.retries`; its latency counts from the first time, as the asker waits from
/// there, and its request bytes are those of all of them. One that is not answered in time is told
/// as an error with status `timeout`; its `dns.rcode` is 0. Its answer may still come: it
/// is not told again, nor is a second answer to a query that was sent twice. Time passes by [`Queries::expire`] and with the datagrams themselves.
///
/// Bounds: as many waiting queries as given (default 4096), 16 ids each; beyond that the oldest are
/// told as not known. As many ids again are remembered for late answers.
#[derive(Debug)]
pub struct Queries<K> {
    timeout: u64,
    capacity: usize,
    slots: Vec<Option<Waiting<K>>>,
    free: Vec<usize>,
    by_id: HashMap<Id<K>, usize, Keyed>,
    /// By the hash of the question; whether it is the same is seen in the slot.
    by_question: HashMap<(K, bool, u32), usize, Keyed>,
    due: BTreeSet<(BootNs, usize)>,
    told: Remembered<K>,
    undecoded: u64,
}

#[derive(Debug)]
struct Waiting<K> {
    key: K,
    from_server: bool,
    id: u16,
    /// Those with which it was sent again.
    more_ids: Vec<u16>,
    due: BootNs,
    asked: Asked,
}

/// Ids whose exchange was told while an answer could still come; the oldest are forgotten.
#[derive(Debug)]
struct Remembered<K> {
    ids: HashMap<Id<K>, u64, Keyed>,
    order: VecDeque<(Id<K>, u64)>,
    next: u64,
    capacity: usize,
}

impl<K: Eq + Hash + Copy> Default for Queries<K> {
    fn default() -> Self {
        Self::new(TIMEOUT_NS, CAPACITY)
    }
}

impl<K: Eq + Hash + Copy> Queries<K> {
    /// Waits `timeout` nanoseconds for an answer, of at most `capacity` queries (at least 1).
    pub fn new(timeout: u64, capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Queries {
            timeout,
            capacity,
            slots: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::default(),
            by_question: HashMap::default(),
            due: BTreeSet::new(),
            told: Remembered { ids: HashMap::default(), order: VecDeque::new(), next: 0, capacity },
            undecoded: 0,
        }
    }

    /// A datagram of `len` bytes, of which `data` was captured.
    ///
    /// `key` is one socket and one peer. `from` is which of the two sent it, always the same one for
    /// the same side; who asks is seen from the QR bit ([`super::speaker`] gives a `from` that fits
    /// where only one side asks).
    pub fn datagram(
        &mut self,
        key: K,
        from: Speaker,
        at: BootNs,
        data: &[u8],
        len: u32,
        out: &mut Vec<(K, Told)>,
    ) {
        self.expire(at, out);
        let Ok(message) = parse(data) else {
            self.undecoded += u64::from(len);
            return;
        };
        let span = Span { first: at, last: at, bytes: u64::from(len) };
        let asker = if message.response { from.other() } else { from };
        let id = (key, asker == Speaker::Server, message.id);
        if message.response {
            self.answer(id, message, span, out);
        } else {
            self.query(id, message, span, out);
        }
    }

    /// A datagram to or from a multicast group (mDNS, LLMNR): a question to all needs no answer, and
    /// an answer no question. Told at once, as one-way: a query with verdict unknown and no response,
    /// an answer by its code with an empty request.
    pub fn multicast(&mut self, key: K, at: BootNs, data: &[u8], len: u32, out: &mut Vec<(K, Told)>) {
        let Ok(mut message) = parse(data) else {
            self.undecoded += u64::from(len);
            return;
        };
        let span = Span { first: at, last: at, bytes: u64::from(len) };
        let number = number(&message);
        if message.response {
            let asked = Asked::unseen(&mut message, number);
            out.push((key, asked.answered(Shape::OneWay, message, span)));
        } else {
            let outcome = Outcome { shape: Shape::OneWay, status: Known::Absent, verdict: Verdict::Unknown };
            out.push((key, asked(message, span, number).told(outcome, None)));
        }
    }

    /// Tells the queries that got no answer in time.
    pub fn expire(&mut self, now: BootNs, out: &mut Vec<(K, Told)>) {
        while let Some(&(due, slot)) = self.due.first()
            && due <= now
        {
            self.give_up(slot, Known::Known("timeout".into()), Verdict::Error, out);
        }
    }

    /// Nothing more will come: what still waits is told as not known.
    pub fn end(&mut self, out: &mut Vec<(K, Told)>) {
        while let Some(&(_, slot)) = self.due.first() {
            let status = Known::Unknown("webb stopped looking before an answer came");
            self.give_up(slot, status, Verdict::Unknown, out);
        }
    }

    /// Bytes of datagrams since the last call that could not be read.
    pub fn take_undecoded(&mut self) -> u64 {
        std::mem::take(&mut self.undecoded)
    }

    fn query(&mut self, id: Id<K>, message: Message, span: Span, out: &mut Vec<(K, Told)>) {
        let number = number(&message);
        let same_id = self.by_id.get(&id).copied();
        if self.is_retry(id, same_id, &message, number, span) {
            return;
        }
        if let Some(slot) = same_id {
            let status = Known::Unknown("its id was used again before an answer came");
            self.give_up(slot, status, Verdict::Unknown, out);
        }
        if self.due.len() >= self.capacity
            && let Some(&(_, slot)) = self.due.first()
        {
            let status = Known::Unknown("too many queries at once");
            self.give_up(slot, status, Verdict::Unknown, out);
        }
        self.told.forget(&id);
        let waiting = Waiting {
            key: id.0,
            from_server: id.1,
            id: id.2,
            more_ids: Vec::new(),
            due: BootNs(span.first.0.saturating_add(self.timeout)),
            asked: asked(message, span, number),
        };
        let slot = self.free.pop().unwrap_or(self.slots.len());
        self.by_id.insert(id, slot);
        self.by_question.insert(waiting.question(), slot);
        self.due.insert((waiting.due, slot));
        match self.slots.get_mut(slot) {
            Some(place) => *place = Some(waiting),
            None => self.slots.push(Some(waiting)),
        }
    }

    /// Whether the query was sent before and still waits; then that is noted.
    fn is_retry(
        &mut self,
        id: Id<K>,
        same_id: Option<usize>,
        message: &Message,
        number: (u64, u32),
        span: Span,
    ) -> bool {
        let Some(question) = &message.question else { return false };
        let slot = same_id.or_else(|| self.by_question.get(&(id.0, id.1, number.1)).copied());
        let Some((slot, Some(waiting))) =
            slot.map(|slot| (slot, self.slots.get_mut(slot).and_then(Option::as_mut)))
        else {
            return false;
        };
        let same =
            waiting.asked.question.as_ref() == Some(question) && waiting.asked.opcode == message.opcode;
        let soon = span.first.since(waiting.asked.request.first) < RETRY_NS;
        if !same || (same_id.is_none() && (soon || waiting.more_ids.len() + 1 >= MAX_IDS)) {
            return false;
        }
        waiting.asked.retries = waiting.asked.retries.saturating_add(1);
        waiting.asked.request.bytes += span.bytes;
        if same_id.is_none() {
            waiting.more_ids.push(id.2);
            self.told.forget(&id);
            self.by_id.insert(id, slot);
        }
        // What is sent again at the last moment has its chance too.
        let grace = self.timeout.min(GRACE_NS);
        let last = waiting.asked.request.first.0.saturating_add(self.timeout).saturating_add(grace);
        let due = BootNs(span.first.0.saturating_add(grace).min(last));
        if due > waiting.due {
            self.due.remove(&(waiting.due, slot));
            waiting.due = due;
            self.due.insert((due, slot));
        }
        true
    }

    fn answer(&mut self, id: Id<K>, mut message: Message, span: Span, out: &mut Vec<(K, Told)>) {
        let slot = self.by_id.get(&id).copied().filter(|slot| {
            let waiting = self.slots.get(*slot).and_then(Option::as_ref);
            waiting.is_some_and(|waiting| waiting.asked.fits(&message))
        });
        if let Some(waiting) = slot.and_then(|slot| self.remove(slot)) {
            // What was sent twice may be answered twice.
            if waiting.asked.retries > 0 {
                self.told.remember(&waiting);
            }
            out.push((id.0, waiting.asked.answered(Shape::Unary, message, span)));
        } else if !self.told.forget(&id) {
            let number = number(&message);
            out.push((id.0, Asked::unseen(&mut message, number).answered(Shape::Unary, message, span)));
        }
    }

    fn give_up(
        &mut self,
        slot: usize,
        status: Known<std::borrow::Cow<'static, str>>,
        verdict: Verdict,
        out: &mut Vec<(K, Told)>,
    ) {
        if let Some(waiting) = self.remove(slot) {
            self.told.remember(&waiting);
            let outcome = Outcome { shape: Shape::Unary, status, verdict };
            out.push((waiting.key, waiting.asked.told(outcome, None)));
        }
    }

    fn remove(&mut self, slot: usize) -> Option<Waiting<K>> {
        let waiting = self.slots.get_mut(slot)?.take()?;
        self.free.push(slot);
        self.due.remove(&(waiting.due, slot));
        for id in waiting.ids() {
            self.by_id.remove(&id);
        }
        if let Entry::Occupied(entry) = self.by_question.entry(waiting.question())
            && *entry.get() == slot
        {
            entry.remove();
        }
        Some(waiting)
    }
}

impl<K: Eq + Hash + Copy> Waiting<K> {
    fn ids(&self) -> impl Iterator<Item = Id<K>> {
        let more = self.more_ids.iter().copied();
        std::iter::once(self.id).chain(more).map(|id| (self.key, self.from_server, id))
    }

    fn question(&self) -> (K, bool, u32) {
        (self.key, self.from_server, self.asked.key.1)
    }
}

impl<K: Eq + Hash + Copy> Remembered<K> {
    fn remember(&mut self, waiting: &Waiting<K>) {
        for id in waiting.ids() {
            self.next += 1;
            self.ids.insert(id, self.next);
            self.order.push_back((id, self.next));
        }
        while self.order.len() > self.capacity
            && let Some((id, n)) = self.order.pop_front()
        {
            // Unless it was remembered again since.
            if self.ids.get(&id) == Some(&n) {
                self.ids.remove(&id);
            }
        }
    }

    /// Forgets an id; whether it was remembered.
    fn forget(&mut self, id: &Id<K>) -> bool {
        !self.ids.is_empty() && self.ids.remove(id).is_some()
    }
}

fn asked(message: Message, request: Span, key: (u64, u32)) -> Asked {
    Asked { opcode: message.opcode, question: message.question, request, key, retries: 0 }
}

/// There is no offset in a datagram; the id and what was asked are the same at both ends.
fn number(message: &Message) -> (u64, u32) {
    let hash = message.question.as_ref().map_or(0, |q| fixed(q.name.as_bytes()) ^ u64::from(q.kind));
    (u64::from(message.id), (hash >> 32) as u32 ^ hash as u32)
}
