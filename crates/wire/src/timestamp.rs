//! When a packet was captured.

/// A capture time: seconds and nanoseconds since 1970-01-01 00:00:00 UTC, leap seconds not counted.
///
/// It remembers whether the capturing interface resolved finer than a microsecond, since that
/// decides how many decimals are printed.
///
/// 12 bytes, not 16: every connection and every byte held out of order has one or two.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C, packed(4))]
pub struct Timestamp {
    secs: i64,
    /// Below 10^9, plus `FINE`.
    nanos: u32,
}

/// Set in `nanos` where the interface resolved finer than 1 µs.
const FINE: u32 = 1 << 31;

impl Timestamp {
    /// `nanos` past `secs`, of an interface whose unit is a microsecond or coarser. Nanoseconds
    /// beyond a second are carried over.
    #[inline]
    pub fn new(secs: i64, nanos: u32) -> Self {
        if nanos < 1_000_000_000 {
            return Self { secs, nanos };
        }
        Self {
            secs: secs.saturating_add(i64::from(nanos / 1_000_000_000)),
            nanos: nanos % 1_000_000_000,
        }
    }

    /// The same for an interface that resolves finer than a microsecond.
    pub fn fine(secs: i64, nanos: u32) -> Self {
        let t = Self::new(secs, nanos);
        Self { nanos: t.nanos | FINE, ..t }
    }

    /// The same, read number by number.
    ///
    /// A copy may be made in pieces that are not those in which it was written a moment ago, and a
    /// processor waits for such a piece until everything is written: 5 ns, which matter on the way of
    /// every packet.
    #[inline(always)]
    pub fn again(&self) -> Self {
        let (secs, nanos) = (self.secs, self.nanos);
        Self { secs, nanos }
    }

    /// Whole seconds since the epoch, rounded down; negative before 1970.
    pub fn secs(self) -> i64 {
        self.secs
    }

    /// Nanoseconds past [`Self::secs`], below 10^9.
    pub fn subsec_nanos(self) -> u32 {
        self.nanos & !FINE
    }

    /// Did the interface resolve finer than a microsecond?
    pub fn is_fine(self) -> bool {
        self.nanos & FINE != 0
    }

    /// So many seconds later.
    pub fn later_by(self, secs: u32) -> Self {
        Self { secs: self.secs.saturating_add(i64::from(secs)), nanos: self.nanos }
    }

    /// Nanoseconds from `earlier` to this time; negative when `earlier` is the later one.
    pub fn nanos_since(self, earlier: Self) -> i128 {
        (i128::from(self.secs) - i128::from(earlier.secs)) * 1_000_000_000
            + i128::from(self.subsec_nanos())
            - i128::from(earlier.subsec_nanos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_beyond_a_second_are_carried() {
        let t = Timestamp::new(5, 1_500_000_000);
        assert_eq!((t.secs(), t.subsec_nanos(), t.is_fine()), (6, 500_000_000, false));
    }

    #[test]
    fn differences_have_a_sign_and_do_not_overflow() {
        let a = Timestamp::fine(i64::MIN, 1);
        let b = Timestamp::new(i64::MAX, 999_999_999);
        assert!(b.nanos_since(a) > 0);
        assert_eq!(a.nanos_since(b), -b.nanos_since(a));
        assert_eq!(Timestamp::new(2, 0).nanos_since(Timestamp::fine(1, 999_999_999)), 1);
    }
}
