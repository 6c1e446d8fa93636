//! Connections as they come in: counted, given little time to make a first request, and cut off at
//! the end.
//!
//! A peer that does nothing after TCP, after TLS, or after the preface of HTTP/2 would hold its place
//! for ever otherwise; one that has made a request and then falls silent is found out by pings.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Sleep;
use tokio_stream::{Stream, StreamExt as _};
use tonic::body::Body;
use tonic::codegen::http::Request;
use tonic::transport::server::Connected;

use super::Limits;

/// Set when a connection has made its first request. Reaches the requests as their connection info.
#[derive(Clone, Debug, Default)]
pub(super) struct Begun(Arc<AtomicBool>);

/// For a layer before all services.
pub(super) fn mark_begun(request: Request<Body>) -> Request<Body> {
    if let Some(begun) = request.extensions().get::<Begun>() {
        begun.0.store(true, Ordering::Relaxed);
    }
    request
}

/// Rest after a failed accept, which is most likely a lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Wraps the connections of a listener.
pub(super) fn guarded<T>(
    incoming: impl Stream<Item = io::Result<T>>,
    limits: Limits,
    cut_off: watch::Receiver<()>,
) -> impl Stream<Item = io::Result<Guarded<T>>> {
    let room = Arc::new(Semaphore::new(limits.connections));
    incoming
        .then(|accepted| async {
            if accepted.is_err() {
                // The listener stays ready while accepting fails: without a rest this would spin.
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            accepted
        })
        .filter_map(move |accepted| {
            let io = accepted.ok()?;
            // Without room the connection is closed here.
            let permit = room.clone().try_acquire_owned().ok()?;
            let mut cut_off = cut_off.clone();
            Some(Ok(Guarded {
                io,
                begun: Begun::default(),
                // The time limit itself; given up with the first request.
                deadline: Some(Box::pin(tokio::time::sleep(limits.handshake))),
                // Ends when the sender is dropped: nothing is ever sent.
                cut_off: Box::pin(async move { while cut_off.changed().await.is_ok() {} }),
                _permit: permit,
            }))
        })
}

/// A connection that counts against the limit as long as it lives.
pub(super) struct Guarded<T> {
    io: T,
    begun: Begun,
    /// For the first request.
    deadline: Option<Pin<Box<Sleep>>>,
    cut_off: Pin<Box<dyn Future<Output = ()> + Send>>,
    _permit: OwnedSemaphorePermit,
}

impl<T> Guarded<T> {
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.cut_off.as_mut().poll(cx).is_ready() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if self.begun.0.load(Ordering::Relaxed) {
            self.deadline = None;
        }
        if self.deadline.as_mut().is_some_and(|d| d.as_mut().poll(cx).is_ready()) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Guarded<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Guarded<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<T> Connected for Guarded<T> {
    type ConnectInfo = Begun;

    fn connect_info(&self) -> Begun {
        self.begun.clone()
    }
}
