//! IPv6's fixed header (RFC 8200), and the length of jumbograms (RFC 2675).

use super::extension;
use crate::bytes::{be16, be64};
use crate::depth::Depth;
use crate::{Decoded, Dropped, Ends, Layer, Payload};

/// Offsets in the header (RFC 8200, section 3).
mod field {
    /// The upper four bits.
    pub(super) const VERSION: usize = 0;
    /// Of everything behind this header.
    pub(super) const PAYLOAD_LENGTH: usize = 4;
    pub(super) const NEXT_HEADER: usize = 6;
    pub(super) const SRC: usize = 8;
    pub(super) const DST: usize = 24;
    pub(super) const SIZE: usize = 40;
}

/// An IPv6 packet.
#[inline]
pub(crate) fn decode<'a>(packet: Payload<'a>, depth: Depth) -> Result<Decoded<'a>, Dropped> {
    let (header, payload) = packet.header::<{ field::SIZE }>(Layer::Ipv6)?;
    if header[field::VERSION] >> 4 != 6 {
        return Err(Dropped::Malformed { layer: Layer::Ipv6, why: "version is not 6" });
    }
    let next = header[field::NEXT_HEADER];
    let len = match be16::<{ field::PAYLOAD_LENGTH }, _>(header) {
        0 => length_unsaid(next, payload),
        len => u32::from(len),
    };
    let ends = Ends::V6 {
        src: [be64::<{ field::SRC }, _>(header), be64::<{ field::SRC + 8 }, _>(header)],
        dst: [be64::<{ field::DST }, _>(header), be64::<{ field::DST + 8 }, _>(header)],
    };
    extension::chain(ends, next, payload.trim(len), depth)
}

/// The payload's length where the header says 0: a jumbogram's option has it, or the sender's
/// network card was yet to cut the segment up and what was captured counts. With no next header there
/// is just nothing.
#[cold]
fn length_unsaid(next: u8, payload: Payload<'_>) -> u32 {
    match next {
        extension::NO_NEXT_HEADER => 0,
        extension::HOP_BY_HOP => jumbo_length(payload.bytes).unwrap_or(payload.captured()),
        _ => payload.captured(),
    }
}

/// The length in the jumbo payload option (type 0xC2) of a hop-by-hop header: of everything behind
/// the IPv6 header, and above 65535 (RFC 2675, section 2 and 3).
fn jumbo_length(hop_by_hop: &[u8]) -> Option<u32> {
    const PAD1: u8 = 0;
    const JUMBO: u8 = 0xc2;
    let size = (usize::from(*hop_by_hop.get(1)?) + 1) * 8;
    let mut options = hop_by_hop.get(2..size)?;
    loop {
        match options {
            [PAD1, rest @ ..] => options = rest,
            &[JUMBO, 4, a, b, c, d, ..] => {
                return Some(u32::from_be_bytes([a, b, c, d])).filter(|n| *n > 0xffff);
            }
            [_, len, rest @ ..] => options = rest.get(usize::from(*len)..)?,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Body, Datagram};
    use std::net::IpAddr;

    /// fd00::1 -> fd00::2 with the payload length and next header given.
    fn header(payload_length: u16, next: u8) -> Vec<u8> {
        let [high, low] = payload_length.to_be_bytes();
        let mut header = vec![0x60, 0, 0, 0, high, low, next, 64];
        for last in [1, 2] {
            header.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        }
        header
    }

    fn datagram(packet: Payload<'_>) -> Result<Datagram<'_>, Dropped> {
        match decode(packet, Depth::FULL)? {
            Decoded::Datagram(datagram) => Ok(datagram),
            other => panic!("a whole datagram, not {other:?}"),
        }
    }

    #[test]
    fn an_icmp_echo_with_padding() {
        let packet = [header(4, 58), vec![128, 0, 1, 2, 0xee, 0xee]].concat();
        let got = datagram(Payload::whole(&packet)).unwrap();
        assert_eq!(got.ends.src(), "fd00::1".parse::<IpAddr>().unwrap());
        assert_eq!(got.ends.dst(), "fd00::2".parse::<IpAddr>().unwrap());
        assert_eq!((got.protocol, got.src_port), (58, 0));
        assert_eq!(got.body, Body::Message(Payload::whole(&[128, 0, 1, 2])));
    }

    #[test]
    fn a_udp_datagram() {
        let packet = [header(9, 17), vec![0, 7, 0, 9, 0, 9, 0, 0, b'!']].concat();
        let got = datagram(Payload::whole(&packet)).unwrap();
        assert_eq!((got.protocol, got.src_port, got.dst_port), (17, 7, 9));
        assert_eq!(got.body, Body::Message(Payload::whole(b"!")));
    }

    #[test]
    fn a_snapped_packet_keeps_its_length() {
        let packet = [header(100, 58), vec![128, 0]].concat();
        let got = datagram(Payload { bytes: &packet, len: 140 }).unwrap().body.payload();
        assert_eq!(got, Payload { bytes: &[128, 0], len: 100 });
    }

    #[test]
    fn a_jumbogram_says_its_length_in_an_option() {
        // Next header 58, 8 bytes, the jumbo option with 65544 = 8 + 65536.
        let hop_by_hop = vec![58, 0, 0xc2, 4, 0, 1, 0, 8];
        let packet = [header(0, 0), hop_by_hop, vec![b'x'; 65536 + 3]].concat();
        let got = datagram(Payload::whole(&packet)).unwrap().body.payload();
        assert_eq!(got, Payload::whole(&packet[48..48 + 65536]));
    }

    #[test]
    fn the_jumbo_option_stands_behind_others_or_is_no_jumbo() {
        // A Pad1, a router alert (type 5), the jumbo option, and a PadN.
        let options = [58, 1, 0, 5, 2, 0, 0, 0xc2, 4, 0, 2, 0, 0, 1, 1, 0].map(u8::from);
        assert_eq!(jumbo_length(&options), Some(0x0002_0000));
        assert_eq!(jumbo_length(&options[..15]), None, "cut");
        assert_eq!(jumbo_length(&[58, 0, 0xc2, 4, 0, 0, 255, 255]), None, "no jumbo");
        assert_eq!(jumbo_length(&[58, 0, 1, 4, 0, 0, 0, 0]), None, "padding only");
        assert_eq!(jumbo_length(&[58, 0, 1, 9, 0, 0, 0, 0]), None, "past the header");
    }

    #[test]
    fn a_payload_length_of_0_without_option_is_the_frames() {
        let packet = [header(0, 17), vec![0, 7, 0, 9, 0, 0, 0, 0, b'h', b'i']].concat();
        let got = datagram(Payload::whole(&packet)).unwrap();
        assert_eq!(got.body, Body::Message(Payload::whole(b"hi")));

        let packet = [header(0, 59), vec![0; 6]].concat();
        let got = datagram(Payload::whole(&packet)).unwrap();
        assert_eq!(got.body, Body::Message(Payload::whole(b"")), "padding only");
    }

    #[test]
    fn wrong_version_and_cut_headers() {
        let mut packet = header(0, 59);
        packet[0] = 0x45;
        let wrong = Dropped::Malformed { layer: Layer::Ipv6, why: "version is not 6" };
        assert_eq!(datagram(Payload::whole(&packet)), Err(wrong));
        let cut = Dropped::Truncated { layer: Layer::Ipv6, needed: 40, found: 39 };
        assert_eq!(datagram(Payload { bytes: &packet[..39], len: 40 }), Err(cut));
    }
}
