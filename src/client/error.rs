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
    #[error("cannot read {}: {error}", path.display())]
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
    #[error("the server refused: {0}")]
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
            Some(source) => ClientError::Broken(deepest(source)),
            None => ClientError::Refused(tidy(status.message())),
        }
    }
}

/// The innermost cause, which says most.
pub(super) fn deepest(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    tidy(&error.to_string())
}

/// Escaped and not too long.
fn tidy(text: &str) -> String {
    escape(&text.chars().take(MAX_WHY).collect::<String>())
}
