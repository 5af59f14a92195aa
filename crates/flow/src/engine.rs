//! The engine: one intake and all the shards, in one thread.

use crate::{Books, Census, Config, Intake, Reason, Shards, Sink, Source, Totals};
use wire::{Dropped, Frame, Timestamp};

/// Follows the connections of a stream of frames.
///
/// It does in one thread what several do with an [`Intake`] and a part of the [`Shards`] each, with the
/// same result.
#[derive(Debug)]
pub struct Engine<H> {
    intake: Intake,
    shards: Shards<H>,
}

impl<H: Copy> Engine<H> {
    /// An engine that knows no connection yet.
    pub fn new(config: Config) -> Self {
        Self { intake: Intake::new(&config), shards: Shards::all(config) }
    }

    /// Takes in a frame. Packets must come in the order of the input; their times may be any.
    ///
    /// # Errors
    /// The sink's own.
    #[inline]
    pub fn handle_packet<S: Sink<Handle = H>>(
        &mut self,
        source: Source,
        frame: &Frame<'_>,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        match self.intake.plain(source, frame) {
            Some(arrival) => self.shards.handle(&arrival, sink),
            None => self.intake.handle(source, frame, |arrival| self.shards.handle(arrival, sink)),
        }
    }

    /// It is `now`: see [`Shard::handle_timeout`](crate::Shard::handle_timeout).
    ///
    /// # Errors
    /// The sink's own.
    pub fn handle_timeout<S: Sink<Handle = H>>(
        &mut self,
        now: Timestamp,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        self.shards.handle_timeout(now, sink)
    }

    /// A frame was read that is not to be looked into.
    pub fn set_aside(&mut self, reason: Reason) {
        self.intake.set_aside(reason);
    }

    /// Why the last frame, or a part of it, could not be decoded. Asking forgets it.
    pub fn take_dropped(&mut self) -> Option<Dropped> {
        self.intake.take_dropped()
    }

    /// The input has ended: closes all connections, in the order of their first packets.
    ///
    /// # Errors
    /// The sink's own.
    pub fn finish<S: Sink<Handle = H>>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        self.intake.finish();
        self.shards.finish(sink)
    }

    /// Connections held now, those that linger included.
    pub fn connections(&self) -> usize {
        self.shards.connections()
    }

    /// Looks at every connection: see [`Shard::census`](crate::Shard::census).
    pub fn census(&self) -> Census {
        self.shards.census()
    }

    /// What became of every packet so far.
    pub fn books(&self) -> Books {
        self.sums().0
    }

    /// Sums over the connections so far.
    pub fn totals(&self) -> Totals {
        self.sums().1
    }

    fn sums(&self) -> (Books, Totals) {
        let (mut books, mut totals) = (self.intake.books().clone(), Totals::default());
        self.shards.add_to(&mut books, &mut totals);
        self.intake.add_to(&mut totals);
        (books, totals)
    }
}
