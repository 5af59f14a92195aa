//! Bytes as JSON: escaped text and hexadecimal digits.

/// Appends bytes as the inside of a JSON string, each byte one character (Latin-1): `\b \f \n \r \t
/// \" \\`, else `\u00XX` below 0x20 and from 0x7F on.
pub(crate) fn push_escaped(out: &mut Vec<u8>, mut bytes: &[u8]) {
    loop {
        let (clean, rest) = bytes.split_at(clean_run(bytes));
        out.extend_from_slice(clean);
        if rest.is_empty() {
            return;
        }
        let (dirty, rest) = rest.split_at(rest.len().min(BLOCK));
        push_block(out, dirty);
        bytes = rest;
    }
}

/// How many bytes go through the table before clean runs are looked for again: short, since in
/// text only line ends need escapes, yet long enough for binary data to be copied in pieces.
const BLOCK: usize = 16;

/// Appends at most `BLOCK` bytes, of which any may need an escape.
fn push_block(out: &mut Vec<u8>, bytes: &[u8]) {
    // Every entry is copied whole, 8 bytes, which is faster than copying just its length.
    let mut text = [0; BLOCK * 6 + 2];
    let mut len = 0;
    for &byte in bytes {
        let entry = &ESCAPES[usize::from(byte)];
        text[len..len + 8].copy_from_slice(entry);
        len += usize::from(entry[7]);
    }
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

/// How many bytes from the start need no escape.
fn clean_run(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let dirty = dirty_bytes(u64::from_le_bytes(*word));
        if dirty != 0 {
            return i * 8 + dirty.trailing_zeros() as usize / 8;
        }
    }
    let checked = words.len() * 8;
    let rest = &bytes[checked..];
    checked + rest.iter().position(|&b| ESCAPES[usize::from(b)][7] > 1).unwrap_or(rest.len())
}

/// The high bit of the lowest byte that needs an escape is set, and no lower bit; 0 if none does.
///
/// Eight bytes at once: subtracting 0x20 from each borrows from the high bit of those below it, and
/// a byte equals another if their difference borrows when 1 is subtracted. A borrow reaches only
/// into higher bytes, so the lowest bit found is right.
fn dirty_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let below = |n: u64, w: u64| w.wrapping_sub(ONES * n) & !w;
    let equal = |byte: u8| below(1, word ^ (ONES * u64::from(byte)));
    (below(0x20, word) | equal(b'"') | equal(b'\\') | equal(0x7F) | word) & HIGH
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
            for place in 0..40 {
                let mut bytes = [b'a'; 40];
                bytes[place] = byte;
                let expected = "a".repeat(place) + &alone + &"a".repeat(39 - place);
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
