//! Linux netfilter log messages (<https://www.tcpdump.org/linktypes/LINKTYPE_NFLOG.html>).

use crate::depth::Depth;
use crate::{Decoded, Dropped, Layer, Payload, ip};

/// Address family, version, resource id.
const HEADER: u32 = 4;
/// Type of the attribute that is the packet from its network header on (`NFULNL_PAYLOAD`).
const PAYLOAD: u16 = 9;
/// Marks attributes that have others in them (`NLA_F_NESTED`).
const NESTED: u16 = 0x8000;
/// Above every attribute's type, and not above one read in the wrong byte order.
const HIGHEST_TYPE: u16 = 0xff;

/// A log message. Its attributes are in the byte order of the machine that captured, which nothing
/// says: little-endian is tried first.
pub(super) fn decode<'a>(frame: Payload<'a>, depth: Depth) -> Result<Decoded<'a>, Dropped> {
    let attributes = frame.after(HEADER, Layer::Link)?;
    let packet = match find_payload(attributes, u16::from_le_bytes) {
        Err(Dropped::Malformed { .. }) => find_payload(attributes, u16::from_be_bytes),
        found => found,
    };
    // The header's family may be that of a bridge, so the packet's own version is asked.
    ip::by_version(packet?, depth)
}

/// Looks for the packet among the attributes: length (its own four bytes included), type, value, and
/// padding to a multiple of four.
fn find_payload<'a>(
    mut attributes: Payload<'a>,
    order: fn([u8; 2]) -> u16,
) -> Result<Payload<'a>, Dropped> {
    while attributes.len != 0 {
        let (&[a, b, c, d], value) = attributes.header::<4>(Layer::Link)?;
        let (length, kind) = (u32::from(order([a, b])), order([c, d]) & !NESTED);
        let Some(size) = length.checked_sub(4).filter(|n| *n <= value.len) else {
            let why = "an attribute's length is below 4 or beyond the message";
            return Err(Dropped::Malformed { layer: Layer::Link, why });
        };
        if kind > HIGHEST_TYPE {
            let why = "an attribute's type is not one of netfilter's";
            return Err(Dropped::Malformed { layer: Layer::Link, why });
        }
        if kind == PAYLOAD {
            return Ok(value.trim(size));
        }
        attributes = value.after(size.next_multiple_of(4).min(value.len), Layer::Link)?;
    }
    Err(Dropped::NotIp)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{IPV4, IPV6, IpVersion, read, snapped};
    use super::*;
    use crate::LinkType;

    /// An attribute in little-endian order, padded.
    fn little(kind: u16, value: &[u8]) -> Vec<u8> {
        attribute(kind, value, u16::to_le_bytes)
    }

    fn attribute(kind: u16, value: &[u8], order: fn(u16) -> [u8; 2]) -> Vec<u8> {
        let mut bytes = [order(value.len() as u16 + 4), order(kind)].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn nflog(attributes: &[Vec<u8>]) -> Result<IpVersion, Dropped> {
        read(LinkType::NFLOG, &[&[2, 0, 0, 5], &attributes.concat()])
    }

    #[test]
    fn the_packet_among_other_attributes() {
        let (header, prefix) = ([8, 0, 1, 0], *b"drop\0");
        for packet in [&IPV4[..], &IPV6] {
            let version = if packet.len() == 22 { IpVersion::V4 } else { IpVersion::V6 };
            let little = [little(1, &header), little(10, &prefix), little(9, packet)];
            assert_eq!(nflog(&little), Ok(version));
            let big = [(1, &header[..]), (10, &prefix), (9, packet)]
                .map(|(kind, value)| attribute(kind, value, u16::to_be_bytes));
            assert_eq!(nflog(&big), Ok(version));
        }
    }

    #[test]
    fn nested_attributes_are_skipped() {
        assert_eq!(nflog(&[little(0x8014, &[1; 8]), little(9, &IPV4)]), Ok(IpVersion::V4));
    }

    #[test]
    fn a_message_without_packet_and_a_packet_that_is_no_ip() {
        assert_eq!(nflog(&[little(1, &[8, 0, 1, 0])]), Err(Dropped::NotIp));
        assert_eq!(nflog(&[little(9, &[0, 1, 8, 0, 6, 4])]), Err(Dropped::NotIp), "ARP");
    }

    #[test]
    fn a_message_cut_before_its_packet() {
        for order in [u16::to_le_bytes, u16::to_be_bytes] {
            let bytes = [&[2, 0, 0, 5][..], &attribute(1, &[8, 0, 1, 0], order)].concat();
            let cut = Dropped::Truncated { layer: Layer::Link, needed: 4, found: 0 };
            assert_eq!(snapped(LinkType::NFLOG, &bytes, 40), Err(cut));
        }
    }

    #[test]
    fn attributes_that_are_right_in_no_order() {
        let malformed = |got| matches!(got, Err(Dropped::Malformed { layer: Layer::Link, .. }));
        assert!(malformed(nflog(&[vec![0, 0, 0, 0]])), "a length of 0 would never end");
        assert!(malformed(nflog(&[vec![0xff, 0xff, 9, 0]])), "beyond the message");
        assert!(malformed(nflog(&[vec![8, 0, 1, 1, 0, 0, 0, 0]])), "no such type");
    }
}
