//! The hidden command `demo-shop`: the shop alone, without watching it, for tests and benchmarks.

use std::io;
use std::process::ExitCode;

use serde_json::json;

use super::handshake::send;
use super::reaper::wait_for_end;
use super::shop::{Shop, ShopOptions};

/// Starts the shop, prints it as one line of JSON
/// `{"cgroup": PATH | null, "services": [{"name", "pid", "port"}]}`, and ends it when standard
/// input ends.
pub fn run_shop() -> ExitCode {
    let shop = match Shop::start(&ShopOptions::default()) {
        Ok(shop) => shop,
        Err(error) => {
            eprintln!("webb: {error}");
            return ExitCode::FAILURE;
        }
    };
    let services: Vec<_> =
        shop.services().iter().map(|s| json!({ "name": s.name, "pid": s.pid, "port": s.port })).collect();
    if send(io::stdout(), &json!({ "cgroup": shop.cgroup(), "services": services })).is_ok() {
        wait_for_end();
    }
    match shop.stop() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("webb: cannot remove the demo's cgroup: {error}");
            ExitCode::FAILURE
        }
    }
}
