//! Bytes → meaning. Decoders of application protocols: pure, incremental, bounded, safe on any
//! input. They know nothing of sockets, packets or captures: `track` gives them the bytes of each
//! direction in order, and says how many it does not have.
//!
//! What a decoder tells is redacted already: path templates, statements without literals, commands
//! without keys or values. Nothing of a payload leaves this room otherwise.

pub mod amqp;
mod candidates;
mod conversation;
pub mod decoder;
pub mod dns;
mod framed;
mod hash;
pub mod hpack;
pub mod http1;
pub mod http2;
pub mod kafka;
pub mod line;
pub mod memcached;
pub mod mongodb;
pub mod mysql;
pub mod nats;
pub mod postgres;
pub mod quic;
pub mod redis;
pub mod sql;
pub mod template;
#[cfg(test)]
pub mod testing;
pub mod tls;
pub mod websocket;

pub use conversation::Conversation;
pub use decoder::{Answer, Decoder, Dns, Record, Sniff, Span, Speaker, Told};
