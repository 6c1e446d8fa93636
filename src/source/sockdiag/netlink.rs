//! The netlink socket over which the kernel lists the TCP sockets of this network namespace.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use super::SockDiagError;
use super::diag::{self, DiagSocket, Progress};
use crate::model::Endpoint;

/// The kernel fills datagrams of at most 32 KiB.
const BUFFER: usize = 64 * 1024;
/// An answer is made while it is read: a wait means that something is wrong.
const PATIENCE: Duration = Duration::from_secs(2);
/// `SO_NETNS_COOKIE` (asm-generic/socket.h, Linux 5.14).
const SO_NETNS_COOKIE: libc::c_int = 71;

#[derive(Debug)]
pub(super) struct Netlink {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    pub(super) fn open() -> Result<Self, SockDiagError> {
        let flags = SocketFlags::CLOEXEC;
        let protocol = Some(netlink::SOCK_DIAG);
        let fd = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)
            .map_err(|e| SockDiagError::Socket(e.into()))?;
        sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(PATIENCE))
            .map_err(|e| SockDiagError::Socket(e.into()))?;
        Ok(Netlink { fd, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// Hands every TCP socket of both families to `each`. `false`: the list has gaps.
    pub(super) fn dump(&mut self, mut each: impl FnMut(DiagSocket)) -> Result<bool, SockDiagError> {
        let v4 = self.dump_family(libc::AF_INET as u8, &mut each)?;
        let v6 = match self.dump_family(libc::AF_INET6 as u8, &mut each) {
            // A kernel without IPv6 has no such sockets either.
            Err(SockDiagError::Refused(e)) if e.raw_os_error() == Some(libc::ENOENT) => true,
            other => other?,
        };
        Ok(v4 && v6)
    }

    fn dump_family(&mut self, family: u8, each: &mut impl FnMut(DiagSocket)) -> Result<bool, SockDiagError> {
        self.sequence = self.sequence.wrapping_add(1);
        self.send(&diag::dump_request(family, self.sequence))?;
        let mut whole = true;
        loop {
            let progress = self.receive(each)?;
            whole &= !progress.broken;
            if let Some(errno) = progress.error {
                return Err(SockDiagError::Refused(std::io::Error::from_raw_os_error(errno)));
            }
            if progress.done {
                return Ok(whole);
            }
        }
    }

    /// The socket with these addresses and this cookie, if it still is one. A dump that is cut in
    /// the middle of a hash bucket can pass one over, so absence from it proves nothing.
    pub(super) fn find(
        &mut self,
        local: Endpoint,
        peer: Endpoint,
        cookie: u64,
    ) -> Result<Option<DiagSocket>, SockDiagError> {
        self.sequence = self.sequence.wrapping_add(1);
        self.send(&diag::exact_request(local, peer, cookie, self.sequence))?;
        let mut found = None;
        loop {
            let progress = self.receive(&mut |socket| found = Some(socket))?;
            if progress.answered {
                return Ok(found.filter(|socket| socket.cookie == cookie));
            }
        }
    }

    fn send(&self, request: &[u8]) -> Result<(), SockDiagError> {
        let kernel = SocketAddrNetlink::new(0, 0);
        rustix::net::sendto(&self.fd, request, SendFlags::empty(), &kernel)
            .map(|_| ())
            .map_err(|e| SockDiagError::Ask(e.into()))
    }

    fn receive(&mut self, each: &mut impl FnMut(DiagSocket)) -> Result<Progress, SockDiagError> {
        loop {
            let received = rustix::net::recvfrom(&self.fd, &mut self.buffer[..], RecvFlags::TRUNC);
            let (_, length, from) = match received {
                Err(rustix::io::Errno::INTR) => continue,
                other => other.map_err(|e| SockDiagError::Ask(e.into()))?,
            };
            // Only the kernel has port 0.
            let sender = from.and_then(|a| SocketAddrNetlink::try_from(a).ok());
            if sender.is_none_or(|a| a.pid() != 0) {
                continue;
            }
            return Ok(match self.buffer.get(..length) {
                Some(datagram) => diag::read_datagram(datagram, self.sequence, &mut *each),
                None => Progress { broken: true, ..Progress::default() },
            });
        }
    }

    /// The cookie of this socket's network namespace; `None` before Linux 5.14.
    pub(super) fn netns_cookie(&self) -> Option<u64> {
        let mut cookie = 0u64;
        let mut length = size_of::<u64>() as libc::socklen_t;
        // SAFETY: the descriptor is open for the life of `self`; value and length point to locals
        // that outlive the call, and the length is the size of the value.
        let result = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_SOCKET,
                SO_NETNS_COOKIE,
                (&raw mut cookie).cast(),
                &raw mut length,
            )
        };
        (result == 0 && length as usize == size_of::<u64>()).then_some(cookie)
    }
}
