//! Generated from `proto/webb/v1/webb.proto`; the comments there say what the fields mean.
#![allow(missing_docs, clippy::all)]

include!("webb.v1.rs");
