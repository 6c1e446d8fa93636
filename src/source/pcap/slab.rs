//! Entries in places that keep their number, each in one of a few lists ordered by time, so that the
//! oldest one of a list is found at once.

use std::net::IpAddr;

use crate::model::Endpoint;

const NONE: u32 = u32::MAX;

/// Two endpoints in either order: the same for both directions of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 36]);

impl Key {
    pub(super) fn new(a: Endpoint, b: Endpoint) -> Key {
        let (a, b) = if a <= b { (a, b) } else { (b, a) };
        let mut key = [0; 36];
        for (place, end) in key.chunks_exact_mut(18).zip([a, b]) {
            if let Some((addr, port)) = place.split_first_chunk_mut::<16>() {
                *addr = match end.addr {
                    IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                    IpAddr::V6(v6) => v6.octets(),
                };
                port.copy_from_slice(&end.port.to_be_bytes());
            }
        }
        Key(key)
    }
}

#[derive(Debug)]
struct Slot<T> {
    entry: Option<T>,
    list: usize,
    before: u32,
    behind: u32,
}

#[derive(Clone, Copy, Debug)]
struct List {
    oldest: u32,
    newest: u32,
    len: usize,
}

/// Entries in `LISTS` lists.
#[derive(Debug)]
pub(super) struct Slab<T, const LISTS: usize> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    lists: [List; LISTS],
}

impl<T, const LISTS: usize> Slab<T, LISTS> {
    pub(super) fn new() -> Self {
        let empty = List { oldest: NONE, newest: NONE, len: 0 };
        Slab { slots: Vec::new(), free: Vec::new(), lists: [empty; LISTS] }
    }

    /// Entries in a list.
    pub(super) fn len(&self, list: usize) -> usize {
        self.lists.get(list).map_or(0, |l| l.len)
    }

    /// Entries in all lists.
    pub(super) fn total(&self) -> usize {
        self.lists.iter().map(|l| l.len).sum()
    }

    /// The oldest entry of a list.
    pub(super) fn oldest(&self, list: usize) -> Option<u32> {
        self.lists.get(list).map(|l| l.oldest).filter(|at| *at != NONE)
    }

    pub(super) fn get(&self, at: u32) -> Option<&T> {
        self.slots.get(at as usize)?.entry.as_ref()
    }

    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.slots.get_mut(at as usize)?.entry.as_mut()
    }

    /// Every entry.
    pub(super) fn places(&self) -> impl Iterator<Item = u32> + use<T, LISTS> {
        0..self.slots.len() as u32
    }

    /// Puts an entry in, as the newest of its list.
    pub(super) fn insert(&mut self, entry: T, list: usize) -> u32 {
        let slot = Slot { entry: Some(entry), list, before: NONE, behind: NONE };
        let at = match self.free.pop() {
            Some(at) => at,
            None => self.slots.len() as u32,
        };
        match self.slots.get_mut(at as usize) {
            Some(place) => *place = slot,
            None => self.slots.push(slot),
        }
        self.link(at, list);
        at
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, at: u32) -> Option<T> {
        let entry = self.slots.get_mut(at as usize)?.entry.take()?;
        self.unlink(at);
        self.free.push(at);
        Some(entry)
    }

    /// Makes an entry the newest of a list.
    pub(super) fn renew(&mut self, at: u32, list: usize) {
        if self.lists.get(list).is_none_or(|l| l.newest == at) {
            return;
        }
        self.unlink(at);
        self.link(at, list);
    }

    fn link(&mut self, at: u32, list: usize) {
        let Some(ends) = self.lists.get_mut(list) else { return };
        let newest = std::mem::replace(&mut ends.newest, at);
        if ends.oldest == NONE {
            ends.oldest = at;
        }
        ends.len += 1;
        if let Some(slot) = self.slots.get_mut(at as usize) {
            (slot.before, slot.behind, slot.list) = (newest, NONE, list);
        }
        if let Some(slot) = self.slots.get_mut(newest as usize) {
            slot.behind = at;
        }
    }

    fn unlink(&mut self, at: u32) {
        let Some(&Slot { before, behind, list, .. }) = self.slots.get(at as usize) else { return };
        let Some(ends) = self.lists.get_mut(list) else { return };
        ends.len -= 1;
        match self.slots.get_mut(before as usize) {
            Some(slot) => slot.behind = behind,
            None => ends.oldest = behind,
        }
        match self.slots.get_mut(behind as usize) {
            Some(slot) => slot.before = before,
            None => ends.newest = before,
        }
    }
}
