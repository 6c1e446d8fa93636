//! The two iterators, opened with raw `bpf(2)`: aya 0.14 passes no link info, which the iterator
//! over a socket storage map needs.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

// include/uapi/linux/bpf.h
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_ITER_CREATE: libc::c_long = 33;
const BPF_TRACE_ITER: u32 = 28;

/// `union bpf_iter_link_info`, member `map`.
#[repr(C)]
struct IterLinkInfo {
    map_fd: u32,
    pad: [u32; 3],
}

/// The part of `union bpf_attr` that BPF_LINK_CREATE of an iterator reads.
#[repr(C)]
struct LinkCreate {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    iter_info: u64,
    iter_info_len: u32,
    pad: u32,
}

/// The part of `union bpf_attr` that BPF_ITER_CREATE reads.
#[repr(C)]
struct IterCreate {
    link_fd: u32,
    flags: u32,
}

fn bpf<T>(command: libc::c_long, attr: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: attr is a live, writable struct of the size that is passed, laid out as the kernel's
    // bpf_attr begins; the kernel treats what lies beyond that size as zero.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just returned this descriptor and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// An iterator that can be run any number of times.
#[derive(Debug)]
pub(super) struct Iterator {
    link: OwnedFd,
}

impl Iterator {
    /// Links a loaded iterator program, over the given map where it is one over a map.
    pub(super) fn link(program: BorrowedFd<'_>, map: Option<BorrowedFd<'_>>) -> io::Result<Self> {
        let mut info = IterLinkInfo { map_fd: map.map_or(0, |m| m.as_raw_fd() as u32), pad: [0; 3] };
        let mut attr = LinkCreate {
            prog_fd: program.as_raw_fd() as u32,
            target_fd: 0,
            attach_type: BPF_TRACE_ITER,
            flags: 0,
            iter_info: if map.is_some() { std::ptr::from_mut(&mut info) as u64 } else { 0 },
            iter_info_len: if map.is_some() { size_of::<IterLinkInfo>() as u32 } else { 0 },
            pad: 0,
        };
        Ok(Iterator { link: bpf(BPF_LINK_CREATE, &mut attr)? })
    }

    /// Runs it over everything once. The programs write no output, so each `read` is a stretch of
    /// the walk; the kernel answers EAGAIN when a stretch met a million objects.
    pub(super) fn run(&self) -> io::Result<()> {
        let mut attr = IterCreate { link_fd: self.link.as_raw_fd() as u32, flags: 0 };
        let mut file = File::from(bpf(BPF_ITER_CREATE, &mut attr)?);
        let mut buffer = [0u8; 64];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(e) => return Err(e),
            }
        }
    }
}
