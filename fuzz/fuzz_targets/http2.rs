//! HTTP/2 and gRPC, from the preface, from the middle, and after an upgrade.
#![no_main]

use webb_fuzz::{play, wire::http2};

libfuzzer_sys::fuzz_target!(|data: &[u8]| play::decoder(data, Some(http2::sniff), |script| {
    if script.other {
        Box::new(http2::Http2::upgraded(&play::asked(script.start)))
    } else {
        Box::new(http2::Http2::new(script.adopted))
    }
}));
