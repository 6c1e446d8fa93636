//! Exchanges, counted and paired: what a decoder tells at one end, and at the other.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::fact::TurnsFact;
use super::table::Track;
use super::tracked::{Tracked, slot};
use crate::model::{Asked, BootNs, EndId, Known, Protocol, Request, Timing, View};
use crate::wire::dns::Storm;
use crate::wire::{Dns, Record, Span, Told};

/// Labels (methods and targets) that are shared; beyond it sharing begins anew.
const LABELS: usize = 16_384;
/// Exchanges of one connection that wait for the other end's view.
const PAIRING: usize = 256;
/// How long an exchange waits for it.
const PAIRING_NS: u64 = 1_300_000_000;
/// Exchanges that one flush gives as events, errors aside; more are counted only.
const EVENTS: usize = 1024;

/// An exchange as an event, before its connection is looked up.
#[derive(Debug)]
pub(super) struct Happened {
    pub at: BootNs,
    pub key: u64,
    pub request: Arc<Request>,
}

/// What one connection's ends have told.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// Of each view: this slice's, and the next one's.
    slices: [[Option<Box<Asked>>; 2]; 2],
    /// Told by one end, in the order of time.
    pairing: VecDeque<(BootNs, View, (u64, u32), Request)>,
    /// Turns: number of the next code, and a first byte whose answer may go on.
    turns: [(u32, Option<u64>); 2],
}

/// Counting for all connections.
#[derive(Debug, Default)]
pub(super) struct Counting {
    labels: HashMap<Box<str>, Arc<str>>,
    /// What requests are about is not told.
    strict: bool,
    /// There is one view of each connection.
    capture: bool,
    /// End of the slice that is being counted.
    pub(super) slice_end: BootNs,
    events: Vec<Happened>,
    /// Exchanges that are counted but not given as events.
    skipped: u64,
    /// Rows whose exchanges wait for the other end.
    unpaired: Vec<u64>,
    /// Turns whose predecessors did not come yet, and how often they were looked at.
    ahead: Vec<(TurnsFact, u8)>,
}

type Rows = HashMap<u64, Box<Tracked>>;

impl Counting {
    pub(super) fn new(strict: bool, capture: bool) -> Self {
        Counting { strict, capture, ..Counting::default() }
    }

    /// The shared form of a text.
    fn label(&mut self, text: &str) -> Arc<str> {
        if let Some(label) = self.labels.get(text) {
            return label.clone();
        }
        if self.labels.len() >= LABELS {
            self.labels.clear();
        }
        let label: Arc<str> = text.into();
        self.labels.insert(text.into(), label.clone());
        label
    }

    fn asked<'a>(&self, row: &'a mut Tracked, view: View, at: BootNs) -> &'a mut Asked {
        let next = self.slice_end.0 != 0 && at >= self.slice_end;
        row.heard.get_or_insert_default().slices[slot(view)][usize::from(next)].get_or_insert_default()
    }

    /// The protocol of an end is known, and cannot be decoded.
    pub(super) fn recognised(&mut self, rows: &mut Rows, key: u64, view: View, protocol: Protocol) {
        if let Some(row) = rows.get_mut(&key) {
            self.asked(row, view, BootNs(0)).protocol_mut(protocol);
        }
    }

    /// Requests were missed for certain.
    pub(super) fn missed(&mut self, rows: &mut Rows, key: u64, view: View, protocol: Protocol, n: u64) {
        if let Some(row) = rows.get_mut(&key) {
            self.asked(row, view, BootNs(0)).protocol_mut(protocol).missed += n;
        }
    }

    /// Requests may have been missed.
    pub(super) fn undecoded(&mut self, rows: &mut Rows, key: u64, view: View, bytes: u64) {
        if let Some(row) = rows.get_mut(&key) {
            self.asked(row, view, BootNs(0)).undecoded_bytes += bytes;
        }
    }

    /// An exchange at one end; of a DNS lookup that ends with it, how it went through a search list.
    pub(super) fn told(
        &mut self,
        rows: &mut Rows,
        key: u64,
        view: View,
        mut told: Told,
        searched: Option<Storm>,
    ) {
        if self.strict {
            told.dns = None;
            if told.target != Known::Absent {
                told.target = Known::Unknown("redacted (--redact strict)");
            }
        }
        let Some(row) = rows.get_mut(&key) else { return };
        let timing = timing(&told);
        let at = [timing.answered_all, timing.answered, timing.asked_all, timing.asked]
            .into_iter()
            .find(|at| at.0 != 0)
            .unwrap_or_default();
        let method = self.label(&told.method);
        let target = self.label(told.target.known().map_or("", |t| t));
        let latency = timing.latency_us();
        let asked = self.asked(row, view, at);
        asked.target_mut(told.protocol, &method, &target).count(told.shape, told.verdict, latency);
        let counts = asked.protocol_mut(told.protocol);
        counts.tally.count(told.shape, told.verdict, latency);
        if told.shape == crate::model::Shape::Unary
            && let Some(us) = timing.full_us()
        {
            counts.full_us.record(us);
        }
        // A handshake is one event: the client's end, which speaks first, has told it.
        if told.protocol == Protocol::Quic && view == View::Server && row.connection.client.end.is_some() {
            return;
        }
        let key_of_exchange = told.key;
        let target = (!target.is_empty()).then_some(target);
        let seen = if self.capture { View::Client } else { view };
        let request = request(told, searched, target, seen, timing);
        let other = match view {
            View::Client => View::Server,
            View::Server => View::Client,
        };
        if row.side(other).end.is_none() {
            self.event(at, key, request);
            return;
        }
        let heard = row.heard.get_or_insert_default();
        let found = heard.pairing.iter().position(|(_, v, k, _)| *v == other && *k == key_of_exchange);
        if let Some((earlier, _, _, theirs)) = found.and_then(|i| heard.pairing.remove(i)) {
            let both = both(request, theirs);
            self.event(earlier.max(at), key, both);
            return;
        }
        heard.pairing.push_back((at, view, key_of_exchange, request));
        if heard.pairing.len() == 1 {
            self.unpaired.push(key);
        }
        if heard.pairing.len() > PAIRING
            && let Some((at, _, _, request)) = heard.pairing.pop_front()
        {
            self.event(at, key, request);
        }
    }

    fn event(&mut self, at: BootNs, key: u64, request: Request) {
        let error = request.verdict == crate::model::Verdict::Error;
        if self.events.len() >= if error { 2 * EVENTS } else { EVENTS } {
            self.skipped += 1;
            return;
        }
        self.events.push(Happened { at, key, request: Arc::new(request) });
    }

    /// What happened since the last time, in order, and how many are left out. What has waited
    /// long enough for its other view goes without.
    pub(super) fn take_events(&mut self, rows: &mut Rows, now: BootNs) -> (Vec<Happened>, u64) {
        for key in std::mem::take(&mut self.unpaired) {
            let Some(heard) = rows.get_mut(&key).and_then(|r| r.heard.as_mut()) else { continue };
            let mut given_up = Vec::new();
            while heard.pairing.front().is_some_and(|p| now.since(p.0) > PAIRING_NS) {
                given_up.extend(heard.pairing.pop_front());
            }
            if !heard.pairing.is_empty() {
                self.unpaired.push(key);
            }
            for (at, _, _, request) in given_up {
                self.event(at, key, request);
            }
        }
        self.events.sort_by_key(|e| e.at);
        (std::mem::take(&mut self.events), std::mem::take(&mut self.skipped))
    }
}

impl Heard {
    /// What one view has for the slice that is being sealed; the next one's moves up.
    pub(super) fn take(&mut self, view: View) -> Option<Box<Asked>> {
        let [now, next] = &mut self.slices[slot(view)];
        let taken = now.take();
        *now = next.take();
        taken.filter(|a| !a.is_empty())
    }

    /// The sides were exchanged.
    pub(super) fn flip(&mut self) {
        self.slices.swap(0, 1);
        self.turns.swap(0, 1);
        self.pairing.clear();
    }
}

impl Track {
    /// Takes latencies of turns. Those of a closing come through another ring than those before it:
    /// what is ahead of its time waits until the next look.
    pub(super) fn turns(&mut self, f: &TurnsFact) {
        let next = self.ends.get(&f.id).and_then(|(key, view)| {
            let row = self.rows.get(key)?;
            Some(row.heard.as_ref().map_or(0, |h| h.turns[slot(*view)].0))
        });
        match next {
            Some(next) if f.from.wrapping_sub(next).wrapping_sub(1) < 1 << 31 => {
                self.asked.ahead.push((*f, 0))
            }
            Some(_) => self.take_turns(f),
            None => {}
        }
    }

    /// Takes what was ahead of its time, once there was time for what comes before it.
    pub(super) fn settle_turns(&mut self) {
        for (f, looks) in std::mem::take(&mut self.asked.ahead) {
            if looks == 0 {
                self.asked.ahead.push((f, 1));
            } else {
                self.take_turns(&f);
            }
        }
    }

    fn take_turns(&mut self, f: &TurnsFact) {
        let Some(&(key, view)) = self.ends.get(&f.id) else { return };
        let Some(row) = self.rows.get_mut(&key) else { return };
        let heard = row.heard.get_or_insert_default();
        let (next, _) = &mut heard.turns[slot(view)];
        let skip = next.wrapping_sub(f.from);
        // What is further away is a gap: the kernel side counted what it could not tell.
        let known = if skip > 1 << 31 { 0 } else { skip as usize };
        *next = (*next).max(f.from.wrapping_add(u32::from(f.count)));
        let codes: Vec<u32> = f.codes.iter().take(usize::from(f.count)).skip(known).copied().collect();
        for code in codes {
            self.turn(key, view, f.at, code);
        }
    }

    /// An end closed: its last answer was complete with its first byte.
    pub(super) fn end_turns(&mut self, id: EndId, at: BootNs) {
        let Some(&(key, view)) = self.ends.get(&id) else { return };
        let Some(row) = self.rows.get_mut(&key) else { return };
        let pending = row.heard.as_mut().and_then(|h| h.turns[slot(view)].1.take());
        if let Some(us) = pending {
            self.asked.asked(row, view, at).turns.full_us.record(us);
        }
    }

    /// One code: see `enum webb_turn` in `bpf/webb.h`.
    fn turn(&mut self, key: u64, view: View, at: BootNs, code: u32) {
        let Some(row) = self.rows.get_mut(&key) else { return };
        let (class, us) = (code >> 29, u64::from(code & ((1 << 29) - 1)));
        let heard = row.heard.get_or_insert_default();
        let pending = &mut heard.turns[slot(view)].1;
        // A first byte is the whole answer unless its end is told next.
        let before = pending.take();
        if class == 0 {
            *pending = Some(us);
        }
        let turns = &mut self.asked.asked(row, view, at).turns;
        match (class, before) {
            (1, _) => turns.full_us.record(us),
            (5, _) | (_, None) => {}
            (_, Some(before)) => turns.full_us.record(before),
        }
        match class {
            0 => turns.first_us.record(us),
            2 => turns.overlapped += 1,
            3 => turns.waits += 1,
            4 => turns.pushes += 1,
            5 => turns.streams += 1,
            _ => {}
        }
    }
}

fn timing(told: &Told) -> Timing {
    let span =
        |s: Span| if s.bytes == 0 && s.first.0 == 0 { (BootNs(0), BootNs(0)) } else { (s.first, s.last) };
    let (asked, asked_all) = span(told.request);
    let (answered, answered_all) = told.response.map_or((BootNs(0), BootNs(0)), span);
    Timing { asked, asked_all, answered, answered_all }
}

fn request(
    told: Told,
    searched: Option<Storm>,
    target: Option<Arc<str>>,
    view: View,
    timing: Timing,
) -> Request {
    let why = |why: &'static str| Some(why.into());
    let target_unknown = match &told.target {
        Known::Unknown(reason) => why(reason),
        _ => None,
    };
    let (status, status_unknown) = match told.status {
        Known::Known(status) => (Some(status), None),
        Known::Unknown(reason) => (None, why(reason)),
        Known::Absent => (None, None),
    };
    let note = told.dns.map_or(std::borrow::Cow::Borrowed(""), |dns| dns_note(&dns, searched).into());
    Request {
        protocol: told.protocol,
        shape: told.shape,
        method: told.method,
        target,
        target_unknown,
        status,
        status_unknown,
        verdict: told.verdict,
        by_client: (view == View::Client).then_some(timing),
        by_server: (view == View::Server).then_some(timing),
        request_bytes: told.request.bytes,
        response_bytes: told.response.map_or(0, |r| r.bytes),
        note,
        evidence: told.protocol.evidence().into(),
    }
}

/// What the answer to a question says, and what it took to get it.
fn dns_note(dns: &Dns, searched: Option<Storm>) -> String {
    let answers = dns.answers.iter().map(|a| match &a.record {
        Record::Address(addr) => addr.to_string(),
        Record::Alias(name) => format!("CNAME {name}"),
    });
    let said = answers.take(8).collect::<Vec<_>>().join(", ");
    let retried = (dns.retries > 0).then(|| format!("asked {} times", u32::from(dns.retries) + 1));
    let searched = searched
        .map(|s| format!("search list: looked for {}, {} names below it do not exist", s.name, s.tries));
    let parts = [(!said.is_empty()).then_some(said), retried, searched];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// One exchange as both ends saw it: what one could not read the other one may have.
fn both(mut a: Request, b: Request) -> Request {
    a.by_client = a.by_client.or(b.by_client);
    a.by_server = a.by_server.or(b.by_server);
    if a.target.is_none() {
        (a.target, a.target_unknown) = (b.target, b.target_unknown);
    }
    if a.status.is_none() {
        (a.status, a.status_unknown, a.verdict) = (b.status, b.status_unknown, b.verdict);
    }
    // What led to a question is known at the asker's end.
    if a.note.len() < b.note.len() {
        a.note = b.note;
    }
    a.request_bytes = a.request_bytes.max(b.request_bytes);
    a.response_bytes = a.response_bytes.max(b.response_bytes);
    a
}
