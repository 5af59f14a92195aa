//! Connections as files.

use crate::bins::Bins;
use crate::format::{Format, Formatter, GapBytes, LineRoom};
use crate::metadata::{self, Layout};
use crate::name::{Namer, Parts};
use crate::store::Store;
use crate::text::push_six_digits;
use crate::{OutputConfig, SinkError};
use flow::{Chunk, Connection, Gap, Report, Side, Sink};

/// Writes each connection to a file, or each side to its own, and on request what is known of it to
/// another.
///
/// A file appears with its first byte. Nothing is created until then but the directory, by
/// [`prepare`](Self::prepare).
pub struct FileSink {
    namer: Namer,
    formatter: Formatter,
    line_room: LineRoom,
    separate_sides: bool,
    metadata: bool,
    store: Store,
    bins: Option<Box<Bins>>,
}

impl FileSink {
    /// A sink as `config` says.
    pub fn new(config: &OutputConfig) -> Self {
        Self {
            namer: Namer::new(config.utc).endless(config.endless),
            formatter: config.formatter(),
            line_room: LineRoom::default(),
            separate_sides: config.separate_sides,
            metadata: config.metadata,
            store: Store::new(config.dir.clone(), config.max_open, config.write_budget)
                .in_turn(config.turn.clone())
                .with_disk(config.disk.clone())
                .beginning_anew(config.endless),
            bins: config.bin_dirs.map(|size| Box::new(Bins::new(size))),
        }
    }

    /// Creates the output directory, with those above it.
    ///
    /// # Errors
    /// When that fails.
    pub fn prepare(&self) -> Result<(), SinkError> {
        self.store.prepare()
    }

    /// Writes the files of connections that are over.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn flush(&mut self) -> Result<(), SinkError> {
        self.store.write_leaving()
    }

    /// Writes the bytes that waited when this was called the last time and still do.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_waiting(&mut self) -> Result<(), SinkError> {
        self.store.write_waiting()
    }

    /// Writes what is held of connections that are not over and closes all files.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(&mut self) -> Result<(), SinkError> {
        self.store.finish()
    }

    /// A connection begins, whose number among those that look like it somebody else has given (see
    /// [`Names`](crate::Names)).
    pub fn open_numbered(&mut self, connection: &Connection, number: u32) -> u32 {
        let tag = match &mut self.bins {
            None => number,
            Some(bins) => bins.number(connection, number),
        };
        self.store.insert(tag)
    }

    /// The side whose file takes what `side` sends. Equal ends have one name for both.
    fn file_side(&self, connection: &Connection, side: Side) -> Side {
        if self.separate_sides && !connection.ends_are_equal() { side } else { Side::Zero }
    }

    fn extension(&self) -> &'static str {
        match self.formatter.format {
            Format::Json => ".json",
            Format::Raw | Format::Headers => ".txt",
        }
    }

    fn write_metadata(&mut self, tag: u32, report: &Report) -> Result<(), SinkError> {
        let extension = self.extension();
        let mut name = self.store.pool.name();
        push_file_name(
            &mut name,
            &mut self.namer,
            &report.into(),
            Side::Zero,
            Place::of(self.bins.as_deref(), tag),
            &["-metadata", extension],
        );
        let mut bytes = Vec::with_capacity(2048);
        if self.formatter.format == Format::Json {
            metadata::push_json(&mut bytes, report, Layout::Lines);
        } else {
            metadata::push_text(&mut bytes, report, &mut self.namer);
        }
        self.store.write_file(name, bytes)
    }
}

/// What tells the files of a connection from others with the same name.
#[derive(Clone, Copy)]
struct Place {
    folder: Option<u32>,
    number: u32,
}

impl Place {
    /// The place of the connection with this tag in the store: its number, or where there are folders,
    /// what they know it by.
    fn of(bins: Option<&Bins>, tag: u32) -> Self {
        match bins {
            None => Self { folder: None, number: tag },
            Some(bins) => Self { folder: Some(bins.folder(tag)), number: bins.suffix(tag) },
        }
    }
}

/// Appends the name of a file, `from`'s end first, in its folder.
fn push_file_name(
    text: &mut String,
    namer: &mut Namer,
    parts: &Parts,
    from: Side,
    place: Place,
    endings: &[&str],
) {
    let mut name = std::mem::take(text).into_bytes();
    if let Some(folder) = place.folder {
        push_six_digits(&mut name, folder);
        name.push(b'/');
    }
    namer.push(&mut name, parts, from, place.number);
    for ending in endings {
        name.extend_from_slice(ending.as_bytes());
    }
    *text = String::from_utf8(name).expect("a name is ASCII");
}

/// More than what a gap becomes, in bytes.
const GAP_ROOM: usize = 256;

impl Sink for FileSink {
    type Handle = u32;
    type Error = SinkError;

    fn opened(&mut self, connection: &Connection) -> Result<u32, SinkError> {
        let number = self.namer.number(connection);
        Ok(self.open_numbered(connection, number))
    }

    fn data(
        &mut self,
        handle: u32,
        connection: &Connection,
        chunk: &Chunk<'_>,
    ) -> Result<(), SinkError> {
        let side = self.file_side(connection, chunk.side);
        let (tag, extension) = (self.store.tag(handle), self.extension());
        let Self { namer, formatter, store, bins, line_room, .. } = self;
        let place = || Place::of(bins.as_deref(), tag);
        let len = chunk.bytes.len();
        let room = match formatter.format {
            Format::Raw => len,
            Format::Headers => len + 80,
            Format::Json => line_room.of(len),
        };
        store.append(
            handle,
            side.index(),
            |name| push_file_name(name, namer, &connection.into(), side, place(), &[extension]),
            room,
            |buffer| {
                let before = buffer.len();
                formatter.push_chunk(buffer, connection.first().time, chunk, None);
                if formatter.format == Format::Json {
                    line_room.note(len, buffer.len() - before);
                }
            },
        )
    }

    fn gap(&mut self, handle: u32, connection: &Connection, gap: &Gap) -> Result<(), SinkError> {
        let side = self.file_side(connection, gap.side);
        let (tag, extension) = (self.store.tag(handle), self.extension());
        let Self { namer, formatter, store, bins, .. } = self;
        let place = || Place::of(bins.as_deref(), tag);
        let name = |name: &mut String| {
            push_file_name(name, namer, &connection.into(), side, place(), &[extension])
        };
        match formatter.gap_bytes(gap) {
            GapBytes::None => Ok(()),
            GapBytes::Zeros(len) => store.append_zeros(handle, side.index(), name, len),
            GapBytes::Record => store.append(handle, side.index(), name, GAP_ROOM, |buffer| {
                formatter.push_gap(buffer, connection.first().time, gap, None);
            }),
        }
    }

    fn settled(&mut self, handle: u32, _connection: &Connection) -> Result<(), SinkError> {
        self.store.settle(handle)
    }

    fn closed(&mut self, handle: u32, report: &Report) -> Result<(), SinkError> {
        let tag = self.store.tag(handle);
        self.store.remove(handle)?;
        if self.metadata {
            self.write_metadata(tag, report)?;
        }
        if let Some(bins) = &mut self.bins {
            bins.forget(tag);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GapStyle;
    use crate::samples::{chunk, connection, gap, report, source};
    use std::collections::BTreeMap;
    use tempfile::TempDir;

    const NAME: &str = "19700101000009-TCP-10.0.0.2.40000-10.0.0.1.80";
    const SWAPPED: &str = "19700101000009-TCP-10.0.0.1.80-10.0.0.2.40000";

    fn http() -> Connection {
        connection(6, "10.0.0.2:40000", "10.0.0.1:80", 9)
    }

    /// What is in the directory after a request, a gap of 5 bytes and the end of a response.
    fn files_of(config: OutputConfig) -> BTreeMap<String, String> {
        let dir = TempDir::new().unwrap();
        let mut sink = FileSink::new(&OutputConfig { dir: dir.path().into(), utc: true, ..config });
        let c = http();
        let handle = sink.opened(&c).unwrap();
        let request = chunk(Side::Zero, 0, b"GET /\r\n", source(9, 100, 4));
        sink.data(handle, &c, &request).unwrap();
        sink.gap(handle, &c, &gap(Side::One, 0, 5, source(9, 200, 6))).unwrap();
        sink.data(handle, &c, &chunk(Side::One, 5, b"OK\xFF", source(9, 150, 5))).unwrap();
        sink.settled(handle, &c).unwrap();
        sink.closed(handle, &report(&c)).unwrap();
        sink.finish().unwrap();
        read(&dir)
    }

    fn read(dir: &TempDir) -> BTreeMap<String, String> {
        let entries = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap());
        entries
            .map(|e| {
                let bytes = std::fs::read(e.path()).unwrap();
                let latin1 = bytes.iter().map(|&b| char::from(b)).collect();
                (e.file_name().into_string().unwrap(), latin1)
            })
            .collect()
    }

    fn expect(config: OutputConfig, expected: &[(&str, &str)]) {
        let expected: BTreeMap<String, String> =
            expected.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
        assert_eq!(files_of(config), expected);
    }

    fn default() -> OutputConfig {
        OutputConfig::default()
    }

    #[test]
    fn raw_files_hold_both_sides_in_order() {
        let name = format!("{NAME}.txt");
        expect(default(), &[(&name, "GET /\r\nOK\u{FF}")]);
        let marked = OutputConfig { gap: GapStyle::Marker, ..default() };
        expect(marked, &[(&name, "GET /\r\n[5 bytes missing]OK\u{FF}")]);
        let zeros = OutputConfig { gap: GapStyle::Zero, ..default() };
        expect(zeros, &[(&name, "GET /\r\n\0\0\0\0\0OK\u{FF}")]);
    }

    #[test]
    fn sides_apart_have_the_ends_swapped() {
        let names = [NAME, SWAPPED].map(|name| format!("{name}.txt"));
        let apart = OutputConfig { separate_sides: true, ..default() };
        expect(apart, &[(&names[0], "GET /\r\n"), (&names[1], "OK\u{FF}")]);
    }

    #[test]
    fn headers_tell_of_chunks_and_gaps() {
        let headers = OutputConfig { format: Format::Headers, gap: GapStyle::Zero, ..default() };
        let expected = "\r\n{\"_\":\"--------------------\",\"side\":\"0\",\"size\":\"7\"}\r\nGET /\r\n\
            \r\n{\"_\":\"--------------------\",\"side\":\"1\",\"size\":\"0\",\"missing\":\"5\",\"offset\":\"0\"}\r\n\
            \r\n{\"_\":\"--------------------\",\"side\":\"1\",\"size\":\"3\"}\r\nOK\u{FF}";
        expect(headers, &[(&format!("{NAME}.txt"), expected)]);
    }

    #[test]
    fn json_lines_have_their_own_extension() {
        let json = OutputConfig { format: Format::Json, separate_sides: true, ..default() };
        let zero = "{\"side\":\"0\",\"time\":{\"abs\":\"9.000100\",\"conn\":\"0.000100\"},\"size\":\"7\",\
            \"data\":\"GET /\\r\\n\",\"data_hex\":\"474554202F0D0A\",\"packet\":\"4\",\"offset\":\"0\"}\n";
        let one = "{\"side\":\"1\",\"time\":{\"abs\":\"9.000200\",\"conn\":\"0.000200\"},\"size\":\"0\",\
            \"data\":\"\",\"data_hex\":\"\",\"missing\":\"5\",\"packet\":\"6\",\"offset\":\"0\"}\n\
            {\"side\":\"1\",\"time\":{\"abs\":\"9.000150\",\"conn\":\"0.000150\"},\"size\":\"3\",\
            \"data\":\"OK\\u00FF\",\"data_hex\":\"4F4BFF\",\"packet\":\"5\",\"offset\":\"5\"}\n";
        expect(json, &[(&format!("{NAME}.json"), zero), (&format!("{SWAPPED}.json"), one)]);
    }

    #[test]
    fn metadata_has_a_file_of_its_own() {
        let text = files_of(OutputConfig { metadata: true, ..default() });
        assert_eq!(text.len(), 2);
        let metadata = &text[&format!("{NAME}-metadata.txt")];
        assert!(metadata.starts_with("Number of data packets in side 0:  0\n"));
        let json = files_of(OutputConfig { metadata: true, format: Format::Json, ..default() });
        assert_eq!(json.len(), 2);
        let metadata = &json[&format!("{NAME}-metadata.json")];
        serde_json::from_str::<serde_json::Value>(metadata).unwrap();
    }

    #[test]
    fn without_bytes_there_is_only_metadata() {
        let dir = TempDir::new().unwrap();
        let config = OutputConfig { dir: dir.path().into(), utc: true, ..default() };
        let mut sink = FileSink::new(&OutputConfig { metadata: true, ..config.clone() });
        let handle = sink.opened(&http()).unwrap();
        sink.gap(handle, &http(), &gap(Side::Zero, 0, 5, source(9, 200, 6))).unwrap();
        sink.settled(handle, &http()).unwrap();
        sink.closed(handle, &report(&http())).unwrap();
        sink.finish().unwrap();
        assert_eq!(read(&dir).into_keys().collect::<Vec<_>>(), [format!("{NAME}-metadata.txt")]);
        // A gap alone is a line where gaps have lines.
        let mut sink = FileSink::new(&OutputConfig { format: Format::Json, ..config });
        let handle = sink.opened(&http()).unwrap();
        sink.gap(handle, &http(), &gap(Side::Zero, 0, 5, source(9, 200, 6))).unwrap();
        sink.closed(handle, &report(&http())).unwrap();
        sink.finish().unwrap();
        assert!(read(&dir).contains_key(&format!("{NAME}.json")));
    }

    #[test]
    fn a_number_belongs_to_the_connection_with_data_or_without() {
        let dir = TempDir::new().unwrap();
        let config = OutputConfig {
            dir: dir.path().into(),
            utc: true,
            separate_sides: true,
            metadata: true,
            ..default()
        };
        let mut sink = FileSink::new(&config);
        let silent = sink.opened(&http()).unwrap();
        let handle = sink.opened(&http()).unwrap();
        for side in Side::BOTH {
            sink.data(handle, &http(), &chunk(side, 0, b"x", source(9, 0, 2))).unwrap();
        }
        sink.closed(silent, &report(&http())).unwrap();
        sink.closed(handle, &report(&http())).unwrap();
        let expected = [
            format!("{SWAPPED}_2.txt"),
            format!("{NAME}-metadata.txt"),
            format!("{NAME}_2-metadata.txt"),
            format!("{NAME}_2.txt"),
        ];
        sink.finish().unwrap();
        assert_eq!(read(&dir).into_keys().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn side_0_may_turn_out_to_be_the_other_end_before_the_first_bytes() {
        let dir = TempDir::new().unwrap();
        let config = OutputConfig { dir: dir.path().into(), utc: true, ..default() };
        let mut sink = FileSink::new(&config);
        let handle = sink.opened(&connection(6, "10.0.0.1:80", "10.0.0.2:40000", 9)).unwrap();
        sink.data(handle, &http(), &chunk(Side::Zero, 0, b"x", source(9, 0, 2))).unwrap();
        sink.closed(handle, &report(&http())).unwrap();
        sink.finish().unwrap();
        assert_eq!(read(&dir).into_keys().collect::<Vec<_>>(), [format!("{NAME}.txt")]);
    }

    #[test]
    fn equal_ends_share_a_file() {
        let dir = TempDir::new().unwrap();
        let config =
            OutputConfig { dir: dir.path().into(), utc: true, separate_sides: true, ..default() };
        let mut sink = FileSink::new(&config);
        let c = connection(17, "10.0.0.1:53", "10.0.0.1:53", 9);
        let handle = sink.opened(&c).unwrap();
        for (side, bytes) in [(Side::Zero, b"a"), (Side::One, b"b")] {
            sink.data(handle, &c, &chunk(side, 0, bytes, source(9, 0, 2))).unwrap();
        }
        sink.closed(handle, &report(&c)).unwrap();
        let name = "19700101000009-UDP-10.0.0.1.53-10.0.0.1.53.txt".to_owned();
        sink.finish().unwrap();
        assert_eq!(read(&dir), BTreeMap::from([(name, "ab".to_owned())]));
    }
}
