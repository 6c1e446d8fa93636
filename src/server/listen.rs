//! Where to serve: checked and bound before anything is served.

use std::io;

use tokio::net::{TcpListener, UnixListener};
use tonic::transport::{Server, ServerTlsConfig};

use super::socket_file::{SocketError, SocketFile};
use super::tls::{TlsFileError, TlsFiles, deepest};
use crate::api::Address;

/// Where to serve, and how it is protected.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The address.
    pub address: Address,
    /// For TCP.
    pub tls: Option<TlsFiles>,
    /// Allows TCP without TLS.
    pub insecure: bool,
}

/// An address that is being listened on.
#[derive(Debug)]
pub enum Bound {
    /// A Unix socket, which is removed with this value.
    Unix(UnixListener, SocketFile),
    /// TCP, with TLS unless it was allowed without.
    Tcp(TcpListener, Option<ServerTlsConfig>),
}

/// Why an address cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// TCP without protection.
    #[error(
        "refusing to serve {0} without TLS: give --tls-cert and --tls-key (and --tls-client-ca to ask for viewers' certificates), or --insecure"
    )]
    Insecure(Address),
    /// A Unix socket is protected by its mode.
    #[error("TLS is for TCP: leave out --tls-* with {0}")]
    TlsOnUnix(Address),
    /// Certificates.
    #[error(transparent)]
    TlsFile(#[from] TlsFileError),
    /// Certificate and key are readable but of no use.
    #[error("the TLS certificate and key cannot be used: {0}")]
    Tls(String),
    /// The Unix socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The TCP address.
    #[error("cannot listen on {address}: {error}")]
    Tcp {
        /// Where.
        address: Address,
        /// Why.
        error: io::Error,
    },
}

impl Bound {
    /// Binds.
    ///
    /// # Errors
    /// Why the address cannot be served.
    pub async fn bind(listen: &Listen) -> Result<Bound, ListenError> {
        let Listen { address, tls, insecure } = listen;
        match (address, tls) {
            (Address::Unix(_), Some(_)) => Err(ListenError::TlsOnUnix(address.clone())),
            (Address::Unix(path), None) => {
                let (listener, file) = SocketFile::bind(path)?;
                Ok(Bound::Unix(listener, file))
            }
            (Address::Tcp { .. }, None) if !insecure => Err(ListenError::Insecure(address.clone())),
            (Address::Tcp { host, port }, tls) => {
                let tls = tls.as_ref().map(TlsFiles::read).transpose()?;
                if let Some(config) = &tls {
                    // Certificate and key are tried now, not when serving begins.
                    Server::builder()
                        .tls_config(config.clone())
                        .map_err(|e| ListenError::Tls(deepest(&e)))?;
                }
                let listener = TcpListener::bind((host.as_str(), *port))
                    .await
                    .map_err(|error| ListenError::Tcp { address: address.clone(), error })?;
                Ok(Bound::Tcp(listener, tls))
            }
        }
    }

    /// The TCP address, with the port that was given where 0 was asked for.
    pub fn tcp_address(&self) -> Option<std::net::SocketAddr> {
        match self {
            Bound::Unix(..) => None,
            Bound::Tcp(listener, _) => listener.local_addr().ok(),
        }
    }
}
