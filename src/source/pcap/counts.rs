//! What was read of a capture, what could not be, and why a file is none.

use std::io;

/// Why nothing can be read, or nothing more.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file cannot be opened.
    #[error("cannot open {path}: {error}")]
    Open {
        /// Which.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// Reading failed.
    #[error("cannot read the capture: {0}")]
    Read(#[from] io::Error),
    /// There is not one byte.
    #[error("the capture is empty")]
    Empty,
    /// The file is packed.
    #[error("the capture is compressed with {with}: unpack it first, for example with {command}")]
    Compressed {
        /// By what.
        with: &'static str,
        /// What unpacks it.
        command: &'static str,
    },
    /// Neither format begins like this.
    #[error("this is not a capture: it begins neither as pcap nor as pcapng")]
    NotACapture,
    /// Another version of the format.
    #[error("version {0} of the pcap format is not known; only version 2 is")]
    Version(u16),
}

/// How a capture was read so far. Packets are counted once: among the skipped, or as taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets met, taken or not.
    pub packets: u64,
    /// Bytes of the file that were read.
    pub bytes: u64,
    /// Bytes of the file, where that is known.
    pub total: Option<u64>,
    /// Packets that were not taken, by reason.
    pub skipped: Skipped,
    /// TCP connections that were begun or found open.
    pub connections: u64,
    /// UDP conversations.
    pub conversations: u64,
    /// Connections and conversations that were given up because a table was full.
    pub evicted: u64,
    /// Payload of SYNs (TCP Fast Open) that was not kept until its handshake was done, in bytes.
    pub early_lost: u64,
    /// The file ends inside of a packet or block.
    pub truncated: bool,
    /// Where in the file a length cannot be right. Nothing was read from there on.
    pub damaged_at: Option<u64>,
    /// Bytes that were not read because of that, where the size of the file is known.
    pub unread: Option<u64>,
}

/// Packets that were not taken, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// A link type that is not known, or an interface that was not described.
    pub link: u64,
    /// Not IP: ARP, LLDP, 802.11 control.
    pub not_ip: u64,
    /// IP, but neither TCP nor UDP.
    pub not_tcp_udp: u64,
    /// Cut within the headers.
    pub cut: u64,
    /// Headers that contradict themselves.
    pub malformed: u64,
    /// Longer than 256 KiB.
    pub too_long: u64,
    /// Datagrams whose fragments did not all come, overlapped, or found no room.
    pub fragments_lost: u64,
    /// The same packet once more, as another interface saw it.
    pub copies: u64,
    /// TCP segments of no connection: payload after its end, or a reset or an acknowledgement of what
    /// was never seen.
    pub stray: u64,
    /// TCP segments with a sequence number that cannot be of their connection.
    pub out_of_window: u64,
}

/// Why a packet is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skip {
    Link,
    NotIp,
    NotTcpUdp,
    Cut,
    Malformed,
    TooLong,
    Copy,
    Stray,
    OutOfWindow,
}

impl Counts {
    pub(super) fn skip(&mut self, why: Skip) {
        let s = &mut self.skipped;
        let counter = match why {
            Skip::Link => &mut s.link,
            Skip::NotIp => &mut s.not_ip,
            Skip::NotTcpUdp => &mut s.not_tcp_udp,
            Skip::Cut => &mut s.cut,
            Skip::Malformed => &mut s.malformed,
            Skip::TooLong => &mut s.too_long,
            Skip::Copy => &mut s.copies,
            Skip::Stray => &mut s.stray,
            Skip::OutOfWindow => &mut s.out_of_window,
        };
        *counter += 1;
    }
}
