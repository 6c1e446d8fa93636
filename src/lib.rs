//! webb: who talks to whom, how fast, is it failing, and is it really mutual TLS.
//!
//! `docs/architecture.md` is the map of the rooms; each module opens with what it is for.

pub mod model;
pub mod source;
pub mod track;
pub mod tui;
pub mod world;
