//! Workers in threads, and the ways in to them.
//!
//! There are as many crews as workers. A crew is at its desk, or with the thread that works for it just now:
//! whichever thread is free takes the crew for which the most waits. A thread that reads files is one of the
//! workers: it reads until there is enough to do for all, and then works for a crew itself. So all are busy to the
//! end, however the work is divided between reading and following. (A reader beside two workers, each with a crew
//! of its own, left one of two cores idle for a fifth of the time: it waited for room at one desk while the other one
//! was empty.)

use super::{Counted, Crew, Halted, Left, Tick, WhenBusy};
use capture::Block;
use flow::{Arrival, Batch};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

/// Batches that wait for a crew: enough to bridge its writing a file, few enough that the blocks which
/// they keep are a few MiB.
const WAITING: usize = 16;

/// So many on a desk, or twice as many on all, are enough to wake up a thread for. To wake one up for each took two workers
/// 10 % more of a dry run.
const ENOUGH: usize = 8;

/// A way in to workers. Each thread that reads has its own.
pub(crate) struct Threads {
    /// Which one this is.
    number: usize,
    /// What is being filled for each crew.
    batches: Vec<Batch<Block>>,
    /// Batches that were handled, to be filled again.
    returned: Receiver<Batch<Block>>,
    hall: WayIn,
    when_busy: WhenBusy,
    /// To be waited for; the first way in has them.
    threads: Vec<JoinHandle<()>>,
}

/// The hall, for as long as something may come this way.
struct WayIn(Arc<Hall>);

impl Drop for WayIn {
    fn drop(&mut self) {
        let mut desks = self.0.lock();
        desks.ways_in -= 1;
        if desks.ways_in == 0 {
            self.0.work.notify_all();
        }
    }
}

/// What a crew is sent.
enum Message {
    /// Datagrams, by the way in with a number.
    Batch(Batch<Block>, usize),
    Tick(Tick),
}

/// Where all of them meet.
struct Hall {
    desks: Mutex<Desks>,
    /// There is something to do, or nothing more will be.
    work: Condvar,
    /// A crew has less to do than before.
    room: Condvar,
    seen: Vec<Seen>,
    halted: AtomicBool,
    /// Where batches go back to, by the way in.
    returns: Vec<Sender<Batch<Block>>>,
}

/// What waits for the crews.
struct Desks {
    desks: Vec<Desk>,
    /// Ways in that are still open.
    ways_in: usize,
    /// Threads that have nothing to do.
    idle: usize,
    /// Ways in that wait for room.
    waiting: usize,
    /// A thread has panicked.
    broken: bool,
}

struct Desk {
    waiting: VecDeque<Message>,
    /// The crew, while nobody works for it.
    crew: Option<Box<Crew>>,
    /// What it left.
    left: Option<Left>,
}

/// What a crew shows of itself.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    counted: Mutex<Counted>,
}

/// Something to do for a crew: its next message, or its end.
struct Job {
    number: usize,
    crew: Box<Crew>,
    message: Option<Message>,
}

impl Desks {
    /// Will nothing more be to do?
    fn is_done(&self) -> bool {
        self.broken || self.ways_in == 0 && self.desks.iter().all(|desk| desk.left.is_some())
    }
}

impl Hall {
    fn lock(&self) -> MutexGuard<'_, Desks> {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be done next: that for which the most waits.
    fn next_job(&self, desks: &mut Desks) -> Option<Job> {
        let free = |(_, desk): &(usize, &mut Desk)| desk.crew.is_some();
        let most = desks.desks.iter_mut().enumerate().filter(free);
        let (number, desk) = most.max_by_key(|(_, desk)| desk.waiting.len())?;
        if desk.waiting.is_empty() && desks.ways_in > 0 {
            return None;
        }
        let was_full = desk.waiting.len() >= WAITING;
        let message = desk.waiting.pop_front();
        let crew = desk.crew.take()?;
        if was_full && desks.waiting > 0 {
            self.room.notify_all();
        }
        Some(Job { number, crew, message })
    }

    /// Puts a message on a desk, when there is room for it. A little wakes nobody up: whoever puts nothing more for a
    /// while says so by [`Self::wake`].
    fn put(&self, number: usize, message: Message, when_busy: WhenBusy) -> Result<(), Halted> {
        let mut desks = self.lock();
        while desks.desks[number].waiting.len() >= WAITING {
            if desks.broken {
                return Err(Halted);
            }
            let worked;
            (desks, worked) = match when_busy {
                WhenBusy::Help => self.work_once(desks),
                WhenBusy::Wait => (desks, false),
            };
            if !worked {
                // There may be a little on other desks.
                self.wake_for_all(&desks);
                desks.waiting += 1;
                desks = self.room.wait(desks).unwrap_or_else(PoisonError::into_inner);
                desks.waiting -= 1;
            }
        }
        if desks.broken || self.halted.load(Ordering::Relaxed) {
            return Err(Halted);
        }
        let desk = &mut desks.desks[number];
        desk.waiting.push_back(message);
        let here = desk.waiting.len();
        if desk.crew.is_some() && desks.idle > 0 {
            let everywhere: usize = desks.desks.iter().map(|desk| desk.waiting.len()).sum();
            if here >= ENOUGH || everywhere >= 2 * ENOUGH {
                self.work.notify_one();
            }
        }
        Ok(())
    }

    /// It may be long until more comes: whoever is idle begins with the little that waits.
    fn wake(&self) {
        self.wake_for_all(&self.lock());
    }

    /// Wakes up a thread for each crew that has something to do.
    fn wake_for_all(&self, desks: &Desks) {
        let has_work = |desk: &&Desk| desk.crew.is_some() && !desk.waiting.is_empty();
        let work = desks.desks.iter().filter(has_work).count();
        (0..work.min(desks.idle)).for_each(|_| self.work.notify_one());
    }

    /// Works until nothing more is to do.
    fn work(&self) {
        let mut desks = self.lock();
        while !desks.is_done() {
            let worked;
            (desks, worked) = self.work_once(desks);
            if !worked {
                desks.idle += 1;
                desks = self.work.wait(desks).unwrap_or_else(PoisonError::into_inner);
                desks.idle -= 1;
            }
        }
    }

    /// Does what is to be done next, without the lock meanwhile; `false` where there is nothing.
    fn work_once<'a>(&'a self, mut desks: MutexGuard<'a, Desks>) -> (MutexGuard<'a, Desks>, bool) {
        let Some(job) = self.next_job(&mut desks) else { return (desks, false) };
        drop(desks);
        self.work_on(job);
        (self.lock(), true)
    }

    fn work_on(&self, job: Job) {
        let _guard = Guard(self);
        let Job { number, mut crew, message } = job;
        let done = match message {
            Some(Message::Batch(mut batch, way_in)) => {
                let done = crew.handle(&batch);
                batch.clear();
                // Where nobody takes it back, the run is over.
                let _ = self.returns.get(way_in).map(|returns| returns.send(batch));
                done
            }
            Some(Message::Tick(tick)) => {
                let done = crew.tell_time(tick);
                if tick.count {
                    let counted = &self.seen[number].counted;
                    let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
                    counted.clone_from(crew.counted());
                }
                done
            }
            None => return self.leave(number, crew.finish()),
        };
        if done.is_err() {
            self.halted.store(true, Ordering::Relaxed);
        }
        self.seen[number].connections.store(crew.connections(), Ordering::Relaxed);
        let mut desks = self.lock();
        if desks.desks[number].waiting.is_empty() {
            // It may be long until the next one: what others could use is passed on. What this fails with is
            // kept by the crew.
            drop(desks);
            let _ = crew.flush();
            desks = self.lock();
        }
        let desk = &mut desks.desks[number];
        desk.crew = Some(crew);
        if !desk.waiting.is_empty() && desks.idle > 0 {
            self.work.notify_one();
        }
        if desks.waiting > 0 {
            // Who waits for room and helps can work for this crew meanwhile.
            self.room.notify_all();
        }
    }

    /// A crew has come to its end.
    fn leave(&self, number: usize, left: Left) {
        let mut desks = self.lock();
        desks.desks[number].left = Some(left);
        if desks.is_done() {
            self.work.notify_all();
        }
    }
}

/// Lets nobody wait for a thread that has panicked.
struct Guard<'a>(&'a Hall);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().broken = true;
            self.0.work.notify_all();
            self.0.room.notify_all();
        }
    }
}

impl Threads {
    /// Starts threads for crews: one for each, and one less where the thread that reads helps. There are as many
    /// ways in as asked for, at least one.
    pub(super) fn start(
        crews: Vec<Crew>,
        ways_in: usize,
        when_busy: WhenBusy,
    ) -> io::Result<Vec<Self>> {
        let ways_in = ways_in.max(1);
        let (returns, returned): (Vec<_>, Vec<_>) = (0..ways_in).map(|_| channel()).unzip();
        let count = crews.len();
        let desk = |crew| Desk { waiting: VecDeque::new(), crew: Some(Box::new(crew)), left: None };
        let desks = crews.into_iter().map(desk).collect();
        let hall = Arc::new(Hall {
            desks: Mutex::new(Desks { desks, ways_in, idle: 0, waiting: 0, broken: false }),
            work: Condvar::new(),
            room: Condvar::new(),
            seen: (0..count).map(|_| Seen::default()).collect(),
            halted: AtomicBool::new(false),
            returns,
        });
        let way_in = |(number, returned)| {
            let batches = (0..count).map(|_| Batch::default()).collect();
            let (hall, threads) = (WayIn(hall.clone()), Vec::new());
            Self { number, batches, returned, hall, when_busy, threads }
        };
        // Where a thread cannot be started, the others come to their end without these.
        let mut ways: Vec<Self> = returned.into_iter().enumerate().map(way_in).collect();
        for part in usize::from(when_busy == WhenBusy::Help)..count {
            let hall = hall.clone();
            let thread =
                Builder::new().name(format!("worker {part}")).spawn(move || hall.work())?;
            if let Some(first) = ways.first_mut() {
                first.threads.push(thread);
            }
        }
        Ok(ways)
    }

    /// Takes in a datagram, whose bytes stand in `block` if they were not put together from fragments.
    #[inline(always)]
    pub(crate) fn take(&mut self, arrival: &Arrival<'_>, block: &Block) -> Result<(), Halted> {
        let number = arrival.shard() % self.batches.len();
        if !self.batches[number].buffer().is_some_and(|buffer| buffer.is(block)) {
            self.send(number)?;
            self.batches[number].set_buffer(block.clone());
        }
        let batch = &mut self.batches[number];
        batch.push(arrival);
        if batch.is_full() { self.send(number) } else { Ok(()) }
    }

    /// Sends a crew its batch.
    fn send(&mut self, number: usize) -> Result<(), Halted> {
        let batch = &mut self.batches[number];
        if batch.is_empty() {
            batch.clear();
            return Ok(());
        }
        let next = self.returned.try_recv().unwrap_or_default();
        let batch = std::mem::replace(batch, next);
        self.hall.0.put(number, Message::Batch(batch, self.number), self.when_busy)
    }

    pub(super) fn tell_time(&mut self, tick: Tick) -> Result<(), Halted> {
        self.send_each()?;
        let tell = |number| self.hall.0.put(number, Message::Tick(tick), self.when_busy);
        let told = (0..self.batches.len()).try_for_each(tell);
        self.hall.0.wake();
        told
    }

    /// Sends all that there is, for it may be long until more comes.
    pub(super) fn send_all(&mut self) -> Result<(), Halted> {
        let sent = self.send_each();
        self.hall.0.wake();
        sent
    }

    fn send_each(&mut self) -> Result<(), Halted> {
        (0..self.batches.len()).try_for_each(|number| self.send(number))
    }

    /// Connections held, those that linger included.
    pub(super) fn connections(&self) -> usize {
        self.hall.0.seen.iter().map(|seen| seen.connections.load(Ordering::Relaxed)).sum()
    }

    /// What was counted last.
    pub(super) fn counted(&self) -> Counted {
        let mut sum = Counted::default();
        for seen in &self.hall.0.seen {
            sum += &seen.counted.lock().unwrap_or_else(PoisonError::into_inner);
        }
        sum
    }

    pub(super) fn finish(mut self) -> Vec<Left> {
        // Where one has halted, what that was is told by what it leaves.
        let _ = self.send_all();
        let hall = self.hall.0.clone();
        drop(self.hall);
        if self.when_busy == WhenBusy::Help {
            hall.work();
        }
        for thread in self.threads {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
        hall.lock().desks.iter_mut().filter_map(|desk| desk.left.take()).collect()
    }
}
