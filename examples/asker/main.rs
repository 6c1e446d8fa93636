//! Requests with an exact ground truth, for tests and benches: a small HTTP/1.1 server and a client
//! that asks on schedule (open loop), each with its own clock.
//!
//! `both` is both ends in one process; `serve` and `ask` are one end each. `serve` says where it
//! listens in its first line. The last line of each is what it did, one JSON object. Any deviation
//! ends the process with status 1: a wrong ground truth is worse than none.
//!
//! Of the client's requests every 10th is for `/missing/N` (404), every 50th for `/fail` (500), the
//! rest for `/orders/N` (200). Latency at the client is from just before write() to the return of the
//! read() that has the head of the answer; at the server from the return of the read() that has the
//! whole request to just before write().
#![allow(clippy::print_stderr, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::time::{Duration, Instant};

const HELP: &str = "asker both|serve|ask [--addr A] [--connections N] [--requests N (of each connection)]
      [--rate N (a second, of all; 0 = one after the other)] [--delay-us N] [--defer] [--split]
      [--plain (of another server: any 200 of a fixed length will do)]
";

#[derive(Clone, Debug)]
struct Args {
    mode: String,
    addr: SocketAddr,
    connections: u64,
    requests: u64,
    rate: u64,
    delay: Duration,
    defer: bool,
    split: bool,
    plain: bool,
}

fn main() {
    let args = match parse() {
        Ok(args) => args,
        Err(e) => fail(&format!("{e}\n{HELP}")),
    };
    let done = match args.mode.as_str() {
        "both" => both(&args),
        "serve" => serve(&args, None),
        "ask" => ask(&args, args.addr),
        _ => Err(HELP.to_owned()),
    };
    match done {
        Ok(line) => println!("{line}"),
        Err(e) => fail(&e),
    }
}

fn fail(message: &str) -> ! {
    eprintln!("asker: {message}");
    std::process::exit(1)
}

fn parse() -> Result<Args, String> {
    let mut words = std::env::args().skip(1);
    let mut args = Args {
        mode: words.next().unwrap_or_default(),
        addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        connections: 1,
        requests: 1,
        rate: 0,
        delay: Duration::ZERO,
        defer: false,
        split: false,
        plain: false,
    };
    while let Some(flag) = words.next() {
        let mut value = || words.next().ok_or(format!("{flag} needs a value"));
        let number = |v: String| v.parse::<u64>().map_err(|e| format!("{v}: {e}"));
        match flag.as_str() {
            "--addr" => args.addr = value()?.parse().map_err(|e| format!("--addr: {e}"))?,
            "--connections" => args.connections = number(value()?)?,
            "--requests" => args.requests = number(value()?)?,
            "--rate" => args.rate = number(value()?)?,
            "--delay-us" => args.delay = Duration::from_micros(number(value()?)?),
            "--defer" => args.defer = true,
            "--split" => args.split = true,
            "--plain" => args.plain = true,
            _ => return Err(format!("{flag} is not known")),
        }
    }
    Ok(args)
}

fn both(args: &Args) -> Result<String, String> {
    let (ready, listening) = mpsc::channel();
    let server = {
        let args = args.clone();
        std::thread::spawn(move || serve(&args, Some(ready)))
    };
    let addr = listening.recv().map_err(|e| e.to_string())?;
    let asked = ask(args, addr)?;
    let served = server.join().map_err(|_| "the server panicked".to_owned())??;
    Ok(format!("{{\"server\":\"{addr}\",\"asked\":{asked},\"served\":{served}}}"))
}

/// Serves so many connections, each until its end.
fn serve(args: &Args, ready: Option<mpsc::Sender<SocketAddr>>) -> Result<String, String> {
    let listener = TcpListener::bind(args.addr).map_err(|e| format!("bind {}: {e}", args.addr))?;
    if args.defer {
        defer_accept(&listener)?;
    }
    let addr = listener.local_addr().map_err(|e| e.to_string())?;
    match ready {
        Some(ready) => ready.send(addr).map_err(|e| e.to_string())?,
        None => println!("{{\"listening\":\"{addr}\"}}"),
    }
    let mut threads = Vec::new();
    for _ in 0..args.connections {
        let (stream, _) = listener.accept().map_err(|e| format!("accept: {e}"))?;
        let delay = args.delay;
        threads.push(std::thread::spawn(move || answer(stream, delay)));
    }
    let mut times = Vec::new();
    for t in threads {
        times.extend(t.join().map_err(|_| "a thread panicked".to_owned())??);
    }
    Ok(figures(times))
}

/// Nothing is accepted before the client has spoken (TCP_DEFER_ACCEPT).
fn defer_accept(listener: &TcpListener) -> Result<(), String> {
    let seconds: libc::c_int = 5;
    // SAFETY: a live socket, and a pointer to an int with its size.
    let rc = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            std::ptr::from_ref(&seconds).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if rc == 0 { Ok(()) } else { Err(format!("TCP_DEFER_ACCEPT: {}", std::io::Error::last_os_error())) }
}

fn answer(mut stream: TcpStream, delay: Duration) -> Result<Vec<u64>, String> {
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let mut times = Vec::new();
    let mut buffer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let n = stream.read(&mut chunk).map_err(|e| format!("read: {e}"))?;
        if n == 0 {
            return if buffer.is_empty() { Ok(times) } else { Err("half a request".to_owned()) };
        }
        buffer.extend_from_slice(&chunk[..n]);
        if !buffer.ends_with(b"\r\n\r\n") {
            continue;
        }
        let read = Instant::now();
        let path = String::from_utf8_lossy(&buffer).split(' ').nth(1).unwrap_or_default().to_owned();
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        let status = match path.split('/').nth(1) {
            Some("orders") => "200 OK",
            Some("missing") => "404 Not Found",
            _ => "500 Internal Server Error",
        };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 6\r\nServer: asker\r\n\r\nhello\n");
        times.push(read.elapsed().as_micros() as u64);
        stream.write_all(answer.as_bytes()).map_err(|e| format!("write: {e}"))?;
        buffer.clear();
    }
}

/// Asks over so many connections at once, each on its part of the schedule.
fn ask(args: &Args, addr: SocketAddr) -> Result<String, String> {
    let start = Instant::now() + Duration::from_millis(50);
    let mut threads = Vec::new();
    for k in 0..args.connections {
        let args = args.clone();
        threads.push(std::thread::spawn(move || ask_one(&args, addr, k, start)));
    }
    let mut times = Vec::new();
    for t in threads {
        times.extend(t.join().map_err(|_| "a thread panicked".to_owned())??);
    }
    Ok(figures(times))
}

fn ask_one(args: &Args, addr: SocketAddr, k: u64, start: Instant) -> Result<Vec<u64>, String> {
    let mut stream = TcpStream::connect(addr).map_err(|e| format!("connect {addr}: {e}"))?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).map_err(|e| e.to_string())?;
    let mut times = Vec::with_capacity(args.requests as usize);
    let mut chunk = [0; 4096];
    for i in 0..args.requests {
        if let Some(ns) = ((i * args.connections + k) * 1_000_000_000).checked_div(args.rate) {
            let due = start + Duration::from_nanos(ns);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let (path, status) = match i {
            _ if args.plain => ("/".to_owned(), "200"),
            i if i % 50 == 49 => ("/fail".to_owned(), "500"),
            i if i % 10 == 9 => (format!("/missing/{i}"), "404"),
            i => (format!("/orders/{i}?secret=hunter2"), "200"),
        };
        let head = format!("GET {path} HTTP/1.1\r\nHost: shop\r\nAuthorization: Basic hunter2\r\n\r\n");
        let begun = if args.split {
            // The head in two segments: the second one is what is waited for.
            let (a, b) = head.as_bytes().split_at(head.len() / 2);
            stream.write_all(a).map_err(|e| format!("write: {e}"))?;
            let begun = Instant::now();
            stream.write_all(b).map_err(|e| format!("write: {e}"))?;
            begun
        } else {
            let begun = Instant::now();
            stream.write_all(head.as_bytes()).map_err(|e| format!("write: {e}"))?;
            begun
        };
        let mut got = Vec::new();
        let mut first = None;
        while !got.ends_with(b"\r\n\r\nhello\n") {
            let n = stream.read(&mut chunk).map_err(|e| format!("read: {e}"))?;
            if n == 0 {
                return Err("the server went away".to_owned());
            }
            first.get_or_insert_with(|| begun.elapsed());
            got.extend_from_slice(&chunk[..n]);
        }
        if !got.starts_with(format!("HTTP/1.1 {status}").as_bytes()) {
            return Err(format!("{path}: {}", String::from_utf8_lossy(&got)));
        }
        times.push(first.unwrap_or_default().as_micros() as u64);
    }
    Ok(times)
}

/// Count, quantiles and sum of what was measured, microseconds.
fn figures(mut times: Vec<u64>) -> String {
    times.sort_unstable();
    let at = |q: f64| times.get(((times.len() as f64 * q).ceil() as usize).max(1) - 1).copied().unwrap_or(0);
    format!(
        "{{\"requests\":{},\"p50\":{},\"p90\":{},\"p99\":{},\"max\":{},\"sum\":{}}}",
        times.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0),
        times.iter().sum::<u64>()
    )
}
