//! Bytes as JSON: escaped text and hexadecimal digits.

/// Appends bytes as the inside of a JSON string, each byte one character (Latin-1): `\b \f \n \r \t
/// \" \\`, else `\u00XX` below 0x20 and from 0x7F on.
pub(crate) fn push_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    for piece in bytes.chunks(PIECE) {
        push_piece(out, piece);
    }
}

/// So many bytes are escaped in a buffer of their own before they are appended: appending costs too
/// much to be done for each escape.
const PIECE: usize = 128;

/// Appends at most `PIECE` bytes, of which any may need an escape.
fn push_piece(out: &mut Vec<u8>, bytes: &[u8]) {
    // Eight bytes are copied at a time, a word without escapes or the entry of a byte that is
    // shorter: a copy of known length is one instruction. Whole JSON lines of 1500 bytes are written
    // at 1.5 GB/s of text and 0.9 GB/s of random bytes, against 0.5 and 0.3 with copies of just the
    // length needed.
    let mut text = [0; PIECE * 6 + 8];
    let mut len = 0;
    let (words, rest) = bytes.as_chunks::<8>();
    let push_byte = |len: &mut usize, byte: u8, text: &mut [u8]| {
        let entry = &ESCAPES[usize::from(byte)];
        text[*len..*len + 8].copy_from_slice(entry);
        *len += usize::from(entry[7]);
    };
    for word in words {
        if has_dirty_byte(u64::from_le_bytes(*word)) {
            word.iter().for_each(|&byte| push_byte(&mut len, byte, &mut text));
        } else {
            text[len..len + 8].copy_from_slice(word);
            len += 8;
        }
    }
    rest.iter().for_each(|&byte| push_byte(&mut len, byte, &mut text));
    out.extend_from_slice(&text[..len]);
}

/// For each byte the text that stands for it, up to 6 bytes, and in the last place its length.
static ESCAPES: [[u8; 8]; 256] = escapes();

const fn escapes() -> [[u8; 8]; 256] {
    let hex = b"0123456789ABCDEF";
    let mut table = [[0; 8]; 256];
    let mut n = 0;
    while n < 256 {
        let byte = n as u8;
        let short = match byte {
            0x08 => b'b',
            0x0C => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            b'"' | b'\\' => byte,
            _ => 0,
        };
        table[n] = if short != 0 {
            [b'\\', short, 0, 0, 0, 0, 0, 2]
        } else if byte < 0x20 || byte >= 0x7F {
            [b'\\', b'u', b'0', b'0', hex[n >> 4], hex[n & 15], 0, 6]
        } else {
            [byte, 0, 0, 0, 0, 0, 0, 1]
        };
        n += 1;
    }
    table
}

/// Does any of eight bytes need an escape?
///
/// Subtracting 0x20 from each sets the high bit of those below it, and a byte equals another if
/// subtracting 1 from their difference does. A borrow may reach into the next byte, but only from a
/// byte that is found anyway.
fn has_dirty_byte(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let below = |n: u64, word: u64| word.wrapping_sub(ONES * n) & !word;
    let equal = |byte: u8| below(1, word ^ (ONES * u64::from(byte)));
    (below(0x20, word) | equal(b'"') | equal(b'\\') | equal(0x7F) | word) & HIGH != 0
}

/// Appends two upper-case digits a byte.
pub(crate) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + 2 * bytes.len(), 0);
    let written = const_hex::encode_to_slice_upper(bytes, &mut out[start..]);
    written.expect("the slice has just been made twice as long as the bytes");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        push_escaped(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_classic_escapes() {
        assert_eq!(escaped(b"ls\n"), r"ls\n");
        assert_eq!(escaped(b"\x08\x0C\n\r\t\"\\/'"), r#"\b\f\n\r\t\"\\/'"#);
        assert_eq!(
            escaped(b"\x00\x0B\x1F\x20\x7E\x7F\x80\xFF"),
            r"\u0000\u000B\u001F ~\u007F\u0080\u00FF"
        );
        assert_eq!(escaped(b""), "");
    }

    #[test]
    fn each_byte_is_escaped_wherever_it_stands() {
        for byte in 0..=255 {
            let alone = escaped(&[byte]);
            for place in 0..150 {
                let mut bytes = [b'a'; 150];
                bytes[place] = byte;
                let expected = "a".repeat(place) + &alone + &"a".repeat(149 - place);
                assert_eq!(escaped(&bytes), expected);
            }
        }
    }

    #[test]
    fn hex_is_upper_case() {
        let mut out = b"x".to_vec();
        push_hex(&mut out, b"ls\n\xAB");
        assert_eq!(out, b"x6C730AAB");
    }

    proptest! {
        #[test]
        fn a_json_reader_gets_the_bytes_back(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let text: String = serde_json::from_str(&format!("\"{}\"", escaped(&bytes))).unwrap();
            let back: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
            prop_assert_eq!(back, bytes);
        }
    }
}
