//! What the documentation says can be typed can be typed; `docs/keys.md` and `docs/webb.1` are current.
//! After a change: `WEBB_REGENERATE=1 cargo test --test readme`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};
use webb::cli::Cli;
use webb::tui::key_table;

const PAGES: [&str; 4] = ["README.md", "CONTRIBUTING.md", "docs/measurements.md", "screenshots/README.md"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Lines of a page's shell blocks, without comments.
fn shell_lines(page: &str) -> Vec<String> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in page.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside {
            let command = line.split(" #").next().unwrap_or(line).trim();
            lines.push(command.to_owned());
        }
    }
    lines
}

/// The words of `webb` in one command of a pipeline, if it calls it: also through sudo, from the
/// target directory, and through `cargo run`.
fn webb_words(command: &str) -> Option<Vec<&str>> {
    let words: Vec<&str> = command.split_whitespace().take_while(|w| !w.starts_with('>')).collect();
    let words = words.strip_prefix(&["sudo"]).unwrap_or(&words);
    let rest = match words {
        ["webb" | "target/release/webb", rest @ ..] => rest,
        ["cargo", "run", "--release", "--", rest @ ..] => rest,
        _ => return None,
    };
    Some(std::iter::once("webb").chain(rest.iter().copied()).collect())
}

/// Commands of a page: shell blocks, and code in the text that begins with `webb `.
fn webb_commands(page: &str) -> Vec<String> {
    let lines = shell_lines(page);
    let from_blocks = lines.iter().flat_map(|l| l.split('|')).filter_map(webb_words).map(|w| w.join(" "));
    let in_text = page.split('`').skip(1).step_by(2).filter(|code| code.starts_with("webb "));
    from_blocks.chain(in_text.map(str::to_owned)).collect()
}

#[test]
fn every_command_of_the_documentation_parses() {
    let commands = webb_commands(&read("README.md"));
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        // Of these the text gives the name only; what follows is asked for.
        if let ["webb", "completions" | "list"] = words.as_slice() {
            continue;
        }
        if let Err(error) = Cli::try_parse_from(&words) {
            panic!("README.md: {command}: {error}");
        }
    }
}

#[test]
fn the_test_would_see_a_wrong_command() {
    let page =
        "```sh\nsudo webb lst edges | jq .x   # no\ncargo run --release -- demo\nwebb man >page\n```\n";
    assert_eq!(webb_commands(page), ["webb lst edges", "webb demo", "webb man"]);
    assert!(Cli::try_parse_from(["webb", "lst", "edges"]).is_err());
}

#[test]
fn every_command_is_in_the_readme() {
    let readme = read("README.md");
    for command in Cli::command().get_subcommands().filter(|c| !c.is_hide_set()) {
        assert!(readme.contains(&format!("| `webb {}` |", command.get_name())), "{}", command.get_name());
    }
}

#[test]
fn the_test_command_is_what_ci_runs() {
    let ci = read(".ci/run");
    let step = ci.lines().find_map(|l| l.strip_prefix("step \"tests\" ")).expect("a step that tests");
    let command = step.replace(" --locked", "");
    let readme = read("README.md");
    let section = readme.split("\n## ").find(|s| s.starts_with("Test\n")).expect("a section about tests");
    assert_eq!(shell_lines(section), [command]);
}

#[test]
fn links_lead_somewhere() {
    for page in PAGES {
        let dir = root().join(page);
        let dir = dir.parent().unwrap();
        for target in read(page).split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if !target.contains("://") {
                assert!(dir.join(target).exists(), "{page}: {target}");
            }
        }
    }
}

#[test]
fn readme_fits_in_a_head() {
    assert!(read("README.md").lines().count() < 200);
}

/// Compares a generated file, or writes it.
fn current(path: &str, wanted: &str) {
    let file: &Path = &root().join(path);
    if std::env::var_os("WEBB_REGENERATE").is_some() {
        std::fs::write(file, wanted).unwrap();
        return;
    }
    let found = std::fs::read_to_string(file).unwrap_or_default();
    assert!(found == wanted, "{path} is not current: WEBB_REGENERATE=1 cargo test --test readme writes it");
}

#[test]
fn keys_are_documented() {
    let mut page = String::from(
        "# Keys\n\n<!-- Written by tests/readme.rs from the key table of src/tui/keys.rs. -->\n\n\
         | keys | what they do | where |\n|---|---|---|\n",
    );
    for key in key_table() {
        let places: Vec<&str> = key.panes.iter().map(|p| p.title()).collect();
        let places = if places.is_empty() { "everywhere".to_owned() } else { places.join(", ") };
        let keys: Vec<String> = key.keys.split(' ').map(|k| format!("`{k}`")).collect();
        writeln!(page, "| {} | {} | {places} |", keys.join(" "), key.does).unwrap();
    }
    page.push_str(
        "\nThe mouse selects and, with a second click, opens; tabs, column titles, the filter, the window\n\
         and the live sign in the header can be clicked; the wheel scrolls. `--no-mouse` leaves the mouse to\n\
         the terminal.\n",
    );
    current("docs/keys.md", &page);
}

#[test]
fn the_man_page_is_current() {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page).unwrap();
    current("docs/webb.1", &String::from_utf8(page).unwrap());
}
