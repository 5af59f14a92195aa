//! What several tests use.

use crate::{Connection, Sink};
use std::convert::Infallible;

/// A sink to which nothing matters.
pub(crate) struct Nothing;

impl Sink for Nothing {
    type Handle = ();
    type Error = Infallible;

    fn opened(&mut self, _: &Connection) -> Result<(), Infallible> {
        Ok(())
    }
}
