//! Values of a record, as strings or as JSON's own numbers.

use super::error::Reason;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Does a JSON value begin as an object?
pub(super) fn is_object(json: &str) -> bool {
    json.as_bytes().first() == Some(&b'{')
}

/// A string's text, or a number as it is written. `None` for anything else, and for half a surrogate pair.
pub(super) fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    match inside(value) {
        Some(inside) if !inside.contains('\\') => Some(Cow::Borrowed(inside)),
        Some(_) => serde_json::from_str(value.get()).ok().map(Cow::Owned),
        None => {
            let number = value.get().starts_with(|c: char| c == '-' || c.is_ascii_digit());
            number.then(|| Cow::Borrowed(value.get()))
        }
    }
}

/// A string.
///
/// # Errors
/// When it is something else.
pub(super) fn string<'a>(key: &'static str, value: &'a RawValue) -> Result<Cow<'a, str>, Reason> {
    let found = inside(value).and_then(|_| text(value));
    found.ok_or_else(|| Reason::wrong(key, "string", value.get()))
}

/// What stands between a string's quotes, escapes as they are.
fn inside(value: &RawValue) -> Option<&str> {
    value.get().strip_prefix('"')?.strip_suffix('"')
}

/// A whole number from 0 to 2^64 - 1, as string or number.
///
/// # Errors
/// When it is something else.
pub(super) fn integer(key: &'static str, value: &RawValue) -> Result<u64, Reason> {
    let found = text(value);
    let digits = found.as_deref().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| Reason::wrong(key, "number", found.as_deref().unwrap_or(value.get())))
}

/// Appends the bytes of a `data_hex`.
///
/// # Errors
/// When it is no string, or no bytes in hex.
pub(super) fn push_hex(value: &RawValue, out: &mut Vec<u8>) -> Result<(), Reason> {
    let digits = string("data_hex", value)?;
    let digits = digits.as_bytes();
    let start = out.len();
    out.resize(start.saturating_add(digits.len() / 2), 0);
    // The library would pass over a leading 0x.
    let prefixed = digits.get(1).is_some_and(|digit| !digit.is_ascii_hexdigit());
    if !prefixed && const_hex::decode_to_slice(digits, &mut out[start..]).is_ok() {
        return Ok(());
    }
    out.truncate(start);
    Err(hex_problem(&String::from_utf8_lossy(digits)))
}

fn hex_problem(digits: &str) -> Reason {
    let wrong = digits.chars().enumerate().find(|(_, digit)| !digit.is_ascii_hexdigit());
    match wrong {
        Some((index, digit)) => Reason::NotHex { at: index + 1, found: digit.to_string() },
        None => Reason::OddHex(digits.len()),
    }
}

/// Appends the bytes of a `data`, each of whose characters stands for one.
///
/// # Errors
/// When it is no string, or one of characters beyond U+00FF.
pub(super) fn push_latin1(value: &RawValue, out: &mut Vec<u8>) -> Result<(), Reason> {
    let inside = inside(value).ok_or_else(|| Reason::wrong("data", "string", value.get()))?;
    let start = out.len();
    let mut rest = inside;
    while let Some(next) = rest.bytes().position(|byte| byte == b'\\' || !byte.is_ascii()) {
        out.extend_from_slice(&rest.as_bytes()[..next]);
        rest = &rest[next..];
        let (code, len) = character(rest);
        let not_byte = |_| Reason::NotByte { at: out.len() - start + 1, code };
        let byte = u8::try_from(code).map_err(not_byte)?;
        out.push(byte);
        rest = rest.get(len..).unwrap_or_default();
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(())
}

/// The number of the character that a JSON string's text begins with, and how many bytes stand for it. JSON
/// was checked before; of a surrogate pair, this is the first half.
fn character(text: &str) -> (u32, usize) {
    let Some(escape) = text.strip_prefix('\\') else {
        let first = text.chars().next().unwrap_or_default();
        return (u32::from(first), first.len_utf8());
    };
    let code = match escape.as_bytes().first() {
        Some(b'u') => {
            let digits = escape.as_bytes().get(1..5).unwrap_or_default();
            let digit = |&byte: &u8| char::from(byte).to_digit(16).unwrap_or_default();
            return (digits.iter().fold(0, |code, byte| code << 4 | digit(byte)), 6);
        }
        Some(b'b') => 8,
        Some(b'f') => 12,
        Some(b'n') => 10,
        Some(b'r') => 13,
        Some(b't') => 9,
        // A quote, a slash or a backslash.
        other => other.copied().unwrap_or_default(),
    };
    (u32::from(code), 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    fn said<T: std::fmt::Debug>(result: Result<T, Reason>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn numbers_may_be_strings() {
        for (json, number) in [
            ("0", 0),
            ("\"0\"", 0),
            ("\"007\"", 7),
            ("\"\\u0031\"", 1),
            ("18446744073709551615", u64::MAX),
            ("\"18446744073709551615\"", u64::MAX),
        ] {
            assert_eq!(integer("size", &raw(json)).unwrap(), number, "{json}");
        }
    }

    #[test]
    fn only_whole_numbers_are_numbers() {
        for (json, shown) in [
            ("-1", "-1"),
            ("1.0", "1.0"),
            ("1e3", "1e3"),
            ("\"\"", ""),
            ("\"+1\"", "+1"),
            ("\" 1\"", " 1"),
            ("18446744073709551616", "18446744073709551616"),
            ("true", "true"),
            ("[1]", "[1]"),
            ("\"\\uD800\"", "\"\\uD800\""),
        ] {
            let said = said(integer("packet", &raw(json)));
            assert_eq!(said, format!("packet is no number: {shown}"));
        }
    }

    #[test]
    fn strings_are_strings_only() {
        assert_eq!(string("connection", &raw("\"a\\nb\"")).unwrap(), "a\nb");
        assert_eq!(said(string("connection", &raw("7"))), "connection is no string: 7");
    }

    #[test]
    fn hex_may_have_any_case() {
        let mut out = b"x".to_vec();
        push_hex(&raw("\"00fF7a\""), &mut out).unwrap();
        push_hex(&raw("\"\""), &mut out).unwrap();
        push_hex(&raw("\"\\u0034\\u0031\""), &mut out).unwrap();
        assert_eq!(out, b"x\x00\xFFzA");
    }

    #[test]
    fn what_is_no_hex_says_where() {
        for (json, reason) in [
            ("\"686\"", "data_hex has an odd number of digits (3)"),
            ("\"68zz\"", "digit 3 of data_hex is no hexadecimal digit: z"),
            ("\"0x41\"", "digit 2 of data_hex is no hexadecimal digit: x"),
            ("\"4\\n\"", "digit 2 of data_hex is no hexadecimal digit: \\n"),
            ("\"41é4\"", "digit 3 of data_hex is no hexadecimal digit: é"),
            ("41", "data_hex is no string: 41"),
        ] {
            let mut out = b"x".to_vec();
            assert_eq!(said(push_hex(&raw(json), &mut out)), reason);
            assert_eq!(out, b"x");
        }
    }

    #[test]
    fn each_character_of_data_is_a_byte() {
        let mut out = b"x".to_vec();
        let json = r#""a\u0000\u00ff\"\\\/\b\f\n\r\té ÿ""#;
        push_latin1(&raw(json), &mut out).unwrap();
        assert_eq!(out, b"xa\x00\xFF\"\\/\x08\x0C\n\r\t\xE9 \xFF");
    }

    #[test]
    fn characters_beyond_a_byte_say_where() {
        for (json, reason) in [
            (r#""a\u0000–""#, "character 3 of data is U+2013"),
            (r#""\ud83d\ude00""#, "character 1 of data is U+D83D"),
            (r#""é😀""#, "character 2 of data is U+1F600"),
        ] {
            let reason = format!("{reason}, but stands for a byte, at most U+00FF: use data_hex");
            assert_eq!(said(push_latin1(&raw(json), &mut b"x".to_vec())), reason);
        }
        assert_eq!(said(push_latin1(&raw("5"), &mut Vec::new())), "data is no string: 5");
    }

    proptest! {
        #[test]
        fn data_is_read_as_a_json_reader_does(text in "[\\x00-\u{ff}]{0,40}") {
            let mut out = Vec::new();
            push_latin1(&raw(&serde_json::to_string(&text).unwrap()), &mut out).unwrap();
            let expected: Vec<u8> = text.chars().map(|c| c as u8).collect();
            prop_assert_eq!(out, expected);
        }
    }
}
