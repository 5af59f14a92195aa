//! What a pcapng interface description says, and how its clock is read.

use super::ByteOrder;
use wire::{LinkType, Timestamp};

/// One capturing interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Interface {
    pub(crate) link: LinkType,
    /// The most bytes it captures of a packet; 0 for no limit.
    pub(crate) snap_len: u32,
    pub(crate) clock: Clock,
}

impl Interface {
    /// Reads the body of an interface description block, at least 8 bytes.
    pub(crate) fn read(body: &[u8], order: ByteOrder) -> Self {
        let options = body.get(8..).unwrap_or_default();
        let link = LinkType(order.u16_at(body, 0));
        Self { link, snap_len: order.u32_at(body, 4), clock: Clock::read(options, order) }
    }
}

/// How the times of an interface are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Clock {
    unit: Unit,
    /// Added to every time, in seconds (`if_tsoffset`).
    offset: i64,
}

/// The length of a tick (`if_tsresol`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unit {
    Micro,
    Nano,
    /// 10^-n seconds, n up to 127.
    Decimal(u8),
    /// 2^-n seconds, n up to 127.
    Binary(u8),
}

const NANOS: u64 = 1_000_000_000;

impl Clock {
    /// The clock of an interface that says nothing of it.
    pub(crate) const DEFAULT: Self = Self { unit: Unit::Micro, offset: 0 };

    /// Looks through the options of an interface description. One of a wrong length counts as
    /// absent, and a list that runs over its end stops there: a damaged comment costs no packets.
    fn read(mut options: &[u8], order: ByteOrder) -> Self {
        let mut clock = Self::DEFAULT;
        while let Some((head, rest)) = options.split_first_chunk::<4>() {
            let (code, length) = (order.u16_at(head, 0), usize::from(order.u16_at(head, 2)));
            let Some(value) = rest.get(..length).filter(|_| code != 0) else { break };
            match (code, value) {
                (9, &[unit]) => clock.unit = Unit::read(unit),
                (14, value) => {
                    if let Ok(bytes) = <[u8; 8]>::try_from(value) {
                        clock.offset = match order {
                            ByteOrder::Little => i64::from_le_bytes(bytes),
                            ByteOrder::Big => i64::from_be_bytes(bytes),
                        };
                    }
                }
                _ => {}
            }
            options = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        clock
    }

    /// The time `ticks` after the epoch; what no `i64` of seconds can hold ends at its limits.
    #[inline]
    pub(crate) fn time(self, ticks: u64) -> Timestamp {
        let (secs, nanos) = match self.unit {
            Unit::Micro => (ticks / 1_000_000, ticks % 1_000_000 * 1000),
            Unit::Nano => (ticks / NANOS, ticks % NANOS),
            Unit::Decimal(n) => decimal(ticks, n),
            Unit::Binary(n) => binary(ticks, n),
        };
        let secs = i64::try_from(secs).unwrap_or(i64::MAX).saturating_add(self.offset);
        // Below 10^9 in each case above.
        let nanos = nanos as u32;
        if self.unit.is_fine() { Timestamp::fine(secs, nanos) } else { Timestamp::new(secs, nanos) }
    }
}

impl Unit {
    /// The top bit says whether the rest is a power of 2 or of 10.
    fn read(value: u8) -> Self {
        match value {
            6 => Self::Micro,
            9 => Self::Nano,
            n if n & 0x80 == 0 => Self::Decimal(n),
            n => Self::Binary(n & 0x7f),
        }
    }

    /// Shorter than a microsecond?
    #[inline]
    fn is_fine(self) -> bool {
        match self {
            Self::Micro => false,
            Self::Nano => true,
            Self::Decimal(n) => n > 6,
            // 2^20 is the first power above 10^6.
            Self::Binary(n) => n >= 20,
        }
    }
}

/// Ticks of 10^-n s as seconds and nanoseconds. 10^19 is the last power within 64 bits: beyond it all
/// ticks together are less than a second.
fn decimal(ticks: u64, n: u8) -> (u64, u64) {
    let n = u32::from(n);
    let (secs, rest) = match 10_u64.checked_pow(n) {
        Some(second) => (ticks / second, ticks % second),
        None => (0, ticks),
    };
    let nanos = match n.checked_sub(9) {
        None => rest * 10_u64.pow(9 - n),
        Some(finer) => 10_u64.checked_pow(finer).map_or(0, |nano| rest / nano),
    };
    (secs, nanos)
}

/// Ticks of 2^-n s as seconds and nanoseconds.
fn binary(ticks: u64, n: u8) -> (u64, u64) {
    let n = u32::from(n);
    let secs = ticks.checked_shr(n).unwrap_or(0);
    let rest = if n < 64 { ticks & ((1 << n) - 1) } else { ticks };
    // 64 bits times 30 bits: no more than 94 of 128, and n is below 128.
    let nanos = (u128::from(rest) * u128::from(NANOS)) >> n;
    (secs, nanos as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clock(unit: u8, offset: i64) -> Clock {
        Clock { unit: Unit::read(unit), offset }
    }

    #[test]
    fn ticks_of_every_usual_unit() {
        for (unit, ticks, secs, nanos, fine) in [
            (0, 1_563_783_092, 1_563_783_092, 0, false),
            (3, 1_563_783_092_387, 1_563_783_092, 387_000_000, false),
            (6, 1_563_783_092_387_930, 1_563_783_092, 387_930_000, false),
            (7, 15_637_830_923_879_301, 1_563_783_092, 387_930_100, true),
            (9, 1_563_783_092_387_930_123, 1_563_783_092, 387_930_123, true),
            (12, 1_563_783_387_930_123_456, 1_563_783, 387_930_123, true),
            (19, u64::MAX, 1, 844_674_407, true),
            (20, u64::MAX, 0, 184_467_440, true),
            (47, u64::MAX, 0, 0, true),
            (127, u64::MAX, 0, 0, true),
            (0x80, 77, 77, 0, false),
            (0x80 | 10, 1536, 1, 500_000_000, false),
            (0x80 | 19, 1 << 18, 0, 500_000_000, false),
            (0x80 | 20, 3 << 19, 1, 500_000_000, true),
            (0x80 | 32, (5 << 32) | (1 << 30), 5, 250_000_000, true),
            (0x80 | 63, u64::MAX, 1, 999_999_999, true),
            (0x80 | 64, 1 << 63, 0, 500_000_000, true),
            (0xff, u64::MAX, 0, 0, true),
        ] {
            let want = if fine { Timestamp::fine } else { Timestamp::new };
            assert_eq!(clock(unit, 0).time(ticks), want(secs, nanos), "unit {unit} ticks {ticks}");
        }
    }

    #[test]
    fn the_offset_is_in_seconds_and_ends_at_the_limits() {
        assert_eq!(clock(6, -10).time(12_500_000), Timestamp::new(2, 500_000_000));
        assert_eq!(clock(0, 1).time(u64::MAX), Timestamp::new(i64::MAX, 0));
        assert_eq!(clock(0, i64::MIN).time(u64::MAX), Timestamp::new(-1, 0));
        assert_eq!(clock(9, i64::MIN).time(1), Timestamp::fine(i64::MIN, 1));
    }

    #[test]
    fn options_in_either_byte_order_and_damaged_ones() {
        let big = ByteOrder::Big;
        // if_name "eth", if_tsresol 9, if_tsoffset 5, end of options.
        let options =
            b"\0\x02\0\x03eth\0\0\x09\0\x01\x09\0\0\0\0\x0e\0\x08\0\0\0\0\0\0\0\x05\0\0\0\0";
        assert_eq!(Clock::read(options, big), clock(9, 5));
        let little = b"\x09\0\x01\0\x83\0\0\0\x0e\0\x08\0\xff\xff\xff\xff\xff\xff\xff\xff";
        assert_eq!(Clock::read(little, ByteOrder::Little), clock(0x83, -1));
        // Nothing is read behind the end of options, behind a length too large or of a wrong length.
        assert_eq!(Clock::read(b"\0\0\0\0\0\x09\0\x01\x09\0\0\0", big), Clock::DEFAULT);
        assert_eq!(Clock::read(b"\0\x01\xff\xff\0\x09\0\x01\x09\0\0\0", big), Clock::DEFAULT);
        assert_eq!(
            Clock::read(b"\0\x09\0\x02\x09\x09\0\0\0\x0e\0\x04\0\0\0\x05", big),
            Clock::DEFAULT
        );
        assert_eq!(Clock::read(b"\0\x09\0", big), Clock::DEFAULT);
        // The last option may lack its padding.
        assert_eq!(Clock::read(b"\0\x09\0\x01\x09", big), clock(9, 0));
    }

    proptest! {
        #[test]
        fn every_clock_agrees_with_exact_arithmetic(unit: u8, ticks: u64, offset in -1000_i64..1000) {
            let time = clock(unit, offset).time(ticks);
            let n = u32::from(unit & 0x7f);
            // Floor of ticks * 10^9 / units per second, where 128 bits can hold the divisor.
            let per_second = if unit & 0x80 == 0 { 10_u128.checked_pow(n) } else { Some(1 << n) };
            let exact = per_second.map_or(0, |per| u128::from(ticks) * 1_000_000_000 / per);
            let secs = i64::try_from(exact / 1_000_000_000).unwrap_or(i64::MAX);
            prop_assert_eq!(time.secs(), secs.saturating_add(offset));
            prop_assert_eq!(u128::from(time.subsec_nanos()), exact % 1_000_000_000);
            let fine = per_second.is_none_or(|per| per > 1_000_000);
            prop_assert_eq!(time.is_fine(), fine);
        }
    }
}
