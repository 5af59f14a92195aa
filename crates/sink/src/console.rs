//! Connections on the console.

use crate::error::STDOUT;
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
            namer: Namer::new(config.utc).endless(config.endless),
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
    SinkError::Console { stream: STDOUT, source }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GapStyle;
    use crate::samples::{chunk, connection, gap, report, source};
    use std::io;
    use std::sync::{Arc, Mutex};

    /// A stream that a test can look at.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Shared {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What two connections that take turns put on standard output and standard error.
    fn shown(config: OutputConfig) -> (String, String) {
        let (out, err) = (Shared::default(), Shared::default());
        let config = OutputConfig { utc: true, ..config };
        let mut sink = ConsoleSink::new(&config, Box::new(out.clone()), Box::new(err.clone()));
        let a = connection(6, "10.0.0.2:40000", "10.0.0.1:80", 9);
        let b = connection(17, "10.0.0.2:53", "10.0.0.1:53", 9);
        let (on_a, on_b) = (sink.opened(&a).unwrap(), sink.opened(&b).unwrap());
        sink.data(on_a, &a, &chunk(Side::Zero, 0, b"one\n", source(9, 1, 1))).unwrap();
        sink.data(on_b, &b, &chunk(Side::One, 0, b"two\n", source(9, 2, 2))).unwrap();
        sink.gap(on_a, &a, &gap(Side::Zero, 4, 3, source(9, 3, 3))).unwrap();
        sink.closed(on_a, &report(&a)).unwrap();
        sink.closed(on_b, &report(&b)).unwrap();
        sink.flush().unwrap();
        (out.text(), err.text())
    }

    #[test]
    fn raw_bytes_come_in_the_order_of_delivery() {
        let plain = OutputConfig::default();
        assert_eq!(shown(plain.clone()), ("one\ntwo\n".into(), String::new()));
        let zeros = OutputConfig { gap: GapStyle::Zero, ..plain.clone() };
        assert_eq!(shown(zeros).0, "one\ntwo\n\0\0\0");
        let marker = OutputConfig { gap: GapStyle::Marker, ..plain };
        assert_eq!(shown(marker).0, "one\ntwo\n[3 bytes missing]");
    }

    #[test]
    fn json_lines_name_their_connection_and_metadata_is_one_of_them() {
        let json = OutputConfig { format: Format::Json, metadata: true, ..OutputConfig::default() };
        let (out, err) = shown(json);
        assert_eq!(err, "");
        let lines: Vec<serde_json::Value> =
            out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let a = "19700101000009-TCP-10.0.0.2.40000-10.0.0.1.80";
        let b = "19700101000009-UDP-10.0.0.2.53-10.0.0.1.53";
        let names: Vec<&str> = lines.iter().map(|l| l["connection"].as_str().unwrap()).collect();
        assert_eq!(names, [a, b, a, a, b]);
        assert_eq!(lines[2]["missing"], "3");
        assert_eq!(lines[3]["metadata"]["total"]["bytes"], "0");
        let first = out.lines().next().unwrap();
        assert!(first.ends_with(&format!("\"offset\":\"0\",\"connection\":\"{a}\"}}")), "{first}");
        let fourth = out.lines().nth(3).unwrap();
        let start = format!("{{\"connection\":\"{a}\",\"metadata\":{{\"total\":{{");
        assert!(fourth.starts_with(&start), "{fourth}");
    }

    #[test]
    fn metadata_as_text_goes_to_the_other_stream() {
        let (out, err) = shown(OutputConfig { metadata: true, ..OutputConfig::default() });
        assert_eq!(out, "one\ntwo\n");
        let a =
            "19700101000009-TCP-10.0.0.2.40000-10.0.0.1.80\nNumber of data packets in side 0:  0\n";
        assert!(err.starts_with(a), "{err}");
        assert!(err.contains("\n\n19700101000009-UDP-10.0.0.2.53-10.0.0.1.53\nNumber"), "{err}");
    }

    #[test]
    fn a_handle_used_again_has_a_name_of_its_own() {
        let out = Shared::default();
        let config = OutputConfig { format: Format::Json, utc: true, ..OutputConfig::default() };
        let mut sink = ConsoleSink::new(&config, Box::new(out.clone()), Box::new(io::sink()));
        for n in ["10.0.0.2:1", "10.0.0.2:2"] {
            let c = connection(6, n, "10.0.0.1:80", 9);
            let handle = sink.opened(&c).unwrap();
            assert_eq!(handle, 0);
            sink.data(handle, &c, &chunk(Side::Zero, 0, b"x", source(9, 1, 1))).unwrap();
            sink.closed(handle, &report(&c)).unwrap();
        }
        sink.flush().unwrap();
        assert!(out.text().lines().next().unwrap().contains("10.0.0.2.1-"));
        assert!(out.text().lines().nth(1).unwrap().contains("10.0.0.2.2-"));
    }

    #[test]
    fn large_gaps_are_passed_on_piece_by_piece() {
        let out = Shared::default();
        let config = OutputConfig { gap: GapStyle::Zero, ..OutputConfig::default() };
        let mut sink = ConsoleSink::new(&config, Box::new(out.clone()), Box::new(io::sink()));
        let c = connection(6, "10.0.0.2:1", "10.0.0.1:80", 9);
        let handle = sink.opened(&c).unwrap();
        sink.gap(handle, &c, &gap(Side::Zero, 0, 1_000_000, source(9, 3, 3))).unwrap();
        assert!(sink.buffer.capacity() <= 4 * WRITE_AT);
        sink.flush().unwrap();
        assert_eq!(out.0.lock().unwrap().len(), 1_000_000);
    }

    /// A stream that fails.
    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_told_from_a_failure() {
        for (kind, closed) in
            [(io::ErrorKind::BrokenPipe, true), (io::ErrorKind::StorageFull, false)]
        {
            let broken = Box::new(Broken(kind));
            let mut sink = ConsoleSink::new(&OutputConfig::default(), broken, Box::new(io::sink()));
            let c = connection(6, "10.0.0.2:1", "10.0.0.1:80", 9);
            let handle = sink.opened(&c).unwrap();
            sink.data(handle, &c, &chunk(Side::Zero, 0, b"x", source(9, 1, 1))).unwrap();
            let error = sink.flush().unwrap_err();
            assert_eq!(error.to_string(), "cannot write to standard output");
            assert_eq!(error.is_closed_pipe(), closed);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_stops_the_run() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut sink =
            ConsoleSink::new(&OutputConfig::default(), Box::new(full), Box::new(io::sink()));
        let c = connection(6, "10.0.0.2:1", "10.0.0.1:80", 9);
        let handle = sink.opened(&c).unwrap();
        let bytes = vec![b'x'; WRITE_AT];
        let error = sink.data(handle, &c, &chunk(Side::Zero, 0, &bytes, source(9, 1, 1)));
        let source = std::error::Error::source(&error.unwrap_err()).unwrap().to_string();
        assert!(source.contains("No space left"), "{source}");
    }
}
