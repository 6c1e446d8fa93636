//! What the shop and its services say to each other at start, one JSON object per line, over the
//! service's standard input and output.
//!
//! ```text
//! shop → service   Config     (the service is in its cgroup; it may now open sockets)
//! service → shop   Reply      (its port, or what went wrong)
//! shop → service   Peers      (everybody listens: go)
//! ```
//!
//! After that nothing is said. The service ends when its standard input ends, which the kernel
//! makes happen however the shop ends. `PR_SET_PDEATHSIG` would not do: it speaks of the thread
//! that started the service, and the shop may be started from a pool thread that retires.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::certs::Identity;

/// No message is longer.
const MAX_LINE: usize = 64 * 1024;

/// First line to a service.
#[derive(Serialize, Deserialize)]
pub struct Config {
    /// Its certificate, when it needs one.
    pub identity: Option<Identity>,
    /// The user to become before opening a socket.
    pub user: Option<User>,
}

/// A user without privilege.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// User id, never 0.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// The line from a service.
#[derive(Serialize, Deserialize)]
pub enum Reply {
    /// It is ready; its port when it listens.
    Ready(Option<u16>),
    /// It cannot start, with a sentence.
    Failed(String),
}

/// Second line to a service: where everybody listens on 127.0.0.1.
#[derive(Serialize, Deserialize)]
pub struct Peers(pub BTreeMap<String, u16>);

/// Writes one message as a line.
pub fn send<T: Serialize>(mut to: impl Write, message: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

/// Reads one line, however long the writer takes; `UnexpectedEof` when it is gone.
pub fn receive<T: DeserializeOwned>(mut from: impl Read) -> io::Result<T> {
    parse(&read_line(|byte| from.read(byte))?)
}

/// [`receive`], but `TimedOut` at the deadline.
pub fn receive_until<T: DeserializeOwned>(mut from: impl Read + AsFd, deadline: Instant) -> io::Result<T> {
    let line = read_line(|byte| {
        wait_readable(&from, deadline)?;
        from.read(byte)
    })?;
    parse(&line)
}

/// Reads and drops what comes until the writer is gone; `TimedOut` at the deadline.
pub fn wait_end(mut from: impl Read + AsFd, deadline: Instant) -> io::Result<()> {
    loop {
        wait_readable(&from, deadline)?;
        if from.read(&mut [0; 256])? == 0 {
            return Ok(());
        }
    }
}

// Byte by byte, so that nothing of the next line is taken: a few kilobytes, once.
fn read_line(mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match read(&mut byte) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) if byte[0] == b'\n' => return Ok(line),
            Ok(_) if line.len() == MAX_LINE => return Err(io::ErrorKind::InvalidData.into()),
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> io::Result<T> {
    serde_json::from_slice(line).map_err(io::Error::from)
}

fn wait_readable(fd: &impl AsFd, deadline: Instant) -> io::Result<()> {
    wait_for(fd, PollFlags::IN, deadline)
}

/// Waits until one of `flags` (or an error, or a hang-up) is there; `TimedOut` at the deadline.
pub fn wait_for(fd: &impl AsFd, flags: PollFlags, deadline: Instant) -> io::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut [PollFd::new(fd, flags)], Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_do_not_eat_each_other() {
        let mut pipe = Vec::new();
        send(&mut pipe, &Reply::Ready(Some(7))).unwrap();
        send(&mut pipe, &Reply::Failed("no".into())).unwrap();
        let mut from = pipe.as_slice();
        assert!(matches!(receive(&mut from).unwrap(), Reply::Ready(Some(7))));
        assert!(matches!(receive(&mut from).unwrap(), Reply::Failed(why) if why == "no"));
        assert_eq!(receive::<Reply>(&mut from).err().unwrap().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn endless_lines_and_other_words_are_errors() {
        assert_eq!(receive::<Reply>(io::repeat(b'x')).err().unwrap().kind(), io::ErrorKind::InvalidData);
        assert!(receive::<Reply>(b"{\"Unknown\":1}\n".as_slice()).is_err());
    }

    #[test]
    fn a_silent_writer_is_given_up() {
        let (reader, writer) = io::pipe().unwrap();
        let soon = Instant::now() + Duration::from_millis(5);
        assert_eq!(receive_until::<Reply>(&reader, soon).err().unwrap().kind(), io::ErrorKind::TimedOut);
        assert_eq!(wait_end(&reader, soon).unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(writer);
        wait_end(&reader, Instant::now() + Duration::from_secs(5)).unwrap();
    }
}
