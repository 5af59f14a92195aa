//! Per-packet information in front of a frame of another link type (CACE, "PPI Packet Header").

use crate::depth::Depth;
use crate::{Decoded, Dropped, Layer, LinkType, Payload};

/// Offsets in the header, which is little-endian.
mod field {
    /// Of the header with all its fields.
    pub(super) const LENGTH: usize = 2;
    /// A `DLT_` value. Those that are read here have the same number as their `LINKTYPE_`.
    pub(super) const LINK: usize = 4;
    pub(super) const SIZE: usize = 8;
}

/// A frame behind a PPI header, whose fields are skipped.
pub(super) fn decode<'a>(frame: Payload<'a>, depth: Depth) -> Result<Decoded<'a>, Dropped> {
    let header = frame.peek::<{ field::SIZE }>(Layer::Link)?;
    let length = u16::from_le_bytes([header[field::LENGTH], header[field::LENGTH + 1]]);
    if usize::from(length) < field::SIZE {
        return Err(Dropped::Malformed { layer: Layer::Link, why: "PPI length below 8" });
    }
    let [a, b, c, d] = crate::bytes::array::<{ field::LINK }, 4, _>(header);
    let Ok(link) = u16::try_from(u32::from_le_bytes([a, b, c, d])) else {
        return Err(Dropped::Malformed { layer: Layer::Link, why: "PPI link type above 65535" });
    };
    let rest = frame.after(u32::from(length), Layer::Link)?;
    super::decode(LinkType(link), rest, depth.deeper()?)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{IPV4, IpVersion, read};
    use super::*;
    use crate::MAX_HEADERS;

    fn ppi(parts: &[&[u8]]) -> Result<IpVersion, Dropped> {
        read(LinkType::PPI, &[&parts.concat(), &IPV4])
    }

    #[test]
    fn raw_ip_and_802_11_inside() {
        assert_eq!(ppi(&[&[0, 0, 8, 0, 101, 0, 0, 0]]), Ok(IpVersion::V4));
        let field = [2, 0, 4, 0, 1, 2, 3, 4];
        let mut data = [0; 24];
        data[0] = 0x08;
        let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
        let got = ppi(&[&[0, 0, 16, 0, 105, 0, 0, 0], &field, &data, &snap]);
        assert_eq!(got, Ok(IpVersion::V4));
    }

    #[test]
    fn an_unknown_link_type_inside_is_named() {
        let unknown = Dropped::UnknownLink(LinkType(147));
        assert_eq!(ppi(&[&[0, 0, 8, 0, 147, 0, 0, 0]]), Err(unknown));
    }

    #[test]
    fn ppi_in_ppi_has_an_end() {
        let nested = [0, 0, 8, 0, 192, 0, 0, 0].repeat(MAX_HEADERS + 1);
        assert_eq!(ppi(&[&nested]), Err(Dropped::TooDeep));
    }

    #[test]
    fn fields_that_cannot_be() {
        let malformed = |got| matches!(got, Err(Dropped::Malformed { layer: Layer::Link, .. }));
        assert!(malformed(ppi(&[&[0, 0, 7, 0, 101, 0, 0, 0]])), "length");
        assert!(malformed(ppi(&[&[0, 0, 8, 0, 101, 0, 1, 0]])), "link type");
        assert!(malformed(ppi(&[&[0, 0, 200, 0, 101, 0, 0, 0]])), "beyond the frame");
    }
}
