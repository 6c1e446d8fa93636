//! The terminal UI: state ← inputs, view = pure function of the state into a buffer.
//!
//! | file | job |
//! |---|---|
//! | `feed.rs` | what comes in, what is asked for, options, errors |
//! | `run.rs` | the one loop: names every input |
//! | `screen.rs` | the terminal: enter, leave, draw a frame in one write |
//! | `state.rs`, `act.rs` | the state; keys and mouse change it |
//! | `shown.rs` | what panes show, worked out once per slice |
//! | `view.rs` | the frame around all panes |
//! | `map.rs` `edges.rs` `connections.rs` `requests.rs` `security/` `agent.rs` `help.rs` | the panes |
//! | `detail.rs` `detail_*.rs` `heat.rs` | what opens beside or over them |
//! | `looked.rs` | what an edge's detail needs beside its row |
//! | `keys.rs` | the key table |
//! | `theme.rs` `pen.rs` `figures.rs` | roles, text, figures |

mod act;
mod agent;
mod connections;
mod detail;
mod detail_asked;
mod detail_connection;
mod detail_edge;
mod detail_request;
mod edges;
mod feed;
mod figures;
mod heat;
mod help;
mod keys;
mod looked;
mod map;
mod pen;
mod requests;
mod run;
mod screen;
mod security;
mod shown;
mod state;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_asked;
mod theme;
mod view;

pub use feed::{Feed, UiError, UiOptions, Want};
pub use keys::{Action, Key, key_table};
pub use run::run;
pub use state::{PANES, Pane, State};
pub use theme::{Role, Theme};
pub use view::draw;
