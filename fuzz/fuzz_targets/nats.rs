//! NATS.
#![no_main]

use webb_fuzz::{play, wire};

libfuzzer_sys::fuzz_target!(|data: &[u8]| play::decoder(data, Some(wire::nats::sniff), |_| Box::new(
    wire::nats::Nats::new()
)));
