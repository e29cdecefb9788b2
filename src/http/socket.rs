//! A client's socket, on which the server can see that the client is gone while it serves it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// How often a socket is looked at that has something to read which nobody takes.
const GLANCE: Duration = Duration::from_millis(250);

/// Shared by the connection and its watch: hyper notices an end of file by reading, and it does not read on once it has
/// bytes behind the request, be it a stray line end or the next request.
#[derive(Clone)]
pub struct Socket(Arc<TcpStream>);

impl Socket {
    /// `patience`: how long the client may take nothing of what is sent to it, before the connection breaks. A run is
    /// cancelled when its client is slow, but only this frees the connection of one that never reads again.
    pub fn new(stream: TcpStream, patience: Duration) -> io::Result<Self> {
        // Tokens are small and each should leave at once.
        stream.set_nodelay(true)?;
        // The kernel takes a signed number.
        let milliseconds = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
        rustix::net::sockopt::set_tcp_user_timeout(&stream, milliseconds.unsigned_abs())?;
        Ok(Self(Arc::new(stream)))
    }

    /// Waits until the client sends no more: it has closed the connection, or its half of it.
    pub async fn hung_up(&self) {
        while let Ok(ready) = self.0.ready(Interest::READABLE).await {
            // Also for the last look: hyper sees it too, unless it has stopped reading, and may have an answer to give. A
            // body that broke off is told so.
            sleep(GLANCE).await;
            if ready.is_read_closed() {
                return;
            }
        }
    }

    fn poll_send(
        &self,
        context: &mut Context<'_>,
        send: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(context))?;
            match send(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(context))?;
            match self.0.try_read_buf(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(context, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(context, |stream| stream.try_write_vectored(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(rustix::net::shutdown(&*self.0, rustix::net::Shutdown::Write).map_err(Into::into))
    }
}
