//! PPP (RFC 1661), its HDLC-like framing (RFC 1662), PPPoE sessions (RFC 2516), and Cisco's HDLC.

use super::{ethertype, mpls};
use crate::bytes::be16;
use crate::depth::Depth;
use crate::{Decoded, Dropped, Layer, Payload, ip};

/// Address and control of HDLC-like framing, which may be left out (RFC 1661, section 6.6).
const ALL_STATIONS: u8 = 0xff;
const UNNUMBERED: u8 = 0x03;
/// First bytes of Cisco's HDLC: unicast and multicast.
const CISCO: [u8; 2] = [0x0f, 0x8f];

/// Protocol numbers (IANA, "PPP DLL Protocol Numbers").
mod number {
    pub(super) const IPV4: u16 = 0x0021;
    pub(super) const IPV6: u16 = 0x0057;
    pub(super) const MPLS: u16 = 0x0281;
    pub(super) const MPLS_MULTICAST: u16 = 0x0283;
}

/// A PPP frame, with or without address and control, its protocol of one or two bytes; or one of
/// Cisco's HDLC, which RFC 1547, section 4.3.1, has beside it.
///
/// Only [`LinkType::PPP_HDLC`](crate::LinkType::PPP_HDLC) is said to have the latter, but nDPI's
/// `BGP_Cisco_hdlc_slarp.pcap` has it under [`LinkType::PPP`](crate::LinkType::PPP), and no protocol
/// number begins with its addresses.
pub(super) fn decode<'a>(frame: Payload<'a>, depth: Depth) -> Result<Decoded<'a>, Dropped> {
    // Nor does any begin with HDLC's address: 0x00ff is not used, for its sake (RFC 1662, 3.2).
    let frame = match frame.peek::<1>(Layer::Link)? {
        [first] if CISCO.contains(first) => return decode_cisco(frame, depth),
        [ALL_STATIONS] => match frame.header::<2>(Layer::Link)? {
            ([_, UNNUMBERED], rest) => rest,
            _ => return Err(Dropped::NotIp),
        },
        _ => frame,
    };
    // The last byte of a protocol number is odd and all others are even, so that a first byte of 0
    // can be left out (RFC 1661, sections 2 and 6.5).
    let [first] = *frame.peek::<1>(Layer::Ppp)?;
    let (protocol, payload) = if first & 1 == 1 {
        (u16::from(first), frame.after(1, Layer::Ppp)?)
    } else {
        let (field, payload) = frame.header::<2>(Layer::Ppp)?;
        (be16::<0, _>(field), payload)
    };
    match protocol {
        number::IPV4 => ip::v4::decode(payload, depth),
        number::IPV6 => ip::v6::decode(payload, depth),
        number::MPLS | number::MPLS_MULTICAST => mpls::decode(payload, depth),
        // Control protocols, and compressed headers, which no single frame can undo.
        _ => Err(Dropped::NotIp),
    }
}

/// Cisco's HDLC: address, a control byte of 0, an EtherType.
pub(super) fn decode_cisco<'a>(frame: Payload<'a>, depth: Depth) -> Result<Decoded<'a>, Dropped> {
    let (header, payload) = frame.header::<4>(Layer::Link)?;
    ethertype::decode(be16::<2, _>(header), payload, depth)
}

/// A PPPoE packet: version and type, code, session, length (RFC 2516, section 4).
pub(super) fn decode_session<'a>(
    payload: Payload<'a>,
    depth: Depth,
) -> Result<Decoded<'a>, Dropped> {
    const VERSION_TYPE: u8 = 0x11;
    const SESSION_DATA: u8 = 0;
    let (header, payload) = payload.header::<6>(Layer::Pppoe)?;
    match header[..2] {
        [VERSION_TYPE, SESSION_DATA] => {
            let length = u32::from(be16::<4, _>(header));
            decode(payload.trim(length), depth.deeper()?)
        }
        [VERSION_TYPE, _] => Err(Dropped::NotIp),
        _ => Err(Dropped::Malformed { layer: Layer::Pppoe, why: "version or type is not 1" }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{IPV4, IPV6, IpVersion, read};
    use super::*;
    use crate::LinkType;

    #[test]
    fn every_way_to_write_the_protocol() {
        for link in [LinkType::PPP, LinkType::PPP_HDLC] {
            let headers: [&[u8]; 4] = [&[0xff, 3, 0, 0x21], &[0xff, 3, 0x21], &[0, 0x21], &[0x21]];
            for header in headers {
                assert_eq!(read(link, &[header, &IPV4]), Ok(IpVersion::V4), "{header:x?}");
            }
            assert_eq!(read(link, &[&[0xff, 3, 0x57], &IPV6]), Ok(IpVersion::V6));
        }
    }

    #[test]
    fn labels_in_ppp() {
        for number in [[0x02, 0x81], [0x02, 0x83]] {
            let got = read(LinkType::PPP, &[&number, &[0, 1, 1, 64], &IPV4]);
            assert_eq!(got, Ok(IpVersion::V4));
        }
    }

    #[test]
    fn control_and_compressed_packets_are_not_ip() {
        for header in [[0xc0, 0x21], [0x00, 0x2d], [0x80, 0x21], [0x00, 0xfd], [0xff, 0x13]] {
            assert_eq!(read(LinkType::PPP, &[&header, &IPV4]), Err(Dropped::NotIp));
        }
    }

    #[test]
    fn cisco_hdlc_alone_and_among_ppp() {
        for link in [LinkType::C_HDLC, LinkType::PPP_HDLC, LinkType::PPP] {
            assert_eq!(read(link, &[&[0x0f, 0, 8, 0], &IPV4]), Ok(IpVersion::V4));
            assert_eq!(read(link, &[&[0x8f, 0, 0x86, 0xdd], &IPV6]), Ok(IpVersion::V6));
            assert_eq!(read(link, &[&[0x8f, 0, 0x80, 0x35], &[0; 20]]), Err(Dropped::NotIp));
        }
    }

    #[test]
    fn pppoe_trims_and_carries_data_only_with_code_0() {
        let session = |code, length| [0x11, code, 0, 1, 0, length, 0, 0x21];
        let read = |header: &[u8]| read(LinkType::PPP_ETHER, &[header, &IPV4, &[0; 9]]);
        assert_eq!(read(&session(0, 24)), Ok(IpVersion::V4));
        assert_eq!(read(&session(0xa7, 24)), Err(Dropped::NotIp));
        let why = "the packet ends inside it";
        assert_eq!(read(&session(0, 21)), Err(Dropped::Malformed { layer: Layer::Ipv4, why }));
        assert_eq!(read(&session(0, 1)), Err(Dropped::Malformed { layer: Layer::Ppp, why }));
        let why = "version or type is not 1";
        let got = read(&[0x21, 0, 0, 1, 0, 24, 0, 0x21]);
        assert_eq!(got, Err(Dropped::Malformed { layer: Layer::Pppoe, why }));
    }
}
