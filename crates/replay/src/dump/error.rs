//! Why a dump cannot be read.

use flow::Side;
use std::fmt;
use std::io;

/// A dump that cannot be read, or nothing in all of them that could be replayed.
///
/// It is shown as one line, `FILE:LINE: reason` or `FILE: reason`: what comes from names and dumps is cut
/// short, and without anything that would break a line or a terminal.
#[derive(Debug, thiserror::Error)]
#[error("{}{reason}", Place(.file.as_deref(), *.line))]
pub struct DumpError {
    file: Option<String>,
    line: Option<u64>,
    /// Not named `source`: its text is a part of this one's.
    reason: Reason,
}

impl DumpError {
    /// The file as it was named, or `standard input`; `None` where no single one is at fault.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The line at fault, from 1, if it is one.
    pub fn line(&self) -> Option<u64> {
        self.line
    }

    pub(super) fn general(reason: Reason) -> Self {
        Self { file: None, line: None, reason }
    }
}

/// Why.
#[derive(Debug, thiserror::Error)]
pub(super) enum Reason {
    #[error("no dump was named")]
    NoPaths,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no *.json in this folder: write dumps with pcap2conn -j")]
    EmptyFolder,
    #[error("the line is longer than {0} MiB")]
    LongLine(usize),
    #[error("the file is longer than {0} MiB, and no metadata")]
    LongMetadata(usize),
    #[error("is a capture: name it with -r")]
    Capture,
    #[error("is compressed: unpack it first, as with zcat FILE | pcap2conn replay -")]
    Compressed,
    #[error("byte {0} is not UTF-8")]
    NotUtf8(usize),
    #[error("no JSON: {} at column {column}", Shown(.what))]
    NotJson { what: String, column: usize },
    #[error("no record: {} at column {column}", Shown(.what))]
    NotRecord { what: String, column: usize },
    #[error("no record: a JSON object is needed")]
    NotObject,
    #[error("{0} is missing")]
    Absent(&'static str),
    #[error("{key} is no {needed}: {}", Shown(.found))]
    Wrong { key: &'static str, needed: &'static str, found: String },
    #[error("side is {}, neither 0 nor 1", Shown(.0))]
    NotSide(String),
    #[error("data, data_hex or a number of missing bytes is needed")]
    Nothing,
    #[error("both missing and data: give them a line each")]
    MissingAndData,
    #[error("data_hex has an odd number of digits ({0})")]
    OddHex(usize),
    #[error("digit {at} of data_hex is no hexadecimal digit: {}", Shown(.found))]
    NotHex { at: usize, found: String },
    #[error(
        "character {at} of data is U+{code:04X}, but stands for a byte, at most U+00FF: use data_hex"
    )]
    NotByte { at: usize, code: u32 },
    #[error("data and data_hex differ at byte {0}: correct one, or take it out")]
    DataDiffers(usize),
    #[error("size is {size}, but there are {len} bytes: correct it, or take it out")]
    SizeDiffers { size: u64, len: usize },
    #[error(
        "offset is {offset}, but {before} bytes of side {} came before; take the offset keys out if \
         the dump was edited by hand",
        .side.index()
    )]
    StepBack { side: Side, offset: u64, before: u64 },
    #[error("side {} sends more than 2^64 bytes", .0.index())]
    Endless(Side),
    #[error("more than {0} bytes of memory would be needed: name fewer dumps")]
    Memory(usize),
    #[error("whether it was TCP or UDP is not known: give --tcp or --udp")]
    Unknown,
    #[error("nothing to replay: {first}{}", AndMore(*.more))]
    NothingLeft { first: super::LeftOut, more: usize },
}

impl Reason {
    pub(super) fn wrong(key: &'static str, needed: &'static str, found: &str) -> Self {
        Self::Wrong { key, needed, found: beginning(found) }
    }

    /// This, at a line of a file.
    pub(super) fn at(self, file: &str, line: u64) -> DumpError {
        DumpError { file: Some(file.to_owned()), line: Some(line), reason: self }
    }

    /// This, for all of a file.
    pub(super) fn of(self, file: &str) -> DumpError {
        DumpError { file: Some(file.to_owned()), line: None, reason: self }
    }
}

impl From<serde_json::Error> for Reason {
    fn from(error: serde_json::Error) -> Self {
        // The position is counted in this line alone; the text ends with it.
        let text = error.to_string();
        let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what).to_owned();
        let column = error.column();
        if error.is_data() {
            Self::NotRecord { what, column }
        } else {
            Self::NotJson { what, column }
        }
    }
}

/// So many characters of a text from a dump stand in a message: enough for the name of a connection.
const SHOWN: usize = 160;

/// As much of a text as a message may show, and one more character to know that there is more.
pub(super) fn beginning(text: &str) -> String {
    text.chars().take(SHOWN + 1).collect()
}

/// The beginning of a text, without anything that would break the line or the terminal it is printed on.
pub(super) struct Shown<'a>(pub(super) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        for c in chars.by_ref().take(SHOWN) {
            one_line(f, c)?;
        }
        if chars.next().is_some() { f.write_str("…") } else { Ok(()) }
    }
}

fn one_line(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    if c.is_control() { write!(f, "{}", c.escape_default()) } else { write!(f, "{c}") }
}

/// `FILE:LINE: `, as far as known. A file is named whole: the user named it.
struct Place<'a>(Option<&'a str>, Option<u64>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(file) = self.0 else { return Ok(()) };
        file.chars().try_for_each(|c| one_line(f, c))?;
        match self.1 {
            Some(line) => write!(f, ":{line}: "),
            None => f.write_str(": "),
        }
    }
}

struct AndMore(usize);

impl fmt::Display for AndMore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            more => write!(f, " (and {more} more left out)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_on_one_line() {
        let error = Reason::NotObject.at("a\n\x1b[31mb\u{85}.json", 7);
        assert_eq!(
            error.to_string(),
            "a\\n\\u{1b}[31mb\\u{85}.json:7: no record: a JSON object is needed"
        );
        assert_eq!((error.file(), error.line()), (Some("a\n\x1b[31mb\u{85}.json"), Some(7)));
    }

    #[test]
    fn long_texts_of_a_dump_are_cut_short() {
        let text = "\n".to_owned() + &"é".repeat(5000);
        let shown = Reason::wrong("packet", "number", &text).of("a").to_string();
        assert_eq!(shown, format!("a: packet is no number: \\n{}…", "é".repeat(159)));
        assert_eq!(Shown("fits").to_string(), "fits");
    }

    #[test]
    fn the_reader_of_json_says_what_and_where() {
        let error = serde_json::from_str::<bool>(" tru").unwrap_err();
        let text = Reason::from(error).at("a", 3).to_string();
        assert_eq!(text, "a:3: no JSON: EOF while parsing a value at column 4");
    }
}
