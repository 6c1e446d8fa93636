//! What the two SQL protocols have in common: statements without literals, and length-prefixed
//! messages that are cut out of a stream.

pub mod frames;
pub mod normalise;
mod recent;
mod source;
mod tokens;

#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

pub use normalise::{Dialect, LIMIT, Statement, normalise};
pub use recent::Recent;
pub use source::Source;
