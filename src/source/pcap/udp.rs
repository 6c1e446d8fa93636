//! UDP conversations of a capture: one per pair of addresses and ports.

use std::collections::HashMap;

use super::Observation;
use super::conn::Out;
use super::counts::Counts;
use super::segment;
use super::slab::{Key, Slab};
use crate::model::{BootNs, EndId, Endpoint};
use crate::track::Datagram;

/// Conversations that are remembered; the one silent for longest is forgotten first.
const MAX_CONVERSATIONS: usize = 1 << 16;

#[derive(Debug)]
struct Conversation {
    key: Key,
    cookie: u64,
    /// Who spoke first.
    local: Endpoint,
    last: BootNs,
}

/// Conversations, by their addresses and ports.
#[derive(Debug)]
pub(super) struct Udp {
    places: HashMap<Key, u32>,
    conversations: Slab<Conversation, 1>,
}

impl Udp {
    pub(super) fn new() -> Self {
        Udp { places: HashMap::new(), conversations: Slab::new() }
    }

    /// Takes in a datagram.
    pub(super) fn datagram(
        &mut self,
        (src, dst): (Endpoint, Endpoint),
        datagram: &segment::Udp<'_>,
        at: BootNs,
        counts: &mut Counts,
        cookie: &mut u64,
        out: Out<'_>,
    ) {
        let key = Key::new(src, dst);
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None => {
                self.make_room(counts);
                let new = Conversation { key, cookie: *cookie, local: src, last: at };
                *cookie += 1;
                counts.conversations += 1;
                let place = self.conversations.insert(new, 0);
                self.places.insert(key, place);
                place
            }
        };
        self.conversations.renew(place, 0);
        let Some(conversation) = self.conversations.get_mut(place) else { return };
        conversation.last = conversation.last.max(at);
        let sent = src == conversation.local;
        let (local, peer) = if sent { (src, dst) } else { (dst, src) };
        out(Observation::Datagram(Datagram {
            id: EndId { netns_cookie: 0, cookie: conversation.cookie, generation: 1 },
            at: conversation.last,
            sent,
            local,
            peer,
            owner: crate::track::OwnerFact::default(),
            len: datagram.len,
            data: datagram.data,
            counted: false,
        }));
    }

    fn make_room(&mut self, counts: &mut Counts) {
        while self.conversations.total() >= MAX_CONVERSATIONS {
            let Some(place) = self.conversations.oldest(0) else { return };
            if let Some(gone) = self.conversations.remove(place) {
                self.places.remove(&gone.key);
                counts.evicted += 1;
            }
        }
    }
}
