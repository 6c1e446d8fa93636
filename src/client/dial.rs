//! From a target to a channel.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tower::service_fn;

use super::error::{ClientError, explain};
use crate::api::Address;

/// Until a connection stands, TLS included.
const CONNECT: Duration = Duration::from_secs(5);
/// Silence before a ping, and how long its answer may take.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// Buffer of an in-process connection, each way.
const DUPLEX: usize = 256 << 10;

/// Where a server is.
#[derive(Clone, Debug)]
pub enum Target {
    /// At an address; with TLS when options are given.
    Remote(Address, Option<TlsOptions>),
    /// In this process: it is sent the other end of each connection.
    InProcess(mpsc::Sender<DuplexStream>),
}

/// How to trust a server, and to be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// PEM file with who signs the server's certificate.
    pub ca: PathBuf,
    /// PEM files of an own certificate and its key, where the server asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name in the server's certificate, where it is not the host that is dialled.
    pub server_name: Option<String>,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Remote(address, _) => address.fmt(f),
            Target::InProcess(_) => f.write_str("the agent in this process"),
        }
    }
}

pub(super) async fn dial(target: &Target) -> Result<Channel, ClientError> {
    let connected = match target {
        Target::Remote(address @ Address::Unix(_), Some(_)) => {
            return Err(ClientError::TlsOnUnix(address.to_string()));
        }
        Target::Remote(Address::Unix(path), None) => {
            let path = path.clone();
            local()
                .connect_with_connector(service_fn(move |_| {
                    let path = path.clone();
                    async move { UnixStream::connect(path).await.map(TokioIo::new) }
                }))
                .await
        }
        Target::InProcess(connect) => {
            let connect = connect.clone();
            local()
                .connect_with_connector(service_fn(move |_| {
                    let connect = connect.clone();
                    async move {
                        let (ours, theirs) = tokio::io::duplex(DUPLEX);
                        let gone =
                            |_| io::Error::new(io::ErrorKind::ConnectionRefused, "the agent has ended");
                        connect.send(theirs).await.map_err(gone)?;
                        Ok::<_, io::Error>(TokioIo::new(ours))
                    }
                }))
                .await
        }
        Target::Remote(address @ Address::Tcp { .. }, tls) => {
            let scheme = if tls.is_some() { "https" } else { "http" };
            let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
                .map_err(|e| ClientError::Connect { target: address.to_string(), why: explain(&e) })?;
            let mut endpoint = tuned(endpoint).tcp_nodelay(true);
            if let Some(tls) = tls {
                endpoint = endpoint.tls_config(tls.read()?).map_err(|e| ClientError::Tls(explain(&e)))?;
            }
            endpoint.connect().await
        }
    };
    connected.map_err(|e| ClientError::Connect { target: target.to_string(), why: explain(&e) })
}

/// For connectors that look at no address.
fn local() -> Endpoint {
    tuned(Endpoint::from_static("http://webb.invalid"))
}

fn tuned(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true)
        .http2_max_header_list_size(16 << 10)
}

impl TlsOptions {
    fn read(&self) -> Result<ClientTlsConfig, ClientError> {
        let ca = read(&self.ca)?;
        if !ca.contains("-----BEGIN CERTIFICATE-----") {
            return Err(ClientError::Tls(format!(
                "{} holds no certificate in PEM form; --tls-ca names who signs the server's",
                self.ca.display()
            )));
        }
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)).timeout(CONNECT);
        if let Some((cert, key)) = &self.identity {
            tls = tls.identity(Identity::from_pem(read(cert)?, read(key)?));
        }
        if let Some(name) = &self.server_name {
            tls = tls.domain_name(name);
        }
        Ok(tls)
    }
}

fn read(path: &Path) -> Result<String, ClientError> {
    std::fs::read_to_string(path).map_err(|error| ClientError::File { path: path.to_owned(), error })
}
