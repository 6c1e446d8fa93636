//! Writes a capture that no honest network makes to standard output:
//! `cargo run --release --example hostile_capture -- KIND BYTES [STEP_US] > FILE`.
//!
//! For measuring what `webb --file` needs for it: see `tests/captures_hostile.rs`.

#[path = "../tests/support/hostile.rs"]
mod hostile;

use std::io::{self, BufWriter};

use hostile::Hostile;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let kind = args.first().and_then(|name| Hostile::ALL.iter().find(|(n, _)| n == name));
    let bytes = args.get(1).and_then(|n| n.parse().ok());
    let step = args.get(2).map_or(Some(1), |n| n.parse().ok());
    let (Some((_, kind)), Some(bytes), Some(step)) = (kind, bytes, step) else {
        let kinds: Vec<&str> = Hostile::ALL.iter().map(|(n, _)| *n).collect();
        return Err(io::Error::other(format!("KIND BYTES [STEP_US] expected, KIND of {}", kinds.join(", "))));
    };
    hostile::write(*kind, bytes, step, BufWriter::new(io::stdout().lock()))
}
