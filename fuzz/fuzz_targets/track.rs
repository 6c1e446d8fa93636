//! Ends, pieces of their streams, and what is put together of them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| webb_fuzz::streams::run(data));
