//! The program in a terminal of its own: a pseudo terminal, and an emulator that knows what a person
//! would see.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, SlavePty, native_pty_system};
use rustix::termios::{LocalModes, tcgetattr};

use super::cli::{LONG, WEBB};
use super::until_for;

/// A program that runs in it.
pub struct Term {
    master: Box<dyn MasterPty + Send>,
    /// Kept open: a terminal without anybody at its other end has no modes to look at.
    _slave: Box<dyn SlavePty + Send>,
    keys: Box<dyn Write + Send>,
    pub child: Box<dyn Child + Send + Sync>,
    seen: Arc<Mutex<Seen>>,
    pub started: Instant,
}

struct Seen {
    parser: vt100::Parser,
    raw: Vec<u8>,
}

fn cells(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).expect("a terminal has cells")
}

fn size(cols: u16, rows: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

/// A command for a terminal, with nothing of this environment that changes what is drawn.
pub fn in_terminal(program: &str, args: &[&str]) -> CommandBuilder {
    let mut command = CommandBuilder::new(program);
    command.args(args);
    command.env("TERM", "xterm-256color");
    command.env("LANG", "C.UTF-8");
    let gone = [
        "WEBB_SERVER",
        "NO_COLOR",
        "SUDO_UID",
        "SUDO_GID",
        "XDG_RUNTIME_DIR",
        "LC_ALL",
        "LC_CTYPE",
        "COLORTERM",
    ];
    gone.iter().for_each(|name| command.env_remove(name));
    command.cwd("/");
    command
}

impl Term {
    pub fn webb(args: &[&str], at: (u16, u16)) -> Term {
        Term::start(in_terminal(WEBB, args), at)
    }

    pub fn start(command: CommandBuilder, (cols, rows): (u16, u16)) -> Term {
        let pty = native_pty_system().openpty(size(cols, rows)).expect("a pseudo terminal");
        let mut reader = pty.master.try_clone_reader().unwrap();
        let keys = pty.master.take_writer().unwrap();
        let seen = Arc::new(Mutex::new(Seen {
            parser: vt100::Parser::new(cells(rows), cells(cols), 0),
            raw: Vec::new(),
        }));
        let started = Instant::now();
        let child = pty.slave.spawn_command(command).expect("it starts");
        let writes = seen.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 65_536];
            while let Ok(n @ 1..) = reader.read(&mut bytes) {
                let mut seen = writes.lock().unwrap();
                seen.raw.extend_from_slice(&bytes[..n]);
                seen.parser.process(&bytes[..n]);
            }
        });
        Term { master: pty.master, _slave: pty.slave, keys, child, seen, started }
    }

    /// What stands on the screen, a line each.
    pub fn text(&self) -> String {
        self.seen.lock().unwrap().parser.screen().contents()
    }

    /// The screen as the emulator has it.
    pub fn screen<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.seen.lock().unwrap().parser.screen())
    }

    /// Everything that was written so far.
    pub fn raw(&self) -> Vec<u8> {
        self.seen.lock().unwrap().raw.clone()
    }

    pub fn type_(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes keys");
        self.keys.flush().unwrap();
    }

    pub fn resize(&self, cols: u16, rows: u16) {
        self.seen.lock().unwrap().parser.screen_mut().set_size(cells(rows), cells(cols));
        self.master.resize(size(cols, rows)).unwrap();
    }

    /// Waits until the screen is so; a panic shows it.
    pub fn until(&self, what: &str, look: impl Fn(&str) -> bool) -> Duration {
        let shown = || {
            let raw = String::from_utf8_lossy(&self.raw()).into_owned();
            let panic = raw.find("panicked at").map_or("", |at| &raw[at..]).to_owned();
            format!("{what}; the screen:\n{}\n{panic}", self.text())
        };
        let deadline = Instant::now() + LONG;
        while !look(&self.text()) {
            assert!(Instant::now() < deadline, "waited for {}", shown());
            // Between two looks.
            std::thread::sleep(Duration::from_millis(2));
        }
        self.started.elapsed()
    }

    pub fn until_says(&self, part: &str) -> Duration {
        self.until(part, |text| text.contains(part))
    }

    /// Types, and waits until the screen says something.
    pub fn key(&mut self, keys: &str, part: &str) {
        self.type_(keys);
        self.until(&format!("{part:?} after {keys:?}"), |text| text.contains(part));
    }

    /// Types again and again, as a person would, until the screen says something.
    pub fn press_until(&mut self, keys: &str, part: &str) {
        let keyboard = &mut self.keys;
        let seen = &self.seen;
        until_for(LONG, part, || {
            keyboard.write_all(keys.as_bytes()).expect("the terminal takes keys");
            std::thread::sleep(Duration::from_millis(50));
            seen.lock().unwrap().parser.screen().contents().contains(part).then_some(())
        });
    }

    pub fn pid(&self) -> rustix::process::Pid {
        let pid = self.child.process_id().expect("it runs");
        rustix::process::Pid::from_raw(pid.cast_signed()).unwrap()
    }

    /// Whether the terminal waits for lines and echoes them.
    pub fn is_cooked(&self) -> bool {
        let fd = self.master.as_raw_fd().expect("a descriptor");
        // SAFETY: the master is open as long as `self` is.
        let modes = tcgetattr(unsafe { BorrowedFd::borrow_raw(fd) }).unwrap().local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    /// Its exit status.
    pub fn wait(&mut self) -> u32 {
        let status = until_for(LONG, "its end", || self.child.try_wait().unwrap());
        status.exit_code()
    }

    /// Waits until the terminal is as it was before.
    pub fn restored(&self) {
        self.until("the terminal to be given back", |_| {
            self.screen(|s| {
                !s.alternate_screen()
                    && !s.hide_cursor()
                    && !s.bracketed_paste()
                    && s.mouse_protocol_mode() == vt100::MouseProtocolMode::None
            }) && self.is_cooked()
        });
        let raw = self.raw();
        let (begun, ended) = (count(&raw, b"\x1b[?2026h"), count(&raw, b"\x1b[?2026l"));
        assert!(begun > 0 && ended >= begun, "{begun} synchronized updates, {ended} ended");
        // In both of the ways that terminals know to report the mouse.
        for mode in ["?1000", "?1002", "?1003", "?1006", "?1015"] {
            let (on, off) = (format!("\x1b[{mode}h"), format!("\x1b[{mode}l"));
            let (on, off) = (last(&raw, on.as_bytes()), last(&raw, off.as_bytes()));
            assert!(on.is_none() || on < off, "{mode} is still on");
        }
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn count(all: &[u8], part: &[u8]) -> usize {
    all.windows(part.len()).filter(|w| *w == part).count()
}

fn last(all: &[u8], part: &[u8]) -> Option<usize> {
    all.windows(part.len()).rposition(|w| w == part)
}
