//! The output that the user asked for.

use crate::SinkError;
use crate::console::ConsoleSink;
use crate::disk::Disk;
use crate::files::FileSink;
use crate::format::{Format, Formatter, GapStyle};
use crate::null::NullSink;
use crate::os;
use crate::turn::Turn;
use flow::{Chunk, Conflict, Connection, End, Gap, Report, Sink};
use std::io::Write;
use std::path::PathBuf;

/// What to write, how and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutputConfig {
    /// Where files go.
    pub dir: PathBuf,
    /// Everything to the console, nothing to files.
    pub console: bool,
    /// What is known of each connection at its end, too.
    pub metadata: bool,
    /// A file for each side. The console takes no heed of it.
    pub separate_sides: bool,
    /// How chunks are written.
    pub format: Format,
    /// How missing bytes show in raw output.
    pub gap: GapStyle,
    /// Times in UTC rather than in the local zone.
    pub utc: bool,
    /// JSON lines name the input of each packet.
    pub several_inputs: bool,
    /// Files go to numbered folders of at most so many connections; all to one directory where it is
    /// `None`.
    pub bin_dirs: Option<u32>,
    /// Most files open at once; 0 counts as 1.
    pub max_open: usize,
    /// Descriptors that others in this process need, beside an input.
    pub reserved: usize,
    /// Memory for bytes that wait to be written, in bytes; what is over it is written at once.
    pub write_budget: usize,
    /// Write nothing at all.
    pub dry_run: bool,
    /// What the files of all workers may take together; no bound where it is `None`.
    pub disk: Option<Disk>,
    /// Whose turn it is to create files: copies of a configuration share it.
    pub turn: Turn,
    /// The run may go on for weeks: names that were given away long ago are forgotten, and a file that somebody
    /// took away is begun anew.
    pub endless: bool,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("."),
            console: false,
            metadata: false,
            separate_sides: false,
            format: Format::Raw,
            gap: GapStyle::Skip,
            utc: false,
            several_inputs: false,
            bin_dirs: None,
            // As the classic program has it; half of what systems usually allow a process.
            max_open: 500,
            reserved: 0,
            // 64 MiB: some 150 000 small connections under way at once.
            write_budget: 64 << 20,
            dry_run: false,
            disk: None,
            turn: Turn::default(),
            endless: false,
        }
    }
}

impl OutputConfig {
    /// How many files of `max_open` this process can really have open, when `workers` share them: the
    /// system's bound is for everything a process has open.
    pub fn openable(&self, workers: usize) -> usize {
        // The standard streams, an input, what libraries have, and a directory and a folder a worker.
        let others = 8 + 2 * workers + self.reserved;
        match os::descriptor_limit() {
            Some(limit) => self.max_open.min(limit.saturating_sub(others)).max(1),
            None => self.max_open,
        }
    }

    /// Are files written, in a directory that is created when it is missing?
    pub fn writes_files(&self) -> bool {
        !self.console && !self.dry_run
    }

    pub(crate) fn formatter(&self) -> Formatter {
        Formatter { format: self.format, gap: self.gap, several_inputs: self.several_inputs }
    }
}

/// One of the sinks, as an [`OutputConfig`] says. One serves any number of connections; workers have
/// one each, and share out `max_open` and `write_budget`.
pub enum Output {
    /// Files.
    Files(Box<FileSink>),
    /// The console.
    Console(Box<ConsoleSink>),
    /// Nothing.
    Null(NullSink),
}

impl Output {
    /// The sink that `config` asks for. Only a console uses `out` and `err`, the process's standard
    /// output and standard error; they need no buffer.
    pub fn new(
        config: &OutputConfig,
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
    ) -> Self {
        if config.dry_run {
            Self::Null(NullSink)
        } else if config.console {
            Self::Console(Box::new(ConsoleSink::new(config, out, err)))
        } else {
            Self::Files(Box::new(FileSink::new(config)))
        }
    }

    /// Makes ready for the first connection: creates the output directory. Meant for the moment when
    /// an input turned out to be readable, so that a mistyped name leaves nothing behind.
    ///
    /// # Errors
    /// When the directory cannot be created.
    pub fn prepare(&self) -> Result<(), SinkError> {
        match self {
            Self::Files(files) => files.prepare(),
            Self::Console(_) | Self::Null(_) => Ok(()),
        }
    }

    /// Passes on what could be used by others, for the time in which nothing more comes: what a console
    /// holds back, and the files of connections that are over. Others are left as they are.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&mut self) -> Result<(), SinkError> {
        match self {
            Self::Console(console) => console.flush(),
            Self::Files(files) => files.flush(),
            Self::Null(_) => Ok(()),
        }
    }

    /// Writes the bytes of connections that waited when this was called the last time and still do. To be
    /// called now and then while an input goes on, so that others see what came.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_waiting(&mut self) -> Result<(), SinkError> {
        match self {
            Self::Console(console) => console.flush(),
            Self::Files(files) => files.write_waiting(),
            Self::Null(_) => Ok(()),
        }
    }

    /// Writes all that is held back. To be called when all connections are closed, or when the run
    /// stops early and what came is to be kept.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(&mut self) -> Result<(), SinkError> {
        match self {
            Self::Files(files) => files.finish(),
            Self::Console(console) => console.flush(),
            Self::Null(_) => Ok(()),
        }
    }
}

/// Hands a call on to the sink that there is.
macro_rules! hand_on {
    ($output:expr, $call:ident($($argument:expr),*)) => {
        match $output {
            Output::Files(sink) => sink.$call($($argument),*),
            Output::Console(sink) => sink.$call($($argument),*),
            Output::Null(sink) => sink.$call($($argument),*),
        }
    };
}

/// Where nothing is kept, that is seen where the call is, so that nothing is made ready for it.
impl Sink for Output {
    type Handle = u32;
    type Error = SinkError;

    #[inline(always)]
    fn opened(&mut self, connection: &Connection) -> Result<u32, SinkError> {
        if self.is_null() { Ok(0) } else { self.pass_opened(connection) }
    }

    #[inline(always)]
    fn data(
        &mut self,
        handle: u32,
        connection: &Connection,
        chunk: &Chunk<'_>,
    ) -> Result<(), SinkError> {
        if self.is_null() { Ok(()) } else { self.pass_data(handle, connection, chunk) }
    }

    fn gap(&mut self, handle: u32, connection: &Connection, gap: &Gap) -> Result<(), SinkError> {
        hand_on!(self, gap(handle, connection, gap))
    }

    fn conflict(
        &mut self,
        handle: u32,
        connection: &Connection,
        conflict: &Conflict,
    ) -> Result<(), SinkError> {
        hand_on!(self, conflict(handle, connection, conflict))
    }

    #[inline(always)]
    fn ended(&mut self, handle: u32, connection: &Connection, end: &End) -> Result<(), SinkError> {
        if self.is_null() { Ok(()) } else { self.pass_ended(handle, connection, end) }
    }

    #[inline(always)]
    fn settled(&mut self, handle: u32, connection: &Connection) -> Result<(), SinkError> {
        if self.is_null() { Ok(()) } else { self.pass_settled(handle, connection) }
    }

    #[inline(always)]
    fn wants_reports(&self) -> bool {
        !self.is_null()
    }

    fn closed(&mut self, handle: u32, report: &Report) -> Result<(), SinkError> {
        hand_on!(self, closed(handle, report))
    }
}

impl Output {
    #[inline(always)]
    fn is_null(&self) -> bool {
        matches!(self, Self::Null(_))
    }

    #[inline(never)]
    fn pass_opened(&mut self, connection: &Connection) -> Result<u32, SinkError> {
        hand_on!(self, opened(connection))
    }

    #[inline(never)]
    fn pass_data(
        &mut self,
        handle: u32,
        connection: &Connection,
        chunk: &Chunk<'_>,
    ) -> Result<(), SinkError> {
        hand_on!(self, data(handle, connection, chunk))
    }

    #[inline(never)]
    fn pass_ended(
        &mut self,
        handle: u32,
        connection: &Connection,
        end: &End,
    ) -> Result<(), SinkError> {
        hand_on!(self, ended(handle, connection, end))
    }

    #[inline(never)]
    fn pass_settled(&mut self, handle: u32, connection: &Connection) -> Result<(), SinkError> {
        hand_on!(self, settled(handle, connection))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{chunk, connection, gap, report, source};
    use flow::Side;
    use std::io;
    use tempfile::TempDir;

    /// Runs one connection through the output and tells what it left in the directory.
    fn left_by(config: OutputConfig) -> (bool, usize) {
        let parent = TempDir::new().unwrap();
        let dir = parent.path().join("a/b");
        let config = OutputConfig { dir: dir.clone(), metadata: true, ..config };
        let mut output = Output::new(&config, Box::new(io::sink()), Box::new(io::sink()));
        assert!(!dir.exists());
        output.prepare().unwrap();
        let c = connection(6, "10.0.0.2:1", "10.0.0.1:80", 9);
        let handle = output.opened(&c).unwrap();
        output.data(handle, &c, &chunk(Side::Zero, 0, b"x", source(9, 1, 1))).unwrap();
        output.gap(handle, &c, &gap(Side::Zero, 1, 1, source(9, 1, 1))).unwrap();
        output
            .conflict(handle, &c, &Conflict { side: Side::Zero, source: source(9, 1, 1) })
            .unwrap();
        output.flush().unwrap();
        output.settled(handle, &c).unwrap();
        output.closed(handle, &report(&c)).unwrap();
        output.finish().unwrap();
        let files = if dir.exists() { std::fs::read_dir(&dir).unwrap().count() } else { 0 };
        (dir.exists(), files)
    }

    #[test]
    fn only_files_touch_the_directory() {
        let config = OutputConfig::default();
        assert_eq!(left_by(config.clone()), (true, 2));
        assert_eq!(left_by(OutputConfig { console: true, ..config.clone() }), (false, 0));
        assert_eq!(left_by(OutputConfig { dry_run: true, ..config }), (false, 0));
    }

    #[test]
    fn what_is_held_is_written_when_a_run_stops_early() {
        let dir = TempDir::new().unwrap();
        let config = OutputConfig { dir: dir.path().into(), ..OutputConfig::default() };
        let mut output = Output::new(&config, Box::new(io::sink()), Box::new(io::sink()));
        let c = connection(6, "10.0.0.2:1", "10.0.0.1:80", 9);
        let handle = output.opened(&c).unwrap();
        output.data(handle, &c, &chunk(Side::Zero, 0, b"x", source(9, 1, 1))).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        output.finish().unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
