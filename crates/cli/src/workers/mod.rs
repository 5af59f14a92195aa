//! Who follows the connections and writes: this thread, or several.
//!
//! One thread at a time reads and decodes, and finds out which shard takes each datagram: of files one of those that work,
//! by turns, of a pipe or an interface one that does nothing else. (Where a live capture has several rings, each has
//! one.) There is a crew for each worker: it has every n-th shard and the output of their connections, so that nothing
//! is shared on the way of the data but the blocks that were read. What comes out does not depend on how many there are.

mod crew;
mod hall;
mod member;
mod threads;

use crate::config::{Config, From};
use anyhow::Context;
use capture::Block;
pub(crate) use crew::Crew;
use flow::{Arrival, Books, Census, Shards, Totals};
use sink::SinkError;
use std::ops::AddAssign;
use threads::{ByTurns, Threads};
use wire::Timestamp;

/// Output failed, or nobody reads it any more: nothing further need be read. What happened is said at
/// [the end](Workers::finish).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Halted;

/// How much those who work want to be read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) enum Demand {
    /// As usual.
    #[default]
    Usual,
    /// Somebody had nothing to do.
    Urgent,
    /// Somebody has enough to do for now.
    Satisfied,
}

/// What came of it all.
pub(crate) struct Done {
    pub(crate) books: Books,
    pub(crate) totals: Totals,
    pub(crate) written: Result<(), SinkError>,
}

/// What a worker leaves.
type Left = (Shards<u32>, Result<(), SinkError>);

/// What time it is, and what is to be done then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tick {
    pub(crate) now: Timestamp,
    /// What has waited for long to be written is.
    pub(crate) write: bool,
    /// Connections are counted.
    pub(crate) count: bool,
}

/// What there was when a worker last counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) books: Books,
    pub(crate) totals: Totals,
    pub(crate) census: Census,
}

impl AddAssign<&Self> for Counted {
    fn add_assign(&mut self, other: &Self) {
        self.books += &other.books;
        self.totals += &other.totals;
        self.census += &other.census;
    }
}

/// Those who will follow connections, with their output; nothing was created yet.
pub(crate) struct Prepared {
    crews: Vec<Crew>,
}

impl Prepared {
    /// As many as the configuration says.
    pub(crate) fn new(config: &Config) -> Self {
        // Each has a file open at times: none must wait for another's.
        let crews = config.workers.min(config.output.openable(config.workers)).max(1);
        Self { crews: (0..crews).map(|part| Crew::new(config, part, crews)).collect() }
    }

    /// Creates the output directory, and starts them, unless they are to [read by turns](Workers::by_turns). There are as
    /// many ways in as asked for, at least one, of which the first is to be finished last.
    ///
    /// # Errors
    /// The output directory cannot be created, or the system gives no more threads.
    pub(crate) fn start(mut self, ways_in: usize, by_turns: bool) -> anyhow::Result<Vec<Workers>> {
        if let Some(first) = self.crews.first() {
            first.prepare()?;
        }
        if ways_in <= 1
            && self.crews.len() == 1
            && let Some(crew) = self.crews.pop()
        {
            return Ok(vec![Workers::Here(Box::new(crew))]);
        }
        let threads =
            Threads::start(self.crews, ways_in, by_turns).context("cannot start a thread")?;
        Ok(threads.into_iter().map(Workers::Threads).collect())
    }
}

/// A way in to those who follow connections.
pub(crate) enum Workers {
    /// This thread does that.
    Here(Box<Crew>),
    /// Several do.
    Threads(Threads),
}

impl Workers {
    /// As many as the configuration says, with their output ready. Those that [read by turns](Self::by_turns) do not
    /// work yet.
    ///
    /// # Errors
    /// The output directory cannot be created, or the system gives no more threads.
    pub(crate) fn start(config: &Config) -> anyhow::Result<Option<Self>> {
        // Where all inputs have a length, none is a stream that somebody waits for to be read. (One that is not there has
        // none: that might be anything by the time it is opened.)
        let by_turns = match &config.from {
            From::Files(inputs) => inputs.iter().all(|input| input.length().is_some()),
            From::Interface(_) => false,
        };
        Ok(Prepared::new(config).start(1, by_turns)?.pop())
    }

    /// Takes in a datagram, whose bytes stand in `block` if they were not put together from fragments.
    #[inline(always)]
    pub(crate) fn take(&mut self, arrival: &Arrival<'_>, block: &Block) -> Result<(), Halted> {
        match self {
            Self::Here(crew) => crew.take(arrival),
            Self::Threads(threads) => threads.take(arrival, block),
        }
    }

    /// Where files are to be read by the workers themselves, what lets them.
    pub(crate) fn by_turns(&self) -> Option<ByTurns> {
        match self {
            Self::Here(_) => None,
            Self::Threads(threads) => threads.by_turns(),
        }
    }

    /// What is wanted since this was asked the last time.
    pub(crate) fn take_demand(&mut self) -> Demand {
        match self {
            Self::Here(_) => Demand::Usual,
            Self::Threads(threads) => threads.take_demand(),
        }
    }

    /// A turn is over; nothing comes any more unless there is another one.
    pub(crate) fn end_turn(&mut self, more: bool) {
        if let Self::Threads(threads) = self {
            threads.end_turn(more);
        }
    }

    /// The next datagram may be long in coming: nothing is held back that could be used.
    pub(crate) fn flush(&mut self) -> Result<(), Halted> {
        match self {
            Self::Here(crew) => crew.flush(),
            Self::Threads(threads) => threads.send_all(),
        }
    }

    /// Packets may be long in coming: ends connections that were silent for too long, and does what else is
    /// to be done at a time.
    pub(crate) fn tell_time(&mut self, tick: Tick) -> Result<(), Halted> {
        match self {
            Self::Here(crew) => crew.tell_time(tick),
            Self::Threads(threads) => threads.tell_time(tick),
        }
    }

    /// Connections held now, those that linger included.
    pub(crate) fn connections(&self) -> usize {
        match self {
            Self::Here(crew) => crew.connections(),
            Self::Threads(threads) => threads.connections(),
        }
    }

    /// What was counted last.
    pub(crate) fn counted(&self) -> Counted {
        match self {
            Self::Here(crew) => crew.counted().clone(),
            Self::Threads(threads) => threads.counted(),
        }
    }

    /// The input has ended: closes all connections, and writes everything. Where there are several ways in,
    /// that is done by the first.
    pub(crate) fn finish(self) -> Done {
        let done = match self {
            Self::Here(crew) => vec![crew.finish()],
            Self::Threads(threads) => threads.finish(),
        };
        let (mut books, mut totals, mut written) = (Books::default(), Totals::default(), Ok(()));
        for (shards, result) in done {
            shards.add_to(&mut books, &mut totals);
            written = written.and(result);
        }
        Done { books, totals, written }
    }
}
