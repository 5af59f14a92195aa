//! What the name of a connection tells.

use super::error::beginning;
use crate::Transport;
use flow::Endpoint;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

/// An IP protocol, by its name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Protocol {
    /// One that can be replayed.
    Known(Transport),
    /// Another.
    Other(String),
}

impl Protocol {
    /// Of a name that is longer than any, the beginning: memory for it is not counted.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "TCP" => Self::Known(Transport::Tcp),
            "UDP" => Self::Known(Transport::Udp),
            other => Self::Other(beginning(other)),
        }
    }

    /// The same, if there is a protocol of this name.
    fn in_file_name(name: &str) -> Option<Self> {
        let protocol = Self::named(name);
        let is_one = matches!(protocol, Self::Known(_)) || NAMES.iter().any(|one| one == name);
        is_one.then_some(protocol)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(transport) => transport.fmt(f),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// All protocols, as names of files show them.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    (0..=u8::MAX).map(|number| sink::protocol_name(number).replace(['/', ' '], "-")).collect()
});

/// A connection's name, taken apart: `YYYYMMDDHHMMSS-PROTOCOL-ADDRESS.PORT-ADDRESS.PORT`, perhaps with a
/// number behind it, `_2` or more.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct ConnectionName {
    time: u64,
    pub(super) protocol: Protocol,
    /// Side 0 first; with a file for each side, whose file it is first.
    pub(super) ends: [Endpoint; 2],
    /// 1 where none is shown.
    number: u64,
}

impl ConnectionName {
    /// Takes apart a name without folder and extension. `None` if it is not of this form.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (time, rest) = name.split_once('-')?;
        // From its end: a protocol's name may have dashes, addresses have none.
        let (rest, to) = rest.rsplit_once('-')?;
        let (protocol, from) = rest.rsplit_once('-')?;
        let (to, number) = numbered(to)?;
        Some(Self {
            time: (time.len() == 14).then(|| digits(time))??,
            protocol: Protocol::in_file_name(protocol)?,
            ends: [end(from)?, end(to)?],
            number,
        })
    }

    /// The name of the other side's file.
    pub(super) fn swapped(&self) -> Self {
        let [from, to] = self.ends;
        Self { ends: [to, from], ..self.clone() }
    }
}

/// `ADDRESS.PORT` and the number behind it. Underscores of an address stand before its last dot.
fn numbered(end: &str) -> Option<(&str, u64)> {
    match end.rsplit_once('_') {
        Some((end, number)) if !number.contains('.') => {
            digits(number).filter(|&number| number >= 2).map(|number| (end, number))
        }
        _ => Some((end, 1)),
    }
}

fn end(text: &str) -> Option<Endpoint> {
    let (addr, port) = text.rsplit_once('.')?;
    let port = u16::try_from(digits(port)?).ok()?;
    let addr = if addr.contains('_') {
        IpAddr::V6(addr.replace('_', ":").parse::<Ipv6Addr>().ok()?)
    } else {
        IpAddr::V4(addr.parse::<Ipv4Addr>().ok()?)
    };
    Some(Endpoint { addr, port })
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn name(text: &str) -> ConnectionName {
        ConnectionName::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    fn ends(from: &str, to: &str) -> [Endpoint; 2] {
        [from, to].map(|end| {
            let end: SocketAddr = end.parse().unwrap();
            Endpoint { addr: end.ip(), port: end.port() }
        })
    }

    #[test]
    fn a_name_tells_protocol_and_ends() {
        let telnet = name("20261123153736-TCP-192.0.2.10.42850-192.0.2.20.23");
        assert_eq!(telnet.protocol, Protocol::Known(Transport::Tcp));
        assert_eq!(telnet.ends, ends("192.0.2.10:42850", "192.0.2.20:23"));
        assert_eq!(telnet.number, 1);
        let second = name("20261123153736-UDP-192.0.2.10.53-192.0.2.20.53_2");
        assert_eq!((second.protocol, second.number), (Protocol::Known(Transport::Udp), 2));
    }

    #[test]
    fn ipv6_has_underscores_for_colons() {
        let http =
            name("20060513202316-TCP-2001_618_400__5199_cc70.35997-2001_618_1_8000__5.80_17");
        assert_eq!(http.ends, ends("[2001:618:400::5199:cc70]:35997", "[2001:618:1:8000::5]:80"));
        assert_eq!(http.number, 17);
        let mapped = name("19700101000000-IPV6-ICMP-__ffff_1.2.3.4.0-__.0");
        assert_eq!(mapped.ends, ends("[::ffff:1.2.3.4]:0", "[::]:0"));
        assert_eq!(mapped.protocol, Protocol::Other("IPV6-ICMP".into()));
    }

    #[test]
    fn every_protocol_is_understood() {
        for number in 0..=255 {
            let protocol = sink::protocol_name(number).replace(['/', ' '], "-");
            let name = name(&format!("19700101000000-{protocol}-10.0.0.1.0-10.0.0.2.0"));
            assert_eq!(name.protocol.to_string(), protocol);
            let transport = Transport::of_number(number);
            assert_eq!(matches!(name.protocol, Protocol::Known(_)), transport.is_some());
        }
    }

    #[test]
    fn a_protocol_with_a_long_name_takes_little_memory() {
        let Protocol::Other(name) = Protocol::named(&"x".repeat(1 << 20)) else { panic!("known") };
        assert!(name.len() < 1000, "{}", name.len());
    }

    #[test]
    fn names_of_another_form_tell_nothing() {
        for text in [
            "",
            "dump",
            "session-tcp",
            "20261123153736-TCP-192.0.2.10.42850",
            "2026112315373-TCP-192.0.2.10.42850-192.0.2.20.23",
            "2026112315373x-TCP-192.0.2.10.42850-192.0.2.20.23",
            "20261123153736-my-copy-192.0.2.10.42850-192.0.2.20.23",
            "20261123153736-TCP-192.0.2.10-192.0.2.20",
            "20261123153736-TCP-192.0.2.10.65536-192.0.2.20.23",
            "20261123153736-TCP-192.0.2.10.+5-192.0.2.20.23",
            "20261123153736-TCP-192.0.2.10.5-192.0.2.20.23_1",
            "20261123153736-TCP-192.0.2.10.5-192.0.2.20.23_",
            "20261123153736-TCP-192.0.2.10.5-192.0.2.20.23_x",
            "20261123153736-TCP-192.0.2.10.5-192.0.2.20.",
            "20261123153736-TCP-host.5-host.23",
            "20261123153736-TCP-192.0.2.10.5-192.0.2.20.23.json",
        ] {
            assert_eq!(ConnectionName::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_file_of_the_other_side_has_its_ends_swapped() {
        let zero = name("20261123153736-TCP-192.0.2.10.42850-192.0.2.20.23_2");
        let one = name("20261123153736-TCP-192.0.2.20.23-192.0.2.10.42850_2");
        assert_eq!(zero.swapped(), one);
        assert_ne!(zero, one);
    }
}
