//! Reads inputs into drafts.

use super::draft::{Draft, Fate, Origin};
use super::error::Reason;
use super::lines::{LONGEST, Lines};
use super::metadata::Metadata;
use super::paths::{Input, connection_name, metadata_path};
use super::record::Line;
use super::{DumpError, DumpOptions};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// So much is read at once: 256 KiB.
const BUFFER: usize = 256 << 10;
const STANDARD_INPUT: &str = "standard input";

/// Reads input after input.
pub(super) struct Reader<'a> {
    options: &'a DumpOptions,
    drafts: Vec<Draft>,
    /// Memory that they take.
    used: usize,
    /// The bytes of one record.
    data: Vec<u8>,
}

/// The connections of one input, by their places among the drafts.
struct Found {
    origin: Origin,
    /// The name of its own connection, of which the lines are that name none.
    own_name: String,
    own: Option<usize>,
    named: HashMap<String, usize>,
    /// The one whose name was read last: often it is the next line's, too.
    last: Option<usize>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(options: &'a DumpOptions) -> Self {
        Self { options, drafts: Vec::new(), used: 0, data: Vec::new() }
    }

    /// What was read.
    pub(super) fn into_drafts(self) -> Vec<Draft> {
        self.drafts
    }

    /// Reads an input to its end.
    ///
    /// # Errors
    /// When it cannot be read, has a bad line, or needs too much memory.
    pub(super) fn read(&mut self, input: &Input) -> Result<(), DumpError> {
        match input {
            Input::StandardInput => {
                let origin = Origin { file: STANDARD_INPUT.into(), line: None, folder: None };
                self.read_lines(io::stdin().lock(), Found::new(origin, STANDARD_INPUT.into()), None)
            }
            Input::File(path) => {
                let shown = path.to_string_lossy();
                let file = File::open(path).map_err(|error| Reason::Io(error).of(&shown))?;
                let folder = path.parent().map(Path::to_owned);
                let origin = Origin { file: shown.into(), line: None, folder };
                let reader = BufReader::with_capacity(BUFFER, file);
                self.read_lines(reader, Found::new(origin, connection_name(path)), Some(path))
            }
        }
    }

    fn read_lines(
        &mut self,
        mut reader: impl BufRead,
        mut found: Found,
        path: Option<&Path>,
    ) -> Result<(), DumpError> {
        let first = self.drafts.len();
        let file = found.origin.file.clone();
        // Before its records: what the protocol is decides how they are read.
        let metadata = path.map_or_else(|| Ok(Metadata::default()), |path| found.metadata(path))?;
        let begins = reader.fill_buf().map_err(|error| Reason::Io(error).of(&file))?;
        no_other_format(begins).map_err(|reason| reason.of(&file))?;
        let mut lines = Lines::new(reader, LONGEST);
        loop {
            let (number, line) = match lines.next() {
                Ok(Some(next)) => next,
                Ok(None) => break,
                Err(reason @ Reason::Io(_)) => return Err(reason.of(&file)),
                Err(reason) => return Err(reason.at(&file, lines.number())),
            };
            let taken = self.take(&mut found, &metadata, number, line);
            taken.map_err(|reason| reason.at(&file, number))?;
        }
        if self.drafts.len() == first {
            self.draft(&mut found, &metadata, None, 0).map_err(|reason| reason.of(&file))?;
        }
        self.drafts.iter_mut().skip(first).for_each(Draft::shrink);
        Ok(())
    }

    fn take(
        &mut self,
        found: &mut Found,
        metadata: &Metadata,
        number: u64,
        line: &[u8],
    ) -> Result<(), Reason> {
        let mut data = std::mem::take(&mut self.data);
        match Line::parse(line, &mut data)? {
            Line::Record(record) => {
                let index = self.draft(found, metadata, record.connection.as_deref(), number)?;
                let cost = self.drafts[index].push(&record, &data)?;
                self.charge(cost)?;
            }
            Line::Metadata(connection, told) => {
                let index = self.draft(found, metadata, connection.as_deref(), number)?;
                self.drafts[index].metadata = told;
                self.drafts[index].decide(self.options);
            }
        }
        self.data = data;
        Ok(())
    }

    /// The place of the connection with this name, or of the input's own.
    fn draft(
        &mut self,
        found: &mut Found,
        metadata: &Metadata,
        name: Option<&str>,
        number: u64,
    ) -> Result<usize, Reason> {
        let known = match (name, found.last) {
            (None, _) => found.own,
            (Some(name), Some(last)) if self.drafts[last].name == name => Some(last),
            (Some(name), _) => found.named.get(name).copied(),
        };
        let index = match known {
            Some(index) => index,
            None => {
                let mut draft = found.begin(name, number);
                if name.is_none() {
                    draft.metadata = metadata.clone();
                }
                draft.decide(self.options);
                self.charge(draft.cost())?;
                self.drafts.push(draft);
                self.drafts.len() - 1
            }
        };
        found.note(name, index);
        Ok(index)
    }

    fn charge(&mut self, cost: usize) -> Result<(), Reason> {
        self.used = self.used.saturating_add(cost);
        let most = self.options.most;
        if self.used > most { Err(Reason::Memory(most)) } else { Ok(()) }
    }
}

impl Found {
    fn new(origin: Origin, own_name: String) -> Self {
        Self { origin, own_name, own: None, named: HashMap::new(), last: None }
    }

    /// What the file beside the dump tells, where the dump's name does not.
    fn metadata(&self, path: &Path) -> Result<Metadata, DumpError> {
        let own = Draft::new(self.own_name.clone(), self.origin.clone());
        if own.parts.is_some() {
            return Ok(Metadata::default());
        }
        let path = metadata_path(path);
        Metadata::beside(&path).map_err(|reason| reason.of(&path.to_string_lossy()))
    }

    fn begin(&self, name: Option<&str>, number: u64) -> Draft {
        match name {
            None => Draft::new(self.own_name.clone(), self.origin.clone()),
            Some(name) => {
                let origin =
                    Origin { line: Some(number), folder: None, file: self.origin.file.clone() };
                Draft::new(name.to_owned(), origin)
            }
        }
    }

    fn note(&mut self, name: Option<&str>, index: usize) {
        match name {
            None => self.own = Some(index),
            Some(name) if self.last != Some(index) => {
                if !self.named.contains_key(name) {
                    self.named.insert(name.to_owned(), index);
                }
                self.last = Some(index);
            }
            Some(_) => {}
        }
    }
}

/// Why nothing is known of how a connection's ends talked.
pub(super) fn unknown(draft: &Draft) -> DumpError {
    debug_assert_eq!(draft.fate(), Fate::Unknown);
    match draft.origin.line {
        Some(line) => Reason::Unknown.at(&draft.origin.file, line),
        None => Reason::Unknown.of(&draft.origin.file),
    }
}

/// Is it something that cannot be a dump, and that people have?
fn no_other_format(begins: &[u8]) -> Result<(), Reason> {
    /// What pcapng begins with, and pcap in either byte order: with microseconds, nanoseconds, and longer records.
    const CAPTURES: [[u8; 4]; 7] = [
        [0x0A, 0x0D, 0x0D, 0x0A],
        [0xA1, 0xB2, 0xC3, 0xD4],
        [0xD4, 0xC3, 0xB2, 0xA1],
        [0xA1, 0xB2, 0x3C, 0x4D],
        [0x4D, 0x3C, 0xB2, 0xA1],
        [0xA1, 0xB2, 0xCD, 0x34],
        [0x34, 0xCD, 0xB2, 0xA1],
    ];
    /// gzip, zstd, xz.
    const COMPRESSED: [&[u8]; 3] =
        [&[0x1F, 0x8B], &[0x28, 0xB5, 0x2F, 0xFD], &[0xFD, b'7', b'z', b'X', b'Z']];
    if CAPTURES.iter().any(|magic| begins.starts_with(magic)) {
        return Err(Reason::Capture);
    }
    match COMPRESSED.iter().any(|magic| begins.starts_with(magic)) {
        true => Err(Reason::Compressed),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Transport;
    use crate::dump::samples::options;
    use std::fs;

    const TELNET: &str = "20261123153736-TCP-192.0.2.10.42850-192.0.2.20.23";

    /// Reads these lines from standard input, or from something that is taken for it.
    fn read(lines: &str, options: &DumpOptions) -> Result<Vec<Draft>, String> {
        let mut reader = Reader::new(options);
        let origin = Origin { file: STANDARD_INPUT.into(), line: None, folder: None };
        let found = Found::new(origin, STANDARD_INPUT.to_owned());
        let result = reader.read_lines(lines.as_bytes(), found, None);
        result.map(|()| reader.drafts).map_err(|error| error.to_string())
    }

    /// Reads `a.json` with this metadata beside it, and tells the error without the folder.
    fn read_beside(metadata: &str, lines: &str) -> Result<Draft, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        fs::write(&path, lines).unwrap();
        fs::write(folder.path().join("a-metadata.json"), metadata).unwrap();
        let options = options(None);
        let mut reader = Reader::new(&options);
        let short = |error: DumpError| {
            let text = error.to_string();
            text.replace(&format!("{}/", folder.path().display()), "")
        };
        reader.read(&Input::File(path)).map_err(short)?;
        Ok(reader.drafts.remove(0))
    }

    fn told(drafts: &[Draft]) -> Vec<(&str, &[u8], Option<u64>)> {
        drafts.iter().map(|d| (d.name.as_str(), &d.bytes[..], d.origin.line)).collect()
    }

    #[test]
    fn what_people_take_for_a_dump_is_named() {
        let options = options(None);
        let read = |bytes: &[u8]| {
            let origin = Origin { file: "a".into(), line: None, folder: None };
            let found = Found::new(origin, "a".to_owned());
            Reader::new(&options).read_lines(bytes, found, None).unwrap_err().to_string()
        };
        assert_eq!(read(b"\n\r\r\n\x1c\0\0\0"), "a: is a capture: name it with -r");
        assert_eq!(read(b"\xd4\xc3\xb2\xa1\x02"), "a: is a capture: name it with -r");
        assert!(read(b"\x1f\x8b\x08").starts_with("a: is compressed: "));
    }

    #[test]
    fn lines_are_of_the_connection_that_they_name() {
        let lines = [
            r#"{"side":0,"data":"a","connection":"x"}"#,
            r#"{"side":1,"data":"b"}"#,
            "",
            r#"{"side":0,"data":"c","connection":"y"}"#,
            r#"{"side":1,"data":"d","connection":"x"}"#,
            r#"{"side":1,"data":"e","connection":"x"}"#,
            r#"{"side":0,"data":"f"}"#,
            r#"{"side":0,"data":"g","connection":"y"}"#,
        ];
        let drafts = read(&lines.join("\r\n"), &options(None)).unwrap();
        let expected: [(&str, &[u8], _); 3] =
            [("x", b"ade", Some(1)), (STANDARD_INPUT, b"bf", None), ("y", b"cg", Some(4))];
        assert_eq!(told(&drafts), expected);
    }

    #[test]
    fn an_error_names_the_line() {
        let lines = "\u{feff}{\"side\":0,\"data\":\"a\"}\n\n{\"side\":3}\n";
        let error = read(lines, &options(None)).unwrap_err();
        assert_eq!(error, "standard input:3: side is 3, neither 0 nor 1");
    }

    #[test]
    fn an_input_without_lines_is_a_connection_without_records() {
        let drafts = read("\n \n", &options(None)).unwrap();
        assert_eq!(told(&drafts), [(STANDARD_INPUT, &b""[..], None)]);
        assert_eq!(drafts[0].fate(), Fate::LeftOut("it has no records".into()));
    }

    #[test]
    fn metadata_among_the_lines_tells_what_a_name_does_not() {
        let metadata = r#"{"protocol":"UDP","side_0_end":"10.0.0.1:5","side_1_end":"10.0.0.2:6"}"#;
        let lines = [
            r#"{"side":0,"data":"a","connection":"x"}"#,
            &format!(r#"{{"connection":"x","metadata":{metadata}}}"#),
            &format!(r#"{{"side":0,"data":"a","connection":"{TELNET}"}}"#),
            &format!(r#"{{"connection":"{TELNET}","metadata":{metadata}}}"#),
            r#"{"connection":"empty","metadata":{"protocol":"ICMP"}}"#,
        ];
        let drafts = read(&lines.join("\n"), &options(None)).unwrap();
        let fates: Vec<_> = drafts.iter().map(Draft::fate).collect();
        assert_eq!(fates[0], Fate::Replayed(Transport::Udp));
        assert_eq!(fates[1], Fate::Replayed(Transport::Tcp));
        assert!(matches!(fates[2], Fate::LeftOut(_)));
        assert_eq!(drafts[0].ends().unwrap()[1].port, 6);
        assert_eq!(drafts[1].ends().unwrap()[1].port, 23);
        let bad = r#"{"connection":"x","metadata":{"protocol":7}}"#;
        let error = read(bad, &options(None)).unwrap_err();
        assert_eq!(error, "standard input:1: protocol is no string: 7");
    }

    #[test]
    fn metadata_beside_a_dump_tells_what_its_name_does_not() {
        let record = r#"{"side":0,"data":"[7 bytes missing]"}"#;
        let udp = read_beside(r#"{"protocol":"UDP"}"#, record).unwrap();
        assert_eq!(udp.fate(), Fate::Replayed(Transport::Udp));
        // Known in time: this text is no gap in a datagram.
        assert_eq!(udp.bytes.len(), 17);
        let classic = read_beside(r#"{"total": {"bytes":"17"}}"#, record).unwrap();
        assert_eq!(classic.fate(), Fate::Unknown);
        assert_eq!(unknown(&classic).line(), None);
        // It tells nothing of connections that lines name.
        let other =
            read_beside(r#"{"protocol":"UDP"}"#, r#"{"side":0,"data":"","connection":"x"}"#);
        let other = other.unwrap();
        assert_eq!(other.fate(), Fate::Unknown);
        let error = unknown(&other).to_string();
        let reason = "a.json:1: whether it was TCP or UDP is not known: give --tcp or --udp";
        assert!(error.ends_with(reason), "{error}");
        let error = read_beside("{\"protocol\":", record).unwrap_err();
        assert_eq!(error, "a-metadata.json: no JSON: EOF while parsing a value at column 12");
    }

    #[test]
    fn memory_has_a_bound() {
        let most = 5000;
        let lines = r#"{"side":0,"data":"aaaaaaaaaa"}"#.to_owned() + "\n";
        let options = DumpOptions { transport: Some(Transport::Tcp), most };
        let mut used = read(&lines, &options).unwrap()[0].cost();
        let mut fit = 0;
        while used <= most {
            used += size_of::<crate::Event>() + 10;
            fit += 1;
        }
        let fitting = lines.repeat(fit - 1);
        assert_eq!(read(&fitting, &options).unwrap()[0].bytes.len(), (fit - 1) * 10);
        let error = read(&lines.repeat(fit), &options).unwrap_err();
        let reason = "more than 5000 bytes of memory would be needed: name fewer dumps";
        assert_eq!(error, format!("standard input:{fit}: {reason}"));
        // So have the connections themselves.
        let names = |n: u32| format!("{{\"side\":0,\"data\":\"\",\"connection\":\"{n}\"}}\n");
        let error = read(&(0..100).map(names).collect::<String>(), &options).unwrap_err();
        assert!(error.ends_with(reason), "{error}");
    }
}
