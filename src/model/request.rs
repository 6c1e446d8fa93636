//! What was asked and how fast it was answered: counted per edge, and one by one as events.

use std::borrow::Cow;
use std::sync::Arc;

use super::{BootNs, Hist, Protocol, Shape, Verdict, View};

/// Targets (path templates, statements, …) that one view of an edge tells apart; the rest is folded
/// into one without method and target.
pub const TARGETS: usize = 64;

/// What one end saw of requests and answers, as deltas over a slice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Latency without decoding.
    pub turns: Turns,
    /// Decoded exchanges by protocol, and protocols that were recognised.
    pub protocols: Vec<ProtocolCounts>,
    /// Decoded exchanges by what they were about; at most [`TARGETS`] and one for the rest.
    pub targets: Vec<TargetCounts>,
    /// Bytes in which requests may have been missed: the edge is incomplete where this is not 0.
    pub undecoded_bytes: u64,
}

/// Turns: client bytes, then server bytes, whatever the protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// Last byte asked to first byte answered, microseconds.
    pub first_us: Hist,
    /// Last byte asked to last byte answered, microseconds.
    pub full_us: Hist,
    /// Answers that began before the server had all that was asked: pipelining, duplex streams. Not
    /// in the histograms.
    pub overlapped: u64,
    /// Answers after 10 s or more: long polls, most likely. Not in the histograms.
    pub waits: u64,
    /// The server spoke unasked.
    pub pushes: u64,
    /// Answers that went on after a pause of a second or more: only their first byte is counted.
    pub streams: u64,
}

impl Turns {
    /// Adds another interval, or another edge.
    pub fn merge(&mut self, other: &Turns) {
        self.first_us.merge(&other.first_us);
        self.full_us.merge(&other.full_us);
        self.overlapped = self.overlapped.saturating_add(other.overlapped);
        self.waits = self.waits.saturating_add(other.waits);
        self.pushes = self.pushes.saturating_add(other.pushes);
        self.streams = self.streams.saturating_add(other.streams);
    }
}

/// How exchanges went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Exchanges.
    pub requests: u64,
    /// Of them, with an error.
    pub errors: u64,
    /// Of them, with a client's error; not among `errors`.
    pub client_errors: u64,
    /// Of them, with an outcome that is not known.
    pub unknown: u64,
    /// Of them, not timed because they are no question with an answer: streams, waits, one-way.
    pub not_timed: u64,
    /// Last byte asked to first byte answered, microseconds.
    pub latency_us: Hist,
}

impl Tally {
    /// Counts one exchange; `latency_us` where it was measured.
    pub fn count(&mut self, shape: Shape, verdict: Verdict, latency_us: Option<u64>) {
        self.requests += 1;
        match verdict {
            Verdict::Ok => {}
            Verdict::ClientError => self.client_errors += 1,
            Verdict::Error => self.errors += 1,
            Verdict::Unknown => self.unknown += 1,
        }
        match (shape, latency_us) {
            (Shape::Unary, Some(us)) => self.latency_us.record(us),
            (Shape::Unary, None) => {}
            _ => self.not_timed += 1,
        }
    }

    /// Adds another interval, or another edge.
    pub fn merge(&mut self, other: &Tally) {
        self.merge_counts(other);
        self.latency_us.merge(&other.latency_us);
    }

    /// [`Tally::merge`] without the histogram.
    pub fn merge_counts(&mut self, other: &Tally) {
        self.requests = self.requests.saturating_add(other.requests);
        self.errors = self.errors.saturating_add(other.errors);
        self.client_errors = self.client_errors.saturating_add(other.client_errors);
        self.unknown = self.unknown.saturating_add(other.unknown);
        self.not_timed = self.not_timed.saturating_add(other.not_timed);
    }
}

/// Exchanges of one protocol; none where it was only recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolCounts {
    /// Which.
    pub protocol: Protocol,
    /// How they went.
    pub tally: Tally,
    /// Last byte asked to last byte answered, microseconds.
    pub full_us: Hist,
    /// Exchanges that were missed for certain (their heads lay in a gap).
    pub missed: u64,
}

/// Exchanges about one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetCounts {
    /// In which protocol.
    pub protocol: Protocol,
    /// `GET`, `SELECT`, `A`; empty where the rest is folded.
    pub method: Arc<str>,
    /// Path template, statement, name; empty where there is none.
    pub target: Arc<str>,
    /// How they went.
    pub tally: Tally,
}

impl TargetCounts {
    /// Whether it stands for all that were not told apart.
    pub fn is_rest(&self) -> bool {
        self.method.is_empty() && self.target.is_empty()
    }
}

impl Asked {
    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        *self == Asked::default()
    }

    /// The counts of one protocol, made if absent.
    pub fn protocol_mut(&mut self, protocol: Protocol) -> &mut ProtocolCounts {
        let i = match self.protocols.iter().position(|p| p.protocol == protocol) {
            Some(i) => i,
            None => {
                self.protocols.push(ProtocolCounts {
                    protocol,
                    tally: Tally::default(),
                    full_us: Hist::default(),
                    missed: 0,
                });
                self.protocols.len() - 1
            }
        };
        &mut self.protocols[i]
    }

    /// The tally of one target, made if there is room, else that of the rest.
    pub fn target_mut(&mut self, protocol: Protocol, method: &Arc<str>, target: &Arc<str>) -> &mut Tally {
        let same = |t: &TargetCounts| {
            t.protocol == protocol
                && (Arc::ptr_eq(&t.method, method) || t.method == *method)
                && (Arc::ptr_eq(&t.target, target) || t.target == *target)
        };
        let mut found = self.targets.iter().position(same);
        if found.is_none() && self.targets.len() >= TARGETS {
            found = self.targets.iter().position(TargetCounts::is_rest);
        }
        let i = found.unwrap_or_else(|| {
            let rest = self.targets.len() >= TARGETS;
            let of = |text: &Arc<str>| if rest { Arc::from("") } else { text.clone() };
            let (method, target) = (of(method), of(target));
            self.targets.push(TargetCounts { protocol, method, target, tally: Tally::default() });
            self.targets.len() - 1
        });
        &mut self.targets[i].tally
    }

    /// Adds another interval, or another edge.
    pub fn merge(&mut self, other: &Asked) {
        self.turns.merge(&other.turns);
        for p in &other.protocols {
            let mine = self.protocol_mut(p.protocol);
            mine.tally.merge(&p.tally);
            mine.full_us.merge(&p.full_us);
            mine.missed = mine.missed.saturating_add(p.missed);
        }
        for t in &other.targets {
            self.target_mut(t.protocol, &t.method, &t.target).merge(&t.tally);
        }
        self.undecoded_bytes = self.undecoded_bytes.saturating_add(other.undecoded_bytes);
    }

    /// All protocols together.
    pub fn all(&self) -> Tally {
        let mut sum = Tally::default();
        self.protocols.iter().for_each(|p| sum.merge(&p.tally));
        sum
    }

    /// The protocol with the most exchanges; where there are none, one that was recognised.
    pub fn main_protocol(&self) -> Option<Protocol> {
        self.protocols.iter().max_by_key(|p| p.tally.requests).map(|p| p.protocol)
    }
}

/// When the parts of one exchange passed at one end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// First byte asked; 0 = not seen.
    pub asked: BootNs,
    /// Last byte asked.
    pub asked_all: BootNs,
    /// First byte answered; 0 = no answer.
    pub answered: BootNs,
    /// Last byte answered, as far as it was seen.
    pub answered_all: BootNs,
}

impl Timing {
    /// Last byte asked to first byte answered.
    pub fn latency_us(&self) -> Option<u64> {
        (self.asked_all.0 != 0 && self.answered.0 != 0).then(|| self.answered.since(self.asked_all) / 1000)
    }

    /// Last byte asked to last byte answered.
    pub fn full_us(&self) -> Option<u64> {
        (self.asked_all.0 != 0 && self.answered_all.0 != 0)
            .then(|| self.answered_all.since(self.asked_all) / 1000)
    }
}

/// One exchange, with what each end saw of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Protocol.
    pub protocol: Protocol,
    /// Whether its latency counts.
    pub shape: Shape,
    /// `GET`, `SELECT`, `A`.
    pub method: Cow<'static, str>,
    /// Path template, statement, name; `None` where there is none or it is not known.
    pub target: Option<Arc<str>>,
    /// Why `target` is not known.
    pub target_unknown: Option<Cow<'static, str>>,
    /// What the answer says.
    pub status: Option<Cow<'static, str>>,
    /// Why `status` is not known.
    pub status_unknown: Option<Cow<'static, str>>,
    /// What that means.
    pub verdict: Verdict,
    /// At the client's end, where it is in scope.
    pub by_client: Option<Timing>,
    /// At the server's end, where it is in scope.
    pub by_server: Option<Timing>,
    /// Bytes asked.
    pub request_bytes: u64,
    /// Bytes answered.
    pub response_bytes: u64,
    /// More that the answer says, such as the addresses of a DNS name, and how it was come by: asked
    /// again, or through a search list; empty = nothing.
    pub note: Cow<'static, str>,
    /// How the protocol is known.
    pub evidence: Cow<'static, str>,
}

impl Request {
    /// The timing that is shown: the client's, else the server's, and which.
    pub fn shown(&self) -> Option<(View, &Timing)> {
        match (&self.by_client, &self.by_server) {
            (Some(t), _) => Some((View::Client, t)),
            (None, Some(t)) => Some((View::Server, t)),
            (None, None) => None,
        }
    }

    /// Latency in the view that is shown, where it counts as one.
    pub fn latency_us(&self) -> Option<u64> {
        self.shown().and_then(|(_, t)| t.latency_us())
    }
}
