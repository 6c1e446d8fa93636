//! Bytes → meaning. Decoders of application protocols: pure, incremental, bounded, safe on any
//! input. They know nothing of sockets, packets or captures: `track` gives them the bytes of each
//! direction in order, and says how many it does not have.
//!
//! What a decoder tells is redacted already: path templates, statements without literals, commands
//! without keys or values. Nothing of a payload leaves this room otherwise.

mod candidates;
mod conversation;
pub mod decoder;
pub mod http1;
pub mod template;
pub mod dns;
pub mod quic;
#[cfg(test)]
pub mod testing;
pub mod websocket;

pub use conversation::Conversation;
pub use decoder::{Answer, Decoder, Dns, Record, Sniff, Span, Speaker, Told};
