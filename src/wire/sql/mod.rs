//! What the two SQL protocols have in common: statements without literals, and length-prefixed
//! messages that are cut out of a stream.

pub mod frames;
pub mod normalise;
mod tokens;

#[cfg(test)]
mod tests;

pub use normalise::{Dialect, Statement, normalise};
