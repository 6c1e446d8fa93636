//! How a connection ended, or why it never began: a closed list.

use std::fmt;

/// How a connection ended. The order is the order of display; the numbers are on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// Both directions were closed in order.
    Clean = 1,
    /// The connect was answered by a reset (`ECONNREFUSED`).
    Refused = 2,
    /// No answer: SYN retries, retransmissions or keep-alives were used up (`ETIMEDOUT`).
    TimedOut = 3,
    /// ICMP or ARP/ND said that the peer cannot be reached (`EHOSTUNREACH`, `ENETUNREACH`).
    Unreachable = 4,
    /// `connect()` ended before a SYN was sent: no route, or a local policy denied it.
    NoRoute = 5,
    /// `connect()` found no free local port (`EADDRNOTAVAIL`).
    NoPort = 6,
    /// The application closed the socket while it was still connecting.
    GivenUp = 7,
    /// The server end saw a reset from the client.
    ResetByClient = 8,
    /// The client end saw a reset from the server.
    ResetByServer = 9,
    /// The client's end closed with unread data, with linger 0, or was killed: it sent the reset.
    AbortedByClient = 10,
    /// The server's end did so.
    AbortedByServer = 11,
    /// The end was lost from sight: its close was not seen.
    Unknown = 12,
}

/// Every outcome, in order of display.
pub const OUTCOMES: [Outcome; 12] = [
    Outcome::Clean,
    Outcome::Refused,
    Outcome::TimedOut,
    Outcome::Unreachable,
    Outcome::NoRoute,
    Outcome::NoPort,
    Outcome::GivenUp,
    Outcome::ResetByClient,
    Outcome::ResetByServer,
    Outcome::AbortedByClient,
    Outcome::AbortedByServer,
    Outcome::Unknown,
];

impl Outcome {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Clean => "clean",
            Outcome::Refused => "refused",
            Outcome::TimedOut => "timed-out",
            Outcome::Unreachable => "unreachable",
            Outcome::NoRoute => "no-route",
            Outcome::NoPort => "no-port",
            Outcome::GivenUp => "given-up",
            Outcome::ResetByClient => "reset-by-client",
            Outcome::ResetByServer => "reset-by-server",
            Outcome::AbortedByClient => "aborted-by-client",
            Outcome::AbortedByServer => "aborted-by-server",
            Outcome::Unknown => "unknown",
        }
    }

    /// The outcome of a wire number.
    pub fn from_number(n: u8) -> Option<Self> {
        OUTCOMES.into_iter().find(|o| *o as u8 == n)
    }

    /// Position in [`OUTCOMES`], for arrays of counters.
    pub fn index(self) -> usize {
        self as usize - 1
    }

    /// How much this outcome says about the cause: of two ends' outcomes the higher one names the
    /// connection's. An abort is a cause, the reset that the peer saw is its echo.
    fn weight(self) -> u8 {
        match self {
            Outcome::AbortedByClient | Outcome::AbortedByServer => 4,
            Outcome::TimedOut
            | Outcome::Unreachable
            | Outcome::Refused
            | Outcome::NoRoute
            | Outcome::NoPort
            | Outcome::GivenUp => 3,
            Outcome::ResetByClient | Outcome::ResetByServer => 2,
            Outcome::Clean => 1,
            Outcome::Unknown => 0,
        }
    }

    /// The outcome of a connection from the outcomes of its two ends: a cause beats its echo.
    #[must_use]
    pub fn join(client: Option<Outcome>, server: Option<Outcome>) -> Option<Outcome> {
        match (client, server) {
            (Some(c), Some(s)) => Some(if s.weight() > c.weight() { s } else { c }),
            (c, s) => c.or(s),
        }
    }

    /// Whether people would call it a failure.
    pub fn is_failure(self) -> bool {
        !matches!(self, Outcome::Clean | Outcome::Unknown)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_beats_its_echo() {
        use Outcome::{AbortedByClient, AbortedByServer, Clean, ResetByClient, ResetByServer, Unknown};
        assert_eq!(Outcome::join(Some(ResetByServer), Some(AbortedByServer)), Some(AbortedByServer));
        assert_eq!(Outcome::join(Some(AbortedByClient), Some(ResetByClient)), Some(AbortedByClient));
        assert_eq!(Outcome::join(Some(Clean), Some(ResetByClient)), Some(ResetByClient));
        assert_eq!(Outcome::join(Some(Unknown), Some(Clean)), Some(Clean));
        assert_eq!(Outcome::join(None, Some(Clean)), Some(Clean));
    }

    #[test]
    fn numbers_round_trip() {
        for (i, o) in OUTCOMES.into_iter().enumerate() {
            assert_eq!(o.index(), i);
            assert_eq!(Outcome::from_number(o as u8), Some(o));
        }
        assert_eq!(Outcome::from_number(0), None);
        assert_eq!(Outcome::from_number(13), None);
    }
}
