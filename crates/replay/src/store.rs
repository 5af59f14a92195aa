//! What was said in a play, stored as the lines of a dump.

use crate::recording::Transport;
use flow::{
    Began, Chunk, Connection, Ended, Endpoint, FlowKey, Report, Side, SideStats, Sink, Source,
};
use sink::{Format, Names, Output, OutputConfig, SinkError};
use std::io;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use wire::Timestamp;

/// Where what was said is stored: a file of JSON lines for each connection, or nowhere.
pub struct Store {
    output: Option<Output>,
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
        let output = dir.map(|dir| {
            let config = OutputConfig {
                dir,
                format: Format::Json,
                utc,
                max_open,
                endless,
                ..OutputConfig::default()
            };
            Output::new(&config, Box::new(io::sink()), Box::new(io::sink()))
        });
        Self { output, names: Names::new(utc).endless(endless), failure: None, told: false }
    }

    /// Creates the directory, if anything is to be stored.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn prepare(&self) -> Result<(), SinkError> {
        self.output.as_ref().map_or(Ok(()), Output::prepare)
    }

    /// Why nothing more is stored, if that is new.
    pub fn news(&mut self) -> Option<String> {
        let failure = self.failure.as_ref().filter(|_| !self.told)?;
        self.told = true;
        Some(failure.to_string())
    }

    /// A connection begins. `None` where nothing is stored.
    pub fn open(&mut self, transport: Transport, ends: [Endpoint; 2]) -> Option<Stored> {
        let output = self.output.as_mut().filter(|_| self.failure.is_none())?;
        let (key, initiator) = FlowKey::new(transport.number(), ends[0], ends[1]);
        let source = Source::new(now(), 1, 1);
        let connection = Connection::new(key, initiator, source);
        let number = self.names.number(&connection);
        let name = self.names.name(&connection, number) + ".json";
        match output.opened(&connection) {
            Ok(handle) => {
                let sides = [SideStats::default(); 2];
                Some(Stored { handle, connection, name, sides, chunks: 0, last: source })
            }
            Err(error) => {
                self.failure = Some(error);
                None
            }
        }
    }

    /// A side said something.
    pub fn data(&mut self, stored: &mut Stored, side: Side, bytes: &[u8]) {
        let Some(output) = self.output.as_mut().filter(|_| self.failure.is_none()) else { return };
        if bytes.is_empty() {
            return;
        }
        stored.chunks += 1;
        stored.last = Source::new(now(), stored.chunks, 1);
        let stats = &mut stored.sides[side.index()];
        let chunk = Chunk { side, offset: stats.bytes, bytes, source: stored.last };
        stats.bytes += bytes.len() as u64;
        stats.chunks += 1;
        self.failure = output.data(stored.handle, &stored.connection, &chunk).err();
    }

    /// A connection is over; the name of its file, if there is one.
    pub fn close(&mut self, stored: Stored) -> Option<String> {
        let output = self.output.as_mut().filter(|_| self.failure.is_none())?;
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
        let closed = output.closed(stored.handle, &report).and_then(|()| output.flush());
        self.failure = closed.err();
        (stored.chunks > 0).then_some(stored.name)
    }

    /// All connections are over.
    ///
    /// # Errors
    /// Something could not be stored.
    pub fn finish(mut self) -> Result<(), SinkError> {
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => self.output.as_mut().map_or(Ok(()), Output::finish),
        }
    }
}

/// What the clock shows.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::new(i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
}
