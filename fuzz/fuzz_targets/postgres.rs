//! PostgreSQL.
#![no_main]

use webb_fuzz::{play, wire};

libfuzzer_sys::fuzz_target!(|data: &[u8]| play::decoder(data, Some(wire::postgres::sniff), |_| Box::new(
    wire::postgres::Postgres::new()
)));
