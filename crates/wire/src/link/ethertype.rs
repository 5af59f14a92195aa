//! EtherTypes, and the tags that end in another one.

use super::{ethernet, mpls, ppp};
use crate::bytes::be16;
use crate::depth::Depth;
use crate::{Decoded, Dropped, Layer, Payload, ip};

pub(crate) const IPV4: u16 = 0x0800;
pub(super) const IPV6: u16 = 0x86dd;
/// A customer's tag, IEEE 802.1Q.
const VLAN: u16 = 0x8100;
/// A provider's tag, IEEE 802.1ad.
const PROVIDER_VLAN: u16 = 0x88a8;
/// Provider's tags from before there was a number for them.
const OLD_PROVIDER_VLAN: [u16; 3] = [0x9100, 0x9200, 0x9300];
/// RFC 5332: the first for unicast, the second was multicast and is now "upstream-assigned".
const MPLS: [u16; 2] = [0x8847, 0x8848];
/// RFC 2516. Discovery (0x8863) carries no IP.
const PPPOE_SESSION: u16 = 0x8864;

/// What an EtherType names.
pub(super) fn decode<'a>(
    ethertype: u16,
    payload: Payload<'a>,
    depth: Depth,
) -> Result<Decoded<'a>, Dropped> {
    match ethertype {
        IPV4 => ip::v4::decode(payload, depth),
        IPV6 => ip::v6::decode(payload, depth),
        VLAN | PROVIDER_VLAN => vlan(payload, depth),
        PPPOE_SESSION => ppp::decode_session(payload, depth),
        t if MPLS.contains(&t) => mpls::decode(payload, depth),
        t if OLD_PROVIDER_VLAN.contains(&t) => vlan(payload, depth),
        _ => Err(Dropped::NotIp),
    }
}

/// The VLAN id in a tag's first two bytes, below priority and drop eligibility (IEEE 802.1Q, 9.6).
const VLAN_ID: u16 = 0x0fff;

/// A tag: priority and VLAN id, then the type or length of what follows.
fn vlan<'a>(payload: Payload<'a>, depth: Depth) -> Result<Decoded<'a>, Dropped> {
    let (tag, payload) = payload.header::<4>(Layer::Vlan)?;
    let decoded = ethernet::by_type_or_length(be16::<2, _>(tag), payload, depth.deeper()?)?;
    Ok(decoded.in_vlan(be16::<0, _>(tag) & VLAN_ID))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{IPV4 as PACKET, IpVersion, ethernet};
    use super::*;
    use crate::MAX_HEADERS;

    #[test]
    fn tags_of_every_number() {
        for tag in [[0x81, 0x00], [0x88, 0xa8], [0x91, 0x00], [0x92, 0x00], [0x93, 0x00]] {
            assert_eq!(ethernet(&[&tag, &[0, 7, 8, 0], &PACKET]), Ok(IpVersion::V4), "{tag:x?}");
        }
    }

    #[test]
    fn a_tag_in_a_tag_and_llc_in_that() {
        let tags = [0x88, 0xa8, 0, 7, 0x81, 0x00, 0xe0, 8, 0, 30];
        let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
        assert_eq!(ethernet(&[&tags, &snap, &PACKET, &[0; 9]]), Ok(IpVersion::V4));
    }

    #[test]
    fn too_many_tags() {
        let tags = |n: usize| [0x81, 0, 0, 7].repeat(n);
        let deepest = ethernet(&[&tags(MAX_HEADERS), &[8, 0], &PACKET]);
        assert_eq!(deepest, Ok(IpVersion::V4));
        let deeper = ethernet(&[&tags(MAX_HEADERS + 1), &[8, 0], &PACKET]);
        assert_eq!(deeper, Err(Dropped::TooDeep));
    }

    #[test]
    fn a_frame_that_ends_in_its_tag() {
        let why = "the packet ends inside it";
        let malformed = Err(Dropped::Malformed { layer: Layer::Vlan, why });
        assert_eq!(ethernet(&[&[0x81, 0], &[0, 7, 8]]), malformed);
    }

    #[test]
    fn labels_and_sessions() {
        for mpls in [[0x88, 0x47], [0x88, 0x48]] {
            let labels = [0, 1, 0, 64, 0, 2, 1, 64];
            assert_eq!(ethernet(&[&mpls, &labels, &PACKET]), Ok(IpVersion::V4));
        }
        let session = [0x88, 0x64, 0x11, 0, 0, 1, 0, 24, 0, 0x21];
        assert_eq!(ethernet(&[&session, &PACKET]), Ok(IpVersion::V4));
        assert_eq!(ethernet(&[&[0x88, 0x63], &[0x11, 9, 0, 0, 0, 0]]), Err(Dropped::NotIp));
    }
}
