//! Capture files, and what is concluded of them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| webb_fuzz::pcap::run(data));
