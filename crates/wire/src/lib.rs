//! One captured frame's bytes become a decoded view of the IP datagram inside.
//!
//! [`decode`] walks the link layer, VLAN tags, MPLS labels and PPPoE, the IP header with its options
//! or extension headers, and the transport header, and checks every length once. It never allocates,
//! never panics and keeps no state: a fragment comes out as a [`Fragment`] or a [`LinkFragment`], to be
//! put together by whoever keeps state, and [`decode_reassembled`] or [`decode_msdu`] reads the result.
//! A frame that holds several comes out as an [`Aggregate`], which decodes one after the other.
//!
//! What a frame cannot give is said as a [`Dropped`], which names the layer and the lengths.
//!
//! ```
//! use wire::{Decoded, Frame, LinkType, decode};
//!
//! // Raw IPv4, UDP 10.0.0.1:53 -> 10.0.0.2:1024, two bytes of payload.
//! let bytes = [
//!     0x45, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, // IPv4
//!     0, 53, 4, 0, 0, 10, 0, 0, b'h', b'i', // UDP and its payload
//! ];
//! let frame = Frame { link: LinkType::RAW, bytes: &bytes, wire_len: 30 };
//! let Ok(Decoded::Datagram(datagram)) = decode(&frame) else { panic!("a whole datagram") };
//! assert_eq!((datagram.src_port, datagram.dst_port), (53, 1024));
//! assert_eq!(datagram.body.payload().bytes, b"hi");
//! ```
#![forbid(unsafe_code)]

mod bytes;
mod datagram;
mod depth;
mod dropped;
mod ends;
mod ip;
mod link;
mod link_type;
mod plain;
mod timestamp;
mod transport;
mod vlan;

pub use datagram::{
    Body, Datagram, Decoded, Fragment, Frame, LinkFragment, Payload, Segment, TcpFlags,
};
use depth::Depth;
pub use dropped::{Dropped, Layer};
pub use ends::Ends;
pub use link::amsdu::{Aggregate, Subframes};
pub use link_type::LinkType;
pub use plain::{Plain, decode_plain, decode_plain_tcp, decode_plain_udp, may_open};
pub use timestamp::Timestamp;
pub use vlan::VlanIds;

/// Numbers of the IP protocols that this program treats in a way of their own (IANA, "Assigned
/// Internet Protocol Numbers").
pub mod protocol {
    /// TCP, RFC 9293.
    pub const TCP: u8 = 6;
    /// UDP, RFC 768.
    pub const UDP: u8 = 17;
    /// DCCP, RFC 4340.
    pub const DCCP: u8 = 33;
    /// SCTP, RFC 9260.
    pub const SCTP: u8 = 132;
    /// UDP-Lite, RFC 3828.
    pub const UDP_LITE: u8 = 136;
}

/// How many headers may stand in one another before a frame is given up, unless another number is
/// asked for: tags, labels and extension headers are counted. Real frames have fewer than ten.
pub const MAX_HEADERS: usize = 16;

/// The longest 802.11 frame in bytes, one of VHT (IEEE 802.11-2020, table 9-25), and so the most that
/// an A-MSDU, or what fragments make, can have.
pub const MAX_MPDU: u32 = 11_454;

/// Decodes one frame down to its transport header.
///
/// # Errors
/// A [`Dropped`] that says why there is no datagram.
#[inline]
pub fn decode<'a>(frame: &Frame<'a>) -> Result<Decoded<'a>, Dropped> {
    decode_within(frame, MAX_HEADERS)
}

/// The same with another bound than [`MAX_HEADERS`]. Some headers are read by recursion: a bound of
/// thousands is a stack of megabytes.
///
/// # Errors
/// A [`Dropped`] that says why there is no datagram.
#[inline]
pub fn decode_within<'a>(frame: &Frame<'a>, headers: usize) -> Result<Decoded<'a>, Dropped> {
    let (bytes, depth) = (Payload::of_frame(frame), Depth::of(headers));
    if frame.link == LinkType::ETHERNET {
        // Nearly every frame of nearly every capture: kept in one piece, without a call.
        return link::ethernet::decode(bytes, depth);
    }
    link::decode(frame.link, bytes, depth)
}

/// Decodes the payload of a datagram that was put together from fragments.
///
/// `protocol` is the [`Fragment::protocol`] of its first fragment, `payload` the fragmentable part.
/// What is found may be another fragment (of a fragmented fragment; hostile, but legal for IPv6).
/// `headers` is the bound of [`decode_within`].
///
/// # Errors
/// A [`Dropped`] that says why there is no datagram.
pub fn decode_reassembled<'a>(
    ends: Ends,
    protocol: u8,
    payload: Payload<'a>,
    headers: usize,
) -> Result<Decoded<'a>, Dropped> {
    ip::continued(ends, protocol, payload.consistent(), Depth::of(headers))
}

/// Decodes what 802.11 fragments were put together to.
///
/// `aggregate` is the [`LinkFragment::aggregate`] of its first fragment. What is found is no fragment of
/// an 802.11 frame again. `headers` is the bound of [`decode_within`].
///
/// # Errors
/// A [`Dropped`] that says why there is no datagram.
pub fn decode_msdu<'a>(
    payload: Payload<'a>,
    aggregate: bool,
    headers: usize,
) -> Result<Decoded<'a>, Dropped> {
    link::ieee80211::body(payload.consistent(), aggregate, Depth::of(headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ::1 -> ::
    const V6: Ends = Ends::V6 { src: [0, 1], dst: [0, 0] };
    /// Ports 7 -> 9, "!".
    const UDP: [u8; 9] = [0, 7, 0, 9, 0, 9, 0, 0, b'!'];

    #[test]
    fn what_fragments_gave_goes_on_at_the_header_they_named() {
        let options = [&[17, 0, 1, 4, 0, 0, 0, 0][..], &UDP].concat();
        let got = decode_reassembled(V6, 60, Payload::whole(&options), MAX_HEADERS);
        let Ok(Decoded::Datagram(got)) = got else { panic!("a datagram, not {got:?}") };
        assert_eq!((got.ends, got.protocol), (V6, 17));
        assert_eq!((got.src_port, got.dst_port), (7, 9));
        assert_eq!(got.body, Body::Message(Payload::whole(b"!")));
    }

    #[test]
    fn an_ipv4_datagram_has_no_ipv6_extensions() {
        let v4 = Ends::V4 { src: 0x0a00_0001, dst: 0x0a00_0002 };
        let options = [&[17, 0, 1, 4, 0, 0, 0, 0][..], &UDP].concat();
        let got = decode_reassembled(v4, 60, Payload::whole(&options), MAX_HEADERS);
        assert!(matches!(got, Ok(Decoded::Datagram(Datagram { protocol: 60, src_port: 0, .. }))));
        let got = decode_reassembled(v4, 17, Payload::whole(&UDP), MAX_HEADERS);
        assert!(matches!(got, Ok(Decoded::Datagram(Datagram { protocol: 17, src_port: 7, .. }))));
    }

    #[test]
    fn what_802_11_fragments_gave_is_one_frame_or_several() {
        let ip = [0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        let msdu = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], &ip, &UDP].concat();
        let Ok(Decoded::Datagram(one)) = decode_msdu(Payload::whole(&msdu), false, 1) else {
            panic!("a datagram");
        };
        assert_eq!(one.body, Body::Message(Payload::whole(b"!")));
        let several = [&[0; 13][..], &[37], &msdu].concat();
        let Ok(Decoded::Aggregate(several)) = decode_msdu(Payload::whole(&several), true, 2) else {
            panic!("several");
        };
        let one = Ok(Decoded::Datagram(one));
        assert_eq!(several.subframes().collect::<Vec<_>>(), [one]);
    }

    #[test]
    fn a_fragment_in_a_fragment() {
        let inner = [17, 0, 0, 9, 0, 0, 0, 5, 1, 2, 3, 4, 5, 6, 7, 8];
        let got = decode_reassembled(V6, 44, Payload::whole(&inner), MAX_HEADERS);
        let Ok(Decoded::Fragment(got)) = got else { panic!("a fragment, not {got:?}") };
        assert_eq!((got.id, got.protocol, got.offset, got.more), (5, 17, 8, true));
    }
}
