//! Link layers: from a frame's first byte to the IP header.
//!
//! Each file reads one of them and ends by calling what it carries: an EtherType's protocol, LLC,
//! PPP, or IP. A new link type is a constant in `link_type.rs`, a file here, and an arm of
//! [`decode`].

pub(crate) mod amsdu;
pub(crate) mod ethernet;
pub(crate) mod ethertype;
mod fcs;
pub(crate) mod ieee80211;
mod llc;
mod mpls;
mod nflog;
mod null;
mod ppi;
mod ppp;
mod radiotap;
mod sll;

use crate::depth::Depth;
use crate::{Decoded, Dropped, LinkType, Payload, ip};

/// Reads a frame of any link type.
///
/// [`LinkType::is_known`] lists the same types; a test holds the two together.
#[inline(never)]
pub(crate) fn decode<'a>(
    link: LinkType,
    frame: Payload<'a>,
    depth: Depth,
) -> Result<Decoded<'a>, Dropped> {
    match link {
        LinkType::ETHERNET => ethernet::decode(frame, depth),
        LinkType::LINUX_SLL => sll::decode_v1(frame, depth),
        LinkType::LINUX_SLL2 => sll::decode_v2(frame, depth),
        LinkType::RAW | LinkType::DLT_RAW | LinkType::DLT_RAW_OPENBSD => {
            ip::by_version(frame, depth)
        }
        LinkType::IPV4 => ip::v4::decode(frame, depth),
        LinkType::IPV6 => ip::v6::decode(frame, depth),
        LinkType::NULL | LinkType::LOOP => null::decode(frame, depth),
        LinkType::PPP | LinkType::PPP_HDLC => ppp::decode(frame, depth),
        LinkType::C_HDLC => ppp::decode_cisco(frame, depth),
        LinkType::PPP_ETHER => ppp::decode_session(frame, depth),
        LinkType::IEEE802_11 => ieee80211::decode(frame, ieee80211::Added::default(), depth),
        LinkType::IEEE802_11_RADIOTAP => radiotap::decode(frame, depth),
        LinkType::PPI => ppi::decode(frame, depth),
        LinkType::NFLOG => nflog::decode(frame, depth),
        _ => Err(Dropped::UnknownLink(link)),
    }
}

/// What the tests of the link layers have in common.
#[cfg(test)]
pub(crate) mod testing {
    use super::decode;
    use crate::depth::Depth;
    use crate::{Datagram, Decoded, Dropped, LinkType, Payload};

    /// An IPv4 packet of 22 bytes: 10.0.0.1 -> 10.0.0.2, protocol 253 (for experiments), "hi".
    pub(crate) const IPV4: [u8; 22] = [
        0x45, 0, 0, 22, 0, 0, 0, 0, 64, 253, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, //
        b'h', b'i',
    ];

    /// An IPv6 packet of 42 bytes: :: -> ::, protocol 253, "hi".
    pub(crate) const IPV6: [u8; 42] = {
        let mut packet = [0; 42];
        (packet[0], packet[5], packet[6]) = (0x60, 2, 253);
        (packet[40], packet[41]) = (b'h', b'i');
        packet
    };

    /// What a frame of `link` made of these parts, captured whole, gives.
    pub(crate) fn read(link: LinkType, parts: &[&[u8]]) -> Result<IpVersion, Dropped> {
        snapped(link, &parts.concat(), 0)
    }

    /// The same for a frame of which `missing` bytes were not captured.
    pub(crate) fn snapped(
        link: LinkType,
        bytes: &[u8],
        missing: u32,
    ) -> Result<IpVersion, Dropped> {
        let frame = Payload { bytes, len: bytes.len() as u32 + missing };
        match decode(link, frame, Depth::FULL)? {
            Decoded::Datagram(Datagram { ends, protocol: 253, body, .. }) => {
                assert_eq!(body.payload(), Payload::whole(b"hi"));
                Ok(if ends.is_v6() { IpVersion::V6 } else { IpVersion::V4 })
            }
            other => panic!("neither of the two packets: {other:?}"),
        }
    }

    /// Which of [`IPV4`] and [`IPV6`] was found, with exactly its payload.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) enum IpVersion {
        V4,
        V6,
    }

    /// An Ethernet frame: the addresses, then `parts`.
    pub(crate) fn ethernet(parts: &[&[u8]]) -> Result<IpVersion, Dropped> {
        const ADDRESSES: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        read(LinkType::ETHERNET, &[&ADDRESSES, &parts.concat()])
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{IPV4, IPV6, IpVersion, read};
    use super::*;

    #[test]
    fn every_link_type_is_read_or_unknown() {
        let mut known = 0;
        for link in (0..=u16::MAX).map(LinkType) {
            let frame = Payload::whole(&[0; 4]);
            let unknown = decode(link, frame, Depth::FULL) == Err(Dropped::UnknownLink(link));
            assert_eq!(unknown, !link.is_known(), "{link}");
            known += usize::from(!unknown);
        }
        assert_eq!(known, 18);
    }

    #[test]
    fn raw_ip_of_either_version() {
        for link in [LinkType::RAW, LinkType::DLT_RAW, LinkType::DLT_RAW_OPENBSD] {
            assert_eq!(read(link, &[&IPV4]), Ok(IpVersion::V4));
            assert_eq!(read(link, &[&IPV6]), Ok(IpVersion::V6));
            assert_eq!(read(link, &[&[0xc0, 1, 2, 3]]), Err(Dropped::NotIp));
        }
    }

    #[test]
    fn a_link_type_that_names_the_version_is_held_to_it() {
        assert_eq!(read(LinkType::IPV4, &[&IPV4]), Ok(IpVersion::V4));
        assert_eq!(read(LinkType::IPV6, &[&IPV6]), Ok(IpVersion::V6));
        assert!(matches!(read(LinkType::IPV4, &[&IPV6]), Err(Dropped::Malformed { .. })));
        assert!(matches!(read(LinkType::IPV6, &[&IPV4, &[0; 20]]), Err(Dropped::Malformed { .. })));
    }
}
