//! What leaves webb as text: JSON lines, plain tables, maps for Graphviz and Mermaid.
//!
//! Pure functions from the model and the world to serde structs or strings; nothing here knows a
//! terminal or a socket. `docs/json.md` documents the JSON, `tests/json_schema.rs` checks it.

mod asked;
pub mod audit;
pub mod dot;
pub mod figures;
mod graph;
pub mod json;
pub mod mermaid;
pub mod security;
pub mod table;
pub mod time;
pub mod top;
mod window;

pub use asked::LEGEND;
pub use window::Window;

// `tests/json_schema.rs` takes in the samples too: they name these rooms through their parent.
#[cfg(test)]
mod samples;
#[cfg(test)]
use crate::{model, world};
