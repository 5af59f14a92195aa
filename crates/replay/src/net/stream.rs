//! Streams of the kernel, with TLS around them or not.

use super::Address;
use super::address::first_that;
use super::os;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_rustls::TlsStream;

/// A stream of the kernel.
#[derive(Debug)]
pub(crate) enum Plain {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// A stream, as it is or in TLS.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(Plain),
    Tls(Box<TlsStream<Plain>>),
}

impl Plain {
    /// Connects.
    pub(crate) async fn connect(to: &Address) -> io::Result<Self> {
        match to {
            Address::Ip(_) | Address::Name(..) => {
                let connect = |address| async move { TcpStream::connect(address).await };
                Self::tcp(first_that(to.all().await?, connect).await?)
            }
            #[cfg(unix)]
            Address::Unix(path) => Ok(Self::Unix(UnixStream::connect(path).await?)),
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// A TCP stream, whose segments go out as they are written.
    pub(crate) fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    /// This end and the other one, where they have addresses.
    pub(crate) fn ends(&self) -> Option<[std::net::SocketAddr; 2]> {
        match self {
            Self::Tcp(stream) => Some([stream.local_addr().ok()?, stream.peer_addr().ok()?]),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }

    /// From now on, closing breaks off.
    fn break_off(&self) {
        if let Self::Tcp(stream) = self {
            // Where it cannot be, it closes.
            let _ = stream.set_zero_linger();
        }
    }
}

impl Stream {
    fn plain(&self) -> &Plain {
        match self {
            Self::Plain(plain) => plain,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    /// This end and the other one, where they have addresses.
    pub(crate) fn ends(&self) -> Option<[std::net::SocketAddr; 2]> {
        self.plain().ends()
    }

    /// Bytes that were written and that the peer's system has not got, as far as ours tells.
    pub(crate) fn unsent(&self) -> usize {
        match self.plain() {
            Plain::Tcp(stream) => os::unsent(stream),
            #[cfg(unix)]
            Plain::Unix(_) => 0,
        }
    }

    /// Has the peer broken off? Reading does not tell that when it had ended before.
    pub(crate) fn is_broken(&self) -> bool {
        match self.plain() {
            Plain::Tcp(stream) => !matches!(stream.take_error(), Ok(None)),
            #[cfg(unix)]
            Plain::Unix(_) => false,
        }
    }

    /// Breaks off: the peer gets a RST.
    pub(crate) fn abort(self) {
        self.plain().break_off();
    }
}

/// Hands a call on to the stream that there is.
macro_rules! plain {
    ($stream:expr, $call:ident $arguments:tt) => {
        match $stream {
            Plain::Tcp(stream) => Pin::new(stream).$call $arguments,
            #[cfg(unix)]
            Plain::Unix(stream) => Pin::new(stream).$call $arguments,
        }
    };
}

/// The same with TLS or not.
macro_rules! either {
    ($stream:expr, $call:ident $arguments:tt) => {
        match $stream {
            Stream::Plain(stream) => Pin::new(stream).$call $arguments,
            Stream::Tls(stream) => Pin::new(stream).$call $arguments,
        }
    };
}

impl AsyncRead for Plain {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        plain!(self.get_mut(), poll_read(cx, buffer))
    }
}

impl AsyncWrite for Plain {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        plain!(self.get_mut(), poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        plain!(self.get_mut(), poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        plain!(self.get_mut(), poll_shutdown(cx))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self.get_mut(), poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self.get_mut(), poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), poll_shutdown(cx))
    }
}
