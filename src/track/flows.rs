//! What is said at each end: pieces in order, given to the decoder of their conversation.
//!
//! An end whose role is not known yet, or that was not described yet, has its pieces wait for a
//! moment; what waits too long, or finds no room, is counted as lost.

use std::collections::HashMap;

use super::identities::Identities;
use super::piece::{Early, Piece, Progress};
use super::spoken::Unsure;
use super::stream::{Sink, Stream};
use super::table::Track;
use crate::model::{BootNs, End, EndId, Endpoint, View};
use crate::wire::tls::Watch;
use crate::wire::{Conversation, Speaker, Told};

/// Bytes of pieces that wait for their end, all together.
const WAITING_BYTES: usize = 4 << 20;
/// A piece waits this long for its end.
pub(super) const WAIT_NS: u64 = 2_000_000_000;
/// An end that closed is listened to for so long: its last pieces may come after its closing.
const LINGER_NS: u64 = 150_000_000;
/// So many of them at most; the first ones end earlier then.
const LINGERING: usize = 16_384;

/// The conversation at one end.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) conversation: Conversation,
    pub(super) watch: Watch,
    streams: [Stream; 2],
    /// It was open before it was watched.
    pub(super) adopted: bool,
    /// Nothing of an adopted end's streams was seen yet.
    begun: [bool; 2],
    /// Its protocol, which is not decoded, was counted.
    recognised: bool,
    /// The source was told to look away.
    pub(super) ignored: bool,
    /// Its protocol was taken into account for its security.
    named: bool,
    pub(super) view: View,
    place: Socket,
    /// When it last said anything, and what it held then.
    heard: BootNs,
    held: usize,
}

impl Flow {
    /// Of an end whose initial sequence numbers are known.
    pub(super) fn of(end: &End, adopted: bool, view: View) -> Option<Self> {
        let isns = end.isns?;
        // A client's own base is its SYN's number, all others are the first byte's.
        let sent = isns.tx.wrapping_add(u32::from(view == View::Client));
        let streams = [Stream::new(sent), Stream::new(isns.rx)];
        Some(Flow {
            conversation: Conversation::new(adopted),
            watch: Watch::new(adopted),
            streams,
            adopted,
            begun: [!adopted; 2],
            recognised: false,
            ignored: false,
            named: false,
            view,
            place: (end.owner.netns, end.local, end.peer),
            heard: BootNs(0),
            held: 0,
        })
    }

    /// The first piece begins one of the client's messages.
    pub(super) fn at_message(mut self) -> Self {
        self.conversation = Conversation::from_message();
        self
    }

    fn holds(&self) -> usize {
        let streams: usize = self.streams.iter().map(Stream::held).sum();
        size_of::<Flow>() + self.conversation.held() + self.watch.held() + streams
    }

    /// Loses what it holds; pieces that wait for those before them are a gap from now on.
    fn shed(&mut self, out: &mut Vec<Told>) {
        for (i, from) in [self.speaker(true), self.speaker(false)].into_iter().enumerate() {
            let Some(stream) = self.streams.get_mut(i) else { continue };
            let (conversation, watch) = (&mut self.conversation, &mut self.watch);
            stream.shed(&mut Hear { conversation, watch, from, out });
        }
        self.conversation.end(self.heard, out);
        self.conversation = Conversation::new(true);
        self.watch.shed();
    }

    fn speaker(&self, sent: bool) -> Speaker {
        if sent == (self.view == View::Client) { Speaker::Client } else { Speaker::Server }
    }

    fn piece(&mut self, p: &Piece<'_>, out: &mut Vec<Told>) {
        // What one side acknowledges has passed here before, at either end.
        self.advance(!p.sent, p.ack, p.turned.unwrap_or(p.at), out);
        if !std::mem::replace(&mut self.begun[usize::from(!p.sent)], true) {
            self.streams[usize::from(!p.sent)].skip_to(p.seq);
        }
        let from = self.speaker(p.sent);
        let acked = u64::try_from(self.streams[usize::from(p.sent)].offset(p.ack)).unwrap_or(0);
        let (conversation, watch) = (&mut self.conversation, &mut self.watch);
        let stream = &mut self.streams[usize::from(!p.sent)];
        stream.piece(p, acked, &mut Hear { conversation, watch, from, out });
    }

    fn advance(&mut self, sent: bool, seq: u32, at: BootNs, out: &mut Vec<Told>) {
        if !self.begun[usize::from(!sent)] {
            return;
        }
        let from = self.speaker(sent);
        let (conversation, watch) = (&mut self.conversation, &mut self.watch);
        let stream = &mut self.streams[usize::from(!sent)];
        stream.advance(seq, at, &mut Hear { conversation, watch, from, out });
    }
}

/// A stream's listeners: the conversation and who looks at its security, and who speaks.
struct Hear<'a> {
    conversation: &'a mut Conversation,
    watch: &'a mut Watch,
    from: Speaker,
    out: &'a mut Vec<Told>,
}

impl Sink for Hear<'_> {
    fn bytes(&mut self, at: BootNs, offset: u64, acked: u64, data: &[u8]) {
        self.watch.bytes(self.from, at, offset, acked, data);
        self.conversation.bytes(self.from, at, offset, data, self.out);
    }

    fn gap(&mut self, at: BootNs, offset: u64, len: u64) {
        self.watch.gap(self.from, at, offset, len);
        self.conversation.gap(self.from, at, offset, len, self.out);
    }

    fn turn(&mut self) {
        self.watch.turn(self.from);
        self.conversation.turn(self.from, self.out);
    }
}

/// All flows, and pieces that wait for theirs.
#[derive(Debug, Default)]
pub(super) struct Flows {
    pub(super) live: HashMap<EndId, Box<Flow>>,
    waiting: HashMap<EndId, Vec<Waits>>,
    waiting_bytes: usize,
    /// Of ends whose role what they say may tell.
    pub(super) unsure: Unsure,
    /// What all conversations hold, and how many lost it.
    held: usize,
    shed: u64,
    /// What they held after the last time, and a quarter of what they may.
    shed_above: usize,
    /// Ends that closed, with when.
    closed: Vec<(BootNs, EndId)>,
    /// Payload that came with a handshake, by where it went: the end may be described later.
    early: Vec<EarlyPiece>,
    /// Servers' ends of which something was said.
    servers: HashMap<Socket, EndId>,
    /// Certificates that wait for what was said at their end.
    pub(super) identities: Identities,
    /// Nothing more can be learnt from these.
    opaque: Vec<EndId>,
    told: Vec<Told>,
    pub(super) lost: u64,
    pub(super) seen: u64,
}

#[derive(Debug)]
struct Waits {
    piece: Owned,
    since: BootNs,
}

#[derive(Debug)]
struct EarlyPiece {
    place: Socket,
    piece: Owned,
}

/// Network namespace, own address, the peer's.
type Socket = (u32, Endpoint, Endpoint);

/// A piece that is kept.
#[derive(Debug)]
pub(super) struct Owned {
    at: BootNs,
    pub(super) sent: bool,
    pub(super) seq: u32,
    ack: u32,
    len: u32,
    pub(super) data: Box<[u8]>,
    turned: Option<BootNs>,
    in_order: bool,
}

impl Owned {
    pub(super) fn of(p: &Piece<'_>) -> Self {
        Owned {
            at: p.at,
            sent: p.sent,
            seq: p.seq,
            ack: p.ack,
            len: p.len,
            data: p.data.into(),
            turned: p.turned,
            in_order: p.in_order,
        }
    }

    pub(super) fn piece(&self, id: EndId) -> Piece<'_> {
        Piece {
            id,
            at: self.at,
            sent: self.sent,
            seq: self.seq,
            ack: self.ack,
            len: self.len,
            data: &self.data,
            turned: self.turned,
            in_order: self.in_order,
        }
    }
}

/// Where an end stands for its pieces.
enum Place {
    Ready(u64, View),
    /// Not described, or its role is not known yet.
    NotYet,
}

impl Track {
    /// Takes a piece of what was said.
    pub(super) fn piece(&mut self, p: &Piece<'_>) {
        self.flows.seen += 1;
        if self.flows.waiting.contains_key(&p.id) {
            return self.wait(p);
        }
        match self.place(p.id) {
            Place::Ready(key, view) => self.hear(key, view, p),
            Place::NotYet if self.config.capture => self.unsure(p),
            Place::NotYet => self.wait(p),
        }
    }

    /// Takes how far an end is.
    pub(super) fn progress(&mut self, p: &Progress) {
        if self.flows.waiting.contains_key(&p.id) {
            return;
        }
        let Place::Ready(key, view) = self.place(p.id) else { return };
        let Some(flow) = self.flows.live.get_mut(&p.id) else { return };
        let mut told = std::mem::take(&mut self.flows.told);
        for (sent, reached) in [(true, p.sent), (false, p.received)] {
            if let Some((seq, at)) = reached {
                flow.advance(sent, seq, at, &mut told);
            }
        }
        let at = [p.sent, p.received].into_iter().flatten().map(|(_, at)| at).max().unwrap_or_default();
        self.tell(key, view, p.id, at, told);
    }

    /// Takes payload that came with a handshake.
    pub(super) fn early(&mut self, e: &Early<'_>) {
        self.flows.seen += 1;
        if self.flows.early.len() >= 1024 {
            self.flows.early.remove(0);
            self.flows.lost += 1;
        }
        let place = (e.netns, e.local, e.peer);
        // The third ACK of the handshake may overtake it on another processor: then its socket is there.
        if let Some(&id) = self.flows.servers.get(&place)
            && let Place::Ready(key, view) = self.place(id)
        {
            return self.hear(key, view, &Piece { id, ..e.piece });
        }
        self.flows.early.push(EarlyPiece { place, piece: Owned::of(&e.piece) });
    }

    fn place(&self, id: EndId) -> Place {
        match self.ends.get(&id) {
            Some(&(key, view)) if self.rows.get(&key).is_some_and(|r| r.connection.role_known) => {
                Place::Ready(key, view)
            }
            _ => Place::NotYet,
        }
    }

    fn wait(&mut self, p: &Piece<'_>) {
        let flows = &mut self.flows;
        if flows.waiting_bytes + p.data.len() > WAITING_BYTES {
            flows.lost += 1;
            return;
        }
        flows.waiting_bytes += p.data.len() + size_of::<Waits>();
        let waits = Waits { piece: Owned::of(p), since: p.at };
        flows.waiting.entry(p.id).or_default().push(waits);
    }

    /// The conversation at an end hears a piece.
    pub(super) fn hear(&mut self, key: u64, view: View, p: &Piece<'_>) {
        if !self.flows.live.contains_key(&p.id) {
            let Some(end) = self.rows.get(&key).and_then(|r| r.side(view).end.as_ref()) else { return };
            let Some(mut flow) = Flow::of(end, end.adopted, view) else { return };
            let mut told = std::mem::take(&mut self.flows.told);
            self.flows.early_of(p.id, &mut flow, &mut told);
            if view == View::Server {
                self.flows.servers.insert(flow.place, p.id);
            }
            self.flows.live.insert(p.id, Box::new(flow));
            self.tell(key, view, p.id, p.at, told);
        }
        let Some(flow) = self.flows.live.get_mut(&p.id) else { return };
        flow.view = view;
        flow.heard = p.at;
        let mut told = std::mem::take(&mut self.flows.told);
        flow.piece(p, &mut told);
        let holds = flow.holds();
        self.flows.held = self.flows.held + holds - std::mem::replace(&mut flow.held, holds);
        self.tell(key, view, p.id, p.at, told);
        if self.flows.held > self.config.held.max(self.flows.shed_above) {
            self.shed_flows();
        }
    }

    /// All conversations together hold too much: those that are over end at once, and those silent for
    /// longest lose what they hold, until there is some room.
    fn shed_flows(&mut self) {
        for (at, id) in std::mem::take(&mut self.flows.closed) {
            self.end_turns(id, at);
            self.end_flow(id, at);
        }
        let enough = self.config.held / 4 * 3;
        let mut order: Vec<(BootNs, EndId)> = self.flows.live.iter().map(|(id, f)| (f.heard, *id)).collect();
        order.sort_unstable();
        for (_, id) in order {
            if self.flows.held <= enough {
                break;
            }
            let Some(&(key, view)) = self.ends.get(&id) else { continue };
            let Some(flow) = self.flows.live.get_mut(&id).filter(|f| f.held > size_of::<Flow>()) else {
                continue;
            };
            let mut told = std::mem::take(&mut self.flows.told);
            let heard = flow.heard;
            flow.shed(&mut told);
            let holds = flow.holds();
            self.flows.held = self.flows.held + holds - std::mem::replace(&mut flow.held, holds);
            self.flows.shed += 1;
            self.tell(key, view, id, heard, told);
        }
        // Not for each piece again, whatever is left.
        self.flows.shed_above = self.flows.held + self.config.held / 4;
    }

    /// How often a conversation lost what it held because all together held too much.
    pub fn shed(&self) -> u64 {
        self.flows.shed
    }

    /// What is said at an end that is described, if anything was.
    pub(super) fn flow(&mut self, id: EndId) -> Option<(u64, View, &mut Flow)> {
        let Place::Ready(key, view) = self.place(id) else { return None };
        Some((key, view, self.flows.live.get_mut(&id)?))
    }

    /// Counts what a decoder has told, and gives its list back for the next time.
    fn tell(&mut self, key: u64, view: View, id: EndId, at: BootNs, mut told: Vec<Told>) {
        let decodes = self.config.decodes;
        let Some(flow) = self.flows.live.get_mut(&id) else { return };
        let undecoded = flow.conversation.take_undecoded();
        let missed = flow.conversation.take_missed();
        let protocol = flow.conversation.protocol();
        if decodes
            && flow.conversation.is_opaque()
            && !std::mem::replace(&mut flow.recognised, true)
            && let Some(protocol) = protocol
        {
            self.asked.recognised(&mut self.rows, key, view, protocol);
        }
        if flow.is_exhausted(decodes) && !std::mem::replace(&mut flow.ignored, true) {
            self.flows.opaque.push(id);
        }
        let named = protocol.is_some() && !std::mem::replace(&mut flow.named, true);
        if flow.watch.take_changed() || named {
            self.secure(id, key, view, at);
        }
        if !decodes {
            told.clear();
            self.flows.told = told;
            return;
        }
        if let Some(protocol) = protocol.filter(|_| missed > 0) {
            self.asked.missed(&mut self.rows, key, view, protocol, missed);
        }
        if undecoded > 0 {
            self.asked.undecoded(&mut self.rows, key, view, undecoded);
        }
        for t in told.drain(..) {
            let searched = self.heard_dns(key, view, &t);
            self.asked.told(&mut self.rows, key, view, t, searched);
        }
        self.flows.told = told;
    }

    /// An end closed: it is listened to for a moment longer.
    pub(super) fn flow_closed(&mut self, id: EndId, at: BootNs) {
        self.flows.closed.push((at, id));
        if self.flows.closed.len() > LINGERING {
            let early: Vec<_> = self.flows.closed.drain(..LINGERING / 2).collect();
            for (at, id) in early {
                self.end_turns(id, at);
                self.end_flow(id, at);
            }
        }
    }

    /// Gives waiting pieces another try, and ends conversations whose ends closed a while ago.
    pub(super) fn settle_flows(&mut self, now: BootNs) {
        let ids: Vec<EndId> = self.flows.waiting.keys().copied().collect();
        let mut ready = Vec::new();
        for id in ids {
            let place = self.place(id);
            let Some(waits) = self.flows.waiting.remove(&id) else { continue };
            match place {
                Place::Ready(key, view) => ready.extend(waits.into_iter().map(|w| (key, view, id, w))),
                Place::NotYet => {
                    let (old, young): (Vec<_>, Vec<_>) =
                        waits.into_iter().partition(|w| now.since(w.since) > WAIT_NS);
                    for w in &old {
                        self.flows.waiting_bytes -= w.piece.data.len() + size_of::<Waits>();
                    }
                    // The role of a described end may never be known: that is no loss.
                    if !self.ends.contains_key(&id) {
                        self.flows.lost += old.len() as u64;
                    }
                    if !young.is_empty() {
                        self.flows.waiting.insert(id, young);
                    }
                }
            }
        }
        // As they were said: a session is resumed after it began.
        ready.sort_by_key(|(.., w)| w.since);
        for (key, view, id, w) in ready {
            self.flows.waiting_bytes -= w.piece.data.len() + size_of::<Waits>();
            self.hear(key, view, &w.piece.piece(id));
        }
        self.settle_identities(now);
        self.link_again(now);
        self.settle_datagrams(now);
        self.settle_turns();
        let before = self.flows.early.len();
        self.flows.early.retain(|e| now.since(e.piece.at) <= WAIT_NS);
        self.flows.lost += (before - self.flows.early.len()) as u64;
        let (over, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.flows.closed)
            .into_iter()
            .partition(|(at, _)| now.since(*at) > LINGER_NS);
        self.flows.closed = rest;
        for (at, id) in over {
            self.end_turns(id, at);
            self.end_flow(id, at);
        }
    }

    fn end_flow(&mut self, id: EndId, at: BootNs) {
        self.forget_unsure(id);
        let Some(flow) = self.flows.live.get_mut(&id) else { return };
        let mut told = std::mem::take(&mut self.flows.told);
        flow.conversation.end(at, &mut told);
        flow.watch.end(at);
        match self.ends.get(&id).copied() {
            Some((key, view)) => self.tell(key, view, id, at, told),
            None => {
                told.clear();
                self.flows.told = told;
            }
        }
        if let Some(flow) = self.flows.live.remove(&id) {
            if self.flows.servers.get(&flow.place) == Some(&id) {
                self.flows.servers.remove(&flow.place);
            }
            self.flows.held -= flow.held;
        }
    }

    /// Nothing more will come: what is still waited for is told as not known. Connections stay as
    /// they are.
    pub fn finish(&mut self, now: BootNs) {
        let ids: Vec<EndId> = self.flows.live.keys().copied().collect();
        ids.into_iter().for_each(|id| self.end_flow(id, now));
        self.finish_datagrams();
    }

    /// Ends of which nothing more can be learnt, since the last call.
    pub fn take_opaque(&mut self) -> Vec<EndId> {
        std::mem::take(&mut self.flows.opaque)
    }

    /// Pieces that were seen, and those of them that belong to no end that is known.
    pub fn pieces(&self) -> (u64, u64) {
        (self.flows.seen, self.flows.lost)
    }
}

impl Flows {
    /// Gives a new flow what came with its handshake.
    fn early_of(&mut self, id: EndId, flow: &mut Flow, told: &mut Vec<Told>) {
        while let Some(i) = self.early.iter().position(|e| e.place == flow.place) {
            let e = self.early.remove(i);
            flow.piece(&e.piece.piece(id), told);
        }
    }
}
