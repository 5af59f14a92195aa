//! One who follows connections.

use super::{Counted, Halted, Left, Tick};
use crate::config::Config;
use capture::Block;
use flow::{Arrival, Batch, Shards};
use sink::{Output, OutputConfig, SinkError};
use std::io::{stderr, stdout};

/// Some of the shards, and the output of their connections.
pub(crate) struct Crew {
    shards: Shards<u32>,
    output: Output,
    /// Why nothing more is written.
    failed: Option<SinkError>,
    counted: Counted,
}

impl Crew {
    /// The crew of one of several workers, with its part of the limits.
    pub(super) fn new(config: &Config, part: usize, of: usize) -> Self {
        let output = OutputConfig {
            max_open: share(config.output.openable(of), part, of).max(1),
            write_budget: config.output.write_budget / of,
            ..config.output.clone()
        };
        let output = Output::new(&output, Box::new(stdout()), Box::new(stderr()));
        let (shards, counted) = (Shards::part(config.engine, part, of), Counted::default());
        Self { shards, output, failed: None, counted }
    }

    /// Creates the output directory, where there is to be one.
    pub(super) fn prepare(&self) -> Result<(), SinkError> {
        self.output.prepare()
    }

    /// Connections held, those that linger included.
    pub(super) fn connections(&self) -> usize {
        self.shards.connections()
    }

    /// What was counted last.
    pub(super) fn counted(&self) -> &Counted {
        &self.counted
    }

    /// Remembers why output failed.
    #[cold]
    fn fail(&mut self, error: SinkError) -> Result<(), Halted> {
        self.failed.get_or_insert(error);
        Err(Halted)
    }

    /// A frame that begins here may come next.
    #[inline(always)]
    pub(crate) fn foresee(&self, bytes: &[u8]) {
        if wire::may_open(bytes) {
            self.shards.foresee(bytes);
        }
    }

    /// Takes in a datagram.
    #[inline(always)]
    pub(crate) fn take(&mut self, arrival: &Arrival<'_>) -> Result<(), Halted> {
        match self.shards.handle(arrival, &mut self.output) {
            Ok(()) => Ok(()),
            Err(error) => self.fail(error),
        }
    }

    /// Takes in a segment if it goes the usual way. `false`, and nothing changed, where it does not. It is counted by
    /// [`Self::count_usual`].
    #[inline(always)]
    pub(crate) fn take_usual(&mut self, arrival: &Arrival<'_>) -> Result<bool, Halted> {
        match self.shards.handle_usual(arrival, &mut self.output) {
            Ok(taken) => Ok(taken),
            Err(error) => self.fail(error).map(|()| true),
        }
    }

    /// So many packets went the usual way.
    pub(crate) fn count_usual(&mut self, packets: u64) {
        self.shards.count_usual(packets);
    }

    pub(super) fn handle(&mut self, batch: &Batch<Block>) -> Result<(), Halted> {
        if self.failed.is_some() {
            return Err(Halted);
        }
        self.shards.handle_batch(batch, &mut self.output).or_else(|error| self.fail(error))
    }

    pub(super) fn flush(&mut self) -> Result<(), Halted> {
        if self.failed.is_some() {
            return Err(Halted);
        }
        self.output.flush().or_else(|error| self.fail(error))
    }

    pub(super) fn tell_time(&mut self, tick: Tick) -> Result<(), Halted> {
        if self.failed.is_some() {
            return Err(Halted);
        }
        let told = self.shards.handle_timeout(tick.now, &mut self.output);
        let written = if tick.write { self.output.write_waiting() } else { Ok(()) };
        if tick.count {
            self.counted = Counted { census: self.shards.census(), ..Counted::default() };
            self.shards.add_to(&mut self.counted.books, &mut self.counted.totals);
        }
        told.and(written).or_else(|error| self.fail(error))
    }

    /// Closes the connections and writes what is held.
    pub(super) fn finish(mut self) -> Left {
        let written = match self.failed.take() {
            None => self.shards.finish(&mut self.output).and_then(|()| self.output.finish()),
            Some(error) => {
                // Other connections' bytes can still be written, unless there is no room for any. What
                // fails now is of no news.
                if !error.is_disk_full() {
                    let _ = self.output.finish();
                }
                Err(error)
            }
        };
        (self.shards, written)
    }
}

/// What worker `part` of `of` gets of something that can be counted.
fn share(all: usize, part: usize, of: usize) -> usize {
    all / of + usize::from(part < all % of)
}
