//! DNS over TCP.
#![no_main]

use webb_fuzz::{play, wire};

libfuzzer_sys::fuzz_target!(|data: &[u8]| play::decoder(data, Some(wire::dns::sniff), |_| Box::new(
    wire::dns::Stream::new()
)));
