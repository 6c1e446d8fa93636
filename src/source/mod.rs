//! Where facts are born. A source knows sockets and processes; it says what it observed of ends, as
//! [`crate::track::Fact`]s. Names and edges are made above.

#[cfg(all(feature = "agent", target_os = "linux"))]
pub mod ebpf;
#[cfg(all(feature = "agent", target_os = "linux"))]
mod members;
pub mod pcap;
#[cfg(all(feature = "agent", target_os = "linux"))]
pub mod probe;
#[cfg(all(feature = "agent", target_os = "linux"))]
pub mod sockdiag;

#[cfg(all(feature = "agent", target_os = "linux"))]
pub use members::Among;
