//! Many connections one after another from one client port: the same 4-tuple every time.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::net::{RecvFlags, SocketFlags};
use serde_json::{Value, json};

use super::{family, sys};

/// Every other one ends with a reset by the client; the rest is closed in order by the server first,
/// so that the client's port is free at once.
pub fn storm(addr: SocketAddr, count: usize, bytes: usize) -> io::Result<Value> {
    let listener = sys::socket(family(&addr))?;
    sys::bind(&listener, addr)?;
    rustix::net::listen(&listener, 16)?;
    let addr: SocketAddr =
        rustix::net::getsockname(&listener)?.try_into().map_err(|_| io::Error::other("no address"))?;
    let mut from = SocketAddr::new(addr.ip(), 0);
    let (mut clean, mut reset) = (0u32, 0u32);
    for i in 0..count {
        let client = sys::socket(family(&addr))?;
        sys::bind(&client, from)?;
        rustix::net::connect(&client, &addr)?;
        from = rustix::net::getsockname(&client)?.try_into().map_err(|_| io::Error::other("no address"))?;
        let server = rustix::net::accept_with(&listener, SocketFlags::CLOEXEC)?;
        sys::write(&client, bytes)?;
        sys::read(&server, bytes, RecvFlags::WAITALL)?;
        sys::write(&server, bytes)?;
        sys::read(&client, bytes, RecvFlags::WAITALL)?;
        if i % 2 == 0 {
            drop(server);
            sys::read(&client, 0, RecvFlags::empty())?;
            drop(client);
            clean += 1;
        } else {
            rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO))?;
            drop(client);
            reset += 1;
        }
    }
    Ok(json!({ "server": addr.to_string(), "client": from.to_string(), "clean": clean, "reset": reset }))
}
