//! Finding out the protocol, and all decoders behind it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| webb_fuzz::conversation::run(data));
