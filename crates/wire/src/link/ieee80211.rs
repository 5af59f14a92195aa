//! IEEE 802.11 data frames.

use super::{amsdu, fcs, llc};
use crate::bytes::array;
use crate::depth::Depth;
use crate::{Decoded, Dropped, Layer, LinkFragment, Payload};

/// The frame control field's first byte (IEEE 802.11-2020, 9.2.4.1).
mod control {
    pub(super) const VERSION: u8 = 0b0000_0011;
    pub(super) const TYPE: u8 = 0b0000_1100;
    pub(super) const DATA: u8 = 0b0000_1000;
    /// Of a data frame: it has no body.
    pub(super) const NULL: u8 = 0b0100_0000;
    /// Of a data frame: it has a QoS control field.
    pub(super) const QOS: u8 = 0b1000_0000;
}

/// Its second byte.
mod flag {
    /// To and from the distribution system: both where a bridge relays, with a fourth address.
    pub(super) const TO_FROM: u8 = 0b0000_0011;
    pub(super) const MORE_FRAGMENTS: u8 = 0b0000_0100;
    pub(super) const PROTECTED: u8 = 0b0100_0000;
    /// Of a QoS frame: it has an HT control field.
    pub(super) const ORDER: u8 = 0b1000_0000;
}

/// The first byte of the QoS control field (9.2.4.5).
mod qos {
    pub(super) const TID: u8 = 0b0000_1111;
    /// The body is an A-MSDU.
    pub(super) const AGGREGATE: u8 = 0b1000_0000;
}

/// Offsets in the header.
mod field {
    /// Address 1.
    pub(super) const RECEIVER: usize = 4;
    /// Address 2.
    pub(super) const TRANSMITTER: usize = 10;
    /// The number of a fragment, four bits, and the sequence number; little-endian (9.2.4.4).
    pub(super) const SEQUENCE: usize = 22;
    /// Of the header with three addresses and nothing further.
    pub(super) const SIZE: usize = 24;
}

const FRAGMENT: u16 = 0x000f;

/// What a capture added to the frame, as far as it says so.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Added {
    /// Padding behind the 802.11 header, to four bytes, as some drivers do.
    pub(super) padding: bool,
    /// A frame check sequence at the end. Where this does not say so, there may be one all the same.
    pub(super) fcs: bool,
}

/// An 802.11 frame. Only data frames with a readable body can have IP in it; a frame check sequence
/// at the end is trimmed by IP's length.
pub(super) fn decode<'a>(
    frame: Payload<'a>,
    added: Added,
    depth: Depth,
) -> Result<Decoded<'a>, Dropped> {
    let &[first, flags] = frame.peek::<2>(Layer::Link)?;
    if first & control::VERSION != 0
        || first & control::TYPE != control::DATA
        || first & control::NULL != 0
    {
        return Err(Dropped::NotIp);
    }
    let header = frame.peek::<{ field::SIZE }>(Layer::Link)?;
    if flags & flag::PROTECTED != 0 {
        return Err(Dropped::Encrypted);
    }
    let (mut size, mut qos) = (field::SIZE as u32, None);
    if flags & flag::TO_FROM == flag::TO_FROM {
        size += 6;
    }
    if first & control::QOS != 0 {
        let [control, _] = *frame.after(size, Layer::Link)?.peek::<2>(Layer::Link)?;
        qos = Some(control);
        size += if flags & flag::ORDER != 0 { 6 } else { 2 };
    }
    if added.padding {
        size = size.next_multiple_of(4);
    }
    let sequence = u16::from_le_bytes(array::<{ field::SEQUENCE }, 2, _>(header));
    let more = flags & flag::MORE_FRAGMENTS != 0;
    let aggregate = qos.is_some_and(|control| control & qos::AGGREGATE != 0);
    if !more && sequence & FRAGMENT == 0 {
        return body(frame.after(size, Layer::Link)?, aggregate, depth);
    }
    Ok(Decoded::LinkFragment(LinkFragment {
        transmitter: array::<{ field::TRANSMITTER }, 6, _>(header),
        receiver: array::<{ field::RECEIVER }, 6, _>(header),
        tid: qos.map(|control| control & qos::TID),
        sequence: sequence >> 4,
        number: (sequence & FRAGMENT) as u8,
        more,
        aggregate,
        payload: fcs::without(frame, added.fcs).after(size, Layer::Link)?,
    }))
}

/// The body of a data frame, or what fragments of one were put together to.
pub(crate) fn body<'a>(
    body: Payload<'a>,
    aggregate: bool,
    depth: Depth,
) -> Result<Decoded<'a>, Dropped> {
    if aggregate { amsdu::decode(body, depth) } else { llc::decode(body, depth) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{IPV4, IpVersion, read};
    use super::*;
    use crate::LinkType;

    const SNAP: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];

    /// A header with this frame control and sequence control, three addresses.
    fn header(first: u8, flags: u8, sequence: u8) -> [u8; 24] {
        let mut header = [0; 24];
        (header[0], header[1], header[22]) = (first, flags, sequence);
        header
    }

    fn wlan(parts: &[&[u8]]) -> Result<IpVersion, Dropped> {
        read(LinkType::IEEE802_11, &[&parts.concat(), &SNAP, &IPV4, &[1, 2, 3, 4]])
    }

    #[test]
    fn data_frames_of_every_shape() {
        let address4 = [2, 0, 0, 0, 0, 4];
        let (qos, ht) = ([0x07, 0], [1, 2, 3, 4]);
        assert_eq!(wlan(&[&header(0x08, 0x01, 0x10)]), Ok(IpVersion::V4));
        assert_eq!(wlan(&[&header(0x08, 0x03, 0x10), &address4]), Ok(IpVersion::V4));
        assert_eq!(wlan(&[&header(0x88, 0x02, 0x10), &qos]), Ok(IpVersion::V4));
        assert_eq!(wlan(&[&header(0x88, 0x82, 0x10), &qos, &ht]), Ok(IpVersion::V4));
        assert_eq!(wlan(&[&header(0x88, 0x83, 0x10), &address4, &qos, &ht]), Ok(IpVersion::V4));
    }

    #[test]
    fn frames_without_data() {
        let (beacon, ack, null, qos_null, version_1) = (0x80, 0xd4, 0x48, 0xc8, 0x09);
        for first in [beacon, ack, null, qos_null, version_1] {
            assert_eq!(wlan(&[&header(first, 0, 0)]), Err(Dropped::NotIp), "{first:x}");
        }
        // An acknowledgement has 10 bytes.
        assert_eq!(read(LinkType::IEEE802_11, &[&[0xd4, 0], &[0; 8]]), Err(Dropped::NotIp));
    }

    #[test]
    fn an_encrypted_body_is_not_looked_into() {
        for header in [header(0x08, 0x41, 0), header(0x88, 0x45, 0x11)] {
            assert_eq!(wlan(&[&header, &[0x80, 0]]), Err(Dropped::Encrypted));
        }
    }

    /// What a whole frame gives.
    fn decoded(frame: &[u8]) -> Result<Decoded<'_>, Dropped> {
        decode(Payload::whole(frame), Added::default(), Depth::FULL)
    }

    #[test]
    fn a_body_of_several_frames() {
        let (address4, ht) = ([2, 0, 0, 0, 0, 4], [1, 2, 3, 4]);
        let subframe = [&[0; 13][..], &[30], &SNAP, &IPV4].concat();
        let frames: [&[&[u8]]; 2] = [
            &[&header(0x88, 0x01, 0x10), &[0x80, 0], &subframe],
            &[&header(0x88, 0x83, 0x10), &address4, &[0x87, 0], &ht, &subframe, &[1, 2, 3, 4]],
        ];
        for frame in frames.map(<[_]>::concat) {
            let got = decoded(&frame);
            let Ok(Decoded::Aggregate(got)) = got else { panic!("several frames, not {got:?}") };
            let got: Vec<_> = got.subframes().collect();
            assert!(matches!(got[..], [Ok(Decoded::Datagram(_))]), "{got:?}");
        }
    }

    #[test]
    fn a_fragment_says_of_what_it_is_one() {
        let mut header = header(0x88, 0x05, 0xb2);
        header[4..10].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        header[10..16].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
        header[23] = 0xfa;
        let first = LinkFragment {
            transmitter: [2, 0, 0, 0, 0, 2],
            receiver: [2, 0, 0, 0, 0, 1],
            tid: Some(7),
            sequence: 0xfab,
            number: 2,
            more: true,
            aggregate: false,
            payload: Payload::whole(b"part"),
        };
        let frame = [&header[..], &[0x07, 0], b"part"].concat();
        assert_eq!(decoded(&frame), Ok(Decoded::LinkFragment(first)));
        // Of an A-MSDU, and the last one.
        header[1] = 0x01;
        let frame = [&header[..], &[0x87, 0], b"part"].concat();
        let last = LinkFragment { more: false, aggregate: true, ..first };
        assert_eq!(decoded(&frame), Ok(Decoded::LinkFragment(last)));
        // Without QoS, and with all that a capture adds.
        header[0] = 0x08;
        let frame = [&header[..], b"part", &[0xee; 4]].concat();
        let added = Added { padding: true, fcs: true };
        let got = decode(Payload::whole(&frame), added, Depth::FULL);
        let plain = LinkFragment { tid: None, aggregate: false, ..last };
        assert_eq!(got, Ok(Decoded::LinkFragment(plain)));
    }

    #[test]
    fn a_frame_check_sequence_is_found_where_nobody_tells() {
        let fragment = header(0x08, 0x05, 0x10);
        let frame = [&fragment[..], b"part", &[0x44, 0x42, 0x8f, 0xe9]].concat();
        let Ok(Decoded::LinkFragment(got)) = decoded(&frame) else { panic!("a fragment") };
        assert_eq!(got.payload, Payload::whole(b"part"));
    }

    #[test]
    fn a_header_that_ends_too_soon() {
        let why = "the packet ends inside it";
        let malformed = Err(Dropped::Malformed { layer: Layer::Link, why });
        let header = header(0x88, 0x83, 0);
        for bytes in [&header[..1], &header[..23], &header[..], &[&header[..], &[0; 8]].concat()] {
            assert_eq!(read(LinkType::IEEE802_11, &[bytes]), malformed, "{}", bytes.len());
        }
    }
}
