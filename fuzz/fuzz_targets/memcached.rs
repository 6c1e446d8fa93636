//! memcached, text and binary.
#![no_main]

use webb_fuzz::{play, wire};

libfuzzer_sys::fuzz_target!(|data: &[u8]| play::decoder(data, Some(wire::memcached::sniff), |_| Box::new(
    wire::memcached::Memcached::new()
)));
