use super::*;
use crate::wire::testing::{conversations, decode};

fn capture(name: &str) -> Vec<(u16, Vec<crate::wire::testing::Said>)> {
    conversations(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/captures/").to_owned() + name)
}

#[test]
fn show() {
    for c in ["http2-nginx.pcap", "grpc-python.pcap", "http2-push.pcap", "http2-h2load.pcap"] {
        for (port, said) in capture(c) {
            println!("== {c} {port} {}", said.len());
            for t in decode(Http2::new(false), &said) {
                println!(
                    "{:?} {:?} {} {:?} {:?} {:?} key {:?} req {}B resp {:?} lat {:?}us",
                    t.protocol,
                    t.shape,
                    t.method,
                    t.target,
                    t.status,
                    t.verdict,
                    t.key,
                    t.request.bytes,
                    t.response.map(|r| (r.bytes, (r.last.0 - r.first.0) / 1000)),
                    t.response.map(|r| (r.first.0 as i64 - t.request.last.0 as i64) / 1000)
                );
            }
        }
    }
}
