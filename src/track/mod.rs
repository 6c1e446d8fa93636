//! Facts → ends and connections. No I/O, no clock: time comes with the facts, so that the same code
//! runs under the kernel, a capture, a property test and a fuzzer.

mod fact;

pub use fact::{Comm, EndFact, Fact, ListenFact, Moment, OwnerFact, SampleFact};
