//! Certificates that processes had from their peers: to the handshake that they are of.

use super::flows::WAIT_NS;
use super::piece::HandedAt;
use super::table::Track;
use crate::model::{BootNs, EndId, View};
use crate::wire::Speaker;
use crate::wire::tls::Handed;

/// Certificates that wait for what was said at their end: what is said leaves the kernel in batches.
const WAITING: usize = 256;

/// Those that wait.
#[derive(Debug, Default)]
pub(super) struct Identities(Vec<Waits>);

#[derive(Debug)]
struct Waits {
    id: EndId,
    at: BootNs,
    before: Option<[u8; 8]>,
    len: u32,
    der: Box<[u8]>,
}

impl Track {
    /// Takes a certificate.
    pub(super) fn handed(&mut self, h: &HandedAt<'_>) {
        self.flows.seen += 1;
        if self.hand(h.id, h.at, &h.handed) {
            return;
        }
        let waiting = &mut self.flows.identities.0;
        if waiting.len() >= WAITING {
            waiting.remove(0);
            self.flows.lost += 1;
        }
        let Handed { before, len, der } = h.handed;
        waiting.push(Waits { id: h.id, at: h.at, before, len, der: der.into() });
    }

    /// Gives it to the handshake of its end; whether there is one.
    fn hand(&mut self, id: EndId, at: BootNs, handed: &Handed<'_>) -> bool {
        let Some((key, view, flow)) = self.flow(id) else { return false };
        // What a client's process has is the server's.
        flow.watch.handed(if view == View::Client { Speaker::Server } else { Speaker::Client }, handed);
        if flow.watch.take_changed() {
            self.secure(id, key, view, at);
        }
        true
    }

    /// Gives those that wait another try.
    pub(super) fn settle_identities(&mut self, now: BootNs) {
        for w in std::mem::take(&mut self.flows.identities.0) {
            if self.hand(w.id, w.at, &Handed { before: w.before, len: w.len, der: &w.der }) {
                continue;
            }
            if now.since(w.at) > WAIT_NS {
                self.flows.lost += 1;
            } else {
                self.flows.identities.0.push(w);
            }
        }
    }
}
