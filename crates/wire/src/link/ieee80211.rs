//! IEEE 802.11 data frames.

use super::llc;
use crate::depth::Depth;
use crate::{Decoded, Dropped, Layer, Payload};

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

/// In the first byte of the QoS control field: the body is an A-MSDU.
const AGGREGATED: u8 = 0b1000_0000;
/// Offset of sequence control; its low four bits number the fragments of a frame.
const SEQUENCE: usize = 22;
const FRAGMENT: u8 = 0x0f;
/// Of the header with three addresses and nothing further.
const SIZE: usize = 24;

/// Does the capture pad the header to four bytes?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Padding {
    /// No: the body follows the header.
    None,
    /// Yes, as some drivers do and radiotap says.
    ToFour,
}

/// An 802.11 frame. Only data frames with a readable body can have IP in it; a frame check sequence
/// at the end is trimmed by IP's length.
pub(super) fn decode<'a>(
    frame: Payload<'a>,
    padding: Padding,
    depth: Depth,
) -> Result<Decoded<'a>, Dropped> {
    let &[first, flags] = frame.peek::<2>(Layer::Link)?;
    if first & control::VERSION != 0
        || first & control::TYPE != control::DATA
        || first & control::NULL != 0
    {
        return Err(Dropped::NotIp);
    }
    let header = frame.peek::<SIZE>(Layer::Link)?;
    if flags & flag::PROTECTED != 0 {
        return Err(Dropped::Encrypted);
    }
    if flags & flag::MORE_FRAGMENTS != 0 || header[SEQUENCE] & FRAGMENT != 0 {
        let why = "802.11 fragments are not put together";
        return Err(Dropped::Malformed { layer: Layer::Link, why });
    }
    let mut size = SIZE as u32;
    if flags & flag::TO_FROM == flag::TO_FROM {
        size += 6;
    }
    if first & control::QOS != 0 {
        let [qos, _] = *frame.after(size, Layer::Link)?.peek::<2>(Layer::Link)?;
        if qos & AGGREGATED != 0 {
            return Err(Dropped::Aggregated);
        }
        size += if flags & flag::ORDER != 0 { 6 } else { 2 };
    }
    if padding == Padding::ToFour {
        size = size.next_multiple_of(4);
    }
    llc::decode(frame.after(size, Layer::Link)?, depth)
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
    fn encrypted_aggregated_and_fragmented_bodies() {
        assert_eq!(wlan(&[&header(0x08, 0x41, 0)]), Err(Dropped::Encrypted));
        assert_eq!(wlan(&[&header(0x88, 0x01, 0), &[0x80, 0]]), Err(Dropped::Aggregated));
        let fragment = |got| match got {
            Err(Dropped::Malformed { layer: Layer::Link, why }) => why.contains("fragments"),
            _ => false,
        };
        assert!(fragment(wlan(&[&header(0x08, 0x05, 0x10)])), "the first");
        assert!(fragment(wlan(&[&header(0x08, 0x01, 0x11)])), "the second");
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
