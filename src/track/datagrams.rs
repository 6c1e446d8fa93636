//! Datagrams that are decoded: the exchanges in conversations over UDP.

use std::collections::HashMap;
use std::sync::Arc;

use super::piece::Datagram;
use super::table::Track;
use super::talks::{First, conversation};
use crate::model::{BootNs, EndId, Known, Protocol, Role, Shape, Tls, Verdict, View};
use crate::wire::dns::{self, Queries};
use crate::wire::quic::Handshake;
use crate::wire::tls::Hello;
use crate::wire::{Sniff, Span, Speaker, Told};

/// QUIC handshakes that are read at a time.
const HANDSHAKES: usize = 1024;

/// What is known of UDP conversations beside their rows.
#[derive(Default)]
pub(super) struct Datagrams {
    queries: Queries<EndId>,
    quic: HashMap<EndId, Handshake>,
    told: Vec<(EndId, Told)>,
}

impl std::fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Datagrams").field("handshakes", &self.quic.len()).finish_non_exhaustive()
    }
}

impl Track {
    /// Takes a datagram.
    pub(super) fn datagram(&mut self, d: &Datagram<'_>) {
        self.flows.seen += 1;
        let id = conversation(d.id, d.peer);
        let dns = dns::sniff_datagram(d.data) != Sniff::No && is_dns(d);
        // A DNS message says itself whether it asks; else the one who speaks first is the client.
        let asks = !dns || dns::speaker(d.data) != Some(Speaker::Server);
        let role = if asks == d.sent { Role::Client } else { Role::Server };
        let first = First { id, at: d.at, role, local: d.local, peer: d.peer, owner: &d.owner };
        let Some((key, view)) = self.talk_place(&first) else { return };
        let one = |way| if d.counted || d.sent != way { (0, 0) } else { (u64::from(d.len), 1) };
        self.passed(id, (key, view), d.at, one(true), one(false));
        let mut told = std::mem::take(&mut self.datagrams.told);
        if dns && d.peer.addr.is_multicast() {
            self.datagrams.queries.multicast(id, d.at, d.data, d.len, &mut told);
        } else if dns {
            let speaker = if d.sent == (view == View::Client) { Speaker::Client } else { Speaker::Server };
            self.datagrams.queries.datagram(id, speaker, d.at, d.data, d.len, &mut told);
        } else {
            self.quic(id, (key, view), d, &mut told);
        }
        let undecoded = self.datagrams.queries.take_undecoded();
        if undecoded > 0 {
            self.asked.undecoded(&mut self.rows, key, view, undecoded);
        }
        self.tell_datagrams(told);
    }

    fn quic(&mut self, id: EndId, (key, view): (u64, View), d: &Datagram<'_>, told: &mut Vec<(EndId, Told)>) {
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
        let tls = Arc::new(in_quic(&hello.hello));
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
        self.decide(key, view, tls, d.at);
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
        for id in self.silent_talks(now) {
            self.datagrams.quic.remove(&id);
        }
    }
}

/// What QUIC shows of its TLS (RFC 9001): the hello, and that it is TLS 1.3. The rest of the handshake is
/// encrypted in packets that no records can be told apart in.
fn in_quic(hello: &Hello) -> Tls {
    let sni = hello.server_name.known().cloned();
    let name = sni.as_deref().map(|name| format!(" for {name}")).unwrap_or_default();
    Tls {
        unknown: Some("QUIC hides whether the client presented a certificate".into()),
        version: Some(0x0304),
        alpn_offered: hello.protocols.known().cloned().unwrap_or_default(),
        ech: hello.encrypted,
        evidence: vec![format!("client: QUIC, ClientHello{name}").into()],
        sni,
        ..Tls::default()
    }
}

fn is_dns(d: &Datagram<'_>) -> bool {
    [d.local.port, d.peer.port].iter().any(|p| matches!(p, 53 | 5353 | 5355))
}
