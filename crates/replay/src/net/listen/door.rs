//! Sockets that whoever likes may come to.

use crate::net::address::{Address, first_that};
use crate::net::stream::Plain;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
#[cfg(unix)]
use tokio::net::UnixListener;
use tokio::net::{TcpListener, TcpSocket, UdpSocket};

/// So many clients may wait until they are accepted.
const BACKLOG: u32 = 4096;

/// Which file it is, by its device and number.
#[cfg(unix)]
type Inode = (u64, u64);

#[cfg(unix)]
fn inode(path: &std::path::Path) -> Option<Inode> {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// A socket at which recordings are played.
pub(crate) enum Door {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, std::path::PathBuf, Option<Inode>),
    Udp(Rc<UdpSocket>),
}

impl Door {
    /// Opens one for streams.
    pub(crate) async fn of_streams(at: &Address) -> io::Result<Self> {
        match at {
            Address::Ip(_) | Address::Name(..) => {
                let listen = |address| async move { listen(address) };
                first_that(at.all().await?, listen).await.map(Self::Tcp)
            }
            #[cfg(unix)]
            Address::Unix(path) => {
                let listener = UnixListener::bind(path)?;
                Ok(Self::Unix(listener, path.clone(), inode(path)))
            }
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Opens one for datagrams.
    pub(crate) async fn of_datagrams(at: &Address) -> io::Result<Self> {
        let bind = |address| async move { UdpSocket::bind(address).await };
        first_that(at.all().await?, bind).await.map(|socket| Self::Udp(Rc::new(socket)))
    }

    /// Where it is: a port that was 0 is another one.
    pub(crate) fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Ip),
            #[cfg(unix)]
            Self::Unix(_, path, _) => Ok(Address::Unix(path.clone())),
            Self::Udp(socket) => socket.local_addr().map(Address::Ip),
        }
    }

    /// Waits for a client.
    pub(crate) async fn accept(&self) -> io::Result<Plain> {
        match self {
            Self::Tcp(listener) => Plain::tcp(listener.accept().await?.0),
            #[cfg(unix)]
            Self::Unix(listener, ..) => Ok(Plain::Unix(listener.accept().await?.0)),
            Self::Udp(_) => std::future::pending().await,
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(unix)]
impl Drop for Door {
    fn drop(&mut self) {
        if let Self::Unix(_, path, ours) = self
            && ours.is_some()
            && inode(path) == *ours
        {
            // Nobody can connect there any more.
            let _ = std::fs::remove_file(path);
        }
    }
}
