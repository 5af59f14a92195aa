//! Connections that are looked at, not kept.

use crate::SinkError;
use crate::name::Namer;
use flow::{Connection, Sink};

/// Numbers connections as the other sinks do, and drops their bytes: what `--dry-run` is for, to see
/// the summary without writing a file.
pub struct NullSink {
    namer: Namer,
}

impl NullSink {
    /// A sink that shows times of the local zone or UTC.
    pub fn new(utc: bool) -> Self {
        Self { namer: Namer::new(utc) }
    }
}

impl Sink for NullSink {
    type Handle = u32;
    type Error = SinkError;

    fn opened(&mut self, connection: &Connection) -> Result<u32, SinkError> {
        Ok(self.namer.number(connection))
    }
}
