//! The command line: one file or room per command.

#[cfg(all(target_os = "linux", feature = "agent"))]
pub mod demo;
