//! The messages of sock_diag(7) as bytes: requests, and what comes back. Pure; no length that a
//! message gives is believed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::Endpoint;

/// `SOCK_DIAG_BY_FAMILY` (linux/sock_diag.h).
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST`, and with `NLM_F_DUMP` (linux/netlink.h).
const REQUEST: u16 = 1;
const REQUEST_DUMP: u16 = 0x301;
/// `NLM_F_DUMP_INTR`: the dump was not of one piece.
const DUMP_INTERRUPTED: u16 = 0x10;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_HEADER: usize = 16;
/// Size of `struct inet_diag_msg` (linux/inet_diag.h).
const DIAG_MSG: usize = 72;
/// Attributes `INET_DIAG_INFO` and `INET_DIAG_CGROUP_ID` (Linux 5.8).
const ATTR_INFO: u16 = 2;
const ATTR_CGROUP_ID: u16 = 21;
/// `idiag_timer` of a socket that is only a TIME_WAIT entry any more, whatever its state says.
const TIMER_TIME_WAIT: u8 = 3;

/// States of a TCP socket (net/tcp_states.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum TcpState {
    Established = 1,
    SynSent = 2,
    FinWait1 = 4,
    FinWait2 = 5,
    CloseWait = 8,
    LastAck = 9,
    Listen = 10,
    Closing = 11,
}

/// Every state that is asked for: not TIME_WAIT, not request sockets, not what is only bound.
const STATES: [TcpState; 8] = [
    TcpState::Established,
    TcpState::SynSent,
    TcpState::FinWait1,
    TcpState::FinWait2,
    TcpState::CloseWait,
    TcpState::LastAck,
    TcpState::Listen,
    TcpState::Closing,
];

impl TcpState {
    fn from_number(n: u8) -> Option<Self> {
        STATES.into_iter().find(|s| *s as u8 == n)
    }

    /// Whether the peer's FIN was received: the kernel counts it as one byte.
    pub(super) fn peer_finished(self) -> bool {
        matches!(self, TcpState::CloseWait | TcpState::LastAck | TcpState::Closing)
    }
}

/// One socket, as the kernel reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DiagSocket {
    pub(super) state: TcpState,
    pub(super) cookie: u64,
    pub(super) local: Endpoint,
    pub(super) peer: Endpoint,
    /// Inode of the open file; 0 when no process holds the socket (not accepted, or closed).
    pub(super) inode: u32,
    /// cgroup v2 id, 0 = the kernel does not say.
    pub(super) cgroup: u64,
    /// Receive queue; of a listener: connections that wait.
    pub(super) rqueue: u32,
    /// Send queue; of a listener: how many may wait.
    pub(super) wqueue: u32,
    /// Counters; `None` where they are missing or end before `tcpi_bytes_retrans`.
    pub(super) info: Option<TcpInfo>,
}

/// The part of `struct tcp_info` (linux/tcp.h) that is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TcpInfo {
    pub(super) rtt_us: u32,
    pub(super) min_rtt_us: u32,
    pub(super) total_retrans: u32,
    pub(super) bytes_received: u64,
    pub(super) bytes_sent: u64,
    pub(super) bytes_retrans: u64,
}

/// A request for all TCP sockets of `family` (`AF_INET` or `AF_INET6`) with their counters.
pub(super) fn dump_request(family: u8, sequence: u32) -> Vec<u8> {
    let states: u32 = STATES.iter().map(|s| 1 << (*s as u8)).sum();
    let mut out = Vec::with_capacity(72);
    out.extend(72u32.to_ne_bytes());
    out.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    out.extend(REQUEST_DUMP.to_ne_bytes());
    out.extend(sequence.to_ne_bytes());
    out.extend(0u32.to_ne_bytes());
    // struct inet_diag_req_v2: family, protocol, attributes, padding, states, an empty socket id.
    out.extend([family, libc::IPPROTO_TCP as u8, 1 << (ATTR_INFO - 1), 0]);
    out.extend(states.to_ne_bytes());
    out.resize(72, 0);
    out
}

/// A request for the one socket with these addresses and this cookie.
pub(super) fn exact_request(local: Endpoint, peer: Endpoint, cookie: u64, sequence: u32) -> Vec<u8> {
    let family = if local.addr.is_ipv4() && peer.addr.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let mut out = dump_request(family as u8, sequence);
    out[6..8].copy_from_slice(&REQUEST.to_ne_bytes());
    out[24..26].copy_from_slice(&local.port.to_be_bytes());
    out[26..28].copy_from_slice(&peer.port.to_be_bytes());
    for (at, end) in [(28, local), (44, peer)] {
        match end.addr {
            IpAddr::V4(a) if family == libc::AF_INET => out[at..at + 4].copy_from_slice(&a.octets()),
            _ => out[at..at + 16].copy_from_slice(&end.addr_bytes()),
        }
    }
    out[64..68].copy_from_slice(&(cookie as u32).to_ne_bytes());
    out[68..72].copy_from_slice(&((cookie >> 32) as u32).to_ne_bytes());
    out
}

/// What one datagram of an answer says beyond its sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// There was something in it that answers this request.
    pub(super) answered: bool,
    /// The answer is complete.
    pub(super) done: bool,
    /// Some of it could not be read, or the kernel says it is not of one piece.
    pub(super) broken: bool,
    /// The kernel refused: an errno.
    pub(super) error: Option<i32>,
}

/// Reads one datagram; `each` gets every socket that is still one.
pub(super) fn read_datagram(mut bytes: &[u8], sequence: u32, mut each: impl FnMut(DiagSocket)) -> Progress {
    let mut progress = Progress::default();
    while !bytes.is_empty() {
        let Some(length) = u32_at(bytes, 0).map(|n| n as usize) else {
            progress.broken = true;
            break;
        };
        let Some(message) = bytes.get(..length).filter(|m| m.len() >= NLMSG_HEADER) else {
            progress.broken = true;
            break;
        };
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        // An answer to an earlier request that was given up.
        if u32_at(message, 8) != Some(sequence) {
            continue;
        }
        progress.answered = true;
        let payload = &message[NLMSG_HEADER..];
        progress.broken |= u16_at(message, 6).unwrap_or(0) & DUMP_INTERRUPTED != 0;
        match u16_at(message, 4) {
            Some(NLMSG_DONE) => {
                progress.done = true;
                let error = u32_at(payload, 0).unwrap_or(0) as i32;
                progress.error = (error < 0).then_some(error.saturating_neg());
                break;
            }
            Some(NLMSG_ERROR) => {
                let error = u32_at(payload, 0).unwrap_or(0) as i32;
                progress.error = Some(error.saturating_neg());
                break;
            }
            Some(SOCK_DIAG_BY_FAMILY) => match read_socket(payload) {
                Ok(Some(socket)) => each(socket),
                Ok(None) => {}
                Err(Malformed) => progress.broken = true,
            },
            _ => {}
        }
    }
    progress
}

/// A message that is shorter than what it has to hold.
#[derive(Debug, PartialEq, Eq)]
struct Malformed;

/// `Ok(None)`: a socket that is of no interest.
fn read_socket(m: &[u8]) -> Result<Option<DiagSocket>, Malformed> {
    let fixed = m.get(..DIAG_MSG).ok_or(Malformed)?;
    let (family, state, timer) = (fixed[0], fixed[1], fixed[2]);
    let Some(state) = TcpState::from_number(state).filter(|_| timer != TIMER_TIME_WAIT) else {
        return Ok(None);
    };
    let local = endpoint(family, fixed, 8, 4).ok_or(Malformed)?;
    let peer = endpoint(family, fixed, 24, 6).ok_or(Malformed)?;
    let word = |at| u32_at(fixed, at).ok_or(Malformed);
    let mut socket = DiagSocket {
        state,
        cookie: u64::from(word(48)?) << 32 | u64::from(word(44)?),
        local,
        peer,
        inode: word(68)?,
        cgroup: 0,
        rqueue: word(56)?,
        wqueue: word(60)?,
        info: None,
    };
    for (kind, value) in attributes(&m[DIAG_MSG..]) {
        match kind {
            ATTR_INFO => socket.info = read_info(value),
            ATTR_CGROUP_ID => socket.cgroup = u64_at(value, 0).unwrap_or(0),
            _ => {}
        }
    }
    Ok(Some(socket))
}

fn endpoint(family: u8, m: &[u8], addr_at: usize, port_at: usize) -> Option<Endpoint> {
    let port = u16::from_be_bytes(*m.get(port_at..)?.first_chunk()?);
    let addr = match i32::from(family) {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::from(*m.get(addr_at..)?.first_chunk::<4>()?)),
        libc::AF_INET6 => IpAddr::V6(Ipv6Addr::from(*m.get(addr_at..)?.first_chunk::<16>()?)),
        _ => return None,
    };
    Some(Endpoint::new(addr, port))
}

/// The attributes (linux/netlink.h `struct nlattr`) in `bytes`, up to the first malformed one.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & 0x3fff;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn read_info(m: &[u8]) -> Option<TcpInfo> {
    Some(TcpInfo {
        rtt_us: u32_at(m, 68)?,
        min_rtt_us: u32_at(m, 148)?,
        total_retrans: u32_at(m, 100)?,
        bytes_received: u64_at(m, 128)?,
        bytes_sent: u64_at(m, 200)?,
        bytes_retrans: u64_at(m, 208)?,
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(kind: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend((NLMSG_HEADER as u32 + payload.len() as u32).to_ne_bytes());
        out.extend(kind.to_ne_bytes());
        out.extend(0u16.to_ne_bytes());
        out.extend(sequence.to_ne_bytes());
        out.extend(0u32.to_ne_bytes());
        out.extend(payload);
        out
    }

    fn socket_payload(state: u8, timer: u8) -> Vec<u8> {
        let mut m = vec![0u8; DIAG_MSG];
        m[0] = libc::AF_INET as u8;
        m[1] = state;
        m[2] = timer;
        m[4..6].copy_from_slice(&8080u16.to_be_bytes());
        m[6..8].copy_from_slice(&40000u16.to_be_bytes());
        m[8..12].copy_from_slice(&[127, 0, 0, 1]);
        m[24..28].copy_from_slice(&[127, 0, 0, 2]);
        m[44..48].copy_from_slice(&7u32.to_ne_bytes());
        m[48..52].copy_from_slice(&1u32.to_ne_bytes());
        m[68..72].copy_from_slice(&99u32.to_ne_bytes());
        let mut info = vec![0u8; 216];
        info[68..72].copy_from_slice(&1500u32.to_ne_bytes());
        info[128..136].copy_from_slice(&11u64.to_ne_bytes());
        info[200..208].copy_from_slice(&22u64.to_ne_bytes());
        for (kind, value) in [(ATTR_INFO, &info[..]), (ATTR_CGROUP_ID, &25u64.to_ne_bytes())] {
            m.extend((4 + value.len() as u16).to_ne_bytes());
            m.extend(kind.to_ne_bytes());
            m.extend(value);
        }
        m
    }

    fn sockets(bytes: &[u8]) -> (Vec<DiagSocket>, Progress) {
        let mut found = Vec::new();
        let progress = read_datagram(bytes, 5, |s| found.push(s));
        (found, progress)
    }

    #[test]
    fn reads_a_socket_and_the_end_of_the_dump() {
        let mut bytes = message(SOCK_DIAG_BY_FAMILY, 5, &socket_payload(1, 0));
        bytes.extend(message(NLMSG_DONE, 5, &0i32.to_ne_bytes()));
        let (found, progress) = sockets(&bytes);
        assert_eq!(progress, Progress { answered: true, done: true, broken: false, error: None });
        let [socket] = &found[..] else { panic!("{found:?}") };
        assert_eq!(socket.local.to_string(), "127.0.0.1:8080");
        assert_eq!(socket.peer.to_string(), "127.0.0.2:40000");
        assert_eq!((socket.cookie, socket.inode, socket.cgroup), (1 << 32 | 7, 99, 25));
        let info = socket.info.unwrap();
        assert_eq!((info.rtt_us, info.bytes_received, info.bytes_sent), (1500, 11, 22));
    }

    #[test]
    fn leaves_out_what_is_no_socket_any_more_and_other_answers() {
        let mut bytes = message(SOCK_DIAG_BY_FAMILY, 5, &socket_payload(5, TIMER_TIME_WAIT));
        bytes.extend(message(SOCK_DIAG_BY_FAMILY, 5, &socket_payload(6, 0)));
        bytes.extend(message(SOCK_DIAG_BY_FAMILY, 4, &socket_payload(1, 0)));
        assert_eq!(sockets(&bytes), (Vec::new(), Progress { answered: true, ..Progress::default() }));
    }

    #[test]
    fn a_question_for_one_socket_gives_its_addresses_and_cookie() {
        let at = |text: &str, port| Endpoint::new(text.parse().unwrap(), port);
        let v4 = exact_request(at("127.0.0.1", 80), at("::ffff:127.0.0.2", 4000), 1 << 32 | 7, 5);
        assert_eq!((v4.len(), v4[16]), (72, libc::AF_INET as u8));
        assert_eq!(v4[24..32], [0, 80, 0x0f, 0xa0, 127, 0, 0, 1]);
        assert_eq!(v4[44..48], [127, 0, 0, 2]);
        assert_eq!((u32_at(&v4, 64), u32_at(&v4, 68)), (Some(7), Some(1)));
        let v6 = exact_request(at("::1", 80), at("::2", 4000), 7, 5);
        assert_eq!((v6[16], v6[43], v6[59]), (libc::AF_INET6 as u8, 1, 2));
    }

    #[test]
    fn what_is_cut_is_called_broken() {
        let whole = message(SOCK_DIAG_BY_FAMILY, 5, &socket_payload(1, 0));
        assert!(sockets(&whole[..whole.len() - 1]).1.broken);
        assert!(sockets(&message(SOCK_DIAG_BY_FAMILY, 5, &[2; 40])).1.broken);
        assert!(sockets(&[1, 2, 3]).1.broken);
        assert!(sockets(&[0; 16]).1.broken, "a length of 0 does not loop");
    }

    #[test]
    fn says_what_the_kernel_refuses() {
        let refused = message(NLMSG_ERROR, 5, &(-libc::EPERM).to_ne_bytes());
        assert_eq!(sockets(&refused).1.error, Some(libc::EPERM));
    }

    #[test]
    fn counters_of_an_old_kernel_are_unknown_not_zero() {
        assert_eq!(read_info(&[0; 192]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = sockets(&bytes);
        }

        #[test]
        fn no_damaged_answer_panics(at in 0usize..350, value in any::<u8>(), cut in 0usize..360) {
            let mut bytes = message(SOCK_DIAG_BY_FAMILY, 5, &socket_payload(1, 0));
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            let _ = sockets(&bytes[..cut.min(bytes.len())]);
        }
    }
}
