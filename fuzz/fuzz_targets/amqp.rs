//! AMQP 0-9-1.
#![no_main]

use webb_fuzz::{play, wire};

libfuzzer_sys::fuzz_target!(|data: &[u8]| play::decoder(data, Some(wire::amqp::sniff), |_| Box::new(
    wire::amqp::Amqp::new()
)));
