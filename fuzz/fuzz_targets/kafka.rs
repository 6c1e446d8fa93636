//! Kafka.
#![no_main]

use webb_fuzz::{play, wire};

libfuzzer_sys::fuzz_target!(|data: &[u8]| play::decoder(data, Some(wire::kafka::sniff), |_| Box::new(
    wire::kafka::Kafka::new()
)));
