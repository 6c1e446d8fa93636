//! The program in a pseudo-terminal. Only whole frames are looked at: webb ends each one with the
//! end of a synchronized update, and what follows the last such end waits for its own.

use std::error::Error;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long the program may take to show something.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long it may take to end.
const LEAVING: Duration = Duration::from_secs(20);
/// What ends a frame.
const FRAME_END: &[u8] = b"\x1b[?2026l";

/// A program and the screen that it draws.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    /// What the program writes; closed when it ends.
    output: Receiver<Vec<u8>>,
    /// Bytes of a frame that has not ended.
    pending: Vec<u8>,
    parser: vt100::Parser,
}

impl Terminal {
    /// Starts a program in a terminal of so many columns and rows.
    pub fn start(program: &Path, arguments: &[&str], size: (u16, u16)) -> Result<Terminal> {
        let pair = native_pty_system().openpty(pty_size(size))?;
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        command.env_remove("NO_COLOR");
        command.cwd("/");
        let child = pair.slave.spawn_command(command)?;
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader()?;
        let keys = pair.master.take_writer()?;
        let (written, output) = sync_channel(64);
        std::thread::spawn(move || {
            let mut chunk = [0; 16 * 1024];
            // A pseudo-terminal whose program has ended gives an error or nothing.
            while let Ok(n @ 1..) = reader.read(&mut chunk) {
                if written.send(chunk[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        let parser = vt100::Parser::new(cells(size.1)?, cells(size.0)?, 0);
        Ok(Terminal { child, master: pair.master, keys, output, pending: Vec::new(), parser })
    }

    /// What is on the screen.
    pub fn screen(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// Presses a key, and waits for the frame that follows.
    pub fn press(&mut self, key: &str) -> Result<()> {
        self.keys.write_all(key.as_bytes())?;
        self.keys.flush()?;
        self.frame(Instant::now() + PATIENCE)
    }

    /// Makes the window larger or smaller, and waits for the frame that follows.
    pub fn resize(&mut self, size: (u16, u16)) -> Result<()> {
        let (rows, columns) = (cells(size.1)?, cells(size.0)?);
        if self.screen().size() == (rows, columns) {
            return Ok(());
        }
        self.master.resize(pty_size(size))?;
        self.parser.screen_mut().set_size(rows, columns);
        self.frame(Instant::now() + PATIENCE)
    }

    /// Waits until the text on the screen is as wanted.
    pub fn wait_for(&mut self, wanted: impl Fn(&str) -> bool) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while !wanted(&self.screen().contents()) {
            self.frame(until)?;
        }
        Ok(())
    }

    /// The next whole frame.
    fn frame(&mut self, until: Instant) -> Result<()> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(chunk) = self.output.recv_timeout(left) else {
                return Err(format!(
                    "not on the screen within {} s (needs root, and a kernel with eBPF), or webb ended:\n{}",
                    PATIENCE.as_secs(),
                    self.screen().contents()
                )
                .into());
            };
            self.pending.extend(chunk);
            let end = self.pending.windows(FRAME_END.len()).rposition(|w| w == FRAME_END);
            if let Some(end) = end {
                let whole: Vec<u8> = self.pending.drain(..end + FRAME_END.len()).collect();
                self.parser.process(&whole);
                return Ok(());
            }
        }
    }

    /// Presses what ends the program, and waits until it has ended and cleaned up.
    pub fn leave(mut self, key: &[u8]) -> Result<()> {
        self.keys.write_all(key)?;
        let until = Instant::now() + LEAVING;
        // The output is read to its end: a program that cannot write cannot end.
        loop {
            match self.output.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("webb did not end within {} s", LEAVING.as_secs()).into());
                }
            }
        }
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("webb ended with {status:?}").into()) }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // On the way out of an error; the demo's services end with it.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn cells(n: u16) -> Result<NonZeroU16> {
    NonZeroU16::new(n).ok_or_else(|| "a terminal has columns and rows".into())
}

fn pty_size((cols, rows): (u16, u16)) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}
