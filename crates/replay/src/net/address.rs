//! Where to listen, or to connect to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

/// An address of a socket.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Address {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A path, for streams.
    Unix(PathBuf),
}

impl std::str::FromStr for Address {
    type Err = String;

    /// `ADDR:PORT`, `PORT` alone for this machine, or `unix:PATH`. Names are looked up.
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
        let mut found = text.to_socket_addrs().map_err(|error| format!("'{text}': {error}"))?;
        found.next().map(Self::Ip).ok_or_else(|| format!("'{text}': no address"))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
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
        assert!("localhost:80".parse::<Address>().is_ok());
    }
}
