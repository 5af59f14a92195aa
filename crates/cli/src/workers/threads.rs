//! Workers in threads of their own, and the ways in to them.

use super::{Counted, Crew, Halted, Left, Tick};
use capture::Block;
use flow::{Arrival, Batch};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

/// Batches that wait for a worker: enough to bridge its writing a file, few enough that the blocks which
/// they keep are a few MiB.
const WAITING: usize = 16;

/// A way in to workers. Each thread that reads has its own.
pub(crate) struct Threads {
    /// Which one this is.
    number: usize,
    workers: Vec<Remote>,
    /// Batches that were handled, to be filled again.
    returned: Receiver<Batch<Block>>,
    halted: Arc<AtomicBool>,
    /// To be waited for; the first way in has them.
    threads: Vec<JoinHandle<Left>>,
}

/// What a worker is sent.
enum Message {
    /// Datagrams, by the way in with a number.
    Batch(Batch<Block>, usize),
    Tick(Tick),
}

/// A worker as a thread that reads sees it.
struct Remote {
    batch: Batch<Block>,
    sender: SyncSender<Message>,
    seen: Arc<Seen>,
}

/// What a worker shows of itself.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    counted: Mutex<Counted>,
}

impl Threads {
    /// Starts a thread for each crew, with so many ways in.
    pub(super) fn start(crews: Vec<Crew>, ways_in: usize) -> io::Result<Vec<Self>> {
        let halted = Arc::new(AtomicBool::new(false));
        let (returns, returned): (Vec<_>, Vec<_>) = (0..ways_in.max(1)).map(|_| channel()).unzip();
        let (mut senders, mut threads) = (Vec::new(), Vec::new());
        for (part, crew) in crews.into_iter().enumerate() {
            let (sender, messages) = sync_channel(WAITING);
            let seen = Arc::new(Seen::default());
            senders.push((sender, seen.clone()));
            let (returns, halted) = (returns.clone(), halted.clone());
            let work = move || work(crew, &messages, &returns, &seen, &halted);
            threads.push(Builder::new().name(format!("worker {part}")).spawn(work)?);
        }
        let way_in = |(number, returned)| {
            let remote = |(sender, seen): &(SyncSender<Message>, Arc<Seen>)| Remote {
                batch: Batch::default(),
                sender: sender.clone(),
                seen: seen.clone(),
            };
            let (workers, halted) = (senders.iter().map(remote).collect(), halted.clone());
            Self { number, workers, returned, halted, threads: std::mem::take(&mut threads) }
        };
        Ok(returned.into_iter().enumerate().map(way_in).collect())
    }

    #[inline]
    pub(super) fn take(&mut self, arrival: &Arrival<'_>, block: &Block) -> Result<(), Halted> {
        let number = arrival.shard() % self.workers.len();
        if !self.workers[number].batch.buffer().is_some_and(|buffer| buffer.is(block)) {
            self.send(number)?;
            self.workers[number].batch.set_buffer(block.clone());
        }
        let batch = &mut self.workers[number].batch;
        batch.push(arrival);
        if batch.is_full() { self.send(number) } else { Ok(()) }
    }

    /// Sends a worker its batch, and waits where it has many.
    fn send(&mut self, number: usize) -> Result<(), Halted> {
        let worker = &mut self.workers[number];
        if worker.batch.is_empty() {
            worker.batch.clear();
            return Ok(());
        }
        let next = self.returned.try_recv().unwrap_or_default();
        let batch = std::mem::replace(&mut worker.batch, next);
        let halted = self.halted.load(Ordering::Relaxed);
        if halted || worker.sender.send(Message::Batch(batch, self.number)).is_err() {
            return Err(Halted);
        }
        Ok(())
    }

    pub(super) fn tell_time(&mut self, tick: Tick) -> Result<(), Halted> {
        self.send_all()?;
        let told = |worker: &Remote| worker.sender.send(Message::Tick(tick)).is_ok();
        let halted = self.halted.load(Ordering::Relaxed);
        if !halted && self.workers.iter().all(told) { Ok(()) } else { Err(Halted) }
    }

    pub(super) fn send_all(&mut self) -> Result<(), Halted> {
        (0..self.workers.len()).try_for_each(|number| self.send(number))
    }

    /// Connections held, those that linger included.
    pub(super) fn connections(&self) -> usize {
        self.workers.iter().map(|w| w.seen.connections.load(Ordering::Relaxed)).sum()
    }

    /// What was counted last.
    pub(super) fn counted(&self) -> Counted {
        let mut sum = Counted::default();
        for worker in &self.workers {
            sum += &worker.seen.counted.lock().unwrap_or_else(PoisonError::into_inner);
        }
        sum
    }

    pub(super) fn finish(mut self) -> Vec<Left> {
        // Where one has halted, what that was is told by its thread.
        let _ = self.send_all();
        // Without a way in, they come to their end.
        self.workers.clear();
        let join = |thread: JoinHandle<_>| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        self.threads.into_iter().map(join).collect()
    }
}

/// What a worker's thread does until the input has ended.
fn work(
    mut crew: Crew,
    messages: &Receiver<Message>,
    returns: &[Sender<Batch<Block>>],
    seen: &Seen,
    halted: &AtomicBool,
) -> Left {
    while let Some(message) = next(messages, &mut crew) {
        let done = match message {
            Message::Batch(mut batch, way_in) => {
                let done = crew.handle(&batch);
                batch.clear();
                // Where nobody takes it back, the run is over.
                let _ = returns.get(way_in).map(|returns| returns.send(batch));
                done
            }
            Message::Tick(tick) => {
                let done = crew.tell_time(tick);
                if tick.count {
                    let mut counted = seen.counted.lock().unwrap_or_else(PoisonError::into_inner);
                    counted.clone_from(crew.counted());
                }
                done
            }
        };
        if done.is_err() {
            halted.store(true, Ordering::Relaxed);
        }
        seen.connections.store(crew.connections(), Ordering::Relaxed);
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
