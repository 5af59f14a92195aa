//! The short way of nearly every frame of nearly every capture.

use crate::bytes::{be16, be32};
use crate::link::ethertype;
use crate::{Body, Datagram, Ends, Frame, LinkType, Payload, Segment, TcpFlags, VlanIds, protocol};

/// Offsets in a frame of Ethernet and IPv4 without options.
mod field {
    pub(super) const TYPE: usize = 12;
    pub(super) const VERSION_IHL: usize = 14;
    pub(super) const TOTAL_LENGTH: usize = 16;
    pub(super) const FLAGS_OFFSET: usize = 20;
    pub(super) const PROTOCOL: usize = 23;
    pub(super) const SRC: usize = 26;
    pub(super) const DST: usize = 30;
    /// Of both headers.
    pub(super) const SIZE: usize = 34;
    /// Where IP begins.
    pub(super) const IP: usize = 14;
}

/// "More fragments", and the fragment's offset.
const FRAGMENTED: u16 = 0x3fff;

/// What a plain frame says: numbers and the data, each for itself, so that they need not pass through
/// memory on their way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plain<'a> {
    src: u32,
    dst: u32,
    src_port: u16,
    dst_port: u16,
    /// Is it TCP, not UDP? The four that follow have a meaning only then.
    tcp: bool,
    seq: u32,
    ack: u32,
    flags: u8,
    window: u16,
    data: &'a [u8],
}

impl<'a> Plain<'a> {
    /// The datagram.
    #[inline(always)]
    pub fn datagram(&self) -> Datagram<'a> {
        let &Self { src, dst, src_port, dst_port, tcp, seq, ack, flags, window, data } = self;
        let payload = Payload::whole(data);
        let (protocol, body) = if tcp {
            let flags = TcpFlags(flags);
            (protocol::TCP, Body::Tcp(Segment { seq, ack, flags, window, payload }))
        } else {
            (protocol::UDP, Body::Message(payload))
        };
        let (ends, vlans) = (Ends::V4 { src, dst }, VlanIds::NONE);
        Datagram { ends, protocol, src_port, dst_port, vlans, body }
    }
}

/// Decodes a plain frame: Ethernet without tags, IPv4 without options that is no fragment, TCP or UDP,
/// captured whole. `None` says nothing of any other: [`decode`](crate::decode) is for all.
///
/// In one piece it takes 60 instructions; the way that looks at everything takes 200, most of them
/// to bring what its branches found together.
#[inline(always)]
pub fn decode_plain<'a>(frame: &Frame<'a>) -> Option<Plain<'a>> {
    decode_plain_tcp(frame).or_else(|| decode_plain_udp(frame))
}

/// The same of TCP alone.
#[inline(always)]
pub fn decode_plain_tcp<'a>(frame: &Frame<'a>) -> Option<Plain<'a>> {
    let (src, dst, packet) = decode_plain_ip(frame, protocol::TCP)?;
    let tcp = packet.first_chunk::<20>()?;
    let size = usize::from(tcp[12] >> 4) * 4;
    let data = packet.get(size..).filter(|_| size >= 20)?;
    Some(Plain {
        src,
        dst,
        src_port: be16::<0, _>(tcp),
        dst_port: be16::<2, _>(tcp),
        tcp: true,
        seq: be32::<4, _>(tcp),
        ack: be32::<8, _>(tcp),
        flags: tcp[13],
        window: be16::<14, _>(tcp),
        data,
    })
}

/// The same of UDP alone.
#[inline(always)]
pub fn decode_plain_udp<'a>(frame: &Frame<'a>) -> Option<Plain<'a>> {
    let (src, dst, packet) = decode_plain_ip(frame, protocol::UDP)?;
    let (udp, data) = packet.split_first_chunk::<8>()?;
    if usize::from(be16::<4, _>(udp)) != packet.len() {
        return None;
    }
    let (src_port, dst_port) = (be16::<0, _>(udp), be16::<2, _>(udp));
    let (tcp, seq, ack, flags, window) = (false, 0, 0, 0, 0);
    Some(Plain { src, dst, src_port, dst_port, tcp, seq, ack, flags, window, data })
}

/// The addresses of a plain frame, and what its IP packet holds, if that is of this protocol.
#[inline(always)]
fn decode_plain_ip<'a>(frame: &Frame<'a>, protocol: u8) -> Option<(u32, u32, &'a [u8])> {
    let header = frame.bytes.first_chunk::<{ field::SIZE }>()?;
    if frame.link != LinkType::ETHERNET
        || be16::<{ field::TYPE }, _>(header) != ethertype::IPV4
        || header[field::VERSION_IHL] != 0x45
        || be16::<{ field::FLAGS_OFFSET }, _>(header) & FRAGMENTED != 0
        || header[field::PROTOCOL] != protocol
    {
        return None;
    }
    let end = field::IP + usize::from(be16::<{ field::TOTAL_LENGTH }, _>(header));
    let packet = frame.bytes.get(field::SIZE..end)?;
    Some((be32::<{ field::SRC }, _>(header), be32::<{ field::DST }, _>(header), packet))
}

/// Does a frame look like a [plain](decode_plain) one that opens a TCP connection? One byte is asked, so that it can be
/// asked of every frame: others may look like it.
#[inline(always)]
pub fn may_open(frame: &[u8]) -> bool {
    const FLAGS: usize = field::SIZE + 13;
    frame.get(FLAGS).is_some_and(|&flags| TcpFlags(flags).is_plain_syn())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decoded, decode};
    use proptest::prelude::*;

    /// An Ethernet frame of `payload` in IPv4.
    fn frame(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![2; 12];
        let total = 20 + payload.len() as u8;
        frame.extend([8, 0, 0x45, 0, 0, total, 0, 0, 0x40, 0, 64, protocol, 0, 0]);
        frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend(payload);
        frame
    }

    const TCP: [u8; 27] = [
        0x10, 0xe1, 0x00, 0x17, 0x00, 0x00, 0x00, 0x01, 0xff, 0xff, 0xff, 0xfe, 0x60, 0x18, 0x20,
        0x00, 0xab, 0xcd, 0x00, 0x00, 0x01, 0x03, 0x03, 0x07, b'l', b's', b'\n',
    ];
    const UDP: [u8; 10] = [0, 53, 4, 0, 0, 10, 0, 0, b'h', b'i'];

    /// What is found on the short way, which must be what is found on the long one.
    fn found(bytes: &[u8], wire_len: u32) -> bool {
        let frame = Frame { link: LinkType::ETHERNET, bytes, wire_len };
        let plain = decode_plain(&frame);
        if let Some(plain) = plain {
            assert_eq!(decode(&frame), Ok(Decoded::Datagram(plain.datagram())));
        }
        plain.is_some()
    }

    #[test]
    fn plain_frames_are_found_with_padding_and_without() {
        for payload in [frame(6, &TCP), frame(17, &UDP)] {
            assert!(found(&payload, payload.len() as u32));
            let padded = [&payload[..], &[0xee; 9]].concat();
            assert!(found(&padded, padded.len() as u32));
        }
    }

    #[test]
    fn one_byte_tells_what_may_open_a_connection() {
        let syn = |flags: u8| {
            let mut tcp = TCP;
            tcp[13] = flags;
            may_open(&frame(6, &tcp))
        };
        // SYN, and SYN with ECE and CWR (RFC 3168); not SYN-ACK, ACK or RST.
        assert_eq!([0x02, 0xc2, 0x12, 0x10, 0x04].map(syn), [true, true, false, false, false]);
        assert!(!may_open(&frame(6, &TCP)[..40]));
    }

    #[test]
    fn others_are_left_to_the_long_way() {
        assert!(!found(&frame(132, &TCP), 61));
        // Fragments, options, tags, a snapped packet, a UDP length that is not IP's.
        let changes: [(usize, u8); 6] =
            [(20, 0x20), (21, 1), (14, 0x46), (12, 0x81), (17, 48), (39, 9)];
        for (at, value) in changes {
            let mut udp = frame(17, &UDP);
            udp[at] = value;
            assert!(!found(&udp, udp.len() as u32), "{at}");
        }
        // A data offset below 5, one behind the end.
        for offset in [0x40, 0xf0] {
            let mut tcp = frame(6, &TCP);
            tcp[46] = offset;
            assert!(!found(&tcp, tcp.len() as u32));
        }
    }

    proptest! {
        #[test]
        fn both_ways_find_the_same(
            tcp in any::<bool>(),
            changes in prop::collection::vec((0..64usize, any::<u8>()), 0..4),
            cut in 0..70usize,
            wire_len in 0..200u32,
        ) {
            let mut bytes = if tcp { frame(6, &TCP) } else { frame(17, &UDP) };
            bytes.resize(64, 0xee);
            for (at, value) in changes {
                bytes[at] = value;
            }
            bytes.truncate(64 - cut.saturating_sub(20).min(64));
            found(&bytes, wire_len);
        }
    }
}
