//! WebSocket.
#![no_main]

use webb_fuzz::{play, wire::websocket::WebSocket};

libfuzzer_sys::fuzz_target!(|data: &[u8]| play::decoder(data, None, |script| {
    Box::new(WebSocket::new(play::asked(script.start).target, script.start))
}));
