//! Where bytes come from.

use crate::entry::{put_time, take_time};
use crate::varint::{Reader, Writer};
use wire::Timestamp;

/// The packet that brought something: every byte and every decision has one.
///
/// 20 bytes: every connection has two, and every piece held out of order one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Source {
    /// When the packet was captured.
    pub time: Timestamp,
    place: Place,
}

/// The packet's number, and above it the file's. Copied in one piece: see [`Timestamp::again`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C, packed(4))]
struct Place(u64);

/// An input, whose packets are named.
#[derive(Clone, Copy, Debug)]
pub struct InFile(u64);

impl InFile {
    /// The input with this number, from 1, in the order of the command line.
    #[inline]
    pub fn new(file: u32) -> Self {
        Self(u64::from(file.min(Source::MAX_FILE)) << NUMBER_BITS)
    }

    /// Its packet with this number, from 1.
    #[inline(always)]
    pub fn packet(self, time: Timestamp, number: u64) -> Source {
        Source { time, place: Place(number.min(Source::MAX_NUMBER) | self.0) }
    }
}

/// Bits of a packet's number.
const NUMBER_BITS: u32 = 44;

impl Source {
    /// The highest number of a packet; higher ones are shown as this. A file of so many packets has more
    /// than 10^15 bytes.
    pub const MAX_NUMBER: u64 = (1 << NUMBER_BITS) - 1;

    /// The highest number of an input; higher ones are shown as this.
    pub const MAX_FILE: u32 = (1 << (u64::BITS - NUMBER_BITS)) - 1;

    /// A packet with this number in its input, from 1, as Wireshark counts; and the input's number,
    /// from 1, in the order of the command line.
    #[inline]
    pub fn new(time: Timestamp, number: u64, file: u32) -> Self {
        InFile::new(file).packet(time, number)
    }

    /// The same, read number by number: see [`Timestamp::again`].
    #[inline(always)]
    pub(crate) fn again(&self) -> Self {
        let (place, time) = (self.place.0, self.time.again());
        Self { time, place: Place(place) }
    }

    /// Puts it down.
    pub(crate) fn put(&self, out: &mut Writer<'_>) {
        put_time(self.time, 0, out);
        out.put(self.number());
        out.put(u64::from(self.file()));
    }

    /// What was put down.
    pub(crate) fn take(bytes: &mut Reader<'_>) -> Self {
        let time = take_time(0, bytes);
        Self::new(time, bytes.take(), bytes.take() as u32)
    }

    /// The packet's number in its file, from 1, as Wireshark counts.
    #[inline]
    pub fn number(self) -> u64 {
        self.place.0 & Self::MAX_NUMBER
    }

    /// The input's number, from 1, in the order of the command line.
    #[inline]
    pub fn file(self) -> u32 {
        (self.place.0 >> NUMBER_BITS) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_beyond_the_highest_stay_there() {
        let time = Timestamp::new(7, 8);
        let source = |number, file| {
            let source = Source::new(time, number, file);
            assert_eq!(source.time, time);
            (source.number(), source.file())
        };
        for (number, file) in [(0, 0), (1, 1), (u64::from(u32::MAX) + 5, 3), (1 << 43, 1 << 19)] {
            assert_eq!(source(number, file), (number, file));
        }
        assert_eq!(source(u64::MAX, u32::MAX), (Source::MAX_NUMBER, Source::MAX_FILE));
        assert_eq!(size_of::<Source>(), 20);
    }
}
