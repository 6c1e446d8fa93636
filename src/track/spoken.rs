//! Roles by what is said: who asks and who answers, for connections of a capture whose handshake is
//! not in it. Nothing is concluded from ports.
//!
//! Of each side the beginning is kept, from its first byte in the capture on; when both have spoken and
//! no protocol says for certain who asks, from the next message on, and so [`TRIES`] times. Then the
//! role stays unknown.

use std::collections::HashMap;

use super::flows::{Flow, Owned};
use super::piece::Piece;
use super::table::Track;
use crate::model::{EndId, Role, RoleEvidence, View};
use crate::wire::{Asks, who_asks};

/// Bytes of each side that are looked at.
const KEPT: usize = 2048;
/// Pieces of one end that are kept.
const PIECES: usize = 64;
/// Beginnings that are looked at before an end is given up.
const TRIES: u8 = 12;
/// What all ends keep together, bytes.
const KEPT_ALL: usize = 8 << 20;
/// Ends that are looked at, or were given up.
const ENDS: usize = 65_536;

/// What ends without a role have said.
#[derive(Debug, Default)]
pub(super) struct Unsure {
    ends: HashMap<EndId, Said>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Said {
    pieces: Vec<Owned>,
    tries: u8,
    /// What is kept cannot be looked at: until the next message.
    torn: bool,
}

impl Said {
    fn bytes(&self) -> usize {
        self.pieces.capacity() * size_of::<Owned>() + self.pieces.iter().map(|p| p.data.len()).sum::<usize>()
    }

    /// The unbroken beginning of what one side said.
    fn beginning(&self, sent: bool) -> Vec<u8> {
        let mut begin = Vec::new();
        let mut next = None;
        for p in self.pieces.iter().filter(|p| p.sent == sent) {
            if next.is_some_and(|next| next != p.seq) {
                break;
            }
            begin.extend_from_slice(&p.data);
            next = Some(p.seq.wrapping_add(p.data.len() as u32));
        }
        begin
    }

    fn take(&mut self, p: &Piece<'_>) {
        let both = [true, false].into_iter().all(|sent| self.pieces.iter().any(|p| p.sent == sent));
        if p.turned.is_some() && (both || self.torn) {
            // Pieces that follow on a message of which both sides are there begin the next one.
            self.tries += 1;
            (self.pieces, self.torn) = (Vec::new(), false);
        }
        if self.torn {
            return;
        }
        if self.pieces.len() >= PIECES {
            (self.pieces, self.torn) = (Vec::new(), true);
            return;
        }
        let kept: usize = self.pieces.iter().filter(|o| o.sent == p.sent).map(|o| o.data.len()).sum();
        let data = p.data.get(..KEPT.saturating_sub(kept)).unwrap_or(p.data);
        self.pieces.push(Owned::of(&Piece { data, ..*p }));
    }
}

impl Track {
    /// Takes a piece of an end whose role is not known.
    pub(super) fn unsure(&mut self, p: &Piece<'_>) {
        if !self.ends.contains_key(&p.id) {
            // It found no room in the table.
            self.flows.lost += 1;
            return;
        }
        let unsure = &mut self.flows.unsure;
        if unsure.bytes > KEPT_ALL || (unsure.ends.len() >= ENDS && !unsure.ends.contains_key(&p.id)) {
            self.flows.lost += 1;
            return;
        }
        let said = unsure.ends.entry(p.id).or_default();
        if said.tries >= TRIES {
            return;
        }
        let before = said.bytes();
        said.take(p);
        if said.tries >= TRIES {
            said.pieces = Vec::new();
        }
        unsure.bytes = unsure.bytes + said.bytes() - before;
        let asks = who_asks(&said.beginning(true), &said.beginning(false));
        if let Some(asks) = asks {
            self.role_by_words(p.id, if asks == Asks::One { Role::Client } else { Role::Server });
        }
    }

    /// What both sides said tells the role of an end.
    fn role_by_words(&mut self, id: EndId, role: Role) {
        let pieces = self.forget_unsure(id);
        let (Some(&(key, stands)), Some(view)) = (self.ends.get(&id), Option::<View>::from(role)) else {
            return;
        };
        let Some(row) = self.rows.get_mut(&key) else { return };
        row.connection.role_known = true;
        let Some(end) = row.end_mut(stands) else { return };
        (end.role, end.role_evidence) = (role, RoleEvidence::Said);
        let flow = Flow::of(end, true, view);
        if stands != view {
            self.flip(key);
        }
        self.touch(key);
        // Where the one who answers spoke first, that was to something before.
        let asked_first = pieces.first().is_some_and(|p| p.sent == (role == Role::Client));
        if let Some(flow) = flow {
            let flow = if asked_first { flow.at_message() } else { flow };
            self.flows.live.insert(id, Box::new(flow));
        }
        for p in &pieces {
            self.hear(key, view, &p.piece(id));
        }
    }

    /// The role of a row's end became known in another way: what it has said is heard now.
    pub(super) fn words_of(&mut self, key: u64) {
        let Some(row) = self.rows.get(&key) else { return };
        let ends = [View::Client, View::Server].map(|v| row.side(v).end.as_ref().map(|e| (e.id, v)));
        for (id, view) in ends.into_iter().flatten() {
            for p in self.forget_unsure(id) {
                self.hear(key, view, &p.piece(id));
            }
        }
    }

    /// An end is not looked at any more; what was kept of it.
    pub(super) fn forget_unsure(&mut self, id: EndId) -> Vec<Owned> {
        let Some(said) = self.flows.unsure.ends.remove(&id) else { return Vec::new() };
        self.flows.unsure.bytes -= said.bytes();
        said.pieces
    }
}
