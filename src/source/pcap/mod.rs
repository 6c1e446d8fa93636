//! Captures as a source of facts: pcap and pcapng files, from a path or any stream.
//!
//! A capture is told as the kernel would tell it at the client's end: each TCP connection is one end
//! with its opening, handshake, counters once per second and its close, and every segment with
//! payload is a [`Piece`]. Facts of a packet come before its pieces.
//!
//! Times are nanoseconds since the Unix epoch in a [`BootNs`], so the offset to wall time is 0. They
//! never go backwards within a connection.
//!
//! Bounds: one buffer of 1 MiB, packets of 256 KiB, 64 IP datagrams of 64 KiB in reassembly, 131,072
//! connections of which the longest silent one is given up first, 65,536 UDP conversations. What is
//! passed over is counted in [`Counts`].

mod bytes;
mod classic;
mod conn;
mod counts;
mod file;
mod fragments;
mod icmp;
mod input;
mod ip;
mod link;
mod ng;
mod segment;
mod slab;
mod stream;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

use std::fs;
use std::io::{self, Read};
use std::path::Path;

pub use counts::{CaptureError, Counts, Skipped};

use crate::model::{BootNs, Endpoint};
#[cfg(test)]
use crate::track::Fact;
use crate::track::Observation;
use conn::Out;
use counts::Skip;
use file::File;
use fragments::Fragments;
use ip::Body;

/// TCP connections that are remembered, those that are over included, unless told otherwise.
const CONNECTIONS: usize = 131_072;

/// A capture that is being read.
#[derive(Debug)]
pub struct Capture<R> {
    file: File<R>,
    counts: Counts,
    flows: Flows,
    finished: bool,
}

/// What is remembered of the packets before.
#[derive(Debug)]
struct Flows {
    fragments: Fragments,
    tcp: tcp::Tcp,
    udp: udp::Udp,
    now: BootNs,
    cookie: u64,
}

impl Capture<Box<dyn Read + Send>> {
    /// Opens a capture file, or standard input for `-`.
    ///
    /// # Errors
    /// When it cannot be read, or begins neither as pcap nor as pcapng.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        if path == Path::new("-") {
            return Capture::new(Box::new(io::stdin()), None);
        }
        let file = fs::File::open(path)
            .map_err(|error| CaptureError::Open { path: path.display().to_string(), error })?;
        let total = file.metadata().ok().filter(fs::Metadata::is_file).map(|m| m.len());
        Capture::new(Box::new(file), total)
    }
}

impl<R: Read> Capture<R> {
    /// Reads a capture from a stream, of `total` bytes where that is known. Needs no buffering.
    ///
    /// # Errors
    /// When it cannot be read, or begins neither as pcap nor as pcapng.
    pub fn new(stream: R, total: Option<u64>) -> Result<Self, CaptureError> {
        Ok(Capture {
            file: File::open(stream)?,
            counts: Counts { total, ..Counts::default() },
            flows: Flows::new(CONNECTIONS),
            finished: false,
        })
    }

    /// Remembers so many TCP connections at most, those that are over included. To be called before
    /// the first packet is read.
    #[must_use]
    pub fn with_connections(mut self, most: usize) -> Self {
        self.flows = Flows::new(most);
        self
    }

    /// Reads one packet and gives what it means, in order; false at the end, when what can only be
    /// told then is given once. Damage in the file is no error: see [`Counts`].
    ///
    /// # Errors
    /// When reading fails.
    pub fn next(&mut self, each: &mut impl FnMut(Observation<'_>)) -> Result<bool, CaptureError> {
        let Some(packet) = self.file.next(&mut self.counts)? else {
            if !std::mem::replace(&mut self.finished, true) {
                self.flows.tcp.finish(self.flows.now, each);
            }
            return Ok(false);
        };
        self.counts.packets += 1;
        let bytes = self.file.bytes(&packet);
        if let Err(why) = self.flows.packet(&packet, bytes, &mut self.counts, each) {
            self.counts.skip(why);
        }
        Ok(true)
    }

    /// How the capture was read so far.
    pub fn counts(&self) -> Counts {
        let mut counts = self.counts;
        counts.bytes = self.file.position();
        counts.skipped.fragments_lost = self.flows.fragments.lost();
        counts
    }

    /// Time of the latest packet so far, nanoseconds since the Unix epoch; 0 before the first.
    pub fn last_time(&self) -> BootNs {
        self.flows.now
    }
}

impl Flows {
    fn new(connections: usize) -> Self {
        Flows {
            fragments: Fragments::default(),
            tcp: tcp::Tcp::new(connections),
            udp: udp::Udp::new(),
            now: BootNs(0),
            cookie: 1,
        }
    }

    fn packet(
        &mut self,
        packet: &file::Raw,
        bytes: &[u8],
        counts: &mut Counts,
        out: Out<'_>,
    ) -> Result<(), Skip> {
        // 0 would say that the time is not known.
        let at = packet.time.map_or(self.now, BootNs).max(BootNs(1));
        self.now = self.now.max(at);
        self.tcp.tick(self.now, out);
        let network = link::network(packet.link, bytes)?;
        let before = u32::try_from(bytes.len() - network.len()).unwrap_or(u32::MAX);
        let ip = ip::parse(network, packet.original.saturating_sub(before))?;
        let Some(fragment) = ip.fragment else {
            return self.transport(&ip, ip.body, at, counts, out);
        };
        if let Some((protocol, data)) = self.fragments.add(&ip, fragment, self.now.0) {
            let body = Body { protocol, data: &data, len: data.len() as u32 };
            // Behind IPv6's fragment header there may be other headers, but not a second one.
            let body = match ip.src.is_ipv6().then(|| ip::extensions(body)).transpose()? {
                Some((_, Some(_))) => return Err(Skip::Malformed),
                Some((behind, None)) => behind,
                None => body,
            };
            self.transport(&ip, body, at, counts, out)?;
        }
        Ok(())
    }

    fn transport(
        &mut self,
        ip: &ip::Packet<'_>,
        body: Body<'_>,
        at: BootNs,
        counts: &mut Counts,
        out: Out<'_>,
    ) -> Result<(), Skip> {
        let ends = |src, dst| (Endpoint::new(ip.src, src), Endpoint::new(ip.dst, dst));
        match body.protocol {
            6 => {
                let segment = segment::tcp(body, ip.id)?;
                let ends = ends(segment.src, segment.dst);
                self.tcp.segment(ends, &segment, at, counts, &mut self.cookie, out)
            }
            17 => {
                let datagram = segment::udp(body)?;
                let ends = ends(datagram.src, datagram.dst);
                self.udp.datagram(ends, &datagram, at, counts, &mut self.cookie, out);
                Ok(())
            }
            1 | 58 => {
                let error = icmp::error(body).filter(|e| self.tcp.unreachable(e, at, out));
                error.map(|_| ()).ok_or(Skip::NotTcpUdp)
            }
            _ => Err(Skip::NotTcpUdp),
        }
    }
}
