//! The security of connections: which end's verdict stands for a connection, and what a resumed
//! session inherits from the handshake that began it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::flows::Flow;
use super::links::{Link, Links, Waits};
use super::table::Track;
use super::tracked::{Tracked, slot};
use super::tunnels;
use crate::model::{BootNs, EndId, Handshake, Inherits, Mesh, Protocol, Security, Tls, Tunnel, View};
use crate::wire::tls::names;

/// Verdicts without particulars that are shared.
const SHARED: usize = 16;

/// What is known beside the rows.
#[derive(Debug)]
pub(super) struct Securing {
    /// Whether what is said is looked at.
    looks: bool,
    silent: Arc<Tls>,
    older: Arc<Tls>,
    shared: VecDeque<Arc<Tls>>,
    links: Links,
}

impl Securing {
    pub(super) fn new(looks: bool) -> Self {
        let unknown = |why: &str| Arc::new(Tls { unknown: Some(why.into()), ..Tls::default() });
        Securing {
            looks,
            silent: unknown("nothing was said yet"),
            older: unknown("began before webb watched, and nothing was said since"),
            shared: VecDeque::new(),
            links: Links::default(),
        }
    }

    /// What is known of a connection before it says anything.
    pub(super) fn at_first(&self, adopted: bool) -> Option<Arc<Tls>> {
        self.looks.then(|| if adopted { self.older.clone() } else { self.silent.clone() })
    }

    /// Connections in the clear are many and alike.
    fn share(&mut self, tls: Tls) -> Arc<Tls> {
        let alike = match tls.status {
            Security::Plaintext | Security::Unknown => true,
            Security::Tunnel => tls.version.is_none(),
            _ => false,
        };
        if !alike {
            return Arc::new(tls);
        }
        if let Some(known) = self.shared.iter().find(|known| ***known == tls) {
            return known.clone();
        }
        let tls = Arc::new(tls);
        if self.shared.len() >= SHARED {
            self.shared.pop_front();
        }
        self.shared.push_back(tls.clone());
        tls
    }
}

impl Track {
    /// The verdict at one end changed, or its protocol became known.
    pub(super) fn secure(&mut self, id: EndId, key: u64, view: View, at: BootNs) {
        let Some(flow) = self.flows.live.get_mut(&id) else { return };
        let (mut tls, sessions) = (flow.watch.verdict(), flow.watch.resumption());
        let protocol = flow.conversation.protocol();
        let Some(row) = self.rows.get_mut(&key) else { return };
        in_the_clear(&mut tls, protocol);
        let link = Link::of(row, &tls, sessions);
        match tls.status {
            Security::Mtls | Security::Tls => {
                self.securing.links.full(&link, tls.status == Security::Mtls, at);
            }
            Security::Resumed => {
                self.securing.links.resumed(&link, at).tell(&mut tls);
                self.securing.links.later(Waits { row: key, view, link, at });
            }
            _ => {}
        }
        label(&mut tls, row.connection.server.address.port);
        let tls = self.securing.share(tls);
        self.decide(key, view, tls, at);
    }

    /// What one end saw of a connection.
    pub(super) fn decide(&mut self, key: u64, view: View, tls: Arc<Tls>, at: BootNs) {
        let Some(row) = self.rows.get_mut(&key) else { return };
        row.tls[slot(view)] = Some(tls);
        self.judge(key, at);
    }

    /// The verdict on a connection: by what its ends saw of it, and by where its packets go.
    pub(super) fn judge(&mut self, key: u64, at: BootNs) {
        let Some(row) = self.rows.get_mut(&key) else { return };
        let said = row.verdict();
        let tunnelled = tunnels::around(said.as_deref(), row.routes, row.connection.role_known);
        let on_a_leg = tunnelled.as_ref().or(said.as_deref()).and_then(|tls| row.on_a_leg(tls));
        let verdict = match on_a_leg.or(tunnelled) {
            Some(tls) => Some(self.securing.share(tls)),
            None => said,
        };
        if row.connection.tls != verdict {
            row.connection.tls = verdict;
            row.connection.changed = at;
            self.touch(key);
        }
    }

    /// Links resumed sessions again: their full handshake may have been read after them.
    pub(super) fn link_again(&mut self, now: BootNs) {
        let mut waiting = std::mem::take(&mut self.securing.links.waiting);
        waiting.retain(|w| {
            let told = self.rows.get(&w.row).and_then(|row| row.tls[slot(w.view)].clone());
            let Some(told) = told.filter(|tls| tls.status == Security::Resumed) else { return false };
            let found = self.securing.links.resumed(&w.link, w.at);
            if !found.is_told(&told) {
                let mut tls = Tls::clone(&told);
                found.tell(&mut tls);
                self.decide(w.row, w.view, Arc::new(tls), w.at);
            }
            w.is_young(now)
        });
        self.securing.links.waiting = waiting;
    }
}

/// What was decoded is not encrypted, also where its beginning was not seen.
fn in_the_clear(tls: &mut Tls, protocol: Option<Protocol>) {
    let Some(protocol) = protocol.filter(|p| !matches!(p, Protocol::Tls | Protocol::Quic)) else { return };
    if tls.status == Security::Unknown && tls.version.is_none() {
        tls.status = Security::Plaintext;
        tls.unknown = None;
        tls.evidence = vec![format!("its bytes are {}", protocol.as_str()).into()];
    }
}

/// Names the mesh, and concludes from it where the bytes do not tell.
fn label(tls: &mut Tls, port: u16) {
    if tls.version.is_none() && tls.sni.is_none() && tls.alpn_offered.is_empty() {
        return;
    }
    let Some(seen) = names::mesh(tls.sni.as_deref(), &tls.alpn_offered, port) else { return };
    tls.mesh = Some(seen.mesh);
    tls.evidence.push(seen.why.into());
    if seen.mesh == Mesh::IstioAmbient && tls.handshake == Handshake::Established {
        // HBONE: connections of applications lie in it.
        tls.status = Security::Tunnel;
        tls.tunnel = Some(Tunnel::Hbone);
        tls.inside = Some(Security::Unknown);
        tls.unknown = Some("HBONE encrypts what is inside".into());
        return;
    }
    let undecided = match tls.status {
        Security::Resumed => !matches!(tls.inherits, Some(Inherits::Tls | Inherits::Mtls)),
        status => status == Security::Unknown,
    };
    // Offering a mesh's protocol alone is no proof: the server name must have the mesh's form, too.
    let named = seen.intended.is_some() || seen.server_identity.is_some();
    if seen.implied_mutual && named && undecided && tls.handshake == Handshake::Established {
        tls.status = Security::Implied;
        tls.unknown = None;
    }
}

/// A verdict with the certificates that only the process of the other end handed over.
fn with_certificates(tls: &Arc<Tls>, other: &Tls) -> Arc<Tls> {
    let lacks = |mine: &Option<_>, theirs: &Option<_>| mine.is_none() && theirs.is_some();
    if !lacks(&tls.client, &other.client) && !lacks(&tls.server, &other.server) {
        return tls.clone();
    }
    let mut tls = Tls::clone(tls);
    for (mine, theirs) in [(&mut tls.client, &other.client), (&mut tls.server, &other.server)] {
        let Some(certificate) = theirs.as_ref().filter(|_| mine.is_none()) else { continue };
        let said = other.evidence.iter().find(|line| line.contains(certificate.name()));
        tls.evidence.extend(said.cloned());
        *mine = Some(certificate.clone());
    }
    Arc::new(tls)
}

impl Tracked {
    /// Of the two ends' verdicts the one that says more; the client's where they say the same.
    fn verdict(&self) -> Option<Arc<Tls>> {
        let weight =
            |t: &Arc<Tls>| (t.status != Security::Unknown, t.confidence, t.handshake != Handshake::Open);
        let [client, server] = &self.tls;
        match (client, server) {
            (Some(c), Some(s)) if weight(s) > weight(c) => Some(with_certificates(s, c)),
            (Some(c), Some(s)) => Some(with_certificates(c, s)),
            (Some(one), None) | (None, Some(one)) => Some(one.clone()),
            (None, None) => self.first.clone(),
        }
    }
}

impl Flow {
    /// Whether nothing that is still to be said could tell more. Where requests are not decoded, the
    /// protocol matters only of what was open before: it tells that it is in the clear.
    pub(super) fn is_exhausted(&self, decodes: bool) -> bool {
        if decodes {
            return self.conversation.is_opaque() && self.watch.is_settled();
        }
        self.watch.is_settled() || (self.adopted && self.conversation.protocol().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hbone_is_a_tunnel_once_it_is_established() {
        let hello = |handshake| {
            let mut tls = Tls {
                status: Security::Mtls,
                version: Some(0x0304),
                alpn_offered: vec!["h2".into()],
                handshake,
                ..Tls::default()
            };
            label(&mut tls, 15008);
            assert_eq!((tls.mesh, tls.evidence.len()), (Some(Mesh::IstioAmbient), 1));
            (tls.status, tls.tunnel, tls.inside)
        };
        let tunnel = (Security::Tunnel, Some(Tunnel::Hbone), Some(Security::Unknown));
        assert_eq!(hello(Handshake::Established), tunnel);
        assert_eq!(hello(Handshake::Open), (Security::Mtls, None, None));
    }
}
