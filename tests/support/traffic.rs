//! Builds the generator of `examples/traffic` once per test program. Cargo builds examples only when
//! all tests are asked for; `rustc` alone takes a second, and what runs is never older than its source.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The generator, ready for arguments, with nothing on its standard input.
pub fn traffic() -> Command {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let mut command = Command::new(PATH.get_or_init(build));
    command.stdin(Stdio::null());
    command
}

fn build() -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/traffic/main.rs");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let mine = folder.join(format!("traffic.{}", std::process::id()));
    let status = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()))
        .args(["--edition", "2024", "-O", source, "-o"])
        .arg(&mine)
        .status()
        .unwrap();
    assert!(status.success(), "rustc could not build {source}");
    // Test programs may run at the same time; the rename is atomic.
    let path = folder.join("traffic");
    std::fs::rename(&mine, &path).unwrap();
    path
}
