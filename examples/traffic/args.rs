//! The command line.

use std::net::SocketAddr;
use std::time::Duration;

/// Printed by `--help`.
pub const HELP: &str = "\
traffic: TCP connections with an exact ground truth (one JSON line at the end)

  traffic run      both ends in this process
  traffic serve    the server end; prints {\"listening\":ADDR} first
  traffic connect  the client end; needs --addr
  traffic refused  connects to a port on which nobody listens

  --connections N       how many in all [100]
  --concurrency N       how many at a time, at most 1024 [4]
  --bytes-to-server N   payload of each connection from client to server [100]
  --bytes-to-client N   payload of each connection from server to client [100]
  --addr ADDR:PORT      where to listen or to connect [127.0.0.1:0]
  --end HOW             clean, reset (SO_LINGER 0), or unread (closed with a byte unread) [clean]
  --by SIDE             who ends each connection: client or server [client]
  --hold                open all first, print {\"held\":\"opened\"}, go on after a line on standard input
  --hold-end            likewise after all bytes, before the closing: {\"held\":\"exchanged\"}
  --timeout SECONDS     fail when nothing moves for that long [30]

serve and connect need the same --connections, --bytes-*, --end and --by on both sides, and
--hold-end on both or neither; a serve without --hold takes up to about 4,000 held connections.
";

/// Which part to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Both ends.
    Run,
    /// The server end.
    Serve,
    /// The client end.
    Connect,
    /// Connects that are refused.
    Refused,
}

impl Mode {
    /// As on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Run => "run",
            Mode::Serve => "serve",
            Mode::Connect => "connect",
            Mode::Refused => "refused",
        }
    }
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that connects.
    Client,
    /// The one that accepts.
    Server,
}

impl Side {
    /// As on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Server => "server",
        }
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything read, then closed: FIN.
    Clean,
    /// Everything read, then closed with linger 0: RST.
    Reset,
    /// Closed with one byte unread: RST.
    Unread,
}

impl End {
    /// As on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            End::Clean => "clean",
            End::Reset => "reset",
            End::Unread => "unread",
        }
    }
}

/// What to do.
#[derive(Clone, Debug)]
pub struct Args {
    /// Which part to play.
    pub mode: Mode,
    /// Connections in all.
    pub connections: u64,
    /// Connections at a time.
    pub concurrency: u64,
    /// Payload bytes per connection, client to server.
    pub bytes_to_server: u64,
    /// Payload bytes per connection, server to client.
    pub bytes_to_client: u64,
    /// The server's address; port 0 = any free one.
    pub addr: SocketAddr,
    /// How connections end.
    pub end: End,
    /// Which side ends them.
    pub by: Side,
    /// Wait with all connections open and unused.
    pub hold: bool,
    /// Wait with all connections used and open.
    pub hold_end: bool,
    /// Longest time without progress.
    pub timeout: Duration,
}

impl Args {
    /// Whether `side` sends before it receives: the client, except when the server is to abort (see
    /// the top of `main.rs`).
    pub fn speaks_first(&self, side: Side) -> bool {
        side == if self.end == End::Clean { Side::Client } else { self.by }
    }
}

/// Reads the arguments after the program's name; `None` = help was asked for.
pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Args>, String> {
    let mode = match words.next().as_deref() {
        Some("run") => Mode::Run,
        Some("serve") => Mode::Serve,
        Some("connect") => Mode::Connect,
        Some("refused") => Mode::Refused,
        Some("--help" | "-h") => return Ok(None),
        other => return Err(format!("expected run, serve, connect or refused, not {other:?}")),
    };
    let mut args = Args {
        mode,
        connections: 100,
        concurrency: 4,
        bytes_to_server: 100,
        bytes_to_client: 100,
        addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        end: End::Clean,
        by: Side::Client,
        hold: false,
        hold_end: false,
        timeout: Duration::from_secs(30),
    };
    while let Some(option) = words.next() {
        let mut value = || words.next().ok_or(format!("{option} needs a value"));
        match option.as_str() {
            "--connections" => args.connections = number(&option, &value()?)?,
            "--concurrency" => args.concurrency = number(&option, &value()?)?,
            "--bytes-to-server" => args.bytes_to_server = number(&option, &value()?)?,
            "--bytes-to-client" => args.bytes_to_client = number(&option, &value()?)?,
            "--timeout" => args.timeout = Duration::from_secs(number(&option, &value()?)?),
            "--addr" => args.addr = value()?.parse().map_err(|e| format!("--addr: {e}"))?,
            "--end" => {
                args.end = match value()?.as_str() {
                    "clean" => End::Clean,
                    "reset" => End::Reset,
                    "unread" => End::Unread,
                    other => return Err(format!("--end: expected clean, reset or unread, not '{other}'")),
                }
            }
            "--by" => {
                args.by = match value()?.as_str() {
                    "client" => Side::Client,
                    "server" => Side::Server,
                    other => return Err(format!("--by: expected client or server, not '{other}'")),
                }
            }
            "--hold" => args.hold = true,
            "--hold-end" => args.hold_end = true,
            "--help" | "-h" => return Ok(None),
            other => return Err(format!("unknown option '{other}'")),
        }
    }
    check(args).map(Some)
}

fn check(args: Args) -> Result<Args, String> {
    if !(1..=1024).contains(&args.concurrency) {
        return Err("--concurrency: expected 1 to 1024".into());
    }
    if args.mode == Mode::Connect && args.addr.port() == 0 {
        return Err("connect needs --addr with the server's port".into());
    }
    let to_the_ender = if args.by == Side::Client { args.bytes_to_client } else { args.bytes_to_server };
    if args.end != End::Clean && to_the_ender == 0 {
        return Err(format!(
            "--end {} needs at least one byte towards the {}",
            args.end.as_str(),
            args.by.as_str()
        ));
    }
    let most = args.bytes_to_server.max(args.bytes_to_client);
    if args.connections.checked_mul(most).is_none() {
        return Err("the totals do not fit into 64 bits".into());
    }
    Ok(args)
}

fn number(option: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|e| format!("{option} '{text}': {e}"))
}
