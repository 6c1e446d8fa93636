//! Makes `screenshots/` from the real program: `cargo run --example screenshots`.
//!
//! Builds webb, runs `webb demo` in a pseudo-terminal, presses keys as a person would, waits for
//! what a picture is to show, and writes what a terminal would show then as SVG; the pictures of
//! README also as PNG where `rsvg-convert` is installed. Wants root and a kernel with eBPF, as the
//! demo shows less without.
//!
//! | file | job |
//! |---|---|
//! | `plan.rs` | which pictures: keys, sizes, and what has to be on the screen |
//! | `terminal.rs` | the program in a pseudo-terminal, whole frames only |
//! | `svg.rs` | a screen as SVG: colours, text |
//! | `glyphs.rs` | lines, blocks and signs as shapes, so that fonts do not matter |

mod glyphs;
mod plan;
mod svg;
mod terminal;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use plan::{PLAN, Picture};
use terminal::Terminal;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("screenshots: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let program = match arguments.as_slice() {
        [] => build()?,
        [flag, path] if flag == "--program" => {
            std::fs::canonicalize(path).map_err(|e| format!("{path}: {e}"))?
        }
        _ => return Err("usage: cargo run --example screenshots [-- --program PATH]".into()),
    };
    let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("screenshots");
    std::fs::create_dir_all(&out)?;
    let mut terminal = Terminal::start(&program, &["demo", "--theme", "dark"], (120, 40))?;
    for picture in PLAN {
        take(&mut terminal, picture, &out).map_err(|e| format!("{}: {e}", picture.file))?;
    }
    terminal.leave(b"q")?;
    Ok(())
}

/// The program of this tree, in the profile of this example.
fn build() -> Result<PathBuf, Box<dyn Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--bin", "webb"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    if !command.status()?.success() {
        return Err("webb does not build".into());
    }
    // target/PROFILE/examples/screenshots
    let own = std::env::current_exe()?;
    let profile = own.ancestors().nth(2).ok_or("this example is not in a target directory")?;
    Ok(profile.join("webb"))
}

fn take(terminal: &mut Terminal, picture: &Picture, out: &Path) -> Result<(), Box<dyn Error>> {
    terminal.resize(picture.size)?;
    for key in picture.keys {
        terminal.press(key)?;
    }
    terminal.wait_for(|screen| picture.shows.iter().all(|text| screen.contains(text)))?;
    let svg = svg::draw(terminal.screen(), picture.title)?;
    let path = out.join(picture.file).with_extension("svg");
    std::fs::write(&path, svg)?;
    println!("{}", path.display());
    if picture.png {
        png(&path)?;
    }
    Ok(())
}

/// A PNG beside the SVG, when the tool for it is there.
fn png(svg: &Path) -> Result<(), Box<dyn Error>> {
    let png = svg.with_extension("png");
    let status = Command::new("rsvg-convert").arg("-o").arg(&png).arg(svg).status();
    match status {
        Ok(status) if status.success() => println!("{}", png.display()),
        Ok(status) => return Err(format!("rsvg-convert: {status}").into()),
        Err(_) => println!("no {}: rsvg-convert is not installed", png.display()),
    }
    Ok(())
}
