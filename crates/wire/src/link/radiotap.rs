//! The radiotap header in front of an 802.11 frame (<https://www.radiotap.org>).

use super::ieee80211::{self, Added};
use crate::depth::Depth;
use crate::{Decoded, Dropped, Layer, Payload};

/// Offsets in the header, which is little-endian.
mod field {
    /// Of the whole header.
    pub(super) const LENGTH: usize = 2;
    /// Which fields follow, by bit.
    pub(super) const PRESENT: usize = 4;
    pub(super) const SIZE: usize = 8;
}

/// Bits of a presence word.
mod present {
    /// A time of 8 bytes, aligned to 8; it would stand before the flags.
    pub(super) const TSFT: u32 = 1 << 0;
    pub(super) const FLAGS: u32 = 1 << 1;
    /// Another presence word follows.
    pub(super) const MORE: u32 = 1 << 31;
}

/// In the flags: a frame check sequence at the end.
const FCS: u8 = 0x10;
/// In the flags: padding between the 802.11 header and its body.
const DATA_PAD: u8 = 0x20;

/// An 802.11 frame behind a radiotap header.
pub(super) fn decode<'a>(frame: Payload<'a>, depth: Depth) -> Result<Decoded<'a>, Dropped> {
    let start = frame.peek::<{ field::SIZE }>(Layer::Link)?;
    let length = u16::from_le_bytes([start[field::LENGTH], start[field::LENGTH + 1]]);
    if usize::from(length) < field::SIZE {
        let why = "radiotap length below 8";
        return Err(Dropped::Malformed { layer: Layer::Link, why });
    }
    let rest = frame.after(u32::from(length), Layer::Link)?;
    let header = frame.bytes.get(..usize::from(length)).unwrap_or_default();
    let flags = flags(header).unwrap_or(0);
    let added = Added { padding: flags & DATA_PAD != 0, fcs: flags & FCS != 0 };
    ieee80211::decode(rest, added, depth)
}

/// The flags field, where the header has one.
fn flags(header: &[u8]) -> Option<u8> {
    let mut words = header.get(field::PRESENT..)?.chunks_exact(4);
    let mut word = || Some(u32::from_le_bytes(words.next()?.try_into().ok()?));
    let (first, mut last) = (word()?, 1);
    let mut more = first & present::MORE != 0;
    while more {
        more = word()? & present::MORE != 0;
        last += 1;
    }
    if first & present::FLAGS == 0 {
        return None;
    }
    let mut at = field::PRESENT + 4 * last;
    if first & present::TSFT != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    header.get(at).copied()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{IPV4, IpVersion, read};
    use super::*;
    use crate::LinkType;

    const SNAP: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];

    /// A QoS data frame: 26 bytes of header, `pad`, then LLC and the packet.
    fn radiotap(header: &[u8], pad: &[u8]) -> Result<IpVersion, Dropped> {
        let mut qos = [0; 26];
        (qos[0], qos[1]) = (0x88, 0x01);
        read(LinkType::IEEE802_11_RADIOTAP, &[header, &qos, pad, &SNAP, &IPV4])
    }

    #[test]
    fn the_header_is_skipped_by_its_length() {
        assert_eq!(radiotap(&[0, 0, 8, 0, 0, 0, 0, 0], &[]), Ok(IpVersion::V4));
        // A rate (bit 2) and a byte nobody announced.
        assert_eq!(radiotap(&[0, 0, 10, 0, 4, 0, 0, 0, 2, 0xff], &[]), Ok(IpVersion::V4));
    }

    #[test]
    fn padding_between_header_and_body() {
        let pad = [0xee; 2];
        assert_eq!(radiotap(&[0, 0, 9, 0, 2, 0, 0, 0, 0x20], &pad), Ok(IpVersion::V4));
        // A time, aligned to 8, stands before the flags.
        let timed = [0, 0, 17, 0, 3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x30];
        assert_eq!(radiotap(&timed, &pad), Ok(IpVersion::V4));
        // Two presence words, so that the time is moved to 16.
        let mut words = [0; 25];
        (words[2], words[4], words[7], words[24]) = (25, 3, 0x80, 0x20);
        assert_eq!(radiotap(&words, &pad), Ok(IpVersion::V4));
        // The bit without the field's presence is another field's.
        assert_eq!(radiotap(&[0, 0, 9, 0, 4, 0, 0, 0, 0x20], &[]), Ok(IpVersion::V4));
    }

    #[test]
    fn a_frame_check_sequence_is_no_part_of_a_fragment() {
        // A data frame with fragments to follow, its body "abcd" and four bytes that check nothing.
        let fragment = [&[0x08, 0x05][..], &[0; 22], b"abcd", &[1, 2, 3, 4]].concat();
        for (flags, want) in [(0x10, &b"abcd"[..]), (0x00, b"abcd\x01\x02\x03\x04")] {
            let frame = [&[0, 0, 9, 0, 2, 0, 0, 0, flags][..], &fragment].concat();
            let got = decode(Payload::whole(&frame), Depth::FULL);
            let Ok(Decoded::LinkFragment(got)) = got else { panic!("a fragment, not {got:?}") };
            assert_eq!(got.payload, Payload::whole(want));
        }
    }

    #[test]
    fn lengths_that_cannot_be() {
        let malformed = |got| matches!(got, Err(Dropped::Malformed { layer: Layer::Link, .. }));
        assert!(malformed(radiotap(&[0, 0, 7, 0, 0, 0, 0, 0], &[])));
        assert!(malformed(radiotap(&[0, 0, 0, 9, 0, 0, 0, 0], &[])));
    }

    #[test]
    fn presence_words_without_end() {
        assert_eq!(flags(&[0, 0, 12, 0, 2, 0, 0, 0x80, 0, 0, 0, 0x80]), None);
        assert_eq!(flags(&[0, 0, 8, 0, 2, 0, 0, 0]), None, "announced, but not there");
    }
}
