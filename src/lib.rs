//! webb: who talks to whom, how fast, is it failing, and is it really mutual TLS.
//!
//! `docs/architecture.md` is the map of the rooms; each module opens with what it is for.

pub mod api;
pub mod client;
pub mod model;
pub mod server;
pub mod store;
pub mod track;
