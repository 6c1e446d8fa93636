//! Connections as they come in: counted, given little time to begin, and cut off at the end.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Sleep;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::server::Connected;

use super::Limits;

/// Bytes that a peer has sent when it has begun: the preface of HTTP/2 (RFC 9113 section 3.4).
/// Less than a TLS handshake, which has a time limit of its own.
const BEGUN: u64 = 24;
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
                received: 0,
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
    received: u64,
    /// Until the peer has begun.
    deadline: Option<Pin<Box<Sleep>>>,
    cut_off: Pin<Box<dyn Future<Output = ()> + Send>>,
    _permit: OwnedSemaphorePermit,
}

impl<T> Guarded<T> {
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.cut_off.as_mut().poll(cx).is_ready() {
            return Err(io::ErrorKind::ConnectionAborted.into());
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
        let before = buf.filled().len();
        let result = Pin::new(&mut self.io).poll_read(cx, buf);
        if self.deadline.is_some() {
            self.received += (buf.filled().len() - before) as u64;
            if self.received >= BEGUN {
                self.deadline = None;
            }
        }
        result
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

impl<T: Connected> Connected for Guarded<T> {
    type ConnectInfo = T::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.io.connect_info()
    }
}
