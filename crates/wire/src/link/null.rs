//! BSD loopback: an address family, then IP.

use super::{ethertype, ppp};
use crate::depth::Depth;
use crate::{Decoded, Dropped, Layer, Payload, ip};

/// `AF_INET` of every system.
const IPV4: u16 = 2;
/// `AF_INET6` of Linux, Windows, NetBSD and OpenBSD, FreeBSD, and Darwin.
const IPV6: [u16; 5] = [10, 23, 24, 28, 30];

/// A frame of [`LinkType::NULL`](crate::LinkType::NULL), whose family is in the order of the machine
/// that captured, or of [`LinkType::LOOP`](crate::LinkType::LOOP), in network order.
///
/// No family has bits in both halves, so either order is told from the value; files are found whose
/// link type names the wrong one. Some writers put an EtherType there, or a header of PPP's or
/// Cisco's HDLC (`null_loopback.pcap` of PcapPlusPlus has the last); Wireshark reads them as well.
pub(super) fn decode<'a>(frame: Payload<'a>, depth: Depth) -> Result<Decoded<'a>, Dropped> {
    let (&header, packet) = frame.header::<4>(Layer::Link)?;
    if let [0xff, 0x03, ..] | [0x0f | 0x8f, 0x00, ..] = header {
        return ppp::decode(frame, depth);
    }
    let family = u32::from_le_bytes(header).min(u32::from_be_bytes(header));
    match u16::try_from(family) {
        Ok(IPV4) => ip::v4::decode(packet, depth),
        Ok(family) if IPV6.contains(&family) => ip::v6::decode(packet, depth),
        // No other family is an EtherType: they are small numbers.
        Ok(other) => ethertype::decode(other, packet, depth),
        Err(_) => Err(Dropped::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{IPV4 as V4, IPV6 as V6, IpVersion, read};
    use super::*;
    use crate::LinkType;

    #[test]
    fn families_in_either_order() {
        for link in [LinkType::NULL, LinkType::LOOP] {
            assert_eq!(read(link, &[&[2, 0, 0, 0], &V4]), Ok(IpVersion::V4));
            assert_eq!(read(link, &[&[0, 0, 0, 2], &V4]), Ok(IpVersion::V4));
            for family in [10, 23, 24, 28, 30] {
                assert_eq!(read(link, &[&[family, 0, 0, 0], &V6]), Ok(IpVersion::V6));
                assert_eq!(read(link, &[&[0, 0, 0, family], &V6]), Ok(IpVersion::V6));
            }
            assert_eq!(read(link, &[&[7, 0, 0, 0], &V4]), Err(Dropped::NotIp));
            assert_eq!(read(link, &[&[2, 0, 0, 2], &V4]), Err(Dropped::NotIp));
        }
    }

    #[test]
    fn other_headers_of_four_bytes() {
        let read = |header: [u8; 4]| read(LinkType::NULL, &[&header, &V4]);
        assert_eq!(read([0x0f, 0, 0x08, 0x00]), Ok(IpVersion::V4), "Cisco HDLC");
        assert_eq!(read([0xff, 0x03, 0x00, 0x21]), Ok(IpVersion::V4), "PPP");
        assert_eq!(read([0, 0, 0x08, 0x00]), Ok(IpVersion::V4), "an EtherType");
        assert_eq!(read([0x00, 0x08, 0, 0]), Ok(IpVersion::V4), "and swapped");
        assert_eq!(read([0, 0, 0x08, 0x06]), Err(Dropped::NotIp));
    }

    #[test]
    fn a_frame_without_family() {
        let why = "the packet ends inside it";
        let malformed = Err(Dropped::Malformed { layer: Layer::Link, why });
        assert_eq!(read(LinkType::NULL, &[&[2, 0, 0]]), malformed);
    }
}
