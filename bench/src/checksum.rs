//! The Internet checksum (RFC 1071).

/// A running sum over 16-bit words in network order.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    /// Adds bytes; an odd last byte counts as the upper half of a word, so only the last part of
    /// what is summed may have an odd length.
    #[must_use]
    pub(crate) fn bytes(self, data: &[u8]) -> Self {
        // Four bytes at a time: the sum of 32-bit words folds to the sum of 16-bit words, because
        // 2^16 is 1 modulo 2^16 - 1. 64 bits hold the sum of 2^32 of them.
        let (words, rest) = data.as_chunks::<4>();
        let sum: u64 = words.iter().map(|word| u64::from(u32::from_be_bytes(*word))).sum();
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        Self(self.0 + sum + u64::from(u32::from_be_bytes(last)))
    }

    /// Adds one number.
    #[must_use]
    pub(crate) fn number(self, number: u32) -> Self {
        Self(self.0 + u64::from(number))
    }

    /// The checksum as it stands in a header.
    pub(crate) fn finish(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xFFFF {
            sum = (sum >> 16) + (sum & 0xFFFF);
        }
        !(sum as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_example_of_rfc_1071() {
        // Section 3: 0001 f203 f4f5 f6f7 sums to ddf2.
        let data = [0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7];
        assert_eq!(Sum::default().bytes(&data).finish(), !0xDDF2);
        assert_eq!(Sum::default().bytes(&data[..2]).bytes(&data[2..]).finish(), !0xDDF2);
    }

    #[test]
    fn an_odd_byte_is_the_upper_half_of_a_word() {
        assert_eq!(Sum::default().bytes(&[0x12, 0x34, 0x56]).finish(), !(0x1234 + 0x5600));
    }
}
