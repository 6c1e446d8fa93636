//! HTTP/1.
#![no_main]

use webb_fuzz::{play, wire::http1};

libfuzzer_sys::fuzz_target!(|data: &[u8]| play::decoder(data, Some(http1::sniff), |script| {
    Box::new(http1::Http1::new(script.adopted))
}));
