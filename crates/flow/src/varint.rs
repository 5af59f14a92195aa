//! Numbers in as few bytes as they need.
//!
//! The shape is LEB128 (DWARF 5, section 7.6): seven bits a byte, the lowest first, the eighth set
//! where more follow. A difference is doubled first, the bits turned where it is negative, so that
//! small ones are small whichever way they go.

/// Appends numbers to bytes.
pub(crate) struct Writer<'a>(pub(crate) &'a mut Vec<u8>);

impl Writer<'_> {
    /// A number.
    #[inline]
    pub(crate) fn put(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    /// `n`, for a reader who knows `near`: one byte where they differ by less than 64.
    #[inline]
    pub(crate) fn put_near(&mut self, n: u64, near: u64) {
        let ahead = n.wrapping_sub(near) as i64;
        self.put((ahead << 1 ^ ahead >> 63) as u64);
    }

    /// Leaves room for 32 bits; where.
    #[inline]
    pub(crate) fn leave_u32(&mut self) -> usize {
        self.0.extend_from_slice(&[0; 4]);
        self.0.len() - 4
    }

    /// Fills the room that was [left](Self::leave_u32).
    #[inline]
    pub(crate) fn set_u32(&mut self, start: usize, n: u32) {
        if let Some(room) = self.0.get_mut(start..start + 4) {
            room.copy_from_slice(&n.to_le_bytes());
        }
    }
}

/// Takes numbers off bytes, in the order in which a [`Writer`] put them there.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl Reader<'_> {
    /// A number. Behind the last one, 0.
    #[inline]
    pub(crate) fn take(&mut self) -> u64 {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let Some((&byte, rest)) = self.0.split_first() else { break };
            self.0 = rest;
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        n
    }

    /// What was put as near to `near`.
    #[inline]
    pub(crate) fn take_near(&mut self, near: u64) -> u64 {
        let ahead = self.take();
        near.wrapping_add_signed((ahead >> 1) as i64 ^ -((ahead & 1) as i64))
    }

    /// The 32 bits that the writer [left](Writer::leave_u32) room for.
    #[inline]
    pub(crate) fn take_u32(&mut self) -> u32 {
        let Some((bytes, rest)) = self.0.split_first_chunk() else { return 0 };
        self.0 = rest;
        u32::from_le_bytes(*bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// How many bytes a number takes.
    fn len(write: impl FnOnce(&mut Writer<'_>)) -> usize {
        let mut bytes = Vec::new();
        write(&mut Writer(&mut bytes));
        bytes.len()
    }

    #[test]
    fn small_numbers_and_small_differences_are_short() {
        assert_eq!([0, 127, 128, 16_383, 16_384].map(|n| len(|w| w.put(n))), [1, 1, 2, 2, 3]);
        assert_eq!(len(|w| w.put(u64::MAX)), 10);
        let near = [63, 64, -64, -65].map(|by| (1u64 << 50).wrapping_add_signed(by));
        assert_eq!(near.map(|n| len(|w| w.put_near(n, 1 << 50))), [1, 2, 1, 2]);
    }

    #[test]
    fn behind_the_end_is_nothing() {
        assert_eq!((Reader(&[]).take(), Reader(&[0x85]).take()), (0, 5));
        // No writer makes eleven bytes.
        assert_eq!(Reader(&[0xff; 20]).take(), u64::MAX);
    }

    proptest! {
        #[test]
        fn numbers_come_back(numbers in proptest::collection::vec(any::<(u64, u64, u32)>(), 0..20)) {
            let mut bytes = Vec::new();
            let mut writer = Writer(&mut bytes);
            for &(n, near, shift) in &numbers {
                let room = writer.leave_u32();
                writer.put(n >> (shift % 64));
                writer.set_u32(room, shift);
                writer.put_near(n, near);
            }
            let mut reader = Reader(&bytes);
            for (n, near, shift) in numbers {
                prop_assert_eq!(reader.take_u32(), shift);
                prop_assert_eq!(reader.take(), n >> (shift % 64));
                prop_assert_eq!(reader.take_near(near), n);
            }
            prop_assert!(reader.0.is_empty());
        }
    }
}
