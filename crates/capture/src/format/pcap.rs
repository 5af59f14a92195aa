//! The pcap format (draft-ietf-opsawg-pcap): a file header of 24 bytes, then records.

use super::{AtHand, ByteOrder, Record, cut, header_cut};
use crate::error::{Fault, Reason};
use crate::window::{MAX_RECORD, Window};
use wire::{LinkType, Timestamp};

/// Length of the file header.
const FILE_HEADER: usize = 24;

/// Length of a record's header, in nearly all files.
const HEADER: usize = 16;

/// What the magic number tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Variant {
    order: ByteOrder,
    /// Are fractions of a second nanoseconds, not microseconds?
    nanos: bool,
    /// Length of a record's header.
    header: usize,
}

impl Variant {
    /// The variant that begins with these bytes.
    pub(crate) fn of(magic: [u8; 4]) -> Option<Self> {
        [ByteOrder::Little, ByteOrder::Big].into_iter().find_map(|order| {
            let (nanos, header) = match order.u32(magic) {
                0xa1b2_c3d4 => (false, HEADER),
                0xa1b2_3c4d => (true, HEADER),
                // Alexey Kuznetzov's patch of libpcap: interface index, protocol and packet type
                // follow the lengths.
                0xa1b2_cd34 => (false, 24),
                _ => return None,
            };
            Some(Self { order, nanos, header })
        })
    }
}

/// Do the two lengths of a record stand in the wrong order? libpcap's savefiles before version 2.3,
/// and some of 2.3, have the length on the wire first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Swapped {
    No,
    Yes,
    WhereLarger,
}

/// One pcap file.
pub(crate) struct Pcap {
    variant: Variant,
    swapped: Swapped,
    link: LinkType,
    /// Little-endian, with headers of 16 bytes whose lengths stand in the right order: those of nearly all files.
    usual: bool,
}

impl Pcap {
    /// Reads the file header, whose magic number gave `variant`.
    pub(crate) fn read_header(window: &mut Window, variant: Variant) -> Result<Self, Reason> {
        if !window.need(FILE_HEADER).map_err(Reason::Read)? {
            return Err(header_cut(window, FILE_HEADER));
        }
        let header = window.take_bytes(FILE_HEADER);
        let order = variant.order;
        let (major, minor) = (order.u16_at(header, 4), order.u16_at(header, 6));
        let swapped = match (major, minor) {
            (2, 0..=2) | (543, _) => Swapped::Yes,
            (2, 3) => Swapped::WhereLarger,
            (2, _) => Swapped::No,
            _ => return Err(Reason::Header(format!("unknown pcap version {major}.{minor}"))),
        };
        // The high bits tell the length of the frame check sequence; IP's own lengths make it moot.
        let link = LinkType((order.u32_at(header, 20) & 0xffff) as u16);
        let usual = variant.order == ByteOrder::Little
            && variant.header == HEADER
            && swapped == Swapped::No;
        Ok(Self { variant, swapped, link, usual })
    }

    /// The link type of every packet.
    pub(crate) fn link(&self) -> LinkType {
        self.link
    }

    /// Takes the next packet, whose record is described in `record`; `false` where there is none.
    #[inline]
    pub(crate) fn next(&mut self, window: &mut Window, record: &mut Record) -> Result<bool, Fault> {
        let Variant { order, nanos, header } = self.variant;
        if !more(window, header)? {
            return if window.bytes().is_empty() { Ok(false) } else { Err(cut(window, header)) };
        }
        let offset = window.position();
        let [secs, fraction, first, second] = order.u32s(window.bytes());
        let (captured, wire) = self.swapped.lengths(first, second);
        if captured > MAX_RECORD {
            return Err(Fault { at: offset, reason: Reason::TooLong { claimed: captured } });
        }
        let length = header + captured as usize;
        if !more(window, length)? {
            return Err(cut(window, length));
        }
        let taken = window.take(length);
        record.link = Some(self.link);
        record.interface = 0;
        record.time = time(secs, fraction, nanos);
        record.has_time = true;
        record.bytes = taken.start + header..taken.end;
        record.wire_len = wire.max(captured);
        record.offset = offset;
        Ok(true)
    }

    /// The record at the beginning of `bytes`, if it is all there.
    #[inline(always)]
    pub(crate) fn at_hand<'a>(&self, bytes: &'a [u8]) -> Option<AtHand<'a>> {
        let Variant { order, header, .. } = self.variant;
        match self.usual {
            true => self.at_hand_as(bytes, ByteOrder::Little, HEADER, Swapped::No),
            false => self.at_hand_as(bytes, order, header, self.swapped),
        }
    }

    /// The same, for a compiler that knows some of what is told of the format here.
    #[inline(always)]
    fn at_hand_as<'a>(
        &self,
        bytes: &'a [u8],
        order: ByteOrder,
        header: usize,
        swapped: Swapped,
    ) -> Option<AtHand<'a>> {
        let (numbers, _) = bytes.split_first_chunk::<16>()?;
        let [secs, fraction, first, second] = order.u32s(numbers);
        let (captured, wire) = swapped.lengths(first, second);
        let (bytes, rest) = bytes.get(header..)?.split_at_checked(captured as usize)?;
        if captured > MAX_RECORD {
            return None;
        }
        Some(AtHand {
            link: Some(self.link),
            interface: 0,
            time: time(secs, fraction, self.variant.nanos),
            has_time: true,
            wire_len: wire.max(captured),
            bytes,
            rest,
            header,
        })
    }

    /// The length of the record that `bytes` begin with, if its header is there.
    pub(crate) fn next_length(&self, bytes: &[u8]) -> Option<u64> {
        let Variant { order, header, .. } = self.variant;
        bytes.get(..header)?;
        let (captured, _) = self.swapped.lengths(order.u32_at(bytes, 8), order.u32_at(bytes, 12));
        Some(header as u64 + u64::from(captured))
    }
}

impl Swapped {
    /// (captured, on the wire).
    #[inline(always)]
    fn lengths(self, first: u32, second: u32) -> (u32, u32) {
        match self {
            Self::No => (first, second),
            Self::Yes => (second, first),
            Self::WhereLarger => (first.min(second), first.max(second)),
        }
    }
}

#[inline]
fn more(window: &mut Window, wanted: usize) -> Result<bool, Fault> {
    let read = window.need(wanted);
    read.map_err(|error| Fault { at: window.position(), reason: Reason::Read(error) })
}

/// Seconds are unsigned (they end in 2106); a fraction of a second or more is carried over.
#[inline]
fn time(secs: u32, fraction: u32, nanos: bool) -> Timestamp {
    let secs = i64::from(secs);
    if nanos {
        Timestamp::fine(secs, fraction)
    } else if fraction < 1_000_000 {
        Timestamp::new(secs, fraction * 1000)
    } else {
        Timestamp::new(secs + i64::from(fraction / 1_000_000), fraction % 1_000_000 * 1000)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{PcapFile, all, first_error};
    use crate::{Reader, testing::reader};
    use wire::{LinkType, Timestamp};

    #[test]
    fn every_magic_and_byte_order_gives_the_same_packets() {
        for magic in [0xa1b2_c3d4_u32, 0xa1b2_3c4d, 0xa1b2_cd34] {
            for big in [false, true] {
                let mut file = PcapFile::new(magic, big, 101);
                file.packet(1_563_783_092, 387_930, b"first", 5);
                file.packet(1_563_783_093, 7, b"second", 1400);
                let packets = all(&mut reader(file.bytes()));
                let time = if magic == 0xa1b2_3c4d {
                    Timestamp::fine(1_563_783_092, 387_930)
                } else {
                    Timestamp::new(1_563_783_092, 387_930_000)
                };
                assert_eq!(packets.len(), 2);
                assert_eq!(packets[0].link, Some(LinkType::RAW));
                assert_eq!(packets[0].time, Some(time), "{magic:x} {big}");
                assert_eq!((&packets[0].bytes[..], packets[0].wire_len), (&b"first"[..], 5));
                assert_eq!((&packets[1].bytes[..], packets[1].wire_len), (&b"second"[..], 1400));
                assert_eq!((packets[0].number, packets[0].offset), (1, 24));
                let record = if magic == 0xa1b2_cd34 { 24 } else { 16 };
                assert_eq!((packets[1].number, packets[1].offset), (2, 24 + record + 5));
            }
        }
    }

    #[test]
    fn a_fraction_of_a_second_or_more_is_carried_over() {
        let mut file = PcapFile::new(0xa1b2_c3d4, false, 1);
        file.packet(10, 2_500_000, b"x", 1);
        file.packet(u32::MAX, u32::MAX, b"x", 1);
        let packets = all(&mut reader(file.bytes()));
        assert_eq!(packets[0].time, Some(Timestamp::new(12, 500_000_000)));
        assert_eq!(packets[1].time, Some(Timestamp::new(4_294_967_295 + 4294, 967_295_000)));
        let mut file = PcapFile::new(0xa1b2_3c4d, false, 1);
        file.packet(10, 2_500_000_001, b"x", 1);
        assert_eq!(all(&mut reader(file.bytes()))[0].time, Some(Timestamp::fine(12, 500_000_001)));
    }

    #[test]
    fn old_versions_have_the_length_on_the_wire_first() {
        for (version, lengths, want) in [
            ((2, 4), (3, 90), (3, 90)),
            ((2, 2), (90, 3), (3, 90)),
            ((543, 0), (90, 3), (3, 90)),
            ((2, 3), (90, 3), (3, 90)),
            ((2, 3), (3, 90), (3, 90)),
        ] {
            let mut file = PcapFile::new(0xa1b2_c3d4, true, 1);
            file.version(version.0, version.1);
            file.record(1, 2, lengths, b"abc");
            let packets = all(&mut reader(file.bytes()));
            assert_eq!((packets[0].bytes.len(), packets[0].wire_len), want, "{version:?}");
        }
    }

    #[test]
    fn bits_above_the_link_type_are_ignored_and_lengths_made_to_fit() {
        let mut file = PcapFile::new(0xa1b2_c3d4, false, 0x4400_0000 | 113);
        file.packet(1, 2, b"abcd", 0);
        let packets = all(&mut reader(file.bytes()));
        assert_eq!(packets[0].link, Some(LinkType::LINUX_SLL));
        assert_eq!(packets[0].wire_len, 4, "the file says 0");
    }

    #[test]
    fn a_header_alone_is_a_capture_without_packets() {
        let mut reader = reader(PcapFile::new(0xa1b2_c3d4, false, 1).bytes());
        assert_eq!(reader.link_hint(), Some(LinkType::ETHERNET));
        assert!(reader.next_packet().unwrap().is_none());
    }

    #[test]
    fn a_segment_beyond_64_kib_and_the_snap_length_is_read() {
        let mut file = PcapFile::new(0xa1b2_c3d4, false, 1);
        let segment = vec![7; 600_000];
        file.packet(1, 2, &segment, 600_000);
        file.packet(1, 3, b"next", 4);
        let packets = all(&mut reader(file.bytes()));
        assert_eq!((packets[0].bytes.len(), packets[1].bytes.len()), (600_000, 4));
    }

    #[test]
    fn damage_is_told_with_its_place_after_the_packets_before_it() {
        let mut file = PcapFile::new(0xa1b2_c3d4, false, 1);
        file.packet(1, 2, b"good", 4);
        let whole = file.bytes();
        let mut cut_in_data = file.clone();
        cut_in_data.record(1, 3, (60, 60), b"only twenty bytes...");
        let mut too_long = file.clone();
        too_long.record(1, 3, (0x0100_0001, 60), b"x");
        let mut cut_in_header = whole;
        cut_in_header.extend([1, 2, 3]);
        for (bytes, line) in [
            (
                cut_in_data.bytes(),
                "test: at byte 44, packet 2: the file ends here: 76 bytes are needed, 36 are \
                 left; capture or copy it again",
            ),
            (
                cut_in_header,
                "test: at byte 44, packet 2: the file ends here: 16 bytes are needed, 3 are left; \
                 capture or copy it again",
            ),
            (
                too_long.bytes(),
                "test: at byte 44, packet 2: corrupt: a record of 16777217 bytes, none is longer \
                 than 16777216; what follows is lost",
            ),
        ] {
            let mut reader = reader(bytes);
            assert_eq!(reader.next_packet().unwrap().unwrap().bytes, b"good");
            let error = reader.next_packet().unwrap_err();
            assert_eq!(error.to_string(), line);
            assert!(!error.is_unreadable());
            assert!(reader.next_packet().unwrap().is_none(), "nothing after an error");
        }
    }

    #[test]
    fn a_header_that_is_cut_or_of_an_unknown_version_is_unreadable() {
        let whole = PcapFile::new(0xa1b2_c3d4, false, 1).bytes();
        let cut = Reader::from_read("test", Box::new(std::io::Cursor::new(whole[..23].to_vec())));
        let error = cut.unwrap_err();
        assert!(error.is_unreadable());
        assert_eq!(
            error.to_string(),
            "test: its file header is cut: 24 bytes are needed, 23 are there; capture or copy it \
             again"
        );
        let mut file = PcapFile::new(0xa1b2_c3d4, false, 1);
        file.version(3, 1);
        let error = first_error(file.bytes());
        assert!(error.is_unreadable());
        assert_eq!(error.to_string(), "test: unknown pcap version 3.1; capture or copy it again");
    }
}
