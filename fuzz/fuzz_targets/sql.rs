//! SQL without literals.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| webb_fuzz::sql::run(data));
