//! The server side of a service: accepts, speaks HTTP/1.1, works a little, calls others, answers.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::call::Caller;
use super::dice::Dice;
use super::linger::linger;
use super::topology::{Flaw, Spec};

/// No request or answer body is longer.
pub const MAX_BODY: usize = 16 * 1024;

/// Connections a service has at a time; more wait in the backlog.
const MAX_CONNECTIONS: usize = 64;
/// A client that takes longer for its handshake or a request head, or idles longer, is dropped.
const IDLE: Duration = Duration::from_secs(20);
/// Pause after `accept` fails (out of descriptors), so that it cannot spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Listen backlog, connections.
const BACKLOG: u32 = 128;

static FILLER: [u8; 2000] = [b'.'; 2000];

/// A port of 127.0.0.1 that stays ours while nothing listens on it: a second socket is bound to it
/// and never listens, so connects are refused, and no other process can be given the port.
pub struct Port {
    _holder: TcpSocket,
    address: SocketAddr,
}

impl Port {
    /// Takes a free port.
    pub fn reserve() -> io::Result<Port> {
        let holder = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = holder.local_addr()?;
        Ok(Port { _holder: holder, address })
    }

    /// The port number.
    pub fn number(&self) -> u16 {
        self.address.port()
    }

    /// Opens it; it closes when the listener is dropped.
    pub fn listen(&self) -> io::Result<TcpListener> {
        bind(self.address)?.listen(BACKLOG)
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Lets holder and listener share the port: Linux forbids only two that listen.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// What a service needs to answer.
pub struct Server {
    /// Who it is.
    pub spec: &'static Spec,
    /// Whom it calls.
    pub callers: Vec<Caller>,
    /// Its chance.
    pub dice: Dice,
    /// Set when it listens with mutual TLS.
    pub tls: Option<TlsAcceptor>,
}

impl Server {
    /// Serves forever; with [`Flaw::Refuses`] the port is closed for stretches.
    ///
    /// # Errors
    /// When the port cannot be opened again.
    pub async fn run(self: Arc<Self>, port: Port, mut listener: TcpListener) -> io::Result<Infallible> {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Flaw::Refuses { open_s, closed_s } = self.spec.flaw else {
                self.accept(&listener, &places).await;
                continue;
            };
            let open = Duration::from_secs(open_s.into());
            // Serving never ends by itself.
            let _ = timeout(open, self.accept(&listener, &places)).await;
            drop(listener);
            sleep(Duration::from_secs(closed_s.into())).await;
            listener = port.listen()?;
        }
    }

    async fn accept(self: &Arc<Self>, listener: &TcpListener, places: &Arc<Semaphore>) {
        loop {
            // The semaphore is never closed.
            let Ok(place) = places.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let server = self.clone();
                    tokio::spawn(async move {
                        // A client that fails is its own problem.
                        let _ = server.connection(stream).await;
                        drop(place);
                    });
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) -> Result<(), Box<dyn std::error::Error>> {
        stream.set_nodelay(true)?;
        match &self.tls {
            Some(acceptor) => {
                let stream = timeout(IDLE, acceptor.accept(stream)).await??;
                self.speak(stream).await?;
            }
            None => self.speak(stream).await?,
        }
        Ok(())
    }

    async fn speak<S>(self: Arc<Self>, stream: S) -> Result<(), hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(move |request| {
            let server = self.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .serve_connection(TokioIo::new(stream), service)
            .without_shutdown()
            .await
            .map(|parts| parts.io.into_inner())
            .map(linger)?
            .await;
        Ok(())
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let status = match timeout(IDLE, Limited::new(request.into_body(), MAX_BODY).collect()).await {
            Ok(Ok(_)) => self.work().await,
            _ => StatusCode::BAD_REQUEST,
        };
        let length = self.dice.between(200, FILLER.len() as u32) as usize;
        let mut response = Response::new(Full::new(Bytes::from_static(&FILLER[..length])));
        *response.status_mut() = status;
        response
    }

    async fn work(&self) -> StatusCode {
        let (low, high) = match self.spec.flaw {
            Flaw::Slow { one_in, ms } if self.dice.one_in(one_in) => ms,
            _ => self.spec.work_ms,
        };
        let ms = self.dice.between(low, high);
        if ms > 0 {
            sleep(Duration::from_millis(ms.into())).await;
        }
        if matches!(self.spec.flaw, Flaw::Fails { one_in } if self.dice.one_in(one_in)) {
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
        self.call_others().await
    }

    /// Makes the calls whose turn it is, one after the other.
    pub async fn call_others(&self) -> StatusCode {
        for caller in &self.callers {
            let call = caller.call();
            if self.dice.one_in(call.one_in) && !caller.make(&self.dice).await && call.needed {
                return StatusCode::BAD_GATEWAY;
            }
        }
        StatusCode::OK
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::certs::Authority;
    use crate::cli::demo::topology;
    use tokio_rustls::rustls::version::TLS13;

    fn server(name: &str, tls: Option<TlsAcceptor>) -> Arc<Server> {
        let spec = topology::find(name).unwrap();
        Arc::new(Server { spec, callers: Vec::new(), dice: Dice::new(1), tls })
    }

    fn call(from: &str, to: &str) -> &'static topology::Call {
        topology::find(from).unwrap().calls.iter().find(|call| call.to == to).unwrap()
    }

    #[tokio::test]
    async fn a_closed_port_refuses_stays_ours_and_opens_again() {
        let port = Port::reserve().unwrap();
        let refused = || async { TcpStream::connect(port.address).await.unwrap_err().kind() };
        assert_eq!(refused().await, io::ErrorKind::ConnectionRefused);
        let listener = port.listen().unwrap();
        TcpStream::connect(port.address).await.unwrap();
        assert_eq!(port.listen().unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert_eq!(refused().await, io::ErrorKind::ConnectionRefused);
        let _listener = port.listen().unwrap();
        TcpStream::connect(port.address).await.unwrap();
    }

    #[tokio::test]
    async fn answers_over_kept_and_fresh_connections() {
        let port = Port::reserve().unwrap();
        let (listener, number) = (port.listen().unwrap(), port.number());
        tokio::spawn(server("ledger", None).run(port, listener));
        let dice = Dice::new(3);
        let kept = Caller::new(call("api", "ledger"), number, None).unwrap();
        let fresh = Caller::new(call("api", "stock"), number, None).unwrap();
        for _ in 0..3 {
            assert!(kept.make(&dice).await && fresh.make(&dice).await);
        }
    }

    #[tokio::test]
    async fn orders_answers_only_those_with_a_certificate_of_the_demo() {
        let authority = Authority::new().unwrap();
        let tls = TlsAcceptor::from(authority.issue("orders").unwrap().server(&TLS13).unwrap());
        let port = Port::reserve().unwrap();
        let (listener, number) = (port.listen().unwrap(), port.number());
        tokio::spawn(server("orders", Some(tls)).run(port, listener));
        let dice = Dice::new(3);
        let call = call("api", "orders");
        let with = |tls| Caller::new(call, number, tls).unwrap();
        let client = authority.issue("api").unwrap().client().unwrap();
        let stranger = Authority::new().unwrap().issue("api").unwrap().client().unwrap();
        assert!(with(Some(client)).make(&dice).await);
        assert!(!with(Some(stranger)).make(&dice).await);
        assert!(!with(None).make(&dice).await, "plain HTTP got through");
    }
}
