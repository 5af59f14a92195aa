//! What was said in a play, stored as the lines of a dump.

use crate::recording::Transport;
use flow::{
    Began, Chunk, Connection, Ended, Endpoint, FlowKey, Report, Side, SideStats, Sink, Source,
};
use sink::{FileSink, Format, Names, OutputConfig, SinkError};
use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use wire::Timestamp;

/// Where what was said is stored: a file of JSON lines for each connection, or nowhere.
pub struct Store {
    files: Option<FileSink>,
    dir: PathBuf,
    names: Names,
    /// Why nothing more is stored, and was that told?
    failure: Option<SinkError>,
    told: bool,
}

/// A connection that is being stored.
#[derive(Debug)]
pub struct Stored {
    handle: u32,
    connection: Connection,
    name: String,
    sides: [SideStats; 2],
    chunks: u64,
    last: Source,
}

impl Store {
    /// Stores in a directory, or nowhere. Files are named in UTC, or in the local zone.
    /// A run may go on `endless`ly: then names that were given long ago are forgotten.
    pub fn new(dir: Option<PathBuf>, utc: bool, max_open: usize, endless: bool) -> Self {
        let config = |dir: &PathBuf| OutputConfig {
            dir: dir.clone(),
            format: Format::Json,
            utc,
            max_open,
            endless,
            ..OutputConfig::default()
        };
        Self {
            files: dir.as_ref().map(|dir| FileSink::new(&config(dir))),
            dir: dir.unwrap_or_default(),
            names: Names::new(utc).endless(endless),
            failure: None,
            told: false,
        }
    }

    /// Creates the directory, if anything is to be stored.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn prepare(&self) -> Result<(), SinkError> {
        self.files.as_ref().map_or(Ok(()), FileSink::prepare)
    }

    /// Why nothing more is stored, if that is new.
    pub fn news(&mut self) -> Option<String> {
        let failure = self.failure.as_ref().filter(|_| !self.told)?;
        self.told = true;
        let mut why = failure.to_string();
        let mut source = std::error::Error::source(failure);
        while let Some(cause) = source {
            why.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        Some(why)
    }

    /// A connection begins. `None` where nothing is stored.
    pub fn open(&mut self, transport: Transport, ends: [Endpoint; 2]) -> Option<Stored> {
        let files = self.files.as_mut().filter(|_| self.failure.is_none())?;
        let (key, initiator) = FlowKey::new(transport.number(), ends[0], ends[1]);
        let source = Source::new(now(), 1, 1);
        let connection = Connection::new(key, initiator, source);
        // Both ends may be played, and stored, in one directory: the first name that no file has.
        loop {
            let number = self.names.number(&connection);
            let name = self.names.name(&connection, number) + ".json";
            let path = self.dir.join(&name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(_) => {
                    let handle = files.open_numbered(&connection, number);
                    let sides = [SideStats::default(); 2];
                    return Some(Stored {
                        handle,
                        connection,
                        name,
                        sides,
                        chunks: 0,
                        last: source,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => {
                    self.failure = Some(SinkError::File { action: "create", path, source });
                    return None;
                }
            }
        }
    }

    /// A side said something.
    pub fn data(&mut self, stored: &mut Stored, side: Side, bytes: &[u8]) {
        let Some(files) = self.files.as_mut().filter(|_| self.failure.is_none()) else { return };
        if bytes.is_empty() {
            return;
        }
        stored.chunks += 1;
        stored.last = Source::new(now(), stored.chunks, 1);
        let stats = &mut stored.sides[side.index()];
        let chunk = Chunk { side, offset: stats.bytes, bytes, source: stored.last };
        stats.bytes += bytes.len() as u64;
        stats.chunks += 1;
        self.failure = files.data(stored.handle, &stored.connection, &chunk).err();
    }

    /// A connection is over; the name of its file, if there is one.
    pub fn close(&mut self, stored: Stored) -> Option<String> {
        let files = self.files.as_mut().filter(|_| self.failure.is_none())?;
        let connection = &stored.connection;
        let report = Report {
            protocol: connection.protocol(),
            vlans: connection.vlans(),
            ends: Side::BOTH.map(|side| connection.end(side)),
            first: connection.first(),
            last: stored.last,
            began: Began::FirstPacket,
            ended: Ended::InputEnded,
            sides: stored.sides,
        };
        let closed = files.closed(stored.handle, &report).and_then(|()| files.flush());
        self.failure = closed.err();
        if stored.chunks == 0 {
            // Nothing was said, and the name was only kept; where it cannot be removed, it is empty.
            let _ = std::fs::remove_file(self.dir.join(&stored.name));
            return None;
        }
        Some(stored.name)
    }

    /// All connections are over.
    ///
    /// # Errors
    /// Something could not be stored.
    pub fn finish(mut self) -> Result<(), SinkError> {
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => self.files.as_mut().map_or(Ok(()), FileSink::finish),
        }
    }
}

/// What the clock shows.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::new(i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
}
