//! Numbers and strings appended to a byte buffer, without format machinery on the packet path.

/// Appends `n` in decimal.
pub(crate) fn push_u64(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

/// Appends `"key":"n"`: the classic formats write numbers as strings.
pub(crate) fn push_quoted(out: &mut Vec<u8>, key: &str, n: u64) {
    out.push(b'"');
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":\"");
    push_u64(out, n);
    out.push(b'"');
}

/// Where the values of a text of `Label:   value` lines stand, in bytes from the line's start: where
/// the classic metadata has them.
const VALUE_COLUMN: usize = 35;

/// Appends `label`, a colon and blanks up to the column of the values; at least one blank.
pub(crate) fn push_label(out: &mut Vec<u8>, label: &str) {
    out.extend_from_slice(label.as_bytes());
    out.push(b':');
    let blanks = VALUE_COLUMN.saturating_sub(label.len() + 1).max(1);
    out.resize(out.len() + blanks, b' ');
}

/// Appends the line `Label:   n`.
pub(crate) fn push_line(out: &mut Vec<u8>, label: &str, n: u64) {
    push_label(out, label);
    push_u64(out, n);
    out.push(b'\n');
}

/// Appends a string of people's making, without anything that would break the line or the terminal it
/// is printed on.
pub(crate) fn push_one_line(out: &mut Vec<u8>, text: &str) {
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default().map(|c| c as u8));
        } else {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// Appends a string of people's making (a path, a message) as a JSON string, quotes included.
pub(crate) fn push_json_str(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
            '\0'..'\x20' | '\x7f' => {
                let hex = b"0123456789ABCDEF";
                let n = c as usize;
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex[n >> 4], hex[n & 15]]);
            }
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Appends a number with zeros in front where it has fewer than six digits.
pub(crate) fn push_six_digits(out: &mut Vec<u8>, n: u32) {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(n).as_bytes();
    out.extend(std::iter::repeat_n(b'0', 6_usize.saturating_sub(digits.len())));
    out.extend_from_slice(digits);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels_are_padded_to_the_classic_column() {
        let mut out = Vec::new();
        push_line(&mut out, "Number of data packets in side 0", 303);
        push_line(&mut out, "A label that is longer than the column is wide", 1);
        assert_eq!(
            out,
            b"Number of data packets in side 0:  303\n\
              A label that is longer than the column is wide: 1\n"
        );
    }

    proptest! {
        #[test]
        fn json_strings_are_read_back(text in any::<String>()) {
            let mut out = Vec::new();
            push_json_str(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
