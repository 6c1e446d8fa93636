//! The command line: one file or room per command. Parses, chooses, wires the rooms together.

mod args;
mod audit;
mod capture;
mod error;
mod node;
mod observe;
mod requests;
mod tables;
mod top;
mod ui;
mod zone;

#[cfg(all(target_os = "linux", feature = "agent"))]
mod agent;
#[cfg(all(target_os = "linux", feature = "agent"))]
pub mod demo;
#[cfg(all(target_os = "linux", feature = "agent"))]
mod demo_ui;
#[cfg(all(target_os = "linux", feature = "agent"))]
mod doctor;
#[cfg(all(target_os = "linux", feature = "agent"))]
mod scope;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

pub use args::Cli;
use args::Command;
use error::{CliError, done_or};

/// The whole program. Exit status: 0 well, 1 failed, 2 wrong usage, 3 an audit found what it must not.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(e) => {
            // Also what was typed: it may have been pasted, or be the name of a file.
            eprintln!("webb: {}", crate::model::escape(&e.to_string()));
            ExitCode::FAILURE
        }
    }
}

fn run(mut cli: Cli) -> Result<ExitCode, CliError> {
    let global = &cli.global;
    if global.file.is_some() {
        // One of the environment is what is looked at otherwise.
        if global.server.is_some() && global.server != std::env::var("WEBB_SERVER").ok() {
            let why = "the argument '--file <PATH>' cannot be used with '--server <ADDRESS>'";
            Cli::command().error(clap::error::ErrorKind::ArgumentConflict, why).exit();
        }
        capture::adapt(&mut cli.command)?;
    }
    match cli.command {
        None => ui::open(global)?,
        Some(Command::Observe(args)) => observe::run(global, &args)?,
        Some(Command::List(args)) => tables::list(global, &args)?,
        Some(Command::Audit(args)) => return audit::run(global, &args),
        Some(Command::Top(args)) => top::run(global, args)?,
        Some(Command::Status(format)) => tables::status(global, format)?,
        Some(Command::Map(args)) => tables::map(global, &args)?,
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "webb", &mut script);
            done_or(io::stdout().write_all(&script))?;
        }
        Some(Command::Man) => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            done_or(io::stdout().write_all(&page))?;
        }
        Some(other) => return of_the_node(global, other),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(all(target_os = "linux", feature = "agent"))]
fn of_the_node(global: &args::Global, command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Agent(args) => agent::run(global, &args)?,
        Command::Demo => demo_ui::run(global)?,
        Command::Doctor(format) => return doctor::run(global, format),
        Command::DemoService(args) => return Ok(demo::run_service(&args)),
        Command::DemoReaper => return Ok(demo::run_reaper()),
        Command::DemoShop => return Ok(demo::run_shop()),
        // The others were taken before.
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(not(all(target_os = "linux", feature = "agent")))]
fn of_the_node(_: &args::Global, _: Command) -> Result<ExitCode, CliError> {
    Err(CliError("this build only views: run this on a Linux host, with the feature `agent`".to_owned()))
}

/// A runtime on this thread: what serves and draws needs no more.
fn runtime_of_one() -> Result<tokio::runtime::Runtime, CliError> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Ends on SIGINT, SIGTERM or SIGHUP.
fn stop_signal() -> Result<impl Future<Output = ()>, CliError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}

/// To standard output at once.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
