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
//! | `map.rs` `edges.rs` `connections.rs` `agent.rs` `detail.rs` `help.rs` | the panes |
//! | `keys.rs` | the key table |
//! | `theme.rs` `pen.rs` `figures.rs` | roles, text, figures |

mod act;
mod agent;
mod connections;
mod detail;
mod detail_connection;
mod edges;
mod feed;
mod figures;
mod help;
mod keys;
mod map;
mod pen;
mod run;
mod screen;
mod shown;
mod state;
#[cfg(test)]
mod tests;
mod theme;
mod view;

pub use feed::{Feed, UiError, UiOptions, Want};
pub use keys::{Action, Key, key_table};
pub use run::run;
pub use state::{PANES, Pane, State};
pub use theme::{Role, Theme};
pub use view::draw;
