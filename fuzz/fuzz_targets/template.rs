//! Path templates.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| webb_fuzz::template::run(data));
