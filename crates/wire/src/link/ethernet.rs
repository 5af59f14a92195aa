//! Ethernet (IEEE 802.3), and the rule that its type field may be a length.

use super::{ethertype, llc};
use crate::bytes::be16;
use crate::depth::Depth;
use crate::{Decoded, Dropped, Layer, Payload, ip};

/// Offsets in the header.
mod field {
    /// An EtherType, or the length of what follows.
    pub(super) const TYPE: usize = 12;
    pub(super) const SIZE: usize = 14;
}

/// The lowest EtherType; below it the field is a length (IEEE 802.3, 3.2.6).
const LOWEST_TYPE: u16 = 0x0600;

/// An Ethernet frame, without preamble. A frame check sequence at its end is trimmed by IP's length.
#[inline(always)]
pub(crate) fn decode<'a>(frame: Payload<'a>, depth: Depth) -> Result<Decoded<'a>, Dropped> {
    let (header, payload) = frame.header::<{ field::SIZE }>(Layer::Link)?;
    match be16::<{ field::TYPE }, _>(header) {
        ethertype::IPV4 => ip::v4::decode(payload, depth),
        ethertype::IPV6 => ip::v6::decode(payload, depth),
        other => by_type_or_length(other, payload, depth),
    }
}

/// What follows a type field, of an Ethernet header or a tag.
#[inline(never)]
pub(super) fn by_type_or_length<'a>(
    field: u16,
    payload: Payload<'a>,
    depth: Depth,
) -> Result<Decoded<'a>, Dropped> {
    match field {
        LOWEST_TYPE.. => ethertype::decode(field, payload, depth),
        length => llc::decode(payload.trim(u32::from(length)), depth),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{IPV4, IPV6, IpVersion, ethernet, snapped};
    use super::*;
    use crate::LinkType;

    const ADDRESSES: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

    #[test]
    fn both_versions_with_padding() {
        assert_eq!(ethernet(&[&[0x08, 0x00], &IPV4, &[0; 24]]), Ok(IpVersion::V4));
        assert_eq!(ethernet(&[&[0x86, 0xdd], &IPV6, &[0; 4]]), Ok(IpVersion::V6));
    }

    #[test]
    fn arp_is_not_ip() {
        assert_eq!(ethernet(&[&[0x08, 0x06], &[0; 28]]), Err(Dropped::NotIp));
    }

    #[test]
    fn a_type_of_the_wrong_version_is_malformed() {
        let why = "version is not 4";
        let malformed = Err(Dropped::Malformed { layer: Layer::Ipv4, why });
        assert_eq!(ethernet(&[&[0x08, 0x00], &IPV6]), malformed);
    }

    #[test]
    fn a_length_means_llc_and_trims() {
        const SNAP: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0x00];
        assert_eq!(ethernet(&[&[0, 30], &SNAP, &IPV4, &[0; 16]]), Ok(IpVersion::V4));
        // A length that ends inside the SNAP header.
        let malformed = |got| matches!(got, Err(Dropped::Malformed { layer: Layer::Llc, .. }));
        assert!(malformed(ethernet(&[&[0, 7], &SNAP, &IPV4])));
        // A spanning tree frame.
        assert_eq!(ethernet(&[&[0, 3], &[0x42, 0x42, 3], &[0; 43]]), Err(Dropped::NotIp));
    }

    #[test]
    fn a_runt_and_a_cut_header_are_told_apart() {
        let why = "the packet ends inside it";
        let runt = Err(Dropped::Malformed { layer: Layer::Link, why });
        assert_eq!(snapped(LinkType::ETHERNET, &ADDRESSES, 0), runt);
        let cut = Err(Dropped::Truncated { layer: Layer::Link, needed: 14, found: 12 });
        assert_eq!(snapped(LinkType::ETHERNET, &ADDRESSES, 60), cut);
    }
}
