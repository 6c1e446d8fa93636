//! Where facts are born. A source knows nothing of names and edges; it says what it observed of
//! ends, as [`crate::track::Fact`]s.

#[cfg(all(feature = "agent", target_os = "linux"))]
pub mod ebpf;
