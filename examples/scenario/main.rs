//! A puppet: does single socket operations as it is told, one command a line, and answers each with
//! one line of JSON, so that a test knows exactly what happened and when.
//!
//! An operation that the kernel refuses is an answer, `{"errno":111}`; a command that cannot be
//! understood is `{"error":"..."}`. Sockets, and processes that it makes, go by names of the test's
//! choice. What a child process says comes out of the same standard output.
//!
//! ```text
//! listen L ADDR [BACKLOG]   socket S v4|v6     bind S ADDR (SO_REUSEADDR)
//! connect S ADDR (a new socket)            reconnect S ADDR (one that is there)
//! begin S ADDR (connects, and does not wait for the handshake)
//! accept S L                write S N          read S N (exactly)   arrived S N (unread)
//! say S HEX (these bytes)
//! eof S (the peer's FIN)    closed S (FIN, RST or time-out)
//! shutdown S                close S            linger S (0)         set S syncnt|user-timeout N
//! pid                       name HEX (of the process)
//! fork P                    fork-as P PID      spawn P CGROUP.PROCS S (exec; S becomes `given`)
//! in P COMMAND              end P              kill P
//! give P S, take P S        (SCM_RIGHTS; P = `parent` in a child)
//! storm ADDR COUNT N        (COUNT connections from one client port, N bytes each way)
//! ```

mod storm;
mod sys;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::net::{AddressFamily, RecvFlags, Shutdown};
use serde_json::{Value, json};

fn main() {
    let mut puppet = Puppet::default();
    if std::env::args().nth(1).as_deref() == Some("given") {
        puppet.sockets.insert("given".to_owned(), sys::given());
    }
    puppet.serve(io::stdin());
}

/// A process that this one made.
struct Child {
    pid: i32,
    /// Its commands; it ends when this is closed.
    commands: File,
    /// For sockets that are handed over.
    hands: UnixStream,
}

#[derive(Default)]
struct Puppet {
    sockets: HashMap<String, OwnedFd>,
    children: HashMap<String, Child>,
    parent: Option<UnixStream>,
}

impl Puppet {
    fn serve(&mut self, commands: impl Read) {
        for line in BufReader::new(commands).lines() {
            let Ok(line) = line else { return };
            let words: Vec<&str> = line.split_whitespace().collect();
            let answer = match self.obey(&words) {
                Ok(Some(answer)) => answer,
                Ok(None) => continue,
                Err(e) => match e.raw_os_error() {
                    Some(errno) => json!({ "errno": errno }),
                    None => json!({ "error": format!("{line}: {e}") }),
                },
            };
            let mut out = io::stdout().lock();
            // Without a reader there is nobody to tell that there is none.
            let _ = writeln!(out, "{answer}").and_then(|()| out.flush());
        }
    }

    /// Does one thing; `None` when somebody else answers.
    fn obey(&mut self, words: &[&str]) -> io::Result<Option<Value>> {
        let done = match *words {
            ["listen", name, addr] => self.listen(name, addr, "4096")?,
            ["listen", name, addr, backlog] => self.listen(name, addr, backlog)?,
            ["socket", name, family] => {
                let family = if family == "v6" { AddressFamily::INET6 } else { AddressFamily::INET };
                self.keep(name, sys::socket(family)?)
            }
            ["bind", name, addr] => {
                sys::bind(self.socket(name)?, parse(addr)?)?;
                self.addresses(name)
            }
            ["connect", name, addr] => {
                let addr = self.new_socket_for(name, addr)?;
                rustix::net::connect(self.socket(name)?, &addr)?;
                self.addresses(name)
            }
            ["reconnect", name, addr] => {
                rustix::net::connect(self.socket(name)?, &parse(addr)?)?;
                self.addresses(name)
            }
            ["begin", name, addr] => {
                let addr = self.new_socket_for(name, addr)?;
                sys::begin(self.socket(name)?, addr)?;
                self.addresses(name)
            }
            ["accept", name, listener] => {
                let fd = rustix::net::accept_with(self.socket(listener)?, rustix::net::SocketFlags::CLOEXEC)?;
                self.keep(name, fd)
            }
            ["write", name, n] => sys::write(self.socket(name)?, number(n)?)?,
            ["say", name, hex] => sys::send(self.socket(name)?, &sys::bytes(hex)?)?,
            ["read", name, n] => sys::read(self.socket(name)?, number(n)?, RecvFlags::WAITALL)?,
            ["arrived", name, n] => {
                sys::read(self.socket(name)?, number(n)?, RecvFlags::WAITALL | RecvFlags::PEEK)?
            }
            ["eof", name] => sys::read(self.socket(name)?, 0, RecvFlags::empty())?,
            ["closed", name] => sys::hung_up(self.socket(name)?)?,
            ["shutdown", name] => {
                rustix::net::shutdown(self.socket(name)?, Shutdown::Write)?;
                json!({})
            }
            ["close", name] => {
                drop(self.sockets.remove(name).ok_or_else(|| unknown(name))?);
                json!({})
            }
            ["linger", name] => {
                rustix::net::sockopt::set_socket_linger(self.socket(name)?, Some(std::time::Duration::ZERO))?;
                json!({})
            }
            ["set", name, option, value] => {
                sys::set(self.socket(name)?, option, number(value)? as i32)?;
                json!({})
            }
            ["pid"] => json!({ "pid": std::process::id() }),
            ["name", hex] => {
                sys::set_name(hex)?;
                json!({})
            }
            ["storm", addr, count, bytes] => storm::storm(parse(addr)?, number(count)?, number(bytes)?)?,
            ["give", to, name] => {
                sys::give(self.hands(to)?, self.socket(name)?)?;
                json!({})
            }
            ["take", from, name] => {
                let fd = sys::take(self.hands(from)?)?;
                self.keep(name, fd)
            }
            ["fork", name] => return self.fork(name, None).map(Some),
            ["fork-as", name, pid] => return self.fork(name, Some(number(pid)? as i32)).map(Some),
            ["spawn", name, procs, socket] => {
                let (pid, commands, hands) = sys::spawn(procs, self.socket(socket)?)?;
                self.children.insert(name.to_owned(), Child { pid, commands, hands });
                json!({ "pid": pid })
            }
            ["in", name, ..] => {
                let child = self.children.get_mut(name).ok_or_else(|| unknown(name))?;
                writeln!(child.commands, "{}", words[2..].join(" "))?;
                return Ok(None);
            }
            ["end", name] => {
                let Child { pid, .. } = self.children.remove(name).ok_or_else(|| unknown(name))?;
                sys::wait(pid)?
            }
            ["kill", name] => {
                let Child { pid, .. } = self.children.remove(name).ok_or_else(|| unknown(name))?;
                sys::kill(pid)?;
                sys::wait(pid)?
            }
            _ => return Err(io::Error::other("what is that?")),
        };
        Ok(Some(done))
    }

    fn socket(&self, name: &str) -> io::Result<&OwnedFd> {
        self.sockets.get(name).ok_or_else(|| unknown(name))
    }

    fn keep(&mut self, name: &str, fd: OwnedFd) -> Value {
        self.sockets.insert(name.to_owned(), fd);
        self.addresses(name)
    }

    fn addresses(&self, name: &str) -> Value {
        let Some(fd) = self.sockets.get(name) else { return Value::Null };
        let text = |a: rustix::io::Result<rustix::net::SocketAddrAny>| {
            a.ok().and_then(|a| SocketAddr::try_from(a).ok()).map(|a| a.to_string())
        };
        let peer = rustix::net::getpeername(fd).and_then(|p| p.ok_or(rustix::io::Errno::NOTCONN));
        json!({ "local": text(rustix::net::getsockname(fd)), "peer": text(peer) })
    }

    fn listen(&mut self, name: &str, addr: &str, backlog: &str) -> io::Result<Value> {
        let addr = parse(addr)?;
        let fd = sys::socket(family(&addr))?;
        sys::bind(&fd, addr)?;
        rustix::net::listen(&fd, number(backlog)? as i32)?;
        Ok(self.keep(name, fd))
    }

    /// Makes a socket.
    fn new_socket_for(&mut self, name: &str, addr: &str) -> io::Result<SocketAddr> {
        let addr = parse(addr)?;
        self.keep(name, sys::socket(family(&addr))?);
        Ok(addr)
    }

    fn hands(&self, who: &str) -> io::Result<&UnixStream> {
        match (who, &self.parent) {
            ("parent", Some(hands)) => Ok(hands),
            _ => self.children.get(who).map(|c| &c.hands).ok_or_else(|| unknown(who)),
        }
    }

    fn fork(&mut self, name: &str, as_pid: Option<i32>) -> io::Result<Value> {
        let (theirs, commands) = io::pipe()?;
        let commands = File::from(OwnedFd::from(commands));
        let (hands, parent) = UnixStream::pair()?;
        match sys::fork(as_pid)? {
            0 => {
                drop((commands, hands));
                self.children.clear();
                self.parent = Some(parent);
                self.serve(theirs);
                std::process::exit(0)
            }
            pid => {
                self.children.insert(name.to_owned(), Child { pid, commands, hands });
                Ok(json!({ "pid": pid }))
            }
        }
    }
}

fn family(addr: &SocketAddr) -> AddressFamily {
    if addr.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET }
}

fn parse(addr: &str) -> io::Result<SocketAddr> {
    addr.parse().map_err(io::Error::other)
}

fn number(text: &str) -> io::Result<usize> {
    text.parse().map_err(io::Error::other)
}

fn unknown(name: &str) -> io::Error {
    io::Error::other(format!("there is no `{name}`"))
}
