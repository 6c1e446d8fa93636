//! Facts → ends and connections. No I/O, no clock: time comes with the facts, so that the same code
//! runs under the kernel, a capture, a property test and a fuzzer.
//!
//! [`Track::apply`] takes facts in the order in which they were read. [`Track::flush`] gives events
//! and changed connections; [`Track::seal`] gives what is to be counted in one slice.

mod asked;
mod count;
mod datagrams;
mod delta;
mod entities;
mod fact;
mod far;
mod flows;
mod identities;
mod join;
mod legs;
mod links;
mod listen;
mod owners;
mod piece;
mod resolved;
mod roles;
mod seal;
mod secured;
mod spoken;
mod stream;
mod table;
mod talks;
#[cfg(test)]
mod tests;
mod tracked;
mod tunnels;
mod walk;

pub use delta::{Counted, Step};
pub use fact::{
    Comm, EndFact, Ending, Fact, ListenFact, Moment, OwnerFact, Route, SampleFact, TalkFact, TurnsFact,
};
pub use piece::{Datagram, Early, HandedAt, Observation, Piece, Progress};
pub use table::{Flushed, Track, TrackConfig};
