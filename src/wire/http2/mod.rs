//! HTTP/2 (RFC 9113) and gRPC, also from the middle of a connection and across holes.
//!
//! Frames are walked in each direction; content of DATA is passed over by length, except for the
//! prefixes of gRPC messages. A hole inside of the payload of a frame leaves the walk as it is; in a
//! header block it costs the fields behind it and the dynamic table (see [`super::hpack`]). After
//! any other hole the direction is lost until bytes begin with a frame header for which there is
//! evidence. An invalid frame leads to the same search. Requests in what was missed are counted by
//! the stream ids that were skipped.
//!
//! A request is told when its response is complete, when either side resets the stream, when GOAWAY
//! leaves it out, or at the end. Where a response comes whose request was missed, it is told with a
//! request of 0 bytes that begins and ends with the response. Pushed streams are not told.
//!
//! A call is a stream of messages where a direction carries more than one. For that the five bytes
//! before each gRPC message are read; where they were not captured, small DATA frames that lie apart
//! in time are taken for messages.
//!
//! Bounds: 1024 streams at a time (a request beyond them is counted as missed, its head as
//! undecoded) and as many ids of those that were told early, paths of 256 bytes, and in each direction
//! what HPACK holds.

mod conn;
mod frame;
mod grpc;
mod half;
mod head;
mod stream;
#[cfg(test)]
mod tests;

use conn::Conn;
use half::{Half, PREFACE, To};
use head::OLDER;
use stream::Stream;

use super::decoder::{Decoder, Sniff, Speaker, Told};
use crate::model::{BootNs, Known, Protocol};

/// Whether this is HTTP/2: by the client's preface, or by two frame headers in a row.
pub fn sniff(client: &[u8], server: &[u8]) -> Sniff {
    if client.starts_with(PREFACE) {
        return Sniff::Yes;
    }
    if !client.is_empty() && PREFACE.starts_with(client) {
        return Sniff::Maybe;
    }
    match (half::frames(Speaker::Client, client), half::frames(Speaker::Server, server)) {
        (None, _) | (_, None) => Sniff::No,
        (Some(true), _) | (_, Some(true)) => Sniff::Yes,
        (Some(false), Some(false)) => Sniff::Maybe,
    }
}

/// Decoder of a connection.
pub struct Http2 {
    client: Half,
    server: Half,
    conn: Conn,
}

impl Http2 {
    /// A decoder from the client's preface on, or, where the connection was `adopted`, from
    /// anywhere: then fields that refer to older ones are unknown.
    pub fn new(adopted: bool) -> Self {
        if adopted {
            return Http2 {
                client: Half::adopted(Speaker::Client, OLDER),
                server: Half::adopted(Speaker::Server, OLDER),
                conn: Conn::new(true),
            };
        }
        Http2 {
            client: Half::new(Speaker::Client),
            server: Half::new(Speaker::Server),
            conn: Conn::new(false),
        }
    }

    /// A decoder for what follows `101 Switching Protocols`: the client's preface, and the response
    /// to `asked`, the exchange of HTTP/1.1 that was answered so, on stream 1.
    /// Source: RFC 7540 section 3.2.
    pub fn upgraded(asked: &Told) -> Self {
        let mut http2 = Http2::new(false);
        http2.conn.open_upgraded(Stream::upgraded(asked));
        http2
    }

    fn half<'a>(&'a mut self, from: Speaker, at: BootNs, out: &'a mut Vec<Told>) -> (&'a mut Half, To<'a>) {
        let half = if from == Speaker::Client { &mut self.client } else { &mut self.server };
        (half, To { at, conn: &mut self.conn, out })
    }
}

impl Decoder for Http2 {
    fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.conn.missed)
    }

    fn bytes(&mut self, from: Speaker, at: BootNs, offset: u64, data: &[u8], out: &mut Vec<Told>) {
        let (half, mut to) = self.half(from, at, out);
        half.bytes(offset, data, &mut to);
        self.conn.tick(at, out);
    }

    fn gap(&mut self, from: Speaker, at: BootNs, _offset: u64, len: u64, out: &mut Vec<Told>) {
        let (half, mut to) = self.half(from, at, out);
        half.gap(len, &mut to);
        self.conn.tick(at, out);
    }

    fn turn(&mut self, from: Speaker, _out: &mut Vec<Told>) {
        if from == Speaker::Client { self.client.turn() } else { self.server.turn() }
    }

    fn end(&mut self, at: BootNs, out: &mut Vec<Told>) {
        for from in [Speaker::Client, Speaker::Server] {
            let (half, mut to) = self.half(from, at, out);
            half.end(&mut to);
        }
        self.conn.end(out);
    }

    fn take_undecoded(&mut self) -> u64 {
        std::mem::take(&mut self.conn.undecoded)
    }

    fn held(&self) -> usize {
        size_of::<Self>() + self.client.held() + self.server.held() + self.conn.held()
    }

    fn over(&self) -> Option<Known<Protocol>> {
        self.conn.alien.then_some(Known::Unknown("it does not begin with the preface of HTTP/2"))
    }
}
