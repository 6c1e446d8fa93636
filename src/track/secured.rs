//! The security of connections: which end's verdict stands for a connection, and what a resumed
//! session inherits from the handshake that began it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::flows::Flow;
use super::table::Track;
use super::tracked::{Tracked, slot};
use super::tunnels;
use crate::model::{
    BootNs, EndId, EntityId, Handshake, Inherits, Mesh, Protocol, Security, StableHasher, Tls, Tunnel, View,
};
use crate::wire::tls::{Sessions, names};

/// Full handshakes that are remembered; beyond it the oldest is forgotten.
const REMEMBERED: usize = 16_384;
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
    full: HashMap<u64, (Inherits, BootNs)>,
    order: VecDeque<u64>,
}

impl Securing {
    pub(super) fn new(looks: bool) -> Self {
        let unknown = |why: &str| Arc::new(Tls { unknown: Some(why.into()), ..Tls::default() });
        Securing {
            looks,
            silent: unknown("nothing was said yet"),
            older: unknown("began before webb watched, and nothing was said since"),
            shared: VecDeque::new(),
            full: HashMap::new(),
            order: VecDeque::new(),
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

    fn remember(&mut self, key: u64, what: Inherits, at: BootNs) {
        if self.full.insert(key, (what, at)).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.full.remove(&oldest);
        }
    }
}

/// Who asked whom by which name: how a session of TLS 1.3 is found again.
fn asked(row: &Tracked, client: Option<EntityId>, tls: &Tls) -> u64 {
    let c = &row.connection;
    let client = match client {
        Some(entity) => StableHasher::new("session").number(entity.0),
        None => StableHasher::new("session by address").bytes(c.client.address.addr.to_string().as_bytes()),
    };
    client
        .bytes(&c.server.address.addr_bytes())
        .number(u64::from(c.server.address.port))
        .bytes(tls.sni.as_deref().unwrap_or("").as_bytes())
        .finish()
}

fn session(id: u64) -> u64 {
    StableHasher::new("session id").number(id).finish()
}

impl Track {
    /// The verdict at one end changed, or its protocol became known.
    pub(super) fn secure(&mut self, id: EndId, key: u64, view: View, at: BootNs) {
        let Some(flow) = self.flows.live.get_mut(&id) else { return };
        let (mut tls, sessions) = (flow.watch.verdict(), flow.watch.resumption());
        let protocol = flow.conversation.protocol();
        let Some(row) = self.rows.get_mut(&key) else { return };
        in_the_clear(&mut tls, protocol);
        self.securing.link(row, &mut tls, sessions.as_ref(), at);
        label(&mut tls, row.connection.server.address.port);
        row.tls[slot(view)] = Some(self.securing.share(tls));
        self.judge(key, at);
    }

    /// The verdict on a connection: by what its ends saw of it, and by where its packets go.
    pub(super) fn judge(&mut self, key: u64, at: BootNs) {
        let Some(row) = self.rows.get_mut(&key) else { return };
        let said = row.verdict();
        let verdict = match tunnels::around(said.as_deref(), row.routes, row.connection.role_known) {
            Some(tls) => Some(self.securing.share(tls)),
            None => said,
        };
        if row.connection.tls != verdict {
            row.connection.tls = verdict;
            row.connection.changed = at;
            self.touch(key);
        }
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

impl Securing {
    /// Remembers a full handshake, and finds the one that a resumed session began with.
    fn link(&mut self, row: &Tracked, tls: &mut Tls, sessions: Option<&Sessions>, at: BootNs) {
        let owner = row.connection.client.end.as_ref().map(|e| e.entity);
        let by_name = [owner.map(|o| asked(row, Some(o), tls)), Some(asked(row, None, tls))];
        let what = match tls.status {
            Security::Mtls => Inherits::Mtls,
            Security::Tls => Inherits::Tls,
            Security::Resumed => {
                // In TLS 1.2 the session itself is named; else it is who asks whom.
                let exact = sessions.and_then(|s| s.used).map(session);
                let found = match exact {
                    Some(exact) => self.full.get(&exact),
                    None => by_name.into_iter().flatten().find_map(|k| self.full.get(&k)),
                };
                let (what, when) = found.copied().map_or((Inherits::Unknown, None), |(w, t)| (w, Some(t)));
                tls.inherits = Some(what);
                tls.inherits_at = when;
                if when.is_some() {
                    // A resumed session may hand out the ticket of the next one.
                    for id in sessions.iter().flat_map(|s| &s.issued) {
                        self.remember(session(*id), what, when.unwrap_or(at));
                    }
                }
                return;
            }
            _ => return,
        };
        by_name.into_iter().flatten().for_each(|k| self.remember(k, what, at));
        for id in sessions.iter().flat_map(|s| &s.issued) {
            self.remember(session(*id), what, at);
        }
    }
}

impl Tracked {
    /// Of the two ends' verdicts the one that says more; the client's where they say the same.
    fn verdict(&self) -> Option<Arc<Tls>> {
        let weight =
            |t: &Arc<Tls>| (t.status != Security::Unknown, t.confidence, t.handshake != Handshake::Open);
        let [client, server] = &self.tls;
        match (client, server) {
            (Some(c), Some(s)) if weight(s) > weight(c) => Some(s.clone()),
            (Some(one), _) | (None, Some(one)) => Some(one.clone()),
            (None, None) => self.first.clone(),
        }
    }
}

impl Flow {
    /// Whether nothing that is still to be said could tell more.
    pub(super) fn is_exhausted(&self) -> bool {
        self.conversation.is_opaque() && self.watch.is_settled()
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
