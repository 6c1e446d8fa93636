//! The wire: generated protobuf code, and conversion to and from `model`.
//!
//! `webb.v1.rs` and `webb.v1.bin` are made from `proto/webb/v1/webb.proto` by
//! `WEBB_REGENERATE=1 cargo test --test api_current`, so that building needs no protobuf compiler.
//! What comes from a peer is hostile: everything is checked before it becomes a `model` type, and
//! no length that a peer states is allocated before the bytes are there.

mod address;
mod connection;
mod hist;
mod invalid;
mod names;
pub mod pb;
#[cfg(test)]
mod properties;
mod request;
mod slice;
mod snapshot;
mod status;
#[cfg(test)]
mod strategies;
mod tls;

pub use address::{Address, InvalidAddress, default_socket};
pub use connection::{
    connection_from_pb, connection_to_pb, event_from_pb, event_to_pb, filter_from_pb, filter_to_pb,
};
pub use invalid::InvalidMessage;
pub use names::{name_update_from_pb, name_update_to_pb};
pub use slice::{slice_from_pb, slice_to_pb};
pub use snapshot::{Assembler, Pieces};
pub use status::{status_from_pb, status_to_pb};

/// Largest message of a server, bytes; readers refuse more.
pub const MAX_RESPONSE: usize = 1 << 20;
/// Largest request, bytes.
pub const MAX_REQUEST: usize = 64 << 10;
/// A message that grows is ended here, bytes: far enough below [`MAX_RESPONSE`] for its last item.
pub const PIECE: usize = 256 << 10;
/// Most connections in one page.
pub const PAGE: usize = 256;
/// Longest text, bytes.
pub const MAX_TEXT: usize = 4096;

/// The compiled `webb.proto`, a `google.protobuf.FileDescriptorSet`, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!("webb.v1.bin");
