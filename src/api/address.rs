//! Where an agent serves: `unix:PATH` or `host:port`, and the default.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where to serve or to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// Host name or address, and port.
    Tcp {
        /// Name or address; IPv6 without brackets.
        host: String,
        /// Port.
        port: u16,
    },
}

/// Text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no address: write unix:PATH, host:port or [ipv6]:port ({why})")]
pub struct InvalidAddress {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let err = |why| InvalidAddress { text: text.to_owned(), why };
        if let Some(path) = text.strip_prefix("unix:") {
            // The form unix:///path of gRPC names means the same.
            let path = path.strip_prefix("//").filter(|p| p.starts_with('/')).unwrap_or(path);
            return if path.is_empty() { Err(err("no path")) } else { Ok(Address::Unix(path.into())) };
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(|| err("no closing bracket"))?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| err("no IPv6 address in the brackets"))?;
                (host, rest.strip_prefix(':').ok_or_else(|| err("no port"))?)
            }
            None => text.rsplit_once(':').ok_or_else(|| err("no port"))?,
        };
        if host.is_empty() {
            return Err(err("no host"));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if !text.starts_with('[') && !host.chars().all(plain) {
            return Err(err("not a host name; IPv6 needs brackets"));
        }
        let port = port.parse().map_err(|_| err("the port is no number up to 65535"))?;
        Ok(Address::Tcp { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// The socket of this host's agent for this user: `/run/webb/webb.sock` for root, else
/// `$XDG_RUNTIME_DIR/webb/webb.sock`, where that is not set `/run/user/UID/webb/webb.sock`.
pub fn default_socket() -> PathBuf {
    let uid = rustix::process::geteuid();
    let base = match std::env::var_os("XDG_RUNTIME_DIR") {
        _ if uid.is_root() => PathBuf::from("/run"),
        Some(dir) if !dir.is_empty() => PathBuf::from(dir),
        _ => PathBuf::from(format!("/run/user/{}", uid.as_raw())),
    };
    base.join("webb/webb.sock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["unix:/run/webb.sock", "unix:rel.sock", "localhost:4245", "10.0.0.1:1", "[::1]:65535"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("unix:///a/b".parse(), Ok(Address::Unix("/a/b".into())));
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, why) in [
            ("", "no port"),
            ("unix:", "no path"),
            ("localhost", "no port"),
            (":1", "no host"),
            ("a:65536", "the port is no number up to 65535"),
            ("a:-1", "the port is no number up to 65535"),
            ("::1:80", "not a host name; IPv6 needs brackets"),
            ("http://a:80", "not a host name; IPv6 needs brackets"),
            ("[::1]", "no port"),
            ("[zz]:1", "no IPv6 address in the brackets"),
            ("a/b:1", "not a host name; IPv6 needs brackets"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap_err().why, why, "{text}");
        }
    }
}
