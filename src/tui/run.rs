//! The one loop: every input of the UI is a branch of its `select!`. All that is ready is taken,
//! then the screen is drawn once, at most 30 times a second, and only when something changed.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use crossterm::event::{Event as TermEvent, EventStream, KeyEventKind};
use futures_util::StreamExt;
use ratatui::buffer::Buffer;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::feed::{Feed, UiError, UiOptions, Want};
use super::screen::Screen;
use super::state::{Link, State};
use super::view;

/// At most 30 frames a second.
const FRAME: Duration = Duration::from_millis(33);
/// How often what depends on time alone is looked at.
const TICK: Duration = Duration::from_millis(250);
/// At most so many inputs are taken before a frame is due.
const BURST: usize = 1_024;

/// Runs the UI until the person leaves, the terminal is gone, or a signal says so. The terminal is
/// restored in every case.
///
/// # Errors
/// When there is no terminal, or it fails.
pub async fn run(options: UiOptions, feed: Receiver<Feed>, wants: Sender<Want>) -> Result<(), UiError> {
    // Listens for signals before there is a terminal to give back.
    let mut ui = Ui::new(State::new(&options), feed, wants)?;
    let mut screen = Screen::enter(options.mouse)?;
    let ended = ui.run(&mut screen).await;
    screen.give_back();
    ended
}

struct Ui {
    state: State,
    feed: Receiver<Feed>,
    feed_open: bool,
    wants: Sender<Want>,
    asked: Vec<Want>,
    keys: EventStream,
    term: Signal,
    hangup: Signal,
    interrupt: Signal,
    resumed: Signal,
    resized: Signal,
    began: Instant,
    dirty: bool,
    /// The terminal belongs to another job: nothing is drawn or read.
    away: bool,
}

impl Ui {
    fn new(state: State, feed: Receiver<Feed>, wants: Sender<Want>) -> io::Result<Ui> {
        Ok(Ui {
            state,
            feed,
            feed_open: true,
            wants,
            asked: Vec::new(),
            keys: EventStream::new(),
            term: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            resumed: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
            // The event stream forgets a resize that comes together with a key.
            resized: signal(SignalKind::window_change())?,
            began: Instant::now(),
            dirty: true,
            away: false,
        })
    }

    async fn run(&mut self, screen: &mut Screen) -> Result<(), UiError> {
        self.state.size = screen.size()?;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut drawn = Instant::now() - FRAME;
        while !self.state.quit {
            if self.dirty && !self.away && drawn.elapsed() >= FRAME {
                drawn = Instant::now();
                self.draw(screen)?;
            }
            tokio::select! {
                biased;
                _ = self.term.recv() => return Ok(()),
                _ = self.hangup.recv() => return Ok(()),
                _ = self.interrupt.recv() => return Ok(()),
                _ = self.resumed.recv() => self.come_back(screen)?,
                _ = self.resized.recv(), if !self.away => self.resize(screen)?,
                event = self.keys.next(), if !self.away => match event {
                    Some(event) => self.term_event(event?, screen)?,
                    None => return Ok(()),
                },
                message = self.feed.recv(), if self.feed_open => self.message(message),
                _ = tick.tick() => {
                    self.time();
                    if self.away {
                        self.come_back(screen)?;
                    }
                }
                () = sleep_until(drawn + FRAME), if self.dirty && !self.away => {}
            }
            self.drain(screen).await?;
            self.ask();
            if std::mem::take(&mut self.state.suspend) {
                self.suspend(screen).await?;
            }
        }
        Ok(())
    }

    /// Takes everything that is ready already.
    async fn drain(&mut self, screen: &mut Screen) -> Result<(), UiError> {
        for _ in 0..BURST {
            // With the waker of this task: the stream wakes only the one that asked first.
            let ready = if self.away {
                Poll::Pending
            } else {
                poll_fn(|cx| Poll::Ready(self.keys.poll_next_unpin(cx))).await
            };
            if let Poll::Ready(event) = ready {
                match event {
                    Some(event) => self.term_event(event?, screen)?,
                    None => self.state.quit = true,
                }
            } else if let Ok(message) = self.feed.try_recv() {
                self.message(Some(message));
            } else {
                break;
            }
            if self.state.quit {
                break;
            }
        }
        Ok(())
    }

    fn term_event(&mut self, event: TermEvent, screen: &mut Screen) -> io::Result<()> {
        self.time();
        match event {
            // Some terminals report releases and repeats too; a repeat is a press.
            TermEvent::Key(key) if key.kind != KeyEventKind::Release => self.state.key(&key),
            TermEvent::Mouse(mouse) => self.state.mouse(&mouse),
            TermEvent::Paste(text) => self.state.paste(&text),
            // A resize is heard of as a signal.
            _ => return Ok(()),
        }
        self.dirty = true;
        if let Some(text) = self.state.copy.take() {
            screen.copy(&text)?;
        }
        Ok(())
    }

    fn resize(&mut self, screen: &mut Screen) -> io::Result<()> {
        self.state.size = screen.size()?;
        self.dirty = true;
        screen.redraw_all()
    }

    fn message(&mut self, message: Option<Feed>) {
        self.time();
        match message {
            Some(message) => self.state.feed(message),
            None => {
                self.feed_open = false;
                let why = "the source of data has ended; q leaves".to_owned();
                self.state.link = Link::Lost { why, until_ms: self.state.now_ms };
            }
        }
        self.dirty = true;
    }

    fn time(&mut self) {
        let now = self.began.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
        self.dirty |= self.state.tick(now);
    }

    /// Says what is looked at, when that changed. Where the channel is full it is said later.
    fn ask(&mut self) {
        for want in self.state.wants() {
            let same = |a: &Want| std::mem::discriminant(a) == std::mem::discriminant(&want);
            if !self.asked.contains(&want) && self.wants.try_send(want).is_ok() {
                self.asked.retain(|a| !same(a));
                self.asked.push(want);
            }
        }
    }

    fn draw(&mut self, screen: &mut Screen) -> io::Result<()> {
        self.dirty = false;
        self.state.settle();
        let mut frame = Buffer::empty(self.state.size);
        self.state.hits = view::draw(&self.state, &mut frame);
        screen.draw(frame)
    }

    /// Ctrl-Z: gives the terminal back and stops, as the shell's job control expects; comes back on
    /// SIGCONT. Where nobody does job control the kernel does not stop us, and a moment later the
    /// UI is back.
    async fn suspend(&mut self, screen: &mut Screen) -> Result<(), UiError> {
        screen.give_back();
        // The whole job: sudo and whatever else the person started with us.
        rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)
            .map_err(io::Error::from)?;
        tokio::select! {
            _ = self.resumed.recv() => {}
            _ = self.term.recv() => { self.state.quit = true; return Ok(()) }
            _ = self.hangup.recv() => { self.state.quit = true; return Ok(()) }
            // Where nobody does job control the signal is ignored, and nothing else would wake us.
            () = tokio::time::sleep(Duration::from_millis(300)) => {}
        }
        Ok(self.come_back(screen)?)
    }

    /// After we were stopped, by Ctrl-Z or from outside: the screen may show anything. As long as
    /// another job has the terminal it is left alone.
    fn come_back(&mut self, screen: &mut Screen) -> io::Result<()> {
        self.away = !screen.is_foreground();
        if !self.away {
            screen.take_again()?;
            self.state.size = screen.size()?;
            self.dirty = true;
        }
        Ok(())
    }
}
