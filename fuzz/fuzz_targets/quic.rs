//! QUIC headers, the client's Initials, and the ClientHello in them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| webb_fuzz::quic::run(data));
