//! Why a frame gave no datagram.

use crate::LinkType;
use std::fmt;

/// A header, named as the field names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Layer {
    /// The link layer's own header, whichever it is.
    Link,
    /// IEEE 802.2 LLC and SNAP.
    Llc,
    /// An 802.1Q or 802.1ad tag.
    Vlan,
    /// An MPLS label stack entry.
    Mpls,
    /// A PPPoE session header.
    Pppoe,
    /// A PPP protocol field.
    Ppp,
    /// IPv4, options included.
    Ipv4,
    /// IPv6's fixed header.
    Ipv6,
    /// An IPv6 extension header, or AH over IPv4.
    Extension,
    /// TCP, options included.
    Tcp,
    /// UDP.
    Udp,
    /// The ports of SCTP, DCCP or UDP-Lite.
    Ports,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Link => "link layer",
            Self::Llc => "LLC",
            Self::Vlan => "VLAN",
            Self::Mpls => "MPLS",
            Self::Pppoe => "PPPoE",
            Self::Ppp => "PPP",
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
            Self::Extension => "IP extension",
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Ports => "port",
        })
    }
}

/// Why a frame gave no datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Dropped {
    /// The link type is none that this crate reads.
    #[error("unknown link type {0}")]
    UnknownLink(LinkType),
    /// The frame carries no IP: ARP, a management frame, …
    #[error("not IP")]
    NotIp,
    /// An 802.11 data frame whose body is encrypted.
    #[error("encrypted 802.11 frame")]
    Encrypted,
    /// The capture ends inside a header.
    #[error("cut inside the {layer} header: it needs {needed} bytes, {found} were captured")]
    Truncated {
        /// Which header.
        layer: Layer,
        /// Bytes that the header needs.
        needed: u32,
        /// Bytes of it that were captured.
        found: u32,
    },
    /// A header contradicts itself or the length of what carries it.
    #[error("malformed {layer} header: {why}")]
    Malformed {
        /// Which header.
        layer: Layer,
        /// What is wrong with it.
        why: &'static str,
    },
    /// More headers in one another than [`MAX_HEADERS`](crate::MAX_HEADERS).
    #[error("more than {} nested headers", crate::MAX_HEADERS)]
    TooDeep,
}
