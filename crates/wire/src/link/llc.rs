//! IEEE 802.2 LLC, and SNAP in it.

use super::ethertype;
use crate::bytes::be16;
use crate::depth::Depth;
use crate::{Decoded, Dropped, Layer, Payload, ip};

/// Both service access points and the control field (unnumbered information) of SNAP.
const SNAP: [u8; 3] = [0xaa, 0xaa, 0x03];
/// The service access point of IP (RFC 948), hardly ever used.
const IP: u8 = 0x06;
/// Organisations under which the protocol is an EtherType: RFC 1042, and IEEE 802.1H for what the
/// first would send through old bridges wrongly.
const ETHERTYPE: [[u8; 3]; 2] = [[0, 0, 0], [0, 0, 0xf8]];

/// What an LLC header names.
pub(super) fn decode<'a>(payload: Payload<'a>, depth: Depth) -> Result<Decoded<'a>, Dropped> {
    let (header, payload) = payload.header::<3>(Layer::Llc)?;
    match header {
        &SNAP => {
            let (&[a, b, c, ref protocol @ ..], payload) = payload.header::<5>(Layer::Llc)?;
            if !ETHERTYPE.contains(&[a, b, c]) {
                return Err(Dropped::NotIp);
            }
            ethertype::decode(be16::<0, 2>(protocol), payload, depth.deeper()?)
        }
        [IP, ..] => ip::by_version(payload, depth),
        _ => Err(Dropped::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{IPV4, IPV6, IpVersion};
    use super::*;

    fn llc(parts: &[&[u8]]) -> Result<IpVersion, Dropped> {
        // Through a link layer that adds nothing but the protocol 4, "802.2".
        let sll = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4];
        super::super::testing::read(crate::LinkType::LINUX_SLL, &[&sll, &parts.concat()])
    }

    #[test]
    fn snap_with_an_ethertype() {
        assert_eq!(llc(&[&[0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0x00], &IPV4]), Ok(IpVersion::V4));
        assert_eq!(llc(&[&[0xaa, 0xaa, 3, 0, 0, 0xf8, 0x86, 0xdd], &IPV6]), Ok(IpVersion::V6));
    }

    #[test]
    fn snap_of_others_is_not_ip() {
        let cisco_cdp = [0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0x00];
        assert_eq!(llc(&[&cisco_cdp, &IPV4]), Err(Dropped::NotIp));
        assert_eq!(llc(&[&[0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0x06], &[0; 28]]), Err(Dropped::NotIp));
    }

    #[test]
    fn ip_right_behind_llc() {
        assert_eq!(llc(&[&[6, 6, 3], &IPV4]), Ok(IpVersion::V4));
        assert_eq!(llc(&[&[6, 6, 3], &IPV6]), Ok(IpVersion::V6));
    }

    #[test]
    fn other_access_points_are_not_ip() {
        assert_eq!(llc(&[&[0x42, 0x42, 3], &[0; 35]]), Err(Dropped::NotIp));
        assert_eq!(llc(&[&[0xff, 0xff, 0], &[0; 30]]), Err(Dropped::NotIp), "IPX");
    }

    #[test]
    fn snap_in_snap_has_an_end() {
        // VLAN tag (type 0x8100) -> length -> LLC -> SNAP -> VLAN tag …
        let turn = [0xaa, 0xaa, 3, 0, 0, 0, 0x81, 0x00, 0, 7, 1, 0];
        assert_eq!(llc(&[&turn.repeat(9), &IPV4]), Err(Dropped::TooDeep));
    }
}
