//! One who reads and follows connections by turns.

use super::{Crew, Halted, Left, Tick};
use capture::Block;
use flow::{Arrival, Batch};

/// Datagrams that are decoded before they are followed: enough to have fetched what the later ones need while the
/// first ones are followed, few enough that they stay in the nearest cache.
const BATCH: usize = 32;

/// A crew in the thread that reads.
pub(crate) struct Here {
    pub(super) crew: Crew,
    batch: Batch<Block>,
}

impl Here {
    pub(super) fn new(crew: Crew) -> Self {
        Self { crew, batch: Batch::of(BATCH) }
    }

    #[inline(always)]
    pub(super) fn take(&mut self, arrival: &Arrival<'_>, block: &Block) -> Result<(), Halted> {
        if !self.batch.buffer().is_some_and(|buffer| buffer.is(block)) {
            self.handle()?;
            self.batch.set_buffer(block.clone());
        }
        self.batch.push(arrival);
        if self.batch.is_full() { self.handle_some() } else { Ok(()) }
    }

    /// Follows what there is, in a block that goes on.
    #[inline(never)]
    fn handle_some(&mut self) -> Result<(), Halted> {
        let done = self.crew.handle(&self.batch);
        self.batch.empty();
        done
    }

    /// Follows what there is, and lets go of the block.
    #[inline(never)]
    pub(super) fn handle(&mut self) -> Result<(), Halted> {
        let done = if self.batch.is_empty() { Ok(()) } else { self.crew.handle(&self.batch) };
        self.batch.clear();
        done
    }

    pub(super) fn flush(&mut self) -> Result<(), Halted> {
        self.handle()?;
        self.crew.flush()
    }

    pub(super) fn tell_time(&mut self, tick: Tick) -> Result<(), Halted> {
        self.handle()?;
        self.crew.tell_time(tick)
    }

    /// Follows what there is, closes the connections and writes what is held.
    pub(super) fn finish(mut self) -> Left {
        // Where that has failed, it is told by what the crew leaves.
        let _ = self.handle();
        self.crew.finish()
    }
}
