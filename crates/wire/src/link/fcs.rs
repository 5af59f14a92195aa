//! The frame check sequence at the end of an 802.11 frame, where a capture has it.
//!
//! Only fragments need to know: elsewhere the length of IP, or of a subframe, trims it.

use crate::Payload;

/// Of the sequence.
pub(super) const SIZE: usize = 4;

/// The generator polynomial, the lowest bit first (IEEE 802.11-2020, 9.2.4.8).
const POLYNOMIAL: u32 = 0xedb8_8320;

/// The remainders of four bits.
const NIBBLES: [u32; 16] = {
    let mut table = [0; 16];
    let mut i = 0;
    while i < 16 {
        let mut remainder = i as u32;
        let mut bit = 0;
        while bit < 4 {
            let carry = remainder & 1;
            remainder >>= 1;
            if carry != 0 {
                remainder ^= POLYNOMIAL;
            }
            bit += 1;
        }
        table[i] = remainder;
        i += 1;
    }
    table
};

/// The frame without its frame check sequence.
///
/// `known` says that it has one. Most captures of bare 802.11 say nothing of it; then the last four
/// bytes are one if they check all before them, which one frame in 2^32 does by chance.
pub(super) fn without(frame: Payload<'_>, known: bool) -> Payload<'_> {
    if known || ends_with_fcs(frame) {
        frame.trim(frame.len.saturating_sub(SIZE as u32))
    } else {
        frame
    }
}

fn ends_with_fcs(frame: Payload<'_>) -> bool {
    match frame.bytes.split_last_chunk::<SIZE>() {
        Some((checked, fcs)) if frame.missing() == 0 => crc32(checked).to_le_bytes() == *fcs,
        _ => false,
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, bits: u32| crc >> 4 ^ NIBBLES[((crc ^ bits) & 0x0f) as usize];
    let crc = bytes.iter().fold(u32::MAX, |crc, &byte| {
        let byte = u32::from(byte);
        step(step(crc, byte), byte >> 4)
    });
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The CRC of "123456789", which every description of it gives, and so what stands in a frame.
    const CHECKED: &[u8; 13] = b"123456789\x26\x39\xf4\xcb";

    #[test]
    fn the_crc_is_the_one_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn four_bytes_that_check_the_rest_are_no_data() {
        let got = without(Payload::whole(CHECKED), false);
        assert_eq!(got, Payload::whole(b"123456789"));
        let other = Payload::whole(b"1234567890123");
        assert_eq!(without(other, false), other);
        assert_eq!(without(Payload::whole(b"123"), false), Payload::whole(b"123"));
    }

    #[test]
    fn a_sequence_that_was_announced_goes_unchecked() {
        assert_eq!(without(Payload::whole(b"abcdefgh"), true), Payload::whole(b"abcd"));
        let snapped = Payload { bytes: b"abcdef", len: 9 };
        assert_eq!(without(snapped, true), Payload { bytes: b"abcde", len: 5 });
        assert_eq!(without(snapped, false), snapped);
        assert_eq!(without(Payload::whole(b"abc"), true), Payload::whole(b""));
    }
}
