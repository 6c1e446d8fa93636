//! The checked-in protobuf code and descriptor set are what `proto/webb/v1/webb.proto` compiles to.
//!
//! After a change of the proto file: first `WEBB_REGENERATE=1 cargo test --test api_current`, while
//! the crate still builds against the old code, then the conversions in `src/api/`.

#![allow(clippy::expect_used)]

use std::path::Path;

use prost::Message as _;

const GENERATED: [&str; 2] = ["webb.v1.rs", "webb.v1.bin"];

/// What the code says of itself, below the generator's own line.
const OPENING: &str = "\
// The messages and services of proto/webb/v1/webb.proto as Rust. Not edited by hand: after a change of the proto
// file run `WEBB_REGENERATE=1 cargo test --test api_current`.
";

/// Messages that are large in memory and optional on the wire: boxed, so that a peer cannot make a
/// reader allocate much from a few bytes.
const BOXED: [&str; 20] = [
    ".webb.v1.Edge.by_client",
    ".webb.v1.Edge.by_server",
    ".webb.v1.Side.end",
    ".webb.v1.End.owner",
    ".webb.v1.Connection.client",
    ".webb.v1.Connection.server",
    ".webb.v1.Counters.connect_us",
    ".webb.v1.Counters.srtt_us",
    ".webb.v1.Counters.asked",
    ".webb.v1.Asked.turns",
    ".webb.v1.Turns.first_us",
    ".webb.v1.Turns.full_us",
    ".webb.v1.Tally.latency_us",
    ".webb.v1.ProtocolCounts.tally",
    ".webb.v1.ProtocolCounts.full_us",
    ".webb.v1.TargetCounts.tally",
    ".webb.v1.Event.request",
    ".webb.v1.Event.connection",
    ".webb.v1.Request.by_client",
    ".webb.v1.Request.by_server",
];

fn generate(into: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let mut set = protox::compile(["webb/v1/webb.proto"], [&root]).expect("the proto file compiles");
    let mut builder = tonic_prost_build::configure().out_dir(into).emit_rerun_if_changed(false);
    for path in BOXED {
        builder = builder.boxed(path);
    }
    builder.compile_fds(set.clone()).expect("code can be generated");
    let code = into.join("webb.v1.rs");
    let made = std::fs::read_to_string(&code).expect("was generated");
    let (generated, rest) = made.split_once('\n').expect("more than a line");
    std::fs::write(&code, format!("{generated}\n{OPENING}{rest}")).expect("temporary directory is writable");
    for file in &mut set.file {
        // Comments and positions: reflection does not need them.
        file.source_code_info = None;
    }
    std::fs::write(into.join("webb.v1.bin"), set.encode_to_vec()).expect("temporary directory is writable");
}

#[test]
fn generated_code_is_current() {
    let made = tempfile::tempdir().expect("a temporary directory");
    generate(made.path());
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api");
    for name in GENERATED {
        let fresh = std::fs::read(made.path().join(name)).expect("was generated");
        if std::env::var_os("WEBB_REGENERATE").is_some() {
            std::fs::write(kept.join(name), &fresh).expect("src/api is writable");
            continue;
        }
        let same = std::fs::read(kept.join(name)).is_ok_and(|old| old == fresh);
        assert!(
            same,
            "src/api/{name} is not what proto/webb/v1/webb.proto compiles to; \
             run: WEBB_REGENERATE=1 cargo test --test api_current"
        );
    }
}
