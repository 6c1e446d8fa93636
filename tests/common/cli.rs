//! The program as people run it: commands with nothing of this environment in them, an agent that
//! is its own process, and how each of them ends.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::Cgroup;

/// The program.
pub const WEBB: &str = env!("CARGO_BIN_EXE_webb");
/// No command takes nearly as long; one that does hangs.
pub const LONG: Duration = Duration::from_secs(20);

/// A command that no variable of this environment changes.
pub fn webb(args: &[&str]) -> Command {
    let mut command = Command::new(WEBB);
    for name in ["WEBB_SERVER", "NO_COLOR", "SUDO_UID", "SUDO_GID", "XDG_RUNTIME_DIR"] {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn run(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let (stdout, stderr) = (read_all(child.stdout.take()), read_all(child.stderr.take()));
    let status = wait(&mut child);
    let whole = |from: Receiver<Vec<u8>>| from.recv_timeout(LONG).expect("its output ends with it");
    Output { status, stdout: whole(stdout), stderr: whole(stderr) }
}

fn read_all(from: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (to, all) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.expect("a pipe").read_to_end(&mut bytes);
        let _ = to.send(bytes);
    });
    all
}

/// Waits for its end; one that hangs is killed, and the test with it.
pub fn wait(child: &mut Child) -> ExitStatus {
    for _ in 0..LONG.as_millis() / 5 {
        if let Some(status) = child.try_wait().expect("it is a child of ours") {
            return status;
        }
        // Between two looks.
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    panic!("it did not end within {LONG:?}");
}

/// Its standard output, after it ended well and said nothing else.
pub fn printed(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    assert_eq!(errors, "");
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// Each line as an object.
pub fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{l}: {e}"))).collect()
}

pub fn signal(child: &Child, signal: Signal) {
    kill_process(pid(child), signal).expect("it is there");
}

pub fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed()).expect("a pid")
}

/// An agent in a process of its own.
pub struct Served {
    pub child: Child,
    /// For `--server`.
    pub address: String,
    /// The socket, where it is one.
    pub socket: Option<PathBuf>,
    /// What it says, line by line.
    said: Receiver<String>,
    dir: tempfile::TempDir,
}

impl Served {
    /// Watches a cgroup, serves a new socket.
    pub fn new(cgroup: &Cgroup) -> Served {
        Served::with(cgroup, &[])
    }

    pub fn with(cgroup: &Cgroup, args: &[&str]) -> Served {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("webb.sock");
        Served::at(cgroup, dir, &format!("unix:{}", socket.display()), args)
    }

    /// Serves TCP on a free port of loopback.
    pub fn tcp(cgroup: &Cgroup, args: &[&str]) -> Served {
        Served::at(cgroup, tempfile::tempdir().unwrap(), "127.0.0.1:0", args)
    }

    fn at(cgroup: &Cgroup, dir: tempfile::TempDir, listen: &str, args: &[&str]) -> Served {
        let mut command = webb(&["agent", "--listen", listen, "--cgroup"]);
        command.arg(&cgroup.path).args(args);
        let mut served = Served::spawn(command, dir);
        served.socket = listen.strip_prefix("unix:").map(PathBuf::from);
        served
    }

    /// Starts it, and waits until it serves.
    pub fn spawn(mut command: Command, dir: tempfile::TempDir) -> Served {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let (to, said) = channel();
        let stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).all(|line| to.send(line).is_ok())
        });
        let mut served = Served { child, address: String::new(), socket: None, said, dir };
        let line = served.line();
        let address = line.strip_prefix("webb agent: watching ").and_then(|l| l.split_once(", serving "));
        address.unwrap_or_else(|| panic!("it said: {line}")).1.clone_into(&mut served.address);
        served
    }

    /// The next line that it says.
    pub fn line(&mut self) -> String {
        match self.said.recv_timeout(LONG) {
            Ok(line) => line,
            Err(e) => panic!("the agent said nothing ({e}); it ended: {:?}", self.child.try_wait()),
        }
    }

    /// Everything that it said and that was not read.
    pub fn rest(&self) -> String {
        let mut text = String::new();
        while let Ok(line) = self.said.try_recv() {
            let _ = writeln!(text, "{line}");
        }
        text
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A command that looks at it.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = webb(&["--server", &self.address]);
        command.args(args);
        command
    }

    /// What a command prints that looks at it.
    pub fn ask(&self, args: &[&str]) -> String {
        printed(&run(&mut self.command(args)))
    }

    pub fn objects(&self, args: &[&str]) -> Vec<Value> {
        objects(&self.ask(args))
    }

    pub fn status(&self) -> Value {
        self.objects(&["status", "-o", "json"]).swap_remove(0)
    }

    /// Looks again and again until what it sees is so.
    pub fn until<T>(&self, what: &str, args: &[&str], mut look: impl FnMut(Vec<Value>) -> Option<T>) -> T {
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(found) = look(self.objects(args)) {
                return found;
            }
            let all = || self.ask(&["list", "connections", "--all"]) + &self.ask(&["status"]);
            assert!(Instant::now() < deadline, "waited for: {what}\n{}", all());
        }
    }

    /// SIGTERM, and its end.
    pub fn stop(&mut self) -> ExitStatus {
        signal(&self.child, Signal::TERM);
        wait(&mut self.child)
    }

    /// SIGKILL, and its end.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        assert_eq!(wait(&mut self.child).signal(), Some(9));
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
