//! The gRPC services of webb over a [`Store`], behind a Unix socket, TCP with TLS, or in process.
//!
//! Nothing is pushed: each stream reads the store when its viewer has room for more, so that a slow
//! or hostile viewer holds its own small buffer and nothing else. What remains to be bounded is in
//! [`Limits`].

mod guard;
mod held;
mod listen;
mod listings;
mod service;
mod slices;
mod socket_file;
mod tls;
mod watch_events;

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream, UnixListenerStream};
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::{Server, ServerTlsConfig};

pub use listen::{Bound, Listen, ListenError};
pub use socket_file::{SocketError, SocketFile};
pub use tls::{TlsFileError, TlsFiles};

use crate::api::pb::webb_server::WebbServer;
use crate::api::{DESCRIPTORS, MAX_REQUEST, MAX_RESPONSE};
use crate::store::Store;
use service::Service;

/// What all viewers together may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections; further ones are closed at once.
    pub connections: usize,
    /// Streams of one connection.
    pub streams_per_connection: u32,
    /// Streams of all connections; further ones are refused.
    pub streams: usize,
    /// Snapshots and listings that are being sent; further ones are refused.
    pub held: usize,
    /// How long a viewer may take to receive a snapshot or a listing.
    pub held_for: Duration,
    /// How long a connection may take until its first request, TLS included.
    pub handshake: Duration,
    /// How long a silent connection is left before it is pinged, and the ping unanswered.
    pub keepalive: Duration,
    /// How long streams may take to end at shutdown.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 64,
            streams_per_connection: 8,
            streams: 64,
            held: 16,
            held_for: Duration::from_secs(60),
            handshake: Duration::from_secs(10),
            keepalive: Duration::from_secs(10),
            grace: Duration::from_secs(2),
        }
    }
}

/// Serving ended with an error.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The TLS configuration is not usable.
    #[error("the TLS certificate and key cannot be used: {0}")]
    Tls(String),
    /// Reflection could not be set up.
    #[error("the description of the API cannot be served: {0}")]
    Reflection(String),
    /// The transport gave up.
    #[error("the server stopped: {0}")]
    Transport(String),
}

/// Serves until `shutdown`; then ends all streams and, after [`Limits::grace`], all connections. A
/// Unix socket is removed when this returns or is dropped.
///
/// # Errors
/// When the TLS configuration cannot be used, or the transport gives up.
pub async fn serve(
    store: Store,
    bound: Bound,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    match bound {
        Bound::Unix(listener, _file) => {
            run(store, UnixListenerStream::new(listener), None, limits, shutdown).await
        }
        Bound::Tcp(listener, tls) => {
            let incoming = TcpListenerStream::new(listener).map(|io| {
                let io = io?;
                io.set_nodelay(true)?;
                Ok(io)
            });
            run(store, incoming, tls, limits, shutdown).await
        }
    }
}

/// Serves viewers in this process: send one end of a `tokio::io::duplex` pair per connection. Runs
/// as a task of the current runtime until every sender is gone.
pub fn serve_duplex(store: Store, limits: Limits) -> mpsc::Sender<DuplexStream> {
    let (connect, incoming) = mpsc::channel(4);
    let incoming = ReceiverStream::new(incoming).map(Ok);
    tokio::spawn(run(store, incoming, None, limits, std::future::pending()));
    connect
}

async fn run<T>(
    store: Store,
    incoming: impl Stream<Item = io::Result<T>>,
    tls: Option<ServerTlsConfig>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Two steps: streams are asked to end; what is left when this function is, is cut off.
    let (stop, stopping) = watch::channel(false);
    let (_cut, cut_off) = watch::channel(());

    let health = tonic_health::server::HealthReporter::new();
    health.set_serving::<WebbServer<Service>>().await;
    let health = tonic_health::server::HealthService::from_health_reporter(health);
    let health =
        tonic_health::pb::health_server::HealthServer::new(health).max_decoding_message_size(MAX_REQUEST);
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|e| ServeError::Reflection(e.to_string()))?
        .max_decoding_message_size(MAX_REQUEST);
    let webb = WebbServer::new(Service::new(store, limits, stopping))
        .max_decoding_message_size(MAX_REQUEST)
        .max_encoding_message_size(MAX_RESPONSE);

    let mut server = Server::builder()
        .max_concurrent_streams(limits.streams_per_connection)
        .initial_stream_window_size(MAX_REQUEST as u32)
        .initial_connection_window_size(2 * MAX_REQUEST as u32)
        .http2_max_header_list_size(16 << 10)
        .http2_keepalive_interval(Some(limits.keepalive))
        .http2_keepalive_timeout(Some(limits.keepalive));
    if let Some(tls) = tls {
        server = server
            .tls_config(tls.timeout(limits.handshake))
            .map_err(|e| ServeError::Tls(tls::deepest(&e)))?;
    }

    let (asked, when_asked) = oneshot::channel();
    let serving = server
        .layer(tower::util::MapRequestLayer::new(guard::mark_begun))
        .add_service(webb)
        .add_service(health)
        .add_service(reflection)
        .serve_with_incoming_shutdown(guard::guarded(incoming, limits, cut_off), async {
            shutdown.await;
            stop.send_replace(true);
            let _ = asked.send(());
        });
    tokio::select! {
        ended = serving => ended.map_err(|e| ServeError::Transport(tls::deepest(&e))),
        () = async {
            if when_asked.await.is_ok() {
                // The time limit itself: if all streams end before, `serving` does, and wins.
                tokio::time::sleep(limits.grace).await;
            } else {
                std::future::pending().await
            }
        } => Ok(()),
    }
}
