//! What an interpreter runs, read from its command line: the script, module or main class. Pure.

/// How many arguments are looked at.
const MAX_ARGS: usize = 512;

/// How one interpreter's command line is read.
struct Interpreter {
    /// Names of its executable; a trailing version (`3.11`, `5.36`) is ignored.
    names: &'static [&'static str],
    /// Options that take the next argument as their value.
    with_value: &'static [&'static str],
    /// Options after which there is no script: code given on the command line.
    inline: &'static [&'static str],
    /// Options whose value is what runs.
    runs: &'static [&'static str],
    /// Subcommands that stand before the script.
    subcommands: &'static [&'static str],
}

const NONE: Interpreter =
    Interpreter { names: &[], with_value: &[], inline: &[], runs: &[], subcommands: &[] };

const INTERPRETERS: &[Interpreter] = &[
    Interpreter {
        names: &["python", "pypy"],
        with_value: &["-W", "-X", "-Q", "--check-hash-based-pycs"],
        inline: &["-c", "-"],
        runs: &["-m"],
        ..NONE
    },
    Interpreter {
        names: &["node", "nodejs"],
        with_value: &[
            "-r",
            "--require",
            "--import",
            "--loader",
            "--experimental-loader",
            "-C",
            "--conditions",
            "--title",
            "--env-file",
        ],
        inline: &["-e", "--eval", "-p", "--print", "-pe", "-"],
        ..NONE
    },
    Interpreter {
        names: &["deno"],
        with_value: &[
            "-c",
            "--config",
            "--import-map",
            "-L",
            "--log-level",
            "--cert",
            "--lock",
            "--port",
            "--host",
        ],
        inline: &["eval", "repl"],
        subcommands: &["run", "serve", "task"],
        ..NONE
    },
    Interpreter {
        names: &["bun"],
        with_value: &["-r", "--preload", "-c", "--config", "--cwd", "--env-file", "--port"],
        inline: &["-e", "--eval", "-p", "--print"],
        subcommands: &["run", "x"],
        ..NONE
    },
    Interpreter {
        names: &["ruby"],
        with_value: &["-r", "-I", "-C", "-E", "-F", "--require"],
        inline: &["-e", "-"],
        runs: &["-S"],
        ..NONE
    },
    Interpreter { names: &["perl"], with_value: &["-I"], inline: &["-e", "-E", "-"], ..NONE },
    Interpreter {
        names: &["php"],
        with_value: &["-d", "-c", "-z", "-S", "-t", "--define", "--php-ini", "--docroot"],
        inline: &["-r", "--run", "-B", "-R", "-"],
        runs: &["-f", "--file", "-F"],
        ..NONE
    },
    Interpreter {
        names: &["bash", "sh", "dash", "zsh", "ash", "ksh"],
        with_value: &["-o", "+o", "-O", "+O", "--rcfile", "--init-file"],
        inline: &["-c", "-s"],
        ..NONE
    },
    Interpreter {
        names: &["java"],
        with_value: &[
            "-cp",
            "-classpath",
            "--class-path",
            "-p",
            "--module-path",
            "--upgrade-module-path",
            "--add-modules",
            "--add-opens",
            "--add-exports",
            "--add-reads",
            "--limit-modules",
            "--patch-module",
            "--enable-native-access",
        ],
        runs: &["-jar", "-m", "--module"],
        ..NONE
    },
    Interpreter { names: &["dotnet"], runs: &["exec"], ..NONE },
];

/// Splits the zero-separated `bytes` of `/proc/PID/cmdline`; bytes that are not UTF-8 are replaced.
pub fn split(bytes: &[u8]) -> Vec<String> {
    let trimmed = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    if trimmed.is_empty() {
        return Vec::new();
    }
    trimmed.split(|&b| b == 0).take(MAX_ARGS).map(|a| String::from_utf8_lossy(a).into_owned()).collect()
}

/// Whether `program`, the base name of an executable, runs what its command line names.
pub fn is_interpreter(program: &str) -> bool {
    interpreter(program).is_some()
}

/// What `program` runs, from its arguments (the first is the program itself). `None` when it is no
/// interpreter, or an interactive one, or runs code from its command line.
pub fn script(program: &str, argv: &[String]) -> Option<String> {
    if program == "webb" {
        return demo_service(argv);
    }
    let interpreter = interpreter(program)?;
    if let Some(title) = own_title(program, argv) {
        return Some(title);
    }
    let target = target(interpreter, argv)?;
    if program.starts_with("java") { Some(java_name(target)) } else { Some(short_path(target)) }
        .filter(|name| !name.is_empty())
}

/// `webb demo-service NAME`: a process of the demo's shop.
fn demo_service(argv: &[String]) -> Option<String> {
    match argv {
        [_, command, name, ..] if command == "demo-service" && !name.starts_with('-') => Some(name.clone()),
        _ => None,
    }
}

fn interpreter(program: &str) -> Option<&'static Interpreter> {
    let stem = program.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
    INTERPRETERS.iter().find(|i| i.names.contains(&stem) || i.names.contains(&program))
}

/// A title that the program wrote over its command line (`puma 6.4 (tcp://...) [shop]`,
/// `gunicorn: master [app]`): one argument with blanks whose first word is not the interpreter.
fn own_title(program: &str, argv: &[String]) -> Option<String> {
    let (first, rest) = argv.split_first()?;
    if rest.iter().any(|a| !a.is_empty()) {
        return None;
    }
    let (word, _) = first.split_once([' ', ':'])?;
    let word = base_name(word);
    let same = word == program || is_interpreter(word);
    (!same && !word.is_empty()).then(|| word.to_owned())
}

fn target<'a>(interpreter: &Interpreter, argv: &'a [String]) -> Option<&'a str> {
    let mut args = argv.iter().skip(1).map(String::as_str);
    let mut subcommands = true;
    while let Some(arg) = args.next() {
        if interpreter.inline.contains(&arg) {
            return None;
        }
        if interpreter.runs.contains(&arg) || arg == "--" {
            return args.next().filter(|a| !a.is_empty());
        }
        if interpreter.with_value.contains(&arg) {
            args.next();
        } else if is_inline_cluster(interpreter, arg) {
            return None;
        } else if arg.starts_with('-') || arg.starts_with('@') || arg.is_empty() {
            // An option of its own, or one with its value attached.
        } else if arg.starts_with('+') && interpreter.with_value.contains(&"+o") {
            // A shell's option being switched off.
        } else if subcommands && interpreter.subcommands.contains(&arg) {
            subcommands = false;
        } else {
            return Some(arg);
        }
    }
    None
}

/// Short options run together, the last of which takes code: `bash -lc`, `perl -ne`.
fn is_inline_cluster(interpreter: &Interpreter, arg: &str) -> bool {
    let Some(flags) = arg.strip_prefix('-') else { return false };
    let short = (2..=4).contains(&flags.len()) && flags.bytes().all(|b| b.is_ascii_lowercase());
    let clusters = interpreter.names.iter().any(|n| matches!(*n, "bash" | "perl" | "python" | "ruby"));
    short
        && clusters
        && interpreter.inline.iter().any(|i| i.len() == 2 && i.ends_with(|c| flags.ends_with(c)))
}

/// `com.example.shop.Main` → `Main`, `module/com.example.Main` → `Main`, `/srv/shop.jar` → `shop.jar`.
fn java_name(target: &str) -> String {
    let base = base_name(target);
    if base.ends_with(".jar") || base.ends_with(".java") {
        return base.to_owned();
    }
    base.rsplit('.').next().unwrap_or(base).to_owned()
}

/// The base name of a script; with its directory where the base name alone says nothing.
fn short_path(path: &str) -> String {
    const GENERIC: [&str; 12] = [
        "main", "app", "index", "server", "__main__", "manage", "wsgi", "asgi", "run", "start", "cli",
        "worker",
    ];
    let base = base_name(path);
    let stem = base.split_once('.').map_or(base, |(stem, _)| stem);
    let dir = path.trim_end_matches('/').rsplit('/').nth(1).filter(|d| !d.is_empty() && !d.starts_with('.'));
    match dir {
        Some(dir) if GENERIC.contains(&stem) => format!("{dir}/{base}"),
        _ => base.to_owned(),
    }
}

/// The last component of a path; the whole when there is none.
pub fn base_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn argv(line: &str) -> Vec<String> {
        split(line.replace('|', "\0").as_bytes())
    }

    #[test]
    fn names_what_an_interpreter_runs() {
        let table = [
            ("python3.11", "python3|/srv/checkout.py|--port|80", Some("checkout.py")),
            ("python3", "/usr/bin/python3|-u|-W|ignore|/srv/cart/main.py", Some("cart/main.py")),
            ("python3", "python3|-m|http.server|8000", Some("http.server")),
            ("python3", "python3|-c|import socket", None),
            ("python3", "python3|-uc|import socket", None),
            ("python3", "python3", None),
            ("python3", "/venv/bin/python3|/venv/bin/gunicorn|app:app", Some("gunicorn")),
            ("python3", "gunicorn: master [app:app]", Some("gunicorn")),
            ("node", "node|--inspect=0|-r|dotenv/config|server.js", Some("server.js")),
            ("node", "node|/srv/web/index.js", Some("web/index.js")),
            ("nodejs", "nodejs|-e|1", None),
            ("deno", "deno|run|--allow-net|api.ts", Some("api.ts")),
            ("bun", "bun|run|start.ts", Some("start.ts")),
            ("ruby", "ruby|-Ilib|-r|json|shop.rb", Some("shop.rb")),
            ("ruby3.1", "puma 6.4.2 (tcp://127.0.0.1:80) [shop]", Some("puma")),
            ("perl", "perl|-w|/opt/feed.pl", Some("feed.pl")),
            ("perl", "perl|-ne|print", None),
            ("php8.2", "php8.2|-d|x=1|artisan|serve", Some("artisan")),
            ("php", "php|-f|job.php", Some("job.php")),
            ("php-fpm8.2", "php-fpm: pool www", None),
            ("java", "java|-Xmx1g|-cp|/a:/b|com.example.shop.Main|x", Some("Main")),
            ("java", "java|-Dx=y|-jar|/srv/orders-1.2.jar", Some("orders-1.2.jar")),
            ("java", "java|@args|--add-opens|java.base/x=ALL-UNNAMED|-m|shop/com.x.App", Some("App")),
            ("bash", "bash|/usr/local/bin/backup.sh", Some("backup.sh")),
            ("bash", "bash|-lc|curl x", None),
            ("bash", "-bash", None),
            ("dash", "sh|-e|-o|pipefail|run.sh", Some("run.sh")),
            ("dotnet", "dotnet|/app/Shop.dll", Some("Shop.dll")),
            ("webb", "webb|demo-service|checkout", Some("checkout")),
            ("webb", "webb|agent", None),
            ("webb", "webb|demo-service", None),
            ("nginx", "nginx: worker process", None),
        ];
        for (program, line, expected) in table {
            assert_eq!(script(program, &argv(line)).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn split_keeps_empty_arguments_and_stops_at_the_limit() {
        assert_eq!(split(b"a\0\0b\0"), ["a", "", "b"]);
        assert!(split(b"").is_empty());
        assert!(split(b"\0").is_empty());
        assert_eq!(split(&[b'x', 0].repeat(5000)).len(), MAX_ARGS);
    }

    proptest! {
        #[test]
        fn no_command_line_panics(
            program in prop::sample::select(vec!["python3", "java", "bash", "perl", "ruby", "deno", "webb", "php", "nginx"]),
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = script(program, &split(&bytes));
        }

        #[test]
        fn no_command_line_of_options_panics(
            program in prop::sample::select(vec!["python3", "java", "bash", "perl", "ruby", "deno", "webb", "php"]),
            args in prop::collection::vec(prop::sample::select(vec!["-c", "-", "--", "-m", "run", "é/", "/", "", "+o", "-lc", "demo-service", "a b", ":"]), 0..8),
        ) {
            let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
            let name = script(program, &args);
            prop_assert!(name.is_none_or(|n| !n.is_empty()) || program == "webb");
        }
    }
}
