//! The system calls that `std` does not offer (Linux).

use std::ffi::{c_int, c_void};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const SOCK_STREAM_CLOEXEC: c_int = 1 | 0o2_000_000;
const SOL_SOCKET: c_int = 1;
const SO_LINGER: c_int = 13;
/// As deep as `net.core.somaxconn` allows by default: a burst must not turn into SYN retransmissions.
const BACKLOG: c_int = 4096;

const RLIMIT_NOFILE: c_int = 7;

/// `struct rlimit` on 64-bit Linux.
#[repr(C)]
struct Limit {
    soft: u64,
    hard: u64,
}

unsafe extern "C" {
    fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
    fn bind(fd: c_int, addr: *const c_void, len: u32) -> c_int;
    fn listen(fd: c_int, backlog: c_int) -> c_int;
    fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, len: u32) -> c_int;
    fn getrlimit(resource: c_int, limit: *mut Limit) -> c_int;
    fn setrlimit(resource: c_int, limit: *const Limit) -> c_int;
}

/// Makes the next close of `stream` a reset.
pub fn linger_zero(stream: &TcpStream) -> io::Result<()> {
    // struct linger { int l_onoff; int l_linger; }
    let linger: [c_int; 2] = [1, 0];
    // SAFETY: the pointer and the length describe `linger`, which outlives the call.
    check(unsafe {
        setsockopt(
            stream.as_raw_fd(),
            SOL_SOCKET,
            SO_LINGER,
            linger.as_ptr().cast(),
            size_of_val(&linger) as u32,
        )
    })
    .map(drop)
}

/// Gives a listener a deeper accept queue than the 128 of `std`.
pub fn deepen_backlog(listener: &TcpListener) -> io::Result<()> {
    // SAFETY: no memory is passed; the descriptor is open.
    check(unsafe { listen(listener.as_raw_fd(), BACKLOG) }).map(drop)
}

/// Raises the limit of open files to `needed`, if it is lower.
pub fn allow_descriptors(needed: u64) -> io::Result<()> {
    let mut limit = Limit { soft: 0, hard: 0 };
    // SAFETY: `limit` is a valid `struct rlimit` to write to.
    check(unsafe { getrlimit(RLIMIT_NOFILE, &raw mut limit) })?;
    if limit.soft >= needed {
        return Ok(());
    }
    let wanted = Limit { soft: needed, hard: limit.hard.max(needed) };
    // SAFETY: `wanted` is a valid `struct rlimit` to read from.
    check(unsafe { setrlimit(RLIMIT_NOFILE, &raw const wanted) }).map(drop)
}

/// A TCP socket that has its port but does not listen: connecting to it is refused. It is returned as
/// a `TcpListener` only for `local_addr`.
pub fn bind_only(addr: SocketAddr) -> io::Result<TcpListener> {
    let (family, raw) = sockaddr(addr);
    // SAFETY: no memory is passed.
    let fd = check(unsafe { socket(c_int::from(family), SOCK_STREAM_CLOEXEC, 0) })?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: the pointer and the length describe `raw`, which outlives the call.
    check(unsafe { bind(fd.as_raw_fd(), raw.as_ptr().cast(), raw.len() as u32) })?;
    Ok(TcpListener::from(fd))
}

/// `struct sockaddr_in` or `struct sockaddr_in6` as bytes.
fn sockaddr(addr: SocketAddr) -> (u16, Vec<u8>) {
    let port = addr.port().to_be_bytes();
    match addr {
        SocketAddr::V4(a) => {
            (AF_INET, [&AF_INET.to_ne_bytes()[..], &port, &a.ip().octets(), &[0; 8]].concat())
        }
        SocketAddr::V6(a) => {
            let scope = a.scope_id().to_ne_bytes();
            (AF_INET6, [&AF_INET6.to_ne_bytes()[..], &port, &[0; 4], &a.ip().octets(), &scope].concat())
        }
    }
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
