//! The system calls behind the commands.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde_json::{Value, json};

/// Where a process that is spawned finds the socket that it is given: beyond those in use.
const GIVEN: RawFd = 100;

pub fn socket(family: AddressFamily) -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

pub fn bind(fd: &OwnedFd, addr: SocketAddr) -> io::Result<()> {
    rustix::net::sockopt::set_socket_reuseaddr(fd, true)?;
    Ok(rustix::net::bind(fd, &addr)?)
}

/// Begins to connect and does not wait.
pub fn begin(fd: &OwnedFd, addr: SocketAddr) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)?;
    let begun = rustix::net::connect(fd, &addr);
    rustix::fs::fcntl_setfl(fd, flags)?;
    match begun {
        Err(Errno::INPROGRESS) | Ok(()) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

pub fn write(fd: &OwnedFd, n: usize) -> io::Result<Value> {
    send(fd, &vec![b'w'; n])
}

/// Bytes of their digits.
pub fn bytes(hex: &str) -> io::Result<Vec<u8>> {
    let digits = |at: usize| hex.get(at..at + 2).ok_or_else(|| io::Error::other("digits come in pairs"));
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(digits(at)?, 16).map_err(io::Error::other))
        .collect()
}

/// Writes these bytes.
pub fn send(fd: &OwnedFd, data: &[u8]) -> io::Result<Value> {
    let mut sent = 0;
    while sent < data.len() {
        sent += rustix::net::send(fd, &data[sent..], SendFlags::NOSIGNAL)?;
    }
    Ok(json!({ "bytes": sent }))
}

/// Reads so many bytes; 0: waits for the end of the stream.
pub fn read(fd: &OwnedFd, n: usize, flags: RecvFlags) -> io::Result<Value> {
    let mut buffer = vec![0; n.max(1)];
    let (got, _) = rustix::net::recv(fd, &mut buffer[..], flags)?;
    if got == n { Ok(json!({ "bytes": got })) } else { Err(io::Error::other(format!("{got} bytes came"))) }
}

/// Waits until nothing more can come or go, however that came to be.
pub fn hung_up(fd: &OwnedFd) -> io::Result<Value> {
    loop {
        // Without a wish, poll reports only POLLHUP and POLLERR.
        let mut fds = [PollFd::new(fd, PollFlags::empty())];
        match poll(&mut fds, None) {
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
            Ok(_) => break,
        }
    }
    match rustix::net::sockopt::socket_error(fd)? {
        Ok(()) => Ok(json!({})),
        Err(e) => Err(e.into()),
    }
}

pub fn set(fd: &OwnedFd, option: &str, value: i32) -> io::Result<()> {
    let name = match option {
        "syncnt" => libc::TCP_SYNCNT,
        "user-timeout" => libc::TCP_USER_TIMEOUT,
        _ => return Err(io::Error::other("no such option")),
    };
    // SAFETY: pointer and length describe `value`, which outlives the call.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            name,
            std::ptr::from_ref(&value).cast(),
            size_of::<i32>() as u32,
        )
    })
    .map(drop)
}

/// Names this process: any bytes but zero, 15 at most.
pub fn set_name(hex: &str) -> io::Result<()> {
    let mut name = [0u8; 16];
    for (i, byte) in name.iter_mut().take(15).enumerate() {
        let Some(digits) = hex.get(2 * i..2 * i + 2) else { break };
        *byte = u8::from_str_radix(digits, 16).map_err(io::Error::other)?;
    }
    // SAFETY: a zero-terminated name of at most 16 bytes, which the kernel copies.
    check(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) }).map(drop)
}

/// 0 in the child. This process has one thread, so the child may do anything.
pub fn fork(as_pid: Option<i32>) -> io::Result<i32> {
    let Some(pid) = as_pid else {
        // SAFETY: no other thread exists whose locks the child could miss.
        return check(unsafe { libc::fork() });
    };
    // SAFETY: all-zero is a valid clone_args.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.exit_signal = libc::SIGCHLD as u64;
    args.set_tid = std::ptr::from_ref(&pid) as u64;
    args.set_tid_size = 1;
    // SAFETY: without CLONE_VM this is fork(); args and pid outlive the call.
    let child = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    check(child as i32)
}

/// Another puppet, in another cgroup, which is given a socket at its exec, as by socket activation.
pub fn spawn(procs: &str, socket: &OwnedFd) -> io::Result<(i32, File, UnixStream)> {
    let procs = procs.to_owned();
    let socket = socket.as_raw_fd();
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("given").stdin(Stdio::piped());
    // SAFETY: between fork and exec only open, write, close and dup2 are called; this process has
    // one thread.
    unsafe {
        command.pre_exec(move || {
            std::fs::write(&procs, b"0")?;
            check(libc::dup2(socket, GIVEN)).map(drop)
        });
    }
    let mut child = command.spawn()?;
    let stdin = child.stdin.take().ok_or_else(|| io::Error::other("no pipe"))?;
    let (hands, _) = UnixStream::pair()?;
    Ok((child.id() as i32, File::from(OwnedFd::from(stdin)), hands))
}

/// The socket that was there at the start.
pub fn given() -> OwnedFd {
    // SAFETY: `spawn` puts it there for this one purpose, and this is called once.
    unsafe { OwnedFd::from_raw_fd(GIVEN) }
}

pub fn wait(pid: i32) -> io::Result<Value> {
    let mut status = 0;
    // SAFETY: status outlives the call.
    check(unsafe { libc::waitpid(pid, &raw mut status, 0) })?;
    Ok(json!({ "status": status }))
}

pub fn kill(pid: i32) -> io::Result<()> {
    // SAFETY: no memory is passed; pid is a child of ours that was not waited for.
    check(unsafe { libc::kill(pid, libc::SIGKILL) }).map(drop)
}

pub fn give(hands: &UnixStream, socket: &OwnedFd) -> io::Result<()> {
    let fds = [socket.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    rustix::net::sendmsg(hands, &[io::IoSlice::new(b"s")], &mut control, SendFlags::empty())?;
    Ok(())
}

pub fn take(hands: &UnixStream) -> io::Result<OwnedFd> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    rustix::net::recvmsg(
        hands,
        &mut [io::IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    control
        .drain()
        .find_map(|m| match m {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        })
        .ok_or_else(|| io::Error::other("no socket came"))
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
