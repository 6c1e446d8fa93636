//! A capture, replayed: what `agent/` does with live facts is done here with those of a file, as fast
//! as it can be read. What comes out is a store like an agent's, to be served like an agent's.
//!
//! Capture time takes the place of the clock: a slice is sealed when a packet is 300 ms later than its
//! end, and the last one when the capture is over. Times are nanoseconds since the Unix epoch, so the
//! offset to wall time is 0. Where nothing was said the slices of a stretch are left out but for the
//! last 300, which is what a viewer can show.
//!
//! Bounds, whatever the file says: 32,768 TCP connections, 65,536 connections and conversations at a time;
//! 32 MiB that conversations hold; a slice is cut short when more than 8,192 conversations began in it;
//! 100,000 empty slices. The rest is bounded by [`Track`] and [`Store`].

mod status;
#[cfg(test)]
mod tests;

use std::path::Path;

use crate::model::{AgentInstance, BootNs, Cause, Loss, LossKind, Slice, StableHasher};
use crate::source::pcap::Capture;
pub use crate::source::pcap::{CaptureError, Counts};
use crate::store::{Store, StoreConfig};
use crate::track::{Fact, Observation, Track, TrackConfig};
use crate::world::SliceBuilder;

/// Length of a slice.
const SLICE_NS: u64 = 1_000_000_000;
/// What is so late still goes into its own slice: packets of several interfaces are not in order.
const GRACE_NS: u64 = 300_000_000;
/// Changes are published this often, in capture time, and after so many observations.
const FLUSH_NS: u64 = 50_000_000;
const FLUSH_OBSERVATIONS: u32 = 4096;
/// Conversations that may begin in one slice.
const BEGUN: usize = 8_192;
/// TCP connections that are remembered, those that are over included.
const CONNECTIONS: usize = 32_768;
/// TCP connections and UDP conversations of one moment, and those over that wait for their slice.
const ROWS: usize = 65_536;
/// Bytes that conversations may hold: beginnings of messages, requests without an answer.
const HELD: usize = 32 << 20;
/// Empty slices after a stretch in which nothing was said, and all of them together.
const QUIET: u64 = 300;
const QUIET_ALL: u64 = 100_000;
/// Progress is told after so many packets.
const TOLD_PACKETS: u64 = 1024;
/// Times beyond this (in the year 2554) are taken as this.
const LATEST: BootNs = BootNs(u64::MAX - 8 * SLICE_NS);

/// A capture that was read.
#[derive(Debug)]
pub struct Replayed {
    /// What it says, as an agent would have it.
    pub store: Store,
    /// How it was read.
    pub counts: Counts,
}

/// Reads a capture to its end; `-` is standard input. `closed` connections are remembered after their
/// end. `progress` is told now and then how far it is.
///
/// # Errors
/// When it cannot be read, or is no capture. Damage in the middle of it is no error: what stands before
/// it is told, and the status says what is missing.
pub fn read(path: &Path, closed: usize, mut progress: impl FnMut(&Counts)) -> Result<Replayed, CaptureError> {
    let mut capture = Capture::open(path)?.with_connections(CONNECTIONS);
    let mut replay = Replay::new(path, closed);
    while capture.next(&mut |o| replay.observe(o))? {
        replay.advance(capture.last_time());
        let counts = capture.counts();
        if counts.packets.is_multiple_of(TOLD_PACKETS) {
            progress(&counts);
        }
    }
    let counts = capture.counts();
    replay.finish(&counts);
    Ok(Replayed { store: replay.store, counts })
}

/// Facts on their way to a store.
#[derive(Debug)]
struct Replay {
    track: Track,
    builder: SliceBuilder,
    store: Store,
    node: String,
    /// Time of the first packet; 0 before it.
    first: BootNs,
    /// The latest time so far.
    now: BootNs,
    /// Start of the slice that is being counted.
    start: BootNs,
    sequence: u64,
    flushed: BootNs,
    /// Observations since the last flush.
    observed: u32,
    /// Ends that were known when the slice began.
    ends: usize,
    quiet: u64,
    /// Pieces that were counted as lost so far.
    loss: Loss,
}

impl Replay {
    fn new(path: &Path, closed: usize) -> Self {
        let node = match path.file_name() {
            Some(name) if path != Path::new("-") => name.to_string_lossy().into_owned(),
            _ => "standard input".to_owned(),
        };
        let instance =
            AgentInstance(StableHasher::new("capture").bytes(path.as_os_str().as_encoded_bytes()).finish());
        let mut config = StoreConfig::new(instance, node.clone(), node.clone());
        config.closed_history = closed;
        config.live_limit = ROWS;
        Replay {
            track: Track::new(TrackConfig {
                held: HELD,
                capture: true,
                ..TrackConfig::new(instance.0, ROWS)
            }),
            builder: SliceBuilder::default(),
            store: Store::new(config),
            node,
            first: BootNs(0),
            now: BootNs(0),
            start: BootNs(0),
            sequence: 0,
            flushed: BootNs(0),
            observed: 0,
            ends: 0,
            quiet: QUIET_ALL,
            loss: Loss::default(),
        }
    }

    fn observe(&mut self, observation: Observation<'_>) {
        self.advance(time(&observation));
        self.track.observe(observation);
        self.observed += 1;
        if self.observed >= FLUSH_OBSERVATIONS {
            self.flush(self.now);
            if self.track.live_ends() > self.ends + BEGUN {
                let cut = BootNs(self.now.0 + 1).max(BootNs(self.start.0 + 1)).min(self.end());
                self.seal(cut);
            }
        }
    }

    /// Capture time has come so far.
    fn advance(&mut self, at: BootNs) {
        let at = at.min(LATEST);
        if at <= self.now {
            return;
        }
        if self.first.0 == 0 {
            (self.first, self.now, self.flushed) = (at, at, at);
            self.start = second(at);
            self.track.slice_ends(self.end());
        }
        while at.0 >= self.end().0 + GRACE_NS {
            if self.start > self.now {
                self.skip_to(second(at));
                break;
            }
            self.flush(BootNs(self.end().0 + GRACE_NS));
            self.seal(self.end());
        }
        self.now = at;
        if at.since(self.flushed) >= FLUSH_NS {
            self.flush(at);
        }
    }

    /// End of the slice that is being counted: slices end with the second, also after one was cut.
    fn end(&self) -> BootNs {
        BootNs(second(self.start).0 + SLICE_NS)
    }

    /// Nothing was said since the last slice, and for a while.
    fn skip_to(&mut self, to: BootNs) {
        let n = (to.since(self.start) / SLICE_NS).min(QUIET).min(self.quiet);
        self.quiet -= n;
        self.start = BootNs(to.0 - n * SLICE_NS);
        for _ in 0..n {
            self.put(Slice::default(), 0, self.end());
        }
        self.track.slice_ends(self.end());
    }

    fn flush(&mut self, now: BootNs) {
        (self.flushed, self.observed) = (now, 0);
        let flushed = self.track.flush(now);
        // Nobody could look away from what is in a file.
        self.track.take_opaque();
        self.store.learn(&flushed.entities, &[]);
        self.store.learn(&flushed.far, &flushed.names);
        flushed.names.into_iter().for_each(|name| self.builder.name(name));
        flushed.entities.into_iter().for_each(|entity| self.builder.describe(entity));
        self.store.publish(flushed.events, &flushed.changed, &flushed.removed);
        self.store.publish_requests(flushed.requests, flushed.requests_skipped);
    }

    fn seal(&mut self, end: BootNs) {
        let late = self.track.seal_into(self.start, end, &mut self.builder);
        let slice = self.builder.take(end);
        self.put(slice, late, end);
        self.track.slice_ends(self.end());
        self.ends = self.track.live_ends();
    }

    fn put(&mut self, slice: Slice, late: u64, end: BootNs) {
        self.sequence += 1;
        let all = self.track_loss();
        let loss = all.after(&self.loss);
        self.loss = all;
        // The only writer numbers them one by one: it cannot be out of sequence.
        let _ = self.store.seal(Slice {
            agent: self.store.instance(),
            sequence: self.sequence,
            start: self.start,
            length_ns: end.since(self.start),
            loss,
            late,
            ..slice
        });
        self.start = end;
    }

    /// The capture is over.
    fn finish(&mut self, counts: &Counts) {
        if self.first.0 != 0 {
            self.flush(BootNs(self.now.0 + GRACE_NS));
            self.track.finish(self.now);
            self.flush(BootNs(self.now.0 + GRACE_NS));
            // Also where the last one was cut: what came behind the cut is in none yet.
            loop {
                self.seal(self.end());
                if self.start > self.now {
                    break;
                }
            }
        }
        self.store.set_status(self.status(counts));
    }

    fn track_loss(&self) -> Loss {
        let mut loss = Loss::default();
        loss.add(LossKind::State, Cause::TableFull, self.track.lost());
        loss.add(LossKind::Exchange, Cause::NoConnection, self.track.pieces().1);
        loss.add(LossKind::Exchange, Cause::TableFull, self.track.shed());
        loss
    }
}

/// The second in which an instant lies.
fn second(at: BootNs) -> BootNs {
    BootNs(at.0 - at.0 % SLICE_NS)
}

/// When something was seen; 0 where it does not say.
fn time(observation: &Observation<'_>) -> BootNs {
    match observation {
        Observation::Fact(Fact::End(f)) => f.at,
        Observation::Fact(Fact::Sample(f)) => f.at,
        Observation::Fact(_) | Observation::Progress(_) => BootNs(0),
        Observation::Piece(p) => p.at,
        Observation::Early(e) => e.piece.at,
        Observation::Datagram(d) => d.at,
        Observation::Handed(h) => h.at,
    }
}
