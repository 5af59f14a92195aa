//! Where threads find something to do.
//!
//! There are as many crews as threads that work, and each thread has a crew of its own, so that what a crew needs is in
//! the cache of its thread. A crew is at its desk, where what comes for it waits, or with the thread that works for it
//! just now: its own, or one that has nothing else to do.

use super::{Demand, Halted};
use std::collections::VecDeque;
use std::io;
use std::panic::resume_unwind;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, scope};

/// Those for whom threads work.
pub(super) trait Crew: Send {
    /// What comes for it, to be handled in order.
    type Message: Send;
    /// What it leaves at its end.
    type Left: Send;

    /// Handles what came. An error is that nobody need send anything more.
    fn handle(&mut self, message: Self::Message) -> Result<(), Halted>;

    /// It may be long until the next message: nothing is held back that others could use.
    fn flush(&mut self);

    /// Nothing more comes.
    fn finish(self) -> Self::Left;
}

/// Batches that wait for a crew: enough to bridge its writing a file, few enough that the blocks which
/// they keep are a few MiB.
const WAITING: usize = 16;

/// So many do where one who works reads: a turn ends when there are [`WAITING`], but what was read with them is put on
/// the desks all the same.
const WAITING_BY_TURNS: usize = 2 * WAITING;

/// Nobody begins to read while more than this wait for somebody: what is read in a turn would not find room.
const READ_BELOW: usize = WAITING - 4;

/// So many on a desk, or twice as many on all, are enough to wake up a thread for, if threads have often had nothing to
/// do: to wake one up for each took two workers 10 % more of a dry run. Where they seldom have, one is enough.
const ENOUGH: usize = 8;

/// Where all of them meet.
pub(super) struct Hall<C: Crew> {
    desks: Mutex<Desks<C>>,
    /// There is something to do, or nothing more will be.
    work: Condvar,
    /// A crew has less to do than before.
    room: Condvar,
}

/// What waits for the crews.
struct Desks<C: Crew> {
    desks: Vec<Desk<C>>,
    /// Ways in that are still open.
    ways_in: usize,
    reading: Reading,
    /// Threads that have nothing to do.
    idle: usize,
    /// For so many messages one of them is woken up: from 1 to [`ENOUGH`].
    enough: usize,
    /// Ways in that wait for room.
    waiting: usize,
    /// A crew wants nothing more.
    halted: bool,
    /// A thread has panicked, or could not be started.
    broken: bool,
}

/// Who reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reading {
    /// Threads that do nothing else.
    Others,
    /// Nobody just now: whichever thread has nothing to do for its own crew may.
    Nobody,
    /// One of the threads that work.
    Somebody,
    /// Nobody ever again.
    Over,
}

struct Desk<C: Crew> {
    waiting: VecDeque<C::Message>,
    /// The crew, while nobody works for it.
    crew: Option<Box<C>>,
    /// What it left.
    left: Option<C::Left>,
}

/// Something to do for a crew: its next message, or its end.
struct Job<C: Crew> {
    number: usize,
    crew: Box<C>,
    message: Option<C::Message>,
}

/// What a thread does next.
enum Next<C: Crew> {
    Work(Job<C>),
    Read,
    Wait,
}

impl<C: Crew> Desk<C> {
    /// Is there something to do that nobody does?
    fn has_job(&self) -> bool {
        self.crew.is_some() && !self.waiting.is_empty()
    }
}

impl<C: Crew> Desks<C> {
    /// Will nothing more be to do?
    fn is_done(&self) -> bool {
        self.broken || self.ways_in == 0 && self.desks.iter().all(|desk| desk.left.is_some())
    }

    /// What the thread with a crew of its own does next: what this crew has to do, or it reads, or what others have.
    fn next(&mut self, own: usize) -> Next<C> {
        let may_read = self.reading == Reading::Nobody
            && self.desks.iter().all(|desk| desk.waiting.len() <= READ_BELOW);
        let has_own = self.desks.get(own).is_some_and(Desk::has_job);
        if may_read && !has_own {
            self.reading = Reading::Somebody;
            return Next::Read;
        }
        self.job(own, has_own).map_or(Next::Wait, Next::Work)
    }

    /// What is to be done for a thread's own crew, or else for the one for which the most waits.
    fn job(&mut self, own: usize, has_own: bool) -> Option<Job<C>> {
        let number = if has_own {
            own
        } else {
            let free = self.desks.iter().enumerate().filter(|(_, desk)| desk.crew.is_some());
            free.max_by_key(|(_, desk)| desk.waiting.len())?.0
        };
        let desk = self.desks.get_mut(number)?;
        if desk.waiting.is_empty() && self.ways_in > 0 {
            return None;
        }
        let message = desk.waiting.pop_front();
        Some(Job { number, crew: desk.crew.take()?, message })
    }
}

impl<C: Crew> Hall<C> {
    /// One for these crews, with so many ways in.
    pub(super) fn new(crews: impl IntoIterator<Item = C>, ways_in: usize) -> Self {
        let desk = |crew| Desk { waiting: VecDeque::new(), crew: Some(Box::new(crew)), left: None };
        let desks = Desks {
            desks: crews.into_iter().map(desk).collect(),
            ways_in,
            reading: Reading::Others,
            idle: 0,
            enough: ENOUGH,
            waiting: 0,
            halted: false,
            broken: false,
        };
        Self { desks: Mutex::new(desks), work: Condvar::new(), room: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Desks<C>> {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message on a desk, as soon as there is room for it; what else is wanted. A little wakes nobody up: whoever
    /// puts nothing more for a while says so by [`Self::wake`].
    pub(super) fn put(&self, number: usize, message: C::Message) -> Result<Demand, Halted> {
        let mut desks = self.lock();
        // Where one who works reads, there is another one who makes room.
        let most = if desks.reading == Reading::Others { WAITING } else { WAITING_BY_TURNS };
        while desks.desks[number].waiting.len() >= most && !desks.broken {
            // There may be a little on other desks.
            self.wake_for(&desks, 0);
            desks.waiting += 1;
            desks = self.room.wait(desks).unwrap_or_else(PoisonError::into_inner);
            desks.waiting -= 1;
        }
        if desks.broken || desks.halted {
            return Err(Halted);
        }
        let desk = &mut desks.desks[number];
        desk.waiting.push_back(message);
        let (here, is_free) = (desk.waiting.len(), desk.crew.is_some());
        if is_free && desks.idle > 0 {
            let everywhere: usize = desks.desks.iter().map(|desk| desk.waiting.len()).sum();
            if here >= desks.enough || everywhere >= 2 * desks.enough {
                self.work.notify_one();
            }
        }
        Ok(match here >= WAITING {
            true => Demand::Satisfied,
            false if desks.idle > 0 => Demand::Urgent,
            false => Demand::Usual,
        })
    }

    /// It may be long until more comes: whoever is idle begins with the little that waits.
    pub(super) fn wake(&self) {
        self.wake_for(&self.lock(), 0);
    }

    /// Wakes up a thread for each crew that has something to do, and for so much else.
    fn wake_for(&self, desks: &Desks<C>, more: usize) {
        let work = desks.desks.iter().filter(|desk| desk.has_job()).count();
        (0..desks.idle.min(work + more)).for_each(|_| self.work.notify_one());
    }

    /// Nothing more comes by one of the ways in.
    pub(super) fn close(&self) {
        let mut desks = self.lock();
        desks.ways_in -= 1;
        if desks.ways_in == 0 {
            self.work.notify_all();
        }
    }

    /// Something cannot go on: nobody waits for it.
    pub(super) fn break_up(&self) {
        self.lock().broken = true;
        self.work.notify_all();
        self.room.notify_all();
    }

    /// Lets a thread for each crew work until nothing more is to do; this one is the first of them. They read, too: `read`
    /// reads something, and says whether there is more; it [closes](Self::close) its way in at the end.
    pub(super) fn work_by_turns(&self, read: impl FnMut() -> bool + Send) -> io::Result<()> {
        let (count, read) = (self.lock().desks.len(), Mutex::new(read));
        scope(|threads| {
            let mut others = Vec::new();
            for own in 1..count {
                let (thread, read) = (Builder::new().name(format!("worker {own}")), &read);
                match thread.spawn_scoped(threads, move || self.work(own, read)) {
                    Ok(thread) => others.push(thread),
                    Err(error) => {
                        // The others need not go on.
                        self.break_up();
                        return Err(error);
                    }
                }
            }
            // Not before: where a thread is missing, nothing was written.
            self.lock().reading = Reading::Nobody;
            self.work(0, &read);
            for thread in others {
                thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            }
            Ok(())
        })
    }

    /// Works, in the thread with a crew of its own, until nothing more is to do. Others read.
    pub(super) fn work_only(&self, own: usize) {
        self.work(own, &Mutex::new(|| false));
    }

    /// The same, and reads, where this is for those that work. One thread at a time is asked to.
    fn work(&self, own: usize, read: &Mutex<impl FnMut() -> bool>) {
        let _guard = Guard(self);
        let mut desks = self.lock();
        while !desks.is_done() {
            match desks.next(own) {
                Next::Work(job) => {
                    self.tell_of_room(&desks, job.number);
                    drop(desks);
                    self.work_on(job);
                    desks = self.lock();
                }
                Next::Read => {
                    drop(desks);
                    let more = read.lock().unwrap_or_else(PoisonError::into_inner)();
                    desks = self.lock();
                    desks.reading = if more { Reading::Nobody } else { Reading::Over };
                    if desks.idle == 0 {
                        desks.enough = 1;
                    }
                    // Whoever is idle may work now, or read.
                    self.wake_for(&desks, usize::from(more));
                }
                Next::Wait => {
                    desks.enough = ENOUGH.min(2 * desks.enough);
                    desks.idle += 1;
                    desks = self.work.wait(desks).unwrap_or_else(PoisonError::into_inner);
                    desks.idle -= 1;
                }
            }
        }
    }

    /// A message was taken from a desk: whoever waits for that is told.
    fn tell_of_room(&self, desks: &Desks<C>, number: usize) {
        let left = desks.desks[number].waiting.len();
        if desks.waiting > 0 && left + 1 >= WAITING {
            self.room.notify_all();
        }
    }

    fn work_on(&self, job: Job<C>) {
        let Job { number, mut crew, message } = job;
        match message {
            Some(message) => {
                let halted = crew.handle(message).is_err();
                self.put_back(number, crew, halted);
            }
            None => self.leave(number, crew.finish()),
        }
    }

    /// Puts a crew back to its desk, which perhaps wants nothing more.
    fn put_back(&self, number: usize, mut crew: Box<C>, halted: bool) {
        let mut desks = self.lock();
        desks.halted |= halted;
        if desks.reading == Reading::Others && desks.desks[number].waiting.is_empty() {
            drop(desks);
            crew.flush();
            desks = self.lock();
        }
        let desk = &mut desks.desks[number];
        desk.crew = Some(crew);
        if !desk.waiting.is_empty() && desks.idle > 0 {
            // Whoever is idle may work for this crew, or if little is left now, read.
            self.work.notify_one();
        }
    }

    /// A crew has come to its end.
    fn leave(&self, number: usize, left: C::Left) {
        let mut desks = self.lock();
        desks.desks[number].left = Some(left);
        if desks.is_done() {
            self.work.notify_all();
        }
    }

    /// What the crews left.
    pub(super) fn take_left(&self) -> Vec<C::Left> {
        self.lock().desks.iter_mut().filter_map(|desk| desk.left.take()).collect()
    }
}

/// Lets nobody wait for a thread that has panicked.
struct Guard<'a, C: Crew>(&'a Hall<C>);

impl<C: Crew> Drop for Guard<'_, C> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.break_up();
        }
    }
}

#[cfg(test)]
mod tests;
