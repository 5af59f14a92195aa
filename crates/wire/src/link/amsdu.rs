//! Several frames in one 802.11 frame: the A-MSDU (IEEE 802.11-2020, 9.3.2.2).

use super::{fcs, llc};
use crate::bytes::be16;
use crate::depth::Depth;
use crate::{Decoded, Dropped, Layer, MAX_MPDU, Payload};

/// Offsets in the header of a basic subframe, which is that of Ethernet (9.3.2.2.2).
mod field {
    /// Of the MSDU, header and padding not counted; big-endian, unlike all else in 802.11.
    pub(super) const LENGTH: usize = 12;
    pub(super) const SIZE: usize = 14;
}

/// All subframes but the last are padded to a multiple of this.
const ALIGNMENT: u32 = 4;

/// The frames that one 802.11 frame carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Aggregate<'a> {
    body: Payload<'a>,
    depth: Depth,
}

impl<'a> Aggregate<'a> {
    /// What each of them carries, decoded one by one.
    ///
    /// The subframes are all there are, unless one has a length that cannot be or was not captured: then
    /// the last item says so.
    pub fn subframes(&self) -> Subframes<'a> {
        Subframes { rest: self.body, depth: self.depth }
    }
}

/// The body of a frame that says that it is an A-MSDU.
pub(super) fn decode<'a>(body: Payload<'a>, depth: Depth) -> Result<Decoded<'a>, Dropped> {
    if body.len > MAX_MPDU {
        // What somebody made up must not hold thousands of datagrams.
        let why = "an A-MSDU longer than any frame";
        return Err(Dropped::Malformed { layer: Layer::Link, why });
    }
    body.peek::<{ field::SIZE }>(Layer::Link)?;
    Ok(Decoded::Aggregate(Aggregate { body, depth: depth.deeper()? }))
}

/// The subframes of an [`Aggregate`], one after the other.
#[derive(Clone, Debug)]
pub struct Subframes<'a> {
    rest: Payload<'a>,
    depth: Depth,
}

impl<'a> Subframes<'a> {
    /// Takes the next subframe's MSDU off the front.
    fn split(&mut self) -> Result<Payload<'a>, Dropped> {
        let (header, rest) = self.rest.header::<{ field::SIZE }>(Layer::Link)?;
        let length = u32::from(be16::<{ field::LENGTH }, _>(header));
        if length > rest.len {
            let why = "a subframe of an A-MSDU ends past its frame";
            return Err(Dropped::Malformed { layer: Layer::Link, why });
        }
        let size = field::SIZE as u32;
        let next = (size + length).next_multiple_of(ALIGNMENT) - size;
        let bytes = rest.bytes.get(next as usize..).unwrap_or_default();
        self.rest = Payload { bytes, len: rest.len.saturating_sub(next) };
        Ok(rest.trim(length))
    }
}

impl<'a> Iterator for Subframes<'a> {
    type Item = Result<Decoded<'a>, Dropped>;

    fn next(&mut self) -> Option<Self::Item> {
        // What is left may be a frame check sequence, of which the padding took its part.
        if self.rest.len <= fcs::SIZE as u32 {
            return None;
        }
        let msdu = self.split().inspect_err(|_| self.rest = Payload::whole(&[]));
        Some(msdu.and_then(|msdu| llc::decode(msdu, self.depth)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{IPV4, IPV6};
    use super::*;
    use crate::Datagram;

    const SNAP_V4: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0x00];
    const SNAP_V6: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd];
    const SNAP_ARP: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0x06];

    /// A subframe of this length, without padding.
    fn subframe(length: u16, parts: &[&[u8]]) -> Vec<u8> {
        let addresses = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        [&addresses[..], &length.to_be_bytes(), &parts.concat()].concat()
    }

    /// Of IPv4 (44 bytes, no padding), ARP (30 and 2 bytes of padding) and IPv6 (64 bytes).
    fn three() -> Vec<u8> {
        let v4 = subframe(30, &[&SNAP_V4, &IPV4]);
        let arp = subframe(16, &[&SNAP_ARP, &[0; 8], &[0xee; 2]]);
        let v6 = subframe(50, &[&SNAP_V6, &IPV6]);
        [v4, arp, v6].concat()
    }

    /// What is found: the payload of each datagram ("hi"), or why there is none.
    fn found(body: Payload<'_>) -> Vec<Result<Payload<'_>, Dropped>> {
        let Ok(Decoded::Aggregate(aggregate)) = decode(body, Depth::FULL) else {
            panic!("several frames");
        };
        let payload = |decoded| match decoded {
            Decoded::Datagram(Datagram { body, .. }) => body.payload(),
            other => panic!("a datagram, not {other:?}"),
        };
        aggregate.subframes().map(|decoded| decoded.map(payload)).collect()
    }

    const HI: Result<Payload<'_>, Dropped> = Ok(Payload { bytes: b"hi", len: 2 });

    fn malformed<T>(why: &'static str) -> Result<T, Dropped> {
        Err(Dropped::Malformed { layer: Layer::Link, why })
    }

    #[test]
    fn each_subframe_is_decoded() {
        let body = three();
        assert_eq!(body.len(), 44 + 32 + 64);
        assert_eq!(found(Payload::whole(&body)), [HI, Err(Dropped::NotIp), HI]);
    }

    #[test]
    fn the_last_one_may_be_padded_and_a_frame_check_sequence_may_follow() {
        let last = subframe(32, &[&SNAP_V4, &IPV4, &[0xee; 2]]);
        assert_eq!(last.len(), 46);
        for tail in 0..=6 {
            let body = [&three()[..], &last, &[0xcc; 6][..tail]].concat();
            assert_eq!(found(Payload::whole(&body))[3..], [HI], "{tail} bytes behind the last");
        }
        let body = [&three()[..], &last, &[0xcc; 7]].concat();
        let want = [HI, malformed("the packet ends inside it")];
        assert_eq!(found(Payload::whole(&body))[3..], want);
    }

    #[test]
    fn a_length_that_cannot_be_ends_the_subframes() {
        let mut body = three();
        body[44 + 13] = 83;
        let why = "a subframe of an A-MSDU ends past its frame";
        assert_eq!(found(Payload::whole(&body)), [HI, malformed(why)]);
        body[44 + 13] = 82;
        assert_eq!(found(Payload::whole(&body)), [HI, Err(Dropped::NotIp)], "all the rest");
    }

    #[test]
    fn a_subframe_of_no_bytes_is_none_and_the_next_one_counts() {
        let body = [subframe(0, &[&[0xee; 2]]), three()].concat();
        let nothing =
            Err(Dropped::Malformed { layer: Layer::Llc, why: "the packet ends inside it" });
        assert_eq!(found(Payload::whole(&body)), [nothing, HI, Err(Dropped::NotIp), HI]);
    }

    #[test]
    fn what_was_captured_of_a_cut_aggregate_is_used() {
        let body = three();
        let cut = |captured: usize| found(Payload { bytes: &body[..captured], len: 140 });
        let gone = |found| Err(Dropped::Truncated { layer: Layer::Link, needed: 14, found });
        assert_eq!(cut(139), [HI, Err(Dropped::NotIp), Ok(Payload { bytes: b"h", len: 2 })]);
        assert_eq!(cut(80), [HI, Err(Dropped::NotIp), gone(4)]);
        assert_eq!(cut(74), [HI, Err(Dropped::NotIp), gone(0)], "in the padding");
        assert_eq!(cut(43), [Ok(Payload { bytes: b"h", len: 2 }), gone(0)]);
    }

    #[test]
    fn bodies_that_hold_no_subframe_or_too_many() {
        let got = |bytes, len| decode(Payload { bytes, len }, Depth::FULL);
        assert_eq!(got(&[0; 13], 13), malformed("the packet ends inside it"));
        let cut = Dropped::Truncated { layer: Layer::Link, needed: 14, found: 13 };
        assert_eq!(got(&[0; 13], 14), Err(cut));
        assert!(got(&[0; 14], MAX_MPDU).is_ok());
        assert_eq!(got(&[0; 14], MAX_MPDU + 1), malformed("an A-MSDU longer than any frame"));
    }
}
