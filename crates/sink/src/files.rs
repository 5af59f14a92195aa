//! Connections as files.

use crate::format::{Format, Formatter, GapBytes};
use crate::metadata::{self, Layout};
use crate::name::{Namer, Parts};
use crate::store::Store;
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
    separate_sides: bool,
    metadata: bool,
    store: Store,
    scratch: Vec<u8>,
}

impl FileSink {
    /// A sink as `config` says.
    pub fn new(config: &OutputConfig) -> Self {
        Self {
            namer: Namer::new(config.utc),
            formatter: config.formatter(),
            separate_sides: config.separate_sides,
            metadata: config.metadata,
            store: Store::new(config.dir.clone(), config.max_open, config.write_budget),
            scratch: Vec::new(),
        }
    }

    /// Creates the output directory, with those above it.
    ///
    /// # Errors
    /// When that fails.
    pub fn prepare(&self) -> Result<(), SinkError> {
        self.store.prepare()
    }

    /// Writes what is held of connections that are not over and closes all files.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(&mut self) -> Result<(), SinkError> {
        self.store.finish()
    }

    /// The side whose file takes what `side` sends. Equal ends have one name for both.
    fn file_side(&self, connection: &Connection, side: Side) -> Side {
        if self.separate_sides && !connection.key().ends_are_equal() { side } else { Side::Zero }
    }

    fn extension(&self) -> &'static str {
        match self.formatter.format {
            Format::Json => ".json",
            Format::Raw | Format::Headers => ".txt",
        }
    }

    fn write_metadata(&mut self, number: u32, report: &Report) -> Result<(), SinkError> {
        let extension = self.extension();
        let name = file_name(
            &mut self.namer,
            &report.into(),
            Side::Zero,
            number,
            &["-metadata", extension],
        );
        self.scratch.clear();
        if self.formatter.format == Format::Json {
            metadata::push_json(&mut self.scratch, report, Layout::Lines);
        } else {
            metadata::push_text(&mut self.scratch, report, &mut self.namer);
        }
        self.store.write_file(&name, &self.scratch)
    }
}

/// The name of a file, `from`'s end first.
fn file_name(
    namer: &mut Namer,
    parts: &Parts,
    from: Side,
    number: u32,
    endings: &[&str],
) -> Box<str> {
    let mut name = Vec::with_capacity(96);
    namer.push(&mut name, parts, from, number);
    for ending in endings {
        name.extend_from_slice(ending.as_bytes());
    }
    String::from_utf8(name).expect("a name is ASCII").into_boxed_str()
}

impl Sink for FileSink {
    type Handle = u32;
    type Error = SinkError;

    fn opened(&mut self, connection: &Connection) -> Result<u32, SinkError> {
        Ok(self.store.insert(self.namer.number(connection)))
    }

    fn data(
        &mut self,
        handle: u32,
        connection: &Connection,
        chunk: &Chunk<'_>,
    ) -> Result<(), SinkError> {
        let side = self.file_side(connection, chunk.side);
        let (number, extension) = (self.store.tag(handle), self.extension());
        let Self { namer, formatter, store, .. } = self;
        let room = match formatter.format {
            Format::Raw => chunk.bytes.len(),
            Format::Headers => chunk.bytes.len() + 80,
            // The formatter knows better.
            Format::Json => 0,
        };
        store.append(
            handle,
            side.index(),
            || file_name(namer, &connection.into(), side, number, &[extension]),
            room,
            |buffer| formatter.push_chunk(buffer, connection.first().time, chunk, None),
        )
    }

    fn gap(&mut self, handle: u32, connection: &Connection, gap: &Gap) -> Result<(), SinkError> {
        let side = self.file_side(connection, gap.side);
        let (number, extension) = (self.store.tag(handle), self.extension());
        let Self { namer, formatter, store, .. } = self;
        let name = || file_name(namer, &connection.into(), side, number, &[extension]);
        match formatter.gap_bytes(gap) {
            GapBytes::None => Ok(()),
            GapBytes::Zeros(len) => store.append_zeros(handle, side.index(), name, len),
            GapBytes::Record => store.append(handle, side.index(), name, 0, |buffer| {
                formatter.push_gap(buffer, connection.first().time, gap, None);
            }),
        }
    }

    fn settled(&mut self, handle: u32, _connection: &Connection) -> Result<(), SinkError> {
        self.store.settle(handle)
    }

    fn closed(&mut self, handle: u32, report: &Report) -> Result<(), SinkError> {
        let number = self.store.tag(handle);
        self.store.remove(handle)?;
        if self.metadata {
            self.write_metadata(number, report)?;
        }
        Ok(())
    }
}
