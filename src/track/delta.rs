//! What is counted: small steps that are kept until their slice is sealed, and only then given to an
//! edge, because a connection's other end, role and outcome may be learnt a moment later.

use crate::model::{BootNs, EdgeKey, Outcome, Security, View};
use crate::world::Far;

/// One step of one end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Begun.
    Opened,
    /// Handshake done, after so many microseconds where that is known.
    Established(Option<u64>),
    /// Found open.
    Adopted,
    /// Closed after having been established.
    Closed,
    /// Never established.
    Failed,
    /// Moved payload.
    Traffic {
        /// Bytes sent.
        sent: u64,
        /// Bytes received.
        received: u64,
        /// Segments retransmitted.
        retransmits: u32,
        /// Smoothed round-trip time at the reading.
        srtt_us: Option<u32>,
    },
}

impl Step {
    /// As the other end would have it.
    pub(super) fn reversed(self) -> Step {
        match self {
            Step::Traffic { sent, received, retransmits, srtt_us } => {
                Step::Traffic { sent: received, received: sent, retransmits, srtt_us }
            }
            other => other,
        }
    }
}

/// A step as it waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub at: BootNs,
    pub key: u64,
    pub view: View,
    pub step: Step,
}

/// A step, given to its edge.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// Which edge.
    pub edge: EdgeKey,
    /// Which of its sides are far.
    pub far: Far,
    /// Seen by which end.
    pub view: View,
    /// What happened.
    pub step: Step,
    /// Of a step that ends a connection: the outcome, a cause before its echo.
    pub outcome: Option<Outcome>,
    /// Of a connection that closes: the verdict on its security, where it was looked at.
    pub security: Option<Security>,
    /// It belongs to an earlier slice that is sealed already.
    pub late: bool,
}
