//! What the fuzzers share. The rooms under test are here by their paths, as `crate::…`, so that they
//! are built as they are and nothing else has to be.

#[path = "../../src/model/mod.rs"]
pub mod model;
#[path = "../../src/source/mod.rs"]
pub mod source;
#[path = "../../src/track/mod.rs"]
pub mod track;
#[path = "../../src/wire/mod.rs"]
pub mod wire;
#[path = "../../src/world/mod.rs"]
pub mod world;

pub mod conversation;
pub mod dns_message;
pub mod hpack;
pub mod meter;
pub mod pcap;
pub mod play;
pub mod quic;
pub mod script;
pub mod sql;
pub mod streams;
pub mod template;
pub mod tls;
