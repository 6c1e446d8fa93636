//! Traffic over TCP with an exact ground truth, for tests, benches, and the guests of `tests/kernels`.
//!
//! `run` is both ends in one process; `serve` and `connect` are one end each; `refused` connects to a
//! port that nobody listens on. The last line on standard output is the ground truth, one JSON object;
//! it is printed only when every connection did exactly what was asked. Any deviation ends the process
//! with status 1: a wrong ground truth is worse than none. Only `std`, so that it also builds with a
//! bare `rustc` (`rustc --edition 2024 -O examples/traffic/main.rs`).
//!
//! One connection: the client sends its bytes, the server reads them and answers, the client reads.
//! Then the end named by `--by` ends it in the way of `--end`, and the other end checks what it sees:
//! end of stream, or a reset. For `reset` and `unread` the end that will abort speaks first, so that
//! the bytes it last received prove that its own have arrived, and no byte is cut off by the reset.
#![allow(clippy::print_stderr)]

mod args;
mod conn;
mod sys;

use args::{Args, Mode, Side};
use conn::{Buffer, close, exchange};
use std::collections::VecDeque;
use std::io::BufRead;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bumped by every finished step; the watchdog ends a process in which it stands still.
static PROGRESS: AtomicU64 = AtomicU64::new(0);
/// Set while waiting for a line on standard input, which may take as long as it likes.
static HOLDING: AtomicBool = AtomicBool::new(false);

fn main() {
    let args = match args::parse(std::env::args().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => return print!("{}", args::HELP),
        Err(e) => fail(&format!("{e}; see --help")),
    };
    let timeout = args.timeout;
    std::thread::spawn(move || watchdog(timeout));
    let started = Instant::now();
    let result = match args.mode {
        Mode::Refused => refused(&args),
        Mode::Run | Mode::Serve | Mode::Connect => connections(&args),
    };
    match result {
        Ok(address) => truth(&args, address, started.elapsed()),
        Err(e) => fail(&e),
    }
}

/// Ends the process: the ground truth could not be kept.
fn fail(message: &str) -> ! {
    eprintln!("traffic: {message}");
    std::process::exit(1)
}

/// Ends the process when nothing has moved for `limit`, so that no test can hang on it.
fn watchdog(limit: Duration) {
    let mut last = (PROGRESS.load(Ordering::Relaxed), Instant::now());
    loop {
        // Between two looks.
        std::thread::sleep(Duration::from_millis(200));
        let now = PROGRESS.load(Ordering::Relaxed);
        if now != last.0 || HOLDING.load(Ordering::Relaxed) {
            last = (now, Instant::now());
        } else if last.1.elapsed() > limit {
            fail(&format!("no progress for {} s after {now} steps", limit.as_secs()));
        }
    }
}

/// Prints the ground truth: totals over all connections, payload bytes only.
fn truth(args: &Args, address: SocketAddr, elapsed: Duration) {
    let n = args.connections;
    let (failed, to_server, to_client) = match args.mode {
        Mode::Refused => (n, 0, 0),
        Mode::Run | Mode::Serve | Mode::Connect => (0, n * args.bytes_to_server, n * args.bytes_to_client),
    };
    println!(
        "{{\"mode\":\"{}\",\"server\":\"{address}\",\"connections\":{n},\"failed\":{failed},\
         \"bytes_to_server\":{to_server},\"bytes_to_client\":{to_client},\
         \"end\":\"{}\",\"by\":\"{}\",\"elapsed_us\":{}}}",
        args.mode.as_str(),
        args.end.as_str(),
        args.by.as_str(),
        elapsed.as_micros()
    );
}

/// Connects again and again to a port that is taken but not listened on, so that nobody else can
/// begin to listen there meanwhile.
fn refused(args: &Args) -> Result<SocketAddr, String> {
    let taken = sys::bind_only(args.addr).map_err(|e| format!("cannot bind {}: {e}", args.addr))?;
    let address = taken.local_addr().map_err(|e| e.to_string())?;
    for _ in 0..args.connections {
        match TcpStream::connect(address) {
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => step(),
            Err(e) => return Err(format!("connect to {address}: {e}, expected to be refused")),
            Ok(_) => return Err(format!("connect to {address} worked, expected to be refused")),
        }
    }
    Ok(address)
}

/// All modes with connections that come to be.
fn connections(args: &Args) -> Result<SocketAddr, String> {
    let listener = if args.mode == Mode::Connect { None } else { Some(listen(args.addr)?) };
    let address = match &listener {
        Some(l) => l.local_addr().map_err(|e| e.to_string())?,
        None => args.addr,
    };
    if args.mode == Mode::Serve {
        println!("{{\"listening\":\"{address}\"}}");
    }
    let client = args.mode != Mode::Serve;
    if args.hold || args.hold_end {
        let ends = if args.mode == Mode::Run { 2 } else { 1 };
        sys::allow_descriptors(args.connections.saturating_mul(ends).saturating_add(64)).map_err(|e| {
            format!(
                "too few open files are allowed (ulimit -n); serve and connect need half as many each: {e}"
            )
        })?;
        phased(args, listener.as_ref(), client, address);
    } else {
        pipelined(args, listener.as_ref(), client, address);
    }
    Ok(address)
}

fn listen(addr: SocketAddr) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(addr).map_err(|e| format!("cannot listen on {addr}: {e}"))?;
    sys::deepen_backlog(&listener).map_err(|e| format!("cannot set the backlog of {addr}: {e}"))?;
    Ok(listener)
}

/// At most `concurrency` connections at a time per end, each opened, used and closed in one go.
fn pipelined(args: &Args, listener: Option<&TcpListener>, client: bool, address: SocketAddr) {
    let (connected, accepted) = (AtomicU64::new(0), AtomicU64::new(0));
    let whole = |side: Side, next: &AtomicU64, open: &dyn Fn() -> TcpStream| {
        let mut buffer = Buffer::default();
        while next.fetch_add(1, Ordering::Relaxed) < args.connections {
            let mut stream = open();
            exchange(args, side, &mut stream, &mut buffer).unwrap_or_else(|e| fail(&e));
            close(args, side, stream).unwrap_or_else(|e| fail(&e));
            step();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..args.concurrency {
            if let Some(listener) = listener {
                let (whole, accepted) = (&whole, &accepted);
                scope.spawn(move || whole(Side::Server, accepted, &|| accept(listener)));
            }
            if client {
                let (whole, connected) = (&whole, &connected);
                scope.spawn(move || whole(Side::Client, connected, &|| connect(address)));
            }
        }
    });
}

/// All connections are opened, then used and closed; with `--hold-end` all are used before any is closed.
///
/// The client opens them one after another, so the server accepts them in the same order, and both
/// pools work in that order: the oldest unfinished connection always has a thread at either end.
fn phased(args: &Args, listener: Option<&TcpListener>, client: bool, address: SocketAddr) {
    let n = args.connections;
    let (mut servers, mut clients) = std::thread::scope(|scope| {
        let accepting = listener.map(|l| scope.spawn(move || (0..n).map(|_| accept(l)).collect()));
        let clients = if client { (0..n).map(|_| connect(address)).collect() } else { VecDeque::new() };
        (join(accepting), clients)
    });
    if args.hold {
        hold("opened", n, address);
    }
    both(args, &mut servers, &mut clients, |side, mut stream, buffer| {
        exchange(args, side, &mut stream, buffer).unwrap_or_else(|e| fail(&e));
        if args.hold_end {
            return Some(stream);
        }
        close(args, side, stream).unwrap_or_else(|e| fail(&e));
        None
    });
    if args.hold_end {
        hold("exchanged", n, address);
        both(args, &mut servers, &mut clients, |side, stream, _| {
            close(args, side, stream).unwrap_or_else(|e| fail(&e));
            None
        });
    }
}

/// Does one step on every connection, both ends at the same time.
fn both<F>(args: &Args, servers: &mut VecDeque<TcpStream>, clients: &mut VecDeque<TcpStream>, step_of: F)
where
    F: Fn(Side, TcpStream, &mut Buffer) -> Option<TcpStream> + Sync,
{
    let pool = |side: Side, streams: &mut VecDeque<TcpStream>| {
        let todo = Mutex::new(std::mem::take(streams));
        let done = Mutex::new(VecDeque::new());
        std::thread::scope(|scope| {
            for _ in 0..args.concurrency {
                scope.spawn(|| {
                    let mut buffer = Buffer::default();
                    while let Some(stream) = lock(&todo).pop_front() {
                        if let Some(kept) = step_of(side, stream, &mut buffer) {
                            lock(&done).push_back(kept);
                        }
                        step();
                    }
                });
            }
        });
        *streams = std::mem::take(&mut *lock(&done));
    };
    std::thread::scope(|scope| {
        scope.spawn(|| pool(Side::Server, servers));
        pool(Side::Client, clients);
    });
}

/// Says that everything is as announced and waits for a line (or the end) of standard input.
fn hold(what: &str, connections: u64, address: SocketAddr) {
    HOLDING.store(true, Ordering::Relaxed);
    println!("{{\"held\":\"{what}\",\"connections\":{connections},\"server\":\"{address}\"}}");
    let mut line = String::new();
    if let Err(e) = std::io::stdin().lock().read_line(&mut line) {
        fail(&format!("standard input: {e}"));
    }
    HOLDING.store(false, Ordering::Relaxed);
}

fn accept(listener: &TcpListener) -> TcpStream {
    match listener.accept() {
        Ok((stream, _)) => stream,
        Err(e) => fail(&format!("accept: {e}")),
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    match TcpStream::connect(address) {
        Ok(stream) => stream,
        Err(e) => fail(&format!("connect to {address}: {e}")),
    }
}

fn step() {
    PROGRESS.fetch_add(1, Ordering::Relaxed);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn join<T: Default>(handle: Option<std::thread::ScopedJoinHandle<'_, T>>) -> T {
    match handle.map(std::thread::ScopedJoinHandle::join) {
        Some(Ok(value)) => value,
        Some(Err(_)) => fail("a thread died"),
        None => T::default(),
    }
}
