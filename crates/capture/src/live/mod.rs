//! Packets of a network interface, as they come.

#[cfg(feature = "libpcap")]
mod os;
#[cfg(feature = "libpcap")]
mod with_libpcap;
#[cfg(not(feature = "libpcap"))]
mod without_libpcap;

#[cfg(feature = "libpcap")]
pub use with_libpcap::{Live, interfaces};
#[cfg(not(feature = "libpcap"))]
pub use without_libpcap::{Live, interfaces};

use crate::error::OneLine;
use std::net::IpAddr;
use std::time::Duration;

/// After so long, a packet that came has been given if packets were taken all the time: twice what the kernel may
/// keep a block of them that is not full.
pub const HANDED_OVER: Duration = Duration::from_millis(200);

/// A network interface of this machine, or what the system offers as one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its name, as the system and `-i` know it.
    pub name: String,
    /// What the system says it is.
    pub description: Option<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Is it administratively up?
    pub up: bool,
    /// Is it running: is there a cable, an access point?
    pub running: bool,
    /// Does it lead back to this machine?
    pub loopback: bool,
    /// Is it a radio?
    pub wireless: bool,
}

/// How Npcap's names begin, which are passed on as they are: what it calls an interface may not be in the list.
const NPCAP: &str = r"\Device\NPF_";

impl Interface {
    /// The name of the interface that `wanted` names, or whose address it is: see [`Self::find`].
    ///
    /// # Errors
    /// There is none, or the system does not say which there are.
    pub fn name_of(wanted: &str) -> Result<String, LiveError> {
        if wanted.starts_with(NPCAP) {
            return Ok(wanted.to_owned());
        }
        Ok(Self::find(wanted, &interfaces()?)?.name.clone())
    }

    /// The interface that `wanted` names, or whose address it is. An IPv6 address may have a zone, as in
    /// `fe80::1%eth0` (RFC 4007, section 11): it then must be the interface's name.
    ///
    /// # Errors
    /// There is none: the error lists those that are.
    pub fn find<'a>(wanted: &str, all: &'a [Self]) -> Result<&'a Self, LiveError> {
        let (address, zone) = match wanted.split_once('%') {
            Some((address, zone)) => (address.parse::<IpAddr>().ok(), Some(zone)),
            None => (wanted.parse().ok(), None),
        };
        let has = |interface: &Self, address: &IpAddr| interface.addresses.contains(address);
        all.iter()
            .find(|interface| interface.name == wanted)
            .or_else(|| {
                all.iter().find(|interface| {
                    zone.is_none_or(|zone| zone == interface.name)
                        && address.is_some_and(|address| has(interface, &address))
                })
            })
            .ok_or_else(|| LiveError::Unknown {
                wanted: wanted.to_owned(),
                names: all.iter().map(|interface| interface.name.clone()).collect(),
            })
    }
}

/// How packets are captured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveConfig {
    /// The interface's name.
    pub interface: String,
    /// So many bytes of each packet are captured.
    pub snap_length: u32,
    /// The kernel's ring, in bytes.
    pub buffer_size: u32,
    /// Packets for others too.
    pub promiscuous: bool,
    /// A filter in the syntax of `pcap-filter(7)`, which the kernel applies.
    pub filter: Option<String>,
}

/// What the kernel says of a capture so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LiveStats {
    /// Packets that passed the filter.
    pub received: u64,
    /// Packets that were lost because the ring was full.
    pub dropped: u64,
    /// Packets that the interface or its driver lost.
    pub dropped_by_interface: u64,
}

impl LiveStats {
    /// Adds what the kernel says of another ring. What the interface lost came to none of them, and is the same
    /// for all.
    pub fn add_ring(&mut self, other: &Self) {
        self.received += other.received;
        self.dropped += other.dropped;
        self.dropped_by_interface = self.dropped_by_interface.max(other.dropped_by_interface);
    }
}

/// Why there is no capture, or no more of it. Its `Display` is one line.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// This build cannot capture.
    #[error("this build has no libpcap, so it cannot capture; build it with the feature `libpcap`")]
    NoLibpcap,
    /// The system does not say which interfaces there are.
    #[error("cannot list the interfaces: {}", OneLine(.message))]
    List {
        /// What libpcap says.
        message: String,
    },
    /// There is no such interface.
    #[error("there is no interface '{}'; there are: {}", OneLine(.wanted), OneLine(&.names.join(", ")))]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// The interfaces that there are.
        names: Vec<String>,
    },
    /// The process may not capture.
    #[error(
        "{interface}: no permission to capture: the capability CAP_NET_RAW is missing; grant it with: \
         sudo setcap cap_net_raw+ep {}", OneLine(.program)
    )]
    Permission {
        /// Where.
        interface: String,
        /// This program's path.
        program: String,
    },
    /// It cannot be captured from.
    #[error("{interface}: cannot capture: {}", OneLine(.message))]
    Open {
        /// Where.
        interface: String,
        /// What libpcap says.
        message: String,
    },
    /// The filter is wrong.
    #[error("{interface}: filter '{}': {}", OneLine(.expression), OneLine(.message))]
    Filter {
        /// Where.
        interface: String,
        /// The filter.
        expression: String,
        /// What libpcap says.
        message: String,
    },
    /// The interface went away, or the capture failed. (One that goes down may come up again.)
    #[error("{interface}: the capture has ended: {}", OneLine(.message))]
    Ended {
        /// Where.
        interface: String,
        /// What libpcap says.
        message: String,
    },
}

impl LiveError {
    /// What happened, without the interface's name.
    pub fn detail(&self) -> String {
        let text = self.to_string();
        match self {
            Self::NoLibpcap | Self::List { .. } | Self::Unknown { .. } => text,
            Self::Permission { interface, .. }
            | Self::Open { interface, .. }
            | Self::Filter { interface, .. }
            | Self::Ended { interface, .. } => {
                text.strip_prefix(&format!("{interface}: ")).unwrap_or(&text).to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, addresses: &[&str]) -> Interface {
        Interface {
            name: name.into(),
            description: None,
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            up: true,
            running: true,
            loopback: false,
            wireless: false,
        }
    }

    #[test]
    fn interfaces_are_found_by_name_and_by_address() {
        let all = [
            interface("eth0", &["10.0.0.1", "fe80::1"]),
            interface("eth1", &["10.0.0.2", "fe80::1"]),
            interface("10.0.0.1", &[]),
        ];
        let found = |wanted| Interface::find(wanted, &all).map(|found| &found.name[..]);
        for (wanted, name) in [
            ("eth1", "eth1"),
            ("10.0.0.2", "eth1"),
            ("10.0.0.1", "10.0.0.1"),
            ("fe80::1", "eth0"),
            ("fe80::1%eth1", "eth1"),
        ] {
            assert_eq!(found(wanted), Ok(name));
        }
        for wanted in ["eth", "10.0.0.9", "fe80::1%eth2", ""] {
            let error = found(wanted).unwrap_err().to_string();
            let want = format!("there is no interface '{wanted}'; there are: eth0, eth1, 10.0.0.1");
            assert_eq!(error, want);
        }
    }

    #[test]
    fn what_the_interface_lost_is_counted_once() {
        let mut sum = LiveStats::default();
        sum.add_ring(&LiveStats { received: 10, dropped: 2, dropped_by_interface: 3 });
        sum.add_ring(&LiveStats { received: 20, dropped: 4, dropped_by_interface: 3 });
        assert_eq!(sum, LiveStats { received: 30, dropped: 6, dropped_by_interface: 3 });
    }

    #[test]
    fn names_of_npcap_are_passed_on() {
        let name = r"\Device\NPF_{0E1A2B3C-4D5E-6F70-8192-A3B4C5D6E7F8}";
        assert_eq!(Interface::name_of(name).as_deref(), Ok(name));
        assert!(Interface::name_of("no such interface").is_err());
    }

    #[test]
    fn what_happened_is_told_without_the_interface_too() {
        let error = LiveError::Ended { interface: "eth0".into(), message: "gone".into() };
        assert_eq!(error.to_string(), "eth0: the capture has ended: gone");
        assert_eq!(error.detail(), "the capture has ended: gone");
    }
}
