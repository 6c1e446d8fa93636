//! The `webb` binary.

fn main() -> std::process::ExitCode {
    webb::cli::main()
}
