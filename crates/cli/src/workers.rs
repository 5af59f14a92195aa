//! Who follows the connections and writes: this thread, or several others.
//!
//! One thread reads and decodes, and finds out which shard takes each datagram. A worker owns every
//! n-th shard and the output of their connections, so that nothing is shared on the way of the data but
//! the blocks that were read. What comes out does not depend on how many there are.

use crate::config::Config;
use anyhow::Context;
use capture::Block;
use flow::{Arrival, Batch, Books, Shards, Totals};
use sink::{Output, OutputConfig, SinkError};
use std::io::{stderr, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::{Builder, JoinHandle};
use wire::Timestamp;

/// Batches that wait for a worker: enough to bridge its writing a file, few enough that the blocks which
/// they keep are a few MiB.
const WAITING: usize = 16;

/// Output failed, or nobody reads it any more: nothing further need be read. What happened is said at
/// [the end](Workers::finish).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Halted;

/// What came of it all.
pub(crate) struct Done {
    pub(crate) books: Books,
    pub(crate) totals: Totals,
    pub(crate) written: Result<(), SinkError>,
}

/// Those who follow connections.
pub(crate) enum Workers {
    /// This thread.
    Here(Box<Crew>),
    /// Others.
    Threads(Threads),
}

impl Workers {
    /// As many as the configuration says, with their output ready.
    ///
    /// # Errors
    /// The output directory cannot be created, or the system gives no more threads.
    pub(crate) fn start(config: &Config) -> anyhow::Result<Self> {
        // Each has a file open at times: none must wait for another's.
        let crews = config.workers.min(config.output.openable(config.workers)).max(1);
        let mut crews = (0..crews).map(|part| Crew::new(config, part, crews)).collect::<Vec<_>>();
        if let Some(first) = crews.first() {
            first.output.prepare()?;
        }
        match crews.pop() {
            Some(crew) if crews.is_empty() => Ok(Self::Here(Box::new(crew))),
            last => {
                crews.extend(last);
                let threads = Threads::start(crews).context("cannot start a thread")?;
                Ok(Self::Threads(threads))
            }
        }
    }

    /// Takes in a datagram, whose bytes stand in `block` if they were not put together from fragments.
    #[inline]
    pub(crate) fn take(&mut self, arrival: &Arrival<'_>, block: &Block) -> Result<(), Halted> {
        match self {
            Self::Here(crew) => crew.take(arrival),
            Self::Threads(threads) => threads.take(arrival, block),
        }
    }

    /// The next datagram may be long in coming: nothing is held back that could be used.
    pub(crate) fn flush(&mut self) -> Result<(), Halted> {
        match self {
            Self::Here(crew) => crew.flush(),
            Self::Threads(threads) => threads.send_all(),
        }
    }

    /// It is `now`, and packets may be long in coming: ends connections that were silent for too long. With
    /// `write`, what has waited for long to be written is.
    pub(crate) fn tell_time(&mut self, now: Timestamp, write: bool) -> Result<(), Halted> {
        match self {
            Self::Here(crew) => crew.tell_time(now, write),
            Self::Threads(threads) => threads.tell_time(now, write),
        }
    }

    /// Connections held now, those that linger included.
    pub(crate) fn connections(&self) -> usize {
        match self {
            Self::Here(crew) => crew.shards.connections(),
            Self::Threads(threads) => {
                threads.crews.iter().map(|c| c.connections.load(Ordering::Relaxed)).sum()
            }
        }
    }

    /// The input has ended: closes all connections, and writes everything.
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

/// Some of the shards, and the output of their connections.
pub(crate) struct Crew {
    shards: Shards<u32>,
    output: Output,
    /// Why nothing more is written.
    failed: Option<SinkError>,
}

impl Crew {
    /// The crew of one of several workers, with its part of the limits.
    fn new(config: &Config, part: usize, of: usize) -> Self {
        let output = OutputConfig {
            max_open: share(config.output.openable(of), part, of).max(1),
            write_budget: config.output.write_budget / of,
            ..config.output.clone()
        };
        let output = Output::new(&output, Box::new(stdout()), Box::new(stderr()));
        Self { shards: Shards::part(config.engine, part, of), output, failed: None }
    }

    /// Remembers why output failed.
    #[cold]
    fn fail(&mut self, error: SinkError) -> Result<(), Halted> {
        self.failed.get_or_insert(error);
        Err(Halted)
    }

    #[inline]
    fn take(&mut self, arrival: &Arrival<'_>) -> Result<(), Halted> {
        match self.shards.handle(arrival, &mut self.output) {
            Ok(()) => Ok(()),
            Err(error) => self.fail(error),
        }
    }

    fn handle(&mut self, batch: &Batch<Block>) -> Result<(), Halted> {
        if self.failed.is_some() {
            return Err(Halted);
        }
        self.shards.handle_batch(batch, &mut self.output).or_else(|error| self.fail(error))
    }

    fn flush(&mut self) -> Result<(), Halted> {
        if self.failed.is_some() {
            return Err(Halted);
        }
        self.output.flush().or_else(|error| self.fail(error))
    }

    fn tell_time(&mut self, now: Timestamp, write: bool) -> Result<(), Halted> {
        if self.failed.is_some() {
            return Err(Halted);
        }
        let told = self.shards.handle_timeout(now, &mut self.output);
        let written = if write { self.output.write_waiting() } else { Ok(()) };
        told.and(written).or_else(|error| self.fail(error))
    }

    /// Closes the connections and writes what is held.
    fn finish(mut self) -> (Shards<u32>, Result<(), SinkError>) {
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

/// Workers in threads of their own.
pub(crate) struct Threads {
    crews: Vec<Remote>,
    /// Batches that were handled, to be filled again.
    returned: Receiver<Batch<Block>>,
    halted: Arc<AtomicBool>,
}

/// What a worker is sent.
enum Message {
    Batch(Batch<Block>),
    /// What time it is, and whether what waits is to be written.
    Time(Timestamp, bool),
}

/// A worker as the thread that reads sees it.
struct Remote {
    batch: Batch<Block>,
    sender: SyncSender<Message>,
    connections: Arc<AtomicUsize>,
    thread: JoinHandle<(Shards<u32>, Result<(), SinkError>)>,
}

impl Threads {
    fn start(crews: Vec<Crew>) -> std::io::Result<Self> {
        let (returns, returned) = channel();
        let halted = Arc::new(AtomicBool::new(false));
        let start = |(part, crew)| {
            let (sender, receiver) = sync_channel(WAITING);
            let (connections, halted) = (Arc::new(AtomicUsize::new(0)), halted.clone());
            let (returns, count) = (returns.clone(), connections.clone());
            let work = move || work(crew, &receiver, &returns, &count, &halted);
            let thread = Builder::new().name(format!("worker {part}")).spawn(work)?;
            Ok(Remote { batch: Batch::default(), sender, connections, thread })
        };
        let crews = crews.into_iter().enumerate().map(start).collect::<std::io::Result<_>>()?;
        Ok(Self { crews, returned, halted })
    }

    #[inline]
    fn take(&mut self, arrival: &Arrival<'_>, block: &Block) -> Result<(), Halted> {
        let number = arrival.shard() % self.crews.len();
        if !self.crews[number].batch.buffer().is_some_and(|buffer| buffer.is(block)) {
            self.send(number)?;
            self.crews[number].batch.set_buffer(block.clone());
        }
        let batch = &mut self.crews[number].batch;
        batch.push(arrival);
        if batch.is_full() { self.send(number) } else { Ok(()) }
    }

    /// Sends a worker its batch, and waits where it has many.
    fn send(&mut self, number: usize) -> Result<(), Halted> {
        let crew = &mut self.crews[number];
        if crew.batch.is_empty() {
            crew.batch.clear();
            return Ok(());
        }
        let next = self.returned.try_recv().unwrap_or_default();
        let batch = std::mem::replace(&mut crew.batch, next);
        if self.halted.load(Ordering::Relaxed) || crew.sender.send(Message::Batch(batch)).is_err() {
            return Err(Halted);
        }
        Ok(())
    }

    fn tell_time(&mut self, now: Timestamp, write: bool) -> Result<(), Halted> {
        self.send_all()?;
        let told = |crew: &Remote| crew.sender.send(Message::Time(now, write)).is_ok();
        let halted = self.halted.load(Ordering::Relaxed);
        if !halted && self.crews.iter().all(told) { Ok(()) } else { Err(Halted) }
    }

    fn send_all(&mut self) -> Result<(), Halted> {
        (0..self.crews.len()).try_for_each(|number| self.send(number))
    }

    fn finish(mut self) -> Vec<(Shards<u32>, Result<(), SinkError>)> {
        // Where one has halted, what that was is told by its thread.
        let _ = self.send_all();
        let threads: Vec<_> = self.crews.into_iter().map(|crew| crew.thread).collect();
        let join = |thread: JoinHandle<_>| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        threads.into_iter().map(join).collect()
    }
}

/// What a worker's thread does until the input has ended.
fn work(
    mut crew: Crew,
    messages: &Receiver<Message>,
    returns: &Sender<Batch<Block>>,
    connections: &AtomicUsize,
    halted: &AtomicBool,
) -> (Shards<u32>, Result<(), SinkError>) {
    while let Some(message) = next(messages, &mut crew) {
        let done = match message {
            Message::Batch(mut batch) => {
                let done = crew.handle(&batch);
                batch.clear();
                // Where nobody takes it back, the run is over.
                let _ = returns.send(batch);
                done
            }
            Message::Time(now, write) => crew.tell_time(now, write),
        };
        if done.is_err() {
            halted.store(true, Ordering::Relaxed);
        }
        connections.store(crew.shards.connections(), Ordering::Relaxed);
    }
    crew.finish()
}

/// The next message. Where it must be waited for, what others could use is passed on before.
fn next(messages: &Receiver<Message>, crew: &mut Crew) -> Option<Message> {
    match messages.try_recv() {
        Ok(message) => Some(message),
        Err(TryRecvError::Disconnected) => None,
        Err(TryRecvError::Empty) => {
            // What this fails with is kept by the crew.
            let _ = crew.flush();
            messages.recv().ok()
        }
    }
}
