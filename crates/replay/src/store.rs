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
    /// Why nothing more is stored.
    failure: Option<SinkError>,
    prepared: bool,
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
    pub fn new(dir: Option<PathBuf>, utc: bool, max_open: usize) -> Self {
        let output = dir.map(|dir| {
            let config = OutputConfig {
                dir,
                format: Format::Json,
                utc,
                max_open,
                ..OutputConfig::default()
            };
            Output::new(&config, Box::new(io::sink()), Box::new(io::sink()))
        });
        Self { output, names: Names::new(utc), failure: None, prepared: false }
    }

    /// A connection begins. `None` where nothing is stored.
    pub fn open(&mut self, transport: Transport, ends: [Endpoint; 2]) -> Option<Stored> {
        let output = self.output.as_mut().filter(|_| self.failure.is_none())?;
        if !self.prepared {
            if let Err(error) = output.prepare() {
                self.failure = Some(error);
                return None;
            }
            self.prepared = true;
        }
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
