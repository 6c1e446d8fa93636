//! Datagrams: conversations over UDP, with the exchanges in them as far as they are decoded.
//!
//! A conversation is a socket and a peer. It has no handshake and no end: it is over when nothing
//! was said for [`IDLE_NS`].

use std::collections::HashMap;

use super::piece::Datagram;
use super::table::Track;
use super::tracked::Tracked;
use crate::model::{
    BootNs, End, EndId, EndState, EntityKind, Known, Outcome, Protocol, Role, RoleEvidence, Seen, Shape,
    StableHasher, Transport, Verdict, View,
};
use crate::wire::dns::{self, Queries};
use crate::wire::quic::Handshake;
use crate::wire::{Sniff, Span, Speaker, Told};

/// A conversation is over after so long a silence.
const IDLE_NS: u64 = 15_000_000_000;
/// Silent ones are looked for this often.
const LOOK_NS: u64 = 1_000_000_000;
/// QUIC handshakes that are read at a time.
const HANDSHAKES: usize = 1024;

/// What is known of UDP conversations beside their rows.
#[derive(Default)]
pub(super) struct Datagrams {
    queries: Queries<EndId>,
    quic: HashMap<EndId, Handshake>,
    /// When each conversation last said something.
    last: HashMap<EndId, BootNs>,
    looked: BootNs,
    told: Vec<(EndId, Told)>,
}

impl std::fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Datagrams").field("conversations", &self.last.len()).finish_non_exhaustive()
    }
}

impl Track {
    /// Takes a datagram.
    pub(super) fn datagram(&mut self, d: &Datagram<'_>) {
        self.flows.seen += 1;
        let id = EndId { generation: conversation(d), ..d.id };
        let dns = dns::sniff_datagram(d.data) != Sniff::No && is_dns(d);
        let Some((key, view)) = self.ends.get(&id).copied().or_else(|| self.open_udp(id, d, dns)) else {
            return;
        };
        self.datagrams.last.insert(id, d.at);
        let Some(end) = self.rows.get_mut(&key).and_then(|r| r.end_mut(view)) else { return };
        let mut seen = end.seen;
        *if d.sent { &mut seen.bytes_sent } else { &mut seen.bytes_received } += u64::from(d.len);
        self.traffic(key, view, d.at, seen);
        if let Some(row) = self.rows.get_mut(&key) {
            row.connection.changed = d.at;
        }
        self.touch(key);
        let mut told = std::mem::take(&mut self.datagrams.told);
        if dns && d.peer.addr.is_multicast() {
            self.datagrams.queries.multicast(id, d.at, d.data, d.len, &mut told);
        } else if dns {
            let speaker = if d.sent == (view == View::Client) { Speaker::Client } else { Speaker::Server };
            self.datagrams.queries.datagram(id, speaker, d.at, d.data, d.len, &mut told);
        } else {
            self.quic(id, d, &mut told);
        }
        let undecoded = self.datagrams.queries.take_undecoded();
        if undecoded > 0 {
            self.asked.undecoded(&mut self.rows, key, view, undecoded);
        }
        self.tell_datagrams(told);
    }

    /// A conversation begins.
    fn open_udp(&mut self, id: EndId, d: &Datagram<'_>, dns: bool) -> Option<(u64, View)> {
        if self.is_full() {
            return None;
        }
        // A DNS message says itself whether it asks; else the one who speaks first is the client.
        let asks = if dns { dns::speaker(d.data) != Some(Speaker::Server) } else { true };
        let role = if asks == d.sent { Role::Client } else { Role::Server };
        let owner = self.owner(&d.owner);
        let entity = self.entities.of_owner(&d.owner, d.local.addr);
        let end = End {
            id,
            local: d.local,
            peer: d.peer,
            role,
            role_evidence: RoleEvidence::SpokeFirst,
            owner,
            entity,
            adopted: false,
            isns: None,
            opened: d.at,
            established: BootNs(0),
            closed: BootNs(0),
            state: EndState::Established,
            outcome: None,
            seen: Seen::default(),
        };
        let netns = d.owner.netns;
        let other = self.waiting.meet_at(id, (netns, d.local, d.peer), role);
        let joined = other.and_then(|(other, role)| self.join(&end, other, role));
        let place = joined.unwrap_or_else(|| {
            let far = EntityKind::far(end.peer.addr).id();
            let (mut row, view) = Tracked::new(end, far);
            row.connection.transport = Transport::Udp;
            row.settle();
            (self.put_row(row), view)
        });
        self.ends.insert(id, place);
        Some(place)
    }

    fn quic(&mut self, id: EndId, d: &Datagram<'_>, told: &mut Vec<(EndId, Told)>) {
        if !self.datagrams.quic.contains_key(&id) && self.datagrams.quic.len() >= HANDSHAKES {
            return;
        }
        let handshake = self.datagrams.quic.entry(id).or_default();
        let Some(hello) = handshake.initial(d.data) else { return };
        let name = match &hello.hello.server_name {
            Known::Known(name) => Known::Known(name.to_string().into_boxed_str()),
            Known::Unknown(why) => Known::Unknown(why),
            Known::Absent => Known::Absent,
        };
        let status = match &hello.hello.protocols {
            Known::Known(list) => list.first().map_or(Known::Absent, |p| Known::Known(p.to_string().into())),
            Known::Unknown(why) => Known::Unknown(why),
            Known::Absent => Known::Absent,
        };
        let span = Span { first: d.at, last: d.at, bytes: u64::from(d.len) };
        told.push((
            id,
            Told {
                protocol: Protocol::Quic,
                shape: Shape::Stream,
                method: crate::wire::quic::version_name(hello.version),
                target: name,
                status,
                verdict: Verdict::Ok,
                request: span,
                response: None,
                key: (0, 0),
                dns: None,
            },
        ));
    }

    fn tell_datagrams(&mut self, mut told: Vec<(EndId, Told)>) {
        for (id, t) in told.drain(..) {
            let Some(&(key, view)) = self.ends.get(&id) else { continue };
            let searched = self.heard_dns(key, view, &t);
            self.asked.told(&mut self.rows, key, view, t, searched);
        }
        self.datagrams.told = told;
    }

    /// Questions whose answers will not come any more.
    pub(super) fn finish_datagrams(&mut self) {
        let mut told = std::mem::take(&mut self.datagrams.told);
        self.datagrams.queries.end(&mut told);
        self.tell_datagrams(told);
    }

    /// Questions without an answer, and conversations that are over.
    pub(super) fn settle_datagrams(&mut self, now: BootNs) {
        let mut told = std::mem::take(&mut self.datagrams.told);
        self.datagrams.queries.expire(now, &mut told);
        self.tell_datagrams(told);
        if now.since(self.datagrams.looked) < LOOK_NS {
            return;
        }
        self.datagrams.looked = now;
        let silent = |at: &BootNs| now.since(*at) > IDLE_NS;
        let over: Vec<(EndId, BootNs)> =
            self.datagrams.last.iter().filter(|(_, at)| silent(at)).map(|(id, at)| (*id, *at)).collect();
        for (id, at) in over {
            self.datagrams.last.remove(&id);
            self.datagrams.quic.remove(&id);
            let Some(&(key, view)) = self.ends.get(&id) else { continue };
            let Some(row) = self.rows.get_mut(&key) else { continue };
            if let Some(end) = row.end_mut(view) {
                end.state = EndState::Closed;
                end.closed = at;
                end.outcome = Some(Outcome::Clean);
            }
            if row.settle() {
                self.over.push_back((now, key));
            }
            self.touch(key);
        }
    }
}

/// A number for the peer of a socket; a source that knows conversations gives its own.
fn conversation(d: &Datagram<'_>) -> u32 {
    if d.id.generation != 0 {
        return d.id.generation;
    }
    let text = d.peer.to_string();
    StableHasher::new("udp").bytes(text.as_bytes()).finish() as u32 | 1
}

fn is_dns(d: &Datagram<'_>) -> bool {
    [d.local.port, d.peer.port].iter().any(|p| matches!(p, 53 | 5353 | 5355))
}
