//! The room rule of docs/architecture.md: arrows point down only, rooms on one floor do not import
//! each other, and wire types stop at the edge that converts them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

/// Rooms from the ground up; those in one list are on one floor.
const FLOORS: [&[&str]; 8] = [
    &["model"],
    &["world", "wire", "api"],
    &["store", "track"],
    &["source", "identity"],
    &["agent", "client", "replay"],
    &["server", "relay"],
    &["tui", "export"],
    &["cli", "main", "lib"],
];

/// What each room must not know, beside what is above it: crates, and rooms that lie below.
const NOT_KNOWN: [(&str, &[&str]); 11] = [
    (
        "tui",
        &[
            "prost",
            "tonic",
            "aya",
            "crate::client",
            "crate::api",
            "crate::agent",
            "crate::server",
            "crate::source",
        ],
    ),
    ("export", &["ratatui", "crossterm", "prost", "tonic"]),
    ("server", &["aya", "crate::agent", "ratatui"]),
    ("replay", &["tonic", "prost", "ratatui", "crossterm", "aya", "crate::identity"]),
    ("agent", &["tonic", "prost", "ratatui", "crossterm"]),
    ("client", &["ratatui", "crossterm", "aya"]),
    ("source", &["crate::world", "crate::identity", "tonic", "prost"]),
    ("identity", &["tonic", "prost", "crate::track"]),
    ("store", &["tonic", "prost", "std::fs", "std::net::Tcp", "std::time::Instant"]),
    ("track", &["tonic", "prost", "std::fs", "std::time::Instant", "std::time::SystemTime"]),
    ("world", &["tonic", "prost", "std::fs", "std::time::Instant", "std::time::SystemTime"]),
];

fn room_of(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// Code without comments, and without unit tests, which may build what they need.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or(&text).to_owned();
    text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Rooms named as `crate::ROOM`, also inside `use crate::{a::X, b::Y}`.
fn imports(code: &str) -> Vec<String> {
    let ident = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => found.push(ident(std::mem::take(&mut item).trim())),
                    _ if depth == 0 => item.push(c),
                    _ => {}
                }
            }
            found.push(ident(item.trim()));
        } else {
            found.push(ident(rest));
        }
    }
    found
}

fn each_source(mut check: impl FnMut(&str, &Path, &str)) {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    assert!(files.len() > 30);
    for path in files {
        let below = path.strip_prefix(&src).unwrap();
        if below.file_name().is_some_and(|n| n == "tests.rs") {
            continue;
        }
        check(&room_of(below), below, &code(&path));
    }
}

#[test]
fn arrows_point_down_only() {
    each_source(|room, path, code| {
        let own = floor(room).unwrap_or_else(|| panic!("{}: room {room} has no floor", path.display()));
        for import in imports(code) {
            let Some(other) = floor(&import) else { continue };
            assert!(import == room || other < own, "{}: {room} imports {import}", path.display());
        }
    });
}

#[test]
fn rooms_do_not_know_what_they_must_not() {
    each_source(|room, path, code| {
        let Some((_, unknown)) = NOT_KNOWN.iter().find(|(r, _)| *r == room) else { return };
        for name in *unknown {
            let hit = code.match_indices(name).find(|(at, _)| {
                let before = code[..*at].chars().next_back().unwrap_or(' ');
                let after = code[*at + name.len()..].chars().next().unwrap_or(' ');
                !before.is_alphanumeric()
                    && before != '_'
                    && (after == ':' || after == ';' || name.contains("::"))
            });
            assert!(hit.is_none(), "{}: {room} knows {name}", path.display());
        }
    });
}

#[test]
fn the_test_sees_imports() {
    let code = "use crate::model::X;\nuse crate::{api::Y, store::{self, Z}};\nlet x = crate::agent::f();";
    assert_eq!(imports(code), ["model", "api", "store", "agent"]);
}

#[test]
fn files_fit_in_a_head() {
    let mut files = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for dir in ["src", "tests", "benches", "examples"] {
        if root.join(dir).is_dir() {
            sources(&root.join(dir), &mut files);
        }
    }
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let generated = text.starts_with("// This file is @generated");
        let lines = text.lines().count();
        assert!(generated || lines <= 600, "{} has {lines} lines", path.display());
        assert!(generated || text.starts_with("//!"), "{} does not open with what it is for", path.display());
    }
}
