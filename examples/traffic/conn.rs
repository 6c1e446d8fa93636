//! One connection: its bytes, and its end.

use crate::args::{Args, End, Side};
use crate::sys;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

/// Room for one piece of data; one per thread.
pub struct Buffer(Vec<u8>);

impl Default for Buffer {
    fn default() -> Self {
        Self(vec![b'w'; 64 * 1024])
    }
}

/// Moves all bytes of one connection as seen from `side`. With [`End::Unread`] the aborting end
/// leaves one byte in its receive queue, and returns once that byte is there.
pub fn exchange(args: &Args, side: Side, stream: &mut TcpStream, buffer: &mut Buffer) -> Result<(), String> {
    let (mut incoming, outgoing) = match side {
        Side::Server => (args.bytes_to_server, args.bytes_to_client),
        Side::Client => (args.bytes_to_client, args.bytes_to_server),
    };
    let leave = args.end == End::Unread && side == args.by;
    if leave {
        incoming = incoming.saturating_sub(1);
    }
    if args.speaks_first(side) {
        send(stream, outgoing, buffer)?;
        receive(stream, incoming, buffer)?;
    } else {
        receive(stream, incoming, buffer)?;
        send(stream, outgoing, buffer)?;
    }
    if leave {
        match stream.peek(&mut [0]) {
            Ok(1) => {}
            other => return Err(format!("the byte to be left unread: {other:?}")),
        }
    }
    Ok(())
}

/// Ends the connection if that is this side's part, else waits for its end and checks the manner.
pub fn close(args: &Args, side: Side, mut stream: TcpStream) -> Result<(), String> {
    if side == args.by {
        if args.end == End::Reset {
            sys::linger_zero(&stream).map_err(|e| format!("SO_LINGER: {e}"))?;
        }
        return Ok(());
    }
    match (args.end, stream.read(&mut [0])) {
        (End::Clean, Ok(0)) => Ok(()),
        (End::Reset | End::Unread, Err(e)) if e.kind() == ErrorKind::ConnectionReset => Ok(()),
        (end, got) => Err(format!("a connection with end '{}' ended with {got:?}", end.as_str())),
    }
}

fn send(stream: &mut TcpStream, mut bytes: u64, buffer: &Buffer) -> Result<(), String> {
    while bytes > 0 {
        let n = piece(bytes, buffer);
        stream.write_all(&buffer.0[..n]).map_err(|e| format!("send, {bytes} bytes to go: {e}"))?;
        bytes -= n as u64;
        crate::step();
    }
    Ok(())
}

fn receive(stream: &mut TcpStream, mut bytes: u64, buffer: &mut Buffer) -> Result<(), String> {
    while bytes > 0 {
        let n = piece(bytes, buffer);
        stream.read_exact(&mut buffer.0[..n]).map_err(|e| format!("receive, {bytes} bytes to go: {e}"))?;
        bytes -= n as u64;
        crate::step();
    }
    Ok(())
}

fn piece(bytes: u64, buffer: &Buffer) -> usize {
    usize::try_from(bytes).map_or(buffer.0.len(), |b| b.min(buffer.0.len()))
}
