//! Reassembly of IP datagrams (RFC 791, RFC 8200 section 4.5), within bounds: 64 datagrams of 64 KiB
//! each, for 30 s. Fragments that overlap end their datagram (RFC 5722).

use std::net::IpAddr;

use super::ip::{Fragment, Packet};

/// Datagrams that are waited for.
const MAX_DATAGRAMS: usize = 64;
/// Length of a datagram.
const MAX_LENGTH: u32 = 64 << 10;
/// Runs of bytes in a datagram that is not complete.
const MAX_RUNS: usize = 64;
/// How long one is waited for, nanoseconds.
const PATIENCE: u64 = 30_000_000_000;

/// Datagrams of which a part is missing, oldest first.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    waiting: Vec<Datagram>,
    lost: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Name {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    /// Of IPv4 only: IPv6 tells it in the first fragment.
    protocol: u8,
}

#[derive(Debug)]
struct Datagram {
    name: Name,
    since: u64,
    /// Protocol of its first fragment.
    protocol: u8,
    bytes: Vec<u8>,
    /// What of `bytes` is there: apart, in order.
    runs: Vec<(u32, u32)>,
    /// Length, once the last fragment came.
    length: Option<u32>,
    /// It cannot be completed any more; kept so that its other fragments are not taken for another.
    spoilt: bool,
}

impl Fragments {
    /// Datagrams that were given up; those that wait still are among them at the end of a capture.
    pub(super) fn lost(&self) -> u64 {
        self.lost + self.waiting.iter().filter(|d| !d.spoilt).count() as u64
    }

    /// Takes in a fragment; gives the datagram's protocol and bytes when it is the last one missing.
    pub(super) fn add(&mut self, packet: &Packet<'_>, fragment: Fragment, now: u64) -> Option<(u8, Vec<u8>)> {
        self.expire(now);
        let body = packet.body;
        let protocol = if packet.src.is_ipv4() { body.protocol } else { 0 };
        let name = Name { src: packet.src, dst: packet.dst, id: fragment.id, protocol };
        let at = match self.waiting.iter().position(|d| d.name == name) {
            Some(at) => at,
            None => {
                if self.waiting.len() >= MAX_DATAGRAMS {
                    self.drop_at(0);
                }
                self.waiting.push(Datagram::new(name, now));
                self.waiting.len() - 1
            }
        };
        let datagram = self.waiting.get_mut(at)?;
        if fragment.offset == 0 {
            datagram.protocol = body.protocol;
        }
        // What the capture has cut off cannot be put together.
        let whole = body.data.len() == body.len as usize;
        let fits = datagram.spoilt || (whole && datagram.add(fragment, body.data));
        if !fits {
            datagram.spoilt = true;
            datagram.bytes = Vec::new();
            self.lost += 1;
        }
        if !datagram.is_complete() {
            return None;
        }
        let done = self.waiting.remove(at);
        Some((done.protocol, done.bytes))
    }

    fn expire(&mut self, now: u64) {
        while self.waiting.first().is_some_and(|d| now.saturating_sub(d.since) > PATIENCE) {
            self.drop_at(0);
        }
    }

    fn drop_at(&mut self, at: usize) {
        self.lost += u64::from(!self.waiting.remove(at).spoilt);
    }
}

impl Datagram {
    fn new(name: Name, now: u64) -> Self {
        Datagram {
            protocol: name.protocol,
            name,
            since: now,
            bytes: Vec::new(),
            runs: Vec::new(),
            length: None,
            spoilt: false,
        }
    }

    /// Puts a fragment in its place; false when it does not fit to the others.
    fn add(&mut self, fragment: Fragment, data: &[u8]) -> bool {
        let begin = fragment.offset;
        let end = begin.saturating_add(data.len() as u32);
        let last = !fragment.more;
        let aligned = last || data.len().is_multiple_of(8);
        if data.is_empty() || end > MAX_LENGTH || !aligned || self.length.is_some_and(|l| end > l) {
            return false;
        }
        if last {
            let beyond = self.runs.last().is_some_and(|r| r.1 > end);
            if beyond || self.length.is_some_and(|l| l != end) {
                return false;
            }
            self.length = Some(end);
        }
        let at = self.runs.partition_point(|r| r.0 < begin);
        let before = at.checked_sub(1).and_then(|i| self.runs.get(i)).copied();
        let behind = self.runs.get(at).copied();
        let inside = |run: Option<(u32, u32)>| run.is_some_and(|r| r.0 <= begin && end <= r.1);
        if inside(before) || inside(behind) {
            // The same once more.
            return self.bytes.get(begin as usize..end as usize) == Some(data);
        }
        if before.is_some_and(|r| r.1 > begin) || behind.is_some_and(|r| r.0 < end) {
            return false;
        }
        self.put(begin as usize, data);
        self.join(at, (begin, end), before, behind);
        self.runs.len() <= MAX_RUNS
    }

    fn put(&mut self, begin: usize, data: &[u8]) {
        let end = begin + data.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        if let Some(place) = self.bytes.get_mut(begin..end) {
            place.copy_from_slice(data);
        }
    }

    fn join(&mut self, at: usize, new: (u32, u32), before: Option<(u32, u32)>, behind: Option<(u32, u32)>) {
        let mut run = new;
        let mut place = at..at;
        if let Some(b) = before.filter(|b| b.1 == new.0) {
            run.0 = b.0;
            place.start = at - 1;
        }
        if let Some(b) = behind.filter(|b| b.0 == new.1) {
            run.1 = b.1;
            place.end = at + 1;
        }
        self.runs.splice(place, [run]);
    }

    fn is_complete(&self) -> bool {
        !self.spoilt
            && matches!((self.runs.as_slice(), self.length), (&[(0, end)], Some(length)) if end == length)
    }
}
