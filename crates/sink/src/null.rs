//! Connections that are looked at, not kept.

use crate::SinkError;
use flow::{Connection, Sink};

/// Drops everything: what `--dry-run` is for, to see the summary without writing a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullSink;

impl Sink for NullSink {
    type Handle = u32;
    type Error = SinkError;

    #[inline]
    fn opened(&mut self, _: &Connection) -> Result<u32, SinkError> {
        Ok(0)
    }
}
