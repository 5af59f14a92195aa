//! One line of a dump.

use super::error::Reason;
use super::metadata::Metadata;
use super::time::Times;
use super::value::{integer, is_object, push_hex, push_latin1, string, text};
use flow::Side;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What a line is.
pub(super) enum Line<'a> {
    /// A chunk or a gap.
    Record(Record<'a>),
    /// What is known of a connection.
    Metadata(Option<Cow<'a, str>>, Metadata),
}

/// A chunk of bytes, or a gap.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) side: Side,
    pub(super) times: Times,
    /// How many bytes were not captured here; 0 in a chunk.
    pub(super) missing: u64,
    pub(super) packet: Option<u64>,
    pub(super) offset: Option<u64>,
    pub(super) file: Option<u64>,
    pub(super) connection: Option<Cow<'a, str>>,
}

/// The keys of a line, their values as they are written; `null` is no value.
#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow)]
    side: Option<&'a RawValue>,
    #[serde(borrow)]
    time: Option<&'a RawValue>,
    #[serde(borrow)]
    size: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    data_hex: Option<&'a RawValue>,
    #[serde(borrow)]
    missing: Option<&'a RawValue>,
    #[serde(borrow)]
    packet: Option<&'a RawValue>,
    #[serde(borrow)]
    offset: Option<&'a RawValue>,
    #[serde(borrow)]
    file: Option<&'a RawValue>,
    #[serde(borrow)]
    connection: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

impl<'a> Line<'a> {
    /// Reads a line. `data` then has the bytes of a record and nothing else.
    ///
    /// # Errors
    /// When it is neither a record nor metadata.
    pub(super) fn parse(line: &'a [u8], data: &mut Vec<u8>) -> Result<Self, Reason> {
        data.clear();
        let line =
            std::str::from_utf8(line).map_err(|bad| Reason::NotUtf8(bad.valid_up_to() + 1))?;
        let keys: Keys<'a> = match is_object(line) {
            true => serde_json::from_str(line)?,
            false => return Err(no_object(line)),
        };
        let connection = keys.connection.map(|value| string("connection", value)).transpose()?;
        if let (Some(metadata), None) = (keys.metadata, keys.side) {
            return Ok(Self::Metadata(connection, Metadata::parse(metadata.get())?));
        }
        let number = |key, value: Option<&RawValue>| value.map(|v| integer(key, v)).transpose();
        let record = Record {
            side: side(keys.side)?,
            times: keys.time.map(Times::read).transpose()?.unwrap_or_default(),
            missing: number("missing", keys.missing)?.unwrap_or(0),
            packet: number("packet", keys.packet)?,
            offset: number("offset", keys.offset)?,
            file: number("file", keys.file)?,
            connection,
        };
        keys.read_data(record.missing, data)?;
        Ok(Self::Record(record))
    }
}

/// Something else than an object: JSON or not?
fn no_object(line: &str) -> Reason {
    let other: Result<serde::de::IgnoredAny, _> = serde_json::from_str(line);
    other.map_or_else(Reason::from, |_| Reason::NotObject)
}

fn side(value: Option<&RawValue>) -> Result<Side, Reason> {
    let value = value.ok_or(Reason::Absent("side"))?;
    let found = text(value);
    match found.as_deref() {
        Some("0") => Ok(Side::Zero),
        Some("1") => Ok(Side::One),
        other => {
            let found = other.unwrap_or(value.get());
            Err(Reason::NotSide(super::error::beginning(found)))
        }
    }
}

impl Keys<'_> {
    /// Reads the bytes; `size`, `data` and `data_hex` have to agree about them.
    fn read_data(&self, missing: u64, data: &mut Vec<u8>) -> Result<(), Reason> {
        match (self.data_hex, self.data) {
            (Some(hex), _) => push_hex(hex, data)?,
            (None, Some(text)) => push_latin1(text, data)?,
            (None, None) if missing > 0 => {}
            (None, None) => return Err(Reason::Nothing),
        }
        let len = data.len();
        if let (Some(_), Some(text)) = (self.data_hex, self.data) {
            push_latin1(text, data)?;
            let (by_hex, by_text) = data.split_at(len);
            if by_hex != by_text {
                let same = by_hex.iter().zip(by_text).take_while(|(hex, text)| hex == text);
                return Err(Reason::DataDiffers(same.count() + 1));
            }
            data.truncate(len);
        }
        if let Some(size) = self.size {
            let size = integer("size", size)?;
            if size != len as u64 {
                return Err(Reason::SizeDiffers { size, len });
            }
        }
        if missing > 0 && len > 0 { Err(Reason::MissingAndData) } else { Ok(()) }
    }
}

/// What the classic program has for a gap, `[N bytes missing]`, at the head of the data that follows it: how
/// many bytes are missing, and how long the text is.
pub(super) fn classic_gap(data: &[u8]) -> Option<(u64, usize)> {
    let digits = data.strip_prefix(b"[")?;
    let len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = digits.get(len..)?.strip_prefix(b" bytes missing]")?;
    // A sequence number has no more digits.
    let count = (1..=10).contains(&len).then(|| std::str::from_utf8(&digits[..len]).ok())??;
    let count = count.parse().ok().filter(|&count| count > 0)?;
    Some((count, data.len() - rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 5] = [
        ("side", "\"0\""),
        ("time", r#"{"abs":"1.000000","conn":"0.000000"}"#),
        ("size", "\"2\""),
        ("data", "\"hi\""),
        ("data_hex", "\"6869\""),
    ];

    /// A good line with some values, which are JSON, changed or, if they are empty, left out.
    fn line(changed: &[(&str, &str)]) -> String {
        let kept = GOOD.iter().filter(|(key, _)| changed.iter().all(|(other, _)| key != other));
        let given = changed.iter().filter(|(_, value)| !value.is_empty());
        let all = kept.chain(given).map(|(key, value)| format!("\"{key}\":{value}"));
        format!("{{{}}}", all.collect::<Vec<_>>().join(","))
    }

    fn with_record<T>(line: &str, look: impl FnOnce(&Record<'_>, &[u8]) -> T) -> T {
        let mut data = b"old".to_vec();
        match Line::parse(line.as_bytes(), &mut data) {
            Ok(Line::Record(record)) => look(&record, &data),
            Ok(Line::Metadata(..)) => panic!("metadata: {line}"),
            Err(reason) => panic!("{reason}: {line}"),
        }
    }

    fn data_of(changed: &[(&str, &str)]) -> Vec<u8> {
        with_record(&line(changed), |_, data| data.to_vec())
    }

    fn reason(line: impl AsRef<[u8]>) -> String {
        match Line::parse(line.as_ref(), &mut Vec::new()) {
            Ok(_) => panic!("no error"),
            Err(reason) => reason.to_string(),
        }
    }

    #[test]
    fn a_record_may_have_strings_or_numbers() {
        let strings = line(&[
            ("side", "\"1\""),
            ("packet", "\"12\""),
            ("offset", "\"7\""),
            ("file", "\"2\""),
            ("connection", "\"x\\ty\""),
        ]);
        let numbers = r#" { "side" : 1, "time": {"abs": 1.0, "conn": 0}, "size": 2, "data": "hi",
            "packet": 12, "offset": 7, "file": 2, "connection": "x\ty", "else": [{}] }"#;
        for line in [strings, numbers.trim().to_owned()] {
            with_record(&line, |record, data| {
                assert_eq!((record.side, data), (Side::One, &b"hi"[..]));
                let places = (record.missing, record.packet, record.offset, record.file);
                assert_eq!(places, (0, Some(12), Some(7), Some(2)));
                assert_eq!(record.connection.as_deref(), Some("x\ty"));
                assert_eq!(record.times.abs.unwrap().nanos, 1_000_000_000);
                assert_eq!(record.times.conn.unwrap().nanos, 0);
            });
        }
    }

    #[test]
    fn little_is_needed() {
        assert_eq!(data_of(&[("data", ""), ("size", ""), ("time", "")]), b"hi");
        assert_eq!(data_of(&[("data_hex", ""), ("size", "null")]), b"hi");
        let missing = [("missing", "3"), ("data", ""), ("data_hex", ""), ("size", "")];
        with_record(&line(&missing), |record, data| {
            assert_eq!((record.missing, data), (3, &b""[..]));
        });
        assert_eq!(data_of(&[("missing", "0")]), b"hi");
        assert_eq!(data_of(&[("data", "\"\""), ("data_hex", "\"\""), ("size", "0")]), b"");
    }

    #[test]
    fn metadata_is_no_record() {
        let line = br#"{"connection":"x","metadata":{"total":{"bytes":"2"},"protocol":"UDP"}}"#;
        match Line::parse(line, &mut Vec::new()) {
            Ok(Line::Metadata(connection, metadata)) => {
                assert_eq!(connection.as_deref(), Some("x"));
                assert_eq!(metadata.protocol.unwrap().to_string(), "UDP");
            }
            _ => panic!("no metadata"),
        }
        assert_eq!(reason(r#"{"metadata":5}"#), "metadata is no object: 5");
        assert_eq!(data_of(&[("metadata", "5")]), b"hi");
    }

    #[test]
    fn what_is_no_object_says_so() {
        for (bad, said) in [
            ("{", "no JSON: EOF while parsing an object at column 1"),
            ("oops", "no JSON: expected value at column 1"),
            ("{\"side\":\"0\" \"data\":\"\"}", "no JSON: expected `,` or `}` at column 13"),
            ("{} {}", "no JSON: trailing characters at column 4"),
            ("[]", "no record: a JSON object is needed"),
            ("\"0\"", "no record: a JSON object is needed"),
            ("{\"side\":0,\"side\":1}", "no record: duplicate field `side` at column 16"),
        ] {
            assert_eq!(reason(bad), said, "{bad}");
        }
        assert_eq!(reason(b"{\"\xFF\":1}"), "byte 3 is not UTF-8");
        assert!(reason("[".repeat(100_000)).starts_with("no "));
        let deep = format!("{{\"else\":{}", "[".repeat(100_000));
        assert!(reason(deep).starts_with("no JSON"));
    }

    #[test]
    fn each_bad_value_has_its_reason() {
        for (changed, said) in [
            ([("side", "")], "side is missing"),
            ([("side", "null")], "side is missing"),
            ([("side", "2")], "side is 2, neither 0 nor 1"),
            ([("side", "\"a\\nb\"")], "side is a\\nb, neither 0 nor 1"),
            ([("side", "[0]")], "side is [0], neither 0 nor 1"),
            ([("time", "5")], "time is no object of abs and conn: 5"),
            ([("time", r#"{"abs":"now"}"#)], "time.abs is no time in seconds: now"),
            ([("size", "\"-2\"")], "size is no number: -2"),
            ([("size", "3")], "size is 3, but there are 2 bytes: correct it, or take it out"),
            ([("data_hex", "\"686\"")], "data_hex has an odd number of digits (3)"),
            ([("data_hex", "\"68zz\"")], "digit 3 of data_hex is no hexadecimal digit: z"),
            (
                [("data", "\"ho\"")],
                "data and data_hex differ at byte 2: correct one, or take it out",
            ),
            (
                [("data", "\"hi!\"")],
                "data and data_hex differ at byte 3: correct one, or take it out",
            ),
            (
                [("data", "\"h\"")],
                "data and data_hex differ at byte 2: correct one, or take it out",
            ),
            (
                [("data", "\"h\\u0169\"")],
                "character 2 of data is U+0169, but stands for a byte, at most U+00FF: use data_hex",
            ),
            ([("data", "5")], "data is no string: 5"),
            ([("missing", "4")], "both missing and data: give them a line each"),
            ([("missing", "-4")], "missing is no number: -4"),
            ([("packet", "\"x\"")], "packet is no number: x"),
            ([("offset", "1.0")], "offset is no number: 1.0"),
            ([("file", "{}")], "file is no number: {}"),
            ([("connection", "1")], "connection is no string: 1"),
        ] {
            assert_eq!(reason(line(&changed)), said);
        }
        let nothing = [("data", ""), ("data_hex", ""), ("size", "0")];
        assert_eq!(reason(line(&nothing)), "data, data_hex or a number of missing bytes is needed");
    }

    #[test]
    fn a_classic_gap_is_a_text_before_the_data() {
        assert_eq!(classic_gap(b"[1420 bytes missing]!"), Some((1420, 20)));
        assert_eq!(classic_gap(b"[7 bytes missing]"), Some((7, 17)));
        for data in [
            &b""[..],
            b"[",
            b"[0 bytes missing]",
            b"[ bytes missing]",
            b"[-1 bytes missing]",
            b"[12345678901 bytes missing]",
            b"[7 bytes missing",
            b" [7 bytes missing]",
        ] {
            assert_eq!(classic_gap(data), None);
        }
    }
}
