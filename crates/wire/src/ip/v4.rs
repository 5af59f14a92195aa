//! IPv4 (RFC 791).

use super::{Place, extension, fragment};
use crate::bytes::{be16, be32};
use crate::depth::Depth;
use crate::{Decoded, Dropped, Ends, Layer, Payload, transport};

/// Offsets in the header (RFC 791, section 3.1).
mod field {
    /// Version, and the header's length in 32-bit words.
    pub(super) const VERSION_IHL: usize = 0;
    /// Of header and payload.
    pub(super) const TOTAL_LENGTH: usize = 2;
    pub(super) const ID: usize = 4;
    /// Three flags, and the fragment's offset in units of 8 bytes.
    pub(super) const FLAGS_OFFSET: usize = 6;
    pub(super) const PROTOCOL: usize = 9;
    pub(super) const SRC: usize = 12;
    pub(super) const DST: usize = 16;
    /// Of the header without options.
    pub(super) const SIZE: usize = 20;
}

const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

/// An IPv4 packet.
///
/// Its total length trims what the link layer padded. A total length of 0 is what the sender's own
/// capture shows of a segment that the network card was yet to cut up; then what was captured counts,
/// since the record's length on the wire is nothing that IP vouches for.
#[inline(always)]
pub(crate) fn decode<'a>(packet: Payload<'a>, depth: Depth) -> Result<Decoded<'a>, Dropped> {
    let header = packet.peek::<{ field::SIZE }>(Layer::Ipv4)?;
    let ihl = header[field::VERSION_IHL];
    if !(0x45..=0x4f).contains(&ihl) {
        return Err(bad_first_byte(ihl));
    }
    let size = u32::from(ihl & 0x0f) * 4;
    let total = match u32::from(be16::<{ field::TOTAL_LENGTH }, _>(header)) {
        0 => packet.captured(),
        total if total < size => {
            let why = "total length below the header's";
            return Err(Dropped::Malformed { layer: Layer::Ipv4, why });
        }
        total => total,
    };
    let payload = packet.trim(total).after(size, Layer::Ipv4)?;
    let ends =
        Ends::V4 { src: be32::<{ field::SRC }, _>(header), dst: be32::<{ field::DST }, _>(header) };
    let protocol = header[field::PROTOCOL];
    let place = be16::<{ field::FLAGS_OFFSET }, _>(header);
    if place & (MORE_FRAGMENTS | OFFSET) != 0 {
        let place = Place {
            layer: Layer::Ipv4,
            id: u32::from(be16::<{ field::ID }, _>(header)),
            offset: u32::from(place & OFFSET) * 8,
            more: place & MORE_FRAGMENTS != 0,
        };
        return fragment(ends, protocol, place, payload);
    }
    continued(ends, protocol, payload, depth)
}

/// What follows the header: the transport, or an authentication header in front of it.
#[inline(always)]
pub(super) fn continued<'a>(
    ends: Ends,
    protocol: u8,
    payload: Payload<'a>,
    depth: Depth,
) -> Result<Decoded<'a>, Dropped> {
    if protocol == extension::AUTHENTICATION {
        return extension::authenticated(ends, payload, depth);
    }
    transport::decode(ends, protocol, payload)
}

#[cold]
fn bad_first_byte(ihl: u8) -> Dropped {
    let why = if ihl >> 4 == 4 { "header length below 20" } else { "version is not 4" };
    Dropped::Malformed { layer: Layer::Ipv4, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Body, Datagram, Fragment};
    use std::net::IpAddr;

    /// 192.168.1.2 -> 192.168.1.3, protocol 253 (for experiments), payload "abcdefgh", and two bytes
    /// of link layer padding.
    const PACKET: [u8; 30] = [
        0x45, 0x00, 0x00, 0x1c, // version, header length, total length 28
        0x12, 0x34, 0x40, 0x00, // identification, don't fragment
        0x40, 0xfd, 0x00, 0x00, // time to live, protocol, checksum
        192, 168, 1, 2, 192, 168, 1, 3, // addresses
        b'a', b'b', b'c', b'd', b'e', b'f', b'g', b'h', 0xee, 0xee,
    ];

    fn with(changes: &[(usize, u8)]) -> [u8; 30] {
        let mut packet = PACKET;
        for &(at, value) in changes {
            packet[at] = value;
        }
        packet
    }

    fn datagram(packet: Payload<'_>) -> Result<Datagram<'_>, Dropped> {
        match decode(packet, Depth::FULL)? {
            Decoded::Datagram(datagram) => Ok(datagram),
            other => panic!("a whole datagram, not {other:?}"),
        }
    }

    fn fragment_of(packet: &[u8]) -> Result<Fragment<'_>, Dropped> {
        match decode(Payload::whole(packet), Depth::FULL)? {
            Decoded::Fragment(fragment) => Ok(fragment),
            other => panic!("a fragment, not {other:?}"),
        }
    }

    fn malformed<T>(why: &'static str) -> Result<T, Dropped> {
        Err(Dropped::Malformed { layer: Layer::Ipv4, why })
    }

    #[test]
    fn padding_is_trimmed_by_the_total_length() {
        let got = datagram(Payload::whole(&PACKET)).unwrap();
        assert_eq!(got.ends.src(), IpAddr::from([192, 168, 1, 2]));
        assert_eq!(got.ends.dst(), IpAddr::from([192, 168, 1, 3]));
        assert_eq!((got.protocol, got.src_port, got.dst_port), (253, 0, 0));
        assert_eq!(got.body, Body::Message(Payload::whole(b"abcdefgh")));
    }

    #[test]
    fn options_are_skipped() {
        let packet = with(&[(0, 0x46)]);
        let got = datagram(Payload::whole(&packet)).unwrap();
        assert_eq!(got.body, Body::Message(Payload::whole(b"efgh")));
    }

    #[test]
    fn a_total_length_of_0_is_what_was_captured() {
        let packet = with(&[(3, 0)]);
        let got = datagram(Payload { bytes: &packet, len: 70_000 }).unwrap().body.payload();
        assert_eq!(got, Payload::whole(&packet[20..]));
    }

    #[test]
    fn a_snapped_packet_keeps_its_length() {
        let got = datagram(Payload { bytes: &PACKET[..23], len: 60 }).unwrap().body.payload();
        assert_eq!(got, Payload { bytes: b"abc", len: 8 });
    }

    #[test]
    fn a_total_length_beyond_the_wire_is_the_wires() {
        let packet = with(&[(2, 0x05)]);
        let got = datagram(Payload::whole(&packet)).unwrap().body.payload();
        assert_eq!(got, Payload::whole(&packet[20..]));
    }

    #[test]
    fn first_bytes_and_lengths_that_cannot_be() {
        let got = |changes| datagram(Payload::whole(&with(changes))).map(|_| ());
        assert_eq!(got(&[(0, 0x65)]), malformed("version is not 4"));
        assert_eq!(got(&[(0, 0x44)]), malformed("header length below 20"));
        assert_eq!(got(&[(3, 19)]), malformed("total length below the header's"));
        assert_eq!(got(&[(0, 0x4f)]), malformed("total length below the header's"));
        assert_eq!(got(&[(0, 0x4f), (3, 60)]), malformed("the packet ends inside it"));
    }

    #[test]
    fn a_capture_that_ends_in_the_header_is_truncated() {
        let cut = |bytes| datagram(Payload { bytes, len: 60 }).unwrap_err();
        let truncated = |needed, found| Dropped::Truncated { layer: Layer::Ipv4, needed, found };
        assert_eq!(cut(&PACKET[..19]), truncated(20, 19));
        assert_eq!(cut(&with(&[(0, 0x46)])[..21]), truncated(24, 21));
    }

    #[test]
    fn fragments_are_not_looked_into() {
        let packet = with(&[(6, 0x20), (7, 0x02)]);
        let got = fragment_of(&packet).unwrap();
        assert_eq!(got.ends, Ends::V4 { src: 0xc0a8_0102, dst: 0xc0a8_0103 });
        assert_eq!((got.id, got.protocol, got.offset, got.more), (0x1234, 253, 16, true));
        assert_eq!(got.payload, Payload::whole(b"abcdefgh"));

        let packet = with(&[(3, 21), (6, 0x00), (7, 0x01)]);
        let got = fragment_of(&packet).unwrap();
        assert_eq!((got.offset, got.more, got.payload), (8, false, Payload::whole(b"a")));
    }

    #[test]
    fn fragments_that_no_datagram_can_have() {
        let odd = with(&[(3, 27), (6, 0x20)]);
        let why = "a fragment before the last one ends at no multiple of 8";
        assert_eq!(fragment_of(&odd), malformed(why));
        // The "ping of death": 8 bytes at 65528 end one past what a length can say.
        let far = with(&[(6, 0x1f), (7, 0xff)]);
        assert_eq!(fragment_of(&far), malformed("a fragment ends past 65535 bytes"));
    }

    #[test]
    fn the_authentication_header_is_walked() {
        // AH of 24 bytes (a 96-bit check value), next header UDP; then 7 -> 9, "!".
        let packet = [
            0x45, 0, 0, 53, 0, 0, 0, 0, 64, 51, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, //
            17, 4, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, //
            0, 7, 0, 9, 0, 9, 0, 0, b'!',
        ];
        let got = datagram(Payload::whole(&packet)).unwrap();
        assert_eq!((got.protocol, got.src_port, got.dst_port), (17, 7, 9));
        assert_eq!(got.body, Body::Message(Payload::whole(b"!")));
    }
}
