//! Sequence numbers without wrap-around.

use crate::varint::{Reader, Writer};
use std::num::NonZeroU64;

/// A position that may not be known yet, in 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Mark(Option<NonZeroU64>);

impl Mark {
    /// A known position.
    pub(super) fn at(position: u64) -> Self {
        Self(NonZeroU64::new(position))
    }

    /// The position, if it is known.
    pub(super) fn get(self) -> Option<u64> {
        self.0.map(NonZeroU64::get)
    }

    /// The position, 0 where it is not known.
    pub(super) fn or_zero(self) -> u64 {
        self.0.map_or(0, NonZeroU64::get)
    }

    /// Puts it down for a reader who knows `near`.
    pub(super) fn put(self, near: u64, out: &mut Writer<'_>) {
        out.put(u64::from(self.0.is_some()));
        if let Some(position) = self.get() {
            out.put_near(position, near);
        }
    }

    /// What was put down.
    pub(super) fn take(near: u64, bytes: &mut Reader<'_>) -> Self {
        match bytes.take() {
            0 => Self::default(),
            _ => Self::at(bytes.take_near(near)),
        }
    }
}

/// Where the first sequence number of a direction is put: far enough from 0 for what comes below it.
const FIRST: u64 = 1 << 40;

/// The position of the first sequence number seen of a direction. Its low 32 bits are `seq`, as those
/// of every position are the sequence number of its byte.
pub(super) fn first(seq: u32) -> u64 {
    FIRST | u64::from(seq)
}

/// The position of `seq` that is nearest to `near` (RFC 9293, section 3.4: numbers are compared modulo
/// 2^32, so half of them lie before and half behind).
pub(super) fn nearest(seq: u32, near: u64) -> u64 {
    let ahead = seq.wrapping_sub(near as u32) as i32;
    // `near` never comes close to either end: a direction would have to send 2^24 times its whole
    // sequence space upwards, or restart 256 times half of it downwards.
    near.saturating_add_signed(i64::from(ahead))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_go_on_where_sequence_numbers_wrap() {
        let a = first(0xffff_fff0);
        assert_eq!(nearest(0x10, a), a + 0x20);
        assert_eq!(nearest(0xffff_fff0, a + 0x20), a);
        assert_eq!(nearest(0x7fff_ffef, a), a + 0x7fff_ffff);
        assert_eq!(nearest(0x7fff_fff0, a), a - 0x8000_0000);
    }

    #[test]
    fn the_low_bits_are_the_sequence_number() {
        for near in [first(0), first(7), first(u32::MAX) + (9 << 32)] {
            for seq in [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
                assert_eq!(nearest(seq, near) as u32, seq);
            }
        }
    }
}
