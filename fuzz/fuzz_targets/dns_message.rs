//! DNS messages, queries over UDP, and search-list storms.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| webb_fuzz::dns_message::run(data));
