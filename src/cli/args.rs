//! What can be typed. Help, completions and the man page come from here.

use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::export::audit::Check;
use crate::model::{EVENT_KINDS, EventKind, PROTOCOLS, Protocol};

/// Who talks to whom, how fast, is it failing: the network of this host or cluster, live.
///
/// eBPF probes watch every connection; nothing is changed, delayed or stopped. Without a command
/// the terminal UI opens: on this host's running agent, else on one inside, or on --server.
#[derive(Debug, Parser)]
#[command(
    name = "webb",
    version,
    after_help = "Examples:
  sudo webb                               watch this host
  webb demo                               a small shop of real services to look at
  sudo webb --cgroup system.slice         only what runs there
  sudo webb observe -f -o json            events, one JSON object a line
  sudo webb list edges                    who talked to whom in the last 60 s
  sudo webb list requests --failed        what was asked and went wrong
  sudo webb top --by paths --sort p99     what is slow
  sudo webb audit --wait 60               what is not mutual TLS, and why
  sudo webb agent                         serve viewers on a Unix socket
  webb --server unix:/run/webb/webb.sock  look at that agent
  webb --file trace.pcap                  look at a capture
  webb doctor                             what works here, and what to do about the rest",
    max_term_width = 100
)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do; the UI when nothing is given.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags of every command; they may also stand after it.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// Look at this agent: unix:PATH or host:port.
    #[arg(long, global = true, value_name = "ADDRESS", env = "WEBB_SERVER", help_heading = "Agent")]
    pub server: Option<String>,
    /// PEM file of who signs the server's certificate; TLS is used when it is given.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Agent")]
    pub tls_ca: Option<PathBuf>,
    /// PEM file of a certificate: the viewer's own, or the one that `webb agent` serves with.
    #[arg(long, global = true, value_name = "FILE", requires = "tls_key", help_heading = "Agent")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file of its key.
    #[arg(long, global = true, value_name = "FILE", requires = "tls_cert", help_heading = "Agent")]
    pub tls_key: Option<PathBuf>,
    /// The name in the server's certificate, where it is not the host.
    #[arg(long, global = true, value_name = "NAME", help_heading = "Agent")]
    pub tls_server_name: Option<String>,

    /// Look at a capture instead: a pcap or pcapng file, - for standard input. Figures then cover all of
    /// it.
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        conflicts_with_all = ["cgroup", "unit", "container", "pid", "ring", "requests", "no_requests", "tls_identities"],
        help_heading = "Capture"
    )]
    pub file: Option<PathBuf>,

    /// Watch only this cgroup and those below (a directory, or a path below the cgroup2 mount).
    /// May be repeated.
    #[arg(long, global = true, value_name = "PATH", value_parser = NonEmptyStringValueParser::new(), help_heading = "Scope")]
    pub cgroup: Vec<String>,
    /// Watch only this systemd unit.
    #[arg(long, global = true, value_name = "NAME", value_parser = NonEmptyStringValueParser::new(), help_heading = "Scope")]
    pub unit: Vec<String>,
    /// Watch only this container, by name or id.
    #[arg(long, global = true, value_name = "NAME", value_parser = NonEmptyStringValueParser::new(), help_heading = "Scope")]
    pub container: Vec<String>,
    /// Watch only the cgroup of this process.
    #[arg(long, global = true, value_name = "PID", help_heading = "Scope")]
    pub pid: Vec<u32>,
    /// Closed connections that are remembered.
    #[arg(long, global = true, value_name = "N", default_value_t = 32_768, value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = "Scope")]
    pub history: u32,
    /// Bytes of the kernel's ring of opening and closing records.
    #[arg(long, global = true, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(4096..=256 << 20), help_heading = "Scope")]
    pub ring: Option<u32>,

    /// Decode requests also on a whole host (`webb agent` does not otherwise).
    #[arg(long, global = true, conflicts_with = "no_requests", help_heading = "Requests")]
    pub requests: bool,
    /// Decode no requests: connections, the latency of answers and TLS only.
    #[arg(long, global = true, help_heading = "Requests")]
    pub no_requests: bool,
    /// Read certificates also in TLS 1.3, where they are encrypted on the wire: probes in libcrypto, GnuTLS
    /// and NSS where these parse the peer's certificate. Every process that maps one of these files pays
    /// some microseconds for each certificate that it parses.
    #[arg(long, global = true, help_heading = "TLS")]
    pub tls_identities: bool,

    /// How much is told of what requests are about: path templates, statements without literals and
    /// names, or nothing.
    #[arg(long, global = true, value_enum, value_name = "HOW", default_value_t = RedactArg::Default, help_heading = "Requests")]
    pub redact: RedactArg,
    /// Percent of one core that the agent may use before it sheds requests (0 = no limit).
    #[arg(long, global = true, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=10_000), help_heading = "Requests")]
    pub cpu_budget: u32,

    /// Colours of the UI.
    #[arg(long, global = true, value_enum, value_name = "THEME", help_heading = "Display")]
    pub theme: Option<ThemeArg>,
    /// Draw with ASCII characters only.
    #[arg(long, global = true, help_heading = "Display")]
    pub ascii: bool,
    /// Leave the mouse to the terminal.
    #[arg(long, global = true, help_heading = "Display")]
    pub no_mouse: bool,
}

/// How much is told of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum RedactArg {
    /// Templates, statements without literals, names; never keys, values, query strings, credentials.
    #[default]
    Default,
    /// Only the kind of request and how it went.
    Strict,
}

/// Colour themes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ThemeArg {
    /// For dark backgrounds.
    Dark,
    /// For light backgrounds.
    Light,
    /// No colours.
    Mono,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch this host and serve viewers.
    ///
    /// On a Unix socket of mode 0600 unless told otherwise; on TCP with TLS, or with --insecure.
    Agent(AgentArgs),
    /// Start a small shop of real services on loopback, and look at it.
    Demo,
    /// What works on this host: kernel, privileges, each datum with its hook.
    ///
    /// Exit status 0 when the essentials hold.
    Doctor(Format),
    /// Events as they happen: connections, requests.
    #[command(after_help = "Examples:
  sudo webb observe -f                          connections as they come and go
  sudo webb observe -f --failed                 whatever fails: connections and requests
  sudo webb observe -f --protocol http,grpc     requests in these protocols
  sudo webb observe -f --kind request,closed -o json")]
    Observe(ObserveArgs),
    /// Connections, edges, workloads, requests or the security of connections.
    List(ListArgs),
    /// What is not encrypted, not mutual, about to expire, weak or failing.
    ///
    /// mtls means: the client presented a certificate and the server continued; trust is the server's
    /// decision and not visible. Exit status 0 when nothing of --fail-on is there, 3 when something is.
    #[command(after_help = "Checks of --fail-on:
  plaintext    connections without encryption
  mixed        edges whose connections are not protected alike
  expired      certificates that are not valid now; with --file at the end of the capture
  expires:30d  certificates that are not valid 30 days later
  weak         weak parameters: before TLS 1.2, no forward secrecy, not AEAD, small keys
  failed       handshakes that failed
  unknown      connections of which it is not known
  tls          TLS without a certificate of the client

Examples:
  sudo webb audit --wait 60                       a report of this host's next minute
  webb audit --file trace.pcap -o json            of a capture, as one JSON object
  sudo webb audit --wait 60 --fail-on plaintext,expired,unknown
                                                  for cron and CI")]
    Audit(AuditArgs),
    /// The busiest, the most failing, the slowest, refreshed each second.
    ///
    /// On a terminal until q or Ctrl-C; once with --once, as JSON, or into a file or a pipe.
    #[command(after_help = "Examples:
  sudo webb top                            edges by requests per second
  sudo webb top --by paths --sort p99      the slowest paths
  sudo webb top --sort errors -o json      what fails most, one JSON object a line")]
    Top(TopArgs),
    /// Counts, losses, hooks and cost of the agent.
    Status(Format),
    /// Who talks to whom, for people or for Graphviz and Mermaid.
    Map(MapArgs),
    /// Completions for a shell, to standard output.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// The man page, to standard output.
    Man,
    /// One service of the demo.
    #[cfg(all(target_os = "linux", feature = "agent"))]
    #[command(hide = true, name = "demo-service")]
    DemoService(super::demo::DemoServiceArgs),
    /// What removes the demo's cgroups.
    #[command(hide = true, name = "demo-reaper")]
    DemoReaper,
    /// The demo without a UI.
    #[command(hide = true, name = "demo-shop")]
    DemoShop,
}

/// Of `webb agent`.
#[derive(Clone, Debug, Args)]
pub struct AgentArgs {
    /// Where to serve: unix:PATH or host:port [default: webb/webb.sock in the runtime directory].
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Ask viewers for a certificate that this PEM file's authority signed.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,
    /// Serve TCP without TLS: whoever reaches the port sees everything.
    #[arg(long)]
    pub insecure: bool,
}

/// Table or JSON.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Format {
    /// How to print; JSON is one object a line (docs/json.md).
    #[arg(short, long, value_enum, default_value_t = TableFormat::Table)]
    pub output: TableFormat,
}

/// Table or JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// For people.
    #[default]
    Table,
    /// One object a line.
    Json,
}

/// Of `webb observe`.
#[derive(Clone, Debug, Args)]
pub struct ObserveArgs {
    /// Go on with new events.
    #[arg(short, long)]
    pub follow: bool,
    /// Begin with so many of the kept events, of connections and of requests [default: 20; of a
    /// capture, all].
    #[arg(long, value_name = "N")]
    pub last: Option<u64>,
    /// Only these kinds of events [default: those of connections; with --protocol requests].
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = event_kind())]
    pub kind: Vec<EventKind>,
    /// Only requests in these protocols.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = protocol())]
    pub protocol: Vec<Protocol>,
    /// Only what failed: connections, and requests with an error.
    #[arg(long)]
    pub failed: bool,
    /// Only what happened at this server port.
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = EventFormat::Compact)]
    pub output: EventFormat,
}

/// A name of the model's.
fn protocol() -> impl TypedValueParser<Value = Protocol> {
    PossibleValuesParser::new(PROTOCOLS.map(Protocol::as_str))
        .try_map(|name| Protocol::from_name(&name).ok_or("no protocol has this name"))
}

fn event_kind() -> impl TypedValueParser<Value = EventKind> {
    PossibleValuesParser::new(EVENT_KINDS.map(EventKind::as_str))
        .try_map(|name| EventKind::from_name(&name).ok_or("no event has this name"))
}

/// How events are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum EventFormat {
    /// One line each.
    #[default]
    Compact,
    /// One object a line.
    Json,
}

/// Of `webb list`.
#[derive(Clone, Debug, Args)]
#[command(arg_required_else_help = false)]
pub struct ListArgs {
    /// What to list.
    #[command(subcommand)]
    pub what: Listed,
}

/// What can be listed.
#[derive(Clone, Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Listed {
    /// One row a connection.
    Connections {
        /// Closed connections too.
        #[arg(long)]
        all: bool,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// One row for who talks to whom.
    Edges(Summed),
    /// One row for each end of those.
    Workloads(Summed),
    /// One row a request, the newest last.
    #[command(after_help = "Examples:
  sudo webb list requests --cgroup shop.slice
  sudo webb list requests --failed --protocol http,grpc
  sudo webb list requests --protocol dns -o json | jq .target")]
    Requests(RequestsArgs),
    /// One row a connection: whether it is secured, and how that is known.
    Tls {
        /// Closed connections too.
        #[arg(long)]
        all: bool,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
}

/// Of what is counted over a time.
#[derive(Clone, Copy, Debug, Args)]
pub struct Summed {
    /// Since the agent started; else the last 60 s. With --file always.
    #[arg(long)]
    pub all: bool,
    /// How to print.
    #[command(flatten)]
    pub format: Format,
}

/// Of `webb list requests`.
#[derive(Clone, Debug, Args)]
pub struct RequestsArgs {
    /// So many of those that are kept, the newest.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub last: u64,
    /// Only in these protocols.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = protocol())]
    pub protocol: Vec<Protocol>,
    /// Only with an error.
    #[arg(long)]
    pub failed: bool,
    /// Only to this server port.
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// How to print.
    #[command(flatten)]
    pub format: Format,
}

/// Of `webb audit`.
#[derive(Clone, Debug, Args)]
pub struct AuditArgs {
    /// Collect for so long first, at most an hour; else what is known now.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub wait: u64,
    /// End with status 3 when one of these is there: plaintext, mixed, expired, expires:DAYSd, weak,
    /// failed, unknown, tls.
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    pub fail_on: Vec<Check>,
    /// How to print.
    #[command(flatten)]
    pub format: Format,
}

/// Of `webb top`.
#[derive(Clone, Copy, Debug, Args)]
pub struct TopArgs {
    /// What a row is.
    #[arg(long, value_enum, default_value_t = TopBy::Edges)]
    pub by: TopBy,
    /// What is on top.
    #[arg(long, value_enum, default_value_t = TopSort::Rate)]
    pub sort: TopSort,
    /// Seconds that the figures speak of.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub window: u64,
    /// Print once, and end.
    #[arg(long)]
    pub once: bool,
    /// How to print.
    #[command(flatten)]
    pub format: Format,
}

/// What a row of `webb top` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TopBy {
    /// Who talks to whom.
    Edges,
    /// What is asked of a server.
    Paths,
}

/// What is on top of `webb top`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TopSort {
    /// Requests per second.
    Rate,
    /// Errors of requests, failures of connections.
    Errors,
    /// The slowest 99th percentile.
    P99,
}

/// Of `webb map`.
#[derive(Clone, Debug, Args)]
pub struct MapArgs {
    /// Since the agent started; else the last 60 s. With --file always.
    #[arg(long)]
    pub all: bool,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = MapFormat::Table)]
    pub output: MapFormat,
}

/// How a map is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum MapFormat {
    /// For people.
    #[default]
    Table,
    /// Edges, one object a line.
    Json,
    /// For Graphviz.
    Dot,
    /// For Mermaid.
    Mermaid,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_may_stand_after_the_command() {
        let cli = Cli::parse_from([
            "webb", "list", "edges", "--cgroup", "a", "--server", "unix:x", "--cgroup", "b",
        ]);
        assert_eq!(cli.global.cgroup, ["a", "b"]);
        assert_eq!(cli.global.server.as_deref(), Some("unix:x"));
    }
}
