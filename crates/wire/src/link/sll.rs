//! Linux "cooked" captures, of the pseudo-interface `any` and of interfaces without a header of
//! their own (<https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html> and `…_SLL2.html`).

use super::{ethertype, llc, ppp, radiotap};
use crate::bytes::be16;
use crate::depth::Depth;
use crate::{Decoded, Dropped, Layer, Payload};

/// Offsets in version 1's header.
mod v1 {
    /// The kind of interface, an `ARPHRD_` value.
    pub(super) const HARDWARE: usize = 2;
    pub(super) const PROTOCOL: usize = 14;
    pub(super) const SIZE: usize = 16;
}

/// Offsets in version 2's header.
mod v2 {
    pub(super) const PROTOCOL: usize = 0;
    /// As in version 1.
    pub(super) const HARDWARE: usize = 8;
    pub(super) const SIZE: usize = 20;
}

/// Interfaces whose protocol field is no EtherType (`ARPHRD_` in Linux' `if_arp.h`).
mod hardware {
    pub(super) const FRAME_RELAY: u16 = 770;
    pub(super) const RADIOTAP: u16 = 803;
    pub(super) const NETLINK: u16 = 824;
}

/// Values of the protocol field below the lowest EtherType (`ETH_P_` in Linux' `if_ether.h`).
mod number {
    /// 802.3 frames with no type: Novell's, or LLC.
    pub(super) const NO_TYPE: u16 = 0x0001;
    pub(super) const LLC: u16 = 0x0004;
    pub(super) const PPP: u16 = 0x0007;
}

/// A frame behind the header of version 1.
pub(super) fn decode_v1<'a>(frame: Payload<'a>, depth: Depth) -> Result<Decoded<'a>, Dropped> {
    let (header, payload) = frame.header::<{ v1::SIZE }>(Layer::Link)?;
    let hardware = be16::<{ v1::HARDWARE }, _>(header);
    by_protocol(hardware, be16::<{ v1::PROTOCOL }, _>(header), payload, depth)
}

/// A frame behind the header of version 2.
pub(super) fn decode_v2<'a>(frame: Payload<'a>, depth: Depth) -> Result<Decoded<'a>, Dropped> {
    let (header, payload) = frame.header::<{ v2::SIZE }>(Layer::Link)?;
    let hardware = be16::<{ v2::HARDWARE }, _>(header);
    by_protocol(hardware, be16::<{ v2::PROTOCOL }, _>(header), payload, depth)
}

fn by_protocol<'a>(
    hardware: u16,
    protocol: u16,
    payload: Payload<'a>,
    depth: Depth,
) -> Result<Decoded<'a>, Dropped> {
    match (hardware, protocol) {
        (hardware::FRAME_RELAY | hardware::NETLINK, _) => Err(Dropped::NotIp),
        (hardware::RADIOTAP, _) => radiotap::decode(payload, depth),
        (_, number::NO_TYPE | number::LLC) => llc::decode(payload, depth),
        (_, number::PPP) => ppp::decode(payload, depth),
        (_, protocol) => ethertype::decode(protocol, payload, depth),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{IPV4, IPV6, IpVersion, read};
    use super::*;
    use crate::LinkType;

    /// The packet behind each version's header; both must give the same.
    fn cooked(hardware: u16, protocol: u16, parts: &[&[u8]]) -> Result<IpVersion, Dropped> {
        let [h, p] = [hardware.to_be_bytes(), protocol.to_be_bytes()];
        let v1 = [0, 0, h[0], h[1], 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, p[0], p[1]];
        let v2 = [p[0], p[1], 0, 0, 0, 0, 0, 3, h[0], h[1], 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
        let got = read(LinkType::LINUX_SLL, &[&v1, &parts.concat()]);
        assert_eq!(got, read(LinkType::LINUX_SLL2, &[&v2, &parts.concat()]));
        got
    }

    #[test]
    fn ethertypes() {
        assert_eq!(cooked(1, 0x0800, &[&IPV4]), Ok(IpVersion::V4));
        assert_eq!(cooked(772, 0x86dd, &[&IPV6]), Ok(IpVersion::V6));
        assert_eq!(cooked(1, 0x8100, &[&[0, 7, 8, 0], &IPV4]), Ok(IpVersion::V4));
        assert_eq!(cooked(1, 0x0806, &[&[0; 28]]), Err(Dropped::NotIp));
    }

    #[test]
    fn numbers_that_are_no_ethertypes() {
        let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
        assert_eq!(cooked(1, 1, &[&snap, &IPV4]), Ok(IpVersion::V4));
        assert_eq!(cooked(1, 4, &[&snap, &IPV4]), Ok(IpVersion::V4));
        assert_eq!(cooked(512, 7, &[&[0xff, 3, 0, 0x21], &IPV4]), Ok(IpVersion::V4));
        assert_eq!(cooked(280, 0x0c, &[&[0; 16]]), Err(Dropped::NotIp), "CAN bus");
    }

    #[test]
    fn netlink_and_frame_relay_have_numbers_of_their_own() {
        assert_eq!(cooked(824, 0x0800, &[&IPV4]), Err(Dropped::NotIp));
        assert_eq!(cooked(770, 0x0800, &[&IPV4]), Err(Dropped::NotIp));
    }

    #[test]
    fn a_cut_header() {
        let why = "the packet ends inside it";
        let malformed = Err(Dropped::Malformed { layer: Layer::Link, why });
        assert_eq!(read(LinkType::LINUX_SLL, &[&[0; 15]]), malformed);
        assert_eq!(read(LinkType::LINUX_SLL2, &[&[0; 19]]), malformed);
    }
}
