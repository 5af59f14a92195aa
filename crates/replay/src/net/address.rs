//! Where to listen, or to connect to.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use tokio::net::lookup_host;

/// An address of a socket.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Address {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A name to be looked up, and a port.
    Name(String, u16),
    /// A path, for streams.
    Unix(PathBuf),
}

impl std::str::FromStr for Address {
    type Err = String;

    /// `ADDR:PORT`, `NAME:PORT`, `PORT` alone for this machine, or `unix:PATH`.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err("unix: needs a path".into()),
                path => Ok(Self::Unix(path.into())),
            };
        }
        let port = text.strip_prefix(':').unwrap_or(text);
        if let Ok(port) = port.parse() {
            return Ok(Self::Ip((Ipv4Addr::LOCALHOST, port).into()));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        if text.parse::<IpAddr>().is_ok() || !text.contains(':') {
            return Err(format!("'{text}' has no port: ADDR:PORT, [ADDR]:PORT or unix:PATH"));
        }
        match text.rsplit_once(':').map(|(name, port)| (name, port.parse())) {
            Some((name, Ok(port))) if !name.contains(':') => Ok(Self::Name(name.into(), port)),
            _ => Err(format!("'{text}' is no address: ADDR:PORT, [ADDR]:PORT or unix:PATH")),
        }
    }
}

impl Address {
    /// The IP addresses that it stands for, in the order in which they are to be tried.
    pub(crate) async fn all(&self) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::Ip(address) => Ok(vec![*address]),
            Self::Name(name, port) => Ok(lookup_host((name.as_str(), *port)).await?.collect()),
            Self::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// Tries them until one does; why the last one does not.
pub(crate) async fn first_that<T, F: Future<Output = io::Result<T>>>(
    addresses: Vec<SocketAddr>,
    mut try_it: impl FnMut(SocketAddr) -> F,
) -> io::Result<T> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match try_it(address).await {
            Ok(it) => return Ok(it),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_a_port_alone_is_of_this_machine() {
        let ip = |text: &str| Ok(Address::Ip(text.parse().unwrap()));
        assert_eq!("127.0.0.1:80".parse(), ip("127.0.0.1:80"));
        assert_eq!("8080".parse(), ip("127.0.0.1:8080"));
        assert_eq!(":8080".parse(), ip("127.0.0.1:8080"));
        assert_eq!("[::1]:80".parse(), ip("[::1]:80"));
        assert_eq!("unix:/tmp/a".parse(), Ok(Address::Unix("/tmp/a".into())));
        for wrong in ["", "unix:", "::1", "127.0.0.1", "70000", "host", "127.0.0.1:70000"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
        assert_eq!("localhost:80".parse(), Ok(Address::Name("localhost".into(), 80)));
    }
}
