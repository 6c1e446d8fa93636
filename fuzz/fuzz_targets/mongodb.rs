//! MongoDB.
#![no_main]

use webb_fuzz::{play, wire};

libfuzzer_sys::fuzz_target!(|data: &[u8]| play::decoder(data, Some(wire::mongodb::sniff), |_| Box::new(
    wire::mongodb::Mongodb::new()
)));
