//! TCP, UDP, and the ports of SCTP, DCCP and UDP-Lite.

use crate::bytes::{be16, be32};
use crate::{
    Body, Datagram, Decoded, Dropped, Ends, Layer, Payload, Segment, TcpFlags, VlanIds, protocol,
};

/// Offsets in the TCP header (RFC 9293, section 3.1).
mod tcp_field {
    pub(super) const SRC_PORT: usize = 0;
    pub(super) const DST_PORT: usize = 2;
    pub(super) const SEQ: usize = 4;
    pub(super) const ACK: usize = 8;
    /// In 32-bit words, the upper four bits.
    pub(super) const DATA_OFFSET: usize = 12;
    pub(super) const FLAGS: usize = 13;
    pub(super) const WINDOW: usize = 14;
    /// Of the header without options.
    pub(super) const SIZE: usize = 20;
}

/// Offsets in the UDP header (RFC 768). SCTP, DCCP and UDP-Lite have their ports at the same place.
mod udp_field {
    pub(super) const SRC_PORT: usize = 0;
    pub(super) const DST_PORT: usize = 2;
    /// Of header and data.
    pub(super) const LENGTH: usize = 4;
    pub(super) const SIZE: usize = 8;
}

/// Reads the transport header that an IP payload begins with.
#[inline(always)]
pub(crate) fn decode<'a>(
    ends: Ends,
    protocol: u8,
    payload: Payload<'a>,
) -> Result<Decoded<'a>, Dropped> {
    match protocol {
        protocol::TCP => tcp(ends, payload),
        protocol::UDP => udp(ends, payload),
        _ => other(ends, protocol, payload),
    }
}

/// A TCP segment. Options are skipped: none of them changes where its data stands.
#[inline(always)]
fn tcp<'a>(ends: Ends, payload: Payload<'a>) -> Result<Decoded<'a>, Dropped> {
    use tcp_field::{ACK, DATA_OFFSET, DST_PORT, FLAGS, SEQ, SIZE, SRC_PORT, WINDOW};
    let header = payload.peek::<SIZE>(Layer::Tcp)?;
    let size = u32::from(header[DATA_OFFSET] >> 4) * 4;
    if size < SIZE as u32 {
        return Err(Dropped::Malformed { layer: Layer::Tcp, why: "data offset below 5" });
    }
    let segment = Segment {
        seq: be32::<SEQ, _>(header),
        ack: be32::<ACK, _>(header),
        flags: TcpFlags(header[FLAGS]),
        window: be16::<WINDOW, _>(header),
        payload: payload.after(size, Layer::Tcp)?,
    };
    Ok(Decoded::Datagram(Datagram {
        ends,
        protocol: protocol::TCP,
        src_port: be16::<SRC_PORT, _>(header),
        dst_port: be16::<DST_PORT, _>(header),
        vlans: VlanIds::NONE,
        body: Body::Tcp(segment),
    }))
}

/// A UDP datagram.
///
/// Its length field may say less than the IP payload holds, never more: what lies beyond is no data.
/// 0 means "as IP says" (RFC 2675, section 4, for jumbograms; also seen with segmentation offload).
/// A longer one, as in datagrams whose IP header was rewritten, counts nothing as missing.
#[inline(always)]
fn udp<'a>(ends: Ends, payload: Payload<'a>) -> Result<Decoded<'a>, Dropped> {
    use udp_field::{DST_PORT, LENGTH, SIZE, SRC_PORT};
    let (header, mut data) = payload.header::<SIZE>(Layer::Udp)?;
    let length = u32::from(be16::<LENGTH, _>(header));
    if length != 0 {
        let Some(length) = length.checked_sub(SIZE as u32) else {
            return Err(Dropped::Malformed { layer: Layer::Udp, why: "length below 8" });
        };
        data = data.trim(length);
    }
    Ok(Decoded::Datagram(Datagram {
        ends,
        protocol: protocol::UDP,
        src_port: be16::<SRC_PORT, _>(header),
        dst_port: be16::<DST_PORT, _>(header),
        vlans: VlanIds::NONE,
        body: Body::Message(data),
    }))
}

/// Every other protocol: its message is the whole IP payload.
#[inline(never)]
fn other<'a>(ends: Ends, protocol: u8, payload: Payload<'a>) -> Result<Decoded<'a>, Dropped> {
    let (src_port, dst_port) = match protocol {
        protocol::SCTP | protocol::DCCP | protocol::UDP_LITE => {
            let header = payload.peek::<4>(Layer::Ports)?;
            (be16::<{ udp_field::SRC_PORT }, _>(header), be16::<{ udp_field::DST_PORT }, _>(header))
        }
        _ => (0, 0),
    };
    let (vlans, body) = (VlanIds::NONE, Body::Message(payload));
    Ok(Decoded::Datagram(Datagram { ends, protocol, src_port, dst_port, vlans, body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10.0.0.1 -> 10.0.0.2
    const ENDS: Ends = Ends::V4 { src: 0x0a00_0001, dst: 0x0a00_0002 };

    /// A segment with one option word (a window scale and a NOP) and the data "ls\n".
    const SEGMENT: [u8; 27] = [
        0x10, 0xe1, 0x00, 0x17, // 4321 -> 23
        0x00, 0x00, 0x00, 0x01, 0xff, 0xff, 0xff, 0xfe, // seq, ack
        0x60, 0x18, 0x20, 0x00, // 24 bytes of header, PSH ACK, window 8192
        0xab, 0xcd, 0x00, 0x00, // checksum, urgent pointer
        0x01, 0x03, 0x03, 0x07, // options
        b'l', b's', b'\n',
    ];

    fn datagram(protocol: u8, payload: Payload<'_>) -> Result<Datagram<'_>, Dropped> {
        match decode(ENDS, protocol, payload)? {
            Decoded::Datagram(datagram) => Ok(datagram),
            other => panic!("a transport header is in nothing else: {other:?}"),
        }
    }

    #[test]
    fn a_tcp_segment_with_options() {
        let got = datagram(protocol::TCP, Payload::whole(&SEGMENT)).unwrap();
        assert_eq!((got.ends, got.protocol), (ENDS, 6));
        assert_eq!((got.src_port, got.dst_port), (4321, 23));
        let Body::Tcp(segment) = got.body else { panic!("TCP gives a segment") };
        assert_eq!((segment.seq, segment.ack, segment.window), (1, 0xffff_fffe, 8192));
        assert_eq!(segment.flags, TcpFlags::PSH | TcpFlags::ACK);
        assert_eq!(segment.payload, Payload::whole(b"ls\n"));
    }

    #[test]
    fn a_segment_snapped_in_its_data_keeps_its_length() {
        let payload = Payload { bytes: &SEGMENT[..25], len: 27 };
        let got = datagram(protocol::TCP, payload).unwrap().body.payload();
        assert_eq!(got, Payload { bytes: b"l", len: 3 });
        assert_eq!(got.missing(), 2);
    }

    #[test]
    fn a_segment_snapped_in_its_options_is_truncated() {
        let payload = Payload { bytes: &SEGMENT[..22], len: 27 };
        let why = Dropped::Truncated { layer: Layer::Tcp, needed: 24, found: 22 };
        assert_eq!(datagram(protocol::TCP, payload), Err(why));
    }

    #[test]
    fn data_offsets_that_cannot_be() {
        let mut bytes = SEGMENT;
        bytes[12] = 0x40;
        let short = Dropped::Malformed { layer: Layer::Tcp, why: "data offset below 5" };
        assert_eq!(datagram(protocol::TCP, Payload::whole(&bytes)), Err(short));
        bytes[12] = 0xf0;
        let long = Dropped::Malformed { layer: Layer::Tcp, why: "the packet ends inside it" };
        assert_eq!(datagram(protocol::TCP, Payload::whole(&bytes)), Err(long));
    }

    /// Ports 53 -> 1024, a length field, four bytes.
    fn udp_with_length(length: u8) -> [u8; 12] {
        [0, 53, 4, 0, 0, length, 0, 0, b'a', b'b', b'c', b'd']
    }

    #[test]
    fn the_udp_length_trims_and_never_adds() {
        for (length, data) in [(12, "abcd"), (10, "ab"), (8, ""), (0, "abcd"), (200, "abcd")] {
            let bytes = udp_with_length(length);
            let got = datagram(protocol::UDP, Payload::whole(&bytes)).unwrap();
            assert_eq!((got.src_port, got.dst_port), (53, 1024));
            assert_eq!(got.body, Body::Message(Payload::whole(data.as_bytes())), "{length}");
        }
        let why = Dropped::Malformed { layer: Layer::Udp, why: "length below 8" };
        assert_eq!(datagram(protocol::UDP, Payload::whole(&udp_with_length(7))), Err(why));
    }

    #[test]
    fn a_snapped_udp_datagram_has_its_own_length() {
        let bytes = udp_with_length(100);
        let got = datagram(protocol::UDP, Payload { bytes: &bytes, len: 120 }).unwrap();
        assert_eq!(got.body, Body::Message(Payload { bytes: b"abcd", len: 92 }));
    }

    #[test]
    fn sctp_dccp_and_udp_lite_have_ports_and_keep_their_header() {
        let bytes = [0x0b, 0x59, 0x0b, 0x5a, 1, 2, 3];
        for protocol in [protocol::SCTP, protocol::DCCP, protocol::UDP_LITE] {
            let got = datagram(protocol, Payload::whole(&bytes)).unwrap();
            assert_eq!((got.protocol, got.src_port, got.dst_port), (protocol, 2905, 2906));
            assert_eq!(got.body, Body::Message(Payload::whole(&bytes)));
        }
        let why = Dropped::Truncated { layer: Layer::Ports, needed: 4, found: 3 };
        let cut = Payload { bytes: &bytes[..3], len: 7 };
        assert_eq!(datagram(protocol::SCTP, cut), Err(why));
    }

    #[test]
    fn any_other_protocol_is_its_whole_payload() {
        for protocol in [1, 4, 41, 47, 50, 58, 59, 135, 139, 253] {
            let got = datagram(protocol, Payload::whole(&[8, 0])).unwrap();
            assert_eq!((got.protocol, got.src_port, got.dst_port), (protocol, 0, 0));
            assert_eq!(got.body, Body::Message(Payload::whole(&[8, 0])));
        }
    }
}
