//! webb: who talks to whom, how fast, is it failing, and is it really mutual TLS.
//!
//! `docs/architecture.md` is the map of the rooms; each module opens with what it is for.

#[cfg(all(target_os = "linux", feature = "agent"))]
pub mod agent;
pub mod api;
pub mod cli;
pub mod client;
pub mod export;
#[cfg(all(target_os = "linux", feature = "agent"))]
pub mod identity;
pub mod model;
pub mod replay;
pub mod server;
pub mod source;
pub mod store;
pub mod track;
pub mod tui;
pub mod wire;
pub mod world;
