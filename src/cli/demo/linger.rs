//! Closing in order, at either side of a connection.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// How long the peer may take to close its side, too.
const GOODBYE: Duration = Duration::from_secs(2);

/// Says goodbye, and waits for that of the peer: in TLS each side sends a last record, and one that
/// comes to a socket that is gone, or is left unread, is answered with a reset.
pub(super) async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    if stream.shutdown().await.is_ok() {
        // What comes is of no interest; the end of it, or an error, is what is waited for.
        let _ = timeout(GOODBYE, tokio::io::copy(&mut stream, &mut tokio::io::sink())).await;
    }
}
