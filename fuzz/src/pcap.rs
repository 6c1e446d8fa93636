//! Capture files, and what is concluded of them: the way that `--replay` takes, without names and
//! slices.

use std::io::{self, Read};

use crate::meter;
use crate::model::BootNs;
use crate::source::pcap::{Capture, Counts};
use crate::streams::check;
use crate::track::{Track, TrackConfig};

/// The reader's own buffers, fragments in reassembly, and pieces that wait for their order.
const MEMORY: usize = 16 << 20;
/// Packets between two looks at the table.
const LOOK: u64 = 16;

/// Gives a few bytes at a time.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = to.len().min(self.1);
        self.0.read(&mut to[..n])
    }
}

/// Any file, pcap or pcapng; read in whatever steps, it is the same.
pub fn run(data: &[u8]) {
    meter::within(MEMORY + data.len() * 512, || {
        let counts = read(data, data.len().max(1));
        assert_eq!(counts, read(data, 13));
        if let Some(counts) = counts {
            assert!(counts.packets <= data.len() as u64 / 8 + 1);
            assert!(counts.bytes <= data.len() as u64);
        }
    });
}

fn read(data: &[u8], step: usize) -> Option<Counts> {
    let mut capture = Capture::new(Trickle(data, step), Some(data.len() as u64)).ok()?.with_connections(32);
    let mut track = Track::new(TrackConfig::new(1, 48));
    let (mut sealed, mut ends) = (BootNs(0), 0u64);
    loop {
        let more = capture.next(&mut |o| track.observe(o)).ok()?;
        let now = capture.last_time();
        if !more || capture.counts().packets.is_multiple_of(LOOK) {
            let flushed = track.flush(now);
            for (_, _, request) in &flushed.requests {
                check(request);
            }
            track.seal(sealed, now, |_| ends += 1, |_, _, _, _| {}, |_, _, _, _| {});
            track.take_opaque();
            sealed = now;
        }
        if !more {
            assert!(track.live_ends() <= 2 * 48, "{} ends", track.live_ends());
            return Some(capture.counts());
        }
    }
}
