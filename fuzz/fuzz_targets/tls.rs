//! TLS handshakes on TCP.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| webb_fuzz::tls::run(data));
