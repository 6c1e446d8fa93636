//! The `webb` binary.

#[cfg(all(target_os = "linux", feature = "agent"))]
fn main() -> std::process::ExitCode {
    use webb::cli::demo::{DemoServiceArgs, run_reaper, run_service, run_shop};
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["demo-service", name] => run_service(&DemoServiceArgs { name: (*name).to_owned() }),
        ["demo-reaper"] => run_reaper(),
        ["demo-shop"] => run_shop(),
        _ => std::process::ExitCode::from(2),
    }
}

#[cfg(not(all(target_os = "linux", feature = "agent")))]
fn main() {}
