//! The terminal: what is switched on at the start is switched off at every way out, and a frame is
//! one write. The terminal is never asked anything (no cursor position), so nothing can hang on it.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::style::{Attribute, ResetColor, SetAttribute};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::feed::UiError;

/// Room for the largest frame in one write.
const FRAME: usize = 64 * 1024;

/// Whether the terminal is ours; read by the panic hook.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// The terminal while the UI has it.
pub struct Screen {
    backend: CrosstermBackend<BufWriter<File>>,
    /// What the terminal shows, as far as is known.
    front: Buffer,
    mouse: bool,
}

impl Screen {
    /// Takes the terminal; a panic gives it back.
    ///
    /// # Errors
    /// When input or output is not a terminal, or it cannot be set up.
    pub fn enter(mouse: bool) -> Result<Screen, UiError> {
        for (is, what) in
            [(io::stdin().is_terminal(), "the input"), (io::stdout().is_terminal(), "the output")]
        {
            if !is {
                return Err(UiError::NotATerminal(what));
            }
        }
        // Styles are resolved by the theme: with NO_COLOR set, crossterm would write resets instead.
        crossterm::style::force_color_output(true);
        // Not through `Stdout`, which would cut a frame at its own small buffer.
        let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let backend = CrosstermBackend::new(BufWriter::with_capacity(FRAME, out));
        let mut screen = Screen { backend, front: Buffer::default(), mouse };
        hook_panics();
        if let Err(error) = screen.take() {
            screen.give_back();
            return Err(error.into());
        }
        Ok(screen)
    }

    fn take(&mut self) -> io::Result<()> {
        // A shell that had the terminal meanwhile left it in its own mode.
        let _ = disable_raw_mode();
        enable_raw_mode()?;
        ENTERED.store(true, Ordering::SeqCst);
        queue!(self.backend, EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)?;
        if self.mouse {
            queue!(self.backend, EnableMouseCapture)?;
        }
        self.redraw_all()?;
        Write::flush(&mut self.backend)
    }

    /// Gives the terminal back, for a while or for good.
    pub fn give_back(&mut self) {
        // What waits in the buffer belongs to the other screen.
        let _ = Write::flush(&mut self.backend);
        restore();
    }

    /// Takes it again after [`Screen::give_back`].
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn take_again(&mut self) -> io::Result<()> {
        self.take()
    }

    /// Whether we are the terminal's foreground job, and may read and write it.
    pub fn is_foreground(&self) -> bool {
        let foreground = rustix::termios::tcgetpgrp(io::stdin());
        foreground.is_ok_and(|group| group == rustix::process::getpgrp())
    }

    /// The next frame is written whole.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn redraw_all(&mut self) -> io::Result<()> {
        queue!(self.backend, SetAttribute(Attribute::Reset), ResetColor, Clear(ClearType::All))?;
        self.front = Buffer::default();
        Ok(())
    }

    /// The size of the terminal.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn size(&self) -> io::Result<Rect> {
        let (width, height) = crossterm::terminal::size()?;
        Ok(Rect::new(0, 0, width, height))
    }

    /// Writes what differs from the last frame, as one synchronized update.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn draw(&mut self, frame: Buffer) -> io::Result<()> {
        queue!(self.backend, BeginSynchronizedUpdate)?;
        if self.front.area != frame.area {
            self.redraw_all()?;
            self.front = Buffer::empty(frame.area);
        }
        self.backend.draw(self.front.diff(&frame).into_iter())?;
        queue!(self.backend, EndSynchronizedUpdate)?;
        Write::flush(&mut self.backend)?;
        self.front = frame;
        Ok(())
    }

    /// Puts a text into the terminal's clipboard (OSC 52).
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(self.backend, CopyToClipboard::to_clipboard_from(text))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Switches off whatever may be on; harmless when nothing is.
fn restore() {
    if !ENTERED.swap(false, Ordering::SeqCst) {
        return;
    }
    // Nothing can be done about a terminal that is gone.
    let _ = execute!(
        io::stdout(),
        EndSynchronizedUpdate,
        DisableMouseCapture,
        DisableBracketedPaste,
        ResetColor,
        LeaveAlternateScreen,
        cursor::Show
    );
    let _ = disable_raw_mode();
}

/// A panic restores the terminal before its message is printed.
fn hook_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            before(info);
        }));
    });
}
