//! What can go wrong with a server, in one sentence each.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::api::InvalidMessage;
use crate::model::escape;

/// Longest text taken over from a server or a library, characters.
const MAX_WHY: usize = 200;

/// An error of the client. Texts from the server in it are escaped.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection.
    #[error("cannot connect to {target}: {why}")]
    Connect {
        /// Where to.
        target: String,
        /// Why not.
        why: String,
    },
    /// A PEM file cannot be read.
    #[error("cannot read {}: {error}; --tls-ca, --tls-cert and --tls-key name PEM files", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The TLS options cannot be used.
    #[error("the TLS options cannot be used: {0}")]
    Tls(String),
    /// TLS options for a Unix socket.
    #[error("TLS is for TCP: leave out --tls-* with {0}")]
    TlsOnUnix(String),
    /// The connection broke, or the peer does not speak the protocol.
    #[error("the connection failed: {0}")]
    Broken(String),
    /// The server answered with an error.
    #[error("the server said: {0}")]
    Refused(String),
    /// No answer.
    #[error("the server did not answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// The server broke the rules of the protocol.
    #[error(transparent)]
    Invalid(#[from] InvalidMessage),
}

impl ClientError {
    pub(super) fn from_status(status: &tonic::Status) -> Self {
        match status.source() {
            // Made here, by the transport.
            Some(source) => ClientError::Broken(explain(source)),
            None => ClientError::Refused(tidy(status.message())),
        }
    }
}

/// The innermost cause, which says most, and what can be done about it.
pub(super) fn explain(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    let text = error.to_string();
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    let hint = match kind {
        Some(io::ErrorKind::NotFound) => "no agent serves there; start one with `webb agent`",
        Some(io::ErrorKind::ConnectionRefused) => "nothing listens there; is `webb agent` running?",
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => CLOSED,
        Some(io::ErrorKind::PermissionDenied) => "the socket is another user's; try with sudo",
        // The types behind these are private to the transport.
        _ => match HINTS.iter().find(|(mark, _)| text.contains(mark)) {
            Some((_, hint)) => hint,
            None => return tidy(&text),
        },
    };
    format!("{}; {hint}", tidy(&text))
}

/// An agent that went, something else, or TLS: its alert is not always read before the write fails.
const CLOSED: &str = "the peer closed it; is it an agent that runs? One with TLS needs --tls-ca, and --tls-cert \
                      with a certificate that it trusts if it asks viewers for one";

/// Parts of messages of rustls and h2, and what they mean here.
const HINTS: [(&str, &str); 10] = [
    ("UnknownIssuer", "the server's certificate is not signed by the CA in --tls-ca"),
    ("not valid for name", "name the server as its certificate does with --tls-server-name"),
    ("CertificateRequired", "the server asks viewers for a certificate: give --tls-cert and --tls-key"),
    ("UnknownCA", "the server does not trust the certificate in --tls-cert"),
    ("InvalidContentType", "the server does not use TLS: leave out --tls-*"),
    ("failed to lookup address", "check the name, or give an address: --server HOST:PORT"),
    (
        "connection error detected",
        "the peer does not speak gRPC; is it an agent? One with TLS needs --tls-ca",
    ),
    ("broken pipe", CLOSED),
    ("connection closed", CLOSED),
    ("connection reset", CLOSED),
];

/// Escaped and not too long.
fn tidy(text: &str) -> String {
    escape(&text.chars().take(MAX_WHY).collect::<String>())
}
