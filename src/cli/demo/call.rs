//! The client side of a service: one HTTP/1.1 request to another service, over a fresh or a kept
//! connection, in the clear or over mutual TLS.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::dice::Dice;
use super::linger::linger;
use super::serve::MAX_BODY;
use super::topology::{Call, Connections};

/// No call takes longer; it counts as failed then.
const PATIENCE: Duration = Duration::from_secs(2);
/// Kept connections that may lie idle, per call; more are closed after use.
const MAX_IDLE: usize = 8;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One [`Call`] of a service, with the connections it keeps.
pub struct Caller {
    call: &'static Call,
    address: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    idle: Mutex<Vec<Kept>>,
}

struct Kept {
    sender: SendRequest<Full<Bytes>>,
    requests_left: u32,
}

impl Caller {
    /// A caller of the service that listens on `port` of 127.0.0.1; with `tls`, over TLS.
    ///
    /// # Errors
    /// When the service's name is no DNS name.
    pub fn new(call: &'static Call, port: u16, tls: Option<Arc<ClientConfig>>) -> Result<Caller, Failure> {
        let tls = match tls {
            Some(config) => Some((TlsConnector::from(config), ServerName::try_from(call.to)?)),
            None => None,
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Caller { call, address, tls, idle: Mutex::new(Vec::new()) })
    }

    /// What is called.
    pub fn call(&self) -> &'static Call {
        self.call
    }

    /// Makes one request and reads its answer to the end; whether it was a good one.
    pub async fn make(&self, dice: &Dice) -> bool {
        matches!(tokio::time::timeout(PATIENCE, self.exchange(dice)).await, Ok(Ok(status)) if status.is_success())
    }

    async fn exchange(&self, dice: &Dice) -> Result<StatusCode, Failure> {
        let mut kept = match self.take_idle().await {
            Some(kept) => kept,
            None => self.dial().await?,
        };
        kept.requests_left -= 1;
        let path = self.call.path.replace("{id}", &dice.between(1, 9999).to_string());
        let mut request = Request::builder()
            .method(self.call.method)
            .uri(path)
            .header(HOST, self.call.to)
            .body(Full::new(Bytes::new()))?;
        if kept.requests_left == 0 {
            request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let response = kept.sender.send_request(request).await?;
        let status = response.status();
        Limited::new(response.into_body(), MAX_BODY).collect().await?;
        if kept.requests_left > 0 {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < MAX_IDLE {
                idle.push(kept);
            }
        }
        Ok(status)
    }

    async fn take_idle(&self) -> Option<Kept> {
        loop {
            let mut kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            // An error: the server has closed it meanwhile.
            if kept.sender.ready().await.is_ok() {
                return Some(kept);
            }
        }
    }

    async fn dial(&self) -> Result<Kept, Failure> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let sender = match &self.tls {
            Some((connector, name)) => start(connector.connect(name.clone(), stream).await?).await?,
            None => start(stream).await?,
        };
        let requests_left = match self.call.connections {
            Connections::Fresh => 1,
            Connections::Kept { requests } => requests.max(1),
        };
        Ok(Kept { sender, requests_left })
    }
}

async fn start<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Ends when the sender is dropped or the server closes; its error is also the sender's.
    tokio::spawn(async move {
        if let Ok(parts) = connection.without_shutdown().await {
            linger(parts.io.into_inner()).await;
        }
    });
    Ok(sender)
}
