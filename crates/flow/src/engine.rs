//! The engine: one intake and all the shards, in one thread.

use crate::{Books, Config, Intake, OpenConnections, Reason, SHARDS, Shard, Sink, Source, Totals};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use wire::{Dropped, Frame};

/// Follows the connections of a stream of frames.
///
/// It does in one thread what several do with an [`Intake`] and [`Shard`]s of their own, with the same
/// result.
#[derive(Debug)]
pub struct Engine<H> {
    intake: Intake,
    shards: Vec<Shard<H>>,
}

impl<H: Copy> Engine<H> {
    /// An engine that knows no connection yet.
    pub fn new(config: Config) -> Self {
        let shards = (0..SHARDS).map(|_| Shard::new(config)).collect();
        Self { intake: Intake::new(&config), shards }
    }

    /// Takes in a frame. Packets must come in the order of the input; their times may be any.
    ///
    /// # Errors
    /// The sink's own.
    pub fn handle_packet<S: Sink<Handle = H>>(
        &mut self,
        source: Source,
        frame: &Frame<'_>,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        // Matched by reference: an arrival is 150 bytes, which need not be moved.
        if let Some(arrival) = &self.intake.handle(source, frame) {
            self.shards[arrival.shard()].handle(arrival, sink)?;
        }
        while let Some(arrival) = self.intake.next_arrival() {
            self.shards[arrival.shard()].handle(&arrival, sink)?;
        }
        Ok(())
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
        let mut open: Vec<_> = self.shards.iter().map(Shard::open_connections).collect();
        let next = |i: usize, shard: &Shard<H>, open: &[OpenConnections]| {
            shard.next_opened(&open[i]).map(|opened| Reverse((opened, i)))
        };
        let shards = self.shards.iter().enumerate();
        let mut queue: BinaryHeap<_> = shards.filter_map(|(i, s)| next(i, s, &open)).collect();
        while let Some(Reverse((_, i))) = queue.pop() {
            self.shards[i].finish_next(&mut open[i], sink)?;
            queue.extend(next(i, &self.shards[i], &open));
        }
        Ok(())
    }

    /// Connections held now, those that linger included.
    pub fn connections(&self) -> usize {
        self.shards.iter().map(Shard::connections).sum()
    }

    /// What became of every packet so far.
    pub fn books(&self) -> Books {
        let mut books = self.intake.books().clone();
        for shard in &self.shards {
            books += shard.books();
        }
        books
    }

    /// Sums over the connections so far.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for shard in &self.shards {
            totals += shard.totals();
        }
        self.intake.add_to(&mut totals);
        totals
    }
}
