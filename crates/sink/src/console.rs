//! Connections on the console.

use crate::format::{Format, Formatter, GapBytes};
use crate::metadata::{self, Layout};
use crate::name::{Namer, Parts};
use crate::slab::Slab;
use crate::{OutputConfig, SinkError};
use flow::{Chunk, Connection, Gap, Report, Side, Sink};
use std::io::Write;

/// Bytes are passed on in pieces of about this size.
const WRITE_AT: usize = 64 << 10;

/// Writes all connections to one stream, chunk by chunk in the order of delivery.
///
/// With JSON lines each names its connection, and what is known of a connection at its end is a line
/// among them; else that goes as text to a second stream.
pub struct ConsoleSink {
    namer: Namer,
    formatter: Formatter,
    metadata: bool,
    /// Each connection's number among those that look like it.
    numbers: Slab<u32>,
    /// The connection whose name is in `name`.
    named: Option<u32>,
    name: Vec<u8>,
    buffer: Vec<u8>,
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
}

impl ConsoleSink {
    /// A sink as `config` says that writes to `out`, and metadata as text to `err`.
    pub fn new(
        config: &OutputConfig,
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
    ) -> Self {
        Self {
            namer: Namer::new(config.utc),
            formatter: config.formatter(),
            metadata: config.metadata,
            numbers: Slab::default(),
            named: None,
            name: Vec::new(),
            buffer: Vec::new(),
            out,
            err,
        }
    }

    /// Passes on all that is held back: at the end, and live whenever nothing comes for a while.
    ///
    /// # Errors
    /// When the stream cannot be written to.
    pub fn flush(&mut self) -> Result<(), SinkError> {
        self.pass_on()?;
        self.out.flush().map_err(failed)
    }

    /// Passes on the buffer.
    fn pass_on(&mut self) -> Result<(), SinkError> {
        let written = self.out.write_all(&self.buffer);
        self.buffer.clear();
        self.buffer.shrink_to(4 * WRITE_AT);
        written.map_err(failed)
    }

    fn pass_on_if_large(&mut self) -> Result<(), SinkError> {
        if self.buffer.len() >= WRITE_AT { self.pass_on() } else { Ok(()) }
    }

    /// Puts the connection's name into `name`. Chunks often follow one of the same connection.
    fn find_name(&mut self, handle: u32, parts: impl FnOnce() -> Parts) {
        if self.named != Some(handle) {
            self.name.clear();
            self.namer.push(&mut self.name, &parts(), Side::Zero, self.numbers[handle]);
            self.named = Some(handle);
        }
    }

    /// The name as lines show it, if they do.
    fn name_in_lines(&mut self, handle: u32, connection: &Connection) {
        if self.formatter.format == Format::Json {
            self.find_name(handle, || connection.into());
        }
    }

    fn write_zeros(&mut self, mut len: u64) -> Result<(), SinkError> {
        while len > 0 {
            let piece = len.min(WRITE_AT as u64);
            // A piece fits a usize: it is at most WRITE_AT.
            self.buffer.resize(self.buffer.len() + piece as usize, 0);
            self.pass_on_if_large()?;
            len -= piece;
        }
        Ok(())
    }

    fn write_metadata(&mut self, handle: u32, report: &Report) -> Result<(), SinkError> {
        self.find_name(handle, || report.into());
        if self.formatter.format == Format::Json {
            self.buffer.extend_from_slice(b"{\"connection\":\"");
            self.buffer.extend_from_slice(&self.name);
            self.buffer.extend_from_slice(b"\",\"metadata\":");
            metadata::push_json(&mut self.buffer, report, Layout::OneLine);
            self.buffer.extend_from_slice(b"}\n");
            return self.pass_on_if_large();
        }
        let mut text = self.name.clone();
        text.push(b'\n');
        metadata::push_text(&mut text, report, &mut self.namer);
        text.push(b'\n');
        let written = self.err.write_all(&text);
        written.map_err(|source| SinkError::Console { stream: "standard error", source })
    }
}

fn failed(source: std::io::Error) -> SinkError {
    SinkError::Console { stream: "standard output", source }
}

impl Sink for ConsoleSink {
    type Handle = u32;
    type Error = SinkError;

    fn opened(&mut self, connection: &Connection) -> Result<u32, SinkError> {
        Ok(self.numbers.insert(self.namer.number(connection)))
    }

    fn data(
        &mut self,
        handle: u32,
        connection: &Connection,
        chunk: &Chunk<'_>,
    ) -> Result<(), SinkError> {
        self.name_in_lines(handle, connection);
        let first = connection.first().time;
        self.formatter.push_chunk(&mut self.buffer, first, chunk, Some(&self.name));
        self.pass_on_if_large()
    }

    fn gap(&mut self, handle: u32, connection: &Connection, gap: &Gap) -> Result<(), SinkError> {
        match self.formatter.gap_bytes(gap) {
            GapBytes::None => Ok(()),
            GapBytes::Zeros(len) => self.write_zeros(len),
            GapBytes::Record => {
                self.name_in_lines(handle, connection);
                let first = connection.first().time;
                self.formatter.push_gap(&mut self.buffer, first, gap, Some(&self.name));
                self.pass_on_if_large()
            }
        }
    }

    fn closed(&mut self, handle: u32, report: &Report) -> Result<(), SinkError> {
        if self.metadata {
            self.write_metadata(handle, report)?;
        }
        self.numbers.remove(handle);
        self.named = None;
        Ok(())
    }
}
